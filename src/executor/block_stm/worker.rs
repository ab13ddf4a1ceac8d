//! What a thread does: it executes and validates until there is nothing left to do.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_evm::EvmEnv;

use super::evm::{Execution, ExecutionFailure, WorkerEvm};
use super::harvest::chunk;
use super::memory::{AccountLocation, Memory};
use super::multi_version::Position;
use super::scheduler::{Active, Incarnation, Scheduler, Task, TxIndex, Version};
use super::view::{Location, Read, View};
use crate::chain::ethereum::VerifiedBlock;
use crate::executor::accounting::Executed;
use crate::executor::environment::transaction_environment;
use crate::executor::statistics::ExecutionStatistics;
use crate::executor::workers::At;

/// How often a thread without a task looks again before it lets others have its core.
const SPINS: u32 = 64;

/// Tasks after which a thread may find that it only makes work for others.
const TRIAL: usize = 32;

/// A block while it is executed.
#[derive(Debug)]
pub(super) struct Run<'m, 's> {
    pub(super) block: &'m VerifiedBlock,
    pub(super) memory: &'m Memory<'s>,
    environment: EvmEnv,
    beneficiary: Option<&'m AccountLocation>,
    records: Vec<Mutex<Record<'m>>>,
    /// The next records whose reads and writes are to be freed.
    next_release: AtomicUsize,
    counts: Counts,
}

/// What the last incarnation of a transaction read, wrote and did.
#[derive(Debug, Default)]
pub(super) struct Record<'m> {
    pub(super) reads: Vec<Read<'m>>,
    pub(super) writes: Vec<Location<'m>>,
    /// `None` if it is invalid on what it read, or could not be executed on it.
    pub(super) executed: Option<Executed>,
}

/// What the threads did.
#[derive(Debug, Default)]
struct Counts {
    executions: AtomicUsize,
    waits: AtomicUsize,
    validations: AtomicUsize,
    conflicts: AtomicUsize,
    /// Threads that left the block early.
    left: AtomicUsize,
    busy_nanoseconds: AtomicU64,
}

/// What one thread did.
#[derive(Debug, Default)]
struct Tally {
    executions: usize,
    waits: usize,
    validations: usize,
    conflicts: usize,
}

impl Tally {
    /// Whether conflicts are so many that the thread only makes work for others.
    fn is_hopeless(&self) -> bool {
        self.executions + self.waits >= TRIAL && 2 * (self.conflicts + self.waits) > self.executions
    }
}

/// The place in a location's order that a transaction writes at.
pub(super) fn position(index: TxIndex) -> Position {
    Position::try_from(index + 1).unwrap_or(Position::MAX)
}

impl<'m, 's> Run<'m, 's> {
    pub(super) fn new(block: &'m VerifiedBlock, memory: &'m Memory<'s>, environment: EvmEnv) -> Self {
        Self {
            block,
            memory,
            environment,
            beneficiary: memory.account(block.header().beneficiary).ok(),
            records: block.transactions().iter().map(|_| Mutex::default()).collect(),
            next_release: AtomicUsize::new(0),
            counts: Counts::default(),
        }
    }

    /// An EVM for a thread, of which 0 is the caller's.
    pub(super) fn evm(&self, worker: usize) -> WorkerEvm<'m, 's> {
        let view = View::new(self.memory, 0);
        let view = if worker == 0 { view } else { view.copying_code() };
        WorkerEvm::new(view, self.environment.clone(), self.beneficiary)
    }

    /// Once all is valid, frees what validation needed, as far as other threads do not. It is too much for one thread to free
    /// after all others are done.
    pub(super) fn release(&self) {
        while let Some(chunk) = chunk(&self.next_release, self.records.len()) {
            for tx in chunk {
                let mut record = self.record(tx);
                record.reads = Vec::new();
                record.writes = Vec::new();
            }
        }
    }

    /// Works until the block is done, as thread `worker`. With `may_leave` a thread but the caller's leaves it to the others
    /// where there is little to do in parallel, and returns false.
    pub(super) fn work(&self, scheduler: &Scheduler, worker: usize, may_leave: bool, at: &At) -> bool {
        let start = Instant::now();
        let mut idle = Duration::ZERO;
        let mut tally = Tally::default();
        let mut evm = self.evm(worker);
        let (mut task, mut active) = (None, Active::default());
        let mut stayed = true;
        while !scheduler.is_done() {
            if task.is_none() && may_leave && worker > 0 && tally.is_hopeless() {
                scheduler.rest(&mut active);
                self.counts.left.fetch_add(1, Ordering::Relaxed);
                stayed = false;
                break;
            }
            task = match task.take().or_else(|| scheduler.next_task(&mut active)) {
                Some(Task::Execution(version)) => {
                    at.set(Some(version.tx));
                    self.execute(scheduler, &mut evm, version, &mut tally)
                }
                Some(Task::Validation(version)) => {
                    at.set(Some(version.tx));
                    self.validate(scheduler, version, &mut tally)
                }
                None => {
                    let since = Instant::now();
                    task = wait(scheduler, &mut active);
                    idle += since.elapsed();
                    task
                }
            };
        }
        let counts = &self.counts;
        for (count, own) in [
            (&counts.executions, tally.executions),
            (&counts.waits, tally.waits),
            (&counts.validations, tally.validations),
            (&counts.conflicts, tally.conflicts),
        ] {
            count.fetch_add(own, Ordering::Relaxed);
        }
        let busy = start.elapsed().saturating_sub(idle);
        counts.busy_nanoseconds.fetch_add(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        stayed
    }

    fn execute(
        &self,
        scheduler: &Scheduler,
        evm: &mut WorkerEvm<'m, 's>,
        version: Version,
        tally: &mut Tally,
    ) -> Option<Task> {
        loop {
            match self.incarnate(evm, version.tx, version.incarnation) {
                Ok(wrote_new_location) => {
                    tally.executions += 1;
                    return scheduler.finish_execution(version, wrote_new_location);
                }
                Err(blocking) => {
                    tally.waits += 1;
                    // A position is a transaction's index and one; nothing before the first is ever an estimate.
                    if scheduler.add_dependency(version.tx, (blocking as TxIndex).saturating_sub(1)) {
                        return None;
                    }
                }
            }
        }
    }

    /// Executes an incarnation, and puts what it wrote into the memory. Returns whether that is anywhere where the one before
    /// wrote nothing; the error is the transaction whose estimate it met.
    fn incarnate(&self, evm: &mut WorkerEvm<'m, 's>, tx: TxIndex, incarnation: Incarnation) -> Result<bool, Position> {
        let position = position(tx);
        let execution = evm.execute(position, transaction_environment(&self.block.transactions()[tx]));
        if let Err(ExecutionFailure::Blocked(on)) = execution.executed {
            return Err(on);
        }
        Ok(self.publish(tx, incarnation, execution))
    }

    /// Puts what an incarnation wrote into the memory, in the place of what the one before wrote.
    pub(super) fn publish(&self, tx: TxIndex, incarnation: Incarnation, execution: Execution<'m>) -> bool {
        let Execution { reads, writes, executed } = execution;
        let position = position(tx);
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
        wrote_new_location
    }

    fn validate(&self, scheduler: &Scheduler, version: Version, tally: &mut Tally) -> Option<Task> {
        tally.validations += 1;
        let record = self.record(version.tx);
        let aborted = !self.holds(&record, version.tx) && scheduler.try_validation_abort(version);
        if aborted {
            tally.conflicts += 1;
            for location in &record.writes {
                location.mark_estimate(position(version.tx));
            }
        }
        drop(record);
        scheduler.finish_validation(version.tx, aborted)
    }

    /// Whether all that a transaction read would be read the same now.
    fn holds(&self, record: &Record<'m>, tx: TxIndex) -> bool {
        record.reads.iter().all(|read| read.holds(self.memory, position(tx)))
    }

    /// A transaction's record; locked by who executes or validates it.
    pub(super) fn record(&self, tx: TxIndex) -> MutexGuard<'_, Record<'m>> {
        self.records[tx].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the threads did.
    pub(super) fn statistics(&self) -> ExecutionStatistics {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed) as u64;
        ExecutionStatistics {
            parallel_blocks: 1,
            serialised_blocks: u64::from(count(&self.counts.left) > 0),
            transactions: self.block.transactions().len() as u64,
            executions: count(&self.counts.executions),
            waits: count(&self.counts.waits),
            validations: count(&self.counts.validations),
            conflicts: count(&self.counts.conflicts),
            busy: Duration::from_nanos(self.counts.busy_nanoseconds.load(Ordering::Relaxed)),
            ..ExecutionStatistics::default()
        }
    }
}

/// Waits for a task, with bounded spinning; `None` if the block is done.
fn wait(scheduler: &Scheduler, active: &mut Active) -> Option<Task> {
    let mut spins = 0_u32;
    while !scheduler.is_done() {
        if let Some(task) = scheduler.next_task(active) {
            return Some(task);
        }
        spins += 1;
        if spins.is_multiple_of(SPINS) { std::thread::yield_now() } else { std::hint::spin_loop() }
    }
    None
}
