//! Devices under test.

use phalanx::cpu::Audit;
use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Adapter, Hasher, adapters};
use phalanx::{BackendChoice, Verifier, VerifierConfig};

use super::skipped;

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
            batch_check_threshold: Some(1),
            // What the device answers is under test, not what an audit makes of it.
            audit: Audit::Off,
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
