//! The state a workload starts from, in the form of a geth genesis file.

use std::collections::BTreeMap;

use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
use alloy_eips::eip7840::BlobParams;
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256};

use super::contracts::{self, Contracts, PoolToken, TOKEN, WALLET};
use super::plan::MAX_TRANSACTION_GAS;
use super::{CHAIN_ID, WorkloadConfig};

/// The base fee of the first block (EIP-1559's initial one).
const BASE_FEE: u128 = 1_000_000_000;

/// What an account owns of anything but ether at first: more than the longest workload can take from it.
const TOKENS: u128 = 10_u128.pow(30);

/// What an account owns of ether at first, in wei.
const ETHER: u128 = 10_u128.pow(28);

/// What the market maker owns of each token at first: so much that the longest workload cannot move its price.
const RESERVE: u128 = 10_u128.pow(36);

/// The genesis of a chain with every fork up to Osaka active from its first block on.
pub(super) fn genesis(
    contracts: &Contracts,
    accounts: impl Iterator<Item = Address> + Clone,
    config: &WorkloadConfig,
) -> Genesis {
    let tokens = B256::from(U256::from(TOKENS));
    let token_storage = accounts.clone().map(|account| (contracts::token_balance_slot(account), tokens)).collect();
    let pools = (0..config.pools).map(|pool| {
        let members = accounts.clone().skip(pool).step_by(config.pools);
        let storage = [PoolToken::Zero, PoolToken::One]
            .into_iter()
            .flat_map(|token| {
                let reserve = (contracts::pool_reserve_slot(token), B256::from(U256::from(RESERVE)));
                let balances =
                    members.clone().map(move |account| (contracts::pool_balance_slot(token, account), tokens));
                std::iter::once(reserve).chain(balances)
            })
            .collect();
        (contracts::pool_address(pool), contract(&contracts.pool).with_storage(Some(storage)))
    });
    let funded = GenesisAccount::default().with_balance(U256::from(ETHER));
    let alloc = accounts
        .clone()
        .map(|account| (account, funded.clone()))
        .chain([
            (eip4788::BEACON_ROOTS_ADDRESS, contract(&eip4788::BEACON_ROOTS_CODE)),
            (eip2935::HISTORY_STORAGE_ADDRESS, contract(&eip2935::HISTORY_STORAGE_CODE)),
            (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, contract(&eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE)),
            (
                eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
                contract(&eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
            ),
            (TOKEN, contract(&contracts.token).with_storage(Some(token_storage))),
            (WALLET, contract(&contracts.wallet)),
        ])
        .chain(pools)
        .collect();
    Genesis {
        config: chain_config(),
        gas_limit: gas_limit(config.transactions_per_block),
        base_fee_per_gas: Some(BASE_FEE),
        alloc,
        ..Default::default()
    }
}

/// A deployed contract; creation gives it the nonce 1 (EIP-161).
fn contract(code: &Bytes) -> GenesisAccount {
    GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code.clone()))
}

/// Twice what a block can use, so that blocks stay at their target at most and the base fee never rises (EIP-1559).
fn gas_limit(transactions_per_block: usize) -> u64 {
    (2 * MAX_TRANSACTION_GAS * transactions_per_block as u64).max(30_000_000)
}

fn chain_config() -> ChainConfig {
    let start = Some(0);
    ChainConfig {
        chain_id: CHAIN_ID,
        homestead_block: start,
        eip150_block: start,
        eip155_block: start,
        eip158_block: start,
        byzantium_block: start,
        constantinople_block: start,
        petersburg_block: start,
        istanbul_block: start,
        muir_glacier_block: start,
        berlin_block: start,
        london_block: start,
        arrow_glacier_block: start,
        gray_glacier_block: start,
        merge_netsplit_block: start,
        shanghai_time: start,
        cancun_time: start,
        prague_time: start,
        osaka_time: start,
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        deposit_contract_address: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
        blob_schedule: blob_schedule(),
        ..Default::default()
    }
}

/// What a genesis file says of blobs: target, maximum and update fraction, nothing else (EIP-7840). The rest of
/// Osaka's parameters is set to what a reader of the file gets, so that a genesis equals what is read back from it.
fn blob_schedule() -> BTreeMap<String, BlobParams> {
    let osaka = BlobParams::osaka();
    let osaka = osaka.with_max_blobs_per_tx(osaka.max_blob_count).with_blob_base_cost(0);
    let forks = [("cancun", BlobParams::cancun()), ("prague", BlobParams::prague()), ("osaka", osaka)];
    forks.map(|(fork, blobs)| (fork.to_owned(), blobs)).into()
}
