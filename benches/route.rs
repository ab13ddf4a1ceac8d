//! The CPU alone, a GPU alone and both as the router divides batches, in turns on the same inputs: lines of comma-separated values.
//!
//! `cargo xtask route [ADAPTER]` runs it and keeps a record.

use std::time::{Duration, Instant};

use phalanx::gpu::{Adapter, adapters};
use phalanx::route::Decision;
use phalanx::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};
use phalanx::{BackendChoice, Rules, Verdict, Verifier, VerifierConfig};

/// Sizes of batches.
const SIZES: [usize; 7] = [16, 64, 256, 1_024, 4_096, 16_384, 65_536];

/// Batches that the router learns from before it is timed.
const LEARNED: usize = 20;

/// Rounds at least and at most; as many between as there is time for.
const ROUNDS: (usize, usize) = (5, 31);
const TIME: Duration = Duration::from_secs(4);

struct Bench {
    cpu: Verifier,
    gpu: Verifier,
    routed: Verifier,
}

fn main() {
    // Cargo passes `--bench`, and leaves what follows `--` to us.
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(adapter) = adapter(asked.as_deref()) else {
        eprintln!("no GPU adapter with that name here");
        return;
    };
    let alone = BackendChoice::Name(adapter.name().to_owned());
    let config = |backend| VerifierConfig { backend, without_cache: true, ..VerifierConfig::default() };
    let on = |backend| Verifier::new(&config(backend)).expect("an adapter that is there");
    let bench =
        Bench { cpu: Verifier::cpu(), gpu: on(alone.clone()), routed: on(BackendChoice::Beside(Box::new(alone))) };
    let items = items(&bench.cpu, SIZES[SIZES.len() - 1]);
    for verifier in [&bench.gpu, &bench.routed] {
        // Whoever asked for a GPU waits for it with the first batch.
        drop(verifier.recover(&recoveries(&items[..16])).expect("it serves"));
        drop(verifier.verify(&verifications(&items[..16])).expect("it serves"));
    }
    let start = Instant::now();
    assert!(bench.routed.wait_until_measured(Duration::from_mins(2)), "costs are measured in two seconds");
    println!(
        "# adapter: {}, {}; costs known {:.1} s after it served",
        adapter.name(),
        adapter.driver(),
        start.elapsed().as_secs_f64()
    );
    println!("work,items,rounds,cpu_us,gpu_us,both_us,routed_us,ratio,cpu_items,gpu_items,why");
    for size in SIZES {
        let batch = recoveries(&items[..size]);
        let half = [recoveries(&items[..size / 2]), recoveries(&items[size / 2..size])];
        bench.row("recover", size, &|verifier| drop(verifier.recover(&batch).expect("served")), &half, &|| {
            bench.routed.recover_and_tell(&batch).expect("served").1
        });
    }
    for size in SIZES {
        let batch = verifications(&items[..size]);
        let half = [verifications(&items[..size / 2]), verifications(&items[size / 2..size])];
        bench.row("verify", size, &|verifier| drop(verifier.verify(&batch).expect("served")), &half, &|| {
            bench.routed.verify_and_tell(&batch).expect("served").1
        });
    }
}

/// A batch that any verifier checks.
trait Checked: Sync {
    fn check(&self, verifier: &Verifier);
}

impl Checked for RecoverBatch {
    fn check(&self, verifier: &Verifier) {
        drop(verifier.recover(self).expect("served"));
    }
}

impl Checked for VerifyBatch {
    fn check(&self, verifier: &Verifier) {
        drop(verifier.verify(self).expect("served"));
    }
}

impl Bench {
    fn row<B: Checked>(
        &self,
        work: &str,
        size: usize,
        check: &dyn Fn(&Verifier),
        half: &[B; 2],
        routed: &dyn Fn() -> Option<Decision>,
    ) {
        for _ in 0..LEARNED {
            routed();
        }
        let mut rounds: Vec<[f64; 4]> = Vec::new();
        let start = Instant::now();
        let mut last = None;
        while rounds.len() < ROUNDS.0 || (rounds.len() < ROUNDS.1 && start.elapsed() < TIME) {
            // Half of the batch each, at once: whether they run beside each other at all.
            let both = || {
                std::thread::scope(|scope| {
                    scope.spawn(|| half[1].check(&self.gpu));
                    half[0].check(&self.cpu);
                });
            };
            let cpu = seconds(|| check(&self.cpu));
            let gpu = seconds(|| check(&self.gpu));
            let both = seconds(both);
            let took = seconds(|| last = routed());
            rounds.push([cpu, gpu, both, took]);
        }
        let middle = |column: usize| median(rounds.iter().map(|round| round[column]).collect());
        let better = usize::from(middle(1) < middle(0));
        // Of the same round, so that what disturbs one of them disturbs both.
        let ratio = median(rounds.iter().map(|round| round[3] / round[better]).collect());
        let decision = last.expect("it is routed");
        let micro = |column: usize| middle(column) * 1e6;
        println!(
            "{work},{size},{},{:.0},{:.0},{:.0},{:.0},{ratio:.3},{},{},\"{}\"",
            rounds.len(),
            micro(0),
            micro(1),
            micro(2),
            micro(3),
            decision.items_of(0),
            size - decision.items_of(0),
            decision.why
        );
    }
}

fn adapter(asked: Option<&str>) -> Option<Adapter> {
    let asked = asked.map(str::to_lowercase);
    let is_it = |adapter: &Adapter| asked.as_ref().is_none_or(|asked| adapter.name().to_lowercase().contains(asked));
    adapters().into_iter().find(is_it)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Valid items without a key: any r that is an x coordinate, with any s and digest, is a signature of the key that it recovers.
fn items(cpu: &Verifier, count: usize) -> Vec<(RecoverItem, KeyBytes)> {
    let item = |index: usize| {
        let word = |kind: u8| phalanx::cpu::sha256(&[&[kind][..], &index.to_le_bytes()].concat());
        RecoverItem {
            digest: word(0),
            signature: SignatureBytes { r: word(1), s: word(2) },
            recovery_id: word(3)[0] & 1,
            rules: Rules::Sec1,
        }
    };
    let mut found = Vec::new();
    let mut next = 0;
    while found.len() < count {
        let some: Vec<RecoverItem> = (next..next + count).map(item).collect();
        next += count;
        let verdicts = cpu.recover(&some.iter().copied().collect()).expect("the CPU checks");
        found.extend(some.into_iter().zip(verdicts).filter_map(|(item, verdict)| match verdict {
            Verdict::Valid(signer) => Some((item, KeyBytes::Uncompressed(signer.public_key))),
            Verdict::Invalid(_) => None,
        }));
    }
    found.truncate(count);
    found
}

fn recoveries(items: &[(RecoverItem, KeyBytes)]) -> RecoverBatch {
    items.iter().map(|(item, _)| *item).collect()
}

fn verifications(items: &[(RecoverItem, KeyBytes)]) -> VerifyBatch {
    let verify = |(item, key): &(RecoverItem, KeyBytes)| VerifyItem {
        digest: item.digest,
        signature: item.signature,
        key: *key,
        rules: item.rules,
    };
    items.iter().map(verify).collect()
}
