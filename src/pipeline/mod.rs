//! Stages that overlap: while one block executes, the next is verified and the one after that decoded.
//!
//! Queues between stages are bounded, and a full one holds the stage before it back. What is handed on is numbered, and
//! counted at the end.

mod import;
mod meter;
mod stage;

pub use import::{BlockReport, End, Import, ImportError, ImportReport};
pub use meter::{StageMeter, StageReport};
pub use stage::{Handle, PreExecutionStage, RawBatch, StageClosed, SubmitError};
