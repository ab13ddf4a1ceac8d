//! Verification: digest, signature and key in; verdict out.

use std::sync::Arc;

use super::{known_answers, put_number, table};
use crate::cpu;
use crate::gpu::program::{Program, Step};
use crate::gpu::shader::constants::ecdsa::{SCALAR_RUN, SCRATCH_QUADS, VERIFY_QUADS};
use crate::gpu::shader::ecdsa as kernels;
use crate::gpu::team::Team;
use crate::scheme::ecdsa::{KeyBytes, VerifyItem};
use crate::verdict::Verdict;

const ITEM_WORDS: usize = VERIFY_QUADS as usize * 4;

/// Verifies against known keys.
#[derive(Clone, Debug)]
pub(in crate::gpu) struct Verify {
    table: Arc<[u32]>,
}

impl Verify {
    pub(in crate::gpu) fn new() -> Self {
        Self { table: table::table() }
    }
}

impl Program for Verify {
    type Item<'a> = VerifyItem;
    type Answer = Verdict<()>;

    const NAME: &'static str = "ecdsa-verify";
    /// The status and the seal.
    const OUTPUT_WORDS: usize = 2;
    const SCRATCH_WORDS: usize = SCRATCH_QUADS as usize * 4;

    fn steps(&self) -> &[Step] {
        const STEPS: [Step; 7] = [
            Step { kernel: kernels::PREPARE_VERIFY, lanes_per_invocation: SCALAR_RUN },
            Step { kernel: kernels::LIFT, lanes_per_invocation: 1 },
            Step { kernel: kernels::TABLE, lanes_per_invocation: 1 },
            Step { kernel: kernels::MULTIPLY, lanes_per_invocation: 1 },
            Step { kernel: kernels::BASE, lanes_per_invocation: 1 },
            Step { kernel: kernels::COMPLETE, lanes_per_invocation: 1 },
            Step { kernel: kernels::FINISH_VERIFY, lanes_per_invocation: 1 },
        ];
        &STEPS
    }

    fn table(&self) -> &[u32] {
        &self.table
    }

    fn input_words(&self, _: &VerifyItem) -> usize {
        ITEM_WORDS
    }

    fn pack<'a>(&self, _: usize, item: &(impl Fn(usize) -> Self::Item<'a> + Sync), words: &mut [u32], team: &Team) {
        team.fill(words, ITEM_WORDS, |lane, words| {
            let item = item(lane);
            put_number(words, 0, &item.digest);
            put_number(words, 1, &item.signature.r);
            put_number(words, 2, &item.signature.s);
            let mut y = [0; 32];
            let (x, is_uncompressed, prefix) = match &item.key {
                KeyBytes::Compressed([prefix, x @ ..]) => (*x, 0, *prefix),
                KeyBytes::Uncompressed(xy) => {
                    let (x, given) = xy.split_at(32);
                    y.copy_from_slice(given);
                    (x.try_into().unwrap_or_default(), 1, 0)
                }
            };
            put_number(words, 3, &x);
            put_number(words, 4, &y);
            let flags = [is_uncompressed, u32::from(prefix), u32::from(item.rules.requires_low_s()), 0];
            words[40..].copy_from_slice(&flags);
        });
    }

    fn unpack(&self, words: &[u32]) -> Option<Verdict<()>> {
        super::verdict(*words.first()?, || Some(()))
    }

    fn settle(&self, item: &VerifyItem) -> Option<Verdict<()>> {
        item.check().err().map(Verdict::Invalid)
    }

    fn shorten<'a>(item: Self::Item<'static>) -> Self::Item<'a> {
        item
    }

    fn answer_on_cpu(&self, items: &[VerifyItem]) -> Vec<Verdict<()>> {
        cpu::verify(items)
    }

    fn is_refusal(&self, answer: &Verdict<()>) -> bool {
        !answer.is_valid()
    }

    fn known_answers(&self) -> Vec<(VerifyItem, Verdict<()>)> {
        known_answers::verify()
    }
}
