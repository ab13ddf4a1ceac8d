//! Chores of the repository.

mod vectors;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("vectors") {
        return vectors::run();
    }
    eprintln!("usage: cargo xtask vectors");
    ExitCode::FAILURE
}
