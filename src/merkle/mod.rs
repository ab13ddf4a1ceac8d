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

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelExtend, ParallelIterator};

/// Nodes a thread hashes at a time. A level of no more than this is hashed where it is: waking another thread
/// costs more than the nodes do.
const NODES_PER_TASK: usize = 256;

/// The level above `level`: each pair joined by `node`, and what `odd` makes of the last node where it has no
/// partner.
fn parents(
    level: &[[u8; 32]],
    node: impl Fn(&[u8; 32], &[u8; 32]) -> [u8; 32] + Sync,
    odd: impl FnOnce(&[u8; 32]) -> [u8; 32],
) -> Vec<[u8; 32]> {
    let (pairs, last) = level.as_chunks::<2>();
    let mut parents = Vec::with_capacity(level.len().div_ceil(2));
    if pairs.len() <= NODES_PER_TASK {
        parents.extend(pairs.iter().map(|[left, right]| node(left, right)));
    } else {
        let nodes = pairs.par_iter().with_min_len(NODES_PER_TASK);
        parents.par_extend(nodes.map(|[left, right]| node(left, right)));
    }
    parents.extend(last.first().map(odd));
    parents
}
