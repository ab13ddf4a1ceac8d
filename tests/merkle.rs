//! Roots and proofs agree with the published vectors, and a changed proof proves nothing.

mod common;

use std::path::{Path, PathBuf};

use phalanx::merkle::rfc6962::{ProofError, Tree, empty_root, leaf_hash, verify_consistency, verify_inclusion};
use serde_json::Value;

#[test]
fn rfc6962_inclusion_vectors_are_answered_as_expected() {
    let Some(folder) = common::test_data("vectors/rfc6962/inclusion") else { return };
    let (mut accepted, mut refused, mut unrepresentable) = (0, 0, 0);
    for path in json_files(&folder) {
        let case = read_json(&path);
        let hashes: Vec<_> = case["proof"].as_array().into_iter().flatten().map(hash).collect();
        let proof: Option<Vec<_>> = hashes.into_iter().collect();
        let (Some(root), Some(leaf), Some(proof)) = (hash(&case["root"]), hash(&case["leafHash"]), proof) else {
            // A hash that is not 32 bytes long: this interface has no way to hand it in.
            assert_eq!(case["wantErr"], true, "{}", path.display());
            unrepresentable += 1;
            continue;
        };
        let (index, size) = (case["leafIdx"].as_u64().unwrap(), case["treeSize"].as_u64().unwrap());
        let answer = verify_inclusion(index, size, &leaf, &proof, &root);
        assert_eq!(answer.is_err(), case["wantErr"].as_bool().unwrap(), "{}: {answer:?}", path.display());
        *(if answer.is_ok() { &mut accepted } else { &mut refused }) += 1;
    }
    assert_eq!((accepted, refused, unrepresentable), (6, 66, 26));
}

#[test]
fn no_changed_inclusion_proof_verifies() {
    let mut changed = 0;
    for size in 1..=40 {
        let tree = tree(size);
        let root = tree.root();
        for index in 0..size {
            let leaf = leaf_hash(&index.to_le_bytes());
            let proof = tree.inclusion_proof(index).unwrap();
            verify_inclusion(index, size, &leaf, &proof, &root).unwrap();
            for proof in changes(&proof, &root) {
                assert!(verify_inclusion(index, size, &leaf, &proof, &root).is_err(), "{index} of {size}");
                changed += 1;
            }
            for other in (0..=size + 1).chain([u64::MAX]).filter(|other| *other != index) {
                assert!(verify_inclusion(other, size, &leaf, &proof, &root).is_err(), "{index} as {other} of {size}");
                changed += 1;
            }
            assert!(verify_inclusion(index, size, &[0; 32], &proof, &root).is_err());
            assert!(verify_inclusion(index, size, &leaf, &proof, &[0; 32]).is_err());
        }
    }
    assert_eq!(changed, 49_493);
}

#[test]
fn consistency_proofs_verify_and_no_changed_one_does() {
    let (mut verified, mut changed) = (0, 0);
    let trees: Vec<_> = (0..=48).map(tree).collect();
    for (second, tree) in (0..).zip(&trees) {
        for (first, first_tree) in (0..=second).zip(&trees).skip(1) {
            let (first_root, root) = (first_tree.root(), tree.root());
            let proof = tree.consistency_proof(first).unwrap();
            verify_consistency(first, second, &first_root, &root, &proof).unwrap();
            verified += 1;
            for proof in changes(&proof, &root) {
                assert!(
                    verify_consistency(first, second, &first_root, &root, &proof).is_err(),
                    "{first} in {second}: {proof:x?}"
                );
                changed += 1;
            }
            assert!(verify_consistency(first, second, &[0; 32], &root, &proof).is_err());
            assert!(verify_consistency(first, second, &first_root, &[0; 32], &proof).is_err());
            assert_eq!(verify_consistency(second, first, &root, &first_root, &proof).is_ok(), first == second);
        }
    }
    assert_eq!(verified, 48 * 49 / 2);
    assert_eq!(changed, 37_218);
}

#[test]
fn what_is_wrong_with_a_proof_is_said() {
    let (first, second) = (tree(6), tree(11));
    let proof = second.consistency_proof(6).unwrap();
    let answer = |first_root, root, proof: &[_]| verify_consistency(6, 11, &first_root, &root, proof);
    let other = [0; 32];
    assert_eq!(answer(first.root(), second.root(), &proof), Ok(()));
    assert_eq!(answer(other, second.root(), &proof), Err(ProofError::FirstRootMismatch { computed: first.root() }));
    assert_eq!(answer(first.root(), other, &proof), Err(ProofError::RootMismatch { computed: second.root() }));
    assert_eq!(answer(first.root(), second.root(), &[]), Err(ProofError::TooShort));
    assert_eq!(answer(first.root(), second.root(), &proof[..2]), Err(ProofError::TooShort));
    assert_eq!(answer(first.root(), second.root(), &[&proof[..], &[other]].concat()), Err(ProofError::TooLong));
    let none = verify_consistency(0, 11, &empty_root(), &second.root(), &[]);
    assert_eq!(none, Err(ProofError::SizeOutOfRange { first: 0, second: 11 }));
    let index = verify_inclusion(11, 11, &other, &proof, &second.root());
    assert_eq!(index, Err(ProofError::IndexOutOfRange { index: 11, size: 11 }));
    assert_eq!(index.unwrap_err().to_string(), "a tree of 11 leaves has no leaf at index 11");
}

/// The tree whose entries are the numbers below `size`.
fn tree(size: u64) -> Tree {
    Tree::of_entries(&(0..size).map(u64::to_le_bytes).collect::<Vec<_>>())
}

/// Every proof that differs from `proof` in one bit of one hash, or by one hash removed, repeated, swapped or added.
fn changes(proof: &[[u8; 32]], root: &[u8; 32]) -> Vec<Vec<[u8; 32]>> {
    let mut changes = Vec::new();
    for index in 0..proof.len() {
        for bit in [0, 100, 255] {
            let mut flipped = proof.to_vec();
            flipped[index][bit / 8] ^= 1 << (bit % 8);
            changes.push(flipped);
        }
        let mut removed = proof.to_vec();
        removed.remove(index);
        changes.push(removed);
        let mut repeated = proof.to_vec();
        repeated.insert(index, proof[index]);
        changes.push(repeated);
        if index > 0 {
            let mut swapped = proof.to_vec();
            swapped.swap(index - 1, index);
            changes.push(swapped);
        }
    }
    changes.extend([[&[*root], proof].concat(), [proof, &[*root]].concat(), [proof, &[[0; 32]]].concat()]);
    changes
}

/// Every JSON file below `folder`, in a fixed order.
fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A hash in base64; `None` where it is not 32 bytes long.
fn hash(base64: &Value) -> Option<[u8; 32]> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = base64.as_str().unwrap_or_default().trim_end_matches('=');
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == digit).expect("base64");
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held).unwrap());
            bits &= (1 << held) - 1;
        }
    }
    bytes.try_into().ok()
}

#[cfg(feature = "ethereum")]
mod ethereum {
    use std::collections::BTreeMap;

    use alloy_primitives::B256;
    use alloy_rlp::Header;
    use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};
    use phalanx::cpu::keccak256;
    use phalanx::merkle::ethereum::ordered_root;
    use serde_json::Value;

    use crate::{common, json_files, read_json};

    type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

    #[test]
    fn tries_of_the_ethereum_tests_have_their_roots() {
        let Some(folder) = common::test_data("ethereum-tests/TrieTests") else { return };
        let (mut by_definition, mut by_hash_builder) = (0, 0);
        for path in json_files(&folder) {
            let name = path.file_name().unwrap().to_str().unwrap().to_lowercase();
            for (case, test) in read_json(&path).as_object().unwrap() {
                // The cases of `trietestnextprev` are about order and have no root.
                let Some(root) = test["root"].as_str() else { continue };
                let root: B256 = root.parse().unwrap();
                let pairs = pairs(&test["in"], name.contains("secure"));
                assert_eq!(root_by_definition(&pairs), root, "{name}, {case}");
                by_definition += 1;
                if let Some(built) = root_by_hash_builder(&pairs) {
                    assert_eq!(built, root, "{name}, {case}");
                    by_hash_builder += 1;
                }
            }
        }
        assert_eq!((by_definition, by_hash_builder), (25, 17));
    }

    #[test]
    fn ordered_roots_follow_the_definition() {
        // The neighbours of where the key rlp(index) grows by a byte, and of a full branch.
        let counts = [0, 1, 2, 3, 15, 16, 17, 18, 127, 128, 129, 130, 255, 256, 257, 258, 1023, 1024, 1025];
        for count in counts {
            // Values on both sides of 32 bytes, the length below which a node stands in its parent itself.
            let items: Vec<Vec<u8>> =
                (0..count).map(|index: usize| index.to_le_bytes().repeat(index * 7 % 31 + 1)).collect();
            let pairs =
                items.iter().enumerate().map(|(index, item)| (alloy_rlp::encode(index), item.clone())).collect();
            assert_eq!(ordered_root(&items), root_by_definition(&pairs), "{count} items");
        }
        assert_eq!(ordered_root::<&[u8]>(&[]), EMPTY_ROOT_HASH);
    }

    /// The pairs left once the test's insertions and deletions are made; a secure trie hashes its keys.
    fn pairs(input: &Value, secure: bool) -> Pairs {
        let steps: Vec<(&str, Option<&str>)> = match input {
            Value::Object(pairs) => pairs.iter().map(|(key, value)| (&key[..], value.as_str())).collect(),
            _ => input.as_array().unwrap().iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str())).collect(),
        };
        let mut pairs = Pairs::new();
        for (key, value) in steps {
            let key = if secure { keccak256(&bytes(key)).to_vec() } else { bytes(key) };
            match value {
                Some(value) => pairs.insert(key, bytes(value)),
                None => pairs.remove(&key),
            };
        }
        pairs
    }

    /// Hexadecimal after 0x, else the text itself.
    fn bytes(text: &str) -> Vec<u8> {
        text.strip_prefix("0x").map_or_else(|| text.as_bytes().to_vec(), |digits| hex::decode(digits).unwrap())
    }

    /// `None` where a key begins with another: the builder is for the tries of blocks, in which no branch has a value.
    fn root_by_hash_builder(pairs: &Pairs) -> Option<B256> {
        if pairs.keys().zip(pairs.keys().skip(1)).any(|(key, next)| next.starts_with(key)) {
            return None;
        }
        let mut builder = HashBuilder::default();
        for (key, value) in pairs {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        Some(builder.root())
    }

    /// The trie as the yellow paper's appendix D defines it.
    fn root_by_definition(pairs: &Pairs) -> B256 {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(key, value)| (key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect(), &value[..]))
            .collect();
        if pairs.is_empty() { EMPTY_ROOT_HASH } else { keccak256(&node(&pairs)).into() }
    }

    /// The RLP of the node over sorted, distinct pairs of nibbles and value.
    fn node(pairs: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
        if let [(nibbles, value)] = pairs {
            return list(&[alloy_rlp::encode(&hex_prefix(nibbles, true)[..]), alloy_rlp::encode(*value)]);
        }
        let (first, last) = (&pairs[0].0, &pairs[pairs.len() - 1].0);
        let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        if shared > 0 {
            return list(&[
                alloy_rlp::encode(&hex_prefix(&first[..shared], false)[..]),
                reference(&without(pairs.iter(), shared)),
            ]);
        }
        let mut slots: Vec<_> = (0..16)
            .map(|nibble| reference(&without(pairs.iter().filter(|(nibbles, _)| nibbles.first() == Some(&nibble)), 1)))
            .collect();
        let value = pairs.iter().find(|(nibbles, _)| nibbles.is_empty()).map_or(&[][..], |(_, value)| value);
        slots.push(alloy_rlp::encode(value));
        list(&slots)
    }

    fn without<'a, 'v: 'a>(
        pairs: impl Iterator<Item = &'a (Vec<u8>, &'v [u8])>,
        nibbles: usize,
    ) -> Vec<(Vec<u8>, &'v [u8])> {
        pairs.map(|(key, value)| (key[nibbles..].to_vec(), *value)).collect()
    }

    fn reference(pairs: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
        if pairs.is_empty() {
            return alloy_rlp::encode(&[][..]);
        }
        let node = node(pairs);
        if node.len() < 32 { node } else { alloy_rlp::encode(&keccak256(&node)[..]) }
    }

    fn hex_prefix(nibbles: &[u8], leaf: bool) -> Vec<u8> {
        let flag = if leaf { 2 } else { 0 };
        let nibbles =
            if nibbles.len() % 2 == 1 { [&[flag + 1], nibbles].concat() } else { [&[flag, 0], nibbles].concat() };
        nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn list(items: &[Vec<u8>]) -> Vec<u8> {
        let payload = items.concat();
        let mut list = Vec::new();
        Header { list: true, payload_length: payload.len() }.encode(&mut list);
        list.extend(payload);
        list
    }
}
