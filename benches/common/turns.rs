//! Timing contenders in turns, round by round, so that what disturbs one disturbs the others.

use std::time::Instant;

/// Something to be timed: how many items it answers in its turn, and the turn.
pub(crate) struct Turn<'a> {
    items: usize,
    take: Box<dyn Fn() + 'a>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(items: usize, take: impl Fn() + 'a) -> Self {
        Self { items, take: Box::new(take) }
    }
}

/// What one of them took.
pub(crate) struct Taken {
    /// The median of the rounds, in nanoseconds for an item.
    pub(crate) median: f64,
    /// How many times as fast as the first it was: the median of the rounds' ratios.
    pub(crate) ratio: f64,
}

/// Times everyone in each of so many rounds, after a turn that is not timed: whoever went before has left caches and threads as it
/// needed them. One more round comes before, to warm up.
#[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53 items")]
pub(crate) fn take(rounds: usize, turns: &[&Turn<'_>]) -> Vec<Taken> {
    let mut times = vec![Vec::with_capacity(rounds); turns.len()];
    for round in 0..=rounds {
        for place in 0..turns.len() {
            let index = (place + round) % turns.len();
            (turns[index].take)();
            let start = Instant::now();
            (turns[index].take)();
            let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / turns[index].items as f64;
            if round > 0 {
                times[index].push(nanoseconds);
            }
        }
    }
    let ratio = |own: &[f64]| median(own.iter().zip(&times[0]).map(|(own, first)| first / own).collect());
    times.iter().map(|own| Taken { ratio: ratio(own), median: median(own.clone()) }).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
