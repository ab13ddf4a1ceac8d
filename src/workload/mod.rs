//! Deterministic signed workloads: a genesis, and block after block of transactions that all succeed on top of it.
//!
//! The same [`WorkloadConfig`] gives the same bytes on any machine and any number of threads. Blocks are bare lists of
//! transactions; what it takes to seal them, their receipts and roots, is an executor's to find out.
//!
//! What a parallel executor finds in a block: mostly senders of one transaction each and recipients all over the
//! place; a few accounts that send again and again, a few that many pay; a token whose every balance is a slot of its
//! own; a market maker whose two reserves every swap changes; and EIP-7702 authorizations, which use up nonces of
//! accounts that do not send at all.

mod accounts;
pub mod assembler;
mod chain;
pub mod contracts;
mod draw;
mod generator;
mod genesis;
mod mix;
mod plan;
mod sign;

use std::ops::RangeInclusive;

use alloy_consensus::{EthereumTypedTransaction, SignableTransaction};
use alloy_eips::eip7702::SignedAuthorization;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, Signature, U256};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use accounts::{Account, derive_accounts};
use assembler::AssemblyError;
use contracts::Contracts;
use draw::Draw;
use plan::{Planned, PlannedAuthorization, plan_block};
use sign::{Request, sign_all};

use crate::chain::ethereum::Transaction;
use crate::scheme::ecdsa::ORDER;

pub use chain::{WorkloadChain, WorkloadChainError};
pub use mix::{Mix, MixError};

/// The chain id of every workload.
pub const CHAIN_ID: u64 = 1337;

/// How many blocks a workload may have.
pub const BLOCKS: RangeInclusive<u64> = 1..=1_000_000;

/// How many transactions a block may have: as many as surely fit the 8 MiB a block may have (EIP-7934).
pub const TRANSACTIONS_PER_BLOCK: RangeInclusive<usize> = 1..=20_000;

/// How many accounts a workload may have. The genesis of the largest number is a file of about 70 MB.
pub const ACCOUNTS: RangeInclusive<usize> = 8..=131_072;

/// How many market makers a workload may have.
pub const POOLS: RangeInclusive<usize> = 1..=4_096;

/// Transactions a thread signs at a time, sharing two inversions.
const TRANSACTIONS_PER_TASK: usize = 128;

/// What a workload is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadConfig {
    /// What everything is drawn from, keys included.
    pub seed: u64,
    /// How many blocks there are; within [`BLOCKS`].
    pub blocks: u64,
    /// How many transactions each has; within [`TRANSACTIONS_PER_BLOCK`].
    pub transactions_per_block: usize,
    /// How many accounts send them; within [`ACCOUNTS`].
    pub accounts: usize,
    /// What they do.
    pub mix: Mix,
    /// Over how many market makers swaps are spread, each account at one of them; within [`POOLS`]. With one, every swap
    /// changes what the one before it changed.
    pub pools: usize,
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self { seed: 1, blocks: 30, transactions_per_block: 1_000, accounts: 1_000, mix: Mix::default(), pools: 1 }
    }
}

/// Why there is no workload of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// The number of blocks is outside [`BLOCKS`].
    #[error("a workload has {} to {} blocks, not {given}", BLOCKS.start(), BLOCKS.end())]
    Blocks {
        /// How many were asked for.
        given: u64,
    },
    /// The number of transactions is outside [`TRANSACTIONS_PER_BLOCK`].
    #[error(
        "a block has {} to {} transactions, not {given}", TRANSACTIONS_PER_BLOCK.start(), TRANSACTIONS_PER_BLOCK.end()
    )]
    TransactionsPerBlock {
        /// How many were asked for.
        given: usize,
    },
    /// The number of accounts is outside [`ACCOUNTS`].
    #[error("a workload has {} to {} accounts, not {given}", ACCOUNTS.start(), ACCOUNTS.end())]
    Accounts {
        /// How many were asked for.
        given: usize,
    },
    /// The number of market makers is outside [`POOLS`].
    #[error("a workload has {} to {} pools, not {given}", POOLS.start(), POOLS.end())]
    Pools {
        /// How many were asked for.
        given: usize,
    },
    /// The contracts do not assemble, which is a mistake in this crate.
    #[error("a contract of the workload does not assemble")]
    Assembly(#[from] AssemblyError),
}

/// A workload: its genesis, and an iterator over its blocks.
///
/// Only keys and nonces are kept, about 80 bytes an account, however many blocks there are.
#[derive(Debug)]
pub struct Workload {
    config: WorkloadConfig,
    contracts: Contracts,
    accounts: Vec<Account>,
    /// The block that is made next, from 1 on.
    next: u64,
}

/// The transactions of a block.
#[derive(Clone, Debug)]
pub struct WorkloadBlock {
    /// The block's number, from 1 on; the genesis is block 0.
    pub number: u64,
    /// The transactions, in order.
    pub transactions: Vec<Transaction>,
    /// Who signed each of them.
    pub senders: Vec<Address>,
}

impl Workload {
    /// A workload at its first block. Derives the accounts' keys, on the rayon pool it is called from.
    pub fn new(config: WorkloadConfig) -> Result<Self, WorkloadError> {
        if !BLOCKS.contains(&config.blocks) {
            return Err(WorkloadError::Blocks { given: config.blocks });
        }
        if !TRANSACTIONS_PER_BLOCK.contains(&config.transactions_per_block) {
            return Err(WorkloadError::TransactionsPerBlock { given: config.transactions_per_block });
        }
        if !ACCOUNTS.contains(&config.accounts) {
            return Err(WorkloadError::Accounts { given: config.accounts });
        }
        if !POOLS.contains(&config.pools) {
            return Err(WorkloadError::Pools { given: config.pools });
        }
        let contracts = Contracts::assemble()?;
        let accounts = derive_accounts(config.seed, config.accounts);
        Ok(Self { config, contracts, accounts, next: 1 })
    }

    /// What it is made from.
    #[must_use]
    pub fn config(&self) -> &WorkloadConfig {
        &self.config
    }

    /// The accounts that send.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = Address> + Clone {
        self.accounts.iter().map(|account| account.address)
    }

    /// The state before the first block. Serialises to a genesis file in geth's format.
    #[must_use]
    pub fn genesis(&self) -> Genesis {
        genesis::genesis(&self.contracts, self.accounts(), &self.config)
    }
}

/// Blocks in order, signed on the rayon pool that asks for them.
impl Iterator for Workload {
    type Item = WorkloadBlock;

    fn next(&mut self) -> Option<WorkloadBlock> {
        if self.next > self.config.blocks {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let mut draw = Draw::new(self.config.seed, number);
        let planned = plan_block(&self.config, &mut draw, &mut self.accounts);
        let senders = planned.iter().map(|planned| self.accounts[planned.sender].address).collect();
        let accounts = &self.accounts;
        let transactions =
            planned.par_chunks(TRANSACTIONS_PER_TASK).flat_map_iter(|planned| sign(planned, accounts)).collect();
        Some(WorkloadBlock { number, transactions, senders })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.config.blocks + 1 - self.next);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

/// Signs the authorizations, which the transactions contain, and then the transactions.
fn sign(planned: &[Planned], accounts: &[Account]) -> Vec<Transaction> {
    let authorizations = planned.iter().flat_map(|planned| &planned.authorizations);
    let requests: Vec<_> = authorizations
        .clone()
        .map(|given| Request { key: accounts[given.authority].key, digest: given.authorization.signature_hash() })
        .collect();
    let mut signed = authorizations.zip(sign_all(&requests)).map(|(given, signature)| authorize(given, signature));
    let unsigned: Vec<_> = planned
        .iter()
        .map(|planned| {
            let mut transaction = planned.transaction.clone();
            if let EthereumTypedTransaction::Eip7702(transaction) = &mut transaction {
                transaction.authorization_list = signed.by_ref().take(planned.authorizations.len()).collect();
            }
            transaction
        })
        .collect();
    let requests: Vec<_> = planned
        .iter()
        .zip(&unsigned)
        .map(|(planned, transaction)| Request {
            key: accounts[planned.sender].key,
            digest: transaction.signature_hash(),
        })
        .collect();
    unsigned
        .into_iter()
        .zip(sign_all(&requests))
        .map(|(unsigned, signature)| unsigned.into_envelope(signature))
        .collect()
}

fn authorize(given: &PlannedAuthorization, signature: Signature) -> SignedAuthorization {
    let authorization = given.authorization.clone();
    if !given.high_s {
        return authorization.into_signed(signature);
    }
    // (r, n - s) with the other parity is what else recovers to the same key.
    let high_s = U256::from_be_bytes(ORDER) - signature.s();
    SignedAuthorization::new_unchecked(authorization, u8::from(!signature.v()), signature.r(), high_s)
}
