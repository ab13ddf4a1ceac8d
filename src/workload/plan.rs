//! What the transactions of a block are, before anyone signs them.
//!
//! Planning is cheap and sequential, since each transaction's nonce follows from the ones before it; signing is
//! neither and comes after.

use alloy_consensus::{EthereumTypedTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, U256};

use super::accounts::Account;
use super::contracts::{self, PoolToken, TOKEN, WALLET};
use super::draw::Draw;
use super::{CHAIN_ID, WorkloadConfig};

/// The most gas that one of the transactions may use: a swap with an access list, or one with two authorizations.
pub(super) const MAX_TRANSACTION_GAS: u64 = 150_000;

/// The most that one of the transactions moves of any token, and a thousand times what it moves of ether.
pub(super) const MAX_AMOUNT: u64 = 1_000_000_000_000_000_000;

/// A transaction to be signed.
pub(super) struct Planned {
    /// Which account sends it.
    pub(super) sender: usize,
    /// The transaction, still without its authorizations.
    pub(super) transaction: EthereumTypedTransaction<TxEip4844>,
    pub(super) authorizations: Vec<PlannedAuthorization>,
}

/// An EIP-7702 authorization to be signed.
pub(super) struct PlannedAuthorization {
    /// Which account gives it.
    pub(super) authority: usize,
    pub(super) authorization: Authorization,
    /// Whether s is to be above half the order, which makes it invalid (EIP-2, adopted by EIP-7702).
    pub(super) high_s: bool,
}

/// Plans the transactions of a block and uses up the nonces they need.
pub(super) fn plan_block(config: &WorkloadConfig, draw: &mut Draw, accounts: &mut [Account]) -> Vec<Planned> {
    let mut senders = Senders::new(draw, accounts.len());
    (0..config.transactions_per_block).map(|_| plan(config, senders.next(draw), draw, accounts)).collect()
}

/// Who sends: mostly each account in turn, so that few transactions of a block depend on one another, and now and then
/// one of a few busy accounts, so that a block has chains of nonces.
struct Senders {
    turn: usize,
    accounts: usize,
}

impl Senders {
    fn new(draw: &mut Draw, accounts: usize) -> Self {
        Self { turn: draw.place(accounts), accounts }
    }

    fn next(&mut self, draw: &mut Draw) -> usize {
        if draw.one_in(8) {
            return self.accounts - 1 - draw.place(self.accounts.div_ceil(256));
        }
        self.turn = (self.turn + 1) % self.accounts;
        self.turn
    }
}

/// Who receives: one of four in demand, someone new, or anyone, the sender included.
fn draw_recipient(draw: &mut Draw, accounts: &[Account]) -> Address {
    match draw.below(32) {
        0 => draw.address(),
        1..=4 => accounts[draw.place(accounts.len().min(4))].address,
        _ => accounts[draw.place(accounts.len())].address,
    }
}

/// What a transaction does.
struct Action {
    to: Address,
    value: u64,
    input: Bytes,
    /// Gas enough for the call itself, on top of the 21,000 of a transaction and what its lists cost.
    call_gas: u64,
    /// The contract's storage it touches.
    slots: Vec<B256>,
}

impl Action {
    fn draw(config: &WorkloadConfig, sender: usize, draw: &mut Draw, accounts: &[Account]) -> Self {
        let mix = config.mix;
        let pool = contracts::pool_address(sender % config.pools);
        let sender = accounts[sender].address;
        let share = draw.below(100);
        let tokens_below = u64::from(mix.transfers() + mix.token_transfers());
        if share < u64::from(mix.transfers()) {
            let value = 1 + draw.below(MAX_AMOUNT / 1_000);
            let to = draw_recipient(draw, accounts);
            Self { to, value, input: Bytes::new(), call_gas: 0, slots: Vec::new() }
        } else if share < tokens_below {
            let recipient = draw_recipient(draw, accounts);
            let amount = U256::from(1 + draw.below(MAX_AMOUNT));
            Self {
                to: TOKEN,
                value: 0,
                input: contracts::transfer_call(recipient, amount),
                call_gas: 34_000,
                slots: [sender, recipient].map(contracts::token_balance_slot).to_vec(),
            }
        } else {
            // Never so little that nothing would be bought with it.
            let amount = U256::from(1_000 + draw.below(MAX_AMOUNT - 1_000));
            let tokens = [PoolToken::Zero, PoolToken::One];
            let reserves = tokens.map(contracts::pool_reserve_slot);
            let balances = tokens.map(|token| contracts::pool_balance_slot(token, sender));
            Self {
                to: pool,
                value: 0,
                input: contracts::swap_call(amount, draw.one_in(2)),
                call_gas: 30_000,
                slots: [reserves, balances].concat(),
            }
        }
    }

    /// The action's addresses and slots, and the gas they cost (EIP-2930).
    fn access_list(&self) -> (AccessList, u64) {
        let gas = 2_400 + 1_900 * self.slots.len() as u64;
        (AccessList(vec![AccessListItem { address: self.to, storage_keys: self.slots.clone() }]), gas)
    }
}

fn plan(config: &WorkloadConfig, sender: usize, draw: &mut Draw, accounts: &mut [Account]) -> Planned {
    const GWEI: u64 = 1_000_000_000;
    let action = Action::draw(config, sender, draw, accounts);
    let nonce = accounts[sender].next_nonce();
    let mut gas_limit = 21_000 + action.call_gas;
    // The base fee starts at one gwei and never rises, since no block is more than half full.
    let price = u128::from(2 * GWEI + draw.below(8 * GWEI));
    let tip = u128::from(1 + draw.below(2 * GWEI));
    let (to, value, input) = (action.to, U256::from(action.value), action.input.clone());
    let mut authorizations = Vec::new();
    let transaction = match draw.below(100) {
        0..15 => EthereumTypedTransaction::Legacy(TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce,
            gas_price: price,
            gas_limit,
            to: to.into(),
            value,
            input,
        }),
        15..22 => {
            let (access_list, gas) = action.access_list();
            gas_limit += gas;
            EthereumTypedTransaction::Eip2930(TxEip2930 {
                chain_id: CHAIN_ID,
                nonce,
                gas_price: price,
                gas_limit,
                to: to.into(),
                value,
                access_list,
                input,
            })
        }
        22..25 => {
            authorizations = plan_authorizations(draw, accounts);
            gas_limit += 25_000 * authorizations.len() as u64;
            EthereumTypedTransaction::Eip7702(TxEip7702 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit,
                max_fee_per_gas: price,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list: AccessList::default(),
                authorization_list: Vec::new(),
                input,
            })
        }
        _ => EthereumTypedTransaction::Eip1559(TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit,
            max_fee_per_gas: price,
            max_priority_fee_per_gas: tip,
            to: to.into(),
            value,
            access_list: AccessList::default(),
            input,
        }),
    };
    Planned { sender, transaction, authorizations }
}

/// A valid authorization and, once in four times, one that the chain passes over.
fn plan_authorizations(draw: &mut Draw, accounts: &mut [Account]) -> Vec<PlannedAuthorization> {
    let mut authorizations = vec![valid_authorization(draw, accounts)];
    if draw.one_in(4) {
        let place = draw.place(2);
        authorizations.insert(place, invalid_authorization(draw, accounts));
    }
    authorizations
}

/// To the wallet, or back to no delegation at all; for this chain or for any.
fn valid_authorization(draw: &mut Draw, accounts: &mut [Account]) -> PlannedAuthorization {
    let authority = draw.place(accounts.len());
    let authorization = Authorization {
        chain_id: if draw.one_in(4) { U256::ZERO } else { U256::from(CHAIN_ID) },
        address: if draw.one_in(4) { Address::ZERO } else { WALLET },
        nonce: accounts[authority].next_nonce(),
    };
    PlannedAuthorization { authority, authorization, high_s: false }
}

/// For another chain, ahead of the authority's nonce, or with a high s.
fn invalid_authorization(draw: &mut Draw, accounts: &[Account]) -> PlannedAuthorization {
    let authority = draw.place(accounts.len());
    let nonce = accounts[authority].nonce();
    let (chain_id, nonce, high_s) = match draw.below(3) {
        0 => (CHAIN_ID + 1, nonce, false),
        1 => (CHAIN_ID, nonce + 1, false),
        _ => (CHAIN_ID, nonce, true),
    };
    let authorization = Authorization { chain_id: U256::from(chain_id), address: WALLET, nonce };
    PlannedAuthorization { authority, authorization, high_s }
}
