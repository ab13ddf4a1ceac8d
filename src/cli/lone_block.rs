//! `phalanx run --block`: one block on the part of the state that it reads.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use super::input::{self, MAX_BLOCK_JSON, MAX_STATE_JSON};
use super::{Failure, Status};
use crate::chain::ethereum::{
    ChainSpec, Ommers, Problem, VerifiedBlock, block_from_json, genesis_from_json, verify_block,
};
use crate::executor::{ExecutionStatistics, Executor, Outcome, PreState, PreStateReads, check_outcome};
use crate::pipeline::StageMeter;
use crate::report::{RunReport, RunSummary, count};
use crate::verifier::Verifier;

/// The most gas that a block may allow which has no parent to hold it to its limit; mainnet's takes a tenth. A block runs
/// to its end, and Ctrl-C waits for that.
const MAX_LONE_GAS: u64 = 1_000_000_000;

/// The files that a lone block is run from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files<'a> {
    pub(super) block: &'a Path,
    pub(super) genesis: Option<&'a Path>,
    pub(super) prestate: Option<&'a Path>,
    pub(super) code: Option<&'a Path>,
    pub(super) block_hashes: Option<&'a Path>,
}

/// What each step took.
struct Meters {
    decode: StageMeter,
    verify: StageMeter,
    execute: StageMeter,
    check: StageMeter,
}

pub(super) fn run(
    files: &Files<'_>,
    verifier: &Verifier,
    executor: &dyn Executor,
) -> Result<(RunReport, Status), Failure> {
    let path = files.block;
    let chain = chain(files)?;
    let text = input::read_file(path, MAX_BLOCK_JSON)?;
    let meters = Meters {
        decode: StageMeter::new("decode", "transactions"),
        verify: StageMeter::new("verify", "transactions"),
        execute: StageMeter::new("execute", "transactions"),
        check: StageMeter::new("check roots", "transactions"),
    };
    let start = Instant::now();
    let block = verifier.cpu_backend().install(|| block_from_json(&text)).map_err(|error| at(path, error))?;
    let (id, transactions) = (block.id(), block.transactions.len());
    meters.decode.add(transactions, start.elapsed());
    if block.header.gas_limit > MAX_LONE_GAS {
        let limit = block.header.gas_limit;
        return Err(at(path, format!("{id}: gasLimit: {limit} is more than the {MAX_LONE_GAS} run without a parent")));
    }
    let mut state = read_state(files, id.number)?;
    if let Some(parent) = id.number.checked_sub(1) {
        state.add_block_hash(parent, block.header.parent_hash);
    }
    let verdict = meters.verify.time(transactions, || verify_block(verifier, &chain, block));
    let mut summary = RunSummary {
        input: format!("{}: {id}, {} transactions", path.display(), count(transactions as u64)),
        threads: verifier.cpu_backend().threads(),
        executor: executor.name(),
        backend: verifier.backend().to_owned(),
        ..RunSummary::default()
    };
    let problems = match verdict.map_err(|error| at(path, error))? {
        Err(problems) => problems,
        Ok(block) => execute(&chain, &block, &state, executor, &meters, &mut summary).map_err(|line| at(path, line))?,
    };
    if problems.is_empty() {
        (summary.blocks, summary.transactions, summary.head) = (1, transactions as u64, Some(id.number));
    }
    let errors: Vec<_> = problems.iter().map(|problem| format!("{}: {id}: {problem}", path.display())).collect();
    let status = if errors.is_empty() { Status::Valid } else { Status::Invalid };
    // A stage that was not reached has nothing to say.
    let mut stages: Vec<_> =
        [meters.decode, meters.verify, meters.execute, meters.check].iter().map(StageMeter::report).collect();
    stages.retain(|stage| stage.busy > Duration::ZERO);
    summary.elapsed = stages.iter().map(|stage| stage.busy).sum();
    Ok((RunReport { summary, stages, execution: ExecutionStatistics::default(), errors }, status))
}

/// Executes the block and compares the outcome; an error if that says nothing of the block.
fn execute(
    chain: &ChainSpec,
    block: &VerifiedBlock,
    state: &PreState,
    executor: &dyn Executor,
    meters: &Meters,
    summary: &mut RunSummary,
) -> Result<Vec<Problem>, String> {
    let id = block.id();
    let transactions = block.transactions().len();
    let reads = PreStateReads::new(state);
    let executed = meters.execute.time(transactions, || executor.execute(chain, block, &reads));
    let (problems, suspect) = match executed {
        Ok(outcome) => {
            summary.notes = notes(&outcome, block.ommers());
            summary.gas_used = outcome.gas_used;
            let mismatches = meters.check.time(transactions, || check_outcome(block.header(), &outcome, None));
            (mismatches.into_iter().map(Problem::Mismatch).collect(), reads.suspect(block, None))
        }
        Err(error) if error.is_invalid_block() => {
            (vec![Problem::Execution(error.to_string())], reads.suspect(block, Some(&error)))
        }
        Err(error) => return Err(format!("{id}: {error}")),
    };
    match suspect {
        // An account left out reads as one that does not exist, and may be all that is wrong.
        Some(account) if !problems.is_empty() => {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Err(format!(
                "{id}: {}; not the block's fault if account {account}, which the pre-state does not list, exists (null says \
                 that it does not)",
                problems.join("; ")
            ))
        }
        _ => Ok(problems),
    }
}

fn chain(files: &Files<'_>) -> Result<ChainSpec, Failure> {
    let Some(path) = files.genesis else { return Ok(ChainSpec::mainnet()) };
    let genesis = genesis_from_json(&input::read_file(path, MAX_STATE_JSON)?).map_err(|error| at(path, error))?;
    ChainSpec::from_genesis(&genesis).map_err(|error| at(path, error))
}

fn read_state(files: &Files<'_>, number: u64) -> Result<PreState, Failure> {
    let path = files.prestate.ok_or_else(|| Failure::not_checked("--block needs --prestate"))?;
    let read = |path: &Path| input::read_file(path, MAX_STATE_JSON);
    let mut state = PreState::from_json(&read(path)?).map_err(|error| at(path, error))?;
    if let Some(path) = files.code {
        state.add_codes_from_json(&read(path)?).map_err(|error| at(path, error))?;
    }
    if let Some(path) = files.block_hashes {
        state.add_block_hashes_from_json(&read(path)?, number).map_err(|error| at(path, error))?;
    }
    Ok(state)
}

/// What a block by itself does not let one compare.
fn notes(outcome: &Outcome, ommers: &Ommers) -> Vec<String> {
    let mut notes = vec!["stateRoot not compared: a pre-state holds a part of the state only".to_owned()];
    if !outcome.receipts_have_roots {
        notes.push("receiptsRoot not compared: before Byzantium, receipts hold state roots".to_owned());
    }
    if matches!(ommers, Ommers::Hashes(_)) {
        notes.push("sha3Uncles not compared: JSON gives the ommers' hashes and not their headers".to_owned());
    }
    notes
}

fn at(path: &Path, error: impl Display) -> Failure {
    Failure::not_checked(format!("{}: {error}", path.display()))
}
