//! `cargo xtask peers`: our work beside other libraries' on the same inputs, in one run.
//!
//! A [`Row`] is what is asked and who answers it; to add one, write a function like those of [`hash`] and name it in
//! [`rows`]. All contenders of a row must give the same answers before any of them is timed.

mod batch;
mod ecdsa;
mod hash;
mod measure;
mod merkle;

use std::fmt::Write as _;

use phalanx::Verifier;

use crate::record;
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

/// Every row, in the order of the table.
fn rows() -> Vec<Row<'static>> {
    hash::rows().into_iter().chain(merkle::rows()).chain(ecdsa::rows()).collect()
}

/// Measures the rows whose name contains the first argument, or every row; prints the table and, of every row, records it.
pub(crate) fn peers(arguments: &[String]) -> Result<(), String> {
    let filter = arguments.first().map_or("", String::as_str);
    // Before any thread is started: it counts the threads that come after it as well.
    let counter = Counter::start();
    let verifiers = [
        ("1", Verifier::with_threads(1).map_err(|error| error.to_string())?),
        ("all", Verifier::with_threads(0).map_err(|error| error.to_string())?),
    ];
    let mut text = heading(&counter);
    for row in rows().into_iter().filter(|row| row.name.contains(filter)) {
        let measured = measure::row(&row, &verifiers, &counter)?;
        print(&row, &measured);
        for line in csv(&row, &measured) {
            let _ = writeln!(text, "{line}");
        }
    }
    if !filter.is_empty() {
        println!("not recorded: a record has every row");
        return Ok(());
    }
    record::write("peers", &text)
}

fn heading(counter: &Counter) -> String {
    format!(
        "{}# medians of {} interleaved rounds and their quartiles, for one item; cycles: {}\n\
         # ratio: the contender's median to ours with as many threads; above 1, ours is faster\n\
         row,items,contender,threads,median_ns,lower_ns,upper_ns,cycles,ratio\n",
        record::heading("cargo xtask peers"),
        measure::ROUNDS,
        if counter.counts() { "of user code, all threads" } else { "not counted on this machine" },
    )
}

fn print(row: &Row<'_>, measured: &[Measured]) {
    println!("\n{} ({} items)", row.name, row.items);
    println!("  {:<28} {:>7} {:>12} {:>10} {:>14}", "", "threads", "ns an item", "cycles", "ratio to ours");
    for line in measured {
        let cycles = line.cycles.map_or_else(|| "-".to_owned(), |cycles| format!("{cycles:.0}"));
        let ratio = line.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!("  {:<28} {:>7} {:>12.1} {cycles:>10} {ratio:>14}", line.contender, line.threads, line.median);
    }
}

fn csv(row: &Row<'_>, measured: &[Measured]) -> Vec<String> {
    let line = |line: &Measured| {
        let cycles = line.cycles.map(|cycles| format!("{cycles:.0}")).unwrap_or_default();
        let ratio = line.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        // A name may hold a comma; a file of comma-separated values has quotes for that.
        format!(
            "\"{}\",{},\"{}\",{},{:.1},{:.1},{:.1},{cycles},{ratio}",
            row.name, row.items, line.contender, line.threads, line.median, line.lower, line.upper
        )
    };
    measured.iter().map(line).collect()
}
