//! `phalanx generate`: a workload as files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use serde_json::json;

use super::workload::WorkloadArgs;
use super::{Common, Failure, STOP, Status, access_lists, print, progress_bar};
use crate::report::count;

#[derive(Args, Clone, Debug)]
pub(super) struct GenerateArgs {
    /// The folder to write chain.rlp and genesis.json to; made if it is not there
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Write access-lists.rlp as well: each block's access list (EIP-7928)
    #[arg(long)]
    access_lists: bool,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) fn generate(args: &GenerateArgs) -> Result<Status, Failure> {
    let verifier = args.common.verifier()?;
    let at =
        |path: &PathBuf, error: &dyn std::fmt::Display| Failure::not_checked(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&args.out).map_err(|error| at(&args.out, &error))?;
    let [genesis_path, chain_path, lists_path] =
        ["genesis.json", "chain.rlp", "access-lists.rlp"].map(|name| args.out.join(name));
    let lists_wanted = args.access_lists.then_some(&lists_path);
    if !args.force
        && let Some(there) = [&genesis_path, &chain_path].into_iter().chain(lists_wanted).find(|path| path.exists())
    {
        return Err(at(there, &"is there already; --force writes over it"));
    }
    let mut generated = args.workload.generate()?;
    let genesis = serde_json::to_vec_pretty(generated.genesis()).map_err(|error| at(&genesis_path, &error))?;
    std::fs::write(&genesis_path, genesis).map_err(|error| at(&genesis_path, &error))?;
    let create = |path: &PathBuf| File::create(path).map(BufWriter::new).map_err(|error| at(path, &error));
    let mut chain = create(&chain_path)?;
    let mut lists = lists_wanted.map(create).transpose()?;
    let bar = progress_bar(Some(args.workload.blocks()), "generating blocks");
    let (mut blocks, mut bytes) = (0, 0);
    while let Some(block) = generated.next_block(&verifier, args.access_lists)? {
        if STOP.load(Ordering::Relaxed) {
            chain.flush().map_err(|error| at(&chain_path, &error))?;
            return Err(at(&chain_path, &format!("stopped after {blocks} blocks, all of them whole")));
        }
        chain.write_all(&block.rlp).map_err(|error| at(&chain_path, &error))?;
        if let (Some(lists), Some((hash, list))) = (&mut lists, &block.access_list) {
            lists.write_all(&access_lists::encode(*hash, list)).map_err(|error| at(&lists_path, &error))?;
        }
        blocks += 1;
        bytes += block.rlp.len() as u64;
        bar.inc(1);
    }
    chain.flush().map_err(|error| at(&chain_path, &error))?;
    if let Some(lists) = &mut lists {
        lists.flush().map_err(|error| at(&lists_path, &error))?;
    }
    bar.finish_and_clear();
    print(&if args.common.json {
        format!(
            "{:#}",
            json!({
                "chain": chain_path,
                "genesis": genesis_path,
                "access_lists": lists_wanted,
                "blocks": blocks,
                "bytes": bytes,
            })
        )
    } else {
        format!(
            "{}\nwrote {} ({} bytes) and {}\nrun it with: phalanx run --chain {} --genesis {}",
            args.workload.describe(),
            chain_path.display(),
            count(bytes),
            genesis_path.display(),
            chain_path.display(),
            genesis_path.display()
        )
    });
    Ok(Status::Valid)
}
