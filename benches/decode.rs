//! Decoding a block's RLP into transactions, on all cores and on one.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phalanx::Verifier;
use phalanx::chain::ethereum::Block;
use phalanx::workload::Mix;

fn decode(criterion: &mut Criterion) {
    let chain = common::chain(1, Mix::default());
    let bytes = common::encoded(&chain.blocks[0]);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(common::TRANSACTIONS as u64));
    for (name, verifier) in [("1 thread", Verifier::with_threads(1)), ("all cores", Ok(Verifier::cpu()))] {
        let verifier = verifier.expect("a thread starts");
        group.bench_function(name, |bencher| {
            bencher.iter(|| verifier.cpu_backend().install(|| Block::decode(&bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
