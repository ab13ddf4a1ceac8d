//! The backends against libsecp256k1 and k256's own ECDSA: no difference on any item, however a batch is cut.
//!
//! `PHALANX_DIFFERENTIAL` asks for that many items of each kind in place of [`ITEMS`]; `benches/record` holds what a run of a
//! million said.

mod common;

use std::sync::OnceLock;

use common::curve::{self, add, bytes, lift, negated, reduced, sign, small, subtract, times_generator};
use common::{oracle, stream::Stream};
use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::{AffinePoint, Scalar};
use phalanx::scheme::ecdsa::{
    HALF_ORDER, KeyBytes, ORDER, PRIME, PRIME_MINUS_ORDER, RecoverBatch, RecoverItem, SignatureBytes, Signer,
    VerifyBatch, VerifyItem,
};
use phalanx::{Reason, Rules, Verdict, Verifier};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

/// Items of each kind when nothing else is asked for.
const ITEMS: u32 = 20_000;

/// The lengths under test: none, one, the lanes of the CPU's vectors, its blocks and the neighbours of both, the cycle, and a
/// good deal more.
const LENGTHS: [usize; 12] = [0, 1, 3, 4, 5, 7, 8, 9, CYCLE, 256, 257, 4_097];

/// Inputs repeat at a length prime to every block size, so that swapped lanes show.
const CYCLE: usize = 251;

#[test]
fn recovery_agrees_with_libsecp256k1_and_k256() {
    let items: Vec<_> = draw_all().iter().map(|(item, _)| *item).collect();
    let expected: Vec<Verdict<Signer>> = items.par_iter().map(|item| oracle::recover(item).into()).collect();
    let by_k256: Vec<_> = items.par_iter().map(recover_by_k256).collect();
    for ((item, expected), by_k256) in items.iter().zip(&expected).zip(by_k256) {
        match expected {
            // These two are a matter of rules, of which k256 knows none.
            Verdict::Invalid(Reason::HighS | Reason::RecoveryId) => {}
            _ => assert_eq!(expected.valid(), by_k256, "{item:02x?}"),
        }
    }
    let batch: RecoverBatch = items.iter().copied().collect();
    for (backend, verifier) in common::backends() {
        let verdicts = verifier.recover(&batch).expect("the check is made");
        let differences = differences(&items, &verdicts, &expected);
        println!("{backend}: {} items recovered, differences: {differences}", items.len());
        assert_eq!(differences, 0, "{backend}");
    }
    // So few at a time that each is done by itself.
    let cpu = Verifier::cpu();
    let recover = |items: &[_]| cpu.recover(&items.iter().copied().collect()).expect("the check is made");
    let verdicts: Vec<_> = items.par_chunks(2).flat_map_iter(recover).collect();
    assert_eq!(differences(&items, &verdicts, &expected), 0, "in pairs");
    let met = tally(&expected);
    println!("{} items recovered, {} valid", items.len(), met[0]);
    assert!(met[0] > items.len() / 3, "{met:?}");
    for reason in Reason::ALL {
        let of_verification = matches!(reason, Reason::KeyEncoding | Reason::KeyNotOnCurve | Reason::Mismatch);
        let concerns_recovery = !of_verification && reason != Reason::SignatureEncoding;
        assert_eq!(met[reason as usize] > 0, concerns_recovery, "{reason:?}: {met:?}");
    }
}

#[test]
fn verification_agrees_with_libsecp256k1_and_k256() {
    let items: Vec<_> = draw_all().iter().map(|(_, item)| *item).collect();
    let expected: Vec<Verdict<()>> = items.par_iter().map(|item| oracle::verify(item).into()).collect();
    let by_k256: Vec<_> = items.par_iter().map(verify_by_k256).collect();
    for ((item, expected), by_k256) in items.iter().zip(&expected).zip(by_k256) {
        if *expected != Verdict::Invalid(Reason::HighS) {
            assert_eq!(expected.valid(), by_k256, "{item:02x?}");
        }
    }
    let batch: VerifyBatch = items.iter().copied().collect();
    for (backend, verifier) in common::backends() {
        let verdicts = verifier.verify(&batch).expect("the check is made");
        let differences = differences(&items, &verdicts, &expected);
        println!("{backend}: {} items verified, differences: {differences}", items.len());
        assert_eq!(differences, 0, "{backend}");
    }
    // So few at a time that each is done by itself.
    let cpu = Verifier::cpu();
    let verify = |items: &[_]| cpu.verify(&items.iter().copied().collect()).expect("the check is made");
    let verdicts: Vec<_> = items.par_chunks(2).flat_map_iter(verify).collect();
    assert_eq!(differences(&items, &verdicts, &expected), 0, "in pairs");
    let met = tally(&expected);
    println!("{} items verified, {} valid", items.len(), met[0]);
    assert!(met[0] > items.len() / 3, "{met:?}");
    for reason in Reason::ALL {
        let of_parsing = reason == Reason::SignatureEncoding;
        let of_recovery = matches!(
            reason,
            Reason::RecoveryId | Reason::RPlusNOutOfRange | Reason::RNotOnCurve | Reason::KeyAtInfinity
        );
        assert_eq!(met[reason as usize] > 0, !of_parsing && !of_recovery, "{reason:?}: {met:?}");
    }
}

#[test]
fn verdicts_do_not_depend_on_threads_or_on_how_the_batch_is_cut() {
    let mut stream = Stream::new("cuts");
    let items: Vec<_> = (0..CYCLE).map(|_| draw(&mut stream)).collect();
    let mut checked = 0;
    for (backend, verifier) in common::backends() {
        let recover = |items: &[RecoverItem]| verifier.recover(&items.iter().copied().collect());
        let recover = |items: &[_]| recover(items).expect("the check is made");
        let verify = |items: &[VerifyItem]| verifier.verify(&items.iter().copied().collect());
        let verify = |items: &[_]| verify(items).expect("the check is made");
        let recovered: Vec<_> = items.iter().map(|(item, _)| oracle::recover(item).into()).collect();
        let verified: Vec<_> = items.iter().map(|(_, item)| oracle::verify(item).into()).collect();
        for length in LENGTHS {
            let recoveries: Vec<_> = items.iter().map(|(item, _)| *item).cycle().take(length).collect();
            let verifications: Vec<_> = items.iter().map(|(_, item)| *item).cycle().take(length).collect();
            let recovered: Vec<_> = recovered.iter().copied().cycle().take(length).collect();
            let verified: Vec<_> = verified.iter().copied().cycle().take(length).collect();
            assert_eq!(recover(&recoveries), recovered, "{backend}, {length}");
            assert_eq!(verify(&verifications), verified, "{backend}, {length}");
            // In pieces of up to twice the cycle, empty ones among them.
            let mut start = 0;
            while start < length {
                let end = length.min(start + stream.below(2 * CYCLE));
                assert_eq!(recover(&recoveries[start..end]), recovered[start..end], "{backend}, {start}..{end}");
                assert_eq!(verify(&verifications[start..end]), verified[start..end], "{backend}, {start}..{end}");
                start = end;
            }
            checked += 2 * 2 * length;
        }
    }
    assert_eq!(checked, common::backends().len() * 2 * 2 * LENGTHS.iter().sum::<usize>());
    assert!(checked > 3 * 2 * 2 * 4_097);
}

#[test]
fn one_flipped_bit_never_recovers_the_same_signer() {
    const SIGNATURES: usize = 12;
    let mut stream = Stream::new("flipped bits");
    let mut items = Vec::new();
    let mut signers = Vec::new();
    for _ in 0..SIGNATURES {
        let (secret, nonce) = (reduced(stream.block()), reduced(stream.block()));
        let digest = stream.block();
        let curve::Signed { signature, recovery_id } =
            sign(secret, reduced(digest), nonce).expect("neither r nor s is zero");
        let item = RecoverItem { digest, signature, recovery_id, rules: Rules::Sec1 };
        signers.push(oracle::recover(&item).expect("the signature is valid"));
        items.extend((0..3 * 256 + 8).map(|bit| flipped(item, bit)));
    }
    let batch: RecoverBatch = items.iter().copied().collect();
    for (backend, verifier) in common::backends() {
        let verdicts = verifier.recover(&batch).expect("the check is made");
        assert_eq!(verdicts.len(), SIGNATURES * 776);
        for (index, verdict) in verdicts.into_iter().enumerate() {
            let (signature, bit) = (index / 776, index % 776);
            assert_ne!(verdict.valid(), Some(signers[signature]), "{backend}: signature {signature}, bit {bit}");
        }
    }
}

/// The item with one bit of digest, r, s or recovery id flipped.
fn flipped(mut item: RecoverItem, bit: usize) -> RecoverItem {
    let byte = match bit / 256 {
        0 => &mut item.digest[bit / 8 % 32],
        1 => &mut item.signature.r[bit / 8 % 32],
        2 => &mut item.signature.s[bit / 8 % 32],
        _ => &mut item.recovery_id,
    };
    *byte ^= 1 << (bit % 8);
    item
}

/// The items of the two differential tests, drawn once.
fn draw_all() -> &'static [(RecoverItem, VerifyItem)] {
    static DRAWN: OnceLock<Vec<(RecoverItem, VerifyItem)>> = OnceLock::new();
    let asked_for = std::env::var("PHALANX_DIFFERENTIAL").ok();
    let items = asked_for.map_or(ITEMS, |items| items.parse().expect("PHALANX_DIFFERENTIAL is a number"));
    DRAWN.get_or_init(|| (0..items).into_par_iter().map(|index| draw(&mut Stream::at("differential", index))).collect())
}

/// One signature to be recovered, and to be verified: valid, damaged, or nothing like one.
fn draw(stream: &mut Stream) -> (RecoverItem, VerifyItem) {
    let secret = number(stream);
    let mut digest = number(stream);
    let rules = stream.pick(&Rules::ALL);
    let (signed, point) = draw_signature(stream, secret, digest);
    let curve::Signed { mut signature, mut recovery_id } = signed;
    let mut key = if stream.below(2) == 0 { curve::compressed(&point) } else { curve::uncompressed(&point) };
    match stream.below(8) {
        // Flip a bit.
        0 => match stream.below(5) {
            0 => digest[stream.below(32)] ^= 1 << stream.below(8),
            1 => signature.r[stream.below(32)] ^= 1 << stream.below(8),
            2 => signature.s[stream.below(32)] ^= 1 << stream.below(8),
            3 => recovery_id ^= 1 << stream.below(8),
            _ => match &mut key {
                KeyBytes::Compressed(bytes) => bytes[stream.below(33)] ^= 1 << stream.below(8),
                KeyBytes::Uncompressed(bytes) => bytes[stream.below(64)] ^= 1 << stream.below(8),
            },
        },
        // Put an awkward or a random number in a place.
        1 => match stream.below(5) {
            0 => digest = number(stream),
            1 => signature.r = number(stream),
            2 => signature.s = number(stream),
            3 => recovery_id = stream.pick(&[0, 1, 2, 3, 4, 255]),
            _ => {
                let mut bytes = [stream.pick(&[2, 3]); 33];
                bytes[1..].copy_from_slice(&number(stream));
                key = KeyBytes::Compressed(bytes);
            }
        },
        2 => {
            signature = SignatureBytes { r: number(stream), s: number(stream) };
            recovery_id = stream.pick(&[0, 1, 2, 3]);
        }
        // Leave it valid, as far as the rules allow.
        _ => {}
    }
    (RecoverItem { digest, signature, recovery_id, rules }, VerifyItem { digest, signature, key, rules })
}

/// A signature, with s low or high, and the key it is valid under.
fn draw_signature(stream: &mut Stream, secret: [u8; 32], digest: [u8; 32]) -> (curve::Signed, AffinePoint) {
    // One in eight has an R.x of n or more: R is found from it, and the key from R.
    if stream.below(8) == 0 {
        let y_is_odd = stream.below(2) == 1;
        let start = small(1 + stream.below(1 << 16) as u64);
        let mut above_order = (0..).map(|step| add(start, small(step)));
        let r = above_order.find(|r| lift(add(*r, ORDER), y_is_odd).is_some()).expect("about half of them");
        let ephemeral = lift(add(r, ORDER), y_is_odd).expect("just found");
        let s = reduced(stream.block());
        let signature = SignatureBytes { r, s: bytes(s) };
        let key = curve::key_of(&ephemeral, s, reduced(digest)).expect("s is random");
        return (curve::Signed { signature, recovery_id: 2 | u8::from(y_is_odd) }, key);
    }
    let mut secret = reduced(secret);
    let nonce = if stream.below(4) == 0 { awkward(stream) } else { stream.block() };
    // One in eight has the two points that a check adds equal: those of verification for z / r, of recovery for -2 z / r.
    if stream.below(8) == 0
        && let Some(signed) = sign(Scalar::ONE, reduced(digest), reduced(nonce))
        && let Some(inverse) = Option::<Scalar>::from(reduced(signed.signature.r).invert())
    {
        let quotient = reduced(digest) * inverse;
        secret = stream.pick(&[quotient, -(quotient + quotient)]);
    }
    let signed = sign(secret, reduced(digest), reduced(nonce))
        .or_else(|| sign(Scalar::ONE, reduced(digest), reduced(stream.block())))
        .expect("a random nonce makes neither r nor s zero");
    let low_s = signed.signature.s <= HALF_ORDER;
    let signed = if low_s || stream.below(4) == 0 { signed } else { negated(signed) };
    // A secret of zero recovers as infinity, in whose place some key must stand.
    (signed, times_generator(secret).unwrap_or(AffinePoint::GENERATOR))
}

/// An awkward number once in four times, otherwise a random one.
fn number(stream: &mut Stream) -> [u8; 32] {
    if stream.below(4) == 0 { awkward(stream) } else { stream.block() }
}

fn awkward(stream: &mut Stream) -> [u8; 32] {
    let limit = stream.pick(&[small(0), HALF_ORDER, PRIME_MINUS_ORDER, ORDER, PRIME]);
    let distance = small(stream.below(3) as u64);
    if stream.below(2) == 0 { add(limit, distance) } else { subtract(limit, distance) }
}

fn recover_by_k256(item: &RecoverItem) -> Option<Signer> {
    let signature = k256::ecdsa::Signature::from_scalars(item.signature.r, item.signature.s).ok()?;
    let id = k256::ecdsa::RecoveryId::from_byte(item.recovery_id)?;
    let key = k256::ecdsa::VerifyingKey::recover_from_prehash(&item.digest, &signature, id).ok()?;
    let public_key = curve::coordinates(key.as_affine());
    let mut address = [0; 20];
    address.copy_from_slice(&oracle::keccak256(&public_key)[12..]);
    Some(Signer { public_key, address })
}

fn verify_by_k256(item: &VerifyItem) -> Option<()> {
    let encoded = match &item.key {
        // Its own "compact" form is none of SEC 1.
        KeyBytes::Compressed([5, ..]) => return None,
        KeyBytes::Compressed(bytes) => bytes.to_vec(),
        KeyBytes::Uncompressed(xy) => [&[4], &xy[..]].concat(),
    };
    let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(&encoded).ok()?;
    let signature = k256::ecdsa::Signature::from_scalars(item.signature.r, item.signature.s).ok()?;
    key.verify_prehash(&item.digest, &signature.normalize_s()).ok()
}

/// Prints the first few differences and counts them all.
fn differences<I: std::fmt::Debug, T: std::fmt::Debug + PartialEq>(items: &[I], left: &[T], right: &[T]) -> usize {
    assert_eq!((left.len(), right.len()), (items.len(), items.len()));
    let pairs = items.iter().zip(left.iter().zip(right));
    let differing: Vec<_> = pairs.filter(|(_, (left, right))| left != right).collect();
    for (item, (left, right)) in differing.iter().take(8) {
        eprintln!("{left:02x?} and not {right:02x?}: {item:02x?}");
    }
    differing.len()
}

/// How many are valid, at 0, and how many are invalid for each reason.
fn tally<T>(verdicts: &[Verdict<T>]) -> [usize; 15] {
    let mut met = [0; 15];
    for verdict in verdicts {
        met[verdict.reason().map_or(0, |reason| reason as usize)] += 1;
    }
    met
}
