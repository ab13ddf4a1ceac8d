//! The Gallant-Lambert-Vanstone split: k = k1 + λ k2 with halves of at most 128 bits, and the digits of such halves.
//!
//! With λ (x, y) = (β x, y) a multiplication by k becomes two by half as many bits (Gallant, Lambert, Vanstone, CRYPTO 2001;
//! Guide to Elliptic Curve Cryptography, algorithm 3.74).

use super::limbs::{high, join, low, mul_256, multiply_add, sub_borrow};
use super::scalar::Scalar;

// The lattice of (a, b) with a + b λ = 0 modulo n has the short basis (A1, -MINUS_B1), (2^128 + A2_LOW, A1).
const A1: u128 = 0x3086_d221_a7d4_6bcd_e86c_90e4_9284_eb15;
const MINUS_B1: u128 = 0xe443_7ed6_010e_8828_6f54_7fa9_0abf_e4c3;
const A2_LOW: u128 = 0x14ca_50f7_a8e2_f3f6_57c1_108d_9d44_cfd8;

/// round(2^384 `A1` / n).
const G1: [u64; 4] = [0xe893_209a_45db_b031, 0x3daa_8a14_71e8_ca7f, 0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd];
/// round(2^384 `MINUS_B1` / n).
const G2: [u64; 4] = [0x1571_b4ae_8ac4_7f71, 0x2212_08ac_9df5_06c6, 0x6f54_7fa9_0abf_e4c4, 0xe443_7ed6_010e_8828];

/// Digits of a half's non-adjacent form: one more than its bits, for the last carry.
pub(crate) const NON_ADJACENT_DIGITS: usize = 129;

/// A signed integer of at most 128 bits and a sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Half {
    /// The absolute value.
    pub magnitude: u128,
    /// Whether it is below zero. A zero may have either sign.
    pub negative: bool,
}

impl Half {
    /// The same number modulo n.
    #[must_use]
    pub fn to_scalar(self) -> Scalar {
        let magnitude = Scalar::from_u128(self.magnitude);
        if self.negative { -magnitude } else { magnitude }
    }

    /// The number negated.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self { magnitude: self.magnitude, negative: !self.negative }
    }

    /// The non-adjacent form, the lowest digit first: digits are zero or odd and below 2^(`width` - 1) in size, of `width`
    /// neighbours at most one is not zero, and their sum, each times 2 to its index, is the number. `width` is 2 to 8.
    ///
    /// Guide to Elliptic Curve Cryptography, algorithm 3.35.
    pub(crate) fn non_adjacent(self, width: u32) -> [i8; NON_ADJACENT_DIGITS] {
        debug_assert!((2..=8).contains(&width), "the width of a window");
        let mut digits = [0; NON_ADJACENT_DIGITS];
        let (mut rest, mut place) = (self.magnitude, 0);
        while rest != 0 {
            let zeros = rest.trailing_zeros();
            rest >>= zeros;
            place += zeros;
            let window = low_word(rest) & ((1 << width) - 1);
            let is_negative = window >> (width - 1) == 1;
            let digit = if is_negative { window - (1 << width) } else { window };
            digits[place as usize] = narrow(if self.negative { -digit } else { digit });
            rest = (rest >> width) + u128::from(is_negative);
            place += width;
        }
        digits
    }
}

/// How halves are cut into signed digits of `width` bits: windows of their bits, each digit in
/// `[-2^(width - 1), 2^(width - 1)]`.
///
/// With 2^(width - 1) added in every window but the last, no digit depends on another's carry.
#[derive(Clone, Copy, Debug)]
pub struct SignedWindows {
    width: u32,
    bias: u128,
}

impl SignedWindows {
    /// Windows of `width` bits, 1 to 16.
    #[must_use]
    pub fn new(width: u32) -> Self {
        debug_assert!((1..=16).contains(&width), "the width of a window");
        let windows = Self { width, bias: 0 };
        let bias = (1..windows.count()).fold(0, |bias, window| bias | 1 << (windows.shift(window) - 1));
        Self { bias, ..windows }
    }

    /// Bits of a window.
    #[must_use]
    pub const fn width(self) -> u32 {
        self.width
    }

    /// How many cover every half: one bit more than 128, for the last carry.
    #[must_use]
    pub const fn count(self) -> usize {
        129_usize.div_ceil(self.width as usize)
    }

    /// Bits below a window.
    #[must_use]
    pub const fn shift(self, window: usize) -> usize {
        window * self.width as usize
    }

    /// The digit of a half in a window. Those of all windows, each times 2^[`shift`](Self::shift), add up to the half.
    #[inline]
    #[must_use]
    pub fn digit(self, half: Half, window: usize) -> i32 {
        let (biased, carry) = half.magnitude.overflowing_add(self.bias);
        let shift = self.shift(window);
        let digit = if window + 1 == self.count() {
            let bits = if shift == 128 { 0 } else { low_word(biased >> shift) };
            bits + (i32::from(carry) << (128 - shift))
        } else {
            (low_word(biased >> shift) & ((1 << self.width) - 1)) - (1 << (self.width - 1))
        };
        if half.negative { -digit } else { digit }
    }
}

impl Scalar {
    /// Splits k into (k1, k2) with k = k1 + λ k2 modulo n.
    ///
    /// Babai rounding: c1 = round(k `A1` / n) and c2 = round(k `MINUS_B1` / n), by a product and a shift, so off by at most one
    /// from the exact quotient; then (k1, k2) = (k, 0) - c1 (a1, b1) - c2 (a2, b2), each below 2^128 in size.
    #[must_use]
    pub fn glv_split(self) -> (Half, Half) {
        let c1 = multiply_shift_384(self, G1);
        let c2 = multiply_shift_384(self, G2);
        // 192 bits hold both halves with their signs, so the products need no more than that either.
        let limbs = self.to_limbs();
        let k1 = sub_192([limbs[0], limbs[1], limbs[2]], multiply_192(c1, A1));
        let mut k1 = sub_192(k1, multiply_192(c2, A2_LOW));
        k1[2] = k1[2].wrapping_sub(low(c2));
        let k2 = sub_192(multiply_192(c1, MINUS_B1), multiply_192(c2, A1));
        (signed(k1), signed(k2))
    }
}

/// round(k g / 2^384).
#[inline(always)]
fn multiply_shift_384(k: Scalar, g: [u64; 4]) -> u128 {
    let product = mul_256(k.to_limbs(), g);
    join(product[6], product[7]) + u128::from(product[5] >> 63)
}

/// `a b` modulo 2^192.
#[inline(always)]
fn multiply_192(a: u128, b: u128) -> [u64; 3] {
    let (r0, c) = multiply_add(0, low(a), low(b), 0);
    let (r1, c) = multiply_add(0, low(a), high(b), c);
    let (r1, d) = multiply_add(r1, high(a), low(b), 0);
    [r0, r1, high(a).wrapping_mul(high(b)).wrapping_add(c).wrapping_add(d)]
}

/// `a - b` modulo 2^192.
#[inline(always)]
fn sub_192(a: [u64; 3], b: [u64; 3]) -> [u64; 3] {
    let (r0, borrow) = sub_borrow(a[0], b[0], false);
    let (r1, borrow) = sub_borrow(a[1], b[1], borrow);
    [r0, r1, sub_borrow(a[2], b[2], borrow).0]
}

/// The low 32 bits.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the low bits are what is asked for")]
const fn low_word(a: u128) -> i32 {
    a as i32
}

/// A digit of at most seven bits and a sign.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "a digit is below 2^7 in size")]
const fn narrow(digit: i32) -> i8 {
    digit as i8
}

/// A number in two's complement with sign and magnitude apart.
#[inline(always)]
fn signed(a: [u64; 3]) -> Half {
    let negative = a[2] >> 63 == 1;
    let magnitude = if negative { sub_192([0; 3], a) } else { a };
    debug_assert_eq!(magnitude[2], 0, "a half has at most 128 bits");
    Half { magnitude: join(magnitude[0], magnitude[1]), negative }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_adjacent_forms_make_up_their_halves() {
        let edges = [0, 1, 2, 15, 16, 17, 31, 32, u128::MAX, u128::MAX - 15, 1 << 127, (1 << 127) - 1];
        let random = (1..200_u128).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        for (magnitude, negative) in edges.into_iter().chain(random).flat_map(|half| [(half, false), (half, true)]) {
            for width in 2..=8 {
                let half = Half { magnitude, negative };
                let digits = half.non_adjacent(width);
                let sum = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
                    let size = u128::from(digit.unsigned_abs());
                    sum + sum + Half { magnitude: size, negative: *digit < 0 }.to_scalar()
                });
                assert_eq!(sum, half.to_scalar(), "{half:?}, {width}");
                assert!(digits.iter().all(|digit| *digit == 0 || digit % 2 != 0), "{half:?}, {width}");
                assert!(digits.iter().all(|digit| i32::from(*digit).abs() < 1 << (width - 1)), "{half:?}, {width}");
                let neighbours = digits.windows(width as usize);
                let crowded = neighbours.filter(|digits| digits.iter().filter(|digit| **digit != 0).count() > 1);
                assert_eq!(crowded.count(), 0, "{half:?}, {width}");
            }
        }
    }
}
