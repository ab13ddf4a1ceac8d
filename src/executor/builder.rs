//! Building the next block of a chain.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::Encodable2718;
use alloy_eips::eip4895::Withdrawal;
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::{Address, B256, Bytes};

use super::ledger::Ledger;
use super::{ExecutionError, Executor};
use crate::chain::ethereum::header::{self, HeaderError};
use crate::chain::ethereum::{
    Block, Ommers, Rejection, Transaction, VerifiedBlock, VerifiedTransaction, verify_transactions,
};
use crate::error::Error;
use crate::merkle;
use crate::verifier::Verifier;

/// What the builder of a block chooses.
#[derive(Clone, Debug)]
pub struct BlockAttributes {
    /// Seconds since 1970; later than the parent's.
    pub timestamp: u64,
    /// Who gets the tips.
    pub beneficiary: Address,
    /// What PREVRANDAO gives.
    pub prev_randao: B256,
    /// The root of the parent's beacon block (EIP-4788).
    pub parent_beacon_block_root: B256,
    /// The withdrawals.
    pub withdrawals: Vec<Withdrawal>,
}

/// Why a block could not be built. The ledger is where it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A transaction is invalid by itself.
    #[error("transaction {index}: {rejection}")]
    Rejected {
        /// Its place among those handed in.
        index: usize,
        /// Why.
        rejection: Rejection,
    },
    /// No header can follow the head so.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// The transactions do not execute.
    #[error("{0}")]
    Execution(#[from] ExecutionError),
    /// The signatures could not be checked.
    #[error("{0}")]
    NotVerified(#[from] Error),
}

impl Ledger {
    /// Verifies transactions and builds the next block from them, as [`build_verified`](Self::build_verified) does.
    pub fn build(
        &mut self,
        verifier: &Verifier,
        executor: &dyn Executor,
        attributes: BlockAttributes,
        transactions: Vec<Transaction>,
    ) -> Result<Block, BuildError> {
        let number = self.head().number.saturating_add(1);
        let forks = self.chain().at_block(number, attributes.timestamp, true);
        let verified = verify_transactions(verifier, &forks, transactions.into_iter().map(Ok).collect())?;
        match verified.rejected.into_iter().next() {
            Some((index, rejection)) => Err(BuildError::Rejected { index, rejection }),
            None => self.build_verified(executor, attributes, verified.transactions),
        }
    }

    /// Builds the next, proof-of-stake block from verified transactions, executes it to fill in its header, and makes it
    /// the head.
    pub fn build_verified(
        &mut self,
        executor: &dyn Executor,
        attributes: BlockAttributes,
        verified: Vec<VerifiedTransaction>,
    ) -> Result<Block, BuildError> {
        let transactions: Vec<_> = verified.iter().map(|verified| verified.transaction().clone()).collect();
        let envelopes: Vec<Bytes> = transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect();
        let draft = self.draft(&attributes)?;
        let forks = self.chain().at(&draft);
        let withdrawals = forks.has(Fork::Shanghai).then_some(attributes.withdrawals);
        let (cancun, prague) = (forks.has(Fork::Cancun), forks.has(Fork::Prague));
        let block = VerifiedBlock::draft(draft, verified, withdrawals.clone());
        let outcome = executor.execute(self.chain(), &block, self.state())?;
        let mut header = Header {
            transactions_root: merkle::ethereum::ordered_root(&envelopes),
            withdrawals_root: withdrawals.as_ref().map(|withdrawals| {
                let encoded: Vec<_> = withdrawals.iter().map(alloy_rlp::encode).collect();
                merkle::ethereum::ordered_root(&encoded)
            }),
            gas_used: outcome.gas_used,
            logs_bloom: outcome.logs_bloom(),
            receipts_root: outcome.receipts_root().unwrap_or_default(),
            blob_gas_used: cancun.then_some(outcome.blob_gas_used),
            requests_hash: outcome
                .requests
                .as_ref()
                .filter(|_| prague)
                .map(alloy_eips::eip7685::Requests::requests_hash),
            ..block.header().clone()
        };
        header::check(&header, &self.chain().at(&header))?;
        header.state_root = self.apply_built(&outcome);
        let hash = header.hash_slow();
        let ommers = Ommers::Headers(Vec::new());
        self.advance(header.clone(), hash, &ommers);
        Ok(Block { header, hash, transactions, envelopes, ommers, withdrawals, claims: Vec::new() })
    }

    /// The header as far as it is known before execution.
    fn draft(&self, attributes: &BlockAttributes) -> Result<Header, HeaderError> {
        let parent = self.head();
        let number = parent.number.saturating_add(1);
        let forks = self.chain().at_block(number, attributes.timestamp, true);
        let draft = Header {
            parent_hash: self.head_id().hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: attributes.beneficiary,
            number,
            gas_limit: parent.gas_limit,
            timestamp: attributes.timestamp,
            mix_hash: attributes.prev_randao,
            base_fee_per_gas: header::next_base_fee(parent, &forks)?,
            excess_blob_gas: header::next_excess_blob_gas(parent, &forks),
            parent_beacon_block_root: forks.has(Fork::Cancun).then_some(attributes.parent_beacon_block_root),
            ..Header::default()
        };
        self.check_follows(&draft)?;
        Ok(draft)
    }
}
