//! A whole chain, every type of transaction and every fork to BPO2, from its genesis to its head.
#![cfg(feature = "executor")]

mod common;

use std::fs::File;
use std::io::BufReader;

use common::test_data;
use phalanx::Verifier;
use phalanx::chain::ethereum::{Block, BlockStream, genesis_from_json, verify_block};
use phalanx::executor::{Ledger, SequentialExecutor};

#[test]
fn every_root_from_genesis_to_head() {
    let Some(folder) = test_data("ethereum-chain") else { return };
    let genesis = genesis_from_json(&std::fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let mut ledger = Ledger::from_genesis(&genesis).unwrap();
    let verifier = Verifier::cpu();
    let (mut blocks, mut transactions, mut roots_before_byzantium) = (0, 0, 0);
    for bytes in BlockStream::new(BufReader::new(File::open(folder.join("chain.rlp")).unwrap())) {
        let bytes = bytes.unwrap();
        let block = Block::decode(&bytes).unwrap();
        assert_eq!(block.encode().unwrap(), bytes);
        let number = block.header.number;
        let verified = verify_block(&verifier, ledger.chain(), block).unwrap().unwrap_or_else(|problems| {
            panic!("block {number}: {}", problems[0]);
        });
        // Importing compares gasUsed, logsBloom, receiptsRoot, requestsHash and stateRoot.
        let imported = ledger.import(&SequentialExecutor, &verified).unwrap_or_else(|error| {
            panic!("block {number}: {error}");
        });
        assert!(imported.outcome.receipts_have_roots);
        let post_state =
            |receipt: &alloy_consensus::ReceiptEnvelope| receipt.as_receipt().unwrap().status.is_post_state();
        roots_before_byzantium += imported.outcome.receipts.iter().filter(|receipt| post_state(receipt)).count();
        blocks += 1;
        transactions += verified.transactions().len();
    }
    assert_eq!((blocks, transactions, ledger.head().number), (54, 249, 54));
    assert!(roots_before_byzantium > 0);
}
