//! `cargo xtask isa`: what each kernel compiles to on RDNA2, by Mesa's RADV, whose null device compiles for a GPU that is not there.
#![allow(unsafe_code, reason = "Vulkan is called directly: wgpu cannot open a device that has no hardware")]

use std::ffi::CString;

use ash::vk;
use naga::back::spv;
use phalanx::gpu::shader::{Arithmetic, KERNELS, Shader};

/// A driver's figures for a kernel, by the names that it gives them.
type Statistics = Vec<(String, u64)>;

/// The columns of the table, by the driver's names.
const COLUMNS: [(&str, &str); 8] = [
    ("Instructions", "instructions"),
    ("Code size", "bytes"),
    ("VGPRs", "VGPRs"),
    ("Spilled VGPRs", "spilled"),
    ("Spilled SGPRs", "sgpr-spill"),
    ("Scratch size", "scratch"),
    ("Subgroups per SIMD", "subgroups"),
    ("Inverse Throughput", "inv-thrpt"),
];

pub(crate) fn isa() -> Result<(), String> {
    let device = NullDevice::open()?;
    println!("{}", device.name);
    print!("{:<18} {:<8} {:<4}", "kernel", "variant", "hot");
    for (_, heading) in COLUMNS {
        print!(" {heading:>12}");
    }
    println!();
    let mut defects = Vec::new();
    for kernel in KERNELS {
        for arithmetic in Arithmetic::ALL {
            let shader = kernel.shader(arithmetic).map_err(|error| error.to_string())?;
            let statistics = device.statistics(&shader)?;
            let figure = |name: &str| statistics.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            print!("{:<18} {:<8} {:<4}", kernel.name, arithmetic.name(), if kernel.hot { "yes" } else { "" });
            for (name, _) in COLUMNS {
                print!(" {:>12}", figure(name).map_or_else(|| "?".to_owned(), |value| value.to_string()));
            }
            println!();
            // What the driver does not tell is no pass.
            for name in ["Spilled VGPRs", "Scratch size"] {
                if kernel.hot && figure(name) != Some(0) {
                    defects.push(format!("{} {arithmetic}: {name} {:?}", kernel.name, figure(name)));
                }
            }
        }
    }
    if defects.is_empty() { Ok(()) } else { Err(format!("hot kernels must not spill:\n  {}", defects.join("\n  "))) }
}

/// A Vulkan device that tells about its pipelines. Lives as long as the program.
struct NullDevice {
    name: String,
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    /// Keeps the driver loaded.
    _entry: ash::Entry,
    _instance: ash::Instance,
}

impl NullDevice {
    fn open() -> Result<Self, String> {
        let say = |doing: &'static str| move |result: vk::Result| format!("{doing}: {result}");
        // SAFETY: the system's Vulkan loader, whose initialisers are meant to be run by any program.
        let entry = unsafe { ash::Entry::load() }.map_err(|error| format!("no Vulkan loader: {error}"))?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: the description names no layers or extensions and outlives the call.
        let instance = unsafe { entry.create_instance(&create, None) }.map_err(say("no Vulkan instance"))?;
        // SAFETY: the instance is alive.
        let found = unsafe { instance.enumerate_physical_devices() }.map_err(say("no Vulkan devices"))?;
        let named = found.into_iter().map(|device| {
            // SAFETY: the device is one of the instance's, which is alive.
            let properties = unsafe { instance.get_physical_device_properties(device) };
            (device, properties.device_name_as_c_str().unwrap_or_default().to_string_lossy().into_owned())
        });
        let (physical, name) = named
            .into_iter()
            .find(|(_, name)| name.contains("RADV"))
            .ok_or("RADV is not installed: apt-get install mesa-vulkan-drivers")?;
        let queue = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
        let extensions = [ash::khr::pipeline_executable_properties::NAME.as_ptr()];
        let features = vk::PhysicalDeviceFeatures { shader_int64: vk::TRUE, ..Default::default() };
        let mut tells =
            vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queue)
            .enabled_extension_names(&extensions)
            .enabled_features(&features)
            .push_next(&mut tells);
        // SAFETY: the physical device is the instance's; everything that the description points to outlives the call.
        let device = unsafe { instance.create_device(physical, &create, None) }.map_err(say("no device"))?;
        let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
        Ok(Self { name, device, executables, _entry: entry, _instance: instance })
    }

    /// Compiles a kernel, and asks what became of it. What is created stays until the program ends.
    fn statistics(&self, shader: &Shader) -> Result<Statistics, String> {
        let kernel = shader.kernel.name;
        let say = |result: vk::Result| format!("{kernel} {}: {result}", shader.arithmetic);
        let (words, bindings) = spirv(shader)?;
        let bindings: Vec<_> = bindings
            .into_iter()
            .map(|binding| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let name = CString::new(kernel).map_err(|error| error.to_string())?;
        let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: the device is alive, and the description outlives the call.
        let set = [unsafe { self.device.create_descriptor_set_layout(&create, None) }.map_err(say)?];
        let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&set);
        // SAFETY: the same, and the set's layout is the device's.
        let layout = unsafe { self.device.create_pipeline_layout(&create, None) }.map_err(say)?;
        let create = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: the same; naga validated what it wrote the words from.
        let module = unsafe { self.device.create_shader_module(&create, None) }.map_err(say)?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(&name);
        let create = [vk::ComputePipelineCreateInfo::default()
            .flags(vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR)
            .stage(stage)
            .layout(layout)];
        // SAFETY: module, layout and name are alive and the device's; the layout has every binding of the module.
        let made = unsafe { self.device.create_compute_pipelines(vk::PipelineCache::null(), &create, None) };
        let pipeline = made.map_err(|(_, result)| say(result))?.first().copied().ok_or("no pipeline")?;
        let which = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline was made with CAPTURE_STATISTICS, and a compute pipeline has an executable 0.
        let told = unsafe { self.executables.get_pipeline_executable_statistics(&which) }.map_err(say)?;
        Ok(told.iter().filter_map(figure).collect())
    }
}

fn figure(statistic: &vk::PipelineExecutableStatisticKHR<'_>) -> Option<(String, u64)> {
    let name = statistic.name_as_c_str().ok()?.to_str().ok()?.to_owned();
    if statistic.format != vk::PipelineExecutableStatisticFormatKHR::UINT64 {
        return None;
    }
    // SAFETY: the format says which member of the union is set.
    Some((name, unsafe { statistic.value.u64 }))
}

/// The kernel as wgpu hands it to a Vulkan driver, and the bindings of its storage buffers.
fn spirv(shader: &Shader) -> Result<(Vec<u32>, Vec<u32>), String> {
    let module = naga::front::wgsl::parse_str(shader.linked.text()).map_err(|error| error.to_string())?;
    let capabilities = naga::valid::Capabilities::SHADER_INT64;
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|error| error.to_string())?;
    let options = spv::Options { lang_version: (1, 3), ..Default::default() };
    let pipeline =
        spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: shader.kernel.name.to_owned() };
    let words = spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|error| error.to_string())?;
    let bindings = module.global_variables.iter().filter_map(|(_, global)| Some(global.binding?.binding)).collect();
    Ok((words, bindings))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    const FAMILY: &str = "RADV_FORCE_FAMILY";

    #[test]
    fn hot_kernels_spill_nothing_on_rdna2() {
        // The loader reads which GPU is meant before there is anything to ask: the test runs again with that said.
        if std::env::var_os(FAMILY).is_none() {
            let mut again = Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", "isa::tests::hot_kernels_spill_nothing_on_rdna2", "--nocapture"]);
            let output = again.env(FAMILY, "navi21").output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            if told.contains("SKIPPED") {
                let _ = std::io::stderr().write_all(&output.stderr);
            }
            assert!(output.status.success(), "{told}");
            return;
        }
        if let Err(problem) = super::NullDevice::open() {
            let _ = writeln!(std::io::stderr(), "SKIPPED hot_kernels_spill_nothing_on_rdna2: {problem}");
            return;
        }
        super::isa().unwrap();
    }
}
