//! What a backend's batches of one scheme cost, learned as they are answered.
//!
//! Two things change at two speeds. The *shape*, how the fixed part compares with the part per item, belongs to the device and
//! hardly changes; it is a least-squares line over measurements that fade. The *pace*, one factor on all of it, follows what
//! else the machine does, how warm it is, whether it fails; it is an exponentially weighted mean of logarithms. A single surprise moves
//! the pace little, a second one in the same direction moves it nearly all the way.

use super::line::{Line, Sums, count};

/// The share of a residual that the pace follows.
const GAIN: f64 = 0.25;

/// A residual beyond this factor is a surprise: about three times the noise of a busy machine.
pub(super) const SURPRISE: f64 = 1.5;

/// The share of a second surprise that the pace follows.
const JUMP: f64 = 0.9;

/// The pace stays within this factor either way, so that it can always come back.
const MOST: f64 = 1e4;

/// What a measurement weighs after the next one.
const FADE: f64 = 0.97;

/// What the line so far weighs at each of [`ANCHORS`], in measurements: what is not measured keeps its shape.
const ANCHOR: f64 = 0.25;

/// What it weighs there at first.
const FIRST: f64 = 8.0;

/// Seconds between which a measurement says something about the shape; beyond them its squares would be lost.
const SHORTEST: f64 = 1e-9;
const LONGEST: f64 = 1e6;

/// Batches at which the line is held.
const ANCHORS: [usize; 2] = [16, 16_384];

/// The cost of one backend's batches of one scheme.
#[derive(Clone, Debug)]
pub struct Model {
    line: Line,
    sums: Sums,
    /// The logarithm of the factor.
    pace: f64,
    /// Surprises in a row; negative where they were quicker than expected.
    surprises: i32,
}

impl Model {
    /// A model that expects what `line` says.
    #[must_use]
    pub fn new(line: Line) -> Self {
        let mut sums = Sums::default();
        for items in ANCHORS {
            sums.add(count(items), line.seconds(items).max(SHORTEST), FIRST);
        }
        Self { line, sums, pace: 0.0, surprises: 0 }
    }

    /// What a batch costs now.
    #[must_use]
    pub fn expected(&self) -> Line {
        self.line.times(self.pace.exp())
    }

    /// What it costs when nothing is out of the ordinary.
    #[must_use]
    pub fn nominal(&self) -> Line {
        self.line
    }

    /// The factor between the two.
    #[must_use]
    pub fn pace(&self) -> f64 {
        self.pace.exp()
    }

    /// Learns that a batch took `seconds`. A time that is no positive number is left out.
    pub fn learn(&mut self, items: usize, seconds: f64) {
        let Some(residual) = self.residual(items, seconds) else { return };
        self.follow(residual);
        self.learn_shape(items, seconds);
    }

    /// Learns how a time compares with those of batches of other sizes, and nothing about the pace.
    pub(super) fn learn_shape(&mut self, items: usize, seconds: f64) {
        let Some(residual) = self.residual(items, seconds) else { return };
        // The more surprising, the less it says about the shape.
        let weight = (SURPRISE.ln() / residual).powi(2).min(1.0);
        self.sums.fade(FADE);
        let seconds = (seconds / self.pace()).clamp(SHORTEST, LONGEST);
        // Relative to the larger of what was expected and what came, so that neither a stall nor a gap in the clock outweighs the rest.
        let scale = seconds.max(self.line.seconds(items)) / seconds;
        self.sums.add(count(items), seconds, weight / (scale * scale));
        let mut sums = self.sums;
        for items in ANCHORS {
            sums.add(count(items), self.line.seconds(items).max(SHORTEST), ANCHOR);
        }
        self.line = sums.line().unwrap_or(self.line);
    }

    /// Learns that a batch took longer than `seconds`.
    pub fn learn_at_least(&mut self, items: usize, seconds: f64) {
        if let Some(residual) = self.residual(items, seconds).filter(|residual| *residual > 0.0) {
            self.follow(residual);
        }
    }

    /// Moves the pace by a factor that was found in another way.
    pub(super) fn follow(&mut self, residual: f64) {
        let surprise = SURPRISE.ln();
        let direction = if residual > surprise {
            1
        } else if residual < -surprise {
            -1
        } else {
            0
        };
        self.surprises = if direction == self.surprises.signum() { self.surprises + direction } else { direction };
        let step = if self.surprises.abs() > 1 { JUMP * residual } else { GAIN * residual.clamp(-surprise, surprise) };
        self.pace = (self.pace + step).clamp(-MOST.ln(), MOST.ln());
    }

    /// The logarithm of how many times longer a batch took than expected.
    pub(super) fn residual(&self, items: usize, seconds: f64) -> Option<f64> {
        let usable = items > 0 && seconds > 0.0 && seconds.is_finite();
        usable.then(|| (seconds / self.expected().seconds(items).max(f64::MIN_POSITIVE)).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: f64, b: f64, factor: f64) -> bool {
        (a / b).ln().abs() <= factor.ln()
    }

    #[test]
    fn one_outlier_moves_it_little_and_two_move_it_there() {
        let line = Line::new(1e-3, 1e-5);
        let mut model = Model::new(line);
        model.learn(1_000, 10.0 * line.seconds(1_000));
        assert!(near(model.pace(), 1.0, 1.2), "{}", model.pace());
        model.learn(1_000, line.seconds(1_000));
        assert!(near(model.pace(), 1.0, 1.2), "{}", model.pace());
        for _ in 0..2 {
            model.learn(1_000, 10.0 * line.seconds(1_000));
        }
        assert!(near(model.pace(), 10.0, 1.35), "{}", model.pace());
        for _ in 0..3 {
            model.learn(1_000, line.seconds(1_000));
        }
        assert!(near(model.pace(), 1.0, 1.35), "{}", model.pace());
        // What is out of the ordinary changes little of what is ordinary.
        assert!(near(model.nominal().seconds(1_000), line.seconds(1_000), 1.2), "{model:?}");
    }

    #[test]
    fn a_wrong_shape_is_corrected_by_batches_of_many_sizes() {
        let truth = Line::new(5e-3, 4e-6);
        let mut model = Model::new(Line::new(1e-3, 6e-6));
        for round in 0..200 {
            let items = [64, 512, 4_096, 32_768][round % 4];
            model.learn(items, truth.seconds(items));
        }
        for items in [64, 1_000, 32_768] {
            assert!(near(model.expected().seconds(items), truth.seconds(items), 1.15), "{items}: {model:?}");
        }
    }

    #[test]
    fn batches_of_one_size_keep_the_shape() {
        let line = Line::new(4e-3, 1e-6);
        let mut model = Model::new(line);
        for _ in 0..1_000 {
            model.learn(2_000, 1.2 * line.seconds(2_000));
        }
        assert!(near(model.expected().seconds(2_000), 1.2 * line.seconds(2_000), 1.02), "{model:?}");
        assert!(near(model.expected().seconds(16), line.seconds(16), 1.5), "{model:?}");
        assert!(near(model.expected().seconds(65_536), line.seconds(65_536), 1.5), "{model:?}");
    }

    #[test]
    fn a_lower_bound_only_makes_it_slower() {
        let line = Line::new(0.0, 1e-5);
        let mut model = Model::new(line);
        model.learn_at_least(100, 1e-6);
        assert!(near(model.pace(), 1.0, 1.0001));
        model.learn_at_least(100, 1e-2);
        model.learn_at_least(100, 1e-2);
        assert!(model.pace() > 5.0, "{}", model.pace());
    }

    proptest! {
        #[test]
        fn whatever_it_is_told_it_expects_a_number(
            told in prop::collection::vec(
                (
                    prop_oneof![Just(0), Just(usize::MAX), 1..100_000usize],
                    prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(-1.0), Just(f64::MAX), Just(5e-324), 1e-9..1e3f64],
                    any::<bool>(),
                ),
                0..60,
            ),
        ) {
            let mut model = Model::new(Line::new(1e-3, 1e-6));
            for (items, seconds, bound) in told {
                if bound { model.learn_at_least(items, seconds) } else { model.learn(items, seconds) }
                for items in [1, 1_000, usize::MAX] {
                    let seconds = model.expected().seconds(items);
                    prop_assert!(seconds.is_finite() && seconds > 0.0, "{model:?}");
                }
            }
            // And it comes back from all of it.
            for _ in 0..60 {
                model.learn(1_000, 0.01);
            }
            prop_assert!(near(model.expected().seconds(1_000), 0.01, 1.5), "{model:?}");
        }
    }
}
