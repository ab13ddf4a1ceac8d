//! How long kernels took, by the device's own clock: what the library tells a metrics recorder, summed up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::report::bench::KernelTime;

/// The histogram of a kernel's times, by the label `kernel`.
const METRIC: &str = "phalanx.gpu.kernel.seconds";

/// Sums up the times of kernels, and leaves every other metric alone.
#[derive(Clone, Debug, Default)]
pub(super) struct KernelClock {
    sums: Arc<Mutex<Sums>>,
}

/// How often a kernel ran, and for how many seconds in all; by its name.
type Sums = BTreeMap<String, (u64, f64)>;

/// Where one kernel's times go.
struct Hand {
    kernel: String,
    sums: Arc<Mutex<Sums>>,
}

impl KernelClock {
    /// A clock that sees all kernels from now on; one that sees none if the process has another recorder already.
    pub(super) fn install() -> Self {
        let clock = Self::default();
        if metrics::set_global_recorder(clock.clone()).is_err() {
            tracing::warn!("kernels are not timed: their times are told to another recorder");
        }
        clock
    }

    /// Forgets what was summed up.
    pub(super) fn reset(&self) {
        lock(&self.sums).clear();
    }

    /// What each kernel took of one batch, of the `batches` since the reset. What ran less often has nothing to do with them.
    pub(super) fn times(&self, batches: u64) -> Vec<KernelTime> {
        let sums = lock(&self.sums);
        let of_batches = sums.iter().filter(|(_, (runs, _))| *runs >= batches.max(1));
        let time = |(kernel, (_, seconds)): (&String, &(u64, f64))| KernelTime {
            kernel: kernel.clone(),
            seconds: seconds / super::as_f64(batches.max(1)),
        };
        of_batches.map(time).collect()
    }
}

impl Recorder for KernelClock {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let kernel = key.labels().find(|label| label.key() == "kernel").filter(|_| key.name() == METRIC);
        let Some(kernel) = kernel else { return Histogram::noop() };
        Histogram::from_arc(Arc::new(Hand { kernel: kernel.value().to_owned(), sums: Arc::clone(&self.sums) }))
    }
}

impl HistogramFn for Hand {
    fn record(&self, seconds: f64) {
        let mut sums = lock(&self.sums);
        let (runs, sum) = sums.entry(self.kernel.clone()).or_default();
        *runs += 1;
        *sum += seconds;
    }
}

fn lock(sums: &Mutex<Sums>) -> MutexGuard<'_, Sums> {
    sums.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernels_times_are_a_batchs_and_no_other_metric_is_one() {
        let clock = KernelClock::default();
        metrics::with_local_recorder(&clock, || {
            for seconds in [0.5, 0.25, 0.25] {
                metrics::histogram!("phalanx.gpu.kernel.seconds", "kernel" => "multiply").record(seconds);
            }
            metrics::histogram!("phalanx.gpu.kernel.seconds", "kernel" => "admitted meanwhile").record(1.0);
            metrics::histogram!("phalanx.gpu.chunk.seconds", "program" => "recover").record(1.0);
            metrics::counter!("phalanx.batches", "kernel" => "none").increment(1);
        });
        let times = |clock: &KernelClock, batches| -> Vec<(String, f64)> {
            clock.times(batches).into_iter().map(|time| (time.kernel, time.seconds)).collect()
        };
        assert_eq!(times(&clock, 2), [("multiply".to_owned(), 0.5)]);
        assert_eq!(times(&clock, 4), []);
        clock.reset();
        assert_eq!(times(&clock, 0), []);
    }
}
