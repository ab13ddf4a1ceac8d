//! Tables of odd multiples: of the generator, made once, and of each point of a block.

use std::sync::OnceLock;

use super::digits::{Comb, Digit, WIDTH};
use super::field::{FieldLanes, Inverter, Kernel, LaneMask};
use super::group::complete::{Point, normalise};
use super::group::{Affine, AffinePoint, GENERATOR};

/// Odd multiples of a point in a table, P, 3 P, 5 P, ..., 31 P.
pub(crate) const MULTIPLES: usize = 1 << (WIDTH - 1);

/// Bits in a window of the generator's multiples: 22 windows of 2,048 entries, 2.75 MiB.
const GENERATOR_WIDTH: usize = 12;

/// For each window of a comb every odd multiple of 2^(width window) G that a digit can ask for.
pub(crate) struct GeneratorTable {
    pub(crate) comb: Comb,
    rows: Vec<AffinePoint>,
}

impl GeneratorTable {
    /// The table of G, made at first use.
    pub(crate) fn of_generator() -> &'static Self {
        static TABLE: OnceLock<GeneratorTable> = OnceLock::new();
        TABLE.get_or_init(|| Self::new(&GENERATOR, GENERATOR_WIDTH))
    }

    /// The table of a point none of whose odd multiples below 2^width is at infinity.
    pub(crate) fn new(generator: &AffinePoint, width: usize) -> Self {
        let comb = Comb::new(width);
        let entries = 1 << (width - 1);
        let mut rows = Vec::with_capacity(comb.windows() * entries);
        let mut base = *generator;
        for _ in 0..comb.windows() {
            let first = Point::INFINITY.add(&base);
            let double = first.double();
            let double_row = double.to_affine().unwrap_or_default();
            let multiples: Vec<Point> =
                std::iter::successors(Some(first), |multiple| Some(multiple.add(&double_row))).take(entries).collect();
            rows.extend(normalise(&multiples).into_iter().map(Option::unwrap_or_default));
            let mut next = double;
            next.double_times(width - 1);
            base = next.to_affine().unwrap_or_default();
        }
        Self { comb, rows }
    }

    /// The multiple that a digit of a window asks for, but for its sign.
    #[inline(always)]
    pub(crate) fn row(&self, window: usize, digit: Digit) -> &AffinePoint {
        &self.rows[(window << (self.comb.width - 1)) + digit.index()]
    }
}

/// The odd multiples of one point.
pub(crate) type OddMultiples = [AffinePoint; MULTIPLES];

/// Makes the odd multiples of every point of a block.
pub(crate) struct MakeOddMultiples<'a, F> {
    /// The points, in vectors; left as powers of two times them.
    pub(crate) points: &'a mut Vec<Affine<F>>,
    /// Room for the multiples.
    pub(crate) multiples: &'a mut Vec<[Affine<F>; MULTIPLES]>,
    /// The tables, one for each lane of each vector.
    pub(crate) tables: &'a mut [OddMultiples],
    pub(crate) inverter: &'a mut Inverter<F>,
    /// A mask for each vector, which takes on the lanes in which two points to be added had one x. Points whose order is
    /// above 62 have none.
    pub(crate) exceptional: &'a mut [LaneMask],
}

/// What is made of 2^k P and smaller multiples with one inversion.
struct Level {
    /// 2^k.
    power: usize,
    /// Each distance d from it, with 2^k + d made, and 2^k - d where it is not there already: the two share a denominator.
    steps: &'static [(usize, bool)],
    /// Whether 2^(k + 1) P is made too.
    doubles: bool,
}

const LEVELS: [Level; 6] = [
    Level { power: 1, steps: &[], doubles: true },
    Level { power: 2, steps: &[], doubles: true },
    Level { power: 4, steps: &[(1, true)], doubles: true },
    Level { power: 8, steps: &[(1, true)], doubles: true },
    Level { power: 16, steps: &[(1, true), (3, true), (5, true), (7, false), (9, false)], doubles: false },
    Level { power: 16, steps: &[(11, false), (13, false), (15, false)], doubles: false },
];

impl<F: FieldLanes> Kernel for MakeOddMultiples<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // The points become 2^k P.
        let Self { points: powers, multiples, tables, inverter, exceptional } = self;
        multiples.clear();
        for point in powers.iter() {
            multiples.push([*point; MULTIPLES]);
        }
        for Level { power, steps, doubles } in LEVELS {
            inverter.clear();
            for (multiples, point) in multiples.iter().zip(powers.iter()) {
                for (distance, _) in steps {
                    inverter.push(|| point.sum_denominator(&multiples[distance / 2]));
                }
                if doubles {
                    inverter.push(|| point.double_denominator());
                }
            }
            let per_group = steps.len() + usize::from(doubles);
            inverter.invert(|index, lanes| exceptional[index / per_group] |= lanes);
            for (group, (multiples, point)) in multiples.iter_mut().zip(powers.iter_mut()).enumerate() {
                let inverse = |step: usize| inverter.inverse(group * per_group + step);
                for (step, (distance, both)) in steps.iter().enumerate() {
                    let addend = multiples[distance / 2];
                    multiples[(power + distance) / 2] = point.sum(&addend, inverse(step));
                    if *both {
                        multiples[(power - distance) / 2] = point.difference(&addend, inverse(step));
                    }
                }
                if doubles {
                    *point = point.double(inverse(steps.len()));
                }
            }
        }
        for (multiples, tables) in multiples.iter().zip(tables.chunks_mut(F::LANES)) {
            for (index, multiple) in multiples.iter().enumerate() {
                multiple.store(|lane, row| tables[lane][index] = row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_generator_takes_at_most_four_mebibytes() {
        let table = GeneratorTable::of_generator();
        assert_eq!(table.rows.len(), table.comb.windows() << (GENERATOR_WIDTH - 1));
        assert!(size_of_val(table.rows.as_slice()) <= 4 << 20);
    }
}
