//! The router over devices that are made up: right answers, after as long as a test wants.
#![allow(clippy::cast_precision_loss, reason = "numbers of items, far below 2^52")]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::batch::{Answerable, Divisible, Hashing};
use super::decision::{Decision, Why, Work};
use super::device::{Device, Failed};
use super::line::Line;
use super::policy::CPU;
use super::router::Router;
use super::sample::Samples;
use super::store::Store;
use crate::batch::MessageBatch;
use crate::cpu::CpuBackend;
use crate::gpu::cache::Cache;
use crate::scheme::ecdsa::{RecoverBatch, RecoverItem, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::verdict::{Reason, Verdict};

/// Recovers as fast as it is told to, from answers that are known; verifies and hashes on the CPU.
#[derive(Debug)]
struct Made {
    answers: HashMap<[u8; 32], Verdict<Signer>>,
    per_item: Duration,
    slower: AtomicU32,
    fault: Mutex<Fault>,
    freed: Condvar,
    serves: AtomicBool,
    asked: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Hung,
    Lost,
    Panics,
    Loses,
}

impl Made {
    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        self.freed.notify_all();
    }
}

impl Device for Made {
    fn name(&self) -> &'static str {
        "made"
    }

    fn granule(&self) -> usize {
        32
    }

    fn identity(&self) -> String {
        "made".to_owned()
    }

    fn serves(&self, _: Work) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    fn recover(&self, batch: &RecoverBatch) -> Result<Vec<Verdict<Signer>>, Failed> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let items = u32::try_from(batch.len()).unwrap();
        std::thread::sleep((Duration::from_millis(1) + self.per_item * items) * self.slower.load(Ordering::Relaxed));
        let mut fault = self.fault.lock().unwrap();
        while *fault == Fault::Hung {
            fault = self.freed.wait(fault).unwrap();
        }
        // What panics must not poison what frees it.
        let fault = {
            let told = *fault;
            drop(fault);
            told
        };
        let mut answers: Vec<_> = (0..batch.len())
            .map(|index| match batch.get(index).unwrap() {
                Ok(item) => self.answers[&item.digest],
                Err(reason) => Verdict::Invalid(reason),
            })
            .collect();
        match fault {
            Fault::Lost => Err(Failed("lost".to_owned())),
            Fault::Panics => panic!("made to"),
            Fault::Loses => {
                answers.pop();
                Ok(answers)
            }
            Fault::None | Fault::Hung => Ok(answers),
        }
    }

    fn verify(&self, batch: &VerifyBatch) -> Result<Vec<Verdict<()>>, Failed> {
        Ok(CpuBackend::default().verify(batch))
    }

    fn hash(&self, function: HashFunction, messages: &MessageBatch) -> Result<Vec<[u8; 32]>, Failed> {
        Ok(CpuBackend::default().hash(function, messages))
    }
}

/// A router, its device, and a batch with its verdicts.
struct Bench {
    router: Router,
    made: Arc<Made>,
    batch: RecoverBatch,
    verdicts: Vec<Verdict<Signer>>,
    /// How long the CPU takes for the batch.
    cpu: Duration,
}

/// Enough that batches take long beside what a probe, or a thread that is woken, does.
const ITEMS: usize = 12_000;

impl Bench {
    /// A device three times as fast as the CPU, and costs as they are.
    fn new() -> Self {
        let cpu = CpuBackend::default();
        let mut batch = RecoverBatch::default();
        for (index, item) in (0u32..).zip(samples(&cpu)) {
            match index % 97 {
                5 => batch.push_rejected(Reason::SignatureEncoding),
                6 => batch.push(RecoverItem { recovery_id: 4, digest: digest(index), ..item }),
                _ => batch.push(RecoverItem { digest: digest(index), ..item }),
            }
        }
        let mut verdicts = Vec::new();
        let times = (0..3).map(|_| {
            let start = Instant::now();
            verdicts = cpu.recover(&batch);
            start.elapsed()
        });
        let cpu_time = times.min().unwrap();
        let item = |index| batch.get(index).unwrap().ok();
        let answers = (0..ITEMS).filter_map(|index| Some((item(index)?.digest, verdicts[index]))).collect();
        let per_item = cpu_time / 3 / u32::try_from(ITEMS).unwrap();
        let made = Arc::new(Made {
            answers,
            per_item,
            slower: AtomicU32::new(1),
            fault: Mutex::new(Fault::None),
            freed: Condvar::new(),
            serves: AtomicBool::new(false),
            asked: AtomicU32::new(0),
        });
        let router = Router::start(Arc::new(cpu), vec![made.clone()], None).unwrap();
        let cpu_line = Line::new(1e-5, cpu_time.as_secs_f64() / ITEMS as f64);
        router.set_cost(CPU, Work::Recover, cpu_line, 1.0);
        router.set_cost(1, Work::Recover, Line::new(1e-3, per_item.as_secs_f64()), 1.0);
        for work in Work::ALL.into_iter().filter(|work| *work != Work::Recover) {
            router.set_cost(CPU, work, cpu_line, 1.0);
            router.set_cost(1, work, cpu_line, 1.0);
        }
        made.serves.store(true, Ordering::Relaxed);
        Self { router, made, batch, verdicts, cpu: cpu_time }
    }

    /// Answers the batch: all verdicts are right, and none comes later than a late device and the whole batch on the CPU explain.
    fn run(&self) -> Decision {
        let start = Instant::now();
        let (verdicts, decision) = self.router.answer_and_tell(&self.batch).unwrap();
        let took = start.elapsed();
        assert!(verdicts == self.verdicts, "{decision}");
        // Other tests use the same cores.
        let most = Duration::from_secs_f64(decision.late) + 6 * self.cpu + Duration::from_millis(300);
        assert!(took <= most, "{took:?}, and at most {most:?}: {decision}");
        decision
    }

    /// Batches until the device's share is as it should be.
    fn batches(&self, right: impl Fn(usize) -> bool) -> usize {
        for count in 0..40 {
            if right(self.run().items_of(1)) {
                return count;
            }
        }
        40
    }
}

fn samples(cpu: &CpuBackend) -> Vec<RecoverItem> {
    let batch = Samples::new(cpu).recover(ITEMS);
    (0..ITEMS).map(|index| batch.get(index).unwrap().unwrap()).collect()
}

/// A digest of its own for each item, so that an answer in the wrong place is another.
fn digest(index: u32) -> [u8; 32] {
    let mut digest = [7; 32];
    digest[..4].copy_from_slice(&index.to_le_bytes());
    digest
}

#[test]
fn a_device_slowed_tenfold_is_left_and_found_again() {
    let bench = Bench::new();
    let usual = (0..6).map(|_| bench.run().items_of(1)).max().unwrap();
    assert!(usual > ITEMS / 2, "{usual}");
    bench.made.slower.store(10, Ordering::Relaxed);
    // Its fair share is a quarter then.
    let left = bench.batches(|items| items < ITEMS * 2 / 5);
    assert!(left <= 3, "left after {left} batches");
    for _ in 0..6 {
        bench.run();
    }
    bench.made.slower.store(1, Ordering::Relaxed);
    let back = bench.batches(|items| items > ITEMS / 2);
    assert!(back <= 10, "back after {back} batches");
}

#[test]
fn whatever_a_device_does_every_item_is_answered() {
    let bench = Bench::new();
    assert!(bench.run().items_of(1) > 0);
    for fault in [Fault::Lost, Fault::Panics, Fault::Loses, Fault::Hung] {
        bench.made.set(fault);
        let left = bench.batches(|items| items == 0);
        assert!(left <= 2, "{fault:?}: left after {left} batches");
        for _ in 0..3 {
            let decision = bench.run();
            assert_eq!(decision.items_of(1), 0, "{fault:?}: {decision}");
            assert_eq!(decision.suspended, ["made".into()]);
        }
        bench.made.set(Fault::None);
        let back = bench.batches(|items| items > ITEMS / 2);
        assert!(back <= 10, "{fault:?}: back after {back} batches");
    }
}

#[test]
fn what_serves_nothing_is_asked_nothing() {
    let bench = Bench::new();
    bench.made.serves.store(false, Ordering::Relaxed);
    let decision = bench.run();
    assert_eq!((decision.items_of(CPU), bench.made.asked.load(Ordering::Relaxed)), (ITEMS, 0), "{decision}");
    let (verdicts, decision) = bench.router.answer_and_tell(&RecoverBatch::default()).unwrap();
    assert!(verdicts.is_empty() && decision.shares.is_empty());
}

#[test]
fn a_deadline_is_kept_but_for_the_time_of_the_cpu() {
    let bench = Bench::new();
    bench.router.set_deadline(Duration::from_millis(20));
    bench.made.set(Fault::Hung);
    assert!(bench.run().late <= 0.02);
    bench.made.set(Fault::None);
}

#[test]
fn batches_that_come_at_once_are_all_answered() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..3).for_each(|_| assert!(bench.router.answer(&bench.batch).unwrap() == bench.verdicts)));
        }
    });
    // From a pool of one thread, whom the device's answers must not wait for.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| assert!(bench.router.answer(&bench.batch).unwrap() == bench.verdicts));
}

#[test]
fn digests_come_in_order() {
    let bench = Bench::new();
    let lengths = (0..2_000).map(|index| if index % 89 == 0 { 10_000 } else { index % 300 });
    let messages: MessageBatch =
        lengths.enumerate().map(|(index, length)| vec![index.to_le_bytes()[0]; length]).collect();
    for function in HashFunction::ALL {
        let expected = CpuBackend::default().hash(function, &messages);
        // Seconds apart enough that each has a share, on any machine.
        for backend in [CPU, 1] {
            bench.router.set_cost(backend, Work::Hash(function), Line::new(0.0, 1.0), 1.0);
        }
        let (digests, decision) = bench.router.answer_and_tell(&Hashing { function, messages: &messages }).unwrap();
        assert_eq!(decision.shares.len(), 2, "{decision}");
        assert!(digests == expected);
        // One message cannot be shared.
        let one: MessageBatch = [vec![1; 100_000]].into_iter().collect();
        let digests = bench.router.answer(&Hashing { function, messages: &one }).unwrap();
        assert!(digests == CpuBackend::default().hash(function, &one));
        // What the CPU is done with before a device could have begun is not divided, whatever it is thought to cost.
        let few: MessageBatch = (0..100).map(|index| vec![index; 100]).collect();
        let (digests, decision) = bench.router.answer_and_tell(&Hashing { function, messages: &few }).unwrap();
        assert!(digests == CpuBackend::default().hash(function, &few));
        assert_eq!((decision.why, decision.items_of(CPU)), (Why::Small, decision.items), "{decision}");
    }
}

/// Work that nobody ends before both the CPU and a device have begun it.
#[derive(Clone)]
struct Meeting {
    items: usize,
    begun: Arc<(Mutex<usize>, Condvar)>,
}

impl Meeting {
    fn meet(&self, answer: u8) -> Vec<u8> {
        let mut begun = self.begun.0.lock().unwrap();
        *begun += 1;
        self.begun.1.notify_all();
        let alone = |begun: &mut usize| *begun < 2;
        let waited = self.begun.1.wait_timeout_while(begun, Duration::from_mins(1), alone).unwrap().1;
        assert!(!waited.timed_out(), "one began when the other had ended");
        vec![answer; self.items]
    }
}

impl Divisible for Meeting {
    type Answer = u8;
    type Part = Self;
    const LEAST: usize = 1;

    fn work(&self) -> Work {
        Work::Recover
    }

    fn len(&self) -> usize {
        self.items
    }

    fn units(&self) -> usize {
        self.items
    }

    fn item_at(&self, units: usize) -> usize {
        units
    }

    fn part(&self, items: Range<usize>) -> Self {
        Self { items: items.len(), begun: Arc::clone(&self.begun) }
    }

    fn on_cpu(&self, _: &CpuBackend) -> Vec<u8> {
        self.meet(0)
    }
}

impl Answerable for Meeting {
    type Answer = u8;

    fn len(&self) -> usize {
        self.items
    }

    fn on_cpu(&self, _: &CpuBackend) -> Vec<u8> {
        self.meet(0)
    }

    fn on_device(&self, _: &dyn Device) -> Result<Vec<u8>, Failed> {
        Ok(self.meet(1))
    }
}

#[test]
fn the_cpu_and_a_device_work_at_once() {
    let bench = Bench::new();
    bench.router.set_cost(CPU, Work::Recover, Line::new(0.0, 1.0), 1.0);
    bench.router.set_cost(1, Work::Recover, Line::new(0.0, 1.0), 1.0);
    let meeting = Meeting { items: ITEMS, begun: Arc::default() };
    let (answers, decision) = bench.router.answer_and_tell(&meeting).unwrap();
    let of_cpu = decision.items_of(CPU);
    assert!((1..ITEMS).contains(&of_cpu), "{decision}");
    assert!(answers == [vec![0; of_cpu], vec![1; ITEMS - of_cpu]].concat());
}

#[test]
fn costs_are_measured_in_the_background_within_two_seconds_and_kept() {
    let cpu = Arc::new(CpuBackend::default());
    let made = Arc::new(Made {
        answers: samples(&cpu).iter().map(|item| (item.digest, Verdict::Invalid(Reason::Mismatch))).collect(),
        per_item: Duration::from_micros(2),
        slower: AtomicU32::new(1),
        fault: Mutex::new(Fault::None),
        freed: Condvar::new(),
        serves: AtomicBool::new(true),
        asked: AtomicU32::new(0),
    });
    let folder = std::env::temp_dir().join(format!("phalanx-route-{}", std::process::id()));
    let store = || Some(Store::new(Cache::at(folder.clone())));
    let start = Instant::now();
    let router = Router::start(Arc::clone(&cpu), vec![made.clone()], store()).unwrap();
    assert!(start.elapsed() < Duration::from_millis(100), "it does not wait");
    assert!(router.wait_until_measured(Duration::from_secs(20)));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}, on cores that others use too");
    let costs = router.costs(1);
    let (_, line, _) = costs.iter().find(|(work, ..)| *work == Work::Recover).unwrap();
    assert!((1e-6..1e-4).contains(&line.per_item()) && line.fixed() > 2e-4, "{line:?}");
    drop(router);
    let again = Router::start(Arc::clone(&cpu), vec![made.clone()], store()).unwrap();
    assert_eq!(again.costs(1), costs);
    assert!(again.wait_until_measured(Duration::ZERO));
    // Beside other threads everything takes another time.
    let other = Arc::new(CpuBackend::with_threads(3).unwrap());
    assert_eq!(Router::start(other, vec![made], store()).unwrap().costs(1), []);
    let _ = std::fs::remove_dir_all(folder);
}
