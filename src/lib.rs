//! phalanx checks every signature and hash of transaction batches in bulk.

pub mod batch;
pub mod chain;
pub mod cpu;
mod error;
pub mod merkle;
mod rules;
pub mod scheme;
mod verdict;
mod verifier;

pub use error::Error;
pub use rules::Rules;
pub use verdict::{Reason, Verdict};
pub use verifier::Verifier;
