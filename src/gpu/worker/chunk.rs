//! What makes up a dispatch: how many lanes, which of them canaries.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::sample::Sampler;
use super::{Settings, Worker};
use crate::gpu::driver::Spec;
use crate::gpu::program::{HEADER_WORDS, Program};
use crate::gpu::team::Team;

/// Lanes of the first chunk, before anything was measured.
const FIRST: usize = 1_024;

/// Lanes below which a chunk does not shrink.
const LEAST: usize = 64;

/// Lanes above which a chunk does not grow, with some for known answers: an H200 is full with 65,536, and of a large batch one chunk is to
/// be packed and another read while one is computed.
const MOST: usize = 65_536 + 64;

/// How many lanes a chunk should have, by the time that chunks take.
#[derive(Debug)]
pub(super) struct Pace {
    lanes: AtomicUsize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { lanes: AtomicUsize::new(FIRST) }
    }
}

impl Pace {
    pub(super) fn lanes(&self) -> usize {
        self.lanes.load(Ordering::Relaxed)
    }

    /// Notes that a chunk's longest step took `step`.
    pub(super) fn saw(&self, lanes: usize, step: Duration, settings: &Settings) {
        let now = self.lanes();
        if step > settings.step {
            // A little less than what would just do.
            let fitting = lanes as u128 * settings.step.as_nanos() * 7 / (step.as_nanos() * 8);
            let shrunk = usize::try_from(fitting).unwrap_or(usize::MAX);
            self.lanes.store(shrunk.clamp(LEAST, now.max(LEAST)), Ordering::Relaxed);
        } else if lanes * 4 > now * 3 && step * 2 < settings.step {
            // Only a chunk that was about full says that a fuller one would do.
            self.lanes.store(now.saturating_mul(2).min(MOST), Ordering::Relaxed);
        }
    }
}

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The item of the batch at this index.
    Item(usize),
    /// The known answer at this index.
    Known(usize),
}

/// The lanes of one dispatch: items of the batch in their order, and known answers among them.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Indices of the items, rising.
    items: Vec<usize>,
    /// Lanes of the known answers, rising, each with the index of its answer.
    canaries: Vec<(usize, usize)>,
    pub(super) nonce: u32,
}

/// Some lanes of a chunk that follow each other, and where the answers to their items go.
#[derive(Debug)]
pub(super) struct Part<'a, A> {
    pub(super) lanes: Range<usize>,
    /// The batch's index of the first answer.
    pub(super) first: usize,
    /// From the answer to the first item to that of the last, those of other items among them.
    pub(super) answers: &'a mut [Option<A>],
}

impl Chunk {
    /// Puts known answers among items, at random places.
    pub(super) fn mix(items: Vec<usize>, known: &[usize], sampler: &mut Sampler) -> Self {
        let lanes = sampler.distinct(known.len(), items.len() + known.len());
        Self { canaries: lanes.into_iter().zip(known.iter().copied()).collect(), items, nonce: sampler.word() }
    }

    pub(super) const fn len(&self) -> usize {
        self.items.len() + self.canaries.len()
    }

    /// What a lane is for.
    pub(super) fn place(&self, lane: usize) -> Place {
        match self.canaries.binary_search_by_key(&lane, |(at, _)| *at) {
            Ok(found) => Place::Known(self.canaries[found].1),
            Err(before) => Place::Item(self.items[lane - before]),
        }
    }

    /// Lanes and places of answers, cut into parts of at most `most` lanes. `answers` has all of the batch's.
    pub(super) fn parts<'a, A>(&self, mut answers: &'a mut [Option<A>], most: usize) -> Vec<Part<'a, A>> {
        let mut parts = Vec::with_capacity(self.len().div_ceil(most));
        let mut taken = 0;
        for start in (0..self.len()).step_by(most) {
            let lanes = start..self.len().min(start + most);
            let before = |lane: usize| lane - self.canaries.partition_point(|(at, _)| *at < lane);
            let items = &self.items[before(lanes.start)..before(lanes.end)];
            let (first, end) = match items {
                [] => (taken, taken),
                [first, ..] => (*first, items.last().map_or(*first, |last| last + 1)),
            };
            let (own, rest) = std::mem::take(&mut answers).split_at_mut(end - taken);
            parts.push(Part { lanes, first, answers: own.split_at_mut(first - taken).1 });
            answers = rest;
            taken = end;
        }
        parts
    }

    /// The input of its dispatch, header and all.
    pub(super) fn pack<'a, P: Program>(
        &self,
        program: &P,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
        words: usize,
        team: &Team,
    ) -> Vec<u32> {
        let mut input = vec![0; HEADER_WORDS + words];
        let (header, packed) = input.split_at_mut(HEADER_WORDS);
        header[0] = u32::try_from(self.len()).unwrap_or(u32::MAX);
        header[1] = self.nonce;
        program.pack(self.len(), item, packed, team);
        input
    }
}

/// How much fits into a dispatch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'w> {
    worker: &'w Worker,
    spec: &'w Spec,
}

impl<'w> Room<'w> {
    pub(super) const fn new(worker: &'w Worker, spec: &'w Spec) -> Self {
        Self { worker, spec }
    }

    /// Whether so many lanes with so much input fit into a slot and into the device's limits.
    pub(super) fn holds(&self, lanes: usize, input_words: usize) -> bool {
        let size = self.spec.slot_size(lanes, HEADER_WORDS + input_words);
        let limits = self.worker.limits;
        lanes <= self.spec.most_lanes(limits.workgroups)
            && size.largest_binding() <= limits.binding_bytes
            && size.bytes() <= self.worker.shared.slot_share()
    }

    /// The lanes of the next of the chunks that `left` lanes are cut into, about equal in size: at most `most`, and whole workgroups
    /// where there are several.
    pub(super) fn cut(&self, left: usize, most: usize) -> usize {
        let most = most.max(1);
        let even = left.div_ceil(left.div_ceil(most).max(1));
        let whole = even.next_multiple_of(self.spec.lanes_in_step());
        if whole <= most { whole } else { even }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        slots: 3,
        memory: 1 << 20,
        step: Duration::from_millis(50),
        feeders: 0,
        patience: Duration::from_secs(1),
        compile_patience: Duration::from_secs(1),
    };

    #[test]
    fn chunks_grow_to_the_time_they_may_take_and_shrink_when_they_take_longer() {
        let pace = Pace::default();
        let time = |lanes: usize| Duration::from_micros(lanes as u64);
        for _ in 0..20 {
            pace.saw(pace.lanes(), time(pace.lanes()), &SETTINGS);
        }
        assert!((25_000..=50_000).contains(&pace.lanes()), "{}", pace.lanes());
        // The device is ten times slower from now on.
        for _ in 0..3 {
            pace.saw(pace.lanes(), time(pace.lanes()) * 10, &SETTINGS);
        }
        assert!((2_500..=5_000).contains(&pace.lanes()), "{}", pace.lanes());
        // Far too slow: never less than the least.
        pace.saw(pace.lanes(), Duration::from_hours(1), &SETTINGS);
        assert_eq!(pace.lanes(), LEAST);
        // A small chunk that was quick says nothing of large ones.
        pace.saw(3, Duration::from_micros(1), &SETTINGS);
        assert_eq!(pace.lanes(), LEAST);
        // However fast: never more than the most.
        for _ in 0..20 {
            pace.saw(pace.lanes(), Duration::from_micros(1), &SETTINGS);
        }
        assert_eq!(pace.lanes(), MOST);
    }
    #[test]
    fn parts_cover_every_item_once_and_canaries_none() {
        for (count, known, most) in [(0, 4, 3), (1, 4, 2), (100, 4, 1), (100, 0, 7), (1_000, 4, 64), (9, 4, 100)] {
            // Every third item was settled before.
            let items: Vec<usize> = (0..count).filter(|index| index % 3 != 1).collect();
            let canaries: Vec<usize> = (10..10 + known).collect();
            let chunk = Chunk::mix(items.clone(), &canaries, &mut Sampler::new().expect("random"));
            assert_eq!(chunk.len(), items.len() + known);
            let mut answers = vec![None; count];
            let mut met = Vec::new();
            for part in chunk.parts(&mut answers, most) {
                assert!(!part.lanes.is_empty() && part.lanes.len() <= most);
                for lane in part.lanes {
                    match chunk.place(lane) {
                        Place::Item(index) => part.answers[index - part.first] = Some(lane),
                        Place::Known(index) => met.push(index),
                    }
                }
            }
            assert_eq!(met, canaries);
            let answered = |index: &usize| answers[*index].is_some();
            assert!(items.iter().all(answered) && answers.iter().flatten().is_sorted());
            assert_eq!(answers.iter().flatten().count(), items.len());
        }
    }
}
