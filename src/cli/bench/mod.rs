//! `phalanx bench`: what each backend does with batches of each size.

mod kernels;
mod subject;
mod timing;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use self::kernels::KernelClock;
use self::subject::{Prepared, Subject};
use self::timing::Budget;
use super::devices::cpu_model;
use super::{Common, Failure, STOP, Status, print, progress_bar};
use crate::choice::BackendChoice;
use crate::cpu::{KeccakLanes, Sha256Lanes};
use crate::error::Error;
use crate::report::bench::{BackendNote, BenchReport, Cell, ColdStart, Hardware, SCHEMA, Skipped, compare, crossovers};
use crate::verifier::Verifier;

/// The smallest batch.
const SMALLEST: usize = 16;

/// The largest batch.
const LARGEST: usize = 1 << 20;

/// Bytes of an earlier report that is read, at most.
const MAX_REPORT_BYTES: u64 = 16 << 20;

/// The name of the CPU among the backends, which the others are compared with.
const CPU: &str = "cpu";

/// The name of a GPU among the backends.
const GPU: &str = "gpu";

#[derive(Args, Clone, Debug)]
pub(super) struct BenchArgs {
    /// Be done within a minute or so
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Take the time for every power of two and for long batches
    #[arg(long)]
    full: bool,
    /// Measure batches of at most so many items
    #[arg(long, value_name = "N", default_value_t = LARGEST as u64, value_parser = clap::value_parser!(u64).range(SMALLEST as u64..=LARGEST as u64))]
    max_batch: u64,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write the report as one page, with plots, as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Compare with an earlier report in JSON
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn bench(args: &BenchArgs) -> Result<Status, Failure> {
    // A report that cannot be read should not be found out about a minute later.
    let earlier = args.compare.as_deref().map(read_report).transpose()?;
    let started = Instant::now();
    let backends = backends(&args.common)?;
    let mut bench = Bench::new(args.budget(), args.sizes());
    let busy = bench.load_warning();
    let cpu = &backends.first().ok_or_else(|| Failure::not_checked("no backend"))?.verifier;
    // Cold starts come before anything else that has a backend work.
    let recovery = subject::recovery(cpu)?;
    bench.cold_start(&recovery, &backends)?;
    let others = subject::others(&recovery, cpu)?;
    for subject in &others {
        bench.cold_start(subject, &backends)?;
    }
    let subjects: Vec<_> = std::iter::once(recovery).chain(others).collect();
    let of = |subject| backends.iter().map(move |backend| (subject, backend));
    let series: Vec<(&Subject, &Backend)> = subjects.iter().flat_map(of).collect();
    let bar = progress_bar(Some((series.len() * bench.sizes.len()) as u64), "measuring");
    let reference = bench.reference(&subjects, &backends)?;
    let warm = started.elapsed();
    for (place, (subject, backend)) in series.iter().enumerate() {
        let time = bench.budget.series(warm, started.elapsed(), series.len() - place);
        bench.measure(subject, backend, time, &bar)?;
    }
    bar.finish_and_clear();
    let drift = drift_warning(reference, bench.reference(&subjects, &backends)?);
    let mut report = bench.report;
    report.warnings.splice(0..0, busy.into_iter().chain(drift));
    report.backends = backends.iter().map(|backend| backend.note.clone()).collect();
    report.crossovers = crossovers(&report.cells, CPU);
    report.seconds = started.elapsed().as_secs_f64();
    report.changes = earlier.map(|earlier| compare(&earlier, &report)).unwrap_or_default();
    if let Some(path) = &args.html {
        let written = std::fs::write(path, report.to_html());
        written.map_err(|error| Failure::not_checked(format!("{}: {error}", path.display())))?;
    }
    print(&match (args.common.json, args.csv) {
        (true, _) => report.to_json().map_err(Failure::not_checked)?,
        (_, true) => report.to_csv(),
        _ => report.to_text(),
    });
    Ok(Status::Valid)
}

impl BenchArgs {
    fn budget(&self) -> Budget {
        let (cell, batch) = match (self.quick, self.full) {
            (true, _) => (Duration::from_millis(250), Duration::from_secs(1)),
            (_, true) => (Duration::from_secs(3), Duration::from_mins(1)),
            _ => (Duration::from_secs(1), Duration::from_secs(8)),
        };
        Budget { cell, batch, total: self.quick.then_some(Duration::from_mins(1)) }
    }

    fn sizes(&self) -> Vec<usize> {
        let factor = if self.full { 2 } else { 4 };
        let most = usize::try_from(self.max_batch).unwrap_or(LARGEST);
        std::iter::successors(Some(SMALLEST), |size| size.checked_mul(factor))
            .take_while(|size| *size <= most)
            .collect()
    }
}

/// What answers the batches.
struct Backend {
    note: BackendNote,
    verifier: Verifier,
}

/// The CPU, and the GPU that the arguments name, or that is chosen where they name none.
fn backends(common: &Common) -> Result<Vec<Backend>, Failure> {
    let verifier = |backend| Common { backend, ..common.clone() }.verifier();
    let cpu = verifier(BackendChoice::Cpu)?;
    let device = format!("{} threads of {}", cpu.cpu_backend().threads(), processor());
    let mut backends = vec![Backend { note: note(CPU, device), verifier: cpu }];
    let mut chosen = verifier(common.backend.clone())?;
    if !chosen.backend().starts_with("cpu: ") {
        if common.backend == BackendChoice::Auto {
            // One that was not asked for leaves small batches to the CPU.
            chosen = verifier(BackendChoice::Gpu)?;
        }
        backends.push(Backend { note: note(GPU, chosen.backend().to_owned()), verifier: chosen });
    }
    Ok(backends)
}

fn note(name: &str, device: String) -> BackendNote {
    BackendNote { name: name.to_owned(), device, driver: None }
}

/// A run of the command.
struct Bench {
    budget: Budget,
    sizes: Vec<usize>,
    kernels: KernelClock,
    report: BenchReport,
}

impl Bench {
    fn new(budget: Budget, sizes: Vec<usize>) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let report = BenchReport {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            unix_time: since.as_secs(),
            seconds: 0.0,
            hardware: hardware(),
            backends: Vec::new(),
            cold_starts: Vec::new(),
            cells: Vec::new(),
            skipped: Vec::new(),
            crossovers: Vec::new(),
            warnings: Vec::new(),
            changes: Vec::new(),
        };
        Self { budget, sizes, kernels: KernelClock::install(), report }
    }

    /// The first batch of a scheme on each backend. What schemes have in common, tables for instance, the first pays for.
    fn cold_start(&mut self, subject: &Subject, backends: &[Backend]) -> Result<(), Failure> {
        for backend in backends {
            let prepared = subject.prepare(SMALLEST);
            let started = Instant::now();
            run(&prepared, SMALLEST, &backend.verifier)?;
            self.report.cold_starts.push(ColdStart {
                scheme: subject.name.to_owned(),
                backend: backend.note.name.clone(),
                batch: SMALLEST as u64,
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        Ok(())
    }

    /// Every size of one scheme on one backend for which there is time.
    fn measure(
        &mut self,
        subject: &Subject,
        backend: &Backend,
        time: Duration,
        bar: &indicatif::ProgressBar,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        bar.set_message(format!("{} on {}", subject.name, backend.note.name));
        let (scheme, name) = (subject.name.to_owned(), backend.note.name.clone());
        // What the next size will take, from the last one.
        let mut seconds_per_item = 0.0;
        for size in self.sizes.clone() {
            if STOP.load(Ordering::Relaxed) {
                return Err(Failure::not_checked("stopped before the end: nothing is reported"));
            }
            let batch = size as u64;
            let left = time.saturating_sub(started.elapsed());
            if let Err(why) = self.budget.admits(seconds_per_item * as_f64(batch), left) {
                self.report.skipped.push(Skipped { scheme: scheme.clone(), backend: name.clone(), batch, why });
                bar.inc(1);
                continue;
            }
            let prepared = subject.prepare(size);
            self.kernels.reset();
            let timing = timing::time(self.budget, || run(&prepared, size, &backend.verifier))?;
            let kernels = self.kernels.times(timing.warm_ups + timing.samples());
            let p50 = timing.percentile(50);
            seconds_per_item = p50 / as_f64(batch);
            self.report.cells.push(Cell {
                scheme: scheme.clone(),
                backend: name.clone(),
                batch,
                samples: timing.samples(),
                warm_ups: timing.warm_ups,
                outliers: timing.outliers(),
                p50,
                p95: timing.percentile(95),
                p99: timing.percentile(99),
                per_second: as_f64(batch) / p50.max(f64::MIN_POSITIVE),
                bytes_in: prepared.bytes_in,
                bytes_out: prepared.bytes_out,
                kernel_seconds: (!kernels.is_empty()).then(|| kernels.iter().map(|kernel| kernel.seconds).sum()),
                kernels,
            });
            bar.inc(1);
        }
        self.warn_of_outliers(&scheme, &name);
        Ok(())
    }

    fn warn_of_outliers(&mut self, scheme: &str, backend: &str) {
        let cells = self.report.cells.iter().filter(|cell| cell.scheme == scheme && cell.backend == backend);
        let (noisy, all) =
            cells.fold((0, 0), |(noisy, all), cell| (noisy + u32::from(cell.outliers * 10 > cell.samples), all + 1));
        if noisy > 0 {
            self.report.warnings.push(format!(
                "{scheme} on {backend}: in {noisy} of {all} sizes more than a tenth of the batches lie far from the median"
            ));
        }
    }

    /// What a batch of hashes takes on the CPU; the same at the start and at the end, if the machine is.
    fn reference(&self, subjects: &[Subject], backends: &[Backend]) -> Result<f64, Failure> {
        let (Some(subject), Some(backend)) = (subjects.last(), backends.first()) else { return Ok(0.0) };
        let prepared = subject.prepare(SMALLEST * 16);
        let budget = Budget { cell: Duration::from_millis(300), ..self.budget };
        Ok(timing::time(budget, || run(&prepared, SMALLEST * 16, &backend.verifier))?.percentile(50))
    }

    /// Whether something else keeps the machine busy.
    fn load_warning(&self) -> Option<String> {
        let load: f64 = std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()?;
        let cores = self.report.hardware.cores;
        (load > 0.25 * as_f64(cores as u64))
            .then(|| format!("the machine was busy before the start: a load of {load} on {cores} cores"))
    }
}

fn run(prepared: &Prepared, size: usize, verifier: &Verifier) -> Result<(), Failure> {
    let valid = prepared.run(verifier).map_err(|error: Error| Failure::not_checked(error))?;
    if valid == size {
        Ok(())
    } else {
        Err(Failure::not_checked(format!("{valid} of {size} items were found valid, not all")))
    }
}

/// A machine that grows warm, or is shared, does not end as it began.
fn drift_warning(before: f64, after: f64) -> Option<String> {
    let percent = 100.0 * (after / before - 1.0);
    (percent.abs() > 10.0).then(|| {
        let (what, why) =
            if percent > 0.0 { ("slower", "heat, or other work") } else { ("faster", "other work has ended") };
        format!("at the end the machine was {:.0} % {what} than at the start ({why})", percent.abs())
    })
}

fn hardware() -> Hardware {
    Hardware {
        cpu: processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        lanes: vec![
            format!("keccak256: {}", KeccakLanes::detect().name()),
            format!("sha256: {}", Sha256Lanes::detect().name()),
        ],
    }
}

fn processor() -> String {
    cpu_model().unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn read_report(path: &Path) -> Result<BenchReport, Failure> {
    let failure = |problem: &dyn std::fmt::Display| Failure::not_checked(format!("{}: {problem}", path.display()));
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| failure(&error))?;
    file.take(MAX_REPORT_BYTES + 1).read_to_end(&mut text).map_err(|error| failure(&error))?;
    if text.len() as u64 > MAX_REPORT_BYTES {
        return Err(failure(&format!("longer than {MAX_REPORT_BYTES} bytes, which no report of bench is")));
    }
    BenchReport::from_json(&text).map_err(|error| failure(&error))
}

#[allow(clippy::cast_precision_loss, reason = "batches are far smaller than 2^53")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The arguments of `bench --quick`.
    pub(super) fn quick() -> BenchArgs {
        #[derive(Parser)]
        struct Command {
            #[command(flatten)]
            args: BenchArgs,
        }
        Command::parse_from(["bench", "--quick"]).args
    }

    #[test]
    fn a_machine_that_changes_is_reported() {
        assert_eq!(drift_warning(1.0, 1.05), None);
        assert_eq!(drift_warning(1.0, 0.95), None);
        assert!(drift_warning(1.0, 1.2).unwrap().contains("20 % slower"));
        assert!(drift_warning(1.0, 0.5).unwrap().contains("50 % faster"));
    }
}
