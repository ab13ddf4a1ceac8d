//! The report for a terminal.

use super::{BenchReport, Cell, Change, Skipped};
use crate::report::{count, rate, table};

impl BenchReport {
    /// For people.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}, {} cores, {}", self.hardware.cpu, self.hardware.cores, self.hardware.system);
        for backend in &self.backends {
            text += &format!("\n{}: {}", backend.name, backend.device);
            if let Some(driver) = &backend.driver {
                text += &format!(", {driver}");
            }
        }
        for scheme in self.schemes() {
            let cells = self.cells.iter().filter(|cell| cell.scheme == scheme);
            let heading = ["batch", "backend", "per second", "p50", "p95", "p99", "in", "out", "samples", "outliers"];
            text += &format!("\n\n{scheme}\n{}", table(heading, cells.map(row)));
            for cell in self.timed(scheme) {
                let kernels = cell
                    .kernel_shares()
                    .into_iter()
                    .map(|(kernel, seconds, percent)| format!("{kernel} {} ({percent:.0} %)", duration(seconds)));
                let kernels = kernels.collect::<Vec<_>>().join(", ");
                text += &format!("\nkernels of {} items on {}: {kernels}", count(cell.batch), cell.backend);
            }
        }
        text += "\n";
        for start in &self.cold_starts {
            let took = duration(start.seconds);
            text += &format!("\ncold start of {} on {}: {took} for {} items", start.scheme, start.backend, start.batch);
        }
        for line in self.conclusions() {
            text += &format!("\n{line}");
        }
        if !self.changes.is_empty() {
            let rows = self.changes.iter().map(change);
            text += &format!("\n\n{}", table(["scheme", "backend", "batch", "before", "now", "ratio"], rows));
        }
        for line in self.not_measured() {
            text += &format!("\nnot measured: {line}");
        }
        for warning in &self.warnings {
            text += &format!("\nwarning: {warning}");
        }
        text
    }

    /// What was not measured, in words: the smallest such batch of each scheme on each backend stands for those above it.
    pub(super) fn not_measured(&self) -> Vec<String> {
        let is_first = |index: usize, skipped: &Skipped| {
            let same = |other: &Skipped| other.scheme == skipped.scheme && other.backend == skipped.backend;
            !self.skipped[..index].iter().any(same)
        };
        let first = self.skipped.iter().enumerate().filter(|(index, skipped)| is_first(*index, skipped));
        let line = |(_, skipped): (usize, &Skipped)| {
            let Skipped { scheme, backend, batch, why } = skipped;
            format!("{scheme} on {backend}, {} items and more: {why}", count(*batch))
        };
        first.map(line).collect()
    }

    /// From which batch on a backend pays, in words.
    pub(super) fn conclusions(&self) -> Vec<String> {
        if self.backends.len() < 2 {
            return vec!["only the CPU was measured: there is no crossover to tell".to_owned()];
        }
        let crossovers = self.crossovers.iter().map(|crossover| match crossover.from_batch {
            Some(batch) => {
                format!(
                    "{}: {} is faster than the CPU from {} items on",
                    crossover.scheme,
                    crossover.backend,
                    count(batch)
                )
            }
            None => {
                format!("{}: {} is not faster than the CPU at the largest batch", crossover.scheme, crossover.backend)
            }
        });
        crossovers.collect()
    }
}

fn row(cell: &Cell) -> [String; 10] {
    [
        count(cell.batch),
        cell.backend.clone(),
        rate(cell.per_second),
        duration(cell.p50),
        duration(cell.p95),
        duration(cell.p99),
        bytes(cell.bytes_in),
        bytes(cell.bytes_out),
        count(cell.samples),
        count(cell.outliers),
    ]
}

/// A change as a row of a table.
pub(super) fn change(change: &Change) -> [String; 6] {
    [
        change.scheme.clone(),
        change.backend.clone(),
        count(change.batch),
        rate(change.before),
        rate(change.now),
        format!("{:.2}", change.ratio),
    ]
}

/// Seconds with the unit that leaves one to three digits before the point.
pub(super) fn duration(seconds: f64) -> String {
    let (scaled, unit) = match seconds {
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{scaled:.1} {unit}")
}

/// A day and a time, from seconds since 1970 (the calendar by Howard Hinnant's `civil_from_days`).
pub(super) fn utc(unix_time: u64) -> String {
    let (days, second) = (unix_time / 86_400, unix_time % 86_400);
    // Eras of 400 years that begin with a March, so that a leap day is a year's last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3_600, second / 60 % 60)
}

/// Bytes with a decimal unit.
pub(super) fn bytes(number: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let number = number as f64;
    match number {
        n if n < 1e3 => format!("{n:.0} B"),
        n if n < 1e6 => format!("{:.1} kB", n / 1e3),
        n if n < 1e9 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.1} GB", n / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::super::BackendNote;
    use super::super::tests::{cell, report, timed_cell};
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let shown = [0, 951_782_399, 951_782_400, 1_709_251_199, 4_107_542_400].map(utc);
        let expected =
            ["1970-01-01 00:00", "2000-02-28 23:59", "2000-02-29 00:00", "2024-02-29 23:59", "2100-03-01 00:00"];
        assert_eq!(shown, expected.map(|time| format!("{time} UTC")));
    }

    #[test]
    fn batches_that_were_not_measured_are_told_once() {
        let skipped = |scheme: &str, batch| Skipped {
            scheme: scheme.to_owned(),
            backend: "cpu".to_owned(),
            batch,
            why: "too long".to_owned(),
        };
        let report =
            BenchReport { skipped: vec![skipped("a", 64), skipped("a", 256), skipped("b", 256)], ..report(vec![]) };
        assert_eq!(
            report.not_measured(),
            ["a on cpu, 64 items and more: too long", "b on cpu, 256 items and more: too long"]
        );
    }

    #[test]
    fn units_fit_the_number() {
        let shown = [3e-9, 1.5e-6, 2e-3, 12.0].map(duration);
        assert_eq!(shown, ["3.0 ns", "1.5 µs", "2.0 ms", "12.0 s"]);
        assert_eq!([999, 1_500, 2_000_000, 3_200_000_000].map(bytes), ["999 B", "1.5 kB", "2.0 MB", "3.2 GB"]);
    }

    #[test]
    fn the_text_says_what_was_measured_and_what_follows() {
        let mut report = report(vec![
            cell("recover", "cpu", 16, 1e-3),
            cell("recover", "gpu", 16, 2e-3),
            cell("recover", "cpu", 4_096, 0.5),
            cell("recover", "gpu", 4_096, 0.25),
        ]);
        assert!(report.to_text().contains("only the CPU was measured"));
        let note = |name: &str| BackendNote { name: name.to_owned(), device: "a device".to_owned(), driver: None };
        report.backends = vec![note("cpu"), note("gpu")];
        report.warnings = vec!["too warm".to_owned()];
        let text = report.to_text();
        for expected in
            ["16,000", "8,192", "250.0 ms", "gpu is faster than the CPU from 4,096 items on", "warning: too warm"]
        {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn kernels_are_told_of_the_largest_batch() {
        let mut report = report(vec![cell("recover", "gpu", 16, 1e-3), timed_cell()]);
        report.backends = vec![BackendNote { name: "gpu".to_owned(), device: String::new(), driver: None }];
        let line = "kernels of 4,096 items on gpu: multiply 500.0 ms (67 %), add 250.0 ms (33 %)";
        assert!(report.to_text().lines().any(|told| told == line), "{}", report.to_text());
    }
}
