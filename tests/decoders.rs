//! No bytes make a decoder panic, what decodes encodes to the same bytes, and no changed bit keeps a sender.
#![cfg(all(feature = "executor", feature = "bitcoin"))]

#[path = "common/bitcoin.rs"]
mod bitcoin_blocks;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use alloy_consensus::{Header, SignableTransaction, TxEip4844, Typed2718};
use alloy_eips::Encodable2718;
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use phalanx::Verifier;
use phalanx::chain::bitcoin;
use phalanx::chain::ethereum::{
    Block, BlockStream, ChainSpec, Ommers, Transaction, block_from_json, decode_transaction, genesis_from_json,
    verify_transactions,
};
use phalanx::executor::{Ledger, PreState};
use phalanx::workload::{CHAIN_ID, WorkloadChain, WorkloadConfig};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};
use serde_json::{Value, json};

/// How many inputs each decoder is given.
const CASES: u32 = 100_000;

/// A chain that has every type of transaction but blobs.
static CHAIN: LazyLock<(String, Vec<Block>)> = LazyLock::new(|| {
    let config = WorkloadConfig { seed: 5, blocks: 2, transactions_per_block: 150, accounts: 8, ..Default::default() };
    let mut chain = WorkloadChain::new(config).unwrap();
    let genesis = serde_json::to_string(chain.genesis()).unwrap();
    let verifier = Verifier::cpu();
    (genesis, std::iter::from_fn(|| chain.next_block(&verifier)).map(Result::unwrap).collect())
});

/// Some transactions of each type, small ones first, by type.
static TRANSACTIONS: LazyLock<BTreeMap<u8, Vec<Transaction>>> = LazyLock::new(|| {
    let mut of_type: BTreeMap<u8, Vec<Transaction>> = BTreeMap::new();
    for transaction in CHAIN.1.iter().flat_map(|block| &block.transactions) {
        of_type.entry(transaction.ty()).or_default().push(transaction.clone());
    }
    of_type.insert(3, (1..=3).map(blob_transaction).collect());
    for transactions in of_type.values_mut() {
        transactions.sort_by_key(Encodable2718::encode_2718_len);
        transactions.truncate(3);
    }
    let count = |transactions: &Vec<_>| transactions.len();
    assert_eq!(of_type.values().map(count).collect::<Vec<_>>(), [3, 3, 3, 3, 3]);
    of_type
});

fn blob_transaction(number: u8) -> Transaction {
    let unsigned = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: number.into(),
        gas_limit: 30_000,
        max_fee_per_gas: 1_000_000_007,
        max_priority_fee_per_gas: 7,
        to: Address::repeat_byte(number),
        value: U256::from(1_u64 << 40),
        access_list: AccessList::default(),
        blob_versioned_hashes: (0..number)
            .map(|index| B256::with_last_byte(index) | B256::from(U256::ONE << 248))
            .collect(),
        max_fee_per_blob_gas: 5,
        input: Bytes::from(vec![number; number.into()]),
    };
    let key = SecretKey::from_secret_bytes([number; 32]).unwrap();
    let message = Message::from_digest(unsigned.signature_hash().0);
    let (id, bytes) = RecoverableSignature::sign_ecdsa_recoverable(message, &key).serialize_compact();
    let signature = Signature::from_bytes_and_parity(&bytes, id.to_u8() == 1);
    Transaction::Eip4844(unsigned.into_signed(signature))
}

/// Blocks of every shape: few transactions of every type, withdrawals, ommers, neither.
fn blocks() -> Vec<Block> {
    let few = |types: &[u8]| types.iter().map(|ty| TRANSACTIONS[ty][0].clone()).collect::<Vec<_>>();
    let of = |header: &Header, transactions: Vec<Transaction>, ommers: Vec<Header>, withdrawals| Block {
        header: header.clone(),
        hash: header.hash_slow(),
        envelopes: transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect(),
        transactions,
        ommers: Ommers::Headers(ommers),
        withdrawals,
        claims: Vec::new(),
    };
    let newest = &CHAIN.1[0].header;
    let oldest =
        Header { number: 7, difficulty: U256::from(1 << 20), extra_data: vec![1, 2, 3].into(), ..Header::default() };
    let withdrawal =
        |index| Withdrawal { index, validator_index: 9, address: Address::repeat_byte(3), amount: 1 << 33 };
    vec![
        of(newest, few(&[0, 1, 2, 3, 4]), Vec::new(), Some((1..4).map(withdrawal).collect())),
        of(newest, few(&[2]), Vec::new(), Some(Vec::new())),
        of(&oldest, few(&[0, 0]), vec![oldest.clone(); 2], None),
        of(&oldest, Vec::new(), Vec::new(), None),
    ]
}

/// A change to bytes.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Append(Vec<u8>),
}

impl Edit {
    fn any() -> impl Strategy<Value = Self> {
        // The bytes at which a length or a form changes, besides any.
        let byte = prop_oneof![
            any::<u8>(),
            proptest::sample::select(&[0, 1, 0x7f, 0x80, 0x81, 0xb7, 0xb8, 0xc0, 0xf7, 0xf8, 0xff][..])
        ];
        prop_oneof![
            4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            4 => (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Self::Set(at, byte)),
            2 => (any::<Index>(), byte).prop_map(|(at, byte)| Self::Insert(at, byte)),
            2 => any::<Index>().prop_map(Self::Remove),
            1 => any::<Index>().prop_map(Self::Cut),
            1 => vec(any::<u8>(), 1..4).prop_map(Self::Append),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
            Self::Set(at, byte) => *at.get_mut(bytes) = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Append(more) => bytes.extend(more),
        }
    }
}

/// Any bytes, or valid ones with up to four edits.
fn hostile(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edited = (proptest::sample::select(valid), vec(Edit::any(), 0..4)).prop_map(|(mut bytes, edits)| {
        for edit in edits {
            edit.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![1 => vec(any::<u8>(), 0..100), 5 => edited]
}

/// A change to JSON: what is to be put in the place of some node.
fn hostile_json(valid: Vec<Value>) -> impl Strategy<Value = Vec<u8>> {
    let texts = valid.iter().map(|value| serde_json::to_vec(value).unwrap()).collect();
    let junk = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "0x[0-9a-f]{0,70}".prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["0x01", {"": null}])),
        Just(json!(format!("0x{}", "ff".repeat(33)))),
    ];
    let replaced = (proptest::sample::select(valid), any::<Index>(), proptest::option::weighted(0.8, junk)).prop_map(
        |(mut value, at, junk)| {
            let mut at = at.index(nodes(&value));
            replace(&mut value, &mut at, junk.as_ref());
            serde_json::to_vec(&value).unwrap()
        },
    );
    prop_oneof![1 => hostile(texts), 2 => replaced]
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// How many values there are below one.
fn nodes(value: &Value) -> usize {
    children(value).map(|child| 1 + nodes(child)).sum()
}

/// Replaces the value that is `at` in order of occurrence, or removes it.
fn replace(value: &mut Value, at: &mut usize, by: Option<&Value>) {
    let place = children(value).position(|child| {
        let below = 1 + nodes(child);
        let found = *at < below;
        if !found {
            *at -= below;
        }
        found
    });
    let Some(place) = place else { return };
    match (value, *at) {
        (Value::Array(items), 0) => match by {
            Some(by) => items[place] = by.clone(),
            None => drop(items.remove(place)),
        },
        (Value::Object(fields), 0) => {
            let name = fields.keys().nth(place).unwrap().clone();
            match by {
                Some(by) => drop(fields.insert(name, by.clone())),
                None => drop(fields.remove(&name)),
            }
        }
        (Value::Array(items), _) => {
            *at -= 1;
            replace(&mut items[place], at, by);
        }
        (Value::Object(fields), _) => {
            *at -= 1;
            replace(fields.values_mut().nth(place).unwrap(), at, by);
        }
        _ => {}
    }
}

/// Gives `decode` [`CASES`] inputs, the same ones every time. It says whether an input decoded; some must, and some not.
fn check<T: std::fmt::Debug>(inputs: impl Strategy<Value = T>, decode: impl Fn(T) -> bool) {
    let config = Config { cases: CASES, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() };
    let (decoded, refused) = (Cell::new(0), Cell::new(0));
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        let counter = if decode(input) { &decoded } else { &refused };
        counter.set(counter.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(decoded.get() + refused.get(), CASES);
    assert!(decoded.get() > CASES / 20 && refused.get() > CASES / 20, "{} of {CASES} decoded", decoded.get());
}

/// What was refused, for a reason.
fn refused(error: &dyn std::error::Error) -> bool {
    assert!(!error.to_string().is_empty());
    false
}

#[test]
fn transactions() {
    let valid = TRANSACTIONS.values().flatten().map(Encodable2718::encoded_2718).collect();
    check(hostile(valid), |bytes| match decode_transaction(&bytes) {
        Ok(transaction) => {
            assert_eq!(transaction.encoded_2718(), bytes);
            true
        }
        Err(error) => refused(&error),
    });
}

#[test]
fn blocks_as_rlp() {
    let valid = blocks().iter().map(|block| block.encode().unwrap()).collect();
    check(hostile(valid), |bytes| {
        let bytes = Bytes::from(bytes);
        match Block::decode(&bytes) {
            Ok(block) => {
                assert_eq!(block.encode().unwrap(), bytes);
                assert_eq!(block.hash, block.header.hash_slow());
                true
            }
            Err(error) => refused(&error),
        }
    });
}

#[test]
fn streams_of_blocks() {
    let encoded: Vec<_> = blocks().iter().map(|block| block.encode().unwrap()).collect();
    let valid = vec![encoded.concat(), encoded[1..].concat(), encoded[3].repeat(5), encoded[0].clone()];
    check(hostile(valid), |bytes| {
        let mut blocks: Vec<_> = BlockStream::new(&bytes[..]).collect();
        let error = blocks.pop_if(|last| last.is_err());
        let read = blocks.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat();
        assert!(bytes.starts_with(&read));
        assert_eq!(error.is_none(), read.len() == bytes.len());
        error.is_none()
    });
}

#[test]
fn blocks_as_json() {
    let valid: Vec<_> = blocks().iter().map(block_to_json).collect();
    for (json, block) in valid.iter().zip(blocks()) {
        let decoded = block_from_json(&serde_json::to_vec(json).unwrap()).unwrap();
        assert_eq!(
            (decoded.hash, decoded.envelopes, decoded.withdrawals),
            (block.hash, block.envelopes, block.withdrawals)
        );
    }
    check(hostile_json(valid), |text| match block_from_json(&text) {
        Ok(block) => {
            if let Some(bytes) = block.encode() {
                let decoded = Block::decode(&bytes.into()).unwrap();
                assert_eq!((&decoded.header, decoded.hash), (&block.header, block.hash));
                assert_eq!((&decoded.envelopes, &decoded.withdrawals), (&block.envelopes, &block.withdrawals));
            }
            let _ = block.check_body();
            true
        }
        Err(error) => refused(&error),
    });
}

fn block_to_json(block: &Block) -> Value {
    let mut json = serde_json::to_value(&block.header).unwrap();
    json["hash"] = json!(block.hash);
    json["transactions"] = json!(block.transactions);
    json["withdrawals"] = json!(block.withdrawals);
    let Ommers::Headers(ommers) = &block.ommers else { unreachable!() };
    json["uncles"] = ommers.iter().map(|ommer| json!(ommer.hash_slow())).collect();
    json
}

#[test]
fn geneses() {
    let mut genesis: Value = serde_json::from_str(&CHAIN.0).unwrap();
    // An account of each kind will do.
    let accounts = genesis["alloc"].as_object_mut().unwrap();
    let mut seen = 0;
    accounts.retain(|_, account| {
        let plain = account.get("code").is_none();
        seen += usize::from(plain);
        if let Some(storage) = account.get_mut("storage").and_then(Value::as_object_mut) {
            *storage = std::mem::take(storage).into_iter().take(2).collect();
        }
        account["code"] = json!("0x6001");
        !plain || seen == 1
    });
    check(hostile_json(vec![genesis]), |text| match genesis_from_json(&text) {
        Ok(genesis) => {
            // alloy writes a difficulty as a number, of which serde_json reads 64 bits.
            if genesis.config.terminal_total_difficulty.is_none_or(|total| total <= U256::from(u64::MAX)) {
                let again = genesis_from_json(&serde_json::to_vec(&genesis).unwrap()).unwrap();
                assert_eq!(again, genesis);
            }
            if let Ok(ledger) = Ledger::from_genesis(&genesis) {
                assert_eq!(ledger.head_id().hash, ledger.head().hash_slow());
            }
            true
        }
        Err(error) => refused(&error),
    });
}

#[test]
fn pre_states() {
    let hash = B256::repeat_byte(7);
    let state = json!({
        Address::repeat_byte(1).to_string(): {"balance": "0xde0b6b3a7640000", "nonce": 7, "storage": {}},
        Address::repeat_byte(2).to_string(): {"balance": "0", "nonce": "0x1", "code_hash": hash, "storage": {"0x0": "0x1", "7": "0"}},
        Address::repeat_byte(3).to_string(): null,
    });
    check(hostile_json(vec![state]), |text| match PreState::from_json(&text) {
        Ok(mut state) => {
            for byte in 1..4 {
                let account = revm::DatabaseRef::basic_ref(&state, Address::repeat_byte(byte)).unwrap();
                let _ = revm::DatabaseRef::storage_ref(&state, Address::repeat_byte(byte), U256::from(7));
                assert!(byte != 3 || account.is_none() || !text.ends_with(b"null}"));
            }
            // Neither code nor hashes of blocks.
            let _ = state.add_codes_from_json(&text);
            let _ = state.add_block_hashes_from_json(&text, 1);
            true
        }
        Err(error) => refused(&error),
    });
}

#[test]
fn bitcoin_blocks_as_bytes() {
    check(
        hostile(vec![bitcoin_blocks::genesis(), bitcoin_blocks::segwit_block()]),
        |bytes| match bitcoin::Block::decode(&bytes) {
            Ok(block) => {
                let header = block.header().to_bytes();
                let count = u8::try_from(block.transactions().len()).unwrap();
                let transactions: Vec<_> = block.transactions().iter().map(bitcoin::Transaction::bytes).collect();
                assert_eq!([&header[..], &[count], &transactions.concat()].concat(), bytes);
                true
            }
            Err(error) => refused(&error),
        },
    );
}

#[test]
fn no_changed_bit_keeps_the_sender() {
    let chain = ChainSpec::from_genesis(&genesis_from_json(CHAIN.0.as_bytes()).unwrap()).unwrap();
    let forks = chain.at_block(1, 12, true);
    let verifier = Verifier::cpu();
    let (mut bits, mut undecodable, mut refused, mut another) = (0, 0, 0, 0);
    for (ty, transactions) in &*TRANSACTIONS {
        let before = another;
        for transaction in transactions {
            let bytes = transaction.encoded_2718();
            let whole = verify_transactions(&verifier, &forks, vec![decode_transaction(&bytes)]).unwrap();
            let (sender, hash) = (whole.transactions[0].sender(), whole.transactions[0].hash());
            let flipped = (0..8 * bytes.len()).map(|bit| {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                decode_transaction(&bytes)
            });
            let flipped: Vec<_> = flipped.collect();
            undecodable += flipped.iter().filter(|decoded| decoded.is_err()).count();
            let batch = verify_transactions(&verifier, &forks, flipped).unwrap();
            assert_eq!(batch.transactions.len() + batch.rejected.len(), 8 * bytes.len());
            for verified in &batch.transactions {
                assert!(verified.sender() != sender && verified.hash() != hash, "{transaction:?}");
            }
            bits += 8 * bytes.len();
            refused += batch.rejected.len();
            another += batch.transactions.len();
        }
        // Most bits are of values that may be any: the signature is over another digest then, and someone else's.
        assert!(another - before > 200, "type {ty}: {}", another - before);
    }
    assert_eq!(refused + another, bits);
    assert_eq!((TRANSACTIONS.len(), bits), (5, 18_720));
    assert!(0 < undecodable && undecodable < refused);
}
