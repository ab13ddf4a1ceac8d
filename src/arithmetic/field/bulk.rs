//! Field operations on many elements at a time: what tests and measurements see of the lanes.

use super::{FieldLanes, Inverter, Kernel, Limbs, square_root_candidates};
use crate::arithmetic::Platform;
use crate::arithmetic::platform::OnLanes;

/// An operation on each pair of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldOperation {
    /// a + b.
    Add,
    /// a - b.
    Subtract,
    /// -a.
    Negate,
    /// a b.
    Multiply,
    /// a^2.
    Square,
    /// (a - b) (a + b), on operands that were not carried where the form allows that.
    DifferenceOfSquares,
    /// (a + a + a - (b + b + b + b))^2, the largest magnitudes that the group law carries.
    SquareOfMultiples,
    /// a^((p + 1) / 4), a root of a where it has one.
    SquareRoot,
    /// The inverse of a, that of zero being one.
    Invert,
    /// One where a and b are equal, else zero.
    Equal,
}

impl FieldOperation {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::Add,
        Self::Subtract,
        Self::Negate,
        Self::Multiply,
        Self::Square,
        Self::DifferenceOfSquares,
        Self::SquareOfMultiples,
        Self::SquareRoot,
        Self::Invert,
        Self::Equal,
    ];
}

impl Platform {
    /// The operation on each pair, any numbers below 2^256, as numbers below p. A missing b is taken as zero.
    #[must_use]
    pub fn field(self, operation: FieldOperation, a: &[Limbs], b: &[Limbs]) -> Vec<Limbs> {
        struct Bulk<'a>(FieldOperation, &'a [Limbs], &'a [Limbs]);
        impl OnLanes for Bulk<'_> {
            type Output = Vec<Limbs>;
            fn run<F: FieldLanes>(self) -> Self::Output {
                let Self(operation, a, b) = self;
                F::outlined(Operate::<F> { operation, a, b, form: std::marker::PhantomData })
            }
        }
        self.run(Bulk(operation, a, b))
    }
}

struct Operate<'a, F> {
    operation: FieldOperation,
    a: &'a [Limbs],
    b: &'a [Limbs],
    form: std::marker::PhantomData<F>,
}

impl<F: FieldLanes> Kernel for Operate<'_, F> {
    type Output = Vec<Limbs>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        const ZERO: Limbs = [0; 4];
        let mut results: Vec<F> = Vec::with_capacity(self.a.len().div_ceil(F::LANES));
        let mut inverter = Inverter::new();
        for start in (0..self.a.len()).step_by(F::LANES) {
            let a = F::load(|lane| self.a.get(start + lane).unwrap_or(&ZERO));
            let b = F::load(|lane| self.b.get(start + lane).unwrap_or(&ZERO));
            results.push(match self.operation {
                FieldOperation::Add => a.add(&b),
                FieldOperation::Subtract => a.sub::<1>(&b),
                FieldOperation::Negate => a.neg::<1>(),
                FieldOperation::Multiply => a.mul(&b),
                FieldOperation::Square => a.square(),
                FieldOperation::DifferenceOfSquares => a.sub::<1>(&b).operand().mul(&a.add(&b).operand()),
                FieldOperation::SquareOfMultiples => {
                    let (b2, a2) = (b.add(&b), a.add(&a));
                    // Magnitude 1 and 5 more.
                    let difference = a.sub::<4>(&b2.add(&b2)).carry();
                    difference.add(&a2).carry().square()
                }
                FieldOperation::SquareRoot => square_root_candidates(&[a])[0],
                FieldOperation::Invert => {
                    inverter.push(|| a);
                    a
                }
                FieldOperation::Equal => F::splat(&ZERO).select(&F::splat(&[1, 0, 0, 0]), a.equal_lanes(&b)),
            });
        }
        if self.operation == FieldOperation::Invert {
            inverter.invert(|_, _| ());
            results.iter_mut().enumerate().for_each(|(index, result)| *result = *inverter.inverse(index));
        }
        let mut rows = Vec::with_capacity(results.len() * F::LANES);
        for result in results {
            result.store(|_, row| rows.push(row));
        }
        rows.truncate(self.a.len());
        rows
    }
}
