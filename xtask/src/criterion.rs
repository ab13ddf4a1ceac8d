//! `cargo xtask record`: what the criterion benches measure on this machine, as a record.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::{cargo, run};
use crate::record;

/// Where criterion leaves what it measured.
const MEASURED: &str = "target/criterion";

pub(crate) fn criterion() -> Result<(), String> {
    let heading = record::heading("cargo xtask record");
    // What an earlier run left must not pass for this one's.
    if Path::new(MEASURED).exists() {
        fs::remove_dir_all(MEASURED).map_err(|error| format!("{MEASURED}: {error}"))?;
    }
    // Long enough for intervals of a percent or two, short enough to be done in five minutes.
    let times = ["--warm-up-time", "1", "--measurement-time", "3", "--noplot"];
    run(cargo().args(["bench", "--package", "phalanx", "--"]).args(times))?;
    let mut rows = Vec::new();
    for folder in measurements(Path::new(MEASURED)) {
        rows.push(row(&folder).ok_or_else(|| format!("{}: not criterion's files", folder.display()))?);
    }
    rows.sort();
    let mut text = format!(
        "{heading}\
         # median_ns and the bounds of its 95 % confidence interval are for one element\n\
         group,case,elements,median_ns,lower_ns,upper_ns,per_second\n"
    );
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    record::write("criterion", &text)
}

/// The folders that hold one measurement each.
fn measurements(folder: &Path) -> Vec<PathBuf> {
    if folder.join("new/benchmark.json").exists() {
        return vec![folder.join("new")];
    }
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).flat_map(|path| measurements(&path)).collect()
}

#[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53 elements")]
fn row(folder: &Path) -> Option<String> {
    let read = |name: &str| -> Option<Value> { serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok() };
    let (benchmark, estimates) = (read("benchmark.json")?, read("estimates.json")?);
    let group = benchmark["group_id"].as_str()?;
    let case = benchmark["function_id"].as_str().unwrap_or_default();
    let elements = benchmark["throughput"]["Elements"].as_u64().unwrap_or(1);
    let per_element = |value: &Value| value.as_f64().map(|nanoseconds| nanoseconds / elements as f64);
    let median = &estimates["median"];
    let [middle, lower, upper] = [
        per_element(&median["point_estimate"])?,
        per_element(&median["confidence_interval"]["lower_bound"])?,
        per_element(&median["confidence_interval"]["upper_bound"])?,
    ];
    Some(format!("{group},{case},{elements},{middle:.1},{lower:.1},{upper:.1},{:.0}", 1e9 / middle))
}
