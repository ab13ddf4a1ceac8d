//! Digits of the kernels' scalars: which Eisenstein integers they are, and the code that each class modulo 8 has.

use crate::gpu::shader::constants::ecdsa::{DIGIT_NEGATIVE, DIGIT_ZERO, PATH, Unit};

/// a + b w, w being a cube root of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Eisenstein {
    a: i32,
    b: i32,
}

impl Eisenstein {
    fn plus(self, other: Self) -> Self {
        Self { a: self.a + other.a, b: self.b + other.b }
    }

    /// w^2 is -1 - w.
    fn times_w(self) -> Self {
        Self { a: -self.b, b: self.a - self.b }
    }

    fn times(self, unit: Unit) -> Self {
        let turned = (0..unit.power).fold(self, |number, _| number.times_w());
        if unit.negative { Self { a: -turned.a, b: -turned.b } } else { turned }
    }

    /// By how much it is long, squared.
    fn norm(self) -> i32 {
        self.a * self.a - self.a * self.b + self.b * self.b
    }
}

fn units() -> impl Iterator<Item = Unit> {
    [false, true].into_iter().flat_map(|negative| (0..3).map(move |power| Unit { power, negative }))
}

/// The table's entries, in their order.
fn entries() -> Vec<Eisenstein> {
    let one = Eisenstein { a: 1, b: 0 };
    let walk = PATH.iter().scan(one, |place, unit| {
        *place = place.plus(one.times(*unit));
        Some(*place)
    });
    std::iter::once(one).chain(walk).collect()
}

/// For each class modulo 8, at a + 8 b: the code of its shortest digit, and in bits 8 and 9 what a and b carry.
pub(super) fn classes() -> [u32; 64] {
    std::array::from_fn(|class| {
        let (a, b) = residues(class);
        let of_class = |digit: &Eisenstein| (digit.a - a).rem_euclid(8) == 0 && (digit.b - b).rem_euclid(8) == 0;
        let entries = (0_u32..).zip(entries());
        let digits = entries.flat_map(|(place, entry)| {
            units().map(move |unit| {
                let sign = if unit.negative { DIGIT_NEGATIVE } else { 0 };
                (entry.times(unit), place << 3 | sign | unit.power)
            })
        });
        let zero = (Eisenstein::default(), DIGIT_ZERO);
        let all = digits.chain([zero]).filter(|(digit, _)| of_class(digit));
        let (digit, code) = all.min_by_key(|(digit, code)| (digit.norm(), *code)).unwrap_or(zero);
        let carry = |digit: i32, remainder: i32| u32::from(digit != remainder);
        code | carry(digit.a, a) << 8 | carry(digit.b, b) << 9
    })
}

/// a and b of a class.
fn residues(class: usize) -> (i32, i32) {
    let residue = |number: usize| i32::try_from(number % 8).unwrap_or_default();
    (residue(class), residue(class / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Eisenstein> {
        let range = || -8..=8;
        range().flat_map(|a| range().map(move |b| Eisenstein { a, b })).collect()
    }

    fn digit(code: u32) -> Eisenstein {
        if code & 0xff == DIGIT_ZERO {
            return Eisenstein::default();
        }
        let unit = Unit { power: code & 3, negative: code & DIGIT_NEGATIVE != 0 };
        entries()[(code >> 3 & 0xf) as usize].times(unit)
    }

    #[test]
    fn every_class_has_its_shortest_digit() {
        for (class, code) in classes().into_iter().enumerate() {
            let (a, b) = residues(class);
            let digit = digit(code);
            // What is left is a multiple of 8: nothing, or the 8 that is carried.
            let carried = Eisenstein { a: (code >> 8 & 1).cast_signed(), b: (code >> 9).cast_signed() };
            assert_eq!((digit.a + 8 * carried.a, digit.b + 8 * carried.b), (a, b));
            let others = all().into_iter().filter(|other| (other.a - a) % 8 == 0 && (other.b - b) % 8 == 0);
            assert_eq!(others.map(Eisenstein::norm).min(), Some(digit.norm()));
            assert!(digit.norm() <= 19);
        }
    }

    /// After 42 digits, what is left of a scalar is its halves by 8^42 less those digits by powers of 8: in the rhombus that the
    /// lattice's two short vectors span about zero, and up to sqrt(19) (1/8 + 1/64 + …) = 0.623 about that. All of it is a digit.
    #[test]
    fn what_the_last_digit_can_be_is_a_digit() {
        let classes = classes();
        let place = |a: f64, b: f64| (a - b / 2.0, b * 0.75_f64.sqrt());
        // a1 + b1 w and a2 + b2 w by 8^42, which is 2^126.
        let (v1, v2) = (place(0.758_225, -3.566_619), place(4.323_782, 0.758_225));
        let inside = |point: (f64, f64)| {
            let area = v1.0 * v2.1 - v1.1 * v2.0;
            let e1 = (point.0 * v2.1 - point.1 * v2.0) / area;
            let e2 = (v1.0 * point.1 - v1.1 * point.0) / area;
            e1.abs() <= 0.5 && e2.abs() <= 0.5
        };
        let near = |point: (f64, f64)| {
            let turns = (0..360).map(|degree| f64::from(degree).to_radians().sin_cos());
            let mut shifts = turns.flat_map(|(sin, cos)| [0.0, 0.16, 0.32, 0.48, 0.64].map(|by| (by * cos, by * sin)));
            shifts.any(|shift| inside((point.0 + shift.0, point.1 + shift.1)))
        };
        let left: Vec<_> = all().into_iter().filter(|left| near(place(f64::from(left.a), f64::from(left.b)))).collect();
        assert!(left.len() > 19 && left.iter().all(|left| left.norm() <= 13), "{left:?}");
        for number in left {
            let class = number.a.rem_euclid(8) + 8 * number.b.rem_euclid(8);
            assert_eq!(digit(classes[usize::try_from(class).expect("0 to 63")]), number);
        }
    }

    /// The path never adds to a number that number itself or its negative.
    #[test]
    fn no_step_of_the_path_is_exceptional() {
        let one = Eisenstein { a: 1, b: 0 };
        for (entry, unit) in entries().into_iter().zip(PATH) {
            let unit = one.times(unit);
            assert!(entry != unit && entry.plus(unit) != Eisenstein::default());
        }
        let mut norms: Vec<_> = entries().into_iter().map(Eisenstein::norm).collect();
        norms.sort_unstable();
        assert_eq!(norms, [1, 3, 4, 7, 7, 9, 12, 13, 13, 16, 19]);
    }
}
