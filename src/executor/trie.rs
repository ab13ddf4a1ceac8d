//! A Merkle Patricia trie over hashed keys that remembers what did not change.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieMask};

/// Values by hashed key, and the root over them.
///
/// The values are kept in order, and with them the reference to each branch node, by the branch's path, until a key below
/// it changes; so a root costs the branches above what changed. The nodes' encoding is alloy's. It works on one thread:
/// while blocks are imported, the others have signatures to check.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    values: BTreeMap<B256, Vec<u8>>,
    branches: HashMap<Nibbles, RlpNode>,
    /// The longest path in `branches`.
    deepest: usize,
}

impl Trie {
    /// Sets or, with `None`, removes the RLP-encoded value of a key.
    pub(super) fn set(&mut self, key: B256, value: Option<Vec<u8>>) {
        let path = Nibbles::unpack(key);
        for length in 0..=self.deepest {
            self.branches.remove(&path.slice(..length));
        }
        match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
    }

    /// The trie's root.
    pub(super) fn root(&mut self) -> B256 {
        let mut encoded = Vec::new();
        match self.node(&Nibbles::default(), &mut encoded) {
            None => EMPTY_ROOT_HASH,
            // A node shorter than a hash stands for itself, but for the root.
            Some(root) => root.as_hash().unwrap_or_else(|| keccak256(root.as_slice())),
        }
    }

    /// The reference to the node at `path`, `None` if there is no key below it. `encoded` is room to encode nodes in.
    fn node(&mut self, path: &Nibbles, encoded: &mut Vec<u8>) -> Option<RlpNode> {
        let mut below = self.values.range(first_key(path)..=last_key(path));
        let (first, value) = below.next()?;
        let first = Nibbles::unpack(first);
        let Some((last, _)) = below.next_back() else {
            encoded.clear();
            return Some(LeafNodeRef::new(&first.slice(path.len()..), value).rlp(encoded));
        };
        let fork = first.slice(..first.common_prefix_length(&Nibbles::unpack(last)));
        let branch = match self.branches.get(&fork) {
            Some(branch) => branch.clone(),
            None => self.branch(&fork, encoded),
        };
        if fork.len() == path.len() {
            return Some(branch);
        }
        encoded.clear();
        Some(ExtensionNodeRef::new(&fork.slice(path.len()..), branch.as_slice()).rlp(encoded))
    }

    /// Encodes and remembers the branch node at `path`, below which keys differ in their next nibble.
    fn branch(&mut self, path: &Nibbles, encoded: &mut Vec<u8>) -> RlpNode {
        let mut children = Vec::with_capacity(16);
        let mut mask = TrieMask::default();
        for nibble in 0..16 {
            let mut child = *path;
            child.push(nibble);
            if let Some(node) = self.node(&child, encoded) {
                children.push(node);
                mask.set_bit(nibble);
            }
        }
        encoded.clear();
        let branch = BranchNodeRef::new(&children, mask).rlp(encoded);
        self.deepest = self.deepest.max(path.len());
        self.branches.insert(*path, branch.clone());
        branch
    }
}

/// The smallest key below a path.
fn first_key(path: &Nibbles) -> B256 {
    key_below(path, 0)
}

/// The largest key below a path.
fn last_key(path: &Nibbles) -> B256 {
    key_below(path, 0xff)
}

fn key_below(path: &Nibbles, filling: u8) -> B256 {
    let mut key = B256::repeat_byte(filling);
    for (index, nibble) in path.iter().enumerate() {
        let byte = &mut key[index / 2];
        *byte = if index % 2 == 0 { nibble << 4 | filling & 0xf } else { *byte & 0xf0 | nibble };
    }
    key
}

/// A storage value as the storage trie holds it; `None` for zero, which is not held.
pub(super) fn storage_value(value: U256) -> Option<Vec<u8>> {
    (!value.is_zero()).then(|| alloy_rlp::encode(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::HashBuilder;

    fn plain_root(values: &BTreeMap<B256, Vec<u8>>) -> B256 {
        let mut builder = HashBuilder::default();
        for (key, value) in values {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        builder.root()
    }

    #[test]
    fn remembered_branches_give_the_root_of_the_plain_builder() {
        let mut trie = Trie::default();
        assert_eq!(trie.root(), EMPTY_ROOT_HASH);
        let mut checked = 0;
        // Values short and long, then changes and removals.
        for step in 0..12_000_u64 {
            let key = keccak256((step % 9_000).to_be_bytes());
            let value = if step % 7 == 3 { None } else { storage_value(U256::from(step + 1) << (step % 200)) };
            trie.set(key, value);
            if step < 4 || step % 500 == 11 {
                assert_eq!(trie.clone().root(), plain_root(&trie.values), "step {step}");
                assert_eq!(trie.root(), plain_root(&trie.values), "step {step}");
                checked += 1;
            }
        }
        assert_eq!(checked, 28);
        for key in trie.values.clone().into_keys() {
            trie.set(key, None);
        }
        assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    }
}
