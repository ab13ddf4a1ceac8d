//! Sums of runs of affine points, pairwise and level by level, with the inversions of a level shared.
//!
//! A sum of two affine points takes 5M + 1S with its share of an inversion, a Jacobian one 8M + 3S. Runs meet every
//! exceptional case, since an attacker may repeat a point or send its negative: pairs are told apart by their coordinates, which
//! are below p throughout, before any difference of theirs is inverted.

use super::field::{FieldLanes, Inverter, Kernel, LaneMask};
use super::group::{Affine, AffinePoint};

/// Pairs whose inversions are shared: few enough that they stay in the second-level cache.
const PAIRS_TOGETHER: usize = 2048;

/// A run of consecutive points.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

/// Points in some order, some of them negated.
pub(crate) struct Rows<'a> {
    pub(crate) points: &'a [AffinePoint],
    /// Twice the index of a point, and one if it is to be negated.
    pub(crate) order: &'a [u32],
}

/// Where the points of a level come from.
trait Source {
    /// The point at `index`, and whether it is to be negated. Not at infinity unless [`Source::MAY_BE_INFINITE`].
    fn row(&self, index: u32) -> (&AffinePoint, bool);

    /// Whether any point is to be negated.
    const SIGNED: bool;
    /// Whether a point may be at infinity.
    const MAY_BE_INFINITE: bool;
}

impl Source for Rows<'_> {
    const SIGNED: bool = true;
    const MAY_BE_INFINITE: bool = false;

    #[inline(always)]
    fn row(&self, index: u32) -> (&AffinePoint, bool) {
        let place = self.order[index as usize];
        (&self.points[(place >> 1) as usize], place & 1 == 1)
    }
}

impl Source for [AffinePoint] {
    const SIGNED: bool = false;
    const MAY_BE_INFINITE: bool = true;

    #[inline(always)]
    fn row(&self, index: u32) -> (&AffinePoint, bool) {
        (&self[index as usize], false)
    }
}

/// Two neighbours of a level, by the index of the first, and where their sum goes.
#[derive(Clone, Copy)]
struct Pair {
    first: u32,
    target: Target,
}

/// A place among the points of the next level, or among the results.
#[derive(Clone, Copy)]
enum Target {
    Level(u32),
    Result(u32),
}

/// Scratch space, kept from one set of runs to the next.
pub(crate) struct AffineSums<F> {
    inverter: Inverter<F>,
    /// Pairs of points with different x.
    pairs: Vec<Pair>,
    /// Pairs of one point twice.
    doubles: Vec<Pair>,
    /// The points of a level, and those of the one before it.
    level: Vec<AffinePoint>,
    previous: Vec<AffinePoint>,
}

impl<F: FieldLanes> AffineSums<F> {
    pub(crate) fn new() -> Self {
        Self {
            inverter: Inverter::new(),
            pairs: Vec::new(),
            doubles: Vec::new(),
            level: Vec::new(),
            previous: Vec::new(),
        }
    }

    /// Adds up the points of each segment, into the place of `results` that has the segment's number; nothing is written for an
    /// empty segment. Leaves the segments changed. No point of `rows` is at infinity, and their coordinates are below p.
    pub(crate) fn add_up(&mut self, rows: &Rows<'_>, segments: &mut [Segment], results: &mut [AffinePoint]) {
        let mut open = self.add_neighbours(rows, segments, results);
        while open {
            std::mem::swap(&mut self.level, &mut self.previous);
            let previous = std::mem::take(&mut self.previous);
            open = self.add_neighbours(previous.as_slice(), segments, results);
            self.previous = previous;
        }
    }

    /// Adds each segment's points in pairs, and makes the segments those of the sums. A segment that is down to one point has its
    /// result, and becomes empty. Returns whether any is left.
    fn add_neighbours<S: Source + ?Sized>(
        &mut self,
        source: &S,
        segments: &mut [Segment],
        results: &mut [AffinePoint],
    ) -> bool {
        let total =
            segments.iter().map(|segment| if segment.length > 2 { segment.length.div_ceil(2) } else { 0 }).sum();
        let total: u32 = total;
        // Every place is written to below, whatever is left there.
        if self.level.len() < total as usize {
            self.level.resize(total as usize, AffinePoint::INFINITY);
        }
        let mut end = 0;
        for (number, segment) in (0_u32..).zip(segments.iter_mut()) {
            let Segment { start, length } = *segment;
            if length <= 2 {
                *segment = Segment::default();
                match length {
                    0 => {}
                    1 => results[number as usize] = signed(source.row(start)),
                    _ => self.pair(source, Pair { first: start, target: Target::Result(number) }, results),
                }
                continue;
            }
            *segment = Segment { start: end, length: length.div_ceil(2) };
            for pair in 0..length / 2 {
                self.pair(source, Pair { first: start + 2 * pair, target: Target::Level(end + pair) }, results);
            }
            end = segment.start + segment.length;
            if length % 2 == 1 {
                self.level[end as usize - 1] = signed(source.row(start + length - 1));
            }
        }
        self.flush(source, results);
        total > 0
    }

    /// Takes on a pair, by what kind of sum it is.
    #[inline]
    fn pair<S: Source + ?Sized>(&mut self, source: &S, pair: Pair, results: &mut [AffinePoint]) {
        let (first, second) = (source.row(pair.first), source.row(pair.first + 1));
        if S::MAY_BE_INFINITE && (first.0.is_infinity() || second.0.is_infinity()) {
            let sum = if first.0.is_infinity() { second } else { first };
            *place(&mut self.level, results, pair.target) = signed(sum);
        } else if first.0.x != second.0.x {
            self.pairs.push(pair);
        } else if (first.0.y == second.0.y) == (first.1 == second.1) {
            // One x leaves only the y that is the other's and its negative, which are two, no point having order two.
            self.doubles.push(pair);
        } else {
            *place(&mut self.level, results, pair.target) = AffinePoint::INFINITY;
        }
        if self.pairs.len() + self.doubles.len() == PAIRS_TOGETHER {
            self.flush(source, results);
        }
    }

    /// Makes the sums of the pairs taken on.
    fn flush<S: Source + ?Sized>(&mut self, source: &S, results: &mut [AffinePoint]) {
        if !self.pairs.is_empty() || !self.doubles.is_empty() {
            F::outlined(Flush { sums: self, source, results });
            self.pairs.clear();
            self.doubles.clear();
        }
    }
}

/// Makes the sums of the pairs taken on, at the price of one inversion.
struct Flush<'a, F, S: ?Sized> {
    sums: &'a mut AffineSums<F>,
    source: &'a S,
    results: &'a mut [AffinePoint],
}

impl<F: FieldLanes, S: Source + ?Sized> Kernel for Flush<'_, F, S> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { sums: AffineSums { inverter, pairs, doubles, level, .. }, source, results } = self;
        inverter.clear();
        for pairs in pairs.chunks(F::LANES) {
            let x = |next: u32| F::load(|lane| &source.row(lane_pair(pairs, lane).first + next).0.x);
            inverter.push(|| x(1).sub::<1>(&x(0)).carry());
        }
        for doubles in doubles.chunks(F::LANES) {
            inverter.push(|| load::<F, S>(source, doubles, 0).double_denominator());
        }
        // Pairs were told apart, so no denominator is zero.
        inverter.invert(|_, _| debug_assert!(false, "a pair with one x among those with two"));
        let sums = pairs.len().div_ceil(F::LANES);
        for (index, pairs) in pairs.chunks(F::LANES).enumerate() {
            let sum = load::<F, S>(source, pairs, 0).sum(&load(source, pairs, 1), inverter.inverse(index));
            store(&sum, pairs, level, results);
        }
        for (index, doubles) in doubles.chunks(F::LANES).enumerate() {
            let double = load::<F, S>(source, doubles, 0).double(inverter.inverse(sums + index));
            store(&double, doubles, level, results);
        }
    }
}

/// The pair of a lane; lanes past the end repeat the last.
#[inline(always)]
fn lane_pair(pairs: &[Pair], lane: usize) -> Pair {
    pairs[lane.min(pairs.len() - 1)]
}

/// The first or, for `next` one, the second point of each pair.
#[inline(always)]
fn load<F: FieldLanes, S: Source + ?Sized>(source: &S, pairs: &[Pair], next: u32) -> Affine<F> {
    let row = |lane: usize| source.row(lane_pair(pairs, lane).first + next);
    let points = Affine::load(|lane| row(lane).0);
    if !S::SIGNED {
        return points;
    }
    let mask = (0..F::LANES).fold(0, |mask, lane| mask | LaneMask::from(row(lane).1) << lane);
    points.negate(mask)
}

#[inline(always)]
fn store<F: FieldLanes>(sums: &Affine<F>, pairs: &[Pair], level: &mut [AffinePoint], results: &mut [AffinePoint]) {
    sums.store(|lane, sum| {
        if let Some(pair) = pairs.get(lane) {
            *place(level, results, pair.target) = sum;
        }
    });
}

#[inline(always)]
fn place<'a>(level: &'a mut [AffinePoint], results: &'a mut [AffinePoint], target: Target) -> &'a mut AffinePoint {
    match target {
        Target::Level(index) => &mut level[index as usize],
        Target::Result(index) => &mut results[index as usize],
    }
}

/// The point with its sign; infinity stays what it is.
#[inline(always)]
fn signed((point, negative): (&AffinePoint, bool)) -> AffinePoint {
    if negative { point.negated() } else { *point }
}

impl AffinePoint {
    /// The point at infinity, as the sums here write it: (0, 0) is not on the curve. Elsewhere points are never at infinity.
    pub(crate) const INFINITY: Self = Self { x: [0; 4], y: [0; 4] };

    /// Whether it is [`AffinePoint::INFINITY`].
    #[inline(always)]
    pub(crate) fn is_infinity(&self) -> bool {
        self.x.iter().chain(&self.y).fold(0, |any, limb| any | limb) == 0
    }
}
