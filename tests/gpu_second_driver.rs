//! The kernels on a second driver: `SwiftShader`, which shares no compiler with Mesa and has no 64-bit integers.
//!
//! Vulkan's loader reads its environment once, so the tests run in a process of their own, in which that driver is the only one. It comes
//! with Chromium; where it is absent the test says that it is skipped.

#![cfg(feature = "gpu")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use common::skipped;
use common::stream::Stream;
use phalanx::batch::MessageBatch;
use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Adapter, Field, Hasher, Operation, adapters};
use phalanx::merkle::{bitcoin, rfc6962};
use phalanx::scheme::hash::HashFunction;

/// Tells the second process that it is one.
const IS_SECOND: &str = "PHALANX_SECOND_DRIVER";

/// Where distributions put the driver.
const DRIVERS: [&str; 3] = [
    "/usr/lib/chromium/vk_swiftshader_icd.json",
    "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
];

#[test]
fn a_second_driver_answers_as_the_cpu_does() {
    if std::env::var_os(IS_SECOND).is_some() {
        return on_the_second_driver();
    }
    let Some(driver) = DRIVERS.iter().find(|path| Path::new(path).is_file()) else {
        return skipped("there is no SwiftShader here; `cargo xtask test` installs it with Chromium");
    };
    let this = std::env::current_exe().expect("this program's path");
    // What is kept on disk is of this run alone.
    let cache = std::env::temp_dir().join(format!("phalanx-second-driver-{}", std::process::id()));
    let status = Command::new(this)
        .args(["--exact", "a_second_driver_answers_as_the_cpu_does", "--nocapture"])
        .envs([(IS_SECOND, "1"), ("VK_ICD_FILENAMES", driver), ("VK_DRIVER_FILES", driver)])
        .env("XDG_CACHE_HOME", &cache)
        .status()
        .expect("this program runs again");
    let _ = std::fs::remove_dir_all(&cache);
    assert!(status.success(), "on {driver}: {status}");
}

fn on_the_second_driver() {
    let adapters = adapters();
    let names: Vec<_> = adapters.iter().map(Adapter::name).collect();
    let [adapter] = &adapters[..] else { panic!("one adapter was expected: {names:?}") };
    assert!(adapter.name().contains("SwiftShader"), "{names:?}");
    assert!(adapter.is_software() && !adapter.is_for_auto());
    assert!(adapter.refusal(Arithmetic::U32).is_none(), "{:?}", adapter.refusals());
    let started = Instant::now();
    products(adapter);
    programs(adapter);
    let hasher = Hasher::on(adapter, Arithmetic::U32).unwrap_or_else(|fault| panic!("{fault}"));
    hashes(&hasher);
    trees(&hasher);
    eprintln!("{} ({}): {:.1?}", adapter.name(), adapter.driver(), started.elapsed());
}

/// Every program that serves, by its known answers: what an adapter has to show before it is asked anything.
fn programs(adapter: &Adapter) {
    let shown = adapter.self_test();
    assert!(shown.tuning.is_ok(), "{:?}", shown.tuning);
    assert!(!shown.programs.is_empty());
    for (program, outcome) in shown.programs {
        assert_eq!(outcome, Ok(()), "{program}");
        eprintln!("{program}: every known answer");
    }
}

/// A field product in every lane of more than a workgroup, by the square and the inverse of what it is of.
fn products(adapter: &Adapter) {
    let field = Field::on(adapter, Arithmetic::U32).unwrap_or_else(|error| panic!("{error}"));
    let mut stream = Stream::new("second driver");
    let elements: Vec<[u32; 8]> = (0..65)
        .map(|_| {
            let block = stream.block();
            std::array::from_fn(|word| u32::from_le_bytes(std::array::from_fn(|byte| block[4 * word + byte])))
        })
        .collect();
    let apply = |operation, a: &[[u32; 8]], b: &[[u32; 8]]| {
        let kernel = field.operation(operation).unwrap_or_else(|error| panic!("{operation:?}: {error}"));
        kernel.apply(a, b).unwrap_or_else(|error| panic!("{operation:?}: {error}"))
    };
    let inverses = apply(Operation::Inv, &elements, &elements);
    let ones = apply(Operation::Mul, &elements, &inverses);
    assert_eq!(ones, [[1, 0, 0, 0, 0, 0, 0, 0]; 65]);
    let squares = apply(Operation::Sqr, &elements, &elements);
    assert_eq!(squares, apply(Operation::Mul, &elements, &elements));
    let roots = apply(Operation::Sqrt, &squares, &squares);
    assert_eq!(apply(Operation::Sqr, &roots, &roots), squares);
}

fn hashes(hasher: &Hasher) {
    let mut stream = Stream::new("second driver's messages");
    let bytes: Vec<u8> = std::iter::repeat_with(|| stream.block()).take(20).flatten().collect();
    let lengths = (0..=300).step_by(7).chain([55, 56, 63, 64, 65, 119, 120, 127, 128, 135, 136, 137, 271, 272, 273]);
    let batch: MessageBatch = lengths.map(|length| &bytes[length..2 * length]).collect();
    let cpu = phalanx::Verifier::cpu();
    for function in HashFunction::ALL {
        let digests = hasher.hash(function, &batch).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(digests, cpu.hash(function, &batch).expect("the CPU hashes"), "{}", function.name());
    }
}

fn trees(hasher: &Hasher) {
    let mut stream = Stream::new("second driver's leaves");
    let mut leaves: Vec<[u8; 32]> = std::iter::repeat_with(|| stream.block()).take(1_100).collect();
    for _ in 0..2 {
        for count in [0, 1, 17, 256, 1_025, 1_100] {
            let leaves = &leaves[..count];
            let root = hasher.bitcoin_root(leaves).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(root, bitcoin::root(leaves), "{count}");
            let root = hasher.rfc6962_root(leaves).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(root, rfc6962::Tree::of_leaf_hashes(leaves.to_vec()).root(), "{count}");
        }
        // Two equal subtrees under one node, the second time.
        leaves.copy_within(0..4, 4);
    }
}
