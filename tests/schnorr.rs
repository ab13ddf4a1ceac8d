//! BIP-340: its vectors on every path, and libsecp256k1's verdict on whatever else.

mod common;

use common::{curve, paths};
use k256::ProjectivePoint;
use phalanx::scheme::schnorr::{SchnorrBatch, SchnorrItem};
use phalanx::{Reason, Verdict, Verifier};
use proptest::prelude::*;

/// Key, message, signature, and whether it is valid.
type Vector = (Vec<u8>, Vec<u8>, Vec<u8>, bool);

/// BIP-340's vectors.
fn vectors() -> Option<Vec<Vector>> {
    let path = common::test_data("vectors")?.join("bip340_test-vectors.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let vector = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let bytes = |field: usize| hex::decode(fields[field]).unwrap();
        (bytes(2), bytes(4), bytes(5), fields[6] == "TRUE")
    };
    Some(text.lines().skip(1).map(vector).collect())
}

fn verify(verifier: &Verifier, items: &[Result<SchnorrItem, Reason>]) -> Vec<Verdict<()>> {
    let mut batch = SchnorrBatch::with_capacity(items.len());
    for item in items {
        batch.push_parsed(*item);
    }
    verifier.verify_schnorr(&batch).unwrap()
}

#[test]
fn the_vectors_of_bip_340() {
    let Some(vectors) = vectors() else { return };
    assert_eq!(vectors.len(), 19);
    assert_eq!(vectors.iter().filter(|(.., valid)| *valid).count(), 9);
    let cases: Vec<_> = vectors
        .iter()
        .map(|(key, message, signature, valid)| {
            let item = SchnorrItem::parse(message, signature, key);
            let reason = item.and_then(|item| reason(&item).map_or(Ok(()), Err));
            assert_eq!(reason.is_ok(), *valid, "{reason:?}");
            (item, Verdict::from(reason))
        })
        .collect();
    paths::schnorr("BIP-340", &cases);
    // Those that are valid by themselves, often over, so that they are proven together.
    let valid = cases.iter().filter(|(_, verdict)| verdict.is_valid()).map(|(item, _)| *item);
    let many: Vec<_> = valid.cycle().take(700).collect();
    for (name, verifier) in common::untried() {
        assert!(verify(&verifier, &many).iter().all(Verdict::is_valid), "{name}");
    }
}

/// The first check of BIP-340's "Verification" that fails, by k256's arithmetic.
fn reason(item: &SchnorrItem) -> Option<Reason> {
    use phalanx::scheme::ecdsa::{ORDER, PRIME};
    let key = match curve::lift(*item.key(), false) {
        _ if *item.key() >= PRIME => return Some(Reason::KeyEncoding),
        _ if *item.r() >= PRIME => return Some(Reason::ROutOfRange),
        _ if *item.s() >= ORDER => return Some(Reason::SOutOfRange),
        None => return Some(Reason::KeyNotOnCurve),
        Some(key) => key,
    };
    let (s, e) = (curve::reduced(*item.s()), curve::reduced(*item.challenge()));
    let ephemeral = curve::affine(ProjectivePoint::GENERATOR * s - ProjectivePoint::from(key) * e);
    let holds = ephemeral.is_some_and(|point| !curve::y_is_odd(&point) && curve::x(&point) == *item.r());
    (!holds).then_some(Reason::Mismatch)
}

#[test]
fn reasons_are_those_of_the_first_check_that_fails() {
    let good = signed(1, 1);
    let (p, n) = (phalanx::scheme::ecdsa::PRIME, phalanx::scheme::ecdsa::ORDER);
    let with = |key: [u8; 32], r: [u8; 32], s: [u8; 32]| SchnorrItem::parse(b"", &[r, s].concat(), &key);
    let off_curve = curve::small(5);
    assert!(curve::lift(off_curve, false).is_none());
    let (key, r, s) = (*good.key(), *good.r(), *good.s());
    let cases = [
        (Ok(good), None),
        (with(p, p, n), Some(Reason::KeyEncoding)),
        (with([255; 32], r, s), Some(Reason::KeyEncoding)),
        (with(off_curve, p, n), Some(Reason::ROutOfRange)),
        (with(off_curve, r, n), Some(Reason::SOutOfRange)),
        (with(off_curve, r, s), Some(Reason::KeyNotOnCurve)),
        (with([0; 32], r, s), Some(Reason::KeyNotOnCurve)),
        (with(key, off_curve, s), Some(Reason::Mismatch)),
        (with(key, [0; 32], [0; 32]), Some(Reason::Mismatch)),
        (with(key, r, [0; 32]), Some(Reason::Mismatch)),
        (with(key, curve::subtract(p, curve::small(1)), s), Some(Reason::Mismatch)),
        (SchnorrItem::parse(b"", &[0; 63], &key), Some(Reason::SignatureEncoding)),
        (SchnorrItem::parse(b"", &[0; 65], &key), Some(Reason::SignatureEncoding)),
        (SchnorrItem::parse(b"", &[], &key), Some(Reason::SignatureEncoding)),
        (SchnorrItem::parse(b"", &[0; 64], &key[1..]), Some(Reason::KeyEncoding)),
        (SchnorrItem::parse(b"", &[0; 64], &[0; 33]), Some(Reason::KeyEncoding)),
    ];
    paths::schnorr("reasons", &cases.map(|(item, reason)| (item, reason.map_or(Ok(()), Err).into())));
    for (name, verifier) in common::backends() {
        assert!(verify(verifier, &[]).is_empty(), "{name}");
    }
}

/// s G = e P: R is at infinity, which has no x to be r.
#[test]
fn r_at_infinity_is_refused() {
    let secret = secp256k1::SecretKey::from_secret_bytes(curve::small(7)).unwrap();
    let (key, _) = secp256k1::Keypair::from_secret_key(&secret).x_only_public_key();
    let key = key.to_byte_array();
    let odd = curve::y_is_odd(&curve::times_generator(curve::reduced(curve::small(7))).unwrap());
    for r in [[0; 32], curve::small(1), key] {
        let draft = SchnorrItem::parse(b"m", &[r, [0; 32]].concat(), &key).unwrap();
        let e = curve::reduced(*draft.challenge());
        let d = curve::reduced(curve::small(7));
        let s = e * if odd { -d } else { d };
        let item = SchnorrItem::parse(b"m", &[r, curve::bytes(s)].concat(), &key);
        for (name, verifier) in common::backends() {
            assert_eq!(verify(verifier, &[item]), [Verdict::Invalid(Reason::Mismatch)], "{name}");
        }
    }
}

/// After many wrong ones signatures are no longer checked in batches, which changes no verdict.
#[test]
fn verdicts_are_the_same_whatever_came_before() {
    let wrong = |index: u64| SchnorrItem::new(b"another", &signature_of(&signed(1, index)), signed(1, index).key());
    for (name, verifier) in common::untried() {
        for round in 0..6_u64 {
            let items: Vec<_> = (0..40)
                .map(|index| Ok(if index % 5 < 4 - round.min(4) { wrong(index) } else { signed(index, round) }))
                .collect();
            let expected: Vec<_> = (0..40).map(|index| index % 5 >= 4 - round.min(4)).collect();
            let verdicts: Vec<_> = verify(&verifier, &items).iter().map(Verdict::is_valid).collect();
            assert_eq!(verdicts, expected, "{name}, {round}");
        }
    }
}

fn signature_of(item: &SchnorrItem) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(item.r());
    signature[32..].copy_from_slice(item.s());
    signature
}

fn signed(secret: u64, message: u64) -> SchnorrItem {
    let secret = secp256k1::SecretKey::from_secret_bytes(curve::small(secret + 1)).unwrap();
    let pair = secp256k1::Keypair::from_secret_key(&secret);
    let message = message.to_be_bytes();
    let signature = secp256k1::schnorr::sign_no_aux_rand(&message, &pair);
    let key = pair.x_only_public_key().0.to_byte_array();
    SchnorrItem::new(&message, &signature.to_byte_array(), &key)
}

/// libsecp256k1's verdict.
fn oracle(message: &[u8], signature: &[u8; 64], key: &[u8; 32]) -> bool {
    let signature = secp256k1::schnorr::Signature::from_byte_array(*signature);
    secp256k1::XOnlyPublicKey::from_byte_array(*key)
        .is_ok_and(|key| secp256k1::schnorr::verify(&signature, message, &key).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn verdicts_are_those_of_libsecp256k1(
        draws in proptest::collection::vec((0_u64..5, 0_u64..1000, 0_usize..12, 0_usize..32), 0..150),
    ) {
        let mut items = Vec::new();
        let mut expected = Vec::new();
        for (secret, message, place, byte) in draws {
            let good = signed(secret, message);
            let mut message = message.to_be_bytes();
            let (mut key, mut r, mut s) = (*good.key(), *good.r(), *good.s());
            match place {
                0 => key[byte] ^= 1,
                1 => r[byte] ^= 1,
                2 => s[byte] ^= 1,
                3 => message[byte % 8] ^= 1,
                _ => {}
            }
            let signature: [u8; 64] = [r, s].concat().try_into().unwrap();
            items.push(SchnorrItem::parse(&message, &signature, &key));
            expected.push(oracle(&message, &signature, &key));
        }
        for (name, verifier) in common::backends() {
            let verdicts: Vec<_> = verify(verifier, &items).iter().map(Verdict::is_valid).collect();
            prop_assert_eq!(&verdicts, &expected, "{}", name);
        }
        for (name, verifier) in common::untried() {
            let verdicts: Vec<_> = verify(&verifier, &items).iter().map(Verdict::is_valid).collect();
            prop_assert_eq!(&verdicts, &expected, "{}, untried", name);
        }
    }
}
