//! Roots of trees.

use phalanx::merkle::{bitcoin, rfc6962};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rs_merkle::{Hasher, MerkleTree};
use sha2::{Digest as _, Sha256};

use super::{Contender, Row};

const LEAVES: usize = 1 << 16;

pub(super) fn rows() -> Vec<Row<'static>> {
    let leaves: Vec<_> = (0..LEAVES).map(|index| sha256(&[&index.to_le_bytes()])).collect();
    let leaves: &'static [[u8; 32]] = leaves.leak();
    let bitcoin = Row {
        name: "root of 65,536 leaves, sha256d".to_owned(),
        items: LEAVES,
        ours: Contender::batch("phalanx", |verifier| {
            vec![verifier.cpu_backend().install(|| bitcoin::root(leaves)).hash]
        }),
        peers: vec![
            Contender::one_thread("rs_merkle", || root_by_rs_merkle::<Sha256d>(leaves)),
            Contender::one_thread("a loop over sha2", || {
                root_by_loop(leaves, |left, right| sha256(&[&sha256(&[left, right])]))
            }),
        ],
    };
    let rfc6962 = Row {
        name: "tree of 65,536 leaves, RFC 6962".to_owned(),
        items: LEAVES,
        ours: Contender::batch("phalanx", |verifier| {
            let tree = || rfc6962::Tree::of_leaf_hashes(leaves.par_iter().copied().collect());
            vec![verifier.cpu_backend().install(tree).root()]
        }),
        peers: vec![
            Contender::one_thread("rs_merkle", || root_by_rs_merkle::<Prefixed>(leaves)),
            Contender::one_thread("a loop over sha2", || {
                root_by_loop(leaves, |left, right| sha256(&[&[0x01], left, right]))
            }),
        ],
    };
    vec![bitcoin, rfc6962]
}

/// The root of a power of two of leaves, a node at a time.
fn root_by_loop(leaves: &[[u8; 32]], node: impl Fn(&[u8], &[u8]) -> [u8; 32]) -> Vec<[u8; 32]> {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level.as_chunks().0.iter().map(|[left, right]| node(left, right)).collect();
    }
    level
}

fn root_by_rs_merkle<H: Hasher<Hash = [u8; 32]>>(leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    MerkleTree::<H>::from_leaves(leaves).root().into_iter().collect()
}

#[derive(Clone)]
struct Sha256d;

impl Hasher for Sha256d {
    type Hash = [u8; 32];

    fn hash(bytes: &[u8]) -> [u8; 32] {
        sha256(&[&sha256(&[bytes])])
    }
}

#[derive(Clone)]
struct Prefixed;

impl Hasher for Prefixed {
    type Hash = [u8; 32];

    fn hash(bytes: &[u8]) -> [u8; 32] {
        sha256(&[&[0x01], bytes])
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
