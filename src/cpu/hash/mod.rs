//! Hashing on the CPU: one message by the crates `sha2` and `sha3`, many in the lanes of vector instructions.
//!
//! Everything here works on the thread it is called from; [`CpuBackend::hash`](super::CpuBackend::hash) spreads a batch over
//! threads. A digest depends on its message alone, whichever lane it takes and whatever its neighbours are.

mod group;
mod keccak;
mod sha256;

use sha2::{Digest, Sha256};
use sha3::Keccak256;

use crate::scheme::hash::HashFunction;

pub use keccak::KeccakLanes;
pub use sha256::Sha256Lanes;

/// SHA-256 of a message of any length.
#[must_use]
pub fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// SHA-256 of the SHA-256 digest of a message of any length.
#[must_use]
pub fn sha256d(message: &[u8]) -> [u8; 32] {
    sha256(&sha256(message))
}

/// Keccak-256, with Ethereum's padding, of a message of any length.
#[must_use]
pub fn keccak256(message: &[u8]) -> [u8; 32] {
    Keccak256::digest(message).into()
}

/// Hashes each message, of any length, into the digest at its index. Messages without a digest, or digests without a
/// message, are left alone.
pub fn hash_each(function: HashFunction, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
    match function {
        HashFunction::Sha256 => Sha256Lanes::detect().sha256_each(messages, digests),
        HashFunction::Sha256d => Sha256Lanes::detect().sha256d_each(messages, digests),
        HashFunction::Keccak256 => KeccakLanes::detect().keccak256_each(messages, digests),
    }
}

/// Keccak-256 of each public key, x and y of 32 bytes: the last 20 bytes of the digest at its index are its address.
pub fn keccak256_of_keys(keys: &[[u8; 64]], digests: &mut [[u8; 32]]) {
    KeccakLanes::detect().keccak256_of_keys(keys, digests);
}
