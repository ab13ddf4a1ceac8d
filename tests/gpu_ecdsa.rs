//! ECDSA by the kernels, in both variants, against libsecp256k1: at every edge that whoever signs can choose. The kernels are asked
//! directly, without the host's own checks before them.

#![cfg(feature = "gpu")]

mod common;

use std::sync::OnceLock;

use common::curve::{self, bytes, compressed, lift, reduced, small, times_generator, uncompressed};
use common::{oracle, stream::Stream};
use k256::elliptic_curve::ff::Field;
use k256::{ProjectivePoint, Scalar};
use phalanx::gpu::shader::{Arithmetic, WORKGROUP_SIZE};
use phalanx::gpu::{Ecdsa, adapters};
use phalanx::scheme::ecdsa::{
    HALF_ORDER, KeyBytes, ORDER, PRIME, PRIME_MINUS_ORDER, RecoverItem, SignatureBytes, Signer, VerifyItem,
};
use phalanx::{Reason, Rules, Verdict};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

/// Inputs repeat at a length prime to every block size, so that swapped lanes show.
const CYCLE: usize = 251;

/// Both programs on every adapter and in every variant, compiled once.
fn devices() -> &'static [(String, Ecdsa)] {
    static DEVICES: OnceLock<Vec<(String, Ecdsa)>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let mut devices = Vec::new();
        for adapter in adapters() {
            for arithmetic in Arithmetic::ALL {
                let place = format!("{} ({}), variant {arithmetic}", adapter.name(), adapter.driver());
                if let Some(refusal) = adapter.refusal(arithmetic) {
                    eprintln!("skipped: {place}: {refusal}");
                    continue;
                }
                let ecdsa = Ecdsa::on(&adapter, arithmetic).unwrap_or_else(|error| panic!("{place}: {error}"));
                devices.push((place, ecdsa));
            }
        }
        if devices.is_empty() {
            eprintln!("skipped: there is no GPU adapter here; `cargo xtask test` installs a software one");
        }
        devices
    })
}

/// Asserts that every device answers as libsecp256k1 does, and gives those answers.
fn assert_recovers(items: &[RecoverItem]) -> Vec<Verdict<Signer>> {
    let expected: Vec<Verdict<Signer>> = items.par_iter().map(|item| oracle::recover(item).into()).collect();
    for (place, ecdsa) in devices() {
        let (answers, _) = ecdsa.recover(items).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(answers.len(), items.len(), "{place}");
        for ((item, answer), expected) in items.iter().zip(&answers).zip(&expected) {
            assert_eq!(answer, expected, "{place}, {item:02x?}");
        }
    }
    expected
}

/// The same for verification.
fn assert_verifies(items: &[VerifyItem]) -> Vec<Verdict<()>> {
    let expected: Vec<Verdict<()>> = items.par_iter().map(|item| oracle::verify(item).into()).collect();
    for (place, ecdsa) in devices() {
        let (answers, _) = ecdsa.verify(items).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(answers.len(), items.len(), "{place}");
        for ((item, answer), expected) in items.iter().zip(&answers).zip(&expected) {
            assert_eq!(answer, expected, "{place}, {item:02x?}");
        }
    }
    expected
}

/// Every reason that has been given, besides none.
fn met<T>(verdicts: &[Verdict<T>]) -> Vec<Reason> {
    let reasons: std::collections::BTreeSet<_> = verdicts.iter().filter_map(Verdict::reason).collect();
    reasons.into_iter().collect()
}

/// A recovery whose sum is `base` G + `factor` R, R being `nonce` G; `None` where that takes r = 0 or s = 0.
fn recovery(base: Scalar, factor: Scalar, nonce: Scalar) -> Option<RecoverItem> {
    let ephemeral = times_generator(nonce)?;
    let r = reduced(curve::x(&ephemeral));
    let s = factor * r;
    let signature = SignatureBytes { r: bytes(r), s: bytes(s) };
    let recovery_id = u8::from(curve::y_is_odd(&ephemeral)) | u8::from(bytes(r) != curve::x(&ephemeral)) << 1;
    let digest = bytes(-(base * r));
    (s != Scalar::ZERO).then_some(RecoverItem { digest, signature, recovery_id, rules: Rules::Sec1 })
}

/// A verification whose sum is `base` G + `factor` Q, Q being `secret` G: valid unless the sum is at infinity.
fn verification(base: Scalar, factor: Scalar, secret: Scalar, is_compressed: bool) -> Option<VerifyItem> {
    let key = times_generator(secret)?;
    let r = times_generator(base + factor * secret).map_or(Scalar::ONE, |point| reduced(curve::x(&point)));
    let s = r * Option::<Scalar>::from(factor.invert())?;
    let key = if is_compressed { compressed(&key) } else { uncompressed(&key) };
    let signature = SignatureBytes { r: bytes(r), s: bytes(s) };
    Some(VerifyItem { digest: bytes(base * s), signature, key, rules: Rules::Sec1 })
}

/// lambda, (-1 + sqrt(-3)) / 2 modulo n, by which the endomorphism multiplies.
fn lambda() -> Scalar {
    let lambda = "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72";
    let lambda = reduced(hex::decode(lambda).expect("hexadecimal").try_into().expect("32 bytes"));
    assert_eq!(lambda.square() + lambda + Scalar::ONE, Scalar::ZERO);
    lambda
}

/// Scalars at the edges of windows, of digits and of halves, and their negatives.
fn edges() -> Vec<Scalar> {
    let lambda = lambda();
    let two = Scalar::from(2_u64);
    let power = |bits: u64| two.pow_vartime([bits]);
    let mut scalars: Vec<_> = (1..=9_u64).map(Scalar::from).collect();
    scalars.extend([lambda, lambda.square(), lambda - Scalar::ONE, lambda + two, lambda * Scalar::from(4_u64)]);
    scalars.extend([reduced(HALF_ORDER), reduced(HALF_ORDER) + Scalar::ONE]);
    for bits in [3, 12, 24, 63, 126, 127, 128, 129, 132, 240, 252, 255] {
        scalars.extend([power(bits), power(bits) - Scalar::ONE, power(bits) + Scalar::ONE, power(bits) * lambda]);
    }
    // Both halves with every digit at its largest, and at its smallest.
    let repeated = |digit: u64| (0..42).map(|place| Scalar::from(digit) * power(3 * place)).sum::<Scalar>();
    for digit in [3, 4, 5, 7] {
        scalars.extend([repeated(digit), repeated(digit) * lambda, repeated(digit) * (lambda - Scalar::ONE)]);
    }
    let negatives: Vec<_> = scalars.iter().map(|scalar| -*scalar).collect();
    scalars.extend(negatives);
    scalars
}

#[test]
fn known_answers_are_given() {
    for (place, ecdsa) in devices() {
        ecdsa.check_known_answers().unwrap_or_else(|problem| panic!("{place}: {problem}"));
    }
}

/// Every scalar of the key's part with a few of the base's, and the other way round.
#[test]
fn scalars_at_every_edge() {
    let mut stream = Stream::new("gpu ecdsa: edges");
    let edges = edges();
    let few = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, lambda(), reduced(stream.block())];
    let mut pairs: Vec<(Scalar, Scalar)> = Vec::new();
    for edge in &edges {
        pairs.extend(few.iter().flat_map(|other| [(*edge, *other), (*other, *edge)]));
        pairs.extend([(*edge, *edge), (*edge, -*edge)]);
    }
    let nonces = [Scalar::ONE, Scalar::from(2_u64), -Scalar::from(3_u64), lambda(), reduced(stream.block())];
    let nonce = |index: usize| nonces[index % nonces.len()];
    let recoveries = pairs.iter().enumerate().filter_map(|(index, pair)| recovery(pair.0, pair.1, nonce(index)));
    let answers = assert_recovers(&recoveries.collect::<Vec<_>>());
    assert!(answers.len() > 1_000);
    assert_eq!(met(&answers), [Reason::KeyAtInfinity]);
    let verifications = pairs.iter().enumerate();
    let verifications =
        verifications.filter_map(|(index, pair)| verification(pair.0, pair.1, nonce(index), index % 2 == 0));
    let answers = assert_verifies(&verifications.collect::<Vec<_>>());
    // At infinity there is nothing to match.
    assert_eq!(met(&answers), [Reason::Mismatch]);
    assert!(answers.iter().filter(|answer| answer.is_valid()).count() > 1_000);
}

/// Small multiples of G on both sides, with the partial sums of every window among them: what is added meets what is there, or its
/// negative, at each window of the base.
#[test]
fn partial_sums_that_collide() {
    let mut stream = Stream::new("gpu ecdsa: collisions");
    let two = Scalar::from(2_u64);
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    for window_bits in 8..=16_u64 {
        let windows = 257_u64.div_ceil(window_bits);
        for window in 0..windows {
            // The bits of an odd scalar below and above a window's edges, as signed digits.
            let base = reduced(stream.block());
            let own = digits(base, window_bits, windows);
            let weight = |index: u64| two.pow_vartime([window_bits * index]);
            let before: Scalar =
                (0..window).map(|index| own[usize::try_from(index).expect("small")] * weight(index)).sum();
            let part = own[usize::try_from(window).expect("small")] * weight(window);
            for meeting in [part - before, -part - before] {
                recoveries.extend(recovery(base, meeting, Scalar::ONE));
                verifications.extend(verification(
                    base,
                    meeting * Scalar::from(7_u64).invert().expect("not zero"),
                    Scalar::from(7_u64),
                    true,
                ));
            }
        }
    }
    assert!(recoveries.len() > 400 && verifications.len() == recoveries.len());
    // The negative of the last part is that of all: for each size of windows one sum is at infinity.
    let answers = assert_recovers(&recoveries);
    assert_eq!(met(&answers), [Reason::KeyAtInfinity]);
    assert_eq!(answers.iter().filter(|answer| !answer.is_valid()).count(), 9);
    let answers = assert_verifies(&verifications);
    assert_eq!(met(&answers), [Reason::Mismatch]);
    assert_eq!(answers.iter().filter(|answer| !answer.is_valid()).count(), 9);
}

/// The signed odd digits of a scalar, or of its negative where that is the odd one, by the definition: sum of +-2^i.
fn digits(scalar: Scalar, window_bits: u64, windows: u64) -> Vec<Scalar> {
    let is_odd = bytes(scalar)[31] & 1 == 1;
    let odd = bytes(if is_odd { scalar } else { -scalar });
    let bit = |index: u64| {
        let index = usize::try_from(index).expect("small");
        index < 256 && odd[31 - index / 8] >> (index % 8) & 1 == 1
    };
    let top = window_bits * windows - 1;
    let sign = |index: u64| if index == top || bit(index + 1) { Scalar::ONE } else { -Scalar::ONE };
    let two = Scalar::from(2_u64);
    let window = |window: u64| {
        let sum: Scalar =
            (0..window_bits).map(|place| sign(window * window_bits + place) * two.pow_vartime([place])).sum();
        if is_odd { sum } else { -sum }
    };
    let digits: Vec<_> = (0..windows).map(window).collect();
    let weight = |index: usize| two.pow_vartime([window_bits * index as u64]);
    assert_eq!(digits.iter().enumerate().map(|(index, digit)| *digit * weight(index)).sum::<Scalar>(), scalar);
    digits
}

#[test]
fn r_s_and_ids_at_the_limits_of_their_range() {
    let add = curve::add;
    let values = [
        small(0),
        small(1),
        small(2),
        HALF_ORDER,
        add(HALF_ORDER, small(1)),
        curve::subtract(PRIME_MINUS_ORDER, small(1)),
        PRIME_MINUS_ORDER,
        curve::subtract(ORDER, small(1)),
        ORDER,
        add(ORDER, small(1)),
        PRIME,
        [0xff; 32],
    ];
    let digests = [small(0), small(7), ORDER, [0xff; 32]];
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    let key = times_generator(reduced(small(5))).expect("not at infinity");
    for (index, r) in values.into_iter().enumerate() {
        for s in values {
            for rules in Rules::ALL {
                let digest = digests[index % digests.len()];
                let signature = SignatureBytes { r, s };
                let ids = [0, 1, 2, 3, 4, 255];
                recoveries.extend(ids.map(|recovery_id| RecoverItem { digest, signature, recovery_id, rules }));
                verifications.push(VerifyItem { digest, signature, key: compressed(&key), rules });
            }
        }
    }
    let expected = [
        Reason::RecoveryId,
        Reason::RIsZero,
        Reason::ROutOfRange,
        Reason::SIsZero,
        Reason::SOutOfRange,
        Reason::HighS,
        Reason::RPlusNOutOfRange,
        Reason::RNotOnCurve,
    ];
    assert_eq!(met(&assert_recovers(&recoveries)), expected);
    let answers = assert_verifies(&verifications);
    assert_eq!(met(&answers), [&expected[1..6], &[Reason::Mismatch]].concat());
}

#[test]
fn ephemeral_points_with_x_above_the_order() {
    let s = reduced(small(0x5EED));
    let (mut recoveries, mut verifications) = (Vec::new(), Vec::new());
    for (r, digest) in (1..=24).zip(1000..) {
        let (r, digest) = (small(r), small(digest));
        let signature = SignatureBytes { r, s: bytes(s) };
        let ids = [0, 1, 2, 3];
        recoveries.extend(ids.map(|recovery_id| RecoverItem { digest, signature, recovery_id, rules: Rules::Sec1 }));
        for y_is_odd in [false, true] {
            let Some(ephemeral) = lift(curve::add(r, ORDER), y_is_odd) else { continue };
            let key = curve::key_of(&ephemeral, s, reduced(digest)).expect("not at infinity");
            for key in [compressed(&key), uncompressed(&key)] {
                verifications.push(VerifyItem { digest, signature, key, rules: Rules::BitcoinConsensus });
            }
        }
    }
    // Just below p - n, where r + n is just below p; and above, where an x of r + n - p must not pass for it.
    for below in 1..=24 {
        let r = curve::subtract(PRIME_MINUS_ORDER, small(below));
        let signature = SignatureBytes { r, s: bytes(s) };
        let digest = small(3);
        recoveries.push(RecoverItem { digest, signature, recovery_id: 2, rules: Rules::Sec1 });
        let wrapped = lift(small(below), false);
        let r = curve::add(PRIME_MINUS_ORDER, small(below));
        let signature = SignatureBytes { r, s: bytes(s) };
        recoveries.push(RecoverItem { digest, signature, recovery_id: 3, rules: Rules::Sec1 });
        let inverse: Scalar = Option::from(reduced(r).invert()).expect("r is not zero");
        let key = wrapped.and_then(|point| {
            curve::affine((ProjectivePoint::from(point) * s - ProjectivePoint::GENERATOR * reduced(digest)) * inverse)
        });
        verifications.extend(key.map(|key| VerifyItem {
            digest,
            signature,
            key: uncompressed(&key),
            rules: Rules::Sec1,
        }));
    }
    let answers = assert_recovers(&recoveries);
    assert!(answers.iter().filter(|answer| answer.is_valid()).count() > 40);
    assert_eq!(met(&answers), [Reason::RPlusNOutOfRange, Reason::RNotOnCurve]);
    let answers = assert_verifies(&verifications);
    assert!(answers.iter().filter(|answer| answer.is_valid()).count() > 20);
    assert_eq!(met(&answers), [Reason::Mismatch]);
}

#[test]
fn keys_that_are_no_points() {
    let digest = small(99);
    let signed = curve::sign(reduced(small(5)), reduced(digest), reduced(small(3))).expect("neither is zero");
    let key = times_generator(reduced(small(5))).expect("not at infinity");
    let (x, y) = (curve::x(&key), curve::coordinates(&key)[32..].try_into().expect("32 bytes"));
    let with_prefix = |prefix: u8, x: [u8; 32]| {
        let mut bytes = [prefix; 33];
        bytes[1..].copy_from_slice(&x);
        KeyBytes::Compressed(bytes)
    };
    let pair = |x: [u8; 32], y: [u8; 32]| KeyBytes::Uncompressed([x, y].concat().try_into().expect("64 bytes"));
    let mut keys: Vec<_> = (0..=u8::MAX).map(|prefix| with_prefix(prefix, x)).collect();
    let numbers: Vec<_> = (0..40).map(small).chain([PRIME, curve::add(PRIME, small(1)), [0xff; 32], x, y]).collect();
    for number in &numbers {
        keys.extend([with_prefix(2, *number), with_prefix(3, *number), pair(*number, y), pair(x, *number)]);
    }
    keys.push(pair(curve::subtract(PRIME, small(1)), curve::subtract(PRIME, y)));
    // The other root.
    keys.push(pair(x, curve::subtract(PRIME, y)));
    let bad = SignatureBytes { r: small(0), s: ORDER };
    let items = keys.iter().flat_map(|key| {
        [signed.signature, bad].map(|signature| VerifyItem { digest, signature, key: *key, rules: Rules::Sec1 })
    });
    let answers = assert_verifies(&items.collect::<Vec<_>>());
    assert_eq!(answers.iter().filter(|answer| answer.is_valid()).count(), 4);
    assert_eq!(met(&answers), [Reason::KeyEncoding, Reason::RIsZero, Reason::KeyNotOnCurve, Reason::Mismatch]);
}

/// Signatures, with a bit flipped in two thirds of them.
fn draw(index: u32) -> (RecoverItem, VerifyItem) {
    let mut stream = Stream::at("gpu ecdsa: any", index);
    // Small keys, nonces and digests make points and sums that meet.
    let number = |stream: &mut Stream| {
        let small = small(1 + stream.below(64) as u64);
        if stream.below(4) == 0 { small } else { stream.block() }
    };
    let secret = reduced(number(&mut stream));
    let mut digest = number(&mut stream);
    let key = times_generator(secret).expect("not at infinity");
    let nonce = reduced(number(&mut stream));
    let signed = curve::sign(secret, reduced(digest), nonce).expect("neither is zero");
    let curve::Signed { mut signature, mut recovery_id } = signed;
    let rules = stream.pick(&Rules::ALL);
    let bit = 1 << stream.below(8);
    let byte = stream.below(32);
    match stream.below(9) {
        0 => signature.r[byte] ^= bit,
        1 => signature.s[byte] ^= bit,
        2 => digest[byte] ^= bit,
        3 => recovery_id ^= bit,
        4 => signature.r = stream.block(),
        5 => signature.s = bytes(-reduced(signature.s)),
        _ => {}
    }
    let mut key = if stream.below(2) == 0 { compressed(&key) } else { uncompressed(&key) };
    if stream.below(8) == 0 {
        match &mut key {
            KeyBytes::Compressed(bytes) => bytes[1 + byte] ^= bit,
            KeyBytes::Uncompressed(bytes) => bytes[2 * byte] ^= bit,
        }
    }
    (RecoverItem { digest, signature, recovery_id, rules }, VerifyItem { digest, signature, key, rules })
}

fn valid<T>(answers: &[Verdict<T>]) -> usize {
    answers.iter().filter(|answer| answer.is_valid()).count()
}

/// A long differential run, item for item against libsecp256k1: `PHALANX_DIFFERENTIAL` items, each recovered and verified by every
/// device in each variant. Without it, a few: the other tests have the edges.
#[test]
fn as_many_items_as_are_asked_for() {
    const AT_A_TIME: u32 = 16_384;
    let asked_for = std::env::var("PHALANX_DIFFERENTIAL").ok();
    let items: u32 = asked_for.map_or(2_000, |items| items.parse().expect("PHALANX_DIFFERENTIAL is a number"));
    let (mut recovered, mut verified) = (0, 0);
    // Others than those of the test below.
    let first = 1 << 20;
    for start in (first..first + items).step_by(AT_A_TIME as usize) {
        let drawn = start..(first + items).min(start + AT_A_TIME);
        let (recoveries, verifications): (Vec<_>, Vec<_>) = drawn.into_par_iter().map(draw).collect();
        recovered += valid(&assert_recovers(&recoveries));
        verified += valid(&assert_verifies(&verifications));
    }
    println!(
        "{items} items on {} devices, recovered and verified: {recovered} and {verified} valid, differences: 0",
        devices().len()
    );
}

#[test]
fn any_items_and_any_number_of_lanes() {
    let (recoveries, verifications): (Vec<_>, Vec<_>) = (0..3_001_u32).into_par_iter().map(draw).collect();
    let recovered = assert_recovers(&recoveries);
    let verified = assert_verifies(&verifications);
    assert!((1_000..2_000).contains(&valid(&recovered)), "{}", valid(&recovered));
    assert!((1_000..2_000).contains(&valid(&verified)), "{}", valid(&verified));
    // None, one, a run that shares an inversion, a workgroup, and their neighbours.
    let group = WORKGROUP_SIZE as usize;
    for (place, ecdsa) in devices() {
        for lanes in [0, 1, 2, 31, 32, 33, group - 1, group, group + 1, 1_000] {
            let cycled = |index: usize| index % CYCLE;
            let items: Vec<_> = (0..lanes).map(|index| recoveries[cycled(index)]).collect();
            let expected = (0..lanes).map(|index| recovered[cycled(index)]);
            let (answers, _) = ecdsa.recover(&items).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(answers.into_iter().eq(expected), "{lanes} lanes on {place}");
            let items: Vec<_> = (0..lanes).map(|index| verifications[cycled(index)]).collect();
            let expected = (0..lanes).map(|index| verified[cycled(index)]);
            let (answers, _) = ecdsa.verify(&items).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(answers.into_iter().eq(expected), "{lanes} lanes on {place}");
        }
    }
}
