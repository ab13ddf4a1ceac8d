//! The whole way, bytes to receipts: importing a generated chain.

mod common;

use std::sync::atomic::AtomicBool;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use phalanx::Verifier;
use phalanx::executor::SequentialExecutor;
use phalanx::pipeline::{End, Import};
use phalanx::workload::Mix;

const BLOCKS: u64 = 5;

fn import(criterion: &mut Criterion) {
    let chain = common::chain(BLOCKS, Mix::default());
    let bytes: Vec<_> = chain.blocks.iter().map(common::encoded).collect();
    let verifier = Verifier::cpu();
    let stop = AtomicBool::new(false);
    let import = Import { verifier: &verifier, executor: &SequentialExecutor, senders: None, queue: 2, stop: &stop };
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10);
    group.throughput(Throughput::Elements(BLOCKS * common::TRANSACTIONS as u64));
    group.bench_function("import/all cores", |bencher| {
        bencher.iter_batched(
            || (chain.genesis.clone(), bytes.clone()),
            |(mut ledger, bytes)| {
                let report = import.run(bytes.into_iter().map(Ok), &mut ledger, &mut |_| {});
                assert!(matches!(report.end, Ok(End::Complete)));
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, import);
criterion_main!(benches);
