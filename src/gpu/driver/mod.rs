//! The seam between the worker and a device. A driver of the system stands below it, or in tests a double that fails on purpose.
//!
//! Above it nobody names wgpu; below it nobody knows what is computed.

#[cfg(test)]
pub(super) mod double;
pub(super) mod wgpu;

use std::time::Duration;

use super::error::Fault;
use super::program::{Program, Step, stride};
use super::shader::WORKGROUP_SIZE;

/// Opens a device, as often as it has to be opened anew.
pub(super) trait Driver: Send + Sync + 'static {
    /// What it opens.
    type Device: Device;

    /// Opens it. May take long, and may never come back.
    fn open(&self) -> Result<Self::Device, Fault>;
}

/// A device. One thread runs dispatches on it; any thread may compile. Every function may panic or never come back: the worker
/// is made for it.
pub(super) trait Device: Send + Sync + 'static {
    /// A program, ready to be dispatched.
    type Compiled: Send + Sync + 'static;
    /// The buffers of one chunk on its way.
    type Slot: Send;

    /// What it can take.
    fn limits(&self) -> Limits;

    /// Compiles a program's kernels and uploads its table.
    fn compile(&self, spec: &Spec) -> Result<Self::Compiled, Fault>;

    /// Makes the buffers for a chunk.
    fn allocate(&self, size: SlotSize) -> Result<Self::Slot, Fault>;

    /// Writes the input, header and all, into a slot whose last dispatch is over.
    fn upload(&self, slot: &mut Self::Slot, input: &[u32]) -> Result<(), Fault>;

    /// Starts the steps over `lanes` lanes, and the copy of `output_words` words behind them.
    fn dispatch(
        &self,
        program: &Self::Compiled,
        slot: &mut Self::Slot,
        lanes: usize,
        output_words: usize,
    ) -> Result<(), Fault>;

    /// Waits for the slot's dispatch, at most this long; false if it is not over.
    fn poll(&self, slot: &mut Self::Slot, timeout: Duration) -> Result<bool, Fault>;

    /// Takes the output of a dispatch that is over, and how long each of its steps took, in order; none where the device cannot tell.
    fn read(&self, slot: &mut Self::Slot, output: &mut Vec<u32>) -> Result<Vec<Duration>, Fault>;

    /// Destroys it, as if the system had.
    #[cfg(test)]
    fn destroy(&self) {}

    /// What compiling has left that would make it faster the next time; kept on disk.
    fn pipeline_cache(&self) -> Option<Vec<u8>> {
        None
    }
}

/// What a device can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of one binding.
    pub(super) binding_bytes: u64,
    /// Workgroups of one dispatch.
    pub(super) workgroups: u32,
}

/// A program as a device sees it: no items, only words.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// The program's name.
    pub(super) name: &'static str,
    /// Its dispatches, in order.
    pub(super) steps: Vec<Step>,
    /// Binding 3.
    pub(super) table: Vec<u32>,
    /// Output words a lane.
    pub(super) output_words: usize,
    /// Scratch words a lane.
    pub(super) scratch_words: usize,
}

/// The buffers of a slot, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotSize {
    /// Of the input, on the host and on the device.
    pub(super) input: usize,
    /// Of the output, on the device and on the host.
    pub(super) output: usize,
    /// Of the scratch memory.
    pub(super) scratch: usize,
}

impl Spec {
    pub(super) fn of<P: Program>(program: &P) -> Self {
        Self {
            name: P::NAME,
            steps: program.steps().to_vec(),
            table: program.table().to_vec(),
            output_words: P::OUTPUT_WORDS,
            scratch_words: P::SCRATCH_WORDS,
        }
    }

    /// What a chunk needs.
    pub(super) fn slot_size(&self, lanes: usize, input_words: usize) -> SlotSize {
        let lanes = stride(lanes);
        SlotSize { input: input_words, output: lanes * self.output_words, scratch: lanes * self.scratch_words }
    }

    /// The lanes that a dispatch's workgroups reach, the least of all steps.
    pub(super) fn most_lanes(&self, workgroups: u32) -> usize {
        let per_invocation = self.steps.iter().map(|step| step.lanes_per_invocation).min().unwrap_or(1);
        let lanes = u64::from(workgroups) * u64::from(WORKGROUP_SIZE) * u64::from(per_invocation);
        // Lanes are numbered by words.
        usize::try_from(lanes.min(u64::from(u32::MAX / 2))).unwrap_or(usize::MAX)
    }

    /// The lanes that fill a workgroup of every step: chunks are whole numbers of them where they are larger.
    pub(super) fn lanes_in_step(&self) -> usize {
        let per_invocation = self.steps.iter().map(|step| step.lanes_per_invocation).max().unwrap_or(1);
        (per_invocation * WORKGROUP_SIZE) as usize
    }
}

impl SlotSize {
    /// The bytes it takes of the device's memory and of the host's that the device reads.
    pub(super) const fn bytes(self) -> u64 {
        4 * (2 * self.input as u64 + 2 * self.output as u64 + self.scratch as u64)
    }

    /// The bytes of its largest binding.
    pub(super) fn largest_binding(self) -> u64 {
        4 * self.input.max(self.output).max(self.scratch) as u64
    }

    /// Whether it has room for another.
    pub(super) const fn holds(self, other: Self) -> bool {
        self.input >= other.input && self.output >= other.output && self.scratch >= other.scratch
    }

    /// What has room for both.
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            scratch: self.scratch.max(other.scratch),
        }
    }
}
