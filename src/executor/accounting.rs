//! What a block's transactions come to: receipts, gas and blob gas. Shared by every executor.

use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _};
use alloy_primitives::{Bloom, Log};
use revm::context_interface::result::ExecutionResult;

use super::ExecutionError;
use crate::chain::ethereum::VerifiedBlock;

/// What a transaction did, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Executed {
    success: bool,
    gas_used: u64,
    logs: Vec<Log>,
    bloom: Bloom,
}

impl From<ExecutionResult> for Executed {
    fn from(result: ExecutionResult) -> Self {
        let (success, gas_used) = (result.is_success(), result.gas().tx_gas_used());
        let logs = result.into_logs();
        let bloom = if logs.is_empty() { Bloom::ZERO } else { alloy_primitives::logs_bloom(&logs) };
        Self { success, gas_used, logs, bloom }
    }
}

impl Executed {
    /// What a transaction did that ran no code.
    pub(super) fn transfer(gas_used: u64) -> Self {
        Self { success: true, gas_used, logs: Vec::new(), bloom: Bloom::ZERO }
    }

    /// The gas it used.
    pub(super) fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// The status that its receipt has from Byzantium on (EIP-658).
    pub(super) fn status(&self) -> Eip658Value {
        Eip658Value::Eip658(self.success)
    }
}

/// Adds up a block's transactions in order.
#[derive(Debug)]
pub(super) struct Accounting<'b> {
    block: &'b VerifiedBlock,
    receipts: Vec<ReceiptEnvelope>,
    gas_used: u64,
    blob_gas_used: u64,
}

/// The sums.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) receipts: Vec<ReceiptEnvelope>,
    pub(super) gas_used: u64,
    pub(super) blob_gas_used: u64,
}

impl<'b> Accounting<'b> {
    pub(super) fn new(block: &'b VerifiedBlock) -> Self {
        let receipts = Vec::with_capacity(block.transactions().len());
        Self { block, receipts, gas_used: 0, blob_gas_used: 0 }
    }

    /// Whether the block has room for the gas of its next transaction.
    pub(super) fn check_gas_limit(&self) -> Result<(), ExecutionError> {
        let index = self.receipts.len();
        let Some(verified) = self.block.transactions().get(index) else { return Ok(()) };
        let limit = verified.transaction().gas_limit();
        let available = self.block.header().gas_limit.saturating_sub(self.gas_used);
        if limit > available {
            let problem = format!("gas limit {limit} is above the {available} left in the block");
            return Err(ExecutionError::InvalidTransaction { index, problem });
        }
        Ok(())
    }

    /// Adds what the block's next transaction did.
    pub(super) fn add(&mut self, executed: Executed, status: Eip658Value) {
        let Some(verified) = self.block.transactions().get(self.receipts.len()) else { return };
        let transaction = verified.transaction();
        self.gas_used += executed.gas_used;
        self.blob_gas_used += transaction.blob_gas_used().unwrap_or_default();
        let receipt = Receipt { status, cumulative_gas_used: self.gas_used, logs: executed.logs };
        let receipt = ReceiptWithBloom { receipt, logs_bloom: executed.bloom };
        self.receipts.push(ReceiptEnvelope::from_typed(transaction.tx_type(), receipt));
    }

    /// The receipts so far.
    pub(super) fn receipts(&self) -> &[ReceiptEnvelope] {
        &self.receipts
    }

    pub(super) fn into_totals(self) -> Totals {
        Totals { receipts: self.receipts, gas_used: self.gas_used, blob_gas_used: self.blob_gas_used }
    }
}
