//! Batches as they can be divided between backends.

use std::ops::Range;

use super::decision::Work;
use super::device::{Device, Failed};
use crate::batch::{Batch, Columns, MessageBatch};
use crate::cpu::CpuBackend;
use crate::scheme::ecdsa::{RecoverColumns, Signer, VerifyColumns};
use crate::scheme::hash::HashFunction;
use crate::verdict::Verdict;

/// Bytes that count as an item where messages are hashed; each message counts as one more.
const HASHED_PER_UNIT: usize = 64;

/// Units of hashing that the CPU has done before a GPU's answer could have come back: some 50 µs, and ten times what deciding takes.
const LEAST_HASHED: usize = 2_048;

/// Signatures that the CPU has checked before a GPU could have: some 100 µs on one thread, of which deciding would be a tenth.
const LEAST_SIGNATURES: usize = 32;

/// Work that can be divided.
///
/// It is measured in units: what costs about the same anywhere. A signature is a unit; a message has as many as its length asks for.
pub(crate) trait Divisible: Sync {
    /// What an item is answered with.
    type Answer: Clone + PartialEq + Send + 'static;
    /// A part that owns its items: a device may be left behind with it.
    type Part: Answerable<Answer = Self::Answer>;
    /// Units below which nothing is decided: the CPU answers.
    const LEAST: usize;

    /// The kind of work.
    fn work(&self) -> Work;
    /// How many items.
    fn len(&self) -> usize;
    /// How many units.
    fn units(&self) -> usize;
    /// The first item that ends behind so many units.
    fn item_at(&self, units: usize) -> usize;
    /// Some items.
    fn part(&self, items: Range<usize>) -> Self::Part;
    /// All answers from the CPU.
    fn on_cpu(&self, cpu: &CpuBackend) -> Vec<Self::Answer>;
}

/// A part of a batch, which can be answered anywhere.
pub(crate) trait Answerable: Send + Sync + 'static {
    /// What an item is answered with.
    type Answer;

    /// How many items.
    fn len(&self) -> usize;
    /// All answers from the CPU.
    fn on_cpu(&self, cpu: &CpuBackend) -> Vec<Self::Answer>;
    /// All answers from a device.
    fn on_device(&self, device: &dyn Device) -> Result<Vec<Self::Answer>, Failed>;
}

/// Messages, and what they are to be hashed with.
#[derive(Debug)]
pub(crate) struct Hashing<M> {
    pub(crate) function: HashFunction,
    pub(crate) messages: M,
}

/// Columns of signatures, any run of which is a batch of its own.
pub(crate) trait Signatures: Columns + 'static {
    /// What an item is answered with.
    type Answer: Clone + PartialEq + Send + 'static;
    /// The kind of work.
    const WORK: Work;

    /// All answers from the CPU.
    fn on_cpu(batch: &Batch<Self>, cpu: &CpuBackend) -> Vec<Self::Answer>;
    /// All answers from a device.
    fn on_device(batch: &Batch<Self>, device: &dyn Device) -> Result<Vec<Self::Answer>, Failed>;
}

impl Signatures for RecoverColumns {
    type Answer = Verdict<Signer>;
    const WORK: Work = Work::Recover;

    fn on_cpu(batch: &Batch<Self>, cpu: &CpuBackend) -> Vec<Self::Answer> {
        cpu.recover(batch)
    }

    fn on_device(batch: &Batch<Self>, device: &dyn Device) -> Result<Vec<Self::Answer>, Failed> {
        device.recover(batch)
    }
}

impl Signatures for VerifyColumns {
    type Answer = Verdict<()>;
    const WORK: Work = Work::Verify;

    fn on_cpu(batch: &Batch<Self>, cpu: &CpuBackend) -> Vec<Self::Answer> {
        cpu.verify(batch)
    }

    fn on_device(batch: &Batch<Self>, device: &dyn Device) -> Result<Vec<Self::Answer>, Failed> {
        device.verify(batch)
    }
}

impl<C: Signatures> Divisible for Batch<C> {
    type Answer = C::Answer;
    type Part = Self;
    const LEAST: usize = LEAST_SIGNATURES;

    fn work(&self) -> Work {
        C::WORK
    }

    fn len(&self) -> usize {
        Batch::len(self)
    }

    fn units(&self) -> usize {
        Batch::len(self)
    }

    fn item_at(&self, units: usize) -> usize {
        units
    }

    fn part(&self, items: Range<usize>) -> Self {
        Self::part(self, items)
    }

    fn on_cpu(&self, cpu: &CpuBackend) -> Vec<Self::Answer> {
        C::on_cpu(self, cpu)
    }
}

impl<C: Signatures> Answerable for Batch<C> {
    type Answer = C::Answer;

    fn len(&self) -> usize {
        Batch::len(self)
    }

    fn on_cpu(&self, cpu: &CpuBackend) -> Vec<Self::Answer> {
        C::on_cpu(self, cpu)
    }

    fn on_device(&self, device: &dyn Device) -> Result<Vec<Self::Answer>, Failed> {
        C::on_device(self, device)
    }
}

impl Divisible for Hashing<&MessageBatch> {
    type Answer = [u8; 32];
    type Part = Hashing<MessageBatch>;
    const LEAST: usize = LEAST_HASHED;

    fn work(&self) -> Work {
        Work::Hash(self.function)
    }

    fn len(&self) -> usize {
        self.messages.len()
    }

    fn units(&self) -> usize {
        units_before(self.messages, self.messages.len())
    }

    fn item_at(&self, units: usize) -> usize {
        let (mut low, mut high) = (0, self.messages.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if units_before(self.messages, middle) < units { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn part(&self, items: Range<usize>) -> Hashing<MessageBatch> {
        Hashing { function: self.function, messages: self.messages.part(items) }
    }

    fn on_cpu(&self, cpu: &CpuBackend) -> Vec<[u8; 32]> {
        cpu.hash(self.function, self.messages)
    }
}

impl Answerable for Hashing<MessageBatch> {
    type Answer = [u8; 32];

    fn len(&self) -> usize {
        self.messages.len()
    }

    fn on_cpu(&self, cpu: &CpuBackend) -> Vec<[u8; 32]> {
        cpu.hash(self.function, &self.messages)
    }

    fn on_device(&self, device: &dyn Device) -> Result<Vec<[u8; 32]>, Failed> {
        device.hash(self.function, &self.messages)
    }
}

/// The units of the messages before one.
fn units_before(messages: &MessageBatch, index: usize) -> usize {
    index + messages.bytes_before(index) / HASHED_PER_UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_divided_by_their_bytes() {
        let messages: MessageBatch =
            [vec![0; 6_400], vec![], vec![1; 64], vec![2; 63], vec![3; 1]].into_iter().collect();
        let hashing = Hashing { function: HashFunction::Sha256, messages: &messages };
        assert_eq!(hashing.units(), 5 + (6_400 + 128) / 64);
        assert_eq!(
            [0, 1, 101, 102, 104, 105, 107, 1_000].map(|units| hashing.item_at(units)),
            [0, 1, 1, 2, 3, 4, 5, 5]
        );
        let part = hashing.part(1..4);
        assert_eq!(part.messages.get(2), messages.get(3));
        assert_eq!((Answerable::len(&part), Divisible::len(&hashing)), (3, 5));
    }
}
