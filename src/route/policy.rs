//! Decides which backends answer a batch, and learns from how long they took. It reads no clock: the caller tells the time, in
//! seconds from any start.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backend::{Backend, Beside};
use super::decision::{Decision, Probe, Share, Why, Work};
use super::line::{Line, count};
use super::split::{Division, Offer, divide};

/// The CPU's index.
pub const CPU: usize = 0;

/// A plan must be this many times as good as the one in use to replace it at once.
const SWITCH_AT_ONCE: f64 = 1.25;

/// A plan must be this many times as good for [`SWITCH_AFTER`] batches in a row to replace the one in use.
const SWITCH: f64 = 1.05;
const SWITCH_AFTER: u32 = 4;

/// A split ends with the last of its parts, each of which may take longer than expected: it must be this many times as good.
const SPLIT: f64 = 1.05;

/// A backend that is this many times slower than usual, or suspended, is in trouble, which may be over at any time. What is less may be
/// others at work on the same cores.
const TROUBLE: f64 = 2.5;

/// Of the batches for which a backend in trouble would pay without it, every so many-th probes it.
const PROBE_EVERY: u32 = 4;

/// Any other one is probed when it was not measured for so many batches, and then as if it had become twice as good.
const STALE: u32 = 64;

/// A CPU not measured for so many batches answers a part of one that is a GPU's, this much of it.
const CPU_STALE: u32 = 16;
const CPU_PART: usize = 32;

/// A probe is an eighth of a batch, and at most so many items.
const PROBE_PART: usize = 8;
const PROBE_ITEMS: usize = 4_096;

/// Work of a GPU is late at this many times the time expected for the batch, and this much later, in seconds. The second part is what a
/// busy machine may keep a thread waiting.
const LATE_FACTOR: f64 = 2.0;
const LATE_SLACK: f64 = 0.01;

/// With more backends than this, not every set of them is considered.
const ALL_SETS: usize = 4;

/// The most backends.
pub const MOST_BACKENDS: usize = 16;

/// Backends that work together, a bit for each.
type Set = u32;

/// Decides, and learns. Backend 0 is the CPU: it serves everything, and is never late.
#[derive(Debug)]
pub struct Policy {
    backends: Vec<Backend>,
    /// The plan in use, for each kind of work and size of batch.
    habits: BTreeMap<(Work, u32), Habit>,
    deadline: f64,
}

#[derive(Debug)]
struct Habit {
    set: Set,
    /// Batches in a row for which another plan was better.
    better: u32,
}

/// How a backend did with its share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It answered, after so many seconds of work; `None` where others' work on the same backend kept that from being told.
    Done(Option<f64>),
    /// It has not answered within so many seconds, and is not waited for.
    Late(f64),
    /// It failed, and will not answer.
    Failed,
}

/// A plan that could be followed.
struct Candidate {
    set: Set,
    division: Division,
}

impl Policy {
    /// A policy for the CPU alone; GPUs are added.
    #[must_use]
    pub fn new() -> Self {
        Self { backends: vec![Backend::new("cpu", 1)], habits: BTreeMap::new(), deadline: f64::INFINITY }
    }

    /// Adds a GPU whose work is done in granules of so many items, and returns its index; `None` if there are [`MOST_BACKENDS`].
    pub fn add(&mut self, name: &str, granule: usize) -> Option<usize> {
        if self.backends.len() >= MOST_BACKENDS {
            return None;
        }
        self.backends.push(Backend::new(name, granule));
        Some(self.backends.len() - 1)
    }

    /// Has work of GPUs count as late after so many seconds, if it does not before.
    pub fn set_deadline(&mut self, seconds: f64) {
        self.deadline = if seconds.is_nan() { f64::INFINITY } else { seconds.max(0.0) };
    }

    /// Sets what a backend's work costs, as measured: by itself, and how many times longer while the others work too (at least 1).
    pub fn set_cost(&mut self, backend: usize, work: Work, line: Line, contention: f64) {
        if let Some(backend) = self.backends.get_mut(backend) {
            backend.set(work, line, contention);
        }
    }

    /// Whether it is known what a backend's work costs.
    #[must_use]
    pub fn knows(&self, backend: usize, work: Work) -> bool {
        self.backends.get(backend).is_some_and(|backend| backend.knows(work))
    }

    /// What is worth keeping of a backend: for each kind of work the line, and the contention.
    #[must_use]
    pub fn costs(&self, backend: usize) -> Vec<(Work, Line, f64)> {
        self.backends.get(backend).map(|backend| backend.kept().collect()).unwrap_or_default()
    }

    /// A backend's name.
    #[must_use]
    pub fn name(&self, backend: usize) -> Option<&str> {
        self.backends.get(backend).map(|backend| &*backend.name)
    }

    /// Decides about a batch, `now`. `serves` tells which backends could answer it; what it says of the CPU is not asked.
    ///
    /// The shares are taken on with it: each must be told of in [`Policy::learn`].
    pub fn decide(&mut self, work: Work, items: usize, now: f64, serves: &dyn Fn(usize) -> bool) -> Decision {
        let serving: Vec<usize> = (0..self.backends.len()).filter(|index| *index == CPU || serves(*index)).collect();
        let able: Vec<usize> =
            serving.iter().copied().filter(|index| !self.backends[*index].suspended || *index == CPU).collect();
        let suspended = serving.iter().filter(|index| !able.contains(index));
        let suspended = suspended.map(|index| self.backends[*index].name.clone()).collect();
        let mut decision = Decision {
            work,
            items,
            shares: Vec::new(),
            expected: 0.0,
            late: 0.0,
            why: Why::Alone,
            considered: Vec::new(),
            suspended,
            probe: None,
        };
        let candidates = self.candidates(work, items, now, &able);
        let chosen = if candidates.is_empty() {
            decision.why = if serving.len() > 1 { Why::Unmeasured } else { Why::Alone };
            None
        } else {
            let (place, why) = self.choose(work, items, &candidates);
            decision.why = if serving.len() > 1 { why } else { Why::Alone };
            Some(place)
        };
        let mut shares = match chosen {
            None => vec![(CPU, items)],
            Some(place) => {
                members(candidates[place].set).zip(candidates[place].division.shares.iter().copied()).collect()
            }
        };
        self.try_cpu(work, items, &mut shares);
        decision.expected = chosen.map_or(0.0, |place| candidates[place].division.finish);
        decision.late = (LATE_FACTOR * decision.expected + LATE_SLACK).min(self.deadline);
        decision.considered = self.named(&candidates);
        if chosen.is_some() {
            decision.probe = self.probe(work, items, now, &serving, &shares, decision.expected);
        }
        decision.shares = self.hand_out(work, now, &shares);
        decision
    }

    /// Learns how the shares of a decision were answered, in their order. One that is missing counts as failed.
    pub fn learn(&mut self, decision: &Decision, outcomes: &[Outcome]) {
        let beside = decision.shares.len() > 1;
        let outcome = |place: usize| outcomes.get(place).copied().unwrap_or(Outcome::Failed);
        let (common, mean) = if beside { self.common(decision, outcomes) } else { (0.0, 0.0) };
        for (place, share) in decision.shares.iter().enumerate() {
            let Some(backend) = self.backends.get_mut(share.backend) else { continue };
            let known = if beside { backend.contention(decision.work) } else { 0.0 };
            match outcome(place) {
                Outcome::Done(None) => backend.in_time(),
                Outcome::Done(Some(seconds)) => {
                    backend.finish(share.cost, seconds);
                    backend.in_time();
                    if beside {
                        let items = share.items.len();
                        let residual = backend.residual(decision.work, items, seconds, false);
                        backend.eager |=
                            share.backend == CPU && residual.is_some_and(|residual| residual < -SWITCH_AT_ONCE.ln());
                        let is_fallback = share.backend == CPU;
                        backend.learn_beside(decision.work, Beside { items, seconds, common, mean, is_fallback });
                    } else if backend.knows(decision.work) {
                        backend.learn(decision.work, share.items.len(), seconds);
                    } else if seconds > 0.0
                        && let Some(line) = Line::through(&[(share.items.len(), seconds)])
                    {
                        backend.set(decision.work, line, 1.0);
                    }
                }
                Outcome::Late(seconds) => {
                    backend.too_late();
                    backend.learn_at_least(decision.work, share.items.len(), seconds, known);
                }
                Outcome::Failed => backend.failed(),
            }
        }
    }

    /// Learns what became of work that was late.
    pub fn learn_late(&mut self, decision: &Decision, share: &Share, outcome: Outcome) {
        let Some(backend) = self.backends.get_mut(share.backend) else { return };
        let beside = if decision.shares.len() > 1 { backend.contention(decision.work) } else { 0.0 };
        match outcome {
            Outcome::Done(Some(seconds)) => {
                backend.finish(share.cost, seconds);
                backend.learn(decision.work, share.items.len(), seconds / beside.exp());
            }
            Outcome::Done(None) | Outcome::Late(_) => {}
            Outcome::Failed => backend.failed(),
        }
    }

    /// Learns how a decision's probe was answered.
    pub fn learn_probe(&mut self, decision: &Decision, outcome: Outcome) {
        let Some(probe) = &decision.probe else { return };
        let Some(backend) = self.backends.get_mut(probe.backend) else { return };
        backend.probing = false;
        match outcome {
            Outcome::Done(seconds) => {
                let seconds = seconds.unwrap_or_default();
                let residual = backend.residual(decision.work, probe.items, seconds, true);
                backend.eager = residual.is_some_and(|residual| residual < -SWITCH_AT_ONCE.ln());
                let by_itself = seconds / backend.contention(decision.work).exp();
                backend.learn(decision.work, probe.items, by_itself);
                backend.probed(decision.work);
                backend.readmit();
            }
            Outcome::Late(_) | Outcome::Failed => backend.failed(),
        }
    }

    /// Every plan that differs from the others, by rising set. Empty where the CPU's costs are not known.
    fn candidates(&self, work: Work, items: usize, now: f64, able: &[usize]) -> Vec<Candidate> {
        if !self.backends[CPU].knows(work) {
            return Vec::new();
        }
        let known: Vec<usize> = able.iter().copied().filter(|index| self.backends[*index].knows(work)).collect();
        let plan = |set: Set| {
            let beside = set.count_ones() > 1;
            let offers: Option<Vec<Offer>> =
                members(set).map(|index| self.backends[index].offer(work, beside, now)).collect();
            let division = divide(items, &offers?);
            // One in which somebody gets nothing is that of a smaller set.
            let whole = !beside || division.shares.iter().all(|share| *share > 0);
            whole.then_some(Candidate { set, division })
        };
        sets(&known).into_iter().filter_map(plan).collect()
    }

    /// The place of the candidate to follow. There is one.
    fn choose(&mut self, work: Work, items: usize, candidates: &[Candidate]) -> (usize, Why) {
        let finish = |place: usize| {
            let Candidate { set, division } = &candidates[place];
            division.finish * if set.count_ones() > 1 { SPLIT } else { 1.0 }
        };
        let best = (0..candidates.len()).min_by(|a, b| finish(*a).total_cmp(&finish(*b))).unwrap_or_default();
        let set = candidates[best].set;
        let habit = self.habits.entry((work, items.max(1).ilog2())).or_insert(Habit { set, better: 0 });
        let Some(current) = candidates.iter().position(|candidate| candidate.set == habit.set) else {
            *habit = Habit { set, better: 0 };
            return (best, Why::Soonest);
        };
        if current == best {
            habit.better = 0;
            return (best, Why::Soonest);
        }
        let gain = finish(current) / finish(best).max(f64::MIN_POSITIVE);
        habit.better = if gain >= SWITCH { habit.better + 1 } else { 0 };
        if gain >= SWITCH_AT_ONCE || habit.better >= SWITCH_AFTER {
            *habit = Habit { set, better: 0 };
            return (best, Why::Soonest);
        }
        (current, Why::Kept { gain })
    }

    /// A probe of a backend without a share that might deserve one, and has waited for long enough.
    fn probe(
        &mut self,
        work: Work,
        items: usize,
        now: f64,
        serving: &[usize],
        shares: &[(usize, usize)],
        expected: f64,
    ) -> Option<Probe> {
        let has_share = |index: usize| shares.iter().any(|(backend, share)| *backend == index && *share > 0);
        for index in serving.iter().copied().filter(|index| !has_share(*index) && *index != CPU) {
            let hope = |beside| self.backends[index].hoped(work, beside, now, STALE);
            let (Some(alone), Some(beside)) = (hope(false), hope(true)) else { continue };
            let Some(cpu) = self.backends[CPU].offer(work, true, now) else { continue };
            let finish = alone.finish(items).min(divide(items, &[cpu, beside]).finish);
            let backend = &mut self.backends[index];
            let every = match (backend.is_in_trouble(work, TROUBLE), backend.is_stale(work, STALE)) {
                (true, _) => PROBE_EVERY,
                (false, true) => 1,
                (false, false) => u32::MAX,
            };
            if finish * SWITCH < expected && backend.probe_is_due(work, every) {
                let granule = self.backends[index].granule;
                let part = (items / PROBE_PART).clamp(1, PROBE_ITEMS).next_multiple_of(granule);
                return Some(Probe { backend: index, items: part.min(items) });
            }
        }
        None
    }

    /// Gives a little to a CPU that was not measured for long, or did better than expected when it was. Where it was measured on a busy
    /// machine, nothing else would ever show it.
    fn try_cpu(&mut self, work: Work, items: usize, shares: &mut Vec<(usize, usize)>) {
        let part = items / CPU_PART;
        let cpu = &mut self.backends[CPU];
        if part == 0
            || shares.iter().any(|(backend, _)| *backend == CPU)
            || !(cpu.eager || cpu.is_stale(work, CPU_STALE))
        {
            return;
        }
        cpu.eager = false;
        if let Some((_, most)) = shares.iter_mut().max_by_key(|(_, share)| *share).filter(|(_, share)| *share > part) {
            *most -= part;
            shares.push((CPU, part));
        }
    }

    /// Makes shares of the batch's items in order, and has the backends take them on.
    fn hand_out(&mut self, work: Work, now: f64, shares: &[(usize, usize)]) -> Vec<Share> {
        let takers = shares.iter().filter(|(_, items)| *items > 0).count();
        let mut start = 0;
        let mut handed = Vec::new();
        for index in 0..self.backends.len() {
            let share = shares.iter().find(|(backend, items)| *backend == index && *items > 0);
            let backend = &mut self.backends[index];
            backend.pass(work, share.is_some(), takers > 1);
            if let Some((_, items)) = share {
                let cost = backend.offer(work, takers > 1, now).map_or(0.0, |offer| offer.line.seconds(*items));
                backend.take(cost, now);
                handed.push(Share { backend: index, name: backend.name.clone(), items: start..start + items, cost });
                start += items;
            }
        }
        handed
    }

    /// The logarithm of the factor by which everyone in a split took longer, or less long, than expected: it is their contention, and what
    /// is left is each one's own. And the mean of those logarithms.
    fn common(&self, decision: &Decision, outcomes: &[Outcome]) -> (f64, f64) {
        let mut residuals = Vec::new();
        let mut contention = f64::INFINITY;
        for (share, outcome) in decision.shares.iter().zip(outcomes) {
            let Outcome::Done(Some(seconds)) = outcome else { return (0.0, 0.0) };
            let backend = &self.backends[share.backend];
            let residual = backend.residual(decision.work, share.items.len(), *seconds, true);
            let Some(residual) = residual else { return (0.0, 0.0) };
            residuals.push(residual);
            contention = contention.min(backend.contention(decision.work));
        }
        let least = residuals.iter().copied().fold(f64::INFINITY, f64::min);
        let most = residuals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if residuals.is_empty() || residuals.len() < decision.shares.len() {
            return (0.0, 0.0);
        }
        let common = if least > 0.0 { least } else { most.min(0.0).max(-contention) };
        (common, residuals.iter().sum::<f64>() / count(residuals.len()))
    }

    fn named(&self, candidates: &[Candidate]) -> Vec<(Vec<Arc<str>>, f64)> {
        let names = |set: Set| members(set).map(|index| self.backends[index].name.clone()).collect();
        candidates.iter().map(|candidate| (names(candidate.set), candidate.division.finish)).collect()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

/// The sets of backends to be considered: all there are of a few; of many each alone, all, and all but the first.
fn sets(backends: &[usize]) -> Vec<Set> {
    let bits: Vec<Set> = backends.iter().map(|index| 1 << index).collect();
    if bits.len() <= ALL_SETS {
        let chosen = |choice: u32| bits.iter().enumerate().filter(move |(place, _)| choice >> place & 1 == 1);
        return (1..1u32 << bits.len()).map(|choice| chosen(choice).map(|(_, bit)| bit).sum()).collect();
    }
    let all: Set = bits.iter().sum();
    bits.iter().copied().chain([all, all - bits[0]]).collect()
}

/// The backends of a set, in order.
fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..MOST_BACKENDS).filter(move |index| set >> index & 1 == 1)
}
