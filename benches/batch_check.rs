//! From how many items on the batch check is sooner done than the exact way, by threads: `cargo bench --bench batch_check`.
//!
//! Everything is valid, every signer's key is known and every hint is right. Both ways take turns, called by a thread of their
//! pool. Prints comma-separated values, as they are kept under `benches/record`; a ratio is the median of the rounds' ratios,
//! above 1 where the batch check gains.

#[path = "common/affinity.rs"]
mod affinity;
#[path = "common/turns.rs"]
mod turns;

use std::hint::black_box;

use phalanx::arithmetic::Platform;
use phalanx::cpu::{CpuBackend, HintSource, Hints};
use phalanx::scheme::ecdsa::{Address, RecoverBatch, RecoverItem, SignatureBytes};
use phalanx::scheme::schnorr::{SchnorrBatch, SchnorrItem};
use phalanx::{Rules, Verdict, Verifier};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Keypair, Message, SecretKey, schnorr};
use sha2::{Digest, Sha256};
use turns::Turn;

/// Rounds in which both ways have a turn.
const ROUNDS: usize = 15;

/// Lengths of batches.
const LENGTHS: [usize; 13] = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 1024, 4096];

/// Items of a turn, at least.
const ITEMS: usize = 512;

/// A form of the lanes on so many threads.
struct Ways {
    form: Platform,
    threads: usize,
    exact: Verifier,
    checked: Verifier,
}

impl Ways {
    fn new(form: Platform, threads: usize) -> Result<Self, String> {
        let verifier = |threshold| {
            let cpu = CpuBackend::with_threads(threads).map_err(|error| error.to_string())?;
            // Its threads are there, and have their names, once they have done something.
            cpu.install(|| rayon::broadcast(|_| ()));
            Ok::<_, String>(Verifier::from(cpu.on_platform(form).with_batch_check_threshold(threshold)))
        };
        Ok(Self { form, threads, exact: verifier(usize::MAX)?, checked: verifier(1)? })
    }

    /// Times both ways to do `work`, which a verifier answers with the number of items that it found valid.
    fn measure(&self, scheme: &str, items: usize, work: impl Fn(&Verifier) -> usize + Sync) -> Result<(), String> {
        let batches = ITEMS.div_ceil(items);
        let turn = |verifier: &Verifier| {
            verifier.cpu_backend().install(|| (0..batches).all(|_| black_box(work(verifier)) == items))
        };
        if !turn(&self.exact) || !turn(&self.checked) {
            return Err(format!("{scheme}, {items} items: not all are found valid"));
        }
        let turns = [&self.exact, &self.checked].map(|verifier| {
            Turn::new(batches, move || {
                turn(verifier);
            })
        });
        let taken = turns::take(ROUNDS, &turns.each_ref());
        let [exact, checked] = [taken[0].median, taken[1].median].map(|nanoseconds| nanoseconds / 1e3);
        let (form, threads, ratio) = (self.form.name(), self.threads, taken[1].ratio);
        println!("{scheme},{form},{threads},{items},{exact:.1},{checked:.1},{ratio:.3}");
        Ok(())
    }
}

fn hash(what: &str, index: usize) -> [u8; 32] {
    Sha256::digest(format!("phalanx batch check {what} {index}")).into()
}

fn secret(index: usize) -> SecretKey {
    SecretKey::from_secret_bytes(hash("key", index)).expect("below the order")
}

fn ecdsa(index: usize) -> RecoverItem {
    let digest = hash("digest", index);
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret(index));
    let (recovery_id, compact) = signature.serialize_compact();
    let signature = SignatureBytes::from_p1363(&compact).expect("64 bytes");
    RecoverItem { digest, signature, recovery_id: recovery_id.to_u8(), rules: Rules::EthTyped }
}

fn bip340(index: usize) -> SchnorrItem {
    let (message, pair) = (hash("message", index), Keypair::from_secret_key(&secret(index)));
    let signature = schnorr::sign_no_aux_rand(&message, &pair).to_byte_array();
    SchnorrItem::new(&message, &signature, &pair.x_only_public_key().0.to_byte_array())
}

fn main() -> Result<(), String> {
    println!("# medians of {ROUNDS} rounds, microseconds for a batch");
    println!("scheme,form,threads,items,exact_us,checked_us,ratio");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = std::iter::successors(Some(1), |threads| Some(2 * threads)).take_while(|threads| *threads <= cores);
    let ways = counts.flat_map(|threads| Platform::available().into_iter().map(move |form| Ways::new(form, threads)));
    let ways = ways.collect::<Result<Vec<_>, _>>()?;
    affinity::pin_threads()?;
    for ways in &ways {
        for items in LENGTHS {
            recovery(ways, items)?;
        }
        for items in LENGTHS {
            let batch: SchnorrBatch = (0..items).map(bip340).collect();
            let valid = |verdicts: Vec<Verdict<()>>| verdicts.iter().filter(|verdict| verdict.is_valid()).count();
            ways.measure("bip-340", items, |verifier| valid(verifier.verify_schnorr(&batch).unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// Recovery with hints: the exact way recovers, and learns the keys that it finds, as the other does.
fn recovery(ways: &Ways, items: usize) -> Result<(), String> {
    let batch: RecoverBatch = (0..items).map(ecdsa).collect();
    let verdicts = ways.exact.recover(&batch).map_err(|error| error.to_string())?;
    let mut senders: Vec<Option<Address>> = Vec::with_capacity(items);
    for signer in verdicts.into_iter().filter_map(Verdict::valid) {
        senders.push(Some(signer.address));
        for verifier in [&ways.exact, &ways.checked] {
            verifier.key_book().add(&signer.public_key);
        }
    }
    let source = HintSource::new();
    ways.measure("ecdsa with hints", items, |verifier| {
        let answer = verifier.recover_hinted(&batch, Hints { senders: &senders, source: &source });
        let (verdicts, report) = answer.unwrap_or_default();
        // What is proven was proven by the one, and recovered by the other.
        let as_asked = if std::ptr::eq(verifier, &raw const ways.exact) { report.recovered } else { report.proven };
        as_asked.min(verdicts.iter().filter(|verdict| verdict.is_valid()).count())
    })
}
