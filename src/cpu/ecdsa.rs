//! ECDSA over secp256k1, a block of items at a time: the checks that need no curve here, the rest in the lanes of
//! [`crate::arithmetic`].

use super::keccak256_of_keys;
use crate::arithmetic::ecdsa::{self, Named, Recovery, Verification};
use crate::arithmetic::group::AffinePoint;
use crate::arithmetic::limbs::{add_256, from_be_bytes};
use crate::arithmetic::{self, Platform, Scalar};
use crate::scheme::ecdsa::{KeyBytes, RecoverItem, SignatureBytes, Signer, VerifyItem};
use crate::verdict::Reason;

pub(super) use crate::arithmetic::ecdsa::BLOCK;

/// Recovers the signer of each item; those rejected while parsing keep their reason.
pub(crate) fn recover(
    platform: Platform,
    items: impl Iterator<Item = Result<RecoverItem, Reason>>,
) -> Vec<Result<Signer, Reason>> {
    let answer = |recoveries: &[Recovery]| ecdsa::recover(platform, recoveries);
    signers(in_lanes(items, prepare_recovery, answer))
}

/// The checks that need no curve, and what the curve is then needed for.
pub(super) fn prepare_recovery(item: &RecoverItem) -> Result<Recovery, Reason> {
    item.check()?;
    let (r, s) = scalars(&item.signature)?;
    let mut x = r.to_limbs();
    if item.recovery_id & 2 != 0 {
        // Below p, as was checked.
        x = add_256(x, arithmetic::ORDER).0;
    }
    let ephemeral = Named::Compressed { x, y_is_odd: item.recovery_id & 1 == 1 };
    Ok(Recovery { ephemeral, r, s, z: Scalar::from_be_bytes_reduced(&item.digest) })
}

/// Verifies each item; those rejected while parsing keep their reason.
pub(crate) fn verify(
    platform: Platform,
    items: impl Iterator<Item = Result<VerifyItem, Reason>>,
) -> Vec<Result<(), Reason>> {
    let prepare = |item: &VerifyItem| {
        item.check()?;
        let (r, s) = scalars(&item.signature)?;
        Ok(Verification { key: named(&item.key), r, s, z: Scalar::from_be_bytes_reduced(&item.digest) })
    };
    in_lanes(items, prepare, |verifications| ecdsa::verify(platform, verifications))
}

/// Answers each item: with the reason that `prepare` rejects it for, or with its place in the answer to all the others.
fn in_lanes<I, P, T>(
    items: impl Iterator<Item = Result<I, Reason>>,
    prepare: impl Fn(&I) -> Result<P, Reason>,
    answer: impl Fn(&[P]) -> Vec<Result<T, Reason>>,
) -> Vec<Result<T, Reason>> {
    let mut prepared = Vec::with_capacity(BLOCK);
    let checked: Vec<Option<Reason>> = items
        .map(|item| match item.and_then(|item| prepare(&item)) {
            Ok(item) => {
                prepared.push(item);
                None
            }
            Err(reason) => Some(reason),
        })
        .collect();
    let mut answers = answer(&prepared).into_iter();
    // An item without an answer gets none: the batch is then short, which is noticed where verdicts are counted.
    checked.into_iter().filter_map(|reason| reason.map_or_else(|| answers.next(), |reason| Some(Err(reason)))).collect()
}

/// The point that a checked key names.
pub(super) fn named(key: &KeyBytes) -> Named {
    let coordinate = |bytes: &[u8]| bytes.try_into().map_or([0; 4], |bytes| from_be_bytes(&bytes));
    match key {
        KeyBytes::Compressed([prefix, x @ ..]) => Named::Compressed { x: coordinate(x), y_is_odd: prefix & 1 == 1 },
        KeyBytes::Uncompressed(xy) => {
            Named::Uncompressed(AffinePoint { x: coordinate(&xy[..32]), y: coordinate(&xy[32..]) })
        }
    }
}

/// r and s of a checked signature.
fn scalars(signature: &SignatureBytes) -> Result<(Scalar, Scalar), Reason> {
    let r = Scalar::from_be_bytes(&signature.r).ok_or(Reason::ROutOfRange)?;
    let s = Scalar::from_be_bytes(&signature.s).ok_or(Reason::SOutOfRange)?;
    Ok((r, s))
}

/// The keys with their addresses, hashed together.
fn signers(keys: Vec<Result<[u8; 64], Reason>>) -> Vec<Result<Signer, Reason>> {
    let recovered: Vec<[u8; 64]> = keys.iter().filter_map(|key| key.ok()).collect();
    let mut digests = vec![[0; 32]; recovered.len()];
    keccak256_of_keys(&recovered, &mut digests);
    let mut digests = digests.iter();
    let mut address = || {
        let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = digests.next()?;
        Some(*address)
    };
    // As many digests as keys: a key without one would leave the batch short, which is noticed where verdicts are counted.
    keys.into_iter()
        .filter_map(|key| match key {
            Ok(public_key) => address().map(|address| Ok(Signer { public_key, address })),
            Err(reason) => Some(Err(reason)),
        })
        .collect()
}
