//! The `phalanx` command: one file for each subcommand.
//!
//! Exit status: 0 if all is valid, 1 if something is invalid, 2 if something could not be checked. What is wrong goes to
//! stderr, one line each, naming file, block, transaction and field; reports go to stdout.

mod access_lists;
mod devices;
mod executor;
mod generate;
mod input;
mod lone_block;
mod pipe;
mod run;
mod verify;
mod workload;

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};

use crate::verifier::Verifier;

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
    /// List what there is to run on
    Devices(devices::DevicesArgs),
}

/// What every subcommand that checks something takes.
#[derive(Args, Clone, Debug)]
struct Common {
    /// Threads to check on; by default one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Common {
    fn verifier(&self) -> Result<Verifier, Failure> {
        match self.threads {
            None => Ok(Verifier::cpu()),
            Some(threads) => Verifier::with_threads(threads.into()).map_err(Failure::not_checked),
        }
    }
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
        Command::Devices(args) => Ok(devices::devices(*args)),
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
