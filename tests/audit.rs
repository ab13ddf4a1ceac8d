//! The audit confirms what was recovered rightly and disputes what was not.

mod common;

use common::{curve, oracle};
use phalanx::cpu::{Audit, AuditReport};
use phalanx::scheme::ecdsa::{RecoverBatch, RecoverItem, Signer};
use phalanx::{Reason, Rules, Verdict};

const COUNT: usize = 300;

fn items() -> Vec<RecoverItem> {
    let scalar = |seed: u8| curve::reduced([seed; 32]);
    (0..COUNT)
        .map(|index| {
            // Repeated keys and, now and then, whole signatures.
            let (secret, nonce) = (index % 11 + 1, index % 149 + 1);
            let z = scalar(u8::try_from(index % 83).unwrap());
            let signed =
                curve::sign(scalar(u8::try_from(secret).unwrap()), z, scalar(u8::try_from(nonce).unwrap())).unwrap();
            RecoverItem {
                digest: curve::bytes(z),
                signature: signed.signature,
                recovery_id: signed.recovery_id,
                rules: Rules::Sec1,
            }
        })
        .collect()
}

fn answers(items: &[RecoverItem]) -> Vec<Verdict<Signer>> {
    items.iter().map(|item| oracle::recover(item).into()).collect()
}

/// R.y of each item.
fn ephemeral_ys(items: &[RecoverItem]) -> Vec<[u8; 32]> {
    let y = |item: &RecoverItem| {
        let point = curve::lift(item.signature.r, item.recovery_id & 1 == 1).expect("a signature that was made");
        curve::coordinates(&point)[32..].try_into().unwrap()
    };
    items.iter().map(y).collect()
}

#[test]
fn right_answers_are_confirmed_with_and_without_the_y_of_r() {
    let items = items();
    let (answers, ys) = (answers(&items), ephemeral_ys(&items));
    let batch: RecoverBatch = items.iter().copied().collect();
    for (name, verifier) in common::backends() {
        for ys in [None, Some(&ys[..])] {
            let report = verifier.cpu_backend().audit(&batch, &answers, ys, Audit::Full);
            assert_eq!(report, AuditReport { checked: COUNT, disputed: Vec::new(), wrong: Vec::new() }, "{name}");
        }
    }
}

#[test]
fn each_kind_of_wrong_answer_is_disputed() {
    let items = items();
    let (right, right_ys) = (answers(&items), ephemeral_ys(&items));
    let batch: RecoverBatch = items.iter().copied().collect();
    let signer = |index: usize| right[index].valid().unwrap();
    let place = 123;
    let with_key = |key: [u8; 64]| {
        let mut address = [0; 20];
        address.copy_from_slice(&oracle::keccak256(&key)[12..]);
        Signer { public_key: key, address }
    };
    let flipped = |at: usize| {
        let mut key = signer(place).public_key;
        key[at] ^= 1;
        with_key(key)
    };
    let mut opposite = signer(place).public_key;
    let y: [u8; 32] = opposite[32..].try_into().unwrap();
    opposite[32..].copy_from_slice(&curve::subtract(phalanx::scheme::ecdsa::PRIME, y));
    // The same residues, not below p: (x + p, y) would name the same point.
    let mut wide = [0xff; 64];
    wide[32..].copy_from_slice(&y);
    let wrong = [
        signer(place + 1),
        flipped(0),
        flipped(31),
        flipped(63),
        with_key(opposite),
        with_key(wide),
        with_key([0; 64]),
        Signer { address: signer(place + 1).address, ..signer(place) },
        Signer { public_key: signer(place + 1).public_key, ..signer(place) },
    ];
    for (name, verifier) in common::backends() {
        for (case, wrong) in wrong.iter().enumerate() {
            let mut answers = right.clone();
            answers[place] = Verdict::Valid(*wrong);
            let report = verifier.cpu_backend().audit(&batch, &answers, None, Audit::Full);
            assert_eq!(report.checked, COUNT);
            assert!(report.disputed.contains(&place), "{name}, case {case}");
            assert!(report.disputed.len() < COUNT / 2, "{name}, case {case}: one wrong answer disputes {report:?}");
        }
        for y in [right_ys[place + 1], curve::subtract(phalanx::scheme::ecdsa::PRIME, right_ys[place]), [255; 32]] {
            let mut ys = right_ys.clone();
            ys[place] = y;
            let report = verifier.cpu_backend().audit(&batch, &right, Some(&ys), Audit::Full);
            assert!(report.disputed.contains(&place), "{name}");
        }
    }
}

/// A device that takes R for -R finds a key and a y that fit each other, and not the recovery id.
#[test]
fn the_key_of_the_other_parity_is_disputed_with_the_y_that_fits_it() {
    let items = items();
    let place = 77;
    let mut opposite = items[place];
    opposite.recovery_id ^= 1;
    let (mut answers, mut ys) = (answers(&items), ephemeral_ys(&items));
    answers[place] = oracle::recover(&opposite).into();
    ys[place] = ephemeral_ys(&[opposite])[0];
    assert!(answers[place].is_valid());
    let batch: RecoverBatch = items.iter().copied().collect();
    for (name, verifier) in common::backends() {
        for ys in [None, Some(&ys[..])] {
            let report = verifier.cpu_backend().audit(&batch, &answers, ys, Audit::Full);
            assert!(report.disputed.contains(&place), "{name}");
        }
    }
}

#[test]
fn a_key_for_an_item_that_has_none_is_disputed() {
    let mut items = items();
    let right = answers(&items);
    items[7].signature.s = [0; 32];
    items[8].recovery_id = 4;
    let mut batch = RecoverBatch::default();
    for (index, item) in items.iter().enumerate() {
        if index == 9 { batch.push_rejected(Reason::SignatureEncoding) } else { batch.push(*item) }
    }
    let report = phalanx::Verifier::cpu().cpu_backend().audit(&batch, &right, None, Audit::Full);
    assert_eq!(report, AuditReport { checked: COUNT, disputed: vec![7, 8, 9], wrong: Vec::new() });
}

#[test]
fn rejected_answers_are_not_audited_and_all_wrong_answers_are_disputed() {
    let items = items();
    let batch: RecoverBatch = items.iter().copied().collect();
    let verifier = phalanx::Verifier::cpu();
    let rejected = vec![Verdict::Invalid(Reason::RNotOnCurve); COUNT];
    let report = verifier.cpu_backend().audit(&batch, &rejected, None, Audit::Full);
    assert_eq!(report, AuditReport::default());
    let mut shifted = answers(&items);
    shifted.rotate_left(1);
    let report = verifier.cpu_backend().audit(&batch, &shifted, None, Audit::Full);
    assert_eq!(report, AuditReport { checked: COUNT, disputed: (0..COUNT).collect(), wrong: Vec::new() });
}

#[test]
fn a_sample_checks_its_share_and_off_checks_nothing() {
    let items = items();
    let (batch, answers): (RecoverBatch, _) = (items.iter().copied().collect(), answers(&items));
    let verifier = phalanx::Verifier::cpu();
    let checked = |audit| verifier.cpu_backend().audit(&batch, &answers, None, audit).checked;
    assert_eq!(checked(Audit::Off), 0);
    assert_eq!(checked(Audit::Sample(10)), COUNT / 10);
    assert_eq!(checked(Audit::Sample(7)), COUNT.div_ceil(7));
    assert_eq!(checked(Audit::Sample(1)), COUNT);
    assert_eq!(checked(Audit::Sample(0)), COUNT);
    let empty = verifier.cpu_backend().audit(&RecoverBatch::default(), &[], None, Audit::Sample(10));
    assert_eq!(empty, AuditReport::default());
    // Every place is looked at sooner or later.
    let mut wrong = answers.clone();
    wrong.rotate_left(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        seen.extend(verifier.cpu_backend().audit(&batch, &wrong, None, Audit::Sample(10)).disputed);
    }
    assert!(seen.len() > COUNT / 2, "{} places", seen.len());
}

#[test]
fn disputed_answers_are_replaced_by_exact_ones() {
    let items = items();
    let right = answers(&items);
    let batch: RecoverBatch = items.iter().copied().collect();
    for (name, verifier) in common::backends() {
        let cpu = verifier.cpu_backend();
        let mut wrong = right.clone();
        for place in [0, 150, COUNT - 1] {
            wrong[place] = right[place + 1 - 2 * usize::from(place > 0)];
        }
        let (confirmed, report) = cpu.confirm(&batch, wrong.clone(), Audit::Full);
        assert_eq!(confirmed, right, "{name}");
        assert!([0, 150, COUNT - 1].iter().all(|place| report.disputed.contains(place)), "{name}");
        assert_eq!(cpu.confirm(&batch, wrong.clone(), Audit::Off), (wrong, AuditReport::default()), "{name}");
        wrong = right.clone();
        wrong.rotate_left(1);
        assert_eq!(cpu.confirm(&batch, wrong, Audit::Full).0, right, "{name}");
    }
}

#[test]
fn audits_are_read_by_name() {
    assert_eq!("full".parse(), Ok(Audit::Full));
    assert_eq!("sample".parse(), Ok(Audit::Sample(16)));
    assert_eq!("off".parse(), Ok(Audit::Off));
    assert!("Full".parse::<Audit>().is_err());
}
