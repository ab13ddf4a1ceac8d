//! Chains' formats: bytes in, decoded once; blocks, digests and the rules of their forks out.

#[cfg(feature = "bitcoin")]
pub mod bitcoin;
#[cfg(feature = "ethereum")]
pub mod ethereum;
