//! GPUs: which there are, the programs they run, the worker that runs them and does not trust them, and handles to try arithmetic,
//! signatures and hashes on each by itself.
//!
//! This folder is the only one that names wgpu; none of its types are public. ARCHITECTURE.md has the way of a batch.
//!
//! The kernels are WGSL under `shaders/`: `lib` binds nothing and is what kernels are made of, `kernel` has entry points and
//! bindings. [`shader`] links them for each [`Arithmetic`](shader::Arithmetic), with constants and limb arithmetic that are
//! defined in Rust.

mod backend;
#[cfg(test)]
mod backend_tests;
pub(crate) mod cache;
mod device;
mod dispatch;
mod driver;
mod ecdsa;
mod error;
mod field;
mod hash;
mod merkle;
mod merkle_tree;
mod pipeline;
mod program;
#[cfg(test)]
mod route_tests;
mod selftest;
pub mod shader;
mod station;
mod team;
mod tune;
mod worker;

pub(crate) use backend::{GpuBackend, GpuConfig};
pub use device::{Adapter, AdapterKind, Refusal, adapters};
pub use ecdsa::{Ecdsa, StepTime};
pub use error::{Fault, GpuError};
pub use field::{Chain, ChainTime, Field, FieldKernel, Operation};
pub use hash::Hasher;
pub use selftest::SelfTest;
pub use tune::Tuning;
pub(crate) use worker::Given;
