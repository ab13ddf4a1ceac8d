//! The worker over doubles: order, sizes, memory, and every fault at every step.
#![allow(clippy::cast_possible_truncation, reason = "indices of tests are small")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Served, Settings, Worker};
use crate::cpu::CpuBackend;
use crate::gpu::driver::double::{At, Faulty, Kind, Plan, Plans, Simulated};
use crate::gpu::driver::{Limits, Spec};
use crate::gpu::error::Fault;
use crate::gpu::program::{Program, Step, stride};
use crate::gpu::shader::{KERNELS, WORKGROUP_SIZE};
use crate::gpu::station::{Service, Station};
use crate::gpu::team::Team;

/// Long enough that a busy machine does not run into it, short enough that tests may.
const PATIENCE: Duration = Duration::from_millis(400);

const SETTINGS: Settings = Settings {
    slots: 3,
    memory: 64 << 20,
    step: Duration::from_millis(50),
    feeders: 2,
    patience: PATIENCE,
    compile_patience: PATIENCE,
};

/// Sums words; refuses what starts with an odd one.
#[derive(Debug)]
struct Sums {
    steps: [Step; 1],
    table: Vec<u32>,
}

/// A refused item is told from one that is not by more than a bit.
const VALID: u32 = 0x600d_600d;
const REFUSED: u32 = 0x0bad_0bad;

impl Sums {
    fn new() -> Self {
        Self { steps: [Step { kernel: KERNELS[0], lanes_per_invocation: 1 }], table: vec![7; 16] }
    }
}

fn sum(words: &[u32]) -> Result<u32, u32> {
    let sum = words.iter().fold(words.len() as u32, |sum, word| sum.rotate_left(5).wrapping_add(*word));
    if words.first().is_some_and(|first| first % 2 == 1) { Err(sum) } else { Ok(sum) }
}

impl Program for Sums {
    type Item<'a> = &'a [u32];
    type Answer = Result<u32, u32>;

    const NAME: &'static str = "sums";
    const OUTPUT_WORDS: usize = 3;
    const SCRATCH_WORDS: usize = 2;

    fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn table(&self) -> &[u32] {
        &self.table
    }

    fn input_words(&self, item: &&[u32]) -> usize {
        1 + item.len()
    }

    fn pack<'a>(&self, lanes: usize, item: &(impl Fn(usize) -> Self::Item<'a> + Sync), words: &mut [u32], _: &Team) {
        let packed: Vec<u32> = (0..lanes).map(item).flat_map(|item| [&[item.len() as u32], item].concat()).collect();
        words.copy_from_slice(&packed);
    }

    fn unpack(&self, words: &[u32]) -> Option<Self::Answer> {
        match *words {
            [VALID, sum] => Some(Ok(sum)),
            [REFUSED, sum] => Some(Err(sum)),
            _ => None,
        }
    }

    fn settle(&self, item: &&[u32]) -> Option<Self::Answer> {
        item.is_empty().then(|| sum(item))
    }

    fn shorten<'a>(item: &'static [u32]) -> &'a [u32] {
        item
    }

    fn answer_on_cpu(&self, items: &[&[u32]]) -> Vec<Self::Answer> {
        items.iter().map(|item| sum(item)).collect()
    }

    fn is_refusal(&self, answer: &Self::Answer) -> bool {
        answer.is_err()
    }

    fn known_answers(&self) -> Vec<(&'static [u32], Self::Answer)> {
        let items: [&'static [u32]; 6] = [&[], &[2], &[1], &[4, 5, 6], &[u32::MAX; 9], &[0, 0]];
        items.into_iter().map(|item| (item, sum(item))).collect()
    }
}

/// What the kernel would do.
fn compute(_: &Spec, lanes: usize, mut input: &[u32], output: &mut [u32]) {
    let stride = stride(lanes);
    for lane in 0..lanes {
        let (length, rest) = input.split_first().expect("a lane");
        let (words, rest) = rest.split_at(*length as usize);
        input = rest;
        let (verdict, value) = match sum(words) {
            Ok(value) => (VALID, value),
            Err(value) => (REFUSED, value),
        };
        (output[lane], output[stride + lane]) = (verdict, value);
    }
    assert!(input.is_empty());
}

/// A device and what serves on it.
struct Bench {
    served: Arc<Served<Sums>>,
    station: Arc<Station>,
    device: Simulated,
    plans: Plans,
    cpu: CpuBackend,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self::with(settings, Simulated::new(compute), Plans::default())
    }

    fn with(settings: Settings, device: Simulated, plans: Plans) -> Self {
        let served = Arc::new(Served::new(Sums::new()));
        let driver = Arc::new(Faulty { inner: device.clone(), plans: plans.clone() });
        let start = Box::new(move |_: Option<&Fault>| Worker::start(Arc::clone(&driver), settings));
        let rest = Duration::from_millis(20);
        let station = Station::with_rest("a double".to_owned(), start, Box::new(|_| {}), vec![served.clone()], rest);
        Self { served, station, device, plans, cpu: CpuBackend::default() }
    }

    fn service(&self) -> Service {
        self.station.wait(0, Duration::from_secs(20))
    }

    /// What the device gave, and the fault that kept it from more.
    fn given(&self, items: &[Vec<u32>]) -> (Vec<Option<Result<u32, u32>>>, Option<Fault>) {
        match self.service() {
            Service::Ready(worker, number) => {
                let item = |index: usize| items[index].as_slice();
                let given = self.served.answer(&worker, number, &self.cpu, items.len(), &item);
                if let Some(fault) = &given.fault {
                    self.station.give_up(&worker, fault);
                }
                (given.answers, given.fault)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Checks that a batch is answered rightly, and tells what kept the device from doing it alone.
    fn check(&self, items: &[Vec<u32>]) -> Option<Fault> {
        let (answers, fault) = self.given(items);
        let item = |index: usize| items[index].as_slice();
        for (index, answer) in answers.iter().enumerate() {
            assert!(answer.is_none_or(|answer| answer == sum(&items[index])), "{index}: {answer:?}");
        }
        let answers = self.served.answer_on_cpu(&self.cpu, answers, &item);
        assert_eq!(answers, items.iter().map(|item| sum(item)).collect::<Vec<_>>());
        fault
    }

    /// Waits until the device serves again, and checks that it does so by itself.
    fn check_served_again(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while !matches!(self.station.service(0), Service::Ready(..)) {
            assert!(Instant::now() < until, "{:?}", self.station);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.check(&items(100)), None);
    }
}

/// Items whose lengths and kinds repeat at a length prime to every size in use.
fn items(count: usize) -> Vec<Vec<u32>> {
    let word = |index: usize, at: usize| (index as u32).wrapping_mul(0x9e37_79b1).rotate_left(at as u32);
    (0..count).map(|index| (0..index % 251 % 7).map(|at| word(index % 251, at)).collect()).collect()
}

fn valid(count: usize) -> Vec<Vec<u32>> {
    (0..count as u32).map(|index| vec![2 * index, index]).collect()
}

#[test]
fn batches_of_every_size_come_back_in_order() {
    let bench = Bench::new(SETTINGS);
    let group = WORKGROUP_SIZE as usize;
    for count in [0, 1, 2, group - 5, group - 4, group - 1, group, group + 1, 1_019, 1_020, 1_021, 1_024, 65_537] {
        assert_eq!(bench.check(&items(count)), None, "{count}");
    }
    // Host checks settle a seventh of these items; canaries were among the others.
    assert!(bench.device.log.lock().expect("no panic").dispatches.len() > 10);
}

#[test]
fn chunks_overlap_and_adapt_to_the_time_they_take() {
    let mut device = Simulated::new(compute);
    device.lane = Duration::from_micros(4);
    let settings = Settings { step: Duration::from_millis(2), patience: Duration::from_secs(20), ..SETTINGS };
    let bench = Bench::with(settings, device, Plans::default());
    assert_eq!(bench.check(&valid(20_000)), None);
    let log = bench.device.log.lock().expect("no panic");
    // 2 ms are 500 lanes of 4 us; twice as many where the machine had the host wait.
    let late = &log.dispatches[log.dispatches.len() - 10..];
    assert!(late.iter().all(|lanes| *lanes <= 1000), "{late:?}");
    assert!(log.most_in_flight >= 2, "{}", log.most_in_flight);
}

#[test]
fn many_threads_share_a_device() {
    let bench = Bench::new(SETTINGS);
    std::thread::scope(|scope| {
        for count in (0..8).map(|thread| 500 * thread + 3) {
            let bench = &bench;
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(bench.check(&items(count)), None);
                }
            });
        }
    });
}

#[test]
fn memory_stays_below_its_cap_and_a_small_cap_only_slows() {
    for memory in [20 << 10, 100 << 10, 1 << 20] {
        let bench = Bench::new(Settings { memory, ..SETTINGS });
        assert_eq!(bench.check(&items(5_000)), None, "{memory}");
        let most = bench.device.log.lock().expect("no panic").most_bytes;
        assert!(most <= memory, "{most} of {memory}");
    }
    // Too little for anything: no service, and a reason that names the setting.
    let bench = Bench::new(Settings { memory: 4 << 10, ..SETTINGS });
    match bench.service() {
        Service::Refused(fault @ Fault::Memory { .. }) => assert!(fault.to_string().contains("--gpu-memory")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_of_the_device_bound_chunks_and_an_item_beyond_them_is_left_to_the_cpu() {
    let mut device = Simulated::new(compute);
    device.limits = Limits { binding_bytes: 4 << 10, workgroups: 2 };
    let log = Arc::clone(&device.log);
    let bench = Bench::with(SETTINGS, device, Plans::default());
    assert_eq!(bench.check(&items(2_000)), None);
    assert!(log.lock().expect("no panic").dispatches.iter().all(|lanes| *lanes <= 2 * WORKGROUP_SIZE as usize));
    let mut mixed = items(300);
    mixed[137] = vec![2; 1_100];
    let (answers, fault) = bench.given(&mixed);
    assert_eq!(fault, None);
    let open: Vec<_> = (0..300).filter(|index| answers[*index].is_none()).collect();
    assert_eq!(open, [137]);
    assert_eq!(bench.check(&mixed), None);
}

#[test]
fn a_fault_at_every_step_loses_nothing_and_the_next_batch_is_served() {
    for at in At::ALL {
        for kind in [Kind::Lost, Kind::OutOfMemory, Kind::Refused, Kind::Panic] {
            for after in [0, 1, 3] {
                if after > 0 && matches!(at, At::Open | At::Compile) {
                    continue;
                }
                let bench = Bench::new(Settings { memory: 256 << 10, ..SETTINGS });
                assert_eq!(bench.check(&items(10)), None);
                if matches!(at, At::Open | At::Compile) {
                    // These happen while a device is opened anew.
                    bench.plans.once(At::Poll, Kind::Lost);
                }
                bench.plans.add(Plan { at, after, times: 1, kind });
                let fault = bench.check(&items(30_000));
                assert!(fault.is_some_and(|fault| !fault.is_wrong()), "{at:?} {kind:?} {after}");
                bench.check_served_again();
                assert!(bench.plans.are_over(), "{at:?} {kind:?} {after}");
            }
        }
    }
}

#[test]
fn a_device_that_fails_again_and_again_rests_longer_each_time() {
    let plans = Plans::default();
    plans.add(Plan { at: At::Open, after: 0, times: 4, kind: Kind::Refused });
    let started = Instant::now();
    let bench = Bench::with(SETTINGS, Simulated::new(compute), plans);
    bench.check_served_again();
    // 20, 40, 80 and 160 ms.
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
}

#[test]
fn a_garbled_read_back_ends_the_service_and_never_an_answer() {
    let garblings = [
        Kind::Zeroed,
        Kind::Stale,
        Kind::Swap(1, 2),
        Kind::Swap(0, 70),
        Kind::Flip { lane: 3, word: 0, bit: 1 },
        Kind::Flip { lane: 64, word: 1, bit: 31 },
        Kind::Flip { lane: 127, word: 2, bit: 0 },
    ];
    for kind in garblings {
        for batch in [items(200), items(30_000)] {
            let bench = Bench::new(SETTINGS);
            assert_eq!(bench.check(&items(150)), None);
            bench.plans.add(Plan { at: At::Read, after: usize::from(batch.len() > 1_000) * 3, times: 1, kind });
            let (answers, fault) = bench.given(&batch);
            assert!(fault.as_ref().is_some_and(Fault::is_wrong), "{kind:?}: {fault:?}");
            // Not even what came before it counts.
            assert!(answers.iter().all(Option::is_none), "{kind:?}");
            assert!(matches!(bench.service(), Service::Quarantined(Fault::Wrong(_))), "{kind:?}");
        }
    }
}

#[test]
fn every_flipped_bit_shows() {
    for word in 0..Sums::OUTPUT_WORDS {
        for bit in 0..32 {
            let bench = Bench::new(SETTINGS);
            bench.service();
            bench.plans.once(At::Read, Kind::Flip { lane: bit as usize, word, bit });
            assert!(bench.check(&items(40)).is_some_and(|fault| fault.is_wrong()), "word {word} bit {bit}");
        }
    }
}

#[test]
fn a_read_back_of_the_wrong_length_is_a_fault() {
    let bench = Bench::new(SETTINGS);
    bench.service();
    bench.plans.once(At::Read, Kind::Short);
    assert!(matches!(bench.check(&items(500)), Some(Fault::Driver { .. })));
    bench.check_served_again();
}

#[test]
fn a_kernel_that_accepts_or_refuses_everything_is_caught_by_canaries() {
    let cases = [VALID, REFUSED, 0, 1].into_iter().flat_map(|value| [(value, 1), (value, 500)]);
    for (value, batch) in cases {
        let bench = Bench::new(SETTINGS);
        bench.service();
        bench.plans.once(At::Read, Kind::Computes { word: 0, value });
        let fault = bench.check(&valid(batch));
        let quarantined = matches!(bench.service(), Service::Quarantined(_));
        assert!(quarantined && fault.is_some_and(|fault| fault.is_wrong()), "{value:#x}, {batch}");
    }
}

#[test]
fn one_wrong_refusal_is_found_again_on_the_cpu() {
    let bench = Bench::new(SETTINGS);
    bench.service();
    // Canaries may take up to four lanes: some plan hits an item's.
    bench.plans.once(At::Read, Kind::ComputesIn { lane: 20, word: 0, value: REFUSED });
    let fault = bench.check(&valid(100));
    assert!(fault.is_some_and(|fault| fault.is_wrong()));
}

#[test]
fn an_adapter_that_gets_a_known_answer_wrong_never_serves() {
    for kind in [
        Kind::Computes { word: 1, value: 9 },
        Kind::ComputesIn { lane: 2, word: 0, value: VALID },
        Kind::ComputesIn { lane: 63, word: 0, value: REFUSED },
        Kind::Zeroed,
        Kind::Swap(0, 64),
    ] {
        let plans = Plans::default();
        // Of the admission's lanes each in turn: one of them has the other verdict.
        plans.add(Plan { at: At::Read, after: 0, times: 1, kind });
        let bench = Bench::with(SETTINGS, Simulated::new(compute), plans);
        match bench.service() {
            Service::Refused(fault) => assert!(fault.is_wrong(), "{kind:?}: {fault}"),
            // The lane had that verdict by right.
            Service::Ready(..) if matches!(kind, Kind::ComputesIn { .. }) => assert_eq!(bench.check(&items(9)), None),
            other => panic!("{kind:?}: {other:?}"),
        }
    }
}

#[test]
fn what_hangs_is_left_behind() {
    let long = Duration::from_secs(3);
    for (at, kind) in [
        (At::Dispatch, Kind::Never),
        (At::Dispatch, Kind::Delay(long)),
        (At::Upload, Kind::Delay(long)),
        (At::Allocate, Kind::Delay(long)),
        (At::Poll, Kind::Delay(long)),
        (At::Read, Kind::Delay(long)),
    ] {
        let bench = Bench::new(SETTINGS);
        bench.service();
        bench.plans.once(at, kind);
        let started = Instant::now();
        let fault = bench.check(&items(3_000));
        assert!(matches!(fault, Some(Fault::Hung(_))), "{at:?} {kind:?}: {fault:?}");
        assert!(started.elapsed() < long, "{at:?} {kind:?} took {:?}", started.elapsed());
        bench.check_served_again();
    }
}

#[test]
fn opening_and_compiling_may_hang_too() {
    for at in [At::Open, At::Compile] {
        let plans = Plans::default();
        plans.once(at, Kind::Delay(Duration::from_secs(3)));
        let bench = Bench::with(SETTINGS, Simulated::new(compute), plans);
        let started = Instant::now();
        bench.check_served_again();
        assert!(started.elapsed() < Duration::from_secs(3), "{at:?}");
    }
}

#[test]
fn a_short_delay_is_no_fault() {
    for at in [At::Upload, At::Dispatch, At::Poll, At::Read] {
        let bench = Bench::new(SETTINGS);
        bench.service();
        bench.plans.once(at, Kind::Delay(PATIENCE / 8));
        assert_eq!(bench.check(&items(3_000)), None, "{at:?}");
    }
}

#[test]
fn threads_that_wait_for_a_device_that_fails_all_get_their_answers() {
    let bench = Bench::new(SETTINGS);
    bench.service();
    bench.plans.add(Plan { at: At::Dispatch, after: 5, times: 1, kind: Kind::Lost });
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let items = items(4_000);
                let Service::Ready(worker, number) = bench.service() else { return };
                let item = |index: usize| items[index].as_slice();
                let given = bench.served.answer(&worker, number, &bench.cpu, items.len(), &item);
                if let Some(fault) = &given.fault {
                    bench.station.give_up(&worker, fault);
                }
                let answers = bench.served.answer_on_cpu(&bench.cpu, given.answers, &item);
                assert_eq!(answers, items.iter().map(|item| sum(item)).collect::<Vec<_>>());
            });
        }
    });
    bench.check_served_again();
}

/// Some drivers crash where a thread closes a device while the process ends.
#[test]
fn the_end_waits_until_the_device_is_closed() {
    const CLOSING: Duration = Duration::from_millis(200);
    for is_opened in [true, false] {
        let bench = Bench::new(SETTINGS);
        if is_opened {
            assert_eq!(bench.check(&items(100)), None);
        }
        bench.plans.once(At::Close, Kind::Delay(CLOSING));
        let began = Instant::now();
        bench.station.end(Duration::from_secs(20));
        assert!(began.elapsed() >= CLOSING && bench.plans.are_over(), "{:?}", began.elapsed());
        assert!(matches!(bench.station.service(0), Service::Resting(Fault::Ended)));
    }
}

/// Closing a device may hang as any call of a driver may.
#[test]
fn the_end_does_not_wait_for_ever() {
    let patience = Duration::from_millis(200);
    for is_over in [false, true] {
        let bench = Bench::new(SETTINGS);
        assert_eq!(bench.check(&items(100)), None);
        bench.plans.once(At::Close, Kind::Delay(Duration::from_secs(20)));
        if is_over {
            // The thread has ended by itself.
            bench.plans.once(At::Poll, Kind::Lost);
            assert!(bench.check(&items(100)).is_some());
        }
        let began = Instant::now();
        bench.station.end(patience);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
