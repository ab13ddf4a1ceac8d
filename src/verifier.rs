//! The front door: takes a batch, has a backend check it, and hands back one verdict per item, in order.

use crate::batch::MessageBatch;
use crate::cpu::CpuBackend;
use crate::error::Error;
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::verdict::Verdict;

/// Checks batches. Cheap to share behind an [`Arc`](std::sync::Arc); every method may be called from any thread.
#[derive(Debug, Default)]
pub struct Verifier {
    cpu: CpuBackend,
}

impl Verifier {
    /// A verifier on the rayon pool it is called from.
    #[must_use]
    pub fn cpu() -> Self {
        Self::default()
    }

    /// A verifier on a pool of its own; zero threads means one for each core.
    pub fn with_threads(threads: usize) -> Result<Self, Error> {
        Ok(Self { cpu: CpuBackend::with_threads(threads)? })
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
        Self { cpu }
    }
}

/// Counts what a backend answered before it is handed on: a lane that got lost must not shift the others.
fn counted<T>(backend: &'static str, handed: usize, answers: Vec<T>) -> Result<Vec<T>, Error> {
    if answers.len() == handed { Ok(answers) } else { Err(Error::Lost { backend, handed, answered: answers.len() }) }
}
