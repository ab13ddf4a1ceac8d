//! What happens before the first and after the last transaction, and what all come to.

use alloy_consensus::ReceiptEnvelope;
use alloy_eips::eip7685::Requests;
use alloy_evm::{EthEvmFactory, EvmEnv, EvmFactory};
use revm::database::State;
use revm::database::states::bundle_state::BundleRetention;

use super::harvest::{Harvest, Late};
use super::lazy::{Change, Event, Impossible};
use super::memory::{Memory, ReadError};
use super::multi_version::Position;
use super::view::View;
use super::worker::{Run, position};
use super::{Dependency, End};
use crate::chain::ethereum::{ActiveForks, VerifiedBlock};
use crate::executor::accounting::{Accounting, Totals};
use crate::executor::environment::block_environment;
use crate::executor::workers::Workers;
use crate::executor::{Outcome, block as steps};

/// What happens here does not fit, or went wrong; what the sequential executor says of it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GiveUp;

impl From<Impossible> for GiveUp {
    fn from(_: Impossible) -> Self {
        Self
    }
}

impl From<ReadError> for GiveUp {
    fn from(_: ReadError) -> Self {
        Self
    }
}

/// What a block yields besides its delta.
#[derive(Debug)]
pub(super) struct Settled {
    totals: Totals,
    requests: Option<Requests>,
    late: Late,
}

/// Adds up what the transactions did, and makes the changes after the last.
pub(super) fn settle(run: &Run<'_, '_>, forks: &ActiveForks<'_>) -> Result<Settled, GiveUp> {
    let block = run.block;
    let mut accounting = Accounting::new(block);
    for tx in 0..block.transactions().len() {
        accounting.check_gas_limit().map_err(|_| GiveUp)?;
        let executed = run.record(tx).executed.take().ok_or(GiveUp)?;
        let status = executed.status();
        accounting.add(executed, status);
    }
    let environment = block_environment(block.header(), forks);
    let end = position(block.transactions().len());
    let (requests, late) = finish(run.memory, block, accounting.receipts(), forks, environment, end)?;
    Ok(Settled { totals: accounting.into_totals(), requests, late })
}

impl Settled {
    /// The outcome, with the delta that was gathered.
    pub(super) fn into_outcome(
        self,
        memory: &Memory<'_>,
        harvest: Harvest,
        threads: (&Workers, usize),
    ) -> Result<Outcome, End> {
        let delta = harvest.into_delta(memory, &self.late, threads)?;
        let Totals { receipts, gas_used, blob_gas_used } = self.totals;
        Ok(Outcome { receipts, receipts_have_roots: true, gas_used, blob_gas_used, requests: self.requests, delta })
    }
}

/// Which transactions depend on which; `None` if one is invalid.
pub(super) fn dependencies(run: &Run<'_, '_>) -> Option<Vec<Dependency>> {
    let transactions = 0..run.block.transactions().len();
    transactions
        .map(|tx| {
            let record = run.record(tx);
            let gas_used = record.executed.as_ref()?.gas_used();
            // Position 0 is no transaction's.
            let mut on: Vec<_> = record.reads.iter().filter_map(|read| (read.from? as usize).checked_sub(1)).collect();
            on.sort_unstable();
            on.dedup();
            Some(Dependency { gas_used, on })
        })
        .collect()
}

/// Makes the changes before the first transaction, at position 0.
pub(super) fn begin(
    memory: &Memory<'_>,
    block: &VerifiedBlock,
    forks: &ActiveForks<'_>,
    environment: EvmEnv,
) -> Result<(), GiveUp> {
    let mut state = State::builder().with_database(View::new(memory, 0)).with_bundle_update().build();
    let mut evm = EthEvmFactory::default().create_evm(&mut state, environment);
    steps::begin(&mut evm, block, forks).map_err(|_| GiveUp)?;
    drop(evm);
    publish(memory, &mut state, 0).map(drop)
}

/// Makes the changes after the last transaction, at a position above it.
fn finish(
    memory: &Memory<'_>,
    block: &VerifiedBlock,
    receipts: &[ReceiptEnvelope],
    forks: &ActiveForks<'_>,
    environment: EvmEnv,
    position: Position,
) -> Result<(Option<Requests>, Late), GiveUp> {
    let mut state = State::builder().with_database(View::new(memory, position)).with_bundle_update().build();
    let mut evm = EthEvmFactory::default().create_evm(&mut state, environment);
    let requests = steps::finish(&mut evm, block, receipts, forks).map_err(|_| GiveUp)?;
    drop(evm);
    Ok((requests, publish(memory, &mut state, position)?))
}

/// Writes what system calls and credits changed. They never remove an account on a chain whose system contracts are what
/// they should be.
fn publish(memory: &Memory<'_>, state: &mut State<View<'_, '_>>, position: Position) -> Result<Late, GiveUp> {
    let mut late = Late::default();
    state.merge_transitions(BundleRetention::PlainState);
    for (address, account) in state.take_bundle().state {
        let Some(info) = account.info.filter(|_| !account.status.was_destroyed()) else { return Err(GiveUp) };
        let location = memory.account(address)?;
        for (slot, value) in account.storage.iter().filter(|(_, value)| value.is_changed()) {
            let slot = memory.slot(location, *slot)?;
            slot.values.write(position, 0, value.present_value);
            late.slots.push(slot.index);
        }
        if account.original_info.as_ref() != Some(&info) || location.forgets_storage() {
            location.write(position, 0, Change::Set { info: Some(info), event: Event::Changed });
            late.accounts.push(location.index);
        }
    }
    Ok(late)
}
