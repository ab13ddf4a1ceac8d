//! What one block reads of the state before it, from files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use alloy_consensus::Transaction as _;
use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::map::{AddressMap, B256Map};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use revm::bytecode::Bytecode;
use revm::database_interface::DatabaseRef;
use revm::state::AccountInfo;
use serde::Deserialize;

use super::world::to_bytecode;
use super::{ExecutionError, ReadState, StateError};
use crate::chain::ethereum::{VerifiedBlock, VerifiedTransaction};

/// The accounts, slots, code and block hashes that one block reads.
///
/// An account that is `null`, or is not there, does not exist; of an account that is there, a slot that is not there is
/// missing, since such files list the zero ones they saw. They seldom list the accounts that they saw not to exist, so
/// that one left out by mistake cannot be told from those: [`PreStateReads`] remembers both.
#[derive(Clone, Debug, Default)]
pub struct PreState {
    accounts: AddressMap<Option<PreAccount>>,
    codes: B256Map<Bytes>,
    block_hashes: HashMap<u64, B256>,
}

#[derive(Clone, Debug, Deserialize)]
struct PreAccount {
    balance: U256,
    nonce: Number,
    #[serde(default)]
    code_hash: Option<B256>,
    #[serde(default)]
    storage: HashMap<U256, U256>,
}

/// A number as JSON writes it, or as hexadecimal text.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(U256),
}

/// Why a file is no pre-state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreStateError {
    /// A field is missing or malformed.
    #[error("field {path}: {problem}")]
    Field {
        /// Where.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Code that does not have the hash it is listed under.
    #[error("field {listed}: the code there has hash {computed}")]
    CodeHash {
        /// The hash it is listed under.
        listed: B256,
        /// The hash it has.
        computed: B256,
    },
}

impl PreState {
    /// Parses `{"0x<address>": {"balance", "nonce", "code_hash"?, "storage"}}`, with `null` for an account that does not
    /// exist.
    pub fn from_json(text: &[u8]) -> Result<Self, PreStateError> {
        let accounts: AddressMap<Option<PreAccount>> = parse(text)?;
        for (address, account) in &accounts {
            if account.as_ref().is_some_and(|account| account.nonce.to_u64().is_none()) {
                return Err(PreStateError::Field {
                    path: format!("{address}.nonce"),
                    problem: "does not fit 64 bits".to_owned(),
                });
            }
        }
        Ok(Self { accounts, ..Self::default() })
    }

    /// Adds code, `{"0x<hash>": "0x<code>"}`, of which only what the accounts refer to is kept, and checked against its
    /// hash.
    pub fn add_codes_from_json(&mut self, text: &[u8]) -> Result<(), PreStateError> {
        let codes: B256Map<Bytes> = parse(text)?;
        for hash in self.accounts.values().flatten().filter_map(|account| account.code_hash) {
            let Some(code) = codes.get(&hash) else { continue };
            let computed = keccak256(code);
            if computed != hash {
                return Err(PreStateError::CodeHash { listed: hash, computed });
            }
            self.codes.insert(hash, code.clone());
        }
        Ok(())
    }

    /// Adds the hashes that BLOCKHASH gives in block `number`: `{"<block>": {"<ancestor>": "0x<hash>"}}`.
    pub fn add_block_hashes_from_json(&mut self, text: &[u8], number: u64) -> Result<(), PreStateError> {
        let mut blocks: BTreeMap<u64, HashMap<u64, B256>> = parse(text)?;
        self.block_hashes.extend(blocks.remove(&number).unwrap_or_default());
        Ok(())
    }

    /// Adds one hash that BLOCKHASH gives.
    pub fn add_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
    }

    fn account(&self, address: Address) -> Option<&PreAccount> {
        self.accounts.get(&address).and_then(Option::as_ref)
    }
}

impl Number {
    fn to_u64(self) -> Option<u64> {
        match self {
            Self::Plain(number) => Some(number),
            Self::Text(number) => number.try_into().ok(),
        }
    }
}

impl DatabaseRef for PreState {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.account(address).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce.to_u64().unwrap_or_default(),
            code_hash: account.code_hash.unwrap_or(KECCAK_EMPTY),
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        if code_hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        self.codes.get(&code_hash).cloned().map(to_bytecode).ok_or(StateError::Code(code_hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        match self.account(address) {
            Some(account) => account.storage.get(&slot).copied().ok_or(StateError::Slot { address, slot }),
            None => Ok(U256::ZERO),
        }
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.block_hashes.get(&number).copied().ok_or(StateError::BlockHash(number))
    }
}

impl ReadState for PreState {}

/// A [`PreState`] that remembers which accounts were asked for that it does not list.
#[derive(Debug)]
pub struct PreStateReads<'a> {
    state: &'a PreState,
    unlisted: Mutex<Vec<Address>>,
}

impl<'a> PreStateReads<'a> {
    /// Reads from `state`.
    #[must_use]
    pub fn new(state: &'a PreState) -> Self {
        Self { state, unlisted: Mutex::default() }
    }

    /// The account whose absence most likely explains that `block` does not execute to its header on this pre-state, with
    /// `error` if it could not be executed to its end; `None` if every account asked for is listed, so that the block
    /// itself is to blame.
    #[must_use]
    pub fn suspect(&self, block: &VerifiedBlock, error: Option<&ExecutionError>) -> Option<Address> {
        let failed = match error {
            Some(ExecutionError::InvalidTransaction { index, .. }) => block.transactions().get(*index),
            _ => None,
        };
        let unlisted = self.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
        unlisted.iter().copied().min_by_key(|address| match failed {
            Some(failed) if failed.sender() == *address => Suspicion::SenderOfFailed,
            _ => Suspicion::of(*address, block),
        })
    }
}

/// How likely it is that an account that was asked for and is not listed exists, and matters; most likely first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suspicion {
    /// It sends the transaction that failed.
    SenderOfFailed,
    /// A transaction gives it input, which is for code.
    GivenInput,
    /// Other code reached it.
    ReachedByCode,
    /// Transactions only pay it, which costs the same whether it exists or not.
    PaidOnly,
    /// Nearly every block asks for it, and comes out the same without it.
    SeldomMatters,
}

impl Suspicion {
    fn of(address: Address, block: &VerifiedBlock) -> Self {
        if seldom_matters(address, block) {
            return Self::SeldomMatters;
        }
        let transactions = block.transactions().iter().map(VerifiedTransaction::transaction);
        let to_it = transactions.filter(|&transaction| transaction.kind() == TxKind::Call(address));
        let given_input: Vec<_> = to_it.map(|transaction| !transaction.input().is_empty()).collect();
        match &given_input[..] {
            [] => Self::ReachedByCode,
            given_input if given_input.contains(&true) => Self::GivenInput,
            _ => Self::PaidOnly,
        }
    }
}

fn seldom_matters(address: Address, block: &VerifiedBlock) -> bool {
    let system = [
        eip4788::SYSTEM_ADDRESS,
        eip4788::BEACON_ROOTS_ADDRESS,
        eip2935::HISTORY_STORAGE_ADDRESS,
        eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
        block.header().beneficiary,
    ];
    system.contains(&address) || is_precompile(address)
}

/// Whether an address is in the range that precompiled contracts are in.
fn is_precompile(address: Address) -> bool {
    let (zeros, number) = address.split_at(18);
    zeros.iter().all(|byte| *byte == 0) && number < &[2, 0][..]
}

impl DatabaseRef for PreStateReads<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        if !self.state.accounts.contains_key(&address) {
            let mut unlisted = self.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
            if !unlisted.contains(&address) {
                unlisted.push(address);
            }
        }
        self.state.basic_ref(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.state.code_by_hash_ref(code_hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash_ref(number)
    }
}

impl ReadState for PreStateReads<'_> {}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, PreStateError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| PreStateError::Field {
        path: error.path().to_string(),
        problem: error.into_inner().to_string(),
    })?;
    json.end().map_err(|error| PreStateError::Field { path: "(end)".to_owned(), problem: error.to_string() })?;
    Ok(parsed)
}
