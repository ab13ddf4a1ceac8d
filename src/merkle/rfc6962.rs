//! The tree of Certificate Transparency: RFC 6962 section 2.1, the same in RFC 9162.
//!
//! Leaves and nodes are hashed under different prefixes, so that neither passes for the other, and a node without a
//! partner moves up unchanged, so that a list and its root belong together.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use sha2::{Digest, Sha256};

use super::levels;
use crate::batch::MessageBatch;
use crate::cpu::{Sha256Lanes, hash_each};
use crate::scheme::hash::HashFunction;

/// Entries a thread hashes at a time.
const ENTRIES_PER_TASK: usize = 256;

/// Entries of more bytes are hashed where they are; others are copied behind their prefix, to be hashed in lanes.
const LONG_ENTRY: usize = 4_096;

/// What the hash of a leaf begins with.
const LEAF_PREFIX: u8 = 0x00;

/// What the hash of a node begins with.
const NODE_PREFIX: u8 = 0x01;

/// The hash of a leaf: SHA-256 of 0x00 and the entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix([LEAF_PREFIX]).chain_update(entry).finalize().into()
}

/// The hash of a node: SHA-256 of 0x01 and its two children.
#[must_use]
pub fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new_with_prefix([NODE_PREFIX]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> [u8; 32] {
    Sha256::digest([]).into()
}

/// A tree with every level kept, so that proofs cost no hashing: 64 bytes a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The leaf hashes, then each level above; the last has one node, or none where the tree has no leaf. The node at
    /// index i of level l covers the leaves from i · 2^l up to (i + 1) · 2^l, or up to the end.
    levels: Vec<Vec<[u8; 32]>>,
}

impl Tree {
    /// The tree over `entries`, in their order.
    #[must_use]
    pub fn of_entries<T: AsRef<[u8]> + Sync>(entries: &[T]) -> Self {
        let mut hashes = vec![[0; 32]; entries.len()];
        let tasks = hashes.par_chunks_mut(ENTRIES_PER_TASK).zip(entries.par_chunks(ENTRIES_PER_TASK));
        tasks.for_each(|(hashes, entries)| leaf_hashes_into(entries, hashes));
        Self::of_leaf_hashes(hashes)
    }

    /// The tree over leaves whose hashes are known.
    #[must_use]
    pub fn of_leaf_hashes(leaf_hashes: Vec<[u8; 32]>) -> Self {
        Self { levels: levels(leaf_hashes, nodes_into, |last| *last) }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The root: [`empty_root`] without leaves, the leaf's hash where there is one.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_else(empty_root)
    }

    /// The audit path of the leaf at `index`, the leaf's sibling first; at most one hash a level.
    ///
    /// [`ProofError::IndexOutOfRange`] past the end.
    pub fn inclusion_proof(&self, index: u64) -> Result<Vec<[u8; 32]>, ProofError> {
        let out_of_range = ProofError::IndexOutOfRange { index, size: self.size() };
        if index >= self.size() {
            return Err(out_of_range);
        }
        let mut position = usize::try_from(index).map_err(|_| out_of_range)?;
        let mut proof = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            proof.extend(level.get(position ^ 1));
            position /= 2;
        }
        Ok(proof)
    }

    /// The proof that the tree over the first `first` leaves grew into this one; empty where they are all of them.
    ///
    /// [`ProofError::SizeOutOfRange`] where `first` is zero or beyond this tree's size.
    pub fn consistency_proof(&self, first: u64) -> Result<Vec<[u8; 32]>, ProofError> {
        let out_of_range = ProofError::SizeOutOfRange { first, second: self.size() };
        if first == 0 || first > self.size() {
            return Err(out_of_range);
        }
        if first == self.size() {
            return Ok(Vec::new());
        }
        // The last node of the first tree's lowest complete subtree: both roots are built from it upwards.
        let height = first.trailing_zeros();
        let mut position = usize::try_from((first >> height) - 1).map_err(|_| out_of_range)?;
        let mut proof = Vec::with_capacity(self.levels.len());
        for (level, nodes) in self.levels.iter().enumerate().skip(height as usize) {
            // Where the first tree is one complete subtree, its root is known to whoever verifies.
            if level == height as usize && !first.is_power_of_two() {
                proof.extend(nodes.get(position));
            }
            proof.extend(nodes.get(position ^ 1));
            position /= 2;
        }
        Ok(proof)
    }
}

/// Checks that the leaf with hash `leaf_hash` stands at `index`, from 0, of the tree with `size` leaves and this `root`.
///
/// The algorithm of RFC 9162 section 2.1.3.2; any `index` and `size` are answered. `size` must come with the root from
/// who vouches for both: some proofs fit several sizes.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf_hash: &[u8; 32],
    proof: &[[u8; 32]],
    root: &[u8; 32],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    let mut path = Path { node: index, last: size - 1 };
    let mut computed = *leaf_hash;
    for sibling in proof {
        computed = match path.ascend()? {
            Sibling::Left => node_hash(sibling, &computed),
            Sibling::Right => node_hash(&computed, sibling),
        };
    }
    path.must_be_at_root()?;
    if computed != *root {
        return Err(ProofError::RootMismatch { computed });
    }
    Ok(())
}

/// The hash of each entry, at its index.
fn leaf_hashes_into<T: AsRef<[u8]>>(entries: &[T], hashes: &mut [[u8; 32]]) {
    let mut prefixed = MessageBatch::default();
    let mut places = Vec::with_capacity(entries.len());
    for (entry, hash) in entries.iter().zip(hashes) {
        let entry = entry.as_ref();
        if entry.len() > LONG_ENTRY {
            *hash = leaf_hash(entry);
        } else {
            prefixed.push_with(|bytes| {
                bytes.push(LEAF_PREFIX);
                bytes.extend_from_slice(entry);
            });
            places.push(hash);
        }
    }
    let messages: Vec<_> = prefixed.iter_from(0).collect();
    let mut digests = vec![[0; 32]; messages.len()];
    hash_each(HashFunction::Sha256, &messages, &mut digests);
    for (place, digest) in places.into_iter().zip(digests) {
        *place = digest;
    }
}

/// The node over each pair, at its index.
fn nodes_into(pairs: &[[[u8; 32]; 2]], nodes: &mut [[u8; 32]]) {
    Sha256Lanes::detect().sha256_of_prefixed_pairs(NODE_PREFIX, pairs, nodes);
}

/// Checks that the tree with `second` leaves and `second_root` begins with the `first` leaves under `first_root`.
///
/// The algorithm of RFC 9162 section 2.1.4.2; any sizes are answered. Equal sizes need equal roots and an empty proof.
/// No proof exists for `first` = 0: every tree begins with nothing, so nothing would be checked. The sizes must come
/// with their roots from who vouches for both.
pub fn verify_consistency(
    first: u64,
    second: u64,
    first_root: &[u8; 32],
    second_root: &[u8; 32],
    proof: &[[u8; 32]],
) -> Result<(), ProofError> {
    if first == 0 || first > second {
        return Err(ProofError::SizeOutOfRange { first, second });
    }
    if first == second {
        return match proof {
            [] if first_root == second_root => Ok(()),
            [] => Err(ProofError::RootMismatch { computed: *first_root }),
            _ => Err(ProofError::TooLong),
        };
    }
    // "If first is an exact power of 2, then prepend first_hash to the consistency_path array."
    let (seed, rest) =
        if first.is_power_of_two() { (first_root, proof) } else { proof.split_first().ok_or(ProofError::TooShort)? };
    // "If LSB(fn) is set, then right-shift both fn and sn equally until LSB(fn) is not set", fn being first - 1.
    let height = first.trailing_zeros();
    let mut path = Path { node: (first - 1) >> height, last: (second - 1) >> height };
    let (mut first_computed, mut second_computed) = (*seed, *seed);
    for sibling in rest {
        match path.ascend()? {
            Sibling::Left => {
                first_computed = node_hash(sibling, &first_computed);
                second_computed = node_hash(sibling, &second_computed);
            }
            Sibling::Right => second_computed = node_hash(&second_computed, sibling),
        }
    }
    path.must_be_at_root()?;
    if first_computed != *first_root {
        return Err(ProofError::FirstRootMismatch { computed: first_computed });
    }
    if second_computed != *second_root {
        return Err(ProofError::RootMismatch { computed: second_computed });
    }
    Ok(())
}

/// Why a proof could not be made, or proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree has no leaf at this index.
    #[error("a tree of {size} leaves has no leaf at index {index}")]
    IndexOutOfRange {
        /// The index asked for.
        index: u64,
        /// The tree's size in leaves.
        size: u64,
    },
    /// The first tree is empty or larger than the second.
    #[error("no tree of {first} leaves is proved to grow into one of {second}")]
    SizeOutOfRange {
        /// The first tree's size in leaves.
        first: u64,
        /// The second tree's size in leaves.
        second: u64,
    },
    /// The proof ends below the root.
    #[error("the proof has too few hashes")]
    TooShort,
    /// The proof goes on above the root.
    #[error("the proof has too many hashes")]
    TooLong,
    /// The proof leads to another root than that of the first tree.
    #[error("the proof leads to another root for the first tree")]
    FirstRootMismatch {
        /// The root that the proof leads to.
        computed: [u8; 32],
    },
    /// The proof leads to another root than that of the (second) tree.
    #[error("the proof leads to another root")]
    RootMismatch {
        /// The root that the proof leads to.
        computed: [u8; 32],
    },
}

/// A node on its way to the root: its index in its level, and the last index of that level (`fn` and `sn` in RFC 9162).
struct Path {
    node: u64,
    last: u64,
}

/// On which side of the path's node its sibling stands.
enum Sibling {
    Left,
    Right,
}

impl Path {
    /// Moves up to the node that the next sibling makes, past the levels where the node has none.
    fn ascend(&mut self) -> Result<Sibling, ProofError> {
        // "If sn is 0, then stop the iteration and fail the proof verification."
        if self.last == 0 {
            return Err(ProofError::TooLong);
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // "If LSB(fn) is not set, then right-shift both fn and sn equally until either LSB(fn) is set or fn is
            // 0": a last node without a sibling moves up unchanged. Here fn = sn > 0, so LSB(fn) comes first.
            let alone = self.node.trailing_zeros();
            self.node >>= alone;
            self.last >>= alone;
            Sibling::Left
        } else {
            Sibling::Right
        };
        self.node >>= 1;
        self.last >>= 1;
        Ok(side)
    }

    fn must_be_at_root(&self) -> Result<(), ProofError> {
        if self.last == 0 { Ok(()) } else { Err(ProofError::TooShort) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SUBTREE_HEIGHT;
    use super::*;

    const SIZES: [usize; 21] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 511, 513, 1023, 1024, 1025];

    fn leaf_hashes(size: usize) -> Vec<[u8; 32]> {
        (0..size as u64).map(|index| leaf_hash(&index.to_le_bytes())).collect()
    }

    /// "k is the largest power of two smaller than n".
    fn split(size: usize) -> usize {
        size.next_power_of_two() / 2
    }

    /// MTH of section 2.1.
    fn mth(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&mth(left), &mth(right))
            }
        }
    }

    /// PATH of section 2.1.1.
    fn path(index: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let middle = split(leaves.len());
        let (left, right) = leaves.split_at(middle);
        let (mut path, sibling) =
            if index < middle { (path(index, left), right) } else { (path(index - middle, right), left) };
        path.push(mth(sibling));
        path
    }

    /// SUBPROOF of section 2.1.2.
    fn subproof(first: usize, leaves: &[[u8; 32]], complete: bool) -> Vec<[u8; 32]> {
        if first == leaves.len() {
            return if complete { Vec::new() } else { vec![mth(leaves)] };
        }
        let middle = split(leaves.len());
        let (left, right) = leaves.split_at(middle);
        let (mut proof, sibling) = if first <= middle {
            (subproof(first, left, complete), right)
        } else {
            (subproof(first - middle, right, false), left)
        };
        proof.push(mth(sibling));
        proof
    }

    fn sampled(range: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
        let step = if range.len() > 100 { 31 } else { 1 };
        range.clone().step_by(step).chain(range.last().filter(|_| step > 1))
    }

    #[test]
    fn roots_and_inclusion_proofs_follow_the_definition() {
        let mut proofs = 0;
        for size in SIZES {
            let leaves = leaf_hashes(size);
            let tree = Tree::of_leaf_hashes(leaves.clone());
            assert_eq!((tree.size(), tree.root()), (size as u64, mth(&leaves)));
            for index in sampled(0..size) {
                let proof = tree.inclusion_proof(index as u64).unwrap();
                assert_eq!(proof, path(index, &leaves), "{index} of {size}");
                assert_eq!(verify_inclusion(index as u64, size as u64, &leaves[index], &proof, &tree.root()), Ok(()));
                proofs += 1;
            }
        }
        assert_eq!(proofs, 329);
    }

    #[test]
    fn trees_of_several_subtrees_follow_the_definition() {
        let subtree = 1 << SUBTREE_HEIGHT;
        let sizes =
            (1..=5).flat_map(|subtrees| [0, 1, 2, subtree / 2, subtree - 1].map(|more| subtrees * subtree + more));
        // And two levels of subtrees.
        for size in sizes.chain([subtree * subtree + 1, subtree * subtree + subtree + 3]) {
            let leaves = leaf_hashes(size);
            let tree = Tree::of_leaf_hashes(leaves.clone());
            assert_eq!(tree.root(), mth(&leaves), "{size} leaves");
            for index in [0, size / 2, size - 1] {
                let proof = tree.inclusion_proof(index as u64).unwrap();
                assert_eq!(verify_inclusion(index as u64, size as u64, &leaves[index], &proof, &tree.root()), Ok(()));
            }
        }
    }

    #[test]
    fn consistency_proofs_follow_the_definition() {
        let mut proofs = 0;
        for size in SIZES {
            let leaves = leaf_hashes(size);
            let tree = Tree::of_leaf_hashes(leaves.clone());
            for first in sampled(1..size + 1) {
                let proof = tree.consistency_proof(first as u64).unwrap();
                assert_eq!(proof, subproof(first, &leaves, true), "{first} in {size}");
                let first_root = mth(&leaves[..first]);
                let verified = verify_consistency(first as u64, size as u64, &first_root, &tree.root(), &proof);
                assert_eq!(verified, Ok(()), "{first} in {size}");
                proofs += 1;
            }
        }
        assert_eq!(proofs, 329);
    }

    #[test]
    fn entries_are_hashed_as_leaves_in_order() {
        let entries: Vec<_> = (0..1025_u64).map(u64::to_le_bytes).collect();
        assert_eq!(Tree::of_entries(&entries), Tree::of_leaf_hashes(leaf_hashes(1025)));
        assert_eq!(Tree::of_entries::<[u8; 8]>(&[]).root(), empty_root());
    }

    #[test]
    fn entries_of_any_length_are_hashed_alike() {
        let lengths = (0..200).chain(LONG_ENTRY - 2..LONG_ENTRY + 3).chain((0..200).rev());
        let entries: Vec<_> = lengths.map(|length| vec![length.to_le_bytes()[0]; length]).collect();
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        assert_eq!(leaves.len(), 405);
        assert_eq!(Tree::of_entries(&entries), Tree::of_leaf_hashes(leaves));
    }

    #[test]
    fn no_size_or_index_overflows() {
        let hash = [7; 32];
        let extremes = [0, 1, 2, 3, u64::from(u32::MAX), 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
        for (first, second) in extremes.iter().flat_map(|first| extremes.map(|second| (*first, second))) {
            for length in [0, 1, 2, 63, 64, 65, 200] {
                let proof = vec![hash; length];
                let inclusion = verify_inclusion(first, second, &hash, &proof, &hash);
                assert_eq!(inclusion.is_ok(), (first, second, length) == (0, 1, 0), "{first} of {second}, {length}");
                let consistency = verify_consistency(first, second, &hash, &hash, &proof);
                let same = first == second && first > 0 && length == 0;
                assert_eq!(consistency.is_ok(), same, "{first} in {second}, {length}");
            }
        }
        let tree = Tree::of_leaf_hashes(leaf_hashes(5));
        for beyond in [5, 6, u64::MAX] {
            let error = ProofError::IndexOutOfRange { index: beyond, size: 5 };
            assert_eq!(tree.inclusion_proof(beyond), Err(error));
        }
        for first in [0, 6, u64::MAX] {
            assert_eq!(tree.consistency_proof(first), Err(ProofError::SizeOutOfRange { first, second: 5 }));
        }
    }
}
