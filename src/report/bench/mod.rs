//! The report of `bench`: what it measured, and what follows from that.
//!
//! Its JSON is described by `schema.json` beside this file.

mod compare;
mod html;
mod plot;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use compare::{Change, compare};

/// What a report says it is, so that another one is not taken for it.
pub(crate) const SCHEMA: &str = "phalanx-bench/1";

/// A run of `bench`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BenchReport {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// The version of phalanx.
    pub(crate) version: String,
    /// The command as it was given.
    pub(crate) command: String,
    /// When it began, in seconds since 1970.
    pub(crate) unix_time: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// What it ran on.
    pub(crate) hardware: Hardware,
    /// The backends, in the order of the tables.
    pub(crate) backends: Vec<BackendNote>,
    /// The first batch of each scheme on each backend, of the smallest size, before anything was warm.
    pub(crate) cold_starts: Vec<ColdStart>,
    /// What was measured.
    pub(crate) cells: Vec<Cell>,
    /// What was not, and why.
    pub(crate) skipped: Vec<Skipped>,
    /// From which batch on each backend beats the CPU.
    pub(crate) crossovers: Vec<Crossover>,
    /// What makes the figures doubtful.
    pub(crate) warnings: Vec<String>,
    /// How an earlier report compares, if one was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<Change>,
}

/// What a report was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hardware {
    /// The processor's name.
    pub(crate) cpu: String,
    /// Its cores, as the system tells.
    pub(crate) cores: usize,
    /// The operating system and the architecture.
    pub(crate) system: String,
    /// How the CPU hashes: the forms chosen for its features.
    pub(crate) lanes: Vec<String>,
}

/// A backend and the device behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackendNote {
    /// The name in the tables.
    pub(crate) name: String,
    /// The device.
    pub(crate) device: String,
    /// Its driver; `None` for the CPU.
    pub(crate) driver: Option<String>,
}

/// What the first batch took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ColdStart {
    pub(crate) scheme: String,
    pub(crate) backend: String,
    /// Items in that batch.
    pub(crate) batch: u64,
    pub(crate) seconds: f64,
}

/// A scheme on a backend with one size of batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) scheme: String,
    pub(crate) backend: String,
    /// Items in a batch.
    pub(crate) batch: u64,
    /// How many batches were timed.
    pub(crate) samples: u64,
    /// How many went before, untimed.
    pub(crate) warm_ups: u64,
    /// How many of the timed ones lie far from the median.
    pub(crate) outliers: u64,
    /// Seconds of a batch: the median.
    pub(crate) p50: f64,
    /// Seconds of a batch that 95 % do not exceed.
    pub(crate) p95: f64,
    /// Seconds of a batch that 99 % do not exceed.
    pub(crate) p99: f64,
    /// Items a second, by the median.
    pub(crate) per_second: f64,
    /// Bytes that a batch hands to the backend.
    pub(crate) bytes_in: u64,
    /// Bytes that it gets back.
    pub(crate) bytes_out: u64,
    /// Seconds that a batch's kernels took by the device's clock; `None` where the device has none to ask.
    pub(crate) kernel_seconds: Option<f64>,
    /// The same of each kernel, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kernels: Vec<KernelTime>,
}

/// What a kernel took of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KernelTime {
    pub(crate) kernel: String,
    /// Seconds of a batch, by the device's clock.
    pub(crate) seconds: f64,
}

/// A cell that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    pub(crate) scheme: String,
    pub(crate) backend: String,
    pub(crate) batch: u64,
    pub(crate) why: String,
}

/// Where a backend begins to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crossover {
    pub(crate) scheme: String,
    pub(crate) backend: String,
    /// The smallest batch from which on every measured batch is faster than on the CPU; `None` where the largest is not.
    pub(crate) from_batch: Option<u64>,
}

impl BenchReport {
    /// The report in JSON.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Reads a report; the error says what is wrong with it.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, String> {
        let report: Self = serde_json::from_slice(text).map_err(|error| format!("no report of bench: {error}"))?;
        if report.schema != SCHEMA {
            return Err(format!("a report of schema {}, not {SCHEMA}", report.schema));
        }
        Ok(report)
    }

    /// The cells as comma-separated values, under a line of names.
    pub(crate) fn to_csv(&self) -> String {
        let mut text =
            "scheme,backend,batch,samples,warm_ups,outliers,p50_seconds,p95_seconds,p99_seconds,per_second,bytes_in,\
             bytes_out,kernel_seconds,kernels"
                .to_owned();
        for cell in &self.cells {
            let kernel = cell.kernel_seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
            let kernels = cell.kernels.iter().map(|time| format!("{}={}", time.kernel, time.seconds));
            let kernels = quoted(&kernels.collect::<Vec<_>>().join(" "));
            text += &format!(
                "\n{},{},{},{},{},{},{},{},{},{},{},{},{kernel},{kernels}",
                quoted(&cell.scheme),
                quoted(&cell.backend),
                cell.batch,
                cell.samples,
                cell.warm_ups,
                cell.outliers,
                cell.p50,
                cell.p95,
                cell.p99,
                cell.per_second,
                cell.bytes_in,
                cell.bytes_out,
            );
        }
        text
    }

    /// The schemes that have cells, in the order of the cells.
    fn schemes(&self) -> Vec<&str> {
        let mut schemes: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !schemes.contains(&cell.scheme.as_str()) {
                schemes.push(&cell.scheme);
            }
        }
        schemes
    }

    /// Of each backend whose kernels were timed, the cell of a scheme's largest batch.
    fn timed(&self, scheme: &str) -> Vec<&Cell> {
        let largest = |backend: &BackendNote| {
            self.series(scheme, &backend.name).into_iter().rfind(|cell| !cell.kernels.is_empty())
        };
        self.backends.iter().filter_map(largest).collect()
    }

    /// A scheme's cells on a backend, by rising batch.
    fn series(&self, scheme: &str, backend: &str) -> Vec<&Cell> {
        let mut cells: Vec<_> =
            self.cells.iter().filter(|cell| cell.scheme == scheme && cell.backend == backend).collect();
        cells.sort_by_key(|cell| cell.batch);
        cells
    }
}

impl Cell {
    /// What each kernel took, the longest first: its name, its seconds, and its part of all kernels' in percent.
    fn kernel_shares(&self) -> Vec<(&str, f64, f64)> {
        let all: f64 = self.kernels.iter().map(|time| time.seconds).sum();
        let share = |time: &KernelTime| 100.0 * time.seconds / all.max(f64::MIN_POSITIVE);
        let mut shares: Vec<_> =
            self.kernels.iter().map(|time| (time.kernel.as_str(), time.seconds, share(time))).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }
}

/// Where each backend but `cpu` begins to beat it, per scheme.
pub(crate) fn crossovers(cells: &[Cell], cpu: &str) -> Vec<Crossover> {
    let on_cpu: BTreeMap<_, _> = cells
        .iter()
        .filter(|cell| cell.backend == cpu)
        .map(|cell| ((cell.scheme.as_str(), cell.batch), cell.p50))
        .collect();
    let mut wins: BTreeMap<(&str, &str), Vec<(u64, bool)>> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.backend != cpu) {
        if let Some(cpu) = on_cpu.get(&(cell.scheme.as_str(), cell.batch)) {
            wins.entry((&cell.scheme, &cell.backend)).or_default().push((cell.batch, cell.p50 < *cpu));
        }
    }
    let crossover = |((scheme, backend), mut wins): ((&str, &str), Vec<(u64, bool)>)| {
        wins.sort_unstable();
        let from_batch = wins.iter().rev().take_while(|(_, wins)| *wins).last().map(|(batch, _)| *batch);
        Crossover { scheme: scheme.to_owned(), backend: backend.to_owned(), from_batch }
    };
    wins.into_iter().map(crossover).collect()
}

/// A field of comma-separated values.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn cell(scheme: &str, backend: &str, batch: u64, p50: f64) -> Cell {
        #[allow(clippy::cast_precision_loss, reason = "small batches")]
        let per_second = batch as f64 / p50;
        Cell {
            scheme: scheme.to_owned(),
            backend: backend.to_owned(),
            batch,
            samples: 100,
            warm_ups: 3,
            outliers: 2,
            p50,
            p95: p50 * 1.1,
            p99: p50 * 1.5,
            per_second,
            bytes_in: batch * 98,
            bytes_out: batch * 85,
            kernel_seconds: None,
            kernels: Vec::new(),
        }
    }

    /// A cell of a device with a clock.
    pub(in crate::report) fn timed_cell() -> Cell {
        let time = |kernel: &str, seconds| KernelTime { kernel: kernel.to_owned(), seconds };
        let kernels = vec![time("add", 0.25), time("multiply", 0.5)];
        Cell { kernel_seconds: Some(0.75), kernels, ..cell("recover", "gpu", 4_096, 1.0) }
    }

    pub(in crate::report) fn report(cells: Vec<Cell>) -> BenchReport {
        BenchReport {
            schema: SCHEMA.to_owned(),
            version: "0.0.0".to_owned(),
            command: "phalanx bench".to_owned(),
            unix_time: 0,
            seconds: 1.0,
            hardware: Hardware::default(),
            backends: Vec::new(),
            cold_starts: Vec::new(),
            crossovers: crossovers(&cells, "cpu"),
            cells,
            skipped: Vec::new(),
            warnings: Vec::new(),
            changes: Vec::new(),
        }
    }

    #[test]
    fn a_crossover_is_where_the_last_run_of_wins_begins() {
        let found = |gpu: &[(u64, f64)]| {
            let cpu = [16, 64, 256, 1_024].map(|batch| cell("recover", "cpu", batch, 1.0));
            let gpu = gpu.iter().map(|(batch, p50)| cell("recover", "gpu", *batch, *p50));
            let crossovers = crossovers(&cpu.into_iter().chain(gpu).collect::<Vec<_>>(), "cpu");
            crossovers.first().map(|crossover| crossover.from_batch)
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[(16, 2.0), (64, 2.0), (256, 0.5), (1_024, 0.5)]), Some(Some(256)));
        assert_eq!(found(&[(1_024, 0.5), (256, 0.5), (64, 2.0), (16, 0.5)]), Some(Some(256)));
        assert_eq!(found(&[(16, 0.5), (64, 0.5), (256, 0.5), (1_024, 1.0)]), Some(None));
        assert_eq!(found(&[(16, 0.5)]), Some(Some(16)));
        // What the CPU was not measured on says nothing.
        assert_eq!(found(&[(4_096, 0.5)]), None);
    }

    #[test]
    fn json_is_read_back_and_nothing_else_is() {
        let report = report(vec![cell("recover", "cpu", 16, 1e-3)]);
        assert_eq!(BenchReport::from_json(report.to_json().unwrap().as_bytes()), Ok(report.clone()));
        let other = BenchReport { schema: "phalanx-bench/2".to_owned(), ..report };
        let error = BenchReport::from_json(other.to_json().unwrap().as_bytes()).unwrap_err();
        assert_eq!(error, "a report of schema phalanx-bench/2, not phalanx-bench/1");
        for text in ["", "{}", "[]", "null"] {
            assert!(BenchReport::from_json(text.as_bytes()).unwrap_err().starts_with("no report of bench: "));
        }
    }

    #[test]
    fn csv_has_a_line_for_each_cell() {
        let csv = report(vec![cell("a \"b\", c", "cpu", 16, 0.5)]).to_csv();
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("\"a \"\"b\"\", c\",\"cpu\",16,100,3,2,0.5,"), "{}", lines[1]);
        assert!(lines[1].ends_with(",,\"\""), "{}", lines[1]);
        assert_eq!(lines[0].split(',').count(), 14);
        let timed = report(vec![timed_cell()]).to_csv();
        assert!(timed.ends_with(",0.75,\"add=0.25 multiply=0.5\""), "{timed}");
    }
}
