//! `cargo xtask readme`: the README's figures, from the newest records.
//!
//! Between `<!-- record: KIND -->` and `<!-- end -->` stands what [`SECTIONS`] makes of the newest record of that kind. A test fails
//! while the README says anything else.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::record::{Record, Row};

const README: &str = "README.md";
const END: &str = "<!-- end -->";

/// Makes a table of a record, whose columns it knows.
type Render = fn(&Record) -> Result<String, String>;

/// The kinds of records that the README tells of.
const SECTIONS: [(&str, Render); 7] = [
    ("run", run),
    ("lanes", lanes),
    ("gpu-h200", gpu),
    ("route-h200", divided),
    ("gpu", gpu),
    ("route", route),
    ("execute", execute),
];

pub(crate) fn readme() -> Result<(), String> {
    let root = Path::new("");
    let old = read(root)?;
    let new = filled(root, &old)?;
    if new != old {
        fs::write(README, new).map_err(|error| format!("{README}: {error}"))?;
        println!("wrote {README}");
    }
    Ok(())
}

fn read(root: &Path) -> Result<String, String> {
    fs::read_to_string(root.join(README)).map_err(|error| format!("{README}: {error}"))
}

/// The README with every section as the records have it.
fn filled(root: &Path, readme: &str) -> Result<String, String> {
    let mut text = readme.to_owned();
    for (kind, render) in SECTIONS {
        let record = Record::newest(root, kind)?;
        text = replaced(&text, kind, &format!("{}{}", render(&record)?, source(&record)))?;
    }
    Ok(text)
}

/// A text with what stands in a kind's section replaced.
fn replaced(text: &str, kind: &str, section: &str) -> Result<String, String> {
    let begin = format!("<!-- record: {kind} -->\n");
    let missing = || format!("{README}: no section {begin:?} with an end");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{begin}{section}{END}{after}"))
}

/// Where the figures come from.
fn source(record: &Record) -> String {
    let name = record.path.rsplit('/').next().unwrap_or_default();
    let machine = record.machine().unwrap_or("an unknown machine");
    format!("\n[`{name}`]({}): {machine}.\n", record.path)
}

/// The whole way: the median of the rounds.
fn run(record: &Record) -> Result<String, String> {
    let mut text = "| | transactions a second |\n|---|---|\n".to_owned();
    for (senders, label) in
        [("hinted", "senders claimed beside the transactions, and proven"), ("unknown", "senders unknown")]
    {
        let rounds = record.rows().filter(|row| row.text("senders") == senders);
        let median = median(rounds.map(|row| row.number("transactions_per_second")).collect::<Result<_, _>>()?);
        let _ = writeln!(text, "| {label} | {} |", grouped(median.ok_or_else(|| no_row(record, senders))?));
    }
    Ok(text)
}

/// Signatures on the CPU, in large blocks and one by one.
fn lanes(record: &Record) -> Result<String, String> {
    const LARGE: &str = "4096";
    let mut text =
        "| blocks of 4,096 | a second | times libsecp256k1 | one by one, times |\n|---|---|---|---|\n".to_owned();
    let rows = || record.rows().filter(|row| !is_peer(row));
    for row in rows().filter(|row| row.text("batch") == LARGE) {
        let same = |other: &Row<'_>| ["group", "case"].iter().all(|column| other.text(column) == row.text(column));
        let single = rows().find(|other| same(other) && other.text("batch") == "1");
        // The field's own rows are of large blocks alone.
        let Some(single) = single else { continue };
        let (group, form) = (row.text("group"), row.text("case"));
        let (rate, times, single) = (1e9 / row.number("median_ns")?, row.number("ratio")?, single.number("ratio")?);
        let _ = writeln!(text, "| {group}, {} | {} | {times:.2} | {single:.2} |", form_name(form), grouped(rate));
    }
    if text.lines().count() > 2 { Ok(text) } else { Err(no_row(record, LARGE)) }
}

fn is_peer(row: &Row<'_>) -> bool {
    row.text("case") == "libsecp256k1"
}

/// A form of lanes as the CPU's makers write it.
fn form_name(form: &str) -> &str {
    match form {
        "avx512-ifma" => "AVX-512 IFMA",
        "avx2" => "AVX2",
        other => other,
    }
}

/// The kernels, on each adapter and in each variant.
fn gpu(record: &Record) -> Result<String, String> {
    const TIMES: &str = ": times libsecp256k1";
    let mut text = "| | a second | times libsecp256k1 |\n|---|---|---|\n".to_owned();
    for row in record.rows() {
        let Some(work) = row.text("figure").strip_suffix(TIMES) else { continue };
        let same = |other: &Row<'_>| {
            other.text("figure") == work
                && ["adapter", "variant"].iter().all(|column| other.text(column) == row.text(column))
        };
        let own = record.rows().find(same).ok_or_else(|| no_row(record, work))?;
        let (rate, times) = (grouped(own.number("value")?), row.number("value")?);
        let _ = writeln!(text, "| {work}, variant {} | {rate} | {times:.2} |", row.text("variant"));
    }
    Ok(text)
}

/// Batches that the router divided, beside the better of the CPU and the GPU alone: of each kind of work the worst ratio.
fn route(record: &Record) -> Result<String, String> {
    let mut text = "| | batches of | times the better one alone, at worst |\n|---|---|---|\n".to_owned();
    let mut works: Vec<&str> = record.rows().map(|row| row.text("work")).collect();
    works.dedup();
    for work in works {
        let rows = record.rows().filter(|row| row.text("work") == work);
        let numbers = |column: &str| rows.clone().map(|row| row.number(column)).collect::<Result<Vec<_>, _>>();
        let (items, ratios) = (numbers("items")?, numbers("ratio")?);
        let least = items.iter().copied().fold(f64::INFINITY, f64::min);
        let [most, worst] = [items, ratios].map(|numbers| numbers.into_iter().fold(0.0, f64::max));
        let _ = writeln!(text, "| {work} | {} to {} | {worst:.2} |", grouped(least), grouped(most));
    }
    Ok(text)
}

/// Large batches on the CPU, on a GPU and as the router divides them.
fn divided(record: &Record) -> Result<String, String> {
    const LEAST: f64 = 16_384.0;
    let mut text =
        "| a second | batch | CPU alone | GPU alone | as divided | items for the GPU |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for row in record.rows() {
        let items = row.number("items")?;
        if items < LEAST || !["recover", "verify"].contains(&row.text("work")) {
            continue;
        }
        let rate = |column: &str| Ok::<_, String>(grouped(items * 1e6 / row.number(column)?));
        let (cpu, gpu, routed) = (rate("cpu_us")?, rate("gpu_us")?, rate("routed_us")?);
        let (work, share) = (row.text("work"), grouped(row.number("gpu_items")?));
        let _ = writeln!(text, "| {work} | {} | {cpu} | {gpu} | {routed} | {share} |", grouped(items));
    }
    if text.lines().count() > 2 { Ok(text) } else { Err(no_row(record, "a large batch")) }
}

/// Execution by Block-STM as `run` does it, beside the sequential executor.
fn execute(record: &Record) -> Result<String, String> {
    const BLOCK_STM: &str = "block-stm, 2 threads";
    const APART: &str = "sequential, a block each on 2 threads";
    let rows = || record.rows().filter(|row| row.text("executor") == BLOCK_STM);
    let mut workloads: Vec<&str> = Vec::new();
    for workload in rows().map(|row| row.text("workload")) {
        if !workloads.contains(&workload) {
            workloads.push(workload);
        }
    }
    let mut text =
        "| two threads | times the sequential executor: median of the runs | all runs | two blocks at once, one each |\n\
         |---|---|---|---|\n"
            .to_owned();
    for workload in workloads {
        let runs = |executor: &str| -> Result<Vec<f64>, String> {
            let own = |row: &Row<'_>| row.text("workload") == workload && row.text("executor") == executor;
            record.rows().filter(own).map(|row| row.number("times_sequential")).collect()
        };
        let all: Vec<String> = runs(BLOCK_STM)?.iter().map(|times| format!("{times:.2}")).collect();
        let middle = |executor| median(runs(executor)?).ok_or_else(|| no_row(record, workload));
        let (times, apart) = (middle(BLOCK_STM)?, middle(APART)?);
        let _ = writeln!(text, "| {workload} | {times:.2} | {} | {apart:.2} |", all.join(", "));
    }
    Ok(text)
}

fn no_row(record: &Record, what: &str) -> String {
    format!("{}: no row of {what}", record.path)
}

/// The middle one, or the upper of the two; `None` of none.
fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

/// A whole number with a comma before each three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::read;

    #[test]
    fn the_readme_says_what_the_newest_records_say() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let readme = super::read(root).unwrap();
        assert_eq!(filled(root, &readme).unwrap(), readme, "`cargo xtask readme` writes it anew");
    }

    #[test]
    fn every_section_has_its_records_figures() {
        let rounds =
            read("round,senders,transactions_per_second\n1,hinted,5\n2,hinted,1200300\n3,hinted,7000\n1,unknown,3\n");
        let table = run(&rounds).unwrap();
        assert!(table.contains("and proven | 7,000 |") && table.contains("unknown | 3 |"), "{table}");
        let forms = "recover,libsecp256k1,1,40000,1.00\nrecover,avx2,1,80000,0.50\nrecover,avx2,4096,20000,2.00\n";
        let table = lanes(&read(&format!("group,case,batch,median_ns,ratio\n{forms}"))).unwrap();
        assert_eq!(table.lines().nth(2), Some("| recover, AVX2 | 50,000 | 2.00 | 0.50 |"));
        assert_eq!(table.lines().count(), 3);
        let figures = "\"a, b\",u32,verify of 9,1234.5,a second\n\"a, b\",u64,verify of 9,99,a second\n\
                       \"a, b\",u32,verify of 9: times libsecp256k1,1.5,\n";
        let table = gpu(&read(&format!("adapter,variant,figure,value,unit\n{figures}"))).unwrap();
        assert_eq!(table.lines().nth(2), Some("| verify of 9, variant u32 | 1,234 | 1.50 |"));
        let batches = "verify,16,1.05\nverify,4096,0.9\nkeccak256,16,1.01\n";
        let table = route(&read(&format!("work,items,ratio\n{batches}"))).unwrap();
        let rows = ["| verify | 16 to 4,096 | 1.05 |", "| keccak256 | 16 to 16 | 1.01 |"];
        assert_eq!(table.lines().skip(2).collect::<Vec<_>>(), rows);
        let batches = "verify,64,1,2,3,0\nverify,20000,10000,4000,5000,20000\nkeccak256,20000,1,1,1,0\n";
        let table = divided(&read(&format!("work,items,cpu_us,gpu_us,routed_us,gpu_items\n{batches}"))).unwrap();
        let rows = ["| verify | 20,000 | 2,000,000 | 5,000,000 | 4,000,000 | 20,000 |"];
        assert_eq!(table.lines().skip(2).collect::<Vec<_>>(), rows);
        let executors = "a,sequential,1,1.00\na,\"block-stm, 2 threads\",1,1.40\nb,\"block-stm, 2 threads\",1,1.50\n\
                         a,\"sequential, a block each on 2 threads\",1,1.90\na,\"block-stm, 2 threads\",2,1.10\n\
                         b,\"sequential, a block each on 2 threads\",1,1.80\na,\"block-stm, 2 threads\",2,1.20\n";
        let table =
            execute(&read(&format!("workload,executor,median_ns_per_transaction,times_sequential\n{executors}")))
                .unwrap();
        assert_eq!(
            table.lines().skip(2).collect::<Vec<_>>(),
            ["| a | 1.20 | 1.40, 1.10, 1.20 | 1.90 |", "| b | 1.50 | 1.50 | 1.80 |"]
        );
    }

    #[test]
    fn a_record_of_another_form_is_an_error() {
        let other = read("a,b\n1,2\n");
        assert!(run(&other).is_err() && route(&other).is_err() && divided(&other).is_err());
        assert!(lanes(&read("group,case,batch,median_ns,ratio\na,avx2,4096,1,2\n")).is_err());
        assert!(gpu(&read("adapter,variant,figure,value,unit\na,b,c: times libsecp256k1,1,\n")).is_err());
    }

    #[test]
    fn a_section_is_replaced_and_nothing_else() {
        let text = "a\n<!-- record: k -->\nold\n<!-- end -->\nb <!-- end -->\n";
        let new = "a\n<!-- record: k -->\nnew\n<!-- end -->\nb <!-- end -->\n";
        assert_eq!(replaced(text, "k", "new\n").as_deref(), Ok(new));
        assert!(replaced(text, "other", "").is_err() && replaced("<!-- record: k -->\n", "k", "").is_err());
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(
            [0.0, 999.4, 1e3, 152_010.0, 1_234_567.0].map(grouped),
            ["0", "999", "1,000", "152,010", "1,234,567"]
        );
    }
}
