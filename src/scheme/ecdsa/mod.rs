//! ECDSA over secp256k1: verification against a known key, and recovery of the signer.
//!
//! Everything here is public data, so nothing needs to run in constant time.

mod encoding;

use crate::batch::{Batch, Columns};
use crate::rules::Rules;
use crate::verdict::Reason;

pub use encoding::{KeyBytes, SignatureBytes};

/// The field prime p, big-endian (SEC 2, secp256k1).
pub const PRIME: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xfc, 0x2f,
];

/// The order n of the group, big-endian (SEC 2, secp256k1).
pub const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc,
    0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// n / 2 rounded down: the largest low s.
pub const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e,
    0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// p - n, of 129 bits: r + n is below the field prime p exactly for r below this.
pub const PRIME_MINUS_ORDER: [u8; 32] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x45, 0x51, 0x23, 0x19, 0x50, 0xb7, 0x5f, 0xc4, 0x40, 0x2d, 0xa1,
    0x72, 0x2f, 0xc9, 0xba, 0xee,
];

/// A 20-byte Ethereum address: the last bytes of Keccak-256 of the key's x and y.
pub type Address = [u8; 20];

/// What recovery yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signer {
    /// x and y, 32 bytes each, big-endian.
    pub public_key: [u8; 64],
    /// The address of that key.
    pub address: Address,
}

/// One signature whose signer is to be recovered.
#[derive(Clone, Copy, Debug)]
pub struct RecoverItem {
    /// The digest that was signed, big-endian; taken modulo n.
    pub digest: [u8; 32],
    /// r and s, as received.
    pub signature: SignatureBytes,
    /// Bit 0: whether R.y is odd. Bit 1: whether R.x is r + n. Above 3: never valid.
    pub recovery_id: u8,
    /// What is accepted.
    pub rules: Rules,
}

impl RecoverItem {
    /// The checks that need no curve arithmetic, in the order of [`Reason`]. Every backend makes them first.
    pub fn check(&self) -> Result<(), Reason> {
        if self.recovery_id > self.rules.max_recovery_id() {
            return Err(Reason::RecoveryId);
        }
        self.signature.check(self.rules)?;
        if self.recovery_id & 2 != 0 && self.signature.r >= PRIME_MINUS_ORDER {
            return Err(Reason::RPlusNOutOfRange);
        }
        Ok(())
    }
}

/// One signature to be verified against a known key.
#[derive(Clone, Copy, Debug)]
pub struct VerifyItem {
    /// The digest that was signed, big-endian; taken modulo n.
    pub digest: [u8; 32],
    /// r and s, as received.
    pub signature: SignatureBytes,
    /// The signer's key, as received.
    pub key: KeyBytes,
    /// What is accepted.
    pub rules: Rules,
}

impl VerifyItem {
    /// The checks that need no curve arithmetic, in the order of [`Reason`]. Every backend makes them first.
    pub fn check(&self) -> Result<(), Reason> {
        self.key.check()?;
        self.signature.check(self.rules)
    }
}

/// Signatures whose signers are to be recovered.
pub type RecoverBatch = Batch<RecoverColumns>;

/// Signatures to be verified against known keys.
pub type VerifyBatch = Batch<VerifyColumns>;

/// The columns of a [`RecoverBatch`].
#[derive(Clone, Debug, Default)]
pub struct RecoverColumns {
    digests: Vec<[u8; 32]>,
    signatures: Vec<SignatureBytes>,
    recovery_ids: Vec<u8>,
    rules: Vec<Rules>,
}

impl Columns for RecoverColumns {
    type Item = RecoverItem;

    fn with_capacity(capacity: usize) -> Self {
        Self {
            digests: Vec::with_capacity(capacity),
            signatures: Vec::with_capacity(capacity),
            recovery_ids: Vec::with_capacity(capacity),
            rules: Vec::with_capacity(capacity),
        }
    }

    fn push(&mut self, item: RecoverItem) {
        self.digests.push(item.digest);
        self.signatures.push(item.signature);
        self.recovery_ids.push(item.recovery_id);
        self.rules.push(item.rules);
    }

    fn len(&self) -> usize {
        self.digests.len()
    }

    fn get(&self, index: usize) -> Option<RecoverItem> {
        Some(RecoverItem {
            digest: *self.digests.get(index)?,
            signature: *self.signatures.get(index)?,
            recovery_id: *self.recovery_ids.get(index)?,
            rules: *self.rules.get(index)?,
        })
    }

    fn placeholder() -> RecoverItem {
        RecoverItem {
            digest: [0; 32],
            signature: SignatureBytes { r: [0; 32], s: [0; 32] },
            recovery_id: u8::MAX,
            rules: Rules::EthTyped,
        }
    }
}

/// The columns of a [`VerifyBatch`].
#[derive(Clone, Debug, Default)]
pub struct VerifyColumns {
    digests: Vec<[u8; 32]>,
    signatures: Vec<SignatureBytes>,
    keys: Vec<KeyBytes>,
    rules: Vec<Rules>,
}

impl Columns for VerifyColumns {
    type Item = VerifyItem;

    fn with_capacity(capacity: usize) -> Self {
        Self {
            digests: Vec::with_capacity(capacity),
            signatures: Vec::with_capacity(capacity),
            keys: Vec::with_capacity(capacity),
            rules: Vec::with_capacity(capacity),
        }
    }

    fn push(&mut self, item: VerifyItem) {
        self.digests.push(item.digest);
        self.signatures.push(item.signature);
        self.keys.push(item.key);
        self.rules.push(item.rules);
    }

    fn len(&self) -> usize {
        self.digests.len()
    }

    fn get(&self, index: usize) -> Option<VerifyItem> {
        Some(VerifyItem {
            digest: *self.digests.get(index)?,
            signature: *self.signatures.get(index)?,
            key: *self.keys.get(index)?,
            rules: *self.rules.get(index)?,
        })
    }

    fn placeholder() -> VerifyItem {
        VerifyItem {
            digest: [0; 32],
            signature: SignatureBytes { r: [0; 32], s: [0; 32] },
            key: KeyBytes::placeholder(),
            rules: Rules::EthTyped,
        }
    }
}
