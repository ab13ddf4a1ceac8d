//! The worker on every adapter there is, software ones too: a field product a lane, and what a real device does when it fails.
#![allow(clippy::cast_possible_truncation, reason = "indices of tests are small")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use num_bigint::BigUint;

use super::{Served, Settings, Worker};
use crate::cpu::CpuBackend;
use crate::gpu::device::{Adapter, adapters};
use crate::gpu::driver::double::{At, Faulty, Kind, Plan, Plans};
use crate::gpu::driver::wgpu::WgpuDriver;
use crate::gpu::error::Fault;
use crate::gpu::program::{Program, Step};
use crate::gpu::shader::{Arithmetic, PRODUCT, WORKGROUP_SIZE};
use crate::gpu::station::{Service, Station};
use crate::gpu::team::Team;

type Pair = [u32; 16];

#[derive(Debug)]
struct Products;

fn product(pair: &Pair) -> [u32; 8] {
    let number = |words: &[u32]| BigUint::new(words.to_vec());
    let prime = BigUint::from_bytes_be(&crate::scheme::ecdsa::PRIME);
    let mut words = [0; 8];
    let digits = (number(&pair[..8]) * number(&pair[8..]) % prime).to_u32_digits();
    words[..digits.len()].copy_from_slice(&digits);
    words
}

impl Program for Products {
    type Item<'a> = &'a Pair;
    type Answer = [u32; 8];

    const NAME: &'static str = "products";
    const OUTPUT_WORDS: usize = 10;
    const SCRATCH_WORDS: usize = 0;

    fn steps(&self) -> &[Step] {
        &[Step { kernel: PRODUCT, lanes_per_invocation: 1 }]
    }

    fn table(&self) -> &[u32] {
        &[]
    }

    fn input_words(&self, _: &&Pair) -> usize {
        16
    }

    fn pack<'a>(&self, _: usize, item: &(impl Fn(usize) -> Self::Item<'a> + Sync), words: &mut [u32], team: &Team) {
        team.fill(words, 16, |lane, words| words.copy_from_slice(item(lane)));
    }

    fn unpack(&self, words: &[u32]) -> Option<[u32; 8]> {
        match words {
            [1, product @ ..] => product.try_into().ok(),
            _ => None,
        }
    }

    fn settle(&self, _: &&Pair) -> Option<[u32; 8]> {
        None
    }

    fn shorten<'a>(item: &'static Pair) -> &'a Pair {
        item
    }

    fn answer_on_cpu(&self, items: &[&Pair]) -> Vec<[u32; 8]> {
        items.iter().map(|item| product(item)).collect()
    }

    fn is_refusal(&self, _: &[u32; 8]) -> bool {
        false
    }

    fn known_answers(&self) -> Vec<(&'static Pair, [u32; 8])> {
        let known: [&'static Pair; 3] = [&[0; 16], &[u32::MAX; 16], &[0x1234_5678; 16]];
        known.into_iter().map(|pair| (pair, product(pair))).collect()
    }
}

fn pairs(count: usize) -> Vec<Pair> {
    let word = |index: usize, at: usize| (index as u32 * 16 + at as u32).wrapping_mul(0x9e37_79b1);
    (0..count).map(|index| std::array::from_fn(|at| word(index % 251, at))).collect()
}

struct Bench {
    served: Arc<Served<Products>>,
    station: Arc<Station>,
    plans: Plans,
    cpu: CpuBackend,
}

impl Bench {
    fn new(adapter: &Adapter, arithmetic: Arithmetic, memory: u64) -> Self {
        let settings = Settings {
            slots: 3,
            memory,
            step: Duration::from_millis(100),
            feeders: 0,
            patience: Duration::from_secs(30),
            compile_patience: Duration::from_mins(2),
        };
        let served = Arc::new(Served::new(Products));
        let plans = Plans::default();
        let inner = Arc::new(WgpuDriver::new(adapter.clone(), arithmetic, None));
        let driver = Arc::new(Faulty { inner, plans: plans.clone() });
        let start = Box::new(move |_: Option<&Fault>| Worker::start(Arc::clone(&driver), settings));
        let rest = Duration::from_millis(20);
        let station = Station::with_rest(adapter.describe(), start, Box::new(|_| {}), vec![served.clone()], rest);
        Self { served, station, plans, cpu: CpuBackend::default() }
    }

    fn check(&self, count: usize) -> Option<Fault> {
        let until = Instant::now() + Duration::from_mins(2);
        let (worker, number) = loop {
            match self.station.service(0) {
                Service::Ready(worker, number) => break (worker, number),
                other => assert!(Instant::now() < until, "{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let pairs = pairs(count);
        let item = |index: usize| &pairs[index];
        let given = self.served.answer(&worker, number, &self.cpu, count, &item);
        if let Some(fault) = &given.fault {
            self.station.give_up(&worker, fault);
        }
        // What is beyond 251 repeats.
        let expected: Vec<_> = pairs.iter().take(251).map(product).collect();
        let answers = self.served.answer_on_cpu(&self.cpu, given.answers, &item);
        assert_eq!(answers.len(), count);
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!(*answer, expected[index % 251], "{index} of {count}");
        }
        given.fault
    }
}

/// Every adapter by name and every variant that it runs.
fn devices() -> Vec<(Adapter, Arithmetic)> {
    let mut seen = BTreeSet::new();
    let adapters = adapters().into_iter().filter(|adapter| seen.insert(adapter.describe()));
    adapters
        .flat_map(|adapter| adapter.variants().map(|variant| (adapter.clone(), variant)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn batches_of_every_size_come_back_in_order() {
    for (adapter, arithmetic) in devices() {
        let bench = Bench::new(&adapter, arithmetic, 64 << 20);
        let group = WORKGROUP_SIZE as usize;
        for count in [0, 1, 2, group - 4, group - 1, group, group + 1, 1_023, 1_024, 1_025, 65_537] {
            assert_eq!(bench.check(count), None, "{} {arithmetic}", adapter.describe());
        }
    }
}

#[test]
fn a_small_memory_only_slows() {
    for (adapter, arithmetic) in devices() {
        let bench = Bench::new(&adapter, arithmetic, 200 << 10);
        assert_eq!(bench.check(5_000), None, "{}", adapter.describe());
    }
}

#[test]
fn faults_above_a_real_device_lose_nothing() {
    for (adapter, arithmetic) in devices() {
        for at in [At::Allocate, At::Upload, At::Dispatch, At::Poll, At::Read] {
            for kind in [Kind::Lost, Kind::Panic] {
                let bench = Bench::new(&adapter, arithmetic, 1 << 20);
                assert_eq!(bench.check(100), None);
                bench.plans.add(Plan { at, after: 1, times: 1, kind });
                assert!(bench.check(20_000).is_some(), "{at:?} {kind:?}");
                assert_eq!(bench.check(1_000), None, "{at:?} {kind:?}");
            }
        }
        for kind in [Kind::Zeroed, Kind::Flip { lane: 9, word: 4, bit: 30 }, Kind::Swap(2, 50)] {
            let bench = Bench::new(&adapter, arithmetic, 1 << 20);
            assert_eq!(bench.check(100), None);
            bench.plans.once(At::Read, kind);
            assert!(bench.check(1_000).is_some_and(|fault| fault.is_wrong()), "{kind:?}");
        }
    }
}

#[test]
fn a_device_that_is_destroyed_under_the_worker_is_opened_anew() {
    for (adapter, arithmetic) in devices() {
        for at in [At::Upload, At::Dispatch, At::Poll, At::Read] {
            let bench = Bench::new(&adapter, arithmetic, 1 << 20);
            assert_eq!(bench.check(100), None);
            bench.plans.add(Plan { at, after: 1, times: 1, kind: Kind::Destroy });
            let fault = bench.check(20_000);
            assert!(fault.as_ref().is_some_and(|fault| !fault.is_wrong()), "{at:?}: {fault:?}");
            assert_eq!(bench.check(1_000), None, "{at:?}");
        }
    }
}
