//! Multiples of the generator, which is where signing and deriving keys spend their time.

use std::sync::LazyLock;

use k256::elliptic_curve::BatchNormalize;
use k256::elliptic_curve::ff::PrimeField;
use k256::{AffinePoint, ProjectivePoint, Scalar};

/// The multiple of the generator by each scalar, in affine form. Variable time.
pub(super) fn generator_multiples_var(scalars: &[Scalar]) -> Vec<AffinePoint> {
    let points: Vec<_> = scalars.iter().map(multiple).collect();
    normalize(&points)
}

fn multiple(scalar: &Scalar) -> ProjectivePoint {
    let bytes = scalar.to_repr();
    let windows = TABLE.chunks_exact(WINDOW);
    let digits = bytes.iter().rev().map(|byte| usize::from(*byte));
    let points = digits.zip(windows).filter_map(|(digit, window)| window.get(digit.checked_sub(1)?));
    points.fold(ProjectivePoint::IDENTITY, |sum, point| sum + point)
}

fn normalize(points: &[ProjectivePoint]) -> Vec<AffinePoint> {
    <ProjectivePoint as BatchNormalize<[_]>>::batch_normalize_vartime(points)
}

/// The generator's multiples by every byte but 0 in each place of a scalar, least significant place first: about
/// 700 kB. A multiple is a sum of 32 of them, where k256's own table of 30 kB needs 65 additions: half the time.
static TABLE: LazyLock<Vec<AffinePoint>> = LazyLock::new(|| {
    let mut points = Vec::with_capacity(32 * WINDOW);
    let mut place = ProjectivePoint::GENERATOR;
    for _ in 0..32 {
        let first = place;
        for _ in 0..WINDOW {
            points.push(place);
            place += first;
        }
    }
    normalize(&points)
});

/// The values of a byte, 0 left out.
const WINDOW: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_those_of_k256() {
        let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE];
        let (mut power, step) = (Scalar::from(255_u64), Scalar::from(0x0100_0001_0203_u64));
        for _ in 0..64 {
            scalars.extend([power, -power, power + Scalar::ONE]);
            power *= step;
        }
        let mut place = Scalar::ONE;
        for _ in 0..31 {
            place *= Scalar::from(256_u64);
            scalars.extend([place, place - Scalar::ONE]);
        }
        let expected: Vec<_> =
            scalars.iter().map(|scalar| ProjectivePoint::mul_by_generator(scalar).to_affine()).collect();
        assert_eq!(generator_multiples_var(&scalars), expected);
    }
}
