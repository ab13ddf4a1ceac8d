//! Hashing one message on the CPU.

use sha2::{Digest, Sha256};
use sha3::Keccak256;

use crate::scheme::hash::HashFunction;

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

pub(super) fn function(function: HashFunction) -> fn(&[u8]) -> [u8; 32] {
    match function {
        HashFunction::Sha256 => sha256,
        HashFunction::Sha256d => sha256d,
        HashFunction::Keccak256 => keccak256,
    }
}
