//! `cargo xtask gpu-ecdsa [ITEMS]`: how long the kernels of ECDSA take on each adapter, beside C libsecp256k1 on all cores.

use std::time::{Duration, Instant};

use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Adapter, Ecdsa, StepTime, adapters};
use phalanx::scheme::ecdsa::{KeyBytes, RecoverItem, SignatureBytes, VerifyItem};
use phalanx::{Rules, Verdict};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SecretKey};

/// Items of a batch where nothing else is said. A large GPU is full with more.
const ITEMS: u32 = 1 << 14;

/// Rounds, in which ours and libsecp256k1's take turns.
const ROUNDS: usize = 7;

/// How long a GPU works before its turn is timed: it lowers its clock where it idles, as it does in the others' turns.
const BEFORE: Duration = Duration::from_millis(300);

/// What one round took, and each of its steps where there are any.
type Round = (Duration, Vec<StepTime>);

pub(crate) fn gpu_ecdsa(arguments: &[String]) -> Result<(), String> {
    let count = match arguments {
        [] => ITEMS,
        [count] => count.parse().ok().filter(|count| *count > 0).ok_or("usage: cargo xtask gpu-ecdsa [ITEMS]")?,
        _ => return Err("usage: cargo xtask gpu-ecdsa [ITEMS]".to_owned()),
    };
    let adapters = adapters();
    if adapters.is_empty() {
        return Err("there is no GPU adapter here; `cargo xtask test` installs a software one".to_owned());
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let threads = rayon::current_num_threads();
    println!(
        "load {}; {count} items, {threads} threads, medians of {ROUNDS} rounds in turns",
        load.split(' ').next().unwrap_or_default()
    );
    let items: Vec<_> = (1..=count).into_par_iter().map(signed).collect::<Result<_, _>>()?;
    for adapter in &adapters {
        for arithmetic in adapter.variants() {
            measure(adapter, arithmetic, &items)?;
        }
    }
    Ok(())
}

/// A signature by a key of its own, to be recovered and to be verified.
fn signed(index: u32) -> Result<(RecoverItem, VerifyItem), String> {
    let mut secret = [0x5a; 32];
    secret[28..].copy_from_slice(&index.to_be_bytes());
    let secret = SecretKey::from_secret_bytes(secret).map_err(|error| error.to_string())?;
    let mut digest = [0xa5; 32];
    digest[..4].copy_from_slice(&index.wrapping_mul(0x9e37_79b9).to_be_bytes());
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret);
    let (id, compact) = signature.serialize_compact();
    let (r, s) = compact.split_at(32);
    let signature = SignatureBytes { r: r.try_into().unwrap_or_default(), s: s.try_into().unwrap_or_default() };
    let key = KeyBytes::Compressed(PublicKey::from_secret_key(&secret).serialize());
    let recover = RecoverItem { digest, signature, recovery_id: id.to_u8(), rules: Rules::EthTyped };
    Ok((recover, VerifyItem { digest, signature, key, rules: Rules::Sec1 }))
}

fn measure(adapter: &Adapter, arithmetic: Arithmetic, items: &[(RecoverItem, VerifyItem)]) -> Result<(), String> {
    let started = Instant::now();
    let ecdsa = Ecdsa::on(adapter, arithmetic).map_err(|error| error.to_string())?;
    ecdsa.check_known_answers()?;
    println!("\n{} ({arithmetic}): compiled and known answers given in {:.1?}", adapter.name(), started.elapsed());
    let recover: Vec<_> = items.iter().map(|(item, _)| *item).collect();
    let verify: Vec<_> = items.iter().map(|(_, item)| *item).collect();
    // Under another digest no signature matches: what a flood of invalid ones costs.
    let flood: Vec<_> = verify.iter().map(|item| VerifyItem { digest: [7; 32], ..*item }).collect();
    let by_libsecp = |item: &VerifyItem, expected: bool| {
        let KeyBytes::Compressed(key) = item.key else { return false };
        let signature = Signature::from_compact(&compact(&item.signature));
        let verified = PublicKey::from_slice(&key)
            .and_then(|key| signature.and_then(|signature| signature.verify(Message::from_digest(item.digest), &key)));
        verified.is_ok() == expected
    };
    let recovered = |item: &RecoverItem| {
        let id = RecoveryId::from_u8_masked(item.recovery_id);
        let signature = RecoverableSignature::from_compact(&compact(&item.signature), id);
        signature.and_then(|signature| signature.recover(Message::from_digest(item.digest))).is_ok()
    };
    let before = if adapter.is_software() { Duration::ZERO } else { BEFORE };
    compare(
        ("recover", recover.len(), before),
        || ours(ecdsa.recover(&recover).map_err(|error| error.to_string())?, true),
        || recover.par_iter().all(recovered),
    )?;
    compare(
        ("verify, 33-byte keys", verify.len(), before),
        || ours(ecdsa.verify(&verify).map_err(|error| error.to_string())?, true),
        || verify.par_iter().all(|item| by_libsecp(item, true)),
    )?;
    compare(
        ("verify, 33-byte keys, none valid", flood.len(), before),
        || ours(ecdsa.verify(&flood).map_err(|error| error.to_string())?, false),
        || flood.par_iter().all(|item| by_libsecp(item, false)),
    )
}

fn compact(signature: &SignatureBytes) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&signature.r);
    bytes[32..].copy_from_slice(&signature.s);
    bytes
}

/// The steps of answers that are all as expected.
fn ours<T>((answers, steps): (Vec<Verdict<T>>, Vec<StepTime>), valid: bool) -> Result<Vec<StepTime>, String> {
    let right = answers.iter().all(|answer| answer.is_valid() == valid);
    if right { Ok(steps) } else { Err("the device answers wrongly".to_owned()) }
}

/// Has both take turns, and prints the medians and what each step takes.
fn compare(
    (what, items, before): (&str, usize, Duration),
    ours: impl Fn() -> Result<Vec<StepTime>, String>,
    theirs: impl Fn() -> bool,
) -> Result<(), String> {
    let (mut our_rounds, mut their_rounds): (Vec<Round>, Vec<Duration>) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        while begun.elapsed() < before {
            ours()?;
        }
        let started = Instant::now();
        let steps = ours()?;
        let took = started.elapsed();
        let started = Instant::now();
        if !theirs() {
            return Err("libsecp256k1 answers otherwise".to_owned());
        }
        // The first round warms up.
        if round > 0 {
            our_rounds.push((took, steps));
            their_rounds.push(started.elapsed());
        }
    }
    our_rounds.sort_by_key(|(took, _)| *took);
    their_rounds.sort_unstable();
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53 items")]
    let microseconds = |took: Duration| took.as_secs_f64() * 1e6 / items as f64;
    let (median, steps) = &our_rounds[ROUNDS / 2];
    let theirs = their_rounds[ROUNDS / 2];
    let ratio = theirs.as_secs_f64() / median.as_secs_f64();
    println!(
        "  {what}: {:.3} us each, libsecp256k1 {:.3} us: {ratio:.2} times",
        microseconds(*median),
        microseconds(theirs)
    );
    for step in steps {
        println!("    {:<24} {:>9.4} us", step.kernel, microseconds(step.took));
    }
    Ok(())
}
