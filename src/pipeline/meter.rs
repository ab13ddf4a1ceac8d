//! How long each stage worked, and on how much.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts a stage's items and the time it worked on them; waiting does not count.
#[derive(Debug)]
pub struct StageMeter {
    name: &'static str,
    unit: &'static str,
    items: AtomicU64,
    nanoseconds: AtomicU64,
}

impl StageMeter {
    /// A meter for a stage whose items are `unit`.
    #[must_use]
    pub const fn new(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, items: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) }
    }

    /// Times `work` and adds `items` for it.
    pub fn time<T>(&self, items: usize, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.add(items, start.elapsed());
        done
    }

    /// Adds items, and the time they took.
    pub fn add(&self, items: usize, time: Duration) {
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn report(&self) -> StageReport {
        StageReport {
            name: self.name,
            unit: self.unit,
            items: self.items.load(Ordering::Relaxed),
            busy: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)),
        }
    }
}

/// What a [`StageMeter`] counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageReport {
    /// The stage.
    pub name: &'static str,
    /// What its items are.
    pub unit: &'static str,
    /// How many it handled.
    pub items: u64,
    /// How long it worked on them.
    pub busy: Duration,
}

impl StageReport {
    /// Items per second of work.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a rate is read with three digits")]
    pub fn rate(&self) -> f64 {
        let seconds = self.busy.as_secs_f64();
        if seconds > 0.0 { self.items as f64 / seconds } else { 0.0 }
    }
}
