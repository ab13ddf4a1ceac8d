//! Hashes on every adapter there is, in both variants, against the published answers and implementations that share no code with
//! the crate's.

#![cfg(feature = "gpu")]

mod common;

use bitcoin_hashes::Hash;
use common::gpu::on_every_adapter;
use common::oracle;
use common::stream::Stream;
use phalanx::batch::MessageBatch;
use phalanx::gpu::shader::WORKGROUP_SIZE;
use phalanx::gpu::{Hasher, adapters};
use phalanx::scheme::hash::HashFunction;

/// Messages repeat at a length prime to every block size, so that swapped lanes show.
const CYCLE: usize = 251;

/// The digest by `bitcoin_hashes` or `keccak-asm`.
fn independent(function: HashFunction, message: &[u8]) -> [u8; 32] {
    match function {
        HashFunction::Sha256 => bitcoin_hashes::sha256::Hash::hash(message).to_byte_array(),
        HashFunction::Sha256d => bitcoin_hashes::sha256d::Hash::hash(message).to_byte_array(),
        HashFunction::Keccak256 => oracle::keccak256(message),
        unknown => panic!("no other implementation of {}", unknown.name()),
    }
}

fn compare(hasher: &Hasher, function: HashFunction, messages: &[&[u8]], place: &str) {
    let batch: MessageBatch = messages.iter().collect();
    let digests = hasher.hash(function, &batch).unwrap_or_else(|fault| panic!("{place}: {fault}"));
    assert_eq!(digests.len(), messages.len(), "{place}");
    for (index, (message, digest)) in messages.iter().zip(digests).enumerate() {
        let name = function.name();
        assert_eq!(digest, independent(function, message), "{name} {index} of {} bytes, {place}", message.len());
    }
}

fn bytes(seed: &'static str, count: usize) -> Vec<u8> {
    let mut stream = Stream::new(seed);
    std::iter::repeat_with(|| stream.block()).take(count.div_ceil(32)).flatten().take(count).collect()
}

#[test]
fn sha256_known_answers_of_nist() {
    let Some(known) = common::sha256_known_answers() else { return };
    let batch: MessageBatch = known.iter().map(|(message, _)| message).collect();
    on_every_adapter(|hasher, place| {
        let digests = hasher.hash(HashFunction::Sha256, &batch).unwrap_or_else(|fault| panic!("{place}: {fault}"));
        assert!(digests.iter().eq(known.iter().map(|(_, digest)| digest)), "{place}");
    });
}

#[test]
fn every_length_and_both_sides_of_every_edge() {
    // Past two blocks of Keccak and four of SHA-256; and the longest that a device takes, 128 blocks, past which the CPU answers.
    let bytes = bytes("device messages", 100_000);
    let edges = [8_183_usize, 8_192, 17_407, 17_408];
    let lengths = (0..=300).chain(edges.iter().flat_map(|edge| edge - 1..=edge + 1)).chain([100_000]);
    let messages: Vec<&[u8]> = lengths.map(|length| &bytes[..length]).collect();
    assert_eq!(messages.len(), 314);
    on_every_adapter(|hasher, place| {
        for function in HashFunction::ALL {
            compare(hasher, function, &messages, place);
        }
    });
}

#[test]
fn every_number_of_messages_is_answered_in_order() {
    let mut stream = Stream::new("device batches");
    let bytes = bytes("device bytes", 1_000);
    // Mostly short, so that neighbours differ in their number of blocks.
    let messages: Vec<&[u8]> = (0..CYCLE)
        .map(|_| {
            let most = stream.pick(&[1, 70, 140, 400, 600]);
            let (start, length) = (stream.below(400), stream.below(most));
            &bytes[start..start + length]
        })
        .collect();
    let group = WORKGROUP_SIZE as usize;
    on_every_adapter(|hasher, place| {
        for function in HashFunction::ALL {
            for count in [0, 1, 2, group - 1, group, group + 1, 2 * group - 1, 2 * group, 1_000] {
                let messages: Vec<_> = messages.iter().copied().cycle().take(count).collect();
                compare(hasher, function, &messages, &format!("{count} messages, {place}"));
            }
        }
    });
}

/// More than one chunk.
#[test]
fn large_batches_are_answered_in_order() {
    let bytes = bytes("large device batches", 500);
    let messages: Vec<&[u8]> = (0..CYCLE).map(|index| &bytes[index..2 * index]).collect();
    let digests =
        HashFunction::ALL.map(|function| messages.iter().map(|message| independent(function, message)).collect());
    let digests: [Vec<[u8; 32]>; 3] = digests;
    let batch: MessageBatch = messages.iter().cycle().take(65_537).collect();
    on_every_adapter(|hasher, place| {
        for (function, digests) in HashFunction::ALL.into_iter().zip(&digests) {
            let given = hasher.hash(function, &batch).unwrap_or_else(|fault| panic!("{place}: {fault}"));
            assert!(given.iter().eq(digests.iter().cycle().take(65_537)), "{}, {place}", function.name());
        }
    });
}

#[test]
fn there_is_an_adapter_or_it_is_said() {
    // What the other tests skip must not pass in silence where an adapter is expected.
    let expected = std::env::var_os("PHALANX_EXPECT_GPU").is_some();
    assert!(!expected || !adapters().is_empty(), "PHALANX_EXPECT_GPU is set, and there is no adapter");
}
