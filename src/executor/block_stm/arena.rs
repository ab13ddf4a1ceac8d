//! Room for values that stay where they are put until all are dropped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The values in the first segment; each further segment has room for as many as all before it.
const FIRST_SEGMENT: usize = 128;

/// An append-only sequence that threads add to while others read; a reference into it lasts as long as it does.
#[derive(Debug)]
pub(super) struct Arena<T> {
    length: Length,
    segments: [OnceLock<Box<[OnceLock<T>]>>; 26],
}

/// Has a cache line of its own: what lies beside it is only read, and all the time.
#[derive(Debug)]
#[repr(align(64))]
struct Length(AtomicUsize);

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { length: Length(AtomicUsize::new(0)), segments: [const { OnceLock::new() }; 26] }
    }
}

impl<T> Arena<T> {
    /// Adds a value, made from its index, and returns the index.
    pub(super) fn push_with(&self, value: impl FnOnce(usize) -> T) -> usize {
        let index = self.length.0.fetch_add(1, Ordering::Relaxed);
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

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.length.0.load(Ordering::Relaxed)
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
        assert_eq!(arena.len(), 20_000);
        let mut all: Vec<_> = (0..arena.len()).filter_map(|index| arena.get(index).copied()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
        assert_eq!(arena.get(20_000), None);
        assert_eq!(
            [0, 127, 128, 255, 256, 511, 512].map(split),
            [(0, 0), (0, 127), (1, 0), (1, 127), (2, 0), (2, 255), (3, 0)]
        );
    }
}
