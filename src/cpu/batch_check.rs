//! The randomised batch check of many claims, at a bounded cost whatever the share of false ones.
//!
//! A check proves that every claim of a run holds, or it says nothing about any. A run that fails is cut into parts, once;
//! what no check proves is left to the exact way, which gives every verdict that is not "valid".

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use crate::arithmetic::batch_equation::{BatchEquation, Claim, Claims};
use crate::arithmetic::field::FieldLanes;
use crate::arithmetic::multiscalar::Multiscalar;
use crate::arithmetic::{OnLanes, Platform};

/// Items of one check, at most. Larger checks take a little less for each item and lose more to one that is false.
const RUN: usize = 4096;

/// Items of one check, at least, where threads could share them out further.
const SHORTEST_RUN: usize = 512;

/// Parts of a run that failed.
const PARTS: usize = 8;

/// Items of a part, at least: of fewer, the check is not worth its price where the run has failed already.
const SHORTEST_PART: usize = 128;

/// Which of the items are proven to be valid.
///
/// `claims` says of the items of a run what is claimed where they are valid. Items are put to the test in runs, on the threads of
/// the pool this is called from.
pub(super) fn prove<T: Sync>(platform: Platform, items: &[T], claims: impl Fn(&[T]) -> Claims + Sync) -> Vec<bool> {
    // As many runs for each thread as for any other.
    let runs = items.len().div_ceil(RUN).next_multiple_of(rayon::current_num_threads());
    let run = items.len().div_ceil(runs.max(1)).max(SHORTEST_RUN);
    let record = Record::default();
    items
        .par_chunks(run)
        .flat_map_iter(|items| {
            let Claims { made, claims } = claims(items);
            let mut proven = platform.run(Prove { claims: &claims, record: &record }).into_iter();
            made.into_iter().map(move |made| made && proven.next().unwrap_or(false))
        })
        .collect()
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
    claims: &'a [Claim],
    record: &'a Record,
}

impl OnLanes for Prove<'_> {
    type Output = Vec<bool>;

    fn run<F: FieldLanes>(self) -> Vec<bool> {
        let Self { claims, record } = self;
        let mut proven = vec![false; claims.len()];
        // Without randomness nothing can be proven.
        let Some(equation) = BatchEquation::new(claims) else { return proven };
        let mut multiscalar = Multiscalar::<F>::new();
        if !record.is_bad() && equation.holds(0..claims.len(), &mut multiscalar) {
            proven.fill(true);
            return proven;
        }
        let part = claims.len().div_ceil(PARTS).max(SHORTEST_PART);
        if part >= claims.len() {
            return proven;
        }
        let (mut tried, mut failed) = (0, 0);
        for (number, proven) in proven.chunks_mut(part).enumerate() {
            let start = number * part;
            let holds = equation.holds(start..start + proven.len(), &mut multiscalar);
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
