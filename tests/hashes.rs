//! Hashes against the published answers and against implementations that share no code with the crate's.

mod common;

use bitcoin_hashes::Hash;
use common::oracle;
use common::stream::Stream;
use phalanx::batch::MessageBatch;
use phalanx::scheme::hash::HashFunction;

/// No message, one, the CPU backend's task and its neighbours, and a good deal more.
const LENGTHS: [usize; 8] = [0, 1, 15, 16, 255, 256, 257, 4_097];

/// Messages repeat at a length prime to every block size, so that swapped lanes show.
const CYCLE: usize = 251;

#[test]
fn sha256_known_answers_of_nist() {
    let Some(cases) = common::sha256_known_answers() else { return };
    let batch: MessageBatch = cases.iter().map(|(message, _)| message).collect();
    for (backend, verifier) in common::backends() {
        let hashed = verifier.hash(HashFunction::Sha256, &batch).expect("the batch is hashed");
        assert!(hashed.iter().eq(cases.iter().map(|(_, digest)| digest)), "{backend}");
    }
}

#[test]
fn sha256_monte_carlo_of_nist() {
    let Some(folder) = common::test_data("vectors") else { return };
    let text = std::fs::read_to_string(folder.join("pyca_SHA256Monte.rsp")).expect("the vectors are readable");
    let digest = |hexadecimal: &str| -> [u8; 32] {
        hex::decode(hexadecimal).expect("hexadecimal").try_into().expect("32 bytes")
    };
    let mut seed = text.lines().find_map(|line| line.strip_prefix("Seed = ")).map(digest).expect("a seed");
    let mut checkpoints = 0;
    for expected in text.lines().filter_map(|line| line.strip_prefix("MD = ")) {
        // SHAVS, 6.4: a thousand hashes of the last three digests, the first three being the seed.
        let mut last = [seed; 3];
        for _ in 0..1_000 {
            let next = phalanx::cpu::sha256(&last.concat());
            last = [last[1], last[2], next];
        }
        seed = last[2];
        assert_eq!(seed, digest(expected), "checkpoint {checkpoints}");
        checkpoints += 1;
    }
    assert_eq!(checkpoints, 100);
}

#[test]
fn keccak256_known_answers() {
    // The first is the code hash of every Ethereum account without code, the third the topic of every token transfer.
    let answers: [(&[u8], &str); 3] = [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"Transfer(address,address,uint256)", "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    ];
    for (backend, verifier) in common::backends() {
        let batch: MessageBatch = answers.iter().map(|(message, _)| message).collect();
        let hashed = verifier.hash(HashFunction::Keccak256, &batch).expect("the batch is hashed");
        assert_eq!(hashed.iter().map(hex::encode).collect::<Vec<_>>(), answers.map(|(_, digest)| digest), "{backend}");
    }
}

#[test]
fn messages_around_every_block_boundary() {
    // Past two blocks of Keccak (136 bytes each) and four of SHA-256 (64).
    let mut stream = Stream::new("messages");
    let bytes: Vec<u8> = std::iter::repeat_with(|| stream.block()).take(9).flatten().collect();
    let messages: Vec<_> = (0..=273).map(|length| &bytes[..length]).collect();
    assert_eq!(messages.len(), 274);
    let batch: MessageBatch = messages.iter().collect();
    for (backend, verifier) in common::backends() {
        for function in HashFunction::ALL {
            let hashed = verifier.hash(function, &batch).expect("the batch is hashed");
            assert_eq!(hashed.len(), 274);
            for (message, digest) in messages.iter().zip(hashed) {
                let expected = independent(function, message);
                assert_eq!(digest, expected, "{}, {} bytes, {backend}", function.name(), message.len());
            }
        }
    }
}

#[test]
fn digests_do_not_depend_on_threads_or_on_how_the_batch_is_cut() {
    let mut stream = Stream::new("cut messages");
    let messages: Vec<Vec<u8>> = (0..CYCLE)
        .map(|_| {
            let length = stream.below(400);
            std::iter::repeat_with(|| stream.block()).take(13).flatten().take(length).collect()
        })
        .collect();
    for (backend, verifier) in common::backends() {
        for function in HashFunction::ALL {
            let hash = |messages: &[&Vec<u8>]| {
                let batch: MessageBatch = messages.iter().collect();
                verifier.hash(function, &batch).expect("the batch is hashed")
            };
            let digests: Vec<_> = messages.iter().map(|message| independent(function, message)).collect();
            for length in LENGTHS {
                let messages: Vec<_> = messages.iter().cycle().take(length).collect();
                let expected: Vec<_> = digests.iter().copied().cycle().take(length).collect();
                assert_eq!(hash(&messages), expected, "{backend}, {}, {length}", function.name());
                let mut start = 0;
                while start < length {
                    let end = length.min(start + stream.below(2 * CYCLE));
                    let place = format!("{backend}, {}, {start}..{end}", function.name());
                    assert_eq!(hash(&messages[start..end]), expected[start..end], "{place}");
                    start = end;
                }
            }
        }
    }
}

/// The digest by `bitcoin_hashes` or `keccak-asm`.
fn independent(function: HashFunction, message: &[u8]) -> [u8; 32] {
    match function {
        HashFunction::Sha256 => bitcoin_hashes::sha256::Hash::hash(message).to_byte_array(),
        HashFunction::Sha256d => bitcoin_hashes::sha256d::Hash::hash(message).to_byte_array(),
        HashFunction::Keccak256 => oracle::keccak256(message),
        unknown => panic!("no other implementation of {}", unknown.name()),
    }
}
