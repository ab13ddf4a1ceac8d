//! What keeps a GPU from answering.

use std::time::Duration;

use super::device::Refusal;
use super::shader::ShaderError;

/// A GPU could not answer. Never a verdict: what was asked is still to be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The adapter cannot run the kernels.
    #[error("{adapter} cannot serve: {refusal}")]
    Refused {
        /// The adapter's name.
        adapter: String,
        /// What it lacks.
        refusal: Refusal,
    },
    /// The driver gave no device.
    #[error("{adapter} gave no device: {problem}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// What the driver said.
        problem: String,
    },
    /// There is no shader for a kernel.
    #[error(transparent)]
    Shader(#[from] ShaderError),
    /// The driver refused something.
    #[error("{doing}: {problem}")]
    Driver {
        /// What it was asked.
        doing: String,
        /// What it said.
        problem: String,
    },
    /// The device did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// More was handed over than one dispatch takes.
    #[error("{lanes} lanes are more than the {most} of a dispatch")]
    TooMany {
        /// How many lanes.
        lanes: usize,
        /// How many there may be.
        most: usize,
    },
    /// Operands that are not of one length.
    #[error("operands of {left} and {right} elements")]
    Lengths {
        /// Elements on the left.
        left: usize,
        /// Elements on the right.
        right: usize,
    },
}
