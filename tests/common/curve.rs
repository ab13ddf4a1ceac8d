//! Signatures built from k256's arithmetic, nonce and all, so that a test can put any value in any place.

use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::elliptic_curve::subtle::Choice;
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, U256};
use phalanx::scheme::ecdsa::{KeyBytes, SignatureBytes};

/// A signature and the recovery id that leads back to its key.
#[derive(Clone, Copy)]
pub(crate) struct Signed {
    pub(crate) signature: SignatureBytes,
    pub(crate) recovery_id: u8,
}

/// Signs with the nonce given; s is left high or low as it comes. `None` where r or s is zero, or the nonce is.
pub(crate) fn sign(secret: Scalar, z: Scalar, nonce: Scalar) -> Option<Signed> {
    let ephemeral = times_generator(nonce)?;
    let r = reduced(x(&ephemeral));
    let inverse: Scalar = Option::from(nonce.invert())?;
    let s = inverse * (z + r * secret);
    let signed = Signed {
        signature: SignatureBytes { r: bytes(r), s: bytes(s) },
        recovery_id: u8::from(y_is_odd(&ephemeral)) | u8::from(bytes(r) != x(&ephemeral)) << 1,
    };
    (r != Scalar::ZERO && s != Scalar::ZERO).then_some(signed)
}

/// The same signature with s negated, and the recovery id that goes with it.
pub(crate) fn negated(signed: Signed) -> Signed {
    let signature = SignatureBytes { r: signed.signature.r, s: bytes(-reduced(signed.signature.s)) };
    Signed { signature, recovery_id: signed.recovery_id ^ 1 }
}

/// The key under which (r, s) signs z with R the ephemeral point: Q = r^-1 (s R - z G). `None` at infinity.
pub(crate) fn key_of(ephemeral: &AffinePoint, s: Scalar, z: Scalar) -> Option<AffinePoint> {
    let inverse: Scalar = Option::from(reduced(x(ephemeral)).invert())?;
    affine((ProjectivePoint::from(*ephemeral) * s - ProjectivePoint::GENERATOR * z) * inverse)
}

/// k G, or `None` at infinity.
pub(crate) fn times_generator(k: Scalar) -> Option<AffinePoint> {
    affine(ProjectivePoint::GENERATOR * k)
}

/// The point, or `None` at infinity.
pub(crate) fn affine(point: ProjectivePoint) -> Option<AffinePoint> {
    (point != ProjectivePoint::IDENTITY).then(|| point.to_affine())
}

/// The point with this x coordinate, if the curve has one.
pub(crate) fn lift(x: [u8; 32], y_is_odd: bool) -> Option<AffinePoint> {
    Option::from(AffinePoint::decompress(&x.into(), Choice::from(u8::from(y_is_odd))))
}

pub(crate) fn x(point: &AffinePoint) -> [u8; 32] {
    point.x().into()
}

pub(crate) fn y_is_odd(point: &AffinePoint) -> bool {
    point.y_is_odd().into()
}

/// x and y.
pub(crate) fn coordinates(point: &AffinePoint) -> [u8; 64] {
    point.to_sec1_point(false).as_bytes()[1..].try_into().expect("a point that is not at infinity")
}

pub(crate) fn uncompressed(point: &AffinePoint) -> KeyBytes {
    KeyBytes::Uncompressed(coordinates(point))
}

pub(crate) fn compressed(point: &AffinePoint) -> KeyBytes {
    KeyBytes::Compressed(point.to_sec1_point(true).as_bytes().try_into().expect("a point that is not at infinity"))
}

/// The scalar congruent to a 256-bit number modulo n.
pub(crate) fn reduced(number: [u8; 32]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&number.into())
}

pub(crate) fn bytes(scalar: Scalar) -> [u8; 32] {
    scalar.to_repr().into()
}

/// A small number as 32 bytes.
pub(crate) fn small(number: u64) -> [u8; 32] {
    U256::from_u64(number).to_be_bytes().into()
}

/// a + b modulo 2^256.
pub(crate) fn add(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    U256::from_be_slice(&a).wrapping_add(&U256::from_be_slice(&b)).to_be_bytes().into()
}

/// a - b modulo 2^256.
pub(crate) fn subtract(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    U256::from_be_slice(&a).wrapping_sub(&U256::from_be_slice(&b)).to_be_bytes().into()
}
