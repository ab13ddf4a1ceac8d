//! From transactions to verified transactions: signatures laid out as lanes, verdicts read back.

use alloy_consensus::SignableTransaction;
use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Signature, U256};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::spec::ActiveForks;
use super::transaction::{DecodeError, TRANSACTIONS_PER_TASK, Transaction};
use super::validity::{self, ValidityError};
use crate::batch::MessageBatch;
use crate::cpu::hash_each;
use crate::cpu::{HintSource, Hints};
use crate::error::Error;
use crate::rules::Rules;
use crate::scheme::ecdsa::{RecoverBatch, RecoverItem, SignatureBytes};
use crate::scheme::hash::HashFunction;
use crate::verdict::{Reason, Verdict};
use crate::verifier::Verifier;

/// A transaction whose signature was checked, with the sender that the check yielded.
///
/// There is no way to make one but [`verify_transactions`] and what verifies blocks, so whoever holds one need not check it again.
#[derive(Clone, Debug)]
pub struct VerifiedTransaction {
    transaction: Transaction,
    hash: B256,
    sender: Address,
    /// The signer of each EIP-7702 authorization, `None` where its signature is invalid.
    authorities: Vec<Option<Address>>,
}

impl VerifiedTransaction {
    /// The transaction.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Who signed it.
    #[must_use]
    pub fn sender(&self) -> Address {
        self.sender
    }

    /// The transaction's hash.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// The signer of each EIP-7702 authorization, in order; `None` where its signature is invalid, which makes
    /// the authorization void and not the transaction.
    #[must_use]
    pub fn authorities(&self) -> &[Option<Address>] {
        &self.authorities
    }
}

/// Why a transaction is not in a verified batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Its bytes are no transaction.
    #[error("{0}")]
    Decode(DecodeError),
    /// Its fork does not allow it.
    #[error("{0}")]
    Validity(ValidityError),
    /// Its signature is invalid.
    #[error("invalid signature: {0}")]
    Signature(Reason),
    /// It is well-formed and rightly signed, and its fee is more than any account can hold.
    #[error("a fee of more than 128 bits, which no account can pay (sender {sender})")]
    Unaffordable {
        /// Its hash.
        hash: B256,
        /// Who signed it.
        sender: Address,
    },
}

/// Transactions that passed, in the order they came in, and those that did not, apart.
#[derive(Clone, Debug, Default)]
pub struct VerifiedBatch {
    /// The valid ones, in order.
    pub transactions: Vec<VerifiedTransaction>,
    /// The place of each rejected one among all that came in, by rising place, and why.
    pub rejected: Vec<(usize, Rejection)>,
}

/// Checks every transaction against its fork and recovers every sender, in one batch; EIP-7702 authorizations are
/// lanes of that batch as well.
///
/// Each transaction comes decoded, or with the error of its decoding, so that places are kept. Returns as many
/// transactions and rejections, together, as came in; an error only if the check could not be made.
pub fn verify_transactions(
    verifier: &Verifier,
    forks: &ActiveForks<'_>,
    decoded: Vec<Result<Transaction, DecodeError>>,
) -> Result<VerifiedBatch, Error> {
    verify_transactions_hinted(verifier, forks, decoded, SenderHints { senders: &[], source: &HintSource::new() })
}

/// Who is said to have sent each transaction, by whom. Untrusted: a wrong name costs time and changes no verdict.
#[derive(Clone, Copy, Debug)]
pub struct SenderHints<'a> {
    /// A sender, or nothing, for each transaction in order. Transactions past the end have no hint.
    pub senders: &'a [Option<Address>],
    /// Where they come from.
    pub source: &'a HintSource,
}

/// Does what [`verify_transactions`] does, with the same results, in less time where hints name senders whose keys are in the
/// verifier's key book.
pub fn verify_transactions_hinted(
    verifier: &Verifier,
    forks: &ActiveForks<'_>,
    decoded: Vec<Result<Transaction, DecodeError>>,
    hints: SenderHints<'_>,
) -> Result<VerifiedBatch, Error> {
    let group = Group { forks, decoded, senders: hints.senders };
    let mut verified = verify_groups(verifier, vec![group], hints.source)?;
    Ok(verified.pop().unwrap_or_default())
}

/// Transactions of one fork.
pub(super) struct Group<'a> {
    pub(super) forks: &'a ActiveForks<'a>,
    pub(super) decoded: Vec<Result<Transaction, DecodeError>>,
    /// Who is said to have sent each, as in [`SenderHints`].
    pub(super) senders: &'a [Option<Address>],
}

/// Verifies the transactions of several groups in one batch: what each would come to by itself, in order, in less time.
pub(super) fn verify_groups(
    verifier: &Verifier,
    groups: Vec<Group<'_>>,
    source: &HintSource,
) -> Result<Vec<VerifiedBatch>, Error> {
    let lanes: Vec<_> = groups.iter().map(|group| lanes(verifier, group.forks, &group.decoded)).collect();
    let count = lanes.iter().map(Vec::len).sum();
    let (mut batch, mut senders) = (RecoverBatch::with_capacity(count), Vec::with_capacity(count));
    for (group, lanes) in groups.iter().zip(&lanes) {
        for (index, (lanes, _)) in lanes.iter().enumerate() {
            let Ok(lanes) = lanes else { continue };
            batch.extend(lanes.iter().copied());
            // The sender signed the first lane.
            senders.push(group.senders.get(index).copied().flatten().map(|sender| sender.0.0));
            senders.resize(senders.len() + lanes.len() - 1, None);
        }
    }
    let (verdicts, _) = verifier.recover_hinted(&batch, Hints { senders: &senders, source })?;
    let mut verdicts = verdicts.into_iter().map(|verdict| verdict.map(|signer| signer.address.into()));
    let verified = groups.into_iter().zip(lanes).map(|(group, lanes)| joined(group.decoded, lanes, &mut verdicts));
    Ok(verified.collect())
}

/// What becomes of a group, whose verdicts come next.
fn joined(
    decoded: Vec<Result<Transaction, DecodeError>>,
    lanes: Vec<(Result<Vec<RecoverItem>, Rejection>, B256)>,
    verdicts: &mut impl Iterator<Item = Verdict<Address>>,
) -> VerifiedBatch {
    let mut verified = VerifiedBatch::default();
    for (index, (decoded, (lanes, hash))) in decoded.into_iter().zip(lanes).enumerate() {
        // All lanes of a transaction are read off, also where its own signature is invalid.
        let signers: Vec<Verdict<Address>> = match &lanes {
            Ok(lanes) => verdicts.by_ref().take(lanes.len()).collect(),
            Err(_) => Vec::new(),
        };
        match join(decoded, hash, lanes, &signers) {
            Ok(transaction) => verified.transactions.push(transaction),
            Err(rejection) => verified.rejected.push((index, rejection)),
        }
    }
    verified
}

/// Joins a transaction with the verdicts on its lanes.
fn join(
    decoded: Result<Transaction, DecodeError>,
    hash: B256,
    lanes: Result<Vec<RecoverItem>, Rejection>,
    signers: &[Verdict<Address>],
) -> Result<VerifiedTransaction, Rejection> {
    lanes?;
    let sender = match signers {
        [Verdict::Valid(sender), ..] => *sender,
        [Verdict::Invalid(reason), ..] => return Err(Rejection::Signature(*reason)),
        // Unreachable: every transaction has a lane, and the verifier counts its answers.
        [] => return Err(Rejection::Signature(Reason::Mismatch)),
    };
    let transaction = match decoded {
        Ok(transaction) => transaction,
        Err(DecodeError::WideFee(_)) => return Err(Rejection::Unaffordable { hash, sender }),
        Err(error) => return Err(Rejection::Decode(error)),
    };
    let authorities = signers[1..].iter().map(|signer| signer.valid()).collect();
    Ok(VerifiedTransaction { transaction, hash, sender, authorities })
}

/// The lanes of each transaction, its signature's first, then one for each authorization; and its hash, zero where there is
/// no transaction.
fn lanes(
    verifier: &Verifier,
    forks: &ActiveForks<'_>,
    decoded: &[Result<Transaction, DecodeError>],
) -> Vec<(Result<Vec<RecoverItem>, Rejection>, B256)> {
    let lanes = |decoded: &[Result<Transaction, DecodeError>]| {
        let hashes = hashes(decoded);
        let lanes = decoded.iter().zip(&hashes).map(|(decoded, hashes)| lanes_of(decoded, hashes.signed, forks));
        lanes.zip(hashes.iter().map(|hashes| hashes.envelope)).collect::<Vec<_>>()
    };
    verifier.cpu_backend().install(|| decoded.par_chunks(TRANSACTIONS_PER_TASK).flat_map_iter(lanes).collect())
}

/// The two hashes of a transaction.
#[derive(Clone, Copy, Default)]
struct Hashes {
    /// What the sender signed.
    signed: B256,
    /// The transaction's own, with its signature.
    envelope: B256,
}

/// Each transaction's hashes, together, since together they are hashed several times as fast; zeros where there is none.
fn hashes(decoded: &[Result<Transaction, DecodeError>]) -> Vec<Hashes> {
    let mut forms = MessageBatch::default();
    for transaction in decoded.iter().flatten() {
        forms.push_with(|bytes| encode_for_signing(transaction, bytes));
        forms.push_with(|bytes| transaction.encode_2718(bytes));
    }
    let mut digests = vec![[0; 32]; forms.len()];
    hash_each(HashFunction::Keccak256, &forms.iter_from(0).collect::<Vec<_>>(), &mut digests);
    let mut digests = digests.as_chunks().0.iter();
    let hashes = decoded.iter().map(|decoded| match decoded {
        Ok(_) => digests.next().map(|[signed, envelope]| Hashes { signed: signed.into(), envelope: envelope.into() }),
        Err(DecodeError::WideFee(wide)) => Some(Hashes { signed: wide.digest, envelope: wide.hash }),
        Err(_) => None,
    });
    hashes.map(Option::unwrap_or_default).collect()
}

fn lanes_of(
    decoded: &Result<Transaction, DecodeError>,
    digest: B256,
    forks: &ActiveForks<'_>,
) -> Result<Vec<RecoverItem>, Rejection> {
    let transaction = match decoded {
        Ok(transaction) => transaction,
        Err(DecodeError::WideFee(wide)) => {
            wide.check_fees().map_err(Rejection::Validity)?;
            &wide.narrowed
        }
        Err(error) => return Err(Rejection::Decode(error.clone())),
    };
    validity::check(transaction, forks).map_err(Rejection::Validity)?;
    let authorizations = transaction.authorization_list().unwrap_or_default();
    let mut lanes = Vec::with_capacity(1 + authorizations.len());
    lanes.push(transaction_lane(transaction.signature(), digest, validity::rules(transaction, forks)));
    lanes.extend(authorizations.iter().map(authorization_lane));
    Ok(lanes)
}

fn transaction_lane(signature: &Signature, digest: B256, rules: Rules) -> RecoverItem {
    RecoverItem {
        digest: digest.0,
        signature: signature_bytes(signature.r(), signature.s()),
        recovery_id: u8::from(signature.v()),
        rules,
    }
}

fn authorization_lane(authorization: &SignedAuthorization) -> RecoverItem {
    RecoverItem {
        digest: authorization.signature_hash().0,
        signature: signature_bytes(authorization.r(), authorization.s()),
        recovery_id: authorization.y_parity(),
        rules: Rules::EthTyped,
    }
}

/// Appends what the sender signs the hash of.
fn encode_for_signing(transaction: &Transaction, bytes: &mut Vec<u8>) {
    match transaction {
        Transaction::Legacy(signed) => signed.tx().encode_for_signing(bytes),
        Transaction::Eip2930(signed) => signed.tx().encode_for_signing(bytes),
        Transaction::Eip1559(signed) => signed.tx().encode_for_signing(bytes),
        Transaction::Eip4844(signed) => signed.tx().encode_for_signing(bytes),
        Transaction::Eip7702(signed) => signed.tx().encode_for_signing(bytes),
    }
}

fn signature_bytes(r: U256, s: U256) -> SignatureBytes {
    SignatureBytes { r: r.to_be_bytes(), s: s.to_be_bytes() }
}

#[cfg(all(test, feature = "executor"))]
mod tests {
    use super::*;
    use crate::workload::{Workload, WorkloadConfig};

    #[test]
    fn hashes_in_lanes_are_those_of_each_transaction() {
        let config = WorkloadConfig { blocks: 1, transactions_per_block: 200, ..WorkloadConfig::default() };
        let block = Workload::new(config).unwrap().next().unwrap();
        let mut decoded: Vec<_> = block.transactions.into_iter().map(Ok).collect();
        let types: std::collections::BTreeSet<_> = decoded.iter().flatten().map(Transaction::tx_type).collect();
        assert!(types.len() > 2, "{types:?}");
        // What is no transaction has no hash, and does not shift the others.
        decoded.insert(7, Err(DecodeError::UnknownType(9)));
        decoded.push(Err(DecodeError::Trailing(1)));
        let hashes = hashes(&decoded);
        assert_eq!(hashes.len(), 202);
        for (decoded, hashes) in decoded.iter().zip(hashes) {
            let expected =
                decoded.as_ref().ok().map(|transaction| (transaction.signature_hash(), *transaction.tx_hash()));
            assert_eq!((hashes.signed, hashes.envelope), expected.unwrap_or_default());
        }
    }
}
