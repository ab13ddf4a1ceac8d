//! A chain followed block by block: its state and its head.

use std::time::{Duration, Instant};

use alloy_consensus::Header;
use alloy_genesis::Genesis;
use alloy_primitives::{B256, U256};

use super::ommers::Ancestry;
use super::outcome::{Outcome, check_outcome};
use super::world::WorldState;
use super::{ExecutionError, Executor};
use crate::chain::ethereum::header::{self, HeaderError};
use crate::chain::ethereum::{BlockId, ChainSpec, Ommers, Problem, SpecError, VerifiedBlock, genesis_header};

/// The whole state of a chain at its newest block, and what the next block must follow.
#[derive(Clone, Debug)]
pub struct Ledger {
    chain: ChainSpec,
    state: WorldState,
    head: Header,
    head_hash: B256,
    total_difficulty: U256,
    ancestry: Ancestry,
}

/// What importing a block did.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The block.
    pub id: BlockId,
    /// What executing it yielded.
    pub outcome: Outcome,
    /// How long executing it took.
    pub execute_time: Duration,
    /// How long it took to put its changes into the state and compare every root.
    pub commit_time: Duration,
}

/// Why a block was not imported. The ledger is where it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The block is invalid.
    #[error("{}", first_of(.0))]
    Invalid(Vec<Problem>),
    /// The block could not be executed; whether it is valid stays open.
    #[error("{0}")]
    NotExecuted(ExecutionError),
}

fn first_of(problems: &[Problem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}

impl Ledger {
    /// The ledger at a chain's genesis.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, SpecError> {
        let chain = ChainSpec::from_genesis(genesis)?;
        let mut state = WorldState::from_genesis(genesis);
        let head = genesis_header(genesis, &chain, state.root());
        let head_hash = head.hash_slow();
        state.record_block_hash(head.number, head_hash);
        let mut ancestry = Ancestry::default();
        ancestry.push(&head, head_hash, &Ommers::Headers(Vec::new()));
        Ok(Self { chain, state, total_difficulty: head.difficulty, head, head_hash, ancestry })
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &ChainSpec {
        &self.chain
    }

    /// The state after the newest block.
    #[must_use]
    pub fn state(&self) -> &WorldState {
        &self.state
    }

    /// The newest block's header.
    #[must_use]
    pub fn head(&self) -> &Header {
        &self.head
    }

    /// The newest block's place in the chain.
    #[must_use]
    pub fn head_id(&self) -> BlockId {
        BlockId { number: self.head.number, hash: self.head_hash }
    }

    /// Executes the next block, compares what it yields with its header, and makes it the head.
    pub fn import(&mut self, executor: &dyn Executor, block: &VerifiedBlock) -> Result<Imported, LedgerError> {
        let header = block.header();
        self.check_follows(header).map_err(|error| LedgerError::Invalid(vec![Problem::Header(error)]))?;
        self.ancestry
            .check(&self.chain, block.ommers())
            .map_err(|error| LedgerError::Invalid(vec![Problem::Execution(error.to_string())]))?;
        let start = Instant::now();
        let outcome = executor.execute(&self.chain, block, &self.state).map_err(|error| {
            if error.is_invalid_block() {
                LedgerError::Invalid(vec![Problem::Execution(error.to_string())])
            } else {
                LedgerError::NotExecuted(error)
            }
        })?;
        let executed = Instant::now();
        let undo = self.state.apply(&outcome.delta);
        let mismatches = check_outcome(header, &outcome, Some(self.state.root()));
        if !mismatches.is_empty() {
            self.state.apply(&undo);
            return Err(LedgerError::Invalid(mismatches.into_iter().map(Problem::Mismatch).collect()));
        }
        self.advance(header.clone(), block.id().hash, block.ommers());
        Ok(Imported { id: block.id(), outcome, execute_time: executed - start, commit_time: executed.elapsed() })
    }

    /// Applies an outcome and returns the state root, for a block that is being built.
    pub(super) fn apply_built(&mut self, outcome: &Outcome) -> B256 {
        self.state.apply(&outcome.delta);
        self.state.root()
    }

    /// Makes a block, whose changes are in the state, the head.
    pub(super) fn advance(&mut self, header: Header, hash: B256, ommers: &Ommers) {
        self.ancestry.push(&header, hash, ommers);
        self.state.record_block_hash(header.number, hash);
        self.total_difficulty = self.total_difficulty.saturating_add(header.difficulty);
        self.head_hash = hash;
        self.head = header;
    }

    /// Whether a header can follow the head.
    pub(super) fn check_follows(&self, header: &Header) -> Result<(), HeaderError> {
        let forks = self.chain.at(header);
        header::check_parent(header, &self.head, self.head_hash, self.total_difficulty, &forks)
    }
}
