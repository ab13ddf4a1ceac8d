//! Timing a batch: warm-up, samples, percentiles, outliers.

use std::time::{Duration, Instant};

/// How long a cell is timed, and what is too long for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// A cell is sampled until so much time has passed.
    pub(super) cell: Duration,
    /// A batch that takes longer is not measured.
    pub(super) batch: Duration,
}

/// Samples of a cell, at least, so that there is a median to speak of.
const FEWEST_SAMPLES: usize = 3;

/// Samples of a cell, at most.
const MOST_SAMPLES: usize = 2_000;

/// What a batch took, time after time.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    /// Seconds, by rising length; at least one.
    sorted: Vec<f64>,
    pub(super) warm_ups: u64,
}

/// Runs `batch` until it is warm, then times it within the budget. An error ends it, as does `stop`.
pub(super) fn time<E>(budget: Budget, mut batch: impl FnMut() -> Result<(), E>) -> Result<Timing, E> {
    let started = Instant::now();
    let mut warm_ups = 0;
    // A tenth of the budget, so that clocks, caches and threads are as they will be.
    while warm_ups == 0 || started.elapsed() < budget.cell / 10 {
        batch()?;
        warm_ups += 1;
    }
    let started = Instant::now();
    let mut sorted = Vec::new();
    while sorted.len() < FEWEST_SAMPLES || (sorted.len() < MOST_SAMPLES && started.elapsed() < budget.cell) {
        let before = Instant::now();
        batch()?;
        sorted.push(before.elapsed().as_secs_f64());
    }
    sorted.sort_by(f64::total_cmp);
    Ok(Timing { sorted, warm_ups })
}

impl Timing {
    /// The sample that `percent` of all do not exceed (nearest rank).
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }

    pub(super) fn samples(&self) -> u64 {
        self.sorted.len() as u64
    }

    /// How many samples lie ten standard deviations from the median, the deviation being estimated from the median of
    /// distances (Iglewicz and Hoaglin's modified z-score), which outliers themselves do not move.
    pub(super) fn outliers(&self) -> u64 {
        let median = self.percentile(50);
        let mut distances: Vec<_> = self.sorted.iter().map(|sample| (sample - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        let deviation = 1.4826 * distances.get(distances.len() / 2).copied().unwrap_or_default();
        let far = distances.iter().filter(|distance| **distance > 10.0 * deviation && **distance > 0.0);
        far.count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(samples: impl IntoIterator<Item = f64>) -> Timing {
        let mut sorted: Vec<_> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Timing { sorted, warm_ups: 0 }
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "percentiles are samples, unchanged")]
    fn percentiles_are_samples() {
        let hundred = timing((1..=100).map(f64::from));
        assert_eq!(
            [0, 1, 50, 95, 99, 100].map(|percent| hundred.percentile(percent)),
            [1.0, 1.0, 50.0, 95.0, 99.0, 100.0]
        );
        let three = timing([3.0, 1.0, 2.0]);
        assert_eq!([50, 95, 99].map(|percent| three.percentile(percent)), [2.0, 3.0, 3.0]);
        assert_eq!(timing([7.0]).percentile(50), 7.0);
    }

    #[test]
    fn what_lies_far_off_is_an_outlier_and_the_rest_is_not() {
        let steady = (0..100).map(|index| 1.0 + f64::from(index % 10) / 100.0);
        assert_eq!(timing(steady.clone()).outliers(), 0);
        assert_eq!(timing(steady.chain([5.0, 0.01, 9.0])).outliers(), 3);
        assert_eq!(timing([1.0; 10]).outliers(), 0);
    }

    #[test]
    fn a_cell_is_warmed_up_timed_and_ended_by_an_error() {
        let budget = Budget { cell: Duration::from_millis(20), batch: Duration::from_secs(1) };
        let mut runs = 0;
        let timing = time(budget, || {
            runs += 1;
            std::thread::sleep(Duration::from_millis(1));
            Ok::<_, ()>(())
        });
        let timing = timing.unwrap();
        assert_eq!(timing.warm_ups + timing.samples(), runs);
        assert!(timing.warm_ups >= 1 && timing.samples() >= 3, "{timing:?}");
        assert!(timing.percentile(50) >= 1e-3);
        assert_eq!(time(budget, || Err::<(), _>("lost")).unwrap_err(), "lost");
        let slow = Budget { cell: Duration::ZERO, ..budget };
        assert_eq!(time(slow, || Ok::<_, ()>(())).unwrap().samples(), 3);
    }
}
