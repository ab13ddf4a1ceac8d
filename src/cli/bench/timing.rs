//! Timing a batch: warm-up, samples, percentiles, outliers.

use std::time::{Duration, Instant};

/// How long a cell is timed, what is too long for it, and how long all cells may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// A cell is sampled until so much time has passed.
    pub(super) cell: Duration,
    /// A batch that takes longer is not measured.
    pub(super) batch: Duration,
    /// The time for all that is done, from the start; none is as long as it takes.
    pub(super) total: Option<Duration>,
}

/// What is left for cells of a total that the start has used up: enough for the small batches of each series.
const LEAST_FOR_CELLS: Duration = Duration::from_secs(20);

/// Samples of a cell, at least, so that there is a median to speak of.
const FEWEST_SAMPLES: usize = 3;

/// Samples of a cell, at most.
const MOST_SAMPLES: usize = 2_000;

impl Budget {
    /// The time for the next series, the cells of one scheme on one backend, where `series` are left and `spent` is gone: an equal
    /// part, so that a slow backend takes none from those after it. What one does not need, the others have. `started` is what was
    /// spent before the first.
    pub(super) fn series(&self, started: Duration, spent: Duration, series: usize) -> Duration {
        let Some(total) = self.total else { return Duration::MAX };
        total.max(started + LEAST_FOR_CELLS).saturating_sub(spent) / u32::try_from(series).unwrap_or(u32::MAX).max(1)
    }

    /// Whether a cell is measured whose batches should take so many seconds, with so much time left to its series; else why not.
    pub(super) fn admits(&self, batch: f64, left: Duration) -> Result<(), String> {
        if batch > self.batch.as_secs_f64() {
            return Err(format!("a batch would take longer than {} s", self.batch.as_secs()));
        }
        if self.longest(batch) > left.as_secs_f64() {
            return Err("no time is left for it".to_owned());
        }
        Ok(())
    }

    /// What [`time`] takes at most, in seconds, for batches that take so many.
    fn longest(&self, batch: f64) -> f64 {
        let cell = self.cell.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "a few samples")]
        let fewest = FEWEST_SAMPLES as f64 * batch;
        cell / 10.0 + batch + fewest.max(cell + batch)
    }
}

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
    use proptest::prelude::*;

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
        let budget = Budget { cell: Duration::from_millis(20), batch: Duration::from_secs(1), total: None };
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

    /// What a plan takes at most on a machine whose series cost so much a batch and an item, after a start of `started`.
    fn planned(budget: Budget, sizes: &[usize], started: Duration, series: &[(f64, f64)]) -> Duration {
        let mut spent = started;
        for (place, (fixed, per_item)) in series.iter().enumerate() {
            let until = spent + budget.series(started, spent, series.len() - place);
            let mut per_item_seen = 0.0;
            for size in sizes {
                #[allow(clippy::cast_precision_loss, reason = "small batches")]
                let size = *size as f64;
                if budget.admits(per_item_seen * size, until.saturating_sub(spent)).is_ok() {
                    let batch = fixed + per_item * size;
                    spent += Duration::from_secs_f64(budget.longest(batch));
                    per_item_seen = batch / size;
                }
            }
        }
        spent
    }

    proptest! {
        #[test]
        fn quick_is_done_within_ninety_seconds_on_any_machine(
            started in 0..60_000u64,
            series in prop::collection::vec((0.0..0.5f64, -9.0..-1.5f64), 1..12),
        ) {
            let args = super::super::tests::quick();
            let series: Vec<_> = series.into_iter().map(|(fixed, power)| (fixed, 10f64.powf(power))).collect();
            let took = planned(args.budget(), &args.sizes(), Duration::from_millis(started), &series);
            prop_assert!(took <= Duration::from_secs(90), "{took:?}");
        }
    }

    #[test]
    fn a_series_has_its_part_and_what_others_leave() {
        let seconds = Duration::from_secs;
        let budget = Budget { cell: seconds(1), batch: seconds(1), total: Some(seconds(60)) };
        assert_eq!(budget.series(seconds(0), seconds(0), 6), seconds(10));
        assert_eq!(budget.series(seconds(0), seconds(1), 1), seconds(59));
        assert_eq!(budget.series(seconds(70), seconds(70), 4), seconds(5));
        assert_eq!(budget.series(seconds(0), seconds(61), 1), seconds(0));
        assert_eq!(budget.admits(0.5, seconds(4)), Ok(()));
        assert!(budget.admits(1.5, seconds(100)).is_err_and(|why| why.starts_with("a batch would take longer")));
        assert!(budget.admits(0.9, seconds(1)).is_err_and(|why| why.starts_with("no time is left")));
        let endless = Budget { total: None, ..budget };
        assert_eq!(endless.series(seconds(0), seconds(1_000), 8), Duration::MAX);
    }
}
