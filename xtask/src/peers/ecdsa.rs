//! ECDSA over secp256k1: recovering signers and verifying against keys, from the bytes that each library is handed.

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use phalanx::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};
use phalanx::{Rules, Verdict};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SecretKey};
use sha2::{Digest as _, Sha256};

use super::{Answer, Contender, Row};

/// Batches from a small block to a large one; what a peer takes for an item does not depend on it.
const ITEMS: [usize; 3] = [64, 1_024, 16_384];

/// Batches of few items, as a caller makes them who has no more.
const FEW: [usize; 4] = [1, 3, 4, 8];

/// What every contender of `verify` says of a valid signature.
pub(super) const VALID: Answer = [1; 32];

/// A signature, its key and what was signed, as bytes.
pub(super) struct Signed {
    digest: [u8; 32],
    compact: [u8; 64],
    recovery_id: u8,
    key: [u8; 33],
}

pub(super) fn rows() -> Vec<Row<'static>> {
    let signed: &'static [Signed] = (0..ITEMS[ITEMS.len() - 1]).map(sign).collect::<Vec<_>>().leak();
    let batches = ITEMS.map(|items| &signed[..items]);
    let exact: Vec<&[Signed]> = FEW.map(|items| &signed[..items]).into_iter().chain(batches).collect();
    let exact = exact.iter().map(|signed| recover(signed)).chain(exact.iter().map(|signed| verify(signed)));
    exact.chain(super::batch::rows(&[&signed[..1], &signed[..8]], &batches)).collect()
}

/// Signatures with a low s, each by a key of its own.
fn sign(index: usize) -> Signed {
    let digest = hash(b"digest", index);
    let secret = SecretKey::from_secret_bytes(hash(b"key", index)).expect("a hash is a key but for one in 2^128");
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret);
    let (id, compact) = signature.serialize_compact();
    let key = PublicKey::from_secret_key(&secret).serialize();
    Signed { digest, compact, recovery_id: id.to_u8(), key }
}

/// The digest or the secret key of an item.
pub(super) fn hash(what: &[u8], index: usize) -> [u8; 32] {
    Sha256::new().chain_update(what).chain_update(index.to_le_bytes()).finalize().into()
}

impl Signed {
    fn signature(&self) -> SignatureBytes {
        let [r, s] = *self.compact.as_chunks().0 else { unreachable!("64 bytes are twice 32") };
        SignatureBytes { r, s }
    }

    /// The y coordinate of R, big-endian. No r here is so small that x could be r + n.
    pub(super) fn ephemeral_y(&self) -> [u8; 32] {
        let mut point = [2 + (self.recovery_id & 1); 33];
        point[1..].copy_from_slice(&self.compact[..32]);
        let point = PublicKey::from_byte_array_compressed(point).expect("x of a point");
        point.serialize_uncompressed().last_chunk().copied().unwrap_or_default()
    }
}

/// What is recovered, as a batch.
pub(super) fn recover_batch(signed: &[Signed]) -> RecoverBatch {
    let item = |signed: &Signed| RecoverItem {
        digest: signed.digest,
        signature: signed.signature(),
        recovery_id: signed.recovery_id,
        rules: Rules::EthTyped,
    };
    signed.iter().map(item).collect()
}

/// The address of a signer by libsecp256k1.
pub(super) fn libsecp256k1_recover(signed: &Signed) -> Answer {
    let Signed { digest, compact, recovery_id, .. } = signed;
    let id = RecoveryId::from_u8_masked(*recovery_id);
    let key = RecoverableSignature::from_compact(compact, id)
        .and_then(|signature| signature.recover_ecdsa(Message::from_digest(*digest)));
    key.map_or([0; 32], |key| address(&key.serialize_uncompressed()))
}

fn recover(signed: &'static [Signed]) -> Row<'static> {
    let batch = recover_batch(signed);
    let k256 = |index: usize| {
        let Signed { digest, compact, recovery_id, .. } = &signed[index];
        let key = k256::ecdsa::Signature::from_slice(compact).ok().and_then(|signature| {
            let id = k256::ecdsa::RecoveryId::from_byte(*recovery_id)?;
            k256::ecdsa::VerifyingKey::recover_from_prehash(digest, &signature, id).ok()
        });
        key.map_or([0; 32], |key| address(key.to_sec1_point(false).as_bytes()))
    };
    let alloy = |index: usize| {
        let Signed { digest, compact, recovery_id, .. } = &signed[index];
        let signature = alloy_primitives::Signature::from_bytes_and_parity(compact, recovery_id & 1 == 1);
        let address = signature.recover_address_from_prehash(&(*digest).into());
        address.map_or([0; 32], |address| address.into_word().0)
    };
    Row {
        name: "ecdsa recover address".to_owned(),
        items: signed.len(),
        ours: Contender::batch("phalanx", move |verifier| {
            let verdicts = verifier.recover(&batch).unwrap_or_default();
            let answer = |verdict: &Verdict<phalanx::scheme::ecdsa::Signer>| match verdict {
                Verdict::Valid(signer) => word(&signer.address),
                Verdict::Invalid(_) => [0; 32],
            };
            verdicts.iter().map(answer).collect()
        }),
        peers: vec![
            Contender::each("libsecp256k1", move |index| libsecp256k1_recover(&signed[index])),
            Contender::each("k256 0.14", k256),
            Contender::each("alloy's default (k256 0.13)", alloy),
        ],
    }
}

fn verify(signed: &'static [Signed]) -> Row<'static> {
    let item = |signed: &Signed| VerifyItem {
        digest: signed.digest,
        signature: signed.signature(),
        key: KeyBytes::Compressed(signed.key),
        rules: Rules::EthTyped,
    };
    let batch: VerifyBatch = signed.iter().map(item).collect();
    let answer = |is_valid| if is_valid { VALID } else { [0; 32] };
    let libsecp256k1 = move |index: usize| {
        let Signed { digest, compact, key, .. } = &signed[index];
        let (key, signature) = (PublicKey::from_byte_array_compressed(*key), Signature::from_compact(compact));
        answer(key.and_then(|key| secp256k1::ecdsa::verify(&signature?, Message::from_digest(*digest), &key)).is_ok())
    };
    let k256 = move |index: usize| {
        let Signed { digest, compact, key, .. } = &signed[index];
        let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(key);
        let signature = k256::ecdsa::Signature::from_slice(compact);
        answer(key.and_then(|key| key.verify_prehash(digest, &signature?)).is_ok())
    };
    Row {
        name: "ecdsa verify, key of 33 bytes".to_owned(),
        items: signed.len(),
        ours: Contender::batch("phalanx", move |verifier| {
            let verdicts = verifier.verify(&batch).unwrap_or_default();
            verdicts.iter().map(|verdict| answer(matches!(verdict, Verdict::Valid(())))).collect()
        }),
        peers: vec![Contender::each("libsecp256k1", libsecp256k1), Contender::each("k256 0.14", k256)],
    }
}

/// The address of a key in its uncompressed form, 0x04 first.
fn address(key: &[u8]) -> Answer {
    let digest = <keccak_asm::Keccak256 as keccak_asm::Digest>::digest(&key[1..]);
    word(&digest[12..])
}

/// 20 bytes at the end of a word.
pub(super) fn word(address: &[u8]) -> Answer {
    let mut word = [0; 32];
    word[12..].copy_from_slice(address);
    word
}
