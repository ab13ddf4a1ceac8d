//! The group of points, in lanes.
//!
//! The formulas hold on every curve y^2 = x^3 + b: none of them uses b. They are incomplete: where two points to be added
//! have one x, the sum's z is zero, and stays zero through everything that follows. Such lanes are found at the end
//! and redone by [`complete`], however they came about; an attacker can choose them.

pub(crate) mod batch;
pub(crate) mod complete;

use super::field::{FieldLanes, Kernel, LaneMask, Limbs};

/// A point in affine coordinates, as it lies in tables: x and y below 2^256. Never infinity.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct AffinePoint {
    /// Its x coordinate.
    pub(crate) x: Limbs,
    /// Its y coordinate.
    pub(crate) y: Limbs,
}

/// The generator G (SEC 2, secp256k1).
pub(crate) const GENERATOR: AffinePoint = AffinePoint {
    x: [0x59f2_815b_16f8_1798, 0x029b_fcdb_2dce_28d9, 0x55a0_6295_ce87_0b07, 0x79be_667e_f9dc_bbac],
    y: [0x9c47_d08f_fb10_d4b8, 0xfd17_b448_a685_5419, 0x5da4_fbfc_0e11_08a8, 0x483a_da77_26a3_c465],
};

/// Affine points, one in each lane. Magnitude 1.
#[derive(Clone, Copy)]
pub(crate) struct Affine<F> {
    pub(crate) x: F,
    pub(crate) y: F,
}

impl<F: FieldLanes> Affine<F> {
    /// In each lane the point that `row` has for it.
    #[inline(always)]
    pub(crate) fn load<'a>(row: impl Fn(usize) -> &'a AffinePoint) -> Self {
        Self { x: F::load(|lane| &row(lane).x), y: F::load(|lane| &row(lane).y) }
    }

    /// The same points, negated in the lanes of `mask`.
    #[inline(always)]
    pub(crate) fn negate(&self, mask: LaneMask) -> Self {
        Self { x: self.x, y: self.y.select(&self.y.neg::<1>().carry(), mask) }
    }

    /// Hands out each lane's point, reduced.
    #[inline(always)]
    pub(crate) fn store(&self, mut put: impl FnMut(usize, AffinePoint)) {
        let mut xs = [[0; 4]; LaneMask::BITS as usize];
        self.x.store(|lane, x| xs[lane] = x);
        self.y.store(|lane, y| put(lane, AffinePoint { x: xs[lane], y }));
    }
}

/// Points (x / z^2, y / z^3), one in each lane. Magnitude 1. A lane whose z is zero is at infinity or was lost in an
/// exceptional sum.
#[derive(Clone, Copy)]
pub(crate) struct Jacobian<F> {
    pub(crate) x: F,
    pub(crate) y: F,
    pub(crate) z: F,
}

impl<F: FieldLanes> Jacobian<F> {
    #[inline(always)]
    pub(crate) fn from_affine(point: &Affine<F>) -> Self {
        Self { x: point.x, y: point.y, z: F::splat(&[1, 0, 0, 0]) }
    }

    /// Doubles `times` times over, in place.
    ///
    /// dbl-2009-l of the Explicit-Formulas Database with D as a product, 3M + 4S. No point of odd order has y = 0.
    #[inline(always)]
    pub(crate) fn double_times(&mut self, times: usize) {
        struct Double<'a, F>(&'a mut Jacobian<F>, usize);
        impl<F: FieldLanes> Kernel for Double<'_, F> {
            type Output = ();
            #[inline(always)]
            fn run(self) {
                for _ in 0..self.1 {
                    self.0.double_inlined();
                }
            }
        }
        F::outlined(Double(self, times));
    }

    #[inline(always)]
    fn double_inlined(&mut self) {
        let a = self.x.square();
        let b = self.y.square();
        let e = a.add(&a).add(&a).carry();
        let b2 = b.add(&b).operand();
        // 2 x b, half of D.
        let d = self.x.mul(&b2);
        let d = d.add(&d);
        let x = e.square().sub::<4>(&d.add(&d)).carry();
        // 4 b^2.
        let c = b2.square();
        let y = e.mul(&d.sub::<1>(&x).operand()).sub::<2>(&c.add(&c)).carry();
        self.z.multiply_by(&self.y.add(&self.y).operand());
        self.x = x;
        self.y = y;
    }

    /// Adds affine points, in place: 8M + 3S. Where the two have one x, z becomes zero.
    #[inline(always)]
    pub(crate) fn add_affine(&mut self, point: &Affine<F>) {
        struct Add<'a, F>(&'a mut Jacobian<F>, &'a Affine<F>);
        impl<F: FieldLanes> Kernel for Add<'_, F> {
            type Output = ();
            #[inline(always)]
            fn run(self) {
                let _ = self.0.add_affine_inlined(self.1);
            }
        }
        F::outlined(Add(self, point));
    }

    /// The same, inlined; returns what z was multiplied by.
    #[inline(always)]
    pub(crate) fn add_affine_inlined(&mut self, point: &Affine<F>) -> F {
        let zz = self.z.square();
        let u = point.x.mul(&zz);
        let s = point.y.mul(&self.z).mul(&zz);
        let h = u.sub::<1>(&self.x).carry();
        let r = s.sub::<1>(&self.y).carry();
        let hh = h.square();
        let hhh = h.mul(&hh);
        let v = self.x.mul(&hh);
        let x = r.square().sub::<3>(&v.add(&v).add(&hhh)).carry();
        let y = r.mul(&v.sub::<1>(&x).operand()).sub::<1>(&self.y.mul(&hhh)).carry();
        self.z.multiply_by(&h);
        self.x = x;
        self.y = y;
        h
    }
}
