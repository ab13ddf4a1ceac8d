//! What a fork asks of a transaction before any state is looked at.

use alloy_consensus::{Transaction as _, Typed2718};
use alloy_hardforks::EthereumHardfork as Fork;

use super::spec::ActiveForks;
use super::transaction::Transaction;
use crate::rules::Rules;

/// EIP-3860: the largest init code, 2 x 24,576 bytes.
pub const MAX_INIT_CODE_BYTES: usize = 49_152;

/// EIP-7825: the largest gas limit of a transaction from Osaka on.
pub const MAX_TRANSACTION_GAS: u64 = 1 << 24;

/// Why a transaction cannot be in a block of its fork, whatever the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidityError {
    /// The type came with a later fork.
    #[error("transaction type {ty:#04x} is not active before {since:?}")]
    TypeNotActive {
        /// The type.
        ty: u8,
        /// The fork that brings it.
        since: Fork,
    },
    /// Replay protection came with a later fork (EIP-155).
    #[error("v names a chain id, which is not active before SpuriousDragon")]
    ReplayProtectionNotActive,
    /// The transaction was signed for another chain.
    #[error("signed for chain {signed}, not for chain {chain}")]
    ChainId {
        /// The chain it was signed for.
        signed: u64,
        /// The chain it is on.
        chain: u64,
    },
    /// EIP-2681: the largest nonce can never be used up.
    #[error("the nonce is 2^64 - 1")]
    NonceOverflow,
    /// The gas limit does not cover what the transaction costs before it runs.
    #[error("gas limit {limit} is below the intrinsic gas {intrinsic}")]
    IntrinsicGas {
        /// The transaction's gas limit.
        limit: u64,
        /// What it needs.
        intrinsic: u64,
    },
    /// EIP-7825.
    #[error("gas limit {0} is above the cap of 2^24")]
    GasLimitAboveCap(u64),
    /// EIP-3860.
    #[error("init code of {0} bytes is longer than 49,152")]
    InitCodeTooLong(usize),
    /// EIP-1559: the tip is part of the fee.
    #[error("the priority fee is above the maximum fee")]
    PriorityFeeAboveMaxFee,
    /// The most the transaction may spend on gas does not fit 256 bits.
    #[error("gas limit times gas price does not fit 256 bits")]
    CostOverflow,
    /// EIP-4844: a blob transaction carries blobs.
    #[error("a blob transaction without blobs")]
    NoBlobs,
    /// EIP-4844: blob hashes are versioned, and 1 is the only version.
    #[error("blob hash {0} is not of version 1")]
    BlobHashVersion(usize),
    /// EIP-4844, EIP-7594: more blobs than one transaction may carry.
    #[error("{blobs} blobs are more than {limit}")]
    TooManyBlobs {
        /// How many there are.
        blobs: u64,
        /// How many there may be.
        limit: u64,
    },
    /// EIP-7702: a delegating transaction has authorizations.
    #[error("an EIP-7702 transaction without authorizations")]
    NoAuthorizations,
}

/// The signature rules that a fork applies to a transaction.
#[must_use]
pub fn rules(transaction: &Transaction, forks: &ActiveForks<'_>) -> Rules {
    if !transaction.is_legacy() {
        Rules::EthTyped
    } else if forks.has(Fork::Homestead) {
        Rules::EthHomestead
    } else {
        Rules::EthFrontier
    }
}

/// Checks all that a fork asks of a transaction's fields alone.
pub fn check(transaction: &Transaction, forks: &ActiveForks<'_>) -> Result<(), ValidityError> {
    check_type(transaction, forks)?;
    check_chain_id(transaction, forks)?;
    if transaction.nonce() == u64::MAX {
        return Err(ValidityError::NonceOverflow);
    }
    if transaction.max_priority_fee_per_gas().is_some_and(|tip| tip > transaction.max_fee_per_gas()) {
        return Err(ValidityError::PriorityFeeAboveMaxFee);
    }
    check_blobs(transaction, forks)?;
    if transaction.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err(ValidityError::NoAuthorizations);
    }
    let init_code = transaction.is_create().then(|| transaction.input().len());
    if let Some(length) = init_code.filter(|length| forks.has(Fork::Shanghai) && *length > MAX_INIT_CODE_BYTES) {
        return Err(ValidityError::InitCodeTooLong(length));
    }
    let limit = transaction.gas_limit();
    if forks.has(Fork::Osaka) && limit > MAX_TRANSACTION_GAS {
        return Err(ValidityError::GasLimitAboveCap(limit));
    }
    let intrinsic = intrinsic_gas(transaction, forks);
    if limit < intrinsic {
        return Err(ValidityError::IntrinsicGas { limit, intrinsic });
    }
    Ok(())
}

fn check_type(transaction: &Transaction, forks: &ActiveForks<'_>) -> Result<(), ValidityError> {
    let since = match transaction {
        Transaction::Legacy(_) => Fork::Frontier,
        Transaction::Eip2930(_) => Fork::Berlin,
        Transaction::Eip1559(_) => Fork::London,
        Transaction::Eip4844(_) => Fork::Cancun,
        Transaction::Eip7702(_) => Fork::Prague,
    };
    if forks.has(since) { Ok(()) } else { Err(ValidityError::TypeNotActive { ty: transaction.ty(), since }) }
}

fn check_chain_id(transaction: &Transaction, forks: &ActiveForks<'_>) -> Result<(), ValidityError> {
    let Some(signed) = transaction.chain_id() else { return Ok(()) };
    if !forks.has(Fork::SpuriousDragon) {
        return Err(ValidityError::ReplayProtectionNotActive);
    }
    let chain = forks.chain().chain_id();
    if signed == chain { Ok(()) } else { Err(ValidityError::ChainId { signed, chain }) }
}

fn check_blobs(transaction: &Transaction, forks: &ActiveForks<'_>) -> Result<(), ValidityError> {
    let Some(hashes) = transaction.blob_versioned_hashes() else { return Ok(()) };
    if hashes.is_empty() {
        return Err(ValidityError::NoBlobs);
    }
    if let Some(index) = hashes.iter().position(|hash| hash[0] != 1) {
        return Err(ValidityError::BlobHashVersion(index));
    }
    let limit = forks.blob_params().map_or(0, |params| params.max_blobs_per_tx.min(params.max_blob_count));
    let blobs = hashes.len() as u64;
    if blobs > limit { Err(ValidityError::TooManyBlobs { blobs, limit }) } else { Ok(()) }
}

/// What a transaction costs before it runs, in gas: the greater of its intrinsic gas and, from Prague on, the floor
/// of its calldata (EIP-7623). The transaction is in memory, so that the sum is far below 2^64.
#[must_use]
pub fn intrinsic_gas(transaction: &Transaction, forks: &ActiveForks<'_>) -> u64 {
    const BASE: u64 = 21_000;
    let input = transaction.input();
    let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
    let nonzeros = input.len() as u64 - zeros;
    // EIP-2028 lowered a non-zero byte from 68 gas to 16.
    let nonzero_gas = if forks.has(Fork::Istanbul) { 16 } else { 68 };
    let mut gas = BASE + 4 * zeros + nonzero_gas * nonzeros;
    if transaction.is_create() && forks.has(Fork::Homestead) {
        // EIP-2; EIP-3860 adds 2 gas for each word of init code.
        gas += 32_000;
        if forks.has(Fork::Shanghai) {
            gas += 2 * (input.len() as u64).div_ceil(32);
        }
    }
    if let Some(list) = transaction.access_list() {
        // EIP-2930.
        let slots: u64 = list.iter().map(|entry| entry.storage_keys.len() as u64).sum();
        gas += 2_400 * list.len() as u64 + 1_900 * slots;
    }
    if let Some(authorizations) = transaction.authorization_list() {
        // EIP-7702.
        gas += 25_000 * authorizations.len() as u64;
    }
    if forks.has(Fork::Prague) { gas.max(BASE + 10 * (zeros + 4 * nonzeros)) } else { gas }
}
