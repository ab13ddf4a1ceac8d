//! A deterministic stream of choices: the same seed draws the same values on every machine.

use sha2::{Digest, Sha256};

/// SHA-256 of a seed and a counter, read block by block.
pub(crate) struct Stream {
    seed: &'static str,
    counter: u64,
}

impl Stream {
    pub(crate) fn new(seed: &'static str) -> Self {
        Self::at(seed, 0)
    }

    /// The `index`th of many streams with one seed, for values that are drawn in parallel.
    pub(crate) fn at(seed: &'static str, index: u32) -> Self {
        Self { seed, counter: u64::from(index) << 32 }
    }

    /// 32 bytes, uniform.
    pub(crate) fn block(&mut self) -> [u8; 32] {
        self.counter += 1;
        Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize().into()
    }

    /// A number below `limit`, which must not be zero; its bias is below 2^-32 for any limit drawn in a test.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let [a, b, c, d, e, f, g, h, ..] = self.block();
        let drawn = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % limit as u64;
        usize::try_from(drawn).expect("below a usize")
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
