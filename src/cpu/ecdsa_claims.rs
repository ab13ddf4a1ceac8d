//! What an ECDSA signature claims of a key that is known: R = z s^-1 G + r s^-1 Q.
//!
//! R is determined by r and the recovery id. The equation is that of recovery, Q = r^-1 (s R - z G), solved for R: where one holds
//! so does the other, and Q is what recovery finds.

use crate::arithmetic::batch_equation::Claim;
use crate::arithmetic::ecdsa::{Named, Recovery, lift};
use crate::arithmetic::{Platform, Scalar};

/// A signature that passed every check but those of the curve, and the key that is to have made it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) recovery: Recovery,
    pub(super) key: Named,
}

/// The claim of each signature; none where R or the key is no point of the curve.
pub(super) fn claims(platform: Platform, subjects: &[Subject]) -> Vec<Option<Claim>> {
    let names: Vec<Named> = subjects.iter().flat_map(|subject| [subject.recovery.ephemeral, subject.key]).collect();
    let (points, on_curve) = lift(platform, &names);
    let mut inverses: Vec<Scalar> = subjects.iter().map(|subject| subject.recovery.s).collect();
    Scalar::batch_invert(&mut inverses);
    let (points, _) = points.as_chunks::<2>();
    let (on_curve, _) = on_curve.as_chunks::<2>();
    let claim = |(((subject, inverse), points), on_curve): (((&Subject, Scalar), &[_; 2]), &[bool; 2])| {
        (*on_curve == [true, true]).then(|| Claim {
            ephemeral: points[0],
            generator_factor: inverse * subject.recovery.z,
            key: points[1],
            key_factor: inverse * subject.recovery.r,
        })
    };
    subjects.iter().zip(inverses).zip(points).zip(on_curve).map(claim).collect()
}
