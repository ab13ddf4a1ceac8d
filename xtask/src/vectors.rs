//! `cargo xtask vectors`: writes `fixtures/ecdsa.json` anew, and its hash into `fixtures/SOURCES.md`.

use crate::process::{cargo, run};

/// Runs the test that compares the file with its generator, and lets it write first.
pub(crate) fn vectors() -> Result<(), String> {
    let test = ["test", "--package", "phalanx", "--test", "fixtures", "the_generator_writes_the_committed_file"];
    run(cargo().args(test).env("PHALANX_WRITE_FIXTURES", "1"))
}
