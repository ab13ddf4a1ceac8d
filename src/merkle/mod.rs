//! Merkle trees: one file per tree shape.

#[cfg(feature = "ethereum")]
pub mod ethereum;
