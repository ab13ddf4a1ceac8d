//! `phalanx verify --scheme`: lists of signatures, one a line, each with its key and what it is over.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::json;

use super::input::{self, Source};
use super::signature_lines::{Chunk, Following, Row};
use super::{Common, Failure, STOP, Status, error_line, print};
use crate::batch::{Batch, Columns};
use crate::error::Error;
use crate::report::{count, rate, seconds, table};
use crate::rules::Rules;
use crate::scheme::ecdsa::{KeyBytes, SignatureBytes, VerifyItem};
use crate::scheme::schnorr::SchnorrItem;
use crate::verdict::{Reason, Verdict};
use crate::verifier::Verifier;

/// How many lines on stderr tell what is invalid in one file; what comes after them is counted.
const MAX_ERRORS: u64 = 1_000;

#[derive(Args, Clone, Debug)]
pub(super) struct SignatureArgs {
    /// Check lists of signatures instead of blocks, and print a verdict for each line. A line is three hexadecimal values with commas
    /// between them, key, message (of ecdsa: digest) and signature; or as a first line names them among other columns (`public key`,
    /// `message` or `digest`, `signature`); or a JSON object with these names
    #[arg(long, value_name = "SCHEME", conflicts_with_all = ["genesis", "fork"])]
    scheme: Option<SchemeName>,
    /// What is accepted of ECDSA signatures: sec1, eth-frontier, eth-homestead, eth-typed, bitcoin-consensus or bitcoin-policy
    #[arg(long, value_name = "RULES", value_parser = rules, requires = "scheme", required_if_eq("scheme", "ecdsa"))]
    rules: Option<Rules>,
    /// How ECDSA signatures are encoded
    #[arg(long, value_name = "ENCODING", requires = "scheme", required_if_eq("scheme", "ecdsa"))]
    encoding: Option<Encoding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemeName {
    /// Schnorr signatures over secp256k1, by keys of 32 bytes.
    Bip340,
    /// ECDSA over secp256k1, by keys of 33 or 65 bytes.
    Ecdsa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoding {
    /// Strict DER.
    Der,
    /// DER as Bitcoin took it before BIP 66.
    DerLax,
    /// r and s, 32 bytes each.
    Compact,
}

/// A scheme with all that it leaves open.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    Bip340,
    Ecdsa { rules: Rules, encoding: Encoding },
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Bip340 => "bip340",
            Self::Ecdsa { .. } => "ecdsa",
        }
    }

    /// What a list calls that which is signed.
    fn over(self) -> &'static str {
        match self {
            Self::Bip340 => "message",
            Self::Ecdsa { .. } => "digest",
        }
    }
}

impl SignatureArgs {
    /// The scheme whose signatures are to be checked, if blocks are not.
    fn scheme(&self) -> Result<Option<Scheme>, Failure> {
        match (self.scheme, self.rules, self.encoding) {
            (None, ..) => Ok(None),
            (Some(SchemeName::Bip340), None, None) => Ok(Some(Scheme::Bip340)),
            (Some(SchemeName::Ecdsa), Some(rules), Some(encoding)) => Ok(Some(Scheme::Ecdsa { rules, encoding })),
            _ => Err(Failure::not_checked("--rules and --encoding are for --scheme ecdsa, which needs both")),
        }
    }
}

fn rules(name: &str) -> Result<Rules, String> {
    match name {
        "sec1" => Ok(Rules::Sec1),
        "eth-frontier" => Ok(Rules::EthFrontier),
        "eth-homestead" => Ok(Rules::EthHomestead),
        "eth-typed" => Ok(Rules::EthTyped),
        "bitcoin-consensus" => Ok(Rules::BitcoinConsensus),
        "bitcoin-policy" => Ok(Rules::BitcoinPolicy),
        _ => Err("not sec1, eth-frontier, eth-homestead, eth-typed, bitcoin-consensus or bitcoin-policy".to_owned()),
    }
}

/// Checks every file as a list of signatures, if the arguments ask for that.
pub(super) fn verify(args: &SignatureArgs, common: &Common, paths: &[PathBuf]) -> Result<Option<Status>, Failure> {
    let Some(scheme) = args.scheme()? else { return Ok(None) };
    let verifier = common.verifier()?;
    let mut reports = Vec::new();
    for path in paths {
        let list = List { source: Source::new(path), scheme, verifier: &verifier, is_json: common.json };
        reports.push(list.check());
        if STOP.load(Ordering::Relaxed) {
            break;
        }
    }
    print(&if common.json { to_json(&reports, verifier.backend()) } else { to_text(&reports, verifier.backend()) });
    let stopped = paths.len() - reports.len();
    if stopped > 0 {
        error_line(&format!("stopped before {stopped} of {} files", paths.len()));
        return Ok(Some(Status::NotChecked));
    }
    Ok(reports.iter().map(Report::status).max())
}

/// A list to be checked, and what by.
struct List<'a> {
    source: Source,
    scheme: Scheme,
    verifier: &'a Verifier,
    is_json: bool,
}

/// What was found in one file.
struct Report {
    source: String,
    scheme: &'static str,
    signatures: u64,
    invalid: u64,
    time: Duration,
    /// What kept the file from being checked to its end.
    not_checked: Option<String>,
}

impl Report {
    fn status(&self) -> Status {
        match (&self.not_checked, self.invalid) {
            (Some(_), _) => Status::NotChecked,
            (None, 0) => Status::Valid,
            (None, _) => Status::Invalid,
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

impl List<'_> {
    fn check(&self) -> Report {
        let (source, scheme) = (self.source.to_string(), self.scheme.name());
        let mut report = Report { source, scheme, signatures: 0, invalid: 0, time: Duration::ZERO, not_checked: None };
        let start = Instant::now();
        let ended = match self.scheme {
            Scheme::Bip340 => {
                let item = |row: &Row| Ok(SchnorrItem::parse(&row.message, &row.signature, &row.key));
                self.check_lines(item, |batch| self.verifier.verify_schnorr(batch), &mut report)
            }
            Scheme::Ecdsa { rules, encoding } => {
                let item = |row: &Row| ecdsa(row, rules, encoding);
                self.check_lines(item, |batch| self.verifier.verify(batch), &mut report)
            }
        };
        if report.invalid > MAX_ERRORS {
            error_line(&format!("{}: and {} more", self.source, report.invalid - MAX_ERRORS));
        }
        report.not_checked = ended.err().map(|failure| failure.line);
        report.not_checked.iter().for_each(|line| error_line(line));
        report.time = start.elapsed();
        report
    }

    /// Checks lines until the end, or until one that is no signature's; those before it have their verdicts.
    fn check_lines<C: Columns<Item: Send>>(
        &self,
        item: impl Fn(&Row) -> Result<Result<C::Item, Reason>, String> + Sync,
        answer: impl Fn(&Batch<C>) -> Result<Vec<Verdict<()>>, Error>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let source = &self.source;
        let at = |line: u64, problem: &str| Failure::not_checked(format!("{source}: line {line}: {problem}"));
        let mut reader = input::open(source)?;
        let mut chunk = Chunk::new(self.scheme.over());
        loop {
            let following = chunk.read(&mut *reader).map_err(|(line, problem)| at(line, &problem))?;
            let items: Vec<_> = self.verifier.cpu_backend().install(|| {
                let item = |(line, row): (u64, Result<Row, String>)| (line, row.and_then(|row| item(&row)));
                chunk.lines().par_iter().map(|line| item(chunk.row(*line))).collect()
            });
            let (mut batch, mut lines, mut unreadable) = (Batch::with_capacity(items.len()), Vec::new(), None);
            for (line, item) in items {
                match item {
                    Ok(item) => batch.push_parsed(item),
                    Err(problem) => {
                        unreadable = Some(at(line, &problem));
                        break;
                    }
                }
                lines.push(line);
            }
            let verdicts = answer(&batch).map_err(|error| Failure::not_checked(format!("{source}: {error}")))?;
            self.tell(&lines, &verdicts, report);
            if let Some(failure) = unreadable {
                return Err(failure);
            }
            match following {
                Following::Nothing if report.signatures == 0 => {
                    return Err(Failure::not_checked(format!("{source}: no signatures")));
                }
                Following::Nothing => return Ok(()),
                Following::Unreadable(problem) => return Err(at(chunk.next(), &problem)),
                Following::Lines if STOP.load(Ordering::Relaxed) => {
                    return Err(Failure::not_checked(format!("{source}: stopped before line {}", chunk.next())));
                }
                Following::Lines => {}
            }
        }
    }

    /// Prints the verdict of each line, and counts.
    fn tell(&self, lines: &[u64], verdicts: &[Verdict<()>], report: &mut Report) {
        let mut text = String::new();
        for (line, verdict) in lines.iter().zip(verdicts) {
            report.signatures += 1;
            let reason = verdict.reason();
            if let Some(reason) = reason {
                report.invalid += 1;
                if report.invalid <= MAX_ERRORS {
                    error_line(&format!("{}: line {line}: {reason}", self.source));
                }
            }
            let word = if verdict.is_valid() { "valid" } else { "invalid" };
            let code = reason.map(Reason::code);
            text += &if self.is_json {
                format!("{}\n", json!({ "file": report.source, "line": line, "verdict": word, "reason": code }))
            } else {
                let code = code.map_or_else(String::new, |code| format!(", {code}"));
                format!("{}:{line}: {word}{code}\n", self.source)
            };
        }
        // Whoever reads it may have stopped reading.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}

/// The signature of a line; what is wrong with the line where it has no digest.
fn ecdsa(row: &Row, rules: Rules, encoding: Encoding) -> Result<Result<VerifyItem, Reason>, String> {
    let digest: [u8; 32] =
        row.message[..].try_into().map_err(|_| format!("a digest of {} bytes, not 32", row.message.len()))?;
    let signature = match encoding {
        Encoding::Der => SignatureBytes::from_der(&row.signature),
        Encoding::DerLax => SignatureBytes::from_der_lax(&row.signature),
        Encoding::Compact => SignatureBytes::from_p1363(&row.signature),
    };
    let item = KeyBytes::parse(&row.key, rules)
        .and_then(|key| signature.map(|signature| VerifyItem { digest, signature, key, rules }));
    Ok(item)
}

fn to_text(reports: &[Report], backend: &str) -> String {
    let row = |report: &Report| {
        [
            report.source.clone(),
            report.scheme.to_owned(),
            count(report.signatures),
            count(report.invalid),
            seconds(report.time),
            report.verdict().to_owned(),
        ]
    };
    let heading = ["file", "scheme", "signatures", "invalid", "seconds", "verdict"];
    let total = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let time: Duration = reports.iter().map(|report| report.time).sum();
    let signatures = total(|report| report.signatures);
    #[allow(clippy::cast_precision_loss, reason = "a rate is read with three digits")]
    let per_second = signatures as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE);
    format!(
        "{}\n\n{} signatures, {} of them invalid; {} a second; backend {backend}",
        table(heading, reports.iter().map(row)),
        count(signatures),
        count(total(|report| report.invalid)),
        rate(per_second)
    )
}

/// One line, as each of the verdicts before it.
fn to_json(reports: &[Report], backend: &str) -> String {
    let file = |report: &Report| {
        json!({
            "file": report.source,
            "scheme": report.scheme,
            "signatures": report.signatures,
            "invalid": report.invalid,
            "seconds": report.time.as_secs_f64(),
            "verdict": report.verdict().to_lowercase(),
            "error": report.not_checked,
        })
    };
    json!({ "files": reports.iter().map(file).collect::<Vec<_>>(), "backend": backend }).to_string()
}
