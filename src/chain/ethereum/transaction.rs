//! One transaction, from its bytes.

use alloy_consensus::{EthereumTxEnvelope, TxEip4844};
use alloy_eips::Decodable2718;
use alloy_eips::eip2718::Eip2718Error;

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

/// Decodes one transaction: an EIP-2718 envelope, or a legacy transaction's RLP list.
pub fn decode_transaction(bytes: &[u8]) -> Result<Transaction, DecodeError> {
    let mut rest = bytes;
    let transaction = Transaction::decode_2718(&mut rest).map_err(|error| match error {
        // Where a byte is no type, alloy goes by what it makes of a legacy transaction and may call it a type.
        Eip2718Error::RlpError(alloy_rlp::Error::Overflow) | Eip2718Error::UnexpectedType(0)
            if let Some(wide) = WideFeeTransaction::parse(bytes) =>
        {
            DecodeError::WideFee(Box::new(wide))
        }
        Eip2718Error::RlpError(error) => DecodeError::Rlp(error),
        // A byte from 0xc0 on leads a legacy transaction; one below 0x80 is a type.
        Eip2718Error::UnexpectedType(ty) => DecodeError::UnknownType(ty),
        _ => DecodeError::Rlp(alloy_rlp::Error::Custom("not an EIP-2718 envelope")),
    })?;
    if rest.is_empty() { Ok(transaction) } else { Err(DecodeError::Trailing(rest.len())) }
}
