//! Room for values that stay where they are put until all are dropped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The values in the first segment; each further segment has room for as many as all before it.
const FIRST_SEGMENT: usize = 128;

/// Indices that a thread takes at a time, so that neighbours are one thread's: it takes no lines from others' caches for each value.
const TAKEN_AT_ONCE: usize = 16;

/// How many threads take indices each for itself; where there are more, some share.
const TAKERS: usize = 16;

/// An append-only sequence that threads add to while others read; a reference into it lasts as long as it does. Some indices lead to
/// no value: those that were taken and not needed.
#[derive(Debug)]
pub(super) struct Arena<T> {
    /// How many indices were taken.
    taken: Line<AtomicUsize>,
    takers: [Line<Taker>; TAKERS],
    segments: [OnceLock<Box<[OnceLock<T>]>>; 26],
}

/// Has a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line<T>(T);

/// The next index that a thread has taken. At a multiple of [`TAKEN_AT_ONCE`] it has none left.
type Taker = AtomicUsize;

thread_local! {
    /// The number of this thread among all that ever took indices.
    static THREAD: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self {
            taken: Line::default(),
            takers: std::array::from_fn(|_| Line::default()),
            segments: [const { OnceLock::new() }; 26],
        }
    }
}

impl<T> Arena<T> {
    /// Adds a value, made from its index, and returns the index.
    pub(super) fn push_with(&self, value: impl FnOnce(usize) -> T) -> usize {
        let index = self.take();
        let (segment, place) = split(index);
        let slots = self.segments[segment].get_or_init(|| {
            let length = if segment == 0 { FIRST_SEGMENT } else { FIRST_SEGMENT << (segment - 1) };
            std::iter::repeat_with(OnceLock::new).take(length).collect()
        });
        // Nobody else was given this index.
        let _ = slots[place].set(value(index));
        index
    }

    /// The value at an index.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let (segment, place) = split(index);
        self.segments.get(segment)?.get()?.get(place)?.get()
    }

    /// What every index is below.
    pub(super) fn len(&self) -> usize {
        self.taken.0.load(Ordering::Relaxed)
    }

    /// An index that nobody else is given.
    fn take(&self) -> usize {
        let taker = &self.takers[THREAD.with(|thread| thread % TAKERS)].0;
        let next = taker.load(Ordering::Relaxed);
        if !next.is_multiple_of(TAKEN_AT_ONCE)
            && taker.compare_exchange(next, next + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            return next;
        }
        let first = self.taken.0.fetch_add(TAKEN_AT_ONCE, Ordering::Relaxed);
        // Where another thread shares the taker, what one of the two leaves in it is lost.
        taker.store(first + 1, Ordering::Relaxed);
        first
    }
}

/// The segment that an index is in, and its place there.
fn split(index: usize) -> (usize, usize) {
    if index < FIRST_SEGMENT {
        return (0, index);
    }
    let segment = (index / FIRST_SEGMENT).ilog2() as usize + 1;
    (segment, index - (FIRST_SEGMENT << (segment - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_leads_to_its_value() {
        let arena = Arena::default();
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let arena = &arena;
                scope.spawn(move || {
                    for step in 0..5_000 {
                        let value = (thread, step);
                        assert_eq!(arena.get(arena.push_with(|_| value)), Some(&value));
                    }
                });
            }
        });
        assert!((20_000..20_000 + 4 * TAKEN_AT_ONCE).contains(&arena.len()));
        let mut all: Vec<_> = (0..arena.len()).filter_map(|index| arena.get(index).copied()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
        assert_eq!(arena.get(arena.len()), None);
        assert_eq!(
            [0, 127, 128, 255, 256, 511, 512].map(split),
            [(0, 0), (0, 127), (1, 0), (1, 127), (2, 0), (2, 255), (3, 0)]
        );
    }
}
