//! The life of a device that serves: opened and admitted in the background, given up after a fault, opened anew after a while, and
//! never again once it has answered wrongly.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::Fault;
use super::worker::{Serving, Worker, guard, spawn};

/// How long a device is left alone after its first fault. Doubles with every one that follows closely.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest that it is left alone.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// Opens the device and starts its thread, after this fault of the one before.
pub(super) type Start = Box<dyn Fn(Option<&Fault>) -> Result<Worker, Fault> + Send + Sync>;

/// Told once when everything that can serve does.
pub(super) type Ready = Box<dyn Fn(&Worker) + Send + Sync>;

/// One adapter's place in service.
pub(super) struct Station {
    /// The adapter, driver and variant, for logs.
    what: String,
    start: Start,
    ready: Ready,
    programs: Vec<Arc<dyn Serving>>,
    first_rest: Duration,
    /// Whether each program ever served. Asked before every batch, and so not behind the lock.
    served: Vec<AtomicBool>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// One for each program.
    admitted: Vec<Admitted>,
    /// Whether a thread is opening and admitting.
    is_starting: bool,
    /// Faults since the device last served for as long as it rested.
    faults: u32,
    /// Of the last fault.
    rest: Duration,
}

#[derive(Debug)]
enum Phase {
    Starting,
    Up(Arc<Worker>),
    /// Given up for a while.
    Resting {
        until: Instant,
        fault: Fault,
    },
    /// Given up.
    Quarantined {
        fault: Fault,
    },
    /// Nobody wants it any more.
    Over,
}

/// What became of a program's admission.
#[derive(Clone, Debug)]
pub(super) enum Admitted {
    /// Still compiling, or its turn has not come.
    NotYet,
    /// It serves under this number.
    Ready(usize),
    /// It does not serve.
    Refused(Fault),
}

/// Whether a program can be had now.
#[derive(Clone, Debug)]
pub(super) enum Service {
    /// By this worker, under this number.
    Ready(Arc<Worker>, usize),
    /// Not yet.
    Starting,
    /// Not this program, for this reason.
    Refused(Fault),
    /// Not for now, after this fault.
    Resting(Fault),
    /// Not any more, after this fault.
    Quarantined(Fault),
}

impl Station {
    /// A station whose device is being opened and admitted.
    pub(super) fn open(what: String, start: Start, ready: Ready, programs: Vec<Arc<dyn Serving>>) -> Arc<Self> {
        Self::with_rest(what, start, ready, programs, FIRST_REST)
    }

    pub(super) fn with_rest(
        what: String,
        start: Start,
        ready: Ready,
        programs: Vec<Arc<dyn Serving>>,
        first_rest: Duration,
    ) -> Arc<Self> {
        let state = State {
            phase: Phase::Starting,
            admitted: vec![Admitted::NotYet; programs.len()],
            is_starting: true,
            faults: 0,
            rest: Duration::ZERO,
        };
        let station = Arc::new(Self {
            what,
            start,
            ready,
            served: std::iter::repeat_with(AtomicBool::default).take(programs.len()).collect(),
            programs,
            first_rest,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        station.start(None);
        station
    }

    /// Whether a program can be had now. Never waits; a device that has rested is opened again, behind the caller's back.
    pub(super) fn service(self: &Arc<Self>, program: usize) -> Service {
        let mut state = self.lock();
        let rested = match &state.phase {
            Phase::Resting { until, fault } if *until <= Instant::now() && !state.is_starting => Some(fault.clone()),
            _ => None,
        };
        if let Some(fault) = rested {
            state.phase = Phase::Starting;
            state.is_starting = true;
            state.admitted.fill(Admitted::NotYet);
            drop(state);
            self.start(Some(fault));
            return Service::Starting;
        }
        state.service(program)
    }

    /// Waits until it is known whether a program can be had, at most `patience`.
    pub(super) fn wait(&self, program: usize, patience: Duration) -> Service {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let service = state.service(program);
            let left = until.saturating_duration_since(Instant::now());
            if !matches!(service, Service::Starting) || left.is_zero() {
                return service;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether a program ever served.
    pub(super) fn has_served(&self, program: usize) -> bool {
        self.served.get(program).is_some_and(|served| served.load(Ordering::Acquire))
    }

    /// Ends the service, and waits for the thread that opens and admits, at most `patience`, and until the device is closed: a driver
    /// that compiles or closes a device while the process ends may crash.
    pub(super) fn end(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        let phase = std::mem::replace(&mut state.phase, Phase::Over);
        if let Phase::Up(worker) = &phase {
            worker.close(&Fault::Ended);
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !state.is_starting || left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if let Phase::Up(worker) = phase {
            worker.end(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Gives a worker up after a fault. Of several that tell of the same worker, the first is heard.
    pub(super) fn give_up(&self, worker: &Arc<Worker>, fault: &Fault) {
        worker.close(fault);
        let mut state = self.lock();
        let is_current = matches!(&state.phase, Phase::Up(current) if Arc::ptr_eq(current, worker));
        if is_current {
            let served = worker.age();
            // Whoever tells of the worker has it too, so that it is not dropped here.
            self.rest(&mut state, fault, served);
        }
    }

    /// After a fault: a rest that doubles as long as faults follow closely, or the end. Gives the phase before, whose worker may take its
    /// time to be dropped.
    fn rest(&self, state: &mut State, fault: &Fault, served: Duration) -> Phase {
        metrics::counter!("phalanx.gpu.faults", "kind" => fault.code()).increment(1);
        if fault.is_wrong() {
            metrics::gauge!("phalanx.gpu.quarantined").increment(1);
            tracing::error!(device = %self.what, %fault, "a GPU answered wrongly and is asked no more; the CPU answers");
            self.changed.notify_all();
            std::mem::replace(&mut state.phase, Phase::Quarantined { fault: fault.clone() })
        } else {
            state.faults = if served > state.rest { 1 } else { state.faults.saturating_add(1) };
            let doubled = self.first_rest.saturating_mul(1 << (state.faults - 1).min(16));
            state.rest = doubled.min(LONGEST_REST);
            tracing::error!(
                device = %self.what, %fault, retry_after_seconds = state.rest.as_secs_f64(),
                "a GPU failed; the CPU answers until it is opened again"
            );
            let resting = Phase::Resting { until: Instant::now() + state.rest, fault: fault.clone() };
            self.changed.notify_all();
            std::mem::replace(&mut state.phase, resting)
        }
    }

    /// Opens the device and admits every program, on a thread of its own; whoever calls has noted that it is starting.
    fn start(self: &Arc<Self>, after: Option<Fault>) {
        let station = Arc::clone(self);
        let spawned = spawn("phalanx-gpu-start", move || {
            let ended = guard("starting a GPU", || station.admit_all(after.as_ref()));
            station.started(ended.err());
        });
        if let Err(fault) = spawned {
            self.started(Some(fault));
        }
    }

    /// The end of a start, with what kept it from being a good one.
    fn started(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        // A worker is dropped behind the lock, and with its thread before anyone who waits for this goes on.
        let before = match fault {
            Some(fault) if !matches!(state.phase, Phase::Over) => Some(self.rest(&mut state, &fault, Duration::ZERO)),
            _ => None,
        };
        drop(state);
        drop(before);
        self.lock().is_starting = false;
        self.changed.notify_all();
    }

    /// A fault where the device cannot be opened, or is lost before every program was admitted or refused.
    fn admit_all(&self, after: Option<&Fault>) -> Result<(), Fault> {
        let begun = Instant::now();
        let worker = Arc::new((self.start)(after)?);
        if !self.lock().replace_unless_over(Phase::Up(Arc::clone(&worker))) {
            return Ok(());
        }
        for (number, program) in self.programs.iter().enumerate() {
            let admitted = program.admit(&worker);
            let mut state = self.lock();
            if !matches!(&state.phase, Phase::Up(current) if Arc::ptr_eq(current, &worker)) {
                // Given up meanwhile by who was served already, or nobody wants it any more.
                return Ok(());
            }
            match admitted {
                Ok(id) => {
                    let seconds = begun.elapsed().as_secs_f64();
                    tracing::info!(device = %self.what, program = program.name(), seconds, "a GPU serves");
                    state.admitted[number] = Admitted::Ready(id);
                    self.served[number].store(true, Ordering::Release);
                }
                Err(fault @ (Fault::Wrong(_) | Fault::Compile { .. } | Fault::Memory { .. })) => {
                    metrics::counter!("phalanx.gpu.refusals", "kind" => fault.code()).increment(1);
                    tracing::warn!(device = %self.what, program = program.name(), %fault, "a GPU may not serve");
                    state.admitted[number] = Admitted::Refused(fault);
                }
                Err(fault) => {
                    worker.close(&fault);
                    return Err(fault);
                }
            }
            self.changed.notify_all();
        }
        (self.ready)(&worker);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether it is wanted still, and so in that phase now.
    fn replace_unless_over(&mut self, phase: Phase) -> bool {
        let is_wanted = !matches!(self.phase, Phase::Over);
        if is_wanted {
            self.phase = phase;
        }
        is_wanted
    }

    fn service(&self, program: usize) -> Service {
        match (&self.phase, self.admitted.get(program)) {
            (Phase::Quarantined { fault }, _) => Service::Quarantined(fault.clone()),
            (Phase::Resting { fault, .. }, _) => Service::Resting(fault.clone()),
            (Phase::Over, _) => Service::Resting(Fault::Ended),
            (_, Some(Admitted::Refused(fault))) => Service::Refused(fault.clone()),
            (Phase::Up(worker), Some(Admitted::Ready(number))) => Service::Ready(Arc::clone(worker), *number),
            _ => Service::Starting,
        }
    }
}

impl fmt::Debug for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Station").field("what", &self.what).field("state", &self.state).finish_non_exhaustive()
    }
}
