//! What a block changes.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use revm::database::states::bundle_state::BundleRetention;
use revm::database::{BundleState, State};
use revm::primitives::KECCAK_EMPTY;
use revm::state::AccountInfo;

/// The changes of a block or a transaction: absolute values, ordered, so that two can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDelta {
    /// The accounts that changed.
    pub accounts: BTreeMap<Address, AccountDelta>,
    /// Code that is new and not empty, by its hash.
    pub codes: BTreeMap<B256, Bytecode>,
}

/// What changed of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountDelta {
    /// Nonce, balance and code hash as they are now; `None` if the account does not exist any more.
    pub account: Option<AccountState>,
    /// Whether all storage from before was removed (SELFDESTRUCT); `storage` comes on top of that.
    pub storage_cleared: bool,
    /// The slots that changed, as they are now.
    pub storage: BTreeMap<U256, U256>,
}

/// An account without its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// How many transactions it sent, or contracts it created.
    pub nonce: u64,
    /// Its balance in wei.
    pub balance: U256,
    /// Keccak-256 of its code.
    pub code_hash: B256,
}

impl From<&AccountInfo> for AccountState {
    fn from(info: &AccountInfo) -> Self {
        Self { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }
    }
}

impl StateDelta {
    /// The changes that a revm state was told of since this was last called.
    ///
    /// revm calls an account destroyed for the rest of the block once it was, so that a later change would clear its storage
    /// again. This is asked for more than once in a block only before Byzantium, when nothing could bring storage back.
    pub(super) fn take<D: revm::Database>(state: &mut State<D>) -> Self {
        state.merge_transitions(BundleRetention::PlainState);
        state.take_bundle().into()
    }

    /// Puts a later delta on top of this one.
    pub fn extend(&mut self, later: Self) {
        for (address, change) in later.accounts {
            let account = self.accounts.entry(address).or_default();
            account.account = change.account;
            if change.storage_cleared {
                account.storage_cleared = true;
                account.storage.clear();
            }
            account.storage.extend(change.storage);
        }
        self.codes.extend(later.codes);
    }
}

impl From<BundleState> for StateDelta {
    fn from(bundle: BundleState) -> Self {
        let changed = bundle.state.into_iter().filter_map(|(address, account)| {
            let storage_cleared = account.status.was_destroyed();
            let storage: BTreeMap<_, _> = account
                .storage
                .iter()
                .filter(|(_, slot)| storage_cleared || slot.is_changed())
                .map(|(slot, value)| (*slot, value.present_value))
                .collect();
            let before = account.original_info.as_ref().map(AccountState::from);
            let now = account.info.as_ref().map(AccountState::from);
            (before != now || storage_cleared || !storage.is_empty())
                .then_some((address, AccountDelta { account: now, storage_cleared, storage }))
        });
        // Whether revm tells of empty code says nothing of the state.
        let codes = bundle.contracts.into_iter().filter(|(hash, _)| *hash != KECCAK_EMPTY);
        Self { accounts: changed.collect(), codes: codes.collect() }
    }
}
