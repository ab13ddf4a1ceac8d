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
    /// It runs no variant of the kernels.
    #[error("{adapter} runs no variant of the kernels")]
    NoVariant {
        /// The adapter's name.
        adapter: String,
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

/// What went wrong with a device that served, or was about to. The CPU answers what it left open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The driver says that the device is gone.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// Memory ran out.
    #[error("out of memory, {doing}: {problem}")]
    OutOfMemory {
        /// What was being done.
        doing: String,
        /// What the driver said.
        problem: String,
    },
    /// The driver gave no device.
    #[error("no device: {0}")]
    NoDevice(String),
    /// The driver refused something.
    #[error("{doing}: {problem}")]
    Driver {
        /// What was being done.
        doing: String,
        /// What the driver said.
        problem: String,
    },
    /// A kernel could not be compiled.
    #[error("compiling {kernel}: {problem}")]
    Compile {
        /// The kernel.
        kernel: String,
        /// What the driver said.
        problem: String,
    },
    /// A dispatch, or a call of the driver, did not come back in time.
    #[error("no answer within {0:?}")]
    Hung(Duration),
    /// The driver, or wgpu, panicked.
    #[error("a panic while {doing}: {problem}")]
    Panicked {
        /// What was being done.
        doing: String,
        /// The panic's text.
        problem: String,
    },
    /// It answered, and wrongly.
    #[error("wrong answers: {0}")]
    Wrong(String),
    /// The system gave no random numbers, without which nothing can be checked by sample.
    #[error("no random numbers: {0}")]
    NoRandomness(String),
    /// A program needs more memory than it may have.
    #[error("{needs} bytes are needed where {may} may be used; raise --gpu-memory")]
    Memory {
        /// Bytes it needs at least.
        needs: u64,
        /// Bytes it may use.
        may: u64,
    },
    /// Its thread ended, as it does when the verifier is dropped.
    #[error("its thread has ended")]
    Ended,
}

impl Fault {
    /// A stable identifier for metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lost(_) => "lost",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::NoDevice(_) => "no-device",
            Self::Driver { .. } => "driver",
            Self::Compile { .. } => "compile",
            Self::Hung(_) => "hung",
            Self::Panicked { .. } => "panic",
            Self::Wrong(_) => "wrong-answers",
            Self::NoRandomness(_) => "no-randomness",
            Self::Memory { .. } => "memory",
            Self::Ended => "ended",
        }
    }

    /// Whether what the device answered before is to be thrown away, and the device never to be asked again.
    #[must_use]
    pub const fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }
}
