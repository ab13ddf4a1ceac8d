//! Scalars as digits that are never zero: with windows of w bits every digit is odd, between -(2^w - 1) and 2^w - 1.
//!
//! Bits that stand for 1 and -1 in place of 1 and 0 make of the l-bit number v the odd number 2 v - (2^l - 1), and of each
//! window an odd digit (Hamburg, "Fast and compact elliptic-curve cryptography", 2012, 3.3). So v is (k + 2^l - 1) / 2 modulo
//! n. No digit being zero, sums of table entries meet infinity only where points cancel.

use super::field::Limbs;
use super::{Half, Scalar};

/// Bits in a window of the point's halves.
pub(crate) const WIDTH: usize = 5;

/// Windows of a half: 130 bits, one more than the halves' 129 with the offset that makes them positive.
pub(crate) const WINDOWS: usize = 26;

/// 1 / 2 modulo n.
const HALF: Limbs = [0xdfe9_2f46_681b_20a1, 0x5d57_6e73_57a4_501d, u64::MAX, 0x7fff_ffff_ffff_ffff];

/// An odd digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digit(u16);

impl Digit {
    /// Of a window of `width` bits: 2 `window` - (2^width - 1).
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a window has at most 15 bits")]
    const fn of_window(window: u64, width: usize) -> Self {
        let top = 1 << (width - 1);
        let positive = window & top != 0;
        let index = if positive { window ^ top } else { top - 1 - window };
        Self(index as u16 | if positive { 0 } else { 1 << 15 })
    }

    /// i where the digit is 2 i + 1 or -(2 i + 1).
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        (self.0 & 0x7fff) as usize
    }

    /// Whether it is negative.
    #[inline(always)]
    pub(crate) const fn is_negative(self) -> bool {
        self.0 >> 15 == 1
    }
}

/// The digits of a multiple b P: b = b1 + b2 lambda, the digits of b1 and of b2, the lowest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PointDigits(pub(crate) [[Digit; WINDOWS]; 2]);

impl PointDigits {
    /// The digits of b.
    ///
    /// With halves v1 = s1 + 2^129 and v2 = s2 + 2^129 of s = s1 + s2 lambda, the digits make up
    /// 2 s + (2^130 - 2^130 + 1) (1 + lambda), so that s is (b - 1 - lambda) / 2.
    pub(crate) fn new(b: Scalar) -> Self {
        let s = halved(b - (Scalar::ONE + Scalar::LAMBDA));
        let (s1, s2) = s.glv_split();
        Self([Self::of_half(s1), Self::of_half(s2)])
    }

    fn of_half(half: Half) -> [Digit; WINDOWS] {
        // 2^129 + half: 130 bits, the upper two apart.
        let (mut low, mut high) = match half {
            Half { magnitude: 0, .. } => (0, 2),
            Half { magnitude, negative: false } => (magnitude, 2),
            Half { magnitude, negative: true } => (magnitude.wrapping_neg(), 1),
        };
        std::array::from_fn(|_| {
            let digit = Digit::of_window((low & 0x1f) as u64, WIDTH);
            low = low >> WIDTH | high << (128 - WIDTH);
            high >>= WIDTH;
            digit
        })
    }
}

/// How a multiple a G is cut: windows of `width` bits, and what makes them digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comb {
    /// Bits of a window, at most 15.
    pub(crate) width: usize,
    /// (2^l - 1) / 2 modulo n for the l bits of all windows.
    offset: Scalar,
}

impl Comb {
    /// Windows of `width` bits, 1 to 15.
    pub(crate) fn new(width: usize) -> Self {
        let mut comb = Self { width, offset: Scalar::ZERO };
        let power = (0..comb.windows() * width).fold(Scalar::ONE, |power, _| power + power);
        comb.offset = halved(power - Scalar::ONE);
        comb
    }

    /// How many windows cover 256 bits.
    #[inline(always)]
    pub(crate) const fn windows(self) -> usize {
        256_usize.div_ceil(self.width)
    }

    /// v of the scalar a, whose windows [`digit`](Self::digit) reads.
    #[inline(always)]
    pub(crate) fn number(self, a: Scalar) -> Limbs {
        (halved(a) + self.offset).to_limbs()
    }

    /// The digit of one of v's windows, the lowest first.
    #[inline(always)]
    pub(crate) fn digit(self, v: &Limbs, window: usize) -> Digit {
        let bit = window * self.width;
        let (limb, shift) = (bit / 64, bit % 64);
        let low = v[limb] >> shift;
        // Shifted in two steps, since 64 is no shift.
        let high = v.get(limb + 1).map_or(0, |next| next << 1 << (63 - shift));
        Digit::of_window((low | high) & ((1 << self.width) - 1), self.width)
    }
}

/// a / 2.
#[inline(always)]
fn halved(a: Scalar) -> Scalar {
    a * Scalar::from_limbs(HALF).unwrap_or(Scalar::ZERO)
}
