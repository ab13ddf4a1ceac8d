//! The contracts that the workload calls: a token, a market maker, and what accounts delegate to.
//!
//! Their code is written in the assembly of [`assembler`](super::assembler), in the `.evm` files beside this one.

#[cfg(test)]
mod tests;

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};

use super::assembler::{AssemblyError, assemble, selector};

/// Where the token is deployed.
pub const TOKEN: Address = address!("0x7000000000000000000000000000000000000001");

/// Where the market maker is deployed.
pub const POOL: Address = address!("0x7000000000000000000000000000000000000002");

/// Where each of several market makers is deployed; the first is [`POOL`].
#[must_use]
pub fn pool_address(pool: usize) -> Address {
    let mut address = POOL;
    if pool > 0 {
        address[1..9].copy_from_slice(&(pool as u64).to_be_bytes());
    }
    address
}

/// Where the code is deployed that accounts delegate to.
pub const WALLET: Address = address!("0x7000000000000000000000000000000000000003");

/// The runtime code of each contract.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// An ERC-20 token: `transfer(address,uint256)`, `balanceOf(address)`, the `Transfer` event.
    pub token: Bytes,
    /// A constant-product market maker: `swap(uint256,bool)`, the `Swap` event.
    pub pool: Bytes,
    /// Takes whatever is sent.
    pub wallet: Bytes,
}

impl Contracts {
    /// Assembles the contracts. The error is a mistake in this crate's own assembly, never the caller's.
    pub fn assemble() -> Result<Self, AssemblyError> {
        let code = |text| assemble(text).map(Bytes::from);
        Ok(Self {
            token: code(concat!(include_str!("token.evm"), include_str!("checked.evm")))?,
            pool: code(concat!(include_str!("pool.evm"), include_str!("checked.evm")))?,
            wallet: code(include_str!("wallet.evm"))?,
        })
    }
}

/// One of the two tokens that the market maker trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolToken {
    /// The token sold when `zeroForOne` is true.
    Zero,
    /// The token bought then.
    One,
}

/// Where the token keeps an account's balance.
#[must_use]
pub fn token_balance_slot(account: Address) -> B256 {
    mapping_slot(account, 0)
}

/// Where the market maker keeps its reserve.
#[must_use]
pub fn pool_reserve_slot(token: PoolToken) -> B256 {
    B256::with_last_byte(token as u8)
}

/// Where the market maker keeps an account's balance.
#[must_use]
pub fn pool_balance_slot(token: PoolToken, account: Address) -> B256 {
    mapping_slot(account, 2 + token as u8)
}

/// The data of a call of `transfer(address,uint256)`.
#[must_use]
pub fn transfer_call(to: Address, amount: U256) -> Bytes {
    call("transfer(address,uint256)", &[to.into_word(), amount.into()])
}

/// The data of a call of `balanceOf(address)`.
#[must_use]
pub fn balance_of_call(account: Address) -> Bytes {
    call("balanceOf(address)", &[account.into_word()])
}

/// The data of a call of `swap(uint256,bool)`.
#[must_use]
pub fn swap_call(amount_in: U256, zero_for_one: bool) -> Bytes {
    call("swap(uint256,bool)", &[amount_in.into(), B256::with_last_byte(u8::from(zero_for_one))])
}

/// Solidity's place for a mapping's value: the hash of the key's word and the mapping's slot.
fn mapping_slot(key: Address, slot: u8) -> B256 {
    keccak256([key.into_word(), B256::with_last_byte(slot)].concat())
}

fn call(signature: &str, words: &[B256]) -> Bytes {
    let mut data = selector(signature).to_vec();
    data.extend(words.iter().flatten());
    data.into()
}
