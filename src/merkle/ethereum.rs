//! Ethereum's ordered trie.

use alloy_primitives::B256;

/// The root over items already encoded.
#[must_use]
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    alloy_trie::root::ordered_trie_root_encoded(items)
}
