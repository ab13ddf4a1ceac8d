//! Merkle trees on every adapter there is, in both variants, against the CPU's.

#![cfg(feature = "gpu")]

mod common;

use common::gpu::on_every_adapter;
use common::stream::Stream;
use phalanx::gpu::Hasher;
use phalanx::merkle::{bitcoin, rfc6962};

/// Leaves of a subtree that a lane climbs.
const SUBTREE: usize = 16;

fn leaves(count: usize) -> Vec<[u8; 32]> {
    let mut stream = Stream::new("device leaves");
    std::iter::repeat_with(|| stream.block()).take(count).collect()
}

/// All sizes where the first device's work comes up, then every remainder of a subtree, neighbours of powers of two, and more than
/// a workgroup of subtrees at two levels.
fn sizes() -> Vec<usize> {
    let around = |size: usize| [size - 1, size, size + 1];
    let mut sizes: Vec<usize> = (0..=3 * SUBTREE).collect();
    sizes.extend((64..1_100).step_by(37));
    sizes.extend(
        [128, 256, 512, 1_024, 2_048, 4_096, 65 * SUBTREE, 65 * SUBTREE * SUBTREE].into_iter().flat_map(around),
    );
    sizes
}

fn places(count: usize) -> Vec<usize> {
    let edges = [0, 1, SUBTREE - 1, SUBTREE, count / 2, count.saturating_sub(1), count, count + SUBTREE];
    edges.to_vec()
}

fn bitcoin_root(hasher: &Hasher, leaves: &[[u8; 32]], place: &str) -> bitcoin::Root {
    hasher.bitcoin_root(leaves).unwrap_or_else(|fault| panic!("{place}: {fault}"))
}

#[test]
fn bitcoin_roots_and_branches() {
    let leaves = leaves(20_000);
    on_every_adapter(|hasher, place| {
        for count in sizes() {
            let leaves = &leaves[..count];
            let place = format!("{count} leaves, {place}");
            assert_eq!(bitcoin_root(hasher, leaves, &place), bitcoin::root(leaves), "{place}");
            let indices = places(count);
            let (root, branches) =
                hasher.bitcoin_branches(leaves, &indices).unwrap_or_else(|fault| panic!("{place}: {fault}"));
            assert_eq!(branches.len(), indices.len());
            for (index, branch) in indices.into_iter().zip(branches) {
                assert_eq!(branch, bitcoin::Branch::new(leaves, index), "{index}, {place}");
                if let Some(branch) = branch {
                    assert_eq!(branch.verify(&leaves[index], &root.hash), Ok(()), "{index}, {place}");
                }
            }
        }
    });
}

#[test]
fn rfc6962_roots_and_proofs() {
    let leaves = leaves(20_000);
    on_every_adapter(|hasher, place| {
        for count in sizes() {
            let leaves = &leaves[..count];
            let place = format!("{count} leaves, {place}");
            let tree = rfc6962::Tree::of_leaf_hashes(leaves.to_vec());
            let root = hasher.rfc6962_root(leaves).unwrap_or_else(|fault| panic!("{place}: {fault}"));
            assert_eq!(root, tree.root(), "{place}");
            let indices = places(count);
            let (root, proofs) =
                hasher.rfc6962_inclusion_proofs(leaves, &indices).unwrap_or_else(|fault| panic!("{place}: {fault}"));
            assert_eq!((root, proofs.len()), (tree.root(), indices.len()), "{place}");
            for (index, proof) in indices.into_iter().zip(proofs) {
                assert_eq!(proof, tree.inclusion_proof(index as u64).ok(), "{index}, {place}");
            }
        }
    });
}

/// CVE-2012-2459, at the levels that a device climbs and at those above.
#[test]
fn repeated_ends_are_reported() {
    let leaves = leaves(4_200);
    on_every_adapter(|hasher, place| {
        for count in [3, 17, 24, 40, 48, 80, 96, 272, 272 + 16, 513, 768, 1_025, 1_280, 4_112] {
            let honest = &leaves[..count];
            let subtree = 1 << count.trailing_zeros();
            let mut repeated = honest.to_vec();
            repeated.extend_from_within(count - subtree..);
            let place = format!("{count} leaves, the last {subtree} repeated, {place}");
            let root = bitcoin_root(hasher, honest, &place);
            assert!(!root.mutated, "{place}");
            let expected = bitcoin::Root { mutated: true, ..root };
            assert_eq!(bitcoin_root(hasher, &repeated, &place), expected, "{place}");
            assert_eq!(bitcoin::root(&repeated), expected, "{place}");
        }
    });
}

/// Equal leaves in the middle, wherever a pair or no pair begins.
#[test]
fn equal_leaves_of_different_pairs_are_no_mutation() {
    let leaves = leaves(16 * SUBTREE);
    on_every_adapter(|hasher, place| {
        for first in [0, 1, 14, 15, 16, 31, 32, 33, 100, 101, 253, 254] {
            let mut changed = leaves.clone();
            changed[first + 1] = changed[first];
            let root = bitcoin_root(hasher, &changed, place);
            assert_eq!(root, bitcoin::root(&changed), "{first}, {place}");
            assert_eq!(root.mutated, first % 2 == 0, "{first}, {place}");
        }
    });
}
