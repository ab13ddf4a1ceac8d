//! Timing the contenders of a row in turns, so that what disturbs the machine disturbs all of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use phalanx::Verifier;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::{Answer, BatchWork, Row, Work};

/// How often each contender is timed.
pub(super) const ROUNDS: usize = 21;

/// How long a contender works each time it is timed, at least: well above what a clock's reading or a thread's waking takes.
const AT_LEAST: Duration = Duration::from_millis(15);

/// Ours where each batch is handed in from outside the pool: what its threads' waking takes comes on top.
const FROM_OUTSIDE: &str = "phalanx, called from outside";

/// What a contender took for an item: medians over the rounds.
pub(super) struct Measured {
    pub(super) contender: &'static str,
    pub(super) threads: &'static str,
    /// Nanoseconds.
    pub(super) median: f64,
    /// The lower quartile, in nanoseconds.
    pub(super) lower: f64,
    /// The upper quartile, in nanoseconds.
    pub(super) upper: f64,
    pub(super) cycles: Option<f64>,
    /// To ours with as many threads; `None` for a contender with fewer threads than ours has there.
    pub(super) ratio: Option<f64>,
}

/// Times a row's contenders, ours first, with each verifier's threads.
pub(super) fn row(
    row: &Row<'_>,
    verifiers: &[(&'static str, Verifier)],
    counter: &Counter,
) -> Result<Vec<Measured>, String> {
    let contenders: Vec<_> = std::iter::once(&row.ours).chain(&row.peers).collect();
    let (_, first) = verifiers.first().ok_or("no verifier")?;
    let expected = answers(&row.ours.work, row.items, first);
    for peer in &row.peers {
        if answers(&peer.work, row.items, first) != expected {
            return Err(format!("{}: {} answers otherwise than ours", row.name, peer.name));
        }
    }
    let mut turns = Vec::new();
    for (place, (threads, verifier)) in verifiers.iter().enumerate() {
        for contender in &contenders {
            if place > 0 && matches!(contender.work, Work::OneThread(_)) {
                continue;
            }
            turns.push(Turn::new(contender.name, threads, verifier, &contender.work, row.items));
        }
    }
    if let (Work::Batch(_), [_, .., (threads, verifier)]) = (&row.ours.work, verifiers) {
        turns.push(Turn::from_outside(threads, verifier, &row.ours.work, row.items));
    }
    for round in 0..ROUNDS {
        // Each goes first as often as any other.
        let len = turns.len();
        for index in 0..len {
            turns[(index + round) % len].take(counter);
        }
    }
    let ours = |threads| {
        turns
            .iter()
            .find(|turn| turn.contender == row.ours.name && turn.threads == threads)
            .map(|turn| turn.quartile(2))
    };
    let measured = turns.iter().map(|turn| Measured {
        contender: turn.contender,
        threads: turn.threads,
        median: turn.quartile(2),
        lower: turn.quartile(1),
        upper: turn.quartile(3),
        cycles: (!turn.cycles.is_empty()).then(|| quartile(&turn.cycles, 2)),
        ratio: ours(turn.threads).map(|ours| turn.quartile(2) / ours),
    });
    Ok(measured.collect())
}

fn answers(work: &Work<'_>, items: usize, verifier: &Verifier) -> Vec<Answer> {
    match work {
        Work::Batch(work) => work(verifier),
        Work::OneThread(work) => work(),
        Work::Each(work) => (0..items).map(work).collect(),
    }
}

/// A contender with a number of threads, and what it took so far.
struct Turn<'a> {
    contender: &'static str,
    threads: &'static str,
    verifier: &'a Verifier,
    work: &'a Work<'a>,
    items: usize,
    /// Whether its batches are handed to the pool one by one, by a thread that sleeps meanwhile.
    from_outside: bool,
    /// Items it is timed over: a multiple of the row's for whole batches.
    quantum: usize,
    nanoseconds: Vec<f64>,
    cycles: Vec<f64>,
}

impl<'a> Turn<'a> {
    fn new(
        contender: &'static str,
        threads: &'static str,
        verifier: &'a Verifier,
        work: &'a Work<'a>,
        items: usize,
    ) -> Self {
        let quantum = if matches!(work, Work::Each(_)) { 16 } else { items };
        Self {
            contender,
            threads,
            verifier,
            work,
            items,
            from_outside: false,
            quantum,
            nanoseconds: Vec::new(),
            cycles: Vec::new(),
        }
        .warmed_up()
    }

    /// Ours, called by a thread that is none of the pool's.
    fn from_outside(threads: &'static str, verifier: &'a Verifier, work: &'a Work<'a>, items: usize) -> Self {
        Self { from_outside: true, ..Self::new(FROM_OUTSIDE, threads, verifier, work, items) }.warmed_up()
    }

    /// The first run of each size warms caches, tables and predictors, and is not counted.
    fn warmed_up(mut self) -> Self {
        while self.run() < AT_LEAST {
            self.quantum *= 2;
        }
        self
    }

    /// Works over the quantum: batch after batch, handed in by a thread of the pool or by this one, or item after item on every thread.
    fn run(&self) -> Duration {
        let batches = |work: &BatchWork<'_>| {
            (0..self.quantum / self.items).for_each(|_| drop(black_box(work(self.verifier))));
        };
        let started = Instant::now();
        match self.work {
            Work::Batch(work) if self.from_outside => batches(work),
            Work::Batch(work) => self.verifier.cpu_backend().install(|| batches(work)),
            Work::OneThread(work) => (0..self.quantum / self.items).for_each(|_| drop(black_box(work()))),
            Work::Each(work) => self.verifier.cpu_backend().install(|| {
                (0..self.quantum).into_par_iter().with_min_len(16).for_each(|index| {
                    black_box(work(index % self.items));
                });
            }),
        }
        started.elapsed()
    }

    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53 items and cycles")]
    fn take(&mut self, counter: &Counter) {
        let before = counter.cycles();
        let took = self.run();
        let items = self.quantum as f64;
        self.nanoseconds.push(took.as_secs_f64() * 1e9 / items);
        if let Some((before, after)) = before.zip(counter.cycles()) {
            self.cycles.push(after.saturating_sub(before) as f64 / items);
        }
    }

    fn quartile(&self, which: usize) -> f64 {
        quartile(&self.nanoseconds, which)
    }
}

/// The first, second or third quartile: the second is the median.
fn quartile(values: &[f64], which: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * which / 4).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// The processor's count of cycles in user code, where the system lends it.
pub(super) struct Counter {
    #[cfg(target_os = "linux")]
    cycles: Option<std::cell::RefCell<perf_event::Counter>>,
}

#[cfg(target_os = "linux")]
impl Counter {
    /// Starts to count this thread and every one that is started from now on.
    pub(super) fn start() -> Self {
        use perf_event::Builder;
        use perf_event::events::Hardware;
        let counter = Builder::new(Hardware::CPU_CYCLES).exclude_kernel(true).exclude_hv(true).inherit(true).build();
        let cycles = counter.and_then(|mut counter| counter.enable().map(|()| counter)).ok();
        Self { cycles: cycles.map(std::cell::RefCell::new) }
    }

    /// The cycles so far.
    fn cycles(&self) -> Option<u64> {
        self.cycles.as_ref()?.borrow_mut().read().ok()
    }

    /// Whether anything is counted.
    pub(super) fn counts(&self) -> bool {
        self.cycles().is_some_and(|cycles| cycles > 0)
    }
}

#[cfg(not(target_os = "linux"))]
impl Counter {
    /// Other systems lend no counter.
    pub(super) fn start() -> Self {
        Self {}
    }

    fn cycles(&self) -> Option<u64> {
        None
    }

    pub(super) fn counts(&self) -> bool {
        false
    }
}
