//! What a worker runs: kernels one after the other over the same four buffers, and how a batch becomes their words.
//!
//! | binding | buffer | access | layout |
//! |---|---|---|---|
//! | 0 | input | read | [`HEADER_WORDS`] words: the number of lanes, the dispatch's nonce, zeros; then what [`Program::pack`] writes |
//! | 1 | output | read and write | [`Program::OUTPUT_WORDS`] words a lane, word `w` of lane `i` at `w * stride + i`; the last is the seal |
//! | 2 | scratch | read and write | [`Program::SCRATCH_WORDS`] words a lane, laid out likewise |
//! | 3 | table | read | [`Program::table`], the same for every dispatch |
//!
//! The stride is the number of lanes rounded up to whole workgroups. A kernel binds only those of the four that it names; a lane
//! at or past the number of lanes writes nothing. Output is zeroed before the first step, so that zero says that nothing was written;
//! scratch is left as it was. Buffers may be larger than a dispatch needs.
//!
//! The last step seals every lane (`shaders/lib/seal.wgsl`): a flipped bit, swapped lanes and the output of an earlier dispatch are
//! told from an answer before [`Program::unpack`] sees them.

use std::fmt;
use std::ops::Range;

use super::shader::{Kernel, WORKGROUP_SIZE};
use super::team::Team;

/// Words in front of what is packed.
pub(super) const HEADER_WORDS: usize = 4;

/// One dispatch of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The kernel.
    pub(super) kernel: Kernel,
    /// Lanes that one invocation answers for. More than one where lanes share an inversion.
    pub(super) lanes_per_invocation: u32,
}

/// A dispatch's output, to be read lane by lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output<'a> {
    words: &'a [u32],
    words_per_lane: usize,
    stride: usize,
    nonce: u32,
}

/// Lanes whose words are gathered at a time: whole cache lines of each of their rows, which may be so far apart that a cache holds few.
const GATHERED: usize = 64;

/// Answers one kind of item on a device.
pub(super) trait Program: fmt::Debug + Send + Sync + 'static {
    /// What is answered: a row of a batch, or a message.
    type Item<'a>: Copy + fmt::Debug + Send + Sync;
    /// The answer to one item.
    type Answer: Clone + PartialEq + fmt::Debug + Send + Sync;

    /// The name it is known by in logs, in metrics and in the list of devices.
    const NAME: &'static str;
    /// Output words a lane, the seal among them.
    const OUTPUT_WORDS: usize;
    /// Scratch words a lane.
    const SCRATCH_WORDS: usize;

    /// The dispatches, in order.
    fn steps(&self) -> &[Step];

    /// The words of binding 3; empty where no kernel names it.
    fn table(&self) -> &[u32];

    /// Input words of one lane, the header's share not counted.
    fn input_words(&self, item: &Self::Item<'_>) -> usize;

    /// Writes lanes as the kernels read them, behind the header. `words` has the sum of their [`Program::input_words`], in any
    /// state; `lanes` are as many as a dispatch has, known answers among them.
    fn pack<'a>(&self, lanes: usize, item: &(impl Fn(usize) -> Self::Item<'a> + Sync), words: &mut [u32], team: &Team);

    /// Reads a lane's answer from its output words, the seal not among them; `None` where no kernel gives these.
    fn unpack(&self, words: &[u32]) -> Option<Self::Answer>;

    /// What the host's own checks settle without a device: ranges and encodings. Only items that it leaves open become lanes; the
    /// kernels make the same checks again.
    fn settle(&self, item: &Self::Item<'_>) -> Option<Self::Answer>;

    /// The same item, to stand beside items that live less long.
    fn shorten<'a>(item: Self::Item<'static>) -> Self::Item<'a>;

    /// The answers by the CPU's own engine, in order, on the thread it is called from: what a fallback gives, and what the device's are
    /// compared with. Called with a few hundred items at a time where there are as many.
    fn answer_on_cpu(&self, items: &[Self::Item<'_>]) -> Vec<Self::Answer>;

    /// Whether an answer refuses its item. Refusals are checked again on the CPU.
    fn is_refusal(&self, answer: &Self::Answer) -> bool;

    /// Items whose answers are known: valid, invalid, and at every edge, those that [`Program::settle`] would settle among them. An
    /// adapter answers all of them rightly before it serves, and some of them again in every dispatch.
    fn known_answers(&self) -> Vec<(Self::Item<'static>, Self::Answer)>;
}

/// Lanes rounded up to whole workgroups.
pub(super) fn stride(lanes: usize) -> usize {
    lanes.next_multiple_of(WORKGROUP_SIZE as usize)
}

/// What becomes of a seal with another word, as `shaders/lib/seal.wgsl` computes it.
const fn sealed(seal: u32, word: u32) -> u32 {
    let mixed = (seal ^ word).wrapping_mul(0x9e37_79b1);
    mixed ^ (mixed >> 15)
}

/// The seal that lane `lane` of a dispatch with this nonce has over `words`.
#[cfg(test)]
pub(super) fn seal(nonce: u32, lane: u32, words: impl IntoIterator<Item = u32>) -> u32 {
    words.into_iter().fold(sealed(nonce, lane), sealed)
}

impl<'a> Output<'a> {
    /// The output of `lanes` lanes of a program; `None` where there is less of it.
    pub(super) fn of<P: Program>(words: &'a [u32], lanes: usize, nonce: u32) -> Option<Self> {
        let stride = stride(lanes);
        (words.len() >= stride * P::OUTPUT_WORDS).then_some(Self {
            words,
            words_per_lane: P::OUTPUT_WORDS,
            stride,
            nonce,
        })
    }

    /// Hands over the words of each of some lanes, in order, those before the seal; none where the seal is broken.
    pub(super) fn open<E>(
        &self,
        lanes: Range<usize>,
        mut answer: impl FnMut(usize, Option<&[u32]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before_seal = self.words_per_lane - 1;
        let mut gathered = vec![0; GATHERED * before_seal];
        for first in lanes.clone().step_by(GATHERED) {
            let count = GATHERED.min(lanes.end - first);
            let row = |word: usize| &self.words[word * self.stride + first..][..count];
            #[expect(clippy::cast_possible_truncation, reason = "a dispatch has fewer than 2^32 lanes")]
            let mut seals: [u32; GATHERED] = std::array::from_fn(|lane| sealed(self.nonce, (first + lane) as u32));
            for word in 0..before_seal {
                let places = gathered[word..].iter_mut().step_by(before_seal);
                for ((read, place), seal) in row(word).iter().zip(places).zip(&mut seals) {
                    *place = *read;
                    *seal = sealed(*seal, *read);
                }
            }
            let lanes = gathered.chunks_exact(before_seal).zip(seals).zip(row(before_seal)).zip(first..);
            for (((words, seal), given), lane) in lanes {
                answer(lane, (seal == *given).then_some(words))?;
            }
        }
        Ok(())
    }
}
