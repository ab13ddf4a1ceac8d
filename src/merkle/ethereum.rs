//! Ethereum's ordered trie: the lists of a block, each under one root.
//!
//! The trie's nodes are `alloy-trie`'s; this is its door for lists that are already encoded.

use alloy_primitives::B256;
use alloy_trie::root::ordered_trie_root_encoded;

/// The root of the Merkle Patricia trie that maps `rlp(index)` to the item at that index.
///
/// | header field | an item's bytes |
/// |---|---|
/// | `transactionsRoot` | the transaction: its RLP list if legacy, else type byte and payload (EIP-2718) |
/// | `receiptsRoot` | the receipt, in the form of its transaction's type |
/// | `withdrawalsRoot` | the withdrawal's RLP list (EIP-4895) |
///
/// Without items it is the empty trie's root, Keccak-256 of the RLP empty string. No item of a valid block is empty;
/// an empty one is kept as a leaf with an empty value, not left out.
#[must_use]
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    ordered_trie_root_encoded(items)
}
