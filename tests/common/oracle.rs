//! Verdicts by C libsecp256k1, one item at a time.
//!
//! The library answers yes or no. The reason is found by asking it step by step, in the order of
//! [`Reason`], so nothing here shares code with what is tested.

use k256::U256;
use k256::elliptic_curve::bigint::CheckedAdd;
use phalanx::scheme::ecdsa::{KeyBytes, RecoverItem, SignatureBytes, Signer, VerifyItem};
use phalanx::{Reason, Rules};
use secp256k1::constants::{CURVE_ORDER, FIELD_SIZE};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey};

/// The signer, or the first check that fails.
pub(crate) fn recover(item: &RecoverItem) -> Result<Signer, Reason> {
    let largest_id = match item.rules {
        Rules::EthFrontier | Rules::EthHomestead | Rules::EthTyped => 1,
        _ => 3,
    };
    if item.recovery_id > largest_id {
        return Err(Reason::RecoveryId);
    }
    in_range(&item.signature, item.rules)?;
    let mut x = number(&item.signature.r);
    if item.recovery_id >= 2 {
        let sum = x.checked_add(&number(&CURVE_ORDER)).into_option();
        x = sum.filter(|sum| *sum < number(&FIELD_SIZE)).ok_or(Reason::RPlusNOutOfRange)?;
    }
    let r_point = [&[2], &x.to_be_bytes()[..]].concat();
    PublicKey::from_slice(&r_point).map_err(|_| Reason::RNotOnCurve)?;
    let id = RecoveryId::from_u8_masked(item.recovery_id);
    // What is left to fail is sR = zG.
    RecoverableSignature::from_compact(&compact(&item.signature), id)
        .and_then(|signature| signature.recover(Message::from_digest(item.digest)))
        .map(|key| signer(&key))
        .map_err(|_| Reason::KeyAtInfinity)
}

/// Nothing, or the first check that fails.
pub(crate) fn verify(item: &VerifyItem) -> Result<(), Reason> {
    let encoded = match &item.key {
        KeyBytes::Compressed(bytes) => bytes.to_vec(),
        KeyBytes::Uncompressed(xy) => [&[4], &xy[..]].concat(),
    };
    let wrong_prefix = encoded.len() == 33 && ![2, 3].contains(&encoded[0]);
    if wrong_prefix || encoded[1..].chunks(32).any(|coordinate| coordinate >= &FIELD_SIZE[..]) {
        return Err(Reason::KeyEncoding);
    }
    in_range(&item.signature, item.rules)?;
    let key = PublicKey::from_slice(&encoded).map_err(|_| Reason::KeyNotOnCurve)?;
    let mut signature = Signature::from_compact(&compact(&item.signature)).expect("r and s are in range");
    // libsecp256k1 refuses a high s whatever the rules; -s passes its equation exactly where s does.
    signature.normalize_s();
    signature.verify(Message::from_digest(item.digest), &key).map_err(|_| Reason::Mismatch)
}

/// A key as a [`Signer`]. The address is by the assembly of keccak-asm, which shares no code with the crate's Keccak.
pub(crate) fn signer(key: &PublicKey) -> Signer {
    let mut public_key = [0; 64];
    public_key.copy_from_slice(&key.serialize_uncompressed()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&keccak256(&public_key)[12..]);
    Signer { public_key, address }
}

/// Keccak-256 by keccak-asm.
pub(crate) fn keccak256(message: &[u8]) -> [u8; 32] {
    <keccak_asm::Keccak256 as keccak_asm::Digest>::digest(message).into()
}

/// r and s, one after the other.
pub(crate) fn compact(signature: &SignatureBytes) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&signature.r);
    bytes[32..].copy_from_slice(&signature.s);
    bytes
}

fn in_range(signature: &SignatureBytes, rules: Rules) -> Result<(), Reason> {
    let limits =
        [(&signature.r, Reason::RIsZero, Reason::ROutOfRange), (&signature.s, Reason::SIsZero, Reason::SOutOfRange)];
    for (scalar, zero, out_of_range) in limits {
        if number(scalar) == U256::ZERO {
            return Err(zero);
        }
        if number(scalar) >= number(&CURVE_ORDER) {
            return Err(out_of_range);
        }
    }
    let parsed = Signature::from_compact(&compact(signature)).expect("r and s are in range");
    let mut normalised = parsed;
    normalised.normalize_s();
    match rules {
        Rules::EthHomestead | Rules::EthTyped | Rules::BitcoinPolicy if normalised != parsed => Err(Reason::HighS),
        _ => Ok(()),
    }
}

fn number(bytes: &[u8; 32]) -> U256 {
    U256::from_be_slice(bytes)
}
