//! The GPU backend: the programs that serve on one adapter, and what a batch gets where they do not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::cache::{Cache, StoredPipelines};
use super::device::Adapter;
use super::driver::wgpu::WgpuDriver;
use super::ecdsa::{Recover, Verify};
use super::error::Fault;
use super::hash::{Keccak256, Messages, Sha256, Sha256d};
use super::merkle::{Bitcoin, Leaves, Rfc6962, Subtree, Subtrees, Tree};
use super::merkle_tree::Climb;
use super::program::Program;
use super::shader::Arithmetic;
use super::station::{Service, Start, Station};
use super::team::feeders;
use super::tune::tune;
use super::worker::{END_PATIENCE, Given, Served, Serving, Settings, Worker};
use crate::batch::{Batch, Columns, MessageBatch};
use crate::choice::ELSE;
use crate::cpu::{Audit, CpuBackend};
use crate::error::Error;
use crate::merkle::bitcoin;
use crate::route::Work;
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::verdict::{Reason, Verdict};

/// How long whoever asked for this adapter waits for it to be opened and admitted.
const READY_PATIENCE: Duration = Duration::from_mins(10);

/// Items that are audited while a device recovers as many others: it is full with fewer, and the audit as cheap as it gets. Few in
/// tests, whose batches are small.
const AUDITED_AT_ONCE: usize = if cfg!(test) { 128 } else { 65_536 };

/// The least memory that running out of it leads to.
const LEAST_MEMORY: u64 = 16 << 20;

/// Nodes of a tree from which the CPU climbs on: it is there before a device has begun.
const LEFT_TO_CPU: usize = 1_024;

/// An audit path; none past the end of the tree.
pub(crate) type InclusionProof = Option<Vec<[u8; 32]>>;

/// How an adapter is to serve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GpuConfig {
    /// Bytes of buffers in all; what the adapter suggests where there is none.
    pub(crate) memory: Option<u64>,
    /// The variant; the faster one where there is none.
    pub(crate) arithmetic: Option<Arithmetic>,
    /// Whether compiled pipelines and the choice of variant are kept on disk.
    pub(crate) is_cached: bool,
    /// Whether this adapter was asked for, so that the CPU may not take its place unsaid.
    pub(crate) is_explicit: bool,
    /// How much of what it recovers is audited.
    pub(crate) audit: Audit,
}

/// An adapter in service.
#[derive(Debug)]
pub(crate) struct GpuBackend {
    name: String,
    is_explicit: bool,
    pub(super) audit: Audit,
    station: Arc<Station>,
    recover: Post<Recover>,
    verify: Post<Verify>,
    sha256: Post<Messages<Sha256>>,
    sha256d: Post<Messages<Sha256d>>,
    keccak256: Post<Messages<Keccak256>>,
    bitcoin: Post<Subtrees<Bitcoin>>,
    rfc6962: Post<Subtrees<Rfc6962>>,
}

/// A program, and its place in the station.
#[derive(Debug)]
struct Post<P: Program> {
    served: Arc<Served<P>>,
    number: usize,
}

/// Programs in the order in which they are admitted.
#[derive(Default)]
struct Posts {
    all: Vec<Arc<dyn Serving>>,
}

impl Posts {
    fn add<P: Program>(&mut self, program: P) -> Post<P> {
        let served = Arc::new(Served::new(program));
        self.all.push(served.clone());
        Post { served, number: self.all.len() - 1 }
    }
}

/// The items of a batch that were not rejected while parsing.
struct Parsed<'a, C> {
    batch: &'a Batch<C>,
    /// Their indices; none where they are all.
    indices: Option<Vec<usize>>,
}

impl<'a, C: Columns> Parsed<'a, C> {
    fn of(batch: &'a Batch<C>) -> Self {
        let parsed = || (0..batch.len()).filter(|at| matches!(batch.get(*at), Some(Ok(_)))).collect();
        Self { batch, indices: batch.has_rejected().then(parsed) }
    }

    fn len(&self) -> usize {
        self.indices.as_ref().map_or_else(|| self.batch.len(), Vec::len)
    }

    fn item(&self, index: usize) -> C::Item {
        let index = self.indices.as_ref().map_or(index, |indices| indices[index]);
        // There is no other case; a placeholder is never valid.
        self.batch.get(index).and_then(Result::ok).unwrap_or_else(C::placeholder)
    }

    /// Answers for all of the batch, out of those of what was parsed.
    fn merged<A>(&self, answers: Vec<A>, rejected: impl Fn(Reason) -> A) -> Vec<A> {
        if self.indices.is_none() {
            return answers;
        }
        let mut answers = answers.into_iter();
        let answer = |at: usize| match self.batch.get(at)? {
            Ok(_) => answers.next(),
            Err(reason) => Some(rejected(reason)),
        };
        // An answer that is missing is noticed where they are counted.
        (0..self.batch.len()).map_while(answer).collect()
    }
}

impl GpuBackend {
    /// Starts to open an adapter; returns at once.
    pub(crate) fn open(adapter: &Adapter, config: GpuConfig) -> Self {
        let start = start(adapter.clone(), config);
        let mut backend = Self::with(adapter.name().to_owned(), adapter.describe(), config.is_explicit, start);
        backend.audit = config.audit;
        backend
    }

    pub(super) fn with(
        name: String,
        what: String,
        is_explicit: bool,
        (start, ready): (Start, super::station::Ready),
    ) -> Self {
        let mut posts = Posts::default();
        let recover = posts.add(Recover::new());
        let verify = posts.add(Verify::new());
        let sha256 = posts.add(Messages::new());
        let sha256d = posts.add(Messages::new());
        let keccak256 = posts.add(Messages::new());
        let bitcoin = posts.add(Subtrees::new());
        let rfc6962 = posts.add(Subtrees::new());
        let station = Station::open(what, start, ready, posts.all);
        let audit = Audit::Off;
        Self { name, is_explicit, audit, station, recover, verify, sha256, sha256d, keccak256, bitcoin, rfc6962 }
    }

    /// Recovers signers; `None` where the CPU is to do it.
    pub(crate) fn recover(
        &self,
        cpu: &CpuBackend,
        batch: &RecoverBatch,
    ) -> Result<Option<Vec<Verdict<Signer>>>, Error> {
        self.audit_while(cpu, batch, |part| self.check(&self.recover, cpu, part))
    }

    /// Audits what `answer` has the device recover; of a large batch a part, while it recovers the next.
    pub(crate) fn audit_while<E>(
        &self,
        cpu: &CpuBackend,
        batch: &RecoverBatch,
        mut answer: impl FnMut(&RecoverBatch) -> Result<Option<Vec<Verdict<Signer>>>, E>,
    ) -> Result<Option<Vec<Verdict<Signer>>>, E> {
        // A thread of a rayon pool that waited for another to audit on that pool might wait for itself.
        let is_of_a_pool = rayon::current_thread_index().is_some();
        if self.audit == Audit::Off || batch.len() < 2 * AUDITED_AT_ONCE || is_of_a_pool {
            return Ok(answer(batch)?.map(|verdicts| self.audited(cpu, batch, verdicts)));
        }
        let mut verdicts = Vec::with_capacity(batch.len());
        let mut recovered: Option<(RecoverBatch, Vec<Verdict<Signer>>)> = None;
        for start in (0..batch.len()).step_by(AUDITED_AT_ONCE) {
            let part = batch.part(start..start + AUDITED_AT_ONCE);
            let audited = || recovered.take().map(|(part, verdicts)| self.audited(cpu, &part, verdicts));
            let (given, audited) = beside(|| answer(&part), audited);
            verdicts.extend(audited.into_iter().flatten());
            match given? {
                Some(given) => recovered = Some((part, given)),
                // The device serves no more, and the CPU does the rest; or it never did, and the CPU does all.
                None if start == 0 => return Ok(None),
                None => verdicts.extend(cpu.recover(&part)),
            }
        }
        verdicts.extend(recovered.map(|(part, verdicts)| self.audited(cpu, &part, verdicts)).into_iter().flatten());
        Ok(Some(verdicts))
    }

    /// Audits the keys that the device recovered, and puts the CPU's answers in the place of those that are disputed. A device
    /// that was wrong is asked no more.
    fn audited(&self, cpu: &CpuBackend, batch: &RecoverBatch, verdicts: Vec<Verdict<Signer>>) -> Vec<Verdict<Signer>> {
        // Answers that are missing are noticed where they are counted.
        if self.audit == Audit::Off || verdicts.len() != batch.len() {
            return verdicts;
        }
        let (verdicts, report) = cpu.confirm(batch, verdicts, self.audit);
        metrics::counter!("phalanx.gpu.audit.items").increment(report.checked as u64);
        metrics::counter!("phalanx.gpu.audit.wrong").increment(report.wrong.len() as u64);
        if let Some(index) = report.wrong.first()
            && let Service::Ready(worker, _) = self.station.service(self.recover.number)
        {
            let what = format!("{} of {} audited keys, the first at item {index}", report.wrong.len(), report.checked);
            self.station.give_up(&worker, &Fault::Wrong(what));
        }
        verdicts
    }

    /// Verifies; `None` where the CPU is to do it.
    pub(crate) fn verify(&self, cpu: &CpuBackend, batch: &VerifyBatch) -> Result<Option<Vec<Verdict<()>>>, Error> {
        self.check(&self.verify, cpu, batch)
    }

    /// Hashes messages; `None` where the CPU is to do it.
    pub(crate) fn hash(
        &self,
        cpu: &CpuBackend,
        function: HashFunction,
        messages: &MessageBatch,
    ) -> Result<Option<Vec<[u8; 32]>>, Error> {
        let item = |index: usize| messages.get(index).unwrap_or_default();
        match function {
            HashFunction::Sha256 => self.serve(&self.sha256, cpu, messages.len(), &item),
            HashFunction::Sha256d => self.serve(&self.sha256d, cpu, messages.len(), &item),
            HashFunction::Keccak256 => self.serve(&self.keccak256, cpu, messages.len(), &item),
        }
    }

    /// What [`bitcoin::root`] says of these leaves; `None` where the CPU is to do it.
    pub(crate) fn bitcoin_root(&self, cpu: &CpuBackend, leaves: &[[u8; 32]]) -> Result<Option<bitcoin::Root>, Error> {
        Ok(self.climb(&self.bitcoin, cpu, leaves)?.map(|climb| climb.bitcoin_root()))
    }

    /// What [`bitcoin::Branch::new`] says of each index; `None` where the CPU is to do it.
    pub(crate) fn bitcoin_branches(
        &self,
        cpu: &CpuBackend,
        leaves: &[[u8; 32]],
        indices: &[usize],
    ) -> Result<Option<Vec<Option<bitcoin::Branch>>>, Error> {
        let climb = self.climb(&self.bitcoin, cpu, leaves)?;
        Ok(climb.map(|climb| indices.iter().map(|index| climb.bitcoin_branch(*index)).collect()))
    }

    /// The root of RFC 6962's tree over hashes of leaves; `None` where the CPU is to do it.
    pub(crate) fn rfc6962_root(&self, cpu: &CpuBackend, leaf_hashes: &[[u8; 32]]) -> Result<Option<[u8; 32]>, Error> {
        Ok(self.climb(&self.rfc6962, cpu, leaf_hashes)?.map(|climb| climb.rfc6962_root()))
    }

    /// The inclusion proof of each index; `None` where the CPU is to do it.
    pub(crate) fn rfc6962_inclusion_proofs(
        &self,
        cpu: &CpuBackend,
        leaf_hashes: &[[u8; 32]],
        indices: &[usize],
    ) -> Result<Option<Vec<InclusionProof>>, Error> {
        let climb = self.climb(&self.rfc6962, cpu, leaf_hashes)?;
        Ok(climb.map(|climb| indices.iter().map(|index| climb.rfc6962_inclusion_proof(*index)).collect()))
    }

    /// Waits until a kind of work can be had of an adapter that was asked for; an error if it never can.
    pub(crate) fn expect(&self, work: Work) -> Result<(), Error> {
        let (program, name) = self.program(work);
        if self.station.has_served(program) { Ok(()) } else { self.worker(program, name).map(drop) }
    }

    /// Serves nothing any more, and closes the device; on the thread that drops what uses it, whichever thread has the last of it.
    pub(crate) fn end(&self) {
        self.station.end(END_PATIENCE);
    }

    /// Whether a kind of work would be served now. Never waits.
    pub(crate) fn serves(&self, work: Work) -> bool {
        matches!(self.station.service(self.program(work).0), Service::Ready(..))
    }

    /// The program that does a kind of work: its place in the station, and its name.
    fn program(&self, work: Work) -> (usize, &'static str) {
        match work {
            Work::Recover => (self.recover.number, Recover::NAME),
            Work::Verify => (self.verify.number, Verify::NAME),
            Work::Hash(HashFunction::Sha256) => (self.sha256.number, Messages::<Sha256>::NAME),
            Work::Hash(HashFunction::Sha256d) => (self.sha256d.number, Messages::<Sha256d>::NAME),
            Work::Hash(HashFunction::Keccak256) => (self.keccak256.number, Messages::<Keccak256>::NAME),
        }
    }

    /// What the device gives of these recoveries, the CPU answering for none but those that the host's own checks settle, and what
    /// was rejected while parsing; `None` if it does not serve now.
    pub(crate) fn give_recover(&self, cpu: &CpuBackend, batch: &RecoverBatch) -> Option<Given<Verdict<Signer>>> {
        self.give_batch(&self.recover, cpu, batch)
    }

    /// The same for verifications.
    pub(crate) fn give_verify(&self, cpu: &CpuBackend, batch: &VerifyBatch) -> Option<Given<Verdict<()>>> {
        self.give_batch(&self.verify, cpu, batch)
    }

    /// The same for hashes of messages; of one that fits into no dispatch, none.
    pub(crate) fn give_hash(
        &self,
        cpu: &CpuBackend,
        function: HashFunction,
        messages: &MessageBatch,
    ) -> Option<Given<[u8; 32]>> {
        let item = |index: usize| messages.get(index).unwrap_or_default();
        match function {
            HashFunction::Sha256 => self.give(&self.sha256, cpu, messages.len(), &item),
            HashFunction::Sha256d => self.give(&self.sha256d, cpu, messages.len(), &item),
            HashFunction::Keccak256 => self.give(&self.keccak256, cpu, messages.len(), &item),
        }
    }

    /// Whether each program may serve, in the order of their admission; waits until that is known.
    pub(super) fn admissions(&self) -> Vec<(&'static str, Result<(), Fault>)> {
        let admission = |name, number| {
            let served = match self.station.wait(number, READY_PATIENCE) {
                Service::Ready(..) => Ok(()),
                Service::Starting => Err(Fault::Hung(READY_PATIENCE)),
                Service::Refused(fault) | Service::Resting(fault) | Service::Quarantined(fault) => Err(fault),
            };
            (name, served)
        };
        vec![
            admission(Recover::NAME, self.recover.number),
            admission(Verify::NAME, self.verify.number),
            admission(Messages::<Sha256>::NAME, self.sha256.number),
            admission(Messages::<Sha256d>::NAME, self.sha256d.number),
            admission(Messages::<Keccak256>::NAME, self.keccak256.number),
            admission(Subtrees::<Bitcoin>::NAME, self.bitcoin.number),
            admission(Subtrees::<Rfc6962>::NAME, self.rfc6962.number),
        ]
    }

    fn give_batch<C: Columns, P, T>(
        &self,
        post: &Post<P>,
        cpu: &CpuBackend,
        batch: &Batch<C>,
    ) -> Option<Given<Verdict<T>>>
    where
        P: for<'x> Program<Item<'x> = C::Item, Answer = Verdict<T>>,
        C::Item: Send + Sync,
    {
        let parsed = Parsed::of(batch);
        let given = self.give(post, cpu, parsed.len(), &|index: usize| parsed.item(index))?;
        Some(given.among(|answers| parsed.merged(answers, |reason| Some(Verdict::Invalid(reason)))))
    }

    fn check<C: Columns, P, T>(
        &self,
        post: &Post<P>,
        cpu: &CpuBackend,
        batch: &Batch<C>,
    ) -> Result<Option<Vec<Verdict<T>>>, Error>
    where
        P: for<'x> Program<Item<'x> = C::Item, Answer = Verdict<T>>,
        C::Item: Send + Sync,
    {
        let parsed = Parsed::of(batch);
        let answers = self.serve(post, cpu, parsed.len(), &|index: usize| parsed.item(index))?;
        Ok(answers.map(|answers| parsed.merged(answers, Verdict::Invalid)))
    }

    /// Climbs a tree; `None` where the CPU is to do all of it.
    fn climb<'a, T: Tree>(
        &self,
        post: &Post<Subtrees<T>>,
        cpu: &CpuBackend,
        leaves: &'a [[u8; 32]],
    ) -> Result<Option<Climb<'a>>, Error> {
        // An error, or none where the CPU is to do it.
        let reduce = |subtrees: &[Leaves]| -> Result<Vec<Subtree>, Option<Error>> {
            let count = subtrees.len();
            let roots = self.serve(post, cpu, count, &|index: usize| &subtrees[index]).map_err(Some)?.ok_or(None)?;
            let lost = Error::Lost { backend: "gpu", handed: count, answered: roots.len() };
            if roots.len() == count { Ok(roots) } else { Err(Some(lost)) }
        };
        match Climb::new::<T, _>(leaves, LEFT_TO_CPU, reduce) {
            Ok(climb) => Ok(Some(climb)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    fn give<'a, P: Program>(
        &self,
        post: &'a Post<P>,
        cpu: &CpuBackend,
        count: usize,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Option<Given<P::Answer>> {
        let Service::Ready(worker, number) = self.station.service(post.number) else { return None };
        Some(self.run(post, &worker, number, cpu, count, item))
    }

    /// Has a worker answer, and gives it up after a fault.
    fn run<'a, P: Program>(
        &self,
        post: &'a Post<P>,
        worker: &Arc<Worker>,
        number: usize,
        cpu: &CpuBackend,
        count: usize,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Given<P::Answer> {
        let given = post.served.answer(worker, number, cpu, count, item);
        if let Some(fault) = &given.fault {
            self.station.give_up(worker, fault);
        }
        given
    }

    /// An answer for each item; `None` where the CPU is to give all of them.
    fn serve<'a, P: Program>(
        &self,
        post: &'a Post<P>,
        cpu: &CpuBackend,
        count: usize,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Result<Option<Vec<P::Answer>>, Error> {
        let Some((worker, number)) = self.worker(post.number, P::NAME)? else { return Ok(None) };
        let given = self.run(post, &worker, number, cpu, count, item);
        let left = given.left();
        metrics::counter!("phalanx.gpu.items", "program" => P::NAME).increment((count - left) as u64);
        metrics::counter!("phalanx.gpu.fallback.items", "program" => P::NAME).increment(left as u64);
        if left == count && count > 0 {
            return Ok(None);
        }
        Ok(Some(post.served.answer_on_cpu(cpu, given.answers, item)))
    }

    /// Who serves a program; `None` where the CPU does for now, and an error where the adapter was asked for and never served.
    fn worker(&self, program: usize, name: &'static str) -> Result<Option<(Arc<Worker>, usize)>, Error> {
        let mut service = self.station.service(program);
        let is_due = self.is_explicit && !self.station.has_served(program);
        if is_due && matches!(service, Service::Starting) {
            service = self.station.wait(program, READY_PATIENCE);
        }
        let problem = match service {
            Service::Ready(worker, number) => return Ok(Some((worker, number))),
            _ if !is_due => return Ok(None),
            Service::Starting => format!("not ready within {READY_PATIENCE:?}"),
            Service::Refused(fault) | Service::Resting(fault) | Service::Quarantined(fault) => fault.to_string(),
        };
        Err(Error::Backend {
            asked: self.name.clone(),
            problem: format!("it does not serve {name}: {problem}; {ELSE}"),
        })
    }
}

impl Drop for GpuBackend {
    fn drop(&mut self) {
        self.end();
    }
}

/// Does both at once, the second on a thread of its own; one after the other where there is none to be had.
fn beside<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> Option<B> + Send) -> (A, Option<B>) {
    let second = Mutex::new(Some(second));
    let take = || second.lock().unwrap_or_else(PoisonError::into_inner).take().and_then(|second| second());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("phalanx-audit".to_owned()).spawn_scoped(scope, take);
        let first = first();
        let second = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => take(),
        };
        (first, second)
    })
}

/// How an adapter is worked.
pub(super) fn settings(adapter: &Adapter, memory: u64) -> Settings {
    // Drivers of GPUs end what takes seconds, and a desktop stutters long before. Nothing watches a program on the CPU, which is
    // slower, and busy with other things too.
    let (step, patience) = if adapter.is_software() { (250, 60) } else { (50, 10) };
    Settings {
        slots: 3,
        memory,
        step: Duration::from_millis(step),
        feeders: if adapter.is_software() { 0 } else { feeders() },
        patience: Duration::from_secs(patience),
        compile_patience: Duration::from_mins(5),
    }
}

/// What opens the adapter, and what is done once all of it serves.
fn start(adapter: Adapter, config: GpuConfig) -> (Start, super::station::Ready) {
    let memory = AtomicU64::new(config.memory.unwrap_or_else(|| adapter.default_memory()));
    let cache = config.is_cached.then(Cache::find).flatten();
    let driver: Arc<OnceLock<(Arc<WgpuDriver>, Option<StoredPipelines>)>> = Arc::default();
    let opened = Arc::clone(&driver);
    let start = move |after: Option<&Fault>| {
        if matches!(after, Some(Fault::OutOfMemory { .. })) {
            let _ = memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |memory| {
                Some((memory / 2).max(LEAST_MEMORY.min(memory)))
            });
        }
        let settings = settings(&adapter, memory.load(Ordering::Relaxed));
        if let Some((driver, _)) = opened.get() {
            return Worker::start(Arc::clone(driver), settings);
        }
        let arithmetic = match config.arithmetic {
            Some(arithmetic) => arithmetic,
            None => variant(&adapter, cache.as_ref())?,
        };
        let stored = cache.clone().map(|cache| StoredPipelines::new(cache, &adapter, arithmetic));
        let made = Arc::new(WgpuDriver::new(adapter.clone(), arithmetic, stored.clone()));
        let (driver, _) = opened.get_or_init(|| (made, stored));
        Worker::start(Arc::clone(driver), settings)
    };
    let ready = move |worker: &Worker| {
        if let Some((_, Some(stored))) = driver.get()
            && let Some(pipelines) = worker.pipeline_cache()
        {
            stored.store(&pipelines);
        }
    };
    (Box::new(start), Box::new(ready))
}

fn variant(adapter: &Adapter, cache: Option<&Cache>) -> Result<Arithmetic, Fault> {
    let tuned = tune(adapter, cache);
    let tuning =
        tuned.map_err(|error| Fault::Driver { doing: "timing variants".to_owned(), problem: error.to_string() })?;
    tracing::info!(adapter = adapter.name(), variant = %tuning.variant, times = ?tuning.nanoseconds, "variant chosen");
    Ok(tuning.variant)
}
