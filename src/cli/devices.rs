//! `phalanx devices`: what there is to run on.

use clap::Args;
use serde_json::json;

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
    if args.json {
        let cpu = json!({ "index": 0, "backend": "cpu", "name": model, "threads": threads, "features": features });
        print(&format!("{:#}", json!({ "devices": [cpu] })));
    } else {
        let row = ["0".to_owned(), "cpu".to_owned(), model, threads.to_string(), features.join(" ")];
        print(&table(["index", "backend", "name", "threads", "features"], [row]));
        print("\nThis version runs on the CPU alone.");
    }
    Status::Valid
}

/// The processor's name, where the system tells it.
fn cpu_model() -> Option<String> {
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
