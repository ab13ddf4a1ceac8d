//! The front door: takes a batch, has a backend check it, and hands back one verdict per item, in order.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::MessageBatch;
use crate::choice::BackendChoice;
#[cfg(feature = "gpu")]
use crate::choice::{Candidate, choose};
use crate::cpu::hints::recover_hinted;
use crate::cpu::{Audit, CpuBackend, HintReport, HintSource, Hints};
use crate::error::Error;
#[cfg(feature = "gpu")]
use crate::gpu::{Adapter, GpuBackend, GpuConfig, adapters, cache::Cache, shader::Arithmetic};
use crate::key_book::KeyBook;
use crate::merkle::{bitcoin, rfc6962};
#[cfg(feature = "gpu")]
use crate::route::{Decision, Device, Divisible, Hashing, RoutedGpu, Router, Store};
use crate::route::{Work, observe};
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::scheme::schnorr::SchnorrBatch;
use crate::verdict::Verdict;

/// What checks, and with how much.
#[derive(Clone, Debug, Default)]
pub struct VerifierConfig {
    /// The backend.
    pub backend: BackendChoice,
    /// Threads of a pool of its own, zero for one for each core; `None` for the rayon pool it is called from.
    pub threads: Option<usize>,
    /// From how many items on they are put to the batch check; `None` for where it gains
    /// ([`CpuBackend::with_batch_check_threshold`]).
    pub batch_check_threshold: Option<usize>,
    /// Bytes of a GPU's memory in all: less of it makes smaller dispatches. `None` for a quarter of what the adapter gives one buffer,
    /// at most a gibibyte.
    pub gpu_memory: Option<u64>,
    /// The variant of the GPU's kernels; `None` for the faster one, by timing.
    #[cfg(feature = "gpu")]
    pub arithmetic: Option<Arithmetic>,
    /// Whether nothing is kept on disk: neither compiled pipelines, nor which variant is faster, nor what work costs.
    pub without_cache: bool,
    /// Where a batch is divided: how long a GPU has at most, before the CPU does its share over. `None` for twice the time that the
    /// batch is expected to take.
    pub deadline: Option<Duration>,
    /// How much of what a GPU recovers is audited on the CPU, where a disputed key is then recovered anew.
    pub audit: Audit,
}

/// Checks batches. Cheap to share behind an [`Arc`](std::sync::Arc); every method may be called from any thread.
#[derive(Debug)]
pub struct Verifier {
    cpu: Arc<CpuBackend>,
    key_book: KeyBook,
    #[cfg_attr(not(feature = "ethereum"), allow(dead_code, reason = "only Ethereum's blocks claim senders"))]
    claim_source: HintSource,
    #[cfg(feature = "gpu")]
    gpu: Option<Gpu>,
    backend: String,
}

/// The adapters that were chosen.
#[cfg(feature = "gpu")]
#[derive(Debug)]
enum Gpu {
    /// One that was asked for, and answers all.
    Alone(GpuBackend),
    /// Beside the CPU, each as much as ends soonest.
    Beside(Router),
}

#[cfg(feature = "gpu")]
impl Drop for Gpu {
    fn drop(&mut self) {
        // The other one does so by itself.
        if let Self::Beside(router) = self {
            router.end_devices();
        }
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::cpu()
    }
}

impl Verifier {
    /// A verifier on the rayon pool it is called from.
    #[must_use]
    pub fn cpu() -> Self {
        Self::on_cpu(CpuBackend::default(), "asked for")
    }

    /// A verifier on a pool of its own; zero threads means one for each core.
    pub fn with_threads(threads: usize) -> Result<Self, Error> {
        Ok(Self::on_cpu(CpuBackend::with_threads(threads)?, "asked for"))
    }

    /// A verifier with the backend that was asked for.
    ///
    /// A GPU is opened and its kernels are compiled in the background. Meanwhile the CPU checks under [`BackendChoice::Auto`]; whoever
    /// asked for a GPU waits for it with the first batch. A GPU that fails later is replaced by the CPU, which is logged.
    ///
    /// An error if what was asked for is not there or could never serve.
    pub fn new(config: &VerifierConfig) -> Result<Self, Error> {
        let cpu = config.threads.map_or_else(|| Ok(CpuBackend::default()), CpuBackend::with_threads)?;
        let cpu = match config.batch_check_threshold {
            Some(items) => cpu.with_batch_check_threshold(items),
            None => cpu,
        };
        if config.backend.is_cpu() {
            return Ok(Self::on_cpu(cpu, "asked for"));
        }
        Self::choose(config, cpu)
    }

    #[cfg(feature = "gpu")]
    fn choose(config: &VerifierConfig, cpu: CpuBackend) -> Result<Self, Error> {
        let adapters = adapters();
        let candidates: Vec<_> = adapters.iter().map(|adapter| candidate(adapter, config.arithmetic)).collect();
        let chosen = choose(&config.backend, &candidates)?;
        let Some(adapter) = chosen.adapter.and_then(|index| adapters.get(index)) else {
            return Ok(Self::on_cpu(cpu, &chosen.reason));
        };
        let backend = format!("{}: {}", adapter.describe(), chosen.reason);
        let gpu_config = GpuConfig {
            memory: config.gpu_memory,
            arithmetic: config.arithmetic,
            is_cached: !config.without_cache,
            is_explicit: config.backend.is_explicit(),
            audit: config.audit,
        };
        if !config.backend.is_divided() {
            tracing::info!(%backend, "backend chosen");
            let gpu = Gpu::Alone(GpuBackend::open(adapter, gpu_config));
            return Ok(Self::with(Arc::new(cpu), Some(gpu), backend));
        }
        let cpu = Arc::new(cpu);
        // One worker each for every GPU; the same GPU behind another interface would be the same GPU.
        let is_another = |other: &&Adapter| {
            config.backend == BackendChoice::Auto && other.is_for_auto() && other.backend() == adapter.backend()
        };
        let others = (0..).zip(&adapters).filter(|(index, _)| Some(*index) != chosen.adapter).map(|(_, other)| other);
        let mut devices: Vec<Arc<dyn Device>> = Vec::new();
        for adapter in std::iter::once(adapter).chain(others.filter(is_another)) {
            let gpu = GpuBackend::open(adapter, gpu_config);
            let (name, identity) = (adapter.name(), adapter.identity());
            devices.push(Arc::new(RoutedGpu::new(gpu, Arc::clone(&cpu), name, identity, gpu_config.is_explicit)));
        }
        let count = devices.len();
        let backend = if count == 1 {
            format!("cpu beside {backend}")
        } else {
            format!("cpu beside {count} GPUs, the first {backend}")
        };
        tracing::info!(%backend, "backend chosen");
        let store = if config.without_cache { None } else { Cache::find().map(Store::new) };
        let router = Router::start(Arc::clone(&cpu), devices, store)
            .map_err(|error| Error::Backend { asked: config.backend.to_string(), problem: error.to_string() })?;
        config.deadline.into_iter().for_each(|deadline| router.set_deadline(deadline));
        Ok(Self::with(cpu, Some(Gpu::Beside(router)), backend))
    }

    /// Built without GPUs.
    #[cfg(not(feature = "gpu"))]
    fn choose(config: &VerifierConfig, cpu: CpuBackend) -> Result<Self, Error> {
        if config.backend.is_explicit() {
            let problem = "built without the feature `gpu`; `cpu` and `auto` do without".to_owned();
            return Err(Error::Backend { asked: config.backend.to_string(), problem });
        }
        Ok(Self::on_cpu(cpu, "built without the feature `gpu`"))
    }

    fn on_cpu(cpu: CpuBackend, reason: &str) -> Self {
        tracing::debug!(reason, "the CPU checks");
        Self {
            cpu: Arc::new(cpu),
            key_book: KeyBook::default(),
            claim_source: HintSource::new(),
            #[cfg(feature = "gpu")]
            gpu: None,
            backend: format!("cpu: {reason}"),
        }
    }

    #[cfg(feature = "gpu")]
    fn with(cpu: Arc<CpuBackend>, gpu: Option<Gpu>, backend: String) -> Self {
        Self { cpu, key_book: KeyBook::default(), claim_source: HintSource::new(), gpu, backend }
    }

    /// What was chosen to check, and why.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.backend
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
        let check = || observe::checked("cpu", Work::Recover.name(), batch.len(), || self.cpu.recover(batch));
        #[cfg(feature = "gpu")]
        match &self.gpu {
            Some(Gpu::Beside(router)) => return counted("routed", batch.len(), router.answer(batch)?),
            Some(Gpu::Alone(gpu)) => {
                let given =
                    observe::checked("gpu", Work::Recover.name(), batch.len(), || gpu.recover(&self.cpu, batch));
                if let Some(verdicts) = given? {
                    return counted("gpu", batch.len(), verdicts);
                }
            }
            None => {}
        }
        counted("cpu", batch.len(), check())
    }

    /// Verifies every item against its key.
    ///
    /// Returns as many verdicts as the batch has items, in the batch's order.
    pub fn verify(&self, batch: &VerifyBatch) -> Result<Vec<Verdict<()>>, Error> {
        let check = || observe::checked("cpu", Work::Verify.name(), batch.len(), || self.cpu.verify(batch));
        #[cfg(feature = "gpu")]
        match &self.gpu {
            Some(Gpu::Beside(router)) => return counted("routed", batch.len(), router.answer(batch)?),
            Some(Gpu::Alone(gpu)) => {
                let given = observe::checked("gpu", Work::Verify.name(), batch.len(), || gpu.verify(&self.cpu, batch));
                if let Some(verdicts) = given? {
                    return counted("gpu", batch.len(), verdicts);
                }
            }
            None => {}
        }
        counted("cpu", batch.len(), check())
    }

    /// Recovers the signer of every item, sparing the recovery where a hint names a signer whose key is in the key book and
    /// the randomised batch check proves it; in batches that are large enough to gain by it. Verdicts are those of
    /// [`Verifier::recover`], whatever the hints; the keys that are recovered go into the book.
    pub fn recover_hinted(
        &self,
        batch: &RecoverBatch,
        hints: Hints<'_>,
    ) -> Result<(Vec<Verdict<Signer>>, HintReport), Error> {
        let recover = || recover_hinted(&self.cpu, batch, hints, &self.key_book, |rest| self.recover(rest));
        let (verdicts, report) = observe::checked("cpu", "recover-hinted", batch.len(), recover)?;
        Ok((counted("cpu", batch.len(), verdicts)?, report))
    }

    /// Verifies every BIP-340 signature.
    ///
    /// Returns as many verdicts as the batch has items, in the batch's order.
    pub fn verify_schnorr(&self, batch: &SchnorrBatch) -> Result<Vec<Verdict<()>>, Error> {
        let verify = || self.cpu.verify_schnorr(batch);
        counted("cpu", batch.len(), observe::checked("cpu", "bip340", batch.len(), verify))
    }

    /// Whether many items take hardly longer than few: a GPU's time. On the CPU alone, waiting for more only delays what follows.
    #[must_use]
    pub const fn gains_by_large_batches(&self) -> bool {
        #[cfg(feature = "gpu")]
        return self.gpu.is_some();
        #[cfg(not(feature = "gpu"))]
        false
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
        let check = || self.cpu.hash(function, messages);
        #[cfg(feature = "gpu")]
        match &self.gpu {
            Some(Gpu::Beside(router)) => {
                return counted("routed", messages.len(), router.answer(&Hashing { function, messages })?);
            }
            Some(Gpu::Alone(gpu)) => {
                let hash = || gpu.hash(&self.cpu, function, messages);
                if let Some(digests) = observe::checked("gpu", Work::Hash(function).name(), messages.len(), hash)? {
                    return counted("gpu", messages.len(), digests);
                }
            }
            None => {}
        }
        counted("cpu", messages.len(), observe::checked("cpu", Work::Hash(function).name(), messages.len(), check))
    }

    /// What [`bitcoin::root`] says of these leaves, of any number.
    pub fn bitcoin_root(&self, leaves: &[[u8; 32]]) -> Result<bitcoin::Root, Error> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.gpu_for_hashes()
            && let Some(root) =
                observe::checked("gpu", "bitcoin-root", leaves.len(), || gpu.bitcoin_root(&self.cpu, leaves))?
        {
            return Ok(root);
        }
        Ok(observe::checked("cpu", "bitcoin-root", leaves.len(), || self.cpu.install(|| bitcoin::root(leaves))))
    }

    /// What [`bitcoin::Branch::new`] says of each index of these leaves; none past their end.
    pub fn bitcoin_branches(
        &self,
        leaves: &[[u8; 32]],
        indices: &[usize],
    ) -> Result<Vec<Option<bitcoin::Branch>>, Error> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.gpu_for_hashes()
            && let Some(branches) = observe::checked("gpu", "bitcoin-branches", leaves.len(), || {
                gpu.bitcoin_branches(&self.cpu, leaves, indices)
            })?
        {
            return Ok(branches);
        }
        let branches = || indices.iter().map(|index| bitcoin::Branch::new(leaves, *index)).collect();
        Ok(observe::checked("cpu", "bitcoin-branches", leaves.len(), || self.cpu.install(branches)))
    }

    /// The root of RFC 6962's tree over these hashes of leaves.
    pub fn rfc6962_root(&self, leaf_hashes: &[[u8; 32]]) -> Result<[u8; 32], Error> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.gpu_for_hashes()
            && let Some(root) =
                observe::checked("gpu", "rfc6962-root", leaf_hashes.len(), || gpu.rfc6962_root(&self.cpu, leaf_hashes))?
        {
            return Ok(root);
        }
        let root = || rfc6962::Tree::of_leaf_hashes(leaf_hashes.to_vec()).root();
        Ok(observe::checked("cpu", "rfc6962-root", leaf_hashes.len(), || self.cpu.install(root)))
    }

    /// The inclusion proof of each index in RFC 6962's tree over these hashes of leaves; none past their end.
    pub fn rfc6962_inclusion_proofs(
        &self,
        leaf_hashes: &[[u8; 32]],
        indices: &[usize],
    ) -> Result<Vec<Option<Vec<[u8; 32]>>>, Error> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.gpu_for_hashes()
            && let Some(proofs) = observe::checked("gpu", "rfc6962-proofs", leaf_hashes.len(), || {
                gpu.rfc6962_inclusion_proofs(&self.cpu, leaf_hashes, indices)
            })?
        {
            return Ok(proofs);
        }
        let proofs = || {
            let tree = rfc6962::Tree::of_leaf_hashes(leaf_hashes.to_vec());
            indices.iter().map(|index| tree.inclusion_proof(*index as u64).ok()).collect()
        };
        Ok(observe::checked("cpu", "rfc6962-proofs", leaf_hashes.len(), || self.cpu.install(proofs)))
    }

    /// The GPU, if it answers all. A CPU hashes trees that lie in its memory sooner than they could be copied to a GPU that has its own.
    #[cfg(feature = "gpu")]
    fn gpu_for_hashes(&self) -> Option<&GpuBackend> {
        match &self.gpu {
            Some(Gpu::Alone(gpu)) => Some(gpu),
            Some(Gpu::Beside(_)) | None => None,
        }
    }

    /// Recovers as [`Verifier::recover`] does, and tells who answered what and why. The CPU alone decides nothing.
    #[cfg(feature = "gpu")]
    pub fn recover_and_tell(&self, batch: &RecoverBatch) -> Result<(Vec<Verdict<Signer>>, Option<Decision>), Error> {
        self.tell(batch, || self.recover(batch))
    }

    /// Verifies as [`Verifier::verify`] does, and tells who answered what and why. The CPU alone decides nothing.
    #[cfg(feature = "gpu")]
    pub fn verify_and_tell(&self, batch: &VerifyBatch) -> Result<(Vec<Verdict<()>>, Option<Decision>), Error> {
        self.tell(batch, || self.verify(batch))
    }

    /// Hashes as [`Verifier::hash`] does, and tells who answered what and why. The CPU alone decides nothing.
    #[cfg(feature = "gpu")]
    pub fn hash_and_tell(
        &self,
        function: HashFunction,
        messages: &MessageBatch,
    ) -> Result<(Vec<[u8; 32]>, Option<Decision>), Error> {
        self.tell(&Hashing { function, messages }, || self.hash(function, messages))
    }

    #[cfg(feature = "gpu")]
    fn tell<B: Divisible>(
        &self,
        batch: &B,
        otherwise: impl FnOnce() -> Result<Vec<B::Answer>, Error>,
    ) -> Result<(Vec<B::Answer>, Option<Decision>), Error> {
        let Some(Gpu::Beside(router)) = &self.gpu else { return Ok((otherwise()?, None)) };
        let (answers, decision) = router.answer_and_tell(batch)?;
        Ok((counted("routed", batch.len(), answers)?, Some(decision)))
    }

    /// Waits until it is known what work costs the adapters beside the CPU, at most so long; tells whether it is. Until then the CPU
    /// answers everything.
    #[cfg(feature = "gpu")]
    #[must_use]
    pub fn wait_until_measured(&self, patience: Duration) -> bool {
        match &self.gpu {
            Some(Gpu::Beside(router)) => router.wait_until_measured(patience),
            _ => true,
        }
    }
}

#[cfg(feature = "gpu")]
fn candidate(adapter: &Adapter, arithmetic: Option<Arithmetic>) -> Candidate {
    use crate::gpu::AdapterKind;
    let refusal = match arithmetic {
        Some(arithmetic) => adapter.refusal(arithmetic),
        None => adapter.refusals().first().cloned(),
    };
    Candidate {
        name: adapter.name().to_owned(),
        rank: match adapter.kind() {
            AdapterKind::Discrete => 0,
            AdapterKind::Integrated => 1,
            AdapterKind::Virtual => 2,
            AdapterKind::Other | AdapterKind::Software => 3,
        },
        is_software: adapter.is_software(),
        refused: refusal.map(|refusal| refusal.to_string()),
    }
}

/// A verifier with this CPU backend.
impl From<CpuBackend> for Verifier {
    fn from(cpu: CpuBackend) -> Self {
        Self::on_cpu(cpu, "asked for")
    }
}

/// Counts what a backend answered before it is handed on: a lane that got lost must not shift the others.
fn counted<T>(backend: &'static str, handed: usize, answers: Vec<T>) -> Result<Vec<T>, Error> {
    if answers.len() == handed { Ok(answers) } else { Err(Error::Lost { backend, handed, answered: answers.len() }) }
}
