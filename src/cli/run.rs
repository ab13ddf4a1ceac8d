//! `phalanx run`: the main job, from bytes to receipts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;

use super::executor::{Chosen, ExecutorArgs};
use super::input::{self, MAX_STATE_JSON, Source};
use super::workload::WorkloadArgs;
use super::{Common, Failure, STOP, Status, lone_block, metrics, print, progress_bar};
use crate::chain::ethereum::{BlockStream, SenderColumn, genesis_from_json};
use crate::executor::{ExecutionStatistics, Ledger};
use crate::pipeline::{End, Import, ImportError, ImportReport};
use crate::report::{RunReport, RunSummary};
use crate::verifier::Verifier;

/// Blocks that wait between two stages. Two keep every stage busy where blocks differ in size; more would only hold memory.
const QUEUE: usize = 2;

/// The same where what waits is verified together, on a GPU.
const QUEUE_FOR_GPU: usize = 16;

/// The most transactions of a workload that are prepared before it runs, about a gigabyte of them.
const MAX_PREPARED: u64 = 5_000_000;

/// Without --chain or --block a workload is generated and run.
#[derive(Args, Clone, Debug)]
pub(super) struct RunArgs {
    /// Blocks as RLP, one after the other, as `geth export` writes them; may be gzipped; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "genesis", group = "given", conflicts_with_all = WorkloadArgs::NAMES)]
    chain: Option<PathBuf>,
    /// The chain's genesis.json, as geth takes it
    #[arg(long, value_name = "FILE", requires = "given")]
    genesis: Option<PathBuf>,
    /// One block as `eth_getBlockByNumber` gives it with full transactions; may be gzipped
    #[arg(long, value_name = "FILE", requires = "prestate", group = "given", conflicts_with_all = WorkloadArgs::NAMES)]
    block: Option<PathBuf>,
    /// The accounts and slots that the block reads, as JSON, null for an account that does not exist; may be gzipped
    #[arg(long, value_name = "FILE", requires = "block")]
    prestate: Option<PathBuf>,
    /// The code of those accounts by its hash, as JSON; may be gzipped
    #[arg(long, value_name = "FILE", requires = "block")]
    code: Option<PathBuf>,
    /// Hashes for BLOCKHASH by block number, as JSON; may be gzipped
    #[arg(long, value_name = "FILE", requires = "block")]
    block_hashes: Option<PathBuf>,
    /// Serve what is counted to Prometheus, at this port of this machine or at this address and port, while it runs
    #[arg(long, value_name = "ADDR", value_parser = metrics::address)]
    metrics: Option<SocketAddr>,
    /// Whether a generated workload's senders go along as hints
    #[arg(long, value_enum, default_value_t = SendersArg::Hinted, conflicts_with = "given")]
    senders: SendersArg,
    #[command(flatten)]
    execution: ExecutorArgs,
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    common: Common,
}

/// What is known of a generated workload's senders before they are checked.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum SendersArg {
    /// Their addresses, untrusted, as a sequencer's feed would give them
    Hinted,
    /// Nothing
    Unknown,
}

impl Default for RunArgs {
    fn default() -> Self {
        Self {
            chain: None,
            genesis: None,
            block: None,
            prestate: None,
            code: None,
            block_hashes: None,
            metrics: None,
            execution: ExecutorArgs::default(),
            senders: SendersArg::Hinted,
            workload: WorkloadArgs::default(),
            common: Common::default(),
        }
    }
}

impl RunArgs {
    fn lone_block_files<'a>(&'a self, block: &'a Path) -> lone_block::Files<'a> {
        lone_block::Files {
            block,
            genesis: self.genesis.as_deref(),
            prestate: self.prestate.as_deref(),
            code: self.code.as_deref(),
            block_hashes: self.block_hashes.as_deref(),
        }
    }
}

pub(super) fn run(args: &RunArgs) -> Result<Status, Failure> {
    args.metrics.map_or(Ok(()), metrics::serve)?;
    let verifier = args.common.verifier()?;
    let chosen = args.execution.executor(verifier.cpu_backend().threads())?;
    let (mut report, status) = match (&args.chain, &args.block) {
        (Some(chain), _) => run_chain(args, chain, &verifier, &chosen)?,
        (None, Some(block)) => lone_block::run(&args.lone_block_files(block), &verifier, chosen.executor.as_ref())?,
        (None, None) => run_workload(args, &verifier, &chosen)?,
    };
    report.execution = chosen.executor.statistics();
    report.summary.notes.extend(chosen.note.map(str::to_owned));
    print(&if args.common.json { format!("{:#}", report.to_json()) } else { report.to_text() });
    for line in &report.errors {
        super::error_line(line);
    }
    Ok(status)
}

fn run_workload(args: &RunArgs, verifier: &Verifier, chosen: &Chosen) -> Result<(RunReport, Status), Failure> {
    if args.workload.size() > MAX_PREPARED {
        return Err(Failure::not_checked(format!(
            "--blocks times --transactions is more than the {MAX_PREPARED} that `run` prepares in memory; `generate` a file"
        )));
    }
    let start = Instant::now();
    let mut generated = args.workload.generate()?;
    let genesis = generated.genesis().clone();
    let bar = progress_bar(Some(args.workload.blocks()), "preparing blocks");
    let mut blocks = Vec::new();
    let mut senders = SenderColumn::default();
    while let Some(block) = generated.next_block(verifier, args.execution.needs_lists())? {
        if STOP.load(Ordering::Relaxed) {
            return Err(Failure::not_checked(format!("stopped while preparing, after {} blocks", blocks.len())));
        }
        if let (Some(lists), Some((hash, list))) = (&chosen.lists, block.access_list) {
            lists.add(hash, list);
        }
        senders.insert(block.number, block.senders.into_iter().map(Some).collect());
        blocks.push(block.rlp);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let prepared = start.elapsed();
    let mut ledger = Ledger::from_genesis(&genesis).map_err(Failure::not_checked)?;
    let input = format!(
        "{} (prepared in {:.1} s: signed, executed once to fill in the headers)",
        args.workload.describe(),
        prepared.as_secs_f64()
    );
    let length = blocks.len() as u64;
    let senders = (args.senders == SendersArg::Hinted).then_some(&senders);
    let imported = import(verifier, chosen, &mut ledger, blocks.into_iter().map(Ok), senders, Some(length));
    Ok(import_report("generated workload", input, imported, &ledger, verifier, chosen))
}

fn run_chain(
    args: &RunArgs,
    chain: &Path,
    verifier: &Verifier,
    chosen: &Chosen,
) -> Result<(RunReport, Status), Failure> {
    // clap requires it beside --chain.
    let path = args.genesis.as_deref().ok_or_else(|| Failure::not_checked("--chain needs --genesis"))?;
    let named = |error: &dyn std::fmt::Display| Failure::not_checked(format!("{}: {error}", path.display()));
    let genesis = genesis_from_json(&input::read_file(path, MAX_STATE_JSON)?).map_err(|error| named(&error))?;
    let mut ledger = Ledger::from_genesis(&genesis).map_err(|error| named(&error))?;
    let source = Source::new(chain);
    let blocks = BlockStream::new(input::open(&source)?);
    let imported = import(verifier, chosen, &mut ledger, blocks, None, None);
    Ok(import_report(
        &source.to_string(),
        format!("{source} from {}", path.display()),
        imported,
        &ledger,
        verifier,
        chosen,
    ))
}

fn import<S>(
    verifier: &Verifier,
    chosen: &Chosen,
    ledger: &mut Ledger,
    source: S,
    senders: Option<&SenderColumn>,
    length: Option<u64>,
) -> ImportReport
where
    S: Iterator<Item = Result<alloy_primitives::Bytes, crate::chain::ethereum::StreamError>> + Send,
{
    let bar = progress_bar(length, "blocks");
    let queue = if verifier.gains_by_large_batches() { QUEUE_FOR_GPU } else { QUEUE };
    let import = Import { verifier, executor: chosen.executor.as_ref(), senders, queue, stop: &STOP };
    let report = import.run(source, ledger, &mut |_| bar.inc(1));
    bar.finish_and_clear();
    report
}

fn import_report(
    file: &str,
    input: String,
    imported: ImportReport,
    ledger: &Ledger,
    verifier: &Verifier,
    chosen: &Chosen,
) -> (RunReport, Status) {
    let (errors, status) = match &imported.end {
        Ok(End::Complete) => (Vec::new(), Status::Valid),
        Ok(End::Stopped) => {
            let head = ledger.head().number;
            (vec![format!("{file}: stopped after {} blocks, at block {head}", imported.blocks)], Status::NotChecked)
        }
        Err(ImportError::Invalid { id, problems }) => {
            (problems.iter().map(|problem| format!("{file}: {id}: {problem}")).collect(), Status::Invalid)
        }
        Err(error) => (vec![format!("{file}: {error}")], Status::NotChecked),
    };
    let summary = RunSummary {
        input,
        blocks: imported.blocks,
        transactions: imported.transactions,
        gas_used: imported.gas_used,
        head: Some(ledger.head().number),
        elapsed: imported.elapsed,
        threads: verifier.cpu_backend().threads(),
        executor: chosen.executor.name(),
        backend: verifier.backend().to_owned(),
        notes: Vec::new(),
    };
    (RunReport { summary, stages: imported.stages, execution: ExecutionStatistics::default(), errors }, status)
}
