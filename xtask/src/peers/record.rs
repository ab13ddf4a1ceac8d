//! The record of a machine and a day: `benches/record/<machine>/<date>-peers.csv`.

use std::fs;

use phalanx::arithmetic::Platform;

use super::Row;
use super::measure::{Counter, Measured, ROUNDS};
use crate::process::output;
use crate::record::{machine, path};

/// What was measured, on which machine and of which commit: rows below equal headings may stand in one file.
pub(super) fn heading(counter: &Counter) -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let changed = output("git", &["status", "--porcelain", "--", "src", "xtask/src"]);
    let compiler = output("rustc", &["--version"]).unwrap_or_default();
    format!(
        "# machine: {}, {} cores; commit: {commit}{}; {compiler}; command: cargo xtask peers --record\n\
         # medians of {ROUNDS} interleaved rounds and their quartiles, for one item; cycles: {}; load: before the row's run\n\
         # a thread of the pool hands in batch after batch; \"from outside\" one that sleeps meanwhile\n\
         # ratio: the contender's median to ours with as many threads; above 1, ours is faster\n\
         row,items,form,contender,threads,median_ns,lower_ns,upper_ns,cycles,ratio,load\n",
        machine(),
        std::thread::available_parallelism().map_or(1, usize::from),
        if changed.is_some_and(|changed| !changed.is_empty()) { ", changed since" } else { "" },
        if counter.counts() { "of user code, all threads" } else { "not counted on this machine" },
    )
}

/// The load of the last minute, as the system tells it.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// A row's lines.
pub(super) fn lines(row: &Row<'_>, platform: Platform, measured: &[Measured], load: &str) -> Vec<String> {
    let line = |line: &Measured| {
        let cycles = line.cycles.map(|cycles| format!("{cycles:.0}")).unwrap_or_default();
        let ratio = line.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        // A name may hold a comma; a file of comma-separated values has quotes for that.
        format!(
            "\"{}\",{},{},\"{}\",{},{:.1},{:.1},{:.1},{cycles},{ratio},{load}",
            row.name,
            row.items,
            platform.name(),
            line.contender,
            line.threads,
            line.median,
            line.lower,
            line.upper
        )
    };
    measured.iter().map(line).collect()
}

/// Adds lines to today's record.
pub(super) fn keep(heading: &str, lines: &[String]) -> Result<(), String> {
    let file = path("peers.csv")?;
    let text = merged(&fs::read_to_string(&file).unwrap_or_default(), heading, lines);
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("\nwrote {}", file.display());
    Ok(())
}

/// What a record holds once `lines` are in it: they take the place of lines about the same, and of all that stand below another
/// heading.
fn merged(before: &str, heading: &str, lines: &[String]) -> String {
    let kept = before.strip_prefix(heading).unwrap_or_default().lines();
    let kept = kept.filter(|old| lines.iter().all(|new| subject(new) != subject(old)));
    let mut text = heading.to_owned();
    for line in kept.chain(lines.iter().map(String::as_str)) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// What a line is about: all before the five numbers and the load at its end.
fn subject(line: &str) -> &str {
    line.rsplitn(7, ',').last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn a_record_is_made_in_parts_of_one_commit() {
        let line = |name: &str, time: u32| format!("\"{name}, b\",1,avx2,\"c\",1,{time},1,1,,1.0,0.1");
        let (first, second) = ([line("x", 5), line("y", 6)], [line("y", 7)]);
        let whole = merged("", "head\n", &first);
        assert_eq!(whole, format!("head\n{}\n{}\n", first[0], first[1]));
        assert_eq!(merged(&whole, "head\n", &second), format!("head\n{}\n{}\n", first[0], second[0]));
        assert_eq!(merged(&whole, "another\n", &second), format!("another\n{}\n", second[0]));
    }
}
