//! ECDSA by the kernels, in both variants, against libsecp256k1 and the CPU backend.

#![cfg(feature = "gpu")]

mod common;

use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Ecdsa, adapters};

/// Runs `check` for every adapter and variant.
fn on_every_adapter(check: impl Fn(&Ecdsa, &str)) {
    let adapters = adapters();
    if adapters.is_empty() {
        eprintln!("skipped: there is no GPU adapter here; `cargo xtask test` installs a software one");
    }
    for adapter in adapters {
        for arithmetic in Arithmetic::ALL {
            let place = format!("{} ({}), variant {arithmetic}", adapter.name(), adapter.driver());
            if let Some(refusal) = adapter.refusal(arithmetic) {
                eprintln!("skipped: {place}: {refusal}");
                continue;
            }
            let started = std::time::Instant::now();
            let ecdsa = Ecdsa::on(&adapter, arithmetic).unwrap_or_else(|error| panic!("{place}: {error}"));
            eprintln!("{place}: compiled in {:?}", started.elapsed());
            check(&ecdsa, &place);
        }
    }
}

#[test]
fn known_answers_are_given() {
    on_every_adapter(|ecdsa, place| {
        ecdsa.check_known_answers().unwrap_or_else(|problem| panic!("{place}: {problem}"));
    });
}
