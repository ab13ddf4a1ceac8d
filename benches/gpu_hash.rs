//! Hashes and Merkle trees on every adapter, bytes in to digests out, beside the fastest crates on rayon, in turns on the same inputs.
//! Prints a line of CSV for each figure.
//!
//! Adapters whose names contain `PHALANX_BENCH_ADAPTER` only, if it is set.

use std::hint::black_box;
use std::time::{Duration, Instant};

use phalanx::Verifier;
use phalanx::batch::MessageBatch;
use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Adapter, Hasher, adapters};
use phalanx::merkle::bitcoin;
use phalanx::scheme::hash::HashFunction;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

/// Messages of a batch.
const MESSAGES: u32 = 1 << 16;

/// Bytes of a message: a transaction's, about.
const LENGTH: usize = 200;

/// Leaves of a tree.
const LEAVES: u32 = 1 << 20;

/// Turns, of which the median counts.
const TURNS: usize = 9;

/// Messages or nodes that a thread takes at a time.
const PER_TASK: usize = 256;

type Digests = Vec<[u8; 32]>;

fn main() {
    let wanted = std::env::var("PHALANX_BENCH_ADAPTER").unwrap_or_default();
    println!("adapter,variant,figure,value,unit");
    for adapter in adapters().iter().filter(|adapter| adapter.name().contains(&wanted)) {
        for arithmetic in adapter.variants() {
            bench(adapter, arithmetic);
        }
    }
}

fn bench(adapter: &Adapter, arithmetic: Arithmetic) {
    let print = |figure: &str, value: f64, unit: &str| {
        println!("{:?},{arithmetic},{figure},{value:.3},{unit}", adapter.name());
    };
    let started = Instant::now();
    let hasher = Hasher::on(adapter, arithmetic).expect("an adapter that answers rightly");
    print("five programs admitted after", started.elapsed().as_secs_f64(), "s");
    let bytes = (0..=u32::MAX).map(|at| at.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]);
    let bytes: Vec<u8> = bytes.take(MESSAGES as usize * LENGTH).collect();
    let messages: Vec<&[u8]> = bytes.chunks_exact(LENGTH).collect();
    let batch: MessageBatch = messages.iter().collect();
    for function in HashFunction::ALL {
        let device = || hasher.hash(function, &batch).expect("hashed");
        let ours = || Verifier::cpu().hash(function, &batch).expect("hashed");
        let peer = || messages.par_iter().with_min_len(PER_TASK).map(|message| peer(function, message)).collect();
        let times = compare(&device, &peer, &ours);
        let name = format!("{} of {LENGTH} bytes", function.name());
        report(&print, &name, f64::from(MESSAGES), &times);
    }
    let leaves: Digests = (0..LEAVES).map(|leaf| phalanx::cpu::sha256(&leaf.to_le_bytes())).collect();
    let device = || vec![hasher.bitcoin_root(&leaves).expect("hashed").hash];
    let ours = || vec![bitcoin::root(&leaves).hash];
    let times = compare(&device, &|| root_by_peer(&leaves), &ours);
    report(&print, &format!("sha256d tree of {LEAVES} leaves"), f64::from(LEAVES), &times);
}

/// Times of the device, the peer and the CPU backend, in turns; all must say the same.
fn compare(device: &dyn Fn() -> Digests, peer: &dyn Fn() -> Digests, ours: &dyn Fn() -> Digests) -> Vec<[Duration; 3]> {
    // Until chunks have the size that suits the device.
    (0..4).for_each(|_| drop(black_box(device())));
    let timed = |run: &dyn Fn() -> Digests| {
        let started = Instant::now();
        let digests = run();
        (started.elapsed(), digests)
    };
    let turn = |_| {
        let [device, peer, ours] = [device, peer, ours].map(timed);
        assert!(device.1 == peer.1 && peer.1 == ours.1, "digests differ");
        [device.0, peer.0, ours.0]
    };
    (0..TURNS).map(turn).collect()
}

fn report(print: &impl Fn(&str, f64, &str), name: &str, elements: f64, times: &[[Duration; 3]]) {
    let median = |value: &dyn Fn(&[Duration; 3]) -> f64| {
        let mut values: Vec<f64> = times.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    for (who, at) in [("", 0), (": the crate on rayon", 1), (": CPU backend", 2)] {
        print(&format!("{name}{who}"), median(&|turn| turn[at].as_secs_f64()) * 1e9 / elements, "ns each");
    }
    let times_peer = median(&|turn| turn[1].as_secs_f64() / turn[0].as_secs_f64());
    print(&format!("{name}: times the crate on rayon"), times_peer, "");
}

/// By `sha2` or `keccak-asm`, the fastest of the crates where that was measured.
fn peer(function: HashFunction, message: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    match function {
        HashFunction::Sha256 => sha2::Sha256::digest(message).into(),
        HashFunction::Sha256d => sha2::Sha256::digest(sha2::Sha256::digest(message)).into(),
        HashFunction::Keccak256 => keccak_asm::Keccak256::digest(message).into(),
        unknown => panic!("no crate for {}", unknown.name()),
    }
}

/// A plain loop over each level.
fn root_by_peer(leaves: &[[u8; 32]]) -> Digests {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        let pairs = level.as_chunks::<2>().0.par_iter().with_min_len(PER_TASK);
        level = pairs.map(|pair| peer(HashFunction::Sha256d, pair.as_flattened())).collect();
    }
    level
}
