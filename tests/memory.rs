//! The memory of a run does not grow with the length of the chain.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "common/command.rs"]
mod command;

use std::time::Duration;

use command::{Folder, Ran, command};
use phalanx::chain::ethereum::BlockStream;

#[test]
fn ten_times_the_blocks_take_the_same_memory() {
    const BLOCKS: usize = 250;
    let folder = Folder::new("memory");
    // Swaps pay nobody new, so that the state hardly grows: by the three slots of EIP-2935 and EIP-4788 a block, of which
    // there are 8,191 at most.
    let size = ["--transactions", "80", "--accounts", "2000", "--mix", "0/0/100"];
    folder.generate(&[&["--blocks", &BLOCKS.to_string()], &size[..]].concat());
    let [chain, start, genesis] = ["chain.rlp", "start.rlp", "genesis.json"].map(|name| folder.path(name));
    let bytes = std::fs::read(&chain).unwrap();
    let blocks: Vec<_> = BlockStream::new(&bytes[..]).map(Result::unwrap).collect();
    assert_eq!(blocks.len(), BLOCKS);
    std::fs::write(&start, blocks[..BLOCKS / 10].concat()).unwrap();

    let [short, long] = [(&start, BLOCKS / 10), (&chain, BLOCKS)].map(|(chain, blocks)| peak(chain, &genesis, blocks));
    println!("{short} KiB for a tenth of the blocks, {long} KiB for all");
    assert!(long * 10 <= short * 11, "{short} KiB for a tenth of the blocks, {long} KiB for all");
}

/// The most memory that running a chain took, in KiB.
fn peak(chain: &str, genesis: &str, blocks: usize) -> u64 {
    let arguments = ["run", "--json", "--threads", "2", "--chain", chain, "--genesis", genesis];
    let mut child = command(arguments).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        // Gone once the process has ended; what it took in its last moments is what it took before.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        if let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            peak = line.trim().trim_end_matches(" kB").parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert_eq!((ran.status, &*ran.stderr), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["blocks"], blocks);
    assert!(peak > 0);
    peak
}
