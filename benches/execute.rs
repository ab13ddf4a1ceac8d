//! Executing a block of verified transactions, one kind at a time, on the sequential executor; and committing it.

mod common;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use phalanx::executor::{Executor, SequentialExecutor};
use phalanx::workload::Mix;

fn execute(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("execute");
    group.throughput(Throughput::Elements(common::TRANSACTIONS as u64));
    for (name, mix) in
        [("transfers", (100, 0, 0)), ("erc-20", (0, 100, 0)), ("swaps", (0, 0, 100)), ("mix", (60, 25, 15))]
    {
        let mix = Mix::new(mix.0, mix.1, mix.2).expect("the shares sum to 100");
        let chain = common::chain(1, mix);
        let block = common::verified(&chain, &chain.blocks[0]);
        let (spec, state) = (chain.genesis.chain(), chain.genesis.state());
        group.bench_function(format!("sequential/{name}"), |bencher| {
            bencher.iter(|| SequentialExecutor.execute(spec, &block, state).expect("the block is valid"));
        });
        if name == "mix" {
            group.bench_function("sequential and commit/mix", |bencher| {
                bencher.iter_batched_ref(
                    || chain.genesis.clone(),
                    |ledger| ledger.import(&SequentialExecutor, &block).expect("the block is valid"),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, execute);
criterion_main!(benches);
