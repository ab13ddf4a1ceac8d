//! What can be seen of a machine, as far as GPUs depend on it.

use serde::Serialize;

/// A machine, its GPUs and their drivers.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Facts {
    /// The operating system, as Rust names it.
    pub(super) system: &'static str,
    /// Whether this program can use GPUs at all.
    pub(super) is_built_with_gpu: bool,
    /// Whether this runs in a container.
    pub(super) is_container: bool,
    /// GPUs on the bus, as far as the system tells.
    pub(super) gpus: Vec<Hardware>,
    /// What Linux has for them.
    pub(super) linux: Option<Linux>,
    /// What Windows has for them.
    pub(super) windows: Option<Windows>,
    /// The adapters that the drivers list.
    pub(super) adapters: Vec<AdapterFacts>,
}

/// A GPU on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Hardware {
    Amd,
    Intel,
    Nvidia,
}

impl Hardware {
    pub(super) const ALL: [Self; 3] = [Self::Amd, Self::Intel, Self::Nvidia];

    /// By the number that its maker has on a PCI bus.
    pub(super) fn of_vendor(number: u32) -> Option<Self> {
        match number {
            0x1002 => Some(Self::Amd),
            0x8086 => Some(Self::Intel),
            0x10de => Some(Self::Nvidia),
            _ => None,
        }
    }

    /// The maker's name, as adapters are told.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amd => "AMD",
            Self::Intel => "Intel",
            Self::Nvidia => "NVIDIA",
        }
    }
}

/// Vulkan's parts on Linux.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Linux {
    /// Whether the loader, `libvulkan.so.1`, is where libraries are looked for.
    pub(super) has_loader: bool,
    /// The environment variable that names drivers in place of those that are installed.
    pub(super) drivers_named_by: Option<&'static str>,
    /// The drivers that the loader is told of: those named, or else those installed.
    pub(super) drivers: Vec<Driver>,
    /// Files through which GPUs are reached.
    pub(super) nodes: Vec<Node>,
    /// Whether NVIDIA's library for CUDA is there, or its kernel module.
    pub(super) has_cuda: bool,
    /// `NVIDIA_DRIVER_CAPABILITIES`: the parts of NVIDIA's driver that a container was given.
    pub(super) nvidia_capabilities: Option<String>,
    /// Whether `XDG_RUNTIME_DIR` names a folder.
    pub(super) has_runtime_folder: bool,
}

/// A driver's manifest, a JSON file that the loader reads.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Driver {
    /// The manifest.
    pub(super) path: String,
    /// The driver's library, if the manifest can be read and names one.
    pub(super) library: Option<String>,
    /// Whether that library is there.
    pub(super) has_library: bool,
}

/// A device file.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Node {
    pub(super) path: String,
    /// Whether it may be opened for reading and writing.
    pub(super) is_open_to_us: bool,
}

/// What DX12 wants on Windows.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Windows {
    /// Whether `dxcompiler.dll` is found; without it the old compiler, FXC, compiles kernels.
    pub(super) has_dxc: bool,
}

/// An adapter, as its driver tells it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct AdapterFacts {
    pub(super) name: String,
    /// The vendor's name, or its number.
    pub(super) vendor: String,
    pub(super) driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub(super) backend: String,
    /// Whether it is a program on the CPU.
    pub(super) is_software: bool,
    /// Why it cannot serve.
    pub(super) refusals: Vec<String>,
    /// Bytes that one binding can have.
    pub(super) binding_bytes: u64,
    /// Whether shaders have 64-bit integers.
    pub(super) has_wide_integers: bool,
}
