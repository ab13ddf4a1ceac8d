//! Block-STM: a block's transactions executed in parallel, with the result that executing them in order has.
//!
//! After Gelashvili, Spiegelman, Xiang, Danezis, Li, Malkhi, Xia and Zhou, *Block-STM: Scaling Blockchain Execution by
//! Turning Ordering Curse to a Performance Blessing*, `PPoPP` 2023. Transactions are executed speculatively on a
//! [multi-version memory](multi_version); what each read is validated in the block's order, and a transaction whose reads
//! no longer hold is executed again. Two things are ours: reads are validated [by value](view), and changes that commute are
//! [summed up lazily](lazy).
//!
//! Whatever ends abnormally, an invalid transaction or a state that lacks something, is executed again by the
//! [sequential executor](super::SequentialExecutor), and what that says is the answer.

mod arena;
mod commit;
mod evm;
mod harvest;
mod lazy;
mod memory;
mod multi_version;
mod scheduler;
mod sharded;
mod sync;
mod table;
mod view;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use alloy_consensus::Transaction as _;
use alloy_hardforks::EthereumHardfork as Fork;

use super::environment::block_environment;
use super::statistics::{ExecutionStatistics, Statistics};
use super::workers::{At, Panicked, Workers, guard};
use super::{ExecutionError, Executor, Outcome, ReadState, SequentialExecutor};
use crate::chain::ethereum::{ActiveForks, ChainSpec, VerifiedBlock, VerifiedTransaction};
use crate::error::Error;
use commit::GiveUp;
use harvest::Harvest;
use memory::Memory;
use scheduler::Scheduler;
use worker::Run;

pub use sharded::ShardedExecutor;

/// Blocks with fewer transactions are executed before other threads are awake.
const FEW: usize = 16;

/// What a transaction's gas limit is at least; what is above it may go for code.
const PLAIN_GAS: u64 = 21_000;

/// Gas for code that a thread should have to execute: a third of a millisecond of ERC-20 transfers, several times what it takes to
/// wake a thread. Plain transfers, with next to none, take one thread hardly longer than two, which take memory from one another
/// (`benches/record`, `*-execute.csv`).
const CODE_GAS_PER_THREAD: u64 = 2_000_000;

/// Why blocks that no list could help are executed in sequence.
const BEFORE_BYZANTIUM: &str = "receipts from before Byzantium hold the state root after each transaction";
const ABNORMAL: &str = "invalid, or the state lacks something";

/// Executes a block's transactions in parallel by Block-STM, and in sequence where that is known to be faster.
#[derive(Debug)]
pub struct BlockStmExecutor {
    workers: Workers,
    adaptive: bool,
    statistics: Statistics,
}

/// A transaction in the graph of what depends on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The gas it used: what its execution costs, in the absence of a better measure.
    pub gas_used: u64,
    /// The transactions before it that wrote what it read; ascending. What is summed up lazily is nobody's dependency.
    pub on: Vec<usize>,
}

impl BlockStmExecutor {
    /// An executor on `threads` threads; zero means one for each core. They start now, and stay.
    pub fn new(threads: usize) -> Result<Self, Error> {
        Ok(Self { workers: Workers::new(threads)?, adaptive: true, statistics: Statistics::default() })
    }

    /// The same executor, but for choosing: it speculates on all threads on every block that it can. For tests and
    /// measurements.
    #[must_use]
    pub fn always_speculating(self) -> Self {
        Self { adaptive: false, ..self }
    }

    /// How many threads it works on.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.threads()
    }

    /// Executes a block in parallel, and tells which transactions depend on which.
    ///
    /// The error is that of executing the block; a block that cannot be executed in parallel has no graph.
    pub fn dependencies(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Option<Vec<Dependency>>, ExecutionError> {
        SequentialExecutor.execute(chain, block, state)?;
        let forks = chain.at(block.header());
        if !forks.has(Fork::Byzantium) {
            return Ok(None);
        }
        let memory = Memory::new(state, block.transactions().len());
        let environment = block_environment(block.header(), &forks);
        if commit::begin(&memory, block, &forks, environment.clone()).is_err() {
            return Ok(None);
        }
        let run = Run::new(block, &memory, environment);
        match speculate(&self.workers, self.threads(), &run, &scheduler(block, self.threads()), false, &|_| ()) {
            Ok(()) => Ok(commit::dependencies(&run)),
            Err(End::GiveUp) => Ok(None),
            Err(End::Panicked(panicked)) => Err(panicked.into()),
        }
    }

    /// Why a block is better executed in sequence, if it is.
    fn reason_for_sequence(&self, forks: &ActiveForks<'_>, block: &VerifiedBlock) -> Option<&'static str> {
        if !forks.has(Fork::Byzantium) {
            return Some(BEFORE_BYZANTIUM);
        }
        if !self.adaptive {
            return None;
        }
        if self.threads() == 1 {
            return Some("one thread");
        }
        if block.transactions().len() < FEW {
            return Some("few transactions");
        }
        is_serial(block).then_some("most transactions are of one sender")
    }

    fn run(&self, forks: &ActiveForks<'_>, block: &VerifiedBlock, state: &dyn ReadState) -> Result<Outcome, End> {
        let start = Instant::now();
        let memory = Memory::new(state, block.transactions().len());
        let environment = block_environment(block.header(), forks);
        commit::begin(&memory, block, forks, environment.clone())?;
        let run = Run::new(block, &memory, environment);
        let begun = Instant::now();
        let threads = if self.adaptive { threads_worth(block, &self.workers) } else { self.threads() };
        let scheduler = scheduler(block, threads);
        let (outcome, speculated) = complete(&self.workers, threads, &run, &scheduler, self.adaptive, forks)?;
        self.statistics.add(ExecutionStatistics {
            prepare: begun - start,
            execute: speculated - begun,
            commit: speculated.elapsed(),
            ..run.statistics()
        });
        Ok(outcome)
    }
}

/// How many threads a block is worth: one, and those that have code enough to execute.
fn threads_worth(block: &VerifiedBlock, workers: &Workers) -> usize {
    let code_gas = |verified: &VerifiedTransaction| verified.transaction().gas_limit().saturating_sub(PLAIN_GAS);
    let code_gas = block.transactions().iter().map(code_gas).fold(0, u64::saturating_add);
    let worth = usize::try_from(code_gas / CODE_GAS_PER_THREAD).unwrap_or(usize::MAX).saturating_add(1);
    worth.min(workers.threads())
}

/// A scheduler for a block of which nothing is executed yet.
fn scheduler(block: &VerifiedBlock, threads: usize) -> Scheduler {
    Scheduler::new(block.transactions().iter().map(|_| false), lead(threads))
}

/// How far executions may be ahead before validations pass over what is not executed: as far as they are anyway.
fn lead(threads: usize) -> usize {
    2 * threads
}

/// Executes and validates on `threads` threads what the scheduler has to hand out, and puts together what comes of it. Returns the
/// outcome, and when the last transaction was done.
fn complete(
    workers: &Workers,
    threads: usize,
    run: &Run<'_, '_>,
    scheduler: &Scheduler,
    may_leave: bool,
    forks: &ActiveForks<'_>,
) -> Result<(Outcome, Instant), End> {
    let harvest = Harvest::default();
    let settled = Mutex::new((Instant::now(), Err(GiveUp)));
    speculate(workers, threads, run, scheduler, may_leave, &|worker| {
        harvest.start(run.memory);
        if worker == 0 {
            let speculated = Instant::now();
            let result = commit::settle(run, forks);
            *settled.lock().unwrap_or_else(PoisonError::into_inner) = (speculated, result);
        }
        harvest.gather(run.memory);
        run.release();
    })?;
    let (speculated, settled) = settled.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((settled?.into_outcome(run.memory, harvest, (workers, threads))?, speculated))
}

/// Executes and validates what the scheduler has to hand out. Threads that see the last transaction done go on with `then`,
/// which is told their numbers.
fn speculate(
    workers: &Workers,
    threads: usize,
    run: &Run<'_, '_>,
    scheduler: &Scheduler,
    may_leave: bool,
    then: &(dyn Fn(usize) + Sync),
) -> Result<(), End> {
    let halted = AtomicBool::new(false);
    let work = |worker: usize, at: &At| {
        let stayed = run.work(scheduler, worker, may_leave, at);
        if stayed && !halted.load(Ordering::SeqCst) {
            at.set(None);
            then(worker);
        }
    };
    let stop = || {
        halted.store(true, Ordering::SeqCst);
        scheduler.halt();
    };
    workers.run_on(threads, &work, &stop).map_err(End::Panicked)
}

/// Whether most transactions run code for one and the same sender: each needs the balance that the one before leaves.
fn is_serial(block: &VerifiedBlock) -> bool {
    let runs_code = |verified: &&VerifiedTransaction| {
        !verified.transaction().input().is_empty() || verified.transaction().is_create()
    };
    let senders = || block.transactions().iter().filter(runs_code).map(VerifiedTransaction::sender);
    // Who has more than half of them is left when each is struck out together with another's (Boyer and Moore, 1981).
    let (majority, _) = senders().fold((None, 0_usize), |(candidate, left), sender| match left {
        0 => (Some(sender), 1),
        left if candidate == Some(sender) => (candidate, left + 1),
        left => (candidate, left - 1),
    });
    majority.is_some_and(|most| 4 * senders().filter(|sender| *sender == most).count() > 3 * block.transactions().len())
}

/// How a run ends that yields nothing.
#[derive(Debug)]
enum End {
    GiveUp,
    Panicked(Panicked),
}

impl From<GiveUp> for End {
    fn from(GiveUp: GiveUp) -> Self {
        Self::GiveUp
    }
}

impl From<Panicked> for End {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked(panicked)
    }
}

impl Executor for BlockStmExecutor {
    fn name(&self) -> &'static str {
        "block-stm"
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        let forks = chain.at(block.header());
        let reason = match self.reason_for_sequence(&forks, block) {
            Some(reason) => reason,
            None => match guard(|| self.run(&forks, block, state)) {
                Ok(outcome) => return Ok(outcome),
                Err(End::Panicked(panicked)) => return Err(panicked.into()),
                Err(End::GiveUp) => ABNORMAL,
            },
        };
        self.statistics.add(ExecutionStatistics::sequential(reason));
        SequentialExecutor.execute(chain, block, state)
    }

    fn statistics(&self) -> ExecutionStatistics {
        self.statistics.get()
    }
}
