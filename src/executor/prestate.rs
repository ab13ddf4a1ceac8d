//! What one block reads of the state before it, from files.

use std::collections::{BTreeMap, HashMap};

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::map::{AddressMap, B256Map};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::bytecode::Bytecode;
use revm::database_interface::DatabaseRef;
use revm::state::AccountInfo;
use serde::Deserialize;

use super::world::to_bytecode;
use super::{ReadState, StateError};

/// The accounts, slots, code and block hashes that one block reads.
///
/// An account that is not there does not exist, since this is how such files say it; of an account that is there, a slot
/// that is not there is missing, since they list the zero ones they saw.
#[derive(Clone, Debug, Default)]
pub struct PreState {
    accounts: AddressMap<PreAccount>,
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
    /// Parses `{"0x<address>": {"balance", "nonce", "code_hash"?, "storage"}}`.
    pub fn from_json(text: &[u8]) -> Result<Self, PreStateError> {
        let accounts: AddressMap<PreAccount> = parse(text)?;
        for (address, account) in &accounts {
            if account.nonce.to_u64().is_none() {
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
        for hash in self.accounts.values().filter_map(|account| account.code_hash) {
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
        Ok(self.accounts.get(&address).map(|account| AccountInfo {
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
        match self.accounts.get(&address) {
            Some(account) => account.storage.get(&slot).copied().ok_or(StateError::Slot { address, slot }),
            None => Ok(U256::ZERO),
        }
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.block_hashes.get(&number).copied().ok_or(StateError::BlockHash(number))
    }
}

impl ReadState for PreState {}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, PreStateError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| PreStateError::Field {
        path: error.path().to_string(),
        problem: error.into_inner().to_string(),
    })
}
