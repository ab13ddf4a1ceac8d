//! phalanx checks every signature and hash of transaction batches in bulk.

pub mod batch;
pub mod chain;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cpu;
mod error;
#[cfg(feature = "executor")]
pub mod executor;
pub mod merkle;
#[cfg(feature = "executor")]
pub mod pipeline;
#[cfg(feature = "cli")]
mod report;
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
