//! phalanx checks every signature and hash of transaction batches in bulk.

pub mod batch;
pub mod chain;
pub mod cpu;
mod error;
#[cfg(feature = "executor")]
pub mod executor;
pub mod merkle;
#[cfg(feature = "executor")]
pub mod pipeline;
mod rules;
pub mod scheme;
mod verdict;
mod verifier;
#[cfg(feature = "executor")]
pub mod workload;

pub use error::Error;
pub use rules::Rules;
pub use verdict::{Reason, Verdict};
pub use verifier::Verifier;
