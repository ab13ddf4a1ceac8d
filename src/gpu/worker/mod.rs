//! The device worker: one thread that runs every dispatch of a device, a ring of slots so that upload, compute and read-back of
//! successive chunks overlap, and a bounded queue in front of it.
//!
//! Whatever the device does, whoever waits for a chunk gets its output or a [`Fault`] in bounded time. A fault ends the worker, and
//! another has to be started; a thread that hangs in its driver is left behind, and holds up nobody, the end of the process neither.

mod chunk;
mod queue;
mod recheck;
mod ring;
mod sample;
mod serve;

#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::driver::{Device, Driver, Limits, Spec};
use super::error::Fault;
use super::team::Team;
use queue::{Pushed, Queue};
use ring::Ring;

pub(crate) use serve::Given;
pub(super) use serve::{Served, Serving};

/// How long a call that waits is left alone before it looks around.
const SLICE: Duration = Duration::from_millis(100);

/// How long the end waits: for a driver that compiles, for the chunks under way, and for a driver that closes a device.
pub(super) const END_PATIENCE: Duration = Duration::from_secs(5);

/// The same for one that hangs, which may come back just then.
const HUNG_PATIENCE: Duration = Duration::from_millis(500);

/// How a device is worked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Chunks under way at once. Three: one uploaded, one computed, one read back.
    pub(super) slots: usize,
    /// Bytes of buffers in all.
    pub(super) memory: u64,
    /// How long the longest step of a chunk should take. Chunks grow or shrink towards it.
    pub(super) step: Duration,
    /// Threads that prepare chunks and check what comes back, beside the one that hands over the batch.
    pub(super) feeders: usize,
    /// How long a dispatch, or one call of the driver, may take.
    pub(super) patience: Duration,
    /// How long compiling a program may take.
    pub(super) compile_patience: Duration,
}

/// A chunk on its way to the device.
#[derive(Debug)]
struct Job {
    program: usize,
    lanes: usize,
    input: Vec<u32>,
    reply: mpsc::Sender<Result<Done, Fault>>,
}

/// A chunk that is back.
#[derive(Debug)]
struct Done {
    output: Vec<u32>,
    /// From when the device had nothing else to do to the end.
    took: Duration,
    /// What the longest step took.
    step: Duration,
}

/// Where a chunk's output will come from.
#[derive(Debug)]
struct Reply(mpsc::Receiver<Result<Done, Fault>>);

/// The way to a device's thread.
pub(super) struct Worker {
    shared: Arc<Shared>,
    limits: Limits,
    team: Team,
    /// None once it has ended.
    device: Mutex<Option<Arc<dyn Compiler>>>,
    /// Disconnected when the thread has let go of the device; and the thread.
    working: Mutex<(mpsc::Receiver<()>, Option<JoinHandle<()>>)>,
    started: Instant,
}

#[derive(Debug)]
struct Shared {
    queue: Queue<Job>,
    settings: Settings,
    born: Instant,
    /// When the thread last came by, in milliseconds since `born`.
    seen: AtomicU64,
    /// Bytes of the tables of the programs compiled so far.
    tables: AtomicU64,
}

/// What is left of a device where its types are forgotten.
trait Compiler: Send + Sync {
    /// Compiles on a thread of its own; the number names the program from then on.
    fn compile(&self, spec: Spec) -> mpsc::Receiver<Result<usize, Fault>>;
    fn pipeline_cache(&self) -> Option<Vec<u8>>;
}

struct Opened<D: Device> {
    device: Arc<D>,
    programs: Arc<Programs<D>>,
}

type Programs<D> = RwLock<Vec<Arc<Compiled<D>>>>;

struct Compiled<D: Device> {
    spec: Spec,
    compiled: D::Compiled,
}

impl Worker {
    /// Opens a device and starts its thread.
    pub(super) fn start<D: Driver>(driver: Arc<D>, settings: Settings) -> Result<Self, Fault> {
        let queue = Queue::new(settings.slots);
        let shared = Arc::new(Shared {
            queue,
            settings,
            born: Instant::now(),
            seen: AtomicU64::new(0),
            tables: AtomicU64::new(0),
        });
        // Before the thread, which nobody would end if this failed.
        let team = Team::of(settings.feeders)?;
        let (opened, opening) = mpsc::channel();
        let (at_work, working) = mpsc::channel();
        let thread = Arc::clone(&shared);
        let joined = spawn("phalanx-gpu", move || {
            let device = match guard("opening the device", || driver.open()) {
                Ok(device) => Arc::new(device),
                Err(fault) => {
                    let _ = opened.send(Err(fault));
                    return;
                }
            };
            let programs = Arc::new(RwLock::new(Vec::new()));
            let limits = guard("asking for limits", || Ok(device.limits()));
            let handle = Opened { device: Arc::clone(&device), programs: Arc::clone(&programs) };
            if opened.send(limits.map(|limits| (handle, limits))).is_err() {
                return;
            }
            thread.run(&*device, &programs);
            // Dropping what is lost may panic as using it does.
            let _ = guard("closing the device", || {
                drop(programs);
                drop(device);
                Ok(())
            });
            drop::<mpsc::Sender<()>>(at_work);
        })?;
        let (handle, limits) = match opening.recv_timeout(settings.patience) {
            Ok(opened) => opened?,
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(Fault::Hung(settings.patience)),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Fault::Ended),
        };
        Ok(Self {
            shared,
            limits,
            team,
            device: Mutex::new(Some(Arc::new(handle))),
            working: Mutex::new((working, Some(joined))),
            started: Instant::now(),
        })
    }

    /// Compiles a program. Its number stands for it in this worker.
    fn compile(&self, spec: &Spec) -> Result<usize, Fault> {
        let patience = self.shared.settings.compile_patience;
        self.reserve_table(spec)?;
        match self.device().ok_or(Fault::Ended)?.compile(spec.clone()).recv_timeout(patience) {
            Ok(compiled) => compiled,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Fault::Hung(patience)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Fault::Ended),
        }
    }

    /// What compiling has left, for the disk.
    pub(super) fn pipeline_cache(&self) -> Option<Vec<u8>> {
        self.device()?.pipeline_cache()
    }

    /// How long it has been there.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes nothing any more. What waits is answered with the fault; the thread ends as soon as its driver lets it.
    pub(super) fn close(&self, fault: &Fault) {
        self.shared.close(fault);
    }

    /// Takes nothing any more, and waits until the device is closed: drivers crash where the process ends while one of its threads closes
    /// a device. The wait is bounded, and short for a thread that hangs.
    pub(super) fn end(&self, patience: Duration) {
        let Some(device) = self.device.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        self.close(&Fault::Ended);
        let is_hung = matches!(self.shared.queue.closed(), Some(Fault::Hung(_)));
        let until = Instant::now() + if is_hung { patience.min(HUNG_PATIENCE) } else { patience };
        // Closed where it has its last owner: by the thread, or here where that has ended. Closing may hang as anything may.
        let (at_work, closing) = mpsc::channel::<()>();
        let closer = spawn("phalanx-gpu-close", move || {
            let _ = guard("closing the device", || {
                drop(device);
                Ok(())
            });
            drop(at_work);
        });
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = working.1.take();
        join_until(&working.0, thread, until);
        join_until(&closing, closer.ok(), until);
    }

    fn device(&self) -> Option<Arc<dyn Compiler>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reserve_table(&self, spec: &Spec) -> Result<(), Fault> {
        let table = 4 * spec.table.len() as u64;
        // The least that a chunk could be: a workgroup, with as much input as output.
        let slot = spec.slot_size(1, spec.slot_size(1, 0).output).bytes();
        let settings = &self.shared.settings;
        let needs = self.shared.tables.load(Ordering::Relaxed) + table + slot * settings.slots as u64;
        if needs > settings.memory {
            return Err(Fault::Memory { needs, may: settings.memory });
        }
        self.shared.tables.fetch_add(table, Ordering::Relaxed);
        Ok(())
    }

    /// Hands a chunk over, waiting for room as long as the thread gets on.
    fn submit(&self, program: usize, lanes: usize, input: Vec<u32>) -> Result<Reply, Fault> {
        let (reply, receiver) = mpsc::channel();
        let mut job = Job { program, lanes, input, reply };
        let since = Instant::now();
        loop {
            match self.shared.queue.push(job, SLICE) {
                Pushed::Queued => return Ok(Reply(receiver)),
                Pushed::Closed(fault) => return Err(fault),
                Pushed::Full(back) => job = back,
            }
            self.shared.watch(since)?;
        }
    }

    /// Waits for a chunk, as long as the thread gets on.
    fn wait(&self, reply: &Reply) -> Result<Done, Fault> {
        let since = Instant::now();
        loop {
            match reply.0.recv_timeout(SLICE) {
                Ok(done) => return done,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(self.shared.queue.closed().unwrap_or(Fault::Ended));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => self.shared.watch(since)?,
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end(END_PATIENCE);
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("shared", &self.shared).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Shared {
    /// The thread's life: turns until a fault, or until the queue is closed and empty.
    fn run<D: Device>(&self, device: &D, programs: &Programs<D>) {
        let mut ring = Ring::new(device, programs, self);
        let turned = catch_unwind(AssertUnwindSafe(|| {
            loop {
                self.saw();
                match ring.turn() {
                    Ok(true) => {}
                    Ok(false) => return Fault::Ended,
                    Err(fault) => return fault,
                }
            }
        }));
        let fault = turned.unwrap_or_else(|panic| panicked("working", &*panic));
        self.close(&fault);
        ring.fail(&fault);
        // Buffers of a device that is gone may panic where they are dropped.
        let _ = guard("freeing buffers", || {
            drop(ring);
            Ok(())
        });
    }

    /// Bytes that one slot may take.
    fn slot_share(&self) -> u64 {
        let buffers = self.settings.memory.saturating_sub(self.tables.load(Ordering::Relaxed));
        buffers / self.settings.slots as u64
    }

    fn close(&self, fault: &Fault) {
        for job in self.queue.close(fault.clone()) {
            let _ = job.reply.send(Err(fault.clone()));
        }
    }

    /// Notes that the thread is alive.
    fn saw(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen.store(now, Ordering::Relaxed);
    }

    /// An error if the thread has not come by for longer than a call of the driver may take, and nobody needs to wait for it; or
    /// if it is closed.
    fn watch(&self, since: Instant) -> Result<(), Fault> {
        if let Some(fault) = self.queue.closed() {
            return Err(fault);
        }
        let seen = self.born + Duration::from_millis(self.seen.load(Ordering::Relaxed));
        // The thread itself notices a dispatch that takes too long; what is noticed here is a call that does not come back.
        let patience = self.settings.patience + 2 * SLICE;
        if seen.max(since).elapsed() <= patience {
            return Ok(());
        }
        let fault = Fault::Hung(patience);
        self.close(&fault);
        Err(fault)
    }
}

impl<D: Device> Compiler for Opened<D> {
    fn compile(&self, spec: Spec) -> mpsc::Receiver<Result<usize, Fault>> {
        let (sender, receiver) = mpsc::channel();
        let (device, programs) = (Arc::clone(&self.device), Arc::clone(&self.programs));
        let failed = sender.clone();
        let spawned = spawn("phalanx-gpu-compile", move || {
            let compiled = guard(&format!("compiling {}", spec.name), || device.compile(&spec)).map(|compiled| {
                let mut programs = programs.write().unwrap_or_else(PoisonError::into_inner);
                programs.push(Arc::new(Compiled { spec, compiled }));
                programs.len() - 1
            });
            // Neither is held any more once anyone can go on.
            drop((device, programs));
            let _ = sender.send(compiled);
        });
        if let Err(fault) = spawned {
            let _ = failed.send(Err(fault));
        }
        receiver
    }

    fn pipeline_cache(&self) -> Option<Vec<u8>> {
        guard("reading the pipeline cache", || Ok(self.device.pipeline_cache())).ok().flatten()
    }
}

/// Joins a thread that has let go of everything when its channel is disconnected, unless that takes too long.
fn join_until(working: &mpsc::Receiver<()>, thread: Option<JoinHandle<()>>, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    let has_ended = working.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected);
    let _ = thread.filter(|_| has_ended).map(JoinHandle::join);
}

/// Starts a thread that nobody has to join.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Fault> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| Fault::Driver { doing: "starting a thread".to_owned(), problem: error.to_string() })
}

/// Calls the driver, and makes an error of a panic. wgpu panics where a device is lost while it is waited for.
pub(super) fn guard<T>(doing: &str, call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panicked(doing, &*panic)))
}

fn panicked(doing: &str, panic: &(dyn std::any::Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::Panicked { doing: doing.to_owned(), problem: text.unwrap_or("no text").to_owned() }
}
