//! Recovering signers and verifying signatures, beside C libsecp256k1 and alloy's default on the same signatures.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phalanx::chain::ethereum::Transaction;
use phalanx::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};
use phalanx::workload::Mix;
use phalanx::{Rules, Verifier};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey};

/// A signature as each of the libraries takes it.
struct Signed {
    item: RecoverItem,
    alloy: alloy_primitives::Signature,
    recoverable: RecoverableSignature,
    plain: Signature,
    message: Message,
    key: PublicKey,
}

fn signed(transaction: &Transaction) -> Signed {
    let digest = match transaction {
        Transaction::Legacy(signed) => signed.signature_hash(),
        Transaction::Eip2930(signed) => signed.signature_hash(),
        Transaction::Eip1559(signed) => signed.signature_hash(),
        Transaction::Eip4844(signed) => signed.signature_hash(),
        Transaction::Eip7702(signed) => signed.signature_hash(),
    };
    let alloy = *transaction.signature();
    let (r, s) = (alloy.r().to_be_bytes::<32>(), alloy.s().to_be_bytes::<32>());
    let recovery_id = u8::from(alloy.v());
    let compact = [r, s].concat();
    let id = RecoveryId::try_from(i32::from(recovery_id)).expect("0 or 1");
    let recoverable = RecoverableSignature::from_compact(compact[..].try_into().expect("64 bytes"), id);
    let recoverable = recoverable.expect("r and s are in range");
    let message = Message::from_digest(digest.0);
    let key = recoverable.recover_ecdsa(message).expect("generated signatures are valid");
    let signature = SignatureBytes { r, s };
    let item = RecoverItem { digest: digest.0, signature, recovery_id, rules: Rules::EthTyped };
    Signed { item, alloy, plain: recoverable.to_standard(), recoverable, message, key }
}

fn verifiers() -> [(&'static str, Verifier); 2] {
    [("1 thread", Verifier::with_threads(1).expect("a thread starts")), ("all cores", Verifier::cpu())]
}

fn recover(criterion: &mut Criterion, signed: &[Signed]) {
    let batch: RecoverBatch = signed.iter().map(|signed| signed.item).collect();
    let mut group = criterion.benchmark_group("recover");
    group.throughput(Throughput::Elements(signed.len() as u64));
    let libsecp256k1 = |signed: &Signed| signed.recoverable.recover_ecdsa(signed.message).is_ok();
    let alloy = |signed: &Signed| signed.alloy.recover_address_from_prehash(&signed.item.digest.into()).is_ok();
    for (threads, verifier) in verifiers() {
        group.bench_function(format!("phalanx/{threads}"), |bencher| bencher.iter(|| verifier.recover(&batch)));
        let backend = verifier.cpu_backend();
        group.bench_function(format!("libsecp256k1/{threads}"), |bencher| {
            bencher.iter(|| backend.install(|| assert!(signed.par_iter().all(libsecp256k1))));
        });
        group.bench_function(format!("alloy default/{threads}"), |bencher| {
            bencher.iter(|| backend.install(|| assert!(signed.par_iter().all(alloy))));
        });
    }
    group.finish();
}

fn verify(criterion: &mut Criterion, signed: &[Signed]) {
    let item = |signed: &Signed| VerifyItem {
        digest: signed.item.digest,
        signature: signed.item.signature,
        key: KeyBytes::Compressed(signed.key.serialize()),
        rules: signed.item.rules,
    };
    let batch: VerifyBatch = signed.iter().map(item).collect();
    // Both start from the 33 bytes of the key.
    let libsecp256k1 = |signed: &Signed| {
        let key = PublicKey::from_byte_array_compressed(signed.key.serialize()).expect("a valid key");
        secp256k1::ecdsa::verify(&signed.plain, signed.message, &key).is_ok()
    };
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(signed.len() as u64));
    for (threads, verifier) in verifiers() {
        group.bench_function(format!("phalanx/{threads}"), |bencher| bencher.iter(|| verifier.verify(&batch)));
        let backend = verifier.cpu_backend();
        group.bench_function(format!("libsecp256k1/{threads}"), |bencher| {
            bencher.iter(|| backend.install(|| assert!(signed.par_iter().all(libsecp256k1))));
        });
    }
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    let chain = common::chain(1, Mix::default());
    let signed: Vec<_> = chain.blocks[0].transactions.iter().map(signed).collect();
    recover(criterion, &signed);
    verify(criterion, &signed);
}

criterion_group!(groups, benches);
criterion_main!(groups);
