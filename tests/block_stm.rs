//! Executing in parallel has the result of executing in order: receipts, gas, logs, requests and every change of the state.
#![cfg(feature = "executor")]

mod common;

use std::fs::File;
use std::io::BufReader;

use alloy_hardforks::EthereumHardfork;
use common::mainnet::{WithState, with_states};
use common::test_data;
use phalanx::Verifier;
use phalanx::chain::ethereum::{Block, BlockStream, ChainSpec, genesis_from_json, verify_block};
use phalanx::executor::{
    AccessListBuilder, AccessListExecutor, BlockStmExecutor, Executor, Ledger, SequentialExecutor, ShardedExecutor,
};

const THREADS: [usize; 5] = [1, 2, 4, 8, 16];

/// How often each block is executed on each number of threads: interleavings vary.
fn repetitions() -> usize {
    std::env::var("PHALANX_REPETITIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

fn executors() -> Vec<BlockStmExecutor> {
    THREADS.map(|threads| BlockStmExecutor::new(threads).unwrap().always_speculating()).into()
}

#[test]
fn mainnet_blocks_come_out_as_in_sequence() {
    let Some(blocks) = with_states() else { return };
    let chain = ChainSpec::mainnet();
    let executors = executors();
    let along = AccessListExecutor::new(2).unwrap();
    let mut with_lists = 0;
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
        for executor in [ShardedExecutor::new(2, 1).unwrap(), ShardedExecutor::new(2, 5).unwrap()] {
            assert!(
                executor.execute(&chain, &block, &state) == Ok(expected.clone()),
                "{name}, {} shards",
                executor.shards()
            );
        }
        if chain.at(block.header()).has(EthereumHardfork::Cancun) {
            let builder = AccessListBuilder::default();
            assert!(builder.execute(&chain, &block, &state) == Ok(expected.clone()), "{name}");
            let list = builder.take().unwrap();
            assert!(along.execute_along(&chain, &block, &state, &list) == Ok(expected), "{name}, along its list");
            with_lists += 1;
        }
    }
    assert!(with_lists > 0);
    for executor in &executors {
        let statistics = executor.statistics();
        assert_eq!(statistics.parallel_blocks, 24 * repetitions() as u64);
        // The others are from before Byzantium; none was given up.
        assert_eq!(statistics.sequential_blocks.len(), 1, "{statistics:?}");
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
