//! An executor whose every result is compared with the sequential one.

use super::statistics::ExecutionStatistics;
use super::{ExecutionError, Executor, Outcome, ReadState, SequentialExecutor};
use crate::chain::ethereum::{ChainSpec, VerifiedBlock};

/// Executes each block by an executor and in sequence, and compares all that comes out: receipts, gas, logs, requests and
/// the changes of the state.
#[derive(Debug)]
pub struct CheckedExecutor<E> {
    executor: E,
}

impl<E: Executor> CheckedExecutor<E> {
    /// Checks `executor`.
    #[must_use]
    pub fn new(executor: E) -> Self {
        Self { executor }
    }
}

impl<E: Executor> Executor for CheckedExecutor<E> {
    fn name(&self) -> &'static str {
        self.executor.name()
    }

    fn execute(
        &self,
        chain: &ChainSpec,
        block: &VerifiedBlock,
        state: &dyn ReadState,
    ) -> Result<Outcome, ExecutionError> {
        let outcome = self.executor.execute(chain, block, state);
        // A list that is wrong is an answer of its own, which the sequential executor does not ask for.
        if matches!(outcome, Err(ExecutionError::AccessList { .. })) {
            return outcome;
        }
        let expected = SequentialExecutor.execute(chain, block, state);
        match difference(&outcome, &expected) {
            None => outcome,
            Some(what) => {
                let problem = format!("the {} executor and the sequential one differ in {what}", self.name());
                Err(ExecutionError::Engine { index: None, problem })
            }
        }
    }

    fn statistics(&self) -> ExecutionStatistics {
        self.executor.statistics()
    }
}

/// The first thing in which two results differ.
fn difference(
    outcome: &Result<Outcome, ExecutionError>,
    expected: &Result<Outcome, ExecutionError>,
) -> Option<&'static str> {
    let (outcome, expected) = match (outcome, expected) {
        (Ok(outcome), Ok(expected)) => (outcome, expected),
        (outcome, expected) => return (outcome != expected).then_some("whether the block executes"),
    };
    let parts = [
        ("gas used", outcome.gas_used == expected.gas_used),
        ("receipts", outcome.receipts == expected.receipts),
        ("requests", outcome.requests == expected.requests),
        ("the changes of the state", outcome.delta == expected.delta),
        ("what else there is", outcome == expected),
    ];
    parts.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}
