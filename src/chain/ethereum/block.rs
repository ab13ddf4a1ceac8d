//! A block: its header, its body, and whether the two belong together.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, Transaction as _};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Encodable};

use super::transaction::{DecodeError, Transaction, decode_transactions};
use crate::merkle;

/// How many ommers a block may have (yellow paper, 4.4.1).
pub(crate) const MAX_OMMERS: usize = 2;

/// A decoded block. Its parts are as the bytes have them; [`Block::check_body`] tells whether they match the header.
#[derive(Clone, Debug)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// Keccak-256 of the header's RLP.
    pub hash: B256,
    /// The transactions, in order.
    pub transactions: Vec<Transaction>,
    /// Each transaction as the transactions' trie holds it: its EIP-2718 envelope.
    pub envelopes: Vec<Bytes>,
    /// The stale blocks that earn a reward, before the merge.
    pub ommers: Ommers,
    /// The withdrawals, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// What the input says of the block besides, if it is of a form that says more (JSON).
    pub claims: Vec<Claim>,
}

/// A block's ommers, as far as the input has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ommers {
    /// Their headers.
    Headers(Vec<Header>),
    /// Their hashes alone, which is all that JSON gives of them; never empty.
    Hashes(Vec<B256>),
}

impl Ommers {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Headers(headers) => headers.len(),
            Self::Hashes(hashes) => hashes.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Something the input says that can be computed from the rest, and so is to be checked and not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The block's hash.
    BlockHash(B256),
    /// A transaction's hash.
    TransactionHash {
        /// The transaction's place in the block.
        index: usize,
        /// The hash claimed.
        hash: B256,
    },
    /// A transaction's sender.
    Sender {
        /// The transaction's place in the block.
        index: usize,
        /// The sender claimed.
        sender: Address,
    },
}

/// A block's place in its chain, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
}

impl std::fmt::Display for BlockId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {}", self.number)
    }
}

/// A field of the header, or a claim, that is not what the block's content gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {stated} stated, {computed} computed")]
pub struct Mismatch {
    /// The field, named as the JSON-RPC names it.
    pub field: String,
    /// What the input states.
    pub stated: String,
    /// What its content gives.
    pub computed: String,
}

impl Mismatch {
    /// A mismatch, unless the two are equal.
    pub(crate) fn unless_equal<T: PartialEq + ToString>(
        field: impl Into<String>,
        stated: &T,
        computed: &T,
    ) -> Option<Self> {
        (stated != computed).then(|| Self {
            field: field.into(),
            stated: stated.to_string(),
            computed: computed.to_string(),
        })
    }
}

/// Why bytes are no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// A part is malformed.
    #[error("{field}: {error}")]
    Malformed {
        /// Which part: `header`, `transactions`, `ommers`, `withdrawals`, or the block itself.
        field: &'static str,
        /// What is wrong with it.
        error: alloy_rlp::Error,
    },
    /// Bytes follow the block, or its last part.
    #[error("{field}: {bytes} bytes follow where nothing should")]
    Trailing {
        /// After which part.
        field: &'static str,
        /// How many bytes.
        bytes: usize,
    },
    /// A transaction is malformed.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// The transaction's place in the block.
        index: usize,
        /// What is wrong with it.
        error: DecodeError,
    },
}

impl Block {
    /// Decodes a block's RLP: `[header, transactions, ommers, withdrawals?]`. The transactions are decoded in
    /// parallel on the pool this is called from.
    pub fn decode(bytes: &Bytes) -> Result<Self, BlockError> {
        let mut rest: &[u8] = bytes;
        let mut parts = list(&mut rest, "block")?;
        if !rest.is_empty() {
            return Err(BlockError::Trailing { field: "block", bytes: rest.len() });
        }
        let before = parts;
        let header = Header::decode(&mut parts).map_err(malformed("header"))?;
        let hash = keccak256(&before[..before.len() - parts.len()]);
        let envelopes = envelopes(bytes, list(&mut parts, "transactions")?)?;
        let ommers = Ommers::Headers(Vec::decode(&mut parts).map_err(malformed("ommers"))?);
        let withdrawals = if parts.is_empty() {
            None
        } else {
            Some(Vec::<Withdrawal>::decode(&mut parts).map_err(malformed("withdrawals"))?)
        };
        if !parts.is_empty() {
            return Err(BlockError::Trailing { field: "withdrawals", bytes: parts.len() });
        }
        let transactions = decode_all(&envelopes)?;
        Ok(Self { header, hash, transactions, envelopes, ommers, withdrawals, claims: Vec::new() })
    }

    /// Encodes the block as [`Block::decode`] reads it; `None` if its ommers are known by their hashes alone.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let Ommers::Headers(ommers) = &self.ommers else { return None };
        let mut transactions = Vec::new();
        for (transaction, envelope) in self.transactions.iter().zip(&self.envelopes) {
            if transaction.is_legacy() {
                transactions.extend_from_slice(envelope);
            } else {
                envelope.encode(&mut transactions);
            }
        }
        let mut parts = Vec::new();
        self.header.encode(&mut parts);
        alloy_rlp::Header { list: true, payload_length: transactions.len() }.encode(&mut parts);
        parts.append(&mut transactions);
        ommers.encode(&mut parts);
        if let Some(withdrawals) = &self.withdrawals {
            withdrawals.encode(&mut parts);
        }
        let mut block = Vec::with_capacity(parts.len() + 9);
        alloy_rlp::Header { list: true, payload_length: parts.len() }.encode(&mut block);
        block.append(&mut parts);
        Some(block)
    }

    /// The block's place in its chain.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId { number: self.header.number, hash: self.hash }
    }

    /// How many signatures it holds: one for each transaction and each EIP-7702 authorization.
    #[must_use]
    pub fn signatures(&self) -> usize {
        let authorizations = |transaction: &Transaction| transaction.authorization_list().map_or(0, <[_]>::len);
        self.transactions.iter().map(|transaction| 1 + authorizations(transaction)).sum()
    }

    /// Compares the body with the header: transactions, ommers and withdrawals; and the claims about hashes with
    /// what they are. Claims about senders are checked where senders are known.
    #[must_use]
    pub fn check_body(&self) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let transactions_root = merkle::ethereum::ordered_root(&self.envelopes);
        found.extend(Mismatch::unless_equal("transactionsRoot", &self.header.transactions_root, &transactions_root));
        match &self.ommers {
            Ommers::Headers(ommers) => {
                let ommers_hash = keccak256(alloy_rlp::encode(ommers));
                found.extend(Mismatch::unless_equal("sha3Uncles", &self.header.ommers_hash, &ommers_hash));
            }
            // Of hashes alone the root cannot be computed; that there are none it would tell, and more than two there
            // never are.
            Ommers::Hashes(hashes) => {
                if hashes.len() > MAX_OMMERS || self.header.ommers_hash == EMPTY_OMMER_ROOT_HASH {
                    found.push(Mismatch {
                        field: "uncles".to_owned(),
                        stated: format!("{} of them", hashes.len()),
                        computed: "none, or at most two, by the header".to_owned(),
                    });
                }
            }
        }
        let withdrawals_root = self.withdrawals.as_ref().map(|withdrawals| {
            let encoded: Vec<_> = withdrawals.iter().map(alloy_rlp::encode).collect();
            merkle::ethereum::ordered_root(&encoded)
        });
        let named = |root: Option<B256>| root.map_or_else(|| "none".to_owned(), |root| root.to_string());
        found.extend(Mismatch::unless_equal(
            "withdrawalsRoot",
            &named(self.header.withdrawals_root),
            &named(withdrawals_root),
        ));
        found.extend(self.claims.iter().filter_map(|claim| match claim {
            Claim::BlockHash(hash) => Mismatch::unless_equal("hash", hash, &self.hash),
            Claim::TransactionHash { index, hash } => {
                let computed = self.transactions.get(*index)?.tx_hash();
                Mismatch::unless_equal(format!("transactions[{index}].hash"), hash, computed)
            }
            Claim::Sender { .. } => None,
        }));
        found
    }
}

fn malformed(field: &'static str) -> impl Fn(alloy_rlp::Error) -> BlockError {
    move |error| BlockError::Malformed { field, error }
}

/// Takes a list off the front of `rest` and returns its payload.
fn list<'a>(rest: &mut &'a [u8], field: &'static str) -> Result<&'a [u8], BlockError> {
    alloy_rlp::Header::decode_bytes(rest, true).map_err(malformed(field))
}

/// Cuts the transactions' list into envelopes: a legacy transaction is a list and its own envelope, a typed
/// one is a string that holds it. `list` must lie within `block`.
fn envelopes(block: &Bytes, list: &[u8]) -> Result<Vec<Bytes>, BlockError> {
    let mut rest = list;
    let mut envelopes = Vec::new();
    while !rest.is_empty() {
        let index = envelopes.len();
        let malformed = |error| BlockError::Transaction { index, error: DecodeError::Rlp(error) };
        let item = rest;
        let header = alloy_rlp::Header::decode(&mut rest).map_err(malformed)?;
        let (payload, after) =
            rest.split_at_checked(header.payload_length).ok_or(malformed(alloy_rlp::Error::InputTooShort))?;
        let envelope = if header.list { &item[..item.len() - after.len()] } else { payload };
        // A legacy transaction wrapped into a string would have a second encoding, and another root.
        if !header.list && envelope.first().is_none_or(|ty| *ty >= 0x80) {
            return Err(malformed(alloy_rlp::Error::UnexpectedString));
        }
        envelopes.push(block.slice_ref(envelope));
        rest = after;
    }
    Ok(envelopes)
}

/// Decodes every transaction, in parallel; the error is that of the first which does not decode.
fn decode_all(envelopes: &[Bytes]) -> Result<Vec<Transaction>, BlockError> {
    decode_transactions(envelopes)
        .into_iter()
        .enumerate()
        .map(|(index, transaction)| transaction.map_err(|error| BlockError::Transaction { index, error }))
        .collect()
}
