//! Ethereum: transactions, blocks, forks.
//!
//! alloy does the formats; what is here is the order of things. Bytes are decoded once ([`Transaction`]
//! envelopes, [`Block`]s), checked against the fork they claim to belong to ([`validity`], [`header`]), and
//! their signatures laid out as lanes of a batch ([`verify_transactions`]). A `from` in the input is a claim to be checked
//! against what recovery yields, never an answer.

mod block;
mod difficulty;
mod genesis;
pub mod header;
mod json;
mod senders;
mod signer;
mod spec;
mod stream;
mod transaction;
pub mod validity;
mod verified;
mod wide_fee;

#[cfg(feature = "executor")]
pub(crate) use block::MAX_OMMERS;
pub use block::{Block, BlockError, BlockId, Claim, Mismatch, Ommers};
pub use genesis::{GenesisError, genesis_from_json, genesis_header};
pub use json::{JsonError, block_from_json};
pub use senders::SenderColumn;
pub use signer::{
    Rejection, SenderHints, VerifiedBatch, VerifiedTransaction, verify_transactions, verify_transactions_hinted,
};
pub use spec::{ActiveForks, ChainSpec, SpecError};
pub use stream::{BlockStream, MAX_BLOCK_BYTES, StreamError};
pub use transaction::{DecodeError, Transaction, decode_transaction, decode_transactions};
pub use verified::{BlockVerdict, Problem, VerifiedBlock, verify_block, verify_block_hinted, verify_blocks};
pub use wide_fee::WideFeeTransaction;
