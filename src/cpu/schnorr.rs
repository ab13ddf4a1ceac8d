//! BIP-340: in batches, and exactly for what no batch check proves.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use crate::arithmetic::batch_equation::{Claim, Claims};
use crate::arithmetic::ecdsa::{Named, combine, lift};
use crate::arithmetic::{Platform, Scalar, limbs};
use crate::scheme::schnorr::{SchnorrBatch, SchnorrItem};
use crate::verdict::{Reason, Verdict};

use super::CpuBackend;
use super::batch_check::prove;

/// Items a thread takes at a time to make the checks that need no curve.
const ITEMS_PER_TASK: usize = 256;

impl CpuBackend {
    /// Verifies every BIP-340 signature, in order.
    ///
    /// Many are put to the randomised batch check; the reason of one that is invalid, and the verdict on what was checked with
    /// it, is that of the exact check.
    #[must_use]
    pub fn verify_schnorr(&self, batch: &SchnorrBatch) -> Vec<Verdict<()>> {
        if batch.len() <= self.platform.few() && !self.reaches_batch_check(batch.len()) {
            // They are done before another thread has woken.
            let places: Vec<usize> = (0..batch.len()).collect();
            return verify_exactly(self.platform, batch, &places).into_iter().map(Verdict::from).collect();
        }
        self.install(|| {
            let credited = self.schnorr_credit.extends_to(batch.len()) && self.reaches_batch_check(batch.len());
            let open = if credited { open(batch) } else { Vec::new() };
            let mut proven = vec![false; batch.len()];
            let is_tried = self.reaches_batch_check(open.len());
            if is_tried {
                let proofs = prove(self.platform, &open, |run| claims(self.platform, batch, run));
                for (place, holds) in open.iter().zip(proofs) {
                    proven[*place] = holds;
                }
            }
            let rest: Vec<usize> = (0..batch.len()).filter(|place| !proven[*place]).collect();
            let blocks = rest.par_chunks(self.block(rest.len())).with_max_len(1);
            let exact: Vec<_> = blocks.flat_map_iter(|places| verify_exactly(self.platform, batch, places)).collect();
            let mut verdicts = vec![Verdict::Valid(()); batch.len()];
            for (place, verdict) in rest.iter().zip(exact) {
                verdicts[*place] = verdict.into();
            }
            if is_tried {
                let wrong = open.iter().filter(|place| !verdicts[**place].is_valid()).count();
                self.schnorr_credit.settle(open.len(), wrong);
            }
            verdicts
        })
    }
}

/// The places of the items that pass every check but those of the curve, rising.
fn open(batch: &SchnorrBatch) -> Vec<usize> {
    let places = (0..batch.len()).into_par_iter().with_min_len(ITEMS_PER_TASK);
    places.filter(|place| checked(batch, *place).is_ok()).collect()
}

/// The item at a place, if it parsed and passes the checks that need no curve.
fn checked(batch: &SchnorrBatch, place: usize) -> Result<SchnorrItem, Reason> {
    // No place here is past the end.
    let item = batch.get(place).unwrap_or(Err(Reason::Mismatch))?;
    item.check().map(|()| item)
}

/// What each signature claims, of items that pass every check: R = s G - e P, with R and P the points of even y at r and at the
/// key.
fn claims(platform: Platform, batch: &SchnorrBatch, places: &[usize]) -> Claims {
    let items = || places.iter().filter_map(|place| checked(batch, *place).ok());
    let mut names: Vec<Named> = Vec::with_capacity(2 * places.len());
    for item in items() {
        names.extend([even(item.r()), even(item.key())]);
    }
    let (points, on_curve) = lift(platform, &names);
    let (points, _) = points.as_chunks::<2>();
    let (on_curve, _) = on_curve.as_chunks::<2>();
    let mut claims = Claims::with_capacity(places.len());
    for ((item, [ephemeral, key]), on_curve) in items().zip(points).zip(on_curve) {
        claims.push(*on_curve, || Claim {
            ephemeral: *ephemeral,
            // In range, as was checked.
            generator_factor: Scalar::from_be_bytes_reduced(item.s()),
            key: *key,
            key_factor: -Scalar::from_be_bytes_reduced(item.challenge()),
        });
    }
    claims
}

/// Verifies by itself each of some items, up to a block of them (BIP-340, "Verification").
fn verify_exactly(platform: Platform, batch: &SchnorrBatch, places: &[usize]) -> Vec<Result<(), Reason>> {
    let checked: Vec<Result<SchnorrItem, Reason>> = places.iter().map(|place| checked(batch, *place)).collect();
    let items: Vec<&SchnorrItem> = checked.iter().flatten().collect();
    let names: Vec<Named> = items.iter().map(|item| even(item.key())).collect();
    let (keys, on_curve) = lift(platform, &names);
    let factors = |(item, key): (&&SchnorrItem, _)| {
        (Scalar::from_be_bytes_reduced(item.s()), -Scalar::from_be_bytes_reduced(item.challenge()), key)
    };
    let sums = combine(platform, &items.iter().zip(keys).map(factors).collect::<Vec<_>>());
    let verdict = |item: &SchnorrItem, on_curve: bool, sum: Option<[u8; 64]>| {
        if !on_curve {
            return Err(Reason::KeyNotOnCurve);
        }
        // Fails if R is at infinity, if its y is odd, or if its x is not r.
        let holds = sum.is_some_and(|sum| sum[63] & 1 == 0 && sum[..32] == item.r()[..]);
        if holds { Ok(()) } else { Err(Reason::Mismatch) }
    };
    let mut exact = items.iter().zip(on_curve).zip(sums).map(|((item, on_curve), sum)| verdict(item, on_curve, sum));
    // As many are exact as passed; the verdicts are counted by the caller.
    checked
        .iter()
        .filter_map(|checked| checked.as_ref().map_or_else(|reason| Some(Err(*reason)), |_| exact.next()))
        .collect()
}

/// The point at an x coordinate below p whose y is even.
fn even(x: &[u8; 32]) -> Named {
    Named::Compressed { x: limbs::from_be_bytes(x), y_is_odd: false }
}
