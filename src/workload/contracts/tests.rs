//! The contracts, run by revm.

use alloy_primitives::Log;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, Journal, TxEnv};
use revm::database::InMemoryDB;
use revm::primitives::TxKind;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, Bytecode};
use revm::{Context, Database, ExecuteCommitEvm, MainBuilder, MainContext, MainnetEvm};

use super::*;

const ALICE: Address = address!("0x00000000000000000000000000000000000a11ce");
const BOB: Address = address!("0x0000000000000000000000000000000000000b0b");

type Evm = MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, InMemoryDB, Journal<InMemoryDB>, ()>>;

/// A chain of the contracts alone, on which gas is free.
struct Chain {
    evm: Evm,
}

impl Chain {
    fn new() -> Self {
        let contracts = Contracts::assemble().unwrap();
        let mut db = InMemoryDB::default();
        for (address, code) in [(TOKEN, contracts.token), (POOL, contracts.pool), (WALLET, contracts.wallet)] {
            db.insert_account_info(address, AccountInfo::from_bytecode(Bytecode::new_raw(code)));
        }
        let config = |cfg: &mut CfgEnv| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
            cfg.disable_nonce_check = true;
        };
        Self { evm: Context::mainnet().with_db(db).modify_cfg_chained(config).build_mainnet() }
    }

    fn set(&mut self, contract: Address, slot: B256, value: U256) {
        self.evm.ctx.journaled_state.database.insert_account_storage(contract, slot.into(), value).unwrap();
    }

    fn get(&mut self, contract: Address, slot: B256) -> U256 {
        self.evm.ctx.journaled_state.database.storage(contract, slot.into()).unwrap()
    }

    fn set_tokens(&mut self, account: Address, balance: U256) {
        self.set(TOKEN, token_balance_slot(account), balance);
    }

    fn set_reserves(&mut self, zero: U256, one: U256) {
        self.set(POOL, pool_reserve_slot(PoolToken::Zero), zero);
        self.set(POOL, pool_reserve_slot(PoolToken::One), one);
    }

    fn pool_words(&mut self, account: Address) -> [U256; 4] {
        [
            pool_reserve_slot(PoolToken::Zero),
            pool_reserve_slot(PoolToken::One),
            pool_balance_slot(PoolToken::Zero, account),
            pool_balance_slot(PoolToken::One, account),
        ]
        .map(|slot| self.get(POOL, slot))
    }

    fn call_with(&mut self, to: Address, data: Bytes, value: U256) -> ExecutionResult {
        let call = TxEnv::builder().caller(ALICE).kind(TxKind::Call(to)).data(data).value(value);
        self.evm.transact_commit(call.gas_limit(200_000).gas_price(0).build().unwrap()).unwrap()
    }

    /// What the contract returned and logged, or `None` if it reverted.
    fn call(&mut self, to: Address, data: Bytes) -> Option<(U256, Vec<Log>)> {
        match self.call_with(to, data, U256::ZERO) {
            ExecutionResult::Success { output: Output::Call(output), logs, .. } => {
                Some((U256::try_from_be_slice(&output).unwrap(), logs))
            }
            ExecutionResult::Revert { output, .. } if output.is_empty() => None,
            other => panic!("{other:?}"),
        }
    }

    fn tokens(&mut self, account: Address) -> U256 {
        self.call(TOKEN, balance_of_call(account)).unwrap().0
    }
}

fn amount(amount: u128) -> U256 {
    U256::from(amount)
}

#[test]
fn a_transfer_moves_the_balance_and_says_so() {
    let mut chain = Chain::new();
    chain.set_tokens(ALICE, amount(100));
    let (returned, logs) = chain.call(TOKEN, transfer_call(BOB, amount(30))).unwrap();
    assert_eq!(returned, amount(1));
    assert_eq!([ALICE, BOB].map(|account| chain.tokens(account)), [amount(70), amount(30)]);
    let topics = vec![keccak256("Transfer(address,address,uint256)"), ALICE.into_word(), BOB.into_word()];
    assert_eq!(logs, [Log::new(TOKEN, topics, B256::from(amount(30)).into()).unwrap()]);

    chain.call(TOKEN, transfer_call(BOB, amount(70))).unwrap();
    assert_eq!([ALICE, BOB].map(|account| chain.tokens(account)), [amount(0), amount(100)]);
    // The rest of nothing may be moved too.
    chain.call(TOKEN, transfer_call(BOB, amount(0))).unwrap();
}

#[test]
fn a_transfer_to_oneself_leaves_the_balance() {
    let mut chain = Chain::new();
    chain.set_tokens(ALICE, amount(100));
    chain.call(TOKEN, transfer_call(ALICE, amount(100))).unwrap();
    assert_eq!(chain.tokens(ALICE), amount(100));
    assert!(chain.call(TOKEN, transfer_call(ALICE, amount(101))).is_none());
}

#[test]
fn a_transfer_of_what_one_has_not_reverts() {
    let mut chain = Chain::new();
    assert!(chain.call(TOKEN, transfer_call(BOB, amount(1))).is_none());
    chain.set_tokens(ALICE, amount(100));
    for beyond in [amount(101), U256::MAX] {
        assert!(chain.call(TOKEN, transfer_call(BOB, beyond)).is_none());
    }
    assert_eq!([ALICE, BOB].map(|account| chain.tokens(account)), [amount(100), amount(0)]);
}

#[test]
fn a_balance_does_not_overflow() {
    let mut chain = Chain::new();
    chain.set_tokens(ALICE, amount(2));
    chain.set_tokens(BOB, U256::MAX - amount(1));
    assert!(chain.call(TOKEN, transfer_call(BOB, amount(2))).is_none());
    assert_eq!(chain.tokens(ALICE), amount(2));
    chain.call(TOKEN, transfer_call(BOB, amount(1))).unwrap();
    assert_eq!(chain.tokens(BOB), U256::MAX);
}

#[test]
fn what_is_no_call_of_the_contracts_reverts() {
    let mut chain = Chain::new();
    chain.set_tokens(ALICE, amount(100));
    chain.set_reserves(amount(1_000_000), amount(1_000_000));
    chain.set(POOL, pool_balance_slot(PoolToken::Zero, ALICE), amount(1_000_000));
    let transfer = transfer_call(BOB, amount(1));
    let swap = swap_call(amount(1_000), true);
    let edited = |data: &Bytes, at: usize, byte: u8| {
        let mut data = data.to_vec();
        data[at] = byte;
        Bytes::from(data)
    };
    for data in [
        Bytes::new(),
        transfer.slice(..3),
        transfer.slice(..4),
        transfer.slice(..67),
        // Another selector, and an address of more than 160 bits.
        edited(&transfer, 0, 0),
        edited(&transfer, 15, 1),
        edited(&transfer, 4, 1),
        balance_of_call(ALICE).slice(..35),
        edited(&balance_of_call(ALICE), 15, 1),
        swap.clone(),
    ] {
        assert!(chain.call(TOKEN, data.clone()).is_none(), "{data}");
    }
    for data in [
        Bytes::new(),
        swap.slice(..3),
        swap.slice(..67),
        edited(&swap, 0, 0),
        // A bool that is 2, and one that is 2^255 + 1.
        edited(&swap, 67, 2),
        edited(&swap, 36, 0x80),
        transfer.clone(),
    ] {
        assert!(chain.call(POOL, data.clone()).is_none(), "{data}");
    }
    // Neither takes ether; the calls are right otherwise.
    chain.evm.ctx.journaled_state.database.insert_account_info(ALICE, AccountInfo::from_balance(amount(10)));
    for (contract, data) in [(TOKEN, transfer), (POOL, swap)] {
        assert!(!chain.call_with(contract, data.clone(), amount(1)).is_success());
        assert!(chain.call_with(contract, data, amount(0)).is_success());
    }
}

#[test]
fn a_swap_pays_the_product_formula_both_ways() {
    for (zero_for_one, paid_in, reserves) in
        [(true, 1_000, [5_000_000, 3_000_000]), (false, 1_000, [5_000_000, 3_000_000]), (true, 77, [100, 1_000_000])]
    {
        let mut chain = Chain::new();
        chain.set_reserves(amount(reserves[0]), amount(reserves[1]));
        chain.set(POOL, pool_balance_slot(PoolToken::Zero, ALICE), amount(10_000));
        chain.set(POOL, pool_balance_slot(PoolToken::One, ALICE), amount(20_000));
        let (sold, bought) = if zero_for_one { (0, 1) } else { (1, 0) };
        let paid_out = paid_in * 997 * reserves[bought] / (reserves[sold] * 1_000 + paid_in * 997);
        let mut reserves_after = reserves;
        reserves_after[sold] += paid_in;
        reserves_after[bought] -= paid_out;
        let product = reserves[0] * reserves[1];
        assert!(reserves_after[0] * reserves_after[1] >= product);
        // One unit more would be paid from what the pool owned before.
        assert!((reserves_after[sold] * 1_000 - paid_in * 3) * (reserves_after[bought] - 1) < product * 1_000);

        let (returned, logs) = chain.call(POOL, swap_call(amount(paid_in), zero_for_one)).unwrap();
        assert_eq!(returned, amount(paid_out));
        let balances =
            if zero_for_one { [10_000 - paid_in, 20_000 + paid_out] } else { [10_000 + paid_out, 20_000 - paid_in] };
        assert_eq!(chain.pool_words(ALICE)[..2], reserves_after.map(amount));
        assert_eq!(chain.pool_words(ALICE)[2..], balances.map(amount));
        let topics = vec![keccak256("Swap(address,uint256,uint256,bool)"), ALICE.into_word()];
        let data = [paid_in, paid_out, u128::from(zero_for_one)].map(|word| B256::from(amount(word))).concat();
        assert_eq!(logs, [Log::new(POOL, topics, data.into()).unwrap()]);
    }
}

#[test]
fn the_product_never_falls() {
    let mut chain = Chain::new();
    chain.set_reserves(amount(1_000_003), amount(777_777));
    for token in [PoolToken::Zero, PoolToken::One] {
        chain.set(POOL, pool_balance_slot(token, ALICE), amount(1_000_000_000));
    }
    let mut product = amount(1_000_003) * amount(777_777);
    for step in 1..60_u128 {
        chain.call(POOL, swap_call(amount(step * step * step), step % 3 == 0)).map_or_else(
            || assert!(step < 2, "only the smallest amount buys nothing"),
            |(paid_out, _)| assert!(paid_out > amount(0)),
        );
        let [zero, one, ..] = chain.pool_words(ALICE);
        assert!(zero * one >= product);
        product = zero * one;
    }
    let [zero, one, own_zero, own_one] = chain.pool_words(ALICE);
    assert_eq!(zero + own_zero, amount(1_001_000_003));
    assert_eq!(one + own_one, amount(1_000_777_777));
}

#[test]
fn a_swap_that_cannot_be_paid_reverts() {
    let mut chain = Chain::new();
    chain.set_reserves(amount(1_000_000), amount(1_000_000));
    chain.set(POOL, pool_balance_slot(PoolToken::Zero, ALICE), amount(1_000));
    let before = chain.pool_words(ALICE);
    // More than Alice has, of a token she has none of, and so little that it buys nothing.
    for (paid_in, zero_for_one) in [(1_001, true), (1_000, false), (1, true), (0, true), (0, false)] {
        assert!(chain.call(POOL, swap_call(amount(paid_in), zero_for_one)).is_none());
    }
    assert_eq!(chain.pool_words(ALICE), before);
    chain.call(POOL, swap_call(amount(1_000), true)).unwrap();
    // An empty pool sells nothing.
    chain.set_reserves(amount(1_000_000), amount(0));
    chain.set(POOL, pool_balance_slot(PoolToken::Zero, ALICE), amount(1_000));
    assert!(chain.call(POOL, swap_call(amount(1_000), true)).is_none());
}

#[test]
fn a_swap_does_not_overflow() {
    let power = |bits: usize| U256::from(1) << bits;
    // Where arithmetic that wraps would sell something: the amount with its fee, the numerator, the thousandfold
    // reserve, the denominator's sum. And the largest amount there is.
    let cases = [
        (U256::MAX / amount(997) + amount(1), amount(1), amount(1_000_000)),
        (power(128), amount(1_000), power(128) + power(20)),
        (amount(1_000), power(253), amount(1_000)),
        (amount(10_000), U256::MAX / amount(1_000), amount(1_000_000)),
        (U256::MAX, amount(1_000), amount(1_000)),
    ];
    for (paid_in, reserve_in, reserve_out) in cases {
        let mut chain = Chain::new();
        chain.set_reserves(reserve_in, reserve_out);
        chain.set(POOL, pool_balance_slot(PoolToken::Zero, ALICE), U256::MAX);
        assert!(chain.call(POOL, swap_call(paid_in, true)).is_none(), "{paid_in} {reserve_in} {reserve_out}");
    }
    // What is bought does not fit the buyer's balance.
    let mut chain = Chain::new();
    chain.set_reserves(amount(1_000_000), amount(1_000_000));
    chain.set(POOL, pool_balance_slot(PoolToken::Zero, ALICE), amount(1_000));
    chain.set(POOL, pool_balance_slot(PoolToken::One, ALICE), U256::MAX - amount(995));
    assert!(chain.call(POOL, swap_call(amount(1_000), true)).is_none());
    chain.set(POOL, pool_balance_slot(PoolToken::One, ALICE), U256::MAX - amount(996));
    assert_eq!(chain.call(POOL, swap_call(amount(1_000), true)).unwrap().0, amount(996));
}

#[test]
fn the_wallet_takes_ether_and_costs_no_gas() {
    let mut chain = Chain::new();
    chain.evm.ctx.journaled_state.database.insert_account_info(ALICE, AccountInfo::from_balance(amount(10)));
    let result = chain.call_with(WALLET, Bytes::new(), amount(10));
    assert!(result.is_success());
    assert_eq!(result.tx_gas_used(), 21_000);
}

#[test]
fn selectors_are_the_standard_ones() {
    assert_eq!(transfer_call(BOB, amount(1))[..4], [0xa9, 0x05, 0x9c, 0xbb]);
    assert_eq!(balance_of_call(BOB)[..4], [0x70, 0xa0, 0x82, 0x31]);
}
