//! The `phalanx` command: one file for each subcommand.
//!
//! Exit status: 0 if all is valid, 1 if something is invalid, 2 if something could not be checked. What is wrong goes to
//! stderr, one line each, naming file, block, transaction and field; reports go to stdout.

mod access_lists;
mod bench;
mod devices;
mod doctor;
mod executor;
mod generate;
mod input;
mod lone_block;
mod metrics;
mod pipe;
mod run;
mod signature_lines;
mod signatures;
mod verify;
mod workload;

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};

use crate::choice::BackendChoice;
use crate::cpu::Audit;
use crate::verifier::{Verifier, VerifierConfig};

#[derive(Debug, Parser)]
#[command(
    name = "phalanx",
    version,
    about = "Checks every signature and hash of transaction batches in bulk and hands the verified batch, in order, to an executor",
    after_help = "Exit status: 0 all valid, 1 something invalid, 2 something could not be checked."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Decode, verify and execute: a generated workload, a chain from its genesis, or a block on its pre-state
    Run(run::RunArgs),
    /// Check signatures, hashes and roots without executing
    Verify(verify::VerifyArgs),
    /// Write a generated workload as a chain and its genesis, which `run` takes back
    Generate(generate::GenerateArgs),
    /// Measure what each backend does with batches of each size
    Bench(bench::BenchArgs),
    /// List what there is to run on
    Devices(devices::DevicesArgs),
    /// Find what keeps GPUs from being used, and what to do about it
    Doctor(doctor::DoctorArgs),
}

/// What every subcommand that checks something takes.
#[derive(Args, Clone, Debug)]
struct Common {
    /// Threads to check on; by default one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// What checks signatures: auto, cpu, gpu, or a GPU by its index or a part of its name, as `phalanx devices` lists them; with
    /// `cpu+` in front of it, each batch is divided between the CPU and that GPU
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendChoice,
    /// The most memory of a GPU to use, as 512M or 1G; by default a quarter of what it gives one buffer, at most 1G. Less is slower
    #[arg(long, value_name = "BYTES", value_parser = gpu_memory)]
    gpu_memory: Option<u64>,
    /// How many of the signers that a GPU recovered are checked on the CPU, by one equation for all: full, sample or off
    #[arg(long, value_name = "SHARE", default_value = "full")]
    audit: Audit,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Default for Common {
    fn default() -> Self {
        Self { threads: None, backend: BackendChoice::Auto, gpu_memory: None, audit: Audit::Full, json: false }
    }
}

impl Common {
    fn verifier(&self) -> Result<Verifier, Failure> {
        let config = VerifierConfig {
            backend: self.backend.clone(),
            threads: self.threads.map(usize::from),
            gpu_memory: self.gpu_memory,
            audit: self.audit,
            ..VerifierConfig::default()
        };
        Verifier::new(&config).map_err(Failure::not_checked)
    }
}

/// The least that a GPU can make use of.
const LEAST_GPU_MEMORY: u64 = 16 << 20;

/// A number of bytes, with K, M or G for powers of 1,024.
fn gpu_memory(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'k', 'm', 'g']);
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("one of K, M and G may follow the number".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number of bytes, such as 512M".to_owned())?;
    let bytes = number.checked_mul(1 << shift).ok_or("more than there can be")?;
    if bytes < LEAST_GPU_MEMORY { Err("at least 16M are needed".to_owned()) } else { Ok(bytes) }
}

/// What a subcommand ends with that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    /// All is valid.
    Valid,
    /// Something is invalid.
    Invalid,
    /// Something could not be checked.
    NotChecked,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Valid => 0,
            Status::Invalid => 1,
            Status::NotChecked => 2,
        })
    }
}

/// What ends a subcommand before its report: one line for stderr.
#[derive(Debug)]
struct Failure {
    status: Status,
    line: String,
}

impl Failure {
    fn not_checked(problem: impl ToString) -> Self {
        Self { status: Status::NotChecked, line: problem.to_string() }
    }
}

/// Runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    if let Err(error) = ctrlc::set_handler(interrupt) {
        tracing::warn!(%error, "Ctrl-C will end the program at once");
    }
    let command = cli.command.unwrap_or_else(|| Command::Run(run::RunArgs::default()));
    match std::panic::catch_unwind(|| dispatch(&command)) {
        Ok(Ok(status)) => status.into(),
        Ok(Err(failure)) => {
            error_line(&failure.line);
            failure.status.into()
        }
        Err(_) => {
            error_line("a defect of phalanx, told above: what was being checked was not checked to its end");
            Status::NotChecked.into()
        }
    }
}

fn dispatch(command: &Command) -> Result<Status, Failure> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Verify(args) => verify::verify(args),
        Command::Generate(args) => generate::generate(args),
        Command::Bench(args) => bench::bench(args),
        Command::Devices(args) => Ok(devices::devices(*args)),
        Command::Doctor(args) => Ok(doctor::doctor(*args)),
    }
}

/// Set by Ctrl-C: whatever runs ends between two blocks.
static STOP: AtomicBool = AtomicBool::new(false);

fn interrupt() {
    if STOP.swap(true, Ordering::Relaxed) {
        // Asked a second time: whoever asks does not want to wait for the block.
        std::process::exit(130);
    }
}

fn error_line(line: &str) {
    // A text from a file must not look like lines of ours.
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(std::io::stderr(), "error: {line}");
}

/// Prints a report. Whoever reads it may have stopped reading, as `head` does; that is no failure of the check.
fn print(report: &str) {
    let _ = writeln!(std::io::stdout(), "{report}");
}

/// A progress bar on stderr, hidden where stderr is no terminal. Without a length it counts.
fn progress_bar(length: Option<u64>, what: &str) -> indicatif::ProgressBar {
    let bar = length.map_or_else(indicatif::ProgressBar::new_spinner, indicatif::ProgressBar::new);
    let template = match length {
        Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
        None => "{spinner} {msg} {human_pos} {per_sec} {elapsed}",
    };
    if let Ok(style) = indicatif::ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

#[cfg(test)]
mod tests {
    use super::gpu_memory;

    #[test]
    fn memory_is_given_in_bytes_or_their_powers() {
        for (text, bytes) in [("16777216", 16 << 20), ("16M", 16 << 20), ("512m", 512 << 20), ("1G", 1 << 30)] {
            assert_eq!(gpu_memory(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1", "15M", "1T", "-1G", "1GM", "1.5G", "99999999999G", "٣G"] {
            assert!(gpu_memory(text).is_err(), "{text}");
        }
    }
}
