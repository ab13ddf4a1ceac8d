//! `phalanx run`: the main job, from bytes to receipts.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;

use super::input::{self, MAX_BLOCK_JSON, MAX_STATE_JSON, Source};
use super::workload::WorkloadArgs;
use super::{Common, Failure, STOP, Status, print, progress_bar};
use crate::chain::ethereum::{
    BlockStream, ChainSpec, Ommers, Problem, block_from_json, genesis_from_json, verify_block,
};
use crate::executor::{Executor, Ledger, PreState, PreStateReads, SequentialExecutor, check_outcome};
use crate::pipeline::{End, Import, ImportReport, StageMeter};
use crate::report::{RunReport, RunSummary, count};
use crate::verifier::Verifier;

/// Blocks that wait between two stages. Two keep every stage busy where blocks differ in size; more would only hold memory.
const QUEUE: usize = 2;

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
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    common: Common,
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
            workload: WorkloadArgs::default(),
            common: Common { threads: None, json: false },
        }
    }
}

pub(super) fn run(args: &RunArgs) -> Result<Status, Failure> {
    let verifier = args.common.verifier()?;
    let (report, status) = match (&args.chain, &args.block) {
        (Some(chain), _) => run_chain(args, chain, &verifier)?,
        (None, Some(block)) => run_block(args, block, &verifier)?,
        (None, None) => run_workload(args, &verifier)?,
    };
    print(&if args.common.json { format!("{:#}", report.to_json()) } else { report.to_text() });
    if let Some(line) = &report.ended_by {
        super::error_line(line);
    }
    Ok(status)
}

fn run_workload(args: &RunArgs, verifier: &Verifier) -> Result<(RunReport, Status), Failure> {
    let start = Instant::now();
    let mut generated = args.workload.generate()?;
    let genesis = generated.genesis().clone();
    let bar = progress_bar(Some(args.workload.blocks()), "preparing blocks");
    let mut blocks = Vec::new();
    while let Some(block) = generated.next_block(verifier)? {
        if STOP.load(Ordering::Relaxed) {
            return Err(Failure::not_checked(format!("stopped while preparing, after {} blocks", blocks.len())));
        }
        blocks.push(block);
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
    let imported = import(verifier, &mut ledger, blocks.into_iter().map(Ok), Some(length));
    Ok(import_report("generated workload", input, imported, &ledger, verifier))
}

fn run_chain(args: &RunArgs, chain: &std::path::Path, verifier: &Verifier) -> Result<(RunReport, Status), Failure> {
    // clap requires it beside --chain.
    let path = args.genesis.as_deref().ok_or_else(|| Failure::not_checked("--chain needs --genesis"))?;
    let named = |error: &dyn std::fmt::Display| Failure::not_checked(format!("{}: {error}", path.display()));
    let genesis = genesis_from_json(&input::read_file(path, MAX_STATE_JSON)?).map_err(|error| named(&error))?;
    let mut ledger = Ledger::from_genesis(&genesis).map_err(|error| named(&error))?;
    let source = Source::new(chain);
    let blocks = BlockStream::new(input::open(&source)?);
    let imported = import(verifier, &mut ledger, blocks, None);
    Ok(import_report(&source.to_string(), format!("{source} from {}", path.display()), imported, &ledger, verifier))
}

fn import<S>(verifier: &Verifier, ledger: &mut Ledger, source: S, length: Option<u64>) -> ImportReport
where
    S: Iterator<Item = Result<alloy_primitives::Bytes, crate::chain::ethereum::StreamError>> + Send,
{
    let bar = progress_bar(length, "blocks");
    let import = Import { verifier, executor: &SequentialExecutor, queue: QUEUE, stop: &STOP };
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
) -> (RunReport, Status) {
    let (ended_by, status) = match &imported.end {
        Ok(End::Complete) => (None, Status::Valid),
        Ok(End::Stopped) => {
            let head = ledger.head().number;
            (Some(format!("{file}: stopped after {} blocks, at block {head}", imported.blocks)), Status::NotChecked)
        }
        Err(error) => {
            let status = if error.is_invalid_block() { Status::Invalid } else { Status::NotChecked };
            (Some(format!("{file}: {error}")), status)
        }
    };
    let summary = RunSummary {
        input,
        blocks: imported.blocks,
        transactions: imported.transactions,
        gas_used: imported.gas_used,
        head: Some(ledger.head().number),
        elapsed: imported.elapsed,
        threads: verifier.cpu_backend().threads(),
        executor: SequentialExecutor.name(),
        notes: Vec::new(),
    };
    (RunReport { summary, stages: imported.stages, ended_by }, status)
}

fn run_block(args: &RunArgs, path: &std::path::Path, verifier: &Verifier) -> Result<(RunReport, Status), Failure> {
    let at = |file: &std::path::Path, error: &dyn std::fmt::Display| {
        Failure::not_checked(format!("{}: {error}", file.display()))
    };
    let chain = match &args.genesis {
        None => ChainSpec::mainnet(),
        Some(path) => {
            let genesis =
                genesis_from_json(&input::read_file(path, MAX_STATE_JSON)?).map_err(|error| at(path, &error))?;
            ChainSpec::from_genesis(&genesis).map_err(|error| at(path, &error))?
        }
    };
    let text = input::read_file(path, MAX_BLOCK_JSON)?;
    let start = Instant::now();
    let [decode, verify, execute, check] = [
        StageMeter::new("decode", "transactions"),
        StageMeter::new("verify", "transactions"),
        StageMeter::new("execute", "transactions"),
        StageMeter::new("check roots", "transactions"),
    ];
    let block = verifier.cpu_backend().install(|| block_from_json(&text)).map_err(|error| at(path, &error))?;
    let (id, transactions) = (block.id(), block.transactions.len());
    decode.add(transactions, start.elapsed());
    let elapsed = start.elapsed();

    let state = read_state(args, id.number)?;
    let reads = PreStateReads::new(&state);
    let resumed = Instant::now();
    let verdict =
        verify.time(transactions, || verify_block(verifier, &chain, block)).map_err(|error| at(path, &error))?;
    let mut summary = RunSummary {
        input: format!("{}: {id}, {} transactions", path.display(), count(transactions as u64)),
        threads: verifier.cpu_backend().threads(),
        executor: SequentialExecutor.name(),
        ..RunSummary::default()
    };
    let problems = match verdict {
        Err(problems) => problems,
        Ok(block) => {
            let executed = execute.time(transactions, || SequentialExecutor.execute(&chain, &block, &reads));
            let (problems, suspect) = match executed {
                Ok(outcome) => {
                    summary.notes = notes(&outcome, block.ommers());
                    summary.gas_used = outcome.gas_used;
                    let mismatches = check.time(transactions, || check_outcome(block.header(), &outcome, None));
                    let problems: Vec<_> = mismatches.into_iter().map(Problem::Mismatch).collect();
                    (problems, reads.suspect(&block, None))
                }
                Err(error) if error.is_invalid_block() => {
                    (vec![Problem::Execution(error.to_string())], reads.suspect(&block, Some(&error)))
                }
                Err(error) => return Err(at(path, &format!("{id}: {error}"))),
            };
            // An account left out reads as one that does not exist, and may be all that is wrong.
            if let (Some(account), false) = (suspect, problems.is_empty()) {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                let line = format!(
                    "{id}: {}; not the block's fault if account {account}, which the pre-state does not list, exists \
                     (null says that it does not)",
                    problems.join("; ")
                );
                return Err(at(path, &line));
            }
            problems
        }
    };
    if problems.is_empty() {
        (summary.blocks, summary.transactions, summary.head) = (1, transactions as u64, Some(id.number));
    }
    summary.elapsed = elapsed + resumed.elapsed();
    let lines: Vec<_> = problems.iter().map(|problem| format!("{}: {id}: {problem}", path.display())).collect();
    let status = if lines.is_empty() { Status::Valid } else { Status::Invalid };
    // Each on a line of its own; the last with the report.
    let (last, others) = lines.split_last().map_or((None, &[][..]), |(last, others)| (Some(last.clone()), others));
    for line in others {
        super::error_line(line);
    }
    // A stage that was not reached has nothing to say.
    let mut stages = [decode, verify, execute, check].map(|meter| meter.report()).to_vec();
    stages.retain(|stage| stage.busy > Duration::ZERO);
    Ok((RunReport { summary, stages, ended_by: last }, status))
}

fn read_state(args: &RunArgs, number: u64) -> Result<PreState, Failure> {
    let path = args.prestate.as_deref().ok_or_else(|| Failure::not_checked("--block needs --prestate"))?;
    let at = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |error: crate::executor::PreStateError| Failure::not_checked(format!("{path}: {error}"))
    };
    let mut state = PreState::from_json(&input::read_file(path, MAX_STATE_JSON)?).map_err(at(path))?;
    if let Some(path) = &args.code {
        state.add_codes_from_json(&input::read_file(path, MAX_STATE_JSON)?).map_err(at(path))?;
    }
    if let Some(path) = &args.block_hashes {
        state.add_block_hashes_from_json(&input::read_file(path, MAX_STATE_JSON)?, number).map_err(at(path))?;
    }
    Ok(state)
}

/// What a block by itself does not let one compare.
fn notes(outcome: &crate::executor::Outcome, ommers: &Ommers) -> Vec<String> {
    let mut notes = vec!["stateRoot not compared: a pre-state holds a part of the state only".to_owned()];
    if !outcome.receipts_have_roots {
        notes.push("receiptsRoot not compared: before Byzantium, receipts hold state roots".to_owned());
    }
    if matches!(ommers, Ommers::Hashes(_)) {
        notes.push("sha3Uncles not compared: JSON gives the ommers' hashes and not their headers".to_owned());
    }
    notes
}
