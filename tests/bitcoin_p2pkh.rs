//! Every signature of mainnet's P2PKH inputs is valid on every path, no changed one is, and hostile transactions cost what is allowed.
#![cfg(feature = "bitcoin")]

#[path = "common/bitcoin.rs"]
mod build;
mod common;

use std::io::Read;

use build::{block_of, coinbase, compact_size, read_block};
use common::{curve, oracle, paths, test_data};
use phalanx::chain::bitcoin::{Block, P2pkhInput, TooMuchToHash, Transaction};
use phalanx::cpu::sha256d;
use phalanx::scheme::ecdsa::{KeyBytes, VerifyItem};
use phalanx::{Reason, Rules, Verdict};
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

/// More than any block here asks for.
const LIMIT: u64 = 1 << 32;

/// File and P2PKH inputs, counted by an independent program.
const MAINNET: [(&str, usize); 7] = [
    ("169482.dat", 58),
    ("227835.dat", 260),
    ("227836.dat", 190),
    ("277647.dat.bz2", 732),
    ("370661.dat", 1_953),
    ("481815.dat", 3_817),
    ("702861.raw", 1_080),
];

#[test]
fn every_mainnet_signature_is_valid_and_no_changed_one_is() {
    let Some(folder) = test_data("bitcoin-mainnet") else { return };
    let mut items: Vec<VerifyItem> = Vec::new();
    for (file, count) in MAINNET {
        let bytes = read_block(&folder.join(file));
        let inputs = Block::decode(&bytes).unwrap().p2pkh_inputs(LIMIT).unwrap();
        assert_eq!(inputs.len(), count, "{file}");
        items.extend(inputs.iter().map(|input| input.item.unwrap()));
    }
    let valid = items.iter().map(|item| (Ok(*item), Verdict::Valid(())));
    paths::verify("P2PKH", &valid.clone().collect::<Vec<_>>());

    let mut reasons = std::collections::BTreeSet::new();
    let changed = items.iter().enumerate().map(|(index, item)| {
        let mut item = *item;
        let byte = index % 32;
        match index % 4 {
            0 => item.digest[byte] ^= 1,
            1 => item.signature.r[byte] ^= 1,
            2 => item.signature.s[byte] ^= 1,
            _ => item.key = other_than(item.key, &items),
        }
        let reason = oracle::verify(&item).expect_err("a change is no signature");
        reasons.insert(reason);
        (Ok(item), Verdict::Invalid(reason))
    });
    // A few of them, among as many that are valid.
    let mixed: Vec<_> =
        changed.step_by(5).zip(valid.step_by(5)).flat_map(|(changed, valid)| [changed, valid]).collect();
    paths::verify("P2PKH, half of them changed", &mixed);
    assert!(reasons.contains(&Reason::Mismatch), "{reasons:?}");
}

/// The key of another item.
fn other_than(key: KeyBytes, items: &[VerifyItem]) -> KeyBytes {
    items.iter().map(|item| item.key).find(|other| *other != key).unwrap()
}

/// The outputs that block 277,647 spends lie beside it, a P2PKH script as a zero and the key's hash.
#[test]
fn the_outputs_that_are_spent_pay_to_these_hashes() {
    let Some(folder) = test_data("bitcoin-mainnet") else { return };
    let mut spent = Vec::new();
    let packed = std::fs::read(folder.join("277647.utxostore.bz2")).unwrap();
    bzip2::read::BzDecoder::new(&packed[..]).read_to_end(&mut spent).unwrap();
    let hashes: std::collections::BTreeSet<&[u8]> =
        spent.windows(21).filter(|window| window[0] == 0).map(|window| &window[1..]).collect();
    let bytes = read_block(&folder.join("277647.dat.bz2"));
    let block = Block::decode(&bytes).unwrap();
    let created = block.txids();
    let (mut found, mut in_block) = (0, 0);
    for input in block.p2pkh_inputs(LIMIT).unwrap() {
        let previous = block.transactions()[input.transaction].inputs()[input.input].previous_output;
        if created.contains(&previous.txid) {
            in_block += 1;
        } else {
            assert!(hashes.contains(&input.key_hash[..]), "transaction {}", input.transaction);
            found += 1;
        }
    }
    assert_eq!(found + in_block, 732);
    assert!(found > 600, "{found}");
}

/// What is signed, as the first implementation made it: a changed copy of the transaction, written out.
fn preimage(transaction: &Transaction<'_>, input: usize, script_code: &[u8], hash_type: u8) -> Vec<u8> {
    let blank = transaction.inputs().iter().map(|other| (other.previous_output, Vec::new(), other.sequence));
    let mut inputs: Vec<_> = blank.collect();
    inputs[input].1 = script_code.to_vec();
    let mut outputs: Vec<_> =
        transaction.outputs().iter().map(|output| (output.value, output.script_pubkey.to_vec())).collect();
    if let 2 | 3 = hash_type & 31 {
        outputs.truncate(if hash_type & 31 == 2 { 0 } else { input + 1 });
        let blanked = outputs.len().saturating_sub(1);
        outputs[..blanked].fill((u64::MAX, Vec::new()));
        for (index, (.., sequence)) in inputs.iter_mut().enumerate() {
            *sequence = if index == input { *sequence } else { 0 };
        }
    }
    if hash_type >= 128 {
        inputs = vec![inputs[input].clone()];
    }
    let mut bytes = transaction.version().to_le_bytes().to_vec();
    bytes.extend(compact_size(inputs.len()));
    for (output, script, sequence) in inputs {
        let parts = [&output.txid[..], &output.index.to_le_bytes(), &compact_size(script.len()), &script];
        bytes.extend([&parts.concat()[..], &sequence.to_le_bytes()].concat());
    }
    bytes.extend(compact_size(outputs.len()));
    for (value, script) in outputs {
        bytes.extend([&value.to_le_bytes()[..], &compact_size(script.len()), &script].concat());
    }
    bytes.extend(transaction.lock_time().to_le_bytes());
    [bytes, vec![hash_type, 0, 0, 0]].concat()
}

#[test]
fn digests_of_every_hash_type_are_those_of_the_changed_copy() {
    let bytes = block_of(&[
        coinbase(&[0x51]),
        spend(&[b"", b"ab", b""], 2),
        spend(&[b"xyz"; 3].map(|script| &script[..]), 300),
    ]);
    let block = Block::decode(&bytes).unwrap();
    for transaction in &block.transactions()[1..] {
        let mut digests = std::collections::BTreeSet::new();
        for script_code in [&[0x51][..], &[0xac], &[7; 300]] {
            for input in 0..transaction.inputs().len() {
                for hash_type in 0..=u8::MAX {
                    let digest = transaction.legacy_sighash(input, script_code, hash_type).unwrap();
                    digests.insert(digest);
                    let is_without_output = hash_type & 31 == 3 && input >= transaction.outputs().len();
                    let mut one = [0; 32];
                    one[0] = 1;
                    let expected = if is_without_output {
                        one
                    } else {
                        sha256d(&preimage(transaction, input, script_code, hash_type))
                    };
                    assert_eq!(digest, expected, "input {input}, hash type {hash_type}");
                }
            }
        }
        assert_eq!(transaction.legacy_sighash(3, &[], 1), None);
        // Where the last input has no output, eight of its hash types have it sign the number 1 under each script.
        let without_output = if transaction.outputs().len() < 3 { 3 * 8 - 1 } else { 0 };
        assert_eq!(digests.len(), 3 * 3 * 256 - without_output);
    }
}

/// `SIGHASH_SINGLE` by an input past the outputs.
#[test]
fn a_signature_over_the_number_one_is_valid_where_there_is_no_output() {
    let secret = curve::reduced(curve::small(77));
    let mut one = [0; 32];
    one[0] = 1;
    let key = curve::compressed(&curve::times_generator(secret).unwrap());
    let KeyBytes::Compressed(key) = key else { panic!("compressed") };
    let signed = curve::sign(secret, curve::reduced(one), curve::reduced(curve::small(78))).unwrap();
    let mut unlocking = Vec::new();
    for hash_type in [3, 1] {
        let signature = [&der(&signed.signature.r, &signed.signature.s)[..], &[hash_type]].concat();
        unlocking.push([pushed(&signature), pushed(&key)].concat());
    }
    let bytes = block_of(&[coinbase(&[0x51]), spend(&[b"", &unlocking[0], &unlocking[1]], 1)]);
    let inputs = Block::decode(&bytes).unwrap().p2pkh_inputs(LIMIT).unwrap();
    let [single, all] = &inputs[..] else { panic!("{inputs:?}") };
    assert_eq!((single.transaction, single.input, all.input), (1, 1, 2));
    assert_eq!(single.item.unwrap().digest, one);
    let cases = [(single.item, Verdict::Valid(())), (all.item, Verdict::Invalid(Reason::Mismatch))];
    paths::verify("SIGHASH_SINGLE without an output", &cases);
}

#[test]
fn an_output_that_is_changed_makes_its_signatures_invalid() {
    let Some(folder) = test_data("bitcoin-mainnet") else { return };
    let bytes = read_block(&folder.join("169482.dat"));
    let block = Block::decode(&bytes).unwrap();
    let before = block.p2pkh_inputs(LIMIT).unwrap();
    let changed_at = block.transactions()[1].outputs()[0].script_pubkey.as_ptr() as usize - bytes.as_ptr() as usize;
    let mut changed = bytes.clone();
    changed[changed_at + 5] ^= 1;
    let after = Block::decode(&changed).unwrap().p2pkh_inputs(LIMIT).unwrap();
    assert_eq!(before.len(), after.len());
    let mut refused = 0;
    for (before, after) in before.iter().zip(&after) {
        assert!(oracle::verify(&before.item.unwrap()).is_ok());
        assert_eq!(oracle::verify(&after.item.unwrap()).is_ok(), after.transaction != 1);
        refused += usize::from(after.transaction == 1);
    }
    assert!(refused > 0);
}

#[test]
fn only_two_pushes_of_which_the_second_is_like_a_key_are_taken() {
    let signature = SHORTEST;
    let (even, full, hybrid) = (vec![2; 33], vec![4; 65], vec![6; 65]);
    let input = |script: &[u8]| -> Vec<P2pkhInput> {
        let bytes = block_of(&[coinbase(&[0x51]), spend(&[script], 1)]);
        Block::decode(&bytes).unwrap().p2pkh_inputs(LIMIT).unwrap()
    };
    for key in [&even, &full, &hybrid] {
        for long in [
            [&[76, 9][..], &signature].concat(),
            [&[77, 9, 0][..], &signature].concat(),
            [&[78, 9, 0, 0, 0][..], &signature].concat(),
        ] {
            let [input] = &input(&[long, pushed(key)].concat())[..] else { panic!("one input") };
            assert!(input.item.is_ok());
            assert_eq!(input.item.unwrap().rules, Rules::BitcoinConsensus);
        }
    }
    let at_fault = |signature: &[u8], key: &[u8]| {
        let [input] = &input(&[pushed(signature), pushed(key)].concat())[..] else { panic!("one input") };
        input.item.unwrap_err()
    };
    assert_eq!(at_fault(&[], &even), Reason::SignatureEncoding);
    assert_eq!(at_fault(&[1], &even), Reason::SignatureEncoding);
    assert_eq!(at_fault(&[&der(&[0], &[1])[..], &[1]].concat(), &even), Reason::RIsZero);
    assert_eq!(at_fault(&[&der(&[1], &[0])[..], &[1]].concat(), &even), Reason::SIsZero);
    let mut other_parity = hybrid.clone();
    other_parity[64] ^= 1;
    assert_eq!(at_fault(&signature, &other_parity), Reason::KeyEncoding);
    assert_eq!(at_fault(&signature, &[[2].as_slice(), &[0xff; 32]].concat()), Reason::KeyEncoding);
    let one = [pushed(&signature), pushed(&even)].concat();
    for other in [
        &b""[..],
        &pushed(&signature),
        &pushed(&even),
        &[&one[..], &[0]].concat(),
        &[&one[..], &[0xac]].concat(),
        &one[..one.len() - 1],
        &[pushed(&even), pushed(&signature)].concat(),
        &[pushed(&signature), pushed(&[5; 33])].concat(),
        &[pushed(&signature), pushed(&[2; 34])].concat(),
        &[pushed(&signature), vec![0x51]].concat(),
        &[76],
        &[77, 9],
        &[78, 0xff, 0xff, 0xff, 0xff],
        &[78, 0xff, 0xff, 0xff],
    ] {
        assert!(input(other).is_empty(), "{other:02x?}");
    }
    // A coinbase unlocks nothing, whatever it holds.
    let bytes = block_of(&[coinbase(&one)]);
    assert!(Block::decode(&bytes).unwrap().p2pkh_inputs(0).unwrap().is_empty());
}

/// As much hashing as a block can ask for is refused before it is done.
#[test]
fn hashing_that_grows_with_the_square_is_bounded() {
    let unlocking = [pushed(&SHORTEST), pushed(&[2; 33])].concat();
    let many = vec![&unlocking[..]; 11_500];
    let bytes = [&block_of(&[coinbase(&[0x51])])[..80], &[2], &coinbase(&[0x51]), &spend(&many, 1)].concat();
    let block = Block::decode(&bytes).unwrap();
    assert!(block.weight() > 3_900_000);
    let Err(TooMuchToHash { bytes, limit: 1_000_000 }) = block.p2pkh_inputs(1_000_000) else { panic!("it is refused") };
    assert!((5_000_000_000..6_000_000_000).contains(&bytes), "{bytes}");
    assert_eq!(block.p2pkh_inputs(bytes - 1).unwrap_err(), TooMuchToHash { bytes, limit: bytes - 1 });

    // What it says is an upper bound, and not far from what is hashed.
    let bytes = block_of(&[coinbase(&[0x51]), spend(&[&unlocking[..]; 40], 3)]);
    let block = Block::decode(&bytes).unwrap();
    let TooMuchToHash { bytes, .. } = block.p2pkh_inputs(0).unwrap_err();
    let hashed: usize = (0..40).map(|input| preimage(&block.transactions()[1], input, &[0; 25], 1).len()).sum();
    assert!((hashed as u64..hashed as u64 + 40 * 64).contains(&bytes), "{bytes} for {hashed}");
    assert_eq!(block.p2pkh_inputs(bytes).unwrap().len(), 40);
}

proptest! {
    /// Whatever unlocks an input, nothing panics, and a digest is that of the changed copy.
    #[test]
    fn any_script_is_read_or_left_alone(
        signature in prop::collection::vec(any::<u8>(), 0..80),
        key in prop::collection::vec(0_u8..8, 30..70),
        script in prop::collection::vec(any::<u8>(), 0..120),
        hash_type in any::<u8>(),
    ) {
        let whole = [&der(&signature, &[5])[..], &[hash_type]].concat();
        let scripts = [&script, &[pushed(&whole), pushed(&key)].concat(), &[pushed(&signature), pushed(&key)].concat()];
        let bytes = block_of(&[coinbase(&[0x51]), spend(&scripts.map(|script| &script[..]), 2)]);
        let block = Block::decode(&bytes).unwrap();
        for input in block.p2pkh_inputs(LIMIT).unwrap() {
            let Ok(item) = input.item else { continue };
            let script = block.transactions()[1].inputs()[input.input].script_sig;
            let end = if script[0] == 76 { 1 + usize::from(script[1]) } else { usize::from(script[0]) };
            let code = [&[0x76, 0xa9, 20][..], &input.key_hash, &[0x88, 0xac]].concat();
            let transaction = &block.transactions()[1];
            let digest = transaction.legacy_sighash(input.input, &code, script[end]);
            prop_assert_eq!(Some(item.digest), digest);
        }
    }
}

/// The shortest signature whose numbers are in range, with its hash type.
const SHORTEST: [u8; 9] = [0x30, 6, 2, 1, 1, 2, 1, 1, 1];

/// A transaction with these scripts that unlock its inputs, and outputs that differ.
fn spend(scripts: &[&[u8]], outputs: u16) -> Vec<u8> {
    let mut bytes = [&[1, 0, 0, 0][..], &compact_size(scripts.len())].concat();
    for (index, script) in (1_u32..).zip(scripts) {
        bytes.extend([&[9; 32][..], &index.to_le_bytes(), &compact_size(script.len()), script].concat());
        bytes.extend((index * 7).to_le_bytes());
    }
    bytes.extend(compact_size(outputs.into()));
    for index in 0..outputs {
        bytes.extend([&u64::from(index).to_le_bytes()[..], &[2, 0x51], &index.to_le_bytes()[..1]].concat());
    }
    [bytes, vec![3, 0, 0, 0]].concat()
}

/// A push of up to 255 bytes.
fn pushed(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [if length < 76 { &[][..] } else { &[76] }, &[length], bytes].concat()
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len() + 1).unwrap(), 0], bytes].concat();
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}
