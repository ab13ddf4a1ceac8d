//! Devices by way of wgpu.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::{Device, Driver, Limits, SlotSize, Spec};
use crate::gpu::cache::StoredPipelines;
use crate::gpu::device::Adapter;
use crate::gpu::error::Fault;
use crate::gpu::pipeline::{Pipeline, scoped};
use crate::gpu::program::{Step, stride};
use crate::gpu::shader::{Arithmetic, Kernel, WORKGROUP_SIZE};

/// The least that can be bound, in bytes.
const LEAST_BINDING: u64 = 16;

/// The most steps of a program that are timed.
const TIMED_STEPS: usize = 16;

/// Bytes of the times of [`TIMED_STEPS`] steps: a start and an end each.
const TIMES_BYTES: u64 = 16 * TIMED_STEPS as u64;

/// Opens an adapter's device for one variant.
#[derive(Debug)]
pub(in crate::gpu) struct WgpuDriver {
    adapter: Adapter,
    arithmetic: Arithmetic,
    stored: Option<StoredPipelines>,
    opened: AtomicBool,
}

/// A device, for one variant.
#[derive(Debug)]
pub(in crate::gpu) struct WgpuDevice {
    device: wgpu::Device,
    queue: wgpu::Queue,
    arithmetic: Arithmetic,
    cache: Option<wgpu::PipelineCache>,
    /// Nanoseconds of a timestamp's tick, where there are timestamps.
    tick: Option<f32>,
    lost: Arc<OnceLock<String>>,
    /// Kernels by name, each compiled once however many programs use it.
    pipelines: Mutex<HashMap<&'static str, Arc<Compiling>>>,
    /// Tables by content: programs share theirs.
    tables: Mutex<Vec<(Vec<u32>, wgpu::Buffer)>>,
}

/// A kernel that is compiled, or is being compiled, or could not be.
type Compiling = OnceLock<Result<Arc<Pipeline>, Fault>>;

/// A program whose kernels are compiled.
#[derive(Debug)]
pub(in crate::gpu) struct CompiledProgram {
    steps: Vec<(Step, Arc<Pipeline>)>,
    table: wgpu::Buffer,
}

/// The buffers of a chunk.
#[derive(Debug)]
pub(in crate::gpu) struct Slot {
    /// Where the host writes; mapped whenever no dispatch is under way.
    upload: wgpu::Buffer,
    input: wgpu::Buffer,
    output: wgpu::Buffer,
    scratch: wgpu::Buffer,
    readback: wgpu::Buffer,
    times: Option<Times>,
    input_bytes: u64,
    output_bytes: u64,
    timed_steps: usize,
    submission: Option<wgpu::SubmissionIndex>,
    maps: Arc<Maps>,
}

/// Where a slot's steps leave their times.
#[derive(Debug)]
struct Times {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

/// What became of a slot's two mappings.
#[derive(Debug, Default)]
struct Maps {
    done: AtomicUsize,
    problem: OnceLock<String>,
}

impl WgpuDriver {
    pub(in crate::gpu) fn new(adapter: Adapter, arithmetic: Arithmetic, stored: Option<StoredPipelines>) -> Self {
        Self { adapter, arithmetic, stored, opened: AtomicBool::new(false) }
    }
}

impl Driver for WgpuDriver {
    type Device = WgpuDevice;

    fn open(&self) -> Result<WgpuDevice, Fault> {
        // An adapter whose device was lost is looked up anew: the driver may have been restarted under it.
        let again = self.opened.swap(true, Ordering::Relaxed).then(|| self.adapter.again()).flatten();
        let adapter = again.as_ref().unwrap_or(&self.adapter);
        WgpuDevice::open(adapter, self.arithmetic, self.stored.as_ref())
    }
}

impl WgpuDevice {
    pub(in crate::gpu) fn open(
        adapter: &Adapter,
        arithmetic: Arithmetic,
        stored: Option<&StoredPipelines>,
    ) -> Result<Self, Fault> {
        let wanted = match arithmetic {
            Arithmetic::U64 => wgpu::Features::SHADER_INT64,
            Arithmetic::U32 => wgpu::Features::empty(),
        };
        let optional = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE;
        let request = adapter.inner.request_device(&wgpu::DeviceDescriptor {
            label: Some("phalanx"),
            required_features: wanted | (adapter.inner.features() & optional),
            required_limits: adapter.inner.limits(),
            // Buffers are few and large; blocks beyond them would be memory that no setting caps.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request).map_err(|error| Fault::NoDevice(error.to_string()))?;
        // wgpu panics where nobody takes its errors; those outside a scope only repeat what a scope or a wait has told.
        device.on_uncaptured_error(Arc::new(|error| tracing::error!(%error, "the GPU's driver complains")));
        let lost = Arc::new(OnceLock::new());
        let told = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, text| {
            let _ = told.set(format!("{reason:?}: {text}"));
        });
        let features = device.features();
        let cache = features.contains(wgpu::Features::PIPELINE_CACHE);
        let cache = cache.then(|| scoped(&device, || stored.map(|stored| stored.open(&device))));
        let tick = features.contains(wgpu::Features::TIMESTAMP_QUERY).then(|| queue.get_timestamp_period());
        Ok(Self {
            device,
            queue,
            arithmetic,
            // A device without the cache is as good, and slower to start.
            cache: cache.and_then(Result::ok).flatten(),
            tick,
            lost,
            pipelines: Mutex::default(),
            tables: Mutex::default(),
        })
    }

    /// Compiles a kernel, or waits for another thread that does.
    pub(in crate::gpu) fn pipeline(&self, kernel: Kernel) -> Result<Arc<Pipeline>, Fault> {
        let entry = Arc::clone(lock(&self.pipelines).entry(kernel.name).or_default());
        entry.get_or_init(|| self.compile_kernel(kernel).map(Arc::new)).clone()
    }

    fn compile_kernel(&self, kernel: Kernel) -> Result<Pipeline, Fault> {
        let refused = |problem: String| Fault::Compile { kernel: kernel.name.to_owned(), problem };
        let shader = kernel.shader(self.arithmetic).map_err(|error| refused(error.to_string()))?;
        self.present()?;
        Pipeline::compile(&self.device, shader, self.cache.as_ref()).map_err(|error| {
            match driver_fault("compiling", &error) {
                Fault::Driver { problem, .. } => refused(problem),
                other => other,
            }
        })
    }

    /// Compiles kernels on as many threads as there are cores; the fault of the first in order, if there is one.
    fn compile_all(&self, kernels: &[Kernel]) -> Result<Vec<Arc<Pipeline>>, Fault> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(kernels.len());
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.compile_next(kernels, &next));
            }
            self.compile_next(kernels, &next);
        });
        kernels.iter().map(|kernel| self.pipeline(*kernel)).collect()
    }

    fn compile_next(&self, kernels: &[Kernel], next: &AtomicUsize) {
        while let Some(kernel) = kernels.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Whoever collects them sees the fault.
            let _ = self.pipeline(*kernel);
        }
    }

    fn table(&self, words: &[u32]) -> Result<wgpu::Buffer, Fault> {
        let mut tables = lock(&self.tables);
        if let Some((_, buffer)) = tables.iter().find(|(table, _)| table == words) {
            return Ok(buffer.clone());
        }
        let buffer = self.scoped("uploading a table", || {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let buffer = self.buffer(words.len(), 0, usage, false);
            if !words.is_empty() {
                // The next dispatch brings it along. Nothing is submitted here: this is not the worker's thread, and where it waits
                // while another one submits, wgpu 30 may panic (`Device::maintain` compares a fence that it read before).
                self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
            }
            buffer
        })?;
        tables.push((words.to_vec(), buffer.clone()));
        Ok(buffer)
    }

    pub(in crate::gpu) fn buffer(
        &self,
        words: usize,
        more_bytes: u64,
        usage: wgpu::BufferUsages,
        mapped_at_creation: bool,
    ) -> wgpu::Buffer {
        let size = (words as u64 * 4 + more_bytes).max(LEAST_BINDING);
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation })
    }

    /// Turns what the driver complains about within `make` into a fault.
    pub(in crate::gpu) fn scoped<T>(&self, doing: &str, make: impl FnOnce() -> T) -> Result<T, Fault> {
        self.present()?;
        scoped(&self.device, make).map_err(|error| driver_fault(doing, &error))
    }

    /// Fails where the driver has said that the device is gone.
    fn present(&self) -> Result<(), Fault> {
        self.lost.get().map_or(Ok(()), |text| Err(Fault::Lost(text.clone())))
    }

    fn groups(step: &Step, lanes: usize) -> u32 {
        let invocations = lanes.div_ceil(step.lanes_per_invocation as usize);
        // Limits were minded where the chunk was cut.
        u32::try_from(invocations.div_ceil(WORKGROUP_SIZE as usize)).unwrap_or(u32::MAX)
    }

    fn encode(&self, program: &CompiledProgram, slot: &Slot, lanes: usize) -> wgpu::CommandBuffer {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&slot.upload, 0, &slot.input, 0, slot.input_bytes);
        encoder.clear_buffer(&slot.output, 0, Some(slot.output_bytes));
        for (number, (step, pipeline)) in (0..).zip(&program.steps) {
            let group = pipeline.bind(&self.device, &[&slot.input, &slot.output, &slot.scratch, &program.table]);
            let times = slot.times.as_ref().filter(|_| (number as usize) < slot.timed_steps);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(step.kernel.name),
                timestamp_writes: times.map(|times| wgpu::ComputePassTimestampWrites {
                    query_set: &times.queries,
                    beginning_of_pass_write_index: Some(2 * number),
                    end_of_pass_write_index: Some(2 * number + 1),
                }),
            });
            pass.set_pipeline(&pipeline.compute);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(Self::groups(step, lanes), 1, 1);
        }
        encoder.copy_buffer_to_buffer(&slot.output, 0, &slot.readback, 0, slot.output_bytes);
        #[expect(clippy::cast_possible_truncation, reason = "at most TIMED_STEPS")]
        if let Some(times) = &slot.times {
            let queries = 2 * slot.timed_steps as u32;
            encoder.resolve_query_set(&times.queries, 0..queries, &times.resolved, 0);
            let bytes = u64::from(queries) * 8;
            encoder.copy_buffer_to_buffer(&times.resolved, 0, &slot.readback, slot.output_bytes, bytes);
        }
        encoder.finish()
    }

    /// How long each step took, by its timestamps; none where they tell nothing.
    fn step_times(&self, ticks: &[u64]) -> Vec<Duration> {
        let Some(tick) = self.tick else { return Vec::new() };
        let step = |[start, end]: &[u64; 2]| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a step takes far fewer than 2^52 ticks, or is cut off below"
            )]
            let nanoseconds = end.saturating_sub(*start) as f64 * f64::from(tick);
            // A driver without a clock writes anything; what no dispatch can take is no time.
            Duration::try_from_secs_f64(nanoseconds * 1e-9).ok().filter(|took| *took < Duration::from_mins(10))
        };
        ticks.as_chunks::<2>().0.iter().map(step).collect::<Option<_>>().unwrap_or_default()
    }
}

impl Device for WgpuDevice {
    type Compiled = CompiledProgram;
    type Slot = Slot;

    fn limits(&self) -> Limits {
        let limits = self.device.limits();
        Limits {
            binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size - TIMES_BYTES),
            workgroups: limits.max_compute_workgroups_per_dimension,
        }
    }

    fn compile(&self, spec: &Spec) -> Result<CompiledProgram, Fault> {
        let kernels: Vec<_> = spec.steps.iter().map(|step| step.kernel).collect();
        let pipelines = self.compile_all(&kernels)?;
        let table = self.table(&spec.table)?;
        Ok(CompiledProgram { steps: spec.steps.iter().copied().zip(pipelines).collect(), table })
    }

    fn allocate(&self, size: SlotSize) -> Result<Slot, Fault> {
        self.scoped("allocating buffers", || {
            use wgpu::BufferUsages as Usage;
            let times = self.tick.map(|_| Times {
                queries: self.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: None,
                    ty: wgpu::QueryType::Timestamp,
                    count: 2 * u32::try_from(TIMED_STEPS).unwrap_or(1),
                }),
                resolved: self.buffer(0, TIMES_BYTES, Usage::QUERY_RESOLVE | Usage::COPY_SRC, false),
            });
            Slot {
                upload: self.buffer(size.input, 0, Usage::MAP_WRITE | Usage::COPY_SRC, true),
                input: self.buffer(size.input, 0, Usage::STORAGE | Usage::COPY_DST, false),
                output: self.buffer(size.output, 0, Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC, false),
                scratch: self.buffer(size.scratch, 0, Usage::STORAGE, false),
                readback: self.buffer(size.output, TIMES_BYTES, Usage::MAP_READ | Usage::COPY_DST, false),
                times,
                input_bytes: 0,
                output_bytes: 0,
                timed_steps: 0,
                submission: None,
                maps: Arc::default(),
            }
        })
    }

    fn upload(&self, slot: &mut Slot, input: &[u32]) -> Result<(), Fault> {
        slot.input_bytes = input.len() as u64 * 4;
        let written = self.scoped("uploading", || {
            let view = slot.upload.get_mapped_range_mut(0..slot.input_bytes);
            let written = view.map(|mut view| view.copy_from_slice(bytemuck::cast_slice(input)));
            slot.upload.unmap();
            written
        })?;
        written.map_err(|error| Fault::Driver { doing: "uploading".to_owned(), problem: error.to_string() })
    }

    fn dispatch(
        &self,
        program: &CompiledProgram,
        slot: &mut Slot,
        lanes: usize,
        output_words: usize,
    ) -> Result<(), Fault> {
        debug_assert_eq!(output_words % stride(lanes), 0);
        slot.output_bytes = output_words as u64 * 4;
        slot.timed_steps = if slot.times.is_some() { program.steps.len().min(TIMED_STEPS) } else { 0 };
        slot.maps = Arc::default();
        let submission = self.scoped("dispatching", || {
            let commands = self.encode(program, slot, lanes);
            let submission = self.queue.submit([commands]);
            let read = slot.output_bytes + 16 * slot.timed_steps as u64;
            slot.readback.map_async(wgpu::MapMode::Read, 0..read, slot.maps.callback());
            slot.upload.map_async(wgpu::MapMode::Write, .., slot.maps.callback());
            submission
        })?;
        slot.submission = Some(submission);
        Ok(())
    }

    fn poll(&self, slot: &mut Slot, timeout: Duration) -> Result<bool, Fault> {
        let wait = wgpu::PollType::Wait { submission_index: slot.submission.clone(), timeout: Some(timeout) };
        // Panics where the device is lost meanwhile; the worker makes a fault of it.
        match self.device.poll(wait) {
            Ok(_) | Err(wgpu::PollError::Timeout) => {}
            Err(error) => return Err(Fault::Driver { doing: "waiting".to_owned(), problem: error.to_string() }),
        }
        if let Some(text) = self.lost.get() {
            return Err(Fault::Lost(text.clone()));
        }
        if let Some(problem) = slot.maps.problem.get() {
            return Err(Fault::Driver { doing: "mapping".to_owned(), problem: problem.clone() });
        }
        Ok(slot.maps.done.load(Ordering::Acquire) == 2)
    }

    fn read(&self, slot: &mut Slot, output: &mut Vec<u32>) -> Result<Vec<Duration>, Fault> {
        let driver =
            |error: wgpu::MapRangeError| Fault::Driver { doing: "reading back".to_owned(), problem: error.to_string() };
        let read = slot.output_bytes + 16 * slot.timed_steps as u64;
        let mut ticks = Vec::new();
        self.scoped("reading back", || {
            let view = slot.readback.get_mapped_range(0..read).map_err(driver)?;
            let (words, times) = view.split_at(view.len() - 16 * slot.timed_steps);
            *output = bytemuck::pod_collect_to_vec(words);
            ticks = bytemuck::pod_collect_to_vec(times);
            drop(view);
            slot.readback.unmap();
            Ok(())
        })??;
        Ok(self.step_times(&ticks))
    }

    #[cfg(test)]
    fn destroy(&self) {
        self.device.destroy();
    }

    fn pipeline_cache(&self) -> Option<Vec<u8>> {
        self.cache.as_ref().and_then(wgpu::PipelineCache::get_data)
    }
}

impl Maps {
    /// What a mapping calls when it is done.
    fn callback(self: &Arc<Self>) -> impl FnOnce(Result<(), wgpu::BufferAsyncError>) + Send + 'static {
        let maps = Arc::clone(self);
        move |result| {
            if let Err(error) = result {
                let _ = maps.problem.set(error.to_string());
            }
            maps.done.fetch_add(1, Ordering::Release);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn driver_fault(doing: &str, error: &wgpu::Error) -> Fault {
    let (doing, problem) = (doing.to_owned(), error.to_string());
    match error {
        wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory { doing, problem },
        _ => Fault::Driver { doing, problem },
    }
}
