//! What the benches share: generated blocks, the same for every bench.
#![allow(dead_code, reason = "each bench uses its own part")]

pub(crate) mod affinity;
pub(crate) mod turns;

use alloy_primitives::Bytes;
use phalanx::Verifier;
use phalanx::chain::ethereum::{Block, VerifiedBlock, verify_block};
use phalanx::executor::Ledger;
use phalanx::workload::{Mix, WorkloadChain, WorkloadConfig};

/// Transactions in a block.
pub(crate) const TRANSACTIONS: usize = 1_000;

/// A generated chain: its ledger at the genesis, and its blocks.
pub(crate) struct Chain {
    pub(crate) genesis: Ledger,
    pub(crate) blocks: Vec<Block>,
}

/// Generates `blocks` blocks of a mix.
pub(crate) fn chain(blocks: u64, mix: Mix) -> Chain {
    chain_with_pools(blocks, mix, 1)
}

/// Generates `blocks` blocks of a mix whose swaps are spread over `pools` market makers.
pub(crate) fn chain_with_pools(blocks: u64, mix: Mix, pools: usize) -> Chain {
    let config =
        WorkloadConfig { blocks, transactions_per_block: TRANSACTIONS, mix, pools, ..WorkloadConfig::default() };
    let mut chain = WorkloadChain::new(config).expect("the configuration is within its limits");
    let genesis = Ledger::from_genesis(chain.genesis()).expect("the genesis schedules known forks");
    let verifier = Verifier::cpu();
    let blocks = std::iter::from_fn(|| chain.next_block(&verifier));
    Chain { genesis, blocks: blocks.map(|block| block.expect("the workload is valid")).collect() }
}

/// A block's RLP.
pub(crate) fn encoded(block: &Block) -> Bytes {
    block.encode().expect("a generated block has no ommers").into()
}

/// A generated block, verified.
pub(crate) fn verified(chain: &Chain, block: &Block) -> VerifiedBlock {
    let verdict = verify_block(&Verifier::cpu(), chain.genesis.chain(), block.clone());
    verdict.expect("the check can be made").expect("the block is valid")
}
