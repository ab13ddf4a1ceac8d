//! A whole state in memory, with its root.

use std::collections::{BTreeMap, HashMap};

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_genesis::Genesis;
use alloy_primitives::map::{AddressMap, B256Map};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::TrieAccount;
use revm::bytecode::Bytecode;
use revm::database_interface::DatabaseRef;
use revm::state::AccountInfo;

use super::delta::{AccountDelta, AccountState, StateDelta};
use super::trie::{Trie, storage_value};
use super::{ReadState, RootTracker, StateError};

/// How far back BLOCKHASH sees.
const BLOCK_HASHES: u64 = 256;

/// A chain's whole state in memory: every account with its storage, all code, the last block hashes, and the tries over
/// them. Grows with the number of accounts and slots, not with the length of the chain.
#[derive(Clone, Debug, Default)]
pub struct WorldState {
    accounts: AddressMap<Account>,
    trie: Trie,
    codes: B256Map<Bytecode>,
    block_hashes: HashMap<u64, B256>,
}

#[derive(Clone, Debug)]
struct Account {
    state: AccountState,
    storage: HashMap<U256, U256>,
    storage_trie: Trie,
    /// The root of the storage trie as the account's leaf holds it.
    storage_root: B256,
}

impl Account {
    fn new(state: AccountState) -> Self {
        Self {
            state,
            storage: HashMap::new(),
            storage_trie: Trie::default(),
            storage_root: alloy_trie::EMPTY_ROOT_HASH,
        }
    }
}

impl WorldState {
    /// The state that a genesis allocates.
    #[must_use]
    pub fn from_genesis(genesis: &Genesis) -> Self {
        let mut delta = StateDelta::default();
        for (address, allocated) in &genesis.alloc {
            let code = allocated.code.clone().unwrap_or_default();
            let code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak256(&code) };
            let account = delta.accounts.entry(*address).or_default();
            account.account = Some(AccountState {
                nonce: allocated.nonce.unwrap_or_default(),
                balance: allocated.balance,
                code_hash,
            });
            account.storage = allocated
                .storage
                .iter()
                .flatten()
                .map(|(slot, value)| (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0)))
                .collect();
            if !code.is_empty() {
                delta.codes.insert(code_hash, to_bytecode(code));
            }
        }
        let mut world = Self::default();
        world.apply(&delta);
        world
    }

    /// Puts changes into the state, and returns those that undo them.
    pub fn apply(&mut self, delta: &StateDelta) -> StateDelta {
        for (hash, code) in &delta.codes {
            self.codes.entry(*hash).or_insert_with(|| code.clone());
        }
        let accounts = delta.accounts.iter().map(|(address, change)| (*address, self.change(*address, change)));
        StateDelta { accounts: accounts.collect(), codes: BTreeMap::new() }
    }

    /// Changes an account, and returns what changes it back.
    fn change(&mut self, address: Address, change: &AccountDelta) -> AccountDelta {
        let before = self.accounts.get(&address).map(|account| account.state);
        let Some(state) = change.account else {
            let removed = self.accounts.remove(&address);
            self.trie.set(keccak256(address), None);
            let storage = removed.into_iter().flat_map(|account| account.storage).collect();
            return AccountDelta { account: before, storage_cleared: false, storage };
        };
        let account = self.accounts.entry(address).or_insert_with(|| Account::new(state));
        account.state = state;
        let mut undo = AccountDelta { account: before, ..AccountDelta::default() };
        if change.storage_cleared {
            account.storage_trie = Trie::default();
            undo.storage = account.storage.drain().collect();
            undo.storage_cleared = true;
        }
        for (slot, value) in &change.storage {
            let old =
                if value.is_zero() { account.storage.remove(slot) } else { account.storage.insert(*slot, *value) };
            if !change.storage_cleared {
                undo.storage.insert(*slot, old.unwrap_or_default());
            }
            account.storage_trie.set(keccak256(slot.to_be_bytes::<32>()), storage_value(*value));
        }
        if change.storage_cleared || !change.storage.is_empty() {
            account.storage_root = account.storage_trie.root();
        }
        let leaf = TrieAccount {
            nonce: state.nonce,
            balance: state.balance,
            storage_root: account.storage_root,
            code_hash: state.code_hash,
        };
        self.trie.set(keccak256(address), Some(alloy_rlp::encode(leaf)));
        undo
    }

    /// The root of the state's trie.
    pub fn root(&mut self) -> B256 {
        self.trie.root()
    }

    /// Records the hash of a block for BLOCKHASH, and forgets the one that is out of its sight.
    pub fn record_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
        if let Some(old) = number.checked_sub(BLOCK_HASHES) {
            self.block_hashes.remove(&old);
        }
    }

    /// The number of accounts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there is no account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

impl DatabaseRef for WorldState {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.accounts.get(&address).map(|account| AccountInfo {
            balance: account.state.balance,
            nonce: account.state.nonce,
            code_hash: account.state.code_hash,
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        if code_hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        self.codes.get(&code_hash).cloned().ok_or(StateError::Code(code_hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        let account = self.accounts.get(&address);
        Ok(account.and_then(|account| account.storage.get(&slot)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.block_hashes.get(&number).copied().ok_or(StateError::BlockHash(number))
    }
}

impl ReadState for WorldState {
    fn root_tracker(&self) -> Option<Box<dyn RootTracker + '_>> {
        Some(Box::new(self.clone()))
    }
}

impl RootTracker for WorldState {
    fn root_after(&mut self, delta: &StateDelta) -> B256 {
        self.apply(delta);
        self.root()
    }
}

/// Code as the EVM wants it; an EIP-7702 designator with a wrong version is ordinary code.
pub(super) fn to_bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}
