//! Any bytes may come in where a signature or a key is expected: nothing panics, and what is read is what libsecp256k1
//! reads.

use std::sync::atomic::{AtomicU32, Ordering};

use phalanx::Rules;
use phalanx::scheme::ecdsa::{KeyBytes, ORDER, SignatureBytes};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use secp256k1::PublicKey;
use secp256k1::ecdsa::Signature;

const CASES: u32 = 100_000;

#[test]
fn signatures_are_read_as_libsecp256k1_reads_them() {
    let (strict, lax, fixed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let cases = for_all(signature_bytes(), |bytes| {
        strict.fetch_add(u32::from(strict_der_agrees(bytes)), Ordering::Relaxed);
        lax.fetch_add(u32::from(lax_der_agrees(bytes)), Ordering::Relaxed);
        let p1363 = SignatureBytes::from_p1363(bytes);
        assert_eq!(p1363.is_ok(), bytes.len() == 64, "{bytes:02x?}");
        if let Ok(signature) = p1363 {
            assert_eq!([signature.r, signature.s].concat(), bytes);
            fixed.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!(cases, CASES);
    // Enough of them were well encoded for the agreement to mean something.
    let read = [strict, lax, fixed].map(AtomicU32::into_inner);
    assert!(read[0] > CASES / 10 && read[1] > CASES / 4 && read[2] > 100, "{read:?}");
}

#[test]
fn keys_are_read_as_libsecp256k1_reads_them() {
    let accepted = AtomicU32::new(0);
    let cases = for_all(key_bytes(), |bytes| {
        let parsed = Rules::ALL.map(|rules| KeyBytes::parse(bytes, rules));
        let checked = parsed.map(|parsed| parsed.and_then(|key| key.check()).is_ok());
        let hybrid = matches!(bytes.first(), Some(6 | 7));
        for (rules, checked) in Rules::ALL.into_iter().zip(checked) {
            // All that is left to a point of the curve is to be one.
            let known_to_libsecp256k1 = PublicKey::from_slice(bytes).is_ok();
            let expected = known_to_libsecp256k1 && (!hybrid || rules == Rules::BitcoinConsensus);
            assert!(checked || !expected, "{bytes:02x?} under {rules:?}");
            let formed = match (bytes.len(), bytes.first()) {
                (33, Some(2 | 3)) | (65, Some(4)) => true,
                (65, Some(6 | 7)) => rules == Rules::BitcoinConsensus,
                _ => false,
            };
            assert!(formed || !checked, "{bytes:02x?} under {rules:?}");
            accepted.fetch_add(u32::from(expected), Ordering::Relaxed);
        }
    });
    assert_eq!(cases, CASES);
    let accepted = accepted.into_inner();
    assert!(accepted > CASES, "{accepted}");
}

/// Whether the bytes are strict DER, after asserting that libsecp256k1 reads the same from them.
fn strict_der_agrees(bytes: &[u8]) -> bool {
    match (SignatureBytes::from_der(bytes), Signature::from_der(bytes)) {
        (Ok(ours), Ok(theirs)) => {
            // An integer that is out of range it makes zero, by itself.
            let expected = [ours.r, ours.s].map(|scalar| if scalar < ORDER { scalar } else { [0; 32] });
            assert_eq!(theirs.serialize_compact()[..], expected.concat(), "{bytes:02x?}");
            true
        }
        // A negative integer too.
        (Err(_), Ok(theirs)) => {
            let zero = theirs.serialize_compact().chunks(32).any(|scalar| scalar == [0; 32]);
            assert!(zero, "libsecp256k1 reads {bytes:02x?}");
            false
        }
        (ours, theirs) => {
            assert!(ours.is_err(), "libsecp256k1: {theirs:?}; {bytes:02x?}");
            false
        }
    }
}

/// Whether the bytes are DER as Bitcoin once read it, after asserting that libsecp256k1 reads the same from them.
fn lax_der_agrees(bytes: &[u8]) -> bool {
    match (SignatureBytes::from_der_lax(bytes), Signature::from_der_lax(bytes)) {
        (Ok(ours), Ok(theirs)) => {
            // If either is out of range it makes both zero.
            let in_range = ours.r < ORDER && ours.s < ORDER;
            let expected = if in_range { [ours.r, ours.s].concat() } else { vec![0; 64] };
            assert_eq!(theirs.serialize_compact()[..], expected, "{bytes:02x?}");
            true
        }
        (ours, theirs) => {
            assert!(ours.is_err() && theirs.is_err(), "{ours:?}, libsecp256k1: {theirs:?}; {bytes:02x?}");
            false
        }
    }
}

/// Encodings of two integers, whole or damaged in up to three places, and bytes that are none.
fn signature_bytes() -> impl Strategy<Value = Vec<u8>> {
    let integer = prop_oneof![
        6 => vec(any::<u8>(), 32),
        2 => vec(any::<u8>(), 0..40),
        1 => Just(ORDER.to_vec()),
        1 => Just([0xff; 32].to_vec()),
        1 => Just(vec![0]),
    ];
    // One integer in eight is left without the zero that keeps it from being negative.
    let integer = (integer, 0..8)
        .prop_map(|(integer, unpadded)| element(2, &if unpadded == 0 { integer } else { minimal(&integer) }));
    let encoded = (integer.clone(), integer).prop_map(|(r, s)| element(0x30, &[r, s].concat()));
    prop_oneof![
        8 => damaged(encoded),
        1 => vec(any::<u8>(), 0..80),
        1 => damaged(vec(any::<u8>(), 64)),
    ]
}

/// Keys of every form, whole or damaged in up to three places, and bytes that are none.
fn key_bytes() -> impl Strategy<Value = Vec<u8>> {
    let secrets = vec(any::<u8>(), 31).prop_map(|mut secret| {
        secret.push(1);
        let secret = secp256k1::SecretKey::from_secret_bytes(secret.try_into().expect("32 bytes"));
        PublicKey::from_secret_key(&secret.expect("it is neither zero nor n"))
    });
    let encoded = (secrets, 0..3).prop_map(|(key, form)| match form {
        0 => key.serialize().to_vec(),
        1 => key.serialize_uncompressed().to_vec(),
        _ => {
            let mut hybrid = key.serialize_uncompressed();
            hybrid[0] = 6 | (hybrid[64] & 1);
            hybrid.to_vec()
        }
    });
    prop_oneof![
        8 => damaged(encoded),
        1 => vec(any::<u8>(), 0..80),
    ]
}

/// The bytes with up to three of them set, inserted or removed.
fn damaged(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let interesting =
        prop_oneof![any::<u8>(), proptest::sample::select(vec![0, 1, 2, 0x20, 0x30, 0x7f, 0x80, 0x81, 0xff])];
    (bytes, vec((any::<usize>(), interesting, 0..4), 0..=3)).prop_map(|(mut bytes, damages)| {
        for (place, byte, kind) in damages {
            let place = place % (bytes.len() + 1);
            match kind {
                0 => bytes.insert(place, byte),
                1 => bytes.truncate(place),
                _ if place == bytes.len() => bytes.push(byte),
                2 => bytes[place] = byte,
                _ => drop(bytes.remove(place)),
            }
        }
        bytes
    })
}

/// A DER element with its length in the shortest form.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("shorter than 256 bytes");
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [&[tag], &length[..], content].concat()
}

/// The shortest non-negative DER content for a big-endian number.
fn minimal(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = &number[zeros..];
    let padding: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    [padding, digits].concat()
}

/// Runs the property on as many cases as are promised, the same ones each time; returns how many were run.
fn for_all(strategy: impl Strategy<Value = Vec<u8>>, property: impl Fn(&[u8])) -> u32 {
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x5ec_256),
        ..ProptestConfig::default()
    };
    let run = AtomicU32::new(0);
    let outcome = TestRunner::new(config).run(&strategy, |bytes| {
        property(&bytes);
        run.fetch_add(1, Ordering::Relaxed);
        Ok::<_, TestCaseError>(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    run.into_inner()
}
