//! A small node's loop: raw transactions go through the pre-execution stage while the batch before them executes.
//!
//! `cargo run --release --example pre_execution_stage`

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;

use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256};
use phalanx::Verifier;
use phalanx::executor::{BlockAttributes, Ledger, SequentialExecutor};
use phalanx::pipeline::{Handle, PreExecutionStage, RawBatch, SubmitError};
use phalanx::workload::{Workload, WorkloadConfig};

/// Seconds between two blocks.
const BLOCK_TIME: u64 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let workload = Workload::new(WorkloadConfig { blocks: 8, transactions_per_block: 500, ..Default::default() })?;
    let mut ledger = Ledger::from_genesis(&workload.genesis())?;
    let stage = PreExecutionStage::spawn(Arc::new(Verifier::cpu()), ledger.chain().clone(), 2)?;
    let mut in_flight = VecDeque::new();
    let mut times_busy = 0;

    for block in workload {
        // What a node has from its peers: bytes, and nothing known of who sent them.
        let mut batch = RawBatch {
            transactions: block.transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect(),
            block_number: block.number,
            timestamp: block.number * BLOCK_TIME,
        };
        // Back-pressure: while the stage is busy, execute what it has ready instead of piling up more.
        loop {
            match stage.try_submit(batch) {
                Ok(handle) => break in_flight.push_back(handle),
                Err(SubmitError::Busy(refused)) => {
                    times_busy += 1;
                    batch = refused;
                    if let Some(oldest) = in_flight.pop_front() {
                        execute(oldest, &mut ledger)?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    for handle in in_flight {
        execute(handle, &mut ledger)?;
    }
    stage.shutdown();
    println!("head: {}; the stage was busy {times_busy} times", ledger.head_id());
    Ok(())
}

/// Waits for a batch and makes a block of its valid transactions.
fn execute(handle: Handle, ledger: &mut Ledger) -> Result<(), Box<dyn Error>> {
    let batch = handle.wait()??;
    for (index, rejection) in &batch.rejected {
        println!("transaction {index} rejected: {rejection}");
    }
    let attributes = BlockAttributes {
        timestamp: ledger.head().timestamp + BLOCK_TIME,
        beneficiary: Address::ZERO,
        prev_randao: B256::ZERO,
        parent_beacon_block_root: B256::ZERO,
        withdrawals: Vec::new(),
    };
    let block = ledger.build_verified(&SequentialExecutor, attributes, batch.transactions)?;
    println!("{}: {} transactions, {} gas", block.id(), block.transactions.len(), block.header.gas_used);
    Ok(())
}
