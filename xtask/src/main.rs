//! Chores of the phalanx repository: `cargo xtask <chore>`.

mod process;
mod record;
mod test;
mod vectors;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

chores:
  test [ARGS]  run every test, after making sure that there is a Vulkan driver to run on; ARGS go to `cargo test`
  record       run every bench and write what it measured to benches/record/<machine>/<date>.csv
  vectors      write the vectors under fixtures/ anew, from their generator";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // Chores name files from the repository's root, wherever they are called from.
    if let Err(error) = std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")) {
        eprintln!("the repository is not where it was when this was built: {error}");
        return ExitCode::FAILURE;
    }
    let done = match arguments.next().as_deref() {
        Some("test") => test::test(&arguments.collect::<Vec<_>>()),
        Some("record") => record::record(),
        Some("vectors") => vectors::vectors(),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
