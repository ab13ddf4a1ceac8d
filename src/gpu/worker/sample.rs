//! Choices that nobody outside can foresee: which lanes a dispatch's canaries take, which refusals are checked again.

use crate::gpu::error::Fault;

/// Random numbers from a seed of the system's, a new one for each chunk. No secrets are made of them.
#[derive(Debug)]
pub(super) struct Sampler {
    state: u64,
}

impl Sampler {
    pub(super) fn new() -> Result<Self, Fault> {
        getrandom::u64().map(|state| Self { state }).map_err(|error| Fault::NoRandomness(error.to_string()))
    }

    /// 32 random bits (`SplitMix64`, Steele, Lea and Flood 2014; the upper half).
    pub(super) fn word(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 32) as u32
    }

    /// `count` different numbers below `bound`, rising; all of them where there are no more.
    ///
    /// Takes each number with the probability that is left for it (Knuth, algorithm S).
    pub(super) fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(count.min(bound));
        for number in 0..bound {
            let (wanted, left) = ((count - chosen.len()) as u64, (bound - number) as u64);
            if wanted == 0 {
                break;
            }
            // A number of 32 bits below `left`, which 32 bits hold: the bias is below one in 2^32 / left.
            if (u64::from(self.word()) * left) >> 32 < wanted {
                chosen.push(number);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_distinct_in_order_and_of_the_size_asked_for() {
        let mut sampler = Sampler { state: 1 };
        for (count, bound) in [(0, 0), (0, 5), (1, 1), (3, 3), (4, 5), (7, 3), (4, 1_000)] {
            let sample = sampler.distinct(count, bound);
            assert_eq!(sample.len(), count.min(bound), "{count} of {bound}");
            assert!(sample.is_sorted_by(|a, b| a < b) && sample.iter().all(|number| *number < bound), "{sample:?}");
        }
    }

    #[test]
    fn every_number_is_chosen_about_equally_often() {
        let mut sampler = Sampler { state: 2 };
        let mut hits = [0_u32; 10];
        for _ in 0..10_000 {
            for number in sampler.distinct(3, 10) {
                hits[number] += 1;
            }
        }
        assert!(hits.iter().all(|hits| (2_700..3_300).contains(hits)), "{hits:?}");
    }

    #[test]
    fn seeds_differ() {
        let words: std::collections::HashSet<_> = (0..8).map(|_| Sampler::new().expect("random").word()).collect();
        assert!(words.len() > 6, "{words:?}");
    }
}
