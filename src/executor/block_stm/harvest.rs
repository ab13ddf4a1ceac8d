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

use super::End;
use super::commit::GiveUp;
use super::lazy::{Change, Event, Impossible};
use super::memory::{AccountLocation, Memory, SlotLocation};
use super::multi_version::{Position, Written};
use crate::executor::delta::{AccountDelta, AccountState, StateDelta};
use crate::executor::workers::{At, Workers};

/// Locations, or records, that a thread looks at at a time.
const CHUNK: usize = 64;

/// Changes that are joined by one thread where there are fewer: in about the time that another takes to wake.
const WORTH_WAKING: usize = 512;

type AccountDeltas = Vec<(Address, AccountDelta)>;

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

/// What became of a slot.
#[derive(Clone, Copy, Debug)]
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
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.accounts.append(&mut own.accounts);
        gathered.slots.append(&mut own.slots);
        gathered.gave_up |= own.gave_up;
    }

    /// The delta, once all threads are done; what was written late is looked at anew.
    pub(super) fn into_delta(
        self,
        memory: &Memory<'_>,
        late: &Late,
        (workers, threads): (&Workers, usize),
    ) -> Result<StateDelta, End> {
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
            return Err(GiveUp.into());
        }
        let grouped = Grouped::new(memory, &all);
        let next = AtomicUsize::new(0);
        let joined: Mutex<Result<Vec<AccountDeltas>, GiveUp>> = Mutex::new(Ok(Vec::new()));
        let join = |_: usize, _: &At| {
            let mut own = Ok(AccountDeltas::new());
            while let Some(chunk) = chunk(&next, memory.accounts().len()) {
                own = own.and_then(|own| grouped.join(memory, chunk, own));
            }
            let own = own.map(|mut own| {
                own.sort_unstable_by_key(|(address, _)| *address);
                own
            });
            let mut joined = joined.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *joined, own) {
                (Ok(all), Ok(own)) => all.push(own),
                (joined, Err(GiveUp)) => *joined = Err(GiveUp),
                (Err(GiveUp), Ok(_)) => {}
            }
        };
        let threads = if all.accounts.len() + all.slots.len() < WORTH_WAKING { 1 } else { threads };
        workers.run_on(threads, &join, &|| ()).map_err(End::Panicked)?;
        let joined = joined.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        let mut changed: Vec<_> = joined.into_iter().flatten().collect();
        // Runs of what was sorted are merged.
        changed.sort_by_key(|(address, _)| *address);
        let codes = all.accounts.into_iter().filter_map(|change| change.code).collect();
        Ok(StateDelta { accounts: changed.into_iter().collect(), codes })
    }
}

/// The changes of accounts, and of their slots, by the accounts' places.
struct Grouped<'a> {
    changes: Vec<Option<&'a AccountChange>>,
    slots: Vec<&'a SlotChange>,
    /// Where in `slots` those of an account begin; those of the next one follow.
    starts: Vec<usize>,
}

impl<'a> Grouped<'a> {
    fn new(memory: &Memory<'_>, all: &'a Gathered) -> Self {
        let accounts = memory.accounts().len();
        let mut changes = vec![None; accounts];
        for change in &all.accounts {
            changes[change.location] = Some(change);
        }
        // Counted, then put where the counts say.
        let mut starts = vec![0; accounts + 1];
        for slot in &all.slots {
            starts[slot.account + 1] += 1;
        }
        for account in 0..accounts {
            starts[account + 1] += starts[account];
        }
        let mut ends = starts.clone();
        let mut slots: Vec<_> = all.slots.iter().collect();
        for slot in &all.slots {
            slots[ends[slot.account]] = slot;
            ends[slot.account] += 1;
        }
        Self { changes, slots, starts }
    }

    /// Joins what became of accounts with what became of their slots.
    fn join(
        &self,
        memory: &Memory<'_>,
        accounts: std::ops::Range<usize>,
        mut deltas: AccountDeltas,
    ) -> Result<AccountDeltas, GiveUp> {
        for index in accounts {
            let slots = &self.slots[self.starts[index]..self.starts[index + 1]];
            let change = self.changes[index];
            if change.is_none() && slots.is_empty() {
                continue;
            }
            let location = memory.account_at(index).ok_or(GiveUp)?;
            let before = location.base.as_ref().map(AccountState::from);
            let (account, storage_cleared) =
                change.map_or((before, false), |change| (change.account, change.storage_cleared));
            let storage: BTreeMap<_, _> = slots.iter().map(|change| (change.slot, change.value)).collect();
            let never_was = before.is_none() && account.is_none();
            if !never_was && (before != account || storage_cleared || !storage.is_empty()) {
                deltas.push((location.address, AccountDelta { account, storage_cleared, storage }));
            }
        }
        Ok(deltas)
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
