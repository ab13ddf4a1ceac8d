//! What a fork asks of a header, by itself and after its parent.
//!
//! The seal is left to the consensus layer: neither Ethash nor a beacon chain's signatures are checked here.

use alloy_consensus::Header;
use alloy_consensus::constants::MAXIMUM_EXTRA_DATA_SIZE;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_hardforks::{EthereumHardfork as Fork, ForkCondition};
use alloy_primitives::{B256, U256};

use super::difficulty::next_difficulty;
use super::spec::ActiveForks;

/// The smallest gas limit of a block (yellow paper, 4.4.4).
const MIN_GAS_LIMIT: u64 = 5_000;

/// The largest gas limit of a block (EIP-1985).
const MAX_GAS_LIMIT: u64 = i64::MAX as u64;

/// EIP-779: what the headers of the first blocks of the DAO fork carry.
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";

/// EIP-779: how many blocks carry it.
const DAO_EXTRA_RANGE: u64 = 10;

/// EIP-1559: a parent's gas limit counts twice at the fork, since the limit became twice the target.
const ELASTICITY: u64 = 2;

/// EIP-1559: the base fee of the first block that has one, in wei.
pub(super) const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// Why a header cannot belong to its fork, or cannot follow its parent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// A field that the fork requires is missing.
    #[error("{field}: missing, required from {since:?} on")]
    Missing {
        /// The field, named as the JSON-RPC names it.
        field: &'static str,
        /// The fork that brings it.
        since: Fork,
    },
    /// A field of a later fork is there.
    #[error("{field}: present before {since:?}")]
    Unexpected {
        /// The field.
        field: &'static str,
        /// The fork that brings it.
        since: Fork,
    },
    /// A field has a value that it cannot have here.
    #[error("{field}: {value}, {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        expected: String,
    },
}

/// Checks a header by itself, under the forks active at it.
pub fn check(header: &Header, forks: &ActiveForks<'_>) -> Result<(), HeaderError> {
    // First, since it decides which forks have come.
    let merged = header.difficulty.is_zero();
    let shanghai_came = forks.chain().activation(Fork::Shanghai).active_at_timestamp(header.timestamp);
    let merge_came = forks.chain().merge_block().is_some_and(|block| header.number >= block);
    if !merged && header.number > 0 && (shanghai_came || merge_came) {
        return Err(wrong("difficulty", header.difficulty, "zero after the merge"));
    }
    if merged && forks.chain().merge_block().is_some_and(|block| header.number < block) {
        return Err(wrong("difficulty", header.difficulty, "above zero before the merge"));
    }
    let fields = [
        ("baseFeePerGas", header.base_fee_per_gas.is_some(), Fork::London),
        ("withdrawalsRoot", header.withdrawals_root.is_some(), Fork::Shanghai),
        ("blobGasUsed", header.blob_gas_used.is_some(), Fork::Cancun),
        ("excessBlobGas", header.excess_blob_gas.is_some(), Fork::Cancun),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some(), Fork::Cancun),
        ("requestsHash", header.requests_hash.is_some(), Fork::Prague),
        ("blockAccessListHash", header.block_access_list_hash.is_some(), Fork::Amsterdam),
        ("slotNumber", header.slot_number.is_some(), Fork::Amsterdam),
    ];
    for (field, present, since) in fields {
        match (present, forks.has(since)) {
            (false, true) => return Err(HeaderError::Missing { field, since }),
            (true, false) => return Err(HeaderError::Unexpected { field, since }),
            _ => {}
        }
    }
    if header.extra_data.len() > MAXIMUM_EXTRA_DATA_SIZE {
        return Err(wrong("extraData", format!("{} bytes", header.extra_data.len()), "at most 32"));
    }
    if let ForkCondition::Block(fork) = forks.chain().activation(Fork::Dao)
        && header.number.checked_sub(fork).is_some_and(|after| after < DAO_EXTRA_RANGE)
        && header.extra_data.as_ref() != DAO_EXTRA_DATA
    {
        return Err(wrong("extraData", &header.extra_data, "\"dao-hard-fork\" for ten blocks from the DAO fork on"));
    }
    if header.gas_limit > MAX_GAS_LIMIT {
        return Err(wrong("gasLimit", header.gas_limit, "at most 2^63 - 1"));
    }
    if header.gas_used > header.gas_limit {
        return Err(wrong("gasUsed", header.gas_used, format!("at most the gas limit {}", header.gas_limit)));
    }
    if forks.has(Fork::Paris) {
        // EIP-3675.
        if header.ommers_hash != alloy_consensus::EMPTY_OMMER_ROOT_HASH {
            return Err(wrong("sha3Uncles", header.ommers_hash, "the hash of no ommers after the merge"));
        }
        if !header.nonce.is_zero() {
            return Err(wrong("nonce", header.nonce, "zero after the merge"));
        }
    }
    if let (Some(used), Some(params)) = (header.blob_gas_used, forks.blob_params()) {
        let limit = params.max_blob_gas_per_block();
        if used > limit || used % alloy_eips::eip4844::DATA_GAS_PER_BLOB != 0 {
            return Err(wrong("blobGasUsed", used, format!("whole blobs and at most {limit}")));
        }
    }
    Ok(())
}

/// Checks that a header can follow its parent, [`check_succession`], and that it is proof-of-stake exactly from the block
/// on whose parent brought the sum of all difficulties, `parent_total_difficulty`, to the terminal one (EIP-3675).
pub fn check_parent(
    header: &Header,
    parent: &Header,
    parent_hash: B256,
    parent_total_difficulty: U256,
    forks: &ActiveForks<'_>,
) -> Result<(), HeaderError> {
    check_succession(header, parent, parent_hash, forks)?;
    let merged = forks.chain().terminal_total_difficulty().is_some_and(|total| parent_total_difficulty >= total);
    if merged == header.difficulty.is_zero() {
        return Ok(());
    }
    let expected = if merged { "zero after the merge" } else { "above zero before the merge" };
    Err(wrong("difficulty", header.difficulty, expected))
}

/// Checks all that a parent asks of the header after it, but for when proof-of-stake begins.
pub fn check_succession(
    header: &Header,
    parent: &Header,
    parent_hash: B256,
    forks: &ActiveForks<'_>,
) -> Result<(), HeaderError> {
    if Some(header.number) != parent.number.checked_add(1) {
        return Err(wrong("number", header.number, format!("one more than the parent's {}", parent.number)));
    }
    if header.parent_hash != parent_hash {
        return Err(wrong("parentHash", header.parent_hash, format!("{parent_hash}")));
    }
    if header.timestamp <= parent.timestamp {
        return Err(wrong("timestamp", header.timestamp, format!("later than the parent's {}", parent.timestamp)));
    }
    if !forks.has(Fork::Paris) {
        let after_merge = parent.difficulty.is_zero() && parent.number > 0;
        let difficulty = if after_merge { U256::ZERO } else { next_difficulty(parent, header.timestamp, forks) };
        if header.difficulty != difficulty {
            return Err(wrong("difficulty", header.difficulty, difficulty.to_string()));
        }
    }
    check_gas_limit(header, parent, forks)?;
    let base_fee = next_base_fee(parent, forks)?;
    if header.base_fee_per_gas != base_fee {
        return Err(wrong("baseFeePerGas", named(header.base_fee_per_gas), named(base_fee)));
    }
    let excess = next_excess_blob_gas(parent, forks);
    if header.excess_blob_gas != excess {
        return Err(wrong("excessBlobGas", named(header.excess_blob_gas), named(excess)));
    }
    Ok(())
}

/// The limit moves by less than 1/1024 of the parent's (yellow paper, 4.4.4).
fn check_gas_limit(header: &Header, parent: &Header, forks: &ActiveForks<'_>) -> Result<(), HeaderError> {
    let at_london = forks.has(Fork::London) && parent.base_fee_per_gas.is_none();
    let parent_limit = if at_london { parent.gas_limit.saturating_mul(ELASTICITY) } else { parent.gas_limit };
    let step = parent_limit / 1024;
    if header.gas_limit.abs_diff(parent_limit) >= step || header.gas_limit < MIN_GAS_LIMIT {
        return Err(wrong(
            "gasLimit",
            header.gas_limit,
            format!("less than {step} away from the parent's {parent_limit} and at least {MIN_GAS_LIMIT}"),
        ));
    }
    Ok(())
}

/// The base fee of the block after `parent` (EIP-1559), `None` before London.
pub(crate) fn next_base_fee(parent: &Header, forks: &ActiveForks<'_>) -> Result<Option<u64>, HeaderError> {
    if !forks.has(Fork::London) {
        return Ok(None);
    }
    let Some(base_fee) = parent.base_fee_per_gas else { return Ok(Some(INITIAL_BASE_FEE)) };
    // It rises by an eighth at most, and must not overflow.
    if base_fee > u64::MAX / 2 {
        return Err(wrong("baseFeePerGas", base_fee, "less of the parent than 2^63"));
    }
    let params = BaseFeeParams::ethereum();
    Ok(Some(calc_next_block_base_fee(parent.gas_used, parent.gas_limit, base_fee, params)))
}

/// The excess blob gas of the block after `parent` (EIP-4844, EIP-7918), `None` before Cancun, or if the parent's would
/// overflow it, which no parent's can that was itself checked.
pub(crate) fn next_excess_blob_gas(parent: &Header, forks: &ActiveForks<'_>) -> Option<u64> {
    let params = forks.blob_params()?;
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    used.checked_mul(params.max_blob_count)?.checked_add(excess)?;
    Some(params.next_block_excess_blob_gas_osaka(excess, used, parent.base_fee_per_gas.unwrap_or_default()))
}

fn wrong(field: &'static str, value: impl ToString, expected: impl Into<String>) -> HeaderError {
    HeaderError::Value { field, value: value.to_string(), expected: format!("expected {}", expected.into()) }
}

fn named(value: Option<u64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
