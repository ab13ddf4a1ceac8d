//! From the roots of subtrees to the root of a tree, and to the proofs that are asked for.

use super::merkle::{LEAVES, Leaves, Subtree, Tree};
use crate::merkle::{bitcoin, rfc6962};

/// A list of nodes no longer than this is left to the CPU: it is done before a device has begun.
const LEFT_TO_CPU: usize = 64 * LEAVES;

/// A tree as far as a device climbed it: the leaves, then the roots of their subtrees, and so on.
#[derive(Debug)]
pub(super) struct Climb<'a> {
    leaves: &'a [[u8; 32]],
    /// The nodes of every level that a dispatch ended at.
    levels: Vec<Vec<[u8; 32]>>,
    /// Whether two equal nodes were paired so far.
    mutated: bool,
}

impl<'a> Climb<'a> {
    /// Climbs until what is left is the CPU's. `reduce` gives the root of each complete subtree in order.
    pub(super) fn new<T: Tree, E>(
        leaves: &'a [[u8; 32]],
        mut reduce: impl FnMut(&[Leaves]) -> Result<Vec<Subtree>, E>,
    ) -> Result<Self, E> {
        let mut climb = Self { leaves, levels: Vec::new(), mutated: false };
        while climb.top().len() > LEFT_TO_CPU {
            let (complete, rest) = climb.top().as_chunks::<LEAVES>();
            let mut subtrees = reduce(complete)?;
            // There are other subtrees before it, so that the tree's odd nodes on the way are the subtree's.
            subtrees.extend((!rest.is_empty()).then(|| T::climb(rest)));
            let mutated = subtrees.iter().any(|subtree| subtree.mutated);
            climb.levels.push(subtrees.into_iter().map(|subtree| subtree.root).collect());
            climb.mutated |= mutated;
        }
        Ok(climb)
    }

    /// The nodes from which the CPU goes on.
    fn top(&self) -> &[[u8; 32]] {
        self.levels.last().map_or(self.leaves, Vec::as_slice)
    }

    /// The root of Bitcoin's tree.
    pub(super) fn bitcoin_root(&self) -> bitcoin::Root {
        let top = bitcoin::root(self.top());
        bitcoin::Root { hash: top.hash, mutated: top.mutated || self.mutated }
    }

    /// The branch of the leaf at `index` of Bitcoin's tree; `None` past the end.
    pub(super) fn bitcoin_branch(&self, index: usize) -> Option<bitcoin::Branch> {
        self.leaves.get(index)?;
        let mut siblings = Vec::new();
        let top = self.way_up(index, |nodes, place| {
            siblings.extend((0..LEAVES.ilog2()).filter_map(|level| {
                // The subtree beside the leaf's at this level; where there is none, the leaf's own stands in.
                let beside = |place: usize| nodes.chunks(1 << level).nth(place);
                let sibling = beside((place >> level) ^ 1).or_else(|| beside(place >> level))?;
                Some(bitcoin::climb(sibling, level).hash)
            }));
        });
        siblings.extend(bitcoin::Branch::new(self.top(), top)?.siblings);
        Some(bitcoin::Branch { index: index as u64, siblings })
    }

    /// The root of the tree of RFC 6962 over leaf hashes.
    pub(super) fn rfc6962_root(&self) -> [u8; 32] {
        rfc6962::Tree::of_leaf_hashes(self.top().to_vec()).root()
    }

    /// The audit path of the leaf at `index` of the tree of RFC 6962; `None` past the end.
    pub(super) fn rfc6962_inclusion_proof(&self, index: usize) -> Option<Vec<[u8; 32]>> {
        self.leaves.get(index)?;
        let path = |nodes: &[[u8; 32]], position: usize| {
            rfc6962::Tree::of_leaf_hashes(nodes.to_vec()).inclusion_proof(position as u64).ok()
        };
        let mut proof = Vec::new();
        let top = self.way_up(index, |nodes, place| proof.extend(path(nodes, place).into_iter().flatten()));
        proof.extend(path(self.top(), top)?);
        Some(proof)
    }

    /// Tells of the subtree that the leaf at `index` is in, then of the subtree that its root is in, and so on: its nodes, and the
    /// place among them. Gives the place among the top's nodes.
    fn way_up(&self, index: usize, mut tell: impl FnMut(&[[u8; 32]], usize)) -> usize {
        let below = [self.leaves].into_iter().chain(self.levels.iter().map(Vec::as_slice));
        let mut position = index;
        for nodes in below.take(self.levels.len()) {
            let (subtree, place) = (position / LEAVES, position % LEAVES);
            tell(nodes.chunks(LEAVES).nth(subtree).unwrap_or_default(), place);
            position = subtree;
        }
        position
    }
}
