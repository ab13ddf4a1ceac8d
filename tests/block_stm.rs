//! Executing in parallel has the result of executing in order: receipts, gas, logs, requests and every change of the state.
#![cfg(feature = "executor")]

mod common;

use std::fs::File;
use std::io::BufReader;

use common::mainnet::{WithState, with_states};
use common::test_data;
use phalanx::Verifier;
use phalanx::chain::ethereum::{Block, BlockStream, ChainSpec, genesis_from_json, verify_block};
use phalanx::executor::{BlockStmExecutor, Executor, Ledger, SequentialExecutor};

const THREADS: [usize; 5] = [1, 2, 4, 8, 16];

/// How often each block is executed on each number of threads: interleavings vary.
fn repetitions() -> usize {
    std::env::var("PHALANX_REPETITIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

fn executors() -> Vec<BlockStmExecutor> {
    THREADS.map(|threads| BlockStmExecutor::new(threads).unwrap()).into()
}

#[test]
fn mainnet_blocks_come_out_as_in_sequence() {
    let Some(blocks) = with_states() else { return };
    let chain = ChainSpec::mainnet();
    let executors = executors();
    for WithState { name, block, state } in blocks {
        let expected = SequentialExecutor.execute(&chain, &block, &state).unwrap();
        for executor in &executors {
            for repetition in 0..repetitions() {
                let outcome = executor.execute(&chain, &block, &state);
                let at = format!("{name}, {} threads, repetition {repetition}", executor.threads());
                assert_eq!(outcome.as_ref().map(|outcome| &outcome.delta), Ok(&expected.delta), "{at}");
                assert!(outcome.as_ref() == Ok(&expected), "{at}: receipts, gas or requests differ");
            }
        }
    }
}

#[test]
fn a_chain_of_every_fork_comes_out_as_in_sequence() {
    let Some(folder) = test_data("ethereum-chain") else { return };
    let genesis = genesis_from_json(&std::fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let mut ledger = Ledger::from_genesis(&genesis).unwrap();
    let executors = executors();
    let verifier = Verifier::cpu();
    for bytes in BlockStream::new(BufReader::new(File::open(folder.join("chain.rlp")).unwrap())) {
        let block = Block::decode(&bytes.unwrap()).unwrap();
        let block = verify_block(&verifier, ledger.chain(), block).unwrap().unwrap();
        let expected = SequentialExecutor.execute(ledger.chain(), &block, ledger.state()).unwrap();
        for executor in &executors {
            for _ in 0..repetitions() {
                let outcome = executor.execute(ledger.chain(), &block, ledger.state());
                assert_eq!(outcome.as_ref(), Ok(&expected), "block {}", block.id());
            }
        }
        // Importing compares every root.
        ledger.import(&executors[1], &block).unwrap();
    }
    assert_eq!(ledger.head().number, 54);
}
