//! Trees of hashes: how many leaves become one root, and how one leaf is proved to be among them.
//!
//! | tree | node | odd node of a level | proofs |
//! |---|---|---|---|
//! | [`bitcoin`] | SHA-256d of left, right | paired with itself | inclusion |
//! | [`rfc6962`] | SHA-256 of 0x01, left, right | moves up unchanged | inclusion, consistency |
//! | `ethereum` | Keccak-256 of an RLP node | (a trie, keyed by index) | none |
//!
//! Large levels are hashed by the threads of the rayon pool that the caller is in. A node depends on its two
//! children alone, so the number of threads cannot change a root.

pub mod bitcoin;
#[cfg(feature = "ethereum")]
pub mod ethereum;
pub mod rfc6962;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

/// Nodes a thread hashes at a time. A level of no more than this is hashed where it is: waking another thread
/// costs more than the nodes do.
const NODES_PER_TASK: usize = 512;

/// The level above `level`: the parents of its pairs, which `nodes` writes, and what `odd` makes of the last node where it
/// has no partner.
fn parents(
    level: &[[u8; 32]],
    nodes: impl Fn(&[[[u8; 32]; 2]], &mut [[u8; 32]]) + Sync,
    odd: impl FnOnce(&[u8; 32]) -> [u8; 32],
) -> Vec<[u8; 32]> {
    let (pairs, last) = level.as_chunks::<2>();
    let mut parents = vec![[0; 32]; pairs.len() + last.len()];
    if pairs.len() <= NODES_PER_TASK {
        nodes(pairs, &mut parents[..pairs.len()]);
    } else {
        let parents = parents[..pairs.len()].par_chunks_mut(NODES_PER_TASK);
        parents.zip(pairs.par_chunks(NODES_PER_TASK)).for_each(|(parents, pairs)| nodes(pairs, parents));
    }
    if let Some((last, parent)) = last.first().zip(parents.get_mut(pairs.len())) {
        *parent = odd(last);
    }
    parents
}
