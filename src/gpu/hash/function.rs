//! The hash functions as their kernels want messages: padded, cut into blocks, in words.

use std::fmt;

use crate::gpu::program::Step;
use crate::gpu::shader::hash;
use crate::scheme::hash::HashFunction;

/// A hash function on a device.
pub(in crate::gpu) trait Function: fmt::Debug + Send + Sync + 'static {
    /// The function.
    const FUNCTION: HashFunction;
    /// Its program's name.
    const NAME: &'static str;
    /// Its dispatch.
    const STEPS: [Step; 1];
    /// Words of a block.
    const BLOCK_WORDS: usize;
    /// The byte that follows a message.
    const FIRST_PADDING: u8;
    /// Padding bytes at least.
    const LEAST_PADDING: usize;

    /// A word of four bytes, the first one first.
    fn word(bytes: [u8; 4]) -> u32;

    /// The bytes of a word.
    fn bytes(word: u32) -> [u8; 4];

    /// What stands at the end of the last block, whose words hold the rest of a message of `length` bytes, the first padding byte
    /// and zeros.
    fn finish(length: usize, block: &mut [u32]);

    /// Blocks of a padded message of `length` bytes.
    fn blocks(length: usize) -> usize {
        length.saturating_add(Self::LEAST_PADDING).div_ceil(4 * Self::BLOCK_WORDS)
    }

    /// Writes a message, padded, into the words of its blocks.
    fn pad(message: &[u8], words: &mut [u32]) {
        let (whole, rest) = message.as_chunks::<4>();
        let (text, padding) = words.split_at_mut(whole.len());
        for (word, bytes) in text.iter_mut().zip(whole) {
            *word = Self::word(*bytes);
        }
        padding.fill(0);
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        last[rest.len()] = Self::FIRST_PADDING;
        padding[0] = Self::word(last);
        Self::finish(message.len(), words);
    }
}

/// SHA-256.
#[derive(Debug)]
pub(in crate::gpu) struct Sha256;

/// SHA-256 of SHA-256.
#[derive(Debug)]
pub(in crate::gpu) struct Sha256d;

/// Keccak-256.
#[derive(Debug)]
pub(in crate::gpu) struct Keccak256;

impl Function for Sha256 {
    const FUNCTION: HashFunction = HashFunction::Sha256;
    const NAME: &'static str = "sha256";
    const STEPS: [Step; 1] = [Step { kernel: hash("sha256", "sha256"), lanes_per_invocation: 1 }];
    const BLOCK_WORDS: usize = 16;
    const FIRST_PADDING: u8 = 0x80;
    /// The byte above, and the length in bits.
    const LEAST_PADDING: usize = 9;

    fn word(bytes: [u8; 4]) -> u32 {
        u32::from_be_bytes(bytes)
    }

    fn bytes(word: u32) -> [u8; 4] {
        word.to_be_bytes()
    }

    fn finish(length: usize, words: &mut [u32]) {
        let bits = 8 * length as u64;
        if let [.., high, low] = words {
            [*high, *low] = [(bits >> 32) as u32, (bits & 0xffff_ffff) as u32];
        }
    }
}

impl Function for Sha256d {
    const FUNCTION: HashFunction = HashFunction::Sha256d;
    const NAME: &'static str = "sha256d";
    const STEPS: [Step; 1] = [Step { kernel: hash("sha256d", "sha256"), lanes_per_invocation: 1 }];
    const BLOCK_WORDS: usize = Sha256::BLOCK_WORDS;
    const FIRST_PADDING: u8 = Sha256::FIRST_PADDING;
    const LEAST_PADDING: usize = Sha256::LEAST_PADDING;

    fn word(bytes: [u8; 4]) -> u32 {
        Sha256::word(bytes)
    }

    fn bytes(word: u32) -> [u8; 4] {
        Sha256::bytes(word)
    }

    fn finish(length: usize, words: &mut [u32]) {
        Sha256::finish(length, words);
    }
}

impl Function for Keccak256 {
    const FUNCTION: HashFunction = HashFunction::Keccak256;
    const NAME: &'static str = "keccak256";
    const STEPS: [Step; 1] = [Step { kernel: hash("keccak256", "keccak256"), lanes_per_invocation: 1 }];
    /// The rate, 1600 - 2 * 256 bits.
    const BLOCK_WORDS: usize = 34;
    const FIRST_PADDING: u8 = 0x01;
    /// The padding's first and last bit may share a byte.
    const LEAST_PADDING: usize = 1;

    fn word(bytes: [u8; 4]) -> u32 {
        u32::from_le_bytes(bytes)
    }

    fn bytes(word: u32) -> [u8; 4] {
        word.to_le_bytes()
    }

    fn finish(_: usize, words: &mut [u32]) {
        if let Some(last) = words.last_mut() {
            *last |= 1 << 31;
        }
    }
}
