//! Sharded execution: accounts are partitioned over shards, and a transaction that stays in one shard is executed in that
//! shard's lane, in order; all lanes at a time. Transactions that need more than one shard follow in a second, ordered phase.
//!
//! Which shard a transaction belongs to is guessed from its sender and its recipient. One that turns out to read or change an
//! account elsewhere is set aside for the second phase. That one is Block-STM on what the lanes left behind: it executes those
//! that were set aside, validates all in the block's order, and executes again those that read what another changed. So the
//! outcome is the sequential one, however the accounts are partitioned. What is [summed up lazily](super::lazy), a payment
//! into another shard or the beneficiary's reward, keeps a transaction in its shard.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloy_consensus::Transaction as _;
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::{Address, TxKind};

use super::commit;
use super::evm::Execution;
use super::lazy::Change;
use super::memory::Memory;
use super::scheduler::Scheduler;
use super::view::{ReadOf, Write};
use super::worker::{Run, position};
use super::{ABNORMAL, BEFORE_BYZANTIUM, End, complete, lead, threads_worth};
use crate::chain::ethereum::{ActiveForks, ChainSpec, VerifiedBlock, VerifiedTransaction};
use crate::error::Error;
use crate::executor::environment::{block_environment, transaction_environment};
use crate::executor::statistics::{ExecutionStatistics, ShardStatistics, Statistics};
use crate::executor::workers::{At, Workers, guard};
use crate::executor::{ExecutionError, Executor, Outcome, ReadState, SequentialExecutor};

/// Executes a block by shards of its accounts.
#[derive(Debug)]
pub struct ShardedExecutor {
    workers: Workers,
    shards: usize,
    statistics: Statistics,
}

impl ShardedExecutor {
    /// An executor with `shards` shards, at least one, on `threads` threads; zero means one for each core.
    pub fn new(threads: usize, shards: usize) -> Result<Self, Error> {
        Ok(Self { workers: Workers::new(threads)?, shards: shards.max(1), statistics: Statistics::default() })
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The shard that an account is in, by multiplicative hashing: every read and write asks for it. Whoever wants accounts of
    /// one shard finds them, as by any hash that has so few results; it costs nothing but the gain.
    fn shard_of(&self, address: Address) -> usize {
        /// 2^64 over the golden ratio.
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = address.chunks(8).fold(0_u64, |hash, bytes| {
            let word = bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            (hash ^ word).wrapping_mul(MULTIPLIER).rotate_left(32)
        });
        usize::try_from(hash % self.shards as u64).unwrap_or_default()
    }

    /// The shard that a transaction seems to stay in.
    fn lane_of(&self, verified: &VerifiedTransaction) -> Option<usize> {
        let sender = self.shard_of(verified.sender());
        match verified.transaction().kind() {
            // A payment is in its sender's shard, if it turns out to be no more than a payment.
            TxKind::Call(_) if verified.transaction().input().is_empty() => Some(sender),
            TxKind::Call(to) => (self.shard_of(to) == sender).then_some(sender),
            TxKind::Create => None,
        }
    }

    fn run(&self, forks: &ActiveForks<'_>, block: &VerifiedBlock, state: &dyn ReadState) -> Result<Outcome, End> {
        let start = Instant::now();
        let memory = Memory::new(state, block.transactions().len());
        let environment = block_environment(block.header(), forks);
        commit::begin(&memory, block, forks, environment.clone())?;
        let run = Run::new(block, &memory, environment);
        let prepared = Instant::now();
        let mut lanes = vec![Vec::new(); self.shards];
        for (tx, verified) in block.transactions().iter().enumerate() {
            if let Some(lane) = self.lane_of(verified) {
                lanes[lane].push(tx);
            }
        }
        let threads = threads_worth(block, &self.workers);
        let (stayed, shards) = self.run_lanes(&run, &lanes, threads)?;
        let scheduler = Scheduler::new(stayed, lead(threads));
        let (outcome, executed) = complete(&self.workers, threads, &run, &scheduler, true, forks)?;
        let in_order = run.statistics();
        self.statistics.add(ExecutionStatistics {
            executions: in_order.executions + lanes.iter().map(Vec::len).sum::<usize>() as u64,
            prepare: prepared - start,
            execute: executed - prepared,
            commit: executed.elapsed(),
            busy: in_order.busy + shards.iter().map(|shard| shard.busy).sum::<Duration>(),
            shards,
            ..in_order
        });
        Ok(outcome)
    }

    /// The first phase. Returns which transactions stayed in their shard, and what each shard did.
    fn run_lanes(
        &self,
        run: &Run<'_, '_>,
        lanes: &[Vec<usize>],
        threads: usize,
    ) -> Result<(Vec<bool>, Vec<ShardStatistics>), End> {
        let stayed: Vec<AtomicBool> = run.block.transactions().iter().map(|_| AtomicBool::new(false)).collect();
        let shards = Mutex::new(vec![ShardStatistics::default(); self.shards]);
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let work = |worker, at: &At| {
            let mut evm = run.evm(worker);
            loop {
                let shard = next.fetch_add(1, Ordering::Relaxed);
                let Some(lane) = lanes.get(shard) else { break };
                let start = Instant::now();
                let mut statistics = ShardStatistics::default();
                for tx in lane {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    at.set(Some(*tx));
                    let transaction = transaction_environment(&run.block.transactions()[*tx]);
                    let execution = evm.execute(position(*tx), transaction);
                    if let Ok(executed) = &execution.executed
                        && self.stays(&execution, shard)
                    {
                        statistics.transactions += 1;
                        statistics.gas_used += executed.gas_used();
                        run.publish(*tx, 0, execution);
                        stayed[*tx].store(true, Ordering::Relaxed);
                    }
                }
                statistics.busy = start.elapsed();
                shards.lock().unwrap_or_else(PoisonError::into_inner)[shard] = statistics;
            }
        };
        self.workers.run_on(threads, &work, &|| stop.store(true, Ordering::Relaxed)).map_err(End::Panicked)?;
        let stayed = stayed.into_iter().map(AtomicBool::into_inner).collect();
        Ok((stayed, shards.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Whether all that was read and changed is in one shard, lazy changes aside. Code alone may be read anywhere: it seldom
    /// changes, and the second phase sees if it did.
    fn stays(&self, execution: &Execution<'_>, shard: usize) -> bool {
        let inside = |address| self.shard_of(address) == shard;
        execution.reads.iter().all(|read| match read.what {
            ReadOf::Account(account, _) => inside(account.address),
            // The account of a slot was read before.
            ReadOf::Code(..) | ReadOf::Slot(..) => true,
        }) && execution.writes.iter().all(|write| match write {
            Write::Account(_, Change::Credit(_)) | Write::Slot(..) => true,
            Write::Account(account, _) => inside(account.address),
        })
    }
}

impl Executor for ShardedExecutor {
    fn name(&self) -> &'static str {
        "sharded"
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        let forks = chain.at(block.header());
        let reason = if forks.has(Fork::Byzantium) {
            match guard(|| self.run(&forks, block, state)) {
                Ok(outcome) => return Ok(outcome),
                Err(End::Panicked(panicked)) => return Err(panicked.into()),
                Err(End::GiveUp) => ABNORMAL,
            }
        } else {
            BEFORE_BYZANTIUM
        };
        self.statistics.add(ExecutionStatistics::sequential(reason));
        SequentialExecutor.execute(chain, block, state)
    }

    fn statistics(&self) -> ExecutionStatistics {
        self.statistics.get()
    }
}
