//! The CPU backend: every item by itself, in order, over rayon's threads.
//!
//! An answer depends on its item alone, so neither the number of threads nor the way a batch is cut can change it.

pub(crate) mod ecdsa;
mod hash;

use std::ops::RangeInclusive;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::batch::{Batch, Columns, MessageBatch};
use crate::error::Error;
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::verdict::{Reason, Verdict};

pub use hash::{KeccakLanes, Sha256Lanes, hash_each, keccak256, keccak256_of_keys, sha256, sha256d};

/// Items a thread takes at a time: about a millisecond of recoveries, so that threads seldom ask for more and
/// none is left waiting for long at the end.
const ITEMS_PER_TASK: usize = 16;

/// Messages a thread takes at a time when hashing: enough to fill every lane with messages of like length.
const HASHES_PER_TASK: RangeInclusive<usize> = 16..=256;

/// Where messages are long, a thread takes no more of them than have about so many bytes: a tenth of a millisecond.
const TASK_BYTES: usize = 1 << 16;

/// The rayon backend. By default it works on the pool it is called from, rayon's global one unless the caller installed
/// another; with [`CpuBackend::with_threads`] on a pool of its own.
#[derive(Debug, Default)]
pub struct CpuBackend {
    pool: Option<rayon::ThreadPool>,
}

impl CpuBackend {
    /// A backend with a pool of its own; zero threads means one for each core.
    pub fn with_threads(threads: usize) -> Result<Self, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("phalanx-cpu-{index}"))
            .build()
            .map_err(|source| Error::ThreadPool { threads, source })?;
        Ok(Self { pool: Some(pool) })
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
        self.check_each(batch, ecdsa::recover)
    }

    /// Verifies every item, in order.
    #[must_use]
    pub fn verify(&self, batch: &VerifyBatch) -> Vec<Verdict<()>> {
        self.check_each(batch, ecdsa::verify)
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

    fn check_each<C: Columns, T: Send>(
        &self,
        batch: &Batch<C>,
        check: impl Fn(&C::Item) -> Result<T, Reason> + Sync,
    ) -> Vec<Verdict<T>>
    where
        C::Item: Send,
    {
        self.install(|| {
            (0..batch.len())
                .into_par_iter()
                .with_min_len(ITEMS_PER_TASK)
                .filter_map(|index| batch.get(index))
                .map(|item| item.and_then(|item| check(&item)).into())
                .collect()
        })
    }
}
