//! What is checked, and what it means: one file per scheme.
//!
//! A scheme owns its parsing, its range checks and the order of its reasons. The backends (`cpu`, later
//! `gpu`) compute what is left once an item has passed them.

pub mod ecdsa;
pub mod hash;
pub mod schnorr;
