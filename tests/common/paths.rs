//! Every path to a verdict: single items and lanes in each form, the batch check with right, wrong and missing hints, the audit.
//!
//! Each function takes items with the verdicts that are due, reasons included, and asserts them on all paths. Whole lists go
//! through every path; batches of other lengths are cut from a part of a list that is spread over it.

use phalanx::arithmetic::Platform;
use phalanx::batch::{Batch, Columns};
use phalanx::cpu::{Audit, CpuBackend, HintSource, Hints};
use phalanx::scheme::ecdsa::{Address, KeyBytes, RecoverItem, Signer, VerifyItem};
use phalanx::scheme::schnorr::SchnorrItem;
use phalanx::{Reason, Rules, Verdict, Verifier};
use secp256k1::PublicKey;

use super::{backends, oracle};

/// An item, or why its bytes are none, and the verdict that is due.
pub(crate) type Case<I, T> = (Result<I, Reason>, Verdict<T>);

/// Lengths that batches are cut to: below the lanes of a vector, a multiple of them and its neighbour, and one that is prime to all, so
/// that swapped lanes show.
const LENGTHS: [usize; 4] = [7, 64, 65, CYCLE];

/// A length that is prime to every block size.
const CYCLE: usize = 251;

/// Items that are cut to each of [`LENGTHS`].
const CUT: usize = 2 * CYCLE;

/// Items that are checked along with a false claim, few enough for the batch check not to try any part of them: the exact check has
/// to give all the verdicts.
const EXACT: usize = 100;

/// Asserts recoveries: in lanes on every backend, one by one in every form of the lanes, hinted, and audited.
pub(crate) fn recover(name: &str, cases: &[Case<RecoverItem, Signer>]) {
    let (batch, due) = columns(cases);
    for (backend, verifier) in backends() {
        let place = format!("{name}, {backend}");
        let verdicts = verifier.recover(&batch).expect("the check is made");
        assert_same(&place, &verdicts, &due);
        audited(&format!("{place}, audited"), verifier, cases, verdicts);
    }
    for (form, verifier) in forms() {
        let place = format!("{name}, {form}");
        for (index, case) in cases.iter().enumerate() {
            let (alone, due) = columns(std::slice::from_ref(case));
            let verdicts = verifier.recover(&alone).expect("the check is made");
            assert_eq!(verdicts, due, "{place}, case {index} by itself");
        }
        hinted(&place, &verifier, cases);
        for (length, cut) in cuts(cases) {
            for cases in cut.chunks(length) {
                let (batch, due) = columns(cases);
                let place = format!("{place}, batches of {length}");
                let verdicts = verifier.recover(&batch).expect("the check is made");
                assert_same(&place, &verdicts, &due);
                audited(&format!("{place}, audited"), &verifier, cases, verdicts);
                hinted(&place, &verifier, cases);
            }
        }
    }
}

/// Asserts verifications: in lanes on every backend, one by one in every form of the lanes; and as the recoveries that they are,
/// on every path of those. That a key verifies is that it is recovered, by one of the recovery ids.
pub(crate) fn verify(name: &str, cases: &[Case<VerifyItem, ()>]) {
    let (batch, due) = columns(cases);
    for (backend, verifier) in backends() {
        assert_same(&format!("{name}, {backend}"), &verifier.verify(&batch).expect("the check is made"), &due);
    }
    for (form, verifier) in forms() {
        for (index, case) in cases.iter().enumerate() {
            let (alone, due) = columns(std::slice::from_ref(case));
            let verdicts = verifier.verify(&alone).expect("the check is made");
            assert_eq!(verdicts, due, "{name}, {form}, case {index} by itself");
        }
        for (length, cut) in cuts(cases) {
            for cases in cut.chunks(length) {
                let (batch, due) = columns(cases);
                let verdicts = verifier.verify(&batch).expect("the check is made");
                assert_same(&format!("{name}, {form}, batches of {length}"), &verdicts, &due);
            }
        }
    }
    let recoveries: Vec<_> = cases.iter().map(|(item, due)| recovery(name, item, *due)).collect();
    recover(&format!("{name}, recovered"), &recoveries);
}

/// Asserts verifications by BIP-340: in every form of the lanes one by one, together, and exactly.
pub(crate) fn schnorr(name: &str, cases: &[Case<SchnorrItem, ()>]) {
    let valid: Vec<_> = cases.iter().copied().filter(|(_, due)| due.is_valid()).collect();
    let (Ok(item), _) = valid[0] else { panic!("{name}: what does not parse is due to be valid") };
    let signature = [*item.r(), *item.s()].concat();
    let spoiler = SchnorrItem::parse(b"not what was signed", &signature, item.key());
    let spoiler = (spoiler, Verdict::Invalid(Reason::Mismatch));
    for platform in Platform::available() {
        let assert_all = |way: &str, verifier: &Verifier, cases: &[Case<SchnorrItem, ()>]| {
            let (batch, due) = columns(cases);
            let verdicts = verifier.verify_schnorr(&batch).expect("the check is made");
            assert_same(&format!("{name}, {}, {way}", platform.name()), &verdicts, &due);
        };
        let exact = on_one_thread(platform, usize::MAX);
        // Each without a history: after bad batches others go the exact way.
        let checked = |way: &str, cases: &[Case<SchnorrItem, ()>]| assert_all(way, &on_one_thread(platform, 1), cases);
        for case in cases.iter().map(std::slice::from_ref) {
            assert_all("by itself", &exact, case);
            checked("a batch by itself", case);
        }
        assert_all("all, exactly", &exact, cases);
        checked("all", cases);
        checked("all that are valid", &valid);
        for (length, cut) in cuts(cases).into_iter().chain(cuts(&valid)) {
            cut.chunks(length).for_each(|cases| checked(&format!("batches of {length}"), cases));
        }
        for cases in cases.chunks(EXACT) {
            checked("exactly, after a batch check", &[cases, &[spoiler]].concat());
        }
    }
}

/// The forms of the lanes that this machine has, each on one thread, which takes a batch as it is cut.
fn forms() -> Vec<(&'static str, Verifier)> {
    let platforms = Platform::available().into_iter();
    platforms.map(|platform| (platform.name(), on_one_thread(platform, 1))).collect()
}

/// A verifier that puts items to the batch check from so many on.
fn on_one_thread(platform: Platform, threshold: usize) -> Verifier {
    let cpu = CpuBackend::with_threads(1).expect("a thread pool starts");
    cpu.on_platform(platform).with_batch_check_threshold(threshold).into()
}

/// For each of the lengths, items spread over the list, repeated where they are few.
fn cuts<I: Copy, T: Copy>(cases: &[Case<I, T>]) -> Vec<(usize, Vec<Case<I, T>>)> {
    let spread = cases.iter().copied().step_by(cases.len().div_ceil(CUT).max(1)).collect::<Vec<_>>();
    LENGTHS.map(|length| (length, spread.iter().copied().cycle().take(CUT).collect())).into()
}

fn columns<C: Columns, T: Copy>(cases: &[Case<C::Item, T>]) -> (Batch<C>, Vec<Verdict<T>>) {
    let mut batch = Batch::with_capacity(cases.len());
    for (item, _) in cases {
        batch.push_parsed(*item);
    }
    (batch, cases.iter().map(|(_, due)| *due).collect())
}

fn assert_same<T: PartialEq + std::fmt::Debug>(place: &str, verdicts: &[Verdict<T>], due: &[Verdict<T>]) {
    assert_eq!(verdicts.len(), due.len(), "{place}");
    for (index, (verdict, due)) in verdicts.iter().zip(due).enumerate() {
        assert_eq!(verdict, due, "{place}, case {index}");
    }
}

/// Asserts that hints change no verdict: right ones, which are proven; wrong ones; and some of each with some missing.
fn hinted(place: &str, verifier: &Verifier, cases: &[Case<RecoverItem, Signer>]) {
    let known: Vec<Address> =
        cases.iter().filter_map(|(_, due)| verifier.key_book().add(&due.valid()?.public_key)).collect();
    let Some(any) = known.first().copied() else { return };
    let right = |(_, due): &Case<RecoverItem, Signer>| due.valid().map_or(any, |signer| signer.address);
    // Another one's, or where only one is known that of a key that signed nothing.
    let secret = secp256k1::SecretKey::from_secret_bytes([1; 32]).expect("in range");
    let idle = oracle::signer(&PublicKey::from_secret_key(&secret));
    let other = verifier.key_book().add(&idle.public_key).expect("a point");
    let wrong =
        |case: &Case<RecoverItem, Signer>| known.iter().copied().find(|key| *key != right(case)).unwrap_or(other);
    let ask = |way: &str, cases: &[Case<RecoverItem, Signer>], senders: &[Option<Address>]| {
        let (batch, due) = columns(cases);
        let hints = Hints { senders, source: &HintSource::new() };
        let (verdicts, report) = verifier.recover_hinted(&batch, hints).expect("the check is made");
        assert_same(&format!("{place}, {way}"), &verdicts, &due);
        report
    };
    let of_all_kinds =
        |(index, case): (usize, &Case<RecoverItem, Signer>)| [Some(right(case)), Some(wrong(case)), None][index % 3];
    let ways: [(&str, Vec<Option<Address>>); 3] = [
        ("right hints", cases.iter().map(|case| Some(right(case))).collect()),
        ("wrong hints", cases.iter().map(|case| Some(wrong(case))).collect()),
        ("hints of all kinds", cases.iter().enumerate().map(of_all_kinds).collect()),
    ];
    for (way, senders) in ways {
        let report = ask(way, cases, &senders);
        assert_eq!(report.proven + report.recovered, cases.len(), "{place}, {way}");
        assert!(way != "wrong hints" || report.proven == 0, "{place}, {way}: {report:?}");
    }
    // Nothing false among them: all are proven, so that it is the batch check that gave these verdicts.
    let valid: Vec<_> = cases.iter().copied().filter(|(_, due)| due.is_valid()).collect();
    let senders: Vec<_> = valid.iter().map(|case| Some(right(case))).collect();
    let report = ask("right hints alone", &valid, &senders);
    assert_eq!((report.proven, report.recovered), (valid.len(), 0), "{place}, right hints alone");
}

/// Asserts that the audit leaves right answers as they are, and corrects them where each was given for another item.
fn audited(place: &str, verifier: &Verifier, cases: &[Case<RecoverItem, Signer>], answers: Vec<Verdict<Signer>>) {
    let (batch, due) = columns(cases);
    let confirm = |answers| verifier.cpu_backend().confirm(&batch, answers, Audit::Full);
    let keys = answers.iter().filter(|answer| answer.is_valid()).count();
    let (confirmed, report) = confirm(answers);
    assert_same(place, &confirmed, &due);
    assert_eq!((report.checked, report.disputed, report.wrong), (keys, Vec::new(), Vec::new()), "{place}");
    let mut shifted: Vec<Signer> = due.iter().filter_map(|verdict| verdict.valid()).collect();
    if !shifted.is_empty() {
        shifted.rotate_left(1);
    }
    let mut shifted = shifted.into_iter();
    let answers = due.iter().map(|verdict| verdict.map(|own| shifted.next().unwrap_or(own))).collect();
    assert_same(&format!("{place}, shifted"), &confirm(answers).0, &due);
}

/// What recovery has to say of a verification: the signer, if it is valid, by the one id that leads to it.
fn recovery(name: &str, item: &Result<VerifyItem, Reason>, due: Verdict<()>) -> Case<RecoverItem, Signer> {
    let item = match item {
        Ok(item) => item,
        Err(reason) => return (Err(*reason), Verdict::Invalid(*reason)),
    };
    let (digest, signature) = (item.digest, item.signature);
    // All ids, whichever the rules of the verification allow: verification accepts r + n under any.
    let rules = if item.rules.requires_low_s() { Rules::BitcoinPolicy } else { Rules::Sec1 };
    let encoded = match &item.key {
        KeyBytes::Compressed(bytes) => bytes.to_vec(),
        KeyBytes::Uncompressed(xy) => [&[4], &xy[..]].concat(),
    };
    let key = PublicKey::from_slice(&encoded).ok().map(|key| oracle::signer(&key));
    let recover = |recovery_id| {
        let item = RecoverItem { digest, signature, recovery_id, rules };
        (item, oracle::recover(&item))
    };
    let right = (0..=3).map(recover).find(|(_, signer)| key.is_some() && signer.ok() == key);
    assert_eq!(right.is_some(), due.is_valid(), "{name}: {item:02x?}");
    let (item, signer) = right.unwrap_or_else(|| recover(0));
    (Ok(item), signer.into())
}
