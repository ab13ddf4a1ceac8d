//! Looking at the machine.

use std::env::{split_paths, var, var_os};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::facts::{AdapterFacts, Driver, Facts, Hardware, Linux, Node, Windows};

/// The variables that name drivers in place of the installed ones; the loader takes the first that is set.
const DRIVER_VARIABLES: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

/// Where a linker looks for libraries without being told, on the usual distributions.
const LIBRARY_FOLDERS: [&str; 9] = [
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/lib64",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
];

/// What `ldconfig` found, by name and path; the names are looked for in it as they are.
const LINKER_CACHE: &str = "/etc/ld.so.cache";

/// The classes of PCI devices that show or compute pictures: VGA, 3D and other display controllers.
const DISPLAY_CLASSES: [u32; 3] = [0x0300, 0x0302, 0x0380];

pub(super) fn observe() -> Facts {
    Facts {
        system: std::env::consts::OS,
        is_built_with_gpu: cfg!(feature = "gpu"),
        is_container: is_container(),
        gpus: gpus(),
        linux: cfg!(target_os = "linux").then(linux),
        windows: cfg!(target_os = "windows").then(windows),
        adapters: adapters(),
    }
}

#[cfg(feature = "gpu")]
fn adapters() -> Vec<AdapterFacts> {
    let facts = |adapter: &crate::gpu::Adapter| AdapterFacts {
        name: adapter.name().to_owned(),
        vendor: adapter.vendor(),
        driver: adapter.driver().to_owned(),
        backend: adapter.backend().to_owned(),
        is_software: adapter.is_software(),
        refusals: adapter.refusals().iter().map(ToString::to_string).collect(),
        binding_bytes: adapter.binding_bytes(),
        has_wide_integers: adapter.features().contains(&"int64"),
    };
    crate::gpu::adapters().iter().map(facts).collect()
}

/// Built without GPUs.
#[cfg(not(feature = "gpu"))]
fn adapters() -> Vec<AdapterFacts> {
    Vec::new()
}

/// By the files that Docker and Podman leave, and the variable that others set.
fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists())
        || ["container", "KUBERNETES_SERVICE_HOST"].iter().any(|name| var_os(name).is_some())
}

/// GPUs on the PCI bus, as Linux tells of it.
fn gpus() -> Vec<Hardware> {
    let number = |device: &Path, name: &str| {
        let text = fs::read_to_string(device.join(name)).ok()?;
        u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
    };
    let gpu = |device: PathBuf| {
        let is_display = DISPLAY_CLASSES.contains(&(number(&device, "class")? >> 8));
        is_display.then(|| number(&device, "vendor")).flatten().and_then(Hardware::of_vendor)
    };
    entries(Path::new("/sys/bus/pci/devices")).into_iter().filter_map(gpu).collect()
}

fn linux() -> Linux {
    let drivers_named_by = DRIVER_VARIABLES.into_iter().find(|name| var_os(name).is_some());
    let manifests = match drivers_named_by {
        Some(variable) => paths(variable).into_iter().flat_map(named_manifests).collect(),
        None => manifest_folders().iter().flat_map(|folder| manifests_in(folder)).collect::<Vec<_>>(),
    };
    let nvidia = ["/dev/nvidia0", "/dev/nvidiactl"].map(PathBuf::from);
    let render = entries(Path::new("/dev/dri")).into_iter().filter(|path| name_of(path).starts_with("renderD"));
    let nodes = render.chain(nvidia.into_iter().filter(|path| path.exists())).map(|path| Node {
        is_open_to_us: fs::File::options().read(true).write(true).open(&path).is_ok(),
        path: path.display().to_string(),
    });
    Linux {
        has_loader: has_library("libvulkan.so.1"),
        drivers_named_by,
        drivers: manifests.iter().map(|path| driver(path)).collect(),
        nodes: nodes.collect(),
        has_cuda: has_library("libcuda.so.1") || Path::new("/proc/driver/nvidia/version").exists(),
        nvidia_capabilities: var("NVIDIA_DRIVER_CAPABILITIES").ok(),
        has_runtime_folder: var_os("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).is_dir()),
    }
}

/// `dxcompiler.dll` beside the program, or where Windows looks for libraries.
fn windows() -> Windows {
    let beside = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let folders = beside.into_iter().chain(paths("PATH"));
    Windows { has_dxc: folders.map(|folder| folder.join("dxcompiler.dll")).any(|library| library.exists()) }
}

/// The folders in which the loader looks for manifests.
fn manifest_folders() -> Vec<PathBuf> {
    let home = var_os("HOME").map(PathBuf::from);
    let in_home = |folder: &str| home.iter().map(|home| home.join(folder)).collect();
    let of = |variable: &str, otherwise: Vec<PathBuf>| {
        let named = paths(variable);
        if named.is_empty() { otherwise } else { named }
    };
    let roots = [
        of("XDG_CONFIG_HOME", in_home(".config")),
        of("XDG_CONFIG_DIRS", vec!["/etc/xdg".into()]),
        vec!["/etc".into()],
        of("XDG_DATA_HOME", in_home(".local/share")),
        of("XDG_DATA_DIRS", vec!["/usr/local/share".into(), "/usr/share".into()]),
        // NixOS keeps drivers apart.
        vec!["/run/opengl-driver/share".into()],
    ];
    roots.into_iter().flatten().map(|root| root.join("vulkan/icd.d")).collect()
}

/// A variable may name manifests, and folders of them.
fn named_manifests(path: PathBuf) -> Vec<PathBuf> {
    if path.is_dir() { manifests_in(&path) } else { vec![path] }
}

fn manifests_in(folder: &Path) -> Vec<PathBuf> {
    let is_manifest = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    entries(folder).into_iter().filter(is_manifest).collect()
}

/// A manifest; its library's path is absolute, relative to the manifest, or a name that the linker finds.
fn driver(manifest: &Path) -> Driver {
    let read = || -> Option<String> {
        let manifest: Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
        Some(manifest["ICD"]["library_path"].as_str()?.to_owned())
    };
    let library = read();
    let is_there = |library: &String| {
        if library.contains('/') {
            manifest.parent().is_some_and(|folder| folder.join(library).exists())
        } else {
            has_library(library)
        }
    };
    Driver { path: manifest.display().to_string(), has_library: library.as_ref().is_some_and(is_there), library }
}

/// Whether the linker would find a library.
fn has_library(name: &str) -> bool {
    let named = paths("LD_LIBRARY_PATH");
    let usual = LIBRARY_FOLDERS.iter().map(PathBuf::from);
    let is_cached = || {
        let cache = fs::read(LINKER_CACHE).unwrap_or_default();
        // Each name in it ends with a zero.
        let name = [name.as_bytes(), &[0]].concat();
        cache.windows(name.len()).any(|window| window == name)
    };
    named.into_iter().chain(usual).any(|folder| folder.join(name).exists()) || is_cached()
}

/// The paths in a variable; none if it is not set, or empty.
fn paths(variable: &str) -> Vec<PathBuf> {
    let paths = var_os(variable).map(|value| split_paths(&value).collect::<Vec<_>>()).unwrap_or_default();
    paths.into_iter().filter(|path| !path.as_os_str().is_empty()).collect()
}

/// What a folder holds, in order; nothing if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
