//! Hints spare recoveries and change no verdict, and hostile ones cost little.

mod common;

use common::curve;
use common::oracle;
use phalanx::cpu::{CpuBackend, HintSource, Hints};
use phalanx::scheme::ecdsa::{Address, RecoverBatch, RecoverItem, Signer};
use phalanx::{KeyBook, Rules, Verdict};
use proptest::prelude::*;

fn scalar(seed: u64) -> k256::Scalar {
    curve::reduced(phalanx::cpu::sha256(&seed.to_be_bytes()))
}

fn item(secret: u64, message: u64) -> RecoverItem {
    let z = scalar(message + 1_000);
    let signed = curve::sign(scalar(secret), z, scalar(message + 2_000 + 7 * secret)).unwrap();
    RecoverItem {
        digest: curve::bytes(z),
        signature: signed.signature,
        recovery_id: signed.recovery_id,
        rules: Rules::EthFrontier,
    }
}

fn key(secret: u64) -> [u8; 64] {
    curve::coordinates(&curve::times_generator(scalar(secret)).unwrap())
}

fn address(secret: u64) -> Address {
    let mut address = [0; 20];
    address.copy_from_slice(&oracle::keccak256(&key(secret))[12..]);
    address
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Digest,
    R,
    S,
    Parity,
    HighId,
    OtherKeyHinted,
    UnknownKeyHinted,
    NothingHinted,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        20 => Just(Change::Nothing),
        1 => Just(Change::Digest),
        1 => Just(Change::R),
        1 => Just(Change::S),
        1 => Just(Change::Parity),
        1 => Just(Change::HighId),
        1 => Just(Change::OtherKeyHinted),
        1 => Just(Change::UnknownKeyHinted),
        2 => Just(Change::NothingHinted),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn verdicts_are_those_without_hints(changes in proptest::collection::vec((change(), 0_u64..9), 0..160)) {
        let mut items = Vec::new();
        let mut senders = Vec::new();
        for (index, (change, secret)) in (0_u64..).zip(changes) {
            let mut item = item(secret, index);
            let mut hint = Some(address(secret));
            match change {
                Change::Nothing => {}
                Change::Digest => item.digest[7] ^= 1,
                Change::R => item.signature.r[9] ^= 1,
                Change::S => item.signature.s[11] ^= 1,
                Change::Parity => item.recovery_id ^= 1,
                Change::HighId => item.recovery_id |= 2,
                Change::OtherKeyHinted => hint = Some(address((secret + 1) % 9)),
                Change::UnknownKeyHinted => hint = Some(address(secret + 100)),
                Change::NothingHinted => hint = None,
            }
            items.push(item);
            senders.push(hint);
        }
        let expected: Vec<Verdict<Signer>> = items.iter().map(|item| oracle::recover(item).into()).collect();
        let batch: RecoverBatch = items.iter().copied().collect();
        for (name, verifier) in common::backends() {
            for secret in 0..9 {
                prop_assert_eq!(verifier.key_book().add(&key(secret)), Some(address(secret)));
            }
            let source = HintSource::new();
            // Again and again, with a source that loses its credit as it goes.
            for _ in 0..3 {
                let hints = Hints { senders: &senders, source: &source };
                let (verdicts, _) = verifier.recover_hinted(&batch, hints).unwrap();
                prop_assert_eq!(&verdicts, &expected, "{}", name);
            }
        }
    }
}

#[test]
fn keys_are_learned_from_recoveries_and_proven_from_then_on() {
    let verifier = common::batch_checker(CpuBackend::default());
    let batch: RecoverBatch = (0..40).map(|index| item(index, index)).collect();
    let senders: Vec<_> = (0..40).map(|index| Some(address(index))).collect();
    let source = HintSource::new();
    let hints = Hints { senders: &senders, source: &source };
    let (cold, report) = verifier.recover_hinted(&batch, hints).unwrap();
    assert_eq!((report.proven, report.unproven, report.recovered), (0, 0, 40));
    assert_eq!(verifier.key_book().len(), 40);
    let (warm, report) = verifier.recover_hinted(&batch, hints).unwrap();
    assert_eq!((report.proven, report.unproven, report.recovered), (40, 0, 0));
    assert_eq!(cold, warm);
}

#[test]
fn fewer_and_more_hints_than_items_are_taken_as_they_are() {
    let verifier = common::batch_checker(CpuBackend::default());
    let batch: RecoverBatch = (0..5).map(|index| item(index, index)).collect();
    let expected = verifier.recover(&batch).unwrap();
    for count in [0, 1, 4, 5, 6, 50] {
        let senders: Vec<_> = (0..count).map(|index| Some(address(index % 5))).collect();
        for secret in 0..5 {
            verifier.key_book().add(&key(secret));
        }
        let hints = Hints { senders: &senders, source: &HintSource::new() };
        let (verdicts, report) = verifier.recover_hinted(&batch, hints).unwrap();
        assert_eq!(verdicts, expected);
        assert_eq!(report.proven, 5.min(usize::try_from(count).unwrap()));
    }
}

/// Every hint is wrong, in every batch: how many items are put to a batch check in vain is bounded.
#[test]
fn a_source_of_wrong_hints_is_soon_believed_no_more() {
    let verifier = common::batch_checker(CpuBackend::default());
    for secret in 0..64 {
        verifier.key_book().add(&key(secret));
    }
    let batch: RecoverBatch = (0..64).map(|index| item(index, index)).collect();
    let wrong: Vec<_> = (0..64).map(|index| Some(address((index + 1) % 64))).collect();
    let right: Vec<_> = (0..64).map(|index| Some(address(index))).collect();
    let expected = verifier.recover(&batch).unwrap();
    let source = HintSource::new();
    let rounds = 200;
    let mut in_vain = 0;
    for _ in 0..rounds {
        let (verdicts, report) = verifier.recover_hinted(&batch, Hints { senders: &wrong, source: &source }).unwrap();
        assert_eq!(verdicts, expected);
        assert_eq!(report.proven, 0);
        in_vain += report.unproven;
    }
    // Believed for rounds 0, 2, 5, 10, 19, 36, 69, 134: the pauses double.
    assert_eq!(in_vain, 8 * 64, "of {}", rounds * 64);
    // Another source is not held to account for it.
    let (_, report) = verifier.recover_hinted(&batch, Hints { senders: &right, source: &HintSource::new() }).unwrap();
    assert_eq!(report.proven, 64);
    // And this one is believed again in the end.
    let again = (0..500).any(|_| {
        let (_, report) = verifier.recover_hinted(&batch, Hints { senders: &right, source: &source }).unwrap();
        report.proven == 64
    });
    assert!(again);
}

/// One wrong hint in each batch of many does not cost the source its credit, and a few more do.
#[test]
fn a_few_wrong_hints_are_tolerated() {
    let verifier = common::batch_checker(CpuBackend::default());
    for secret in 0..9 {
        verifier.key_book().add(&key(secret));
    }
    let batch: RecoverBatch = (0..320).map(|index| item(index % 9, index)).collect();
    let hints_with = |wrong: u64| -> Vec<Option<Address>> {
        (0..320).map(|index| Some(address(if index < wrong { index % 9 + 1 } else { index % 9 }))).collect()
    };
    for (wrong, believed) in [(5, true), (6, false)] {
        let source = HintSource::new();
        let senders = hints_with(wrong);
        let (_, first) = verifier.recover_hinted(&batch, Hints { senders: &senders, source: &source }).unwrap();
        // Parts of 128, of which the first holds all the wrong ones.
        assert_eq!((first.proven, first.unproven), (192, 128));
        let (_, second) = verifier.recover_hinted(&batch, Hints { senders: &senders, source: &source }).unwrap();
        assert_eq!(second.proven > 0, believed, "{wrong} wrong");
    }
}

#[test]
fn a_book_holds_what_it_is_given_and_refuses_what_is_no_key() {
    let book = KeyBook::with_capacity(1 << 12);
    assert!(book.is_empty());
    assert_eq!(book.add(&key(1)), Some(address(1)));
    assert_eq!(book.add(&key(1)), Some(address(1)));
    assert_eq!(book.get(&address(1)), Some(Signer { public_key: key(1), address: address(1) }));
    assert_eq!(book.get(&address(2)), None);
    let mut off_curve = key(1);
    off_curve[63] ^= 1;
    let mut wide = key(1);
    wide[32..].fill(0xff);
    for refused in [[0; 64], [0xff; 64], off_curve, wide] {
        assert_eq!(book.add(&refused), None);
    }
    assert_eq!(book.len(), 1);
}

#[test]
fn a_flood_of_newcomers_stays_in_bounds_and_leaves_known_keys_alone() {
    for capacity in [0, 1, 600] {
        let book = KeyBook::with_capacity(capacity);
        assert!(book.capacity() >= capacity.max(1));
        let kept: Vec<Address> = (0..40).filter_map(|secret| book.add(&key(secret))).collect();
        // Those that found room and were asked for since.
        let used: Vec<Address> = kept.into_iter().filter(|address| book.get(address).is_some()).collect();
        for address in &used {
            let _ = book.get(address);
        }
        let point = curve::times_generator(scalar(9)).unwrap();
        let mut sum = k256::ProjectivePoint::from(point);
        for _ in 0..4 * book.capacity() {
            sum += point;
            assert!(book.add(&curve::coordinates(&sum.to_affine())).is_some());
        }
        assert!(book.len() <= book.capacity());
        assert!(book.len() > book.capacity() / 2, "{} of {}", book.len(), book.capacity());
        let left = used.iter().filter(|address| book.get(address).is_some()).count();
        assert!(left * 10 >= used.len() * 9, "{left} of {} known keys outlived the flood", used.len());
    }
}

#[test]
fn a_book_is_shared_between_threads() {
    let book = KeyBook::with_capacity(1 << 12);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let book = &book;
            scope.spawn(move || {
                for secret in 0..60 {
                    let secret = (secret + thread * 15) % 60;
                    assert_eq!(book.add(&key(secret)), Some(address(secret)));
                    assert_eq!(book.get(&address(secret)).map(|signer| signer.public_key), Some(key(secret)));
                }
            });
        }
    });
    assert_eq!(book.len(), 60);
}
