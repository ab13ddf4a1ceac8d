//! Whether proofs in batches are worth their price, by how those before fared.
//!
//! A proof that fails is paid for in addition to the exact way. Where more than a small share was wrong, as many items as were
//! put to the proof go the exact way at once, and twice as many each time it happens again; so what wrong items cost is
//! bounded by a share of the exact way, which shrinks as they go on. No verdict depends on it.

use std::sync::{Mutex, PoisonError};

/// One item in this many may be wrong before credit is lost.
const TOLERATED_SHARE: usize = 64;

/// After failing again and again, up to 2^this times as many items go the exact way as were put to the proof.
const MOST_DISTRUST: u32 = 12;

/// How proofs of one kind have fared.
#[derive(Debug, Default)]
pub(super) struct Credit(Mutex<Standing>);

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// Items that are not put to the proof.
    suspended: usize,
    /// How often it failed, less how often it did well since.
    distrust: u32,
}

impl Credit {
    /// Whether a batch of this many items is to be put to the proof; counts them off a suspension if not.
    pub(super) fn extends_to(&self, items: usize) -> bool {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let extends = standing.suspended == 0;
        standing.suspended = standing.suspended.saturating_sub(items);
        extends
    }

    /// Enters how many of the items that were put to the proof are wrong.
    pub(super) fn settle(&self, items: usize, wrong: usize) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong > items / TOLERATED_SHARE {
            standing.suspended = standing.suspended.saturating_add(items << standing.distrust.min(MOST_DISTRUST));
            standing.distrust = (standing.distrust + 1).min(MOST_DISTRUST);
        } else if items > 0 {
            standing.distrust = standing.distrust.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Credit;

    #[test]
    fn a_share_of_wrong_items_that_is_small_costs_no_credit() {
        let credit = Credit::default();
        for _ in 0..3 {
            assert!(credit.extends_to(640));
            credit.settle(640, 10);
        }
        credit.settle(640, 11);
        assert!(!credit.extends_to(1));
    }

    #[test]
    fn what_goes_the_exact_way_doubles_with_each_failure_and_halves_with_each_success() {
        let credit = Credit::default();
        let suspended = || (0..10_000).take_while(|_| !credit.extends_to(64)).count();
        for failures in 0..15_u32 {
            assert_eq!(suspended(), if failures == 0 { 0 } else { 1 << (failures - 1).min(12) });
            credit.settle(64, 64);
        }
        assert_eq!(suspended(), 1 << 12);
        for _ in 0..5 {
            credit.settle(64, 0);
        }
        credit.settle(64, 64);
        assert_eq!(suspended(), 1 << 7);
    }
}
