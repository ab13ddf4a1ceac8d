//! `cargo xtask peers`: our work beside other libraries' on the same inputs, in one run.
//!
//! A [`Row`] is what is asked and who answers it; to add one, write a function like those of [`hash`] and name it in
//! [`rows`]. All contenders of a row must give the same answers before any of them is timed.
//!
//! `--form avx2` asks for a form of the lanes, `--record` keeps what is measured. A record may be made in parts, since all rows
//! take minutes: rows of the same commit stay, one of a name and form that is measured again takes the place of the old one.

#[path = "../../../benches/common/affinity.rs"]
mod affinity;
mod batch;
mod ecdsa;
mod hash;
mod measure;
mod merkle;
mod record;

use phalanx::Verifier;
use phalanx::arithmetic::Platform;
use phalanx::cpu::CpuBackend;

use measure::{Counter, Measured};

/// What a contender says of an item: a digest, an address, a verdict. Equal answers are equal bytes.
type Answer = [u8; 32];

/// What is asked, and who answers it.
pub(crate) struct Row<'a> {
    /// What is done with each item, for instance `keccak256, 200 bytes`.
    pub(crate) name: String,
    /// How many items a batch has.
    pub(crate) items: usize,
    /// Ours, which ratios are to.
    pub(crate) ours: Contender<'a>,
    /// The others.
    pub(crate) peers: Vec<Contender<'a>>,
}

impl Row<'_> {
    /// Its name and length, as it is printed and asked for.
    fn title(&self) -> String {
        format!("{} ({} items)", self.name, self.items)
    }
}

/// Who answers.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    pub(crate) work: Work<'a>,
}

/// Answers a batch on a verifier's threads.
type BatchWork<'a> = dyn Fn(&Verifier) -> Vec<Answer> + Sync + 'a;

/// How it answers. Every form gives the row's answers, in the order of its items.
pub(crate) enum Work<'a> {
    /// All items at once, on the verifier's threads.
    Batch(Box<BatchWork<'a>>),
    /// All items at once, on one thread and no more.
    OneThread(Box<dyn Fn() -> Vec<Answer> + Sync + 'a>),
    /// The item at an index; on all cores, each thread takes a share of the items.
    Each(Box<dyn Fn(usize) -> Answer + Sync + 'a>),
}

impl<'a> Contender<'a> {
    pub(crate) fn batch(name: &'static str, work: impl Fn(&Verifier) -> Vec<Answer> + Sync + 'a) -> Self {
        Self { name, work: Work::Batch(Box::new(work)) }
    }

    pub(crate) fn one_thread(name: &'static str, work: impl Fn() -> Vec<Answer> + Sync + 'a) -> Self {
        Self { name, work: Work::OneThread(Box::new(work)) }
    }

    pub(crate) fn each(name: &'static str, work: impl Fn(usize) -> Answer + Sync + 'a) -> Self {
        Self { name, work: Work::Each(Box::new(work)) }
    }
}

/// Every row, in the order of the table. Making a subject's rows signs their inputs, so only those asked for are made.
fn rows(filter: &str) -> Vec<Row<'static>> {
    let rows = hash::rows().into_iter().chain(merkle::rows()).chain(ecdsa::rows());
    rows.filter(|row| row.title().contains(filter)).collect()
}

/// What is asked of the chore.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Part of the titles of the rows to measure; empty for all of them.
    filter: String,
    /// The form of the lanes that ours works with; the one that is detected if none is named.
    form: Option<String>,
    /// Whether what is measured is kept.
    record: bool,
}

impl Asked {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--form" => asked.form = Some(arguments.next().ok_or("--form wants a name")?.clone()),
                "--record" => asked.record = true,
                flag if flag.starts_with('-') => return Err(format!("`{flag}` is neither --form nor --record")),
                filter => filter.clone_into(&mut asked.filter),
            }
        }
        Ok(asked)
    }

    fn platform(&self) -> Result<Platform, String> {
        let Some(form) = &self.form else { return Ok(Platform::detect()) };
        let mut available = Platform::available().into_iter();
        available.find(|platform| platform.name() == form).ok_or_else(|| format!("this machine has no form `{form}`"))
    }
}

/// Measures the rows that are asked for and prints them.
pub(crate) fn peers(arguments: &[String]) -> Result<(), String> {
    let asked = Asked::parse(arguments)?;
    let platform = asked.platform()?;
    // Before any thread is started: it counts the threads that come after it as well.
    let counter = Counter::start();
    let (heading, load) = (record::heading(&counter), record::load());
    let verifier = |threads| {
        let backend = CpuBackend::with_threads(threads).map_err(|error| error.to_string())?;
        Ok::<_, String>(Verifier::from(backend.on_platform(platform)))
    };
    let verifiers = [("1", verifier(1)?), ("all", verifier(0)?)];
    // Rayon's own threads, which make inputs, are made first, since threads start where their maker is.
    rayon::broadcast(|_| ());
    affinity::pin_threads()?;
    let mut lines = Vec::new();
    for row in rows(&asked.filter) {
        let measured = measure::row(&row, &verifiers, &counter)?;
        print(&row, platform, &measured);
        lines.extend(record::lines(&row, platform, &measured, &load));
    }
    if asked.record { record::keep(&heading, &lines) } else { Ok(()) }
}

fn print(row: &Row<'_>, platform: Platform, measured: &[Measured]) {
    println!("\n{}, ours in {}", row.title(), platform.name());
    println!(
        "  {:<28} {:>7} {:>12} {:>14} {:>10} {:>14}",
        "", "threads", "ns an item", "to one thread", "cycles", "ratio to ours"
    );
    for line in measured {
        let mut with_one = measured.iter().filter(|other| other.contender == line.contender && other.threads == "1");
        let gain = with_one.next().map_or_else(|| "-".to_owned(), |one| format!("{:.2}", one.median / line.median));
        let cycles = line.cycles.map_or_else(|| "-".to_owned(), |cycles| format!("{cycles:.0}"));
        let ratio = line.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!(
            "  {:<28} {:>7} {:>12.1} {gain:>14} {cycles:>10} {ratio:>14}",
            line.contender, line.threads, line.median
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn arguments_are_a_filter_and_flags_in_any_order() {
        let parse = |line: &str| Asked::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let all = Asked { filter: "bip".to_owned(), form: Some("avx2".to_owned()), record: true };
        assert_eq!(parse("--form avx2 bip --record"), Ok(all));
        assert_eq!(parse(""), Ok(Asked::default()));
        assert!(parse("--form").is_err() && parse("--from avx2").is_err());
    }
}
