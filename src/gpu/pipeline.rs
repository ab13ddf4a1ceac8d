//! Kernels made into pipelines, with what the driver says against it told as an error.

use std::borrow::Cow;

use super::shader::{Kernel, Shader};

/// A compiled kernel, whose bindings are storage buffers.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) compute: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    bindings: Vec<u32>,
}

impl Pipeline {
    /// Compiles a kernel. Buffers are indexed within bounds, whatever their content makes of an index; loops are not counted, since
    /// a counter of 64 bits in each costs some drivers a multiple of what a kernel takes.
    pub(super) fn compile(
        device: &wgpu::Device,
        shader: Shader,
        cache: Option<&wgpu::PipelineCache>,
    ) -> Result<Self, wgpu::Error> {
        let Kernel { name, .. } = shader.kernel;
        let entries: Vec<_> = shader.module.global_variables.iter().filter_map(|(_, global)| entry(global)).collect();
        let bindings = entries.iter().map(|entry| entry.binding).collect();
        scoped(device, || {
            let layout = device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let descriptor = wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source: wgpu::ShaderSource::Naga(Cow::Owned(shader.module)),
            };
            let checks =
                wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
            #[allow(unsafe_code, reason = "the safe function counts every loop's iterations")]
            // SAFETY: all that goes unchecked is that loops end, and there is no `Shader` without that seen (`shader::loops`).
            let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
            let compute = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(name),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache,
            });
            Self { compute, layout, bindings }
        })
    }

    /// Binds to each binding of the kernel the buffer of that number.
    pub(super) fn bind(&self, device: &wgpu::Device, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
        let entries = self.bindings.iter().filter_map(|binding| {
            let buffer = buffers.get(*binding as usize)?;
            Some(wgpu::BindGroupEntry { binding: *binding, resource: buffer.as_entire_binding() })
        });
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.layout,
            entries: &entries.collect::<Vec<_>>(),
        })
    }
}

/// Turns what the driver complains about within `make` into an error. Scopes are a thread's own.
pub(super) fn scoped<T>(device: &wgpu::Device, make: impl FnOnce() -> T) -> Result<T, wgpu::Error> {
    use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
    let scopes = [Validation, OutOfMemory, Internal].map(|filter| device.push_error_scope(filter));
    let made = make();
    // The innermost scope must be the first to go.
    let problems: Vec<_> = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect();
    problems.into_iter().next().map_or(Ok(made), Err)
}

/// How a global of a kernel is bound.
fn entry(global: &naga::GlobalVariable) -> Option<wgpu::BindGroupLayoutEntry> {
    let naga::AddressSpace::Storage { access } = global.space else { return None };
    let read_only = !access.contains(naga::StorageAccess::STORE);
    Some(wgpu::BindGroupLayoutEntry {
        binding: global.binding.as_ref()?.binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    })
}
