//! SHA-256 by the SHA extensions of x86 (SHA-NI), two messages interleaved.
//!
//! A round instruction answers after four cycles and can be issued every second one: one message alone waits half the time.
#![allow(unsafe_code, reason = "vector instructions: a Merkle node in half the time of one by one")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_loadu_si128, _mm_set_epi32,
    _mm_set_epi64x, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi64,
};

use super::pairs::Padded;
use super::{BLOCK, Times};

/// FIPS 180-4, 4.2.2, four to a vector.
const ROUND_CONSTANTS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// The block that pads a message of 64 bytes is always the same, and so are the words that its rounds add, constants
/// included.
static PADDING_OF_64_BYTES: [[u32; 4]; 16] = schedule_of_padding();

/// Proof that the processor has the SHA extensions, and SSSE3 and SSE4.1 besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShaNi(());

impl ShaNi {
    pub(super) fn detect() -> Option<Self> {
        let has_all =
            is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("sse4.1");
        has_all.then_some(Self(()))
    }

    /// SHA-256 or SHA-256d of two messages.
    pub(super) fn digest(self, times: Times, messages: [Padded<'_>; 2]) -> [[u8; 32]; 2] {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has the instructions.
        unsafe { digest(times, &messages) }
    }

    /// SHA-256d of each pair, into the parent at its index.
    pub(super) fn sha256d_of_pairs(self, pairs: &[[[u8; 32]; 2]], parents: &mut [[u8; 32]]) {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has the instructions.
        unsafe { sha256d_of_pairs(pairs, parents) }
    }

    /// SHA-256 of a prefix and each pair, into the parent at its index.
    pub(super) fn sha256_of_prefixed_pairs(self, prefix: u8, pairs: &[[[u8; 32]; 2]], parents: &mut [[u8; 32]]) {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has the instructions.
        unsafe { sha256_of_prefixed_pairs(prefix, pairs, parents) }
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn digest(times: Times, messages: &[Padded<'_>; 2]) -> [[u8; 32]; 2] {
    let mut states = [State::initial(); 2];
    let [first, second] = messages;
    let together = first.len().min(second.len());
    for index in 0..together {
        compress(&mut states, [words(first.block(index)), words(second.block(index))]);
    }
    // What is left of the longer one.
    for (state, message) in states.iter_mut().zip(messages) {
        for index in together..message.len() {
            let mut alone = [*state];
            compress(&mut alone, [words(message.block(index))]);
            [*state] = alone;
        }
    }
    if times == Times::Twice {
        states = digest_of_digests(states);
    }
    [states[0].to_bytes(), states[1].to_bytes()]
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn sha256d_of_pairs(pairs: &[[[u8; 32]; 2]], parents: &mut [[u8; 32]]) {
    let len = pairs.len().min(parents.len());
    let (twos, last) = pairs[..len].as_chunks();
    let (parents_of_twos, last_parent) = parents[..len].as_chunks_mut();
    for (two, parents) in twos.iter().zip(parents_of_twos) {
        *parents = sha256d_nodes::<2>(two);
    }
    for (one, parent) in last.iter().zip(last_parent) {
        [*parent] = sha256d_nodes(&[*one]);
    }
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn sha256d_nodes<const N: usize>(pairs: &[[[u8; 32]; 2]; N]) -> [[u8; 32]; N] {
    let mut states = [State::initial(); N];
    let mut schedules = [[_mm_setzero_si128(); 4]; N];
    for (schedule, pair) in schedules.iter_mut().zip(pairs) {
        *schedule = words(pair.as_flattened().first_chunk().unwrap_or(&[0; BLOCK]));
    }
    compress(&mut states, schedules);
    compress_padding(&mut states);
    let states = digest_of_digests(states);
    let mut parents = [[0; 32]; N];
    for (parent, state) in parents.iter_mut().zip(states) {
        *parent = state.to_bytes();
    }
    parents
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn sha256_of_prefixed_pairs(prefix: u8, pairs: &[[[u8; 32]; 2]], parents: &mut [[u8; 32]]) {
    let len = pairs.len().min(parents.len());
    let (twos, last) = pairs[..len].as_chunks();
    let (parents_of_twos, last_parent) = parents[..len].as_chunks_mut();
    for (two, parents) in twos.iter().zip(parents_of_twos) {
        *parents = prefixed_nodes::<2>(prefix, two);
    }
    for (one, parent) in last.iter().zip(last_parent) {
        [*parent] = prefixed_nodes(prefix, &[*one]);
    }
}

/// Messages of 65 bytes: a block that holds all but the last, and one that holds it and the padding.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn prefixed_nodes<const N: usize>(prefix: u8, pairs: &[[[u8; 32]; 2]; N]) -> [[u8; 32]; N] {
    let mut states = [State::initial(); N];
    let (mut firsts, mut seconds) = ([[_mm_setzero_si128(); 4]; N], [[_mm_setzero_si128(); 4]; N]);
    for ((first, second), pair) in firsts.iter_mut().zip(&mut seconds).zip(pairs) {
        let children = pair.as_flattened();
        let mut block = [prefix; BLOCK];
        block[1..].copy_from_slice(&children[..BLOCK - 1]);
        *first = words(&block);
        let word = u32::from_be_bytes([children[BLOCK - 1], 0x80, 0, 0]);
        *second = [
            _mm_set_epi32(0, 0, 0, word.cast_signed()),
            _mm_setzero_si128(),
            _mm_setzero_si128(),
            _mm_set_epi32(65 * 8, 0, 0, 0),
        ];
    }
    compress(&mut states, firsts);
    compress(&mut states, seconds);
    let mut parents = [[0; 32]; N];
    for (parent, state) in parents.iter_mut().zip(states) {
        *parent = state.to_bytes();
    }
    parents
}

/// The eight words of a hash value as the round instruction takes them, the first named highest.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

impl State {
    /// FIPS 180-4, 5.3.3.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn initial() -> Self {
        let vector = |a: u32, b: u32, c: u32, d: u32| {
            _mm_set_epi32(a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed())
        };
        Self {
            abef: vector(0x6a09_e667, 0xbb67_ae85, 0x510e_527f, 0x9b05_688c),
            cdgh: vector(0x3c6e_f372, 0xa54f_f53a, 0x1f83_d9ab, 0x5be0_cd19),
        }
    }

    /// The words in their order, the first lowest.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn to_words(self) -> [__m128i; 2] {
        let (abef, cdgh) = (_mm_shuffle_epi32::<0x1b>(self.abef), _mm_shuffle_epi32::<0x1b>(self.cdgh));
        [_mm_unpacklo_epi64(abef, cdgh), _mm_unpackhi_epi64(abef, cdgh)]
    }

    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (half, words) in bytes.as_chunks_mut::<16>().0.iter_mut().zip(self.to_words()) {
            let words = swap_bytes(words);
            half[..8].copy_from_slice(&_mm_cvtsi128_si64(words).to_le_bytes());
            half[8..].copy_from_slice(&_mm_extract_epi64::<1>(words).to_le_bytes());
        }
        bytes
    }

    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn add(self, other: Self) -> Self {
        Self { abef: _mm_add_epi32(self.abef, other.abef), cdgh: _mm_add_epi32(self.cdgh, other.cdgh) }
    }

    /// Four rounds; `added` holds their words, constants included.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn rounds(self, added: __m128i) -> Self {
        let cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, added);
        let abef = _mm_sha256rnds2_epu32(self.abef, cdgh, _mm_shuffle_epi32::<0x0e>(added));
        Self { abef, cdgh }
    }
}

/// Takes a block into each state; `schedules` holds the blocks' 16 words each.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress<const N: usize>(states: &mut [State; N], mut schedules: [[__m128i; 4]; N]) {
    let before = *states;
    for (quarter, constants) in ROUND_CONSTANTS.as_chunks::<4>().0.iter().enumerate() {
        for (index, constants) in constants.iter().enumerate() {
            let constants = load(constants);
            for (state, words) in states.iter_mut().zip(&mut schedules) {
                if quarter > 0 {
                    // W(t) from W(t - 16), W(t - 15), W(t - 7) and W(t - 2), four at a time.
                    let [oldest, next, later, newest] = [0, 1, 2, 3].map(|age| words[(index + age) % 4]);
                    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(oldest, next), _mm_alignr_epi8::<4>(newest, later));
                    words[index] = _mm_sha256msg2_epu32(sum, newest);
                }
                *state = state.rounds(_mm_add_epi32(words[index], constants));
            }
        }
    }
    for (state, before) in states.iter_mut().zip(before) {
        *state = state.add(before);
    }
}

/// Takes the padding of a message of 64 bytes into each state.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress_padding<const N: usize>(states: &mut [State; N]) {
    let before = *states;
    for added in &PADDING_OF_64_BYTES {
        let added = load(added);
        for state in states.iter_mut() {
            *state = state.rounds(added);
        }
    }
    for (state, before) in states.iter_mut().zip(before) {
        *state = state.add(before);
    }
}

/// SHA-256 of each state as a digest of 32 bytes.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn digest_of_digests<const N: usize>(digests: [State; N]) -> [State; N] {
    let mut states = [State::initial(); N];
    let mut schedules = [[_mm_setzero_si128(); 4]; N];
    for (schedule, digest) in schedules.iter_mut().zip(digests) {
        let [low, high] = digest.to_words();
        *schedule = [low, high, _mm_set_epi32(0, 0, 0, i32::MIN), _mm_set_epi32(32 * 8, 0, 0, 0)];
    }
    compress(&mut states, schedules);
    states
}

/// A block's 16 big-endian words.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn words(block: &[u8; BLOCK]) -> [__m128i; 4] {
    let mut words = [_mm_setzero_si128(); 4];
    for (words, bytes) in words.iter_mut().zip(block.as_chunks::<16>().0) {
        // SAFETY: the reference covers the 16 bytes that are read; no alignment is asked for.
        let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        *words = swap_bytes(bytes);
    }
    words
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn load(words: &[u32; 4]) -> __m128i {
    // SAFETY: the reference covers the 16 bytes that are read; no alignment is asked for.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

/// Turns each word's bytes round.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn swap_bytes(words: __m128i) -> __m128i {
    _mm_shuffle_epi8(words, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
}

/// FIPS 180-4, 6.2.2, step 1, for a one bit, zeros, and the length of 512 bits.
const fn schedule_of_padding() -> [[u32; 4]; 16] {
    let mut words = [0_u32; 64];
    words[0] = 1 << 31;
    words[15] = 512;
    let mut t = 16;
    while t < 64 {
        let (early, late) = (words[t - 15], words[t - 2]);
        let sigma0 = early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3);
        let sigma1 = late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10);
        words[t] = sigma1.wrapping_add(words[t - 7]).wrapping_add(sigma0).wrapping_add(words[t - 16]);
        t += 1;
    }
    let mut added = [[0; 4]; 16];
    let mut t = 0;
    while t < 64 {
        added[t / 4][t % 4] = words[t].wrapping_add(ROUND_CONSTANTS[t / 4][t % 4]);
        t += 1;
    }
    added
}
