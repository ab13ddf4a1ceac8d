//! A block as `eth_getBlockByNumber` gives it with full transactions.

use alloy_consensus::transaction::from_eip155_value;
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::Encodable2718;
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U64, U128, U256};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::block::{Block, Claim, Ommers};
use super::transaction::Transaction;

/// Why JSON is no block with full transactions. Says which field of which transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// A field is missing, or its value has the wrong form.
    #[error("field {path}: {problem}")]
    Field {
        /// Where: `gasUsed`, `transactions[3].maxFeePerGas`.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

/// Parses a block with full transactions, bare or as the `result` of a JSON-RPC answer.
///
/// The hashes and senders in it become [`Claim`]s. Transactions are converted in parallel on the pool this is
/// called from.
pub fn block_from_json(text: &[u8]) -> Result<Block, JsonError> {
    check_object(text)?;
    let answer: JsonAnswer<'_> = parse(text)?;
    let text = answer.result.map_or(text, |result| result.get().as_bytes());
    check_object(text)?;
    // Each pass skips what the other takes, so that nothing is held that is no part of a block.
    let header: Header = parse(text)?;
    let block: JsonBlock = parse(text)?;
    check_no_gap(&header)?;
    if block.withdrawals.is_none() && header.withdrawals_root.is_some() {
        return Err(field("withdrawals", "missing, while withdrawalsRoot is there"));
    }
    if block.uncles.is_none() && header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(field("uncles", "missing, while sha3Uncles is not the hash of none"));
    }
    let transactions: Vec<_> = block
        .transactions
        .par_iter()
        .with_min_len(16)
        .enumerate()
        .map(|(index, json)| json.to_transaction().map_err(|problem| problem.within(index)))
        .collect();
    let transactions = transactions.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut claims: Vec<_> = block.hash.map(Claim::BlockHash).into_iter().collect();
    for (index, json) in block.transactions.iter().enumerate() {
        claims.extend(json.hash.map(|hash| Claim::TransactionHash { index, hash }));
        claims.extend(json.from.map(|sender| Claim::Sender { index, sender }));
    }
    Ok(Block {
        hash: header.hash_slow(),
        header,
        envelopes: transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect(),
        transactions,
        ommers: match block.uncles {
            Some(uncles) if !uncles.is_empty() => Ommers::Hashes(uncles),
            _ => Ommers::Headers(Vec::new()),
        },
        withdrawals: block.withdrawals,
        claims,
    })
}

/// Refuses what starts as JSON and as no object; the rest is for the parser to refuse.
fn check_object(text: &[u8]) -> Result<(), JsonError> {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b'n' | b't' | b'f') => {
            Err(field("(top level)", "expected a block object"))
        }
        _ => Ok(()),
    }
}

/// A header's optional fields have their meaning by their place in its RLP, so that each needs all those before it.
fn check_no_gap(header: &Header) -> Result<(), JsonError> {
    let fields = [
        ("baseFeePerGas", header.base_fee_per_gas.is_some()),
        ("withdrawalsRoot", header.withdrawals_root.is_some()),
        ("blobGasUsed", header.blob_gas_used.is_some()),
        ("excessBlobGas", header.excess_blob_gas.is_some()),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some()),
        ("requestsHash", header.requests_hash.is_some()),
        ("blockAccessListHash", header.block_access_list_hash.is_some()),
        ("slotNumber", header.slot_number.is_some()),
    ];
    let gap = fields.iter().skip_while(|(_, present)| *present).find(|(_, present)| *present);
    match (gap, fields.iter().find(|(_, present)| !present)) {
        (Some((later, _)), Some((missing, _))) => Err(field(*missing, format!("missing, while {later} is there"))),
        _ => Ok(()),
    }
}

/// A JSON-RPC answer, or anything else that is an object.
#[derive(Deserialize)]
struct JsonAnswer<'a> {
    /// Also where it is `null`.
    #[serde(borrow, default, deserialize_with = "some")]
    result: Option<&'a RawValue>,
}

fn some<'a, D: Deserializer<'a>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// What a block's JSON holds besides its header.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonBlock {
    hash: Option<B256>,
    uncles: Option<Vec<B256>>,
    withdrawals: Option<Vec<Withdrawal>>,
    transactions: Vec<JsonTransaction>,
}

/// A transaction's JSON: the fields of every type, of which each type takes its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonTransaction {
    #[serde(rename = "type")]
    ty: Option<U64>,
    hash: Option<B256>,
    from: Option<Address>,
    chain_id: Option<U64>,
    nonce: U64,
    gas: U64,
    gas_price: Option<U128>,
    max_fee_per_gas: Option<U128>,
    max_priority_fee_per_gas: Option<U128>,
    max_fee_per_blob_gas: Option<U128>,
    /// `null` where a contract is created; a field left out is more likely an oversight.
    #[serde(deserialize_with = "Option::deserialize")]
    to: Option<Address>,
    value: U256,
    input: Bytes,
    access_list: Option<AccessList>,
    blob_versioned_hashes: Option<Vec<B256>>,
    authorization_list: Option<Vec<SignedAuthorization>>,
    r: U256,
    s: U256,
    v: Option<U128>,
    y_parity: Option<U64>,
}

/// A field of a transaction, and what is wrong with it.
struct FieldProblem(&'static str, String);

impl FieldProblem {
    fn within(self, transaction: usize) -> JsonError {
        field(format!("transactions[{transaction}].{}", self.0), self.1)
    }
}

impl JsonTransaction {
    fn to_transaction(&self) -> Result<Transaction, FieldProblem> {
        let nonce = self.nonce.to();
        let gas_limit = self.gas.to();
        let to = self.to.map_or(TxKind::Create, TxKind::Call);
        let (value, input) = (self.value, self.input.clone());
        Ok(match self.ty.map_or(0, |ty| ty.to::<u64>()) {
            0 => {
                let v = required("v", self.v)?.to();
                let (y_parity, chain_id) = from_eip155_value(v)
                    .ok_or_else(|| FieldProblem("v", format!("{v} is neither 27 nor 28 nor 35 or more")))?;
                let gas_price = required("gasPrice", self.gas_price)?.to();
                let transaction = TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input };
                transaction.into_signed(self.signature(y_parity)).into()
            }
            1 => TxEip2930 {
                chain_id: self.chain_id()?,
                nonce,
                gas_price: required("gasPrice", self.gas_price)?.to(),
                gas_limit,
                to,
                value,
                access_list: self.access_list()?,
                input,
            }
            .into_signed(self.signature(self.y_parity()?))
            .into(),
            2 => TxEip1559 {
                chain_id: self.chain_id()?,
                nonce,
                gas_limit,
                max_fee_per_gas: self.max_fee()?,
                max_priority_fee_per_gas: self.priority_fee()?,
                to,
                value,
                access_list: self.access_list()?,
                input,
            }
            .into_signed(self.signature(self.y_parity()?))
            .into(),
            3 => {
                let transaction = TxEip4844 {
                    chain_id: self.chain_id()?,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: self.max_fee()?,
                    max_priority_fee_per_gas: self.priority_fee()?,
                    to: required("to", self.to)?,
                    value,
                    access_list: self.access_list()?,
                    blob_versioned_hashes: required("blobVersionedHashes", self.blob_versioned_hashes.clone())?,
                    max_fee_per_blob_gas: required("maxFeePerBlobGas", self.max_fee_per_blob_gas)?.to(),
                    input,
                };
                Transaction::Eip4844(transaction.into_signed(self.signature(self.y_parity()?)))
            }
            4 => TxEip7702 {
                chain_id: self.chain_id()?,
                nonce,
                gas_limit,
                max_fee_per_gas: self.max_fee()?,
                max_priority_fee_per_gas: self.priority_fee()?,
                to: required("to", self.to)?,
                value,
                access_list: self.access_list()?,
                authorization_list: required("authorizationList", self.authorization_list.clone())?,
                input,
            }
            .into_signed(self.signature(self.y_parity()?))
            .into(),
            ty => return Err(FieldProblem("type", format!("{ty:#04x} is unknown"))),
        })
    }

    fn signature(&self, y_parity: bool) -> Signature {
        Signature::new(self.r, self.s, y_parity)
    }

    /// Older nodes give the parity as `v` alone.
    fn y_parity(&self) -> Result<bool, FieldProblem> {
        let (field, parity) = match (self.y_parity, self.v) {
            (Some(parity), Some(v)) if parity.to::<u128>() != v.to::<u128>() => {
                return Err(FieldProblem("v", format!("{v} contradicts the yParity {parity}")));
            }
            (Some(parity), _) => ("yParity", parity.to::<u128>()),
            (None, Some(v)) => ("v", v.to()),
            (None, None) => return Err(FieldProblem("yParity", "missing".to_owned())),
        };
        match parity {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(FieldProblem(field, format!("{other} is neither 0 nor 1"))),
        }
    }

    fn chain_id(&self) -> Result<u64, FieldProblem> {
        Ok(required("chainId", self.chain_id)?.to())
    }

    fn max_fee(&self) -> Result<u128, FieldProblem> {
        Ok(required("maxFeePerGas", self.max_fee_per_gas)?.to())
    }

    fn priority_fee(&self) -> Result<u128, FieldProblem> {
        Ok(required("maxPriorityFeePerGas", self.max_priority_fee_per_gas)?.to())
    }

    fn access_list(&self) -> Result<AccessList, FieldProblem> {
        required("accessList", self.access_list.clone())
    }
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, FieldProblem> {
    value.ok_or_else(|| FieldProblem(field, "missing".to_owned()))
}

fn field(path: impl Into<String>, problem: impl Into<String>) -> JsonError {
    JsonError::Field { path: path.into(), problem: problem.into() }
}

/// Deserialises a text of one value; an error names the path to what is wrong.
fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, JsonError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let problem = inner.to_string();
        if matches!(inner.classify(), Category::Syntax | Category::Eof) {
            return JsonError::Syntax(problem);
        }
        // serde names a missing field in its message and not in its path.
        let missing = problem.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        match (missing, path.as_str()) {
            (Some(name), ".") => field(name, "missing"),
            (Some(name), _) => field(format!("{path}.{name}"), "missing"),
            (None, ".") => field("(top level)", problem),
            (None, _) => field(path, problem),
        }
    })?;
    json.end().map_err(|error| JsonError::Syntax(error.to_string()))?;
    Ok(value)
}
