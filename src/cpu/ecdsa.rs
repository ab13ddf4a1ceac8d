//! ECDSA over secp256k1, one item at a time, on k256's arithmetic.
//!
//! k256's own ECDSA is not used: it accepts or rejects by rules of its own (a high s never passes it) and does not say
//! why. Signatures are public, so the variable-time forms are right.

use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::ops::{LinearCombination, Reduce};
use k256::elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use k256::elliptic_curve::sec1::{FromSec1Point, Sec1Point, ToSec1Point};
use k256::elliptic_curve::subtle::Choice;
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, Secp256k1};

use super::keccak256;
use crate::scheme::ecdsa::{KeyBytes, ORDER, RecoverItem, SignatureBytes, Signer, VerifyItem};
use crate::verdict::Reason;

/// Recovers the signer: Q = r^-1 (s R - z G), with R found from its x coordinate r (or r + n) and the parity of y
/// (SEC 1, 4.1.6).
pub(crate) fn recover(item: &RecoverItem) -> Result<Signer, Reason> {
    item.check()?;
    let (r, s) = scalars(&item.signature)?;
    let x = if item.recovery_id & 2 == 0 { item.signature.r } else { plus_order(item.signature.r) };
    let y_is_odd = Choice::from(item.recovery_id & 1);
    let ephemeral: AffinePoint =
        Option::from(AffinePoint::decompress(&x.into(), y_is_odd)).ok_or(Reason::RNotOnCurve)?;
    let z = digest_scalar(&item.digest);
    let inverse: Scalar = Option::from(r.invert_vartime()).ok_or(Reason::RIsZero)?;
    let key = ProjectivePoint::lincomb(&[
        (ProjectivePoint::GENERATOR, -(inverse * z)),
        (ProjectivePoint::from(ephemeral), inverse * s),
    ]);
    if key == ProjectivePoint::IDENTITY {
        return Err(Reason::KeyAtInfinity);
    }
    let encoded = key.to_affine().to_sec1_point(false);
    let public_key: [u8; 64] =
        encoded.as_bytes().get(1..).and_then(|xy| xy.try_into().ok()).ok_or(Reason::KeyAtInfinity)?;
    let digest = keccak256(&public_key);
    let mut address = [0; 20];
    address.copy_from_slice(&digest[12..]);
    Ok(Signer { public_key, address })
}

/// Verifies: x(z s^-1 G + r s^-1 Q) is r modulo n (SEC 1, 4.1.4).
pub(crate) fn verify(item: &VerifyItem) -> Result<(), Reason> {
    item.check()?;
    let key = decode_key(&item.key)?;
    let (r, s) = scalars(&item.signature)?;
    let z = digest_scalar(&item.digest);
    let inverse: Scalar = Option::from(s.invert_vartime()).ok_or(Reason::SIsZero)?;
    let point = ProjectivePoint::lincomb(&[
        (ProjectivePoint::GENERATOR, inverse * z),
        (ProjectivePoint::from(key), inverse * r),
    ]);
    // The point at infinity has no x; k256 would give it 0, which r never is, and it is refused all the same.
    if point == ProjectivePoint::IDENTITY {
        return Err(Reason::Mismatch);
    }
    // Reducing x modulo n makes one test of the two cases x = r and x = r + n.
    let x = <Scalar as Reduce<FieldBytes>>::reduce(&point.to_affine().x());
    if x == r { Ok(()) } else { Err(Reason::Mismatch) }
}

/// The point that a checked key names.
fn decode_key(key: &KeyBytes) -> Result<AffinePoint, Reason> {
    let encoded = match key {
        KeyBytes::Compressed(bytes) => Sec1Point::<Secp256k1>::from_bytes(bytes),
        KeyBytes::Uncompressed(xy) => {
            let mut bytes = [4; 65];
            bytes[1..].copy_from_slice(xy);
            Sec1Point::<Secp256k1>::from_bytes(bytes)
        }
    };
    let encoded = encoded.map_err(|_| Reason::KeyEncoding)?;
    Option::from(AffinePoint::from_sec1_point(&encoded)).ok_or(Reason::KeyNotOnCurve)
}

/// r and s of a checked signature.
fn scalars(signature: &SignatureBytes) -> Result<(Scalar, Scalar), Reason> {
    let r = Option::from(Scalar::from_repr(signature.r.into())).ok_or(Reason::ROutOfRange)?;
    let s = Option::from(Scalar::from_repr(signature.s.into())).ok_or(Reason::SOutOfRange)?;
    Ok((r, s))
}

/// The digest modulo n. It has 256 bits, as n has, so nothing is cut off it.
fn digest_scalar(digest: &[u8; 32]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&(*digest).into())
}

/// r + n for r below p - n, so that it does not overflow.
fn plus_order(r: [u8; 32]) -> [u8; 32] {
    let mut sum = [0; 32];
    let mut carry = 0;
    for index in (0..32).rev() {
        let digit = u16::from(r[index]) + u16::from(ORDER[index]) + carry;
        sum[index] = digit.to_le_bytes()[0];
        carry = digit >> 8;
    }
    sum
}
