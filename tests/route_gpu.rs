//! `cpu+ADAPTER`: batches divided between the CPU and a GPU, here a software adapter that is named.
#![cfg(feature = "gpu")]

mod common;

use std::io::Write;
use std::time::Duration;

use phalanx::batch::MessageBatch;
use phalanx::gpu::{Adapter, adapters};
use phalanx::scheme::ecdsa::{RecoverBatch, RecoverItem, SignatureBytes};
use phalanx::scheme::hash::HashFunction;
use phalanx::{BackendChoice, Reason, Rules, Verifier, VerifierConfig};

fn software() -> Option<Adapter> {
    let found = adapters().into_iter().find(Adapter::is_software);
    if found.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED routing over a software adapter: there is none");
    }
    found
}

fn verifier(choice: &str) -> Result<Verifier, phalanx::Error> {
    let backend = choice.parse().expect("infallible");
    Verifier::new(&VerifierConfig { backend, without_cache: true, ..VerifierConfig::default() })
}

/// Half of these recover, and the others have every reason that hashes come by.
fn batch(items: usize) -> RecoverBatch {
    let mut batch = RecoverBatch::default();
    for index in 0..items {
        let word = |kind: u8| phalanx::cpu::sha256(&[&[kind][..], &index.to_le_bytes()].concat());
        let signature = SignatureBytes { r: word(0), s: if index % 31 == 0 { [0; 32] } else { word(1) } };
        let rules = if index % 3 == 0 { Rules::EthTyped } else { Rules::Sec1 };
        if index % 53 == 1 {
            batch.push_rejected(Reason::SignatureEncoding);
        } else {
            batch.push(RecoverItem { digest: word(2), signature, recovery_id: word(3)[0] % 5, rules });
        }
    }
    batch
}

#[test]
fn verdicts_are_those_of_the_cpu_for_every_size_and_every_division() {
    let Some(adapter) = software() else { return };
    let routed = verifier(&format!("cpu+{}", adapter.name())).expect("an adapter that is there");
    assert!(routed.backend().starts_with("cpu beside "), "{}", routed.backend());
    let cpu = Verifier::cpu();
    // The first batch waits for the adapter that was asked for; then its costs are measured.
    assert!(routed.recover(&batch(1)).expect("it serves") == cpu.recover(&batch(1)).expect("checked"));
    assert!(routed.wait_until_measured(Duration::from_mins(2)));
    for items in [0, 1, 31, 32, 63, 64, 65, 1_000, 4_097] {
        let batch = batch(items);
        let expected = cpu.recover(&batch).expect("checked");
        for _ in 0..3 {
            let (verdicts, decision) = routed.recover_and_tell(&batch).expect("it serves");
            let decision = decision.expect("it is routed");
            assert!(verdicts == expected, "{decision}");
            assert_eq!(decision.shares.iter().map(|share| share.items.len()).sum::<usize>(), items, "{decision}");
            // About fewer nothing is decided: the CPU has answered before a GPU could.
            assert!(decision.considered.len() >= 2 || items < 32, "{decision}");
        }
    }
    let messages: MessageBatch = (0..300_usize).map(|index| vec![7; index]).collect();
    for function in HashFunction::ALL {
        let digests = routed.hash(function, &messages).expect("hashed");
        assert!(digests == cpu.hash(function, &messages).expect("hashed"));
    }
}

#[test]
fn software_is_never_routed_to_unasked() {
    let automatic = verifier("auto").expect("the CPU is there");
    let has_hardware = adapters().iter().any(Adapter::is_for_auto);
    let (_, decision) = automatic.recover_and_tell(&batch(10)).expect("checked");
    assert_eq!(decision.is_some(), has_hardware, "{}", automatic.backend());
    let error = verifier("cpu+no such adapter").expect_err("there is none").to_string();
    assert!(error.starts_with("backend cpu+no such adapter: ") || error.contains("no such adapter"), "{error}");
    assert!(matches!("cpu+cpu".parse::<BackendChoice>(), Ok(choice) if !choice.is_explicit()));
    assert!(verifier("cpu+cpu").expect("the CPU").backend().starts_with("cpu: "));
}
