//! How an element of secp256k1's base field is cut into limbs.

use super::straight::Width;

/// The prime, 2^256 - 2^32 - 977, in 32-bit words, the least significant first.
const PRIME: [u32; 8] = [0xffff_fc2f, 0xffff_fffe, !0, !0, !0, !0, !0, !0];

/// Largest product of the magnitudes of two factors.
pub(super) const PRODUCT_MAGNITUDE: u128 = 3;

/// Largest magnitude of anything.
pub(super) const MAGNITUDE: u128 = 7;

/// A cut into limbs of equal width. The top limb holds what is left of 256 bits, and every limb has room for more: the limbs of an
/// element of **magnitude** m are at most m times their unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Bits of a limb.
    pub(super) bits: u32,
    /// Number of limbs.
    pub(super) limbs: usize,
    /// What products are summed in.
    pub(super) accumulator: Width,
    /// Factors have fewer bits than this; compilers are told.
    pub(super) factor_bits: Option<u32>,
    /// By how much a unit is more than a full limb: what is left of carries that go no further.
    slack: u128,
    /// 2^(bits * limbs) modulo the prime, as factors at limbs.
    pub(super) fold_limbs: &'static [(usize, u128)],
    /// 2^256 modulo the prime, 2^32 + 977, as factors at limbs.
    pub(super) fold_256: &'static [(usize, u128)],
}

impl Layout {
    /// 9 limbs of 29 bits: nine products and more fit 64 bits, so that nothing is carried between them.
    pub(super) const U64: Self = Self {
        bits: 29,
        limbs: 9,
        accumulator: Width::U64,
        factor_bits: None,
        slack: 1 << 16,
        fold_limbs: &[(0, 977 << 5), (1, 8 << 5)],
        fold_256: &[(0, 977), (1, 8)],
    };

    /// 20 limbs of 13 bits: twenty products and more fit 32 bits, and factors are short enough for the 24-bit multiply-adds of
    /// GPUs and the 16-bit ones of CPUs.
    pub(super) const U32: Self = Self {
        bits: 13,
        limbs: 20,
        accumulator: Width::U32,
        factor_bits: Some(15),
        slack: 1 << 4,
        fold_limbs: &[(0, 7440), (1, 1), (2, 64 << 4)],
        fold_256: &[(0, 977), (2, 64)],
    };

    /// Bits of the top limb within 256.
    pub(super) fn top_bits(&self) -> u32 {
        256 - self.shift(self.limbs - 1)
    }

    /// Where a limb begins.
    pub(super) fn shift(&self, limb: usize) -> u32 {
        (0..limb).map(|_| self.bits).sum()
    }

    /// The most that a limb of magnitude 1 can be.
    pub(super) fn unit(&self, limb: usize) -> u128 {
        let bits = if limb + 1 == self.limbs { self.top_bits() } else { self.bits };
        (1 << bits) + self.slack
    }

    /// The limbs of a number, the least significant first; what is beyond `limbs` of them is cut off.
    pub(super) fn limbs_of(&self, words: &[u32], limbs: usize) -> Vec<u128> {
        let bit = |bit: u32| words.get((bit / 32) as usize).map_or(0, |word| u128::from((word >> (bit % 32)) & 1));
        let limb = |limb| (0..self.bits).map(|index| bit(self.shift(limb) + index) << index).sum();
        (0..limbs).map(limb).collect()
    }

    /// The prime's limbs.
    pub(super) fn prime(&self) -> Vec<u128> {
        self.digits(|_| 0, 1)
    }

    /// A multiple of the prime whose limbs are at least those of magnitude 1, and of magnitude 2.
    pub(super) fn cover(&self) -> Vec<u128> {
        // Twice the prime less all units, in digits; a unit on top of each makes it twice the prime again.
        let digits = self.digits(|limb| self.unit(limb), 2);
        digits.iter().enumerate().map(|(limb, digit)| digit + self.unit(limb)).collect()
    }

    /// `times` the prime less a number of the limbs `less`, in digits; the top one takes what is left.
    fn digits(&self, less: impl Fn(usize) -> u128, times: i128) -> Vec<u128> {
        let mut carry = 0_i128;
        let mut digits = Vec::with_capacity(self.limbs);
        for limb in 0..self.limbs {
            let full = if limb + 1 == self.limbs { self.top_bits() } else { self.bits };
            let value = carry + times * prime_bits(self.shift(limb), full) - less(limb).cast_signed();
            if limb + 1 == self.limbs {
                digits.push(value.cast_unsigned());
            } else {
                digits.push((value & ((1 << self.bits) - 1)).cast_unsigned());
                carry = value >> self.bits;
            }
        }
        digits
    }
}

/// `count` bits of the prime from bit `from` on.
fn prime_bits(from: u32, count: u32) -> i128 {
    let bit = |bit: u32| PRIME.get((bit / 32) as usize).map_or(0, |word| i128::from((word >> (bit % 32)) & 1));
    (0..count).map(|index| bit(from + index) << index).sum()
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    fn value(layout: &Layout, limbs: &[u128]) -> BigUint {
        limbs.iter().enumerate().map(|(limb, digit)| BigUint::from(*digit) << layout.shift(limb)).sum()
    }

    #[test]
    fn layouts_are_of_the_field() {
        let prime = (BigUint::from(1_u8) << 256) - (BigUint::from(1_u8) << 32) - 977_u16;
        for layout in [Layout::U64, Layout::U32] {
            assert_eq!(value(&layout, &layout.prime()), prime);
            assert_eq!(value(&layout, &layout.cover()), &prime * 2_u8);
            for (limb, cover) in layout.cover().into_iter().enumerate() {
                assert!((layout.unit(limb)..=2 * layout.unit(limb)).contains(&cover), "limb {limb} of {layout:?}");
            }
            for (fold, power) in [(layout.fold_limbs, layout.shift(layout.limbs)), (layout.fold_256, 256)] {
                let folded: BigUint =
                    fold.iter().map(|(limb, factor)| BigUint::from(*factor) << layout.shift(*limb)).sum();
                assert_eq!(folded, (BigUint::from(1_u8) << power) % &prime);
            }
        }
    }
}
