//! SHA-256 and SHA-256d, two messages interleaved: a round of one fills the time that a round of the other waits for.

#[cfg(target_arch = "x86_64")]
mod sha_ni;

use super::{sha256, sha256d};

/// Bytes that a compression takes in.
const BLOCK: usize = 64;

/// How many messages SHA-256 takes at a time, and by which instructions. It exists only where the processor has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256Lanes(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Single,
    #[cfg(target_arch = "x86_64")]
    ShaNi(sha_ni::ShaNi),
}

impl Sha256Lanes {
    /// The fastest form that the processor has.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = sha_ni::ShaNi::detect() {
            return Self(Form::ShaNi(token));
        }
        Self(Form::Single)
    }

    /// Every form that the processor has. They give the same digests.
    #[must_use]
    pub fn forms() -> Vec<Self> {
        #[allow(unused_mut, reason = "on other processors there is one form")]
        let mut forms = vec![Self(Form::Single)];
        #[cfg(target_arch = "x86_64")]
        forms.extend(sha_ni::ShaNi::detect().map(|token| Self(Form::ShaNi(token))));
        forms
    }

    /// The form's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Form::Single => "sha2",
            #[cfg(target_arch = "x86_64")]
            Form::ShaNi(_) => "sha-ni, 2 lanes",
        }
    }

    /// SHA-256 of each message, of any length, into the digest at its index, on the calling thread.
    pub fn sha256_each(self, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
        match self.0 {
            Form::Single => {
                for (message, digest) in messages.iter().zip(digests) {
                    *digest = sha256(message);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Form::ShaNi(token) => pairs::each(token, Times::Once, messages, digests),
        }
    }

    /// SHA-256d of each message, of any length, into the digest at its index, on the calling thread.
    pub fn sha256d_each(self, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
        match self.0 {
            Form::Single => {
                for (message, digest) in messages.iter().zip(digests) {
                    *digest = sha256d(message);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Form::ShaNi(token) => pairs::each(token, Times::Twice, messages, digests),
        }
    }

    /// Bitcoin's Merkle nodes: SHA-256d of left and right child, into the parent at the pair's index.
    pub fn sha256d_of_pairs(self, pairs: &[[[u8; 32]; 2]], parents: &mut [[u8; 32]]) {
        match self.0 {
            Form::Single => {
                for (pair, parent) in pairs.iter().zip(parents) {
                    *parent = sha256d(pair.as_flattened());
                }
            }
            #[cfg(target_arch = "x86_64")]
            Form::ShaNi(token) => token.sha256d_of_pairs(pairs, parents),
        }
    }

    /// SHA-256 of a byte, left and right child, into the parent at the pair's index: nodes of a tree whose leaves are
    /// hashed under another prefix.
    pub fn sha256_of_prefixed_pairs(self, prefix: u8, pairs: &[[[u8; 32]; 2]], parents: &mut [[u8; 32]]) {
        match self.0 {
            Form::Single => {
                for ([left, right], parent) in pairs.iter().zip(parents) {
                    let mut message = [prefix; 65];
                    message[1..33].copy_from_slice(left);
                    message[33..].copy_from_slice(right);
                    *parent = sha256(&message);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Form::ShaNi(token) => token.sha256_of_prefixed_pairs(prefix, pairs, parents),
        }
    }
}

/// SHA-256 or SHA-256d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    Twice,
}

/// Pairs of messages and their padding.
#[cfg(target_arch = "x86_64")]
mod pairs {
    use super::sha_ni::ShaNi;
    use super::{BLOCK, Times, sha256, sha256d};
    use crate::cpu::hash::group::hash_in_lanes;

    pub(super) fn each(token: ShaNi, times: Times, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
        let alone = match times {
            Times::Once => sha256,
            Times::Twice => sha256d,
        };
        hash_in_lanes(messages, digests, blocks, |pair| token.digest(times, pair.map(Padded::new)), alone);
    }

    /// How many blocks a message takes with its padding.
    fn blocks(message: &[u8]) -> usize {
        (message.len() + 8) / BLOCK + 1
    }

    /// A message with its padding (FIPS 180-4, 5.1.1): a one bit, zeros, and the message's length in bits.
    pub(super) struct Padded<'a> {
        whole: &'a [[u8; BLOCK]],
        /// The blocks after those; the second is the last.
        last: [[u8; BLOCK]; 2],
        len: usize,
    }

    impl<'a> Padded<'a> {
        pub(super) fn new(message: &'a [u8]) -> Self {
            let (whole, rest) = message.as_chunks();
            let len = blocks(message);
            let mut last = [[0; BLOCK]; 2];
            let padding = &mut last.as_flattened_mut()[BLOCK * (2 - (len - whole.len()))..];
            padding[..rest.len()].copy_from_slice(rest);
            padding[rest.len()] = 0x80;
            // 64 bits, of which a message in memory fills no more.
            last[1][BLOCK - 8..].copy_from_slice(&(message.len() as u64).wrapping_mul(8).to_be_bytes());
            Self { whole, last, len }
        }

        /// How many blocks there are.
        pub(super) fn len(&self) -> usize {
            self.len
        }

        /// The block at an index; from the last one on, the last.
        pub(super) fn block(&self, index: usize) -> &[u8; BLOCK] {
            self.whole.get(index).unwrap_or_else(|| &self.last[usize::from(index + 1 >= self.len)])
        }
    }
}
