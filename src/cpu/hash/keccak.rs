//! Keccak-256 (the original padding), a message in each lane of a vector: the permutation Keccak-f[1600] works on 64-bit
//! words alone, so that every lane takes the same steps.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod permutation;

use super::keccak256;

/// Bytes that a permutation takes in: 1,600 bits less twice the digest's.
const RATE: usize = 136;

/// The states of `N` messages: word `i` of each, for each of the 25.
type States<const N: usize> = [[u64; N]; 25];

/// How many messages Keccak-256 takes at a time, and by which instructions. It exists only where the processor has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeccakLanes(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Single,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
}

impl KeccakLanes {
    /// The widest form that the processor has.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(token) = avx512::Avx512::detect() {
                return Self(Form::Avx512(token));
            }
            if let Some(token) = avx2::Avx2::detect() {
                return Self(Form::Avx2(token));
            }
        }
        Self(Form::Single)
    }

    /// Every form that the processor has. They give the same digests.
    #[must_use]
    pub fn forms() -> Vec<Self> {
        #[allow(unused_mut, reason = "on other processors there is one form")]
        let mut forms = vec![Self(Form::Single)];
        #[cfg(target_arch = "x86_64")]
        {
            forms.extend(avx2::Avx2::detect().map(|token| Self(Form::Avx2(token))));
            forms.extend(avx512::Avx512::detect().map(|token| Self(Form::Avx512(token))));
        }
        forms
    }

    /// The form's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Form::Single => "sha3",
            #[cfg(target_arch = "x86_64")]
            Form::Avx2(_) => "avx2, 4 lanes",
            #[cfg(target_arch = "x86_64")]
            Form::Avx512(_) => "avx512, 8 lanes",
        }
    }

    /// Keccak-256 of each message, of any length, into the digest at its index, on the calling thread.
    pub fn keccak256_each(self, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
        match self.0 {
            Form::Single => {
                for (message, digest) in messages.iter().zip(digests) {
                    *digest = keccak256(message);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Form::Avx2(token) => lanes::each(messages, digests, |states, blocks| token.absorb(states, blocks)),
            #[cfg(target_arch = "x86_64")]
            Form::Avx512(token) => lanes::each(messages, digests, |states, blocks| token.absorb(states, blocks)),
        }
    }

    /// Keccak-256 of each public key, x and y of 32 bytes, into the digest at its index, on the calling thread.
    pub fn keccak256_of_keys(self, keys: &[[u8; 64]], digests: &mut [[u8; 32]]) {
        match self.0 {
            Form::Single => {
                for (key, digest) in keys.iter().zip(digests) {
                    *digest = keccak256(key);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Form::Avx2(token) => lanes::of_keys(keys, digests, |states, blocks| token.absorb(states, blocks)),
            #[cfg(target_arch = "x86_64")]
            Form::Avx512(token) => lanes::of_keys(keys, digests, |states, blocks| token.absorb(states, blocks)),
        }
    }
}

/// The sponge over `N` lanes; `absorb` takes a block into each state and permutes them.
#[cfg(target_arch = "x86_64")]
mod lanes {
    use super::super::group::hash_in_lanes;
    use super::{RATE, States, keccak256};

    pub(super) fn each<const N: usize>(
        messages: &[&[u8]],
        digests: &mut [[u8; 32]],
        absorb: impl Fn(&mut States<N>, [&[u8; RATE]; N]) + Copy,
    ) {
        hash_in_lanes(messages, digests, blocks, |messages| digest(messages, absorb), keccak256);
    }

    pub(super) fn of_keys<const N: usize>(
        keys: &[[u8; 64]],
        digests: &mut [[u8; 32]],
        absorb: impl Fn(&mut States<N>, [&[u8; RATE]; N]),
    ) {
        let mut blocks = [[0; RATE]; N];
        for block in &mut blocks {
            pad(block, &[0; 64]);
        }
        for (keys, digests) in keys.chunks(N).zip(digests.chunks_mut(N)) {
            for (block, key) in blocks.iter_mut().zip(keys) {
                block[..64].copy_from_slice(key);
            }
            let mut states = [[0; N]; 25];
            absorb(&mut states, blocks.each_ref());
            for (lane, digest) in digests.iter_mut().enumerate().take(keys.len()) {
                *digest = squeeze(&states, lane);
            }
        }
    }

    /// The digests of `N` messages, of any lengths.
    fn digest<const N: usize>(
        messages: [&[u8]; N],
        absorb: impl Fn(&mut States<N>, [&[u8; RATE]; N]),
    ) -> [[u8; 32]; N] {
        let whole = messages.map(|message| message.as_chunks().0);
        let mut last = [[0; RATE]; N];
        for (block, message) in last.iter_mut().zip(messages) {
            pad(block, message.as_chunks::<RATE>().1);
        }
        let shortest = whole.iter().map(|blocks| blocks.len()).min().unwrap_or_default();
        let longest = whole.iter().map(|blocks| blocks.len()).max().unwrap_or_default();
        let mut states = [[0; N]; 25];
        let mut digests = [[0; 32]; N];
        for index in 0..=longest {
            // A lane whose message has ended goes on with its last block; nothing reads what becomes of it.
            absorb(&mut states, std::array::from_fn(|lane| whole[lane].get(index).unwrap_or(&last[lane])));
            if index >= shortest {
                for (lane, digest) in digests.iter_mut().enumerate().filter(|(lane, _)| whole[*lane].len() == index) {
                    *digest = squeeze(&states, lane);
                }
            }
        }
        digests
    }

    /// How many blocks a message takes with its padding.
    fn blocks(message: &[u8]) -> usize {
        message.len() / RATE + 1
    }

    /// Fills a zeroed block with what is left of a message, less than a block, and with the padding 10*1 in Keccak's order
    /// of bits.
    fn pad(block: &mut [u8; RATE], rest: &[u8]) {
        block[..rest.len()].copy_from_slice(rest);
        block[rest.len()] = 0x01;
        block[RATE - 1] |= 0x80;
    }

    /// The first four words of a state.
    fn squeeze<const N: usize>(states: &States<N>, lane: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        for (bytes, words) in digest.as_chunks_mut().0.iter_mut().zip(states) {
            *bytes = words[lane].to_le_bytes();
        }
        digest
    }
}
