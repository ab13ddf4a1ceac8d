//! A workload as a chain of sealed blocks.

use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256};

use super::{Workload, WorkloadConfig, WorkloadError};
use crate::chain::ethereum::{Block, SpecError};
use crate::executor::{BlockAttributes, BuildError, Executor, Ledger, SequentialExecutor};
use crate::verifier::Verifier;

/// Seconds between two blocks, and of the first.
const BLOCK_TIME: u64 = 12;

/// Who gets the tips of every block.
const BENEFICIARY: Address = Address::repeat_byte(0xbe);

/// Makes a workload's blocks one after the other, each executed to fill in its header.
///
/// Its memory grows with the accounts that the workload touches, not with the number of blocks.
#[derive(Debug)]
pub struct WorkloadChain {
    workload: Workload,
    genesis: Genesis,
    ledger: Ledger,
    senders: Vec<Address>,
}

/// Why a workload makes no chain. All but the configuration's errors are mistakes in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadChainError {
    /// The configuration.
    #[error("{0}")]
    Workload(#[from] WorkloadError),
    /// The genesis.
    #[error("the workload's genesis: {0}")]
    Genesis(#[from] SpecError),
    /// A block.
    #[error("the workload's block {number}: {error}")]
    Block {
        /// Its number.
        number: u64,
        /// What is wrong.
        error: BuildError,
    },
}

impl WorkloadChain {
    /// The chain at its genesis.
    pub fn new(config: WorkloadConfig) -> Result<Self, WorkloadChainError> {
        let workload = Workload::new(config)?;
        let genesis = workload.genesis();
        let ledger = Ledger::from_genesis(&genesis)?;
        Ok(Self { workload, genesis, ledger, senders: Vec::new() })
    }

    /// The genesis, in geth's form.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Who sent each transaction of the block made last, in order.
    #[must_use]
    pub fn senders(&self) -> &[Address] {
        &self.senders
    }

    /// The next block, `None` after the last.
    pub fn next_block(&mut self, verifier: &Verifier) -> Option<Result<Block, WorkloadChainError>> {
        self.next_block_on(verifier, &SequentialExecutor)
    }

    /// The next block, executed by `executor`.
    pub fn next_block_on(
        &mut self,
        verifier: &Verifier,
        executor: &dyn Executor,
    ) -> Option<Result<Block, WorkloadChainError>> {
        let next = verifier.cpu_backend().install(|| self.workload.next())?;
        self.senders = next.senders;
        let attributes = BlockAttributes {
            timestamp: self.ledger.head().timestamp.saturating_add(BLOCK_TIME),
            beneficiary: BENEFICIARY,
            prev_randao: B256::with_last_byte(next.number.to_le_bytes()[0]),
            parent_beacon_block_root: B256::ZERO,
            withdrawals: Vec::new(),
        };
        let built = self.ledger.build(verifier, executor, attributes, next.transactions);
        Some(built.map_err(|error| WorkloadChainError::Block { number: next.number, error }))
    }
}
