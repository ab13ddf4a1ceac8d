//! What a thread does: it executes and validates until there is nothing left to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_evm::EvmEnv;

use super::evm::{Execution, ExecutionFailure, WorkerEvm};
use super::memory::Memory;
use super::multi_version::Position;
use super::scheduler::{Scheduler, Task, TxIndex, Version};
use super::view::{Location, Read, View};
use crate::chain::ethereum::VerifiedBlock;
use crate::executor::accounting::Executed;
use crate::executor::environment::transaction_environment;

/// How often a thread without a task looks again before it lets others have its core.
const SPINS: u32 = 64;

/// A block while it is executed.
#[derive(Debug)]
pub(super) struct Run<'m, 's> {
    pub(super) block: &'m VerifiedBlock,
    pub(super) memory: &'m Memory<'s>,
    pub(super) environment: EvmEnv,
    pub(super) lazy: bool,
    pub(super) lazy_beneficiary: bool,
    pub(super) scheduler: Scheduler,
    records: Vec<Mutex<Record<'m>>>,
    counts: Counts,
    panic: Mutex<Option<Panicked>>,
}

/// What the last incarnation of a transaction read, wrote and did.
#[derive(Debug, Default)]
pub(super) struct Record<'m> {
    pub(super) reads: Vec<Read<'m>>,
    pub(super) writes: Vec<Location<'m>>,
    /// `None` if it is invalid on what it read, or could not be executed on it.
    pub(super) executed: Option<Executed>,
}

/// A thread that panicked.
#[derive(Clone, Debug)]
pub(super) struct Panicked {
    /// The transaction it was at.
    pub(super) index: Option<TxIndex>,
    pub(super) message: String,
}

/// What the threads did, in tasks.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Incarnations executed to their end.
    pub(super) executions: AtomicUsize,
    /// Incarnations that met an estimate.
    pub(super) blocked: AtomicUsize,
    pub(super) validations: AtomicUsize,
    /// Validations that failed, so that the transaction was executed again.
    pub(super) aborts: AtomicUsize,
}

/// The place in a location's order that a transaction writes at.
pub(super) fn position(index: TxIndex) -> Position {
    Position::try_from(index + 1).unwrap_or(Position::MAX)
}

impl<'m, 's> Run<'m, 's> {
    pub(super) fn new(block: &'m VerifiedBlock, memory: &'m Memory<'s>, environment: EvmEnv, lazy: bool) -> Self {
        let transactions = block.transactions().len();
        Self {
            block,
            memory,
            environment,
            lazy,
            lazy_beneficiary: lazy
                && memory.account(block.header().beneficiary).is_ok_and(super::memory::AccountLocation::allows_lazy),
            scheduler: Scheduler::new(transactions),
            records: std::iter::repeat_with(Mutex::default).take(transactions).collect(),
            counts: Counts::default(),
            panic: Mutex::default(),
        }
    }

    /// Works until the block is done. A panic ends the block, and is kept for who asks for the result.
    pub(super) fn work(&self) {
        let mut at = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work_on(&mut at)));
        if let Err(payload) = outcome {
            self.scheduler.halt();
            let message = payload
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_default();
            let mut panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            panic.get_or_insert(Panicked { index: at, message });
        }
    }

    fn work_on(&self, at: &mut Option<TxIndex>) {
        let view = View::new(self.memory, 0);
        let mut evm = WorkerEvm::new(view, self.environment.clone(), self.lazy, self.lazy_beneficiary);
        let mut task = None;
        let mut idle = 0_u32;
        while !self.scheduler.is_done() {
            task = match task.take().or_else(|| self.scheduler.next_task()) {
                Some(Task::Execution(version)) => {
                    *at = Some(version.tx);
                    self.execute(&mut evm, version)
                }
                Some(Task::Validation(version)) => {
                    *at = Some(version.tx);
                    self.validate(version)
                }
                None => {
                    idle += 1;
                    if idle.is_multiple_of(SPINS) {
                        std::thread::yield_now()
                    } else {
                        std::hint::spin_loop()
                    }
                    continue;
                }
            };
            idle = 0;
        }
    }

    fn execute(&self, evm: &mut WorkerEvm<'m, 's>, version: Version) -> Option<Task> {
        let Version { tx, incarnation } = version;
        let position = position(tx);
        let transaction = &self.block.transactions()[tx];
        loop {
            let Execution { reads, writes, executed } = evm.execute(position, transaction_environment(transaction));
            if let Err(ExecutionFailure::Blocked(on)) = executed {
                self.counts.blocked.fetch_add(1, Ordering::Relaxed);
                // A position is a transaction's index and one; nothing before the first is ever an estimate.
                if self.scheduler.add_dependency(tx, on as TxIndex - 1) {
                    return None;
                }
                continue;
            }
            self.counts.executions.fetch_add(1, Ordering::Relaxed);
            let mut wrote_new_location = false;
            let mut locations = Vec::with_capacity(writes.len());
            for write in writes {
                let (location, new) = write.publish(position, incarnation);
                locations.push(location);
                wrote_new_location |= new;
            }
            let record = Record { reads, writes: locations, executed: executed.ok() };
            let before = std::mem::replace(&mut *self.record(tx), record);
            for location in before.writes {
                location.remove_stale(position, incarnation);
            }
            return self.scheduler.finish_execution(version, wrote_new_location);
        }
    }

    fn validate(&self, version: Version) -> Option<Task> {
        let Version { tx, .. } = version;
        let position = position(tx);
        self.counts.validations.fetch_add(1, Ordering::Relaxed);
        let record = self.record(tx);
        let valid = record.reads.iter().all(|read| read.holds(self.memory, position));
        let aborted = !valid && self.scheduler.try_validation_abort(version);
        if aborted {
            self.counts.aborts.fetch_add(1, Ordering::Relaxed);
            for location in &record.writes {
                location.mark_estimate(position);
            }
        }
        drop(record);
        self.scheduler.finish_validation(tx, aborted)
    }

    /// A transaction's record; locked by who executes or validates it.
    pub(super) fn record(&self, tx: TxIndex) -> MutexGuard<'_, Record<'m>> {
        self.records[tx].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the threads did.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The first thread that panicked.
    pub(super) fn panicked(&self) -> Option<Panicked> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
