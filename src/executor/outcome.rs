//! What executing a block yields, and whether it is what the header says.

use alloy_consensus::{Header, ReceiptEnvelope, TxReceipt};
use alloy_eips::Encodable2718;
use alloy_eips::eip7685::Requests;
use alloy_primitives::{B256, Bloom};

use super::delta::StateDelta;
use crate::chain::ethereum::Mismatch;
use crate::merkle;

/// What executing a block yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One receipt for each transaction, in order.
    pub receipts: Vec<ReceiptEnvelope>,
    /// Whether the receipts are those that the header's root is over. Before Byzantium a receipt holds the state root
    /// after its transaction, which only a full state yields.
    pub receipts_have_roots: bool,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// Blob gas used by all transactions (EIP-4844).
    pub blob_gas_used: u64,
    /// The execution layer's requests (EIP-7685), from Prague on.
    pub requests: Option<Requests>,
    /// What the block changes.
    pub delta: StateDelta,
}

impl Outcome {
    /// The union of the receipts' blooms.
    #[must_use]
    pub fn logs_bloom(&self) -> Bloom {
        self.receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom())
    }

    /// The root of the receipts' trie, `None` where the receipts lack what it is over.
    #[must_use]
    pub fn receipts_root(&self) -> Option<B256> {
        self.receipts_have_roots.then(|| {
            let encoded: Vec<_> = self.receipts.iter().map(Encodable2718::encoded_2718).collect();
            merkle::ethereum::ordered_root(&encoded)
        })
    }
}

/// Compares what a block yields with its header, `state_root` as well where the whole state is known.
#[must_use]
pub fn check_outcome(header: &Header, outcome: &Outcome, state_root: Option<B256>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    found.extend(Mismatch::unless_equal("gasUsed", &header.gas_used, &outcome.gas_used));
    if outcome.logs_bloom() != header.logs_bloom {
        // 512 digits each would tell nobody anything.
        found.push(Mismatch {
            field: "logsBloom".to_owned(),
            stated: "another bloom".to_owned(),
            computed: "one that differs".to_owned(),
        });
    }
    if let Some(root) = outcome.receipts_root() {
        found.extend(Mismatch::unless_equal("receiptsRoot", &header.receipts_root, &root));
    }
    if let Some(stated) = &header.blob_gas_used {
        found.extend(Mismatch::unless_equal("blobGasUsed", stated, &outcome.blob_gas_used));
    }
    if let (Some(stated), Some(requests)) = (&header.requests_hash, &outcome.requests) {
        found.extend(Mismatch::unless_equal("requestsHash", stated, &requests.requests_hash()));
    }
    if let Some(root) = state_root {
        found.extend(Mismatch::unless_equal("stateRoot", &header.state_root, &root));
    }
    found
}
