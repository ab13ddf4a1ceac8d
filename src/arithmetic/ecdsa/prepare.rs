//! Prepare: the scalars of a block, inverted together.

use super::multiply::Combination;
use super::{AffinePoint, Recovery, Scalar, Verification};

/// Q = r^-1 (s R - z G), as a G + b R (SEC 1, 4.1.6).
pub(super) fn recovery(block: &[Recovery], points: &[AffinePoint]) -> Vec<Combination> {
    let mut inverses: Vec<Scalar> = block.iter().map(|item| item.r).collect();
    Scalar::batch_invert(&mut inverses);
    let combination = |((item, inverse), point): ((&Recovery, Scalar), &AffinePoint)| Combination {
        generator_factor: -(inverse * item.z),
        point_factor: inverse * item.s,
        point: *point,
    };
    block.iter().zip(inverses).zip(points).map(combination).collect()
}

/// R = s^-1 (z G + r Q), as a G + b Q (SEC 1, 4.1.4).
pub(super) fn verification(block: &[Verification], points: &[AffinePoint]) -> Vec<Combination> {
    let mut inverses: Vec<Scalar> = block.iter().map(|item| item.s).collect();
    Scalar::batch_invert(&mut inverses);
    let combination = |((item, inverse), point): ((&Verification, Scalar), &AffinePoint)| Combination {
        generator_factor: inverse * item.z,
        point_factor: inverse * item.r,
        point: *point,
    };
    block.iter().zip(inverses).zip(points).map(combination).collect()
}
