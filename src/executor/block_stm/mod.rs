//! Block-STM: a block's transactions executed in parallel, with the result that executing them in order has.
//!
//! After Gelashvili, Spiegelman, Xiang, Danezis, Li, Malkhi, Xia and Zhou, *Block-STM: Scaling Blockchain Execution by
//! Turning Ordering Curse to a Performance Blessing*, PPoPP 2023. Transactions are executed speculatively on a
//! [multi-version memory](multi_version); what each read is validated in the block's order, and a transaction whose reads
//! no longer hold is executed again. Two things are ours: reads are validated [by value](view), and changes that commute are
//! [summed up lazily](lazy).
//!
//! Whatever ends abnormally, an invalid transaction or a state that lacks something, is executed again by the
//! [sequential executor](super::SequentialExecutor), and what that says is the answer.

mod arena;
mod commit;
mod evm;
mod lazy;
mod memory;
mod multi_version;
mod scheduler;
mod sync;
mod view;
mod worker;

use alloy_hardforks::EthereumHardfork as Fork;

use super::accounting::{Accounting, Totals};
use super::environment::block_environment;
use super::{ExecutionError, Executor, Outcome, ReadState, SequentialExecutor};
use crate::chain::ethereum::{ChainSpec, VerifiedBlock};
use crate::error::Error;
use commit::GiveUp;
use memory::Memory;
use worker::{Panicked, Run, position};

/// Executes a block's transactions in parallel by Block-STM.
#[derive(Debug)]
pub struct BlockStmExecutor {
    threads: usize,
    pool: rayon::ThreadPool,
}

impl BlockStmExecutor {
    /// An executor on `threads` threads; zero means one for each core. They start now, and stay.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        // The thread that hands in a block works on it as well.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads((threads - 1).max(1))
            .thread_name(|index| format!("phalanx-execute-{index}"))
            .build()
            .map_err(|source| Error::ThreadPool { threads, source })?;
        Ok(Self { threads, pool })
    }

    /// How many threads it works on.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, chain: &ChainSpec, block: &VerifiedBlock, state: &dyn ReadState) -> Result<Outcome, End> {
        let header = block.header();
        let forks = chain.at(header);
        let environment = block_environment(header, &forks);
        let memory = Memory::new(state);
        commit::begin(&memory, block, &forks, environment.clone())?;
        let run = Run::new(block, &memory, environment.clone(), true);
        self.pool.in_place_scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(|_| run.work());
            }
            run.work();
        });
        if let Some(panicked) = run.panicked() {
            return Err(End::Panicked(panicked));
        }
        let mut accounting = Accounting::new(block);
        for tx in 0..block.transactions().len() {
            accounting.check_gas_limit().map_err(|_| GiveUp)?;
            let executed = run.record(tx).executed.take().ok_or(GiveUp)?;
            let status = executed.status();
            accounting.add(executed, status);
        }
        let last = position(block.transactions().len());
        let requests = commit::finish(&memory, block, accounting.receipts(), &forks, environment, last)?;
        let delta = commit::delta(&memory)?;
        let Totals { receipts, gas_used, blob_gas_used } = accounting.into_totals();
        Ok(Outcome { receipts, receipts_have_roots: true, gas_used, blob_gas_used, requests, delta })
    }
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
        if !chain.at(block.header()).has(Fork::Byzantium) {
            return SequentialExecutor.execute(chain, block, state);
        }
        match self.run(chain, block, state) {
            Ok(outcome) => Ok(outcome),
            Err(End::GiveUp) => SequentialExecutor.execute(chain, block, state),
            Err(End::Panicked(Panicked { index, message })) => {
                Err(ExecutionError::Engine { index, problem: format!("it panicked: {message}") })
            }
        }
    }
}
