//! Bitcoin blocks decode, their hashes hold, and no bytes whatever make the decoder panic or accept a changed block.
#![cfg(feature = "bitcoin")]

#[path = "common/bitcoin.rs"]
mod build;
mod common;

use build::{SPEND_BODY, block_of, coinbase, coinbase_with, genesis, read_block, segwit_block, segwit_spend, spend};
use phalanx::chain::bitcoin::{
    Block, DecodeError, Fault, Field, Header, MAX_WEIGHT, Malformation, Segwit, Transaction,
};
use phalanx::cpu::sha256d;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

/// File, hash as explorers show it, claimed height, transactions, inputs, outputs, weight, whether witnesses are
/// committed to: counted by an independent program.
type Expected = (&'static str, &'static str, Option<u32>, usize, usize, usize, usize, bool);

#[rustfmt::skip]
const MAINNET: [Expected; 7] = [
    ("169482.dat", "0000000000000756935f1ee9d5987857b604046f846d3df56d024cdb5f368665", None, 14, 60, 231, 74_712, false),
    ("227835.dat", "00000000000001aa077d7aa84c532a4d69bdbff519609d1da0835261b7a74eb6", None, 122, 263, 229, 215_596, false),
    ("227836.dat", "00000000000000d0dfd4c9d588d325dce4f32c1b31b7c0064cba7025a9b9adcc", Some(227_836), 100, 191, 188, 158_512, false),
    ("277647.dat.bz2", "0000000000000000054a714e580b16c583701712ab91060e92dbde6eb1e052a8", Some(277_647), 213, 733, 769, 596_656, false),
    ("370661.dat", "00000000000000001416a613602d73bbe5c79170fd8f39d509896b829cf9021e", Some(370_661), 708, 2_006, 1_823, 1_524_892, false),
    ("481815.dat", "000000000000000000893c019d81f2d48ee33892c12428f3121bbd16ed6db926", Some(481_815), 2_097, 4_699, 4_659, 3_992_356, false),
    ("702861.raw", "000000000000000000000c835b2adcaedc20fdf6ee440009c249452c726dafae", Some(702_861), 2_500, 6_518, 6_015, 3_993_054, true),
];

#[test]
fn every_mainnet_block_holds() {
    let Some(folder) = common::test_data("bitcoin-mainnet") else { return };
    let blocks = std::fs::read_dir(&folder).unwrap().filter(|entry| {
        // The outputs that a block spends lie beside it.
        !entry.as_ref().unwrap().path().to_string_lossy().contains("utxostore")
    });
    assert_eq!(blocks.count(), MAINNET.len(), "every block of the folder is expected");
    for (file, hash, height, transactions, inputs, outputs, weight, committed) in MAINNET {
        let bytes = read_block(&folder.join(file));
        let block = Block::decode(&bytes).unwrap();
        assert_eq!(shown(block.header().hash()), hash, "{file}");
        assert_eq!(block.claimed_height(), height, "{file}");
        assert_eq!(block.transactions().len(), transactions, "{file}");
        assert_eq!(block.transactions().iter().map(|transaction| transaction.inputs().len()).sum::<usize>(), inputs);
        assert_eq!(block.transactions().iter().map(|transaction| transaction.outputs().len()).sum::<usize>(), outputs);
        assert_eq!(block.weight(), weight, "{file}");
        let checks = block.check(Segwit::on_mainnet(height.unwrap_or(0)));
        assert!(checks.hold(), "{file}: {checks:x?}");
        assert_eq!(checks.witness_commitment.unwrap().is_some(), committed, "{file}");
    }
}

#[test]
fn a_commitment_means_nothing_before_segwit() {
    let Some(folder) = common::test_data("bitcoin-mainnet") else { return };
    let bytes = read_block(&folder.join("481815.dat"));
    let block = Block::decode(&bytes).unwrap();
    assert_eq!(block.check(Segwit::Inactive).witness_commitment, Ok(None));
    assert_eq!(block.check(Segwit::Active).faults().collect::<Vec<_>>(), [Fault::ReservedValue]);
}

#[test]
fn each_check_sees_its_own_fault() {
    let bytes = bitcoin_test_data::blocks::mainnet_702861();
    let block = Block::decode(bytes).unwrap();
    assert!(block.check(Segwit::Active).hold());
    assert_eq!(block.transactions()[0].txid(), block.txids()[0]);
    assert_eq!(block.check(Segwit::Inactive).witness_commitment, Err(Fault::UncommittedWitness { transaction: 0 }));

    let place = |part: &[u8]| part.as_ptr() as usize - bytes.as_ptr() as usize;
    let spend = block.transactions().iter().skip(1).find(|transaction| transaction.has_witness()).unwrap();
    let witnessed = spend.inputs().iter().find(|input| !input.witness.is_empty()).unwrap();
    let item = witnessed.witness.iter().find(|item| !item.is_empty()).unwrap();
    let cases = [
        (0, "the block's hash is above its target"),
        (place(spend.outputs()[0].script_pubkey), "the header's Merkle root is not that of the transactions"),
        (place(item), "the coinbase's commitment is not that of the witnesses"),
    ];
    for (changed_at, expected) in cases {
        let mut changed = bytes.to_vec();
        changed[changed_at] ^= 1;
        let checks = Block::decode(&changed).unwrap().check(Segwit::Active);
        let faults: Vec<_> = checks.faults().map(|fault| fault.to_string()).collect();
        assert_eq!(faults[0], expected);
        // The wtxid covers the whole transaction, so a changed output breaks both roots.
        assert_eq!(faults.len(), if changed_at == cases[1].0 { 2 } else { 1 });
    }
    let mut bits = bytes.to_vec();
    bits[72..76].copy_from_slice(&0x1d80_0000_u32.to_le_bytes());
    let checks = Block::decode(&bits).unwrap().check(Segwit::Active);
    assert_eq!(checks.proof_of_work, Err(Fault::NoTarget { bits: 0x1d80_0000 }));
}

#[test]
fn genesis_decodes_field_by_field() {
    let bytes = genesis();
    let block = Block::decode(&bytes).unwrap();
    assert_eq!(shown(block.header().hash()), "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
    assert_eq!(shown(block.txids()[0]), "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b");
    assert_eq!(block.header().to_bytes(), bytes[..Header::LENGTH]);
    assert_eq!((block.header().version, block.header().time, block.header().bits), (1, 1_231_006_505, 0x1d00_ffff));
    assert_eq!((block.transactions().len(), block.weight(), block.claimed_height()), (1, 4 * 285, None));
    let coinbase = &block.transactions()[0];
    assert!(coinbase.is_coinbase() && !coinbase.has_witness());
    assert_eq!((coinbase.version(), coinbase.lock_time(), coinbase.wtxid()), (1, 0, coinbase.txid()));
    assert!(coinbase.inputs()[0].script_sig.ends_with(b"Chancellor on brink of second bailout for banks"));
    assert_eq!(coinbase.inputs()[0].sequence, u32::MAX);
    assert_eq!(coinbase.outputs()[0].value, 50 * 100_000_000);
    assert_eq!(coinbase.outputs()[0].script_pubkey.len(), 67);
    assert!(block.check(Segwit::Inactive).hold());
}

#[test]
fn witnesses_keep_their_items() {
    let bytes = segwit_block();
    let block = Block::decode(&bytes).unwrap();
    assert!(block.check(Segwit::Active).hold(), "{:x?}", block.check(Segwit::Active));
    let [coinbase, spend] = block.transactions() else { panic!("two transactions") };
    assert_eq!(coinbase.inputs()[0].witness.iter().collect::<Vec<_>>(), [[7; 32]]);
    assert_eq!(spend.inputs()[0].witness.iter().collect::<Vec<_>>(), [&b""[..], b"signature", b"key"]);
    assert!(spend.inputs()[1].witness.is_empty());
    assert_eq!(spend.bytes(), segwit_spend());
    let stripped = [&segwit_spend()[..4], &segwit_spend()[6..6 + SPEND_BODY], &[9, 0, 0, 0]].concat();
    assert_eq!(spend.txid(), sha256d(&stripped));
    assert_eq!(spend.wtxid(), sha256d(&segwit_spend()));
    let witnesses = 2 * 2 + 34 + 1 + 16;
    assert_eq!(block.weight(), 4 * bytes.len() - 3 * witnesses);
}

#[test]
fn repeated_transactions_keep_the_root_and_are_reported() {
    // Three transactions: the third is paired with itself, so repeating it changes nothing.
    let list = [coinbase(&[]), spend(1), spend(2)];
    let honest = block_of(&list);
    assert!(Block::decode(&honest).unwrap().check(Segwit::Active).hold());
    let mut repeated = honest.clone();
    repeated[80] = 4;
    repeated.extend_from_slice(&list[2]);
    let checks = Block::decode(&repeated).unwrap().check(Segwit::Active);
    assert_eq!(checks.faults().collect::<Vec<_>>(), [Fault::Mutated]);
}

#[test]
fn the_coinbase_comes_first_and_alone() {
    let fault = |list: &[Vec<u8>]| Block::decode(&block_of(list)).unwrap().check(Segwit::Active).coinbase;
    assert_eq!(fault(&[coinbase(&[]), spend(1)]), Ok(()));
    assert_eq!(fault(&[spend(1), coinbase(&[])]), Err(Fault::NoCoinbase));
    assert_eq!(fault(&[coinbase(&[]), spend(1), coinbase(&[1])]), Err(Fault::SecondCoinbase { transaction: 2 }));
}

#[test]
fn targets_follow_the_compact_form() {
    let target = |bits| {
        let header = Header { version: 1, previous_block: [0; 32], merkle_root: [0; 32], time: 0, bits, nonce: 0 };
        header.target().map(|target| shown(target).trim_start_matches('0').to_owned())
    };
    let zeros = |digits: &str, bytes| Some(format!("{digits}{}", "00".repeat(bytes)));
    let cases = [
        (0x1d00_ffff, zeros("ffff", 26)),
        (0x207f_ffff, zeros("7fffff", 29)),
        (0x0500_9234, zeros("9234", 2)),
        (0x0412_3456, zeros("123456", 1)),
        (0x0312_3456, zeros("123456", 0)),
        (0x0212_3456, zeros("1234", 0)),
        (0x0112_3456, zeros("12", 0)),
        (0x2200_007f, zeros("7f", 31)),
        (0x2100_7f00, zeros("7f", 31)),
        (0x0012_3456, None), // nothing of the mantissa is left
        (0x0100_3456, None),
        (0x2000_0000, None), // zero
        (0x0492_3456, None), // negative
        (0x2300_0001, None), // more than 256 bits
        (0x2200_0100, None),
        (0x2101_0000, None),
        (0xff12_3456, None),
    ];
    for (bits, expected) in cases {
        assert_eq!(target(bits), expected, "{bits:#010x}");
    }
}

#[test]
fn a_malformed_block_is_refused_where_it_is_malformed() {
    let honest = block_of(&[coinbase(&[]), segwit_spend()]);
    let spend_at = 81 + coinbase(&[]).len();
    let outputs_at = spend_at + 6 + 1 + 2 * 41;
    let refuse = |at: usize, replaced: usize, with: &[u8]| {
        let mut bytes = honest.clone();
        bytes.splice(at..at + replaced, with.iter().copied());
        let error = Block::decode(&bytes).unwrap_err();
        (error.transaction, error.field, error.offset, error.malformation)
    };
    let left = |at: usize| honest.len() - at;
    let count = |count, left| Malformation::CountTooLarge { count, left };
    let spend = Some(1);
    assert_eq!(refuse(80, 1, &[0]), (None, Field::Transactions, 80, Malformation::CountIsZero));
    assert_eq!(refuse(80, 1, &[0xfd, 2, 0]), (None, Field::Transactions, 80, Malformation::NotCanonical { value: 2 }));
    assert_eq!(refuse(80, 1, &[0xff; 9]), (None, Field::Transactions, 80, count(u64::MAX, left(81))));
    assert_eq!(refuse(80, 1, &[9]), (None, Field::Transactions, 80, count(9, left(81))));
    let flag = Malformation::UnknownFlag { flag: 3 };
    assert_eq!(refuse(spend_at + 5, 1, &[3]), (spend, Field::Flag, spend_at + 5, flag));
    assert_eq!(refuse(spend_at + 6, 1, &[0]), (spend, Field::Inputs, spend_at + 6, Malformation::CountIsZero));
    assert_eq!(refuse(spend_at + 6, 1, &[90]), (spend, Field::Inputs, spend_at + 6, count(90, left(spend_at + 7))));
    let script = |wanted, left| Malformation::Truncated { wanted, left };
    let second_script = spend_at + 6 + 1 + 41 + 36;
    assert_eq!(
        refuse(second_script, 1, &[0xfe, 0, 0, 1, 0]),
        (spend, Field::ScriptSig { input: 1 }, second_script + 5, script(0x1_0000, left(second_script + 1)))
    );
    assert_eq!(refuse(outputs_at, 1, &[0]), (spend, Field::Outputs, outputs_at, Malformation::CountIsZero));
    let script_at = outputs_at + 1 + 8;
    assert_eq!(
        refuse(script_at, 1, &[200]),
        (spend, Field::ScriptPubkey { output: 0 }, script_at + 1, script(200, left(script_at + 1)))
    );
    let witness_at = script_at + 2;
    assert_eq!(
        refuse(witness_at, 17, &[0, 0]),
        (spend, Field::Witness { input: 0 }, witness_at, Malformation::NoWitness)
    );
    assert_eq!(
        refuse(witness_at, 1, &[100]),
        (spend, Field::Witness { input: 0 }, witness_at, count(100, left(witness_at + 1)))
    );
    assert_eq!(refuse(honest.len() - 4, 4, &[9, 0]), (spend, Field::LockTime, honest.len() - 4, script(4, 2)));
    let trailing = Malformation::TrailingBytes { bytes: 1 };
    assert_eq!(refuse(honest.len(), 0, &[0]), (None, Field::Block, honest.len(), trailing));
    let shown = |bytes: &[u8]| Block::decode(bytes).unwrap_err().to_string();
    assert_eq!(shown(&[]), "header at byte 0: 4 bytes expected, 0 left");
    assert_eq!(shown(&honest[..honest.len() - 2]), "transaction 1, lock time at byte 259: 4 bytes expected, 2 left");
}

#[test]
fn a_block_beyond_the_limit_is_refused() {
    let too_large = vec![0; MAX_WEIGHT + 1];
    let malformation = Malformation::TooLarge { bytes: MAX_WEIGHT + 1 };
    assert_eq!(
        Block::decode(&too_large),
        Err(DecodeError { transaction: None, field: Field::Block, offset: 0, malformation })
    );
    // Without witnesses each byte weighs four.
    let of_weight = |weight: usize| {
        let empty = block_of(&[coinbase_with(&[], &vec![0x51; 0x1_0000])]).len() - 0x1_0000;
        block_of(&[coinbase_with(&[], &vec![0x51; weight / 4 - empty])])
    };
    let heaviest = of_weight(MAX_WEIGHT);
    assert_eq!(Block::decode(&heaviest).unwrap().weight(), MAX_WEIGHT);
    let too_heavy = of_weight(MAX_WEIGHT + 4);
    let malformation = Malformation::TooHeavy { weight: MAX_WEIGHT + 4 };
    assert_eq!(Block::decode(&too_heavy).map(drop).map_err(|error| error.malformation), Err(malformation));
}

#[test]
fn every_prefix_is_refused_at_or_before_its_end() {
    let mut blocks = vec![genesis(), segwit_block()];
    if let Some(folder) = common::test_data("bitcoin-mainnet") {
        blocks.push(read_block(&folder.join("169482.dat")));
    }
    for block in blocks {
        for end in 0..block.len() {
            let error = Block::decode(&block[..end]).unwrap_err();
            assert!(error.offset <= end, "{error}");
            let expected =
                matches!(error.malformation, Malformation::Truncated { .. } | Malformation::CountTooLarge { .. });
            assert!(expected, "{end} bytes: {error}");
        }
        assert!(Block::decode(&block).is_ok());
    }
}

proptest! {
    /// Behind the header every byte is bound: by a root, by the commitment or by there being one encoding.
    #[test]
    fn no_changed_block_holds(
        block in prop::sample::select(vec![genesis(), segwit_block()]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut changed = block.clone();
        for (place, value) in changes {
            let place = Header::LENGTH + place.index(block.len() - Header::LENGTH);
            changed[place] = value;
        }
        changed.truncate(cut.map_or(block.len(), |cut| cut.index(block.len())));
        if changed != block {
            match Block::decode(&changed) {
                Err(error) => prop_assert!(error.offset <= changed.len()),
                Ok(decoded) => {
                    for segwit in [Segwit::Inactive, Segwit::Active] {
                        prop_assert!(!decoded.check(segwit).hold());
                    }
                }
            }
        }
    }

    /// Whatever decodes is made of its transactions' bytes, none left out.
    #[test]
    fn what_decodes_is_accounted_for(bytes in near_blocks()) {
        if let Ok(block) = Block::decode(&bytes) {
            let parts: Vec<_> = block.transactions().iter().map(Transaction::bytes).collect();
            let header = block.header().to_bytes();
            prop_assert_eq!([&header[..], &[u8::try_from(parts.len()).unwrap()], &parts.concat()].concat(), &bytes[..]);
            for transaction in block.transactions() {
                prop_assert!(!transaction.inputs().is_empty() && !transaction.outputs().is_empty());
                let witnesses = transaction.inputs().iter().map(|input| input.witness);
                prop_assert!(witnesses.clone().all(|witness| witness.iter().count() == witness.len()));
                prop_assert_eq!(transaction.txid() == transaction.wtxid(), !transaction.has_witness());
            }
            let _ = block.check(Segwit::Active);
        }
    }
}

/// Bytes that resemble blocks: small numbers, which often pass for counts and lengths, or a block with some replaced.
fn near_blocks() -> impl Strategy<Value = Vec<u8>> {
    let small = prop::collection::vec(0_u8..4, 80..400);
    let replaced = prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..4).prop_map(|changes| {
        let mut block = segwit_block();
        let length = block.len();
        for (place, value) in changes {
            block[place.index(length)] = value;
        }
        block
    });
    proptest::prop_oneof![small, replaced]
}

/// A hash as explorers show it.
fn shown(mut hash: [u8; 32]) -> String {
    hash.reverse();
    hex::encode(hash)
}
