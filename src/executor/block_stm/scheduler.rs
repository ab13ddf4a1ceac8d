//! The collaborative scheduler of Block-STM (Gelashvili et al., `PPoPP` 2023, algorithms 4 and 5).
//!
//! Threads ask for tasks until there are none left: to execute an incarnation of a transaction, or to validate what one
//! read. Lower transactions come first, validations before executions. Two indices say up to where tasks were handed out;
//! what makes earlier work doubtful lowers them.
//!
//! Two things are ours. Validations do not run ahead of an execution that has just begun: in the paper they pass over it, and all of
//! them are repeated when it ends. And a thread counts as active from one task to the next, as long as it finds any, so that threads
//! take the count from one another a few times a block and not four times a transaction.

use super::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError};

/// The place of a transaction in its block.
pub(crate) type TxIndex = usize;

/// A run of a transaction: how often it was started anew before.
pub(crate) type Incarnation = u32;

/// A transaction and the run of it that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) tx: TxIndex,
    pub(crate) incarnation: Incarnation,
}

/// What a thread is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Run this incarnation.
    Execution(Version),
    /// Check that what this incarnation read still holds.
    Validation(Version),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ReadyToExecute,
    Executing,
    Executed,
    Aborting,
}

#[derive(Debug)]
struct Status {
    incarnation: Incarnation,
    stage: Stage,
    /// Transactions that wait for this one's next incarnation.
    dependents: Vec<TxIndex>,
}

/// Hands out tasks, and knows when there are none left.
#[derive(Debug)]
pub(crate) struct Scheduler {
    indices: Indices,
    /// How often one of the indices was lowered.
    decrease_cnt: AtomicUsize,
    /// Threads with a task, or looking for one.
    num_active: AtomicUsize,
    done_marker: AtomicBool,
    statuses: Vec<Padded>,
    /// How far executions may be ahead before validations pass over what is not executed: about as far as they are where
    /// every thread executes.
    lead: usize,
}

/// Up to where tasks were handed out; on a cache line of their own, which threads take from one another with every task.
#[derive(Debug)]
#[repr(align(64))]
struct Indices {
    /// The next transaction to try to execute.
    execution_idx: AtomicUsize,
    /// The next transaction to try to validate.
    validation_idx: AtomicUsize,
}

/// Whether a thread is counted as active. Each has one, which it brings along for every task.
#[derive(Debug, Default)]
pub(crate) struct Active(bool);

/// A transaction's status, on a cache line of its own: neighbours are other threads'.
#[derive(Debug)]
#[repr(align(64))]
struct Padded(Mutex<Status>);

impl Scheduler {
    /// A scheduler for a block, which is told of each transaction whether its first incarnation was executed already. The
    /// execution index may be `lead` ahead of the validation index before that one passes over what is not executed.
    pub(crate) fn new(executed: impl IntoIterator<Item = bool>, lead: usize) -> Self {
        let stage = |executed| if executed { Stage::Executed } else { Stage::ReadyToExecute };
        let status = |executed| Status { incarnation: 0, stage: stage(executed), dependents: Vec::new() };
        let statuses: Vec<_> = executed.into_iter().map(|executed| Padded(Mutex::new(status(executed)))).collect();
        Self {
            indices: Indices { execution_idx: AtomicUsize::new(0), validation_idx: AtomicUsize::new(0) },
            decrease_cnt: AtomicUsize::new(0),
            num_active: AtomicUsize::new(0),
            done_marker: AtomicBool::new(statuses.is_empty()),
            statuses,
            lead,
        }
    }

    /// Whether every transaction is executed and validated, or the block was given up.
    pub(crate) fn is_done(&self) -> bool {
        self.done_marker.load(Ordering::SeqCst)
    }

    /// Gives the block up: nobody gets another task.
    pub(crate) fn halt(&self) {
        self.done_marker.store(true, Ordering::SeqCst);
    }

    /// The next task of a thread, which is done with the one before; `None` if there is none at the moment.
    pub(crate) fn next_task(&self, active: &mut Active) -> Option<Task> {
        let validation_idx = self.indices.validation_idx.load(Ordering::SeqCst);
        let execution_idx = self.indices.execution_idx.load(Ordering::SeqCst);
        if validation_idx < execution_idx
            && let Some(version) = self.next_version_to_validate(active, validation_idx, execution_idx)
        {
            return Some(Task::Validation(version));
        }
        self.next_version_to_execute(active).map(Task::Execution)
    }

    /// Has a thread that asks for nothing more, or found nothing, not count as active.
    pub(crate) fn rest(&self, active: &mut Active) {
        if std::mem::take(&mut active.0) {
            self.num_active.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Before a task is claimed: with nobody active and both indices at the end the block is done.
    fn begin(&self, active: &mut Active) {
        if !std::mem::replace(&mut active.0, true) {
            self.num_active.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn next_version_to_execute(&self, active: &mut Active) -> Option<Version> {
        if self.indices.execution_idx.load(Ordering::SeqCst) >= self.statuses.len() {
            self.rest(active);
            self.check_done();
            return None;
        }
        self.begin(active);
        let tx = self.indices.execution_idx.fetch_add(1, Ordering::SeqCst);
        self.try_incarnate(tx)
    }

    /// The transaction at the validation index, if it is executed. One that is not is passed over only where the execution
    /// index is far ahead: else it is being executed, and whoever is validated before it will be again.
    fn next_version_to_validate(&self, active: &mut Active, tx: TxIndex, execution_idx: TxIndex) -> Option<Version> {
        if tx >= self.statuses.len() {
            return None;
        }
        let status = self.status(tx);
        let executed = status.stage == Stage::Executed;
        if !executed && execution_idx - tx <= self.lead {
            return None;
        }
        self.begin(active);
        let validation_idx = &self.indices.validation_idx;
        let claimed = validation_idx.compare_exchange(tx, tx + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        (claimed && executed).then_some(Version { tx, incarnation: status.incarnation })
    }

    /// Starts the next incarnation of a transaction that is ready for it.
    fn try_incarnate(&self, tx: TxIndex) -> Option<Version> {
        if tx >= self.statuses.len() {
            return None;
        }
        let mut status = self.status(tx);
        if status.stage != Stage::ReadyToExecute {
            return None;
        }
        status.stage = Stage::Executing;
        Some(Version { tx, incarnation: status.incarnation })
    }

    /// Has an incarnation that met an estimate of `blocking` wait for it, which ends its task. False if `blocking` was
    /// executed in the meantime, so that the incarnation can go on.
    #[must_use]
    pub(crate) fn add_dependency(&self, tx: TxIndex, blocking: TxIndex) -> bool {
        // Locks are taken in the order of the transactions, so that no two threads wait for one another.
        let mut blocking = self.status(blocking);
        if blocking.stage == Stage::Executed {
            return false;
        }
        self.status(tx).stage = Stage::Aborting;
        blocking.dependents.push(tx);
        true
    }

    /// Ends the execution of an incarnation, whose writes are in the memory: whoever waited for it is ready again.
    /// Returns the validation that the thread goes on with, if it is to.
    pub(crate) fn finish_execution(&self, version: Version, wrote_new_location: bool) -> Option<Task> {
        let dependents = {
            let mut status = self.status(version.tx);
            status.stage = Stage::Executed;
            std::mem::take(&mut status.dependents)
        };
        self.resume(&dependents);
        if self.indices.validation_idx.load(Ordering::SeqCst) > version.tx {
            if !wrote_new_location {
                // What higher transactions read is validated anew since the abort, if there was one; this one is not.
                return Some(Task::Validation(version));
            }
            self.decrease(&self.indices.validation_idx, version.tx);
        }
        None
    }

    fn resume(&self, dependents: &[TxIndex]) {
        for tx in dependents {
            self.set_ready(*tx);
        }
        if let Some(lowest) = dependents.iter().min() {
            self.decrease(&self.indices.execution_idx, *lowest);
        }
    }

    fn set_ready(&self, tx: TxIndex) {
        let mut status = self.status(tx);
        status.incarnation += 1;
        status.stage = Stage::ReadyToExecute;
    }

    /// Claims the abort of an incarnation that failed its validation. Of all threads that try, one succeeds.
    #[must_use]
    pub(crate) fn try_validation_abort(&self, version: Version) -> bool {
        let mut status = self.status(version.tx);
        if status.incarnation != version.incarnation || status.stage != Stage::Executed {
            return false;
        }
        status.stage = Stage::Aborting;
        true
    }

    /// Ends a validation. After an abort the transaction is executed again, by this thread if it returns a task, and
    /// every higher one is validated again.
    pub(crate) fn finish_validation(&self, tx: TxIndex, aborted: bool) -> Option<Task> {
        if aborted {
            self.set_ready(tx);
            self.decrease(&self.indices.validation_idx, tx + 1);
            if self.indices.execution_idx.load(Ordering::SeqCst) > tx
                && let Some(version) = self.try_incarnate(tx)
            {
                return Some(Task::Execution(version));
            }
        }
        None
    }

    fn decrease(&self, index: &AtomicUsize, to: TxIndex) {
        index.fetch_min(to, Ordering::SeqCst);
        self.decrease_cnt.fetch_add(1, Ordering::SeqCst);
    }

    /// Both indices are at the end, nobody works, and neither index was lowered while that was looked at.
    fn check_done(&self) {
        let observed = self.decrease_cnt.load(Ordering::SeqCst);
        let execution_idx = self.indices.execution_idx.load(Ordering::SeqCst);
        let validation_idx = self.indices.validation_idx.load(Ordering::SeqCst);
        let active = self.num_active.load(Ordering::SeqCst);
        if execution_idx.min(validation_idx) >= self.statuses.len()
            && active == 0
            && observed == self.decrease_cnt.load(Ordering::SeqCst)
        {
            self.done_marker.store(true, Ordering::SeqCst);
        }
    }

    fn status(&self, tx: TxIndex) -> MutexGuard<'_, Status> {
        // A thread that panicked ends the block; what it left behind is not used.
        self.statuses[tx].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
