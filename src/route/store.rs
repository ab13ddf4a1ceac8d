//! Costs kept between runs, in the cache's folder: a file for each backend, under a key of all that its costs depend on.
//!
//! What a file holds is text, a line for each kind of work: its name, the fixed seconds, the seconds per item, the contention.

use std::fmt::Write as _;

use super::decision::Work;
use super::line::Line;
use crate::gpu::cache::Cache;

/// The first line; another form of the file gets another one.
const FORM: &str = "phalanx costs 1";

/// The file's kind, its ending.
const KIND: &str = "costs";

/// Costs on disk.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    cache: Cache,
}

/// What is kept of a backend: for each kind of work the line, and the contention.
type Costs = Vec<(Work, Line, f64)>;

impl Store {
    pub(crate) fn new(cache: Cache) -> Self {
        Self { cache }
    }

    /// What was kept under a key; nothing where there is nothing that can be read.
    pub(super) fn read(&self, key: &str) -> Costs {
        let Some(bytes) = self.cache.read(KIND, &versioned(key)) else { return Vec::new() };
        let costs = String::from_utf8(bytes).ok().and_then(|text| parse(&text));
        if costs.is_none() {
            tracing::warn!(key, "ignoring costs in the cache that cannot be read");
        }
        costs.unwrap_or_default()
    }

    pub(super) fn write(&self, key: &str, costs: &[(Work, Line, f64)]) {
        self.cache.write(KIND, &versioned(key), print(costs).as_bytes());
    }
}

/// Another version of this program works at another speed, and so does another machine.
fn versioned(key: &str) -> String {
    format!("{}\n{}\n{key}", env!("CARGO_PKG_VERSION"), machine())
}

/// The processor, as far as the system tells it without being asked for rights.
fn machine() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let about = |name: &&str| {
        ["model name", "cpu family", "model"].contains(&name.split(':').next().unwrap_or_default().trim())
    };
    let first = information.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = first.lines().filter(about).collect();
    format!("{} {}\n{}", std::env::consts::ARCH, std::env::consts::OS, lines.join("\n"))
}

fn print(costs: &[(Work, Line, f64)]) -> String {
    let mut text = format!("{FORM}\n");
    for (work, line, contention) in costs {
        let _ = writeln!(text, "{work} {:e} {:e} {contention}", line.fixed(), line.per_item());
    }
    text
}

/// `None` if anything in it is not as it was printed.
fn parse(text: &str) -> Option<Costs> {
    let mut lines = text.lines();
    (lines.next()? == FORM).then_some(())?;
    lines.map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(Work, Line, f64)> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [name, fixed, per_item, contention] = fields[..] else { return None };
    let work = Work::ALL.into_iter().find(|work| work.name() == name)?;
    let number = |field: &str| field.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    Some((work, Line::new(number(fixed)?, number(per_item)?), number(contention)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::hash::HashFunction;

    #[test]
    fn costs_are_read_as_they_were_written() {
        let folder = std::env::temp_dir().join(format!("phalanx-costs-{}", std::process::id()));
        let store = Store::new(Cache::at(folder.clone()));
        let costs = vec![
            (Work::Recover, Line::new(1.25e-3, 2e-5), 1.5),
            (Work::Hash(HashFunction::Keccak256), Line::new(0.0, 1.0 / 3.0), 1.0),
        ];
        store.write("a", &costs);
        assert_eq!(store.read("a"), costs);
        assert_eq!(store.read("b"), []);
        store.write("a", &[]);
        assert_eq!(store.read("a"), []);
        let _ = std::fs::remove_dir_all(folder);
    }

    #[test]
    fn what_was_not_printed_here_is_nothing() {
        let good = print(&[(Work::Verify, Line::new(1e-3, 1e-6), 1.0)]);
        assert!(parse(&good).is_some_and(|costs| costs.len() == 1));
        for bad in [
            "",
            "phalanx costs 2\n",
            "phalanx costs 1\nverify 1 1",
            "phalanx costs 1\nverify 1 1 1 1",
            "phalanx costs 1\nverify 1 NaN 1",
            "phalanx costs 1\nverify inf 1 1",
            "phalanx costs 1\nverify -1 1 1",
            "phalanx costs 1\nnothing 1 1 1",
            "phalanx costs 1\n\n",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
