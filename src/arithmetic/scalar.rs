//! Scalars of secp256k1: integers modulo the group order n, in four 64-bit limbs.
//!
//! A [`Scalar`] is always below n. Nothing here runs in constant time: it works on public signatures only.

use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub};

use super::limbs::{self, add_256, add_carry, high, low, mul_256, multiply_add, sub_256};
use super::modular_inverse::Modulus;

/// The group order n, little-endian limbs.
pub const ORDER: [u64; 4] = [0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX];

/// (n - 1) / 2: the largest s that counts as low.
const HALF_ORDER: [u64; 4] = [0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, u64::MAX, 0x7fff_ffff_ffff_ffff];

/// 2^256 - n, of 129 bits, without its top limb, which is 1.
const FOLD: [u64; 2] = [0x402d_a173_2fc9_bebf, 0x4551_2319_50b7_5fc4];

/// An integer modulo n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scalar([u64; 4]);

impl Scalar {
    /// 0.
    pub const ZERO: Self = Self([0; 4]);
    /// 1.
    pub const ONE: Self = Self([1, 0, 0, 0]);
    /// λ, a cube root of one: λ (x, y) = (β x, y) for every point of the curve.
    pub const LAMBDA: Self =
        Self([0xdf02_967c_1b23_bd72, 0x122e_22ea_2081_6678, 0xa526_1c02_8812_645a, 0x5363_ad4c_c05c_30e0]);

    /// The scalar that 32 big-endian bytes name; `None` from n on.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let limbs = limbs::from_be_bytes(bytes);
        sub_256(limbs, ORDER).1.then_some(Self(limbs))
    }

    /// 32 big-endian bytes modulo n, as a digest is taken.
    #[must_use]
    pub fn from_be_bytes_reduced(bytes: &[u8; 32]) -> Self {
        Self::reduce_once(limbs::from_be_bytes(bytes))
    }

    /// Little-endian limbs of a number below n; `None` from n on.
    #[must_use]
    pub const fn from_limbs(limbs: [u64; 4]) -> Option<Self> {
        if sub_256(limbs, ORDER).1 { Some(Self(limbs)) } else { None }
    }

    /// A number of at most 128 bits.
    #[must_use]
    pub const fn from_u128(value: u128) -> Self {
        Self([low(value), high(value), 0, 0])
    }

    /// 32 big-endian bytes.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        limbs::to_be_bytes(self.0)
    }

    /// Little-endian limbs, below n.
    #[must_use]
    pub const fn to_limbs(self) -> [u64; 4] {
        self.0
    }

    /// Whether it is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// Whether it is above (n - 1) / 2: a high s.
    #[must_use]
    pub const fn is_high(self) -> bool {
        sub_256(HALF_ORDER, self.0).1
    }

    /// The inverse; that of 0 is 0. For more than one use [`Scalar::batch_invert`].
    #[must_use]
    pub fn invert(self) -> Self {
        const N: Modulus = Modulus::new(ORDER);
        Self(N.invert(self.0))
    }

    /// Inverts every scalar in place with a single inversion (Montgomery's trick); a 0 stays 0.
    pub fn batch_invert(scalars: &mut [Self]) {
        let mut product = Self::ONE;
        let prefixes: Vec<Self> = scalars
            .iter()
            .map(|scalar| {
                let prefix = product;
                if !scalar.is_zero() {
                    product *= *scalar;
                }
                prefix
            })
            .collect();
        let mut suffix = product.invert();
        for (scalar, prefix) in scalars.iter_mut().zip(prefixes).rev() {
            if !scalar.is_zero() {
                let inverse = suffix * prefix;
                suffix *= *scalar;
                *scalar = inverse;
            }
        }
    }

    /// `limbs`, below 2 n, modulo n.
    #[inline(always)]
    const fn reduce_once(limbs: [u64; 4]) -> Self {
        let (reduced, borrow) = sub_256(limbs, ORDER);
        Self(if borrow { limbs } else { reduced })
    }

    /// A 512-bit number modulo n: since 2^256 = 2^256 - n modulo n, the upper half times that constant, of 129 bits, is
    /// added to the lower one, three times over.
    #[inline(always)]
    fn reduce_wide(t: [u64; 8]) -> Self {
        // Below 2^256 + 2^256 2^128.4, so below 2^385.
        let (r0, c) = multiply_add(t[0], t[4], FOLD[0], 0);
        let (r1, c) = multiply_add(t[1], t[5], FOLD[0], c);
        let (r2, c) = multiply_add(t[2], t[6], FOLD[0], c);
        let (r3, r4) = multiply_add(t[3], t[7], FOLD[0], c);
        let (r1, c) = multiply_add(r1, t[4], FOLD[1], 0);
        let (r2, c) = multiply_add(r2, t[5], FOLD[1], c);
        let (r3, c) = multiply_add(r3, t[6], FOLD[1], c);
        let (r4, r5) = multiply_add(r4, t[7], FOLD[1], c);
        let (r2, carry) = add_carry(r2, t[4], false);
        let (r3, carry) = add_carry(r3, t[5], carry);
        let (r4, carry) = add_carry(r4, t[6], carry);
        let (r5, carry) = add_carry(r5, t[7], carry);
        let r6 = u64::from(carry);
        // Below 2^256 + 2^129 2^128.4, so below 2^258.
        let (s0, c) = multiply_add(r0, r4, FOLD[0], 0);
        let (s1, c) = multiply_add(r1, r5, FOLD[0], c);
        let (s2, c) = multiply_add(r2, r6, FOLD[0], c);
        let (s3, carry) = add_carry(r3, c, false);
        let s4 = u64::from(carry);
        let (s1, c) = multiply_add(s1, r4, FOLD[1], 0);
        let (s2, c) = multiply_add(s2, r5, FOLD[1], c);
        let (s3, c) = multiply_add(s3, r6, FOLD[1], c);
        let s4 = s4 + c;
        let (s2, carry) = add_carry(s2, r4, false);
        let (s3, carry) = add_carry(s3, r5, carry);
        let s4 = s4 + r6 + u64::from(carry);
        // Below 2^256 + 2^2 2^128.4.
        let (q0, c) = multiply_add(s0, s4, FOLD[0], 0);
        let (q1, c) = multiply_add(s1, s4, FOLD[1], c);
        let (q2, carry) = add_carry(s2, s4, false);
        let (q2, wrapped) = add_carry(q2, c, false);
        let (q3, overflow) = add_carry(s3, u64::from(carry) + u64::from(wrapped), false);
        let folded = [q0, q1, q2, q3];
        if overflow { Self(add_256(folded, [FOLD[0], FOLD[1], 1, 0]).0) } else { Self::reduce_once(folded) }
    }
}

impl Add for Scalar {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        let (sum, carry) = add_256(self.0, other.0);
        let (reduced, borrow) = sub_256(sum, ORDER);
        Self(if carry || !borrow { reduced } else { sum })
    }
}

impl Sub for Scalar {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        let (difference, borrow) = sub_256(self.0, other.0);
        Self(if borrow { add_256(difference, ORDER).0 } else { difference })
    }
}

impl Neg for Scalar {
    type Output = Self;

    #[inline]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for Scalar {
    type Output = Self;

    #[inline]
    fn mul(self, other: Self) -> Self {
        Self::reduce_wide(mul_256(self.0, other.0))
    }
}

impl AddAssign for Scalar {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl MulAssign for Scalar {
    #[inline]
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}
