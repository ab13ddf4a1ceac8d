//! Arithmetic of secp256k1: the field, the scalars, the group.
//!
//! Everything works on public signatures, so nothing runs in constant time.

#![allow(
    clippy::inline_always,
    reason = "limb arithmetic is a handful of instructions, and calls would spill its carries"
)]

pub mod field;
mod glv;
mod limbs;
mod scalar;

pub use glv::Half;
pub use scalar::{ORDER, Scalar};
