//! The field in four 64-bit limbs: one element at a time, on any machine.
//!
//! The prime is p = 2^256 - C with C = 2^32 + 977. An [`Element`] is kept *weakly reduced*: any number below 2^256, so that
//! up to C residues have two forms. Every operation takes weakly reduced elements and gives weakly reduced ones; there are no
//! magnitudes to keep count of. [`Element::normalize`] gives the form below p.
//!
//! Five limbs of 52 bits with lazy carries measured slower here: 49 against 36 cycles a multiplication.

use std::ops::{Add, Mul, Neg, Sub};

use super::square_root_candidates;
use crate::arithmetic::limbs::{self, add_256, add_carry, high, low, mul_256, multiply_add, sub_256};
use crate::arithmetic::modular_inverse::Modulus;

/// 2^256 - p.
const C: u64 = 0x1_0000_03d1;

/// p, little-endian limbs.
pub const PRIME: [u64; 4] = [C.wrapping_neg(), u64::MAX, u64::MAX, u64::MAX];

/// An element of the field, weakly reduced: limbs of a number below 2^256. Equality is that of the residues.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Element([u64; 4]);

impl Element {
    /// 0.
    pub const ZERO: Self = Self([0; 4]);
    /// 1.
    pub const ONE: Self = Self([1, 0, 0, 0]);
    /// 7: the curve is y² = x³ + 7.
    pub const SEVEN: Self = Self([7, 0, 0, 0]);
    /// β, a cube root of one: (β x, y) is λ (x, y).
    pub const BETA: Self =
        Self([0xc139_6c28_7195_01ee, 0x9cf0_4975_12f5_8995, 0x6e64_479e_ac34_34e9, 0x7ae9_6a2b_657c_0710]);

    /// The element with these little-endian limbs, any number below 2^256.
    #[must_use]
    #[inline]
    pub const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(limbs)
    }

    /// Little-endian limbs, weakly reduced.
    #[must_use]
    #[inline]
    pub const fn to_limbs(self) -> [u64; 4] {
        self.0
    }

    /// The element that 32 big-endian bytes name; `None` from p on.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let limbs = limbs::from_be_bytes(bytes);
        sub_256(limbs, PRIME).1.then_some(Self(limbs))
    }

    /// 32 big-endian bytes of the number below p.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        limbs::to_be_bytes(self.normalize().0)
    }

    /// The same residue as a number below p.
    #[must_use]
    #[inline]
    pub const fn normalize(self) -> Self {
        let (reduced, borrow) = sub_256(self.0, PRIME);
        Self(if borrow { self.0 } else { reduced })
    }

    /// Whether it is 0 modulo p.
    #[must_use]
    #[inline]
    pub const fn is_zero(self) -> bool {
        let [a, b, c, d] = self.0;
        (a | b | c | d == 0) || (a == PRIME[0] && b & c & d == u64::MAX)
    }

    /// Whether the number below p is odd.
    #[must_use]
    #[inline]
    pub const fn is_odd(self) -> bool {
        self.normalize().0[0] & 1 == 1
    }

    /// 2 a.
    #[must_use]
    #[inline(always)]
    pub fn double(self) -> Self {
        self + self
    }

    /// a².
    #[must_use]
    #[inline(always)]
    pub const fn square(self) -> Self {
        let a = self.0;
        // The products off the diagonal, doubled, then those on it.
        let (r1, c) = multiply_add(0, a[0], a[1], 0);
        let (r2, c) = multiply_add(0, a[0], a[2], c);
        let (r3, r4) = multiply_add(0, a[0], a[3], c);
        let (r3, c) = multiply_add(r3, a[1], a[2], 0);
        let (r4, r5) = multiply_add(r4, a[1], a[3], c);
        let (r5, r6) = multiply_add(r5, a[2], a[3], 0);
        let (r7, r6, r5) = (r6 >> 63, r6 << 1 | r5 >> 63, r5 << 1 | r4 >> 63);
        let (r4, r3, r2, r1) = (r4 << 1 | r3 >> 63, r3 << 1 | r2 >> 63, r2 << 1 | r1 >> 63, r1 << 1);
        let (r0, c) = multiply_add(0, a[0], a[0], 0);
        let (r1, carry) = add_carry(r1, c, false);
        let (square, c) = multiply_add(0, a[1], a[1], 0);
        let (r2, carry) = add_carry(r2, square, carry);
        let (r3, carry) = add_carry(r3, c, carry);
        let (square, c) = multiply_add(0, a[2], a[2], 0);
        let (r4, carry) = add_carry(r4, square, carry);
        let (r5, carry) = add_carry(r5, c, carry);
        let (square, c) = multiply_add(0, a[3], a[3], 0);
        let (r6, carry) = add_carry(r6, square, carry);
        let (r7, _) = add_carry(r7, c, carry);
        Self::reduce_wide([r0, r1, r2, r3, r4, r5, r6, r7])
    }

    /// A square root, of either sign, where there is one.
    #[must_use]
    pub fn sqrt(self) -> Option<Self> {
        let [root] = square_root_candidates(&[self]);
        (root.square() == self).then_some(root)
    }

    /// The inverse; that of 0 is 0. For more than one use [`Element::batch_invert`].
    #[must_use]
    pub fn invert(self) -> Self {
        const P: Modulus = Modulus::new(PRIME);
        Self(P.invert(self.normalize().0))
    }

    /// Inverts every element in place with a single inversion (Montgomery's trick); a 0 stays 0.
    pub fn batch_invert(elements: &mut [Self]) {
        let mut product = Self::ONE;
        let prefixes: Vec<Self> = elements
            .iter()
            .map(|element| {
                let prefix = product;
                if !element.is_zero() {
                    product = product * *element;
                }
                prefix
            })
            .collect();
        let mut suffix = product.invert();
        for (element, prefix) in elements.iter_mut().zip(prefixes).rev() {
            if !element.is_zero() {
                let inverse = suffix * prefix;
                suffix = suffix * *element;
                *element = inverse;
            }
        }
    }

    /// A 512-bit number, weakly reduced: since 2^256 is C modulo p, the upper half times C is added to the lower one, twice.
    #[inline(always)]
    const fn reduce_wide(t: [u64; 8]) -> Self {
        let (r0, c) = multiply_add(t[0], t[4], C, 0);
        let (r1, c) = multiply_add(t[1], t[5], C, c);
        let (r2, c) = multiply_add(t[2], t[6], C, c);
        let (r3, c) = multiply_add(t[3], t[7], C, c);
        // c is at most C, so this is below 2^67.
        let fold = c as u128 * C as u128;
        let (r, carry) = add_256([r0, r1, r2, r3], [low(fold), high(fold), 0, 0]);
        // What wrapped left less than 2^67, so that C more cannot wrap again.
        let (r0, carry) = add_carry(r[0], C * carry as u64, false);
        Self([r0, r[1] + carry as u64, r[2], r[3]])
    }
}

impl Add for Element {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (sum, carry) = add_256(self.0, other.0);
        let (sum, carry) = add_256(sum, [C & u64::from(carry).wrapping_neg(), 0, 0, 0]);
        // A second wrap leaves less than C, so a third is out of reach.
        Self([sum[0].wrapping_add(C & u64::from(carry).wrapping_neg()), sum[1], sum[2], sum[3]])
    }
}

impl Sub for Element {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let (difference, borrow) = sub_256(self.0, other.0);
        let (difference, borrow) = sub_256(difference, [C & u64::from(borrow).wrapping_neg(), 0, 0, 0]);
        // A second wrap leaves at least 2^256 - C, so a third is out of reach.
        let first = difference[0].wrapping_sub(C & u64::from(borrow).wrapping_neg());
        Self([first, difference[1], difference[2], difference[3]])
    }
}

impl Neg for Element {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for Element {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self::reduce_wide(mul_256(self.0, other.0))
    }
}

impl PartialEq for Element {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        (*self - *other).is_zero()
    }
}

impl Eq for Element {}
