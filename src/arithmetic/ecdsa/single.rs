//! Table and multiply for an item by itself, by complete formulas: right for any point and factors, and what a few items are
//! done by, that would leave lanes empty and have inversions to themselves.
//!
//! b P by the halves of b in non-adjacent form, interleaved (Strauss). The multiples of P share one z and are affine on the
//! isomorphic curve on which that z is one, so that no inversion is needed; the formulas hold there as well. (So does
//! libsecp256k1, `ecmult_impl.h`, "effective affine".) a G is a sum of entries of the table that the lanes use.

use super::super::field::portable::Element;
use super::super::glv::NON_ADJACENT_DIGITS;
use super::super::group::complete::Point;
use super::super::table::GeneratorTable;
use super::multiply::Combination;
use super::{Affine, AffinePoint, Jacobian};

/// Bits of a digit of the point's halves. Five take 43 sums on average and a table of eight.
const WIDTH: u32 = 5;

/// Odd multiples of the point in its table: P, 3 P, ..., 15 P.
const MULTIPLES: usize = 1 << (WIDTH - 2);

impl Combination {
    /// The sum. The point's order is above 17.
    pub(super) fn complete(&self, table: &GeneratorTable) -> Point {
        let mut sum = self.point_part();
        let number = table.comb.number(self.generator_factor);
        for window in 0..table.comb.windows() {
            let digit = table.comb.digit(&number, window);
            let row = Affine::<Element>::from_row(table.row(window, digit));
            sum = sum.add_loaded(&if digit.is_negative() { row.negated() } else { row });
        }
        sum
    }

    /// b P.
    fn point_part(&self) -> Point {
        let (first, second) = self.point_factor.glv_split();
        let digits = [first.non_adjacent(WIDTH), second.non_adjacent(WIDTH)];
        let (multiples, z) = odd_multiples(&self.point);
        let tables = [multiples, multiples.map(|multiple| Affine { x: multiple.x * Element::BETA, y: multiple.y })];
        let mut sum = Point::INFINITY;
        let mut doubles = 0;
        for place in (0..NON_ADJACENT_DIGITS).rev() {
            doubles += 1;
            for (table, digits) in tables.iter().zip(&digits) {
                let digit = digits[place];
                if digit != 0 {
                    sum.double_times(std::mem::take(&mut doubles));
                    let multiple = table[usize::from(digit.unsigned_abs() / 2)];
                    sum = sum.add_loaded(&if digit < 0 { multiple.negated() } else { multiple });
                }
            }
        }
        sum.double_times(doubles);
        // Back to the curve.
        sum.z = sum.z * z;
        sum
    }
}

/// The odd multiples P, 3 P, ... of a point as (x / z^2, y / z^3), all with the z returned.
fn odd_multiples(point: &AffinePoint) -> ([Affine<Element>; MULTIPLES], Element) {
    let point = Affine::<Element>::from_row(point);
    // On the curve with its z for one the double is affine.
    let double = Jacobian::from_affine(&point).double();
    let square = Element::square(double.z);
    let first = Affine { x: point.x * square, y: point.y * square * double.z };
    let double_row = Affine { x: double.x, y: double.y };
    let mut multiple = Jacobian::from_affine(&first);
    let mut multiples = [first; MULTIPLES];
    // By what each sum's z is that of the sum before.
    let mut factors = [Element::ONE; MULTIPLES];
    for index in 1..MULTIPLES {
        factors[index] = multiple.add_affine_inlined(&double_row);
        multiples[index] = Affine { x: multiple.x, y: multiple.y };
    }
    let mut factor = Element::ONE;
    for index in (0..MULTIPLES - 1).rev() {
        factor = factor * factors[index + 1];
        let square = Element::square(factor);
        let Affine { x, y } = multiples[index];
        multiples[index] = Affine { x: x * square, y: y * square * factor };
    }
    (multiples, multiple.z * double.z)
}
