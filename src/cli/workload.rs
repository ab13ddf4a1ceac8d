//! The workload that `run` makes for itself and `generate` writes.

use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes};
use clap::Args;

use super::Failure;
use crate::executor::{AccessListBuilder, BlockAccessList, Executor, SequentialExecutor};
use crate::report::count;
use crate::verifier::Verifier;
use crate::workload::{Mix, WorkloadChain, WorkloadConfig};

/// What is generated: the same arguments give the same bytes.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Generated workload")]
pub(super) struct WorkloadArgs {
    /// Blocks to generate
    #[arg(long, value_name = "N", default_value_t = WorkloadConfig::default().blocks)]
    blocks: u64,
    /// Transactions in each block
    #[arg(long, value_name = "N", default_value_t = WorkloadConfig::default().transactions_per_block)]
    transactions: usize,
    /// Accounts that send
    #[arg(long, value_name = "N", default_value_t = WorkloadConfig::default().accounts)]
    accounts: usize,
    /// Percent of plain transfers, ERC-20 transfers and AMM swaps
    #[arg(long, value_name = "A/B/C", default_value_t = WorkloadConfig::default().mix)]
    mix: Mix,
    /// Market makers that swaps are spread over
    #[arg(long, value_name = "N", default_value_t = WorkloadConfig::default().pools)]
    pools: usize,
    /// What everything random is drawn from
    #[arg(long, value_name = "N", default_value_t = WorkloadConfig::default().seed)]
    seed: u64,
}

impl Default for WorkloadArgs {
    fn default() -> Self {
        let WorkloadConfig { seed, blocks, transactions_per_block, accounts, mix, pools } = WorkloadConfig::default();
        Self { blocks, transactions: transactions_per_block, accounts, mix, pools, seed }
    }
}

impl WorkloadArgs {
    /// Every argument, for whoever takes none of them.
    pub(super) const NAMES: [&str; 6] = ["blocks", "transactions", "accounts", "mix", "pools", "seed"];

    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// How many transactions it has.
    pub(super) fn size(&self) -> u64 {
        self.blocks.saturating_mul(self.transactions as u64)
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "generated workload: {} blocks of {} transactions, {} accounts, {} % transfers/ERC-20/swaps, seed {}",
            count(self.blocks),
            count(self.transactions as u64),
            count(self.accounts as u64),
            self.mix,
            self.seed
        )
    }

    pub(super) fn generate(&self) -> Result<Generated, Failure> {
        let chain = WorkloadChain::new(WorkloadConfig {
            seed: self.seed,
            blocks: self.blocks,
            transactions_per_block: self.transactions,
            accounts: self.accounts,
            mix: self.mix,
            pools: self.pools,
        })
        .map_err(Failure::not_checked)?;
        Ok(Generated { chain })
    }
}

/// A generated block, sealed.
pub(super) struct GeneratedBlock {
    pub(super) number: u64,
    pub(super) rlp: Bytes,
    /// Who sent each transaction.
    pub(super) senders: Vec<Address>,
    /// Its hash and its access list, if that was asked for.
    pub(super) access_list: Option<(B256, BlockAccessList)>,
}

/// A workload being made into a chain.
pub(super) struct Generated {
    chain: WorkloadChain,
}

impl Generated {
    pub(super) fn genesis(&self) -> &Genesis {
        self.chain.genesis()
    }

    /// The next block, `None` after the last. With `lists` its access list is built, and given as well.
    pub(super) fn next_block(&mut self, verifier: &Verifier, lists: bool) -> Result<Option<GeneratedBlock>, Failure> {
        let builder = AccessListBuilder::default();
        let executor: &dyn Executor = if lists { &builder } else { &SequentialExecutor };
        let Some(block) = self.chain.next_block_on(verifier, executor).transpose().map_err(Failure::not_checked)?
        else {
            return Ok(None);
        };
        let senders = self.chain.senders().to_vec();
        let access_list = builder.take().map(|list| (block.hash, list));
        let number = block.header.number;
        Ok(block.encode().map(|rlp| GeneratedBlock { number, rlp: rlp.into(), senders, access_list }))
    }
}
