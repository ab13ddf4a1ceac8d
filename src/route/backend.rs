//! What the router knows about one backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decision::Work;
use super::line::Line;
use super::model::{Model, SURPRISE};
use super::split::Offer;

/// The most that another backend at work is taken to slow one down.
const MOST_CONTENTION: f64 = 8.0;

/// The share of what a split shows that the contention follows.
const GAIN: f64 = 0.3;

/// What is left of the logarithm of a contention after a batch that did not measure it, so that it is measured again some day.
const FORGET: f64 = 0.995;

/// Answers in a row that come too late before a backend is suspended.
const LATE_IN_A_ROW: u32 = 2;

/// A backend: what its work costs, what it has to do, and whether it can be relied on.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) name: Arc<str>,
    pub(super) granule: usize,
    costs: BTreeMap<Work, Costs>,
    /// When it is expected to be done with what it has.
    busy_until: f64,
    late: u32,
    pub(super) suspended: bool,
    /// A probe is on its way.
    pub(super) probing: bool,
    /// The last probe was better than expected: the next batch tries again.
    pub(super) eager: bool,
}

#[derive(Debug)]
struct Costs {
    model: Model,
    /// The logarithm of how many times longer its work takes while others work too.
    beside: f64,
    /// Batches of this work that were decided since this was last measured.
    age: u32,
    /// Those for which a probe would have paid, since the last one.
    passed: u32,
}

/// What a share took while others worked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    pub(super) items: usize,
    pub(super) seconds: f64,
    pub(super) common: f64,
    pub(super) mean: f64,
    pub(super) is_fallback: bool,
}

impl Backend {
    pub(super) fn new(name: &str, granule: usize) -> Self {
        Self {
            name: name.into(),
            granule: granule.max(1),
            costs: BTreeMap::new(),
            busy_until: 0.0,
            late: 0,
            suspended: false,
            probing: false,
            eager: false,
        }
    }

    /// Sets what work costs, and how many times longer it takes while others work too.
    pub(super) fn set(&mut self, work: Work, line: Line, beside: f64) {
        let beside = if beside.is_nan() { 1.0 } else { beside.clamp(1.0, MOST_CONTENTION) }.ln();
        self.costs.insert(work, Costs { model: Model::new(line), beside, age: 0, passed: 0 });
    }

    pub(super) fn knows(&self, work: Work) -> bool {
        self.costs.contains_key(&work)
    }

    /// The line and contention to be kept for the next start.
    pub(super) fn kept(&self) -> impl Iterator<Item = (Work, Line, f64)> {
        self.costs.iter().map(|(work, costs)| (*work, costs.model.nominal(), costs.beside.exp()))
    }

    /// What it offers now: by itself, or beside others.
    pub(super) fn offer(&self, work: Work, beside: bool, now: f64) -> Option<Offer> {
        let costs = self.costs.get(&work)?;
        let factor = if beside { costs.beside.exp() } else { 1.0 };
        Some(self.offer_of(costs.model.expected().times(factor), now))
    }

    /// What it would offer if it did as well as it usually does; where it was not measured for `stale` batches, as if it did twice as
    /// well and nothing disturbed it.
    pub(super) fn hoped(&self, work: Work, beside: bool, now: f64, stale: u32) -> Option<Offer> {
        let costs = self.costs.get(&work)?;
        let factor = match (costs.age >= stale, beside) {
            (true, _) => 0.5,
            (false, true) => costs.beside.exp(),
            (false, false) => 1.0,
        };
        Some(self.offer_of(costs.model.nominal().times(factor), now))
    }

    fn offer_of(&self, line: Line, now: f64) -> Offer {
        Offer { line, backlog: (self.busy_until - now).max(0.0), granule: self.granule }
    }

    /// Counts a batch; `measured` if this backend will be measured by it.
    pub(super) fn pass(&mut self, work: Work, measured: bool, beside: bool) {
        if let Some(costs) = self.costs.get_mut(&work) {
            costs.age = if measured { 0 } else { costs.age.saturating_add(1) };
            if !(measured && beside) {
                costs.beside *= FORGET;
            }
        }
    }

    /// Counts a batch for which a probe would pay, and tells whether it is the `every`-th.
    pub(super) fn probe_is_due(&mut self, work: Work, every: u32) -> bool {
        let Some(costs) = self.costs.get_mut(&work) else { return false };
        costs.passed += 1;
        let due = !self.probing && (self.eager || costs.passed >= every);
        if due {
            costs.passed = 0;
            self.probing = true;
            self.eager = false;
        }
        due
    }

    /// Whether it is suspended, or so many times slower than usual.
    pub(super) fn is_in_trouble(&self, work: Work, slower: f64) -> bool {
        self.suspended || self.costs.get(&work).is_some_and(|costs| costs.model.pace() > slower)
    }

    /// Whether it was not measured for so many batches of this work.
    pub(super) fn is_stale(&self, work: Work, batches: u32) -> bool {
        self.costs.get(&work).is_some_and(|costs| costs.age >= batches)
    }

    /// Counts that a probe measured it.
    pub(super) fn probed(&mut self, work: Work) {
        if let Some(costs) = self.costs.get_mut(&work) {
            costs.age = 0;
        }
    }

    /// Takes on work.
    pub(super) fn take(&mut self, cost: f64, now: f64) {
        self.busy_until = self.busy_until.max(now) + cost;
    }

    /// Work that was expected to take `cost` took `seconds`.
    pub(super) fn finish(&mut self, cost: f64, seconds: f64) {
        self.busy_until += seconds - cost;
    }

    /// It answered in time.
    pub(super) fn in_time(&mut self) {
        self.late = 0;
    }

    /// It answered a share too late, or has not yet.
    pub(super) fn too_late(&mut self) {
        self.late += 1;
        self.suspended |= self.late >= LATE_IN_A_ROW;
    }

    /// It failed.
    pub(super) fn failed(&mut self) {
        self.suspended = true;
        self.eager = false;
        self.busy_until = 0.0;
    }

    /// It answered after all that it was suspended for.
    pub(super) fn readmit(&mut self) {
        self.suspended = false;
        self.late = 0;
    }

    /// The logarithm of how many times longer a share took than expected.
    pub(super) fn residual(&self, work: Work, items: usize, seconds: f64, beside: bool) -> Option<f64> {
        let costs = self.costs.get(&work)?;
        let residual = costs.model.residual(items, seconds)?;
        Some(if beside { residual - costs.beside } else { residual })
    }

    /// The contention that is known, as a logarithm.
    pub(super) fn contention(&self, work: Work) -> f64 {
        self.costs.get(&work).map_or(0.0, |costs| costs.beside)
    }

    /// Learns what a share took that nobody worked beside.
    pub(super) fn learn(&mut self, work: Work, items: usize, seconds: f64) {
        if let Some(costs) = self.costs.get_mut(&work) {
            costs.model.learn(items, seconds);
        }
    }

    /// Learns what a share took while others worked. `common` is the logarithm of the factor by which all of them took longer than
    /// expected. That, and what is no surprise, is their contention; what is left is this backend's own. `mean` is the mean of those
    /// logarithms, beside which a time says something about the shape and nothing about the level.
    ///
    /// Where `is_fallback`, all of it is contention. That makes working alone look the better plan, which is then seen to be so or not;
    /// were a fallback's own pace misjudged beside others, nothing would show it.
    pub(super) fn learn_beside(&mut self, work: Work, share: Beside) {
        let Beside { items, seconds, common, mean, is_fallback } = share;
        let Some(residual) = self.residual(work, items, seconds, true) else { return };
        let Some(costs) = self.costs.get_mut(&work) else { return };
        let is_own = !is_fallback && (residual - common).abs() > SURPRISE.ln();
        let by_itself = seconds / costs.beside.exp();
        let contention = if is_own { common } else { residual };
        costs.beside = (costs.beside + GAIN * contention).clamp(0.0, MOST_CONTENTION.ln());
        // Quicker than without others can only be its own doing.
        let is_quicker = costs.beside == 0.0 && contention < 0.0;
        if is_own {
            costs.model.learn(items, by_itself / common.exp());
        } else {
            costs.model.follow(if is_quicker { contention } else { 0.0 });
            costs.model.learn_shape(items, by_itself / mean.exp());
        }
    }

    /// Learns that a share took longer than this.
    pub(super) fn learn_at_least(&mut self, work: Work, items: usize, seconds: f64, beside: f64) {
        if let Some(costs) = self.costs.get_mut(&work) {
            costs.model.learn_at_least(items, seconds / beside.exp());
        }
    }
}
