//! Whether a block's hashes hold.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::{Block, Header, TRANSACTIONS_PER_TASK, Transaction};
use crate::cpu::{hash_each, sha256d};
use crate::merkle::bitcoin::root;
use crate::scheme::hash::HashFunction;

/// How the script of a witness commitment begins: `OP_RETURN`, a push of 36 bytes, and BIP 141's tag.
const COMMITMENT_PREFIX: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Whether BIP 141 governs a block: the block's height decides, which its bytes alone do not prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segwit {
    /// Not yet: an output that looks like a commitment means nothing, and a witness is a fault.
    Inactive,
    /// The witnesses must match the coinbase's commitment, and without one there may be none.
    Active,
}

impl Segwit {
    /// Whether it is active at a height of mainnet, where it is from 481,824 on.
    #[must_use]
    pub fn on_mainnet(height: u32) -> Self {
        if height >= 481_824 { Self::Active } else { Self::Inactive }
    }
}

/// What each check of a block found. All are made, whatever the others find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Checks {
    /// Whether the block's hash meets the target that its own header states. Whether that is the target due at its
    /// height is for the chain to say.
    pub proof_of_work: Result<(), Fault>,
    /// Whether the first transaction is a coinbase, and no other. It is also what keeps inner nodes of the tree, 64
    /// bytes each, from being passed off as the transactions (CVE-2017-12842).
    pub coinbase: Result<(), Fault>,
    /// Whether the header's Merkle root is that of the transactions.
    pub merkle_root: Result<(), Fault>,
    /// Whether no shorter list has this Merkle root (CVE-2012-2459). A block that fails may be the disguise of a valid
    /// one with the same hash: refuse the bytes, but do not mark the hash as invalid.
    pub unmutated: Result<(), Fault>,
    /// The commitment that the witnesses match, or `None` where there is none and none is needed.
    pub witness_commitment: Result<Option<[u8; 32]>, Fault>,
}

impl Checks {
    /// What is wrong, in the order of the fields; nothing where every check holds.
    pub fn faults(&self) -> impl Iterator<Item = Fault> + use<> {
        let Self { proof_of_work, coinbase, merkle_root, unmutated, witness_commitment } = *self;
        [proof_of_work, coinbase, merkle_root, unmutated, witness_commitment.map(drop)]
            .into_iter()
            .filter_map(Result::err)
    }

    /// Whether every check holds.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.faults().next().is_none()
    }
}

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The header's bits name no target.
    #[error("the bits {bits:#010x} name no target")]
    NoTarget {
        /// The compact form.
        bits: u32,
    },
    /// The block's hash is above the target.
    #[error("the block's hash is above its target")]
    AboveTarget,
    /// The first transaction is no coinbase.
    #[error("the first transaction is no coinbase")]
    NoCoinbase,
    /// A transaction after the first is a coinbase.
    #[error("transaction {transaction} is a second coinbase")]
    SecondCoinbase {
        /// Its place in the block, from 0.
        transaction: usize,
    },
    /// The header's Merkle root is not that of the transactions.
    #[error("the header's Merkle root is not that of the transactions")]
    MerkleRoot {
        /// The root of the transactions.
        computed: [u8; 32],
    },
    /// The list of transactions repeats its end, and a shorter one has the same root.
    #[error("the transactions repeat so that a shorter list has the same Merkle root")]
    Mutated,
    /// A transaction has a witness, and nothing commits to it.
    #[error("transaction {transaction} has a witness without a commitment in the coinbase")]
    UncommittedWitness {
        /// Its place in the block, from 0.
        transaction: usize,
    },
    /// The coinbase's witness is not the one item of 32 bytes that goes into the commitment.
    #[error("the coinbase's witness is not one reserved value of 32 bytes")]
    ReservedValue,
    /// The coinbase's commitment is not that of the witnesses.
    #[error("the coinbase's commitment is not that of the witnesses")]
    WitnessCommitment {
        /// The commitment of the witnesses.
        computed: [u8; 32],
    },
}

pub(super) fn block(block: &Block<'_>, segwit: Segwit) -> Checks {
    let txids = block.txids();
    let root = root(&txids);
    Checks {
        proof_of_work: proof_of_work(&block.header),
        coinbase: coinbase(&block.transactions),
        merkle_root: if root.hash == block.header.merkle_root {
            Ok(())
        } else {
            Err(Fault::MerkleRoot { computed: root.hash })
        },
        unmutated: if root.mutated { Err(Fault::Mutated) } else { Ok(()) },
        witness_commitment: witness_commitment(&block.transactions, &txids, segwit),
    }
}

fn proof_of_work(header: &Header) -> Result<(), Fault> {
    let target = header.target().ok_or(Fault::NoTarget { bits: header.bits })?;
    let hash = header.hash();
    if hash.iter().rev().le(target.iter().rev()) { Ok(()) } else { Err(Fault::AboveTarget) }
}

fn coinbase(transactions: &[Transaction<'_>]) -> Result<(), Fault> {
    if !transactions.first().is_some_and(Transaction::is_coinbase) {
        return Err(Fault::NoCoinbase);
    }
    match transactions.iter().skip(1).position(Transaction::is_coinbase) {
        None => Ok(()),
        Some(after_first) => Err(Fault::SecondCoinbase { transaction: after_first + 1 }),
    }
}

/// The commitment structure of BIP 141: SHA-256d of the witness root and the reserved value.
fn witness_commitment(
    transactions: &[Transaction<'_>],
    txids: &[[u8; 32]],
    segwit: Segwit,
) -> Result<Option<[u8; 32]>, Fault> {
    let coinbase = transactions.first().filter(|_| segwit == Segwit::Active);
    let Some((coinbase, stated)) = coinbase.and_then(|coinbase| Some((coinbase, stated_commitment(coinbase)?))) else {
        return match transactions.iter().position(Transaction::has_witness) {
            None => Ok(None),
            Some(transaction) => Err(Fault::UncommittedWitness { transaction }),
        };
    };
    let reserved_value: [u8; 32] = coinbase
        .inputs
        .first()
        .filter(|input| input.witness.len() == 1)
        .and_then(|input| input.witness.iter().next()?.try_into().ok())
        .ok_or(Fault::ReservedValue)?;
    let mut committed = [0; 64];
    committed[..32].copy_from_slice(&root(&witness_leaves(transactions, txids)).hash);
    committed[32..].copy_from_slice(&reserved_value);
    let computed = sha256d(&committed);
    if computed == stated { Ok(Some(stated)) } else { Err(Fault::WitnessCommitment { computed }) }
}

/// "If there are more than one scriptPubKey matching the pattern, the one with highest output index is assumed to be the
/// commitment." What follows the 38 bytes has no meaning.
fn stated_commitment(coinbase: &Transaction<'_>) -> Option<[u8; 32]> {
    let commitment = |script: &[u8]| script.strip_prefix(&COMMITMENT_PREFIX)?.first_chunk().copied();
    coinbase.outputs.iter().rev().find_map(|output| commitment(output.script_pubkey))
}

/// The witness transaction ids, "the wtxid of coinbase transaction is assumed to be 0x0000....0000".
fn witness_leaves(transactions: &[Transaction<'_>], txids: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let mut leaves = txids.to_vec();
    let tasks = leaves.par_chunks_mut(TRANSACTIONS_PER_TASK).zip(transactions.par_chunks(TRANSACTIONS_PER_TASK));
    tasks.for_each(|(leaves, transactions)| {
        // Without a witness both ids are the same.
        let with_witness = transactions.iter().zip(leaves).filter(|(transaction, _)| transaction.has_witness());
        let (messages, places): (Vec<_>, Vec<_>) =
            with_witness.map(|(transaction, leaf)| (transaction.bytes, leaf)).unzip();
        let mut wtxids = vec![[0; 32]; messages.len()];
        hash_each(HashFunction::Sha256d, &messages, &mut wtxids);
        for (place, wtxid) in places.into_iter().zip(wtxids) {
            *place = wtxid;
        }
    });
    if let Some(coinbase) = leaves.first_mut() {
        *coinbase = [0; 32];
    }
    leaves
}
