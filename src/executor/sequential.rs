//! The sequential executor: one transaction after the other, on revm. The oracle of every other executor.

use std::sync::OnceLock;

use alloy_consensus::Eip658Value;
use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::{Address, B256, U256};
use revm::DatabaseCommit;
use revm::bytecode::Bytecode;
use revm::context_interface::result::EVMError;
use revm::database::State;
use revm::database_interface::DatabaseRef;
use revm::state::AccountInfo;

use super::accounting::{Accounting, Executed, Totals};
use super::delta::StateDelta;
use super::environment::{block_environment, transaction_environment};
use super::{ExecutionError, Executor, Outcome, ReadState, StateError, block as steps};
use crate::chain::ethereum::{ChainSpec, VerifiedBlock};

/// Executes a block's transactions one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequentialExecutor;

impl Executor for SequentialExecutor {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        let watched = WatchedState::new(state);
        let mut progress = None;
        execute(chain, block, &watched, &mut progress).map_err(|error| match watched.missing.get() {
            // Whatever the EVM made of it, this is what went wrong.
            Some(missing) => ExecutionError::State { index: progress, error: missing.clone() },
            None => error,
        })
    }
}

fn execute(
    chain: &ChainSpec,
    block: &VerifiedBlock,
    watched: &WatchedState<'_>,
    progress: &mut Option<usize>,
) -> Result<Outcome, ExecutionError> {
    let header = block.header();
    let forks = chain.at(header);
    let needs_roots = !forks.has(Fork::Byzantium) && !block.transactions().is_empty();
    let mut roots = if needs_roots { watched.state.root_tracker() } else { None };
    let mut state = State::builder().with_database_ref(watched).with_bundle_update().build();
    let mut evm = EthEvmFactory::default().create_evm(&mut state, block_environment(header, &forks));
    let mut delta = StateDelta::default();
    let mut accounting = Accounting::new(block);

    steps::begin(&mut evm, block, &forks)?;
    for (index, verified) in block.transactions().iter().enumerate() {
        *progress = Some(index);
        accounting.check_gas_limit()?;
        let result = evm.transact_raw(transaction_environment(verified)).map_err(|error| failed(index, error))?;
        let executed = Executed::from(result.result);
        evm.db_mut().commit(result.state);
        let status = match &mut roots {
            Some(roots) => {
                let change = StateDelta::take(evm.db_mut());
                let root = roots.root_after(&change);
                delta.extend(change);
                Eip658Value::PostState(root)
            }
            None => executed.status(),
        };
        accounting.add(executed, status);
    }
    *progress = None;
    let requests = steps::finish(&mut evm, block, accounting.receipts(), &forks)?;
    drop(evm);
    delta.extend(StateDelta::take(&mut state));
    let receipts_have_roots = !needs_roots || roots.is_some();
    let Totals { receipts, gas_used, blob_gas_used } = accounting.into_totals();
    Ok(Outcome { receipts, receipts_have_roots, gas_used, blob_gas_used, requests, delta })
}

fn failed<E: std::fmt::Display>(index: usize, error: EVMError<E>) -> ExecutionError {
    match error {
        EVMError::Transaction(problem) => ExecutionError::InvalidTransaction { index, problem: problem.to_string() },
        EVMError::Header(problem) => {
            ExecutionError::InvalidBlock { step: "block environment", problem: problem.to_string() }
        }
        other => ExecutionError::Engine { index: Some(index), problem: other.to_string() },
    }
}

/// Passes reads on, and remembers the first that failed: by the time the EVM reports it, it is a text.
#[derive(Debug)]
pub(super) struct WatchedState<'a> {
    state: &'a dyn ReadState,
    missing: OnceLock<StateError>,
}

impl<'a> WatchedState<'a> {
    pub(super) fn new(state: &'a dyn ReadState) -> Self {
        Self { state, missing: OnceLock::new() }
    }

    fn watch<T>(&self, read: Result<T, StateError>) -> Result<T, StateError> {
        read.inspect_err(|error| {
            let _ = self.missing.set(error.clone());
        })
    }
}

impl DatabaseRef for WatchedState<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.watch(self.state.basic_ref(address))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.watch(self.state.code_by_hash_ref(code_hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.watch(self.state.storage_ref(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.watch(self.state.block_hash_ref(number))
    }
}
