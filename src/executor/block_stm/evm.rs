//! The EVM of one thread, which executes one transaction after the other.

use std::cell::Cell;
use std::marker::PhantomData;

use alloy_evm::eth::EthEvmContext;
use alloy_evm::precompiles::PrecompilesMap;
use alloy_evm::{EthEvmFactory, EvmEnv, EvmFactory};
use alloy_primitives::U256;
use revm::context::{Evm, TxEnv};
use revm::context_interface::result::{EVMError, HaltReason};
use revm::context_interface::{Block, ContextSetters, JournalTr, Transaction};
use revm::handler::instructions::EthInstructions;
use revm::handler::{EthFrame, FrameResult, Handler, post_execution};
use revm::inspector::NoOpInspector;
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;

use super::lazy::Change;
use super::memory::{AccountLocation, ReadError};
use super::view::{PlainTransfer, Read, View, Write};
use crate::executor::accounting::Executed;

type Context<'m, 's> = EthEvmContext<View<'m, 's>>;

type Inner<'m, 's> = Evm<
    Context<'m, 's>,
    NoOpInspector,
    EthInstructions<EthInterpreter, Context<'m, 's>>,
    PrecompilesMap,
    EthFrame<EthInterpreter>,
>;

/// An EVM on a [`View`].
pub(super) struct WorkerEvm<'m, 's> {
    evm: Inner<'m, 's>,
    /// The beneficiary, where its reward may be left to be summed up.
    lazy_beneficiary: Option<&'m AccountLocation>,
}

/// What an execution came to, and what it read on the way.
#[derive(Debug)]
pub(super) struct Execution<'m> {
    pub(super) reads: Vec<Read<'m>>,
    pub(super) writes: Vec<Write<'m>>,
    /// What the transaction did; the error is final if what was read is.
    pub(super) executed: Result<Executed, ExecutionFailure>,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExecutionFailure {
    /// A read met an estimate of this position.
    Blocked(u32),
    /// The transaction is invalid, or the state lacks something. The sequential executor tells.
    Invalid,
}

impl<'m, 's> WorkerEvm<'m, 's> {
    /// An EVM for the transactions of a block.
    pub(super) fn new(view: View<'m, 's>, environment: EvmEnv, beneficiary: Option<&'m AccountLocation>) -> Self {
        // Amsterdam prices an account by whether it exists, and logs transfers.
        let lazy = !environment.cfg_env.spec.is_enabled_in(SpecId::AMSTERDAM);
        let evm = EthEvmFactory::default().create_evm(view, environment).into_inner();
        let lazy_beneficiary = beneficiary.filter(|beneficiary| lazy && beneficiary.allows_lazy());
        Self { evm, lazy_beneficiary }
    }

    /// Executes the transaction at `position`.
    pub(super) fn execute(&mut self, position: u32, transaction: TxEnv) -> Execution<'m> {
        let view = &mut self.evm.ctx.journaled_state.database;
        view.start(position);
        let lazy =
            self.lazy_beneficiary.and_then(|beneficiary| Some((beneficiary, view.plain_transfer(&transaction)?)));
        self.evm.ctx.set_tx(transaction);
        match lazy {
            Some((beneficiary, transfer)) => self.transfer(transfer, beneficiary),
            None => self.run(),
        }
    }

    /// Executes the transaction in the EVM.
    fn run(&mut self) -> Execution<'m> {
        let mut handler = self.handler();
        let result = handler.run(&mut self.evm);
        let state = self.evm.ctx.journaled_state.finalize();
        let view = &mut self.evm.ctx.journaled_state.database;
        let error = view.take_error();
        let writes = match (&result, error) {
            (_, Some(ReadError::Blocked(position))) => Err(ExecutionFailure::Blocked(position)),
            (Ok(_), None) => {
                let reward = self.lazy_beneficiary.zip(handler.reward.take());
                view.writes(&state, reward).map_err(|_| ExecutionFailure::Invalid)
            }
            _ => Err(ExecutionFailure::Invalid),
        };
        let reads = view.take_reads();
        match (writes, result) {
            (Ok(writes), Ok(result)) => Execution { reads, writes, executed: Ok(Executed::from(result)) },
            (Err(failure), _) => Execution { reads, writes: Vec::new(), executed: Err(failure) },
            (Ok(_), Err(_)) => Execution { reads, writes: Vec::new(), executed: Err(ExecutionFailure::Invalid) },
        }
    }

    /// Executes a transaction that runs no code: what there is to check without the state is checked by the EVM, and what
    /// it comes to is known. Whether the sender can pay is for the end, when everything before is known.
    fn transfer(&mut self, transfer: PlainTransfer<'m>, beneficiary: &'m AccountLocation) -> Execution<'m> {
        let used = self.transfer_gas();
        let context = &mut self.evm.ctx;
        let reads = context.journaled_state.database.take_reads();
        let transaction = &context.tx;
        let (Ok(gas_used), Ok(required)) = (used, transaction.max_balance_spending()) else {
            return Execution { reads, writes: Vec::new(), executed: Err(ExecutionFailure::Invalid) };
        };
        let price = transaction.effective_gas_price(u128::from(context.block.basefee()));
        let PlainTransfer { sender, recipient } = transfer;
        let (mut amount, mut paid) = (fee(price, gas_used) + transaction.value, transaction.value);
        let reward = reward(context, gas_used);
        let mut writes = Vec::with_capacity(3);
        // A transaction writes to a place once.
        if std::ptr::eq(beneficiary, sender) {
            amount -= reward;
        } else if std::ptr::eq(beneficiary, recipient) {
            paid = paid.saturating_add(reward);
        } else {
            writes.push(Write::Account(beneficiary, Change::Credit(reward)));
        }
        writes.push(Write::Account(sender, Change::Debit { nonce: transaction.nonce, required, amount }));
        writes.push(Write::Account(recipient, Change::Credit(paid)));
        Execution { reads, writes, executed: Ok(Executed::transfer(gas_used)) }
    }

    /// The gas of a transaction that runs no code, if it is valid on any state.
    fn transfer_gas(&mut self) -> Result<u64, EVMError<ReadError>> {
        let handler = self.handler();
        handler.validate_env(&mut self.evm)?;
        let gas = handler.validate_initial_tx_gas(&mut self.evm)?;
        // The floor is EIP-7623's.
        Ok(gas.initial_total_gas().max(gas.floor_gas()))
    }

    fn handler(&self) -> LazyHandler<'m, 's> {
        LazyHandler { lazy_beneficiary: self.lazy_beneficiary.is_some(), reward: Cell::new(None), evm: PhantomData }
    }
}

/// Mainnet's handler, but for the beneficiary: where the transaction did not look at it, its reward is handed out instead
/// of credited, so that its balance need not be read.
#[derive(Debug)]
struct LazyHandler<'m, 's> {
    lazy_beneficiary: bool,
    reward: Cell<Option<U256>>,
    evm: PhantomData<fn() -> Inner<'m, 's>>,
}

impl<'m, 's> Handler for LazyHandler<'m, 's> {
    type Evm = Inner<'m, 's>;
    type Error = EVMError<ReadError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Self::Evm, executed: &mut FrameResult) -> Result<(), Self::Error> {
        let gas = executed.gas();
        let loaded = evm.ctx.journaled_state.state.contains_key(&evm.ctx.block.beneficiary);
        if loaded || !self.lazy_beneficiary {
            return post_execution::reward_beneficiary(&mut evm.ctx, gas).map_err(From::from);
        }
        let used = gas.used().saturating_sub(gas.reservoir());
        self.reward.set(Some(reward(&evm.ctx, used)));
        Ok(())
    }
}

/// What the beneficiary gets for a transaction: the price, from London on that above the base fee (EIP-1559), times the gas
/// used.
fn reward(context: &Context<'_, '_>, gas_used: u64) -> U256 {
    let base_fee = u128::from(context.block.basefee());
    let price = context.tx.effective_gas_price(base_fee);
    let london = context.cfg.spec.is_enabled_in(SpecId::LONDON);
    fee(if london { price.saturating_sub(base_fee) } else { price }, gas_used)
}

/// What gas costs at a price: as revm counts, in 128 bits.
fn fee(price: u128, gas_used: u64) -> U256 {
    U256::from(price.saturating_mul(u128::from(gas_used)))
}
