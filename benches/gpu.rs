//! The GPU backend on every adapter, beside C libsecp256k1 on rayon, in turns on the same items: cold start, steady state, and a flood of
//! bad signatures beside one of good ones. Prints a line of CSV for each figure.
//!
//! Adapters whose names contain `PHALANX_BENCH_ADAPTER` only, if it is set; `PHALANX_BENCH_BATCH` items in a batch, `PHALANX_BENCH_FLOOD`
//! in a flood.

use std::time::{Duration, Instant};

use phalanx::cpu::Audit;
use phalanx::gpu::{Adapter, adapters, shader::Arithmetic};
use phalanx::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};
use phalanx::{BackendChoice, Rules, Verifier, VerifierConfig};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SecretKey};

/// Items of a batch in the steady state where nothing else is said.
const BATCH: usize = 16_384;

/// Turns, of which the median counts.
const TURNS: usize = 5;

/// How long a GPU works before its turn is timed.
const BEFORE: Duration = Duration::from_millis(300);

/// Items of a flood where nothing else is said.
const FLOOD: usize = 1_000_000;

fn main() {
    let wanted = std::env::var("PHALANX_BENCH_ADAPTER").unwrap_or_default();
    let number = |variable| std::env::var(variable).ok()?.parse().ok();
    let flood: usize = number("PHALANX_BENCH_FLOOD").unwrap_or(FLOOD);
    let items: Vec<_> =
        (0..number("PHALANX_BENCH_BATCH").unwrap_or(BATCH) as u64).into_par_iter().map(signed).collect();
    println!("adapter,variant,figure,value,unit");
    for adapter in adapters().iter().filter(|adapter| adapter.name().contains(&wanted)) {
        for arithmetic in adapter.variants() {
            bench(adapter, arithmetic, &items, flood);
        }
    }
}

/// A signature, made of its number.
fn signed(number: u64) -> (RecoverItem, VerifyItem) {
    let digest = phalanx::cpu::sha256(&number.to_le_bytes());
    let secret = SecretKey::from_secret_bytes(phalanx::cpu::sha256(&digest)).expect("below the order");
    let (recovery_id, compact) =
        RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret).serialize_compact();
    let half = |at: usize| compact[at..at + 32].try_into().expect("32 bytes");
    let signature = SignatureBytes { r: half(0), s: half(32) };
    let key = KeyBytes::Compressed(PublicKey::from_secret_key(&secret).serialize());
    let recovery_id = recovery_id.to_u8();
    let rules = Rules::EthHomestead;
    (RecoverItem { digest, signature, recovery_id, rules }, VerifyItem { digest, signature, key, rules })
}

fn bench(adapter: &Adapter, arithmetic: Arithmetic, items: &[(RecoverItem, VerifyItem)], flood: usize) {
    let print = |figure: &str, value: f64, unit: &str| {
        println!("{:?},{arithmetic},{figure},{value:.4},{unit}", adapter.name());
    };
    let recover: RecoverBatch = items.iter().map(|(item, _)| *item).collect();
    let verify: VerifyBatch = items.iter().map(|(_, item)| *item).collect();
    let batch = items.len();
    let config = VerifierConfig {
        backend: BackendChoice::Name(adapter.name().to_owned()),
        arithmetic: Some(arithmetic),
        // The device by itself.
        audit: Audit::Off,
        ..VerifierConfig::default()
    };
    let started = Instant::now();
    let verifier = Verifier::new(&config).expect("an adapter that is there");
    let all_valid = |time: Duration, valid: usize| assert_eq!((valid, time > Duration::ZERO), (batch, true));
    let recovered = || verifier.recover(&recover).expect("checked").iter().filter(|verdict| verdict.is_valid()).count();
    let verified = || verifier.verify(&verify).expect("checked").iter().filter(|verdict| verdict.is_valid()).count();
    let _ = verifier.recover(&items[..1].iter().map(|(item, _)| *item).collect()).expect("checked");
    print("recover admitted after", started.elapsed().as_secs_f64(), "s");
    let _ = verifier.verify(&items[..1].iter().map(|(_, item)| *item).collect()).expect("checked");
    print("verify admitted too after", started.elapsed().as_secs_f64(), "s");
    // Until chunks have the size that suits the device.
    (0..4).for_each(|_| all_valid(Duration::MAX, recovered().min(verified())));

    let ours = |run: &dyn Fn() -> usize| {
        // A GPU lowers its clock where it idles, as it does in the others' turns.
        let before = Instant::now();
        while !adapter.is_software() && before.elapsed() < BEFORE {
            run();
        }
        let (time, valid) = timed(run);
        all_valid(time, valid);
        time
    };
    for (name, run, peer) in [
        (
            "recover",
            &recovered as &dyn Fn() -> usize,
            recovered_by_libsecp256k1 as fn(&[(RecoverItem, VerifyItem)]) -> usize,
        ),
        ("verify", &verified, verified_by_libsecp256k1),
    ] {
        let turns: Vec<_> = (0..TURNS).map(|_| (ours(run), ours(&|| peer(items)))).collect();
        print(&format!("{name} of {batch}"), per_second(batch, median(turns.iter().map(|turn| turn.0))), "a second");
        print(
            &format!("{name} of {batch}: libsecp256k1"),
            per_second(batch, median(turns.iter().map(|turn| turn.1))),
            "a second",
        );
        let mut ratios: Vec<_> = turns.iter().map(|(ours, peer)| peer.as_secs_f64() / ours.as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        print(&format!("{name} of {batch}: times libsecp256k1"), ratios[ratios.len() / 2], "");
    }

    let good: VerifyBatch = items.iter().map(|(_, item)| *item).cycle().take(flood).collect();
    let wrong = |item: &(RecoverItem, VerifyItem)| VerifyItem { digest: item.1.signature.r, ..item.1 };
    let bad: VerifyBatch = items.iter().map(wrong).cycle().take(flood).collect();
    let count = |batch: &VerifyBatch| {
        timed(&|| verifier.verify(batch).expect("checked").iter().filter(|verdict| verdict.is_valid()).count())
    };
    let ((of_good, valid), (of_bad, wrongly)) = (count(&good), count(&bad));
    assert_eq!((valid, wrongly), (flood, 0));
    print(&format!("flood of {flood} good ones"), of_good.as_secs_f64(), "s");
    print(&format!("flood of {flood} bad ones"), of_bad.as_secs_f64(), "s");
    print("bad flood over good", of_bad.as_secs_f64() / of_good.as_secs_f64(), "");
}

fn timed(run: &dyn Fn() -> usize) -> (Duration, usize) {
    let started = Instant::now();
    let valid = run();
    (started.elapsed(), valid)
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn per_second(items: usize, time: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53 items")]
    let items = items as f64;
    items / time.as_secs_f64()
}

fn recovered_by_libsecp256k1(items: &[(RecoverItem, VerifyItem)]) -> usize {
    let recover = |(item, _): &&(RecoverItem, VerifyItem)| {
        let compact = [item.signature.r, item.signature.s].concat();
        let id = RecoveryId::from_u8_masked(item.recovery_id);
        let signature = RecoverableSignature::from_compact(&compact, id).expect("in range");
        let key = signature.recover(Message::from_digest(item.digest)).expect("valid");
        phalanx::cpu::keccak256(&key.serialize_uncompressed()[1..]) != [0; 32]
    };
    items.par_iter().filter(recover).count()
}

fn verified_by_libsecp256k1(items: &[(RecoverItem, VerifyItem)]) -> usize {
    let verify = |(_, item): &&(RecoverItem, VerifyItem)| {
        let compact = [item.signature.r, item.signature.s].concat();
        let signature = Signature::from_compact(&compact).expect("in range");
        let KeyBytes::Compressed(key) = item.key else { return false };
        let key = PublicKey::from_slice(&key).expect("on the curve");
        signature.verify(Message::from_digest(item.digest), &key).is_ok()
    };
    items.par_iter().filter(verify).count()
}
