//! Table and multiply: a G + b P for every item of a block.
//!
//! b P by the halves of b (Gallant, Lambert and Vanstone) and interleaved windows (Strauss): 26 windows of 5 bits, in each
//! the sum of a multiple of P and one of lambda P, those sums made in affine coordinates for all windows at once. a G is a
//! sum of 22 entries of a table, by pairs, in affine coordinates too.

use super::super::digits::{Digit, PointDigits, WIDTH, WINDOWS};
use super::super::field::portable::Element;
use super::super::field::{FieldLanes, Kernel, LaneMask, Limbs};
use super::super::group::batch::add_pairs;
use super::super::table::{GeneratorTable, MakeOddMultiples};
use super::{Affine, AffinePoint, Jacobian, Scalar, Sums, item};

/// a G + b P, with b not zero.
pub(super) struct Combination {
    pub(super) point: AffinePoint,
    /// a.
    pub(super) generator_factor: Scalar,
    /// b.
    pub(super) point_factor: Scalar,
}

/// Makes the tables of a block, one for each lane.
pub(super) fn tables<F: FieldLanes>(combinations: &[Combination], sums: &mut Sums<F>) {
    struct Tables<'a, F>(&'a [Combination], &'a mut Sums<F>);
    impl<F: FieldLanes> Kernel for Tables<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run(self) {
            let Self(combinations, sums) = self;
            let points = &mut sums.windows;
            points.clear();
            for group in 0..sums.exceptional.len() {
                points.push(Affine::<F>::load(|lane| &item::<F, _>(combinations, group, lane).point));
            }
            let make = MakeOddMultiples {
                points,
                multiples: &mut sums.multiples,
                tables: &mut sums.tables,
                inverter: &mut sums.inverter,
                exceptional: &mut sums.exceptional,
            };
            make.run();
        }
    }
    F::outlined(Tables(combinations, sums));
}

/// Adds up each item's sum from the tables.
pub(super) fn multiply<F: FieldLanes>(combinations: &[Combination], table: &GeneratorTable, sums: &mut Sums<F>) {
    let numbers: Vec<Limbs> = combinations.iter().map(|item| table.comb.number(item.generator_factor)).collect();
    let digits: Vec<PointDigits> = combinations.iter().map(|item| PointDigits::new(item.point_factor)).collect();
    F::outlined(Multiply { digits: &digits, table, numbers: &numbers, sums });
}

struct Multiply<'a, F> {
    /// Each item's b.
    digits: &'a [PointDigits],
    table: &'a GeneratorTable,
    /// For each item the number whose windows are the digits of a.
    numbers: &'a [Limbs],
    sums: &'a mut Sums<F>,
}

impl<F: FieldLanes> Kernel for Multiply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        self.generator_parts();
        self.windows();
        let Sums { points, windows, generator_parts, .. } = self.sums;
        for (windows, generator_part) in windows.chunks_exact(WINDOWS).zip(generator_parts.iter()) {
            let mut windows = windows.iter().rev();
            let Some(first) = windows.next() else { continue };
            let mut sum = Jacobian::from_affine(first);
            for window in windows {
                sum.double_times(WIDTH);
                sum.add_affine(window);
            }
            sum.add_affine(generator_part);
            points.push(sum);
        }
    }
}

impl<F: FieldLanes> Multiply<'_, F> {
    /// a G of every item.
    #[inline(always)]
    fn generator_parts(&mut self) {
        let comb = self.table.comb;
        let Sums { generator_parts: parts, inverter, exceptional, .. } = &mut *self.sums;
        parts.clear();
        parts.reserve(exceptional.len() * comb.windows());
        for group in 0..exceptional.len() {
            for window in 0..comb.windows() {
                let digits = Digits::<F>::new(|lane| comb.digit(item::<F, _>(self.numbers, group, lane), window));
                parts.push(digits.select(|_, digit| self.table.row(window, digit)));
            }
        }
        let mut per_group = comb.windows();
        while per_group > 1 {
            per_group = add_pairs(parts, per_group, inverter, exceptional);
        }
    }

    /// For every group and window, the lowest first, what the digits of both halves ask for, added up.
    #[inline(always)]
    fn windows(&mut self) {
        let beta = F::splat(&Element::BETA.to_limbs());
        let Sums { windows, tables, inverter, exceptional, .. } = &mut *self.sums;
        windows.clear();
        windows.reserve(exceptional.len() * WINDOWS * 2);
        for (group, tables) in tables.chunks_exact(F::LANES).enumerate() {
            for window in 0..WINDOWS {
                let digits =
                    |half: usize| Digits::<F>::new(|lane| item::<F, _>(self.digits, group, lane).0[half][window]);
                windows.push(digits(0).select(|lane, digit| &tables[lane][digit.index()]));
                let mut other = digits(1).select(|lane, digit| &tables[lane][digit.index()]);
                other.x = other.x.mul(&beta);
                windows.push(other);
            }
        }
        add_pairs(windows, 2 * WINDOWS, inverter, exceptional);
    }
}

/// A digit for each lane.
struct Digits<F> {
    of_lanes: [Digit; LaneMask::BITS as usize],
    negative: LaneMask,
    form: std::marker::PhantomData<F>,
}

impl<F: FieldLanes> Digits<F> {
    #[inline(always)]
    fn new(digit: impl Fn(usize) -> Digit) -> Self {
        let mut of_lanes = [digit(0); LaneMask::BITS as usize];
        let mut negative = 0;
        for (lane, slot) in of_lanes.iter_mut().enumerate().take(F::LANES) {
            *slot = digit(lane);
            negative |= LaneMask::from(slot.is_negative()) << lane;
        }
        Self { of_lanes, negative, form: std::marker::PhantomData }
    }

    /// The multiples that `row` has for the digits, with the digits' signs.
    #[inline(always)]
    fn select<'a>(&self, row: impl Fn(usize, Digit) -> &'a AffinePoint) -> Affine<F> {
        Affine::load(|lane| row(lane, self.of_lanes[lane])).negate(self.negative)
    }
}
