//! What makes up a dispatch: how many lanes, which of them canaries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::sample::Sampler;
use super::{Settings, Worker};
use crate::gpu::driver::Spec;
use crate::gpu::program::{HEADER_WORDS, Program};

/// Lanes of the first chunk, before anything was measured.
const FIRST: usize = 1_024;

/// Lanes below which a chunk does not shrink.
const LEAST: usize = 64;

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
            self.lanes.store(now.saturating_mul(2).min(1 << 30), Ordering::Relaxed);
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

/// The lanes of one dispatch.
#[derive(Debug)]
pub(super) struct Chunk<'a, P: Program> {
    pub(super) lanes: Vec<P::Item<'a>>,
    pub(super) places: Vec<Place>,
    pub(super) nonce: u32,
}

impl<'a, P: Program> Chunk<'a, P> {
    /// Puts known answers among items, at random places.
    pub(super) fn mix(items: Vec<(usize, P::Item<'a>)>, known: &[(usize, P::Item<'a>)], sampler: &mut Sampler) -> Self {
        let count = items.len() + known.len();
        let mut canaries = sampler.distinct(known.len(), count).into_iter().zip(known).peekable();
        let mut items = items.into_iter();
        let (mut lanes, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for lane in 0..count {
            let canary =
                canaries.next_if(|(at, _)| *at == lane).map(|(_, (index, item))| (Place::Known(*index), *item));
            let item = || items.next().map(|(index, item)| (Place::Item(index), item));
            if let Some((place, item)) = canary.or_else(item) {
                places.push(place);
                lanes.push(item);
            }
        }
        Self { lanes, places, nonce: sampler.word() }
    }

    /// The input of its dispatch, header and all.
    pub(super) fn pack(&self, program: &P) -> Vec<u32> {
        let words: usize = self.lanes.iter().map(|item| program.input_words(item)).sum();
        let mut input = vec![0; HEADER_WORDS + words];
        let (header, packed) = input.split_at_mut(HEADER_WORDS);
        header[0] = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        header[1] = self.nonce;
        program.pack(&self.lanes, packed);
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
    }
}
