//! Finish: from the sums to keys, or to whether their x is r.

use super::super::field::portable::Element;
use super::super::field::{FieldLanes, Kernel, LaneMask, Limbs};
use super::super::group::complete::{Point, normalise};
use super::super::limbs::{add_256, sub_256, to_be_bytes};
use super::super::scalar::ORDER;
use super::super::table::GeneratorTable;
use super::multiply::Combination;
use super::{AffinePoint, Scalar, Sums, item};

/// The points of a block, x and y big-endian; `None` at infinity.
pub(super) fn keys<F: FieldLanes>(sums: &mut Sums<F>, combinations: &[Combination]) -> Vec<Option<[u8; 64]>> {
    let points = to_affine(sums);
    let table = GeneratorTable::of_generator();
    let single = combinations.iter().enumerate().filter(|(index, _)| sums.is_single(*index));
    let single: Vec<Point> = single.map(|(_, combination)| combination.complete(table)).collect();
    let mut single = normalise(&single).into_iter();
    let key = |index: usize| {
        let point = if sums.is_single(index) { single.next().flatten()? } else { points[index] };
        let mut key = [0; 64];
        key[..32].copy_from_slice(&to_be_bytes(point.x));
        key[32..].copy_from_slice(&to_be_bytes(point.y));
        Some(key)
    };
    (0..combinations.len()).map(key).collect()
}

/// The sums in affine coordinates, below p; those of lanes whose items are done by themselves are meaningless or missing.
pub(super) fn to_affine<F: FieldLanes>(sums: &mut Sums<F>) -> Vec<AffinePoint> {
    F::outlined(ToAffine(sums))
}

/// Brings every sum to affine coordinates, those apart whose z is zero.
struct ToAffine<'a, F>(&'a mut Sums<F>);

impl<F: FieldLanes> Kernel for ToAffine<'_, F> {
    type Output = Vec<AffinePoint>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Sums { points, exceptional, inverter, .. } = self.0;
        inverter.clear();
        for point in points.iter() {
            inverter.push(|| point.z.copied());
        }
        inverter.invert(|index, lanes| exceptional[index] |= lanes);
        let mut affine = Vec::with_capacity(points.len() * F::LANES);
        for (index, point) in points.iter().enumerate() {
            let inverse = inverter.inverse(index);
            let square = inverse.square();
            let point = super::Affine { x: point.x.mul(&square), y: point.y.mul(&square).mul(inverse) };
            point.store(|_, row| affine.push(row));
        }
        affine
    }
}

/// Whether the x coordinate of each point of a block, reduced modulo n, is r. Infinity has none.
pub(super) fn matches<F: FieldLanes>(sums: &mut Sums<F>, combinations: &[Combination], rs: &[Scalar]) -> Vec<bool> {
    let rs: Vec<[Limbs; 2]> = rs.iter().map(|r| candidates(*r)).collect();
    let matching = F::outlined(Matches(sums, &rs));
    let table = GeneratorTable::of_generator();
    let matches = |(index, combination): (usize, &Combination)| {
        if sums.is_single(index) {
            matches_one(&combination.complete(table), &rs[index])
        } else {
            matching[index / F::LANES] >> (index % F::LANES) & 1 == 1
        }
    };
    combinations.iter().enumerate().map(matches).collect()
}

/// The numbers below p that are r modulo n: r, and r + n where that is below p, else r again.
fn candidates(r: Scalar) -> [Limbs; 2] {
    let r = r.to_limbs();
    let (sum, carry) = add_256(r, ORDER);
    let below = !carry && sub_256(sum, super::super::field::portable::PRIME).1;
    [r, if below { sum } else { r }]
}

fn matches_one(point: &Point, candidates: &[Limbs; 2]) -> bool {
    let zz = Element::square(point.z);
    !point.is_infinity() && candidates.iter().any(|candidate| Element::from_limbs(*candidate) * zz == point.x)
}

/// The lanes of each sum whose x is one of two candidates, compared without dividing: x = c z^2. Lanes whose z is zero go to
/// the exceptional ones.
struct Matches<'a, F>(&'a mut Sums<F>, &'a [[Limbs; 2]]);

impl<F: FieldLanes> Kernel for Matches<'_, F> {
    type Output = Vec<LaneMask>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Self(sums, candidates) = self;
        let mut matching = Vec::with_capacity(sums.points.len());
        for (group, point) in sums.points.iter().enumerate() {
            sums.exceptional[group] |= point.z.zero_lanes();
            let square = point.z.square();
            let equal = |which: usize| {
                let candidate = F::load(|lane| &item::<F, _>(candidates, group, lane)[which]);
                candidate.mul(&square).equal_lanes(&point.x)
            };
            let mut lanes = equal(0);
            // Of honest signatures one in 2^127 has an r below p - n.
            if (0..F::LANES).any(|lane| {
                let [first, second] = item::<F, _>(candidates, group, lane);
                first != second
            }) {
                lanes |= equal(1);
            }
            matching.push(lanes);
        }
        matching
    }
}
