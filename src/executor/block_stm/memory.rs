//! The state of a block as its transactions see it: the state before it, read once, and above that every write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use alloy_primitives::map::B256Map;
use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use revm::primitives::KECCAK_EMPTY;
use revm::state::AccountInfo;

use super::lazy::{Blocked, Change, resolve, resolve_code_hash};
use super::multi_version::{Position, Versions};
use super::table::{Keyed, Table};
use crate::executor::{ReadState, StateError};

/// After how many changes an account's are no longer left to be summed up: each reader sums up all since the last who read.
const MOST_LAZY_CHANGES: usize = 2_048;

/// How many accounts, and how many slots, are expected at least, and of each transaction.
const TABLE: usize = 1_024;
const TABLE_PER_TRANSACTION: usize = 8;

/// Why a read has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// It depends on a transaction that is to be executed again.
    #[error("waits for position {0}")]
    Blocked(Position),
    /// The state lacks it.
    #[error("{0}")]
    State(StateError),
    /// What was to be written before the first or after the last transaction has no form here.
    #[error("outside of what is executed in parallel")]
    Unsupported,
}

impl revm::database_interface::DBErrorMarker for ReadError {}

impl From<Blocked> for ReadError {
    fn from(Blocked(position): Blocked) -> Self {
        Self::Blocked(position)
    }
}

/// An account, its storage aside.
#[derive(Debug)]
pub(super) struct AccountLocation {
    pub(super) address: Address,
    /// Its place in the memory.
    pub(super) index: usize,
    pub(super) base: Option<AccountInfo>,
    pub(super) changes: Versions<Change>,
    /// Whether some change, perhaps of an aborted incarnation, removed what storage there was.
    may_reset: AtomicBool,
    /// Whether some change, perhaps of an aborted incarnation, gave it other code than it had before the block.
    may_have_new_code: AtomicBool,
}

/// A storage slot.
#[derive(Debug)]
pub(super) struct SlotLocation {
    /// Its place in the memory.
    pub(super) index: usize,
    /// The place of its account.
    pub(super) account: usize,
    pub(super) slot: U256,
    /// Its value before the block, once somebody needed it: of a contract that is created in the block nobody does, and the
    /// state may not know it.
    base: OnceLock<U256>,
    pub(super) values: Versions<U256>,
}

impl Keyed for AccountLocation {
    type Key = Address;

    fn key(&self) -> Address {
        self.address
    }
}

impl Keyed for SlotLocation {
    type Key = (usize, U256);

    fn key(&self) -> (usize, U256) {
        (self.account, self.slot)
    }
}

impl AccountLocation {
    /// The account as the transaction at `position` sees it, and the highest transaction that it comes from.
    pub(super) fn read(&self, position: Position) -> Result<(Option<AccountInfo>, Option<Position>), Blocked> {
        self.changes.below(position, |changes| resolve(self.base.as_ref(), changes))
    }

    /// The hash of its code as the transaction at `position` sees it, and who set it.
    pub(super) fn read_code_hash(&self, position: Position) -> Result<(B256, Option<Position>), Blocked> {
        if !self.may_have_new_code.load(Ordering::SeqCst) {
            return Ok((code_hash(self.base.as_ref()), None));
        }
        self.changes.below(position, |changes| resolve_code_hash(self.base.as_ref(), changes))
    }

    /// Whether it can be changed without being read: not if touching it might remove it.
    pub(super) fn allows_lazy(&self) -> bool {
        !self.base.as_ref().is_some_and(AccountInfo::is_empty)
    }

    /// Whether a transaction that runs no code may leave it unread: it has no code, and not so many changes that who reads
    /// it would have long to add up.
    pub(super) fn allows_plain_transfer(&self) -> bool {
        self.allows_lazy()
            && code_hash(self.base.as_ref()) == KECCAK_EMPTY
            && !self.may_have_new_code.load(Ordering::SeqCst)
            && self.changes.len() < MOST_LAZY_CHANGES
    }

    /// Whether revm takes its storage for empty from its first change on: there is an account without code and nonce.
    pub(super) fn forgets_storage(&self) -> bool {
        self.base.as_ref().is_some_and(AccountInfo::has_no_code_and_nonce)
    }

    /// Whether some change may have removed its storage.
    pub(super) fn may_reset(&self) -> bool {
        self.may_reset.load(Ordering::SeqCst)
    }

    /// Writes a change. Returns whether the transaction had written none.
    pub(super) fn write(&self, position: Position, incarnation: u32, change: Change) -> bool {
        if matches!(&change, Change::Set { event, .. } if event.resets_storage()) {
            self.may_reset.store(true, Ordering::SeqCst);
        }
        if matches!(&change, Change::Set { info, .. } if code_hash(info.as_ref()) != code_hash(self.base.as_ref())) {
            self.may_have_new_code.store(true, Ordering::SeqCst);
        }
        self.changes.write(position, incarnation, change)
    }

    /// The last position below `position` at which storage from before was removed; `None` if there is none.
    fn last_reset(&self, position: Position) -> Result<Option<Position>, Blocked> {
        if !self.may_reset() && !self.forgets_storage() {
            return Ok(None);
        }
        self.changes.below(position, |changes| {
            for entry in changes.iter().rev() {
                if entry.estimate {
                    return Err(Blocked(entry.position));
                }
                if matches!(&entry.value, Change::Set { event, .. } if event.resets_storage()) {
                    return Ok(Some(entry.position));
                }
            }
            // Any change at all; what was written since is not forgotten.
            let forgotten = changes.first().filter(|_| self.forgets_storage());
            Ok(forgotten.map(|entry| entry.position))
        })
    }
}

fn code_hash(info: Option<&AccountInfo>) -> B256 {
    info.map_or(KECCAK_EMPTY, |info| info.code_hash)
}

/// A block's multi-version memory over the state before it.
#[derive(Debug)]
pub(super) struct Memory<'s> {
    state: &'s dyn ReadState,
    accounts: Table<AccountLocation>,
    slots: Table<SlotLocation>,
    /// Code that is new in the block, perhaps of aborted incarnations: it is found by its hash, so that it cannot be wrong.
    codes: Mutex<B256Map<Bytecode>>,
}

/// What never happens: a location that was just put in place is gone.
fn lost() -> ReadError {
    ReadError::Unsupported
}

impl<'s> Memory<'s> {
    /// The memory of a block of `transactions`.
    pub(super) fn new(state: &'s dyn ReadState, transactions: usize) -> Self {
        let table = TABLE.max(TABLE_PER_TRANSACTION * transactions);
        Self { state, accounts: Table::new(table), slots: Table::new(table), codes: Mutex::default() }
    }

    /// The location of an account; reads the state before the block the first time.
    pub(super) fn account(&self, address: Address) -> Result<&AccountLocation, ReadError> {
        if let Some(location) = self.accounts.get(&address) {
            return Ok(location);
        }
        let base = self.state.basic_ref(address).map_err(ReadError::State)?;
        let location = |index| AccountLocation {
            address,
            index,
            base,
            changes: Versions::default(),
            may_reset: AtomicBool::new(false),
            may_have_new_code: AtomicBool::new(false),
        };
        self.accounts.insert(location).ok_or_else(lost)
    }

    /// The location of an account by its place.
    pub(super) fn account_at(&self, index: usize) -> Option<&AccountLocation> {
        self.accounts.at(index)
    }

    /// The location of a storage slot.
    pub(super) fn slot(&self, account: &AccountLocation, slot: U256) -> Result<&SlotLocation, ReadError> {
        let key = (account.index, slot);
        if let Some(location) = self.slots.get(&key) {
            return Ok(location);
        }
        let location = |index| SlotLocation {
            index,
            account: account.index,
            slot,
            base: OnceLock::new(),
            values: Versions::default(),
        };
        self.slots.insert(location).ok_or_else(lost)
    }

    /// A slot's value before the block.
    pub(super) fn slot_base(&self, location: &SlotLocation) -> Result<U256, ReadError> {
        if let Some(base) = location.base.get() {
            return Ok(*base);
        }
        let account = self.account_at(location.account).ok_or_else(lost)?;
        let base = match account.base {
            Some(_) => self.state.storage_ref(account.address, location.slot).map_err(ReadError::State)?,
            None => U256::ZERO,
        };
        Ok(*location.base.get_or_init(|| base))
    }

    /// A slot's value as the transaction at `position` sees it, and the transaction that it comes from.
    pub(super) fn read_slot(
        &self,
        location: &SlotLocation,
        position: Position,
    ) -> Result<(U256, Option<Position>), ReadError> {
        let written = location.values.below(position, |values| match values.last() {
            Some(last) if last.estimate => Err(Blocked(last.position)),
            Some(last) => Ok(Some((last.value, last.position))),
            None => Ok(None),
        })?;
        let account = self.account_at(location.account);
        let reset = account.map_or(Ok(None), |account| account.last_reset(position))?;
        Ok(match (written, reset) {
            // A transaction that creates a contract writes its storage as well.
            (Some((value, writer)), Some(reset)) if writer >= reset => (value, Some(writer)),
            (_, Some(reset)) => (U256::ZERO, Some(reset)),
            (Some((value, writer)), None) => (value, Some(writer)),
            (None, None) => (self.slot_base(location)?, None),
        })
    }

    /// Code by its hash.
    pub(super) fn code(&self, hash: B256) -> Result<Bytecode, ReadError> {
        if let Some(code) = self.codes.lock().unwrap_or_else(PoisonError::into_inner).get(&hash) {
            return Ok(code.clone());
        }
        self.state.code_by_hash_ref(hash).map_err(ReadError::State)
    }

    /// Makes code that is new in the block known.
    pub(super) fn add_code(&self, hash: B256, code: &Bytecode) {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_insert_with(|| code.clone());
    }

    /// The hash of an ancestor.
    pub(super) fn block_hash(&self, number: u64) -> Result<B256, ReadError> {
        self.state.block_hash_ref(number).map_err(ReadError::State)
    }

    /// Every account that was asked for.
    pub(super) fn accounts(&self) -> &Table<AccountLocation> {
        &self.accounts
    }

    /// Every slot that was asked for.
    pub(super) fn slots(&self) -> &Table<SlotLocation> {
        &self.slots
    }
}
