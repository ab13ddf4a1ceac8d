//! Recovery: digest, signature and recovery id in; key, address and verdict out.

use std::sync::Arc;

use super::{known_answers, put_number, table};
use crate::cpu;
use crate::gpu::program::{Program, Step};
use crate::gpu::shader::constants::ecdsa::{FIELD_RUN, RECOVER_QUADS, SCALAR_RUN, SCRATCH_QUADS, number_of};
use crate::gpu::shader::ecdsa as kernels;
use crate::gpu::team::Team;
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

    fn pack<'a>(&self, _: usize, item: &(impl Fn(usize) -> Self::Item<'a> + Sync), words: &mut [u32], team: &Team) {
        team.fill(words, ITEM_WORDS, |lane, words| {
            let item = item(lane);
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
        });
    }

    fn unpack(&self, words: &[u32]) -> Option<Verdict<Signer>> {
        let number = |first: usize| Some(number_of(words.get(first..)?.first_chunk::<8>()?));
        super::verdict(*words.first()?, || {
            let mut signer = Signer { public_key: [0; 64], address: [0; 20] };
            signer.public_key[..32].copy_from_slice(&number(1)?);
            signer.public_key[32..].copy_from_slice(&number(9)?);
            let address = words.get(17..22)?;
            for (bytes, word) in signer.address.as_chunks_mut::<4>().0.iter_mut().zip(address) {
                *bytes = word.to_le_bytes();
            }
            Some(signer)
        })
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
