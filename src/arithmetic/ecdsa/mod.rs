//! ECDSA in bulk: blocks of signatures through the steps prepare, lift, table, multiply and finish, in lanes.
//!
//! What cannot be told by range checks alone is decided here: whether a point is on the curve, what a G + b P is. Ranges,
//! encodings and rules are the caller's. The lanes' formulas are incomplete; an item whose lane met an exceptional case is
//! done again by complete formulas, a point at a time, so that every answer is exact.

#[cfg(test)]
mod exhaustive;
mod finish;
pub(crate) mod lift;
mod multiply;
mod prepare;
mod single;

use super::field::{FieldLanes, Inverter, LaneMask, Limbs};
use super::group::{Affine, AffinePoint, Jacobian};
use super::platform::OnLanes;
use super::spare::with_spare;
use super::table::{GeneratorTable, MULTIPLES, OddMultiples};
use super::{Platform, Scalar};
use crate::verdict::Reason;
use multiply::Combination;

/// Items that go through the steps together: what is inverted by one inversion, and fits the second-level cache.
pub(crate) const BLOCK: usize = 256;

/// The form that a block of this many items is done in: a few are done one at a time.
fn form(platform: Platform, items: usize) -> Platform {
    if items <= platform.few() { Platform::PORTABLE } else { platform }
}

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
            let keys = with_spare(|sums: &mut Sums<F>| {
                sums.compute(&combinations, GeneratorTable::of_generator());
                finish::keys(sums, &combinations)
            });
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
    form(platform, block.len()).run(Recover(block))
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
            let rs: Vec<Scalar> = self.0.iter().map(|item| item.r).collect();
            let matching = with_spare(|sums: &mut Sums<F>| {
                sums.compute(&combinations, GeneratorTable::of_generator());
                finish::matches(sums, &combinations, &rs)
            });
            let verdict = |(on_curve, matches)| match (on_curve, matches) {
                (false, _) => Err(Reason::KeyNotOnCurve),
                (true, false) => Err(Reason::Mismatch),
                (true, true) => Ok(()),
            };
            on_curve.into_iter().zip(matching).map(verdict).collect()
        }
    }
    form(platform, block.len()).run(Verify(block))
}

/// The points named, and whether each is on the curve; where one is not, the point in its place is another.
pub(crate) fn lift(platform: Platform, names: &[Named]) -> (Vec<AffinePoint>, Vec<bool>) {
    struct LiftAll<'a>(&'a [Named]);
    impl OnLanes for LiftAll<'_> {
        type Output = (Vec<AffinePoint>, Vec<bool>);
        fn run<F: FieldLanes>(self) -> Self::Output {
            lift::lift::<F>(self.0)
        }
    }
    form(platform, names.len()).run(LiftAll(names))
}

/// a G + b P for each (a, b, P) with P on the curve, x and y of 32 bytes each, big-endian; `None` at infinity. Up to
/// [`BLOCK`] of them at a time.
pub(crate) fn combine(platform: Platform, block: &[(Scalar, Scalar, AffinePoint)]) -> Vec<Option<[u8; 64]>> {
    struct Combine<'a>(&'a [(Scalar, Scalar, AffinePoint)]);
    impl OnLanes for Combine<'_> {
        type Output = Vec<Option<[u8; 64]>>;
        fn run<F: FieldLanes>(self) -> Self::Output {
            let combination = |(a, b, point): &(Scalar, Scalar, AffinePoint)| Combination {
                generator_factor: *a,
                point_factor: *b,
                point: *point,
            };
            let combinations: Vec<_> = self.0.iter().map(combination).collect();
            with_spare(|sums: &mut Sums<F>| {
                sums.compute(&combinations, GeneratorTable::of_generator());
                finish::keys(sums, &combinations)
            })
        }
    }
    form(platform, block.len()).run(Combine(block))
}

/// a G + b P for a block, in lanes, and room for what is computed on the way.
pub(crate) struct Sums<F> {
    points: Vec<Jacobian<F>>,
    /// A mask for each vector: lanes that met an exceptional case, or were left out. Their items are done one at a time.
    exceptional: Vec<LaneMask>,
    inverter: Inverter<F>,
    multiples: Vec<[Affine<F>; MULTIPLES]>,
    tables: Vec<OddMultiples>,
    generator_parts: Vec<Affine<F>>,
    windows: Vec<Affine<F>>,
}

impl<F: FieldLanes> Default for Sums<F> {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            exceptional: Vec::new(),
            inverter: Inverter::new(),
            multiples: Vec::new(),
            tables: Vec::new(),
            generator_parts: Vec::new(),
            windows: Vec::new(),
        }
    }
}

impl<F: FieldLanes> Sums<F> {
    /// Computes the sums of a block.
    fn compute(&mut self, combinations: &[Combination], table: &GeneratorTable) {
        let groups = combinations.len().div_ceil(F::LANES);
        self.points.clear();
        self.exceptional.clear();
        if combinations.len() <= F::FEW {
            self.exceptional.resize(groups, LaneMask::MAX);
            return;
        }
        self.exceptional.resize(groups, 0);
        self.tables.resize(groups * F::LANES, OddMultiples::default());
        multiply::tables(combinations, self);
        multiply::multiply(combinations, table, self);
    }

    /// Whether an item is to be done by itself.
    fn is_single(&self, index: usize) -> bool {
        self.exceptional[index / F::LANES] >> (index % F::LANES) & 1 == 1
    }
}

/// The item in a lane of a group; the lanes after the last item repeat it.
#[inline(always)]
fn item<F: FieldLanes, T>(items: &[T], group: usize, lane: usize) -> &T {
    &items[(group * F::LANES + lane).min(items.len() - 1)]
}
