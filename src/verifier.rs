//! The front door: takes a batch, has a backend check it, and hands back one verdict per item, in order.

use crate::batch::MessageBatch;
use crate::cpu::hints::recover_hinted;
use crate::cpu::{CpuBackend, HintReport, HintSource, Hints};
use crate::error::Error;
use crate::key_book::KeyBook;
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::scheme::schnorr::SchnorrBatch;
use crate::verdict::Verdict;

/// Checks batches. Cheap to share behind an [`Arc`](std::sync::Arc); every method may be called from any thread.
#[derive(Debug, Default)]
pub struct Verifier {
    cpu: CpuBackend,
    key_book: KeyBook,
    claim_source: HintSource,
}

impl Verifier {
    /// A verifier on the rayon pool it is called from.
    #[must_use]
    pub fn cpu() -> Self {
        Self::default()
    }

    /// A verifier on a pool of its own; zero threads means one for each core.
    pub fn with_threads(threads: usize) -> Result<Self, Error> {
        Ok(Self::from(CpuBackend::with_threads(threads)?))
    }

    /// The CPU backend, for work that goes beside the checks, such as decoding.
    #[must_use]
    pub fn cpu_backend(&self) -> &CpuBackend {
        &self.cpu
    }

    /// Recovers the signer of every item.
    ///
    /// Returns as many verdicts as the batch has items, in the batch's order.
    pub fn recover(&self, batch: &RecoverBatch) -> Result<Vec<Verdict<Signer>>, Error> {
        counted("cpu", batch.len(), self.cpu.recover(batch))
    }

    /// Verifies every item against its key.
    ///
    /// Returns as many verdicts as the batch has items, in the batch's order.
    pub fn verify(&self, batch: &VerifyBatch) -> Result<Vec<Verdict<()>>, Error> {
        counted("cpu", batch.len(), self.cpu.verify(batch))
    }

    /// Recovers the signer of every item, sparing the recovery where a hint names a signer whose key is in the key book and
    /// the randomised batch check proves it. Verdicts are those of [`Verifier::recover`], whatever the hints; the keys that
    /// are recovered go into the book.
    pub fn recover_hinted(
        &self,
        batch: &RecoverBatch,
        hints: Hints<'_>,
    ) -> Result<(Vec<Verdict<Signer>>, HintReport), Error> {
        let (verdicts, report) = recover_hinted(&self.cpu, batch, hints, &self.key_book, |rest| self.recover(rest))?;
        Ok((counted("cpu", batch.len(), verdicts)?, report))
    }

    /// Verifies every BIP-340 signature.
    ///
    /// Returns as many verdicts as the batch has items, in the batch's order.
    pub fn verify_schnorr(&self, batch: &SchnorrBatch) -> Result<Vec<Verdict<()>>, Error> {
        counted("cpu", batch.len(), self.cpu.verify_schnorr(batch))
    }

    /// The keys that were recovered, by address.
    #[must_use]
    pub fn key_book(&self) -> &KeyBook {
        &self.key_book
    }

    /// How senders that blocks claim of themselves have fared as hints.
    #[cfg(feature = "ethereum")]
    pub(crate) fn claim_source(&self) -> &HintSource {
        &self.claim_source
    }

    /// Hashes every message.
    ///
    /// Returns as many 32-byte digests as the batch has messages, in the batch's order.
    pub fn hash(&self, function: HashFunction, messages: &MessageBatch) -> Result<Vec<[u8; 32]>, Error> {
        counted("cpu", messages.len(), self.cpu.hash(function, messages))
    }
}

/// A verifier with this CPU backend.
impl From<CpuBackend> for Verifier {
    fn from(cpu: CpuBackend) -> Self {
        Self { cpu, ..Self::default() }
    }
}

/// Counts what a backend answered before it is handed on: a lane that got lost must not shift the others.
fn counted<T>(backend: &'static str, handed: usize, answers: Vec<T>) -> Result<Vec<T>, Error> {
    if answers.len() == handed { Ok(answers) } else { Err(Error::Lost { backend, handed, answered: answers.len() }) }
}
