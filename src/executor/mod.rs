//! Executing verified blocks.
//!
//! An [`Executor`] takes a [`VerifiedBlock`] and a state to read from, and returns receipts and a [`StateDelta`];
//! it writes nothing. What it returns is compared with the header by [`check_outcome`]. The sequential executor is the
//! oracle of every other.

mod access_list;
mod accounting;
mod block;
mod block_stm;
mod builder;
mod checked;
mod delta;
mod environment;
mod ledger;
mod ommers;
mod outcome;
mod prestate;
mod sequential;
mod statistics;
mod trie;
mod workers;
mod world;

pub use access_list::{AccessListBuilder, AccessListExecutor, BlockAccessList};
pub use block_stm::{BlockStmExecutor, Dependency, ShardedExecutor};
pub use builder::{BlockAttributes, BuildError};
pub use checked::CheckedExecutor;
pub use delta::{AccountDelta, AccountState, StateDelta};
pub use ledger::{Imported, Ledger, LedgerError};
pub use outcome::{Outcome, check_outcome};
pub use prestate::{PreState, PreStateError, PreStateReads};
pub use sequential::SequentialExecutor;
pub use statistics::{ExecutionStatistics, ShardStatistics};
pub use world::WorldState;

/// The EVM, whose types appear in [`ReadState`].
pub use revm;

use alloy_primitives::{Address, B256, U256};
use revm::database_interface::{DBErrorMarker, DatabaseRef};

use crate::chain::ethereum::{ChainSpec, VerifiedBlock};

/// A state to read from while a block executes.
///
/// revm's read-only database, with an error that says what is missing; shared by threads.
pub trait ReadState: DatabaseRef<Error = StateError> + std::fmt::Debug + Send + Sync {
    /// What computes the state root after each transaction of a block, for the receipts from before Byzantium; `None`
    /// where the whole state is not known.
    fn root_tracker(&self) -> Option<Box<dyn RootTracker + '_>> {
        None
    }
}

/// Follows a block's changes and computes the state root after each.
pub trait RootTracker {
    /// Applies the next change and returns the root of what results.
    fn root_after(&mut self, delta: &StateDelta) -> B256;
}

/// Something the block reads that the state does not hold. Execution cannot go on, and says nothing of the block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// An account, where absence does not mean that it does not exist.
    #[error("the state lacks account {0}")]
    Account(Address),
    /// A storage slot of an account whose other slots are there.
    #[error("the state lacks slot {slot:#x} of account {address}")]
    Slot {
        /// The account.
        address: Address,
        /// The slot's index.
        slot: U256,
    },
    /// An account's code.
    #[error("the state lacks the code with hash {0}")]
    Code(B256),
    /// The hash of an ancestor, asked for by BLOCKHASH.
    #[error("the state lacks the hash of block {0}")]
    BlockHash(u64),
    /// The state could not be read: what the database behind it says.
    #[error("the state could not be read: {0}")]
    Backend(String),
}

impl DBErrorMarker for StateError {}

/// Why a block was not executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// A transaction cannot be in this block: wrong nonce, too little balance, too much gas. The block is invalid.
    #[error("transaction {index}: {problem}")]
    InvalidTransaction {
        /// Its place in the block.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A step before or after the transactions failed as it never may. The block is invalid.
    #[error("{step}: {problem}")]
    InvalidBlock {
        /// Which step.
        step: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The block's access list is not what the block reads and changes. It was not executed along it; whether it is valid
    /// stays open.
    #[error("access list: {problem}")]
    AccessList {
        /// What is wrong with the list.
        problem: String,
    },
    /// The EVM itself failed. Whether the block is valid stays open.
    #[error("{}the EVM failed: {problem}", place(*.index))]
    Engine {
        /// The transaction it failed in; `None` before the first or after the last.
        index: Option<usize>,
        /// What it says.
        problem: String,
    },
    /// The state lacks something that is read. Whether the block is valid stays open.
    #[error("{}{error}", place(*.index))]
    State {
        /// The transaction that reads it; `None` before the first or after the last.
        index: Option<usize>,
        /// What is missing.
        error: StateError,
    },
}

impl ExecutionError {
    /// Whether the block is to blame, and not what it was executed on.
    #[must_use]
    pub fn is_invalid_block(&self) -> bool {
        matches!(self, Self::InvalidTransaction { .. } | Self::InvalidBlock { .. })
    }
}

fn place(index: Option<usize>) -> String {
    index.map_or_else(String::new, |index| format!("transaction {index}: "))
}

/// Executes blocks.
pub trait Executor: Send + Sync {
    /// The name it is chosen by.
    fn name(&self) -> &'static str;

    /// Executes a block on a state and returns what it yields. The state is not changed.
    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError>;

    /// What it did so far to get its results.
    fn statistics(&self) -> ExecutionStatistics {
        ExecutionStatistics::default()
    }
}

impl<E: Executor + ?Sized> Executor for std::sync::Arc<E> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        (**self).execute(chain, block, state)
    }

    fn statistics(&self) -> ExecutionStatistics {
        (**self).statistics()
    }
}
