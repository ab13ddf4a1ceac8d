//! Dividing a batch so that every backend that takes part ends at once.

use super::line::{Line, bounded, count};

/// What a backend asks for a share of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// What its share costs it.
    pub line: Line,
    /// Seconds until it is done with what it has already.
    pub backlog: f64,
    /// Items that cost as much as one: a share is answered in whole granules. At least 1.
    pub granule: usize,
}

impl Offer {
    /// When it ends a share, in seconds from now; at once without one.
    #[must_use]
    pub fn finish(&self, items: usize) -> f64 {
        if items == 0 {
            return 0.0;
        }
        let granule = self.granule.max(1);
        bounded(self.backlog) + self.line.seconds(items.checked_next_multiple_of(granule).unwrap_or(items))
    }

    /// When it would end a first item of no cost.
    fn start(&self) -> f64 {
        bounded(self.backlog) + self.line.fixed()
    }
}

/// A batch, divided.
#[derive(Clone, Debug, PartialEq)]
pub struct Division {
    /// The items of each offer, in their order; they add up to the batch.
    pub shares: Vec<usize>,
    /// When the last of them ends, in seconds from now.
    pub finish: f64,
}

/// Divides `items` among offers. Without an offer there are no shares, and the finish is infinite.
///
/// Shares are real numbers first: with costs `s + p n`, all that take part end at the time `T` at which `sum (T - s) / p` over
/// those with `s < T` is the batch; sorted by `s` the sum is linear between two of them, so `T` is found in closed form. Then,
/// from the coarsest granule to the finest, each share is rounded to the better of its two neighbours, and what is left divided anew.
#[must_use]
pub fn divide(items: usize, offers: &[Offer]) -> Division {
    let mut order: Vec<usize> = (0..offers.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(offers[*index].granule));
    let mut shares = vec![0; offers.len()];
    let mut left = items;
    for (place, index) in order.iter().enumerate() {
        let rest: Vec<Offer> = order[place + 1..].iter().map(|index| offers[*index]).collect();
        shares[*index] = if rest.is_empty() { left } else { rounded(left, &offers[*index], &rest) };
        left -= shares[*index];
    }
    let finish = offers.iter().zip(&shares).map(|(offer, share)| offer.finish(*share)).fold(0.0, f64::max);
    Division { shares, finish: if offers.is_empty() { f64::INFINITY } else { finish } }
}

/// The share of `offer`, in whole granules or all of `items`, that has it and the others end soonest.
fn rounded(items: usize, offer: &Offer, rest: &[Offer]) -> usize {
    let all: Vec<Offer> = std::iter::once(*offer).chain(rest.iter().copied()).collect();
    let share = (level(count(items), &all) - offer.start()) / offer.line.per_item();
    let granule = offer.granule.max(1);
    // From a float the cast saturates; what is negative becomes 0.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating is what is wanted")]
    let below = (share as usize).min(items) / granule * granule;
    let above = below.saturating_add(granule).min(items);
    let ends = |share: usize| {
        let others = if share == items { 0.0 } else { level(count(items - share), rest) };
        offer.finish(share).max(others)
    };
    if ends(above) < ends(below) { above } else { below }
}

/// The time at which `items`, divided into real shares, are all done.
fn level(items: f64, offers: &[Offer]) -> f64 {
    let mut starts: Vec<(f64, f64)> = offers.iter().map(|offer| (offer.start(), 1.0 / offer.line.per_item())).collect();
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rate, mut lead, mut time) = (0.0, 0.0, f64::INFINITY);
    for (start, per_second) in starts {
        if start >= time {
            break;
        }
        rate += per_second;
        lead += start * per_second;
        time = (items + lead) / rate;
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(granules: std::ops::Range<usize>) -> impl Strategy<Value = Offer> {
        (0.0..0.1f64, -8.0..-3.0f64, prop_oneof![Just(0.0), 0.0..0.1f64], granules).prop_map(
            |(fixed, per_item, backlog, granule)| Offer {
                line: Line::new(fixed, 10f64.powf(per_item)),
                backlog,
                granule,
            },
        )
    }

    fn wild() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(0.0),
            Just(-1.0),
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(f64::MAX),
            Just(f64::MIN_POSITIVE),
            0.0..1.0f64
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(
            items in 0..200_000usize,
            offers in prop::collection::vec(offer(1..5_000), 1..6),
        ) {
            let division = divide(items, &offers);
            prop_assert_eq!(division.shares.len(), offers.len());
            prop_assert_eq!(division.shares.iter().sum::<usize>(), items);
        }

        #[test]
        fn all_that_take_part_end_at_once(
            items in 1..200_000usize,
            offers in prop::collection::vec(offer(1..2), 1..6),
        ) {
            let division = divide(items, &offers);
            let slack = offers.iter().map(|offer| offer.line.per_item()).sum::<f64>() * 1.01;
            for (offer, share) in offers.iter().zip(&division.shares) {
                if *share > 0 {
                    prop_assert!((division.finish - offer.finish(*share)).abs() <= slack, "{division:?}");
                } else {
                    // One that takes no part could not have begun in time.
                    prop_assert!(offer.finish(1) >= division.finish - slack, "{division:?}");
                }
            }
        }

        #[test]
        fn granules_cost_at_most_one_of_each(
            items in 1..200_000usize,
            offers in prop::collection::vec(offer(1..5_000), 1..5),
        ) {
            let smooth: Vec<_> = offers.iter().map(|offer| Offer { granule: 1, ..*offer }).collect();
            let slack: f64 = offers.iter().map(|offer| offer.line.per_item() * count(offer.granule + 1)).sum();
            prop_assert!(divide(items, &offers).finish <= divide(items, &smooth).finish + slack * 1.01);
        }

        #[test]
        fn more_items_or_a_backlog_never_end_sooner_and_another_backend_never_later(
            items in 1..100_000usize,
            more in 0..100_000usize,
            offers in prop::collection::vec(offer(1..2), 1..5),
            other in offer(1..2),
            backlog in 0.0..1.0f64,
        ) {
            let finish = divide(items, &offers).finish;
            let slack = offers.iter().chain([&other]).map(|offer| offer.line.per_item()).sum::<f64>() * 1.01;
            prop_assert!(divide(items + more, &offers).finish >= finish - slack);
            let mut busy = offers.clone();
            busy[0].backlog += backlog;
            prop_assert!(divide(items, &busy).finish >= finish - slack);
            prop_assert!(divide(items, &[&offers[..], &[other]].concat()).finish <= finish + slack);
        }

        #[test]
        fn no_offer_is_too_strange(
            items in prop_oneof![0..100_000usize, Just(usize::MAX)],
            parts in prop::collection::vec((wild(), wild(), wild(), prop_oneof![Just(0), Just(usize::MAX), 1..100usize]), 1..5),
        ) {
            let offers: Vec<_> = parts
                .into_iter()
                .map(|(fixed, per_item, backlog, granule)| Offer { line: Line::new(fixed, per_item), backlog, granule })
                .collect();
            let division = divide(items, &offers);
            prop_assert_eq!(division.shares.iter().sum::<usize>(), items);
            prop_assert!(division.finish.is_finite());
        }
    }

    #[test]
    fn two_backends_share_by_their_rates() {
        let cpu = Offer { line: Line::new(0.0, 2e-5), backlog: 0.0, granule: 1 };
        let gpu = Offer { line: Line::new(0.01, 5e-6), backlog: 0.0, granule: 256 };
        assert_eq!(divide(400, &[cpu, gpu]).shares, [400, 0], "the GPU's fixed cost is more than the whole batch");
        let shares = divide(100_000, &[cpu, gpu]).shares;
        // 100,000 = T / 2e-5 + (T - 0.01) / 5e-6: T = 0.408 s.
        assert!(shares[0].abs_diff(20_400) <= 256 && shares[1].is_multiple_of(256), "{shares:?}");
        assert_eq!(divide(5, &[]), Division { shares: Vec::new(), finish: f64::INFINITY });
    }
}
