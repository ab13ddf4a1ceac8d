//! The router over the worker and a software adapter whose device fails as planned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::{GpuBackend, settings};
use super::device::{Adapter, adapters};
use super::driver::double::{At, Faulty, Kind, Plan, Plans};
use super::driver::wgpu::WgpuDriver;
use super::ecdsa::Recover;
use super::error::Fault;
use super::program::Program;
use super::worker::Worker;
use crate::arithmetic::Platform;
use crate::batch::MessageBatch;
use crate::cpu::CpuBackend;
use crate::route::{CPU, Decision, Device, Hashing, Line, RoutedGpu, Router, Work};
use crate::scheme::ecdsa::{RecoverBatch, Signer};
use crate::scheme::hash::HashFunction;
use crate::verdict::{Reason, Verdict};

const ITEMS: usize = 1_200;

/// A device that fails as planned, opened and admitted.
fn device(plans: &Plans) -> Option<Arc<dyn Device>> {
    let adapter = adapters().into_iter().find(Adapter::is_software)?;
    let inner = WgpuDriver::new(adapter.clone(), adapter.variants().next()?, None);
    let driver = Arc::new(Faulty { inner, plans: plans.clone() });
    let settings = settings(&adapter, 64 << 20);
    let start = Box::new(move |_: Option<&Fault>| Worker::start(Arc::clone(&driver), settings));
    let name = adapter.name().to_owned();
    let gpu = GpuBackend::with(name.clone(), adapter.describe(), true, (start, Box::new(|_| {})));
    let device = RoutedGpu::new(gpu, Arc::new(CpuBackend::default()), &name, adapter.identity(), true);
    device.await_service(Work::Recover).expect("it serves");
    Some(Arc::new(device))
}

/// Known answers, with items among them that did not parse.
fn batch() -> (RecoverBatch, Vec<Verdict<Signer>>) {
    let known = Recover::new().known_answers();
    let mut batch = RecoverBatch::default();
    let mut verdicts = Vec::new();
    for index in 0..ITEMS {
        if index % 7 == 3 {
            batch.push_rejected(Reason::SignatureEncoding);
            verdicts.push(Verdict::Invalid(Reason::SignatureEncoding));
        } else {
            let (item, answer) = &known[index % known.len()];
            batch.push(*item);
            verdicts.push(*answer);
        }
    }
    (batch, verdicts)
}

/// A router to which the CPU and the device are alike, so that each has half of a batch.
fn router_of_equals(device: &Arc<dyn Device>, deadline: Duration) -> Router {
    let router = Router::start(Arc::new(CpuBackend::default()), vec![Arc::clone(device)], None).expect("threads start");
    // All of it and at once: what is not known is measured.
    for work in Work::ALL {
        for backend in [CPU, 1] {
            router.set_cost(backend, work, Line::new(0.0, 1.0), 1.0);
        }
    }
    router.set_deadline(deadline);
    router
}

/// Answers the batch by a router that gives each half of it.
fn run(device: &Arc<dyn Device>, batch: &RecoverBatch, verdicts: &[Verdict<Signer>], deadline: Duration) -> Decision {
    let router = router_of_equals(device, deadline);
    let (given, decision) = router.answer_and_tell(batch).expect("it was admitted");
    assert!(given == verdicts, "{decision}");
    assert!(decision.items_of(1).abs_diff(ITEMS / 2) <= 64, "{decision}");
    decision
}

#[test]
fn whatever_the_worker_meets_every_verdict_is_right_and_in_its_place() {
    let plans = Plans::default();
    let Some(device) = device(&plans) else { return };
    let (batch, verdicts) = batch();
    let patience = Duration::from_mins(2);
    run(&device, &batch, &verdicts, patience);
    for (at, kind) in [(At::Dispatch, Kind::Lost), (At::Poll, Kind::Panic), (At::Read, Kind::Zeroed)] {
        plans.once(at, kind);
        run(&device, &batch, &verdicts, patience);
        assert!(plans.are_over(), "{at:?} {kind:?}");
        let until = Instant::now() + patience;
        while !device.serves(Work::Recover) && Instant::now() < until && kind != Kind::Zeroed {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // Zeros are wrong answers: it never serves again, and that is no error.
    assert!(!device.serves(Work::Recover));
}

#[test]
fn what_is_late_is_done_over_and_left_behind() {
    let plans = Plans::default();
    let Some(device) = device(&plans) else { return };
    let (batch, verdicts) = batch();
    plans.add(Plan { at: At::Read, after: 0, times: 1, kind: Kind::Delay(Duration::from_secs(20)) });
    let start = Instant::now();
    let decision = run(&device, &batch, &verdicts, Duration::from_millis(100));
    assert!(decision.late <= 0.1);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn hashes_are_divided_and_come_in_order() {
    let Some(device) = device(&Plans::default()) else { return };
    let cpu = CpuBackend::default();
    // Among them lengths beside every edge of a block, and some that are longer than any dispatch takes.
    let length = |index: usize| if index % 149 == 7 { 20_000 } else { index % 300 };
    let messages: MessageBatch = (0..1_500_usize).map(|index| vec![index.to_le_bytes()[0]; length(index)]).collect();
    for function in HashFunction::ALL {
        device.await_service(Work::Hash(function)).expect("it serves");
    }
    let router = router_of_equals(&device, Duration::from_mins(2));
    for function in HashFunction::ALL {
        let (digests, decision) = router.answer_and_tell(&Hashing { function, messages: &messages }).expect("admitted");
        assert!(digests == cpu.hash(function, &messages), "{decision}");
        assert!(decision.items_of(1).abs_diff(decision.items / 2) <= 64, "{decision}");
    }
}

/// A router over the device and a CPU that it is worth its while beside, with costs as they are.
struct Pair {
    router: Router,
    batch: RecoverBatch,
    verdicts: Vec<Verdict<Signer>>,
    /// How long the CPU takes for the batch.
    cpu: Duration,
}

impl Pair {
    fn new(device: &Arc<dyn Device>) -> Self {
        const ITEMS: usize = 2_400;
        let known = Recover::new().known_answers();
        let valid = known.iter().filter(|(_, answer)| answer.is_valid()).cycle().take(ITEMS);
        let (batch, verdicts): (RecoverBatch, Vec<_>) = valid.copied().unzip();
        // One core by itself, without vectors: a program on the same cores is quicker.
        let cpu = CpuBackend::with_threads(1)
            .expect("a thread")
            .on_platform(Platform::available().pop().expect("the portable one"));
        let time = |work: &dyn Fn()| {
            let start = Instant::now();
            work();
            start.elapsed()
        };
        let cpu_time = (0..3).map(|_| time(&|| drop(cpu.recover(&batch)))).min().expect("three");
        let on_device = || drop(device.recover(&batch).expect("it serves"));
        let device_time = (0..3).map(|_| time(&on_device)).min().expect("three");
        let router = Router::start(Arc::new(cpu), vec![Arc::clone(device)], None).expect("threads start");
        for work in Work::ALL {
            for (backend, time) in [(CPU, cpu_time), (1, device_time)] {
                #[allow(clippy::cast_precision_loss, reason = "few items")]
                router.set_cost(backend, work, Line::new(1e-4, time.as_secs_f64() / ITEMS as f64), 1.0);
            }
        }
        Self { router, batch, verdicts, cpu: cpu_time }
    }

    /// The device's items of a batch, whose verdicts are right, and which is no later than its deadline and the whole batch on the CPU.
    fn run(&self) -> usize {
        let start = Instant::now();
        let (given, decision) = self.router.answer_and_tell(&self.batch).expect("it was admitted");
        let took = start.elapsed();
        assert!(given == self.verdicts, "{decision}");
        // Other tests use the same cores.
        let most = Duration::from_secs_f64(decision.late) + 6 * self.cpu + Duration::from_millis(300);
        assert!(took <= most, "{took:?}, and at most {most:?}: {decision}");
        decision.items_of(1)
    }

    /// How many batches it takes until the device's share is as it should be; 40 if it never is.
    fn batches(&self, is_right: impl Fn(usize) -> bool) -> usize {
        (0..40).find(|_| is_right(self.run())).unwrap_or(40)
    }
}

#[test]
fn a_device_slowed_tenfold_below_the_worker_is_left_and_found_again() {
    let plans = Plans::default();
    let Some(device) = device(&plans) else { return };
    let pair = Pair::new(&device);
    let usual = (0..12).map(|_| pair.run()).skip(6).max().expect("six");
    assert!(usual > 0, "it is worth its while");
    plans.add(Plan { at: At::Dispatch, after: 0, times: usize::MAX, kind: Kind::Slower(10) });
    let left = pair.batches(|items| items < usual / 2);
    assert!(left <= 3, "left after {left} batches");
    for _ in 0..6 {
        pair.run();
    }
    plans.end();
    let back = pair.batches(|items| items > usual / 2);
    assert!(back <= 10, "back after {back} batches");
}
