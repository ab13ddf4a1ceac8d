//! What an executor did to get its results.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counts over all blocks that an executor was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionStatistics {
    /// Blocks executed in parallel to their end.
    pub parallel_blocks: u64,
    /// Blocks executed in sequence, by the reason why.
    pub sequential_blocks: BTreeMap<&'static str, u64>,
    /// Of the parallel blocks those in which conflicts were so many that threads left the block to the others.
    pub serialised_blocks: u64,
    /// Transactions of the parallel blocks.
    pub transactions: u64,
    /// Incarnations executed to their end. What is above the number of transactions was executed again.
    pub executions: u64,
    /// Incarnations that met what another is about to change, and waited for it.
    pub waits: u64,
    /// Validations.
    pub validations: u64,
    /// Validations that failed: something read was changed by a transaction before it.
    pub conflicts: u64,
    /// From the start of parallel blocks to the first transaction: system calls.
    pub prepare: Duration,
    /// In which transactions were executed.
    pub execute: Duration,
    /// From the last transaction to the outcome: receipts, withdrawals and requests, the changes of the state.
    pub commit: Duration,
    /// What all threads together worked while transactions were executed; waiting does not count.
    pub busy: Duration,
    /// What each shard did, where there are shards.
    pub shards: Vec<ShardStatistics>,
}

/// What was done in one shard's lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStatistics {
    /// Transactions executed there that stayed there.
    pub transactions: u64,
    /// Their gas.
    pub gas_used: u64,
    /// How long the lane worked.
    pub busy: Duration,
}

impl ExecutionStatistics {
    /// Incarnations that came to nothing.
    #[must_use]
    pub fn re_executions(&self) -> u64 {
        self.executions.saturating_sub(self.transactions)
    }

    /// How many threads worked at a time, on average, while transactions were executed.
    #[must_use]
    pub fn parallelism(&self) -> f64 {
        let elapsed = self.execute.as_secs_f64();
        if elapsed > 0.0 { self.busy.as_secs_f64() / elapsed } else { 0.0 }
    }

    /// A block that was executed in sequence.
    pub(super) fn sequential(reason: &'static str) -> Self {
        Self { sequential_blocks: BTreeMap::from([(reason, 1)]), ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.parallel_blocks += other.parallel_blocks;
        for (reason, blocks) in other.sequential_blocks {
            *self.sequential_blocks.entry(reason).or_default() += blocks;
        }
        self.serialised_blocks += other.serialised_blocks;
        self.transactions += other.transactions;
        self.executions += other.executions;
        self.waits += other.waits;
        self.validations += other.validations;
        self.conflicts += other.conflicts;
        self.prepare += other.prepare;
        self.execute += other.execute;
        self.commit += other.commit;
        self.busy += other.busy;
        if self.shards.len() < other.shards.len() {
            self.shards.resize(other.shards.len(), ShardStatistics::default());
        }
        for (shard, other) in self.shards.iter_mut().zip(other.shards) {
            shard.transactions += other.transactions;
            shard.gas_used += other.gas_used;
            shard.busy += other.busy;
        }
    }
}

/// Statistics that blocks are added to.
#[derive(Debug, Default)]
pub(super) struct Statistics(Mutex<ExecutionStatistics>);

impl Statistics {
    pub(super) fn add(&self, block: ExecutionStatistics) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(block);
    }

    pub(super) fn get(&self) -> ExecutionStatistics {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
