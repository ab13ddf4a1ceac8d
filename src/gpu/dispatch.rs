//! One dispatch at a time on a device of its own: buffers made, filled, read back and dropped. For known answers and for timing; it is
//! not made to be fast.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::device::Adapter;
use super::ecdsa::StepTime;
use super::error::GpuError;
use super::program::{self, HEADER_WORDS, Program, Step};
use super::shader::{Arithmetic, Kernel, WORKGROUP_SIZE};

/// Longest wait for a dispatch. Software drivers on a busy machine take seconds for what is tried here.
const PATIENCE: Duration = Duration::from_mins(2);

/// A device, for one variant.
#[derive(Debug)]
pub(super) struct Session {
    device: wgpu::Device,
    queue: wgpu::Queue,
    arithmetic: Arithmetic,
    /// Kernels by name, each compiled once however many programs use it.
    pipelines: Mutex<BTreeMap<&'static str, Arc<Pipeline>>>,
}

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    compute: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    bindings: Vec<u32>,
}

/// A program's kernels, compiled, and its table on the device.
#[derive(Debug)]
pub(super) struct Stages {
    steps: Vec<(Step, Arc<Pipeline>)>,
    table: wgpu::Buffer,
    /// Buffers of the last size asked for, which allocating anew would dominate a timing.
    buffers: Mutex<Option<(usize, [wgpu::Buffer; 3], wgpu::Buffer)>>,
}

/// What a dispatch is sealed with.
const NONCE: u32 = 0x5ea1_ed00;

impl Session {
    /// Compiles a program's kernels.
    pub(super) fn stages<P: Program>(&self, program: &P) -> Result<Stages, GpuError> {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut steps = Vec::new();
        for step in program.steps() {
            let pipeline = match pipelines.get(step.kernel.name) {
                Some(pipeline) => Arc::clone(pipeline),
                None => Arc::new(self.pipeline(step.kernel)?),
            };
            pipelines.insert(step.kernel.name, Arc::clone(&pipeline));
            steps.push((*step, pipeline));
        }
        let table = self.scoped("uploading a table", || {
            let table = self.buffer(
                byte_count(program.table().len().max(4)),
                wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            );
            self.queue.write_buffer(&table, 0, bytemuck::cast_slice(program.table()));
            table
        })?;
        Ok(Stages { steps, table, buffers: Mutex::new(None) })
    }

    /// The answers to `items`, and the time of each step.
    pub(super) fn answer<P: Program>(
        &self,
        program: &P,
        stages: &Stages,
        items: &[P::Item<'_>],
    ) -> Result<(Vec<P::Answer>, Vec<StepTime>), GpuError> {
        let lanes = items.len();
        if lanes == 0 {
            return Ok((Vec::new(), Vec::new()));
        }
        self.groups(lanes)?;
        let stride = program::stride(lanes);
        let mut input = vec![0; HEADER_WORDS + items.iter().map(|item| program.input_words(item)).sum::<usize>()];
        let (header, words) = input.split_at_mut(HEADER_WORDS);
        header[0] = u32::try_from(lanes).unwrap_or(u32::MAX);
        header[1] = NONCE;
        program.pack(items, words);
        let output_bytes = byte_count(stride * P::OUTPUT_WORDS);
        let sizes = [byte_count(input.len()), output_bytes, byte_count(stride * P::SCRATCH_WORDS)];
        let mut kept = stages.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let (buffers, readback) = match kept.take() {
            Some((size, buffers, readback)) if size == lanes => (buffers, readback),
            _ => self.scoped("allocating buffers", || {
                use wgpu::BufferUsages as Usages;
                let usage = Usages::STORAGE | Usages::COPY_DST | Usages::COPY_SRC;
                let readback = self.buffer(output_bytes, Usages::MAP_READ | Usages::COPY_DST);
                (sizes.map(|size| self.buffer(size, usage)), readback)
            })?,
        };
        self.queue.write_buffer(&buffers[0], 0, bytemuck::cast_slice(&input));
        let mut clear = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        clear.clear_buffer(&buffers[1], 0, None);
        self.queue.submit([clear.finish()]);
        self.wait()?;
        let mut times = Vec::new();
        for (step, pipeline) in &stages.steps {
            let started = Instant::now();
            let bound: Vec<_> = pipeline
                .bindings
                .iter()
                .map(|binding| wgpu::BindGroupEntry {
                    binding: *binding,
                    resource: buffers.get(*binding as usize).unwrap_or(&stages.table).as_entire_binding(),
                })
                .collect();
            let invocations = lanes.div_ceil(step.lanes_per_invocation as usize);
            self.dispatch(pipeline, &bound, self.groups(invocations)?)?;
            self.wait()?;
            times.push(StepTime { kernel: step.kernel.name, took: started.elapsed() });
        }
        let output = self.read(&buffers[1], &readback, output_bytes)?;
        readback.unmap();
        *kept = Some((lanes, buffers, readback));
        let sealed = |lane: usize| {
            let mut words = output.iter().skip(lane).step_by(stride).copied();
            let own: Vec<_> = words.by_ref().take(P::OUTPUT_WORDS - 1).collect();
            words.next() == Some(program::seal(NONCE, u32::try_from(lane).unwrap_or(u32::MAX), own))
        };
        let garbled = |lane: usize| GpuError::Driver {
            doing: P::NAME.to_owned(),
            problem: format!("lane {lane} was answered by no kernel"),
        };
        if let Some(lane) = (0..lanes).find(|lane| !sealed(*lane)) {
            return Err(garbled(lane));
        }
        let answers = program.unpack(items, &output).map_err(|error| garbled(error.lane))?;
        Ok((answers, times))
    }

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
        device.on_uncaptured_error(Arc::new(|error| tracing::error!(%error, "the GPU's driver complains")));
        Ok(Self { device, queue, arithmetic, pipelines: Mutex::default() })
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
            let descriptor = wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name),
                source: wgpu::ShaderSource::Naga(Cow::Owned(shader.module)),
            };
            let checks =
                wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
            #[allow(unsafe_code, reason = "loop bounds of 64 bits cost a multiple of what kernels take")]
            // SAFETY: every loop of the kernels has a constant bound.
            let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(kernel.name),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            Pipeline { compute: pipeline, layout, bindings: entries.iter().map(|entry| entry.binding).collect() }
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
        let bound: Vec<_> = (0..)
            .zip(buffers.iter().chain([&output]))
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        self.dispatch(pipeline, &bound, groups)?;
        self.wait()?;
        let took = started.elapsed();
        Ok((self.read(&output, &readback, output_bytes)?, took))
    }

    fn dispatch(&self, pipeline: &Pipeline, bound: &[wgpu::BindGroupEntry<'_>], groups: u32) -> Result<(), GpuError> {
        self.scoped("dispatching", || {
            let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: bound,
            });
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline.compute);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups, 1, 1);
            drop(pass);
            self.queue.submit([encoder.finish()]);
        })
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
