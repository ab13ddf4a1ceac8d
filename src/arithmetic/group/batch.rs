//! Affine sums and doubles of many points, whose inversions are shared: 5M + 1S a sum where a Jacobian one takes 8M + 3S.

use super::super::field::{FieldLanes, Inverter, LaneMask};
use super::Affine;

/// One sum of two points, or of a point and another's negative, at the inverse of x2 - x1.
impl<F: FieldLanes> Affine<F> {
    /// What [`sum`](Self::sum) and [`difference`](Self::difference) want inverted: zero where the two points have one x.
    #[inline(always)]
    pub(crate) fn sum_denominator(&self, other: &Self) -> F {
        other.x.sub::<1>(&self.x).carry()
    }

    /// self + other, with the inverse of their [`sum_denominator`](Self::sum_denominator).
    #[inline(always)]
    pub(crate) fn sum(&self, other: &Self, inverse: &F) -> Self {
        let slope = other.y.sub::<1>(&self.y).operand().mul(inverse);
        self.third(&other.x, &slope)
    }

    /// self - other, with the inverse of their [`sum_denominator`](Self::sum_denominator).
    #[inline(always)]
    pub(crate) fn difference(&self, other: &Self, inverse: &F) -> Self {
        // The slope to -other is (-y2 - y1) / (x2 - x1); this is its negative.
        let slope = other.y.add(&self.y).operand().mul(inverse);
        let x = slope.square().sub::<2>(&self.x.add(&other.x)).carry();
        Self { x, y: slope.mul(&x.sub::<1>(&self.x).operand()).sub::<1>(&self.y).carry() }
    }

    /// What [`double`](Self::double) wants inverted; zero for points of order two, of which the curve has none.
    #[inline(always)]
    pub(crate) fn double_denominator(&self) -> F {
        self.y.add(&self.y).carry()
    }

    /// self + self, with the inverse of its [`double_denominator`](Self::double_denominator).
    #[inline(always)]
    pub(crate) fn double(&self, inverse: &F) -> Self {
        let square = self.x.square();
        let slope = square.add(&square).add(&square).operand().mul(inverse);
        self.third(&self.x, &slope)
    }

    /// The negative of the third point on the line of this slope through `self` and a point at `x`.
    #[inline(always)]
    fn third(&self, x: &F, slope: &F) -> Self {
        let x = slope.square().sub::<2>(&self.x.add(x)).carry();
        Self { x, y: slope.mul(&self.x.sub::<1>(&x).operand()).sub::<1>(&self.y).carry() }
    }
}

/// Adds up neighbours: of the `per_group` points of each group the first and the second, the third and the fourth, and so
/// on, in place; a last one without a partner stays. Returns how many each group is left with.
///
/// `exceptional`, a mask for each group, takes on the lanes in which two points had one x; their sums are wrong.
#[inline(always)]
pub(crate) fn add_pairs<F: FieldLanes>(
    points: &mut Vec<Affine<F>>,
    per_group: usize,
    inverter: &mut Inverter<F>,
    exceptional: &mut [LaneMask],
) -> usize {
    let pairs = per_group / 2;
    inverter.clear();
    for group in points.chunks_exact(per_group) {
        for pair in group.chunks_exact(2) {
            inverter.push(|| pair[0].sum_denominator(&pair[1]));
        }
    }
    inverter.invert(|index, lanes| exceptional[index / pairs] |= lanes);
    let left = per_group - pairs;
    for group in 0..points.len() / per_group {
        let (from, to) = (group * per_group, group * left);
        for pair in 0..pairs {
            let [first, second] = [points[from + 2 * pair], points[from + 2 * pair + 1]];
            points[to + pair] = first.sum(&second, inverter.inverse(group * pairs + pair));
        }
        if left > pairs {
            points[to + pairs] = points[from + 2 * pairs];
        }
    }
    points.truncate(points.len() / per_group * left);
    left
}
