//! What a block changes: the last of what was written everywhere, where that is not what there was.
//!
//! Threads gather it together. Which changes revm's `State` tells of, and how, is reproduced location by location: the
//! executors' deltas are compared bit by bit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use revm::database::AccountStatus;
use revm::primitives::KECCAK_EMPTY;
use revm::state::AccountInfo;

use super::commit::GiveUp;
use super::lazy::{Change, Event, Impossible};
use super::memory::{AccountLocation, Memory, SlotLocation};
use super::multi_version::{Position, Written};
use crate::executor::delta::{AccountDelta, AccountState, StateDelta};

/// Locations, or records, that a thread looks at at a time.
const CHUNK: usize = 64;

/// The changes of a block, while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    /// How many accounts and slots there were when the last transaction was done.
    ends: OnceLock<(usize, usize)>,
    next_account: AtomicUsize,
    next_slot: AtomicUsize,
    gathered: Mutex<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    accounts: Vec<AccountChange>,
    slots: Vec<SlotChange>,
    gave_up: bool,
}

/// What became of a slot. Ordered by account and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SlotChange {
    account: usize,
    slot: U256,
    value: U256,
    location: usize,
}

/// The places of locations that were written after the last transaction, while others were gathered.
#[derive(Debug, Default)]
pub(super) struct Late {
    pub(super) accounts: Vec<usize>,
    pub(super) slots: Vec<usize>,
}

impl Harvest {
    /// Notes which locations there are. To be called when the transactions are done, and before more is written.
    pub(super) fn start(&self, memory: &Memory<'_>) {
        self.ends.get_or_init(|| (memory.accounts().len(), memory.slots().len()));
    }

    /// Gathers until nothing is left that another thread does not look at.
    pub(super) fn gather(&self, memory: &Memory<'_>) {
        self.start(memory);
        let (accounts, slots) = self.ends.get().copied().unwrap_or_default();
        let mut own = Gathered::default();
        while let Some(chunk) = chunk(&self.next_slot, slots) {
            for location in chunk.filter_map(|index| memory.slots().at(index)) {
                own.slot(memory, location);
            }
        }
        while let Some(chunk) = chunk(&self.next_account, accounts) {
            for location in chunk.filter_map(|index| memory.accounts().at(index)) {
                own.account(location);
            }
        }
        own.slots.sort_unstable();
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.accounts.append(&mut own.accounts);
        gathered.slots.append(&mut own.slots);
        gathered.gave_up |= own.gave_up;
    }

    /// The delta, once all threads are done; what was written late is looked at anew.
    pub(super) fn into_delta(self, memory: &Memory<'_>, late: &Late) -> Result<StateDelta, GiveUp> {
        let mut all = self.gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.accounts.retain(|change| !late.accounts.contains(&change.location));
        all.slots.retain(|change| !late.slots.contains(&change.location));
        for index in &late.slots {
            all.slot(memory, memory.slots().at(*index).ok_or(GiveUp)?);
        }
        for index in &late.accounts {
            all.account(memory.accounts().at(*index).ok_or(GiveUp)?);
        }
        if all.gave_up {
            return Err(GiveUp);
        }
        // Runs of what was sorted are merged.
        all.slots.sort();
        all.accounts.sort_unstable_by_key(|change| change.location);
        delta(memory, &all.slots, all.accounts)
    }
}

/// The next of what threads look at together.
pub(super) fn chunk(next: &AtomicUsize, end: usize) -> Option<std::ops::Range<usize>> {
    let start = next.fetch_add(CHUNK, Ordering::Relaxed);
    (start < end).then(|| start..end.min(start + CHUNK))
}

impl Gathered {
    fn slot(&mut self, memory: &Memory<'_>, location: &SlotLocation) {
        match slot_change(memory, location) {
            Ok(change) => self.slots.extend(change),
            Err(GiveUp) => self.gave_up = true,
        }
    }

    fn account(&mut self, location: &AccountLocation) {
        if location.changes.is_empty() {
            return;
        }
        match account_change(location) {
            Ok(change) => self.accounts.push(change),
            Err(GiveUp) => self.gave_up = true,
        }
    }
}

/// Joins what became of slots with what became of their accounts; both are ordered by account.
fn delta(memory: &Memory<'_>, slots: &[SlotChange], accounts: Vec<AccountChange>) -> Result<StateDelta, GiveUp> {
    let mut codes = BTreeMap::new();
    let mut changed: Vec<(Address, AccountDelta)> = Vec::with_capacity(accounts.len() + 16);
    let mut accounts = accounts.into_iter().peekable();
    let mut by_account = slots.chunk_by(|one, other| one.account == other.account).peekable();
    loop {
        let next_account = accounts.peek().map(|change| change.location);
        let next_slots = by_account.peek().and_then(|slots| slots.first()).map(|slot| slot.account);
        let Some(index) = next_account.into_iter().chain(next_slots).min() else { break };
        let location = memory.account_at(index).ok_or(GiveUp)?;
        let change = match accounts.next_if(|change| change.location == index) {
            Some(change) => change,
            None => account_change(location)?,
        };
        let slots = by_account.next_if(|_| next_slots == Some(index)).unwrap_or_default();
        let storage: BTreeMap<_, _> = slots.iter().map(|change| (change.slot, change.value)).collect();
        codes.extend(change.code);
        let before = location.base.as_ref().map(AccountState::from);
        let never_was = before.is_none() && change.account.is_none();
        let (account, storage_cleared) = (change.account, change.storage_cleared);
        if !never_was && (before != account || storage_cleared || !storage.is_empty()) {
            changed.push((location.address, AccountDelta { account, storage_cleared, storage }));
        }
    }
    changed.sort_unstable_by_key(|(address, _)| *address);
    Ok(StateDelta { accounts: changed.into_iter().collect(), codes })
}

/// What became of a slot, if it is another than there was.
fn slot_change(memory: &Memory<'_>, location: &SlotLocation) -> Result<Option<SlotChange>, GiveUp> {
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
        memory.read_slot(location, first)?.0
    } else {
        memory.slot_base(location)?
    };
    let change = SlotChange { account: location.account, slot: location.slot, value, location: location.index };
    Ok((value != before).then_some(change))
}

fn last_reset(changes: &[Written<Change>]) -> Option<Position> {
    let resets = |change: &Change| matches!(change, Change::Set { event, .. } if event.resets_storage());
    changes.iter().rev().find(|entry| resets(&entry.value)).map(|entry| entry.position)
}

/// What became of an account.
#[derive(Debug)]
struct AccountChange {
    location: usize,
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
        let before = base.map_or(KECCAK_EMPTY, |base| base.code_hash);
        let new = info.code_hash != before && info.code_hash != KECCAK_EMPTY;
        new.then(|| info.code.clone().map(|code| (info.code_hash, code))).flatten()
    });
    Ok(AccountChange {
        location: location.index,
        account: info.as_ref().map(AccountState::from),
        storage_cleared,
        code,
    })
}
