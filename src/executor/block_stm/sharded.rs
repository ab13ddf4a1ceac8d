//! Sharded execution: accounts are partitioned over shards, and a transaction that stays in one shard is executed in that
//! shard's lane, in order; all lanes at a time. Transactions that need more than one shard follow in a second, ordered phase.
//!
//! Which shard a transaction belongs to is guessed from its sender and its recipient. One that turns out to read or change an
//! account elsewhere is set aside for the second phase. That one goes through all transactions in the block's order: it
//! executes those that were set aside, and those that read what one of them changed. So the outcome is the sequential one,
//! however the accounts are partitioned. What is [summed up lazily](super::lazy), a payment into another shard or the
//! beneficiary's reward, keeps a transaction in its shard.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use alloy_consensus::Transaction as _;
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::{Address, TxKind, keccak256};

use super::commit::{self, GiveUp};
use super::evm::Execution;
use super::harvest::Harvest;
use super::lazy::Change;
use super::memory::Memory;
use super::view::{ReadOf, Write};
use super::worker::{Run, position};
use super::{ABNORMAL, BEFORE_BYZANTIUM, End};
use crate::chain::ethereum::{ActiveForks, ChainSpec, VerifiedBlock, VerifiedTransaction};
use crate::error::Error;
use crate::executor::environment::{block_environment, transaction_environment};
use crate::executor::statistics::{ExecutionStatistics, ShardStatistics, Statistics};
use crate::executor::workers::{At, Workers, catch, guard};
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

    /// The shard that an account is in: addresses are chosen by whoever makes them, hashes of them are not.
    fn shard_of(&self, address: Address) -> usize {
        let hash = keccak256(address);
        usize::from(u16::from_be_bytes([hash[0], hash[1]])) % self.shards
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
        let memory = Memory::new(state);
        let environment = block_environment(block.header(), forks);
        commit::begin(&memory, block, forks, environment.clone())?;
        let run = Run::new(block, &memory, environment, true);
        let prepared = Instant::now();
        let mut lanes = vec![Vec::new(); self.shards];
        for (tx, verified) in block.transactions().iter().enumerate() {
            if let Some(lane) = self.lane_of(verified) {
                lanes[lane].push(tx);
            }
        }
        let (stayed, shards) = self.run_lanes(&run, &lanes)?;
        let executed_again = Self::run_in_order(&run, &stayed)?;
        let executed = Instant::now();
        let harvest = Harvest::default();
        harvest.start(&memory);
        let settled = commit::settle(&run, forks)?;
        harvest.gather(&memory);
        let outcome = settled.into_outcome(&memory, harvest)?;
        let in_lanes = lanes.iter().map(Vec::len).sum::<usize>() as u64;
        self.statistics.add(ExecutionStatistics {
            executions: in_lanes + executed_again.executions,
            validations: executed_again.validations,
            conflicts: executed_again.conflicts,
            prepare: prepared - start,
            execute: executed - prepared,
            commit: executed.elapsed(),
            busy: shards.iter().map(|shard| shard.busy).sum::<std::time::Duration>() + executed_again.busy,
            shards,
            ..run.statistics()
        });
        Ok(outcome)
    }

    /// The first phase. Returns which transactions stayed in their shard, and what each shard did.
    fn run_lanes(&self, run: &Run<'_, '_>, lanes: &[Vec<usize>]) -> Result<(Vec<bool>, Vec<ShardStatistics>), End> {
        let stayed: Vec<AtomicBool> = run.block.transactions().iter().map(|_| AtomicBool::new(false)).collect();
        let shards = Mutex::new(vec![ShardStatistics::default(); self.shards]);
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let work = |_, at: &At| {
            let mut evm = run.evm();
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
        self.workers.run(&work, &|| stop.store(true, Ordering::Relaxed)).map_err(End::Panicked)?;
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

    /// The second phase.
    fn run_in_order(run: &Run<'_, '_>, stayed: &[bool]) -> Result<ExecutionStatistics, End> {
        let start = Instant::now();
        let mut done = ExecutionStatistics::default();
        let at = Cell::new(None);
        let in_order = catch(&at, || {
            let mut evm = run.evm();
            for (tx, stayed) in stayed.iter().enumerate() {
                at.set(Some(tx));
                if *stayed {
                    done.validations += 1;
                    if run.holds(&run.record(tx), tx) {
                        continue;
                    }
                    done.conflicts += 1;
                }
                done.executions += 1;
                // All below is final, so that nothing is an estimate.
                run.incarnate(&mut evm, tx, 1).map_err(|_| GiveUp)?;
            }
            Ok(())
        });
        in_order.map_err(End::Panicked)?.map_err(|GiveUp| End::GiveUp)?;
        done.busy = start.elapsed();
        Ok(done)
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
