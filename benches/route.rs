//! The CPU alone, a GPU alone and both as the router divides batches, in turns on the same inputs: lines of comma-separated values.
//!
//! `cargo xtask route [ADAPTER]` runs it and keeps a record. The name of one kind of work may follow the adapter's. With `--threads N`
//! the CPU has so many threads, each on a core of its own.

#[path = "common/affinity.rs"]
mod affinity;

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use phalanx::batch::MessageBatch;
use phalanx::gpu::{Adapter, adapters};
use phalanx::route::Decision;
use phalanx::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};
use phalanx::scheme::hash::HashFunction;
use phalanx::{BackendChoice, Rules, Verdict, Verifier, VerifierConfig};

/// Sizes of batches.
const SIZES: [usize; 7] = [16, 64, 256, 1_024, 4_096, 16_384, 65_536];

/// One more for a GPU that is no software, which would take minutes.
const LARGE: usize = 262_144;

/// Batches that the router learns from before it is timed.
const LEARNED: usize = 20;

/// Bytes of a message to be hashed.
const MESSAGE: usize = 200;

/// Rounds at least and at most; as many between as there is time for.
const ROUNDS: (usize, usize) = (7, 61);
const TIME: Duration = Duration::from_secs(3);

/// What is timed in each round.
const CONTENDERS: usize = 4;

struct Bench {
    cpu: Verifier,
    gpu: Verifier,
    routed: Verifier,
}

fn main() {
    let Asked { adapter: asked, only, threads } = Asked::parse(std::env::args().skip(1));
    let Some(adapter) = adapter(asked.as_deref()) else {
        eprintln!("no GPU adapter with that name here");
        return;
    };
    let alone = BackendChoice::Name(adapter.name().to_owned());
    let config = |backend| VerifierConfig { backend, threads, without_cache: true, ..VerifierConfig::default() };
    let on = |backend| Verifier::new(&config(backend)).expect("an adapter that is there");
    let cpu = on(BackendChoice::Cpu);
    let sizes: Vec<usize> = SIZES.into_iter().chain((!adapter.is_software()).then_some(LARGE)).collect();
    let items = items(&cpu, sizes[sizes.len() - 1]);
    if threads.is_some() {
        // Costs are measured as soon as an adapter serves: whatever thread it starts is to be in its place by then.
        std::thread::spawn(|| {
            loop {
                affinity::pin_threads().expect("each thread has a core");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }
    // One after the other: each times kernels when it is opened, and must not disturb the other.
    let open = |backend| {
        if threads.is_some() {
            // Threads start where their maker is: those that a driver makes are in their place from the first.
            affinity::pin_threads().expect("each thread has a core");
        }
        served(on(backend), &items)
    };
    let opened = |backend| {
        let name = "phalanx-gpu-open".to_owned();
        std::thread::scope(|scope| {
            let opening = std::thread::Builder::new().name(name).spawn_scoped(scope, || open(backend));
            opening.expect("a thread starts").join().expect("it serves")
        })
    };
    let gpu = opened(alone.clone());
    let routed = opened(BackendChoice::Beside(Box::new(alone)));
    let bench = Bench { cpu, gpu, routed };
    let start = Instant::now();
    assert!(bench.routed.wait_until_measured(Duration::from_mins(2)), "costs are measured in two seconds");
    println!(
        "# adapter: {}, {}; costs known {:.1} s after it served",
        adapter.name(),
        adapter.driver(),
        start.elapsed().as_secs_f64()
    );
    println!("work,items,rounds,cpu_us,gpu_us,both_us,routed_us,ratio,cpu_items,gpu_items,why");
    let works: [(&str, &dyn Fn(usize)); 3] = [
        ("recover", &|size| bench.row("recover", size, |range| recoveries(&items[range]))),
        ("verify", &|size| bench.row("verify", size, |range| verifications(&items[range]))),
        ("keccak256", &|size| bench.row("keccak256", size, messages)),
    ];
    for (_, row) in works.iter().filter(|(work, _)| only.as_ref().is_none_or(|only| only == work)) {
        sizes.iter().copied().for_each(row);
    }
}

/// What is asked of the bench.
#[derive(Default)]
struct Asked {
    adapter: Option<String>,
    only: Option<String>,
    threads: Option<usize>,
}

impl Asked {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut asked = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--threads" => asked.threads = arguments.next().map(|threads| threads.parse().expect("a number")),
                // Cargo passes `--bench`.
                flag if flag.starts_with("--") => {}
                _ if asked.adapter.is_none() => asked.adapter = Some(argument),
                _ => asked.only = Some(argument),
            }
        }
        asked
    }
}

/// Waits for a GPU that was asked for, which whoever asked does with the first batch of a kind.
fn served(verifier: Verifier, items: &[(RecoverItem, KeyBytes)]) -> Verifier {
    recoveries(&items[..16]).check(&verifier);
    verifications(&items[..16]).check(&verifier);
    messages(0..16).check(&verifier);
    verifier
}

/// A batch that any verifier checks.
trait Checked: Sync {
    /// Has it checked.
    fn check(&self, verifier: &Verifier);
    /// Has it checked, and gives what a router decided.
    fn decision(&self, verifier: &Verifier) -> Option<Decision>;
}

impl Checked for RecoverBatch {
    fn check(&self, verifier: &Verifier) {
        black_box(verifier.recover(self).expect("it serves"));
    }

    fn decision(&self, verifier: &Verifier) -> Option<Decision> {
        verifier.recover_and_tell(self).expect("it serves").1
    }
}

impl Checked for VerifyBatch {
    fn check(&self, verifier: &Verifier) {
        black_box(verifier.verify(self).expect("it serves"));
    }

    fn decision(&self, verifier: &Verifier) -> Option<Decision> {
        verifier.verify_and_tell(self).expect("it serves").1
    }
}

impl Checked for MessageBatch {
    fn check(&self, verifier: &Verifier) {
        black_box(verifier.hash(HashFunction::Keccak256, self).expect("it serves"));
    }

    fn decision(&self, verifier: &Verifier) -> Option<Decision> {
        verifier.hash_and_tell(HashFunction::Keccak256, self).expect("it serves").1
    }
}

impl Bench {
    fn row<B: Checked>(&self, work: &str, size: usize, make: impl Fn(Range<usize>) -> B) {
        let batch = make(0..size);
        // Half of the batch each, at once: whether they run beside each other at all.
        let (first, second) = (make(0..size / 2), make(size / 2..size));
        let both = || {
            std::thread::scope(|scope| {
                scope.spawn(|| second.check(&self.gpu));
                first.check(&self.cpu);
            });
        };
        let contenders: [&dyn Fn(); CONTENDERS] =
            [&|| batch.check(&self.cpu), &|| batch.check(&self.gpu), &both, &|| batch.check(&self.routed)];
        (0..LEARNED).for_each(|_| contenders[CONTENDERS - 1]());
        let mut rounds: Vec<[f64; CONTENDERS]> = Vec::new();
        let start = Instant::now();
        while rounds.len() < ROUNDS.0 || (rounds.len() < ROUNDS.1 && start.elapsed() < TIME) {
            let mut round = [0.0; CONTENDERS];
            for place in 0..CONTENDERS {
                // In turns, and each after a batch of its own: what went before has left caches and threads as it needed them.
                let contender = (place + rounds.len()) % CONTENDERS;
                contenders[contender]();
                round[contender] = seconds(contenders[contender]);
            }
            rounds.push(round);
        }
        let middle = |column: usize| median(rounds.iter().map(|round| round[column]).collect());
        let better = usize::from(middle(1) < middle(0));
        // Of the same round, so that what disturbs one of them disturbs both.
        let ratio = median(rounds.iter().map(|round| round[3] / round[better]).collect());
        let decision = batch.decision(&self.routed).expect("it is routed");
        let micro = |column: usize| middle(column) * 1e6;
        println!(
            "{work},{size},{},{:.1},{:.1},{:.1},{:.1},{ratio:.3},{},{},\"{}\"",
            rounds.len(),
            micro(0),
            micro(1),
            micro(2),
            micro(3),
            decision.items_of(0),
            decision.items - decision.items_of(0),
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

fn messages(range: Range<usize>) -> MessageBatch {
    let message = |index: usize| [&index.to_le_bytes()[..], &[7; MESSAGE - size_of::<usize>()]].concat();
    range.map(message).collect()
}
