//! `cargo xtask vectors`: writes `fixtures/ecdsa.json` anew, and its hash into `fixtures/SOURCES.md`.

use std::process::{Command, ExitCode};

/// Runs the test that compares the file with its generator, and lets it write first.
pub(crate) fn run() -> ExitCode {
    let status = Command::new(env!("CARGO"))
        .args(["test", "--package", "phalanx", "--test", "fixtures", "the_generator_writes_the_committed_file"])
        .env("PHALANX_WRITE_FIXTURES", "1")
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("could not run cargo: {error}");
            ExitCode::FAILURE
        }
    }
}
