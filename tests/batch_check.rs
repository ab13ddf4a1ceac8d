//! What is checked in batches gets the verdict that it gets by itself, and false claims do not cancel.

mod common;

use common::curve::{self, Signed};
use common::oracle;
use k256::{ProjectivePoint, Scalar};
use phalanx::arithmetic::Platform;
use phalanx::cpu::{CpuBackend, HintSource, Hints};
use phalanx::scheme::ecdsa::{Address, RecoverBatch, RecoverItem, SignatureBytes, Signer};
use phalanx::scheme::schnorr::{SchnorrBatch, SchnorrItem};
use phalanx::{Reason, Rules, Verdict, Verifier};

fn scalar(seed: u64) -> Scalar {
    let mut bytes = [0; 32];
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&(seed * 4 + index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    }
    curve::reduced(bytes)
}

fn item(signed: Signed, z: Scalar) -> RecoverItem {
    RecoverItem {
        digest: curve::bytes(z),
        signature: signed.signature,
        recovery_id: signed.recovery_id,
        rules: Rules::Sec1,
    }
}

fn key(secret: Scalar) -> [u8; 64] {
    curve::coordinates(&curve::times_generator(secret).expect("a secret that is not zero"))
}

/// A valid item of the given secret, and its signer.
fn valid(secret: u64, message: u64) -> RecoverItem {
    let (z, nonce) = (scalar(1_000_000 + message), scalar(2_000_000 + message * 7 + secret));
    item(curve::sign(scalar(secret), z, nonce).expect("neither r nor s is zero"), z)
}

/// Puts items with hints to the hinted recovery of every backend, the keys hinted at being known, and compares with the oracle.
fn compare(items: &[(RecoverItem, Option<[u8; 64]>)]) {
    for (name, verifier) in common::backends() {
        let senders: Vec<Option<Address>> =
            items.iter().map(|(_, key)| key.and_then(|key| verifier.key_book().add(&key))).collect();
        let batch: RecoverBatch = items.iter().map(|(item, _)| *item).collect();
        let hints = Hints { senders: &senders, source: &HintSource::new() };
        let (verdicts, report) = verifier.recover_hinted(&batch, hints).unwrap();
        let expected: Vec<Verdict<Signer>> = items.iter().map(|(item, _)| oracle::recover(item).into()).collect();
        assert_eq!(verdicts, expected, "{name}");
        assert_eq!(report.proven + report.recovered, items.len(), "{name}");
    }
}

#[test]
fn valid_items_with_right_hints_are_proven() {
    let verifier = common::batch_checker(CpuBackend::default());
    for count in [0, 1, 2, 7, 8, 9, 63, 64, 65, 512, 513, 1030] {
        // Secrets repeat at a length prime to every block size.
        let batch: RecoverBatch = (0..count).map(|index| valid(index % 251, index)).collect();
        let senders: Vec<_> = (0..count).map(|index| verifier.key_book().add(&key(scalar(index % 251)))).collect();
        let hints = Hints { senders: &senders, source: &HintSource::new() };
        let (verdicts, report) = verifier.recover_hinted(&batch, hints).unwrap();
        assert_eq!(verdicts, verifier.recover(&batch).unwrap());
        let count = usize::try_from(count).unwrap();
        assert_eq!((report.proven, report.recovered), (count, 0));
    }
}

/// A batch check takes a time for itself, so few items are recovered and many are proven, the more of them the more threads there are.
#[test]
fn hints_are_used_where_they_pay() {
    let [few, batch] =
        [15, 1_024].map(|count| -> RecoverBatch { (0..count).map(|index| valid(index % 251, index)).collect() });
    for platform in Platform::available() {
        let proven = |threads: usize, batch: &RecoverBatch| {
            let cpu = CpuBackend::with_threads(threads).expect("a thread pool starts");
            let verifier = Verifier::from(cpu.on_platform(platform));
            let senders: Vec<_> = (0..251).map(|secret| verifier.key_book().add(&key(scalar(secret)))).collect();
            let senders: Vec<_> = senders.into_iter().cycle().take(batch.len()).collect();
            let hints = Hints { senders: &senders, source: &HintSource::new() };
            let (verdicts, report) = verifier.recover_hinted(batch, hints).unwrap();
            assert!(verdicts == verifier.recover(batch).unwrap(), "{}", platform.name());
            report.proven
        };
        assert_eq!((proven(1, &few), proven(1, &batch), proven(4, &batch)), (0, 1_024, 1_024), "{}", platform.name());
        assert_eq!(proven(65, &batch), 0, "{}", platform.name());
        // What counts is how many have a hint that is known.
        let verifier = Verifier::from(CpuBackend::with_threads(1).unwrap().on_platform(platform));
        let senders: Vec<_> = (0..1_024).map(|index| verifier.key_book().add(&key(scalar(index % 251)))).collect();
        let source = HintSource::new();
        let report = |senders| verifier.recover_hinted(&batch, Hints { senders, source: &source }).unwrap().1;
        assert_eq!((report(&senders[..15]).proven, report(&senders).proven), (0, 1_024), "{}", platform.name());
    }
}

#[test]
fn repeated_items_and_keys_and_negated_signatures_get_their_verdicts() {
    let one = valid(1, 1);
    let z = scalar(1_000_001);
    let signed = Signed { signature: one.signature, recovery_id: one.recovery_id };
    // The same nonce under the same and another key: equal and opposite R.
    let nonce = scalar(77);
    let same_nonce = |secret: u64| item(curve::sign(scalar(secret), z, nonce).unwrap(), z);
    let mut items = vec![(one, Some(key(scalar(1)))); 300];
    items.extend((0..100).map(|index| {
        let negated = item(curve::negated(signed), z);
        if index % 2 == 0 { (one, Some(key(scalar(1)))) } else { (negated, Some(key(scalar(1)))) }
    }));
    items.extend((0..100).map(|index| (same_nonce(index % 3 + 1), Some(key(scalar(index % 3 + 1))))));
    let opposite = item(curve::sign(scalar(2), z, -nonce).unwrap(), z);
    items.extend(vec![(opposite, Some(key(scalar(2)))); 100]);
    compare(&items);
}

#[test]
fn keys_and_nonces_that_meet_the_generator_get_their_verdicts() {
    let one = Scalar::ONE;
    let lambda_like = scalar(5);
    let mut items = Vec::new();
    for secret in [one, -one, one + one, lambda_like] {
        for nonce in [one, -one, one + one, -(one + one), lambda_like] {
            for z in [Scalar::ZERO, one, -one, scalar(9)] {
                if let Some(signed) = curve::sign(secret, z, nonce) {
                    items.push((item(signed, z), Some(key(secret))));
                }
            }
        }
    }
    assert!(items.len() > 70);
    compare(&items);
}

#[test]
fn digests_from_the_order_on_are_taken_modulo_it() {
    let z = Scalar::ONE + Scalar::ONE;
    let signed = curve::sign(scalar(3), z, scalar(4)).unwrap();
    let mut large = item(signed, z);
    large.digest = curve::add(phalanx::scheme::ecdsa::ORDER, curve::small(2));
    compare(&[(large, Some(key(scalar(3)))), (item(signed, z), Some(key(scalar(3)))), (large, Some(key(scalar(4))))]);
}

/// R.x = r + n: x coordinates from n to p - 1 that are on the curve, with keys made to fit.
#[test]
fn recovery_ids_two_and_three_are_proven_too() {
    let mut items = Vec::new();
    for offset in 0..40_u64 {
        let r = curve::small(offset + 1);
        let x = curve::add(phalanx::scheme::ecdsa::ORDER, r);
        for odd in [false, true] {
            let Some(ephemeral) = curve::lift(x, odd) else { continue };
            let (s, z) = (scalar(offset), scalar(offset + 500));
            let key = curve::key_of(&ephemeral, s, z).map(|key| curve::coordinates(&key));
            let signature = SignatureBytes { r, s: curve::bytes(s) };
            for recovery_id in [2 | u8::from(odd), u8::from(odd), 2 | u8::from(!odd)] {
                let rules = if recovery_id < 2 { Rules::EthFrontier } else { Rules::Sec1 };
                items.push((RecoverItem { digest: curve::bytes(z), signature, recovery_id, rules }, key));
            }
            let refused = RecoverItem {
                digest: curve::bytes(z),
                signature,
                recovery_id: 2 | u8::from(odd),
                rules: Rules::EthFrontier,
            };
            items.push((refused, key));
        }
    }
    assert!(items.len() > 40);
    // By itself, so that the right ones are proven and not recovered along with wrong ones.
    for item in &items {
        compare(std::slice::from_ref(item));
    }
    compare(&items);
}

#[test]
fn a_key_at_infinity_is_what_the_exact_check_says_it_is() {
    // s R = z G: recovery finds infinity, whatever key is hinted.
    let (nonce, s) = (scalar(11), scalar(12));
    let ephemeral = curve::times_generator(nonce).unwrap();
    let signature = SignatureBytes { r: curve::bytes(curve::reduced(curve::x(&ephemeral))), s: curve::bytes(s) };
    let recovery_id = u8::from(curve::y_is_odd(&ephemeral));
    let item = RecoverItem { digest: curve::bytes(s * nonce), signature, recovery_id, rules: Rules::Sec1 };
    assert_eq!(oracle::recover(&item), Err(Reason::KeyAtInfinity));
    compare(&[(item, Some(key(scalar(1)))), (valid(1, 1), Some(key(scalar(1))))]);
}

#[test]
fn every_range_is_checked_before_the_batch() {
    let good = valid(1, 1);
    let order = phalanx::scheme::ecdsa::ORDER;
    let mut items = vec![(good, Some(key(scalar(1))))];
    for (r, s) in [
        ([0; 32], good.signature.s),
        (order, good.signature.s),
        ([255; 32], good.signature.s),
        (good.signature.r, [0; 32]),
        (good.signature.r, order),
        (good.signature.r, curve::add(good.signature.s, [0; 32])),
    ] {
        for recovery_id in 0..=4 {
            for rules in Rules::ALL {
                let item = RecoverItem { signature: SignatureBytes { r, s }, recovery_id, rules, ..good };
                items.push((item, Some(key(scalar(1)))));
            }
        }
    }
    compare(&items);
}

/// Two signatures that are each invalid for the key hinted, with errors e1 and e2 in a1 e1 + a2 e2 = 0 for coefficients
/// that follow from r and the digest alone, as those of a published batch verifier did: s is chosen last.
#[test]
fn errors_that_cancel_under_predictable_coefficients_are_refused() {
    let predictable: [fn(&SignatureBytes, Scalar) -> Scalar; 3] = [
        |_, _| Scalar::ONE,
        |signature, z| curve::reduced(signature.r) + z,
        |signature, z| {
            let bytes = [&signature.r[..], &curve::bytes(z)].concat();
            let mut coefficient = phalanx::cpu::sha256(&bytes);
            coefficient[..16].fill(0);
            curve::reduced(coefficient)
        },
    ];
    for (case, coefficient) in predictable.into_iter().enumerate() {
        let secrets = [scalar(21), scalar(22)];
        let nonces = [scalar(31), scalar(32)];
        let zs = [scalar(41), scalar(42)];
        let mut signed = [0, 1].map(|index| curve::sign(secrets[index], zs[index], nonces[index]).unwrap());
        let rs = signed.map(|signed| curve::reduced(signed.signature.r));
        let coefficients = [0, 1].map(|index| coefficient(&signed[index].signature, zs[index]));
        let error = scalar(51);
        let errors = [error, -(coefficients[0] * error * coefficients[1].invert().unwrap())];
        for index in 0..2 {
            // R = (z + r d) s^-1 G + e G.
            let s = (zs[index] + rs[index] * secrets[index]) * (nonces[index] - errors[index]).invert().unwrap();
            signed[index].signature.s = curve::bytes(s);
        }
        // The attack is what it is meant to be: the sum with those coefficients is at infinity.
        let sum = (0..2).fold(ProjectivePoint::IDENTITY, |sum, index| {
            let s = curve::reduced(signed[index].signature.s).invert().unwrap();
            let claimed = ProjectivePoint::GENERATOR * ((zs[index] + rs[index] * secrets[index]) * s);
            sum + (ProjectivePoint::GENERATOR * nonces[index] - claimed) * coefficients[index]
        });
        assert_eq!(sum, ProjectivePoint::IDENTITY, "case {case}");
        let pair: Vec<_> = (0..2).map(|index| (item(signed[index], zs[index]), Some(key(secrets[index])))).collect();
        for (item, key) in &pair {
            assert!(oracle::recover(item).is_ok_and(|signer| Some(signer.public_key) != *key), "case {case}");
        }
        compare(&pair);
        let among_others: Vec<_> =
            pair.iter().copied().chain((0..70).map(|index| (valid(index, index), Some(key(scalar(index)))))).collect();
        compare(&among_others);
    }
}

/// The same for BIP-340: R = s G - e P + error G.
#[test]
fn schnorr_errors_that_cancel_are_refused() {
    let even = |secret: Scalar| {
        let point = curve::times_generator(secret).unwrap();
        if curve::y_is_odd(&point) { -secret } else { secret }
    };
    let (secrets, nonces) = ([even(scalar(61)), even(scalar(62))], [even(scalar(63)), even(scalar(64))]);
    let errors = [scalar(65), -scalar(65)];
    let item = |index: usize, error: Scalar| {
        let key = curve::x(&curve::times_generator(secrets[index]).unwrap());
        let r = curve::x(&curve::times_generator(nonces[index]).unwrap());
        let draft = SchnorrItem::parse(b"message", &[&r[..], &[0; 32]].concat(), &key).unwrap();
        let s = nonces[index] + curve::reduced(*draft.challenge()) * secrets[index] + error;
        SchnorrItem::parse(b"message", &[&r[..], &curve::bytes(s)].concat(), &key).unwrap()
    };
    let right: SchnorrBatch = (0..12).map(|index| item(index % 2, Scalar::ZERO)).collect();
    let errors = |index: usize| errors.get(index).copied().unwrap_or(Scalar::ZERO);
    let wrong: SchnorrBatch = (0..12).map(|index| item(index % 2, errors(index))).collect();
    let refused = |index| if index < 2 { Verdict::Invalid(Reason::Mismatch) } else { Verdict::Valid(()) };
    let check = |name: &str, verifier: &Verifier| {
        assert_eq!(verifier.verify_schnorr(&right).unwrap(), [Verdict::Valid(()); 12], "{name}");
        assert_eq!(verifier.verify_schnorr(&wrong).unwrap(), std::array::from_fn::<_, 12, _>(refused), "{name}");
    };
    for (name, verifier) in common::backends() {
        check(name, verifier);
    }
    common::untried().for_each(|(name, verifier)| check(name, &verifier));
}

#[test]
fn a_few_bad_items_among_many_are_told_apart() {
    let count = 700;
    for bad in [0, 1, 2, 9, 350, 700] {
        let items: Vec<_> = (0..count)
            .map(|index| {
                // Spread by a step that is prime to the count.
                let is_bad = index * 331 % count < bad;
                let hinted = if is_bad { index % 37 + 1 } else { index % 37 };
                (valid(index % 37, index), Some(key(scalar(hinted))))
            })
            .collect();
        compare(&items);
    }
}
