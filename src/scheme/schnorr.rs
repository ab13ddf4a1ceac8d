//! Schnorr signatures over secp256k1 as BIP-340 has them: 64 bytes, keys of 32 bytes that name the point with an even y.
//!
//! BIP-340 leaves no choice of what is accepted, so an item carries no rules.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::ecdsa::{ORDER, PRIME};
use crate::batch::{Batch, Columns};
use crate::verdict::Reason;

/// One signature to be verified. Its challenge is always that of its own r, key and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchnorrItem {
    key: [u8; 32],
    r: [u8; 32],
    s: [u8; 32],
    challenge: [u8; 32],
}

impl SchnorrItem {
    /// A signature of 64 bytes, r and s, over a message of any length, by the key with this x coordinate.
    #[must_use]
    pub fn new(message: &[u8], signature: &[u8; 64], key: &[u8; 32]) -> Self {
        let (halves, _) = signature.as_chunks::<32>();
        let (r, s) = (halves[0], halves[1]);
        let hasher = CHALLENGE.clone().chain_update(r).chain_update(key).chain_update(message);
        Self { key: *key, r, s, challenge: hasher.finalize().into() }
    }

    /// Parses signature and key; a wrong length of either is its reason.
    pub fn parse(message: &[u8], signature: &[u8], key: &[u8]) -> Result<Self, Reason> {
        let key = key.try_into().map_err(|_| Reason::KeyEncoding)?;
        let signature = signature.try_into().map_err(|_| Reason::SignatureEncoding)?;
        Ok(Self::new(message, signature, key))
    }

    /// The checks that need no curve arithmetic, in the order of [`Reason`]. Every backend makes them first.
    pub fn check(&self) -> Result<(), Reason> {
        if self.key >= PRIME {
            return Err(Reason::KeyEncoding);
        }
        if self.r >= PRIME {
            return Err(Reason::ROutOfRange);
        }
        if self.s >= ORDER {
            return Err(Reason::SOutOfRange);
        }
        Ok(())
    }

    /// The key's x coordinate, big-endian.
    #[must_use]
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The x coordinate of R, big-endian.
    #[must_use]
    pub const fn r(&self) -> &[u8; 32] {
        &self.r
    }

    /// The proof s, big-endian.
    #[must_use]
    pub const fn s(&self) -> &[u8; 32] {
        &self.s
    }

    /// The tagged hash of r, key and message, big-endian; taken modulo n.
    #[must_use]
    pub const fn challenge(&self) -> &[u8; 32] {
        &self.challenge
    }
}

/// SHA-256 after the two blocks' worth of tag that every challenge starts with.
static CHALLENGE: LazyLock<Sha256> = LazyLock::new(|| {
    let tag = Sha256::digest(b"BIP0340/challenge");
    Sha256::new().chain_update(tag).chain_update(tag)
});

/// Signatures to be verified.
pub type SchnorrBatch = Batch<SchnorrColumns>;

/// The columns of a [`SchnorrBatch`].
#[derive(Clone, Debug, Default)]
pub struct SchnorrColumns {
    keys: Vec<[u8; 32]>,
    rs: Vec<[u8; 32]>,
    ss: Vec<[u8; 32]>,
    challenges: Vec<[u8; 32]>,
}

impl Columns for SchnorrColumns {
    type Item = SchnorrItem;

    fn with_capacity(capacity: usize) -> Self {
        let column = || Vec::with_capacity(capacity);
        Self { keys: column(), rs: column(), ss: column(), challenges: column() }
    }

    fn push(&mut self, item: SchnorrItem) {
        self.keys.push(item.key);
        self.rs.push(item.r);
        self.ss.push(item.s);
        self.challenges.push(item.challenge);
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn get(&self, index: usize) -> Option<SchnorrItem> {
        Some(SchnorrItem {
            key: *self.keys.get(index)?,
            r: *self.rs.get(index)?,
            s: *self.ss.get(index)?,
            challenge: *self.challenges.get(index)?,
        })
    }

    fn placeholder() -> SchnorrItem {
        SchnorrItem { key: [u8::MAX; 32], r: [u8::MAX; 32], s: [u8::MAX; 32], challenge: [0; 32] }
    }
}
