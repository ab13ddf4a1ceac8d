//! Bitcoin blocks, as they are sent and stored: header, transactions, and the hashes that bind them.
//!
//! [`Block::decode`] takes bytes from anyone: it refuses what is not exactly one block, and allocates no more than a
//! small multiple of what it is given. [`Block::check`] then says, check by check, whether the hashes hold, and
//! [`Block::p2pkh_inputs`] gives the signatures that can be checked without the outputs that the block spends.
//!
//! A decoded block borrows its scripts and witnesses from the bytes. Hashes are in the order in which they are hashed
//! and sent; explorers show them reversed.

mod check;
mod decode;
mod p2pkh;
mod sighash;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::batch::MessageBatch;
use crate::cpu::{hash_each, sha256d};
use crate::scheme::hash::HashFunction;

pub use check::{Checks, Fault, Segwit};
pub use decode::{DecodeError, Field, Malformation};
pub use p2pkh::{P2pkhInput, TooMuchToHash};

/// The largest weight of a block (BIP 141), and so the largest number of its bytes.
pub const MAX_WEIGHT: usize = 4_000_000;

/// Transactions a thread hashes at a time.
const TRANSACTIONS_PER_TASK: usize = 32;

/// A block: a header and at least one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    header: Header,
    transactions: Vec<Transaction<'a>>,
    weight: usize,
}

impl<'a> Block<'a> {
    /// Decodes the bytes of one block, no more and no fewer, with or without witnesses.
    ///
    /// Every length must be in its shortest form, every transaction needs an input and an output, and the weight may be
    /// at most [`MAX_WEIGHT`]. The error says which transaction, which field and which byte.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        decode::block(bytes)
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The transactions, at least one.
    #[must_use]
    pub fn transactions(&self) -> &[Transaction<'a>] {
        &self.transactions
    }

    /// Three times the bytes without witnesses, plus all bytes (BIP 141).
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// The id of every transaction, hashed by the threads of the rayon pool that the caller is in.
    #[must_use]
    pub fn txids(&self) -> Vec<[u8; 32]> {
        let mut txids = vec![[0; 32]; self.transactions.len()];
        let tasks =
            txids.par_chunks_mut(TRANSACTIONS_PER_TASK).zip(self.transactions.par_chunks(TRANSACTIONS_PER_TASK));
        tasks.for_each(|(txids, transactions)| {
            let mut stripped = MessageBatch::default();
            for transaction in transactions {
                stripped.push_with(|bytes| transaction.write_stripped(bytes));
            }
            hash_each(HashFunction::Sha256d, &stripped.iter_from(0).collect::<Vec<_>>(), txids);
        });
        txids
    }

    /// The height that the coinbase claims (BIP 34); `None` in version 1 blocks, which claim none.
    ///
    /// The rules demand the true height from mainnet's 227,931 on. Nothing here checks it against a chain.
    #[must_use]
    pub fn claimed_height(&self) -> Option<u32> {
        let [length @ 1..=4, push @ ..] = self.transactions.first()?.inputs.first()?.script_sig else { return None };
        let little_endian = push.get(..usize::from(*length)).filter(|_| self.header.version >= 2)?;
        Some(little_endian.iter().rev().fold(0, |height, byte| height << 8 | u32::from(*byte)))
    }

    /// Checks proof of work, the coinbase's place and every root. Its work is the hashing, done by the threads of the
    /// rayon pool that the caller is in.
    pub fn check(&self, segwit: Segwit) -> Checks {
        check::block(self, segwit)
    }
}

/// A block's first 80 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The block version, or the bits that signal for soft forks (BIP 9).
    pub version: i32,
    /// The hash of the block before.
    pub previous_block: [u8; 32],
    /// The root over the transaction ids.
    pub merkle_root: [u8; 32],
    /// Seconds since 1970, as the miner claims.
    pub time: u32,
    /// The target in its compact form.
    pub bits: u32,
    /// What the miner searched with.
    pub nonce: u32,
}

impl Header {
    /// The length in bytes.
    pub const LENGTH: usize = 80;

    /// The header as it is sent and hashed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(&self.previous_block);
        bytes[36..68].copy_from_slice(&self.merkle_root);
        bytes[68..72].copy_from_slice(&self.time.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.bits.to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    /// The block's hash: SHA-256d of the header.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256d(&self.to_bytes())
    }

    /// The number that the block's hash may not exceed, little-endian like the hash; `None` where `bits` name zero, a
    /// negative number or one of more than 256 bits.
    #[must_use]
    pub fn target(&self) -> Option<[u8; 32]> {
        // A floating-point form to base 256: the exponent, then a mantissa of 23 bits and a sign before it.
        let [exponent, mantissa @ ..] = self.bits.to_be_bytes();
        if mantissa[0] & 0x80 != 0 {
            return None;
        }
        let mut target = [0; 32];
        for (digit, place) in mantissa.into_iter().zip((0..exponent).rev()).filter(|(digit, _)| *digit != 0) {
            *target.get_mut(usize::from(place))? = digit;
        }
        (target != [0; 32]).then_some(target)
    }
}

/// A transaction: at least one input and one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    version: u32,
    inputs: Vec<Input<'a>>,
    outputs: Vec<Output<'a>>,
    lock_time: u32,
    /// The whole transaction as it was sent.
    bytes: &'a [u8],
    /// Of that, the inputs and outputs with their counts.
    inputs_and_outputs: &'a [u8],
}

impl<'a> Transaction<'a> {
    /// The version; it enables BIP 68 from 2 on.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The inputs, at least one.
    #[must_use]
    pub fn inputs(&self) -> &[Input<'a>] {
        &self.inputs
    }

    /// The outputs, at least one.
    #[must_use]
    pub fn outputs(&self) -> &[Output<'a>] {
        &self.outputs
    }

    /// The height, or from 500,000,000 on the time, before which no block may have it.
    #[must_use]
    pub fn lock_time(&self) -> u32 {
        self.lock_time
    }

    /// The transaction as it was sent, witnesses included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether any input has a witness.
    #[must_use]
    pub fn has_witness(&self) -> bool {
        self.inputs.iter().any(|input| !input.witness.is_empty())
    }

    /// Whether this makes new coins: one input, and that of no output.
    #[must_use]
    pub fn is_coinbase(&self) -> bool {
        matches!(&self.inputs[..], [input] if input.previous_output == OutPoint::NULL)
    }

    /// The transaction id: SHA-256d of the form without witnesses.
    #[must_use]
    pub fn txid(&self) -> [u8; 32] {
        let mut stripped = Vec::with_capacity(self.inputs_and_outputs.len() + 8);
        self.write_stripped(&mut stripped);
        sha256d(&stripped)
    }

    /// Appends the form without witnesses.
    fn write_stripped(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(self.inputs_and_outputs);
        bytes.extend_from_slice(&self.lock_time.to_le_bytes());
    }

    /// The witness transaction id: SHA-256d of the form with witnesses, the transaction id where there are none.
    #[must_use]
    pub fn wtxid(&self) -> [u8; 32] {
        sha256d(self.bytes)
    }

    /// The length in bytes of what only the form with witnesses has: marker, flag and the witnesses.
    fn witness_length(&self) -> usize {
        self.bytes.len() - self.inputs_and_outputs.len() - 8
    }
}

/// What spends an earlier output, or in a coinbase, what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Input<'a> {
    /// The output that is spent.
    pub previous_output: OutPoint,
    /// The script that unlocks it, before segwit.
    pub script_sig: &'a [u8],
    /// The sequence number: replacement and relative lock times.
    pub sequence: u32,
    /// The witness, which unlocks it from segwit on.
    pub witness: Witness<'a>,
}

/// An output of an earlier transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutPoint {
    /// The id of that transaction.
    pub txid: [u8; 32],
    /// The output's place in it, from 0.
    pub index: u32,
}

impl OutPoint {
    /// What a coinbase spends.
    pub const NULL: Self = Self { txid: [0; 32], index: u32::MAX };
}

/// Coins, and the script that locks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Output<'a> {
    /// In satoshis, as sent: nothing here bounds it by the supply.
    pub value: u64,
    /// The script that locks it.
    pub script_pubkey: &'a [u8],
}

/// An input's witness: a stack of byte strings, bottom first, kept as it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witness<'a> {
    len: usize,
    /// The items, each after its length; decoding has walked them once.
    items: &'a [u8],
}

impl<'a> Witness<'a> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items, bottom first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        decode::witness_items(self.items)
    }
}
