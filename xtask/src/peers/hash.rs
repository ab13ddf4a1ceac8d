//! Hashing batches of messages.

use phalanx::batch::MessageBatch;
use phalanx::scheme::hash::HashFunction;
use sha2::Digest as _;
use tiny_keccak::Hasher as _;

use super::{Answer, Contender, Row};

const MESSAGES: usize = 4_096;

pub(super) fn rows() -> Vec<Row<'static>> {
    // A plain transfer, a call, a public key; a Merkle node.
    let keccak = [64, 110, 200].map(keccak256);
    let sha256 = [(HashFunction::Sha256, 200), (HashFunction::Sha256d, 64)];
    keccak.into_iter().chain([keys()]).chain(sha256.map(|(function, length)| sha2(function, length))).collect()
}

fn keccak256(length: usize) -> Row<'static> {
    let messages: &'static [Vec<u8>] = messages(length).leak();
    let tiny_keccak = |index: usize| {
        let mut hasher = tiny_keccak::Keccak::v256();
        hasher.update(&messages[index]);
        let mut digest = [0; 32];
        hasher.finalize(&mut digest);
        digest
    };
    Row {
        name: format!("keccak256 of {length} bytes"),
        items: MESSAGES,
        ours: ours(HashFunction::Keccak256, messages),
        peers: vec![
            Contender::each("keccak-asm", |index| {
                <keccak_asm::Keccak256 as keccak_asm::Digest>::digest(&messages[index]).into()
            }),
            Contender::each("sha3", |index| sha3::Keccak256::digest(&messages[index]).into()),
            Contender::each("tiny-keccak", tiny_keccak),
        ],
    }
}

/// What an address is taken from: x and y of a public key, in an array as recovery leaves them.
fn keys() -> Row<'static> {
    let keys: Vec<[u8; 64]> = messages(64).iter().filter_map(|key| key.as_slice().try_into().ok()).collect();
    let keys: &'static [[u8; 64]] = keys.leak();
    Row {
        name: "keccak256 of public keys".to_owned(),
        items: MESSAGES,
        ours: Contender::one_thread("phalanx", || {
            let mut digests = vec![[0; 32]; keys.len()];
            phalanx::cpu::keccak256_of_keys(keys, &mut digests);
            digests
        }),
        peers: vec![Contender::each("keccak-asm", |index| {
            <keccak_asm::Keccak256 as keccak_asm::Digest>::digest(keys[index]).into()
        })],
    }
}

fn sha2(function: HashFunction, length: usize) -> Row<'static> {
    let messages: &'static [Vec<u8>] = messages(length).leak();
    let sha256 = |message: &[u8]| -> Answer { sha2::Sha256::digest(message).into() };
    let twice = function == HashFunction::Sha256d;
    let sha2 = move |index: usize| {
        let digest = sha256(&messages[index]);
        if twice { sha256(&digest) } else { digest }
    };
    Row {
        name: format!("{} of {length} bytes", function.name()),
        items: MESSAGES,
        ours: ours(function, messages),
        peers: vec![Contender::each("sha2", sha2)],
    }
}

fn ours(function: HashFunction, messages: &[Vec<u8>]) -> Contender<'static> {
    let batch: MessageBatch = messages.iter().collect();
    Contender::batch("phalanx", move |verifier| verifier.hash(function, &batch).unwrap_or_default())
}

fn messages(length: usize) -> Vec<Vec<u8>> {
    (0..MESSAGES).map(|index| (0..length).map(|at| (index * 31 + at).to_le_bytes()[0]).collect()).collect()
}
