//! One dispatch at a time on a device of its own: buffers made, filled, read back and dropped. For known answers and for timing; it is
//! not made to be fast.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::device::Adapter;
use super::ecdsa::StepTime;
use super::error::GpuError;
use super::pipeline::{Pipeline, scoped};
use super::program::{self, HEADER_WORDS, Output, Program, Step};
use super::shader::{Arithmetic, Kernel, WORKGROUP_SIZE};
use super::team::Team;

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
        program.pack(lanes, &|lane| items[lane], words, &Team::ALONE);
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
        let bound = [&buffers[0], &buffers[1], &buffers[2], &stages.table];
        for (step, pipeline) in &stages.steps {
            let started = Instant::now();
            let invocations = lanes.div_ceil(step.lanes_per_invocation as usize);
            self.dispatch(pipeline, &bound, self.groups(invocations)?)?;
            self.wait()?;
            times.push(StepTime { kernel: step.kernel.name, took: started.elapsed() });
        }
        let output = self.read(&buffers[1], &readback, output_bytes)?;
        readback.unmap();
        *kept = Some((lanes, buffers, readback));
        let garbled = |lane: usize| GpuError::Driver {
            doing: P::NAME.to_owned(),
            problem: format!("lane {lane} was answered by no kernel"),
        };
        let mut answers = Vec::with_capacity(lanes);
        let output = Output::of::<P>(&output, lanes, NONCE).ok_or_else(|| garbled(0))?;
        output.open(0..lanes, |lane, words| -> Result<(), GpuError> {
            answers.push(words.and_then(|words| program.unpack(words)).ok_or_else(|| garbled(lane))?);
            Ok(())
        })?;
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

    /// Compiles a kernel.
    pub(super) fn pipeline(&self, kernel: Kernel) -> Result<Pipeline, GpuError> {
        let shader = kernel.shader(self.arithmetic)?;
        Pipeline::compile(&self.device, shader, None)
            .map_err(|error| driver_error(&format!("compiling {}", kernel.name), &error))
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
        let bound: Vec<_> = buffers.iter().chain([&output]).collect();
        self.dispatch(pipeline, &bound, groups)?;
        self.wait()?;
        let took = started.elapsed();
        Ok((self.read(&output, &readback, output_bytes)?, took))
    }

    fn dispatch(&self, pipeline: &Pipeline, bound: &[&wgpu::Buffer], groups: u32) -> Result<(), GpuError> {
        self.scoped("dispatching", || {
            let group = pipeline.bind(&self.device, bound);
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
        scoped(&self.device, make).map_err(|error| driver_error(doing, &error))
    }
}

fn driver_error(doing: &str, error: &wgpu::Error) -> GpuError {
    GpuError::Driver { doing: doing.to_owned(), problem: error.to_string() }
}

fn byte_count(words: usize) -> u64 {
    words as u64 * 4
}
