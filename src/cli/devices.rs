//! `phalanx devices`: what there is to run on.

use clap::Args;
use serde_json::{Value, json};

use super::{Status, print};
use crate::report::table;

#[derive(Args, Clone, Copy, Debug)]
pub(super) struct DevicesArgs {
    /// Only list them: time no GPU and have none answer for itself, which takes seconds
    #[arg(long)]
    list: bool,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn devices(args: DevicesArgs) -> Status {
    let threads = rayon::current_num_threads();
    let features = cpu_features();
    let model = cpu_model().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let gpus = gpus(args.list);
    if args.json {
        let cpu = json!({
            "index": 0, "backend": "cpu", "name": model, "threads": threads, "features": features, "serves": true,
        });
        let devices: Vec<_> = std::iter::once(cpu).chain(gpus.into_iter().map(|gpu| gpu.json)).collect();
        print(&format!("{:#}", json!({ "devices": devices })));
    } else {
        let threads = format!("{threads} threads");
        let cpu = ["0".to_owned(), "cpu".to_owned(), model, threads, features.join(" ")];
        let (rows, notes): (Vec<_>, Vec<_>) = gpus.into_iter().map(|gpu| (gpu.row, gpu.notes)).unzip();
        print(&table(["index", "backend", "name", "kind", "features"], std::iter::once(cpu).chain(rows)));
        for notes in notes {
            print("");
            for note in &notes {
                print(note);
            }
        }
    }
    Status::Valid
}

/// A GPU adapter, as it is listed.
struct Gpu {
    row: [String; 5],
    /// Its driver, its limits, what it showed and what speaks against it, a line each.
    notes: Vec<String>,
    json: Value,
}

/// Every adapter behind the CPU, in the drivers' order.
#[cfg(feature = "gpu")]
fn gpus(list: bool) -> Vec<Gpu> {
    (1..).zip(crate::gpu::adapters()).map(|(index, adapter)| gpu(index, &adapter, list)).collect()
}

/// Built without GPUs.
#[cfg(not(feature = "gpu"))]
fn gpus(_: bool) -> Vec<Gpu> {
    Vec::new()
}

#[cfg(feature = "gpu")]
fn gpu(index: usize, adapter: &crate::gpu::Adapter, list: bool) -> Gpu {
    let refusals: Vec<_> = adapter.refusals().iter().map(ToString::to_string).collect();
    let variants: Vec<_> = adapter.variants().map(crate::gpu::shader::Arithmetic::name).collect();
    let tested = (!list && refusals.is_empty()).then(|| adapter.self_test());
    let mut notes = vec![
        format!("{index}: {}, {}; variants {}", adapter.vendor(), adapter.driver(), variants.join(" ")),
        format!(
            "   limits: {} bytes a binding, {} a buffer, {} lanes a workgroup, {} workgroups; {} bytes used by default",
            adapter.binding_bytes(),
            adapter.buffer_bytes(),
            adapter.workgroup_lanes(),
            adapter.workgroups(),
            adapter.default_memory()
        ),
    ];
    notes.extend(tested.iter().flat_map(test_lines).map(|line| format!("   {line}")));
    if adapter.is_software() {
        notes.push("   a software adapter: used by name or index, never by auto".to_owned());
    }
    if !refusals.is_empty() {
        notes.push(format!("   refused: {}", refusals.join(", ")));
    }
    let serves = tested
        .as_ref()
        .is_some_and(|test| !test.programs.is_empty() && test.programs.iter().all(|(_, admitted)| admitted.is_ok()));
    let json = json!({
        "index": index,
        "backend": adapter.backend(),
        "name": adapter.name(),
        "vendor": adapter.vendor(),
        "driver": adapter.driver(),
        "kind": adapter.kind().to_string(),
        "features": adapter.features(),
        "variants": variants,
        "limits": {
            "binding_bytes": adapter.binding_bytes(),
            "buffer_bytes": adapter.buffer_bytes(),
            "workgroup_lanes": adapter.workgroup_lanes(),
            "workgroups": adapter.workgroups(),
        },
        "default_memory_bytes": adapter.default_memory(),
        "self_test": tested.as_ref().map(test_json),
        "refusals": refusals,
        "auto": adapter.is_for_auto(),
        "serves": serves,
    });
    let row = [
        index.to_string(),
        adapter.backend().to_owned(),
        adapter.name().to_owned(),
        adapter.kind().to_string(),
        adapter.features().join(" "),
    ];
    Gpu { row, notes, json }
}

/// What a self-test showed, a line for the variant and one for each program.
#[cfg(feature = "gpu")]
fn test_lines(test: &crate::gpu::SelfTest) -> Vec<String> {
    let tuning = match &test.tuning {
        Err(error) => format!("no variant: {error}"),
        Ok(tuning) => {
            let time = |(variant, time): &(_, f64)| format!("{variant} {time:.2} ns a field multiplication");
            let times: Vec<_> = tuning.nanoseconds.iter().map(time).collect();
            let why = if times.is_empty() { "the only one".to_owned() } else { times.join(", ") };
            format!("variant {} ({why})", tuning.variant)
        }
    };
    let program = |(name, admitted): &(&str, Result<(), crate::gpu::Fault>)| match admitted {
        Ok(()) => format!("{name}: every known answer is right; it may serve"),
        Err(fault) => format!("{name}: may not serve: {fault}"),
    };
    std::iter::once(tuning).chain(test.programs.iter().map(program)).collect()
}

#[cfg(feature = "gpu")]
fn test_json(test: &crate::gpu::SelfTest) -> Value {
    let program = |(name, admitted): &(&str, Result<(), crate::gpu::Fault>)| {
        let problem = admitted.as_ref().err().map(ToString::to_string);
        json!({ "name": name, "admitted": admitted.is_ok(), "problem": problem })
    };
    let (variant, times, problem) = match &test.tuning {
        Ok(tuning) => (Some(tuning.variant.name()), tuning.nanoseconds.clone(), None),
        Err(error) => (None, Vec::new(), Some(error.to_string())),
    };
    let times: serde_json::Map<_, _> =
        times.into_iter().map(|(variant, time)| (variant.name().to_owned(), json!(time))).collect();
    json!({
        "variant": variant,
        "field_multiplication_nanoseconds": times,
        "problem": problem,
        "programs": test.programs.iter().map(program).collect::<Vec<_>>(),
    })
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
