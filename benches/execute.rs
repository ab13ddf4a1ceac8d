//! Executing a block of verified transactions, one kind at a time: in sequence, by Block-STM on one thread and on two, along
//! access lists, and by shards; and committing it.
//!
//! The cases of a kind run one after the other, so that their ratios are of one run on one machine.

mod common;
#[path = "../tests/common/mainnet.rs"]
mod mainnet;
#[path = "../tests/common/test_data.rs"]
mod test_data;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mainnet::WithState;
use phalanx::chain::ethereum::ChainSpec;
use phalanx::executor::{BlockStmExecutor, Executor, SequentialExecutor, ShardedExecutor};
use phalanx::workload::Mix;
use test_data::test_data;

fn executors() -> [(&'static str, Box<dyn Executor>); 5] {
    let block_stm = |threads| BlockStmExecutor::new(threads).expect("a thread starts");
    [
        ("sequential", Box::new(SequentialExecutor)),
        ("block-stm, 1 thread", Box::new(block_stm(1).always_speculating())),
        ("block-stm, 2 threads", Box::new(block_stm(2))),
        ("block-stm, 2 threads, always speculating", Box::new(block_stm(2).always_speculating())),
        ("sharded, 2 threads", Box::new(ShardedExecutor::new(2, 8).expect("a thread starts"))),
    ]
}

fn generated(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("execute");
    group.throughput(Throughput::Elements(common::TRANSACTIONS as u64));
    let executors = executors();
    for (name, mix, pools) in [
        ("transfers", (100, 0, 0), 1),
        ("erc-20", (0, 100, 0), 1),
        ("swaps in one pool", (0, 0, 100), 1),
        ("swaps in separate pools", (0, 0, 100), 500),
        ("mix", (60, 25, 15), 1),
    ] {
        let mix = Mix::new(mix.0, mix.1, mix.2).expect("the shares sum to 100");
        let chain = common::chain_with_pools(1, mix, pools);
        let block = common::verified(&chain, &chain.blocks[0]);
        let (spec, state) = (chain.genesis.chain(), chain.genesis.state());
        for (executor_name, executor) in &executors {
            group.bench_function(BenchmarkId::new(*executor_name, name), |bencher| {
                bencher.iter(|| executor.execute(spec, &block, state).expect("the block is valid"));
            });
        }
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

/// Every block of the test data with its state before it, those from before Byzantium included, which go in sequence.
fn mainnet(criterion: &mut Criterion) {
    let Some(blocks) = mainnet::with_states() else { return };
    let blocks: Vec<_> = blocks.collect();
    let spec = ChainSpec::mainnet();
    let transactions: usize = blocks.iter().map(|with_state| with_state.block.transactions().len()).sum();
    let mut group = criterion.benchmark_group("execute");
    group.throughput(Throughput::Elements(transactions as u64)).sample_size(10);
    for (executor_name, executor) in &executors() {
        group.bench_function(BenchmarkId::new(*executor_name, "mainnet"), |bencher| {
            bencher.iter(|| {
                for WithState { name, block, state } in &blocks {
                    executor.execute(&spec, block, state).unwrap_or_else(|error| panic!("{name}: {error}"));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, generated, mainnet);
criterion_main!(benches);
