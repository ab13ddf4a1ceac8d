//! From the roots of subtrees to the root of a tree, and to the proofs that are asked for.

use super::merkle::{LEAVES, Leaves, Subtree, Tree};
use crate::merkle::{bitcoin, rfc6962};

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
    /// Climbs until no more than `left_to_cpu` nodes are left, and at least a subtree's. `reduce` gives the root of each complete
    /// subtree in order.
    pub(super) fn new<T: Tree, E>(
        leaves: &'a [[u8; 32]],
        left_to_cpu: usize,
        mut reduce: impl FnMut(&[Leaves]) -> Result<Vec<Subtree>, E>,
    ) -> Result<Self, E> {
        let mut climb = Self { leaves, levels: Vec::new(), mutated: false };
        while climb.top().len() > left_to_cpu.max(LEAVES) {
            let (complete, rest) = climb.top().as_chunks::<LEAVES>();
            let mut subtrees = reduce(complete)?;
            // Others stand before what is no complete subtree, so that its odd nodes on the way are the tree's.
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::merkle::{Bitcoin, Rfc6962};
    use super::*;
    use crate::cpu::sha256;

    /// Every size up to a subtree of subtrees of subtrees, as far as that is cheap, and what is around powers of two.
    fn sizes() -> impl Iterator<Item = usize> {
        let powers = (11..=13).map(|height| 1_usize << height);
        (0..=1_100).chain(powers.flat_map(|size| [size - 1, size, size + 1]))
    }

    fn leaves(count: usize) -> Vec<[u8; 32]> {
        (0..count).map(|index| sha256(&index.to_le_bytes())).collect()
    }

    fn climb<T: Tree>(leaves: &[[u8; 32]], left_to_cpu: usize) -> Climb<'_> {
        let reduce =
            |subtrees: &[Leaves]| Ok::<_, Infallible>(subtrees.iter().map(|leaves| T::climb(leaves)).collect());
        let Ok(climb) = Climb::new::<T, _>(leaves, left_to_cpu, reduce);
        climb
    }

    /// Both ends, both sides of a subtree's edge, and a step that meets every place in a subtree.
    fn indices(count: usize) -> impl Iterator<Item = usize> {
        let edges = [0, 1, LEAVES - 1, LEAVES, count.saturating_sub(LEAVES), count.saturating_sub(1)];
        edges.into_iter().chain((0..count).step_by(97)).filter(move |index| *index < count)
    }

    #[test]
    fn bitcoin_roots_and_branches_are_those_of_the_whole_list() {
        for count in sizes() {
            let leaves = leaves(count);
            for left_to_cpu in [0, 300] {
                let climb = climb::<Bitcoin>(&leaves, left_to_cpu);
                assert_eq!(climb.bitcoin_root(), bitcoin::root(&leaves), "{count}, {left_to_cpu}");
                assert_eq!(climb.bitcoin_branch(count), None);
                for index in indices(count) {
                    assert_eq!(climb.bitcoin_branch(index), bitcoin::Branch::new(&leaves, index), "{index} of {count}");
                }
            }
        }
    }

    #[test]
    fn rfc6962_roots_and_proofs_are_those_of_the_whole_list() {
        for count in sizes() {
            let leaves = leaves(count);
            let tree = rfc6962::Tree::of_leaf_hashes(leaves.clone());
            for left_to_cpu in [0, 300] {
                let climb = climb::<Rfc6962>(&leaves, left_to_cpu);
                assert_eq!(climb.rfc6962_root(), tree.root(), "{count}, {left_to_cpu}");
                assert_eq!(climb.rfc6962_inclusion_proof(count), None);
                for index in indices(count) {
                    let proof = tree.inclusion_proof(index as u64).ok();
                    assert_eq!(climb.rfc6962_inclusion_proof(index), proof, "{index} of {count}");
                }
            }
        }
    }

    #[test]
    fn repeated_ends_are_reported_at_every_level() {
        let mut reported = 0;
        for count in 1..=1_030_usize {
            // The largest complete subtree at the end whose root has no partner can be repeated.
            let repeatable = 1 << count.trailing_zeros();
            if count == repeatable {
                continue;
            }
            let mut leaves = leaves(count);
            let honest = climb::<Bitcoin>(&leaves, 0).bitcoin_root();
            leaves.extend_from_within(count - repeatable..);
            let repeated = climb::<Bitcoin>(&leaves, 0).bitcoin_root();
            assert_eq!(repeated, bitcoin::Root { mutated: true, ..honest }, "{count}");
            assert!(!honest.mutated, "{count}");
            reported += 1;
        }
        // Every count but the eleven powers of two.
        assert_eq!(reported, 1_019);
    }

    #[test]
    fn a_device_that_fails_ends_the_climb() {
        let leaves = leaves(LEAVES * LEAVES + 1);
        let mut asked = 0;
        let failed = Climb::new::<Bitcoin, _>(&leaves, 0, |subtrees| {
            asked += 1;
            if asked == 2 { Err("gone") } else { Ok(subtrees.iter().map(|leaves| Bitcoin::climb(leaves)).collect()) }
        });
        assert_eq!((failed.map(|_| ()), asked), (Err("gone"), 2));
    }
}
