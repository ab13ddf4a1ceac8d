//! No header field can be changed: whatever is stated otherwise is refused, by its name.
#![cfg(feature = "executor")]

mod common;

use std::fs::File;
use std::io::{BufReader, Read};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use common::test_data;
use flate2::read::GzDecoder;
use phalanx::Verifier;
use phalanx::chain::ethereum::{
    Block, BlockStream, ChainSpec, Ommers, SpecError, block_from_json, genesis_from_json, header, verify_block,
};
use phalanx::executor::{Ledger, LedgerError, SequentialExecutor};
use serde_json::{Value, json};

/// A change of one field, and the fields that a refusal may name.
type Change = (&'static str, fn(&mut Header), &'static [&'static str]);

const CHANGES: [Change; 21] = [
    ("parentHash", |header| header.parent_hash = B256::repeat_byte(1), &["parentHash"]),
    ("sha3Uncles", |header| header.ommers_hash = B256::repeat_byte(1), &["sha3Uncles"]),
    ("stateRoot", |header| header.state_root = B256::repeat_byte(1), &["stateRoot"]),
    ("transactionsRoot", |header| header.transactions_root = B256::repeat_byte(1), &["transactionsRoot"]),
    ("receiptsRoot", |header| header.receipts_root = B256::repeat_byte(1), &["receiptsRoot"]),
    ("logsBloom", |header| header.logs_bloom.0[7] ^= 1, &["logsBloom"]),
    ("difficulty up", |header| header.difficulty += U256::ONE, &["difficulty"]),
    ("difficulty zero", |header| header.difficulty = U256::ZERO, &["difficulty", "nonce", "sha3Uncles"]),
    ("number", |header| header.number += 1, &["number", "baseFeePerGas"]),
    ("gasLimit", |header| header.gas_limit *= 2, &["gasLimit"]),
    ("gasLimit largest", |header| header.gas_limit = u64::MAX, &["gasLimit"]),
    ("gasUsed", |header| header.gas_used += 1, &["gasUsed"]),
    ("timestamp", |header| header.timestamp = 1, &["timestamp", "difficulty", "withdrawalsRoot"]),
    ("extraData", |header| header.extra_data = Bytes::from(vec![0; 33]), &["extraData"]),
    ("nonce", |header| header.nonce = [1; 8].into(), &["nonce"]),
    (
        "baseFeePerGas",
        |header| header.base_fee_per_gas = header.base_fee_per_gas.map_or(Some(7), |fee| Some(fee + 1)),
        &["baseFeePerGas"],
    ),
    ("withdrawalsRoot", |header| header.withdrawals_root = Some(B256::repeat_byte(1)), &["withdrawalsRoot"]),
    (
        "blobGasUsed",
        |header| header.blob_gas_used = Some(header.blob_gas_used.unwrap_or(0) + 131_072),
        &["blobGasUsed"],
    ),
    (
        "excessBlobGas",
        |header| header.excess_blob_gas = Some(header.excess_blob_gas.unwrap_or(0) + 1),
        &["excessBlobGas"],
    ),
    (
        "parentBeaconBlockRoot",
        |header| header.parent_beacon_block_root = Some(B256::repeat_byte(1)),
        &[
            "parentBeaconBlockRoot",
            // Where it is due, it is only seen in the state that it leads to.
            "stateRoot",
        ],
    ),
    ("requestsHash", |header| header.requests_hash = Some(B256::repeat_byte(1)), &["requestsHash"]),
];

/// What refuses a block after the ledger's head; nothing if it is imported.
fn refusal(ledger: &mut Ledger, block: Block) -> Vec<String> {
    match verify_block(&Verifier::cpu(), ledger.chain(), block).unwrap() {
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
        Ok(verified) => match ledger.import(&SequentialExecutor, &verified) {
            Err(LedgerError::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
            Err(other) => vec![other.to_string()],
            Ok(_) => Vec::new(),
        },
    }
}

#[test]
fn every_field_of_every_header_is_checked() {
    let Some(folder) = test_data("ethereum-chain") else { return };
    let genesis = genesis_from_json(&std::fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let mut ledger = Ledger::from_genesis(&genesis).unwrap();
    let (mut refused, mut blocks) = (0, 0);
    for bytes in BlockStream::new(BufReader::new(File::open(folder.join("chain.rlp")).unwrap())) {
        let block = Block::decode(&bytes.unwrap()).unwrap();
        for (name, change, fields) in CHANGES {
            // Before the merge the nonce is part of the seal, which is not checked here.
            if name == "nonce" && !block.header.difficulty.is_zero() {
                continue;
            }
            let mut changed = block.clone();
            change(&mut changed.header);
            if changed.header == block.header {
                continue;
            }
            changed.hash = changed.header.hash_slow();
            let number = block.header.number;
            let before = ledger.head_id();
            let problems = refusal(&mut ledger, changed);
            let named = |problem: &String| fields.iter().any(|field| problem.starts_with(&format!("{field}: ")));
            assert!(problems.iter().any(named), "block {number}, {name}: {problems:?}");
            assert_eq!(ledger.head_id(), before);
            refused += 1;
        }
        // What was refused left nothing behind: the true block still gives its state root.
        assert_eq!(refusal(&mut ledger, block), [""; 0]);
        blocks += 1;
    }
    assert_eq!(blocks, 54);
    assert!(refused > 54 * 18, "{refused}");
}

#[test]
fn ommers_must_belong_to_the_chain() {
    let Some(folder) = test_data("ethereum-chain") else { return };
    let genesis = genesis_from_json(&std::fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let mut ledger = Ledger::from_genesis(&genesis).unwrap();
    let blocks: Vec<_> = BlockStream::new(BufReader::new(File::open(folder.join("chain.rlp")).unwrap()))
        .take(5)
        .map(|bytes| Block::decode(&bytes.unwrap()).unwrap())
        .collect();
    for block in &blocks[..4] {
        assert_eq!(refusal(&mut ledger, block.clone()), [""; 0]);
    }
    // A sibling of block 3, which a child of block 4 may include.
    let mut sibling = blocks[2].header.clone();
    sibling.beneficiary.0[0] ^= 1;
    let mut unrelated = sibling.clone();
    unrelated.parent_hash = B256::repeat_byte(9);
    let mut wrong = sibling.clone();
    wrong.difficulty += U256::ONE;
    let mut brother = blocks[3].header.clone();
    brother.parent_hash = blocks[3].hash;
    brother.number = 5;
    let cases = [
        (vec![sibling.clone(), sibling.clone()], "uncles[1]: included before"),
        (vec![blocks[2].header.clone()], "uncles[0]: an ancestor of the block"),
        (vec![unrelated], "uncles[0]: its parent is none of"),
        (vec![brother], "uncles[0]: its parent is none of"),
        (vec![wrong], "uncles[0]: difficulty: "),
        (vec![sibling.clone(); 3], "uncles: more than two"),
        // A right one is rewarded, and so changes the state that the header knows of.
        (vec![sibling], "stateRoot: "),
    ];
    for (ommers, expected) in cases {
        let mut block = blocks[4].clone();
        block.header.ommers_hash = alloy_primitives::keccak256(alloy_rlp::encode(&ommers));
        block.ommers = Ommers::Headers(ommers);
        block.hash = block.header.hash_slow();
        let problems = refusal(&mut ledger, block);
        assert!(problems[0].starts_with(expected), "{expected}: {problems:?}");
    }
}

#[test]
fn mainnet_blocks_follow_their_parents() {
    let Some(folder) = test_data("ethereum-mainnet") else { return };
    let read = |name: &str| {
        let mut text = Vec::new();
        GzDecoder::new(File::open(folder.join(name)).unwrap()).read_to_end(&mut text).unwrap();
        block_from_json(&text).unwrap()
    };
    let chain = ChainSpec::mainnet();
    // London's first block, the last difficulty bombs and the first base fee; and Cancun's first block.
    for (parent, child) in [
        ("signatures/12964999.block.json.gz", "signatures/12965000.block.json.gz"),
        ("signatures/19426586.block.json.gz", "full/19426587.block.json.gz"),
    ] {
        let (parent, child) = (read(parent), read(child));
        header::check_succession(&child.header, &parent.header, parent.hash, &chain.at(&child.header)).unwrap();
    }
}

#[test]
fn a_genesis_cannot_skip_or_reorder_forks() {
    let Some(folder) = test_data("ethereum-chain") else { return };
    let text: Value = serde_json::from_slice(&std::fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let spec = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut text = text.clone();
        change(text["config"].as_object_mut().unwrap());
        ChainSpec::from_genesis(&genesis_from_json(&serde_json::to_vec(&text).unwrap()).unwrap()).map(drop)
    };
    assert_eq!(spec(&|_| {}), Ok(()));
    for field in
        ["homesteadBlock", "byzantiumBlock", "berlinBlock", "londonBlock", "shanghaiTime", "pragueTime", "osakaTime"]
    {
        let refused = spec(&|config| drop(config.remove(field)));
        assert!(
            matches!(refused, Err(SpecError::ForkMissing { missing, .. }) if missing == field),
            "{field}: {refused:?}"
        );
    }
    for field in ["muirGlacierBlock", "arrowGlacierBlock", "grayGlacierBlock", "bpo1Time"] {
        assert_eq!(spec(&|config| drop(config.remove(field))), Ok(()), "{field}");
    }
    let set =
        |field: &'static str, value: Value| spec(&move |config| drop(config.insert(field.to_owned(), value.clone())));
    assert!(matches!(set("berlinBlock", json!(2)), Err(SpecError::ForkOrder { field: "berlinBlock", .. })));
    assert!(matches!(set("cancunTime", json!(1)), Err(SpecError::ForkOrder { field: "cancunTime", .. })));
    assert_eq!(set("eip155Block", json!(5)), Err(SpecError::SplitSpuriousDragon));
    assert!(matches!(set("amsterdamTime", json!(9_999)), Err(SpecError::UnsupportedFork { .. })));
    for params in [
        json!({"target": 3, "max": 0, "baseFeeUpdateFraction": 1}),
        json!({"target": 4, "max": 3, "baseFeeUpdateFraction": 1}),
        json!({"target": 3, "max": 6, "baseFeeUpdateFraction": 0}),
    ] {
        let refused = set("blobSchedule", json!({ "cancun": params }));
        assert!(matches!(refused, Err(SpecError::BlobSchedule { .. })), "{refused:?}");
    }
}
