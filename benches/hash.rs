//! Hashing messages, one thread: transactions (200 bytes) and Merkle nodes (64 bytes).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phalanx::Verifier;
use phalanx::batch::MessageBatch;
use phalanx::cpu::{KeccakLanes, Sha256Lanes};
use phalanx::scheme::hash::HashFunction;

const MESSAGES: usize = 4_096;

fn messages(length: usize) -> Vec<Vec<u8>> {
    (0..MESSAGES).map(|index| (0..length).map(|at| (index * 31 + at).to_le_bytes()[0]).collect()).collect()
}

fn hash(criterion: &mut Criterion) {
    let verifier = Verifier::with_threads(1).expect("a thread starts");
    for (function, length) in [
        (HashFunction::Keccak256, 200),
        (HashFunction::Keccak256, 64),
        (HashFunction::Sha256, 200),
        (HashFunction::Sha256d, 64),
    ] {
        let messages = messages(length);
        let batch: MessageBatch = messages.iter().collect();
        let mut group = criterion.benchmark_group(format!("{} of {length} bytes", function.name()));
        group.throughput(Throughput::Elements(MESSAGES as u64));
        group.bench_function("phalanx/1 thread", |bencher| bencher.iter(|| verifier.hash(function, &batch)));
        if function == HashFunction::Keccak256 {
            group.bench_function("alloy default/1 thread", |bencher| {
                bencher.iter(|| messages.iter().map(alloy_primitives::keccak256).collect::<Vec<_>>());
            });
        }
        group.finish();
    }
}

/// Every form that this processor has, on this thread.
fn forms(criterion: &mut Criterion) {
    let messages = messages(200);
    let messages: Vec<_> = messages.iter().map(Vec::as_slice).collect();
    let mut digests = vec![[0; 32]; MESSAGES];
    let mut group = criterion.benchmark_group("keccak256 of 200 bytes, by form");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for lanes in KeccakLanes::forms() {
        group.bench_function(lanes.name(), |bencher| bencher.iter(|| lanes.keccak256_each(&messages, &mut digests)));
    }
    group.finish();
    let pairs = vec![[[7; 32]; 2]; MESSAGES];
    let mut group = criterion.benchmark_group("sha256d of pairs, by form");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for lanes in Sha256Lanes::forms() {
        group.bench_function(lanes.name(), |bencher| bencher.iter(|| lanes.sha256d_of_pairs(&pairs, &mut digests)));
    }
    group.finish();
}

criterion_group!(benches, hash, forms);
criterion_main!(benches);
