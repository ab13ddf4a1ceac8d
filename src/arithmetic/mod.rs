//! Arithmetic of secp256k1: the field, the scalars, the group, and ECDSA in bulk.
//!
//! What many signatures need is done in lanes, several to a vector, and written once over the lane type
//! `field::FieldLanes`; [`Platform`] says which form of it this machine has. Everything works on public signatures, so
//! nothing runs in constant time.

#![allow(
    clippy::inline_always,
    reason = "limb arithmetic is a handful of instructions, and calls would spill its carries; and what is not inlined into \
              a function with target features is compiled without them"
)]

mod affine_sums;
pub(crate) mod batch_equation;
mod digits;
pub(crate) mod ecdsa;
pub mod field;
#[cfg(target_arch = "x86_64")]
pub(crate) mod frame;
mod glv;
pub(crate) mod group;
pub(crate) mod limbs;
mod modular_inverse;
pub(crate) mod multiscalar;
mod platform;
mod scalar;
mod spare;
mod table;

pub use glv::{Half, SignedWindows};
pub(crate) use platform::OnLanes;
pub use platform::Platform;
pub use scalar::{ORDER, Scalar};
