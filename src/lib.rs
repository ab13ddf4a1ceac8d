//! phalanx checks every signature and every hash of transaction batches in bulk, and hands the verified batch, senders
//! attached and in order, to an executor. A node links it as its pre-execution stage.
//!
//! ```
//! use phalanx::Verifier;
//! use phalanx::chain::ethereum::{ChainSpec, verify_transactions};
//! use phalanx::workload::{Workload, WorkloadConfig};
//!
//! let mut workload = Workload::new(WorkloadConfig { transactions_per_block: 64, ..Default::default() })?;
//! let chain = ChainSpec::from_genesis(&workload.genesis())?;
//! let block = workload.next().expect("the first block");
//! let decoded = block.transactions.into_iter().map(Ok).collect();
//! let batch = verify_transactions(&Verifier::cpu(), &chain.at_block(1, 12, true), decoded)?;
//! assert!(batch.rejected.is_empty());
//! let senders: Vec<_> = batch.transactions.iter().map(|verified| verified.sender()).collect();
//! assert_eq!(senders, block.senders);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way of a transaction
//!
//! Raw bytes are decoded once, in parallel ([`chain`]); their signatures become lanes of a [`batch`], each with the
//! [`Rules`] it is to be judged by; the [`Verifier`] has a backend ([`cpu`]) answer them, one [`Verdict`] for each item,
//! in order; what is valid goes on as verified transactions and blocks, which is all that an executor (`executor`)
//! takes; and the stages overlap across blocks on bounded queues (`pipeline`). An item that is invalid is a verdict; an
//! item that could not be checked is an [`Error`]; no path turns one into the other.
//!
//! # What it leaves alone
//!
//! The library installs no logger and no metrics recorder. It starts no thread pool unless [`Verifier::with_threads`] asks
//! for one: it works on the rayon pool it is called from, and the stages of `pipeline`, which are threads of their own, on
//! the verifier's pool or else rayon's global one. Signatures are public, so nothing runs in constant time, and no secret
//! should be handed to it.

pub mod arithmetic;
pub mod batch;
pub mod chain;
mod choice;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cpu;
mod error;
#[cfg(feature = "executor")]
pub mod executor;
#[cfg(feature = "gpu")]
pub mod gpu;
mod key_book;
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

pub use choice::BackendChoice;
pub use error::Error;
pub use key_book::KeyBook;
pub use rules::Rules;
pub use verdict::{Reason, Verdict};
pub use verifier::{Verifier, VerifierConfig};
