//! The state as one transaction sees it, and what it read and wrote.

use alloy_primitives::map::B256Map;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::Database;
use revm::bytecode::Bytecode;
use revm::context::TxEnv;
use revm::primitives::KECCAK_EMPTY;
use revm::state::{Account, AccountId, AccountInfo, EvmState};

use super::lazy::{Change, Event};
use super::memory::{AccountLocation, Memory, ReadError, SlotLocation};
use super::multi_version::Position;
use crate::executor::delta::AccountState;
use crate::executor::world::to_bytecode;

/// Reads among which a slot is looked for one by one; where there are more, the memory's table is faster.
const FEW_READS: usize = 32;

/// One read, and what it found. Validation reads again and compares what is found, not who wrote it: a transaction that is
/// executed again and writes the same disturbs nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'m> {
    pub(super) what: ReadOf<'m>,
    /// The highest transaction that it comes from.
    pub(super) from: Option<Position>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ReadOf<'m> {
    /// Nonce, balance and code hash; `None` if the account does not exist.
    Account(&'m AccountLocation, Option<AccountState>),
    /// The code hash alone.
    Code(&'m AccountLocation, B256),
    /// A storage slot's value.
    Slot(&'m SlotLocation, U256),
}

impl Read<'_> {
    /// Whether the transaction at `position` would read the same now.
    pub(super) fn holds(&self, memory: &Memory<'_>, position: Position) -> bool {
        match self.what {
            ReadOf::Account(account, seen) => {
                account.read(position).is_ok_and(|(info, _)| info.as_ref().map(AccountState::from) == seen)
            }
            ReadOf::Code(account, seen) => account.read_code_hash(position).is_ok_and(|(hash, _)| hash == seen),
            ReadOf::Slot(slot, seen) => memory.read_slot(slot, position).is_ok_and(|(value, _)| value == seen),
        }
    }
}

/// One write.
#[derive(Debug)]
pub(super) enum Write<'m> {
    Account(&'m AccountLocation, Change),
    Slot(&'m SlotLocation, U256),
}

/// A place that was written to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Location<'m> {
    Account(&'m AccountLocation),
    Slot(&'m SlotLocation),
}

impl<'m> Write<'m> {
    /// Puts the write into the memory. Returns where, and whether the transaction had written nothing there.
    pub(super) fn publish(self, position: Position, incarnation: u32) -> (Location<'m>, bool) {
        match self {
            Self::Account(account, change) => {
                (Location::Account(account), account.write(position, incarnation, change))
            }
            Self::Slot(slot, value) => (Location::Slot(slot), slot.values.write(position, incarnation, value)),
        }
    }
}

impl Location<'_> {
    /// Makes what was written there an estimate.
    pub(super) fn mark_estimate(self, position: Position) {
        match self {
            Self::Account(account) => account.changes.mark_estimate(position),
            Self::Slot(slot) => slot.values.mark_estimate(position),
        }
    }

    /// Removes what was written there by an earlier incarnation than `incarnation`.
    pub(super) fn remove_stale(self, position: Position, incarnation: u32) {
        match self {
            Self::Account(account) => account.changes.remove_stale(position, incarnation),
            Self::Slot(slot) => slot.values.remove_stale(position, incarnation),
        }
    }
}

/// A transaction that runs no code: all it does to its two accounts commutes with what others do.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainTransfer<'m> {
    pub(super) sender: &'m AccountLocation,
    pub(super) recipient: &'m AccountLocation,
}

/// Reads for one transaction after the other; a thread has one.
#[derive(Debug)]
pub(super) struct View<'m, 's> {
    memory: &'m Memory<'s>,
    position: Position,
    reads: Vec<Read<'m>>,
    /// Code that this thread asked for.
    codes: B256Map<Code>,
    /// Whether code that is asked for again is copied. Each use of shared code counts references in one place, which
    /// threads then take from one another: so all but one thread keep copies of what they use often.
    copies_code: bool,
    /// Why the last execution could not read on.
    error: Option<ReadError>,
}

/// Code that a thread asked for.
#[derive(Debug)]
enum Code {
    Shared(Bytecode),
    Own(Bytecode),
}

impl<'m, 's> View<'m, 's> {
    pub(super) fn new(memory: &'m Memory<'s>, position: Position) -> Self {
        Self { memory, position, reads: Vec::new(), codes: B256Map::default(), copies_code: false, error: None }
    }

    /// The same view, with copies of the code that is often asked for.
    pub(super) fn copying_code(self) -> Self {
        Self { copies_code: true, ..self }
    }

    /// Gets ready for the transaction at `position`.
    pub(super) fn start(&mut self, position: Position) {
        self.position = position;
        self.reads.clear();
        self.error = None;
    }

    /// The transaction, if it runs no code, so that nothing in it depends on a balance but whether it is valid. What it needs
    /// of the state is then read: that there is no code.
    pub(super) fn plain_transfer(&mut self, transaction: &TxEnv) -> Option<PlainTransfer<'m>> {
        // Where something cannot be read, the EVM will ask again and be told.
        let plain = self.find_plain_transfer(transaction).unwrap_or_default();
        if plain.is_none() {
            self.reads.clear();
        }
        plain
    }

    fn find_plain_transfer(&mut self, transaction: &TxEnv) -> Result<Option<PlainTransfer<'m>>, ReadError> {
        let TxKind::Call(to) = transaction.kind else { return Ok(None) };
        // Blobs and authorizations cost and do more; a precompile runs without having code.
        if transaction.tx_type > 2 || to == transaction.caller || may_be_precompile(to) {
            return Ok(None);
        }
        let sender = self.memory.account(transaction.caller)?;
        if !sender.allows_plain_transfer() {
            return Ok(None);
        }
        let recipient = self.memory.account(to)?;
        if !recipient.allows_plain_transfer() {
            return Ok(None);
        }
        for account in [sender, recipient] {
            if self.read_code_hash(account)? != KECCAK_EMPTY {
                return Ok(None);
            }
        }
        Ok(Some(PlainTransfer { sender, recipient }))
    }

    fn read_code_hash(&mut self, account: &'m AccountLocation) -> Result<B256, ReadError> {
        let (hash, from) = account.read_code_hash(self.position)?;
        self.reads.push(Read { what: ReadOf::Code(account, hash), from });
        Ok(hash)
    }

    /// What was read since the start; takes no more room than that needs.
    pub(super) fn take_reads(&mut self) -> Vec<Read<'m>> {
        self.reads.drain(..).collect()
    }

    /// Why a read failed since the start, if one did.
    pub(super) fn take_error(&mut self) -> Option<ReadError> {
        self.error.take()
    }

    /// What the EVM's changes are in terms of the memory. `reward` goes to the beneficiary, where the EVM did not credit it.
    pub(super) fn writes(
        &self,
        state: &EvmState,
        reward: Option<(&'m AccountLocation, U256)>,
    ) -> Result<Vec<Write<'m>>, ReadError> {
        let room: usize = state.values().map(|account| 1 + account.storage.len()).sum();
        let mut writes = Vec::with_capacity(room + 1);
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            let location = self.location(*address, account)?;
            if let Some(change) = change(location, account) {
                if let Change::Set { info: Some(info), .. } = &change
                    && let Some(code) = info.code.as_ref().filter(|code| !code.is_empty())
                    && (account.is_created() || code.is_eip7702())
                {
                    self.memory.add_code(info.code_hash, code);
                }
                writes.push(Write::Account(location, change));
            }
            if !account.is_selfdestructed() {
                for (slot, value) in account.changed_storage_slots() {
                    writes.push(Write::Slot(self.slot(location, *slot)?, value.present_value));
                }
            }
        }
        if let Some((beneficiary, reward)) = reward {
            writes.push(Write::Account(beneficiary, Change::Credit(reward)));
        }
        Ok(writes)
    }

    fn location(&self, address: Address, account: &Account) -> Result<&'m AccountLocation, ReadError> {
        // The EVM carries along where an account is that it was given.
        let index = account.info.account_id.map(AccountId::get);
        let known = index.and_then(|index| self.memory.account_at(index));
        match known.filter(|location| location.address == address) {
            Some(location) => Ok(location),
            None => self.memory.account(address),
        }
    }

    /// Where a slot is: mostly the transaction read it before.
    fn slot(&self, account: &AccountLocation, slot: U256) -> Result<&'m SlotLocation, ReadError> {
        let read = self.reads.iter().take(FEW_READS).find_map(|read| match read.what {
            ReadOf::Slot(location, _) if location.slot == slot && location.account == account.index => Some(location),
            _ => None,
        });
        read.map_or_else(|| self.memory.slot(account, slot), Ok)
    }

    fn read_account(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        let location = self.memory.account(address)?;
        let (info, from) = location.read(self.position)?;
        self.reads.push(Read { what: ReadOf::Account(location, info.as_ref().map(AccountState::from)), from });
        Ok(info.map(|info| in_place(location, info)))
    }

    fn read_slot(&mut self, account: &'m AccountLocation, slot: U256) -> Result<U256, ReadError> {
        let location = self.memory.slot(account, slot)?;
        let (value, from) = self.memory.read_slot(location, self.position)?;
        self.reads.push(Read { what: ReadOf::Slot(location, value), from });
        Ok(value)
    }

    /// Remembers why a read failed: what the EVM makes of it is a text.
    fn remember<T>(&mut self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        read.inspect_err(|error| self.error = Some(error.clone()))
    }
}

impl Database for View<'_, '_> {
    type Error = ReadError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        let read = self.read_account(address);
        self.remember(read)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, ReadError> {
        match self.codes.get_mut(&hash) {
            Some(Code::Shared(shared)) if self.copies_code => {
                let own = copy(shared);
                self.codes.insert(hash, Code::Own(own.clone()));
                Ok(own)
            }
            Some(Code::Shared(code) | Code::Own(code)) => Ok(code.clone()),
            None => {
                let code = self.memory.code(hash);
                let code = self.remember(code)?;
                self.codes.insert(hash, Code::Shared(code.clone()));
                Ok(code)
            }
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ReadError> {
        let memory = self.memory;
        let read = memory.account(address).and_then(|account| self.read_slot(account, slot));
        self.remember(read)
    }

    fn storage_by_account_id(&mut self, address: Address, account: AccountId, slot: U256) -> Result<U256, ReadError> {
        let memory = self.memory;
        let Some(account) = memory.account_at(account.get()).filter(|account| account.address == address) else {
            return self.storage(address, slot);
        };
        let read = self.read_slot(account, slot);
        self.remember(read)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ReadError> {
        let hash = self.memory.block_hash(number);
        self.remember(hash)
    }
}

/// The same code, with a reference count of its own.
fn copy(code: &Bytecode) -> Bytecode {
    to_bytecode(Bytes::copy_from_slice(code.original_byte_slice()))
}

/// What happened to a touched account; `None` if nothing did that anyone could tell.
fn change(location: &AccountLocation, account: &Account) -> Option<Change> {
    let absent = account.is_loaded_as_not_existing();
    if account.is_selfdestructed() {
        return (!absent).then_some(Change::Set { info: None, event: Event::Destroyed });
    }
    let info = || Some(account.info.clone());
    if account.is_created() {
        return Some(Change::Set { info: info(), event: Event::Created });
    }
    if account.is_empty() {
        return (!absent).then_some(Change::Set { info: None, event: Event::Emptied });
    }
    (account.is_changed() || location.forgets_storage()).then(|| Change::Set { info: info(), event: Event::Changed })
}

/// An account with its place in the memory, which the EVM hands back when it asks for storage.
fn in_place(location: &AccountLocation, info: AccountInfo) -> AccountInfo {
    AccountInfo { account_id: AccountId::new(location.index), ..info }
}

/// Whether an address is in the range that precompiled contracts are in.
fn may_be_precompile(address: Address) -> bool {
    address.starts_with(&[0; 18])
}
