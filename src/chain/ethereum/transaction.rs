//! One transaction, from its bytes.

use alloy_consensus::transaction::RlpEcdsaDecodableTx;
use alloy_consensus::{EthereumTxEnvelope, TxEip4844, TxLegacy};
use alloy_eips::Decodable2718;
use alloy_eips::eip2718::Eip2718Error;
use alloy_primitives::Bytes;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::wide_fee::WideFeeTransaction;

/// A signed transaction of any type, as blocks hold it: a blob transaction comes without its blobs.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// Why bytes are no transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The type byte names no known transaction type.
    #[error("transaction type {0:#04x} is unknown")]
    UnknownType(u8),
    /// The RLP is malformed, or a field has the wrong shape.
    #[error("malformed transaction: {0}")]
    Rlp(alloy_rlp::Error),
    /// A fee takes more than 128 bits: well-formed, and never payable.
    #[error("a fee of more than 128 bits")]
    WideFee(Box<WideFeeTransaction>),
    /// Bytes follow the transaction.
    #[error("{0} bytes follow the transaction")]
    Trailing(usize),
}

/// Transactions a thread takes at a time: decoding or hashing one takes a microsecond or less (`decode` and `keccak256` under
/// `benches/record/`), and a task should outweigh its scheduling.
pub(super) const TRANSACTIONS_PER_TASK: usize = 64;

/// Decodes transactions, each as [`decode_transaction`] does, in parallel on the pool this is called from. Each answer is
/// in its transaction's place.
pub fn decode_transactions(envelopes: &[Bytes]) -> Vec<Result<Transaction, DecodeError>> {
    let envelopes = envelopes.par_iter().with_min_len(TRANSACTIONS_PER_TASK);
    envelopes.map(|envelope| decode_transaction(envelope)).collect()
}

/// Decodes one transaction: an EIP-2718 envelope, or a legacy transaction's RLP list.
pub fn decode_transaction(bytes: &[u8]) -> Result<Transaction, DecodeError> {
    let mut rest = bytes;
    let decoded = match bytes.first() {
        // EIP-2718: a first byte of at most 0x7f is a type; a legacy transaction has none, and 0 stands for nothing.
        Some(ty @ (0 | 5..=0x7f)) => return Err(DecodeError::UnknownType(*ty)),
        Some(1..=4) => Transaction::decode_2718(&mut rest).map_err(|error| match error {
            Eip2718Error::RlpError(error) => error,
            _ => alloy_rlp::Error::Custom("not an EIP-2718 envelope"),
        }),
        // Asked for by name, since alloy, left to find out, does not say what is wrong with a legacy transaction.
        _ => TxLegacy::rlp_decode_signed(&mut rest).map(Transaction::Legacy),
    };
    let transaction = decoded.map_err(|error| match error {
        alloy_rlp::Error::Overflow if let Some(wide) = WideFeeTransaction::parse(bytes) => {
            DecodeError::WideFee(Box::new(wide))
        }
        error => DecodeError::Rlp(error),
    })?;
    if rest.is_empty() { Ok(transaction) } else { Err(DecodeError::Trailing(rest.len())) }
}
