//! The adapters that there are, and whether each could serve.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::shader::{Arithmetic, WORKGROUP_SIZE};

/// Storage buffers that a kernel binds at most.
const STORAGE_BUFFERS: u32 = 4;

/// The smallest binding that makes a dispatch worth its while, in bytes.
const BINDING_BYTES: u64 = 16 << 20;

/// A GPU behind a driver.
#[derive(Clone, Debug)]
pub struct Adapter {
    name: String,
    driver: String,
    backend: &'static str,
    kind: AdapterKind,
    vendor: u32,
    device: u32,
    features: Vec<&'static str>,
    refusals: Vec<Refusal>,
    pub(super) inner: wgpu::Adapter,
}

/// What kind of adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdapterKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU handed through to a virtual machine.
    Virtual,
    /// A program on the CPU.
    Software,
    /// One that does not say.
    Other,
}

/// Why an adapter cannot serve.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It runs no compute shaders.
    NoCompute,
    /// It has no 64-bit integers in shaders. Only the `u64` variant wants them.
    NoWideIntegers,
    /// One of its limits is below what the kernels need.
    Limit {
        /// The limit's name.
        name: &'static str,
        /// What it is.
        has: u64,
        /// What it would have to be.
        needs: u64,
    },
}

/// Every adapter of every driver, in the drivers' order. Empty where there is none.
#[must_use]
pub fn adapters() -> Vec<Adapter> {
    enumerate(false)
}

/// Every adapter, by the drivers as they are loaded, or loaded anew.
fn enumerate(anew: bool) -> Vec<Adapter> {
    /// Kept to the end of the process, those that were loaded anew too. Whoever has the last adapter would close the drivers otherwise,
    /// maybe a thread that lingers while the process ends, where NVIDIA's driver crashes or hangs.
    static INSTANCES: Mutex<Vec<wgpu::Instance>> = Mutex::new(Vec::new());

    let backends = wgpu::Instance::enabled_backend_features() & wgpu::Backends::PRIMARY;
    if backends.is_empty() {
        return Vec::new();
    }
    // Locked only to look and to add: a driver that hangs while it is asked holds up nobody else.
    let kept = || INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = if anew { None } else { kept().last().cloned() };
    let instance = loaded.unwrap_or_else(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        kept().push(instance.clone());
        instance
    });
    pollster::block_on(instance.enumerate_adapters(backends)).into_iter().map(Adapter::new).collect()
}

impl Adapter {
    fn new(inner: wgpu::Adapter) -> Self {
        let about = inner.get_info();
        let driver = [about.driver, about.driver_info].join(" ").trim().to_owned();
        Self {
            name: about.name,
            driver,
            backend: about.backend.to_str(),
            kind: about.device_type.into(),
            vendor: about.vendor,
            device: about.device,
            features: features(&inner),
            refusals: refusals(&inner),
            inner,
        }
    }

    /// Its name, as the driver tells it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The driver's name and version, where it tells them.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The interface it is reached by: `vulkan`, `metal` or `dx12`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> AdapterKind {
        self.kind
    }

    /// The vendor, by name where it is known and by number where not.
    #[must_use]
    pub fn vendor(&self) -> String {
        match self.vendor {
            0x1002 => "AMD".to_owned(),
            0x106b => "Apple".to_owned(),
            0x10de => "NVIDIA".to_owned(),
            0x13b5 => "Arm".to_owned(),
            0x1414 => "Microsoft".to_owned(),
            0x5143 => "Qualcomm".to_owned(),
            0x8086 => "Intel".to_owned(),
            0x1_0005 => "Mesa".to_owned(),
            number => format!("{number:#06x}"),
        }
    }

    /// Its name, driver and interface, for people.
    pub(crate) fn describe(&self) -> String {
        format!("{}, {} ({})", self.name, self.driver, self.backend)
    }

    /// All that tells its driver's code from another's.
    pub(crate) fn identity(&self) -> String {
        let Self { name, driver, backend, vendor, device, .. } = self;
        format!("{name}\n{driver}\n{backend}\n{vendor:#x}:{device:#x}")
    }

    /// The same adapter as the drivers list it now.
    pub(super) fn again(&self) -> Option<Self> {
        enumerate(true).into_iter().find(|adapter| adapter.identity() == self.identity())
    }

    /// The features that kernels can make use of.
    #[must_use]
    pub fn features(&self) -> &[&'static str] {
        &self.features
    }

    /// Bytes that one binding can have.
    #[must_use]
    pub fn binding_bytes(&self) -> u64 {
        self.inner.limits().max_storage_buffer_binding_size
    }

    /// Workgroups that a dispatch can have.
    #[must_use]
    pub fn workgroups(&self) -> u32 {
        self.inner.limits().max_compute_workgroups_per_dimension
    }

    /// Bytes that one buffer can have.
    #[must_use]
    pub fn buffer_bytes(&self) -> u64 {
        self.inner.limits().max_buffer_size
    }

    /// Bytes of buffers that are used where no setting says otherwise: a quarter of what one may have, at most a gibibyte.
    #[must_use]
    pub fn default_memory(&self) -> u64 {
        (self.buffer_bytes() / 4).min(1 << 30)
    }

    /// Lanes that a workgroup can have.
    #[must_use]
    pub fn workgroup_lanes(&self) -> u32 {
        self.inner.limits().max_compute_invocations_per_workgroup
    }

    /// Why it could never serve; empty if it could.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Whether it is a program on the CPU, which must be asked for by name.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.kind == AdapterKind::Software
    }

    /// Whether it may be chosen without having been asked for.
    #[must_use]
    pub fn is_for_auto(&self) -> bool {
        self.refusals.is_empty() && !self.is_software()
    }

    /// The variants of kernels that it could run.
    pub fn variants(&self) -> impl Iterator<Item = Arithmetic> {
        Arithmetic::ALL.into_iter().filter(|variant| self.refusal(*variant).is_none())
    }

    /// Why it cannot run a variant.
    #[must_use]
    pub fn refusal(&self, arithmetic: Arithmetic) -> Option<Refusal> {
        let wide = self.inner.features().contains(wgpu::Features::SHADER_INT64);
        let lacks = arithmetic == Arithmetic::U64 && !wide;
        self.refusals.first().cloned().or(lacks.then_some(Refusal::NoWideIntegers))
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Software => "software",
            Self::Other => "other",
        })
    }
}

impl From<wgpu::DeviceType> for AdapterKind {
    fn from(kind: wgpu::DeviceType) -> Self {
        match kind {
            wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            wgpu::DeviceType::VirtualGpu => Self::Virtual,
            wgpu::DeviceType::Cpu => Self::Software,
            wgpu::DeviceType::Other => Self::Other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCompute => f.write_str("no compute shaders"),
            Self::NoWideIntegers => f.write_str("no 64-bit integers in shaders"),
            Self::Limit { name, has, needs } => write!(f, "{name} is {has}, and {needs} are needed"),
        }
    }
}

fn features(adapter: &wgpu::Adapter) -> Vec<&'static str> {
    let features = [
        ("int64", wgpu::Features::SHADER_INT64),
        ("subgroups", wgpu::Features::SUBGROUP),
        ("timestamps", wgpu::Features::TIMESTAMP_QUERY),
        ("pipeline-cache", wgpu::Features::PIPELINE_CACHE),
    ];
    let has = adapter.features();
    features.into_iter().filter(|(_, feature)| has.contains(*feature)).map(|(name, _)| name).collect()
}

fn refusals(adapter: &wgpu::Adapter) -> Vec<Refusal> {
    let limits = adapter.limits();
    let has_compute = adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
    let needs = [
        (
            "max_storage_buffers_per_shader_stage",
            limits.max_storage_buffers_per_shader_stage.into(),
            STORAGE_BUFFERS.into(),
        ),
        (
            "max_compute_invocations_per_workgroup",
            limits.max_compute_invocations_per_workgroup.into(),
            WORKGROUP_SIZE.into(),
        ),
        ("max_compute_workgroup_size_x", limits.max_compute_workgroup_size_x.into(), WORKGROUP_SIZE.into()),
        ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, BINDING_BYTES),
    ];
    let below = needs.into_iter().filter(|(_, has, needs)| has < needs);
    let limits = below.map(|(name, has, needs)| Refusal::Limit { name, has, needs });
    (!has_compute).then_some(Refusal::NoCompute).into_iter().chain(limits).collect()
}
