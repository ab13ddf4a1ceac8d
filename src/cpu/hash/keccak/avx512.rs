//! Eight lanes by AVX-512, which has rotations and functions of three inputs.
#![allow(unsafe_code, reason = "vector instructions: Keccak-256 of many messages in a fifth of the time of one by one")]

use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_permutex2var_epi64, _mm512_rol_epi64, _mm512_set_epi64, _mm512_set1_epi64,
    _mm512_shuffle_i64x2, _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::permutation::permute;
use super::{RATE, States};

const LANES: usize = 8;

/// Proof that the processor has AVX-512F.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    /// Takes a block into each state and permutes them.
    pub(super) fn absorb(self, states: &mut States<LANES>, blocks: [&[u8; RATE]; LANES]) {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has AVX-512F.
        unsafe { absorb(states, blocks) }
    }
}

/// Rotates each lane left.
macro_rules! rotate {
    ($words:expr, $by:tt) => {
        _mm512_rol_epi64::<$by>($words)
    };
}

#[target_feature(enable = "avx512f")]
fn absorb(states: &mut States<LANES>, blocks: [&[u8; RATE]; LANES]) {
    let mut a = [splat(0); 25];
    for (words, state) in a.iter_mut().zip(states.iter()) {
        *words = load(state);
    }
    for part in 0..2 {
        let words = transpose(&blocks.map(|block| load_bytes(block, 64 * part)));
        for (state, word) in a[8 * part..][..8].iter_mut().zip(words) {
            *state = xor(*state, word);
        }
    }
    let last = |lane: usize| i64::from_le_bytes(*blocks[lane].last_chunk().unwrap_or(&[0; 8]));
    let word = _mm512_set_epi64(last(7), last(6), last(5), last(4), last(3), last(2), last(1), last(0));
    a[16] = xor(a[16], word);
    permute!(a);
    for (state, words) in states.iter_mut().zip(a) {
        store(state, words);
    }
}

/// From eight words of each lane to each word of eight lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: &[__m512i; 8]) -> [__m512i; 8] {
    // Words of two rows side by side, then of four, then of eight.
    let two = |pair: usize| {
        let (even, odd) = (rows[2 * pair], rows[2 * pair + 1]);
        (_mm512_unpacklo_epi64(even, odd), _mm512_unpackhi_epi64(even, odd))
    };
    let [(a0, a1), (b0, b1), (c0, c1), (d0, d1)] = [two(0), two(1), two(2), two(3)];
    let low = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
    let high = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
    let four = |x, y| (_mm512_permutex2var_epi64(x, low, y), _mm512_permutex2var_epi64(x, high, y));
    let [(p0, p2), (p1, p3), (q0, q2), (q1, q3)] = [four(a0, b0), four(a1, b1), four(c0, d0), four(c1, d1)];
    let eight = |x, y| (_mm512_shuffle_i64x2::<0x44>(x, y), _mm512_shuffle_i64x2::<0xee>(x, y));
    let [(w0, w4), (w1, w5), (w2, w6), (w3, w7)] = [eight(p0, q0), eight(p1, q1), eight(p2, q2), eight(p3, q3)];
    [w0, w1, w2, w3, w4, w5, w6, w7]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64; LANES]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read; no alignment is asked for.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// The 64 bytes of a block from `start` on.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_bytes(block: &[u8; RATE], start: usize) -> __m512i {
    let bytes: &[u8] = &block[start..][..64];
    // SAFETY: the slice covers the 64 bytes that are read; no alignment is asked for.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [u64; LANES], vector: __m512i) {
    // SAFETY: the reference covers the 64 bytes that are written; no alignment is asked for.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn chi(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0xd2>(a, b, c)
}
