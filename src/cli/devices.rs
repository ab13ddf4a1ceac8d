//! `phalanx devices`: what there is to run on.

use clap::Args;
use serde_json::{Value, json};

use super::{Status, print};
use crate::report::table;

#[derive(Args, Clone, Copy, Debug)]
pub(super) struct DevicesArgs {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn devices(args: DevicesArgs) -> Status {
    let threads = rayon::current_num_threads();
    let features = cpu_features();
    let model = cpu_model().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let gpus = gpus();
    if args.json {
        let cpu = json!({
            "index": 0, "backend": "cpu", "name": model, "threads": threads, "features": features, "serves": true,
        });
        let devices: Vec<_> = std::iter::once(cpu).chain(gpus.into_iter().map(|gpu| gpu.json)).collect();
        print(&format!("{:#}", json!({ "devices": devices })));
    } else {
        let threads = format!("{threads} threads");
        let cpu = ["0".to_owned(), "cpu".to_owned(), model, threads, features.join(" ")];
        let (rows, notes): (Vec<_>, Vec<_>) = gpus.into_iter().map(|gpu| (gpu.row, gpu.note)).unzip();
        print(&table(["index", "backend", "name", "kind", "features"], std::iter::once(cpu).chain(rows)));
        print("");
        for note in notes {
            print(&note);
        }
        print("GPUs are listed only: this version checks on the CPU.");
    }
    Status::Valid
}

/// A GPU adapter, as it is listed.
struct Gpu {
    row: [String; 5],
    /// Its driver, and what speaks against it.
    note: String,
    json: Value,
}

/// Every adapter behind the CPU, in the drivers' order.
#[cfg(feature = "gpu")]
fn gpus() -> Vec<Gpu> {
    (1..).zip(crate::gpu::adapters()).map(|(index, adapter)| gpu(index, &adapter)).collect()
}

/// Built without GPUs.
#[cfg(not(feature = "gpu"))]
fn gpus() -> Vec<Gpu> {
    Vec::new()
}

#[cfg(feature = "gpu")]
fn gpu(index: usize, adapter: &crate::gpu::Adapter) -> Gpu {
    let refusals: Vec<_> = adapter.refusals().iter().map(ToString::to_string).collect();
    let variants: Vec<_> = adapter.variants().map(crate::gpu::shader::Arithmetic::name).collect();
    let json = json!({
        "index": index,
        "backend": adapter.backend(),
        "name": adapter.name(),
        "vendor": adapter.vendor(),
        "driver": adapter.driver(),
        "kind": adapter.kind().to_string(),
        "features": adapter.features(),
        "variants": variants,
        "limits": { "binding_bytes": adapter.binding_bytes(), "workgroup_lanes": adapter.workgroup_lanes() },
        "refusals": refusals,
        "auto": adapter.is_for_auto(),
        "serves": false,
    });
    let mut note = format!("{index}: {}, {}; variants {}", adapter.vendor(), adapter.driver(), variants.join(" "));
    if adapter.is_software() {
        note.push_str("; a software adapter, never chosen by auto");
    }
    if !refusals.is_empty() {
        note.push_str(&format!("; would be refused: {}", refusals.join(", ")));
    }
    let row = [
        index.to_string(),
        adapter.backend().to_owned(),
        adapter.name().to_owned(),
        adapter.kind().to_string(),
        adapter.features().join(" "),
    ];
    Gpu { row, note, json }
}

/// The processor's name, where the system tells it.
pub(super) fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The features that hashing and field arithmetic make use of.
fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512ifma", is_x86_feature_detected!("avx512ifma")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("adx", is_x86_feature_detected!("adx")),
        ("sha", is_x86_feature_detected!("sha")),
    ];
    #[cfg(target_arch = "aarch64")]
    let features = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
        ("sha3", std::arch::is_aarch64_feature_detected!("sha3")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    features.into_iter().filter(|(_, present)| *present).map(|(name, _)| name).collect()
}
