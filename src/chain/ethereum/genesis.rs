//! The first block of a chain, as a geth-style genesis.json describes it.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::Genesis;
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::B256;

use super::header::INITIAL_BASE_FEE;
use super::spec::ChainSpec;

/// Why text is no genesis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {path}: {problem}")]
pub struct GenesisError {
    /// Where.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// Parses a geth-style genesis.json.
pub fn genesis_from_json(text: &[u8]) -> Result<Genesis, GenesisError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let genesis: Genesis = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| GenesisError { path: error.path().to_string(), problem: error.into_inner().to_string() })?;
    json.end().map_err(|error| GenesisError { path: "(end)".to_owned(), problem: error.to_string() })?;
    let field = |path: &str, problem: &str| GenesisError { path: path.to_owned(), problem: problem.to_owned() };
    if genesis.config.chain_id == 0 {
        return Err(field("config.chainId", "missing or 0"));
    }
    if genesis.gas_limit == 0 {
        return Err(field("gasLimit", "missing or 0"));
    }
    if genesis.base_fee_per_gas.is_some_and(|fee| u64::try_from(fee).is_err()) {
        return Err(field("baseFeePerGas", "does not fit 64 bits"));
    }
    Ok(genesis)
}

/// The header of the genesis block, given the root of the state that the genesis allocates. Fields that came with a
/// fork are there if the fork is active in the genesis block.
#[must_use]
pub fn genesis_header(genesis: &Genesis, chain: &ChainSpec, state_root: B256) -> Header {
    let number = genesis.number.unwrap_or_default();
    // A genesis may state a difficulty and still be the last, or the only, block before the merge.
    let merged = chain.terminal_total_difficulty().is_some_and(|total| genesis.difficulty >= total);
    let forks = chain.at_block(number, genesis.timestamp, merged || genesis.difficulty.is_zero());
    let since = |fork, value: u64| forks.has(fork).then_some(value);
    let base_fee = genesis.base_fee_per_gas.and_then(|fee| u64::try_from(fee).ok()).unwrap_or(INITIAL_BASE_FEE);
    Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        number,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.to_be_bytes().into(),
        base_fee_per_gas: since(Fork::London, base_fee),
        withdrawals_root: forks.has(Fork::Shanghai).then_some(EMPTY_ROOT_HASH),
        blob_gas_used: since(Fork::Cancun, genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: since(Fork::Cancun, genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: forks.has(Fork::Cancun).then_some(B256::ZERO),
        requests_hash: forks.has(Fork::Prague).then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
