//! What the integration tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod curve;
pub(crate) mod oracle;
pub(crate) mod stream;
pub(crate) mod vectors;

use std::path::{Path, PathBuf};

use phalanx::Verifier;

/// The folder `sub` of the public test data, or `None` where the data is absent, after saying so.
pub(crate) fn test_data(sub: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PHALANX_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = root.join(sub);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no test data at {}; PHALANX_TEST_DATA names its folder", folder.display());
    None
}

/// Every backend, by name. What a test promises it promises of each of them.
pub(crate) fn backends() -> Vec<(&'static str, Verifier)> {
    let threads = |threads| Verifier::with_threads(threads).expect("a thread pool starts");
    vec![("cpu", Verifier::cpu()), ("cpu, 1 thread", threads(1)), ("cpu, 3 threads", threads(3))]
}
