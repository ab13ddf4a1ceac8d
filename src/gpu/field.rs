//! The base field of secp256k1 on a device, an operation a lane: for known answers, and for the timing that tells which variant of
//! the kernels an adapter should run.

use std::time::Duration;

use super::device::Adapter;
use super::dispatch::Session;
use super::error::GpuError;
use super::pipeline::Pipeline;
use super::shader::{Arithmetic, CHAIN_LENGTH, Kernel, SMALL_FACTOR, check, timing};

/// Words of an element, the least significant first.
const WORDS: usize = 8;

/// The field on a device.
#[derive(Debug)]
pub struct Field {
    session: Session,
}

/// An operation, by its kernel. Operands are any 256 bits; results are canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// -a
    Neg,
    /// a / 2
    Half,
    /// a * b
    Mul,
    /// 7a * [`Field::SMALL_FACTOR`]
    MulSmall,
    /// a * a
    Sqr,
    /// 1 / a, and zero for zero
    Inv,
    /// the square root of a that is a square itself, or p if a has no root
    Sqrt,
    /// 1 if a = b, 2 if not
    Equal,
    /// 1 if a = 0, 2 if not
    IsZero,
    /// 3b * (a - b) / 2 + (a - b) - b, with every function at its largest magnitude
    Magnitudes,
}

/// A chain of operations, each of which waits for the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chain {
    /// a * b * b * …, with [`Chain::operations`] multiplications.
    Mul,
    /// ((a^2)^2)…, with [`Chain::operations`] squarings.
    Sqr,
    /// 1 / a: one inversion.
    Inv,
}

/// How long chains took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainTime {
    /// Chains, one a lane.
    pub lanes: usize,
    /// Operations of a chain.
    pub operations: u32,
    /// From the dispatch's submission to its end.
    pub took: Duration,
}

/// A compiled operation or chain.
#[derive(Debug)]
pub struct FieldKernel<'a> {
    field: &'a Field,
    pipeline: Pipeline,
}

impl Field {
    /// What [`Operation::MulSmall`] multiplies seven times its operand with.
    pub const SMALL_FACTOR: u32 = SMALL_FACTOR;

    /// Opens a device for a variant.
    pub fn on(adapter: &Adapter, arithmetic: Arithmetic) -> Result<Self, GpuError> {
        Ok(Self { session: Session::open(adapter, arithmetic)? })
    }

    /// Compiles an operation.
    pub fn operation(&self, operation: Operation) -> Result<FieldKernel<'_>, GpuError> {
        Ok(FieldKernel { field: self, pipeline: self.session.pipeline(operation.kernel())? })
    }

    /// Compiles a chain.
    pub fn chain(&self, chain: Chain) -> Result<FieldKernel<'_>, GpuError> {
        Ok(FieldKernel { field: self, pipeline: self.session.pipeline(chain.kernel())? })
    }

    /// Runs `rounds` dispatches of `lanes` chains each, after one that does not count, and gives the fastest.
    pub fn time(&self, chain: Chain, lanes: usize, rounds: usize) -> Result<ChainTime, GpuError> {
        let pipeline = self.chain(chain)?.pipeline;
        // Any numbers but zero will do, and all different.
        let operands: Vec<u32> =
            (1..=u32::MAX).map(|word| word.wrapping_mul(0x9e37_79b9)).take(lanes * WORDS).collect();
        let mut fastest = Duration::MAX;
        for round in 0..=rounds {
            let (_, took) = self.session.run(&pipeline, &[&operands, &operands], operands.len(), lanes)?;
            if round > 0 {
                fastest = fastest.min(took);
            }
        }
        Ok(ChainTime { lanes, operations: chain.operations(), took: fastest })
    }
}

impl ChainTime {
    /// Nanoseconds that one operation takes, all lanes at work.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 operations")]
    pub fn nanoseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1e9 / (self.lanes as f64 * f64::from(self.operations))
    }
}

impl FieldKernel<'_> {
    /// One result for each pair of operands, in order.
    pub fn apply(&self, a: &[[u32; WORDS]], b: &[[u32; WORDS]]) -> Result<Vec<[u32; WORDS]>, GpuError> {
        if a.len() != b.len() {
            return Err(GpuError::Lengths { left: a.len(), right: b.len() });
        }
        let inputs = [a.as_flattened(), b.as_flattened()];
        let (results, _) = self.field.session.run(&self.pipeline, &inputs, a.len() * WORDS, a.len())?;
        Ok(results.as_chunks::<WORDS>().0.to_vec())
    }
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 12] = [
        Self::Add,
        Self::Sub,
        Self::Neg,
        Self::Half,
        Self::Mul,
        Self::MulSmall,
        Self::Sqr,
        Self::Inv,
        Self::Sqrt,
        Self::Equal,
        Self::IsZero,
        Self::Magnitudes,
    ];

    fn kernel(self) -> Kernel {
        check(match self {
            Self::Add => "field_add",
            Self::Sub => "field_sub",
            Self::Neg => "field_neg",
            Self::Half => "field_half",
            Self::Mul => "field_mul",
            Self::MulSmall => "field_mul_small",
            Self::Sqr => "field_sqr",
            Self::Inv => "field_inv",
            Self::Sqrt => "field_sqrt",
            Self::Equal => "field_equal",
            Self::IsZero => "field_is_zero",
            Self::Magnitudes => "field_magnitudes",
        })
    }
}

impl Chain {
    /// Every chain.
    pub const ALL: [Self; 3] = [Self::Mul, Self::Sqr, Self::Inv];

    /// Its operations.
    #[must_use]
    pub const fn operations(self) -> u32 {
        match self {
            Self::Mul | Self::Sqr => CHAIN_LENGTH,
            Self::Inv => 1,
        }
    }

    fn kernel(self) -> Kernel {
        timing(match self {
            Self::Mul => "field_mul_chain",
            Self::Sqr => "field_sqr_chain",
            Self::Inv => "field_inv_chain",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::shader::KERNELS;
    use super::*;

    #[test]
    fn every_operation_has_a_kernel() {
        let operations = Operation::ALL.map(Operation::kernel);
        let chains = Chain::ALL.map(Chain::kernel);
        for kernel in operations.iter().chain(&chains) {
            assert!(KERNELS.contains(kernel), "{}", kernel.name);
        }
    }
}
