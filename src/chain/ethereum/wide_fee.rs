//! Transactions whose fee takes more than 128 bits.
//!
//! Nothing in the protocol's encoding limits a fee to 128 bits, and such a transaction has a hash and a sender like any
//! other. But 21,000 gas at 2^128 wei each is more ether than can ever be, so no account can pay it and no block can hold
//! it. alloy and revm keep fees in 128 bits; here is what is needed to tell such a transaction from a malformed one.

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::{Decodable, Header};

use super::transaction::{Transaction, decode_transaction};
use super::validity::ValidityError;

/// A well-formed transaction with a fee of more than 128 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WideFeeTransaction {
    /// The same transaction with its fees set to zero; its signature is over `digest`, not over its own.
    pub(super) narrowed: Transaction,
    /// The fee per gas, at most.
    max_fee: U256,
    /// The part of it that goes to the block's beneficiary, at most.
    priority_fee: U256,
    /// What the sender signed.
    pub(super) digest: B256,
    /// The transaction's hash.
    pub(super) hash: B256,
}

impl WideFeeTransaction {
    /// The transaction's hash.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// The fee per gas, at most, in wei.
    #[must_use]
    pub fn max_fee_per_gas(&self) -> U256 {
        self.max_fee
    }

    /// Parses an envelope that is well-formed but for the width of its fees; `None` for any other.
    pub(super) fn parse(envelope: &[u8]) -> Option<Self> {
        let (ty, mut list) = match envelope {
            [ty @ 0..=0x7f, list @ ..] => (Some(*ty), list),
            list => (None, list),
        };
        let fees: &[usize] = match ty {
            None => &[1],
            Some(1) => &[2],
            Some(2 | 4) => &[2, 3],
            Some(3) => &[2, 3, 9],
            Some(_) => return None,
        };
        let items = items(Header::decode_bytes(&mut list, true).ok()?)?;
        if !list.is_empty() {
            return None;
        }
        let fee = |index: usize| {
            let mut item = *items.get(index)?;
            U256::decode(&mut item).ok()
        };
        let widest = fees.iter().map(|index| fee(*index)).collect::<Option<Vec<_>>>()?.into_iter().max()?;
        if widest <= U256::from(u128::MAX) {
            return None;
        }
        let priority_fee = fee(fees[0])?;
        let max_fee = fee(*fees.get(1).unwrap_or(&fees[0]))?;
        let zero = [0x80];
        let without_fees = items.iter().enumerate().map(|(at, item)| if fees.contains(&at) { &zero[..] } else { item });
        let narrowed = decode_transaction(&encode(ty, without_fees)).ok()?;
        let signed = &items[..items.len().checked_sub(3)?];
        let replay_protection = match (ty, narrowed.chain_id()) {
            // EIP-155: the chain id and two zeros stand in for the signature.
            (None, Some(chain_id)) => [alloy_rlp::encode(chain_id), vec![0x80], vec![0x80]].concat(),
            _ => Vec::new(),
        };
        let digest = keccak256(encode(ty, signed.iter().copied().chain([&replay_protection[..]])));
        Some(Self { narrowed, max_fee, priority_fee, digest, hash: keccak256(envelope) })
    }

    /// What a fork asks of the fees; the rest is asked of `narrowed`.
    pub(super) fn check_fees(&self) -> Result<(), ValidityError> {
        if self.narrowed.max_priority_fee_per_gas().is_some() && self.priority_fee > self.max_fee {
            return Err(ValidityError::PriorityFeeAboveMaxFee);
        }
        let cost = U256::from(self.narrowed.gas_limit()).checked_mul(self.max_fee);
        cost.map(|_| ()).ok_or(ValidityError::CostOverflow)
    }
}

/// Cuts a list's payload into its items, headers included.
fn items(mut payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !payload.is_empty() {
        let mut rest = payload;
        let header = Header::decode(&mut rest).ok()?;
        let after = rest.get(header.payload_length..)?;
        items.push(&payload[..payload.len() - after.len()]);
        payload = after;
    }
    Some(items)
}

/// A list of encoded items, behind its type.
fn encode<'a>(ty: Option<u8>, items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let payload: Vec<u8> = items.flatten().copied().collect();
    let mut encoded: Vec<u8> = ty.into_iter().collect();
    Header { list: true, payload_length: payload.len() }.encode(&mut encoded);
    encoded.extend(payload);
    encoded
}
