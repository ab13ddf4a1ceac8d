//! The backend's own programs on a software adapter whose device fails as planned: verdicts stay right, or there is a clear error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::{GpuBackend, settings};
use super::device::{Adapter, adapters};
use super::driver::double::{At, Faulty, Kind, Plan, Plans};
use super::driver::wgpu::WgpuDriver;
use super::ecdsa::{Recover, Verify};
use super::error::Fault;
use super::program::Program;
use super::worker::Worker;
use crate::batch::Columns;
use crate::cpu::{Audit, CpuBackend};
use crate::route::Work;
use crate::scheme::ecdsa::{RecoverBatch, RecoverColumns, VerifyBatch};
use crate::verdict::{Reason, Verdict};

struct Bench {
    backend: GpuBackend,
    plans: Plans,
    cpu: CpuBackend,
}

/// A software adapter, if there is one.
fn adapter() -> Option<Adapter> {
    adapters().into_iter().find(Adapter::is_software)
}

impl Bench {
    fn new(adapter: &Adapter, is_explicit: bool, plans: Plans) -> Self {
        let arithmetic = adapter.variants().next().expect("a variant");
        let inner = WgpuDriver::new(adapter.clone(), arithmetic, None);
        let driver = Arc::new(Faulty { inner, plans: plans.clone() });
        let settings = settings(adapter, 64 << 20);
        let start = Box::new(move |_: Option<&Fault>| Worker::start(Arc::clone(&driver), settings));
        let name = adapter.name().to_owned();
        let backend = GpuBackend::with(name, adapter.describe(), is_explicit, (start, Box::new(|_| {})));
        Self { backend, plans, cpu: CpuBackend::default() }
    }

    /// Checks a batch of known answers, with items among them that did not parse; whether the device had a part in it.
    fn check(&self, count: usize) -> bool {
        let known = Recover::new().known_answers();
        let mut batch = RecoverBatch::default();
        let mut expected = Vec::new();
        for index in 0..count {
            if index % 7 == 3 {
                batch.push_rejected(Reason::SignatureEncoding);
                expected.push(Verdict::Invalid(Reason::SignatureEncoding));
            } else {
                let (item, answer) = &known[index % known.len()];
                batch.push(*item);
                expected.push(*answer);
            }
        }
        if let Some(verdicts) = self.backend.recover(&self.cpu, &batch).expect("an answer") {
            assert_eq!(verdicts, expected);
            true
        } else {
            assert_eq!(self.cpu.recover(&batch), expected);
            false
        }
    }

    /// Waits until recoveries are served and no program is under admission any more, whose dispatches would meet the faults that
    /// are planned for a batch.
    fn wait_until_served(&self) {
        let until = Instant::now() + Duration::from_mins(3);
        while !self.backend.serves(Work::Recover) {
            assert!(Instant::now() < until, "{:?}", self.backend);
            std::thread::sleep(Duration::from_millis(20));
        }
        for (program, admitted) in self.backend.admissions() {
            assert!(admitted.is_ok(), "{program}: {admitted:?}");
        }
    }
}

#[test]
fn a_device_that_fails_in_service_costs_no_verdict_and_comes_back() {
    let Some(adapter) = adapter() else { return };
    let bench = Bench::new(&adapter, true, Plans::default());
    assert!(bench.check(300));
    for (at, kind) in [(At::Dispatch, Kind::Lost), (At::Poll, Kind::Panic), (At::Read, Kind::Destroy)] {
        bench.plans.add(Plan { at, after: 1, times: 1, kind });
        bench.check(9_000);
        assert!(bench.plans.are_over(), "{at:?} {kind:?}");
        // While it is opened anew the CPU answers, though the device was asked for.
        assert!(!bench.check(50), "{at:?} {kind:?}");
        bench.wait_until_served();
        assert!(bench.check(300), "{at:?} {kind:?}");
    }
}

#[test]
fn wrong_answers_are_never_handed_on() {
    let Some(adapter) = adapter() else { return };
    let valid = 1;
    for kind in [
        Kind::Flip { lane: 5, word: 0, bit: 0 },
        Kind::Flip { lane: 40, word: 9, bit: 17 },
        Kind::Swap(3, 60),
        Kind::Computes { word: 0, value: valid },
    ] {
        let bench = Bench::new(&adapter, true, Plans::default());
        bench.wait_until_served();
        bench.plans.once(At::Read, kind);
        assert!(!bench.check(200), "{kind:?}");
        assert!(bench.plans.are_over());
        // It is asked no more, and no error tells of it: the CPU answers.
        assert!(!bench.check(200) && !bench.backend.serves(Work::Recover), "{kind:?}");
    }
}

#[test]
fn an_audit_finds_the_one_key_that_a_kernel_computed_wrongly() {
    let Some(adapter) = adapter() else { return };
    let known: Vec<_> = Recover::new().known_answers().into_iter().filter(|(_, answer)| answer.is_valid()).collect();
    let (items, expected): (Vec<_>, Vec<_>) = (0..300).map(|index| known[index % known.len()]).unzip();
    let batch: RecoverBatch = items.into_iter().collect();
    // A word of the key's x, and one of the address.
    for word in [3, 17] {
        let mut bench = Bench::new(&adapter, true, Plans::default());
        bench.backend.audit = Audit::Full;
        bench.wait_until_served();
        let recover = |bench: &Bench| bench.backend.recover(&bench.cpu, &batch).expect("an answer");
        assert_eq!(recover(&bench), Some(expected.clone()));
        bench.plans.once(At::Read, Kind::ComputesIn { lane: 200, word, value: 7 });
        let verdicts = recover(&bench);
        assert!(bench.plans.are_over());
        // Where the lane was a known answer's, the device was found out before the audit, and the CPU is to answer.
        assert!(verdicts.is_none_or(|verdicts| verdicts == expected), "word {word}");
        assert!(!bench.backend.serves(Work::Recover), "word {word}");
    }
}

/// The audit runs on the pool whose only thread asks.
#[test]
fn a_pool_that_asks_does_not_wait_for_itself() {
    let Some(adapter) = adapter() else { return };
    let known = Recover::new().known_answers();
    let (items, expected): (Vec<_>, Vec<_>) = (0..300).map(|index| known[index % known.len()]).unzip();
    let batch: RecoverBatch = items.into_iter().collect();
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bench = Bench::new(&adapter, true, Plans::default());
        bench.backend.audit = Audit::Full;
        let cpu = CpuBackend::with_threads(1).expect("a thread starts");
        let _ = told.send(cpu.install(|| bench.backend.recover(&cpu, &batch)).expect("an answer"));
    });
    assert_eq!(tells.recv_timeout(Duration::from_mins(1)).expect("in time"), Some(expected));
}

#[test]
fn an_adapter_that_was_asked_for_and_never_serves_is_an_error() {
    let Some(adapter) = adapter() else { return };
    let refused = |is_explicit| {
        let plans = Plans::default();
        plans.add(Plan { at: At::Open, after: 0, times: 1_000, kind: Kind::Refused });
        Bench::new(&adapter, is_explicit, plans)
    };
    let bench = refused(true);
    let error = bench.backend.recover(&bench.cpu, &RecoverBatch::default()).expect_err("not served").to_string();
    assert!(error.contains(adapter.name()) && error.contains("phalanx devices"), "{error}");
    // Nobody asked for this one.
    assert!(!refused(false).check(100));
}

#[test]
fn verifications_are_served_too() {
    let Some(adapter) = adapter() else { return };
    let bench = Bench::new(&adapter, true, Plans::default());
    let known = Verify::new().known_answers();
    for some_are_rejected in [false, true] {
        let (mut batch, mut expected) = (VerifyBatch::default(), Vec::new());
        for (index, (item, answer)) in known.iter().cycle().take(500).enumerate() {
            let rejected = Err(Reason::SignatureEncoding);
            let is_rejected = some_are_rejected && index % 7 == 0;
            batch.push_parsed(if is_rejected { rejected } else { Ok(*item) });
            expected.push(if is_rejected { Verdict::Invalid(Reason::SignatureEncoding) } else { *answer });
        }
        assert_eq!(bench.backend.verify(&bench.cpu, &batch).expect("an answer"), Some(expected.clone()));
        let given = bench.backend.give_verify(&bench.cpu, &batch).expect("it serves");
        assert_eq!((&given.fault, given.left()), (&None, 0));
        assert_eq!(given.answers.into_iter().collect::<Option<Vec<_>>>(), Some(expected));
    }
    assert!(bench.backend.serves(Work::Verify));
}

#[test]
fn a_placeholder_is_settled_by_the_host() {
    let item = RecoverColumns::placeholder();
    assert!(Recover::new().settle(&item).is_some_and(|verdict| !verdict.is_valid()));
}
