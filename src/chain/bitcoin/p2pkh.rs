//! Inputs that unlock pay-to-public-key-hash outputs: their signatures, as lanes of a batch.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use ripemd::Ripemd160;
use sha2::{Digest, Sha256};

use super::{Block, Transaction};
use crate::rules::Rules;
use crate::scheme::ecdsa::{KeyBytes, SignatureBytes, VerifyItem};
use crate::verdict::Reason;

/// The script of the output that pays to a key: `OP_DUP OP_HASH160`, a push of the key's hash, `OP_EQUALVERIFY OP_CHECKSIG`.
const SCRIPT: usize = 25;

/// An input that has the form of one that unlocks a pay-to-public-key-hash output.
#[derive(Clone, Copy, Debug)]
pub struct P2pkhInput {
    /// The transaction's place in the block, from 0.
    pub transaction: usize,
    /// The input's place in the transaction, from 0.
    pub input: usize,
    /// RIPEMD-160 of SHA-256 of the key. That the output which is spent pays to this hash is for whoever knows the output to check.
    pub key_hash: [u8; 20],
    /// The signature by the key, over the digest that consensus has it over if the output pays to the hash; or why it is none.
    pub item: Result<VerifyItem, Reason>,
}

/// The digests of a block's signatures would take more hashing than was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the signatures are over {bytes} bytes in all, and at most {limit} are to be hashed")]
pub struct TooMuchToHash {
    /// The bytes that they are over, at most.
    pub bytes: u64,
    /// The bytes that may be hashed.
    pub limit: u64,
}

impl Block<'_> {
    /// The inputs of all transactions that have the form of those which unlock pay-to-public-key-hash outputs, in order: two pushes, the
    /// second one a public key of 33 or 65 bytes.
    ///
    /// Nothing is said of other inputs, and whether such an output is spent is not to be seen in the block. Encodings are taken as
    /// leniently as consensus took them before BIP 66. Digests are hashed by the threads of the rayon pool that the caller is in, each
    /// over up to a whole transaction: what a block of [`MAX_WEIGHT`](super::MAX_WEIGHT) makes of that grows with the square of its
    /// size, to almost six gigabytes. An error, before anything is hashed, where it would be more than `limit` bytes.
    pub fn p2pkh_inputs(&self, limit: u64) -> Result<Vec<P2pkhInput>, TooMuchToHash> {
        let spends = self.transactions.iter().enumerate().filter(|(_, transaction)| !transaction.is_coinbase());
        let (mut forms, mut bytes) = (Vec::new(), 0_u64);
        for (place, transaction) in spends {
            let start = forms.len();
            forms.extend(transaction.inputs.iter().enumerate().filter_map(|(input, unlocking)| {
                let [signature, key] = two_pushes(unlocking.script_sig)?;
                is_key(key).then_some(Form { place, transaction, input, signature, key })
            }));
            let hash_types = forms[start..].iter().filter_map(|form| form.signature.last().copied());
            bytes = bytes.saturating_add(transaction.sighash_bytes(hash_types, SCRIPT));
        }
        if bytes > limit {
            return Err(TooMuchToHash { bytes, limit });
        }
        Ok(forms.par_iter().map(Form::read).collect())
    }
}

/// The two pushes of an input, the second one like a key.
struct Form<'a> {
    place: usize,
    transaction: &'a Transaction<'a>,
    input: usize,
    signature: &'a [u8],
    key: &'a [u8],
}

impl Form<'_> {
    fn read(&self) -> P2pkhInput {
        let key_hash = Ripemd160::digest(Sha256::digest(self.key)).into();
        P2pkhInput { transaction: self.place, input: self.input, key_hash, item: self.item(&key_hash) }
    }

    fn item(&self, key_hash: &[u8; 20]) -> Result<VerifyItem, Reason> {
        let rules = Rules::BitcoinConsensus;
        let key = KeyBytes::parse(self.key, rules)?;
        let (hash_type, signature) = self.signature.split_last().ok_or(Reason::SignatureEncoding)?;
        let signature = SignatureBytes::from_der_lax(signature)?;
        let mut item = VerifyItem { digest: [0; 32], signature, key, rules };
        // What is refused whatever it is over is not worth the hashing.
        item.check()?;
        // The signature itself, which consensus would remove, is not in the script: it would have to be the key's hash.
        let mut script = [0; SCRIPT];
        script[..3].copy_from_slice(&[0x76, 0xa9, 20]);
        script[3..23].copy_from_slice(key_hash);
        script[23..].copy_from_slice(&[0x88, 0xac]);
        // There is such an input, or there would be no form.
        let digest = self.transaction.legacy_sighash(self.input, &script, *hash_type);
        item.digest = digest.ok_or(Reason::Mismatch)?;
        Ok(item)
    }
}

/// Whether bytes have the length and the prefix of a key that consensus reads.
fn is_key(bytes: &[u8]) -> bool {
    matches!((bytes.len(), bytes.first()), (33, Some(2 | 3)) | (65, Some(4 | 6 | 7)))
}

/// What a script pushes, if it is two pushes and nothing else.
fn two_pushes(script: &[u8]) -> Option<[&[u8]; 2]> {
    let mut rest = script;
    let pushes = [push(&mut rest)?, push(&mut rest)?];
    rest.is_empty().then_some(pushes)
}

fn push<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (opcode, after) = rest.split_first()?;
    // The bytes that follow, or the bytes of their number: OP_PUSHDATA1, OP_PUSHDATA2, OP_PUSHDATA4.
    let (number, after) = match opcode {
        0..=75 => (usize::from(*opcode), after),
        76..=78 => {
            let (number, after) = after.split_at_checked(1 << (opcode - 76))?;
            (number.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)), after)
        }
        _ => return None,
    };
    let (pushed, after) = after.split_at_checked(number)?;
    *rest = after;
    Some(pushed)
}
