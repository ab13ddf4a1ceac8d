//! What a batch costs a backend: so much for any batch, and so much for each item.

/// The longest time that is told from a longer one, in seconds. It keeps every sum and product of costs finite.
const WORST: f64 = 1e9;

/// The least that an item costs, in seconds, so that a division by it is one.
const LEAST_PER_ITEM: f64 = 1e-12;

/// Seconds for a batch of n items: `fixed + per_item * n`, and none for an empty one.
///
/// Both parts are finite, `fixed` at least 0 and `per_item` above 0, whatever it was made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    fixed: f64,
    per_item: f64,
}

impl Line {
    /// A line from seconds. What is negative counts as nothing, what is no number or too much as the worst.
    #[must_use]
    pub fn new(fixed: f64, per_item: f64) -> Self {
        Self { fixed: bounded(fixed), per_item: bounded(per_item).max(LEAST_PER_ITEM) }
    }

    /// The line that is nearest to measurements of (items, seconds), each weighed by its relative error. `None` without a usable one.
    #[must_use]
    pub fn through(measured: &[(usize, f64)]) -> Option<Self> {
        let mut sums = Sums::default();
        measured.iter().filter(|(items, seconds)| *items > 0 && *seconds > 0.0 && seconds.is_finite()).for_each(
            |(items, seconds)| {
                sums.add(count(*items), *seconds, 1.0);
            },
        );
        sums.line()
    }

    /// Seconds for any batch.
    #[must_use]
    pub fn fixed(&self) -> f64 {
        self.fixed
    }

    /// Seconds for each item.
    #[must_use]
    pub fn per_item(&self) -> f64 {
        self.per_item
    }

    /// Seconds for a batch.
    #[must_use]
    pub fn seconds(&self, items: usize) -> f64 {
        if items == 0 { 0.0 } else { (self.fixed + self.per_item * count(items)).min(WORST) }
    }

    /// The line of a backend that takes `factor` times as long.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self::new(self.fixed * factor, self.per_item * factor)
    }
}

/// Weighted sums that a least-squares line follows from. What is minimised is the sum over measurements of
/// `weight * ((fixed + per_item * n - t) / t)^2`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    one: f64,
    n: f64,
    nn: f64,
    t: f64,
    nt: f64,
}

impl Sums {
    pub(super) fn add(&mut self, items: f64, seconds: f64, weight: f64) {
        let weight = weight / (seconds * seconds);
        self.one += weight;
        self.n += weight * items;
        self.nn += weight * items * items;
        self.t += weight * seconds;
        self.nt += weight * items * seconds;
    }

    /// Has everything so far weigh less.
    pub(super) fn fade(&mut self, factor: f64) {
        for sum in [&mut self.one, &mut self.n, &mut self.nn, &mut self.t, &mut self.nt] {
            *sum *= factor;
        }
    }

    /// The nearest line whose parts are not negative; `None` where nothing was added.
    pub(super) fn line(&self) -> Option<Line> {
        if !(self.nn > 0.0 && self.nn.is_finite()) {
            return None;
        }
        let through_origin = Line::new(0.0, self.nt / self.nn);
        let determinant = self.one * self.nn - self.n * self.n;
        // Measurements of one size tell no fixed part.
        if determinant <= 1e-9 * self.one * self.nn {
            return Some(through_origin);
        }
        let fixed = (self.t * self.nn - self.n * self.nt) / determinant;
        let per_item = (self.one * self.nt - self.n * self.t) / determinant;
        Some(match (fixed > 0.0, per_item > 0.0) {
            (true, true) => Line::new(fixed, per_item),
            (false, _) => through_origin,
            (true, false) => Line::new(self.t / self.one, 0.0),
        })
    }
}

/// Seconds as they may stand in a sum.
pub(super) fn bounded(seconds: f64) -> f64 {
    // A comparison with what is no number is false.
    if seconds < WORST { seconds.max(0.0) } else { WORST }
}

/// Items as a factor.
#[allow(clippy::cast_precision_loss, reason = "a rounding error of one item in 2^53")]
pub(super) fn count(items: usize) -> f64 {
    items as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_again_from_its_points() {
        let line = Line::new(2e-3, 4e-6);
        let points: Vec<_> = [16, 100, 5_000, 65_536].map(|items| (items, line.seconds(items))).into();
        let found = Line::through(&points).unwrap();
        assert!((found.fixed() / line.fixed() - 1.0).abs() < 1e-6, "{found:?}");
        assert!((found.per_item() / line.per_item() - 1.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn points_that_no_line_goes_through_still_give_one_that_costs_something() {
        assert_eq!(Line::through(&[]), None);
        assert_eq!(Line::through(&[(0, 1.0), (5, 0.0), (5, f64::NAN), (5, f64::INFINITY), (5, -1.0)]), None);
        let falling = Line::through(&[(10, 2.0), (1_000, 1.0)]).unwrap();
        assert!(falling.fixed() > 0.0 && falling.per_item() > 0.0, "{falling:?}");
        let steep = Line::through(&[(10, 1e-6), (1_000, 1.0)]).unwrap();
        assert!(steep.fixed() == 0.0 && steep.per_item() > 0.0, "{steep:?}");
        let one_size = Line::through(&[(100, 1.0), (100, 3.0)]).unwrap();
        assert!(one_size.fixed() == 0.0 && (0.01..0.03).contains(&one_size.per_item()), "{one_size:?}");
    }

    #[test]
    fn no_line_is_made_of_what_is_no_number() {
        for part in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, f64::MAX, f64::MIN_POSITIVE] {
            for other in [f64::NAN, f64::INFINITY, -0.0, 1.0] {
                let line = Line::new(part, other).times(part);
                assert!(line.fixed().is_finite() && line.fixed() >= 0.0, "{part} {other}");
                assert!(line.per_item().is_finite() && line.per_item() > 0.0, "{part} {other}");
                assert!(line.seconds(usize::MAX).is_finite());
                assert!(line.seconds(0) == 0.0);
            }
        }
    }
}
