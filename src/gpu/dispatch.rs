//! One dispatch at a time on a device of its own: buffers made, filled, read back and dropped. For known answers and for timing; it is
//! not made to be fast.

use std::borrow::Cow;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::device::Adapter;
use super::error::GpuError;
use super::shader::{Arithmetic, Kernel, WORKGROUP_SIZE};

/// Longest wait for a dispatch. Software drivers on a busy machine take seconds for what is tried here.
const PATIENCE: Duration = Duration::from_mins(2);

/// A device, for one variant.
#[derive(Debug)]
pub(super) struct Session {
    device: wgpu::Device,
    queue: wgpu::Queue,
    arithmetic: Arithmetic,
}

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl Session {
    pub(super) fn open(adapter: &Adapter, arithmetic: Arithmetic) -> Result<Self, GpuError> {
        if let Some(refusal) = adapter.refusal(arithmetic) {
            return Err(GpuError::Refused { adapter: adapter.name().to_owned(), refusal });
        }
        let required_features = match arithmetic {
            Arithmetic::U64 => wgpu::Features::SHADER_INT64,
            Arithmetic::U32 => wgpu::Features::empty(),
        };
        let device = adapter.inner.request_device(&wgpu::DeviceDescriptor {
            label: Some("phalanx"),
            required_features,
            required_limits: adapter.inner.limits(),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(device)
            .map_err(|error| GpuError::NoDevice { adapter: adapter.name().to_owned(), problem: error.to_string() })?;
        // wgpu panics where nobody takes its errors; those outside a scope only repeat what a scope or a wait has told.
        device.on_uncaptured_error(std::sync::Arc::new(|error| tracing::error!(%error, "the GPU's driver complains")));
        Ok(Self { device, queue, arithmetic })
    }

    /// Compiles a kernel, whose bindings are storage buffers.
    pub(super) fn pipeline(&self, kernel: Kernel) -> Result<Pipeline, GpuError> {
        let shader = kernel.shader(self.arithmetic)?;
        let entries: Vec<_> = shader.module.global_variables.iter().filter_map(|(_, global)| entry(global)).collect();
        self.scoped(&format!("compiling {}", kernel.name), || {
            let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(kernel.name),
                entries: &entries,
            });
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(kernel.name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name),
                source: wgpu::ShaderSource::Naga(Cow::Owned(shader.module)),
            });
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(kernel.name),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            Pipeline { pipeline, layout }
        })
    }

    /// Runs a kernel once over `lanes` lanes. `inputs` are bound in order, and behind them a zeroed buffer of `words` words, which
    /// is handed back with the time from the kernel's submission to its end.
    pub(super) fn run(
        &self,
        pipeline: &Pipeline,
        inputs: &[&[u32]],
        words: usize,
        lanes: usize,
    ) -> Result<(Vec<u32>, Duration), GpuError> {
        if lanes == 0 {
            return Ok((Vec::new(), Duration::ZERO));
        }
        let groups = self.groups(lanes)?;
        let output_bytes = byte_count(words);
        let (buffers, output, readback) = self.scoped("allocating buffers", || {
            let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let buffers: Vec<_> = inputs.iter().map(|input| self.buffer(byte_count(input.len()), storage)).collect();
            let output = self.buffer(output_bytes, storage | wgpu::BufferUsages::COPY_SRC);
            let readback = self.buffer(output_bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
            (buffers, output, readback)
        })?;
        for (buffer, input) in buffers.iter().zip(inputs) {
            self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(input));
        }
        // The upload is over before the clock starts.
        self.queue.submit([]);
        self.wait()?;
        let started = Instant::now();
        self.scoped("dispatching", || {
            let bound: Vec<_> = (0..)
                .zip(buffers.iter().chain([&output]))
                .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
                .collect();
            let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &bound,
            });
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups, 1, 1);
            drop(pass);
            self.queue.submit([encoder.finish()]);
        })?;
        self.wait()?;
        let took = started.elapsed();
        Ok((self.read(&output, &readback, output_bytes)?, took))
    }

    fn groups(&self, lanes: usize) -> Result<u32, GpuError> {
        let most_groups = self.device.limits().max_compute_workgroups_per_dimension;
        let groups = u32::try_from(lanes).ok().map(|lanes| lanes.div_ceil(WORKGROUP_SIZE));
        groups.filter(|groups| *groups <= most_groups).ok_or(GpuError::TooMany {
            lanes,
            most: usize::try_from(most_groups).unwrap_or(usize::MAX).saturating_mul(WORKGROUP_SIZE as usize),
        })
    }

    fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    }

    fn read(&self, from: &wgpu::Buffer, by: &wgpu::Buffer, bytes: u64) -> Result<Vec<u32>, GpuError> {
        let driver = |problem: String| GpuError::Driver { doing: "reading back".to_owned(), problem };
        let (told, mapped) = mpsc::channel();
        self.scoped("reading back", || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(from, 0, by, 0, bytes);
            self.queue.submit([encoder.finish()]);
            by.map_async(wgpu::MapMode::Read, .., move |result| {
                let _ = told.send(result);
            });
        })?;
        self.wait()?;
        let mapped = mapped.recv_timeout(PATIENCE).map_err(|_| GpuError::Timeout(PATIENCE))?;
        mapped.map_err(|error| driver(error.to_string()))?;
        let view = by.get_mapped_range(..).map_err(|error| driver(error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }

    fn wait(&self) -> Result<(), GpuError> {
        let poll = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        match self.device.poll(poll) {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => Err(GpuError::Timeout(PATIENCE)),
            Err(error) => Err(GpuError::Driver { doing: "waiting".to_owned(), problem: error.to_string() }),
        }
    }

    /// Turns what the driver complains about within `make` into an error.
    fn scoped<T>(&self, doing: &str, make: impl FnOnce() -> T) -> Result<T, GpuError> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [Validation, OutOfMemory, Internal].map(|filter| self.device.push_error_scope(filter));
        let made = make();
        // The innermost scope must be the first to go.
        let problems: Vec<_> = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect();
        match problems.first() {
            None => Ok(made),
            Some(problem) => Err(GpuError::Driver { doing: doing.to_owned(), problem: problem.to_string() }),
        }
    }
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

fn byte_count(words: usize) -> u64 {
    words as u64 * 4
}
