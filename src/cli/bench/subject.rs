//! What is measured: batches of every size for each scheme.

use alloy_consensus::SignableTransaction;
use alloy_primitives::Signature;

use crate::batch::MessageBatch;
use crate::chain::ethereum::Transaction;
use crate::cli::Failure;
use crate::error::Error;
use crate::rules::Rules;
use crate::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};
use crate::scheme::hash::HashFunction;
use crate::verdict::Verdict;
use crate::verifier::Verifier;
use crate::workload::{Mix, Workload, WorkloadConfig};

/// Items that differ from each other; larger batches have them again and again.
const DISTINCT: usize = 4_096;

/// A scheme with its items.
pub(super) struct Subject {
    /// The name in the report.
    pub(super) name: &'static str,
    items: Items,
}

enum Items {
    Recover(Vec<RecoverItem>),
    Verify(Vec<VerifyItem>),
    Hash { function: HashFunction, length: usize },
}

/// A batch that can be run again and again.
pub(super) struct Prepared {
    batch: PreparedBatch,
    /// Bytes that it hands to a backend.
    pub(super) bytes_in: u64,
    /// Bytes that it gets back.
    pub(super) bytes_out: u64,
}

enum PreparedBatch {
    Recover(RecoverBatch),
    Verify(VerifyBatch),
    Hash(HashFunction, MessageBatch),
}

/// Recovery. The signatures are a workload's, of plain transfers.
pub(super) fn recovery(verifier: &Verifier) -> Result<Subject, Failure> {
    Ok(Subject { name: "ecdsa recover", items: Items::Recover(verifier.cpu_backend().install(signed_items)?) })
}

/// The other schemes, in the order of the report. The keys to verify against are those that recovery finds.
pub(super) fn others(recovery: &Subject, verifier: &Verifier) -> Result<Vec<Subject>, Failure> {
    let Items::Recover(items) = &recovery.items else { return Ok(Vec::new()) };
    let batch: RecoverBatch = items.iter().copied().collect();
    let signers = verifier.recover(&batch).map_err(Failure::not_checked)?;
    let verify = items.iter().zip(signers).filter_map(|(item, signer)| verify_item(item, signer)).collect();
    Ok(vec![
        Subject { name: "ecdsa verify", items: Items::Verify(verify) },
        Subject { name: "keccak256, 200 bytes", items: Items::Hash { function: HashFunction::Keccak256, length: 200 } },
        Subject { name: "sha256d, 64 bytes", items: Items::Hash { function: HashFunction::Sha256d, length: 64 } },
    ])
}

impl Subject {
    /// A batch of `len` items.
    pub(super) fn prepare(&self, len: usize) -> Prepared {
        let (batch, per_item_in, per_item_out) = match &self.items {
            Items::Recover(items) => {
                let batch = items.iter().copied().cycle().take(len).collect();
                (PreparedBatch::Recover(batch), size_of::<RecoverItem>(), 64 + 20 + 1)
            }
            Items::Verify(items) => {
                let batch = items.iter().copied().cycle().take(len).collect();
                // A key of 33 bytes, digest, r, s and the rules; back comes a reason.
                (PreparedBatch::Verify(batch), 33 + 32 + 64 + 1, 1)
            }
            Items::Hash { function, length } => {
                let mut batch = MessageBatch::with_capacity(len, len * length);
                let mut message = vec![0; *length];
                for index in 0..len {
                    // No two of a few thousand are alike.
                    message[..8].copy_from_slice(&index.to_le_bytes());
                    batch.push(&message);
                }
                (PreparedBatch::Hash(*function, batch), *length, 32)
            }
        };
        let bytes = |per_item: usize| per_item as u64 * len as u64;
        Prepared { batch, bytes_in: bytes(per_item_in), bytes_out: bytes(per_item_out) }
    }
}

impl Prepared {
    /// Has the verifier answer the batch; gives the number of items that are valid.
    pub(super) fn run(&self, verifier: &Verifier) -> Result<usize, Error> {
        Ok(match &self.batch {
            PreparedBatch::Recover(batch) => valid(&verifier.recover(batch)?),
            PreparedBatch::Verify(batch) => valid(&verifier.verify(batch)?),
            PreparedBatch::Hash(function, batch) => verifier.hash(*function, batch)?.len(),
        })
    }
}

fn valid<T>(verdicts: &[Verdict<T>]) -> usize {
    verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Valid(_))).count()
}

fn signed_items() -> Result<Vec<RecoverItem>, Failure> {
    let mix = Mix::new(100, 0, 0).map_err(Failure::not_checked)?;
    let config = WorkloadConfig { blocks: 1, transactions_per_block: DISTINCT, mix, ..WorkloadConfig::default() };
    let mut workload = Workload::new(config).map_err(Failure::not_checked)?;
    let block = workload.next().ok_or_else(|| Failure::not_checked("the workload has no block"))?;
    Ok(block.transactions.iter().map(recover_item).collect())
}

fn recover_item(transaction: &Transaction) -> RecoverItem {
    let digest = match transaction {
        Transaction::Legacy(signed) => signed.tx().signature_hash(),
        Transaction::Eip2930(signed) => signed.tx().signature_hash(),
        Transaction::Eip1559(signed) => signed.tx().signature_hash(),
        Transaction::Eip4844(signed) => signed.tx().signature_hash(),
        Transaction::Eip7702(signed) => signed.tx().signature_hash(),
    };
    let signature: &Signature = transaction.signature();
    RecoverItem {
        digest: digest.0,
        signature: SignatureBytes { r: signature.r().to_be_bytes(), s: signature.s().to_be_bytes() },
        recovery_id: u8::from(signature.v()),
        rules: Rules::EthTyped,
    }
}

/// The same signature against its key in 33 bytes.
fn verify_item(item: &RecoverItem, signer: Verdict<crate::scheme::ecdsa::Signer>) -> Option<VerifyItem> {
    let Verdict::Valid(signer) = signer else { return None };
    let mut key = [0; 33];
    key[0] = 2 | (signer.public_key[63] & 1);
    key[1..].copy_from_slice(&signer.public_key[..32]);
    Some(VerifyItem {
        digest: item.digest,
        signature: item.signature,
        key: KeyBytes::Compressed(key),
        rules: item.rules,
    })
}
