//! The hash functions that batches are hashed with.

/// A hash function with 32-byte digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashFunction {
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-256 of the SHA-256 digest, as Bitcoin hashes transactions, headers and Merkle nodes.
    Sha256d,
    /// Keccak-256 with the original padding, as Ethereum uses it (not SHA3-256).
    Keccak256,
}

impl HashFunction {
    /// Every function, in declaration order.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha256d, Self::Keccak256];

    /// The name it is known by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha256d => "sha256d",
            Self::Keccak256 => "keccak256",
        }
    }
}
