//! What an ECDSA signature claims of a key that is known: R = z s^-1 G + r s^-1 Q.
//!
//! R is determined by r and the recovery id. The equation is that of recovery, Q = r^-1 (s R - z G), solved for R: where one holds
//! so does the other, and Q is what recovery finds.

use crate::arithmetic::batch_equation::{Claim, Claims};
use crate::arithmetic::ecdsa::{Named, Recovery, lift};
use crate::arithmetic::{Platform, Scalar};

/// A signature that passed every check but those of the curve, and the key that is to have made it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) recovery: Recovery,
    pub(super) key: Named,
}

/// The claim of each item: none where there is no subject, or where its R or key is no point of the curve.
pub(super) fn claims(platform: Platform, items: impl ExactSizeIterator<Item = Option<Subject>>) -> Claims {
    let mut subjects = Vec::with_capacity(items.len());
    let has_subject: Vec<bool> = items
        .map(|subject| {
            subjects.extend(subject);
            subject.is_some()
        })
        .collect();
    let Claims { made, claims } = claims_of_subjects(platform, &subjects);
    let mut made = made.into_iter();
    let made = has_subject.into_iter().map(|has_subject| has_subject && made.next().unwrap_or(false)).collect();
    Claims { made, claims }
}

fn claims_of_subjects(platform: Platform, subjects: &[Subject]) -> Claims {
    let mut names: Vec<Named> = Vec::with_capacity(2 * subjects.len());
    for subject in subjects {
        names.extend([subject.recovery.ephemeral, subject.key]);
    }
    let (points, on_curve) = lift(platform, &names);
    let mut inverses: Vec<Scalar> = subjects.iter().map(|subject| subject.recovery.s).collect();
    Scalar::batch_invert(&mut inverses);
    let (points, _) = points.as_chunks::<2>();
    let (on_curve, _) = on_curve.as_chunks::<2>();
    let mut claims = Claims::with_capacity(subjects.len());
    for (((subject, inverse), [ephemeral, key]), on_curve) in subjects.iter().zip(&inverses).zip(points).zip(on_curve) {
        claims.push(*on_curve, || Claim {
            ephemeral: *ephemeral,
            generator_factor: *inverse * subject.recovery.z,
            key: *key,
            key_factor: *inverse * subject.recovery.r,
        });
    }
    claims
}
