//! Random blocks, made to conflict, come out the same from every executor.
//!
//! `PHALANX_RANDOM_BLOCKS` says how many blocks; 5,000 where it does not.
#![cfg(feature = "executor")]

mod common;

use std::sync::Mutex;

use common::random_blocks::{Era, RandomBlocks};
use phalanx::Verifier;
use phalanx::chain::ethereum::{ChainSpec, VerifiedBlock};
use phalanx::executor::{
    AccessListBuilder, AccessListExecutor, BlockStmExecutor, ExecutionError, Executor, Outcome, ReadState,
    SequentialExecutor, ShardedExecutor,
};

fn wanted() -> u64 {
    std::env::var("PHALANX_RANDOM_BLOCKS").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000)
}

/// What kind of results were compared: a test that only sees failures tests little.
#[derive(Debug, Default)]
struct Seen {
    blocks: u64,
    invalid: u64,
    transactions: u64,
    failed_transactions: u64,
    removed: u64,
    cleared: u64,
    codes: u64,
    logs: u64,
}

/// Executes in sequence and by every other executor, and compares.
struct Every {
    others: Vec<Box<dyn Executor>>,
    along: Option<AccessListExecutor>,
    seen: Mutex<Seen>,
}

impl Executor for Every {
    fn name(&self) -> &'static str {
        "every"
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        let expected = SequentialExecutor.execute(chain, block, state);
        for other in &self.others {
            let outcome = other.execute(chain, block, state);
            if let (Ok(outcome), Ok(expected)) = (&outcome, &expected) {
                assert_eq!(outcome.delta, expected.delta, "{}, block {}", other.name(), block.id());
            }
            assert_eq!(outcome, expected, "{}, block {}", other.name(), block.id());
        }
        if let (Some(along), Ok(_)) = (&self.along, &expected) {
            let builder = AccessListBuilder::default();
            builder.execute(chain, block, state).unwrap();
            let list = builder.take().unwrap();
            assert_eq!(along.execute_along(chain, block, state, &list), expected, "access list, block {}", block.id());
        }
        let mut seen = self.seen.lock().unwrap();
        seen.blocks += 1;
        match &expected {
            Err(_) => seen.invalid += 1,
            Ok(outcome) => {
                seen.transactions += outcome.receipts.len() as u64;
                seen.failed_transactions += outcome.receipts.iter().filter(|receipt| !receipt.status()).count() as u64;
                seen.logs += outcome.receipts.iter().map(|receipt| receipt.logs().len() as u64).sum::<u64>();
                let accounts = outcome.delta.accounts.values();
                seen.removed += accounts.clone().filter(|account| account.account.is_none()).count() as u64;
                seen.cleared += accounts.filter(|account| account.storage_cleared).count() as u64;
                seen.codes += outcome.delta.codes.len() as u64;
            }
        }
        expected
    }
}

fn compare(era: Era, blocks: u64) -> Seen {
    let others: Vec<Box<dyn Executor>> = vec![
        Box::new(BlockStmExecutor::new(1).unwrap().always_speculating()),
        Box::new(BlockStmExecutor::new(2).unwrap().always_speculating()),
        Box::new(BlockStmExecutor::new(4).unwrap().always_speculating()),
        Box::new(ShardedExecutor::new(2, 3).unwrap()),
    ];
    // Before Cancun there are no access lists.
    let along = matches!(era, Era::Osaka).then(|| AccessListExecutor::new(2).unwrap());
    let every = Every { others, along, seen: Mutex::default() };
    let verifier = Verifier::cpu();
    let mut left = blocks;
    let mut seed = 0;
    while left > 0 {
        seed += 1;
        let mut random = RandomBlocks::new(seed, era);
        let mut ledger = random.ledger();
        // A chain's states wander; a new one starts anew.
        for _ in 0..left.min(50) {
            left -= 1;
            let attributes = random.attributes(&ledger);
            let transactions = random.transactions(&ledger);
            // The error, if one transaction is invalid, was compared like anything else.
            let _ = ledger.build(&verifier, &every, attributes, transactions);
        }
    }
    for other in &every.others {
        let statistics = other.statistics();
        assert!(statistics.parallel_blocks > blocks * 4 / 5, "{}: {statistics:?}", other.name());
    }
    every.seen.into_inner().unwrap()
}

#[test]
fn blocks_in_which_anything_is_destroyed() {
    let seen = compare(Era::Shanghai, wanted() / 2);
    eprintln!("{seen:?}");
    assert!(seen.blocks > wanted() / 3 && seen.invalid > 0 && seen.failed_transactions > 0, "{seen:?}");
    assert!(seen.removed > 0 && seen.cleared > 0 && seen.codes > 0 && seen.logs > 0, "{seen:?}");
}

#[test]
fn blocks_in_which_accounts_delegate() {
    let seen = compare(Era::Osaka, wanted() / 2);
    eprintln!("{seen:?}");
    assert!(seen.blocks > wanted() / 3 && seen.invalid > 0 && seen.failed_transactions > 0, "{seen:?}");
    assert!(seen.codes > 0 && seen.logs > 0, "{seen:?}");
}
