//! `phalanx verify`: signatures, hashes and roots of blocks, without executing; lists of signatures are in [`signatures`].

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alloy_consensus::Header;
use alloy_hardforks::EthereumHardfork;
use clap::Args;
use serde_json::json;

use super::input::{self, Kind, MAX_BLOCK_JSON, MAX_STATE_JSON, Source};
use super::signatures::{self, SignatureArgs};
use super::{Common, Failure, STOP, Status, error_line, print, progress_bar};
use crate::chain::bitcoin;
use crate::chain::ethereum::{
    Block, BlockId, BlockStream, ChainSpec, block_from_json, genesis_from_json, header, verify_block,
};
use crate::report::{count, rate, seconds, table};
use crate::verifier::Verifier;

/// The most a raw Bitcoin block may take, its length-prefixed form included (BIP 141: 4,000,000 bytes).
const MAX_BITCOIN_BLOCK: u64 = 4_000_008;

/// How many lines tell what is wrong in one file; what comes after them is counted.
const MAX_LINES: usize = 1_000;

#[derive(Args, Clone, Debug)]
pub(super) struct VerifyArgs {
    /// Files and folders, `-` for standard input: RLP chains, JSON blocks, raw Bitcoin blocks; each may be gzipped. Of a
    /// folder, the files named *.rlp, *.block.json, *.dat and *.raw, with or without .gz
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The genesis.json of the chain that Ethereum blocks are from; by default mainnet
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Check every Ethereum block as if it were in this fork, e.g. homestead
    #[arg(long, value_name = "FORK")]
    fork: Option<EthereumHardfork>,
    #[command(flatten)]
    signatures: SignatureArgs,
    #[command(flatten)]
    common: Common,
}

/// What was found in one file.
#[derive(Debug, Default)]
struct FileReport {
    source: String,
    kind: &'static str,
    blocks: u64,
    transactions: u64,
    signatures: u64,
    time: Duration,
    /// Blocks that are invalid.
    invalid_blocks: u64,
    /// The first things that are wrong, a line each, and how many more there are.
    invalid: Vec<String>,
    invalid_unlisted: u64,
    /// What kept the file from being checked to its end.
    not_checked: Option<String>,
}

impl FileReport {
    fn of_folder(path: &Path, line: String) -> Self {
        Self { source: path.display().to_string(), kind: "folder", not_checked: Some(line), ..Self::default() }
    }

    fn add_invalid(&mut self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            if self.invalid.len() < MAX_LINES { self.invalid.push(line) } else { self.invalid_unlisted += 1 }
        }
    }

    fn status(&self) -> Status {
        match (&self.not_checked, self.invalid.is_empty()) {
            (Some(_), _) => Status::NotChecked,
            (None, false) => Status::Invalid,
            (None, true) => Status::Valid,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.status() {
            Status::Valid => "valid",
            Status::Invalid => "INVALID",
            Status::NotChecked => "NOT CHECKED",
        }
    }
}

pub(super) fn verify(args: &VerifyArgs) -> Result<Status, Failure> {
    if let Some(status) = signatures::verify(&args.signatures, &args.common, &args.paths)? {
        return Ok(status);
    }
    let verifier = args.common.verifier()?;
    let chain = chain(args)?;
    let mut sources = Vec::new();
    let mut reports = Vec::new();
    let mut left_out = 0;
    for path in &args.paths {
        if path.is_dir() {
            match input::block_files(path) {
                Ok((files, others)) if !files.is_empty() => {
                    sources.extend(files.into_iter().map(Source::File));
                    left_out += others;
                }
                unreadable => {
                    let empty = format!("{}: no block files in this folder", path.display());
                    let line = unreadable.err().map_or(empty, |failure| failure.line);
                    error_line(&line);
                    reports.push(FileReport::of_folder(path, line));
                }
            }
        } else {
            sources.push(Source::new(path));
        }
    }
    let bar = progress_bar(Some(sources.len() as u64), "files");
    let mut done = 0;
    for source in &sources {
        if STOP.load(Ordering::Relaxed) {
            break;
        }
        let report = verify_source(&verifier, &chain, args.fork, source);
        done += 1;
        bar.suspend(|| {
            report.invalid.iter().chain(&report.not_checked).for_each(|line| error_line(line));
            if report.invalid_unlisted > 0 {
                error_line(&format!("{}: and {} more", report.source, report.invalid_unlisted));
            }
        });
        reports.push(report);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let stopped = sources.len() - done;
    print(&if args.common.json {
        to_json(&reports, left_out, stopped, verifier.backend())
    } else {
        to_text(&reports, left_out, verifier.backend())
    });
    if stopped > 0 {
        error_line(&format!("stopped before {stopped} of {} files", sources.len()));
        return Ok(Status::NotChecked);
    }
    let worst = reports.iter().map(FileReport::status).max().unwrap_or(Status::NotChecked);
    if reports.len() > 1 && worst > Status::Valid {
        let failed: Vec<_> = reports
            .iter()
            .filter(|report| report.status() > Status::Valid)
            .map(|report| report.source.as_str())
            .collect();
        error_line(&format!("{} of {} files failed: {}", failed.len(), reports.len(), failed.join(", ")));
    }
    Ok(worst)
}

fn chain(args: &VerifyArgs) -> Result<ChainSpec, Failure> {
    let chain = match &args.genesis {
        None => ChainSpec::mainnet(),
        Some(path) => {
            let at = |error: &dyn std::fmt::Display| Failure::not_checked(format!("{}: {error}", path.display()));
            let text = input::read_file(path, MAX_STATE_JSON)?;
            let genesis = genesis_from_json(&text).map_err(|error| at(&error))?;
            ChainSpec::from_genesis(&genesis).map_err(|error| at(&error))?
        }
    };
    match args.fork {
        Some(fork) if fork > EthereumHardfork::Bpo5 => {
            Err(Failure::not_checked(format!("--fork {fork}: not supported; the newest supported fork is BPO5")))
        }
        Some(fork) => Ok(chain.frozen_at(fork)),
        None => Ok(chain),
    }
}

fn verify_source(
    verifier: &Verifier,
    chain: &ChainSpec,
    fork: Option<EthereumHardfork>,
    source: &Source,
) -> FileReport {
    let ethereum = Ethereum { verifier, chain, fork, source };
    let mut report = FileReport { source: source.to_string(), kind: "unknown", ..FileReport::default() };
    let start = Instant::now();
    let ended = input::open(source).and_then(|mut reader| match input::kind(source, &mut *reader)? {
        Kind::EthereumChain => ethereum.verify_chain(reader, &mut report),
        Kind::EthereumBlock => {
            report.kind = "Ethereum block";
            let text = input::read_all(source, reader, MAX_BLOCK_JSON)?;
            let block = verifier
                .cpu_backend()
                .install(|| block_from_json(&text))
                .map_err(|error| Failure::not_checked(format!("{source}: {error}")))?;
            ethereum.verify_block(block, &mut report)
        }
        Kind::BitcoinBlock => {
            report.kind = "Bitcoin block";
            let bytes = input::read_all(source, reader, MAX_BITCOIN_BLOCK)?;
            verify_bitcoin(verifier, source, &bytes, &mut report)
        }
    });
    report.not_checked = ended.err().map(|failure| failure.line);
    report.time = start.elapsed();
    report
}

/// Where Ethereum's blocks come from, and what they are checked by.
struct Ethereum<'a> {
    verifier: &'a Verifier,
    chain: &'a ChainSpec,
    fork: Option<EthereumHardfork>,
    source: &'a Source,
}

impl Ethereum<'_> {
    fn verify_chain(&self, reader: Box<dyn BufRead + Send>, report: &mut FileReport) -> Result<(), Failure> {
        let source = self.source;
        report.kind = "Ethereum chain";
        let mut parent: Option<(Header, BlockId)> = None;
        for (index, bytes) in BlockStream::new(reader).enumerate() {
            if STOP.load(Ordering::Relaxed) {
                return Err(Failure::not_checked(format!("{source}: stopped after {} blocks", report.blocks)));
            }
            let bytes = bytes.map_err(|error| Failure::not_checked(format!("{source}: {error}")))?;
            let block = self
                .verifier
                .cpu_backend()
                .install(|| Block::decode(&bytes))
                .map_err(|error| Failure::not_checked(format!("{source}: block {index} of the stream: {error}")))?;
            let (header, id) = (block.header.clone(), block.id());
            let before = report.invalid_blocks;
            self.verify_block(block, report)?;
            if let Some((parent, parent_id)) = parent
                && let Err(error) = header::check_succession(&header, &parent, parent_id.hash, &self.chain.at(&header))
            {
                report.invalid_blocks = before + 1;
                report.add_invalid([format!("{source}: {id}: {error}")]);
            }
            parent = Some((header, id));
        }
        Ok(())
    }

    fn verify_block(&self, block: Block, report: &mut FileReport) -> Result<(), Failure> {
        let (source, id) = (self.source, block.id());
        let newest = self.chain.at(&block.header).newest();
        if let Some(fork) = self.fork.filter(|fork| *fork != newest) {
            return Err(Failure::not_checked(format!("{source}: {id}: cannot be in {fork}, see its difficulty")));
        }
        report.transactions += block.transactions.len() as u64;
        report.signatures += block.signatures() as u64;
        report.blocks += 1;
        let verdict = verify_block(self.verifier, self.chain, block)
            .map_err(|error| Failure::not_checked(format!("{source}: {id}: {error}")))?;
        if let Err(problems) = verdict {
            report.invalid_blocks += 1;
            report.add_invalid(problems.iter().map(|problem| format!("{source}: {id}: {problem}")));
        }
        Ok(())
    }
}

fn verify_bitcoin(verifier: &Verifier, source: &Source, bytes: &[u8], report: &mut FileReport) -> Result<(), Failure> {
    let raw = match bytes {
        [0xf9, 0xbe, 0xb4, 0xd9, length @ ..] if length.len() >= 4 => &length[4..],
        raw => raw,
    };
    let block = bitcoin::Block::decode(raw).map_err(|error| Failure::not_checked(format!("{source}: {error}")))?;
    report.transactions += block.transactions().len() as u64;
    report.blocks += 1;
    let segwit = bitcoin::Segwit::on_mainnet(block.claimed_height().unwrap_or_default());
    let faults: Vec<_> = verifier.cpu_backend().install(|| block.check(segwit)).faults().collect();
    report.invalid_blocks += u64::from(!faults.is_empty());
    report.add_invalid(faults.iter().map(|fault| format!("{source}: {fault}")));
    Ok(())
}

fn to_text(reports: &[FileReport], left_out: usize, backend: &str) -> String {
    let row = |report: &FileReport| {
        [
            report.source.clone(),
            report.kind.to_owned(),
            count(report.blocks),
            count(report.transactions),
            count(report.signatures),
            seconds(report.time),
            report.verdict().to_owned(),
        ]
    };
    let heading = ["file", "holds", "blocks", "transactions", "signatures", "seconds", "verdict"];
    let mut text = table(heading, reports.iter().map(row));
    let total = |of: fn(&FileReport) -> u64| reports.iter().map(of).sum::<u64>();
    let time: Duration = reports.iter().map(|report| report.time).sum();
    let signatures = total(|report| report.signatures);
    #[allow(clippy::cast_precision_loss, reason = "a rate is read with three digits")]
    let per_second = signatures as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE);
    text += &format!(
        "\n\n{} blocks, {} of them invalid; {} transactions; {} signatures, {} a second; backend {backend}",
        count(total(|report| report.blocks)),
        count(total(|report| report.invalid_blocks)),
        count(total(|report| report.transactions)),
        count(signatures),
        rate(per_second)
    );
    if left_out > 0 {
        text += &format!("\n{left_out} files left out, whose names are not those of block files");
    }
    text
}

fn to_json(reports: &[FileReport], left_out: usize, stopped_before: usize, backend: &str) -> String {
    let files: Vec<_> = reports
        .iter()
        .map(|report| {
            json!({
                "file": report.source,
                "kind": report.kind,
                "blocks": report.blocks,
                "transactions": report.transactions,
                "signatures": report.signatures,
                "seconds": report.time.as_secs_f64(),
                "verdict": report.verdict().to_lowercase(),
                "invalid_blocks": report.invalid_blocks,
                "invalid": report.invalid,
                "invalid_unlisted": report.invalid_unlisted,
                "error": report.not_checked,
            })
        })
        .collect();
    let report = json!({ "files": files, "left_out": left_out, "stopped_before": stopped_before, "backend": backend });
    format!("{report:#}")
}
