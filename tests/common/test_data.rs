//! Where the public test data are that the project does not ship.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder `sub` of the public test data that the project does not ship.
///
/// It lies under `PHALANX_TEST_DATA`, by default under `../shared/data` from the project's root. Where the default
/// is absent the caller's test is skipped, which is said on standard error even when the test passes; where the variable
/// names a folder without `sub`, the test fails.
pub(crate) fn test_data(sub: &str) -> Option<PathBuf> {
    let asked_for = std::env::var_os("PHALANX_TEST_DATA").map(PathBuf::from);
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = asked_for.clone().unwrap_or_else(default).join(sub);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(asked_for.is_none(), "PHALANX_TEST_DATA is set, but there is no folder {}", folder.display());
    skipped(&format!("no test data at {}", folder.display()));
    None
}

/// Says that the test at hand is skipped, even when it passes.
pub(crate) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`, which a passing test keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {why}");
}
