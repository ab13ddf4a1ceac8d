//! Hashing messages, one thread: transactions (200 bytes) and Merkle nodes (64 bytes).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phalanx::Verifier;
use phalanx::batch::MessageBatch;
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

criterion_group!(benches, hash);
criterion_main!(benches);
