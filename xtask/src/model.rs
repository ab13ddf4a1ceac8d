//! `cargo xtask model`: what execution on many threads could gain, by the dependencies of generated blocks.
//!
//! Modelled, not measured. Work is counted in gas, and a transaction starts as soon as a thread is free and everything it
//! depends on is done: no aborts, no waiting for memory. A real scheduler gains less. The graph is recorded by executing
//! the block; what is summed up lazily is no dependency.

use std::fmt::Write as _;
use std::path::Path;

use phalanx::Verifier;
use phalanx::chain::ethereum::verify_block;
use phalanx::executor::{BlockStmExecutor, Dependency, Ledger};
use phalanx::workload::{Mix, WorkloadChain, WorkloadConfig};
use plotters::prelude::*;

use crate::record;

const THREADS: [usize; 7] = [1, 2, 4, 8, 16, 24, 32];

/// A workload's name, its mix of transfers, token transfers and swaps, and its pools.
const WORKLOADS: [(&str, [u8; 3], usize); 5] = [
    ("transfers", [100, 0, 0], 1),
    ("erc-20", [0, 100, 0], 1),
    ("swaps in separate pools", [0, 0, 100], 500),
    ("mix", [60, 25, 15], 1),
    ("swaps in one pool", [0, 0, 100], 1),
];

/// What the model says of one workload.
struct Modelled {
    name: &'static str,
    /// All work over the work on the longest chain of dependencies: no number of threads gains more.
    bound: f64,
    /// The gain on each number of threads.
    gains: Vec<(usize, f64)>,
}

pub(crate) fn model() -> Result<(), String> {
    let all = WORKLOADS.iter().map(|(name, mix, pools)| workload(name, *mix, *pools)).collect::<Result<Vec<_>, _>>()?;
    let mut csv =
        "# modelled, not measured: gas as work, list scheduling on the dependency graph of one block of 1,000\n\
                   # transactions; command: cargo xtask model\n\
                   workload,threads,gain,bound\n"
            .to_owned();
    for modelled in &all {
        for (threads, gain) in &modelled.gains {
            let _ = writeln!(csv, "{},{threads},{gain:.2},{:.2}", modelled.name, modelled.bound);
        }
    }
    record::write("execution-model", &csv)?;
    let path = record::path("execution-model.svg")?;
    plot(&path, &all).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

fn workload(name: &'static str, mix: [u8; 3], pools: usize) -> Result<Modelled, String> {
    let say = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let mix = Mix::new(mix[0], mix[1], mix[2]).map_err(|error| say(&error))?;
    let config = WorkloadConfig { blocks: 1, mix, pools, ..WorkloadConfig::default() };
    let mut chain = WorkloadChain::new(config).map_err(|error| say(&error))?;
    let ledger = Ledger::from_genesis(chain.genesis()).map_err(|error| say(&error))?;
    let verifier = Verifier::cpu();
    let block = chain.next_block(&verifier).ok_or("no block")?.map_err(|error| say(&error))?;
    let block = verify_block(&verifier, ledger.chain(), block).map_err(|error| say(&error))?;
    let block = block.map_err(|problems| format!("{name}: {} problems", problems.len()))?;
    let executor = BlockStmExecutor::new(2).map_err(|error| say(&error))?;
    let graph = executor.dependencies(ledger.chain(), &block, ledger.state()).map_err(|error| say(&error))?;
    let graph = graph.ok_or_else(|| say(&"not executed in parallel"))?;
    let work = elapsed(&graph, 1);
    Ok(Modelled {
        name,
        bound: ratio(work, elapsed(&graph, graph.len())),
        gains: THREADS.iter().map(|threads| (*threads, ratio(work, elapsed(&graph, *threads)))).collect(),
    })
}

#[allow(clippy::cast_precision_loss, reason = "a block's gas is far below 2^53")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}

/// The gas that passes until all is done, if transactions are started in order, each on the thread that is free first.
fn elapsed(graph: &[Dependency], threads: usize) -> u64 {
    let mut free = vec![0_u64; threads.max(1)];
    let mut done: Vec<u64> = Vec::with_capacity(graph.len());
    for transaction in graph {
        let ready = transaction.on.iter().map(|on| done[*on]).max().unwrap_or(0);
        // Of the threads that are free by then the one that was last; else the one that is first.
        let before = free.iter().enumerate().filter(|(_, at)| **at <= ready).max_by_key(|(_, at)| **at);
        let thread =
            before.or_else(|| free.iter().enumerate().min_by_key(|(_, at)| **at)).map_or(0, |(thread, _)| thread);
        let end = free[thread].max(ready) + transaction.gas_used;
        free[thread] = end;
        done.push(end);
    }
    done.into_iter().max().unwrap_or(0)
}

fn plot(path: &Path, all: &[Modelled]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, (800, 520)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Execution on many threads, modelled from dependencies", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(1_f64..32_f64, 0_f64..32_f64)?;
    chart.configure_mesh().x_desc("threads").y_desc("times one thread").draw()?;
    for (index, modelled) in all.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        let points =
            modelled.gains.iter().map(|(threads, gain)| (f64::from(u32::try_from(*threads).unwrap_or(0)), *gain));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(modelled.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
