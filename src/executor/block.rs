//! What happens in a block before its first and after its last transaction. Shared by every executor.

use std::fmt::Display;

use alloy_consensus::ReceiptEnvelope;
use alloy_eips::eip7685::Requests;
use alloy_evm::Evm;
use alloy_evm::block::SystemCaller;
use alloy_evm::block::calc::{base_block_reward, block_reward};
use alloy_evm::block::state_changes::{post_block_balance_increments, post_block_withdrawals_balance_increments};
use alloy_evm::eth::{dao_fork, eip6110};
use alloy_hardforks::{EthereumHardfork as Fork, EthereumHardforks, ForkCondition};
use alloy_primitives::map::AddressMap;
use alloy_primitives::{Address, Bytes, U256};
use revm::context::BlockEnv;
use revm::database_interface::DatabaseCommitExt;
use revm::state::{Account, TransactionId};
use revm::{Database, DatabaseCommit};

use super::ExecutionError;
use crate::chain::ethereum::{ActiveForks, MAX_OMMERS, Ommers, VerifiedBlock};

/// The changes before the first transaction: the DAO's balances moved (EIP-779), the parent's hash (EIP-2935) and
/// the parent's beacon root (EIP-4788) stored.
pub(super) fn begin<E>(evm: &mut E, block: &VerifiedBlock, forks: &ActiveForks<'_>) -> Result<(), ExecutionError>
where
    E: Evm<DB: DatabaseCommit, BlockEnv = BlockEnv>,
{
    let header = block.header();
    if forks.ethereum_fork_activation(Fork::Dao) == ForkCondition::Block(header.number) {
        move_dao_balances(evm.db_mut()).map_err(|problem| invalid("DAO fork", problem))?;
    }
    let mut system = SystemCaller::new(*forks);
    system
        .apply_blockhashes_contract_call(header.parent_hash, evm)
        .map_err(|problem| invalid("EIP-2935 system call", problem))?;
    system
        .apply_beacon_root_contract_call(header.parent_beacon_block_root, evm)
        .map_err(|problem| invalid("EIP-4788 system call", problem))
}

/// The changes after the last transaction: the execution layer's requests (EIP-6110, EIP-7002, EIP-7251), and the
/// rewards and withdrawals credited. Returns the requests, from Prague on.
///
/// Of ommers that are known by their hashes alone the beneficiaries are not known, and go without their reward.
pub(super) fn finish<E>(
    evm: &mut E,
    block: &VerifiedBlock,
    receipts: &[ReceiptEnvelope],
    forks: &ActiveForks<'_>,
) -> Result<Option<Requests>, ExecutionError>
where
    E: Evm<DB: DatabaseCommit, BlockEnv = BlockEnv>,
{
    let requests = if forks.has(Fork::Prague) { Some(collect_requests(evm, receipts, forks)?) } else { None };
    let credits = credits(evm.block(), block, forks)?;
    evm.db_mut().increment_balances(credits).map_err(|problem| invalid("rewards and withdrawals", problem))?;
    Ok(requests)
}

fn collect_requests<E>(
    evm: &mut E,
    receipts: &[ReceiptEnvelope],
    forks: &ActiveForks<'_>,
) -> Result<Requests, ExecutionError>
where
    E: Evm<DB: DatabaseCommit, BlockEnv = BlockEnv>,
{
    let mut deposits = Vec::new();
    eip6110::accumulate_deposits_from_receipts(forks.chain().deposit_contract(), receipts, &mut deposits)
        .map_err(|problem| invalid("EIP-6110 deposits", problem))?;
    let mut requests = Requests::default();
    if !deposits.is_empty() {
        requests.push_request_with_type(eip6110::DEPOSIT_REQUEST_TYPE, Bytes::from(deposits));
    }
    SystemCaller::new(*forks)
        .append_post_execution_changes(evm, &mut requests)
        .map_err(|problem| invalid("EIP-7002 and EIP-7251 system calls", problem))?;
    Ok(requests)
}

/// What is credited at the end of the block, in wei.
fn credits(
    environment: &BlockEnv,
    block: &VerifiedBlock,
    forks: &ActiveForks<'_>,
) -> Result<AddressMap<u128>, ExecutionError> {
    let withdrawals = block.withdrawals();
    match block.ommers() {
        Ommers::Headers(ommers) => {
            // An ommer's reward is (8 - its depth) eighths. Whether it belongs to the chain, the ledger knows.
            let number = block.header().number;
            let depth_is_right = |ommer: u64| number.checked_sub(ommer).is_some_and(|depth| (1..=6).contains(&depth));
            if ommers.len() > MAX_OMMERS || ommers.iter().any(|ommer| !depth_is_right(ommer.number)) {
                return Err(invalid("ommers", "more than two, or not 1 to 6 blocks old"));
            }
            Ok(post_block_balance_increments(forks, environment, ommers, withdrawals))
        }
        Ommers::Hashes(ommers) => {
            let mut credits = post_block_withdrawals_balance_increments(
                forks,
                block.header().timestamp,
                withdrawals.unwrap_or_default(),
            );
            if let Some(base) = base_block_reward(forks, block.header().number) {
                *credits.entry(block.header().beneficiary).or_default() += block_reward(base, ommers.len());
            }
            Ok(credits)
        }
    }
}

/// EIP-779: everything the listed accounts hold goes to the refund contract. All of them exist afterwards, empty or not,
/// as they do where the fork comes before EIP-161.
fn move_dao_balances<D: Database + DatabaseCommit>(database: &mut D) -> Result<(), D::Error> {
    let mut changes = AddressMap::default();
    let mut moved = U256::ZERO;
    for address in dao_fork::DAO_HARDFORK_ACCOUNTS {
        let mut account = load(database, address)?;
        moved = moved.saturating_add(std::mem::take(&mut account.info.balance));
        changes.insert(address, account);
    }
    let mut refund = load(database, dao_fork::DAO_HARDFORK_BENEFICIARY)?;
    refund.info.balance = refund.info.balance.saturating_add(moved);
    changes.insert(dao_fork::DAO_HARDFORK_BENEFICIARY, refund);
    for account in changes.values_mut() {
        account.mark_touch();
        if account.info.is_empty() {
            // What is only touched and is empty, revm removes.
            account.mark_created();
        }
    }
    database.commit(changes);
    Ok(())
}

fn load<D: Database>(database: &mut D, address: Address) -> Result<Account, D::Error> {
    let info = database.basic(address)?;
    Ok(info.map_or_else(|| Account::new_not_existing(TransactionId::ZERO), Account::from))
}

fn invalid(step: &'static str, problem: impl Display) -> ExecutionError {
    ExecutionError::InvalidBlock { step, problem: problem.to_string() }
}
