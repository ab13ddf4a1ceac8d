//! The ring of slots, on the device's thread.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::queue::Popped;
use super::{Compiled, Done, Job, Programs, SLICE, Shared, guard};
use crate::gpu::driver::{Device, SlotSize};
use crate::gpu::error::Fault;

/// How long an empty ring waits for a chunk at a time.
const IDLE: Duration = Duration::from_millis(500);

/// How long a ring with room waits for the device before it looks for the next chunk.
const GLANCE: Duration = Duration::from_millis(1);

pub(super) struct Ring<'a, D: Device> {
    device: &'a D,
    programs: &'a Programs<D>,
    shared: &'a Shared,
    /// Slots that carry nothing; fewer than there may be until all have been needed.
    free: Vec<(D::Slot, SlotSize)>,
    /// Chunks on the device, the oldest first.
    in_flight: VecDeque<Flight<D>>,
    /// Bytes of all slots.
    bytes: u64,
}

struct Flight<D: Device> {
    slot: D::Slot,
    size: SlotSize,
    program: Arc<Compiled<D>>,
    job: Job,
    /// Since when the device had nothing older to do.
    since: Instant,
}

impl<'a, D: Device> Ring<'a, D> {
    pub(super) fn new(device: &'a D, programs: &'a Programs<D>, shared: &'a Shared) -> Self {
        Self { device, programs, shared, free: Vec::new(), in_flight: VecDeque::new(), bytes: 0 }
    }

    /// Starts a chunk if there is one and a slot is free; else waits for the oldest, a little. False where nothing is left and
    /// nothing will come.
    pub(super) fn turn(&mut self) -> Result<bool, Fault> {
        let has_room = self.in_flight.len() < self.shared.settings.slots;
        if has_room {
            let patience = if self.in_flight.is_empty() { IDLE } else { Duration::ZERO };
            match self.shared.queue.pop(patience) {
                Popped::Item(job) => return self.start(job).map(|()| true),
                Popped::Closed if self.in_flight.is_empty() => return Ok(false),
                Popped::Closed | Popped::Empty => {}
            }
        }
        let Some(oldest) = self.in_flight.front_mut() else { return Ok(true) };
        let patience = if has_room { GLANCE } else { SLICE };
        if guard("waiting for a dispatch", || self.device.poll(&mut oldest.slot, patience))? {
            self.finish()?;
        } else if oldest.since.elapsed() > self.shared.settings.patience {
            return Err(Fault::Hung(self.shared.settings.patience));
        }
        Ok(true)
    }

    /// Answers every chunk under way with the fault.
    pub(super) fn fail(&mut self, fault: &Fault) {
        for flight in &self.in_flight {
            let _ = flight.job.reply.send(Err(fault.clone()));
        }
    }

    fn start(&mut self, job: Job) -> Result<(), Fault> {
        // Whoever sent a job that fails here is answered like those under way.
        let reply = job.reply.clone();
        self.try_start(job).inspect_err(|fault| {
            let _ = reply.send(Err(fault.clone()));
        })
    }

    fn try_start(&mut self, job: Job) -> Result<(), Fault> {
        let program = self.programs.read().unwrap_or_else(PoisonError::into_inner).get(job.program).map(Arc::clone);
        let program = program.ok_or(Fault::Ended)?;
        let needs = program.spec.slot_size(job.lanes, job.input.len());
        let (mut slot, size) = self.slot(needs)?;
        self.shared.saw();
        guard("uploading", || self.device.upload(&mut slot, &job.input))?;
        self.shared.saw();
        guard("dispatching", || self.device.dispatch(&program.compiled, &mut slot, job.lanes, needs.output))?;
        self.in_flight.push_back(Flight { slot, size, program, job, since: Instant::now() });
        Ok(())
    }

    /// A slot with room for a chunk: one that is free, or made anew in the place of one.
    fn slot(&mut self, needs: SlotSize) -> Result<(D::Slot, SlotSize), Fault> {
        if let Some(found) = self.free.iter().position(|(_, size)| size.holds(needs)) {
            return Ok(self.free.swap_remove(found));
        }
        let made = self.free.len() + self.in_flight.len();
        let mut size = needs;
        // A slot that is too small goes before its successor comes, so that both together are never held.
        if made >= self.shared.settings.slots
            && let Some((slot, old)) = self.free.pop()
        {
            drop(slot);
            self.bytes -= old.bytes();
            let both = old.union(needs);
            if both.bytes() <= self.shared.slot_share() {
                size = both;
            }
        }
        let slot = guard("allocating buffers", || self.device.allocate(size))?;
        self.bytes += size.bytes();
        Ok((slot, size))
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let Some(mut flight) = self.in_flight.pop_front() else { return Ok(()) };
        let mut output = Vec::new();
        let read = guard("reading back", || self.device.read(&mut flight.slot, &mut output));
        let took = flight.since.elapsed();
        if let Some(next) = self.in_flight.front_mut() {
            next.since = Instant::now();
        }
        let wanted = flight.program.spec.slot_size(flight.job.lanes, 0).output;
        let done = read.and_then(|times| {
            for (step, time) in flight.program.spec.steps.iter().zip(&times) {
                metrics::histogram!("phalanx.gpu.kernel.seconds", "kernel" => step.kernel.name)
                    .record(time.as_secs_f64());
            }
            if output.len() == wanted {
                return Ok(Done { output, took, step: times.into_iter().max().unwrap_or(took) });
            }
            let problem = format!("{} words of output where {wanted} were asked for", output.len());
            Err(Fault::Driver { doing: "reading back".to_owned(), problem })
        });
        let fault = done.as_ref().err().cloned();
        let _ = flight.job.reply.send(done);
        self.free.push((flight.slot, flight.size));
        fault.map_or(Ok(()), Err)
    }
}
