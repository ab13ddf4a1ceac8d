//! Every form of the lanes gives the digests of implementations that share no code with it, for messages of any lengths
//! together.

mod common;

use bitcoin_hashes::Hash;
use common::oracle;
use common::stream::Stream;
use phalanx::cpu::{KeccakLanes, Sha256Lanes, hash_each, keccak256_of_keys};
use phalanx::scheme::hash::HashFunction;

/// Around every place where a message takes one more block: of 64 bytes (SHA-256, with 9 bytes of padding at least) and of 136
/// (Keccak-256, with one); then the neighbours of three and four blocks.
const LENGTHS: [usize; 32] = [
    0, 1, 31, 32, 33, 54, 55, 56, 57, 63, 64, 65, 118, 119, 120, 127, 128, 129, 134, 135, 136, 137, 183, 184, 191, 192,
    193, 271, 272, 273, 407, 408,
];

/// A way to hash messages: its name, the function, and how it hashes each of them.
type Form = (String, HashFunction, Box<dyn Fn(&[&[u8]], &mut [[u8; 32]])>);

/// Every form that this processor has, and the front door to the one that is chosen.
fn forms() -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    for lanes in Sha256Lanes::forms() {
        forms.push((lanes.name().into(), HashFunction::Sha256, Box::new(move |m, d| lanes.sha256_each(m, d))));
        forms.push((lanes.name().into(), HashFunction::Sha256d, Box::new(move |m, d| lanes.sha256d_each(m, d))));
    }
    for lanes in KeccakLanes::forms() {
        forms.push((lanes.name().into(), HashFunction::Keccak256, Box::new(move |m, d| lanes.keccak256_each(m, d))));
    }
    for function in HashFunction::ALL {
        forms.push(("chosen".into(), function, Box::new(move |m, d| hash_each(function, m, d))));
    }
    forms
}

#[test]
fn a_processor_lists_the_form_that_is_chosen() {
    assert!(KeccakLanes::forms().contains(&KeccakLanes::detect()));
    assert!(Sha256Lanes::forms().contains(&Sha256Lanes::detect()));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        assert_ne!(KeccakLanes::detect(), KeccakLanes::forms()[0], "a processor with AVX2 hashes in lanes");
    }
}

#[test]
fn sha256_known_answers_of_nist_in_every_form() {
    let Some(known) = common::sha256_known_answers() else { return };
    let messages: Vec<_> = known.iter().map(|(message, _)| message.as_slice()).collect();
    for lanes in Sha256Lanes::forms() {
        let mut digests = vec![[0; 32]; known.len()];
        lanes.sha256_each(&messages, &mut digests);
        assert!(digests.iter().eq(known.iter().map(|(_, digest)| digest)), "{}", lanes.name());
    }
}

#[test]
fn lanes_of_one_length() {
    for length in LENGTHS {
        // One message, a few, a full vector of each width and its neighbours, two and some.
        for count in [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23] {
            let messages = messages(std::iter::repeat_n(length, count));
            check(&messages, &format!("{count} messages of {length} bytes"));
        }
    }
}

#[test]
fn lanes_of_different_lengths_keep_their_order() {
    let mut stream = Stream::new("lanes of different lengths");
    for round in 0..60 {
        let count = 1 + stream.below(70);
        let messages = messages((0..count).map(|_| stream.pick(&LENGTHS)).collect::<Vec<_>>());
        check(&messages, &format!("round {round}"));
    }
}

#[test]
fn one_long_message_among_short_ones() {
    for (long, short, place) in
        [(100_000, 0, 0), (100_000, 110, 9), (20_000, 1_000, 16), (2_000, 1_000, 5), (400, 200, 3)]
    {
        let lengths = (0..17).map(|index| if index == place { long } else { short });
        check(&messages(lengths), &format!("{long} bytes at {place} among {short}"));
    }
}

#[test]
fn every_pair_of_lengths_in_two_lanes() {
    let mut pairs = 0;
    for first in LENGTHS {
        for second in LENGTHS {
            check(&messages([first, second]), &format!("{first} and {second} bytes"));
            pairs += 1;
        }
    }
    assert_eq!(pairs, 1_024);
}

#[test]
fn a_digest_stands_in_place_of_its_message_and_nowhere_else() {
    let messages = messages([10; 9]);
    let borrowed: Vec<_> = messages.iter().map(Vec::as_slice).collect();
    for (name, function, hash) in forms() {
        let mut more = [[0xee; 32]; 11];
        hash(&borrowed, &mut more);
        assert_eq!(more[9..], [[0xee; 32]; 2], "{name}, {}: digests without a message", function.name());
        let mut fewer = [[0xee; 32]; 5];
        hash(&borrowed, &mut fewer);
        assert_eq!(fewer, more[..5], "{name}, {}: messages without a digest", function.name());
    }
}

#[test]
fn keys_are_hashed_as_messages_are() {
    let mut stream = Stream::new("keys");
    for count in [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 251] {
        let keys: Vec<[u8; 64]> =
            (0..count).map(|_| [stream.block(), stream.block()].concat().try_into().expect("64 bytes")).collect();
        let expected: Vec<_> = keys.iter().map(|key| oracle::keccak256(key)).collect();
        for lanes in KeccakLanes::forms() {
            let mut digests = vec![[0; 32]; count];
            lanes.keccak256_of_keys(&keys, &mut digests);
            assert_eq!(digests, expected, "{}, {count} keys", lanes.name());
        }
        let mut digests = vec![[0; 32]; count];
        keccak256_of_keys(&keys, &mut digests);
        assert_eq!(digests, expected, "{count} keys");
    }
}

#[test]
fn nodes_are_hashed_as_their_bytes_are() {
    let mut stream = Stream::new("nodes");
    for count in [0, 1, 2, 3, 4, 5, 16, 251] {
        let pairs: Vec<_> = (0..count).map(|_| [stream.block(), stream.block()]).collect();
        let expected: Vec<_> = pairs.iter().map(|pair| sha256d(&pair.concat())).collect();
        for lanes in Sha256Lanes::forms() {
            let mut parents = vec![[0; 32]; count];
            lanes.sha256d_of_pairs(&pairs, &mut parents);
            assert_eq!(parents, expected, "{}, {count} nodes", lanes.name());
            for prefix in [0x00, 0x01, 0xff] {
                let message = |pair: &[[u8; 32]; 2]| [&[prefix], pair.as_flattened()].concat();
                let expected: Vec<_> = pairs.iter().map(|pair| sha256(&message(pair))).collect();
                lanes.sha256_of_prefixed_pairs(prefix, &pairs, &mut parents);
                assert_eq!(parents, expected, "{}, {count} nodes under {prefix:#04x}", lanes.name());
            }
            // As many parents are written as there is room for.
            let mut fewer = vec![[0; 32]; count / 2];
            lanes.sha256d_of_pairs(&pairs, &mut fewer);
            assert_eq!(fewer, expected[..count / 2], "{}, {count} nodes", lanes.name());
        }
    }
}

/// Messages of the given lengths, no two alike.
fn messages(lengths: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    let message = |(index, length): (usize, usize)| {
        let seed = u32::try_from(index * 1_000 + length).expect("few messages");
        let mut stream = Stream::at("message", seed);
        let blocks = std::iter::repeat_with(|| stream.block()).take(length.div_ceil(32));
        blocks.flatten().take(length).collect()
    };
    lengths.into_iter().enumerate().map(message).collect()
}

/// Hashes the messages in every form, and one by one with other implementations.
fn check(messages: &[Vec<u8>], what: &str) {
    let borrowed: Vec<_> = messages.iter().map(Vec::as_slice).collect();
    for (name, function, hash) in forms() {
        let mut digests = vec![[0; 32]; messages.len()];
        hash(&borrowed, &mut digests);
        for (index, (message, digest)) in messages.iter().zip(digests).enumerate() {
            let expected = match function {
                HashFunction::Sha256 => sha256(message),
                HashFunction::Sha256d => sha256d(message),
                _ => oracle::keccak256(message),
            };
            assert_eq!(digest, expected, "{name}, {}, {what}: message {index}", function.name());
        }
    }
}

fn sha256(message: &[u8]) -> [u8; 32] {
    bitcoin_hashes::sha256::Hash::hash(message).to_byte_array()
}

fn sha256d(message: &[u8]) -> [u8; 32] {
    bitcoin_hashes::sha256d::Hash::hash(message).to_byte_array()
}
