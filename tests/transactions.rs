//! The `TransactionTests` of ethereum/tests: for every fork, the sender and hash of a raw transaction, or its rejection.
#![cfg(feature = "ethereum")]

mod common;

use std::path::{Path, PathBuf};

use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::{Address, B256, Bytes};
use common::ethereum::recover_item;
use common::{oracle, paths, test_data};
use phalanx::chain::ethereum::{ChainSpec, Rejection, decode_transaction, verify_transactions};
use phalanx::scheme::ecdsa::{RecoverItem, Signer};
use phalanx::{Rules, Verifier};
use serde_json::Value;

fn fork(name: &str) -> Fork {
    match name {
        "Frontier" => Fork::Frontier,
        "Homestead" => Fork::Homestead,
        "EIP150" => Fork::Tangerine,
        "EIP158" => Fork::SpuriousDragon,
        "Byzantium" => Fork::Byzantium,
        "Constantinople" => Fork::Constantinople,
        "ConstantinopleFix" => Fork::Petersburg,
        "Istanbul" => Fork::Istanbul,
        "Berlin" => Fork::Berlin,
        "London" => Fork::London,
        "Paris" => Fork::Paris,
        "Shanghai" => Fork::Shanghai,
        "Cancun" => Fork::Cancun,
        other => panic!("unknown fork {other}"),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn every_fork_result() {
    let Some(folder) = test_data("ethereum-tests/TransactionTests") else { return };
    for (backend, verifier) in common::backends() {
        every_fork_result_by(verifier, backend, &folder);
    }
    paths::recover("TransactionTests", &recoveries(&folder));
}

/// The signature of every transaction that decodes, under the rules of each fork, with libsecp256k1's verdict.
fn recoveries(folder: &Path) -> Vec<paths::Case<RecoverItem, Signer>> {
    let mut recoveries = Vec::new();
    for path in files(folder) {
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in file.as_object().unwrap().values() {
            let bytes: Bytes = case["txbytes"].as_str().unwrap().parse().unwrap();
            let Ok(transaction) = decode_transaction(&bytes) else { continue };
            for rules in [Rules::EthFrontier, Rules::EthHomestead, Rules::EthTyped] {
                let item = recover_item(&transaction, rules);
                recoveries.push((Ok(item), oracle::recover(&item).into()));
            }
        }
    }
    recoveries
}

fn every_fork_result_by(verifier: &Verifier, backend: &str, folder: &Path) {
    let (mut cases, mut accepted, mut rejected) = (0, 0, 0);
    let mut wrong = Vec::new();
    for path in files(folder) {
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for (name, case) in file.as_object().unwrap() {
            cases += 1;
            let text = case["txbytes"].as_str().unwrap();
            let bytes: Bytes = text.parse().unwrap();
            for (fork_name, expected) in case["result"].as_object().unwrap() {
                let chain = ChainSpec::mainnet().frozen_at(fork(fork_name));
                let forks = chain.at_block(0, 0, fork(fork_name) >= Fork::Paris);
                assert_eq!(forks.newest(), fork(fork_name));
                let batch = verify_transactions(verifier, &forks, vec![decode_transaction(&bytes)]).unwrap();
                assert_eq!(batch.transactions.len() + batch.rejected.len(), 1);
                let found = match (batch.transactions.first(), batch.rejected.first()) {
                    (Some(verified), _) => Some((verified.sender(), verified.hash())),
                    // Valid as these tests see it, who look at no balance.
                    (_, Some((_, Rejection::Unaffordable { hash, sender }))) => Some((*sender, *hash)),
                    _ => None,
                };
                let expected = expected.get("sender").map(|sender| {
                    let sender: Address = sender.as_str().unwrap().parse().unwrap();
                    let hash: B256 = expected["hash"].as_str().unwrap().parse().unwrap();
                    (sender, hash)
                });
                accepted += usize::from(expected.is_some());
                rejected += usize::from(expected.is_none());
                if found != expected {
                    wrong.push(format!("{name}, {fork_name}: {found:?}, {:?}", batch.rejected.first()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{backend}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(cases, 105);
    assert_eq!((accepted, rejected), (300, 1033));
}
