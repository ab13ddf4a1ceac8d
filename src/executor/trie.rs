//! A Merkle Patricia trie over hashed keys that remembers what did not change.

use std::collections::BTreeMap;
use std::ops::Bound;

use alloy_primitives::{B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Nibbles of a key that choose its bucket.
const BUCKET_NIBBLES: usize = 3;

/// Keys below which buckets do not pay: the whole trie is hashed anew.
const MIN_BUCKETED_KEYS: usize = 512;

/// Values by hashed key, and the root over them.
///
/// The keys are cut into 4,096 buckets by their first three nibbles. The node that holds a bucket's keys, a branch at
/// the nibbles they share, is remembered until one of them changes; alloy's hash builder puts the buckets together.
/// Keys are Keccak digests, so they share few nibbles, and the branch's own encoding is always longer than a hash.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    values: BTreeMap<B256, Vec<u8>>,
    /// The branch over each bucket of two keys or more, as long as it is right.
    branches: BTreeMap<u16, Branch>,
}

/// The branch node that a bucket's keys hang from.
#[derive(Clone, Debug)]
struct Branch {
    path: Nibbles,
    hash: B256,
}

impl Trie {
    /// Sets or, with `None`, removes the RLP-encoded value of a key.
    pub(super) fn set(&mut self, key: B256, value: Option<Vec<u8>>) {
        self.branches.remove(&bucket_of(&key));
        match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
    }

    /// The trie's root.
    pub(super) fn root(&mut self) -> B256 {
        if self.values.is_empty() {
            return EMPTY_ROOT_HASH;
        }
        let mut builder = HashBuilder::default();
        if self.values.len() < MIN_BUCKETED_KEYS {
            for (key, value) in &self.values {
                builder.add_leaf(Nibbles::unpack(key), value);
            }
            return builder.root();
        }
        self.hash_changed_buckets();
        let mut after = Bound::Unbounded;
        while let Some((key, value)) = self.values.range((after, Bound::Unbounded)).next() {
            let bucket = bucket_of(key);
            match self.branches.get(&bucket) {
                Some(branch) => {
                    builder.add_branch(branch.path, branch.hash, false);
                    after = Bound::Excluded(last_key(bucket));
                }
                None => {
                    builder.add_leaf(Nibbles::unpack(key), value);
                    after = Bound::Excluded(*key);
                }
            }
        }
        builder.root()
    }

    fn hash_changed_buckets(&mut self) {
        let missing: Vec<u16> =
            (0..1 << (4 * BUCKET_NIBBLES)).filter(|bucket| !self.branches.contains_key(bucket)).collect();
        let hashed: Vec<_> = missing
            .into_par_iter()
            .filter_map(|bucket| self.hash_bucket(bucket).map(|branch| (bucket, branch)))
            .collect();
        self.branches.extend(hashed);
    }

    /// The branch over a bucket, `None` if it has fewer than two keys.
    fn hash_bucket(&self, bucket: u16) -> Option<Branch> {
        let keys = || self.values.range(first_key(bucket)..=last_key(bucket));
        let (first, last) = (keys().next()?.0, keys().next_back()?.0);
        if first == last {
            return None;
        }
        let path = Nibbles::unpack(first);
        let shared = path.common_prefix_length(&Nibbles::unpack(last));
        let mut builder = HashBuilder::default();
        for (key, value) in keys() {
            builder.add_leaf(Nibbles::unpack(key).slice(shared..), value);
        }
        Some(Branch { path: path.slice(..shared), hash: builder.root() })
    }
}

fn bucket_of(key: &B256) -> u16 {
    u16::from(key[0]) << 4 | u16::from(key[1] >> 4)
}

fn first_key(bucket: u16) -> B256 {
    let mut key = B256::ZERO;
    key[..2].copy_from_slice(&(bucket << 4).to_be_bytes());
    key
}

fn last_key(bucket: u16) -> B256 {
    let mut key = B256::repeat_byte(0xff);
    key[..2].copy_from_slice(&(bucket << 4 | 0xf).to_be_bytes());
    key
}

/// A storage value as the storage trie holds it; `None` for zero, which is not held.
pub(super) fn storage_value(value: U256) -> Option<Vec<u8>> {
    (!value.is_zero()).then(|| alloy_rlp::encode(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    fn plain_root(values: &BTreeMap<B256, Vec<u8>>) -> B256 {
        let mut builder = HashBuilder::default();
        values.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
        builder.root()
    }

    #[test]
    fn remembered_buckets_give_the_root_of_the_plain_builder() {
        let mut trie = Trie::default();
        assert_eq!(trie.root(), EMPTY_ROOT_HASH);
        let mut checked = 0;
        // Values short and long, sizes below, at and above the limit for buckets; then changes and removals.
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
