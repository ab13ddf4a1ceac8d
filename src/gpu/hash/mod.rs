//! Hashing messages on a device, one a lane.
//!
//! The host pads: a kernel sees whole blocks, and no byte of a message's end by itself. Messages are laid out with the longest first,
//! so that the lanes of a subgroup, which all wait for the slowest, have as many blocks as their neighbours.

mod function;
mod hasher;

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::sync::LazyLock;

use super::program::{HEADER_WORDS, Program, Step};
use super::shader::HASH_MAX_BLOCKS;
use super::team::{LANES_AT_ONCE, Team};
use crate::cpu::{hash_each, keccak256, sha256, sha256d};
use crate::scheme::hash::HashFunction;

pub(super) use function::{Function, Keccak256, Sha256, Sha256d};
pub use hasher::Hasher;

/// Words a message in front of all blocks: where its blocks begin, how many there are, its lane.
const ENTRY_WORDS: usize = 3;

/// Words of a digest.
const DIGEST_WORDS: usize = 8;

/// Most blocks of a message.
const MAX_BLOCKS: usize = HASH_MAX_BLOCKS as usize;

/// Hashes messages with one function.
#[derive(Debug)]
pub(super) struct Messages<F>(PhantomData<F>);

impl<F> Messages<F> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<F: Function> Program for Messages<F> {
    type Item<'a> = &'a [u8];
    type Answer = [u8; 32];

    const NAME: &'static str = F::NAME;
    const OUTPUT_WORDS: usize = DIGEST_WORDS + 1;
    const SCRATCH_WORDS: usize = 0;

    fn steps(&self) -> &[Step] {
        &F::STEPS
    }

    fn table(&self) -> &[u32] {
        &[]
    }

    fn input_words(&self, message: &&[u8]) -> usize {
        ENTRY_WORDS + F::blocks(message.len()) * F::BLOCK_WORDS
    }

    fn pack<'a>(&self, lanes: usize, item: &(impl Fn(usize) -> Self::Item<'a> + Sync), words: &mut [u32], team: &Team) {
        let messages: Vec<&[u8]> = (0..lanes).map(item).collect();
        let (entries, mut blocks) = words.split_at_mut(ENTRY_WORDS * lanes);
        let mut begin = HEADER_WORDS + entries.len();
        let order = longest_first::<F>(&messages);
        let mut parts = Vec::with_capacity(lanes.div_ceil(LANES_AT_ONCE));
        for (entries, order) in entries.chunks_mut(ENTRY_WORDS * LANES_AT_ONCE).zip(order.chunks(LANES_AT_ONCE)) {
            let count: usize = order.iter().map(|lane| F::blocks(messages[*lane].len()) * F::BLOCK_WORDS).sum();
            let (padded, rest) = blocks.split_at_mut(count);
            parts.push((entries, order, padded, begin));
            begin += count;
            blocks = rest;
        }
        team.each(parts, |(entries, order, mut blocks, mut begin): (&mut [u32], &[usize], &mut [u32], usize)| {
            for (entry, lane) in entries.as_chunks_mut::<ENTRY_WORDS>().0.iter_mut().zip(order) {
                let message = messages[*lane];
                let count = F::blocks(message.len());
                let (padded, rest) = blocks.split_at_mut(count * F::BLOCK_WORDS);
                F::pad(message, padded);
                *entry = [begin, count, *lane].map(index_word);
                begin += padded.len();
                blocks = rest;
            }
        });
    }

    fn unpack(&self, words: &[u32]) -> Option<[u8; 32]> {
        // Every 256 bits may be a digest; the seal tells whether these are.
        words.first_chunk().map(|words| digest_of(words, F::bytes))
    }

    fn settle(&self, message: &&[u8]) -> Option<[u8; 32]> {
        (F::blocks(message.len()) > MAX_BLOCKS).then(|| hash(F::FUNCTION, message))
    }

    fn shorten<'a>(item: &'static [u8]) -> &'a [u8] {
        item
    }

    fn answer_on_cpu(&self, messages: &[&[u8]]) -> Vec<[u8; 32]> {
        let mut digests = vec![[0; 32]; messages.len()];
        hash_each(F::FUNCTION, messages, &mut digests);
        digests
    }

    fn is_refusal(&self, _: &[u8; 32]) -> bool {
        false
    }

    /// Lengths on both sides of every edge of a word and of the first blocks, and the longest, whose loops a driver may cut short.
    fn known_answers(&self) -> Vec<(&'static [u8], [u8; 32])> {
        let block = 4 * F::BLOCK_WORDS;
        let longest = MAX_BLOCKS * block - F::LEAST_PADDING;
        let edges = (1..=3).flat_map(|blocks| [blocks * block - F::LEAST_PADDING, blocks * block]);
        let lengths = (0..=5).chain(edges.flat_map(|edge| [edge - 1, edge, edge + 1])).chain([longest]);
        let messages = lengths.filter_map(|length| KNOWN_MESSAGE.get(..length));
        messages.map(|message| (message, hash(F::FUNCTION, message))).collect()
    }
}

/// One message on the CPU.
fn hash(function: HashFunction, message: &[u8]) -> [u8; 32] {
    match function {
        HashFunction::Sha256 => sha256(message),
        HashFunction::Sha256d => sha256d(message),
        HashFunction::Keccak256 => keccak256(message),
    }
}

/// Bytes that repeat at a length which no block is a multiple of; as many as the longest message that goes to a device.
static KNOWN_MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    const MOST_BLOCK_WORDS: usize = 34;
    (0..=250).cycle().take(4 * MOST_BLOCK_WORDS * MAX_BLOCKS).collect()
});

/// A digest, of its words.
pub(super) fn digest_of(words: &[u32; DIGEST_WORDS], bytes: impl Fn(u32) -> [u8; 4]) -> [u8; 32] {
    let mut digest = [0; 32];
    for (place, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *place = bytes(*word);
    }
    digest
}

/// The lanes by falling number of blocks, those of one number in order.
fn longest_first<F: Function>(lanes: &[&[u8]]) -> Vec<usize> {
    // One pass counts, one places. What is longer than any message should be goes with the longest.
    let rank = |message: &&[u8]| MAX_BLOCKS - F::blocks(message.len()).min(MAX_BLOCKS);
    let mut next = [0; MAX_BLOCKS + 1];
    for message in lanes {
        next[rank(message)] += 1;
    }
    let mut sum = 0;
    for place in &mut next {
        sum += std::mem::replace(place, sum);
    }
    let mut order = vec![0; lanes.len()];
    for (lane, message) in lanes.iter().enumerate() {
        let place = &mut next[rank(message)];
        order[*place] = lane;
        *place += 1;
    }
    order
}

/// A number of words or lanes, which a device's bindings keep far below 2^32.
fn index_word(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
