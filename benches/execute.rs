//! Executing a block of verified transactions, one kind at a time: in sequence, by Block-STM on one thread, on two and on more where
//! there are as many cores, and by shards: `cargo xtask record execute -- cargo bench --bench execute`.
//!
//! The executors take turns, each thread of theirs on a core of its own, and with them the sequential one on two threads that have a
//! block each and nothing in common: what the machine gives two threads at best. Prints comma-separated values, as they are kept under
//! `benches/record`. Part of a workload's name may be given.

mod common;
#[path = "../tests/common/mainnet.rs"]
mod mainnet;
#[path = "../tests/common/test_data.rs"]
mod test_data;

use std::hint::black_box;

use common::affinity::pin_threads;
use common::turns::{self, Turn};
use mainnet::WithState;
use phalanx::chain::ethereum::ChainSpec;
use phalanx::executor::{BlockStmExecutor, Executor, SequentialExecutor, ShardedExecutor};
use phalanx::workload::Mix;
use test_data::test_data;

/// Runs through all workloads: what a shared machine has left for us changes from minute to minute.
const RUNS: usize = 3;

/// Rounds of a run in which every executor has a turn: with a block each, and with all blocks of the test data.
const ROUNDS: usize = 151;
const MAINNET_ROUNDS: usize = 15;

/// Threads beyond two, where there are cores for them.
const MORE_THREADS: [usize; 3] = [4, 8, 16];

struct Executors {
    compared: Vec<(String, Box<dyn Executor>)>,
    /// Another thread for a block of its own.
    second: rayon::ThreadPool,
}

fn executors() -> Executors {
    let second = rayon::ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "phalanx-exec-0".to_owned());
    let block_stm = |threads| BlockStmExecutor::new(threads).expect("a thread starts");
    let mut compared: Vec<(String, Box<dyn Executor>)> = vec![
        ("sequential".to_owned(), Box::new(SequentialExecutor)),
        ("block-stm, 1 thread".to_owned(), Box::new(block_stm(1).always_speculating())),
        ("block-stm, 2 threads".to_owned(), Box::new(block_stm(2))),
        ("block-stm, 2 threads, always speculating".to_owned(), Box::new(block_stm(2).always_speculating())),
        ("sharded, 2 threads".to_owned(), Box::new(ShardedExecutor::new(2, 8).expect("a thread starts"))),
    ];
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in MORE_THREADS.into_iter().filter(|threads| *threads <= cores) {
        compared.push((format!("block-stm, {threads} threads"), Box::new(block_stm(threads))));
    }
    Executors { compared, second: second.build().expect("a thread starts") }
}

/// A run's number and a workload.
type Case<'a> = (usize, &'a str);

/// Has the executors take turns with a workload, each doing `execute`; the first of them is what the others are compared with.
fn compare(
    (run, workload): Case<'_>,
    rounds: usize,
    transactions: usize,
    executors: &Executors,
    execute: impl Fn(&dyn Executor) + Sync,
) {
    let execute = &execute;
    let turns = executors.compared.iter();
    let mut turns: Vec<_> = turns.map(|(_, executor)| Turn::new(transactions, move || execute(&**executor))).collect();
    turns.push(Turn::new(2 * transactions, || {
        executors.second.in_place_scope(|scope| {
            scope.spawn(|_| execute(&SequentialExecutor));
            execute(&SequentialExecutor);
        });
    }));
    let names = executors.compared.iter().map(|(name, _)| &**name).chain(["sequential, a block each on 2 threads"]);
    for (name, taken) in names.zip(turns::take(rounds, &turns.iter().collect::<Vec<_>>())) {
        println!("{run},{workload},\"{name}\",{:.0},{:.2}", taken.median, taken.ratio);
    }
}

fn generated(case: Case<'_>, mix: (u8, u8, u8), pools: usize, executors: &Executors) {
    let mix = Mix::new(mix.0, mix.1, mix.2).expect("the shares sum to 100");
    let chain = common::chain_with_pools(1, mix, pools);
    let block = common::verified(&chain, &chain.blocks[0]);
    let (spec, state) = (chain.genesis.chain(), chain.genesis.state());
    compare(case, ROUNDS, common::TRANSACTIONS, executors, |executor| {
        black_box(executor.execute(spec, &block, state).expect("the block is valid"));
    });
}

/// Every block of the test data with its state before it, those from before Byzantium included, which go in sequence.
fn mainnet(run: usize, executors: &Executors) {
    let Some(blocks) = mainnet::with_states() else { return };
    let blocks: Vec<_> = blocks.collect();
    let spec = ChainSpec::mainnet();
    let transactions: usize = blocks.iter().map(|with_state| with_state.block.transactions().len()).sum();
    compare((run, "mainnet"), MAINNET_ROUNDS, transactions, executors, |executor| {
        for WithState { name, block, state } in &blocks {
            black_box(executor.execute(&spec, block, state).unwrap_or_else(|error| panic!("{name}: {error}")));
        }
    });
}

fn main() {
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    // Rayon's own threads, which generate, are made first, since threads start where their maker is.
    rayon::broadcast(|_| ());
    let executors = executors();
    pin_threads().expect("each thread has a core");
    println!("# medians of {ROUNDS} rounds in turns, mainnet {MAINNET_ROUNDS}; each thread on a core of its own");
    println!("run,workload,executor,median_ns_per_transaction,times_sequential");
    for run in 1..=RUNS {
        for (workload, mix, pools) in [
            ("transfers", (100, 0, 0), 1),
            ("erc-20", (0, 100, 0), 1),
            ("swaps in one pool", (0, 0, 100), 1),
            ("swaps in separate pools", (0, 0, 100), 500),
            ("mix", (60, 25, 15), 1),
        ] {
            if workload.contains(&asked) {
                generated((run, workload), mix, pools, &executors);
            }
        }
        if "mainnet".contains(&asked) {
            mainnet(run, &executors);
        }
    }
}
