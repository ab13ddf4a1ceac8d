//! What the randomised batch check answers: recoveries with hints, BIP-340, the audit of recovered keys. libsecp256k1 has no
//! batch check, so it answers each item by itself.

use phalanx::cpu::{Audit, HintSource, Hints};
use phalanx::scheme::ecdsa::{Address, Signer};
use phalanx::scheme::schnorr::{SchnorrBatch, SchnorrItem};
use phalanx::{Verdict, Verifier};
use secp256k1::{Keypair, SecretKey, XOnlyPublicKey, schnorr};

use super::ecdsa::{Signed, VALID, hash, libsecp256k1_recover, recover_batch, word};
use super::{Answer, Contender, Row};

pub(super) fn rows(few: &[&'static [Signed]], batches: &[&'static [Signed]]) -> Vec<Row<'static>> {
    let all = || few.iter().chain(batches).copied();
    let hinted_rows = all().map(|signed| hinted("key known", signed, usize::MAX));
    let wrong = bad(batches).map(|(name, signed, step)| hinted(&format!("key known, {name}"), signed, step));
    let schnorr_rows = all().map(|signed| bip340("bip-340 verify", signed.len(), usize::MAX));
    let bad_rows =
        bad(batches).map(|(name, signed, step)| bip340(&format!("bip-340 verify, {name}"), signed.len(), step));
    let audits = batches.iter().flat_map(|signed| [audit(signed, false), audit(signed, true)]);
    hinted_rows.chain(wrong).chain(schnorr_rows).chain(bad_rows).chain(audits).collect()
}

/// Batches in which one item in so many is bad: of the longest one any share, of the shortest one all, since nothing is shared
/// by so many there.
fn bad(batches: &[&'static [Signed]]) -> impl Iterator<Item = (&'static str, &'static [Signed], usize)> {
    let longest = batches.last().copied().unwrap_or_default();
    let shares = [("one of them bad", longest.len()), ("a hundredth bad", 100), ("a tenth bad", 10), ("all bad", 1)];
    let shortest = batches.first().map(|signed| ("all bad", *signed, 1));
    shares.map(|(name, step)| (name, longest, step)).into_iter().chain(shortest)
}

/// Recovery where every sender is named; one in `step` wrongly, as another whose key is known.
fn hinted(name: &str, signed: &'static [Signed], step: usize) -> Row<'static> {
    let batch = recover_batch(signed);
    let signers: Vec<Signer> =
        Verifier::cpu().recover(&batch).unwrap_or_default().into_iter().filter_map(Verdict::valid).collect();
    let hint = |index: usize| {
        let is_wrong = (index + 1).is_multiple_of(step);
        signers.get((index + usize::from(is_wrong)) % signers.len()).map(|signer| signer.address)
    };
    let senders: Vec<Option<Address>> = (0..signed.len()).map(hint).collect();
    // Where many of its hints are wrong it is not believed for ever longer, as happens in use.
    let source = HintSource::new();
    Row {
        name: format!("ecdsa recover address, {name}"),
        items: signed.len(),
        ours: Contender::batch("phalanx", move |verifier| {
            if signers.last().is_some_and(|signer| verifier.key_book().get(&signer.address).is_none()) {
                for signer in &signers {
                    verifier.key_book().add(&signer.public_key);
                }
            }
            let hints = Hints { senders: &senders, source: &source };
            let (verdicts, _) = verifier.recover_hinted(&batch, hints).unwrap_or_default();
            verdicts.iter().map(answer).collect()
        }),
        peers: vec![
            Contender::batch("phalanx, without hints", {
                let batch = recover_batch(signed);
                move |verifier| verifier.recover(&batch).unwrap_or_default().iter().map(answer).collect()
            }),
            Contender::each("libsecp256k1", move |index| libsecp256k1_recover(&signed[index])),
        ],
    }
}

/// The audit of keys that were recovered: each answered with the address that was confirmed. With R's y, as a GPU hands it out,
/// no root is taken.
fn audit(signed: &'static [Signed], with_y: bool) -> Row<'static> {
    let batch = recover_batch(signed);
    let verdicts = Verifier::cpu().recover(&batch).unwrap_or_default();
    let ys: Option<Vec<[u8; 32]>> = with_y.then(|| signed.iter().map(Signed::ephemeral_y).collect());
    Row {
        name: format!("audit of recovered addresses, R's y {}", if with_y { "known" } else { "not known" }),
        items: signed.len(),
        ours: Contender::batch("phalanx", move |verifier| {
            let report = verifier.cpu_backend().audit(&batch, &verdicts, ys.as_deref(), Audit::Full);
            let mut answers: Vec<Answer> = verdicts.iter().map(answer).collect();
            report.disputed.iter().for_each(|index| answers[*index] = [0; 32]);
            answers
        }),
        peers: vec![Contender::each("libsecp256k1", move |index| libsecp256k1_recover(&signed[index]))],
    }
}

/// BIP-340, each signature by a key of its own, one in `step` over another message.
fn bip340(name: &str, count: usize, step: usize) -> Row<'static> {
    let sign = |index: usize| {
        let secret = SecretKey::from_secret_bytes(hash(b"key", index)).expect("a hash is a key but for one in 2^128");
        let pair = Keypair::from_secret_key(&secret);
        let mut message = hash(b"digest", index);
        let signature = schnorr::sign_no_aux_rand(&message, &pair).to_byte_array();
        message[0] ^= u8::from((index + 1).is_multiple_of(step));
        (message, signature, pair.x_only_public_key().0.to_byte_array())
    };
    let signed: Vec<([u8; 32], [u8; 64], [u8; 32])> = (0..count).map(sign).collect();
    let ours = signed.clone();
    let answer = |is_valid| if is_valid { VALID } else { [0; 32] };
    Row {
        name: name.to_owned(),
        items: count,
        ours: Contender::batch("phalanx", move |verifier| {
            let items = ours.iter().map(|(message, signature, key)| SchnorrItem::new(message, signature, key));
            let batch: SchnorrBatch = items.collect();
            let verdicts = verifier.verify_schnorr(&batch).unwrap_or_default();
            verdicts.iter().map(|verdict| answer(verdict.is_valid())).collect()
        }),
        peers: vec![Contender::each("libsecp256k1", move |index| {
            let (message, signature, key) = &signed[index];
            let signature = schnorr::Signature::from_byte_array(*signature);
            let key = XOnlyPublicKey::from_byte_array(*key);
            answer(key.is_ok_and(|key| schnorr::verify(&signature, message, &key).is_ok()))
        })],
    }
}

fn answer(verdict: &Verdict<Signer>) -> Answer {
    match verdict {
        Verdict::Valid(signer) => word(&signer.address),
        Verdict::Invalid(_) => [0; 32],
    }
}
