//! How many refusals are checked again on the CPU: all of them, as long as that is a small part of the time; of a flood, a sample.
//!
//! Time is what is budgeted, not items: a device that answers slowly leaves time for more.

use std::time::Duration;

/// What part of the device's time rechecks may take in the long run.
const SHARE: f64 = 0.25;

/// The most that is saved up, so that a burst of refusals after quiet times is checked in full.
const SAVINGS: Duration = Duration::from_secs(1);

/// Refusals of a chunk that are checked whatever it takes.
const LEAST: usize = 8;

#[derive(Debug)]
pub(super) struct Budget {
    /// Time to spend, in seconds; below zero after what was checked whatever it took.
    left: f64,
    /// Seconds that one check takes, all threads at work; measured.
    each: f64,
}

impl Default for Budget {
    fn default() -> Self {
        // Until it is measured: what a slow machine takes for a signature.
        Self { left: SAVINGS.as_secs_f64(), each: 200e-6 }
    }
}

impl Budget {
    /// Adds what the device's time for a chunk allows, and tells how many of its `refusals` are to be checked.
    pub(super) fn allow(&mut self, took: Duration, refusals: usize) -> usize {
        self.left = SHARE.mul_add(took.as_secs_f64(), self.left).min(SAVINGS.as_secs_f64());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float is cast within the range")]
        let affordable = (self.left / self.each).max(0.0) as usize;
        refusals.min(affordable.max(LEAST))
    }

    /// Notes what `checks` checks took.
    pub(super) fn spent(&mut self, took: Duration, checks: usize) {
        if checks == 0 {
            return;
        }
        let took = took.as_secs_f64();
        // Debts older than a flood's last seconds are forgiven, or the first quiet minute would pay for them.
        self.left = (self.left - took).max(-SAVINGS.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "counts of lanes are far below 2^52")]
        let measured = took / checks as f64;
        // Half of it: one odd measurement does no harm, and a few agree.
        self.each = f64::midpoint(self.each, measured).max(1e-9);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Duration = Duration::from_micros(50);

    #[test]
    fn a_few_refusals_are_all_checked() {
        let mut budget = Budget::default();
        for _ in 0..1_000 {
            let checks = budget.allow(Duration::from_millis(50), 100);
            assert_eq!(checks, 100);
            budget.spent(CHECK * 100, checks);
        }
    }

    #[test]
    fn a_flood_costs_a_bounded_part_of_the_time_and_is_still_sampled() {
        let mut budget = Budget::default();
        let (chunk, mut device, mut checking, mut least) = (Duration::from_millis(50), 0.0, 0.0, usize::MAX);
        for _ in 0..2_000 {
            let checks = budget.allow(chunk, 50_000);
            least = least.min(checks);
            budget.spent(CHECK * u32::try_from(checks).expect("few"), checks);
            device += chunk.as_secs_f64();
            checking += CHECK.as_secs_f64() * f64::from(u32::try_from(checks).expect("few"));
        }
        assert!(checking < 0.3 * device, "{checking} s of checks for {device} s");
        assert!(least >= LEAST);
    }

    #[test]
    fn savings_and_debts_are_bounded() {
        let mut budget = Budget::default();
        budget.allow(Duration::from_hours(1), 0);
        assert!(budget.left <= SAVINGS.as_secs_f64());
        budget.spent(Duration::from_hours(1), 1);
        assert!(budget.left >= -SAVINGS.as_secs_f64());
        assert_eq!(budget.allow(Duration::ZERO, 1_000), LEAST);
        assert_eq!(budget.allow(Duration::ZERO, 3), 3);
    }
}
