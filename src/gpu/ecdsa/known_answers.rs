//! Items whose answers follow from how they were made: discrete logarithms are chosen first, so that the key is a multiple of the
//! generator that nobody has to recover.

use k256::elliptic_curve::bigint::{Encoding, NonZero, U256};
use k256::elliptic_curve::ff::{Field, PrimeField};
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

use crate::cpu::keccak256;
use crate::gpu::shader::constants::ecdsa::{BASE_WINDOW_BITS, BASE_WINDOWS};
use crate::rules::Rules;
use crate::scheme::ecdsa::{
    HALF_ORDER, KeyBytes, ORDER, PRIME, PRIME_MINUS_ORDER, RecoverItem, SignatureBytes, Signer, VerifyItem,
};
use crate::verdict::{Reason, Verdict};

type Known<I, T> = Vec<(I, Verdict<T>)>;

/// Recoveries.
pub(super) fn recover() -> Known<RecoverItem, Signer> {
    let mut known = Vec::new();
    for sum in sums() {
        let (item, signer) = recovery(sum);
        known.push((item, signer.map_or(Verdict::Invalid(Reason::KeyAtInfinity), Verdict::Valid)));
    }
    let (valid, signer) = recovery(Sum { base: scalar(5), key: scalar(9) });
    let Some(signer) = signer else { return known };
    let SignatureBytes { r, s } = valid.signature;
    // A digest of z + n, where that fits, is one of z: n itself is zero.
    let (zero, other) = recovery(Sum { base: Scalar::ZERO, key: scalar(7) });
    let wrapped = RecoverItem { digest: ORDER, ..zero };
    known.extend(other.map(|other| (wrapped, Verdict::Valid(other))));
    let with = |r: [u8; 32], s: [u8; 32]| RecoverItem { signature: SignatureBytes { r, s }, ..valid };
    let high = scalar_bytes(-reduced(s));
    let (low, high) = if s <= HALF_ORDER { (s, high) } else { (high, s) };
    let id_of = |chosen: [u8; 32]| if chosen == s { valid.recovery_id } else { valid.recovery_id ^ 1 };
    let signed = |s: [u8; 32], rules| RecoverItem { recovery_id: id_of(s), rules, ..with(r, s) };
    known.extend([
        (signed(low, Rules::EthTyped), Verdict::Valid(signer)),
        (signed(high, Rules::Sec1), Verdict::Valid(signer)),
        (signed(high, Rules::EthHomestead), Verdict::Invalid(Reason::HighS)),
        (with(small(0), s), Verdict::Invalid(Reason::RIsZero)),
        (with(ORDER, s), Verdict::Invalid(Reason::ROutOfRange)),
        (with([0xff; 32], s), Verdict::Invalid(Reason::ROutOfRange)),
        (with(r, small(0)), Verdict::Invalid(Reason::SIsZero)),
        (with(r, ORDER), Verdict::Invalid(Reason::SOutOfRange)),
        (RecoverItem { recovery_id: 4, ..valid }, Verdict::Invalid(Reason::RecoveryId)),
        (RecoverItem { recovery_id: 2, rules: Rules::EthFrontier, ..valid }, Verdict::Invalid(Reason::RecoveryId)),
        (RecoverItem { recovery_id: 2, ..with(PRIME_MINUS_ORDER, s) }, Verdict::Invalid(Reason::RPlusNOutOfRange)),
        // 5^3 + 7 is no square, nor is (n + 1)^3 + 7 for the other.
        (with(small(5), s), Verdict::Invalid(Reason::RNotOnCurve)),
    ]);
    known
}

/// Verifications.
pub(super) fn verify() -> Known<VerifyItem, ()> {
    let mut known = Vec::new();
    for sum in sums() {
        let (item, holds) = verification(sum);
        let verdict = if holds { Verdict::Valid(()) } else { Verdict::Invalid(Reason::Mismatch) };
        known.push((item, verdict));
        // Nothing else has this digest.
        let other = VerifyItem { digest: scalar_bytes(reduced(item.digest) + Scalar::ONE), ..item };
        known.push((other, Verdict::Invalid(Reason::Mismatch)));
    }
    let (valid, _) = verification(Sum { base: scalar(5), key: scalar(9) });
    let SignatureBytes { r, s } = valid.signature;
    let with = |r: [u8; 32], s: [u8; 32]| VerifyItem { signature: SignatureBytes { r, s }, ..valid };
    let high = scalar_bytes(-reduced(s));
    let (low, high) = if s <= HALF_ORDER { (s, high) } else { (high, s) };
    let keyed = |key: KeyBytes| VerifyItem { key, ..valid };
    let compressed = |prefix: u8, x: [u8; 32]| {
        let mut bytes = [prefix; 33];
        bytes[1..].copy_from_slice(&x);
        keyed(KeyBytes::Compressed(bytes))
    };
    let point = multiple_affine(scalar(5));
    let (x, y) = point.map_or(([0; 32], [0; 32]), |point| coordinates(&point));
    let uncompressed = |x: [u8; 32], y: [u8; 32]| {
        let mut xy = [0; 64];
        xy[..32].copy_from_slice(&x);
        xy[32..].copy_from_slice(&y);
        keyed(KeyBytes::Uncompressed(xy))
    };
    known.extend([
        (with(r, low), Verdict::Valid(())),
        (with(r, high), Verdict::Valid(())),
        (VerifyItem { rules: Rules::BitcoinPolicy, ..with(r, high) }, Verdict::Invalid(Reason::HighS)),
        (with(small(0), s), Verdict::Invalid(Reason::RIsZero)),
        (with(ORDER, s), Verdict::Invalid(Reason::ROutOfRange)),
        (with(r, small(0)), Verdict::Invalid(Reason::SIsZero)),
        (with(r, ORDER), Verdict::Invalid(Reason::SOutOfRange)),
        (uncompressed(x, y), Verdict::Invalid(Reason::Mismatch)),
        (uncompressed(x, x), Verdict::Invalid(Reason::KeyNotOnCurve)),
        (uncompressed(x, PRIME), Verdict::Invalid(Reason::KeyEncoding)),
        (uncompressed(PRIME, y), Verdict::Invalid(Reason::KeyEncoding)),
        (compressed(2, small(5)), Verdict::Invalid(Reason::KeyNotOnCurve)),
        (compressed(4, x), Verdict::Invalid(Reason::KeyEncoding)),
        (compressed(3, PRIME), Verdict::Invalid(Reason::KeyEncoding)),
    ]);
    known
}

/// What is summed: `base` G, digit by digit, on top of `key` G, which is u2 P.
#[derive(Clone, Copy, Debug)]
struct Sum {
    base: Scalar,
    key: Scalar,
}

/// Sums without and with exceptional additions: equal points and opposite ones at the first, the second, a middle and the last
/// window, and at infinity.
fn sums() -> Vec<Sum> {
    let any = scalar(0x9e37_79b9_7f4a_7c15).pow_vartime([5]);
    let bases = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, scalar(2), any, -any.square()];
    let mut sums: Vec<_> = bases.iter().map(|base| Sum { base: *base, key: any.invert().unwrap_or(any) }).collect();
    sums.extend([Sum { base: any, key: -any }, Sum { base: Scalar::ONE, key: -Scalar::ONE }]);
    sums.extend([Sum { base: any, key: Scalar::ONE }, Sum { base: any, key: -Scalar::ONE }]);
    for base in bases {
        let parts = window_parts(base);
        for window in [0, 1, parts.len() / 2, parts.len() - 1] {
            let before: Scalar = parts[..window].iter().sum();
            // What there is when this window's part is added is that part, or its negative.
            let equal = Sum { base, key: parts[window] - before };
            let opposite = Sum { base, key: -parts[window] - before };
            sums.extend([equal, opposite].into_iter().filter(|sum| sum.key != Scalar::ZERO));
        }
    }
    sums
}

/// What each window of the fixed base adds: with c = (u - 1) / 2 + 2^(bits - 1) for the odd one u of a scalar and its negative, 2 w + 1
/// less 2^window, times the window's power of two, for the bits w of c.
fn window_parts(base: Scalar) -> Vec<Scalar> {
    let bytes = scalar_bytes(base);
    let is_even = bytes[31] & 1 == 0;
    // n - 0 is n, whose low half is that of -1, and one more.
    let odd = if is_even {
        U256::from_be_bytes(ORDER.into()).wrapping_sub(&U256::from_be_slice(&bytes))
    } else {
        U256::from_be_slice(&bytes)
    };
    let size = NonZero::new(U256::from_u64(1 << BASE_WINDOW_BITS));
    let Some(size) = size.into_option() else { return Vec::new() };
    let mut rest = odd.shr_vartime(1);
    let two = scalar(1 << BASE_WINDOW_BITS);
    let mut power = Scalar::ONE;
    (0..BASE_WINDOWS)
        .map(|window| {
            let (quotient, bits) = rest.div_rem(&size);
            rest = quotient;
            let bound = if window + 1 == BASE_WINDOWS { 1 << (BASE_WINDOW_BITS - 1) } else { 0 };
            let bits = bits.to_le_bytes().as_ref()[..8].iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
            let digit = scalar(2 * (bits + bound) + 1) - two;
            let part = digit * power;
            power *= two;
            if is_even { -part } else { part }
        })
        .collect()
}

/// A signature whose sum is that, and its signer if the sum is not at infinity. R = 3 G.
fn recovery(sum: Sum) -> (RecoverItem, Option<Signer>) {
    let nonce = scalar(3);
    let (x, y) = multiple_affine(nonce).map_or(([0; 32], [0; 32]), |point| coordinates(&point));
    let r = reduced(x);
    let s = sum.key * r * nonce.invert().unwrap_or(Scalar::ONE);
    let item = RecoverItem {
        digest: scalar_bytes(-(sum.base * r)),
        signature: SignatureBytes { r: scalar_bytes(r), s: scalar_bytes(s) },
        recovery_id: y[31] & 1,
        rules: Rules::Sec1,
    };
    let signer = multiple_affine(sum.base + sum.key).map(|key| {
        let mut public_key = [0; 64];
        let (x, y) = coordinates(&key);
        public_key[..32].copy_from_slice(&x);
        public_key[32..].copy_from_slice(&y);
        let mut address = [0; 20];
        address.copy_from_slice(&keccak256(&public_key)[12..]);
        Signer { public_key, address }
    });
    (item, signer)
}

/// A signature whose sum is that, and whether it is valid: unless the sum is at infinity.
fn verification(sum: Sum) -> (VerifyItem, bool) {
    let ephemeral = multiple_affine(sum.base + sum.key);
    let r = ephemeral.map_or(Scalar::ONE, |point| reduced(coordinates(&point).0));
    // Any s will do: the digest and the key follow it.
    let s = scalar(0x1234_5678_9abc_def1).square();
    let key = sum.key * s * r.invert().unwrap_or(Scalar::ONE);
    let point = multiple_affine(key).unwrap_or(AffinePoint::GENERATOR);
    let encoded = point.to_sec1_point(true);
    let item = VerifyItem {
        digest: scalar_bytes(sum.base * s),
        signature: SignatureBytes { r: scalar_bytes(r), s: scalar_bytes(s) },
        key: KeyBytes::Compressed(encoded.as_bytes().try_into().unwrap_or([0; 33])),
        rules: Rules::Sec1,
    };
    (item, ephemeral.is_some())
}

fn multiple_affine(factor: Scalar) -> Option<AffinePoint> {
    (factor != Scalar::ZERO).then(|| (ProjectivePoint::GENERATOR * factor).to_affine())
}

fn coordinates(point: &AffinePoint) -> ([u8; 32], [u8; 32]) {
    let encoded = point.to_sec1_point(false);
    let numbers = encoded.as_bytes().get(1..).unwrap_or_default().as_chunks::<32>().0;
    (numbers.first().copied().unwrap_or_default(), numbers.get(1).copied().unwrap_or_default())
}

fn reduced(number: [u8; 32]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&number.into())
}

fn scalar(number: u64) -> Scalar {
    Scalar::from(number)
}

fn scalar_bytes(scalar: Scalar) -> [u8; 32] {
    scalar.to_repr().into()
}

fn small(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = number;
    bytes
}
