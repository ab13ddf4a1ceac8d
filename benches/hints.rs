//! From how many items on a batch check with hints is sooner done than recovery, by threads: `cargo bench --bench hints`.
//!
//! Every signer is known and named rightly. Both take turns, called by a thread of the pool. Prints comma-separated values, as
//! they are kept under `benches/record`; a ratio is the median of the rounds' ratios, above 1 where hints gain.

#[path = "common/affinity.rs"]
mod affinity;
#[path = "common/turns.rs"]
mod turns;

use std::hint::black_box;

use phalanx::arithmetic::Platform;
use phalanx::cpu::{CpuBackend, HintSource, Hints};
use phalanx::scheme::ecdsa::{Address, RecoverBatch, RecoverItem, SignatureBytes};
use phalanx::{Rules, Verdict, Verifier};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};
use sha2::{Digest, Sha256};
use turns::Turn;

/// Rounds in which both have a turn.
const ROUNDS: usize = 15;

/// Lengths of batches.
const LENGTHS: [usize; 11] = [4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 1024];

/// Items of a turn, at least.
const ITEMS: usize = 512;

fn hash(what: &str, index: usize) -> [u8; 32] {
    Sha256::digest(format!("phalanx hints {what} {index}")).into()
}

fn signed(index: usize) -> RecoverItem {
    let secret = SecretKey::from_secret_bytes(hash("key", index)).expect("below the order");
    let digest = hash("digest", index);
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret);
    let (recovery_id, compact) = signature.serialize_compact();
    let signature = SignatureBytes::from_p1363(&compact).expect("64 bytes");
    RecoverItem { digest, signature, recovery_id: recovery_id.to_u8(), rules: Rules::EthTyped }
}

fn main() -> Result<(), String> {
    println!("# command: cargo bench --bench hints; medians of {ROUNDS} rounds, microseconds for a batch");
    println!("form,threads,items,recovered_us,proven_us,ratio");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = std::iter::successors(Some(1), |threads| Some(2 * threads)).take_while(|threads| *threads <= cores);
    let combinations = counts.flat_map(|threads| Platform::available().into_iter().map(move |form| (threads, form)));
    let verifier = |(threads, form)| {
        let backend = CpuBackend::with_threads(threads).map_err(|error| error.to_string())?;
        // Its threads are there, and have their names, once they have done something.
        backend.install(|| rayon::broadcast(|_| ()));
        Ok((threads, form, Verifier::from(backend.on_platform(form).proving_from(1))))
    };
    let verifiers = combinations.map(verifier).collect::<Result<Vec<_>, String>>()?;
    affinity::pin_threads()?;
    for (threads, form, verifier) in &verifiers {
        for items in LENGTHS {
            verifier.cpu_backend().install(|| measure(verifier, *form, *threads, items))?;
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a few items")]
fn measure(verifier: &Verifier, platform: Platform, threads: usize, items: usize) -> Result<(), String> {
    let batch: RecoverBatch = (0..items).map(signed).collect();
    let recover = || verifier.recover(&batch).expect("the CPU answers");
    let signers: Vec<_> = recover().into_iter().filter_map(Verdict::valid).collect();
    for signer in &signers {
        verifier.key_book().add(&signer.public_key);
    }
    let senders: Vec<Option<Address>> = signers.iter().map(|signer| Some(signer.address)).collect();
    let source = HintSource::new();
    let prove = || {
        let hints = Hints { senders: &senders, source: &source };
        verifier.recover_hinted(&batch, hints).expect("the CPU answers").0
    };
    if recover() != prove() {
        return Err(format!("{items} items: hints change what is recovered"));
    }
    let batches = ITEMS.div_ceil(items);
    let repeated = |work: &dyn Fn() -> Vec<Verdict<phalanx::scheme::ecdsa::Signer>>| {
        (0..batches).for_each(|_| drop(black_box(work())));
    };
    let turns = [Turn::new(batches, || repeated(&recover)), Turn::new(batches, || repeated(&prove))];
    let taken = turns::take(ROUNDS, &turns.each_ref());
    let [recovered, proven] = [&taken[0], &taken[1]];
    println!(
        "{},{threads},{items},{:.1},{:.1},{:.3}",
        platform.name(),
        recovered.median / 1e3,
        proven.median / 1e3,
        proven.ratio
    );
    Ok(())
}
