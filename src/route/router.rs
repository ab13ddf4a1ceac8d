//! Has the backends answer a batch as the policy decides: all at once, in order, and the CPU for whoever is late or fails.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::{Answerable, Divisible};
use super::calibrate;
use super::decision::{Decision, Share, Work};
use super::device::{Device, Failed, Given, Lane, Ticket};
use super::observe;
use super::policy::{CPU, Outcome, Policy};
use super::store::Store;
use crate::cpu::CpuBackend;
use crate::error::Error;

/// Items that are done over at a time, before it is looked whether the late answer has come.
const REDONE_AT_ONCE: usize = 1_024;

/// The CPU and the GPUs, and what decides between them.
#[derive(Debug)]
pub(crate) struct Router {
    inner: Arc<Inner>,
}

/// What threads in the background know of a router.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) cpu: Arc<CpuBackend>,
    pub(super) lanes: Vec<Lane>,
    pub(super) learned: Arc<Learned>,
    pub(super) store: Option<Store>,
    /// Batches that the CPU has begun, and those that it has ended.
    begun: AtomicU64,
    ended: AtomicU64,
}

/// The policy, and its clock.
#[derive(Debug)]
pub(super) struct Learned {
    policy: Mutex<Policy>,
    start: Instant,
}

impl Router {
    /// A router over devices, whose costs are taken from the store where it has them and else measured in the background.
    pub(crate) fn start(
        cpu: Arc<CpuBackend>,
        devices: Vec<Arc<dyn Device>>,
        store: Option<Store>,
    ) -> std::io::Result<Self> {
        let mut policy = Policy::new();
        let mut lanes = Vec::new();
        for device in devices {
            if policy.add(device.name(), device.granule()).is_some() {
                lanes.push(Lane::start(device)?);
            }
        }
        let learned = Arc::new(Learned { policy: Mutex::new(policy), start: Instant::now() });
        let (begun, ended) = (AtomicU64::new(0), AtomicU64::new(0));
        let inner = Arc::new(Inner { cpu, lanes, learned, store, begun, ended });
        inner.recall();
        calibrate::start(&inner)?;
        Ok(Self { inner })
    }

    /// Has devices count as late after so long, if they do not before.
    pub(crate) fn set_deadline(&self, deadline: Duration) {
        self.inner.learned.policy().set_deadline(deadline.as_secs_f64());
    }

    /// Sets what work costs a backend, in place of measuring it.
    #[cfg(test)]
    pub(crate) fn set_cost(&self, backend: usize, work: Work, line: super::line::Line, contention: f64) {
        self.inner.learned.policy().set_cost(backend, work, line, contention);
    }

    /// What is known of a backend's costs.
    #[cfg(test)]
    pub(super) fn costs(&self, backend: usize) -> Vec<(Work, super::line::Line, f64)> {
        self.inner.learned.policy().costs(backend)
    }

    /// An answer for each item, in order. An error where a device was asked for and never serves.
    pub(crate) fn answer<B: Divisible>(&self, batch: &B) -> Result<Vec<B::Answer>, Error> {
        self.await_service(batch.work())?;
        Ok(self.inner.answer(batch).0)
    }

    /// The same, with what was decided.
    pub(crate) fn answer_and_tell<B: Divisible>(&self, batch: &B) -> Result<(Vec<B::Answer>, Decision), Error> {
        self.await_service(batch.work())?;
        let (answers, decision) = self.inner.answer(batch);
        Ok((answers, decision.unwrap_or_else(|| Decision::small(batch.work(), batch.units()))))
    }

    /// Waits for each device that was asked for and has yet to serve.
    fn await_service(&self, work: Work) -> Result<(), Error> {
        self.inner.lanes.iter().try_for_each(|lane| lane.device.await_service(work))
    }

    /// Has the devices give back what they hold of the system. Threads that hold them too end later, and nobody waits for these.
    pub(crate) fn end_devices(&self) {
        self.inner.lanes.iter().for_each(|lane| lane.device.end());
    }

    /// Waits until every device that serves was measured, at most so long, and tells whether it was.
    pub(crate) fn wait_until_measured(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if self.inner.is_measured() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.inner.is_measured()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.inner.remember();
    }
}

impl Inner {
    /// Answers in order, and what was decided; nothing of a batch which the CPU has answered before anything could be.
    fn answer<B: Divisible>(&self, batch: &B) -> (Vec<B::Answer>, Option<Decision>) {
        if batch.units() < B::LEAST {
            return (self.answer_small(batch), None);
        }
        let begun = Instant::now();
        let work = batch.work();
        let decision = self.decide(work, batch.units());
        let span = observe::span(&decision, batch.len()).entered();
        let items: Vec<Range<usize>> = decision.shares.iter().map(|share| items(batch, &decision, share)).collect();
        let tickets: Vec<Option<Ticket<B::Answer>>> = decision
            .shares
            .iter()
            .zip(&items)
            .map(|(share, items)| self.submit(share.backend, batch, items.clone()))
            .collect();
        self.probe(batch, &decision);
        let late = begun + Duration::try_from_secs_f64(decision.late).unwrap_or(Duration::from_hours(1));
        let mut answers = Vec::new();
        let mut outcomes = Vec::with_capacity(items.len());
        for ((share, items), ticket) in decision.shares.iter().zip(items).zip(tickets) {
            let shared = Instant::now();
            let outcome = match ticket {
                None => {
                    let (given, alone) = self.alone(|| on_cpu(batch, items.clone(), &self.cpu));
                    append(&mut answers, given);
                    // A share without an item, of a batch of few and large ones, tells nothing.
                    let seconds = shared.elapsed().as_secs_f64();
                    Outcome::Done((alone && !items.is_empty()).then_some(seconds))
                }
                Some(ticket) => self.collect(batch, &decision, share, items.clone(), ticket, begun, late, &mut answers),
            };
            observe::share(work, share, items.len(), outcome);
            outcomes.push(outcome);
        }
        self.learned.policy().learn(&decision, &outcomes);
        observe::batch(&span, work.name(), batch.len(), begun.elapsed());
        (answers, Some(decision))
    }

    /// Has the CPU answer what is too little for a decision.
    fn answer_small<B: Divisible>(&self, batch: &B) -> Vec<B::Answer> {
        self.alone(|| observe::checked("cpu", batch.work().name(), batch.len(), || batch.on_cpu(&self.cpu))).0
    }

    fn decide(&self, work: Work, units: usize) -> Decision {
        let serves = |backend: usize| {
            backend.checked_sub(1).and_then(|lane| self.lanes.get(lane)).is_some_and(|lane| lane.device.serves(work))
        };
        let now = self.learned.now();
        let decision = self.learned.policy().decide(work, units, now, &serves);
        tracing::debug!(%decision, "routed");
        decision
    }

    /// Hands a device its share; the CPU, and whoever has no item, gets nothing to wait for.
    fn submit<B: Divisible>(&self, backend: usize, batch: &B, items: Range<usize>) -> Option<Ticket<B::Answer>> {
        let lane = self.lanes.get(backend.checked_sub(1)?)?;
        if items.is_empty() {
            return None;
        }
        let part = batch.part(items);
        Some(lane.submit(move |device| checked(part.on_device(device), part.len())))
    }

    /// Hands out the decision's probe. Only how long it takes is of interest.
    fn probe<B: Divisible>(&self, batch: &B, decision: &Decision) {
        let Some(probe) = &decision.probe else { return };
        let items = 0..batch.item_at(probe.items).clamp(1, batch.len());
        let Some(ticket) = self.submit(probe.backend, batch, items) else { return };
        observe::probe(decision.work, self.lanes[probe.backend - 1].device.name());
        let (learned, decision) = (Arc::clone(&self.learned), decision.clone());
        ticket.leave(true, move |given| learned.policy().learn_probe(&decision, outcome(given)));
    }

    /// A device's answers if they come in time, else the CPU's.
    #[allow(clippy::too_many_arguments, reason = "it is a step of `answer`, cut out")]
    fn collect<B: Divisible>(
        &self,
        batch: &B,
        decision: &Decision,
        share: &Share,
        items: Range<usize>,
        ticket: Ticket<B::Answer>,
        begun: Instant,
        late: Instant,
        answers: &mut Vec<B::Answer>,
    ) -> Outcome {
        match ticket.wait_until(late) {
            Some(Ok((given, took))) => {
                append(answers, given);
                Outcome::Done(Some(took.as_secs_f64()))
            }
            Some(Err(Failed(problem))) => {
                tracing::warn!(backend = &*share.name, work = %decision.work, problem, "the CPU does a share over");
                answers.extend(on_cpu(batch, items, &self.cpu));
                Outcome::Failed
            }
            None => {
                let waited = begun.elapsed();
                tracing::info!(backend = &*share.name, work = %decision.work, ?waited, "late: the CPU does a share over");
                let rest = self.redo(batch, items, &ticket, answers);
                let (learned, told, share) = (Arc::clone(&self.learned), decision.clone(), share.clone());
                match rest {
                    Some(took) => learned.policy().learn_late(&told, &share, Outcome::Done(Some(took.as_secs_f64()))),
                    None => {
                        ticket.leave(false, move |given| learned.policy().learn_late(&told, &share, outcome(given)));
                    }
                }
                Outcome::Late(waited.as_secs_f64())
            }
        }
    }

    /// Answers items on the CPU, until the device has answered after all; then how long it took.
    fn redo<B: Divisible>(
        &self,
        batch: &B,
        items: Range<usize>,
        ticket: &Ticket<B::Answer>,
        answers: &mut Vec<B::Answer>,
    ) -> Option<Duration> {
        let mut next = items.start;
        while next < items.end {
            if let Some(Ok((given, took))) = ticket.take() {
                answers.extend(given.into_iter().skip(next - items.start));
                return Some(took);
            }
            let end = (next + REDONE_AT_ONCE).min(items.end);
            answers.extend(on_cpu(batch, next..end, &self.cpu));
            next = end;
        }
        None
    }

    /// Does something on the CPU, and tells whether nothing else of this router's was done on it meanwhile.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> (T, bool) {
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.fetch_add(1, Ordering::AcqRel);
        let done = work();
        let alone = begun == ended && self.begun.load(Ordering::Acquire) == begun + 1;
        self.ended.fetch_add(1, Ordering::AcqRel);
        (done, alone)
    }

    /// Whether the costs of all that is served are known.
    fn is_measured(&self) -> bool {
        let policy = self.learned.policy();
        let serves = |work| self.lanes.iter().any(|lane| lane.device.serves(work));
        let knows = |work| {
            let unknown = |(lane, backend): (&Lane, usize)| lane.device.serves(work) && !policy.knows(backend, work);
            policy.knows(CPU, work) && !self.lanes.iter().zip(1..).any(unknown)
        };
        Work::ALL.into_iter().any(serves) && Work::ALL.into_iter().filter(|work| serves(*work)).all(knows)
    }

    /// Takes costs from the store.
    fn recall(&self) {
        let Some(store) = &self.store else { return };
        for (backend, key) in self.keys() {
            for (work, line, contention) in store.read(&key) {
                self.learned.policy().set_cost(backend, work, line, contention);
            }
        }
    }

    /// Keeps what is known for the next start.
    pub(super) fn remember(&self) {
        let Some(store) = &self.store else { return };
        for (backend, key) in self.keys() {
            let costs = self.learned.policy().costs(backend);
            if !costs.is_empty() {
                store.write(&key, &costs);
            }
        }
    }

    /// Every backend, and what its costs depend on. The CPU's depend on whom it works beside, too.
    fn keys(&self) -> impl Iterator<Item = (usize, String)> {
        let threads = self.cpu.threads();
        let devices: Vec<String> = self.lanes.iter().map(|lane| lane.device.identity()).collect();
        let all = devices.join("\n");
        let cpu = std::iter::once((CPU, format!("cpu {threads}\n{all}")));
        cpu.chain((1..).zip(devices).map(move |(backend, device)| (backend, format!("gpu {device}\n{threads}\n{all}"))))
    }
}

impl Learned {
    pub(super) fn policy(&self) -> MutexGuard<'_, Policy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the start.
    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

/// The items of a share, whose units cover the batch's.
fn items<B: Divisible>(batch: &B, decision: &Decision, share: &Share) -> Range<usize> {
    let end = if share.items.end == decision.items { batch.len() } else { batch.item_at(share.items.end) };
    batch.item_at(share.items.start).min(end)..end
}

fn on_cpu<B: Divisible>(batch: &B, items: Range<usize>, cpu: &CpuBackend) -> Vec<B::Answer> {
    if items.len() == batch.len() { batch.on_cpu(cpu) } else { batch.part(items).on_cpu(cpu) }
}

/// Puts answers behind others. The first are most often all.
fn append<T>(answers: &mut Vec<T>, mut given: Vec<T>) {
    if answers.is_empty() {
        *answers = given;
    } else {
        answers.append(&mut given);
    }
}

/// Answers, if they are as many as was asked for: one that got lost must not shift the others.
pub(super) fn checked<T>(answers: Result<Vec<T>, Failed>, handed: usize) -> Result<Vec<T>, Failed> {
    match answers {
        Ok(answers) if answers.len() != handed => {
            Err(Failed(format!("it answered {} of {handed} items", answers.len())))
        }
        answers => answers,
    }
}

fn outcome<T>(given: &Given<T>) -> Outcome {
    given.as_ref().map_or(Outcome::Failed, |(_, took)| Outcome::Done(Some(took.as_secs_f64())))
}
