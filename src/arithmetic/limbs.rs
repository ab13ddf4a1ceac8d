//! 64-bit limbs: what the field and the scalars are both built from.
//!
//! Numbers are little-endian arrays of limbs. Signatures are public, so branches may depend on values.

/// The low half of a double word.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
pub(crate) const fn low(x: u128) -> u64 {
    x as u64
}

/// The high half of a double word.
#[inline(always)]
pub(crate) const fn high(x: u128) -> u64 {
    low(x >> 64)
}

/// A double word from its halves.
#[inline(always)]
pub(crate) const fn join(low: u64, high: u64) -> u128 {
    low as u128 | (high as u128) << 64
}

/// `t + a b + c` as (low, high); it never overflows 128 bits.
#[inline(always)]
pub(crate) const fn multiply_add(t: u64, a: u64, b: u64, c: u64) -> (u64, u64) {
    let wide = a as u128 * b as u128 + t as u128 + c as u128;
    (low(wide), high(wide))
}

/// `a + b + carry` as (sum, carry out).
#[inline(always)]
pub(crate) const fn add_carry(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(carry as u64);
    (sum, first | second)
}

/// `a - b - borrow` as (difference, borrow out).
#[inline(always)]
pub(crate) const fn sub_borrow(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first | second)
}

/// `a + b` modulo 2^256, and whether it wrapped.
#[inline(always)]
pub(crate) const fn add_256(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], bool) {
    let (r0, carry) = add_carry(a[0], b[0], false);
    let (r1, carry) = add_carry(a[1], b[1], carry);
    let (r2, carry) = add_carry(a[2], b[2], carry);
    let (r3, carry) = add_carry(a[3], b[3], carry);
    ([r0, r1, r2, r3], carry)
}

/// `a - b` modulo 2^256, and whether it wrapped.
#[inline(always)]
pub(crate) const fn sub_256(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], bool) {
    let (r0, borrow) = sub_borrow(a[0], b[0], false);
    let (r1, borrow) = sub_borrow(a[1], b[1], borrow);
    let (r2, borrow) = sub_borrow(a[2], b[2], borrow);
    let (r3, borrow) = sub_borrow(a[3], b[3], borrow);
    ([r0, r1, r2, r3], borrow)
}

/// The 512-bit product.
#[inline(always)]
pub(crate) const fn mul_256(a: [u64; 4], b: [u64; 4]) -> [u64; 8] {
    let (r0, c) = multiply_add(0, a[0], b[0], 0);
    let (r1, c) = multiply_add(0, a[0], b[1], c);
    let (r2, c) = multiply_add(0, a[0], b[2], c);
    let (r3, r4) = multiply_add(0, a[0], b[3], c);
    let (r1, c) = multiply_add(r1, a[1], b[0], 0);
    let (r2, c) = multiply_add(r2, a[1], b[1], c);
    let (r3, c) = multiply_add(r3, a[1], b[2], c);
    let (r4, r5) = multiply_add(r4, a[1], b[3], c);
    let (r2, c) = multiply_add(r2, a[2], b[0], 0);
    let (r3, c) = multiply_add(r3, a[2], b[1], c);
    let (r4, c) = multiply_add(r4, a[2], b[2], c);
    let (r5, r6) = multiply_add(r5, a[2], b[3], c);
    let (r3, c) = multiply_add(r3, a[3], b[0], 0);
    let (r4, c) = multiply_add(r4, a[3], b[1], c);
    let (r5, c) = multiply_add(r5, a[3], b[2], c);
    let (r6, r7) = multiply_add(r6, a[3], b[3], c);
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// Limbs from 32 big-endian bytes.
#[inline]
pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    [
        u64::from_be_bytes(words[3]),
        u64::from_be_bytes(words[2]),
        u64::from_be_bytes(words[1]),
        u64::from_be_bytes(words[0]),
    ]
}

/// 32 big-endian bytes from limbs.
#[inline]
pub(crate) fn to_be_bytes(limbs: [u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (word, limb) in words.iter_mut().zip(limbs.iter().rev()) {
        *word = limb.to_be_bytes();
    }
    bytes
}
