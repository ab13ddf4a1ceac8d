//! What goes wrong goes wrong in parallel as in sequence; and what can only go wrong in parallel is told.
#![cfg(feature = "executor")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_primitives::{Address, B256, U256};
use common::mainnet::with_states;
use phalanx::Verifier;
use phalanx::chain::ethereum::{ChainSpec, VerifiedBlock, verify_block};
use phalanx::executor::revm::bytecode::Bytecode;
use phalanx::executor::revm::database_interface::DatabaseRef;
use phalanx::executor::revm::state::AccountInfo;
use phalanx::executor::{
    AccessListBuilder, AccessListExecutor, BlockAccessList, BlockStmExecutor, CheckedExecutor, ExecutionError,
    Executor, Ledger, Outcome, ReadState, SequentialExecutor, ShardedExecutor, StateError, WorldState,
};
use phalanx::workload::{Mix, WorkloadChain, WorkloadConfig, contracts};

/// A state of which every read beyond a number of them fails, or panics.
#[derive(Debug)]
struct Failing<'a> {
    state: &'a WorldState,
    left: AtomicUsize,
    panics: bool,
}

impl Failing<'_> {
    fn read<T>(&self, address: Address, read: Result<T, StateError>) -> Result<T, StateError> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return read;
        }
        assert!(!self.panics, "on purpose");
        Err(StateError::Account(address))
    }
}

impl DatabaseRef for Failing<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.read(address, self.state.basic_ref(address))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.read(Address::ZERO, self.state.code_by_hash_ref(hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.read(address, self.state.storage_ref(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash_ref(number)
    }
}

impl ReadState for Failing<'_> {}

fn workload() -> (Ledger, VerifiedBlock) {
    let config = WorkloadConfig { blocks: 1, transactions_per_block: 120, accounts: 60, ..WorkloadConfig::default() };
    let mut chain = WorkloadChain::new(WorkloadConfig { mix: Mix::default(), ..config }).unwrap();
    let ledger = Ledger::from_genesis(chain.genesis()).unwrap();
    let verifier = Verifier::cpu();
    let block = chain.next_block(&verifier).unwrap().unwrap();
    let block = verify_block(&verifier, ledger.chain(), block).unwrap().unwrap();
    (ledger, block)
}

fn executors() -> Vec<Box<dyn Executor>> {
    vec![
        Box::new(BlockStmExecutor::new(1).unwrap().always_speculating()),
        Box::new(BlockStmExecutor::new(4).unwrap().always_speculating()),
        Box::new(BlockStmExecutor::new(2).unwrap()),
        Box::new(ShardedExecutor::new(2, 4).unwrap()),
    ]
}

#[test]
fn a_panic_ends_the_block_with_an_error_and_nothing_else() {
    let (ledger, block) = workload();
    for executor in executors() {
        for reads in [0, 1, 20, 100] {
            let state = Failing { state: ledger.state(), left: AtomicUsize::new(reads), panics: true };
            match executor.execute(ledger.chain(), &block, &state) {
                Err(ExecutionError::Engine { problem, .. }) => assert_eq!(problem, "it panicked: on purpose"),
                other => panic!("{}, {reads} reads: {other:?}", executor.name()),
            }
        }
        // It lives, and works.
        let expected = SequentialExecutor.execute(ledger.chain(), &block, ledger.state());
        assert!(expected.is_ok() && executor.execute(ledger.chain(), &block, ledger.state()) == expected);
    }
}

/// A state that lacks an account for good.
#[derive(Debug)]
struct Lacking<'a> {
    state: &'a WorldState,
    account: Address,
}

impl DatabaseRef for Lacking<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        if address == self.account { Err(StateError::Account(address)) } else { self.state.basic_ref(address) }
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.state.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash_ref(number)
    }
}

impl ReadState for Lacking<'_> {}

#[test]
fn what_a_state_lacks_is_named_with_the_transaction_that_reads_it() {
    let (ledger, block) = workload();
    for account in [block.transactions()[70].sender(), contracts::TOKEN, block.header().beneficiary] {
        let state = Lacking { state: ledger.state(), account };
        let expected = SequentialExecutor.execute(ledger.chain(), &block, &state);
        assert!(
            matches!(&expected, Err(ExecutionError::State { error: StateError::Account(lacks), .. }) if *lacks == account)
        );
        for executor in executors() {
            assert_eq!(executor.execute(ledger.chain(), &block, &state), expected, "{}", executor.name());
        }
    }
}

#[test]
fn a_poor_sender_makes_the_block_invalid_at_its_place() {
    let (ledger, block) = workload();
    let sender = block.transactions()[70].sender();
    let mut state = ledger.state().clone();
    let mut delta = phalanx::executor::StateDelta::default();
    let mut info = state.basic_ref(sender).unwrap().unwrap();
    info.balance = U256::from(1_000);
    delta.accounts.entry(sender).or_default().account = Some((&info).into());
    state.apply(&delta);
    let expected = SequentialExecutor.execute(ledger.chain(), &block, &state);
    assert!(matches!(&expected, Err(ExecutionError::InvalidTransaction { .. })), "{expected:?}");
    for executor in executors() {
        assert_eq!(executor.execute(ledger.chain(), &block, &state), expected, "{}", executor.name());
    }
}

/// A list, with one thing in it changed.
type Change = (&'static str, fn(&mut BlockAccessList));

#[test]
fn a_wrong_list_is_told_and_never_followed() {
    let (ledger, block) = workload();
    let builder = AccessListBuilder::default();
    let expected = builder.execute(ledger.chain(), &block, ledger.state()).unwrap();
    let list = builder.take().unwrap();
    let along = AccessListExecutor::new(2).unwrap();
    assert_eq!(along.execute_along(ledger.chain(), &block, ledger.state(), &list).as_ref(), Ok(&expected));
    let changes: [Change; 9] = [
        ("an account less", |list| drop(list.remove(list.len() / 2))),
        ("the last account less", |list| drop(list.pop())),
        ("no account at all", Vec::clear),
        ("an account more", |list| {
            let mut account = list[0].clone();
            account.address = Address::repeat_byte(0xff);
            list.push(account);
        }),
        ("an account twice", |list| list.push(list[0].clone())),
        ("a balance too high", |list| {
            let account = list.iter_mut().find(|account| !account.balance_changes.is_empty()).unwrap();
            account.balance_changes[0].post_balance += U256::ONE;
        }),
        ("a nonce too high", |list| {
            let account = list.iter_mut().find(|account| !account.nonce_changes.is_empty()).unwrap();
            account.nonce_changes[0].new_nonce += 1;
        }),
        ("a slot's value", |list| {
            let account = list.iter_mut().rfind(|account| !account.storage_changes.is_empty()).unwrap();
            account.storage_changes[0].changes[0].new_value += U256::ONE;
        }),
        ("a read less", |list| {
            let account = list.iter_mut().find(|account| !account.storage_reads.is_empty()).unwrap();
            account.storage_reads.pop();
        }),
    ];
    for (what, change) in changes {
        let mut wrong = list.clone();
        change(&mut wrong);
        let outcome = along.execute_along(ledger.chain(), &block, ledger.state(), &wrong);
        assert!(matches!(&outcome, Err(ExecutionError::AccessList { .. })), "{what}: {outcome:?}");
    }
    let none = along.execute(ledger.chain(), &block, ledger.state());
    assert!(matches!(none, Err(ExecutionError::AccessList { .. })), "{none:?}");
    along.add(block.id().hash, list);
    assert_eq!(CheckedExecutor::new(along).execute(ledger.chain(), &block, ledger.state()), Ok(expected));
}

#[test]
fn there_are_no_lists_from_before_cancun() {
    let Some(mut blocks) = with_states() else { return };
    let early = blocks.next().unwrap();
    let along = AccessListExecutor::new(1).unwrap();
    let outcome = along.execute_along(&ChainSpec::mainnet(), &early.block, &early.state, &BlockAccessList::new());
    assert!(matches!(outcome, Err(ExecutionError::AccessList { .. })), "{outcome:?}");
}

/// An executor that forgets the last account of a delta.
#[derive(Debug)]
struct Forgetful;

impl Executor for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        let mut outcome = SequentialExecutor.execute(chain, block, state)?;
        outcome.delta.accounts.pop_last();
        Ok(outcome)
    }
}

#[test]
fn checking_finds_what_differs() {
    let (ledger, block) = workload();
    match CheckedExecutor::new(Forgetful).execute(ledger.chain(), &block, ledger.state()) {
        Err(ExecutionError::Engine { problem, .. }) => {
            assert_eq!(problem, "the forgetful executor and the sequential one differ in the changes of the state");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_choice_is_told_with_its_reason() {
    let (ledger, block) = workload();
    let chosen = |executor: &BlockStmExecutor| {
        executor.execute(ledger.chain(), &block, ledger.state()).unwrap();
        executor.statistics()
    };
    let one = chosen(&BlockStmExecutor::new(1).unwrap());
    assert_eq!(one.sequential_blocks, [("one thread", 1)].into());
    assert_eq!(one.parallel_blocks, 0);
    let two = chosen(&BlockStmExecutor::new(2).unwrap());
    assert_eq!((two.parallel_blocks, two.transactions, two.sequential_blocks.len()), (1, 120, 0));
    assert!(two.executions >= 120 && two.validations >= 120, "{two:?}");
    let dependencies = BlockStmExecutor::new(2).unwrap().dependencies(ledger.chain(), &block, ledger.state());
    let dependencies = dependencies.unwrap().unwrap();
    assert_eq!(dependencies.len(), 120);
    assert!(dependencies.iter().enumerate().all(|(tx, dependency)| dependency.on.iter().all(|on| *on < tx)));
    assert!(dependencies.iter().any(|dependency| !dependency.on.is_empty()));
}
