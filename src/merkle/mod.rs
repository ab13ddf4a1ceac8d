//! Trees of hashes: how many leaves become one root, and how one leaf is proved to be among them.
//!
//! | tree | node | odd node of a level | proofs |
//! |---|---|---|---|
//! | [`bitcoin`] | SHA-256d of left, right | paired with itself | inclusion |
//! | [`rfc6962`] | SHA-256 of 0x01, left, right | moves up unchanged | inclusion, consistency |
//! | `ethereum` | Keccak-256 of an RLP node | (a trie, keyed by index) | none |
//!
//! Large trees are climbed by the threads of the rayon pool that the caller is in. A node depends on its two
//! children alone, so the number of threads cannot change a root.

pub mod bitcoin;
#[cfg(feature = "ethereum")]
pub mod ethereum;
pub mod rfc6962;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// The height of the subtrees that a tree is cut into, each climbed by one thread without leaving its cache: a twentieth of a
/// millisecond of hashing.
const SUBTREE_HEIGHT: u32 = 10;

/// Every level of a tree, from the leaves to the root: of a pair of nodes, the level above has what `nodes` writes, of a last node
/// without a partner what `odd` makes of it.
fn levels(
    leaves: Vec<[u8; 32]>,
    nodes: impl Fn(&[[[u8; 32]; 2]], &mut [[u8; 32]]) + Sync,
    odd: impl Fn(&[u8; 32]) -> [u8; 32] + Sync,
) -> Vec<Vec<[u8; 32]>> {
    let mut levels = vec![leaves];
    while let Some(base) = levels.last().filter(|level| level.len() > 1) {
        let height = base.len().next_power_of_two().trailing_zeros().min(SUBTREE_HEIGHT);
        let mut above: Vec<_> = (1..=height).map(|level| vec![[0; 32]; base.len().div_ceil(1 << level)]).collect();
        // Only the last subtree can be incomplete, and where it is, its odd nodes are the tree's.
        let mut chunks: Vec<_> =
            above.iter_mut().zip(1..).map(|(whole, level)| whole.chunks_mut(1 << (height - level))).collect();
        let above_subtree = || chunks.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>();
        let subtrees: Vec<_> = base.chunks(1 << height).zip(std::iter::repeat_with(above_subtree)).collect();
        subtrees.into_par_iter().with_max_len(1).for_each(|(leaves, levels)| {
            let mut below = leaves;
            for level in levels {
                let (pairs, last) = below.as_chunks();
                nodes(pairs, &mut level[..pairs.len()]);
                if let Some((last, parent)) = last.first().zip(level.get_mut(pairs.len())) {
                    *parent = odd(last);
                }
                below = level;
            }
        });
        levels.append(&mut above);
    }
    levels
}
