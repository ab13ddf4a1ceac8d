//! Chains' formats: bytes in; decoded blocks, signing digests and the rules of their forks out.

#[cfg(feature = "ethereum")]
pub mod ethereum;
