//! The CPU backend: blocks of items in vector lanes, in order, over rayon's threads.
//!
//! An answer depends on its item alone, so neither the number of threads nor the way a batch is cut can change it.

mod audit;
mod batch_check;
mod credit;
mod ecdsa;
mod ecdsa_claims;
mod hash;
pub(crate) mod hints;
mod schnorr;

use std::ops::RangeInclusive;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::arithmetic::Platform;
use crate::batch::{Batch, Columns, MessageBatch};
use crate::error::Error;
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
#[cfg(feature = "gpu")]
use crate::scheme::ecdsa::{RecoverItem, VerifyItem};
use crate::scheme::hash::HashFunction;
use crate::verdict::{Reason, Verdict};
use credit::Credit;

pub use audit::{Audit, AuditReport};
pub use hash::{KeccakLanes, Sha256Lanes, hash_each, keccak256, keccak256_of_keys, sha256, sha256d};
pub use hints::{HintReport, HintSource, Hints};

/// The most lanes a vector has; blocks are cut to multiples of it.
const LANES: usize = 8;

/// Messages a thread takes at a time when hashing: enough to fill every lane with messages of like length.
const HASHES_PER_TASK: RangeInclusive<usize> = 16..=256;

/// Where messages are long, a thread takes no more of them than have about so many bytes: a tenth of a millisecond.
const TASK_BYTES: usize = 1 << 16;

/// The rayon backend. By default it works on the pool it is called from, rayon's global one unless the caller installed
/// another; with [`CpuBackend::with_threads`] on a pool of its own. A thread of that pool ([`CpuBackend::install`]) works along with the
/// others; another that hands a batch in sleeps meanwhile, and waking takes about 15 microseconds for each batch
/// (`2026-11-26-peers.csv` under `benches/record`).
#[derive(Debug, Default)]
pub struct CpuBackend {
    pool: Option<rayon::ThreadPool>,
    platform: Platform,
    /// From how many items on they are put to the batch check, where something else was asked for than what gains.
    batch_check_threshold: Option<usize>,
    /// How batch checks of BIP-340 signatures fared.
    schnorr_credit: Credit,
}

impl CpuBackend {
    /// A backend with a pool of its own; zero threads means one for each core.
    pub fn with_threads(threads: usize) -> Result<Self, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("phalanx-cpu-{index}"))
            .build()
            .map_err(|source| Error::ThreadPool { threads, source })?;
        Ok(Self { pool: Some(pool), ..Self::default() })
    }

    /// The same backend, with another form of the lanes than the fastest that this machine has.
    #[must_use]
    pub fn on_platform(self, platform: Platform) -> Self {
        Self { platform, ..self }
    }

    /// The same backend, which puts recoveries with hints and BIP-340 to the batch check from so many items on, instead of from where
    /// it gains on this machine by as many threads; as far as earlier batches have credit. Verdicts do not depend on it.
    #[must_use]
    pub fn with_batch_check_threshold(self, items: usize) -> Self {
        Self { batch_check_threshold: Some(items), ..self }
    }

    /// Whether so many items are put to the batch check before the exact way.
    fn reaches_batch_check(&self, items: usize) -> bool {
        if let Some(threshold) = self.batch_check_threshold {
            return items >= threshold;
        }
        let for_each_thread = self.platform.batch_check_threshold();
        // For a few items nobody asks for threads, which would start a pool.
        items >= for_each_thread && items >= for_each_thread * self.threads()
    }

    /// How many threads it works on.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or_else(rayon::current_num_threads, rayon::ThreadPool::current_num_threads)
    }

    /// Runs `work` on this backend's pool.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Recovers the signer of every item, in order.
    #[must_use]
    pub fn recover(&self, batch: &RecoverBatch) -> Vec<Verdict<Signer>> {
        self.check_blocks(batch, |items| ecdsa::recover(self.platform, items))
    }

    /// Verifies every item, in order.
    #[must_use]
    pub fn verify(&self, batch: &VerifyBatch) -> Vec<Verdict<()>> {
        self.check_blocks(batch, |items| ecdsa::verify(self.platform, items))
    }

    /// Hashes every message, in order.
    #[must_use]
    pub fn hash(&self, function: HashFunction, messages: &MessageBatch) -> Vec<[u8; 32]> {
        let mut digests = vec![[0; 32]; messages.len()];
        let each = (TASK_BYTES / messages.mean_len().max(1)).clamp(*HASHES_PER_TASK.start(), *HASHES_PER_TASK.end());
        self.install(|| {
            digests.par_chunks_mut(each).enumerate().for_each(|(chunk, digests)| {
                let messages: Vec<_> = messages.iter_from(chunk * each).take(digests.len()).collect();
                hash::hash_each(function, &messages, digests);
            });
        });
        digests
    }

    /// Items of a block, so that blocks are of about one size, as many for each thread.
    fn block(&self, items: usize) -> usize {
        let blocks = items.div_ceil(ecdsa::BLOCK).next_multiple_of(self.threads());
        items.div_ceil(blocks.max(1)).next_multiple_of(LANES).max(LANES)
    }

    /// Checks a batch in such blocks.
    fn check_blocks<C: Columns, T: Send>(
        &self,
        batch: &Batch<C>,
        check: impl Fn(BlockItems<'_, C>) -> Vec<Result<T, Reason>> + Sync,
    ) -> Vec<Verdict<T>> {
        if batch.len() <= self.platform.few() {
            // They are done before another thread has woken.
            return check(BlockItems { batch, indices: 0..batch.len() }).into_iter().map(Verdict::from).collect();
        }
        let size = self.block(batch.len());
        self.install(|| {
            (0..batch.len().div_ceil(size))
                .into_par_iter()
                .flat_map_iter(|block| {
                    let indices = block * size..batch.len().min((block + 1) * size);
                    check(BlockItems { batch, indices }).into_iter().map(Verdict::from)
                })
                .collect()
        })
    }
}

/// Recovers the signer of each item, on the thread it is called from.
#[cfg(feature = "gpu")]
pub(crate) fn recover(items: &[RecoverItem]) -> Vec<Verdict<Signer>> {
    ecdsa::recover(Platform::detect(), items.iter().copied().map(Ok)).into_iter().map(Verdict::from).collect()
}

/// Verifies each item, on the thread it is called from.
#[cfg(feature = "gpu")]
pub(crate) fn verify(items: &[VerifyItem]) -> Vec<Verdict<()>> {
    ecdsa::verify(Platform::detect(), items.iter().copied().map(Ok)).into_iter().map(Verdict::from).collect()
}

/// The items of a block, in order.
struct BlockItems<'a, C> {
    batch: &'a Batch<C>,
    indices: std::ops::Range<usize>,
}

impl<C: Columns> Iterator for BlockItems<'_, C> {
    type Item = Result<C::Item, Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch.get(self.indices.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indices.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::schnorr::{SchnorrBatch, SchnorrItem};

    fn on(platform: Platform, threads: usize) -> CpuBackend {
        CpuBackend::with_threads(threads).unwrap().on_platform(platform)
    }

    #[test]
    fn batches_are_checked_as_such_from_a_number_of_items_for_each_thread() {
        for platform in Platform::available() {
            for threads in [1, 2, 5] {
                let threshold = platform.batch_check_threshold() * threads;
                let reaches = |items| on(platform, threads).reaches_batch_check(items);
                assert_eq!([0, 1, threshold - 1, threshold].map(reaches), [false, false, false, true]);
            }
            let asked = |items| on(platform, 1).with_batch_check_threshold(7).reaches_batch_check(items);
            assert_eq!([6, 7].map(asked), [false, true]);
        }
    }

    /// By their credit, which a batch of bad ones costs if it was put to the batch check.
    #[test]
    fn bip340_is_checked_in_batches_from_there_on() {
        for platform in Platform::available() {
            let threshold = 2 * platform.batch_check_threshold();
            for (items, is_checked) in [(threshold - 1, false), (threshold, true)] {
                let cpu = on(platform, 2);
                // 1 is the x of a point, R and P; the signatures are not true of it.
                let one: [u8; 32] = std::array::from_fn(|index| u8::from(index == 31));
                let signature: [u8; 64] = std::array::from_fn(|index| u8::from(index % 32 == 31));
                let batch: SchnorrBatch = (0..items).map(|_| SchnorrItem::new(&one, &signature, &one)).collect();
                assert!(cpu.verify_schnorr(&batch).iter().all(|verdict| !verdict.is_valid()));
                assert_eq!(cpu.schnorr_credit.extends_to(0), !is_checked, "{}, {items}", platform.name());
            }
        }
    }
}
