//! A column of senders beside a chain: what a sequencer's feed or an archive's table of senders says.

use std::collections::HashMap;

use alloy_primitives::Address;

use super::signer::SenderHints;
use crate::cpu::HintSource;

/// Senders by block number, from one source. Untrusted: they are hints.
#[derive(Debug, Default)]
pub struct SenderColumn {
    blocks: HashMap<u64, Vec<Option<Address>>>,
    source: HintSource,
}

impl SenderColumn {
    /// Sets the senders of a block's transactions, in order; nothing where one is not known.
    pub fn insert(&mut self, block: u64, senders: Vec<Option<Address>>) {
        self.blocks.insert(block, senders);
    }

    /// The hints for a block, if there are any.
    #[must_use]
    pub fn hints(&self, block: u64) -> Option<SenderHints<'_>> {
        let senders = self.blocks.get(&block)?;
        Some(SenderHints { senders, source: &self.source })
    }
}
