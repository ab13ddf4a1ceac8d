//! What the integration tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

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
