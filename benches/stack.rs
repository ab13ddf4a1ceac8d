//! What work in lanes takes by where the stack of its caller lies within a page: `cargo bench --bench stack`.
//!
//! It should not matter; it does where a compiler puts a vector across the end of a page. Prints comma-separated values,
//! as they are kept under `benches/record`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use phalanx::arithmetic::Platform;
use phalanx::arithmetic::field::{FieldOperation, Limbs};
use phalanx::cpu::KeccakLanes;

/// A page, in bytes.
const PAGE: usize = 4096;

/// From a position to the next, in bytes: what a frame takes, or a part of it.
const STEP: usize = 64;

/// Items of a run.
const ITEMS: usize = 256;

/// Runs at each position, of which the fastest counts.
const RUNS: usize = 30;

fn main() {
    println!("work,form,positions,fastest_ns,median_ns,slowest_ns,slower_by_a_tenth");
    let elements: Vec<Limbs> = (1..=ITEMS as u64).map(|item| [item, !item, item << 32, item]).collect();
    for platform in Platform::available() {
        for (name, operation) in [("product", FieldOperation::Multiply), ("square", FieldOperation::Square)] {
            let work = || drop(black_box(platform.field(operation, &elements, &elements)));
            print(&format!("field {name},{}", platform.name()), work);
        }
    }
    let keys = vec![[7; 64]; ITEMS];
    for lanes in KeccakLanes::forms() {
        let mut digests = vec![[0; 32]; ITEMS];
        print(&format!("keccak256 of keys,\"{}\"", lanes.name()), || {
            lanes.keccak256_of_keys(&keys, &mut digests);
            black_box(&digests);
        });
    }
}

/// Times the work at every position, and prints what it takes for an item.
fn print(name: &str, mut work: impl FnMut()) {
    let mut taken = BTreeMap::new();
    // Frames are larger than what they are to hold, so some go further than to the next position.
    for depth in 0..2 * PAGE / STEP {
        let (position, nanoseconds) = further_down(depth, &mut || time(&mut work));
        let least = taken.entry(position / STEP).or_insert(nanoseconds);
        *least = nanoseconds.min(*least);
    }
    let mut taken: Vec<f64> = taken.into_values().collect();
    taken.sort_by(f64::total_cmp);
    let [fastest, median, slowest] = [taken[0], taken[taken.len() / 2], taken[taken.len() - 1]];
    let slower = taken.iter().filter(|nanoseconds| **nanoseconds > 1.1 * fastest).count();
    println!("{name},{},{fastest:.1},{median:.1},{slowest:.1},{slower}", taken.len());
}

/// Where the stack is within its page, and the nanoseconds that the work takes there for an item.
#[inline(never)]
#[allow(clippy::cast_precision_loss, reason = "a few")]
fn time(work: &mut impl FnMut()) -> (usize, f64) {
    let here = 0_u8;
    let position = std::ptr::from_ref(black_box(&here)).addr() % PAGE;
    let run = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1e9 / ITEMS as f64
    };
    (position, (0..RUNS).map(run).fold(f64::INFINITY, f64::min))
}

/// Calls `work` with the stack so many steps further down.
#[inline(never)]
fn further_down<R>(steps: usize, work: &mut dyn FnMut() -> R) -> R {
    let room = [0_u8; 16];
    black_box(&room);
    let result = if steps == 0 { work() } else { further_down(steps - 1, work) };
    black_box(&room);
    result
}
