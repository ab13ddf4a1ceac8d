//! The stage that a node puts before execution: raw transactions in, verified ones out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;

use alloy_primitives::Bytes;

use crate::chain::ethereum::{ChainSpec, VerifiedBatch, decode_transactions, verify_transactions};
use crate::error::Error;
use crate::verifier::Verifier;

/// Transactions as they came, to be verified as if they were in the block described.
#[derive(Clone, Debug, Default)]
pub struct RawBatch {
    /// Each transaction's EIP-2718 envelope.
    pub transactions: Vec<Bytes>,
    /// The number of the block they are for.
    pub block_number: u64,
    /// Its timestamp in seconds.
    pub timestamp: u64,
}

/// A batch that was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The queue is full; the batch comes back to be submitted again later.
    #[error("the stage is busy: its queue is full")]
    Busy(RawBatch),
    /// The stage has ended; the batch comes back.
    #[error("the stage has ended")]
    Closed(RawBatch),
}

/// The stage ended before the batch was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stage ended before it verified the batch")]
pub struct StageClosed;

/// Verifies batches one after the other on a thread of its own, while the caller executes.
///
/// The queue is bounded: [`try_submit`](Self::try_submit) says when it is full, [`submit`](Self::submit) waits. Dropping
/// the stage, or [`shutdown`](Self::shutdown), finishes what was accepted and then ends the thread.
#[derive(Debug)]
pub struct PreExecutionStage {
    queue: Option<SyncSender<Job>>,
    worker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Job {
    batch: RawBatch,
    answer: SyncSender<Result<VerifiedBatch, Error>>,
}

/// A batch on its way. Dropping it leaves the batch unread, and nothing else.
#[derive(Debug)]
#[must_use = "the batch is read through its handle"]
pub struct Handle {
    answer: Receiver<Result<VerifiedBatch, Error>>,
}

impl PreExecutionStage {
    /// Starts the stage for post-merge blocks of a chain; up to `queue` batches wait, at least 1.
    pub fn spawn(verifier: Arc<Verifier>, chain: ChainSpec, queue: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(queue.max(1));
        let worker = std::thread::Builder::new()
            .name("phalanx-stage".to_owned())
            .spawn(move || work(&verifier, &chain, &jobs))?;
        Ok(Self { queue: Some(queue), worker: Some(worker) })
    }

    /// Hands in a batch, waiting while the queue is full.
    pub fn submit(&self, batch: RawBatch) -> Result<Handle, SubmitError> {
        let Some(queue) = &self.queue else { return Err(SubmitError::Closed(batch)) };
        let (job, handle) = job(batch);
        queue.send(job).map(|()| handle).map_err(|refused| SubmitError::Closed(refused.0.batch))
    }

    /// Hands in a batch, or says that the queue is full.
    pub fn try_submit(&self, batch: RawBatch) -> Result<Handle, SubmitError> {
        let Some(queue) = &self.queue else { return Err(SubmitError::Closed(batch)) };
        let (job, handle) = job(batch);
        queue.try_send(job).map(|()| handle).map_err(|refused| match refused {
            TrySendError::Full(job) => SubmitError::Busy(job.batch),
            TrySendError::Disconnected(job) => SubmitError::Closed(job.batch),
        })
    }

    /// Finishes what was accepted and ends the stage.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.queue.take());
        if let Some(worker) = self.worker.take() {
            // A job's panic is answered as an error, so that there is none to take over.
            let _ = worker.join();
        }
    }
}

impl Drop for PreExecutionStage {
    fn drop(&mut self) {
        self.end();
    }
}

impl Handle {
    /// Waits for the batch. The outer error says that the stage ended, the inner that the check could not be made.
    pub fn wait(self) -> Result<Result<VerifiedBatch, Error>, StageClosed> {
        self.answer.recv().map_err(|_| StageClosed)
    }

    /// The batch if it is ready, `None` if it is not yet. Gives it once.
    pub fn try_wait(&self) -> Result<Option<Result<VerifiedBatch, Error>>, StageClosed> {
        match self.answer.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(StageClosed),
        }
    }
}

fn job(batch: RawBatch) -> (Job, Handle) {
    // One answer, which never waits to be taken.
    let (answer, received) = sync_channel(1);
    (Job { batch, answer }, Handle { answer: received })
}

fn work(verifier: &Verifier, chain: &ChainSpec, jobs: &Receiver<Job>) {
    for Job { batch, answer } in jobs {
        let verified = catch_unwind(AssertUnwindSafe(|| {
            let forks = chain.at_block(batch.block_number, batch.timestamp, true);
            let decoded = verifier.cpu_backend().install(|| decode_transactions(&batch.transactions));
            verify_transactions(verifier, &forks, decoded)
        }));
        let verified = verified.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Error::Panicked(text.unwrap_or("no message").to_owned()))
        });
        // Whoever dropped the handle does not want the answer.
        let _ = answer.send(verified);
    }
}
