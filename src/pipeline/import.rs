//! Importing a chain: decode, verify and execute overlap across blocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use alloy_primitives::Bytes;

use super::meter::{StageMeter, StageReport};
use crate::chain::ethereum::{
    Block, BlockError, BlockId, ChainSpec, Problem, StreamError, VerifiedBlock, verify_block,
};
use crate::error::Error;
use crate::executor::{ExecutionError, Executor, Ledger, LedgerError};
use crate::verifier::Verifier;

/// Imports blocks through three overlapping stages.
#[derive(Clone, Copy)]
pub struct Import<'a> {
    /// What checks signatures.
    pub verifier: &'a Verifier,
    /// What executes.
    pub executor: &'a dyn Executor,
    /// How many blocks may wait between two stages; at least 1.
    pub queue: usize,
    /// Set to have the import end after the block it is at.
    pub stop: &'a AtomicBool,
}

/// A block that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockReport {
    /// The block.
    pub id: BlockId,
    /// How many transactions it has.
    pub transactions: usize,
    /// How much gas they used.
    pub gas_used: u64,
}

/// What an import did.
#[derive(Debug)]
pub struct ImportReport {
    /// Blocks executed and found to match their headers.
    pub blocks: u64,
    /// Their transactions.
    pub transactions: u64,
    /// Gas they used.
    pub gas_used: u64,
    /// Each stage's items and time.
    pub stages: Vec<StageReport>,
    /// From first to last.
    pub elapsed: Duration,
    /// How it ended. Every block before an error was imported, none after it.
    pub end: Result<End, ImportError>,
}

/// How an import ends that meets no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The source has no more blocks.
    Complete,
    /// It was asked to stop.
    Stopped,
}

/// What ends an import.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source cannot be read on.
    #[error("{0}")]
    Source(StreamError),
    /// A block's bytes are no block.
    #[error("block {index} of the stream: {error}")]
    Decode {
        /// How many blocks came before.
        index: u64,
        /// What is wrong.
        error: BlockError,
    },
    /// A block is invalid.
    #[error("{id}: {}", list(.problems))]
    Invalid {
        /// The block.
        id: BlockId,
        /// All that was found wrong with it by the stage that refused it; not empty.
        problems: Vec<Problem>,
    },
    /// The chain is not the genesis'.
    #[error("{id}: {error}")]
    ForeignGenesis {
        /// The first block.
        id: BlockId,
        /// The two hashes.
        error: LedgerError,
    },
    /// A block could not be verified.
    #[error("{id}: {error}")]
    NotVerified {
        /// The block.
        id: BlockId,
        /// Why.
        error: Error,
    },
    /// A block could not be executed.
    #[error("{id}: {error}")]
    NotExecuted {
        /// The block.
        id: BlockId,
        /// Why.
        error: ExecutionError,
    },
    /// A stage handed on another number of blocks than it was handed. This is a defect of this crate.
    #[error("{decoded} blocks decoded, {verified} verified, {executed} executed: a block was lost")]
    Lost {
        /// By the first stage.
        decoded: u64,
        /// By the second.
        verified: u64,
        /// By the third.
        executed: u64,
    },
}

impl ImportError {
    /// Whether it is about an invalid block, and not about something that could not be checked.
    #[must_use]
    pub fn is_invalid_block(&self) -> bool {
        matches!(self, Self::Invalid { .. })
    }
}

fn list(problems: &[Problem]) -> String {
    let shown: Vec<_> = problems.iter().take(4).map(ToString::to_string).collect();
    let more = problems.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    shown.join("; ") + &rest
}

/// What one stage hands the next: a block with its place in the stream, or the error that ends the import there.
type Handed<T> = Result<(u64, T), ImportError>;

#[derive(Debug)]
struct Meters {
    decode: StageMeter,
    verify: StageMeter,
    execute: StageMeter,
    commit: StageMeter,
}

impl Import<'_> {
    /// Imports blocks, each as its RLP, into `ledger`, and reports each to `observe` as it is done.
    pub fn run<S>(&self, source: S, ledger: &mut Ledger, observe: &mut dyn FnMut(&BlockReport)) -> ImportReport
    where
        S: Iterator<Item = Result<Bytes, StreamError>> + Send,
    {
        let start = Instant::now();
        let meters = Meters {
            decode: StageMeter::new("decode", "transactions"),
            verify: StageMeter::new("verify", "transactions"),
            execute: StageMeter::new("execute", "transactions"),
            commit: StageMeter::new("commit", "transactions"),
        };
        let chain = ledger.chain().clone();
        let mut report = ImportReport {
            blocks: 0,
            transactions: 0,
            gas_used: 0,
            stages: Vec::new(),
            elapsed: start.elapsed(),
            end: Ok(End::Complete),
        };
        std::thread::scope(|scope| {
            let (decoded, to_verify) = sync_channel(self.queue.max(1));
            let (verified, to_execute) = sync_channel(self.queue.max(1));
            let (meters, chain) = (&meters, &chain);
            scope.spawn(move || self.decode(source, &decoded, &meters.decode));
            scope.spawn(move || self.verify(chain, &to_verify, &verified, &meters.verify));
            report.end = self.execute(&to_execute, ledger, meters, &mut report, observe);
        });
        let counts = [&meters.decode, &meters.verify, &meters.execute].map(|meter| meter.report().items);
        if matches!(report.end, Ok(End::Complete)) && counts != [report.transactions; 3] {
            let [decoded, verified, executed] = counts;
            report.end = Err(ImportError::Lost { decoded, verified, executed });
        }
        report.stages =
            [meters.decode, meters.verify, meters.execute, meters.commit].map(|meter| meter.report()).into();
        report.elapsed = start.elapsed();
        report
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn decode<S>(&self, source: S, decoded: &SyncSender<Handed<Block>>, meter: &StageMeter)
    where
        S: Iterator<Item = Result<Bytes, StreamError>>,
    {
        for (index, bytes) in (0..).zip(source) {
            let block = bytes.map_err(ImportError::Source).and_then(|bytes| {
                let start = Instant::now();
                let block = self.verifier.cpu_backend().install(|| Block::decode(&bytes));
                meter.add(block.as_ref().map_or(0, |block| block.transactions.len()), start.elapsed());
                block.map_err(|error| ImportError::Decode { index, error })
            });
            let last = block.is_err();
            // The next stage hangs up when it meets an error or is stopped.
            if decoded.send(block.map(|block| (index, block))).is_err() || last || self.stopped() {
                return;
            }
        }
    }

    fn verify(
        &self,
        chain: &ChainSpec,
        decoded: &Receiver<Handed<Block>>,
        verified: &SyncSender<Handed<VerifiedBlock>>,
        meter: &StageMeter,
    ) {
        for handed in decoded {
            let block = handed.and_then(|(index, block)| {
                let id = block.id();
                let transactions = block.transactions.len();
                match meter.time(transactions, || verify_block(self.verifier, chain, block)) {
                    Ok(Ok(block)) => Ok((index, block)),
                    Ok(Err(problems)) => Err(ImportError::Invalid { id, problems }),
                    Err(error) => Err(ImportError::NotVerified { id, error }),
                }
            });
            let last = block.is_err();
            if verified.send(block).is_err() || last || self.stopped() {
                return;
            }
        }
    }

    fn execute(
        &self,
        verified: &Receiver<Handed<VerifiedBlock>>,
        ledger: &mut Ledger,
        meters: &Meters,
        report: &mut ImportReport,
        observe: &mut dyn FnMut(&BlockReport),
    ) -> Result<End, ImportError> {
        for handed in verified {
            if self.stopped() {
                return Ok(End::Stopped);
            }
            let (index, block) = handed?;
            if index != report.blocks {
                let (decoded, verified) = (meters.decode.report().items, meters.verify.report().items);
                return Err(ImportError::Lost { decoded, verified, executed: report.transactions });
            }
            let id = block.id();
            let imported = ledger.import(self.executor, &block).map_err(|error| match error {
                LedgerError::Invalid(problems) => ImportError::Invalid { id, problems },
                LedgerError::NotExecuted(error) => ImportError::NotExecuted { id, error },
                error @ LedgerError::ForeignGenesis { .. } => ImportError::ForeignGenesis { id, error },
            })?;
            let transactions = block.transactions().len();
            meters.execute.add(transactions, imported.execute_time);
            meters.commit.add(transactions, imported.commit_time);
            report.blocks += 1;
            report.transactions += transactions as u64;
            report.gas_used += imported.outcome.gas_used;
            observe(&BlockReport { id, transactions, gas_used: imported.outcome.gas_used });
        }
        Ok(if self.stopped() { End::Stopped } else { End::Complete })
    }
}

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import")
            .field("executor", &self.executor.name())
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
