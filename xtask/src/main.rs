//! Chores of the phalanx repository: `cargo xtask <chore>`.

mod criterion;
#[cfg(feature = "gpu")]
mod gpu_ecdsa;
#[cfg(feature = "gpu")]
mod gpu_field;
#[cfg(feature = "gpu")]
mod isa;
#[cfg(feature = "model")]
mod model;
#[cfg(feature = "peers")]
mod peers;
mod process;
mod readme;
mod record;
mod route;
mod test;
mod vectors;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

chores:
  test [ARGS]  run every test, after installing the drivers that tests of kernels want if it may; ARGS go to `cargo test`
  isa          what each kernel compiles to on an AMD GPU that need not be there; fails if a hot kernel spills registers
  gpu-field [LANES]
               how long field operations take on each GPU adapter
  gpu-ecdsa [ITEMS]
               how long the kernels of ECDSA take on each GPU adapter, beside libsecp256k1 on all cores
  model        what many threads could gain by the dependencies of generated blocks; modelled, to the record `execution-model`
  peers [ROW]  ours beside other libraries on the same inputs, of all rows or those whose name contains ROW; `--form avx2` has
               ours use that form of the lanes, `--record` adds them to the record `peers`
  readme       write the README's figures anew, from the newest records
  record       run every criterion bench, to the record `criterion`
  record KIND -- COMMAND...
               run a command, and keep the comma-separated values that it prints as a record
  route [NAME] the CPU, a GPU and both as the router divides batches, to the record `route`; `--apart` gives a GPU in software
               half of the cores, to the record `route-apart`
  vectors      write the vectors under fixtures/ anew, from their generator

Records are benches/record/<machine>/<date>-<kind>.csv.";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // Chores name files from the repository's root, wherever they are called from.
    if let Err(error) = std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")) {
        eprintln!("the repository is not where it was when this was built: {error}");
        return ExitCode::FAILURE;
    }
    let done = match arguments.next().as_deref() {
        Some("test") => test::test(&arguments.collect::<Vec<_>>()),
        #[cfg(feature = "gpu")]
        Some("isa") => isa::isa(),
        #[cfg(feature = "gpu")]
        Some("gpu-field") => gpu_field::gpu_field(&arguments.collect::<Vec<_>>()),
        #[cfg(feature = "gpu")]
        Some("gpu-ecdsa") => gpu_ecdsa::gpu_ecdsa(&arguments.collect::<Vec<_>>()),
        #[cfg(not(feature = "gpu"))]
        Some(chore @ ("isa" | "gpu-field" | "gpu-ecdsa")) => with_gpu(chore, &arguments.collect::<Vec<_>>()),
        #[cfg(feature = "model")]
        Some("model") => model::model(),
        #[cfg(not(feature = "model"))]
        Some("model") => with_model(),
        #[cfg(feature = "peers")]
        Some("peers") => peers::peers(&arguments.collect::<Vec<_>>()),
        #[cfg(not(feature = "peers"))]
        Some("peers") => with_peers(&arguments.collect::<Vec<_>>()),
        Some("readme") => readme::readme(),
        Some("record") => match &arguments.collect::<Vec<_>>()[..] {
            [] => criterion::criterion(),
            arguments => record::record(arguments),
        },
        Some("route") => route::route(&arguments.collect::<Vec<_>>()),
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

/// Builds this again with the chores that need the library, and has that do `chore`.
#[cfg(not(feature = "gpu"))]
fn with_gpu(chore: &str, arguments: &[String]) -> Result<(), String> {
    let mut command = process::cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--features", "gpu"]);
    if chore == "gpu-ecdsa" {
        // It times the host's part too.
        command.arg("--release");
    }
    command.args(["--", chore]).args(arguments);
    if chore == "isa" {
        // The loader reads it before there is anything to ask for a device.
        command.env("RADV_FORCE_FAMILY", "navi21");
    }
    process::run(&mut command)
}

/// Builds this again, optimised and with the libraries to compare with, and has that do the chore.
#[cfg(not(feature = "peers"))]
fn with_peers(arguments: &[String]) -> Result<(), String> {
    let peers = ["run", "--quiet", "--release", "--package", "xtask", "--features", "peers", "--", "peers"];
    process::run(process::cargo().args(peers).args(arguments))
}

/// Builds this again with the executors and what plots, and has that do the chore.
#[cfg(not(feature = "model"))]
fn with_model() -> Result<(), String> {
    process::run(process::cargo().args(["run", "--quiet", "--package", "xtask", "--features", "model", "--", "model"]))
}
