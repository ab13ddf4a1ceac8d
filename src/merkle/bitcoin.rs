//! Bitcoin's tree: SHA-256d of the two children, and an odd node paired with itself.
//!
//! Hashes are in the order in which they are hashed and sent (explorers show them reversed).
//!
//! # What a root does not say
//!
//! - **A root does not fix the list** (CVE-2012-2459). Pairing an odd node with itself gives the list that repeats its
//!   last leaves the same root. [`Root::mutated`] reports it, as Bitcoin Core does; a list so marked must be refused
//!   and never remembered as bad by its root, which an honest list shares.
//! - **A root does not fix the depth** (CVE-2017-12842). A node's preimage is 64 bytes, and so may be a transaction:
//!   a branch can end at an inner node that is passed off as a transaction, or go on below a transaction of 64
//!   bytes. Who verifies a branch must refuse transactions of exactly 64 bytes, or know the depth, for instance from
//!   the branch of the coinbase.

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::{SUBTREE_HEIGHT, levels};
use crate::cpu::{Sha256Lanes, sha256d};

/// What a list of leaves hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Root {
    /// The root; 32 zero bytes for the empty list, as in Bitcoin Core.
    pub hash: [u8; 32],
    /// Whether two equal nodes were paired at some level (an odd node's pairing with itself apart), so that a
    /// shorter list has the same root.
    pub mutated: bool,
}

/// The root of `leaves`: transaction ids, or witness transaction ids with zeros for the coinbase.
///
/// No leaf: 32 zero bytes, not mutated. One leaf: that leaf.
pub fn root(leaves: &[[u8; 32]]) -> Root {
    let height = leaves.len().next_power_of_two().trailing_zeros();
    if height <= SUBTREE_HEIGHT {
        return climb(leaves, height);
    }
    // Only the last subtree can be incomplete, and where it is, its odd nodes are the tree's.
    let subtrees = leaves.par_chunks(1 << SUBTREE_HEIGHT).map(|leaves| climb(leaves, SUBTREE_HEIGHT));
    let subtrees: Vec<_> = subtrees.collect();
    let roots: Vec<_> = subtrees.iter().map(|subtree| subtree.hash).collect();
    let top = root(&roots);
    Root { hash: top.hash, mutated: top.mutated || subtrees.iter().any(|subtree| subtree.mutated) }
}

/// Climbs `height` levels, to the one node there if `leaves` are at most 2^`height`; a lone node on the way is paired with
/// itself as any odd one is.
pub(crate) fn climb(leaves: &[[u8; 32]], height: u32) -> Root {
    let lanes = Sha256Lanes::detect();
    let (mut level, mut above) = (leaves.to_vec(), Vec::new());
    let mut mutated = false;
    for _ in 0..height {
        let (pairs, last) = level.as_chunks();
        mutated |= pairs.iter().any(|[left, right]| left == right);
        above.resize(pairs.len() + last.len(), [0; 32]);
        lanes.sha256d_of_pairs(pairs, &mut above);
        if let Some(last) = last.first() {
            lanes.sha256d_of_pairs(&[[*last; 2]], &mut above[pairs.len()..]);
        }
        std::mem::swap(&mut level, &mut above);
    }
    Root { hash: level.first().copied().unwrap_or_default(), mutated }
}

/// The path from one leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    /// The leaf's place in the list, from 0. Bit i says whether the path's node at level i is the right child.
    pub index: u64,
    /// The other child at each level, the leaf's sibling first.
    pub siblings: Vec<[u8; 32]>,
}

impl Branch {
    /// The branch of the leaf at `index`, or `None` past the end.
    ///
    /// It hashes the whole list. Where the list is [mutated](Root::mutated), the branch of a repeated leaf does not
    /// verify.
    #[must_use]
    pub fn new(leaves: &[[u8; 32]], index: usize) -> Option<Self> {
        leaves.get(index)?;
        let lanes = Sha256Lanes::detect();
        let levels =
            levels(leaves.to_vec(), |pairs, nodes| lanes.sha256d_of_pairs(pairs, nodes), |last| node(last, last));
        let mut siblings = Vec::with_capacity(levels.len());
        let mut position = index;
        for level in levels.iter().filter(|level| level.len() > 1) {
            siblings.push(*level.get(position ^ 1).or_else(|| level.get(position))?);
            position /= 2;
        }
        Some(Self { index: u64::try_from(index).ok()?, siblings })
    }

    /// Checks that `leaf` stands at this index of the list with this `root`, in a tree as deep as the branch is long.
    ///
    /// That the depth is right is for the caller to know: see the module's page.
    pub fn verify(&self, leaf: &[u8; 32], root: &[u8; 32]) -> Result<(), BranchError> {
        let mut hash = *leaf;
        let mut position = self.index;
        for (level, sibling) in self.siblings.iter().enumerate() {
            hash = if position & 1 == 0 {
                node(&hash, sibling)
            } else if *sibling == hash {
                // An odd node's partner is itself on the right; accepting the path through that copy would give
                // the last leaf a second index.
                return Err(BranchError::RepeatedNode { level });
            } else {
                node(sibling, &hash)
            };
            position >>= 1;
        }
        if position != 0 {
            return Err(BranchError::IndexOutOfRange { index: self.index, depth: self.siblings.len() });
        }
        if hash != *root {
            return Err(BranchError::RootMismatch { computed: hash });
        }
        Ok(())
    }
}

/// Why a branch proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BranchError {
    /// No tree of this depth has a leaf at this index.
    #[error("a tree of depth {depth} has no leaf at index {index}")]
    IndexOutOfRange {
        /// The index that the branch claims.
        index: u64,
        /// How many siblings it has.
        depth: usize,
    },
    /// The path runs through the right one of two equal nodes, which is a copy.
    #[error("at level {level} the path runs through the copy of an odd node")]
    RepeatedNode {
        /// The level, 0 for the leaves.
        level: usize,
    },
    /// The path ends in another root.
    #[error("the branch leads to another root")]
    RootMismatch {
        /// The root that the branch leads to.
        computed: [u8; 32],
    },
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut children = [0; 64];
    children[..32].copy_from_slice(left);
    children[32..].copy_from_slice(right);
    sha256d(&children)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<[u8; 32]> {
        (0..count as u64).map(|index| sha256d(&index.to_le_bytes())).collect()
    }

    /// The root as the protocol's documentation words it.
    fn root_by_definition(mut leaves: Vec<[u8; 32]>) -> [u8; 32] {
        match leaves[..] {
            [] => [0; 32],
            [root] => root,
            _ => {
                if leaves.len() % 2 == 1 {
                    leaves.push(*leaves.last().unwrap());
                }
                root_by_definition(leaves.chunks(2).map(|pair| sha256d(&pair.concat())).collect())
            }
        }
    }

    const COUNTS: [usize; 23] =
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 127, 129, 511, 512, 513, 1023, 1024, 1025];

    #[test]
    fn roots_follow_the_definition() {
        for count in COUNTS {
            let leaves = leaves(count);
            assert_eq!(root(&leaves), Root { hash: root_by_definition(leaves), mutated: false }, "{count} leaves");
        }
    }

    #[test]
    fn the_root_does_not_depend_on_the_threads() {
        let leaves = leaves(5001);
        let expected = root_by_definition(leaves.clone());
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| root(&leaves)).hash, expected, "{threads} threads");
        }
    }

    #[test]
    fn a_list_that_repeats_its_end_has_the_same_root_and_is_reported() {
        let mut seen = 0;
        for count in 1..=130 {
            let honest = leaves(count);
            // Each complete subtree at the end whose root has no partner can be repeated.
            for subtree in (0..8).map(|level| 1 << level) {
                let subtrees = count / subtree;
                if count % subtree != 0 || subtrees % 2 == 0 || subtrees == 1 {
                    continue;
                }
                let mut repeated = honest.clone();
                repeated.extend_from_slice(&honest[count - subtree..]);
                assert_eq!(root(&repeated), Root { hash: root(&honest).hash, mutated: true }, "{count}, {subtree}");
                seen += 1;
            }
        }
        // Every count but the eight powers of two.
        assert_eq!(seen, 122);
    }

    #[test]
    fn trees_of_several_subtrees_have_the_roots_and_the_mutations_of_the_definition() {
        let subtree = 1 << SUBTREE_HEIGHT;
        let mut mutated = 0;
        for honest in [1, 2, 3, 4, 5].map(|subtrees| subtrees * subtree) {
            for count in [honest - 1, honest, honest + 1, honest + 2, honest + 3, honest + subtree / 2] {
                let honest = leaves(count);
                for repeated in [0, 1, 2, subtree / 2, subtree, 2 * subtree] {
                    let Some(start) = count.checked_sub(repeated) else { continue };
                    let list = [&honest, &honest[start..]].concat();
                    let expected =
                        Root { hash: root_by_definition(list.clone()), mutated: mutated_by_definition(&list) };
                    assert_eq!(root(&list), expected, "{count} leaves, the last {repeated} repeated");
                    mutated += usize::from(expected.mutated);
                }
            }
        }
        assert_eq!(mutated, 29);
        // Two levels of subtrees.
        let large = leaves((1 << (2 * SUBTREE_HEIGHT)) + 3);
        assert_eq!(root(&large), Root { hash: root_by_definition(large), mutated: false });
    }

    /// Whether two equal nodes, neither of them a copy, are paired at any level.
    fn mutated_by_definition(leaves: &[[u8; 32]]) -> bool {
        let mut level = leaves.to_vec();
        let mut mutated = false;
        while level.len() > 1 {
            mutated |= level.chunks_exact(2).any(|pair| pair[0] == pair[1]);
            level = level.chunks(2).map(|pair| sha256d(&[pair[0], pair[pair.len() - 1]].concat())).collect();
        }
        mutated
    }

    #[test]
    fn equal_leaves_of_different_pairs_are_no_mutation() {
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]];
        assert!(!root(&[a, b, b, c]).mutated);
        assert!(!root(&[a, b, c, a]).mutated);
        assert!(root(&[a, b, c, c]).mutated);
        assert!(root(&[a, b, a, b]).mutated);
    }

    #[test]
    fn every_leaf_has_a_branch_and_only_one() {
        for count in COUNTS {
            let leaves = leaves(count);
            let root = root(&leaves).hash;
            assert_eq!(Branch::new(&leaves, count), None);
            for index in (0..count).step_by(if count > 100 { 37 } else { 1 }).chain(count.checked_sub(1)) {
                let branch = Branch::new(&leaves, index).unwrap();
                assert_eq!(branch.verify(&leaves[index], &root), Ok(()), "{index} of {count}");
                for other in (0..64).map(|bit| branch.index ^ 1 << bit).chain([branch.index + 1, u64::MAX]) {
                    let moved = Branch { index: other, ..branch.clone() };
                    assert!(moved.verify(&leaves[index], &root).is_err(), "{index} as {other} of {count}");
                }
                for level in 0..branch.siblings.len() {
                    let mut changed = branch.clone();
                    changed.siblings[level][31] ^= 1;
                    assert!(changed.verify(&leaves[index], &root).is_err());
                    let mut shortened = branch.clone();
                    shortened.siblings.remove(level);
                    assert!(shortened.verify(&leaves[index], &root).is_err());
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_branch_is_said() {
        let leaves = leaves(3);
        let root = root(&leaves).hash;
        let branch = Branch::new(&leaves, 2).unwrap();
        let at = |index| Branch { index, ..branch.clone() };
        assert_eq!(at(3).verify(&leaves[2], &root), Err(BranchError::RepeatedNode { level: 0 }));
        assert_eq!(at(6).verify(&leaves[2], &root), Err(BranchError::IndexOutOfRange { index: 6, depth: 2 }));
        assert_eq!(branch.verify(&leaves[2], &[0; 32]), Err(BranchError::RootMismatch { computed: root }));
        let endless = Branch { index: u64::MAX, siblings: vec![[9; 32]; 200] };
        assert!(matches!(endless.verify(&leaves[0], &root), Err(BranchError::RootMismatch { .. })));
    }
}
