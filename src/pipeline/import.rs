//! Importing a chain: decode, verify and execute overlap across blocks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes};

use super::meter::{StageMeter, StageReport};
use crate::chain::ethereum::{
    Block, BlockError, BlockId, BlockVerdict, ChainSpec, Problem, SenderColumn, StreamError, VerifiedBlock,
    verify_blocks,
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
    /// How many blocks may wait between two stages; at least 1. Where a GPU verifies, it takes about as many at once.
    pub queue: usize,
    /// Senders by block, where they are known from elsewhere; untrusted.
    pub senders: Option<&'a SenderColumn>,
    /// Set to have the import end after the block it is at. An import that ends early sets it itself, so that a source that
    /// waits for more can see that nobody wants it.
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
#[must_use = "how the import ended is in its report"]
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
    /// The stream starts with another genesis than the ledger did, or with a block that follows another.
    #[error("{id}: {field}: {stated} is not {head}, the hash of the ledger's head: the genesis is for another chain")]
    ForeignGenesis {
        /// The first block.
        id: BlockId,
        /// The field that is not the head's hash.
        field: &'static str,
        /// Its value.
        stated: B256,
        /// The ledger's head.
        head: B256,
    },
    /// The stream starts further on than the ledger is.
    #[error("{id}: number: the stream starts here, and the ledger is at block {head}")]
    Gap {
        /// The first block.
        id: BlockId,
        /// The number of the ledger's head.
        head: u64,
    },
    /// A block could not be verified.
    #[error("{id}: {error}")]
    NotVerified {
        /// The block, or the first of those that were to be verified together.
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

/// Transactions from which on no further block is verified together with others: more gain little by it, and keep the next stage waiting.
const TOGETHER: usize = 16_384;

fn transactions_of(handed: &Handed<Block>) -> usize {
    handed.as_ref().map_or(0, |(_, block)| block.transactions.len())
}

#[derive(Debug)]
struct Meters {
    decode: StageMeter,
    verify: StageMeter,
    execute: StageMeter,
    commit: StageMeter,
    /// Blocks handed on by the first stage, and by the second.
    decoded: AtomicU64,
    verified: AtomicU64,
}

impl Meters {
    fn lost(&self, executed: u64) -> ImportError {
        let count = |blocks: &AtomicU64| blocks.load(Ordering::Relaxed);
        ImportError::Lost { decoded: count(&self.decoded), verified: count(&self.verified), executed }
    }
}

/// Whether a stream's first block follows the ledger's head; `None` if it is that head.
fn follows(head: BlockId, block: Block) -> Result<Option<Block>, ImportError> {
    let id = block.id();
    if id.number == head.number {
        if id.hash == head.hash {
            return Ok(None);
        }
        return Err(ImportError::ForeignGenesis { id, field: "hash", stated: id.hash, head: head.hash });
    }
    if id.number.checked_sub(1) != Some(head.number) {
        return Err(ImportError::Gap { id, head: head.number });
    }
    let parent = block.header.parent_hash;
    if parent != head.hash {
        return Err(ImportError::ForeignGenesis { id, field: "parentHash", stated: parent, head: head.hash });
    }
    Ok(Some(block))
}

impl Import<'_> {
    /// Imports blocks, each as its RLP, the first of which is the ledger's head or follows it, into `ledger`, and reports each to `observe` as it is done.
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
            decoded: AtomicU64::new(0),
            verified: AtomicU64::new(0),
        };
        let head = ledger.head_id();
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
            scope.spawn(move || self.decode(head, source, &decoded, meters));
            scope.spawn(move || self.verify(chain, &to_verify, &verified, meters));
            report.end = self.execute(&to_execute, ledger, meters, &mut report, observe);
            if report.end.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
        });
        let counts = [meters.decoded.load(Ordering::Relaxed), meters.verified.load(Ordering::Relaxed), report.blocks];
        if matches!(report.end, Ok(End::Complete)) && counts != [report.blocks; 3] {
            report.end = Err(meters.lost(report.blocks));
        }
        report.stages =
            [meters.decode, meters.verify, meters.execute, meters.commit].map(|meter| meter.report()).into();
        report.elapsed = start.elapsed();
        report
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn decode<S>(&self, head: BlockId, source: S, decoded: &SyncSender<Handed<Block>>, meters: &Meters)
    where
        S: Iterator<Item = Result<Bytes, StreamError>>,
    {
        let mut index = 0;
        for (place, bytes) in (0..).zip(source) {
            let block = bytes.map_err(ImportError::Source).and_then(|bytes| {
                let start = Instant::now();
                let block = self.verifier.cpu_backend().install(|| Block::decode(&bytes));
                meters.decode.add(block.as_ref().map_or(0, |block| block.transactions.len()), start.elapsed());
                block.map_err(|error| ImportError::Decode { index: place, error })
            });
            let block = if place == 0 { block.and_then(|block| follows(head, block)) } else { block.map(Some) };
            let handed = match block {
                // geth's export starts with the genesis, which the ledger has.
                Ok(None) => continue,
                Ok(Some(block)) => Ok((index, block)),
                Err(error) => Err(error),
            };
            let last = handed.is_err();
            index += 1;
            meters.decoded.fetch_add(u64::from(!last), Ordering::Relaxed);
            // The next stage hangs up when it meets an error or is stopped.
            if decoded.send(handed).is_err() || last || self.stopped() {
                return;
            }
        }
    }

    fn verify(
        &self,
        chain: &ChainSpec,
        decoded: &Receiver<Handed<Block>>,
        verified: &SyncSender<Handed<VerifiedBlock>>,
        meters: &Meters,
    ) {
        let together = if self.verifier.gains_by_large_batches() { TOGETHER } else { 0 };
        while let Ok(first) = decoded.recv() {
            // What waits for a GPU is verified together, in hardly more time than one block alone.
            let mut waiting = vec![first];
            let mut transactions = transactions_of(&waiting[0]);
            while transactions < together && waiting.last().is_some_and(Result::is_ok) {
                let Ok(next) = decoded.try_recv() else { break };
                transactions += transactions_of(&next);
                waiting.push(next);
            }
            for block in self.verify_all(chain, waiting, transactions, meters) {
                let last = block.is_err();
                meters.verified.fetch_add(u64::from(!last), Ordering::Relaxed);
                if verified.send(block).is_err() || last || self.stopped() {
                    return;
                }
            }
        }
    }

    /// Verifies blocks, of which only the last may be an error; nothing follows the first error.
    fn verify_all(
        &self,
        chain: &ChainSpec,
        waiting: Vec<Handed<Block>>,
        transactions: usize,
        meters: &Meters,
    ) -> Vec<Handed<VerifiedBlock>> {
        let (mut ids, mut blocks, mut error) = (Vec::new(), Vec::new(), None);
        for handed in waiting {
            match handed {
                Ok((index, block)) => {
                    ids.push((index, block.id()));
                    let hints = self.senders.and_then(|column| column.hints(block.header.number));
                    blocks.push((block, hints));
                }
                Err(ended) => error = Some(Err(ended)),
            }
        }
        let Some((_, id)) = ids.first().copied() else { return error.into_iter().collect() };
        match meters.verify.time(transactions, || verify_blocks(self.verifier, chain, blocks)) {
            Ok(verdicts) => {
                let invalid = |id| move |problems| ImportError::Invalid { id, problems };
                let verdict = |((index, id), verdict): ((u64, BlockId), BlockVerdict)| {
                    verdict.map(|block| (index, block)).map_err(invalid(id))
                };
                ids.into_iter().zip(verdicts).map(verdict).chain(error).collect()
            }
            Err(error) => vec![Err(ImportError::NotVerified { id, error })],
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
                return Err(meters.lost(report.blocks));
            }
            let id = block.id();
            let imported = ledger.import(self.executor, &block).map_err(|error| match error {
                LedgerError::Invalid(problems) => ImportError::Invalid { id, problems },
                LedgerError::NotExecuted(error) => ImportError::NotExecuted { id, error },
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
