//! From a block's multi-version memory to what the block changes.
//!
//! Which changes revm's `State` tells of, and how, is reproduced here location by location: the executors' deltas are
//! compared bit by bit.

use std::collections::BTreeMap;

use alloy_consensus::ReceiptEnvelope;
use alloy_eips::eip7685::Requests;
use alloy_evm::{EthEvmFactory, EvmEnv, EvmFactory};
use alloy_primitives::{B256, U256};
use revm::bytecode::Bytecode;
use revm::database::states::bundle_state::BundleRetention;
use revm::database::{AccountStatus, State};
use revm::state::AccountInfo;

use super::lazy::{Change, Event, Impossible};
use super::memory::{AccountLocation, Memory, ReadError, SlotLocation};
use super::multi_version::{Position, Written};
use super::view::View;
use crate::chain::ethereum::{ActiveForks, VerifiedBlock};
use crate::executor::block as steps;
use crate::executor::delta::{AccountDelta, AccountState, StateDelta};

/// What happens here does not fit, or went wrong; what the sequential executor says of it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GiveUp;

impl From<Impossible> for GiveUp {
    fn from(_: Impossible) -> Self {
        Self
    }
}

impl From<ReadError> for GiveUp {
    fn from(_: ReadError) -> Self {
        Self
    }
}

/// Makes the changes before the first transaction, at position 0.
pub(super) fn begin(
    memory: &Memory<'_>,
    block: &VerifiedBlock,
    forks: &ActiveForks<'_>,
    environment: EvmEnv,
) -> Result<(), GiveUp> {
    let mut state = State::builder().with_database(View::new(memory, 0)).with_bundle_update().build();
    let mut evm = EthEvmFactory::default().create_evm(&mut state, environment);
    steps::begin(&mut evm, block, forks).map_err(|_| GiveUp)?;
    drop(evm);
    publish(memory, &mut state, 0)
}

/// Makes the changes after the last transaction, at a position above it.
pub(super) fn finish(
    memory: &Memory<'_>,
    block: &VerifiedBlock,
    receipts: &[ReceiptEnvelope],
    forks: &ActiveForks<'_>,
    environment: EvmEnv,
    position: Position,
) -> Result<Option<Requests>, GiveUp> {
    let mut state = State::builder().with_database(View::new(memory, position)).with_bundle_update().build();
    let mut evm = EthEvmFactory::default().create_evm(&mut state, environment);
    let requests = steps::finish(&mut evm, block, receipts, forks).map_err(|_| GiveUp)?;
    drop(evm);
    publish(memory, &mut state, position)?;
    Ok(requests)
}

/// Writes what system calls and credits changed. They never remove an account on a chain whose system contracts are what
/// they should be.
fn publish(memory: &Memory<'_>, state: &mut State<View<'_, '_>>, position: Position) -> Result<(), GiveUp> {
    state.merge_transitions(BundleRetention::PlainState);
    for (address, account) in state.take_bundle().state {
        let Some(info) = account.info.filter(|_| !account.status.was_destroyed()) else { return Err(GiveUp) };
        let location = memory.account(address)?;
        for (slot, value) in account.storage.iter().filter(|(_, value)| value.is_changed()) {
            memory.slot(location, *slot)?.values.write(position, 0, value.present_value);
        }
        if account.original_info.as_ref() != Some(&info) || location.forgets_storage() {
            location.write(position, 0, Change::Set { info: Some(info), event: Event::Changed });
        }
    }
    Ok(())
}

/// What the block changes: the last of what was written everywhere, where that is not what there was.
pub(super) fn delta(memory: &Memory<'_>) -> Result<StateDelta, GiveUp> {
    let mut slots = Vec::new();
    for location in memory.slots().iter() {
        slots.extend(slot_change(memory, location)?);
    }
    slots.sort_unstable();
    let mut slots = slots.as_slice();
    let mut accounts = Vec::new();
    let mut codes = BTreeMap::new();
    for location in memory.accounts().iter() {
        let own = slots.partition_point(|(account, ..)| *account == location.index);
        let (own, rest) = slots.split_at(own);
        slots = rest;
        if own.is_empty() && location.changes.is_empty() {
            continue;
        }
        let storage: BTreeMap<_, _> = own.iter().map(|(_, slot, value)| (*slot, *value)).collect();
        let changed = account_change(location)?;
        codes.extend(changed.code);
        let before = location.base.as_ref().map(AccountState::from);
        let never_was = before.is_none() && changed.account.is_none();
        let (account, storage_cleared) = (changed.account, changed.storage_cleared);
        if !never_was && (before != account || storage_cleared || !storage.is_empty()) {
            accounts.push((location.address, AccountDelta { account, storage_cleared, storage }));
        }
    }
    accounts.sort_unstable_by_key(|(address, _)| *address);
    Ok(StateDelta { accounts: accounts.into_iter().collect(), codes })
}

/// The slot's account, the slot and its value, if it is another than there was.
fn slot_change(memory: &Memory<'_>, location: &SlotLocation) -> Result<Option<(usize, U256, U256)>, GiveUp> {
    let Some((first, value, last)) = location
        .values
        .below(Position::MAX, |values| Some((values.first()?.position, values.last()?.value, values.last()?.position)))
    else {
        return Ok(None);
    };
    let account = memory.account_at(location.account).ok_or(GiveUp)?;
    let before = if account.may_reset()
        && let Some(reset) = account.changes.below(Position::MAX, last_reset)
    {
        if last < reset {
            return Ok(None);
        }
        U256::ZERO
    } else if account.forgets_storage() {
        // What the first transaction that wrote it found there.
        memory.read_slot(location, first).map_err(|_| GiveUp)?.0
    } else {
        location.base
    };
    Ok((value != before).then_some((location.account, location.slot, value)))
}

fn last_reset(changes: &[Written<Change>]) -> Option<Position> {
    let resets = |change: &Change| matches!(change, Change::Set { event, .. } if event.resets_storage());
    changes.iter().rev().find(|entry| resets(&entry.value)).map(|entry| entry.position)
}

/// What became of an account.
struct AccountChange {
    account: Option<AccountState>,
    storage_cleared: bool,
    /// Its code, if it is new.
    code: Option<(B256, Bytecode)>,
}

fn account_change(location: &AccountLocation) -> Result<AccountChange, GiveUp> {
    let base = location.base.as_ref();
    let (info, storage_cleared) = location.changes.below(Position::MAX, |changes| -> Result<_, Impossible> {
        // Only what is lazy need be added up, and checked.
        if !location.may_reset() && changes.iter().all(|entry| matches!(entry.value, Change::Set { .. })) {
            let info = changes.last().map(|entry| match &entry.value {
                Change::Set { info, .. } => info.clone(),
                Change::Credit(_) | Change::Debit { .. } => None,
            });
            return Ok((info.unwrap_or_else(|| base.cloned()), false));
        }
        let mut info = base.cloned();
        let mut status = match &info {
            None => AccountStatus::LoadedNotExisting,
            Some(info) if info.is_empty() => AccountStatus::LoadedEmptyEIP161,
            Some(_) => AccountStatus::Loaded,
        };
        for entry in changes {
            let without_code_and_nonce = info.as_ref().is_some_and(AccountInfo::has_no_code_and_nonce);
            entry.value.apply(&mut info)?;
            status = match &entry.value {
                Change::Set { event: Event::Destroyed, .. } => status.on_selfdestructed(),
                Change::Set { event: Event::Created, .. } => status.on_created(),
                _ if info.is_none() => status.on_touched_empty_post_eip161(),
                _ => status.on_changed(without_code_and_nonce),
            };
        }
        Ok((info, status.was_destroyed()))
    })?;
    let code = info.as_ref().and_then(|info| {
        let new = base.is_none_or(|base| base.code_hash != info.code_hash);
        new.then(|| info.code.clone().map(|code| (info.code_hash, code))).flatten()
    });
    Ok(AccountChange { account: info.as_ref().map(AccountState::from), storage_cleared, code })
}
