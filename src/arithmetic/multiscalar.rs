//! Sums of many points times signed halves: Pippenger's buckets, kept in affine coordinates.
//!
//! Each half is cut into signed digits of c bits. For every window, points go into the bucket of their digit's size; a bucket's
//! points are added up pairwise, level by level, and all the sums of a level share one inversion ([`super::affine_sums`]).
//! The sum of j times bucket j is brought together without a single multiplication: buckets are added up along rows and
//! columns of their number, rows and columns by the bits of theirs, which leaves one point for each bit of the halves, and
//! one chain of doublings adds those up.
//!
//! Every exceptional case of the sums is told apart, so the result is right for any points, repeated or opposite ones too.

#![allow(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 2^24 points and fewer buckets still, and digits have at most 14 bits and a sign"
)]

use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::affine_sums::{AffineSums, Rows, Segment};
use super::field::FieldLanes;
use super::group::AffinePoint;
use super::group::complete::Point;
use super::spare::with_spare;
use super::{Half, SignedWindows};

/// Points that go through one level of sums together, at least, so that its inversion is shared by thousands.
const POINTS_TOGETHER: usize = 8192;

/// The sum of each point times its half, shared out to so many tasks for the threads of the pool this is called from. The
/// points are affine, none at infinity, with coordinates below p; there are as many halves, and fewer than 2^24.
pub(crate) fn sum<F: FieldLanes>(points: &[AffinePoint], halves: &[Half], tasks: usize) -> Point {
    debug_assert_eq!(points.len(), halves.len(), "a half for each point");
    let terms = Terms { points, halves, windows: SignedWindows::new(best_width(points.len())) };
    let places = terms.places();
    let share = |places| with_spare(|room: &mut Multiscalar<F>| room.sum(&terms, places));
    if tasks <= 1 || places == 0 {
        return share(0..places);
    }
    let size = places.div_ceil(tasks);
    let shares = (0..places.div_ceil(size)).into_par_iter().with_max_len(1);
    let sums = shares.map(|number| share(number * size..places.min((number + 1) * size)).to_affine());
    let sums: Vec<Option<AffinePoint>> = sums.collect();
    sums.iter().flatten().fold(Point::INFINITY, |sum, point| sum.add(point))
}

/// Points and halves, which have a *place* for each window and point: the points of the first window, those of the second,
/// and so on. The points of consecutive places are added up apart from the others.
#[derive(Clone, Copy)]
struct Terms<'a> {
    points: &'a [AffinePoint],
    halves: &'a [Half],
    windows: SignedWindows,
}

impl Terms<'_> {
    fn places(&self) -> usize {
        self.windows.count() * self.points.len()
    }

    /// The windows that have some of the places.
    fn windows_of(&self, places: &Range<usize>) -> Range<usize> {
        let count = self.points.len().max(1);
        places.start / count..places.end.div_ceil(count)
    }

    /// Those of the places that are in a window, by their points' indices.
    fn indices(&self, places: &Range<usize>, window: usize) -> Range<usize> {
        let first = window * self.points.len();
        places.start.max(first) - first..places.end.min(first + self.points.len()) - first
    }
}

/// Scratch space of multi-scalar multiplications, kept from one to the next.
struct Multiscalar<F> {
    sums: AffineSums<F>,
    digits: Vec<i16>,
    /// Points in the order of their buckets: twice the point's index, and one if it is to be negated.
    order: Vec<u32>,
    segments: Vec<Segment>,
    buckets: Vec<AffinePoint>,
    bits: Vec<AffinePoint>,
}

impl<F: FieldLanes> Default for Multiscalar<F> {
    fn default() -> Self {
        Self {
            sums: AffineSums::new(),
            digits: Vec::new(),
            order: Vec::new(),
            segments: Vec::new(),
            buckets: Vec::new(),
            bits: Vec::new(),
        }
    }
}

impl<F: FieldLanes> Multiscalar<F> {
    /// The sum over some of the places: of each point times its digit times 2 to the bits below its window.
    fn sum(&mut self, terms: &Terms<'_>, places: Range<usize>) -> Point {
        let windows = terms.windows_of(&places);
        let mut bits = std::mem::take(&mut self.bits);
        bits.clear();
        bits.resize(terms.windows.shift(windows.len()), AffinePoint::INFINITY);
        // As many windows at a time as at any other.
        let times = windows.len().div_ceil(POINTS_TOGETHER.div_ceil(terms.points.len().max(1)));
        let together = windows.len().div_ceil(times.max(1)).max(1);
        let mut window = windows.start;
        for bits in bits.chunks_mut(terms.windows.shift(together)) {
            let next = windows.end.min(window + together);
            self.fill_buckets(terms, &places, window..next);
            self.bit_sums(terms.windows.width(), bits);
            window = next;
        }
        // Horner's rule over the bits.
        let mut sum = Point::INFINITY;
        for bit in bits.iter().rev() {
            sum = sum.double();
            if !bit.is_infinity() {
                sum = sum.add(bit);
            }
        }
        self.bits = bits;
        sum.double_times(terms.windows.shift(windows.start));
        sum
    }

    /// Adds up the points of each bucket of a few windows: bucket `digit - 1` of the first is at `digit - 1`, of the next
    /// at 2^(width - 1) more, and so on.
    fn fill_buckets(&mut self, terms: &Terms<'_>, places: &Range<usize>, windows: Range<usize>) {
        let per_window = 1 << (terms.windows.width() - 1);
        let count = windows.len() * per_window;
        // A counting sort by bucket.
        self.segments.clear();
        self.segments.resize(count, Segment::default());
        self.digits.clear();
        let bucket = |first: usize, digit: i16| first + usize::from(digit.unsigned_abs()) - 1;
        for (window, first) in windows.clone().zip((0..).step_by(per_window)) {
            for half in &terms.halves[terms.indices(places, window)] {
                // At most 2^(width - 1) in size.
                let digit = terms.windows.digit(*half, window) as i16;
                self.digits.push(digit);
                if digit != 0 {
                    self.segments[bucket(first, digit)].length += 1;
                }
            }
        }
        let mut total = 0;
        for segment in &mut self.segments {
            segment.start = total;
            total += segment.length;
            segment.length = 0;
        }
        self.order.clear();
        self.order.resize(total as usize, 0);
        let mut digits = self.digits.iter();
        for (window, first) in windows.zip((0..).step_by(per_window)) {
            for (index, digit) in terms.indices(places, window).zip(&mut digits) {
                if *digit != 0 {
                    let segment = &mut self.segments[bucket(first, *digit)];
                    self.order[(segment.start + segment.length) as usize] = (index as u32) << 1 | u32::from(*digit < 0);
                    segment.length += 1;
                }
            }
        }
        self.buckets.clear();
        self.buckets.resize(count, AffinePoint::INFINITY);
        let rows = Rows { points: terms.points, order: &self.order };
        self.sums.add_up(&rows, &mut self.segments, &mut self.buckets);
    }

    /// From the buckets of a few windows, for each bit of each window the sum of the buckets in whose number it is set.
    fn bit_sums(&mut self, width: u32, bits: &mut [AffinePoint]) {
        let per_window = 1_usize << (width - 1);
        let windows = self.buckets.len() / per_window;
        // Numbers are 1 to 2^(width - 1): of `width` bits, the lower ones in the column, the upper ones in the row.
        let low = width / 2;
        let (columns, rows) = (1_usize << low, (per_window >> low) + 1);
        let numbered = |window: usize, number: usize| (window * per_window + number - 1) as u32;
        self.order.clear();
        self.segments.clear();
        for window in 0..windows {
            for column in 1..columns {
                let members = (column..=per_window).step_by(columns);
                self.segment(members.map(|number| numbered(window, number)));
            }
            for row in 1..rows {
                let members = row * columns..((row + 1) * columns).min(per_window + 1);
                self.segment(members.map(|number| numbered(window, number)));
            }
        }
        let per_window = columns + rows - 2;
        let mut lines = vec![AffinePoint::INFINITY; windows * per_window];
        let source = Rows { points: &self.buckets, order: &self.order };
        self.sums.add_up(&source, &mut self.segments, &mut lines);
        std::mem::swap(&mut self.buckets, &mut lines);
        self.order.clear();
        self.segments.clear();
        for window in 0..windows {
            let lines = |first: usize, count: usize, bit: u32| {
                let members = (1..count).filter(move |number| number >> bit & 1 == 1);
                members.map(move |number| (window * per_window + first + number - 1) as u32)
            };
            for bit in 0..low {
                self.segment(lines(0, columns, bit));
            }
            for bit in 0..width - low {
                self.segment(lines(columns - 1, rows, bit));
            }
        }
        let source = Rows { points: &self.buckets, order: &self.order };
        self.sums.add_up(&source, &mut self.segments, bits);
    }

    /// Appends a segment of those of the buckets that are not at infinity.
    fn segment(&mut self, members: impl Iterator<Item = u32>) {
        let start = self.order.len();
        self.order.extend(members.filter(|index| !self.buckets[*index as usize].is_infinity()).map(|index| index << 1));
        self.segments.push(Segment { start: start as u32, length: (self.order.len() - start) as u32 });
    }
}

/// The width of windows that takes the fewest sums: one for each point and window, and about two for each bucket.
fn best_width(points: usize) -> u32 {
    let sums = |width: u32| SignedWindows::new(width).count() * (points + (2 << (width - 1)));
    (2..=14).min_by_key(|width| sums(*width)).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Platform;
    use crate::arithmetic::group::GENERATOR;
    use crate::arithmetic::platform::OnLanes;

    /// By doubling and adding.
    fn naive(points: &[AffinePoint], halves: &[Half]) -> Option<AffinePoint> {
        let times = |point: &AffinePoint, half: &Half| {
            let point = if half.negative { point.negated() } else { *point };
            (0..128).rev().fold(Point::INFINITY, |sum, bit| {
                let sum = sum.double();
                if half.magnitude >> bit & 1 == 1 { sum.add(&point) } else { sum }
            })
        };
        let terms = points.iter().zip(halves).filter_map(|(point, half)| times(point, half).to_affine());
        terms.fold(Point::INFINITY, |sum, term| sum.add(&term)).to_affine()
    }

    fn check(points: &[AffinePoint], halves: &[Half]) {
        struct Sum<'a>(&'a [AffinePoint], &'a [Half]);
        impl OnLanes for Sum<'_> {
            type Output = [Point; 6];
            fn run<F: FieldLanes>(self) -> [Point; 6] {
                // Some tasks more than there are windows, and each with the scratch space of those before.
                [1, 1, 2, 3, 16, 200].map(|tasks| sum::<F>(self.0, self.1, tasks))
            }
        }
        let expected = naive(points, halves);
        for platform in Platform::available() {
            for sum in platform.run(Sum(points, halves)) {
                let sum = sum.to_affine().map(|point| (point.x, point.y));
                assert_eq!(sum, expected.map(|point| (point.x, point.y)), "{}, {}", platform.name(), points.len());
            }
        }
    }

    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            self.0 >> 11
        }

        fn half(&mut self) -> Half {
            let magnitude = match self.next() % 8 {
                0 => 0,
                1 => 1,
                2 => u128::MAX,
                3 => 1 << (self.next() % 128),
                _ => (0..4).fold(0, |sum, _| sum << 40 ^ u128::from(self.next())),
            };
            Half { magnitude, negative: self.next().is_multiple_of(2) }
        }
    }

    fn multiples(count: u64) -> Vec<AffinePoint> {
        let sums = std::iter::successors(Some(Point::INFINITY.add(&GENERATOR)), |sum| Some(sum.add(&GENERATOR)));
        sums.take(count as usize).map(|sum| sum.to_affine().expect("a small multiple of G")).collect()
    }

    #[test]
    fn sums_of_any_length_are_those_of_doubling_and_adding() {
        let (points, mut random) = (multiples(251), Random(1));
        for length in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 200, 700] {
            let points: Vec<_> = points.iter().cycle().take(length).copied().collect();
            let halves: Vec<_> = (0..length).map(|_| random.half()).collect();
            check(&points, &halves);
        }
    }

    #[test]
    fn repeated_and_opposite_points_meet_in_every_way() {
        let (points, mut random) = (multiples(3), Random(2));
        for length in [2, 3, 5, 16, 33, 150] {
            for kinds in 1..=3 {
                for halves in [1, 2, 150] {
                    let distinct: Vec<_> = (0..halves).map(|_| random.half()).collect();
                    let halves: Vec<_> = distinct.iter().cycle().take(length).copied().collect();
                    let points: Vec<_> = (0..length)
                        .map(|_| {
                            let point = points[(random.next() % kinds) as usize];
                            if random.next() % 2 == 0 { point } else { point.negated() }
                        })
                        .collect();
                    check(&points, &halves);
                }
            }
        }
    }

    #[test]
    fn sums_at_infinity_are_infinity() {
        let points = multiples(2);
        let one = Half { magnitude: 1, negative: false };
        check(&[points[0], points[0].negated()], &[one; 2]);
        check(&[points[0], points[0], points[1]], &[one, one, one.negated()]);
        check(&[points[0]; 9], &[Half::default(); 9]);
    }

    #[test]
    fn more_pairs_than_go_through_together_are_added_up() {
        let (points, mut random) = (multiples(40), Random(3));
        let length = 9_000;
        let points: Vec<_> = (0..length).map(|_| points[(random.next() % 40) as usize]).collect();
        let halves: Vec<_> =
            (0..length).map(|_| Half { magnitude: u128::from(random.next() % 3), negative: false }).collect();
        check(&points, &halves);
    }
}
