//! Recovery: digest, signature and recovery id in; key, address and verdict out.

use std::sync::Arc;

use super::{known_answers, put_number, table};
use crate::cpu;
use crate::gpu::program::{Garbled, Program, Step, stride};
use crate::gpu::shader::constants::ecdsa::{FIELD_RUN, RECOVER_QUADS, SCALAR_RUN, SCRATCH_QUADS, number_of};
use crate::gpu::shader::ecdsa as kernels;
use crate::scheme::ecdsa::{RecoverItem, Signer};
use crate::verdict::Verdict;

const ITEM_WORDS: usize = RECOVER_QUADS as usize * 4;

/// Recovers signers.
#[derive(Clone, Debug)]
pub(in crate::gpu) struct Recover {
    table: Arc<[u32]>,
}

impl Recover {
    pub(in crate::gpu) fn new() -> Self {
        Self { table: table::table() }
    }
}

impl Program for Recover {
    type Item<'a> = RecoverItem;
    type Answer = Verdict<Signer>;

    const NAME: &'static str = "ecdsa-recover";
    /// The status, x and y, the address, the seal.
    const OUTPUT_WORDS: usize = 1 + 16 + 5 + 1;
    const SCRATCH_WORDS: usize = SCRATCH_QUADS as usize * 4;

    fn steps(&self) -> &[Step] {
        const STEPS: [Step; 7] = [
            Step { kernel: kernels::PREPARE_RECOVER, lanes_per_invocation: SCALAR_RUN },
            Step { kernel: kernels::LIFT, lanes_per_invocation: 1 },
            Step { kernel: kernels::TABLE, lanes_per_invocation: 1 },
            Step { kernel: kernels::MULTIPLY, lanes_per_invocation: 1 },
            Step { kernel: kernels::BASE, lanes_per_invocation: 1 },
            Step { kernel: kernels::COMPLETE, lanes_per_invocation: 1 },
            Step { kernel: kernels::FINISH_RECOVER, lanes_per_invocation: FIELD_RUN },
        ];
        &STEPS
    }

    fn table(&self) -> &[u32] {
        &self.table
    }

    fn input_words(&self, _: &RecoverItem) -> usize {
        ITEM_WORDS
    }

    fn pack(&self, lanes: &[RecoverItem], words: &mut [u32]) {
        for (words, item) in words.as_chunks_mut::<ITEM_WORDS>().0.iter_mut().zip(lanes) {
            put_number(words, 0, &item.digest);
            put_number(words, 1, &item.signature.r);
            put_number(words, 2, &item.signature.s);
            let flags = [
                u32::from(item.recovery_id),
                u32::from(item.rules.max_recovery_id()),
                u32::from(item.rules.requires_low_s()),
                0,
            ];
            words[24..].copy_from_slice(&flags);
        }
    }

    fn unpack(&self, lanes: &[RecoverItem], output: &[u32]) -> Result<Vec<Verdict<Signer>>, Garbled> {
        let stride = stride(lanes.len());
        let word = |lane: usize, index: usize| output.get(index * stride + lane).copied().ok_or(Garbled { lane });
        let answer = |lane: usize| {
            let words = |first: usize| -> Result<[u32; 8], Garbled> {
                let mut words = [0; 8];
                for (index, slot) in words.iter_mut().enumerate() {
                    *slot = word(lane, first + index)?;
                }
                Ok(words)
            };
            super::verdict(lane, word(lane, 0)?, || {
                let mut signer = Signer { public_key: [0; 64], address: [0; 20] };
                signer.public_key[..32].copy_from_slice(&number_of(&words(1)?));
                signer.public_key[32..].copy_from_slice(&number_of(&words(9)?));
                for (index, bytes) in signer.address.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    *bytes = word(lane, 17 + index)?.to_le_bytes();
                }
                Ok(signer)
            })
        };
        (0..lanes.len()).map(answer).collect()
    }

    fn settle(&self, item: &RecoverItem) -> Option<Verdict<Signer>> {
        item.check().err().map(Verdict::Invalid)
    }

    fn shorten<'a>(item: Self::Item<'static>) -> Self::Item<'a> {
        item
    }

    fn answer_on_cpu(&self, items: &[RecoverItem]) -> Vec<Verdict<Signer>> {
        cpu::recover(items)
    }

    fn is_refusal(&self, answer: &Verdict<Signer>) -> bool {
        !answer.is_valid()
    }

    fn known_answers(&self) -> Vec<(RecoverItem, Verdict<Signer>)> {
        known_answers::recover()
    }
}
