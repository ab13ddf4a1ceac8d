//! The randomised batch check of many claims, at a bounded cost whatever the share of false ones.
//!
//! A check proves that every claim of a run holds, or it says nothing about any. A run that fails is cut into parts, once;
//! what no check proves is left to the exact way, which gives every verdict that is not "valid".

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use crate::arithmetic::batch_equation::{self, BatchEquation, Claims};
use crate::arithmetic::field::FieldLanes;
use crate::arithmetic::{OnLanes, Platform};

/// Items of one check, at most. Larger checks take a little less for each item and lose more to one that is false.
const RUN: usize = 4096;

/// Items of one check, at least, where each thread is to have checks of its own; of fewer, several share one.
const RUN_OF_A_THREAD: usize = 1024;

/// Items of a check for each thread that shares it, at least.
const SHARE: usize = 32;

/// Items a thread takes at a time to make their claims, at most.
const CLAIMS_PER_TASK: usize = 256;

/// Parts of a run that failed.
const PARTS: usize = 8;

/// Items of a part, at least: of fewer, the check is not worth its price where the run has failed already.
const SHORTEST_PART: usize = 128;

/// Which of the items are proven to be valid.
///
/// `claims` says of some of the items what is claimed where they are valid. Items are put to the test in runs, on the threads of
/// the pool this is called from.
pub(super) fn prove<T: Sync>(platform: Platform, items: &[T], claims: impl Fn(&[T]) -> Claims + Sync) -> Vec<bool> {
    let Cut { run, tasks } = Cut::new(items.len(), rayon::current_num_threads());
    let record = Record::default();
    let runs = items.par_chunks(run).with_max_len(1);
    let proven = runs.flat_map_iter(|items| {
        let pieces = items.par_chunks(items.len().div_ceil(tasks).min(CLAIMS_PER_TASK)).with_max_len(1);
        let pieces = pieces.map(|items| {
            let Claims { made, claims } = claims(items);
            (made, batch_equation::weigh(&claims))
        });
        let (made, terms): (Vec<_>, Vec<_>) = pieces.unzip();
        // Without randomness nothing can be proven.
        let terms: Option<Vec<_>> = terms.into_iter().collect();
        let prove = |terms| platform.run(Prove { equation: &BatchEquation::new(terms), tasks, record: &record });
        let mut proven = terms.map_or_else(Vec::new, prove).into_iter();
        made.into_iter().flatten().map(move |made| made && proven.next().unwrap_or(false))
    });
    proven.collect()
}

/// How items are cut into runs.
struct Cut {
    /// Items of a run.
    run: usize,
    /// Tasks that share a run.
    tasks: usize,
}

impl Cut {
    fn new(items: usize, threads: usize) -> Self {
        // As many runs for each thread as for any other.
        let apart = items.div_ceil(RUN).next_multiple_of(threads);
        let run = items.div_ceil(apart.max(1));
        if run >= RUN_OF_A_THREAD {
            return Self { run, tasks: 1 };
        }
        // No longer than needed: what is checked along with a false item goes another way.
        let runs = items.div_ceil(RUN_OF_A_THREAD).max(1);
        let run = items.div_ceil(runs).max(1);
        Self { run, tasks: threads.div_ceil(runs).min(run.div_ceil(SHARE)) }
    }
}

/// How the parts of the runs before fared.
#[derive(Default)]
struct Record {
    tried: AtomicUsize,
    failed: AtomicUsize,
}

impl Record {
    fn enter(&self, holds: bool) {
        self.tried.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(usize::from(!holds), Ordering::Relaxed);
    }

    /// Whether so many parts have failed that a whole run is sure to.
    fn is_bad(&self) -> bool {
        mostly_failed(self.tried.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

/// Whether more than half of the parts have failed, and more than one of them.
const fn mostly_failed(tried: usize, failed: usize) -> bool {
    failed > 1 && 2 * failed > tried
}

/// Proves the claims of a run.
struct Prove<'a> {
    equation: &'a BatchEquation,
    tasks: usize,
    record: &'a Record,
}

impl OnLanes for Prove<'_> {
    type Output = Vec<bool>;

    fn run<F: FieldLanes>(self) -> Vec<bool> {
        let Self { equation, tasks, record } = self;
        let claims = equation.len();
        let mut proven = vec![false; claims];
        if !record.is_bad() && equation.holds::<F>(0..claims, tasks) {
            proven.fill(true);
            return proven;
        }
        let part = claims.div_ceil(PARTS).max(SHORTEST_PART);
        if part >= claims {
            return proven;
        }
        let (mut tried, mut failed) = (0, 0);
        for (number, proven) in proven.chunks_mut(part).enumerate() {
            let start = number * part;
            let holds = equation.holds::<F>(start..start + proven.len(), tasks.min(proven.len().div_ceil(SHARE)));
            proven.fill(holds);
            record.enter(holds);
            (tried, failed) = (tried + 1, failed + usize::from(!holds));
            if mostly_failed(tried, failed) {
                break;
            }
        }
        proven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_bounded_and_give_every_thread_work() {
        let lengths = [0, 1, 31, 32, 33, 64, 1023, 1024, 1025, 2047, 2048, 4095, 4096, 4097, 130_000];
        for (items, threads) in
            lengths.into_iter().flat_map(|items| [1, 2, 3, 7, 16, 128].map(|threads| (items, threads)))
        {
            let Cut { run, tasks } = Cut::new(items, threads);
            assert!((1..=RUN).contains(&run), "{items} items on {threads} threads: runs of {run}");
            assert!(
                tasks == 1 || run <= RUN_OF_A_THREAD && run.div_ceil(tasks) > SHARE / 2,
                "{items}, {threads}: {tasks}"
            );
            let shares = items.div_ceil(run) * tasks;
            assert!(shares >= threads.min(items / SHARE), "{items} items on {threads} threads: {shares} shares");
        }
    }

    #[test]
    fn a_few_items_are_one_run_and_many_have_runs_for_each_thread() {
        let cut = |items, threads| {
            let Cut { run, tasks } = Cut::new(items, threads);
            (run, tasks)
        };
        assert_eq!(cut(64, 2), (64, 2));
        assert_eq!(cut(1024, 2), (1024, 2));
        assert_eq!(cut(1024, 16), (1024, 16));
        assert_eq!(cut(4096, 16), (1024, 4));
        assert_eq!(cut(16_384, 2), (4096, 1));
        assert_eq!(cut(4096, 1), (4096, 1));
    }
}
