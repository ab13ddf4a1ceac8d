//! Real mainnet blocks, Frontier to Cancun: every hash, sender and root; and every block with a pre-state executed.
#![cfg(feature = "executor")]

mod common;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use alloy_hardforks::EthereumHardfork;
use common::test_data;
use flate2::read::GzDecoder;
use phalanx::chain::ethereum::{
    Block, ChainSpec, Claim, Problem, Rejection, VerifiedBlock, block_from_json, verify_block,
};
use phalanx::executor::{Executor, PreState, SequentialExecutor, check_outcome};
use phalanx::{Reason, Verifier};

fn unzip(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut text).unwrap();
    text
}

fn blocks(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".block.json.gz"))
        .collect();
    paths.sort();
    paths
}

fn verified(block: Block, name: &str) -> VerifiedBlock {
    let claims = block.claims.len();
    // The block's own hash, and a hash and a sender for each transaction: all of them were compared.
    assert_eq!(claims, 1 + 2 * block.transactions.len(), "{name}");
    assert!(matches!(block.claims[0], Claim::BlockHash(_)), "{name}");
    verify_block(&Verifier::cpu(), &ChainSpec::mainnet(), block).unwrap().unwrap_or_else(|problems| {
        panic!("{name}: {}", problems[0]);
    })
}

#[test]
fn every_hash_sender_and_root_of_every_block() {
    let mut transactions = 0;
    let mut seen = 0;
    for (sub, expected) in [("ethereum-mainnet/full", 32), ("ethereum-mainnet/signatures", 15)] {
        let Some(folder) = test_data(sub) else { return };
        let paths = blocks(&folder);
        assert_eq!(paths.len(), expected);
        for path in paths {
            let block = block_from_json(&unzip(&path)).unwrap();
            transactions += verified(block, &path.display().to_string()).transactions().len();
            seen += 1;
        }
    }
    assert_eq!((seen, transactions), (47, 14_205));
}

#[test]
fn every_block_with_a_pre_state_executes_to_its_header() {
    let Some(root) = test_data("ethereum-mainnet") else { return };
    let codes = unzip(&root.join("bytecodes.json.gz"));
    let block_hashes = unzip(&root.join("block_hashes.json.gz"));
    let chain = ChainSpec::mainnet();
    let mut receipts_roots = 0;
    let paths = blocks(&root.join("full"));
    for path in &paths {
        let name = path.display().to_string();
        let block = verified(block_from_json(&unzip(path)).unwrap(), &name);
        let mut state = PreState::from_json(&unzip(Path::new(&name.replace(".block.", ".prestate.")))).unwrap();
        state.add_codes_from_json(&codes).unwrap();
        state.add_block_hashes_from_json(&block_hashes, block.header().number).unwrap();
        let outcome = SequentialExecutor.execute(&chain, &block, &state).unwrap_or_else(|error| {
            panic!("{name}: {error}");
        });
        let mismatches = check_outcome(block.header(), &outcome, None);
        assert!(mismatches.is_empty(), "{name}: {}", mismatches[0]);
        let byzantium = chain.at(block.header()).has(EthereumHardfork::Byzantium);
        assert_eq!(outcome.receipts_root().is_some(), byzantium, "{name}");
        receipts_roots += usize::from(byzantium);
    }
    assert_eq!((paths.len(), receipts_roots), (32, 24));
}

#[test]
fn a_frontier_block_with_high_s_is_invalid_as_homestead() {
    let Some(folder) = test_data("ethereum-mainnet/full") else { return };
    let block = block_from_json(&unzip(&folder.join("116525.block.json.gz"))).unwrap();
    let homestead = ChainSpec::mainnet().frozen_at(EthereumHardfork::Homestead);
    let problems = verify_block(&Verifier::cpu(), &homestead, block).unwrap().unwrap_err();
    assert_eq!(problems.len(), 4);
    for problem in problems {
        let high_s = Rejection::Signature(Reason::HighS);
        assert!(matches!(&problem, Problem::Transaction { rejection, .. } if *rejection == high_s), "{problem}");
    }
}
