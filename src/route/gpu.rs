//! A GPU behind wgpu as a device of the router.

use std::sync::Arc;

use super::decision::Work;
use super::device::{Device, Failed};
use crate::batch::{Batch, Columns, MessageBatch};
use crate::cpu::CpuBackend;
use crate::error::Error;
use crate::gpu::{Given, GpuBackend};
use crate::scheme::ecdsa::{RecoverBatch, Signer, VerifyBatch};
use crate::scheme::hash::HashFunction;
use crate::verdict::Verdict;

/// Items that a GPU answers at the price of one: a workgroup.
const GRANULE: usize = crate::gpu::shader::WORKGROUP_SIZE as usize;

/// A GPU, and the CPU that prepares its work and checks what it refuses.
#[derive(Debug)]
pub(crate) struct RoutedGpu {
    gpu: GpuBackend,
    cpu: Arc<CpuBackend>,
    name: String,
    identity: String,
    /// Whether it was asked for, so that it must serve.
    is_explicit: bool,
}

impl RoutedGpu {
    pub(crate) fn new(gpu: GpuBackend, cpu: Arc<CpuBackend>, name: &str, identity: String, is_explicit: bool) -> Self {
        Self { gpu, cpu, name: name.to_owned(), identity, is_explicit }
    }
}

impl Device for RoutedGpu {
    fn name(&self) -> &str {
        &self.name
    }

    fn granule(&self) -> usize {
        GRANULE
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn serves(&self, work: Work) -> bool {
        self.gpu.serves(work)
    }

    fn await_service(&self, work: Work) -> Result<(), Error> {
        if self.is_explicit { self.gpu.expect(work) } else { Ok(()) }
    }

    fn end(&self) {
        self.gpu.end();
    }

    fn recover(&self, batch: &RecoverBatch) -> Result<Vec<Verdict<Signer>>, Failed> {
        let recover = |part: &RecoverBatch| -> Result<_, Failed> {
            let answers = answers(self.gpu.give_recover(&self.cpu, part))?;
            Ok(Some(completed(part, answers, |item| self.cpu.recover(&[item].into_iter().collect()).pop())))
        };
        Ok(self.gpu.audit_while(&self.cpu, batch, recover)?.unwrap_or_default())
    }

    fn verify(&self, batch: &VerifyBatch) -> Result<Vec<Verdict<()>>, Failed> {
        let answers = answers(self.gpu.give_verify(&self.cpu, batch))?;
        Ok(completed(batch, answers, |item| self.cpu.verify(&[item].into_iter().collect()).pop()))
    }

    fn hash(&self, function: HashFunction, messages: &MessageBatch) -> Result<Vec<[u8; 32]>, Failed> {
        let answers = answers(self.gpu.give_hash(&self.cpu, function, messages))?;
        let on_cpu = |message: &[u8]| self.cpu.hash(function, &[message].into_iter().collect()).pop();
        // What fits into no dispatch is the CPU's.
        let digest = |(index, answer): (usize, Option<[u8; 32]>)| answer.or_else(|| on_cpu(messages.get(index)?));
        Ok(answers.into_iter().enumerate().map_while(digest).collect())
    }
}

/// The answers of a device without a fault.
fn answers<T>(given: Option<Given<T>>) -> Result<Vec<Option<T>>, Failed> {
    let Given { answers, fault, .. } = given.ok_or_else(|| Failed("it does not serve now".to_owned()))?;
    match fault {
        Some(fault) => Err(Failed(fault.to_string())),
        None => Ok(answers),
    }
}

/// Verdicts in the batch's order: what fits into no dispatch is answered by the CPU.
fn completed<C: Columns, T>(
    batch: &Batch<C>,
    answers: Vec<Option<Verdict<T>>>,
    on_cpu: impl Fn(C::Item) -> Option<Verdict<T>>,
) -> Vec<Verdict<T>> {
    let verdict = |(index, answer): (usize, Option<Verdict<T>>)| answer.or_else(|| on_cpu(batch.get(index)?.ok()?));
    // One that is missing is noticed where they are counted.
    answers.into_iter().enumerate().map_while(verdict).collect()
}
