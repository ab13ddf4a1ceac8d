//! The threads that prepare what a device is given and check what it gives: a large GPU answers faster than one thread packs.
//!
//! They are not those of the CPU backend, which may be answering its own share of the same batch, and would leave the device waiting.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::error::Fault;

/// Lanes that a thread takes at a time.
pub(super) const LANES_AT_ONCE: usize = 1_024;

/// The most threads that feed one device: more gain an H200 little (`gpu-feeding-h200` among the records).
const MOST: usize = 8;

/// How many threads should feed a GPU here: half of the cores, none where there are few.
pub(super) fn feeders() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2).min(MOST)
}

/// Some threads, or the caller's alone.
#[derive(Debug)]
pub(super) struct Team(Option<ThreadPool>);

impl Team {
    /// Whoever calls works by itself.
    pub(super) const ALONE: Self = Self(None);

    /// So many threads; fewer than two are none.
    pub(super) fn of(threads: usize) -> Result<Self, Fault> {
        if threads < 2 {
            return Ok(Self::ALONE);
        }
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("phalanx-feed-{index}"));
        let failed = |problem: String| Fault::Driver { doing: "starting the threads that feed it".to_owned(), problem };
        pool.build().map(|pool| Self(Some(pool))).map_err(|error| failed(error.to_string()))
    }

    /// Whether there are no threads but the caller's.
    pub(super) const fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// Does every part, and gives what each came to, in order.
    pub(super) fn each<T: Send, R: Send>(&self, parts: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
        match &self.0 {
            Some(pool) if parts.len() > 1 => pool.install(|| parts.into_par_iter().map(work).collect()),
            _ => parts.into_iter().map(work).collect(),
        }
    }

    /// Fills the words of every lane, `words_per_lane` each.
    pub(super) fn fill(
        &self,
        words: &mut [u32],
        words_per_lane: usize,
        fill: impl Fn(usize, &mut [u32]) + Send + Sync,
    ) {
        let parts = words.chunks_mut(LANES_AT_ONCE * words_per_lane).enumerate().collect();
        self.each(parts, |(part, words): (usize, &mut [u32])| {
            for (lane, words) in words.chunks_exact_mut(words_per_lane).enumerate() {
                fill(part * LANES_AT_ONCE + lane, words);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_done_in_order_by_any_number_of_threads() {
        for threads in [0, 1, 2, 3] {
            let team = Team::of(threads).expect("threads start");
            assert_eq!(
                team.each((0..1_000).collect(), |part: usize| part * 2),
                (0..1_000).map(|part| part * 2).collect::<Vec<_>>()
            );
            assert!(team.each(Vec::<u8>::new(), |part| part).is_empty());
            for lanes in [0, 1, LANES_AT_ONCE - 1, LANES_AT_ONCE, 3 * LANES_AT_ONCE + 1] {
                let mut words = vec![0; 3 * lanes];
                team.fill(&mut words, 3, |lane, words| words.fill(u32::try_from(lane).expect("few") + 1));
                assert!(words.iter().enumerate().all(|(at, word)| *word as usize == at / 3 + 1));
            }
        }
    }
}
