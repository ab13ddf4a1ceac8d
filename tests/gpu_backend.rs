//! A GPU that was asked for, through the verifier: batches as long as workgroups and chunks are and their neighbours, floods of bad
//! signatures, many threads, little memory, and what is said where there is none.

#![cfg(feature = "gpu")]

mod common;

use std::sync::Arc;

use common::curve::{Signed, reduced, sign};
use common::oracle;
use common::stream::Stream;
use phalanx::gpu::shader::WORKGROUP_SIZE;
use phalanx::gpu::{Adapter, adapters};
use phalanx::merkle::{bitcoin, rfc6962};
use phalanx::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, Signer, VerifyBatch, VerifyItem};
use phalanx::{BackendChoice, Reason, Rules, Verdict, Verifier, VerifierConfig};

/// Inputs repeat at a length prime to every block size, so that swapped lanes show.
const CYCLE: usize = 251;

/// Known answers that the worker mixes into each dispatch.
const CANARIES: usize = 4;

/// Lanes of a worker's first chunk.
const FIRST_CHUNK: usize = 1_024;

type Items = Vec<(RecoverItem, Verdict<Signer>, VerifyItem, Verdict<()>)>;

/// Signatures of which every third is no signature of what it should be, and every tenth out of range.
fn items(name: &'static str) -> Items {
    let mut stream = Stream::new(name);
    let item = |index: usize| {
        let digest = stream.block();
        let signed = sign(reduced(stream.block()), reduced(digest), reduced(stream.block()));
        let Signed { mut signature, recovery_id } = signed.expect("neither r nor s is zero");
        let rules = Rules::Sec1;
        let signer = oracle::recover(&RecoverItem { digest, signature, recovery_id, rules }).expect("valid");
        match index % 30 {
            10 | 20 => signature.s = [0xff; 32],
            index if index % 3 == 1 => signature.r[5] ^= 0x40,
            _ => {}
        }
        let recover = RecoverItem { digest, signature, recovery_id, rules };
        let verify = VerifyItem { digest, signature, key: KeyBytes::Uncompressed(signer.public_key), rules };
        (recover, oracle::recover(&recover).into(), verify, oracle::verify(&verify).into())
    };
    (0..CYCLE).map(item).collect()
}

fn check(verifier: &Verifier, items: &Items, count: usize, name: &str) {
    let of = || items.iter().cycle().take(count);
    let recover: RecoverBatch = of().map(|item| item.0).collect();
    let verify: VerifyBatch = of().map(|item| item.2).collect();
    let recovered = verifier.recover(&recover).expect("the check is made");
    assert!(recovered.iter().eq(of().map(|item| &item.1)), "{name}, {count} recoveries");
    let verified = verifier.verify(&verify).expect("the check is made");
    assert!(verified.iter().eq(of().map(|item| &item.3)), "{name}, {count} verifications");
}

#[test]
fn batches_as_long_as_workgroups_and_chunks_and_their_neighbours() {
    let items = items("lengths");
    let group = WORKGROUP_SIZE as usize;
    let around = |edge: usize| [edge - 1, edge, edge + 1];
    let edges = [group - CANARIES, group, FIRST_CHUNK - CANARIES, FIRST_CHUNK];
    for (name, verifier) in common::backends() {
        for count in [0, 1].into_iter().chain(edges.into_iter().flat_map(around)).chain([65_537]) {
            check(verifier, &items, count, name);
        }
    }
}

#[test]
fn threads_share_a_verifier() {
    let items = items("threads");
    for (name, verifier) in common::backends() {
        std::thread::scope(|scope| {
            for thread in 0..5 {
                let items = &items;
                scope.spawn(move || (0..4).for_each(|turn| check(verifier, items, 300 * thread + turn, name)));
            }
        });
    }
}

#[test]
fn a_flood_of_bad_signatures_is_refused_one_by_one() {
    let mut stream = Stream::new("digests of the flood");
    let (items, _): (Vec<_>, Vec<_>) = items("flood").into_iter().map(|item| (item.2, item.3)).unzip();
    let flood: VerifyBatch =
        items.iter().cycle().take(20_000).map(|item| VerifyItem { digest: stream.block(), ..*item }).collect();
    for (name, verifier) in common::backends() {
        let verdicts = verifier.verify(&flood).expect("the check is made");
        assert_eq!(verdicts.len(), 20_000);
        let is_refused = |verdict: &Verdict<()>| {
            matches!(verdict.reason(), Some(Reason::Mismatch | Reason::SOutOfRange | Reason::ROutOfRange))
        };
        assert!(verdicts.iter().all(is_refused), "{name}");
    }
}

/// The adapter that may be named, if there is one.
fn software() -> Option<Adapter> {
    adapters().into_iter().find(Adapter::is_software)
}

#[test]
fn little_memory_slows_and_nothing_else() {
    let Some(adapter) = software() else { return };
    let config = VerifierConfig {
        backend: BackendChoice::Name(adapter.name().to_owned()),
        arithmetic: adapter.variants().next(),
        gpu_memory: Some(16 << 20),
        without_cache: true,
        ..VerifierConfig::default()
    };
    let verifier = Arc::new(Verifier::new(&config).expect("an adapter that is there"));
    assert!(verifier.backend().contains(adapter.name()), "{}", verifier.backend());
    check(&verifier, &items("memory"), 10_000, "16 MiB");
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_and_auto_never_takes_software() {
    let new = |backend| Verifier::new(&VerifierConfig { backend, ..VerifierConfig::default() });
    let error = new(BackendChoice::Name("no such adapter".to_owned())).expect_err("not there").to_string();
    assert!(error.contains("no such adapter") && error.contains("phalanx devices"), "{error}");
    assert!(new(BackendChoice::Index(1_000)).is_err());
    if !adapters().iter().any(Adapter::is_for_auto) {
        assert!(new(BackendChoice::Auto).expect("auto").backend().starts_with("cpu: "));
        assert!(new(BackendChoice::Gpu).is_err());
    }
}

#[test]
fn trees_have_the_roots_and_the_proofs_that_the_cpu_gives_them() {
    let leaves: Vec<_> = (0..20_000_u32).map(|index| phalanx::cpu::sha256(&index.to_le_bytes())).collect();
    for (name, verifier) in common::backends() {
        for count in [0, 1, 2, 1_023, 1_024, 1_025, 16_384, 16_385, 20_000] {
            let leaves = &leaves[..count];
            let indices = [0, 1, count / 3, count.saturating_sub(1), count];
            assert_eq!(verifier.bitcoin_root(leaves).unwrap(), bitcoin::root(leaves), "{name}, {count}");
            let branches = indices.map(|index| bitcoin::Branch::new(leaves, index));
            assert_eq!(verifier.bitcoin_branches(leaves, &indices).unwrap(), branches, "{name}, {count}");
            let tree = rfc6962::Tree::of_leaf_hashes(leaves.to_vec());
            assert_eq!(verifier.rfc6962_root(leaves).unwrap(), tree.root(), "{name}, {count}");
            let proofs = indices.map(|index| tree.inclusion_proof(index as u64).ok());
            assert_eq!(verifier.rfc6962_inclusion_proofs(leaves, &indices).unwrap(), proofs, "{name}, {count}");
        }
    }
}
