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
use crate::cpu::CpuBackend;
use crate::route::{CPU, Decision, Device, Line, RoutedGpu, Router, Work};
use crate::scheme::ecdsa::{RecoverBatch, Signer};
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

/// Answers the batch by a router that gives each half of it.
fn run(device: &Arc<dyn Device>, batch: &RecoverBatch, verdicts: &[Verdict<Signer>], deadline: Duration) -> Decision {
    let router = Router::start(Arc::new(CpuBackend::default()), vec![Arc::clone(device)], None).expect("threads start");
    router.set_deadline(deadline);
    for backend in [CPU, 1] {
        router.set_cost(backend, Work::Recover, Line::new(0.0, 1.0), 1.0);
        router.set_cost(backend, Work::Verify, Line::new(0.0, 1.0), 1.0);
    }
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
