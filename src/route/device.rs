//! A GPU as the router sees it, and the thread that waits for it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::decision::Work;
use crate::batch::MessageBatch;
use crate::error::Error;
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::verdict::Verdict;

/// How long a thread of a rayon pool waits before it looks for other work.
const SLICE: Duration = Duration::from_micros(200);

/// A device could not answer; why is told by itself.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

/// What answers batches beside the CPU. A call takes as long as it takes; it is made from a thread of its own.
pub(crate) trait Device: fmt::Debug + Send + Sync + 'static {
    /// Its name, for decisions and metrics.
    fn name(&self) -> &str;
    /// Items that it answers at the price of one.
    fn granule(&self) -> usize;
    /// All that its costs depend on beside this program, for the cache.
    fn identity(&self) -> String;
    /// Whether it can be asked now. Never waits.
    fn serves(&self, work: Work) -> bool;
    /// An error if it was asked for and does not serve; waits for one that is still being prepared.
    fn await_service(&self, _: Work) -> Result<(), Error> {
        Ok(())
    }
    /// Is asked nothing any more, and gives back what it holds of the system.
    fn end(&self) {}
    /// Recovers, in order.
    fn recover(&self, batch: &RecoverBatch) -> Result<Vec<Verdict<Signer>>, Failed>;
    /// Verifies, in order.
    fn verify(&self, batch: &VerifyBatch) -> Result<Vec<Verdict<()>>, Failed>;
    /// Hashes, in order.
    fn hash(&self, function: HashFunction, messages: &MessageBatch) -> Result<Vec<[u8; 32]>, Failed>;
}

type Job = Box<dyn FnOnce(&dyn Device) + Send>;

/// A device and its thread, which does one thing after the other.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) device: Arc<dyn Device>,
    jobs: Sender<Job>,
}

/// What a device gave, and how long it worked.
pub(super) type Given<T> = Result<(Vec<T>, Duration), Failed>;

/// Called with what came too late to be waited for.
type Afterwards<T> = Box<dyn FnOnce(&Given<T>) + Send>;

/// Where an answer will be.
pub(super) struct Ticket<T> {
    slot: Arc<(Mutex<Slot<T>>, Condvar)>,
}

enum Slot<T> {
    Waiting,
    Given(Given<T>),
    /// Nobody waits; an answer is only told of, and wanted only if it was begun or `begin`.
    Left {
        begin: bool,
        afterwards: Afterwards<T>,
    },
    Taken,
}

impl Lane {
    /// Starts the device's thread. It ends when the lane is dropped and the device lets it.
    pub(super) fn start(device: Arc<dyn Device>) -> std::io::Result<Self> {
        let (jobs, received) = channel::<Job>();
        let served = Arc::clone(&device);
        Builder::new()
            .name("phalanx-route".to_owned())
            .spawn(move || received.into_iter().for_each(|job| job(&*served)))?;
        Ok(Self { device, jobs })
    }

    /// Has the device do something, after what it has to do already.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Device) -> Result<Vec<T>, Failed> + Send + 'static,
    ) -> Ticket<T> {
        let slot = Arc::new((Mutex::new(Slot::Waiting), Condvar::new()));
        let given = Arc::clone(&slot);
        let job: Job = Box::new(move |device| {
            if matches!(*lock(&given.0), Slot::Left { begin: false, .. }) {
                return;
            }
            let start = Instant::now();
            let answers = catch_unwind(AssertUnwindSafe(|| work(device)));
            let answers = answers.unwrap_or_else(|_| Err(Failed("it panicked".to_owned())));
            give(&given, answers.map(|answers| (answers, start.elapsed())));
        });
        if self.jobs.send(job).is_err() {
            give(&slot, Err(Failed("its thread has ended".to_owned())));
        }
        Ticket { slot }
    }
}

impl<T> Ticket<T> {
    /// What was given, if it is there.
    pub(super) fn take(&self) -> Option<Given<T>> {
        take(&mut lock(&self.slot.0))
    }

    /// Waits for what is given, until a time. A thread of a rayon pool works for others meanwhile.
    pub(super) fn wait_until(&self, until: Instant) -> Option<Given<T>> {
        let mut slot = lock(&self.slot.0);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !matches!(*slot, Slot::Waiting) || left.is_zero() {
                return take(&mut slot);
            }
            if rayon::current_thread_index().is_none() {
                slot = self.slot.1.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            drop(slot);
            let worked = rayon::yield_now() == Some(rayon::Yield::Executed);
            slot = lock(&self.slot.0);
            if !worked && matches!(*slot, Slot::Waiting) {
                let waited = self.slot.1.wait_timeout(slot, left.min(SLICE));
                slot = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Leaves what is given to `afterwards`, which is called where it is given, or here if it is there. What has not begun begins
    /// only if `begin`; else nothing is given.
    pub(super) fn leave(self, begin: bool, afterwards: impl FnOnce(&Given<T>) + Send + 'static) {
        let mut slot = lock(&self.slot.0);
        match take(&mut slot) {
            Some(given) => {
                drop(slot);
                afterwards(&given);
            }
            None => *slot = Slot::Left { begin, afterwards: Box::new(afterwards) },
        }
    }
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take<T>(slot: &mut Slot<T>) -> Option<Given<T>> {
    match std::mem::replace(slot, Slot::Taken) {
        Slot::Given(given) => Some(given),
        other => {
            *slot = other;
            None
        }
    }
}

fn give<T>(slot: &(Mutex<Slot<T>>, Condvar), given: Given<T>) {
    let mut held = lock(&slot.0);
    match std::mem::replace(&mut *held, Slot::Taken) {
        Slot::Left { afterwards, .. } => {
            drop(held);
            afterwards(&given);
        }
        _ => *held = Slot::Given(given),
    }
    slot.1.notify_all();
}
