//! Real mainnet blocks, Frontier to Cancun: every hash, sender and root; and every block with a pre-state executed.
#![cfg(feature = "executor")]

mod common;

use alloy_hardforks::EthereumHardfork;
use common::mainnet::{WithState, block_files, unzip, verified_by, with_states};
use common::{backends, ethereum, paths, test_data};
use phalanx::Reason;
use phalanx::chain::ethereum::{ChainSpec, Problem, Rejection, block_from_json, verify_block};
use phalanx::executor::{Executor, SequentialExecutor, check_outcome};

#[test]
fn every_hash_sender_and_root_of_every_block() {
    let backends = backends();
    let mut recoveries = Vec::new();
    let mut seen = 0;
    for (sub, expected) in [("ethereum-mainnet/full", 32), ("ethereum-mainnet/signatures", 15)] {
        let Some(folder) = test_data(sub) else { return };
        let paths = block_files(&folder);
        assert_eq!(paths.len(), expected);
        for path in paths {
            let text = unzip(&path);
            for (backend, verifier) in &backends {
                let block = block_from_json(&text).unwrap();
                let verified = verified_by(verifier, block, &format!("{}, {backend}", path.display()));
                if *backend == backends[0].0 {
                    recoveries.extend(ethereum::recoveries(&verified));
                }
            }
            seen += 1;
        }
    }
    assert_eq!((seen, recoveries.len()), (47, 14_205));
    paths::recover("mainnet", &recoveries);
}

#[test]
fn every_block_with_a_pre_state_executes_to_its_header() {
    let Some(blocks) = with_states() else { return };
    let chain = ChainSpec::mainnet();
    let (mut executed, mut receipts_roots) = (0, 0);
    for WithState { name, block, state } in blocks {
        let outcome = SequentialExecutor.execute(&chain, &block, &state).unwrap_or_else(|error| {
            panic!("{name}: {error}");
        });
        let mismatches = check_outcome(block.header(), &outcome, None);
        assert!(mismatches.is_empty(), "{name}: {}", mismatches[0]);
        let byzantium = chain.at(block.header()).has(EthereumHardfork::Byzantium);
        assert_eq!(outcome.receipts_root().is_some(), byzantium, "{name}");
        executed += 1;
        receipts_roots += usize::from(byzantium);
    }
    assert_eq!((executed, receipts_roots), (32, 24));
}

#[test]
fn a_frontier_block_with_high_s_is_invalid_as_homestead() {
    let Some(folder) = test_data("ethereum-mainnet/full") else { return };
    let block = block_from_json(&unzip(&folder.join("116525.block.json.gz"))).unwrap();
    let homestead = ChainSpec::mainnet().frozen_at(EthereumHardfork::Homestead);
    for (backend, verifier) in backends() {
        let problems = verify_block(verifier, &homestead, block.clone()).unwrap().unwrap_err();
        assert_eq!(problems.len(), 4, "{backend}");
        for problem in problems {
            let high_s = Rejection::Signature(Reason::HighS);
            assert!(matches!(&problem, Problem::Transaction { rejection, .. } if *rejection == high_s), "{problem}");
        }
    }
}
