//! The usual traps: what about a machine keeps its GPUs from serving, and the way out of each.

use serde::Serialize;

use super::facts::{AdapterFacts, Driver, Facts, Hardware, Linux};

/// What a binding can have on any WebGPU implementation (its default for `maxStorageBufferBindingSize`); less makes more and smaller
/// dispatches.
const USUAL_BINDING_BYTES: u64 = 128 << 20;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What it is about, for programs.
    pub(super) check: &'static str,
    pub(super) state: State,
    /// What was found.
    pub(super) what: String,
    /// What to do.
    pub(super) advice: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Well,
    /// Good to know; nothing is kept from working.
    Note,
    /// A GPU, or what was asked for, does not work.
    Mend,
}

impl Finding {
    fn well(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, state: State::Well, what: what.into(), advice: None }
    }

    fn note(check: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Note, what: what.into(), advice: Some(advice.into()) }
    }

    fn mend(check: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Mend, what: what.into(), advice: Some(advice.into()) }
    }
}

/// All that there is to say of a machine: causes before what they lead to.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    if !facts.is_built_with_gpu {
        let advice = "build it with the feature `gpu`, which is one of the defaults";
        return vec![Finding::mend("build", "this program was built without GPUs", advice)];
    }
    let mut findings = Vec::new();
    if let Some(linux) = &facts.linux {
        findings.push(loader(facts, linux));
        findings.extend(manifests(linux));
        findings.extend(vendor_drivers(facts, linux));
        findings.extend(nodes(facts, linux));
        findings.extend(runtime_folder(facts, linux));
    }
    findings.extend(shader_compiler(facts));
    findings.extend(facts.adapters.iter().filter_map(limits));
    // What has a cause above needs no guess.
    let is_explained = findings.iter().any(|finding| finding.state == State::Mend);
    findings.extend(unlisted(facts).filter(|_| !is_explained));
    findings.push(serving(facts));
    findings
}

/// Vulkan's loader, without which no driver is found.
fn loader(facts: &Facts, linux: &Linux) -> Finding {
    const CHECK: &str = "vulkan-loader";
    if linux.has_loader {
        return Finding::well(CHECK, "Vulkan's loader is there");
    }
    let what = "there is no Vulkan loader (libvulkan.so.1)";
    let advice = "install libvulkan1 (Debian, Ubuntu), vulkan-loader (Fedora) or vulkan-icd-loader (Arch)";
    if has_gpu(facts) { Finding::mend(CHECK, what, advice) } else { Finding::note(CHECK, what, advice) }
}

/// Manifests that the environment names and that are not there, and those whose library is not.
fn manifests(linux: &Linux) -> Vec<Finding> {
    const CHECK: &str = "vulkan-driver";
    let mut findings = Vec::new();
    let unusable = |driver: &&Driver| !driver.has_library;
    if let Some(variable) = linux.drivers_named_by {
        if linux.drivers.is_empty() {
            let what = format!("{variable} names no driver, and hides those that are installed");
            findings.push(Finding::mend(CHECK, what, format!("unset {variable}")));
        }
        for Driver { path, .. } in linux.drivers.iter().filter(unusable) {
            let what = format!("{variable} names {path}, which is no driver's manifest with a library that is there");
            findings.push(Finding::mend(CHECK, what, format!("unset {variable}, or have it name one that is there")));
        }
        return findings;
    }
    for driver in linux.drivers.iter().filter(unusable) {
        let library = driver.library.as_deref().unwrap_or("none");
        let what = format!("the library of {} is missing ({library})", driver.path);
        findings.push(Finding::mend(CHECK, what, "install that driver again, or remove the file"));
    }
    findings
}

/// GPUs without their maker's Vulkan driver.
fn vendor_drivers(facts: &Facts, linux: &Linux) -> Vec<Finding> {
    const CHECK: &str = "vulkan-driver";
    if linux.drivers_named_by.is_some() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for gpu in Hardware::ALL.into_iter().filter(|gpu| has(facts, linux, *gpu)) {
        match linux.drivers.iter().find(|driver| is_of(driver, gpu, linux.has_cuda)) {
            Some(driver) => {
                findings.push(Finding::well(CHECK, format!("{} has a Vulkan driver, {}", gpu.name(), driver.path)));
            }
            None if gpu == Hardware::Nvidia => findings.push(nvidia_without_driver(facts, linux)),
            None => {
                let what = format!("there is a GPU of {}, and no Vulkan driver for it", gpu.name());
                let advice =
                    "install mesa-vulkan-drivers (Debian, Ubuntu, Fedora), or vulkan-radeon or vulkan-intel (Arch)";
                findings.push(Finding::mend(CHECK, what, advice));
            }
        }
    }
    if findings.is_empty() && linux.drivers.is_empty() {
        let what = "there is no Vulkan driver";
        let advice = "nothing to mend where there is no GPU; mesa-vulkan-drivers has one that runs kernels on the CPU, to try them";
        findings.push(Finding::note(CHECK, what, advice));
    }
    findings
}

/// CUDA works, Vulkan does not: NVIDIA's containers are given the graphics part of the driver only on request.
fn nvidia_without_driver(facts: &Facts, linux: &Linux) -> Finding {
    const CHECK: &str = "nvidia-graphics";
    let what = "NVIDIA's driver is there without its Vulkan part (no nvidia_icd.json)";
    let given = linux.nvidia_capabilities.as_deref();
    let has_graphics = given.is_some_and(|given| {
        given.split(',').map(str::trim).any(|capability| ["all", "graphics"].contains(&capability))
    });
    let advice = if has_graphics {
        "the host lacks it: install its graphics libraries there (libnvidia-gl-VERSION), of the kernel module's version"
    } else if facts.is_container || given.is_some() {
        "start the container with NVIDIA_DRIVER_CAPABILITIES=all (docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all …)"
    } else {
        "install the driver's graphics libraries (libnvidia-gl-VERSION), of the kernel module's version"
    };
    Finding::mend(CHECK, what, advice)
}

/// Device files that are missing, or closed to this user.
fn nodes(facts: &Facts, linux: &Linux) -> Vec<Finding> {
    const CHECK: &str = "device-files";
    let mut findings = Vec::new();
    for node in linux.nodes.iter().filter(|node| !node.is_open_to_us) {
        let advice = if facts.is_container {
            "start the container with --group-add and the number of the group that the file belongs to"
        } else {
            "have yourself added to the file's group (sudo usermod -aG render $USER), and log in again"
        };
        findings.push(Finding::mend(CHECK, format!("{} may not be opened by this user", node.path), advice));
    }
    let is_render = |path: &str| path.starts_with("/dev/dri/");
    let wants_render = facts.gpus.iter().any(|gpu| *gpu != Hardware::Nvidia);
    if wants_render && !linux.nodes.iter().any(|node| is_render(&node.path)) {
        let advice = if facts.is_container {
            "start the container with --device /dev/dri"
        } else {
            "load the GPU's kernel module (amdgpu, i915, xe)"
        };
        findings.push(Finding::mend(CHECK, "there is a GPU, and no file under /dev/dri to reach it through", advice));
    }
    findings
}

/// Mesa's drivers complain on stderr where they find no folder for sockets.
fn runtime_folder(facts: &Facts, linux: &Linux) -> Option<Finding> {
    let is_mesa = facts.adapters.iter().any(|adapter| adapter.driver.contains("Mesa") || adapter.vendor == "Mesa");
    (is_mesa && !linux.has_runtime_folder).then(|| {
        let what = "XDG_RUNTIME_DIR names no folder, of which Mesa complains on stderr";
        Finding::note("runtime-folder", what, "export XDG_RUNTIME_DIR=/tmp")
    })
}

/// DX12 by the old compiler.
fn shader_compiler(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "shader-compiler";
    let windows = facts.windows?;
    if windows.has_dxc {
        return Some(Finding::well(CHECK, "kernels for DX12 are compiled by DXC"));
    }
    let what = "kernels for DX12 are compiled by FXC, slowly and without 64-bit integers";
    let advice = "put dxcompiler.dll of github.com/microsoft/DirectXShaderCompiler/releases beside phalanx.exe, or name a Vulkan adapter";
    facts.adapters.iter().any(|adapter| adapter.backend == "dx12").then(|| Finding::mend(CHECK, what, advice))
}

/// Limits below what kernels need, or what they are usually given.
fn limits(adapter: &AdapterFacts) -> Option<Finding> {
    const CHECK: &str = "limits";
    let AdapterFacts { name, binding_bytes, .. } = adapter;
    if !adapter.refusals.is_empty() {
        let what = format!("{name} cannot serve ({})", adapter.refusals.join(", "));
        let advice = "try a newer driver, or another interface to the same GPU";
        return Some(if adapter.is_software {
            Finding::note(CHECK, what, advice)
        } else {
            Finding::mend(CHECK, what, advice)
        });
    }
    (*binding_bytes < USUAL_BINDING_BYTES).then(|| {
        let what = format!("{name} gives a binding {binding_bytes} bytes, so that dispatches are small");
        Finding::note(CHECK, what, "try a newer driver")
    })
}

/// A GPU with all that it needs, which its driver does not list.
fn unlisted(facts: &Facts) -> impl Iterator<Item = Finding> {
    let is_listed = |gpu: &Hardware| facts.adapters.iter().any(|adapter| adapter.vendor == gpu.name());
    Hardware::ALL.into_iter().filter(|gpu| facts.gpus.contains(gpu)).filter(move |gpu| !is_listed(gpu)).map(|gpu| {
        let what = format!("there is a GPU of {}, and no driver lists it", gpu.name());
        let advice = match gpu {
            Hardware::Nvidia => "compare the versions that nvidia-smi tells, install libxext6, and see `VK_LOADER_DEBUG=error,driver vulkaninfo`",
            Hardware::Amd | Hardware::Intel => "see `VK_LOADER_DEBUG=error,driver vulkaninfo`; it may be older than its driver",
        };
        Finding::mend("adapters", what, advice)
    })
}

/// What serves in the end.
fn serving(facts: &Facts) -> Finding {
    const CHECK: &str = "adapters";
    let names = |is_software: bool| -> Vec<&str> {
        let able = facts.adapters.iter().filter(|adapter| adapter.refusals.is_empty());
        able.filter(|adapter| adapter.is_software == is_software).map(|adapter| adapter.name.as_str()).collect()
    };
    let (hardware, software) = (names(false), names(true));
    if !hardware.is_empty() {
        return Finding::well(CHECK, format!("`auto` divides batches between the CPU and {}", hardware.join(", ")));
    }
    if let Some(first) = software.first() {
        let what = format!("only a software adapter serves, {first}, which `auto` does not use");
        return Finding::note(CHECK, what, "nothing to mend where there is no GPU; --backend NAME tries it");
    }
    Finding::note(CHECK, "no adapter serves", "nothing to mend where there is no GPU: the CPU checks everything")
}

/// Whether there may be a GPU: one is seen, or where it cannot be seen.
fn has_gpu(facts: &Facts) -> bool {
    let linux = facts.linux.as_ref();
    !facts.gpus.is_empty() || linux.is_none_or(|linux| linux.has_cuda || !linux.nodes.is_empty())
}

fn has(facts: &Facts, linux: &Linux, gpu: Hardware) -> bool {
    facts.gpus.contains(&gpu) || (gpu == Hardware::Nvidia && linux.has_cuda)
}

/// Whether a driver is for this maker's GPUs, by the names that the makers and Mesa give their manifests. Mesa's for NVIDIA does not
/// work beside NVIDIA's own kernel module.
fn is_of(driver: &Driver, gpu: Hardware, has_cuda: bool) -> bool {
    let names: &[&str] = match gpu {
        Hardware::Amd => &["radeon", "amd"],
        Hardware::Intel => &["intel"],
        Hardware::Nvidia if has_cuda => &["nvidia"],
        Hardware::Nvidia => &["nvidia", "nouveau"],
    };
    let file = driver.path.rsplit('/').next().unwrap_or_default().to_lowercase();
    names.iter().any(|name| file.contains(name))
}

#[cfg(test)]
mod tests;
