//! Bad input of every kind: exit status 2 and one line that says what is wrong and where, and never a panic.
#![cfg(feature = "cli")]

#[path = "common/command.rs"]
mod command;

use std::io::Write;
use std::process::{Command, Stdio};

use alloy_primitives::Bytes;
use command::{Folder, Ran, command, run};
use flate2::Compression;
use flate2::write::GzEncoder;
use phalanx::chain::ethereum::{Block, BlockStream, MAX_BLOCK_BYTES};
use serde_json::{Value, json};

/// A generated chain of five blocks of 20 transactions.
struct Chain {
    folder: Folder,
    blocks: Vec<Bytes>,
}

impl Chain {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        folder.generate(&["--blocks", "5", "--transactions", "20", "--accounts", "30", "--seed", "3"]);
        let bytes = std::fs::read(folder.path("chain.rlp")).unwrap();
        let blocks: Vec<_> = BlockStream::new(&bytes[..]).map(Result::unwrap).collect();
        assert_eq!(blocks.len(), 5);
        Self { folder, blocks }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs a file as a chain from a genesis.
    fn run_from(&self, genesis: &str, chain: &str) -> Ran {
        run(["run", "--json", "--genesis", &self.folder.path(genesis), "--chain", chain])
    }

    /// The chain with the block at `index` replaced.
    fn with_block(&self, index: usize, block: &[u8]) -> Vec<u8> {
        let mut blocks = self.blocks.clone();
        blocks[index] = block.to_vec().into();
        blocks.concat()
    }

    /// The chain with a transaction's envelope replaced; what was in place of a typed one is put into a string again.
    fn with_envelope(&self, block: usize, typed: bool, envelope: &[u8]) -> (usize, Vec<u8>) {
        let mut decoded = Block::decode(&self.blocks[block]).unwrap();
        let suits = |index: &usize| decoded.transactions[*index].is_legacy() != typed;
        let index = (3..20).find(suits).unwrap();
        decoded.envelopes[index] = envelope.to_vec().into();
        (index, self.with_block(block, &decoded.encode().unwrap()))
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes without any pattern.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_bad_chain_is_executed_up_to_where_it_is_bad() {
    let chain = Chain::new("bad-chain");
    let all = chain.blocks.concat();
    let start_of = |index: usize| chain.blocks[..index].iter().map(|block| block.len()).sum::<usize>();
    let at = |index: usize| format!("block {index} of the stream, at byte {}: ", start_of(index));
    let announced = u32::try_from(MAX_BLOCK_BYTES).unwrap().to_be_bytes();
    let (unknown_at, unknown) = chain.with_envelope(2, true, &[0x7f, 0xc0]);
    let (short_at, short) = chain.with_envelope(1, true, &[0x02, 0xc0]);
    let (legacy_at, legacy) = chain.with_envelope(3, false, &[0xc3, 1, 2, 3]);
    let (none_at, none) = chain.with_envelope(2, true, &[]);
    let (wrapped_at, wrapped) =
        chain.with_envelope(2, true, &Block::decode(&chain.blocks[0]).unwrap().envelopes[0].clone()[1..]);
    let zipped = gzip(&all);
    let half = zipped.len() / 2;
    let flipped = {
        let mut flipped = zipped.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        flipped
    };
    // What is wrong, and how many blocks came before it; gzip is cut wherever it is cut.
    let cases: Vec<(&str, Vec<u8>, Option<u64>, String)> = vec![
        ("cut", all[..start_of(3) + 700].to_vec(), Some(3), at(3) + "the file ends within the block"),
        ("cut-short", all[..=start_of(4)].to_vec(), Some(4), at(4) + "the file ends within the block"),
        ("trailing", [&all, &[1, 2, 3][..]].concat(), Some(5), at(5) + "no RLP list starts here"),
        ("trailing-list", [&all, &[0xc1, 1][..]].concat(), Some(5), "block 5 of the stream: header: ".to_owned()),
        ("too-long", [&all[..], &[0xfb], &announced].concat(), Some(5), at(5) + "16777221 bytes are more than"),
        (
            "unknown",
            unknown,
            Some(2),
            format!("block 2 of the stream: transaction {unknown_at}: transaction type 0x7f"),
        ),
        ("short", short, Some(1), format!("block 1 of the stream: transaction {short_at}: malformed transaction: ")),
        ("legacy", legacy, Some(3), format!("block 3 of the stream: transaction {legacy_at}: malformed transaction: ")),
        ("none", none, Some(2), format!("block 2 of the stream: transaction {none_at}: malformed transaction: ")),
        (
            "wrapped",
            wrapped,
            Some(2),
            format!("block 2 of the stream: transaction {wrapped_at}: malformed transaction: "),
        ),
        ("empty", Vec::new(), None, "empty".to_owned()),
        ("empty-gzip", gzip(&[]), None, "empty".to_owned()),
        ("noise", noise(50_000, 1), Some(0), "block 0 of the stream, at byte 0: no RLP list starts here".to_owned()),
        ("json", b"{}".to_vec(), Some(0), "block 0 of the stream, at byte 0: no RLP list starts here".to_owned()),
        ("cut-gzip-header", zipped[..5].to_vec(), None, "unexpected end of file".to_owned()),
        ("sum-gzip", flipped, Some(5), at(5) + "corrupt gzip stream does not have a matching checksum"),
    ];
    let mut checked = 0;
    for (name, bytes, blocks, problem) in &cases {
        let path = chain.write(name, bytes);
        let ran = chain.run_from("genesis.json", &path);
        assert!(ran.the_line().starts_with(&format!("{path}: {problem}")), "{name}: {}", ran.stderr);
        match blocks {
            Some(blocks) => {
                let report: Value = serde_json::from_str(&ran.stdout).unwrap();
                assert_eq!([&report["blocks"], &report["head"]], [*blocks; 2], "{name}");
                assert_eq!(report["transactions"], 20 * blocks, "{name}");
                assert_eq!(report["errors"], json!([ran.the_line()]), "{name}");
            }
            None => assert_eq!(ran.stdout, "", "{name}"),
        }
        // Without executing, the same is found.
        let ran = run(["verify", "--json", "--genesis", &chain.folder.path("genesis.json"), &path]);
        assert!(ran.the_line().starts_with(&format!("{path}: ")), "{name}: {}", ran.stderr);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            (&report["files"][0]["verdict"], &report["files"][0]["error"]),
            (&json!("not checked"), &json!(ran.the_line()))
        );
        checked += 1;
    }
    assert_eq!(checked, 16);

    let path = chain.write("cut.gz", &zipped[..half]);
    let ran = chain.run_from("genesis.json", &path);
    assert!(ran.the_line().ends_with(": the file ends within the block"), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!((1..5).contains(&report["blocks"].as_u64().unwrap()), "{report}");

    for (path, problem) in [("nowhere.rlp", "No such file"), ("", "a folder, where a file is needed")] {
        let path = chain.folder.path(path);
        let ran = chain.run_from("genesis.json", &path);
        assert!(ran.the_line().starts_with(&format!("{path}: {problem}")), "{}", ran.stderr);
    }
}

#[test]
fn an_invalid_block_ends_a_chain_with_status_1() {
    let chain = Chain::new("invalid-chain");
    let block = Block::decode(&chain.blocks[3]).unwrap();
    let high_s = {
        // A low s has its first bit unset; with it s is above half the order.
        let mut bytes = chain.blocks[3].to_vec();
        let s = block.transactions[7].signature().s().to_be_bytes::<32>();
        let place = bytes.windows(32).position(|window| window == s).unwrap();
        bytes[place] ^= 0x80;
        bytes
    };
    let with_header = |change: &dyn Fn(&mut alloy_consensus::Header)| {
        let mut block = block.clone();
        change(&mut block.header);
        block.encode().unwrap()
    };
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        (
            "high-s",
            high_s,
            &["transactionsRoot: ", "transaction 7: invalid signature: s is above half the group order"],
        ),
        ("state-root", with_header(&|header| header.state_root = header.parent_hash), &["stateRoot: "]),
        ("gas-used", with_header(&|header| header.gas_used += 1), &["gasUsed: "]),
        ("parent", with_header(&|header| header.parent_hash = header.state_root), &["parentHash: "]),
        (
            "of-a-later-fork",
            with_header(&|header| {
                header.block_access_list_hash = Some(header.parent_hash);
                header.slot_number = Some(4);
            }),
            &["blockAccessListHash: present before Amsterdam"],
        ),
    ];
    let mut checked = 0;
    for (name, bytes, problems) in cases {
        let path = chain.write(name, &chain.with_block(3, &bytes));
        let ran = chain.run_from("genesis.json", &path);
        assert_eq!(ran.status, Some(1), "{name}");
        let lines = ran.error_lines();
        let found: Vec<_> =
            lines.iter().map(|line| line.strip_prefix(&format!("{path}: block 4: ")).unwrap()).collect();
        assert_eq!(found.len(), problems.len(), "{lines:?}");
        assert!(found.iter().zip(problems).all(|(found, problem)| found.starts_with(problem)), "{lines:?}");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!([&report["blocks"], &report["head"], &report["transactions"]], [3, 3, 60], "{name}");
        assert_eq!(report["errors"], json!(lines));
        checked += 1;
    }
    assert_eq!(checked, 5);

    // It does not wait for what may follow.
    let arguments = ["run", "--genesis", &chain.folder.path("genesis.json"), "--chain", "-"];
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = std::fs::read(chain.folder.path("high-s")).unwrap();
    pipe.write_all(&bytes[..bytes.len() - chain.blocks[4].len()]).unwrap();
    pipe.flush().unwrap();
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert_eq!(ran.status, Some(1));
    assert!(ran.error_lines()[0].starts_with("standard input: block 4: transactionsRoot: "), "{}", ran.stderr);
    drop(pipe);

    let path = chain.folder.path("high-s");
    let ran = run(["verify", "--genesis", &chain.folder.path("genesis.json"), &path]);
    assert_eq!(ran.status, Some(1));
    // Its header is untouched, so that the block after it still follows it.
    let problems: Vec<_> =
        ran.error_lines().into_iter().map(|line| line.strip_prefix(&format!("{path}: block 4: "))).collect();
    assert_eq!(problems.len(), 2, "{}", ran.stderr);
    assert!(problems[1].unwrap().starts_with("transaction 7: invalid signature: "), "{}", ran.stderr);
}

#[test]
fn a_genesis_that_does_not_suit_is_refused() {
    let chain = Chain::new("bad-genesis");
    let path = chain.folder.path("chain.rlp");
    let good: Value = serde_json::from_slice(&std::fs::read(chain.folder.path("genesis.json")).unwrap()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut genesis = good.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        genesis.pointer_mut(parent).unwrap()[field] = value;
        serde_json::to_vec(&genesis).unwrap()
    };
    let account = good["alloc"].as_object().unwrap().keys().next().unwrap().clone();
    let text = serde_json::to_vec(&good).unwrap();
    let foreign = "block 1: parentHash: ";
    let cases: Vec<(&str, Vec<u8>, String)> = vec![
        ("other.json", with("/extraData", json!("0x01")), format!("{path}: {foreign}")),
        ("other-balance.json", with(&format!("/alloc/{account}/balance"), json!("0x1")), format!("{path}: {foreign}")),
        (
            "amsterdam.json",
            with("/config/amsterdamTime", json!(0)),
            "field config.amsterdamTime: the fork is not supported".into(),
        ),
        (
            "order.json",
            with("/config/pragueTime", json!(9)),
            "field config.osakaTime: activates before config.pragueTime".into(),
        ),
        (
            "blobs.json",
            with("/config/blobSchedule", json!({"osaka": {"target": 6, "max": 0, "baseFeeUpdateFraction": 1}})),
            "field config.blobSchedule.osaka: ".into(),
        ),
        ("chain-id.json", with("/config/chainId", json!(0)), "field config.chainId: missing or 0".into()),
        ("gas-limit.json", with("/gasLimit", json!("0xzz")), "field gasLimit: ".into()),
        ("no-gas-limit.json", with("/gasLimit", json!("0x0")), "field gasLimit: missing or 0".into()),
        (
            "balance.json",
            with(&format!("/alloc/{account}/balance"), json!("much")),
            format!("field alloc.{account}.balance: "),
        ),
        ("unknown.json", with(&format!("/alloc/{account}/balanse"), json!("0x1")), format!("field alloc.{account}")),
        ("cut.json", text[..text.len() / 2].to_vec(), "field alloc".into()),
        ("trailing.json", [&text, &b"{}"[..]].concat(), "field (end): ".into()),
        ("list.json", b"[]".to_vec(), "field ".into()),
        ("noise.json", noise(1000, 2), "field ".into()),
        ("empty.json", Vec::new(), "empty".into()),
        ("empty-object.json", b"{}".to_vec(), "field gasLimit: missing or 0".into()),
    ];
    let mut checked = 0;
    for (name, bytes, problem) in &cases {
        let genesis = chain.write(name, bytes);
        let ran = chain.run_from(name, &path);
        let expected = if problem.starts_with(&path) { problem.clone() } else { format!("{genesis}: {problem}") };
        assert!(ran.the_line().starts_with(&expected), "{name}: {}", ran.stderr);
        if expected.contains(foreign) {
            let report: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(report["blocks"], 0);
            assert!(ran.the_line().ends_with(": the genesis is for another chain"), "{}", ran.stderr);
        } else {
            assert_eq!(ran.stdout, "", "{name}");
        }
        checked += 1;
    }
    assert_eq!(checked, 16);
}

/// Runs `verify` with so many KiB of address space and no more.
fn verify_within(kib: u64, arguments: &[&str]) -> Ran {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -v {kib} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_phalanx")]);
    // Without the drivers of GPUs, whose memory is not what is measured.
    shell.args(["verify", "--backend", "cpu", "--threads", "2"]).args(arguments);
    Ran::new(shell.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn what_unpacks_without_end_is_given_up_early() {
    const MEMBER: usize = 16 << 20;
    let folder = Folder::new("bombs");
    let bomb = |name: &str, start: &[u8], byte: u8, members: usize| {
        let path = folder.path(name);
        std::fs::write(&path, [gzip(start), gzip(&vec![byte; MEMBER]).repeat(members)].concat()).unwrap();
        path
    };
    // A gigabyte each.
    let zeros = bomb("zeros.dat.gz", &[], 0, 64);
    let spaces = bomb("spaces.block.json.gz", b"{", b' ', 64);
    let lists = bomb("lists.rlp.gz", &[], 0xc0, 64);
    let long_block = bomb("long.rlp.gz", &[0xfa, 0xff, 0xff, 0xf0], 0, 64);
    let genesis = bomb("genesis.json.gz", b"{", b' ', 64);
    let cases = [
        (vec![&*zeros], 300_000, &zeros, "unpacks to more than the 4000008 bytes allowed"),
        (vec![&*spaces], 800_000, &spaces, "unpacks to more than the 67108864 bytes allowed"),
        (vec![&*lists], 300_000, &lists, "block 0 of the stream: header: "),
        (vec![&*long_block], 300_000, &long_block, "block 0 of the stream: header: "),
        (vec!["--genesis", &genesis, &lists], 2_400_000, &genesis, "unpacks to more than the 536870912 bytes allowed"),
    ];
    let mut checked = 0;
    for (arguments, kib, path, problem) in cases {
        assert!(std::fs::metadata(path).unwrap().len() < 10 << 20);
        let ran = verify_within(kib, &arguments);
        assert!(ran.the_line().starts_with(&format!("{path}: {problem}")), "{}", ran.stderr);
        checked += 1;
    }
    assert_eq!(checked, 5);
}

#[test]
fn a_bad_file_among_good_ones_does_not_end_a_folder() {
    let chain = Chain::new("bad-among-good");
    let all = chain.blocks.concat();
    std::fs::create_dir(chain.folder.path("blocks")).unwrap();
    chain.write("blocks/a.rlp", &all);
    let cut = chain.write("blocks/b.rlp", &all[..all.len() - 1]);
    chain.write("blocks/c.rlp.gz", &gzip(&all));
    let noise_path = chain.write("blocks/d.dat", &[&[1, 0, 0, 0][..], &noise(5_000, 4)].concat());
    let json_path = chain.write("blocks/e.block.json", b"{\"transactions\": [");
    chain.write("blocks/f.rlp", &chain.blocks[0]);
    let folder = chain.folder.path("blocks");
    let ran = run(["verify", "--json", "--genesis", &chain.folder.path("genesis.json"), &folder]);
    assert_eq!(ran.status, Some(2));
    let lines = ran.error_lines();
    assert_eq!(lines.len(), 4, "{}", ran.stderr);
    for (line, path) in lines.iter().zip([&cut, &noise_path, &json_path]) {
        assert!(line.starts_with(&format!("{path}: ")), "{line}");
    }
    assert_eq!(lines[3], format!("3 of 6 files failed: {cut}, {noise_path}, {json_path}"));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let verdicts: Vec<_> = report["files"].as_array().unwrap().iter().map(|file| &file["verdict"]).collect();
    assert_eq!(verdicts, ["valid", "not checked", "valid", "not checked", "not checked", "valid"]);

    std::fs::create_dir(chain.folder.path("none")).unwrap();
    chain.write("none/genesis.json", b"{}");
    let none = chain.folder.path("none");
    assert_eq!(run(["verify", &none]).the_line(), format!("{none}: no block files in this folder"));
}
