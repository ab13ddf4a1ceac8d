//! Execution along block access lists (EIP-7928): nothing is speculated, and nothing of the list is believed.
//!
//! A list says what every transaction changes, so that each can be executed by itself, on the state before the block with
//! the changes of those before it taken from the list. What it then really changes and reads is put into a list of the
//! block's own; only if the two are the same, entry by entry, is the outcome one. By induction it then is the sequential
//! one: the first transaction reads nothing from the list, so that its changes are right, so that what the second reads is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::B256;
use revm::context_interface::result::{ExecutionResult, ResultAndState};
use revm::database::State;
use revm::state::EvmState;
use revm::state::bal::alloy::AlloyBal;
use revm::state::bal::{Bal, BlockAccessIndex};
use revm::{DatabaseCommit, database_interface::WrapDatabaseRef};

use super::accounting::{Accounting, Executed, Totals};
use super::environment::{block_environment, transaction_environment};
use super::sequential::WatchedState;
use super::statistics::{ExecutionStatistics, Statistics};
use super::workers::{At, Workers, guard};
use super::{ExecutionError, Executor, Outcome, ReadState, SequentialExecutor, StateDelta, block as steps};
use crate::chain::ethereum::{ChainSpec, VerifiedBlock};
use crate::error::Error;

/// What a block reads and changes: alloy's type, whose RLP is the EIP's.
pub type BlockAccessList = AlloyBal;

/// Executes blocks along their access lists, transactions in any order.
#[derive(Debug)]
pub struct AccessListExecutor {
    workers: Workers,
    /// By the hash of the block that they are for.
    lists: Mutex<HashMap<B256, BlockAccessList>>,
    statistics: Statistics,
}

impl AccessListExecutor {
    /// An executor on `threads` threads; zero means one for each core.
    pub fn new(threads: usize) -> Result<Self, Error> {
        Ok(Self { workers: Workers::new(threads)?, lists: Mutex::default(), statistics: Statistics::default() })
    }

    /// Hands in the list of the block with this hash. It is taken out when the block is executed.
    pub fn add(&self, block: B256, list: BlockAccessList) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).insert(block, list);
    }

    /// Executes a block along a list, and returns its outcome, or what is wrong with the list.
    pub fn execute_along(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
        list: &BlockAccessList,
    ) -> Result<Outcome, ExecutionError> {
        let start = Instant::now();
        if !chain.at(block.header()).has(Fork::Cancun) {
            return Err(wrong("before Cancun, a contract can be removed in ways that no list tells of"));
        }
        let bal = Bal::try_from(list.clone()).map_err(|problem| wrong(&problem.to_string()))?;
        let along = Along { chain, block, watched: WatchedState::new(state), bal: Arc::new(bal) };
        let prepared = Instant::now();
        let results = along.execute(&self.workers)?;
        let executed = Instant::now();
        let outcome = match results.and_then(|results| along.commit(results)) {
            Ok((outcome, found)) if found == *list => outcome,
            Ok((_, found)) => return Err(wrong(&first_difference(list, &found))),
            // Either the list misled a transaction, or the block is invalid on any list.
            Err(problem) => return SequentialExecutor.execute(chain, block, state).and(Err(wrong(&problem))),
        };
        self.statistics.add(ExecutionStatistics {
            parallel_blocks: 1,
            transactions: block.transactions().len() as u64,
            executions: block.transactions().len() as u64,
            prepare: prepared - start,
            execute: executed - prepared,
            commit: executed.elapsed(),
            ..ExecutionStatistics::default()
        });
        Ok(outcome)
    }
}

impl Executor for AccessListExecutor {
    fn name(&self) -> &'static str {
        "access-list"
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        let list = self.lists.lock().unwrap_or_else(PoisonError::into_inner).remove(&block.id().hash);
        let list = list.ok_or_else(|| wrong("there is none for this block"))?;
        guard(|| self.execute_along(chain, block, state, &list))
    }

    fn statistics(&self) -> ExecutionStatistics {
        self.statistics.get()
    }
}

/// Executes blocks in sequence, and keeps the access list of the last one.
#[derive(Debug, Default)]
pub struct AccessListBuilder {
    last: Mutex<Option<BlockAccessList>>,
}

impl AccessListBuilder {
    /// Takes the list of the block that was executed last, if that came to its end.
    #[must_use]
    pub fn take(&self) -> Option<BlockAccessList> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Executor for AccessListBuilder {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        drop(self.take());
        // What is wrong with a block, if something is, the sequential executor says best; and it knows of Byzantium.
        let outcome = SequentialExecutor.execute(chain, block, state)?;
        let along = Along { chain, block, watched: WatchedState::new(state), bal: Arc::default() };
        let (_, list) = along.in_sequence().map_err(|problem| ExecutionError::Engine { index: None, problem })?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(list);
        Ok(outcome)
    }
}

/// What one transaction did.
type Done = (ExecutionResult, EvmState);

/// A block and the list it is executed along.
struct Along<'a> {
    chain: &'a ChainSpec,
    block: &'a VerifiedBlock,
    watched: WatchedState<'a>,
    bal: Arc<Bal>,
}

impl Along<'_> {
    /// Executes each transaction on what the list says comes before it. The inner error is what one met that its list does
    /// not have, or that makes it invalid.
    fn execute(&self, workers: &Workers) -> Result<Result<Vec<Done>, String>, ExecutionError> {
        let transactions = self.block.transactions();
        let done: Vec<OnceLock<Result<Done, String>>> = transactions.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let work = |_, at: &At| {
            let database = WrapDatabaseRef(&self.watched);
            let mut state = State::builder().with_database(database).with_bal(self.bal.clone()).build();
            let forks = self.chain.at(self.block.header());
            let environment = block_environment(self.block.header(), &forks);
            let mut evm = EthEvmFactory::default().create_evm(&mut state, environment);
            while !stop.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(verified) = transactions.get(index) else { break };
                at.set(Some(index));
                evm.db_mut().set_bal_index(BlockAccessIndex::new(index as u64 + 1));
                let result = evm.transact_raw(transaction_environment(verified));
                let result = result.map(|ResultAndState { result, state }| (result, state));
                let result = result.map_err(|problem| format!("transaction {index}: {problem}"));
                if result.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                let _ = done[index].set(result);
            }
        };
        workers.run(&work, &|| stop.store(true, Ordering::Relaxed))?;
        // The first that failed; those after it may be missing.
        let done = done.into_iter().map_while(OnceLock::into_inner);
        let done: Result<Vec<_>, _> = done.collect();
        Ok(done.and_then(|done| {
            if done.len() == transactions.len() { Ok(done) } else { Err("a later transaction failed".to_owned()) }
        }))
    }

    /// Commits in order what transactions did, which is the outcome if all read what they should have, and builds the list
    /// of that.
    fn commit(&self, results: Vec<Done>) -> Result<(Outcome, BlockAccessList), String> {
        let mut results = results.into_iter();
        self.fold(&mut |_, _| results.next().ok_or_else(|| "a transaction is missing".to_owned()))
    }

    /// Executes in order.
    fn in_sequence(&self) -> Result<(Outcome, BlockAccessList), String> {
        self.fold(&mut |evm, index| {
            let transaction = transaction_environment(&self.block.transactions()[index]);
            let ResultAndState { result, state } = evm.transact(transaction)?;
            Ok((result, state))
        })
    }

    fn fold(
        &self,
        next: &mut dyn FnMut(&mut dyn Transact, usize) -> Result<Done, String>,
    ) -> Result<(Outcome, BlockAccessList), String> {
        let header = self.block.header();
        let forks = self.chain.at(header);
        let say = |problem: ExecutionError| problem.to_string();
        let mut state =
            State::builder().with_database_ref(&self.watched).with_bundle_update().with_bal_builder().build();
        let mut evm = EthEvmFactory::default().create_evm(&mut state, block_environment(header, &forks));
        let mut accounting = Accounting::new(self.block);
        steps::begin(&mut evm, self.block, &forks).map_err(say)?;
        for index in 0..self.block.transactions().len() {
            evm.db_mut().bump_bal_index();
            accounting.check_gas_limit().map_err(say)?;
            let (result, changes) = next(&mut evm, index)?;
            let executed = Executed::from(result);
            evm.db_mut().commit(changes);
            let status = executed.status();
            accounting.add(executed, status);
        }
        evm.db_mut().bump_bal_index();
        let requests = steps::finish(&mut evm, self.block, accounting.receipts(), &forks).map_err(say)?;
        drop(evm);
        let list = state.take_built_alloy_bal().unwrap_or_default();
        let delta = StateDelta::take(&mut state);
        let Totals { receipts, gas_used, blob_gas_used } = accounting.into_totals();
        Ok((Outcome { receipts, receipts_have_roots: true, gas_used, blob_gas_used, requests, delta }, list))
    }
}

/// An EVM whose database does not matter.
trait Transact {
    fn transact(&mut self, transaction: revm::context::TxEnv) -> Result<ResultAndState, String>;
}

impl<E: Evm<Tx = revm::context::TxEnv, HaltReason = revm::context_interface::result::HaltReason>> Transact for E {
    fn transact(&mut self, transaction: revm::context::TxEnv) -> Result<ResultAndState, String> {
        self.transact_raw(transaction).map_err(|problem| problem.to_string())
    }
}

fn wrong(problem: &str) -> ExecutionError {
    ExecutionError::AccessList { problem: problem.to_owned() }
}

/// Where a list first differs from the one that the block really has.
fn first_difference(stated: &BlockAccessList, found: &BlockAccessList) -> String {
    for (stated, found) in stated.iter().zip(found) {
        if stated.address != found.address {
            return format!("it lists account {} where {} is due", stated.address, found.address);
        }
        let what = if stated.storage_changes != found.storage_changes {
            "storage changes"
        } else if stated.storage_reads != found.storage_reads {
            "storage reads"
        } else if stated.balance_changes != found.balance_changes {
            "balance changes"
        } else if stated.nonce_changes != found.nonce_changes {
            "nonce changes"
        } else if stated.code_changes != found.code_changes {
            "code changes"
        } else {
            continue;
        };
        return format!("the {what} of account {} are others", found.address);
    }
    format!("it lists {} accounts where there are {}", stated.len(), found.len())
}
