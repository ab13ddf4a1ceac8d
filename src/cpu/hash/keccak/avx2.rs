//! Four lanes by AVX2.
#![allow(
    unsafe_code,
    reason = "vector instructions: Keccak-256 of many messages in less than half the time of one by one"
)]

use std::arch::x86_64::{
    __m256i, _mm256_andnot_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set_epi64x,
    _mm256_set1_epi64x, _mm256_shuffle_epi8, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::permutation::permute;
use super::{RATE, States};
use crate::arithmetic::frame::align_frame;

const LANES: usize = 4;

/// Proof that the processor has AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Takes a block into each state and permutes them.
    pub(super) fn absorb(self, states: &mut States<LANES>, blocks: [&[u8; RATE]; LANES]) {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has AVX2.
        unsafe { absorb(states, blocks) }
    }
}

/// Rotates each lane left; by whole bytes in one instruction.
macro_rules! rotate {
    ($words:expr, 8) => {
        _mm256_shuffle_epi8(
            $words,
            _mm256_set_epi64x(
                0x0e0d_0c0b_0a09_080f,
                0x0605_0403_0201_0007,
                0x0e0d_0c0b_0a09_080f,
                0x0605_0403_0201_0007,
            ),
        )
    };
    ($words:expr, 56) => {
        _mm256_shuffle_epi8(
            $words,
            _mm256_set_epi64x(
                0x080f_0e0d_0c0b_0a09,
                0x0007_0605_0403_0201,
                0x080f_0e0d_0c0b_0a09,
                0x0007_0605_0403_0201,
            ),
        )
    };
    ($words:expr, $by:tt) => {{
        let words = $words;
        _mm256_or_si256(_mm256_slli_epi64::<$by>(words), _mm256_srli_epi64::<{ 64 - $by }>(words))
    }};
}

#[target_feature(enable = "avx2")]
fn absorb(states: &mut States<LANES>, blocks: [&[u8; RATE]; LANES]) {
    align_frame::<__m256i>();
    let mut a = [splat(0); 25];
    for (words, state) in a.iter_mut().zip(states.iter()) {
        *words = load(state);
    }
    for part in 0..4 {
        let words = transpose(blocks.map(|block| load_bytes(block, 32 * part)));
        for (state, word) in a[4 * part..][..4].iter_mut().zip(words) {
            *state = xor(*state, word);
        }
    }
    let last = |lane: usize| i64::from_le_bytes(*blocks[lane].last_chunk().unwrap_or(&[0; 8]));
    a[16] = xor(a[16], _mm256_set_epi64x(last(3), last(2), last(1), last(0)));
    permute!(a);
    for (state, words) in states.iter_mut().zip(a) {
        store(state, words);
    }
}

/// From four words of each lane to each word of four lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: [__m256i; 4]) -> [__m256i; 4] {
    let (a0, a1) = (_mm256_unpacklo_epi64(rows[0], rows[1]), _mm256_unpackhi_epi64(rows[0], rows[1]));
    let (b0, b1) = (_mm256_unpacklo_epi64(rows[2], rows[3]), _mm256_unpackhi_epi64(rows[2], rows[3]));
    [
        _mm256_permute2x128_si256::<0x20>(a0, b0),
        _mm256_permute2x128_si256::<0x20>(a1, b1),
        _mm256_permute2x128_si256::<0x31>(a0, b0),
        _mm256_permute2x128_si256::<0x31>(a1, b1),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[u64; LANES]) -> __m256i {
    // SAFETY: the reference covers the 32 bytes that are read; no alignment is asked for.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// The 32 bytes of a block from `start` on.
#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes(block: &[u8; RATE], start: usize) -> __m256i {
    let bytes: &[u8] = &block[start..][..32];
    // SAFETY: the slice covers the 32 bytes that are read; no alignment is asked for.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(words: &mut [u64; LANES], vector: __m256i) {
    // SAFETY: the reference covers the 32 bytes that are written; no alignment is asked for.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(xor(a, b), c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn chi(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(a, _mm256_andnot_si256(b, c))
}
