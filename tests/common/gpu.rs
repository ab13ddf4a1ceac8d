//! Devices under test.

use std::io::Write;

use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Adapter, Hasher, adapters};
use phalanx::{BackendChoice, Verifier, VerifierConfig};

/// The first software adapter, in each variant that it runs.
pub(super) fn backends() -> Vec<(&'static str, Verifier)> {
    let Some(adapter) = adapters().into_iter().find(Adapter::is_software) else {
        skipped("no software adapter runs the GPU's kernels here");
        return Vec::new();
    };
    let backend = |arithmetic| {
        let config = VerifierConfig {
            backend: BackendChoice::Name(adapter.name().to_owned()),
            arithmetic: Some(arithmetic),
            without_cache: true,
            ..VerifierConfig::default()
        };
        let name = match arithmetic {
            Arithmetic::U64 => "software GPU, u64",
            Arithmetic::U32 => "software GPU, u32",
        };
        (name, Verifier::new(&config).expect("an adapter that is there"))
    };
    adapter.variants().map(backend).collect()
}

/// Runs `check` on every adapter, in each variant that it runs. That there is none is said on standard error.
pub(crate) fn on_every_adapter(check: impl Fn(&Hasher, &str)) {
    let adapters = adapters();
    if adapters.is_empty() {
        skipped("there is no GPU adapter here; `cargo xtask test` installs a software one");
    }
    for adapter in adapters {
        for arithmetic in Arithmetic::ALL {
            let place = format!("{} ({}), variant {arithmetic}", adapter.name(), adapter.driver());
            if let Some(refusal) = adapter.refusal(arithmetic) {
                skipped(&format!("{place}: {refusal}"));
                continue;
            }
            let hasher = Hasher::on(&adapter, arithmetic).unwrap_or_else(|fault| panic!("{place}: {fault}"));
            check(&hasher, &place);
        }
    }
}

/// Says that the test at hand is skipped, even when it passes.
pub(crate) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`, which a passing test keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {why}");
}
