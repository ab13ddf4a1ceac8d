//! ECDSA in bulk: blocks of signatures through the steps prepare, lift, table, multiply and finish, in lanes.
//!
//! What cannot be told by range checks alone is decided here: whether a point is on the curve, what a G + b P is. Ranges,
//! encodings and rules are the caller's. The lanes' formulas are incomplete; an item whose lane met an exceptional case is
//! done again by complete formulas, a point at a time, so that every answer is exact.

mod finish;
mod lift;
mod multiply;
mod prepare;

use super::field::{FieldLanes, Inverter, LaneMask, Limbs};
use super::group::{Affine, AffinePoint, Jacobian};
use super::platform::OnLanes;
use super::table::{GeneratorTable, OddMultiples};
use super::{Platform, Scalar};
use crate::verdict::Reason;
use multiply::Combination;

/// Items that go through the steps together: what is inverted by one inversion, and fits the second-level cache.
pub(crate) const BLOCK: usize = 256;

/// A point as keys and signatures name it: by numbers below p, which may be no point's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// By its x coordinate and whether y is odd.
    Compressed { x: Limbs, y_is_odd: bool },
    /// By both coordinates.
    Uncompressed(AffinePoint),
}

/// A signature whose signer is to be recovered; r and s are not zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// R, of which r is x modulo n.
    pub(crate) ephemeral: Named,
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
    /// The digest.
    pub(crate) z: Scalar,
}

/// A signature to be verified; r and s are not zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verification {
    pub(crate) key: Named,
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
    /// The digest.
    pub(crate) z: Scalar,
}

/// The public key of each signature, x and y of 32 bytes each, big-endian; up to [`BLOCK`] of them at a time.
pub(crate) fn recover(platform: Platform, block: &[Recovery]) -> Vec<Result<[u8; 64], Reason>> {
    struct Recover<'a>(&'a [Recovery]);
    impl OnLanes for Recover<'_> {
        type Output = Vec<Result<[u8; 64], Reason>>;
        fn run<F: FieldLanes>(self) -> Self::Output {
            let names: Vec<Named> = self.0.iter().map(|item| item.ephemeral).collect();
            let (points, on_curve) = lift::lift::<F>(&names);
            let combinations = prepare::recovery(self.0, &points);
            let mut sums = Sums::<F>::new(&combinations);
            let keys = finish::keys(&mut sums, &combinations);
            let keyed = on_curve.into_iter().zip(keys);
            keyed
                .map(
                    |(on_curve, key)| {
                        if on_curve { key.ok_or(Reason::KeyAtInfinity) } else { Err(Reason::RNotOnCurve) }
                    },
                )
                .collect()
        }
    }
    platform.run(Recover(block))
}

/// Whether each signature is valid; up to [`BLOCK`] of them at a time.
pub(crate) fn verify(platform: Platform, block: &[Verification]) -> Vec<Result<(), Reason>> {
    struct Verify<'a>(&'a [Verification]);
    impl OnLanes for Verify<'_> {
        type Output = Vec<Result<(), Reason>>;
        fn run<F: FieldLanes>(self) -> Self::Output {
            let names: Vec<Named> = self.0.iter().map(|item| item.key).collect();
            let (points, on_curve) = lift::lift::<F>(&names);
            let combinations = prepare::verification(self.0, &points);
            let mut sums = Sums::<F>::new(&combinations);
            let rs: Vec<Scalar> = self.0.iter().map(|item| item.r).collect();
            let matching = finish::matches(&mut sums, &combinations, &rs);
            let verdict = |(on_curve, matches)| match (on_curve, matches) {
                (false, _) => Err(Reason::KeyNotOnCurve),
                (true, false) => Err(Reason::Mismatch),
                (true, true) => Ok(()),
            };
            on_curve.into_iter().zip(matching).map(verdict).collect()
        }
    }
    platform.run(Verify(block))
}

/// a G + b P for a block, in lanes.
pub(crate) struct Sums<F> {
    points: Vec<Jacobian<F>>,
    /// A mask for each vector: lanes that met an exceptional case.
    exceptional: Vec<LaneMask>,
    inverter: Inverter<F>,
}

impl<F: FieldLanes> Sums<F> {
    fn new(combinations: &[Combination]) -> Self {
        Self::with_table(combinations, GeneratorTable::of_generator())
    }

    fn with_table(combinations: &[Combination], table: &GeneratorTable) -> Self {
        let groups = combinations.len().div_ceil(F::LANES);
        let mut sums =
            Self { points: Vec::with_capacity(groups), exceptional: vec![0; groups], inverter: Inverter::new() };
        if groups > 0 {
            let mut tables: Vec<OddMultiples> = vec![Default::default(); groups * F::LANES];
            multiply::tables(combinations, &mut tables, &mut sums);
            multiply::multiply(combinations, table, &tables, &mut sums);
        }
        sums
    }

    /// Whether an item's lane met an exceptional case.
    fn is_exceptional(&self, index: usize) -> bool {
        self.exceptional[index / F::LANES] >> (index % F::LANES) & 1 == 1
    }
}

/// The item in a lane of a group; the lanes after the last item repeat it.
#[inline(always)]
fn item<F: FieldLanes, T>(items: &[T], group: usize, lane: usize) -> &T {
    &items[(group * F::LANES + lane).min(items.len() - 1)]
}
