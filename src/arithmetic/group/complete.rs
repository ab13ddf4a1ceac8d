//! The complete group law, a point at a time: every exceptional case told apart and done right.
//!
//! It makes tables, and answers for the lanes in which the incomplete formulas met an exceptional case.

use super::super::field::portable::Element;
use super::{Affine, AffinePoint, Jacobian};

/// A point in Jacobian coordinates; z = 0 is infinity, and nothing else is.
pub(crate) type Point = Jacobian<Element>;

impl Point {
    /// The point at infinity.
    pub(crate) const INFINITY: Self = Self { x: Element::ONE, y: Element::ONE, z: Element::ZERO };

    /// Whether it is the point at infinity.
    pub(crate) fn is_infinity(&self) -> bool {
        self.z.is_zero()
    }

    /// self + self.
    pub(crate) fn double(&self) -> Self {
        let mut double = *self;
        double.double_times(1);
        // 2 y z: infinity for infinity, and for a point of order two.
        double
    }

    /// self + other.
    pub(crate) fn add(&self, other: &AffinePoint) -> Self {
        self.add_loaded(&Affine::from_row(other))
    }

    /// self + other.
    pub(crate) fn add_loaded(&self, other: &Affine<Element>) -> Self {
        if self.is_infinity() {
            return Self::from_affine(other);
        }
        let mut sum = *self;
        sum.add_affine(other);
        if !sum.is_infinity() {
            return sum;
        }
        // One x: they are equal or opposite, as y tells.
        let zz = Element::square(self.z);
        if other.y * self.z * zz == self.y { self.double() } else { Self::INFINITY }
    }

    /// In affine coordinates, below p; `None` at infinity.
    pub(crate) fn to_affine(self) -> Option<AffinePoint> {
        let points = [self];
        normalise(&points)[0]
    }
}

/// Brings points to affine coordinates below p at the price of one inversion; `None` for those at infinity.
pub(crate) fn normalise(points: &[Point]) -> Vec<Option<AffinePoint>> {
    let mut inverses: Vec<Element> = points.iter().map(|point| point.z).collect();
    Element::batch_invert(&mut inverses);
    let affine = |(point, inverse): (&Point, &Element)| {
        let square = Element::square(*inverse);
        let (x, y) = (point.x * square, point.y * square * *inverse);
        (!point.is_infinity()).then(|| AffinePoint { x: x.normalize().to_limbs(), y: y.normalize().to_limbs() })
    };
    points.iter().zip(&inverses).map(affine).collect()
}

impl Affine<Element> {
    /// The point of a row.
    pub(crate) fn from_row(row: &AffinePoint) -> Self {
        Self::load(|_| row)
    }

    /// The point negated.
    pub(crate) fn negated(&self) -> Self {
        Self { x: self.x, y: -self.y }
    }
}

impl AffinePoint {
    /// The point negated.
    pub(crate) fn negated(&self) -> Self {
        Self { x: self.x, y: (-Element::from_limbs(self.y)).normalize().to_limbs() }
    }

    /// lambda times the point: (beta x, y).
    pub(crate) fn times_lambda(&self) -> Self {
        let x = Element::from_limbs(self.x) * Element::BETA;
        Self { x: x.normalize().to_limbs(), y: self.y }
    }
}
