//! Test doubles below the worker: a device that computes on the host, and a wrapper that makes any device fail.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Device, Driver, Limits, SlotSize, Spec};
use crate::gpu::error::Fault;
use crate::gpu::program::{HEADER_WORDS, seal, stride};

/// Computes the output words of a dispatch, seals not included, from its input.
pub(in crate::gpu) type Compute = fn(spec: &Spec, lanes: usize, input: &[u32], output: &mut [u32]);

/// A device on the host.
#[derive(Clone, Debug)]
pub(in crate::gpu) struct Simulated {
    pub(in crate::gpu) compute: Compute,
    pub(in crate::gpu) limits: Limits,
    /// What a lane takes.
    pub(in crate::gpu) lane: Duration,
    /// What it saw.
    pub(in crate::gpu) log: Arc<Mutex<Log>>,
}

/// What a simulated device saw.
#[derive(Debug, Default)]
pub(in crate::gpu) struct Log {
    /// The lanes of each dispatch.
    pub(in crate::gpu) dispatches: Vec<usize>,
    /// Bytes of the slots that there are.
    pub(in crate::gpu) bytes: u64,
    /// The most of them at a time.
    pub(in crate::gpu) most_bytes: u64,
    /// When the device has nothing more to do.
    over: Option<Instant>,
    /// The most dispatches under way at a time.
    pub(in crate::gpu) most_in_flight: usize,
    in_flight: usize,
}

#[derive(Debug)]
pub(in crate::gpu) struct SimulatedSlot {
    size: SlotSize,
    input: Vec<u32>,
    output: Vec<u32>,
    over: Instant,
    log: Arc<Mutex<Log>>,
}

impl Simulated {
    pub(in crate::gpu) fn new(compute: Compute) -> Self {
        let limits = Limits { binding_bytes: 16 << 20, workgroups: 65_535 };
        Self { compute, limits, lane: Duration::ZERO, log: Arc::default() }
    }
}

impl Driver for Simulated {
    type Device = Self;

    fn open(&self) -> Result<Self, Fault> {
        Ok(self.clone())
    }
}

impl Device for Simulated {
    type Compiled = Spec;
    type Slot = SimulatedSlot;

    fn limits(&self) -> Limits {
        self.limits
    }

    fn compile(&self, spec: &Spec) -> Result<Spec, Fault> {
        Ok(spec.clone())
    }

    fn allocate(&self, size: SlotSize) -> Result<SimulatedSlot, Fault> {
        let mut log = self.log.lock().expect("no panic");
        log.bytes += size.bytes();
        log.most_bytes = log.most_bytes.max(log.bytes);
        drop(log);
        assert!(size.largest_binding() <= self.limits.binding_bytes, "{size:?}");
        let log = Arc::clone(&self.log);
        Ok(SimulatedSlot { size, input: Vec::new(), output: Vec::new(), over: Instant::now(), log })
    }

    fn upload(&self, slot: &mut SimulatedSlot, input: &[u32]) -> Result<(), Fault> {
        assert!(input.len() <= slot.size.input, "{} words into {:?}", input.len(), slot.size);
        slot.input = input.to_vec();
        Ok(())
    }

    fn dispatch(&self, spec: &Spec, slot: &mut SimulatedSlot, lanes: usize, words: usize) -> Result<(), Fault> {
        assert!(words <= slot.size.output && words == stride(lanes) * spec.output_words);
        assert_eq!(slot.input[0] as usize, lanes);
        slot.output = vec![0; words];
        (self.compute)(spec, lanes, &slot.input[HEADER_WORDS..], &mut slot.output);
        seal_all(spec, slot.input[1], lanes, &mut slot.output);
        let mut log = self.log.lock().expect("no panic");
        let begins = log.over.map_or_else(Instant::now, |over| over.max(Instant::now()));
        slot.over = begins + self.lane * u32::try_from(lanes).expect("few lanes");
        log.over = Some(slot.over);
        log.dispatches.push(lanes);
        log.in_flight += 1;
        log.most_in_flight = log.most_in_flight.max(log.in_flight);
        Ok(())
    }

    fn poll(&self, slot: &mut SimulatedSlot, timeout: Duration) -> Result<bool, Fault> {
        let left = slot.over.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(timeout));
        Ok(left <= timeout)
    }

    fn read(&self, slot: &mut SimulatedSlot, output: &mut Vec<u32>) -> Result<Vec<Duration>, Fault> {
        output.clone_from(&slot.output);
        self.log.lock().expect("no panic").in_flight -= 1;
        Ok(Vec::new())
    }
}

impl Drop for SimulatedSlot {
    fn drop(&mut self) {
        if let Ok(mut log) = self.log.lock() {
            log.bytes -= self.size.bytes();
        }
    }
}

fn seal_all(spec: &Spec, nonce: u32, lanes: usize, output: &mut [u32]) {
    let (stride, sealed) = (stride(lanes), spec.output_words - 1);
    for lane in 0..lanes {
        let words = (0..sealed).map(|word| output[word * stride + lane]);
        output[sealed * stride + lane] = seal(nonce, u32::try_from(lane).expect("few lanes"), words);
    }
}

/// Where a fault is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum At {
    Open,
    Compile,
    Allocate,
    Upload,
    Dispatch,
    Poll,
    Read,
    /// Where the device is closed, which cannot fail.
    Close,
}

impl At {
    pub(in crate::gpu) const ALL: [Self; 7] =
        [Self::Open, Self::Compile, Self::Allocate, Self::Upload, Self::Dispatch, Self::Poll, Self::Read];
}

/// What goes wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum Kind {
    Lost,
    OutOfMemory,
    Refused,
    Panic,
    /// The device itself is destroyed before the call.
    Destroy,
    /// The call takes this long, and then goes on as if nothing were.
    Delay(Duration),
    /// The dispatch takes so many times as long.
    Slower(u32),
    /// The dispatch is never over.
    Never,
    /// The read-back is all zeros.
    Zeroed,
    /// It is what the slot held before.
    Stale,
    /// It is too short.
    Short,
    /// One bit is not what the kernel wrote.
    Flip {
        lane: usize,
        word: usize,
        bit: u32,
    },
    /// Two lanes' outputs change places, seals and all.
    Swap(usize, usize),
    /// The kernel itself computes this word in every lane, and seals it.
    Computes {
        word: usize,
        value: u32,
    },
    /// The same in one lane.
    ComputesIn {
        lane: usize,
        word: usize,
        value: u32,
    },
}

/// A fault to come.
#[derive(Clone, Copy, Debug)]
pub(in crate::gpu) struct Plan {
    pub(in crate::gpu) at: At,
    /// Calls that go well before it.
    pub(in crate::gpu) after: usize,
    /// How many calls it befalls.
    pub(in crate::gpu) times: usize,
    pub(in crate::gpu) kind: Kind,
}

/// Faults to come, shared by every device that a driver opens.
#[derive(Clone, Debug, Default)]
pub(in crate::gpu) struct Plans {
    plans: Arc<Mutex<Vec<Plan>>>,
}

impl Plans {
    pub(in crate::gpu) fn add(&self, plan: Plan) {
        self.plans.lock().expect("no panic").push(plan);
    }

    pub(in crate::gpu) fn once(&self, at: At, kind: Kind) {
        self.add(Plan { at, after: 0, times: 1, kind });
    }

    /// Has none of them come.
    pub(in crate::gpu) fn end(&self) {
        self.plans.lock().expect("no panic").clear();
    }

    /// Whether all of them have happened.
    pub(in crate::gpu) fn are_over(&self) -> bool {
        self.plans.lock().expect("no panic").is_empty()
    }

    /// The fault of this call, if there is one.
    fn next(&self, at: At) -> Option<Kind> {
        let mut plans = self.plans.lock().expect("no panic");
        let mut kind = None;
        for plan in plans.iter_mut().filter(|plan| plan.at == at) {
            if plan.after > 0 {
                plan.after -= 1;
            } else if kind.is_none() {
                plan.times -= 1;
                kind = Some(plan.kind);
            }
        }
        plans.retain(|plan| plan.times > 0);
        kind
    }

    /// Makes the fault of this call, or hands back what cannot be made before the call.
    fn make(&self, at: At) -> Result<Option<Kind>, Fault> {
        match self.next(at) {
            Some(Kind::Lost) => Err(Fault::Lost(format!("planned at {at:?}"))),
            Some(Kind::OutOfMemory) => {
                Err(Fault::OutOfMemory { doing: format!("{at:?}"), problem: "planned".to_owned() })
            }
            Some(Kind::Refused) => Err(Fault::Driver { doing: format!("{at:?}"), problem: "planned".to_owned() }),
            Some(Kind::Panic) => std::panic::resume_unwind(Box::new(format!("planned at {at:?}"))),
            Some(Kind::Delay(time)) => {
                std::thread::sleep(time);
                Ok(None)
            }
            other => Ok(other),
        }
    }
}

impl<D: Driver> Driver for Arc<D> {
    type Device = D::Device;

    fn open(&self) -> Result<D::Device, Fault> {
        (**self).open()
    }
}

/// A driver whose devices fail as planned.
#[derive(Clone, Debug)]
pub(in crate::gpu) struct Faulty<D> {
    pub(in crate::gpu) inner: D,
    pub(in crate::gpu) plans: Plans,
}

#[derive(Debug)]
pub(in crate::gpu) struct FaultyDevice<D> {
    inner: D,
    plans: Plans,
}

pub(in crate::gpu) struct FaultySlot<S> {
    inner: S,
    nonce: u32,
    lanes: usize,
    output_words: usize,
    before: Vec<u32>,
    never: bool,
}

impl<D: Driver> Driver for Faulty<D> {
    type Device = FaultyDevice<D::Device>;

    fn open(&self) -> Result<Self::Device, Fault> {
        self.plans.make(At::Open)?;
        Ok(FaultyDevice { inner: self.inner.open()?, plans: self.plans.clone() })
    }
}

impl<D> Drop for FaultyDevice<D> {
    fn drop(&mut self) {
        let _ = self.plans.make(At::Close);
    }
}

impl<D: Device> FaultyDevice<D> {
    fn make(&self, at: At) -> Result<Option<Kind>, Fault> {
        let kind = self.plans.make(at)?;
        if kind == Some(Kind::Destroy) {
            self.inner.destroy();
        }
        Ok(kind.filter(|kind| *kind != Kind::Destroy))
    }
}

impl<D: Device> Device for FaultyDevice<D> {
    type Compiled = (Spec, D::Compiled);
    type Slot = FaultySlot<D::Slot>;

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn compile(&self, spec: &Spec) -> Result<Self::Compiled, Fault> {
        self.make(At::Compile)?;
        Ok((spec.clone(), self.inner.compile(spec)?))
    }

    fn allocate(&self, size: SlotSize) -> Result<Self::Slot, Fault> {
        self.make(At::Allocate)?;
        let inner = self.inner.allocate(size)?;
        Ok(FaultySlot { inner, nonce: 0, lanes: 0, output_words: 0, before: Vec::new(), never: false })
    }

    fn upload(&self, slot: &mut Self::Slot, input: &[u32]) -> Result<(), Fault> {
        self.make(At::Upload)?;
        slot.nonce = input[1];
        self.inner.upload(&mut slot.inner, input)
    }

    fn dispatch(
        &self,
        program: &Self::Compiled,
        slot: &mut Self::Slot,
        lanes: usize,
        output_words: usize,
    ) -> Result<(), Fault> {
        let kind = self.make(At::Dispatch)?;
        slot.never = kind == Some(Kind::Never);
        (slot.lanes, slot.output_words) = (lanes, program.0.output_words);
        let begun = Instant::now();
        self.inner.dispatch(&program.1, &mut slot.inner, lanes, output_words)?;
        if let Some(Kind::Slower(factor)) = kind {
            // Nothing else is dispatched meanwhile, so that what it takes is its own.
            while !self.inner.poll(&mut slot.inner, Duration::from_secs(1))? {}
            std::thread::sleep(begun.elapsed() * (factor - 1));
        }
        Ok(())
    }

    fn poll(&self, slot: &mut Self::Slot, timeout: Duration) -> Result<bool, Fault> {
        self.make(At::Poll)?;
        if slot.never {
            std::thread::sleep(timeout);
            return Ok(false);
        }
        self.inner.poll(&mut slot.inner, timeout)
    }

    fn read(&self, slot: &mut Self::Slot, output: &mut Vec<u32>) -> Result<Vec<Duration>, Fault> {
        let kind = self.make(At::Read)?;
        let times = self.inner.read(&mut slot.inner, output)?;
        let read = output.clone();
        if let Some(kind) = kind {
            slot.garble(kind, output);
        }
        slot.before = read;
        Ok(times)
    }
}

impl<S> FaultySlot<S> {
    fn garble(&self, kind: Kind, output: &mut Vec<u32>) {
        let stride = stride(self.lanes);
        match kind {
            Kind::Zeroed => output.fill(0),
            // What a new slot held before is zeros.
            Kind::Stale => {
                let before = self.before.iter().copied().chain(std::iter::repeat(0));
                output.iter_mut().zip(before).for_each(|(word, before)| *word = before);
            }
            Kind::Short => output.truncate(output.len() / 2),
            Kind::Flip { lane, word, bit } => output[word * stride + lane % self.lanes] ^= 1 << bit,
            Kind::Swap(one, other) => {
                for word in 0..self.output_words {
                    output.swap(word * stride + one % self.lanes, word * stride + other % self.lanes);
                }
            }
            Kind::Computes { word, value } => {
                output[word * stride..][..self.lanes].fill(value);
                self.seal_again(output);
            }
            Kind::ComputesIn { lane, word, value } => {
                output[word * stride + lane % self.lanes] = value;
                self.seal_again(output);
            }
            other => panic!("{other:?} cannot be made in a read-back"),
        }
    }

    fn seal_again(&self, output: &mut [u32]) {
        let spec =
            Spec { name: "", steps: Vec::new(), table: Vec::new(), output_words: self.output_words, scratch_words: 0 };
        seal_all(&spec, self.nonce, self.lanes, output);
    }
}
