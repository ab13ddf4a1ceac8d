//! BIP-340: in batches, and exactly for what no batch check proves.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use crate::arithmetic::batch_equation::Claim;
use crate::arithmetic::ecdsa::{BLOCK, Named, combine, lift};
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
    /// They are put to the randomised batch check; the reason of one that is invalid, and the verdict on what was checked with
    /// it, is that of the exact check.
    #[must_use]
    pub fn verify_schnorr(&self, batch: &SchnorrBatch) -> Vec<Verdict<()>> {
        self.install(|| {
            let mut verdicts: Vec<Result<(), Reason>> = (0..batch.len())
                .into_par_iter()
                .with_min_len(ITEMS_PER_TASK)
                .filter_map(|index| batch.get(index))
                .map(|item| item.and_then(|item| item.check()))
                .collect();
            let open: Vec<(usize, SchnorrItem)> = verdicts
                .iter()
                .enumerate()
                .filter(|(_, verdict)| verdict.is_ok())
                .filter_map(|(index, _)| Some((index, batch.get(index)?.ok()?)))
                .collect();
            let proven = prove(self.platform, &open, |run| claims(self.platform, run));
            let rest: Vec<_> =
                open.into_iter().zip(proven).filter(|(_, proven)| !proven).map(|(open, _)| open).collect();
            let exact: Vec<_> =
                rest.par_chunks(BLOCK).flat_map_iter(|block| verify_exactly(self.platform, block)).collect();
            for ((index, _), verdict) in rest.iter().zip(exact) {
                verdicts[*index] = verdict;
            }
            verdicts.into_iter().map(Verdict::from).collect()
        })
    }
}

/// What each signature claims: R = s G - e P, with R and P the points of even y at r and at the key.
fn claims(platform: Platform, items: &[(usize, SchnorrItem)]) -> Vec<Option<Claim>> {
    let names: Vec<Named> = items.iter().flat_map(|(_, item)| [even(item.r()), even(item.key())]).collect();
    let (points, on_curve) = lift(platform, &names);
    let (points, _) = points.as_chunks::<2>();
    let (on_curve, _) = on_curve.as_chunks::<2>();
    let claim = |(((_, item), points), on_curve): ((&(usize, SchnorrItem), &[_; 2]), &[bool; 2])| {
        (*on_curve == [true, true]).then(|| Claim {
            ephemeral: points[0],
            // In range, as was checked.
            generator_factor: Scalar::from_be_bytes_reduced(item.s()),
            key: points[1],
            key_factor: -Scalar::from_be_bytes_reduced(item.challenge()),
        })
    };
    items.iter().zip(points).zip(on_curve).map(claim).collect()
}

/// Verifies by itself each item of a block that passed the checks which need no curve (BIP-340, "Verification").
fn verify_exactly(platform: Platform, block: &[(usize, SchnorrItem)]) -> Vec<Result<(), Reason>> {
    let names: Vec<Named> = block.iter().map(|(_, item)| even(item.key())).collect();
    let (keys, on_curve) = lift(platform, &names);
    let factors = |((_, item), key): (&(usize, SchnorrItem), _)| {
        (Scalar::from_be_bytes_reduced(item.s()), -Scalar::from_be_bytes_reduced(item.challenge()), key)
    };
    let sums = combine(platform, &block.iter().zip(keys).map(factors).collect::<Vec<_>>());
    let verdict = |item: &SchnorrItem, on_curve: bool, sum: Option<[u8; 64]>| {
        if !on_curve {
            return Err(Reason::KeyNotOnCurve);
        }
        // Fails if R is at infinity, if its y is odd, or if its x is not r.
        let holds = sum.is_some_and(|sum| sum[63] & 1 == 0 && sum[..32] == item.r()[..]);
        if holds { Ok(()) } else { Err(Reason::Mismatch) }
    };
    block.iter().zip(on_curve).zip(sums).map(|(((_, item), on_curve), sum)| verdict(item, on_curve, sum)).collect()
}

/// The point at an x coordinate below p whose y is even.
fn even(x: &[u8; 32]) -> Named {
    Named::Compressed { x: limbs::from_be_bytes(x), y_is_odd: false }
}
