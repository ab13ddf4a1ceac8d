//! Reproducible draws: the same on every machine, whatever its word size and number of threads.

use alloy_primitives::{Address, keccak256};

/// A stream of pseudo-random numbers (`SplitMix64`; Steele, Lea and Flood, OOPSLA 2014). Good enough to choose who
/// pays whom; keys are never drawn from it.
#[derive(Debug)]
pub(super) struct Draw {
    state: u64,
}

impl Draw {
    /// The stream of one block.
    pub(super) fn new(seed: u64, block: u64) -> Self {
        let [seed, block] = [seed, block].map(u64::to_be_bytes);
        let digest = keccak256([b"phalanx workload block".as_slice(), &seed, &block].concat());
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        Self { state: u64::from_be_bytes([a, b, c, d, e, f, g, h]) }
    }

    /// Any number below `bound`, which is not zero. Bounds here are far below 2^64, so no number is noticeably likelier.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.word()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// Any place in a sequence of `length` places, which is not zero.
    pub(super) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// True once in `odds` times.
    pub(super) fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    /// An address that nobody has.
    pub(super) fn address(&mut self) -> Address {
        let mut address = [0; 24];
        address.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.word().to_be_bytes()));
        Address::from_slice(&address[..20])
    }

    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        let mut draw = Draw { state: 1_234_567 };
        let words = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(words.map(|_| draw.word()), words);
    }

    #[test]
    fn every_place_is_drawn_and_none_beyond() {
        let mut draw = Draw::new(1, 2);
        let mut seen = [0_u32; 7];
        (0..7_000).for_each(|_| seen[draw.place(7)] += 1);
        assert!(seen.iter().all(|times| (800..1_200).contains(times)), "{seen:?}");
    }
}
