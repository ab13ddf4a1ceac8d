//! Merkle trees on a device: complete subtrees reduced to their roots, one a lane.
//!
//! The host hands over the leaves in subtrees, then the roots of these as the next leaves, and finishes what is no complete
//! subtree by the tree's own rules. Only roots come back: the few nodes that a proof needs besides are hashed again on the host.

use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::hash::digest_of;
use super::program::{Program, Step};
use super::shader::{MERKLE_LEAVES, hash};
use super::team::Team;
use crate::cpu::sha256;
use crate::merkle::{bitcoin, rfc6962};

/// Leaves of a subtree.
pub(super) const LEAVES: usize = MERKLE_LEAVES as usize;

const _: () = assert!(LEAVES.is_power_of_two() && LEAVES > 1, "a subtree is complete");

/// Words of a hash.
const HASH_WORDS: usize = 8;

/// The word that says that no two equal nodes were paired.
const DISTINCT: u32 = 1;

/// The word that says that some were.
const EQUAL: u32 = 2;

/// A complete subtree's leaves.
pub(super) type Leaves = [[u8; 32]; LEAVES];

/// A subtree's root, from a device or from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subtree {
    /// The root.
    pub(super) root: [u8; 32],
    /// Whether two equal nodes were paired on the way, where the tree asks.
    pub(super) mutated: bool,
}

/// A tree whose nodes are hashed on a device.
pub(super) trait Tree: fmt::Debug + Send + Sync + 'static {
    /// Its program's name.
    const NAME: &'static str;
    /// Its dispatch.
    const STEPS: [Step; 1];
    /// Whether pairs of equal nodes are told.
    const TELLS_EQUAL_PAIRS: bool;

    /// Climbs as many levels as a complete subtree has, from one to [`LEAVES`] leaves, by the tree's rules for odd nodes.
    fn climb(leaves: &[[u8; 32]]) -> Subtree;
}

/// Bitcoin's tree.
#[derive(Debug)]
pub(super) struct Bitcoin;

/// The tree of RFC 6962, over hashes of leaves.
#[derive(Debug)]
pub(super) struct Rfc6962;

impl Tree for Bitcoin {
    const NAME: &'static str = "merkle-bitcoin";
    const STEPS: [Step; 1] = [Step { kernel: hash("merkle_bitcoin", "merkle"), lanes_per_invocation: 1 }];
    const TELLS_EQUAL_PAIRS: bool = true;

    fn climb(leaves: &[[u8; 32]]) -> Subtree {
        let bitcoin::Root { hash, mutated } = bitcoin::climb(leaves, LEAVES.ilog2());
        Subtree { root: hash, mutated }
    }
}

impl Tree for Rfc6962 {
    const NAME: &'static str = "merkle-rfc6962";
    const STEPS: [Step; 1] = [Step { kernel: hash("merkle_rfc6962", "merkle"), lanes_per_invocation: 1 }];
    const TELLS_EQUAL_PAIRS: bool = false;

    fn climb(leaves: &[[u8; 32]]) -> Subtree {
        // A lone node moves up unchanged, so that a smaller tree's root is what stands at the higher level.
        Subtree { root: rfc6962::Tree::of_leaf_hashes(leaves.to_vec()).root(), mutated: false }
    }
}

/// Reduces complete subtrees of one kind of tree.
#[derive(Debug)]
pub(super) struct Subtrees<T>(PhantomData<T>);

impl<T> Subtrees<T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Tree> Program for Subtrees<T> {
    type Item<'a> = &'a Leaves;
    type Answer = Subtree;

    const NAME: &'static str = T::NAME;
    /// The root, whether equal nodes were paired, the seal.
    const OUTPUT_WORDS: usize = HASH_WORDS + 2;
    /// Every node, the root too.
    const SCRATCH_WORDS: usize = HASH_WORDS * (LEAVES - 1);

    fn steps(&self) -> &[Step] {
        &T::STEPS
    }

    fn table(&self) -> &[u32] {
        &[]
    }

    fn input_words(&self, _: &&Leaves) -> usize {
        LEAVES * HASH_WORDS
    }

    fn pack<'a>(&self, _: usize, item: &(impl Fn(usize) -> Self::Item<'a> + Sync), words: &mut [u32], team: &Team) {
        team.fill(words, LEAVES * HASH_WORDS, |lane, words| {
            for (word, bytes) in words.iter_mut().zip(item(lane).as_flattened().as_chunks::<4>().0) {
                *word = u32::from_be_bytes(*bytes);
            }
        });
    }

    fn unpack(&self, words: &[u32]) -> Option<Subtree> {
        let (root, rest) = words.split_first_chunk()?;
        let mutated = match *rest.first()? {
            DISTINCT => false,
            EQUAL if T::TELLS_EQUAL_PAIRS => true,
            _ => return None,
        };
        Some(Subtree { root: digest_of(root, u32::to_be_bytes), mutated })
    }

    fn settle(&self, _: &&Leaves) -> Option<Subtree> {
        None
    }

    fn shorten<'a>(item: &'static Leaves) -> &'a Leaves {
        item
    }

    fn answer_on_cpu(&self, subtrees: &[&Leaves]) -> Vec<Subtree> {
        subtrees.iter().map(|leaves| T::climb(*leaves)).collect()
    }

    fn is_refusal(&self, _: &Subtree) -> bool {
        false
    }

    fn known_answers(&self) -> Vec<(&'static Leaves, Subtree)> {
        KNOWN_SUBTREES.iter().map(|leaves| (leaves, T::climb(leaves))).collect()
    }
}

/// Leaves of no pattern; all zeros and all ones; and, for each level, leaves that make two nodes of a pair equal there, or two
/// neighbours which are no pair.
static KNOWN_SUBTREES: LazyLock<Vec<Leaves>> = LazyLock::new(|| {
    let leaves: Leaves = std::array::from_fn(|leaf| sha256(&leaf.to_le_bytes()));
    let mut known = vec![leaves, [[0; 32]; LEAVES], [[0xff; 32]; LEAVES]];
    for size in (0..LEAVES.ilog2()).map(|level| 1 << level) {
        for first in [0, size, LEAVES - 2 * size] {
            let mut repeated = leaves;
            repeated.copy_within(first..first + size, (first + size) % LEAVES);
            known.push(repeated);
        }
    }
    known
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_subtrees_are_mutated_at_every_level_and_not() {
        let known = Subtrees::<Bitcoin>::new().known_answers();
        let mutated = known.iter().filter(|(_, subtree)| subtree.mutated).count();
        // All zeros and all ones; at each of four levels the first pair and the last, which at the top are one; and of the neighbours
        // that are no pair none.
        assert_eq!((known.len(), mutated), (15, 11));
        assert!(Subtrees::<Rfc6962>::new().known_answers().iter().all(|(_, subtree)| !subtree.mutated));
    }

    #[test]
    fn what_no_kernel_says_is_garbled() {
        fn unpack<T: Tree>(word: u32) -> Option<bool> {
            let answer = Subtrees::<T>::new().unpack(&[&[0; HASH_WORDS][..], &[word]].concat());
            answer.map(|answer| answer.mutated)
        }
        assert_eq!(unpack::<Bitcoin>(DISTINCT), Some(false));
        assert_eq!(unpack::<Bitcoin>(EQUAL), Some(true));
        assert_eq!(unpack::<Rfc6962>(DISTINCT), Some(false));
        for word in [0, 3, u32::MAX] {
            assert_eq!(unpack::<Bitcoin>(word), None);
            assert_eq!(unpack::<Rfc6962>(word), None);
        }
        assert_eq!(unpack::<Rfc6962>(EQUAL), None);
    }
}
