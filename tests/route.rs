//! The router's decisions, against machines whose clock is simulated.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of items, far below 2^52"
)]

use std::collections::BTreeMap;

use phalanx::route::{CPU, Decision, Line, Outcome, Policy, Share, Work};
use phalanx::scheme::hash::HashFunction;
use proptest::prelude::*;

/// The CPU and GPUs as they really are, and the time.
struct Machine {
    policy: Policy,
    truth: Vec<Truth>,
    now: f64,
    /// Probes, and shares that were left behind, by when they are done.
    running: Vec<(f64, Running)>,
    random: u64,
    /// Measurements differ from the truth by up to this factor either way.
    noise: f64,
}

#[derive(Clone, Copy)]
struct Truth {
    line: Line,
    /// How many times longer it takes beside others.
    contention: f64,
    state: State,
    free_at: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Slower(f64),
    /// What it has taken on, it never answers.
    Hung,
    /// It fails at once.
    Lost,
}

enum Running {
    Probe(Decision, Outcome),
    Late(Decision, Share, f64),
}

/// How a batch went.
struct Ran {
    decision: Decision,
    seconds: f64,
}

impl Ran {
    fn gpu_items(&self) -> usize {
        self.decision.items - self.decision.items_of(CPU)
    }
}

impl Machine {
    /// A machine whose costs were measured without an error.
    fn new(backends: &[(Line, f64)]) -> Self {
        let mut policy = Policy::new();
        for (index, (line, contention)) in backends.iter().enumerate() {
            if index != CPU {
                assert_eq!(policy.add(&format!("gpu {index}"), 64), Some(index));
            }
            for work in Work::ALL {
                policy.set_cost(index, work, *line, *contention);
            }
        }
        let truth = |(line, contention): &(Line, f64)| Truth {
            line: *line,
            contention: *contention,
            state: State::Slower(1.0),
            free_at: 0.0,
        };
        Self {
            policy,
            truth: backends.iter().map(truth).collect(),
            now: 0.0,
            running: Vec::new(),
            random: 1,
            noise: 1.0,
        }
    }

    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        f64::from(u32::try_from(self.random >> 33).unwrap()) / f64::from(1u32 << 31)
    }

    /// Seconds of work, or `None` if it never ends.
    fn work(&mut self, backend: usize, items: usize, beside: bool) -> Option<f64> {
        let noise = self.noise.powf(2.0 * self.random() - 1.0);
        let truth = self.truth[backend];
        let contention = if beside { truth.contention } else { 1.0 };
        match truth.state {
            State::Slower(factor) => Some(truth.line.seconds(items) * factor * contention * noise),
            State::Hung => None,
            State::Lost => unreachable!("asked before"),
        }
    }

    fn cpu_seconds(&self, items: usize) -> f64 {
        self.truth[CPU].line.seconds(items)
    }

    /// Answers a batch as the router does, and lets `pause` seconds pass.
    fn batch(&mut self, work: Work, items: usize, pause: f64) -> Ran {
        self.tell_what_is_done();
        let decision = self.policy.decide(work, items, self.now, &|_| true);
        covers(&decision, items);
        let beside = decision.shares.len() > 1;
        let mut end = self.now;
        let mut outcomes = Vec::new();
        let mut redone = 0;
        for share in &decision.shares {
            let start = self.truth[share.backend].free_at.max(self.now);
            if self.truth[share.backend].state == State::Lost {
                outcomes.push(Outcome::Failed);
                redone += share.items.len();
                continue;
            }
            let seconds = self.work(share.backend, share.items.len(), beside);
            let done = seconds.map_or(f64::INFINITY, |seconds| start + seconds);
            self.truth[share.backend].free_at = if done.is_finite() { done } else { start };
            if share.backend != CPU && done > self.now + decision.late {
                outcomes.push(Outcome::Late(self.now + decision.late - start));
                redone += share.items.len();
                end = end.max(self.now + decision.late);
                if let Some(seconds) = seconds {
                    self.running.push((done, Running::Late(decision.clone(), share.clone(), seconds)));
                }
            } else {
                outcomes.push(Outcome::Done(seconds));
                end = end.max(done);
            }
        }
        if let Some(probe) = &decision.probe {
            assert!(decision.items_of(probe.backend) == 0 && (1..=items).contains(&probe.items));
            if self.truth[probe.backend].state == State::Lost {
                self.running.push((self.now, Running::Probe(decision.clone(), Outcome::Failed)));
            } else {
                let start = self.truth[probe.backend].free_at.max(self.now);
                let (backend, items) = (probe.backend, probe.items);
                let seconds = self.work(backend, items, true);
                let done = seconds.map_or(f64::INFINITY, |seconds| start + seconds);
                self.truth[backend].free_at = if done.is_finite() { done } else { start };
                self.running.push((done, Running::Probe(decision.clone(), Outcome::Done(seconds))));
            }
        }
        self.policy.learn(&decision, &outcomes);
        end += self.cpu_seconds(redone);
        let seconds = end - self.now;
        self.now = end + pause;
        Ran { decision, seconds }
    }

    fn tell_what_is_done(&mut self) {
        for (done, running) in std::mem::take(&mut self.running) {
            match running {
                Running::Probe(decision, outcome) if done <= self.now => self.policy.learn_probe(&decision, outcome),
                Running::Late(decision, share, seconds) if done <= self.now => {
                    self.policy.learn_late(&decision, &share, Outcome::Done(Some(seconds)));
                }
                running => self.running.push((done, running)),
            }
        }
    }

    /// A device that hung was reset: what it had is answered with an error, and it works again.
    fn reset(&mut self, backend: usize) {
        self.truth[backend].state = State::Slower(1.0);
        self.truth[backend].free_at = self.now;
        for (done, running) in &mut self.running {
            if let (true, Running::Probe(_, outcome)) = (done.is_infinite(), running) {
                (*done, *outcome) = (self.now, Outcome::Failed);
            }
        }
    }
}

/// Shares follow each other, cover the batch and are not empty.
fn covers(decision: &Decision, items: usize) {
    assert_eq!(decision.items, items);
    let mut end = 0;
    for share in &decision.shares {
        assert_eq!(share.items.start, end, "{decision:?}");
        assert!(share.items.end > end || items == 0, "{decision:?}");
        end = share.items.end;
    }
    assert_eq!(end, items, "{decision:?}");
}

fn cpu() -> (Line, f64) {
    (Line::new(2e-5, 2e-5), 1.0)
}

fn gpu() -> (Line, f64) {
    (Line::new(4e-3, 2e-6), 1.0)
}

#[test]
fn a_gpu_that_does_not_pay_is_probed_seldom() {
    let mut machine = Machine::new(&[(Line::new(0.0, 1e-5), 2.0), (Line::new(1e-3, 4e-5), 2.0)]);
    let probes = (0..400).filter(|_| machine.batch(Work::Recover, 10_000, 0.1).decision.probe.is_some()).count();
    // Were it twice as good as it was, it would pay: that is looked at after 64 batches each.
    assert!((1..=7).contains(&probes), "{probes} probes");
}

#[test]
fn small_batches_go_to_the_cpu_and_large_ones_to_both() {
    let mut machine = Machine::new(&[cpu(), gpu()]);
    for items in [1, 16, 100] {
        let ran = machine.batch(Work::Recover, items, 0.0);
        assert_eq!(ran.gpu_items(), 0, "{}", ran.decision);
    }
    let ran = machine.batch(Work::Recover, 65_536, 0.0);
    let ends: Vec<_> =
        ran.decision.shares.iter().map(|share| machine.truth[share.backend].line.seconds(share.items.len())).collect();
    assert!(ends.len() == 2 && (ends[0] / ends[1] - 1.0).abs() < 0.01, "{}: {ends:?}", ran.decision);
    assert!(ran.seconds < 0.95 * machine.truth[1].line.seconds(65_536));
    let told = ran.decision.to_string();
    assert!(told.starts_with("recover of 65536: cpu 6") && told.contains(": ends soonest ("), "{told}");
    assert!(told.contains("(cpu 1.31 s, gpu 1 135.1 ms, cpu + gpu 1 122.9 ms)"), "{told}");
}

#[test]
fn an_empty_batch_goes_to_nobody() {
    let mut machine = Machine::new(&[cpu(), gpu()]);
    let ran = machine.batch(Work::Verify, 0, 0.0);
    assert_eq!(ran.decision.items, 0);
    assert!(ran.decision.shares.is_empty() && ran.decision.probe.is_none());
}

#[test]
fn without_measurements_the_cpu_answers_and_is_measured() {
    let mut policy = Policy::new();
    policy.add("gpu", 64);
    let decision = policy.decide(Work::Verify, 1_000, 0.0, &|_| true);
    assert_eq!(decision.items_of(CPU), 1_000);
    assert!(decision.to_string().ends_with("not measured yet"), "{decision}");
    policy.learn(&decision, &[Outcome::Done(Some(0.02))]);
    assert!(policy.knows(CPU, Work::Verify) && !policy.knows(1, Work::Verify));
    let decision = policy.decide(Work::Verify, 1_000, 1.0, &|_| true);
    assert!((decision.expected - 0.02).abs() < 1e-3, "{decision}");
    assert!(decision.to_string().ends_with("ends soonest"), "{decision}");
    let decision = policy.decide(Work::Verify, 1_000, 2.0, &|_| false);
    assert!(decision.to_string().ends_with("nothing else serves"), "{decision}");
}

#[test]
fn every_gpu_has_its_share() {
    let slow = (Line::new(8e-3, 6e-6), 1.0);
    let mut machine = Machine::new(&[cpu(), gpu(), slow, gpu()]);
    let ran = machine.batch(Work::Recover, 100_000, 0.0);
    let shares: BTreeMap<_, _> = ran.decision.shares.iter().map(|share| (share.backend, share.items.len())).collect();
    assert_eq!(shares.len(), 4, "{}", ran.decision);
    assert!(shares[&1] > 2 * shares[&2] && shares[&1].abs_diff(shares[&3]) <= 64, "{}", ran.decision);
    // With more backends than sets are tried of, all of them still take part.
    let mut machine = Machine::new(&[cpu(), gpu(), slow, gpu(), gpu(), gpu(), gpu()]);
    assert_eq!(machine.batch(Work::Recover, 1_000_000, 0.0).decision.shares.len(), 7);
}

#[test]
fn a_queue_counts() {
    let mut machine = Machine::new(&[cpu(), gpu()]);
    let first = machine.policy.decide(Work::Recover, 65_536, 0.0, &|_| true);
    let second = machine.policy.decide(Work::Recover, 65_536, 0.0, &|_| true);
    assert!(second.expected > 1.9 * first.expected, "{second}");
    machine.policy.learn(&first, &first.shares.iter().map(|share| Outcome::Done(Some(share.cost))).collect::<Vec<_>>());
    machine
        .policy
        .learn(&second, &second.shares.iter().map(|share| Outcome::Done(Some(share.cost))).collect::<Vec<_>>());
    let third = machine.policy.decide(Work::Recover, 65_536, second.expected, &|_| true);
    assert!((third.expected / first.expected - 1.0).abs() < 0.01, "{third}");
}

#[test]
fn a_deadline_makes_a_gpu_late() {
    let mut machine = Machine::new(&[cpu(), gpu()]);
    machine.truth[1].state = State::Hung;
    machine.policy.set_deadline(0.05);
    let ran = machine.batch(Work::Recover, 65_536, 0.0);
    assert!((ran.decision.late - 0.05).abs() < 1e-9);
    assert!(ran.seconds <= 0.05 + machine.cpu_seconds(65_536), "{}", ran.seconds);
    machine.policy.set_deadline(f64::NAN);
    assert!(machine.batch(Work::Recover, 65_536, 0.0).decision.late > 0.1);
}

/// How many batches pass until `until` holds of one; at most 100.
fn batches(machine: &mut Machine, items: usize, until: impl Fn(&Ran) -> bool) -> usize {
    for count in 0..100 {
        let before = machine.cpu_seconds(items);
        let ran = machine.batch(Work::Recover, items, 1e-3);
        assert!(ran.seconds <= ran.decision.late + before * 1.001, "{} s: {}", ran.seconds, ran.decision);
        if until(&ran) {
            return count;
        }
    }
    100
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_gpu_slowed_tenfold_is_left_within_three_batches_and_has_its_share_again_within_ten(
        items in 3_000..100_000usize,
        // In a hundred items of the CPU, and as parts of the CPU's time.
        fixed in 0.0..0.5f64,
        rate in 0.15..0.5f64,
        contention in 1.0..1.2f64,
        noise in 1.0..1.15f64,
        slow_for in 5..60usize,
        seed: u64,
    ) {
        let cpu = Line::new(1e-5, 2e-5);
        let gpu = Line::new(fixed * cpu.seconds(1_000), rate * cpu.per_item());
        let mut machine = Machine::new(&[(cpu, contention), (gpu, contention)]);
        (machine.noise, machine.random) = (noise, seed);
        let usual = (0..20).map(|_| machine.batch(Work::Recover, items, 1e-3).gpu_items()).last().unwrap();
        prop_assert!(usual > items / 3);
        machine.truth[1].state = State::Slower(10.0);
        // The share that pays still where it is ten times as slow, and a quarter for the noise.
        let fair = (items as f64 * 1.25 / (1.0 + 10.0 * rate)) as usize;
        let left = batches(&mut machine, items, |ran| ran.gpu_items() <= fair);
        prop_assert!(left <= 3, "{left} batches");
        let mut slow = 0.0;
        for _ in 0..slow_for {
            let ran = machine.batch(Work::Recover, items, 1e-3);
            prop_assert!(ran.gpu_items() <= fair, "{}", ran.decision);
            slow += ran.seconds;
        }
        let cpu_alone = machine.cpu_seconds(items) * slow_for as f64;
        prop_assert!(slow <= 1.3 * cpu_alone, "{slow} s, and {cpu_alone} s on the CPU alone");
        machine.truth[1].state = State::Slower(1.0);
        let back = batches(&mut machine, items, |ran| ran.gpu_items() * 10 >= usual * 7);
        prop_assert!(back <= 10, "{back} batches");
    }

    #[test]
    fn a_gpu_that_hangs_or_is_lost_is_left_and_comes_back(
        items in 3_000..100_000usize,
        lost: bool,
        down_for in 5..60usize,
    ) {
        let mut machine = Machine::new(&[cpu(), gpu()]);
        let usual = (0..5).map(|_| machine.batch(Work::Recover, items, 1e-3).gpu_items()).last().unwrap();
        machine.truth[1].state = if lost { State::Lost } else { State::Hung };
        let left = batches(&mut machine, items, |ran| ran.gpu_items() == 0);
        prop_assert!(left <= if lost { 1 } else { 2 }, "{left} batches");
        for _ in 0..down_for {
            let ran = machine.batch(Work::Recover, items, 1e-3);
            prop_assert!(ran.gpu_items() == 0 && ran.decision.to_string().ends_with("; suspended: gpu 1"), "{}", ran.decision);
        }
        machine.reset(1);
        let back = batches(&mut machine, items, |ran| ran.gpu_items() * 10 >= usual * 7);
        prop_assert!(back <= 10, "{back} batches");
    }

    #[test]
    fn noise_makes_nothing_flap(
        items in 1_000..100_000usize,
        rate in 0.8..1.25f64,
        contention in 1.0..2.5f64,
        seed: u64,
    ) {
        let cpu = Line::new(1e-5, 2e-5);
        let gpu = Line::new(1e-3, rate * 2e-5);
        let mut machine = Machine::new(&[(cpu, contention), (gpu, contention)]);
        (machine.noise, machine.random) = (1.2, seed);
        let mut plans: Vec<Vec<usize>> = Vec::new();
        for _ in 0..400 {
            let ran = machine.batch(Work::Recover, items, 1e-3);
            // A little that the CPU is tried with is no other plan.
            let is_tried = |backend| backend == CPU && ran.decision.items_of(CPU) == items / 32;
            plans.push(ran.decision.shares.iter().map(|share| share.backend).filter(|own| !is_tried(*own)).collect());
        }
        let changes = plans.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(changes <= 20, "{changes} changes");
    }

    #[test]
    fn whatever_was_measured_a_batch_is_covered(
        parts in prop::collection::vec((wild(), wild(), wild()), 2..6),
        told in prop::collection::vec((wild(), 0..4u8), 0..40),
        items in prop_oneof![Just(0), Just(1), Just(usize::MAX), 2..100_000usize],
    ) {
        let mut policy = Policy::new();
        for (index, (fixed, per_item, contention)) in parts.iter().enumerate() {
            if index > 0 {
                policy.add("gpu", index * 77);
            }
            policy.set_cost(index, Work::Recover, Line::new(*fixed, *per_item), *contention);
        }
        let mut now = 0.0;
        for (seconds, kind) in told {
            let decision = policy.decide(Work::Recover, items, now, &|index| index != usize::from(kind));
            covers(&decision, items);
            let outcome = match kind {
                0 => Outcome::Failed,
                1 => Outcome::Late(seconds),
                2 => Outcome::Done(None),
                _ => Outcome::Done(Some(seconds)),
            };
            policy.learn(&decision, &vec![outcome; decision.shares.len()]);
            policy.learn_probe(&decision, outcome);
            now += if seconds.is_finite() { seconds } else { 1.0 };
        }
    }
}

fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(-1.0), Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), 0.0..1.0f64]
}

/// A software adapter on the CPU's own cores: beside each other, each takes twice as long.
#[test]
fn where_a_split_does_not_pay_none_is_made() {
    for rate in [0.5, 0.9, 1.0, 1.1, 2.0, 4.0] {
        let cpu = Line::new(1e-5, 2e-5);
        let gpu = Line::new(2e-3, rate * 2e-5);
        let mut machine = Machine::new(&[(cpu, 2.0), (gpu, 2.0)]);
        // It was measured as if they did not disturb each other.
        for (backend, line) in [(CPU, cpu), (1, gpu)] {
            machine.policy.set_cost(backend, Work::Hash(HashFunction::Sha256), line, 1.0);
        }
        machine.noise = 1.1;
        for items in [16, 256, 1_024, 4_096, 16_384, 65_536] {
            let mut times: Vec<f64> = (0..60)
                .map(|_| machine.batch(Work::Hash(HashFunction::Sha256), items, 1e-3).seconds)
                .skip(20)
                .collect();
            times.sort_by(f64::total_cmp);
            let best = cpu.seconds(items).min(gpu.seconds(items));
            let median = times[times.len() / 2];
            assert!(median <= 1.1 * best, "rate {rate}, {items} items: {median} s, and {best} s alone");
            let mean = times.iter().sum::<f64>() / 40.0;
            assert!(mean <= 1.1 * best, "rate {rate}, {items} items: {mean} s on average, and {best} s alone");
        }
    }
}

/// Measured when the machine was busy with something else, a GPU seems twice as slow as it is.
#[test]
fn a_gpu_that_is_better_than_was_measured_is_found_out() {
    let cpu = Line::new(1e-5, 2e-5);
    let gpu = Line::new(1e-3, 1.2e-5);
    let mut machine = Machine::new(&[(cpu, 1.0), (gpu, 1.0)]);
    machine.policy.set_cost(1, Work::Recover, Line::new(2e-1, 6e-5), 2.0);
    assert_eq!(machine.batch(Work::Recover, 8_000, 0.0).gpu_items(), 0);
    let found = (0..200).map(|_| machine.batch(Work::Recover, 8_000, 1e-3).gpu_items()).position(|items| items > 2_000);
    assert!(found.is_some());
}

/// Measured when the machine was busy with something else, the CPU seems thirty times as slow as it is.
#[test]
fn a_cpu_that_is_better_than_was_measured_is_found_out() {
    let cpu = Line::new(1e-5, 2e-5);
    let gpu = Line::new(1e-3, 4e-5);
    let mut machine = Machine::new(&[(cpu, 1.2), (gpu, 1.2)]);
    machine.policy.set_cost(CPU, Work::Recover, Line::new(0.0, 6e-4), 1.0);
    assert_eq!(machine.batch(Work::Recover, 4_000, 0.0).gpu_items(), 4_000);
    let found =
        (0..100).map(|_| machine.batch(Work::Recover, 4_000, 1e-3)).position(|ran| ran.decision.items_of(CPU) > 2_000);
    assert!(found.is_some());
}
