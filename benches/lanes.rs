//! Each form of the lanes beside C libsecp256k1, on one thread and the same signatures: `cargo bench --bench lanes`.
//!
//! The contenders take turns; a ratio is the median of the rounds' ratios. Prints comma-separated values, as they are kept under
//! `benches/record`.

#[path = "common/turns.rs"]
mod turns;

use std::hint::black_box;
use std::time::Instant;

use phalanx::Rules;
use phalanx::arithmetic::Platform;
use phalanx::arithmetic::field::{FieldOperation, Limbs};
use phalanx::cpu::CpuBackend;
use phalanx::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SecretKey};
use sha2::{Digest, Sha256};
use turns::Turn;

/// Rounds in which every contender has a turn.
const ROUNDS: usize = 15;

/// Signatures there are, of which a contender checks as many in its turn as there are batches for.
const SIGNATURES: usize = 4096;

/// Batches of a turn, at most: enough of the short ones, which take longest for an item.
const BATCHES: usize = 64;

/// Lengths of batches.
const LENGTHS: [usize; 9] = [1, 2, 3, 4, 8, 16, 64, 256, 4096];

/// Field elements of a turn.
const ELEMENTS: usize = 4096;

struct Signed {
    digest: [u8; 32],
    compact: [u8; 64],
    recovery_id: u8,
    key: PublicKey,
}

fn hash(what: &str, index: usize) -> [u8; 32] {
    Sha256::digest(format!("phalanx lanes {what} {index}")).into()
}

fn signed(index: usize) -> Signed {
    let secret = SecretKey::from_secret_bytes(hash("key", index)).expect("below the order");
    let digest = hash("digest", index);
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret);
    let (recovery_id, compact) = signature.serialize_compact();
    Signed { digest, compact, recovery_id: recovery_id.to_u8(), key: PublicKey::from_secret_key(&secret) }
}

impl Signed {
    fn signature(&self) -> SignatureBytes {
        SignatureBytes::from_p1363(&self.compact).expect("64 bytes")
    }

    fn recover_item(&self) -> RecoverItem {
        let Self { digest, recovery_id, .. } = *self;
        RecoverItem { digest, signature: self.signature(), recovery_id, rules: Rules::EthTyped }
    }

    fn verify_item(&self, key: KeyBytes) -> VerifyItem {
        VerifyItem { digest: self.digest, signature: self.signature(), key, rules: Rules::BitcoinPolicy }
    }

    fn compressed(&self) -> KeyBytes {
        KeyBytes::Compressed(self.key.serialize())
    }

    fn uncompressed(&self) -> KeyBytes {
        let [_, key @ ..] = self.key.serialize_uncompressed();
        KeyBytes::Uncompressed(key)
    }
}

/// A turn, with the name of who takes it and how long its batches are.
struct Contender<'a> {
    name: String,
    length: usize,
    turn: Turn<'a>,
}

/// Times the contenders; the first is what the others are compared with.
fn compare(group: &str, contenders: &[Contender<'_>]) {
    let turns: Vec<_> = contenders.iter().map(|contender| &contender.turn).collect();
    for (Contender { name, length, .. }, taken) in contenders.iter().zip(turns::take(ROUNDS, &turns)) {
        println!("{group},{name},{length},{:.1},{:.2}", taken.median, taken.ratio);
    }
}

fn recover(signed: &[Signed]) {
    let libsecp256k1 = || {
        for Signed { digest, compact, recovery_id, .. } in signed {
            let id = RecoveryId::try_from(i32::from(*recovery_id)).expect("0 to 3");
            let signature = RecoverableSignature::from_compact(compact, id).expect("in range");
            // With the key's bytes, but without the hash that makes an address of them.
            black_box(signature.recover_ecdsa(Message::from_digest(*digest)).expect("valid").serialize_uncompressed());
        }
    };
    let mut contenders =
        vec![Contender { name: "libsecp256k1".into(), length: 1, turn: Turn::new(signed.len(), libsecp256k1) }];
    for platform in Platform::available() {
        for length in LENGTHS {
            let batches = signed.chunks(length).map(|signed| signed.iter().map(Signed::recover_item).collect());
            let batches: Vec<RecoverBatch> = batches.take(BATCHES).collect();
            let backend = CpuBackend::with_threads(1).expect("a thread starts").on_platform(platform);
            let items = batches.iter().map(RecoverBatch::len).sum();
            let turn = move || {
                for batch in &batches {
                    assert!(backend.recover(batch).iter().all(phalanx::Verdict::is_valid));
                }
            };
            contenders.push(Contender { name: platform.name().into(), length, turn: Turn::new(items, turn) });
        }
    }
    compare("recover with address", &contenders);
}

fn verify(group: &str, signed: &[Signed], key: fn(&Signed) -> KeyBytes) {
    let libsecp256k1 = || {
        for signed in signed {
            let key = match key(signed) {
                KeyBytes::Compressed(bytes) => PublicKey::from_byte_array_compressed(bytes),
                KeyBytes::Uncompressed(xy) => {
                    let mut bytes = [4; 65];
                    bytes[1..].copy_from_slice(&xy);
                    PublicKey::from_byte_array_uncompressed(bytes)
                }
            };
            let signature = Signature::from_compact(&signed.compact).expect("in range");
            let message = Message::from_digest(signed.digest);
            secp256k1::ecdsa::verify(&signature, message, &key.expect("a key")).expect("valid");
        }
    };
    let mut contenders =
        vec![Contender { name: "libsecp256k1".into(), length: 1, turn: Turn::new(signed.len(), libsecp256k1) }];
    for platform in Platform::available() {
        for length in LENGTHS {
            let item = |signed: &Signed| signed.verify_item(key(signed));
            let batches = signed.chunks(length).map(|signed| signed.iter().map(item).collect());
            let batches: Vec<VerifyBatch> = batches.take(BATCHES).collect();
            let backend = CpuBackend::with_threads(1).expect("a thread starts").on_platform(platform);
            let items = batches.iter().map(VerifyBatch::len).sum();
            let turn = move || {
                for batch in &batches {
                    assert!(backend.verify(batch).iter().all(phalanx::Verdict::is_valid));
                }
            };
            contenders.push(Contender { name: platform.name().into(), length, turn: Turn::new(items, turn) });
        }
    }
    compare(group, &contenders);
}

/// Field operations, loads and stores included, beside the portable form's.
fn field() {
    let limbs = |index: usize| {
        let digest = hash("element", index);
        let (words, _) = digest.as_chunks::<8>();
        std::array::from_fn(|word| u64::from_le_bytes(words[word]))
    };
    let a: Vec<Limbs> = (0..ELEMENTS).map(limbs).collect();
    let b: Vec<Limbs> = (ELEMENTS..2 * ELEMENTS).map(limbs).collect();
    for operation in [FieldOperation::Multiply, FieldOperation::SquareRoot, FieldOperation::Invert] {
        let mut contenders = Vec::new();
        for platform in Platform::available().into_iter().rev() {
            let (a, b) = (&a, &b);
            let turn = move || {
                black_box(platform.field(operation, a, b));
            };
            contenders.push(Contender {
                name: platform.name().into(),
                length: ELEMENTS,
                turn: Turn::new(ELEMENTS, turn),
            });
        }
        compare(&format!("field {operation:?}"), &contenders);
    }
}

/// The first check there is, which makes the generator's table, and one like it: the table takes the difference.
fn first_use(signed: &Signed) {
    let batch: RecoverBatch = std::iter::once(signed.recover_item()).collect();
    let backend = CpuBackend::default();
    for case in ["with the generator's table", "without"] {
        let start = Instant::now();
        black_box(backend.recover(&batch));
        println!("first recover,{case},1,{:.1},", start.elapsed().as_secs_f64() * 1e9);
    }
}

fn main() {
    println!(
        "# command: cargo bench --bench lanes; one thread; medians of {ROUNDS} rounds; ratio to the first of each group"
    );
    println!("group,case,batch,median_ns,ratio");
    let signatures: Vec<Signed> = (0..SIGNATURES).map(signed).collect();
    first_use(&signatures[0]);
    recover(&signatures);
    verify("verify 33-byte key", &signatures, Signed::compressed);
    verify("verify 65-byte key", &signatures, Signed::uncompressed);
    field();
}
