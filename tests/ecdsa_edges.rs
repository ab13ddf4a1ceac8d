//! No edge case is too unlikely for an attacker to choose: each is answered as it should be, on every backend.
//!
//! Every expectation is written down here and confirmed by libsecp256k1, step by step, before a backend is asked.

mod common;

use common::curve::{
    self, add, bytes, compressed, lift, reduced, sign, small, subtract, times_generator, uncompressed,
};
use common::{oracle, stream::Stream};
use k256::{AffinePoint, ProjectivePoint, Scalar};
use phalanx::scheme::ecdsa::{
    HALF_ORDER, KeyBytes, ORDER, PRIME, PRIME_MINUS_ORDER, RecoverBatch, RecoverItem, SignatureBytes, Signer,
    VerifyBatch, VerifyItem,
};
use phalanx::{Reason, Rules, Verdict, Verifier};

const RECOVERY_IDS: [u8; 6] = [0, 1, 2, 3, 4, 255];
const LARGEST: [u8; 32] = [0xff; 32];

#[test]
fn r_and_s_at_the_limits_of_their_range() {
    let values = [
        small(0),
        small(1),
        HALF_ORDER,
        add(HALF_ORDER, small(1)),
        subtract(ORDER, small(1)),
        ORDER,
        add(ORDER, small(1)),
        LARGEST,
    ];
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    for (r_index, r) in values.into_iter().enumerate() {
        for (s_index, s) in values.into_iter().enumerate() {
            for rules in Rules::ALL {
                // The reasons are named by the values' places in the list above, not by comparing them.
                let out_of_range = match (r_index, s_index) {
                    (0, _) => Some(Reason::RIsZero),
                    (5.., _) => Some(Reason::ROutOfRange),
                    (_, 0) => Some(Reason::SIsZero),
                    (_, 5..) => Some(Reason::SOutOfRange),
                    (_, 3..) if rules.requires_low_s() => Some(Reason::HighS),
                    _ => None,
                };
                let signature = SignatureBytes { r, s };
                for recovery_id in RECOVERY_IDS {
                    let item = RecoverItem { digest: small(7), signature, recovery_id, rules };
                    let expected = match (recovery_id > rules.max_recovery_id(), out_of_range) {
                        (true, _) => Err(Reason::RecoveryId),
                        (false, Some(reason)) => Err(reason),
                        // r = 1 is below p - n; n / 2 and n - 1 are not.
                        (false, None) if recovery_id >= 2 && r_index > 1 => Err(Reason::RPlusNOutOfRange),
                        (false, None) => oracle::recover(&item),
                    };
                    recoveries.push((item, expected));
                }
                let key = compressed(&AffinePoint::GENERATOR);
                let expected = Err(out_of_range.unwrap_or(Reason::Mismatch));
                verifications.push((VerifyItem { digest: small(7), signature, key, rules }, expected));
            }
        }
    }
    assert_eq!(assert_recovers(&recoveries), 2_304);
    assert_eq!(assert_verifies(&verifications), 384);
    let out_of_range = |(_, expected): &&(VerifyItem, _)| *expected != Err(Reason::Mismatch);
    assert_eq!(verifications.iter().filter(out_of_range).count(), 288 + 3 * 4 * 2);
}

#[test]
fn digests_at_and_above_the_order() {
    let digests = [small(0), small(1), subtract(ORDER, small(1)), ORDER, add(ORDER, small(1)), PRIME, LARGEST];
    let secret = reduced(small(0xC0_FFEE));
    let key = times_generator(secret).expect("not at infinity");
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    for digest in digests {
        for nonce in 1..=4 {
            let signed = sign(secret, reduced(digest), reduced(small(nonce))).expect("neither r nor s is zero");
            for signed in [signed, curve::negated(signed)] {
                let rules = Rules::Sec1;
                let curve::Signed { signature, recovery_id } = signed;
                recoveries.push((RecoverItem { digest, signature, recovery_id, rules }, Ok(signer(&key))));
                for key in [compressed(&key), uncompressed(&key)] {
                    verifications.push((VerifyItem { digest, signature, key, rules }, Ok(())));
                    let other = add(digest, small(1));
                    verifications.push((VerifyItem { digest: other, signature, key, rules }, Err(Reason::Mismatch)));
                }
            }
        }
    }
    // n is 0 and n + 1 is 1, modulo n: the signatures of one are those of the other.
    let valid = recoveries.len() / digests.len();
    for (below, above) in [(0, 3), (1, 4)] {
        let of = |index: usize| recoveries[index * valid..][..valid].iter().map(|(item, _)| item.signature);
        assert!(of(below).eq(of(above)));
    }
    assert_eq!(assert_recovers(&recoveries), 56);
    assert_eq!(assert_verifies(&verifications), 224);
}

#[test]
fn an_ephemeral_point_with_x_above_the_order() {
    let mut found = (0, 0);
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    let s = reduced(small(0x5EED));
    for (r, digest) in (1..=24).zip(1000..) {
        // r + n, a handful above n; about half of them are on the curve.
        let (r, digest) = (small(r), small(digest));
        let signature = SignatureBytes { r, s: bytes(s) };
        for y_is_odd in [false, true] {
            let ephemeral = lift(add(r, ORDER), y_is_odd);
            let key = ephemeral.map(|point| curve::key_of(&point, s, reduced(digest)).expect("not at infinity"));
            for rules in Rules::ALL {
                for recovery_id in RECOVERY_IDS {
                    let item = RecoverItem { digest, signature, recovery_id, rules };
                    let expected = match (recovery_id, key) {
                        _ if recovery_id > rules.max_recovery_id() => Err(Reason::RecoveryId),
                        (2.., None) => Err(Reason::RNotOnCurve),
                        (2.., Some(key)) if (recovery_id & 1 == 1) == y_is_odd => Ok(signer(&key)),
                        // Another point: that of r itself, or the one with the other y.
                        _ => oracle::recover(&item),
                    };
                    recoveries.push((item, expected));
                }
                let Some(key) = key else { continue };
                for key in [compressed(&key), uncompressed(&key)] {
                    // What the rules say of recovery ids concerns recovery; the signature is valid under each.
                    verifications.push((VerifyItem { digest, signature, key, rules }, Ok(())));
                }
            }
        }
        match lift(add(r, ORDER), false) {
            Some(_) => found.0 += 1,
            None => found.1 += 1,
        }
    }
    assert_eq!(found.0 + found.1, 24);
    assert!(found.0 > 5 && found.1 > 5, "{found:?}");
    assert_eq!(assert_recovers(&recoveries), 24 * 2 * 6 * 6);
    assert_eq!(assert_verifies(&verifications), found.0 * 2 * 6 * 2);
}

#[test]
fn r_around_the_largest_that_r_plus_n_allows() {
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    let rules = Rules::Sec1;
    let s = reduced(small(0xBEEF));
    let digest = small(42);
    let mut push_recoveries = |r: [u8; 32], expected: [Option<Reason>; 2]| {
        for (recovery_id, expected) in (2..=3).zip(expected) {
            let item = RecoverItem { digest, signature: SignatureBytes { r, s: bytes(s) }, recovery_id, rules };
            recoveries.push((item, expected.map_or_else(|| oracle::recover(&item), Err)));
        }
    };
    // Below: down from p - 1, the largest x there is. The equation holds for the key of either y.
    let (mut on_curve, mut below) = (0, subtract(PRIME_MINUS_ORDER, small(1)));
    while on_curve < 4 {
        let ephemeral = lift(add(below, ORDER), true);
        let not_on_curve = ephemeral.is_none().then_some(Reason::RNotOnCurve);
        push_recoveries(below, [not_on_curve; 2]);
        if let Some(ephemeral) = ephemeral {
            let key = compressed(&curve::key_of(&ephemeral, s, reduced(digest)).expect("not at infinity"));
            let signature = SignatureBytes { r: below, s: bytes(s) };
            verifications.push((VerifyItem { digest, signature, key, rules }, Ok(())));
            on_curve += 1;
        }
        below = subtract(below, small(1));
    }
    // At and above: r + n is p or more, and overflows 256 bits at 2^256 - n. Reduced modulo p or cut off at 256 bits it
    // would name a point that is there, and the equation would hold with it.
    let overflowing = subtract(small(0), ORDER);
    for start in [PRIME_MINUS_ORDER, overflowing] {
        for above in (0..16).map(small) {
            let r = add(start, above);
            push_recoveries(r, [Some(Reason::RPlusNOutOfRange); 2]);
            let Some(wrapped) = lift(above, false) else { continue };
            let inverse: Scalar = Option::from(reduced(r).invert()).expect("r is not zero");
            let point = ProjectivePoint::from(wrapped) * s - ProjectivePoint::GENERATOR * reduced(digest);
            let key = compressed(&(point * inverse).to_affine());
            let signature = SignatureBytes { r, s: bytes(s) };
            verifications.push((VerifyItem { digest, signature, key, rules }, Err(Reason::Mismatch)));
        }
    }
    assert_recovers(&recoveries);
    assert_verifies(&verifications);
    let count = |reason| recoveries.iter().filter(|(_, expected)| *expected == Err(reason)).count();
    assert_eq!(count(Reason::RPlusNOutOfRange), 2 * 2 * 16);
    assert_eq!(recoveries.iter().filter(|(_, expected)| expected.is_ok()).count(), 4 * 2);
    assert!(verifications.len() > 4 + 8, "{} verifications", verifications.len());
}

#[test]
fn x_coordinates_that_the_curve_does_not_have() {
    let mut recoveries = Vec::new();
    for r in (1..100).map(small).filter(|x| lift(*x, false).is_none()) {
        for recovery_id in [0, 1] {
            for rules in Rules::ALL {
                let signature = SignatureBytes { r, s: small(1) };
                let item = RecoverItem { digest: small(1), signature, recovery_id, rules };
                recoveries.push((item, Err(Reason::RNotOnCurve)));
            }
        }
    }
    assert_eq!(assert_recovers(&recoveries), 53 * 2 * 6);
}

#[test]
fn sums_that_meet_equal_opposite_or_no_points() {
    // a G + b P, with P a multiple of G: for recovery P is R and the sum is the key, for verification P is the key and
    // the sum is R. Among them a G = b P, a G = -b P, either product alone, and infinity as the sum and on the way.
    let coefficients = awkward_scalars();
    let mut infinities = 0;
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    let rules = Rules::Sec1;
    for &a in &coefficients {
        for &b in coefficients.iter().filter(|b| **b != Scalar::ZERO) {
            for &p in coefficients.iter().filter(|p| **p != Scalar::ZERO) {
                let point = times_generator(p).expect("p is not zero");
                let sum = times_generator(a + b * p);
                infinities += usize::from(sum.is_none());

                // Q = r^-1 (s R - z G): s = b r and z = -a r.
                let r = reduced(curve::x(&point));
                let signature = SignatureBytes { r: bytes(r), s: bytes(b * r) };
                let recovery_id = u8::from(curve::y_is_odd(&point));
                let digest = bytes(-(a * r));
                let expected = sum.as_ref().map(signer).ok_or(Reason::KeyAtInfinity);
                recoveries.push((RecoverItem { digest, signature, recovery_id, rules }, expected));

                // R = z s^-1 G + r s^-1 Q: s = r b^-1 and z = a s. Where R is at infinity any r will do, to no avail.
                let r = reduced(curve::x(&sum.unwrap_or(AffinePoint::GENERATOR)));
                let inverse: Scalar = Option::from(b.invert()).expect("b is not zero");
                let s = r * inverse;
                let signature = SignatureBytes { r: bytes(r), s: bytes(s) };
                let expected = sum.map(|_| ()).ok_or(Reason::Mismatch);
                let key = if recovery_id == 0 { compressed(&point) } else { uncompressed(&point) };
                verifications.push((VerifyItem { digest: bytes(a * s), signature, key, rules }, expected));
            }
        }
    }
    let cases = coefficients.len() * (coefficients.len() - 1).pow(2);
    assert_eq!(assert_recovers(&recoveries), cases);
    assert_eq!(assert_verifies(&verifications), cases);
    assert_eq!((cases, infinities), (5_202, 94));
}

#[test]
fn keys_that_are_no_points_or_not_encoded_as_such() {
    let mut verifications = Vec::new();
    let (key, other) = (times_generator(reduced(small(5))), times_generator(reduced(small(6))));
    let (key, other) = (key.expect("not at infinity"), other.expect("not at infinity"));
    let digest = small(99);
    let signed = sign(reduced(small(5)), reduced(digest), reduced(small(3))).expect("neither r nor s is zero");
    let mut push = |key, expected| {
        let item = VerifyItem { digest, signature: signed.signature, key, rules: Rules::Sec1 };
        verifications.push((item, expected));
    };
    push(compressed(&key), Ok(()));
    push(uncompressed(&key), Ok(()));
    push(compressed(&other), Err(Reason::Mismatch));
    // A prefix that belongs to another form, above all 5 ("compact") and 0 (infinity).
    let KeyBytes::Compressed(right) = compressed(&key) else { unreachable!("the compressed form") };
    for prefix in 0..=u8::MAX {
        let mut bytes = right;
        bytes[0] = prefix;
        let expected = match prefix {
            2 | 3 if prefix == right[0] => Ok(()),
            2 | 3 => Err(Reason::Mismatch),
            _ => Err(Reason::KeyEncoding),
        };
        push(KeyBytes::Compressed(bytes), expected);
    }
    let with_prefix = |prefix: u8, x: [u8; 32]| {
        let mut bytes = [prefix; 33];
        bytes[1..].copy_from_slice(&x);
        KeyBytes::Compressed(bytes)
    };
    let pair = |x: [u8; 32], y: [u8; 32]| {
        let mut xy = [0; 64];
        xy[..32].copy_from_slice(&x);
        xy[32..].copy_from_slice(&y);
        KeyBytes::Uncompressed(xy)
    };
    // x or y of p and more, which reduced modulo p may be on the curve.
    for above in (0..16).map(small).chain([subtract(small(0), PRIME), subtract(LARGEST, PRIME)]) {
        let x = add(PRIME, above);
        if x < PRIME {
            continue;
        }
        for prefix in [2, 3] {
            push(with_prefix(prefix, x), Err(Reason::KeyEncoding));
        }
        if let Some(point) = lift(above, true) {
            let y = curve::coordinates(&point)[32..].try_into().expect("32 bytes");
            push(pair(x, y), Err(Reason::KeyEncoding));
            push(pair(above, y), Err(Reason::Mismatch));
        }
        push(pair(curve::x(&key), x), Err(Reason::KeyEncoding));
    }
    for x in (1..100).map(small).filter(|x| lift(*x, false).is_none()) {
        push(with_prefix(2, x), Err(Reason::KeyNotOnCurve));
        push(pair(x, small(1)), Err(Reason::KeyNotOnCurve));
    }
    push(with_prefix(2, subtract(PRIME, small(1))), oracle_of(with_prefix(2, subtract(PRIME, small(1)))));
    push(with_prefix(2, small(0)), Err(Reason::KeyNotOnCurve));
    push(pair(small(0), small(0)), Err(Reason::KeyNotOnCurve));
    push(pair(curve::x(&key), curve::x(&key)), Err(Reason::KeyNotOnCurve));
    assert_eq!(assert_verifies(&verifications), 440);
}

/// What libsecp256k1 says of a key, with a signature that is in range and wrong.
fn oracle_of(key: KeyBytes) -> Result<(), Reason> {
    let signature = SignatureBytes { r: small(1), s: small(1) };
    oracle::verify(&VerifyItem { digest: small(99), signature, key, rules: Rules::Sec1 })
}

#[test]
fn hybrid_keys_are_for_bitcoin_blocks_only() {
    let digest = small(31);
    let (mut batch, mut expected) = (VerifyBatch::default(), Vec::new());
    for secret in 1..=8 {
        let secret = reduced(small(secret));
        let key = curve::coordinates(&times_generator(secret).expect("not at infinity"));
        let signature = sign(secret, reduced(digest), reduced(small(77))).expect("neither is zero").signature;
        for prefix in 0..=u8::MAX {
            let encoded = [&[prefix], &key[..]].concat();
            let known_to_libsecp256k1 = secp256k1::PublicKey::from_slice(&encoded).is_ok();
            for rules in [Rules::Sec1, Rules::EthFrontier, Rules::BitcoinConsensus] {
                let accepted = known_to_libsecp256k1 && (prefix == 4 || rules == Rules::BitcoinConsensus);
                let parsed = KeyBytes::parse(&encoded, rules);
                batch.push_parsed(parsed.map(|key| VerifyItem { digest, signature, key, rules }));
                expected.push(if accepted { Verdict::Valid(()) } else { Verdict::Invalid(Reason::KeyEncoding) });
            }
        }
    }
    for (backend, verifier) in common::backends() {
        assert_eq!(verifier.verify(&batch).expect("the check is made"), expected, "{backend}");
    }
    // Of each key: three times the uncompressed form, and once the hybrid one with the right parity.
    let accepted = expected.iter().filter(|verdict| verdict.is_valid()).count();
    assert_eq!((expected.len(), accepted), (6_144, 8 * 4));
}

#[test]
fn of_several_defects_the_first_is_reported() {
    // Each value with the reason it is wrong for, if it is.
    let ids = [(0, None), (2, None), (4, Some(Reason::RecoveryId)), (255, Some(Reason::RecoveryId))];
    let not_on_curve = (1..100).map(small).find(|x| lift(*x, false).is_none()).expect("about half of them");
    let too_large_not_on_curve = {
        let mut candidates = (0..100).map(|above| add(PRIME_MINUS_ORDER, small(above)));
        candidates.find(|x| lift(*x, false).is_none()).expect("about half of them")
    };
    let rs = [
        (curve::x(&AffinePoint::GENERATOR), None),
        (small(0), Some(Reason::RIsZero)),
        (ORDER, Some(Reason::ROutOfRange)),
        (not_on_curve, Some(Reason::RNotOnCurve)),
        (too_large_not_on_curve, Some(Reason::RNotOnCurve)),
    ];
    let high = subtract(ORDER, small(1));
    let ss = [(small(1), None), (small(0), Some(Reason::SIsZero)), (ORDER, Some(Reason::SOutOfRange)), (high, None)];
    let digest = small(12345);

    let mut recoveries = Vec::new();
    let mut verifications = Vec::new();
    for rules in Rules::ALL {
        for (r, r_defect) in rs {
            for (s, s_defect) in ss {
                let signature = SignatureBytes { r, s };
                let high_s = (s == high && rules.requires_low_s()).then_some(Reason::HighS);
                for (recovery_id, id_defect) in ids {
                    let item = RecoverItem { digest, signature, recovery_id, rules };
                    let id_defect = id_defect.or((recovery_id > rules.max_recovery_id()).then_some(Reason::RecoveryId));
                    let r_plus_n = (recovery_id == 2 && r >= PRIME_MINUS_ORDER).then_some(Reason::RPlusNOutOfRange);
                    // With id 2 the curve is asked for r + n, about which the test of r says nothing.
                    let r_defect = r_defect.filter(|defect| recovery_id != 2 || *defect < Reason::RNotOnCurve);
                    let defects = [id_defect, r_defect, s_defect, high_s, r_plus_n];
                    let first = defects.into_iter().flatten().min();
                    recoveries.push((item, first.map_or_else(|| oracle::recover(&item), Err)));
                }
                let keys = [
                    (compressed(&AffinePoint::GENERATOR), None),
                    (KeyBytes::Compressed([0xff; 33]), Some(Reason::KeyEncoding)),
                    (KeyBytes::Uncompressed([0xff; 64]), Some(Reason::KeyEncoding)),
                    (KeyBytes::Uncompressed([1; 64]), Some(Reason::KeyNotOnCurve)),
                ];
                for (key, key_defect) in keys {
                    // Whether the curve has r as an x coordinate is not asked: without such a point nothing matches it.
                    let r_defect = r_defect.filter(|defect| *defect != Reason::RNotOnCurve);
                    let defects = [key_defect, r_defect, s_defect, high_s, Some(Reason::Mismatch)];
                    let first = defects.into_iter().flatten().min().expect("a mismatch at least");
                    verifications.push((VerifyItem { digest, signature, key, rules }, Err(first)));
                }
            }
        }
    }
    assert_eq!(assert_recovers(&recoveries), 480);
    assert_eq!(assert_verifies(&verifications), 480);
    let met: std::collections::BTreeSet<_> = recoveries.iter().filter_map(|(_, expected)| expected.err()).collect();
    assert_eq!(met.len(), 8, "{met:?}");
}

#[test]
fn rejected_items_answer_with_their_parsers_reason() {
    let key = times_generator(reduced(small(9))).expect("not at infinity");
    let digest = small(17);
    let curve::Signed { signature, recovery_id } =
        sign(reduced(small(9)), reduced(digest), reduced(small(2))).expect("neither r nor s is zero");
    let rules = Rules::Sec1;
    let (mut recover, mut verify) = (RecoverBatch::default(), VerifyBatch::default());
    for reason in Reason::ALL {
        recover.push_rejected(reason);
        recover.push(RecoverItem { digest, signature, recovery_id, rules });
        verify.push_rejected(reason);
        verify.push(VerifyItem { digest, signature, key: compressed(&key), rules });
    }
    let rejected = Reason::ALL.into_iter().map(Verdict::Invalid);
    for (backend, verifier) in common::backends() {
        let verdicts = verifier.recover(&recover).expect("the check is made");
        assert!(verdicts.iter().copied().step_by(2).eq(Reason::ALL.map(Verdict::Invalid)), "{backend}: {verdicts:?}");
        assert!(
            verdicts.iter().skip(1).step_by(2).all(|verdict| *verdict == Verdict::Valid(signer(&key))),
            "{backend}"
        );
        let verdicts = verifier.verify(&verify).expect("the check is made");
        assert!(verdicts.iter().copied().step_by(2).eq(rejected.clone()), "{backend}: {verdicts:?}");
        assert!(verdicts.iter().skip(1).step_by(2).all(Verdict::is_valid), "{backend}: {verdicts:?}");
        assert_eq!(verdicts.len(), 26);
    }
}

/// Scalars whose multiples of the generator meet: small ones and their negatives, the cube roots of one, with which the
/// endomorphism multiplies, and a random one times them.
fn awkward_scalars() -> Vec<Scalar> {
    // (-1 + sqrt(-3)) / 2, a cube root of one modulo n; GLV writes scalars as k1 + k2 lambda.
    let lambda = "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72";
    let lambda = reduced(hex::decode(lambda).expect("hexadecimal").try_into().expect("32 bytes"));
    assert_eq!(lambda * lambda * lambda, Scalar::ONE);
    let half = reduced(HALF_ORDER);
    let mut scalars = vec![Scalar::ZERO];
    for scalar in [Scalar::ONE, reduced(small(2)), reduced(small(3)), reduced(small(16)), lambda, lambda * lambda, half]
    {
        scalars.extend([scalar, -scalar]);
    }
    let mut stream = Stream::new("awkward scalars");
    let any = reduced(stream.block());
    scalars.extend([any, -any, any * lambda]);
    scalars
}

/// Asserts libsecp256k1's answers and then every backend's; returns the number of cases.
fn assert_recovers(cases: &[(RecoverItem, Result<Signer, Reason>)]) -> usize {
    for (item, expected) in cases {
        assert_eq!(oracle::recover(item), *expected, "libsecp256k1, {item:02x?}");
    }
    let batch: RecoverBatch = cases.iter().map(|(item, _)| *item).collect();
    for (backend, verifier) in common::backends() {
        let verdicts = verifier.recover(&batch).expect("the check is made");
        assert_eq!(verdicts.len(), cases.len());
        for (verdict, (item, expected)) in verdicts.into_iter().zip(cases) {
            assert_eq!(verdict, Verdict::from(*expected), "{backend}, {item:02x?}");
        }
    }
    // So few that each is done by itself.
    let cpu = Verifier::cpu();
    for cases in cases.chunks(2) {
        let verdicts = cpu.recover(&cases.iter().map(|(item, _)| *item).collect()).expect("the check is made");
        let expected: Vec<_> = cases.iter().map(|(_, expected)| Verdict::from(*expected)).collect();
        assert_eq!(verdicts, expected, "{cases:02x?}");
    }
    cases.len()
}

/// Asserts libsecp256k1's answers and then every backend's; returns the number of cases.
fn assert_verifies(cases: &[(VerifyItem, Result<(), Reason>)]) -> usize {
    for (item, expected) in cases {
        assert_eq!(oracle::verify(item), *expected, "libsecp256k1, {item:02x?}");
    }
    let batch: VerifyBatch = cases.iter().map(|(item, _)| *item).collect();
    for (backend, verifier) in common::backends() {
        let verdicts = verifier.verify(&batch).expect("the check is made");
        assert_eq!(verdicts.len(), cases.len());
        for (verdict, (item, expected)) in verdicts.into_iter().zip(cases) {
            assert_eq!(verdict, Verdict::from(*expected), "{backend}, {item:02x?}");
        }
    }
    // So few that each is done by itself.
    let cpu = Verifier::cpu();
    for cases in cases.chunks(2) {
        let verdicts = cpu.verify(&cases.iter().map(|(item, _)| *item).collect()).expect("the check is made");
        let expected: Vec<_> = cases.iter().map(|(_, expected)| Verdict::from(*expected)).collect();
        assert_eq!(verdicts, expected, "{cases:02x?}");
    }
    cases.len()
}

fn signer(key: &AffinePoint) -> Signer {
    let public_key = curve::coordinates(key);
    let mut address = [0; 20];
    address.copy_from_slice(&oracle::keccak256(&public_key)[12..]);
    Signer { public_key, address }
}
