//! What a workload promises: the same bytes everywhere, signers as stated, and transactions that all succeed.
#![cfg(feature = "executor")]

use std::collections::{HashMap, HashSet};

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844, Typed2718};
use alloy_eips::Encodable2718;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_evm::FromRecoveredTx;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Signature, U256, hex, keccak256};
use phalanx::scheme::ecdsa::{RecoverBatch, RecoverItem, SignatureBytes};
use phalanx::workload::contracts::{self, POOL, PoolToken, TOKEN, WALLET};
use phalanx::workload::{
    CHAIN_ID, Mix, TRANSACTIONS_PER_BLOCK, Workload, WorkloadBlock, WorkloadConfig, WorkloadError,
};
use phalanx::{Reason, Rules, Verdict, Verifier};
use revm::context::{CfgEnv, TxEnv};
use revm::database::InMemoryDB;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, Bytecode};
use revm::{Context, Database, ExecuteCommitEvm, MainBuilder, MainContext};

type Transaction = EthereumTxEnvelope<TxEip4844>;

fn config() -> WorkloadConfig {
    WorkloadConfig { seed: 7, blocks: 4, transactions_per_block: 600, accounts: 400, mix: Mix::default(), pools: 1 }
}

fn workload(config: WorkloadConfig) -> Workload {
    Workload::new(config).unwrap()
}

/// A hash of the genesis file and of every transaction's bytes.
fn fingerprint(config: WorkloadConfig) -> B256 {
    let workload = workload(config);
    let mut bytes = serde_json::to_vec(&workload.genesis()).unwrap();
    workload.flat_map(|block| block.transactions).for_each(|transaction| transaction.encode_2718(&mut bytes));
    keccak256(bytes)
}

#[test]
fn the_same_configuration_gives_the_same_bytes() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fingerprint(config()))
    };
    let expected = with_threads(1);
    assert_eq!(with_threads(3), expected);
    assert_eq!(fingerprint(config()), expected);
    assert_ne!(fingerprint(WorkloadConfig { seed: 8, ..config() }), expected);
    // Whoever changes this changes every workload that is written down as a seed.
    assert_eq!(hex::encode(expected), "1fa46757cd3d65b4738873b8e84c3357b0150453726d342d7b08eb10eb77119a");
}

#[test]
fn every_signer_is_the_account_that_is_stated() {
    let workload = workload(config());
    let accounts: HashSet<_> = workload.accounts().collect();
    let blocks: Vec<_> = workload.collect();
    let transactions = blocks.iter().flat_map(|block| &block.transactions);
    let batch: RecoverBatch = transactions
        .clone()
        .map(|transaction| {
            let rules = if transaction.is_legacy() { Rules::EthHomestead } else { Rules::EthTyped };
            item(transaction.signature_hash(), transaction.signature(), rules)
        })
        .collect();
    let stated = blocks.iter().flat_map(|block| &block.senders);
    let verdicts = Verifier::cpu().recover(&batch).unwrap();
    assert_eq!(verdicts.len(), 4 * 600);
    for (verdict, stated) in verdicts.into_iter().zip(stated) {
        assert_eq!(verdict.valid().map(|signer| signer.address), Some(stated.0.0));
        assert!(accounts.contains(stated));
    }

    let authorizations: Vec<_> = transactions.flat_map(authorizations).collect();
    let batch = authorizations
        .iter()
        .map(|signed| item(signed.signature_hash(), &signed.signature().unwrap(), Rules::EthTyped));
    let verdicts = Verifier::cpu().recover(&batch.collect()).unwrap();
    assert!(verdicts.iter().any(Verdict::is_valid));
    assert!(verdicts.iter().any(|verdict| verdict.reason() == Some(Reason::HighS)));
    for verdict in verdicts {
        match verdict {
            Verdict::Valid(signer) => assert!(accounts.contains(&Address::from(signer.address))),
            Verdict::Invalid(reason) => assert_eq!(reason, Reason::HighS),
        }
    }
}

fn item(digest: B256, signature: &Signature, rules: Rules) -> RecoverItem {
    let signature_bytes = SignatureBytes { r: signature.r().to_be_bytes(), s: signature.s().to_be_bytes() };
    RecoverItem { digest: digest.0, signature: signature_bytes, recovery_id: u8::from(signature.v()), rules }
}

fn authorizations(transaction: &Transaction) -> &[SignedAuthorization] {
    transaction.authorization_list().unwrap_or_default()
}

#[test]
fn every_transaction_succeeds_and_no_block_is_more_than_half_full() {
    for mix in ["60/25/15", "100/0/0", "0/100/0", "0/0/100"] {
        let config = WorkloadConfig { mix: mix.parse().unwrap(), ..config() };
        let workload = workload(config);
        let genesis = workload.genesis();
        let accounts: Vec<_> = workload.accounts().collect();
        let db = execute(&genesis, workload);
        check_state(db, &genesis, &accounts);
    }
}

/// Runs the blocks and returns the state after them.
fn execute(genesis: &Genesis, blocks: impl Iterator<Item = WorkloadBlock>) -> InMemoryDB {
    let configure = |cfg: &mut CfgEnv| {
        cfg.chain_id = genesis.config.chain_id;
        cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
    };
    let mut evm = Context::mainnet().with_db(database(genesis)).modify_cfg_chained(configure).build_mainnet();
    for block in blocks {
        evm.ctx.block.number = U256::from(block.number);
        evm.ctx.block.timestamp = U256::from(12 * block.number);
        evm.ctx.block.gas_limit = genesis.gas_limit;
        evm.ctx.block.basefee = genesis.base_fee_per_gas.unwrap().try_into().unwrap();
        let mut gas_used = 0;
        for (transaction, sender) in block.transactions.iter().zip(&block.senders) {
            let environment = TxEnv::from_recovered_tx(transaction, *sender);
            let result = evm.transact_commit(environment).unwrap();
            assert!(result.is_success(), "{transaction:?}: {result:?}");
            assert!(transaction.gas_limit() <= 150_000);
            gas_used += result.tx_gas_used();
        }
        assert!(gas_used <= genesis.gas_limit / 2);
    }
    evm.ctx.journaled_state.database
}

fn database(genesis: &Genesis) -> InMemoryDB {
    let mut db = InMemoryDB::default();
    for (address, account) in &genesis.alloc {
        let code = Bytecode::new_raw(account.code.clone().unwrap_or_default());
        let nonce = account.nonce.unwrap_or_default();
        db.insert_account_info(*address, AccountInfo::new(account.balance, nonce, code.hash_slow(), code));
        for (slot, value) in account.storage_slots() {
            db.insert_account_storage(*address, slot.into(), value).unwrap();
        }
    }
    db
}

/// The pool pays out what it took in, and the accounts are nowhere near the end of what they own.
fn check_state(mut db: InMemoryDB, genesis: &Genesis, accounts: &[Address]) {
    let before = |slot: B256| U256::from_be_bytes(genesis.alloc[&POOL].storage.as_ref().unwrap()[&slot].0);
    for token in [PoolToken::Zero, PoolToken::One] {
        let slots = accounts.iter().map(|account| contracts::pool_balance_slot(token, *account));
        let slots: Vec<_> = slots.chain([contracts::pool_reserve_slot(token)]).collect();
        let owned: U256 = slots.iter().map(|slot| before(*slot)).sum();
        assert_eq!(slots.iter().map(|slot| db.storage(POOL, (*slot).into()).unwrap()).sum::<U256>(), owned);
    }
    for account in accounts {
        let ether = db.basic(*account).unwrap().unwrap().balance;
        assert!(ether > genesis.alloc[account].balance / U256::from(2));
        let tokens = db.storage(TOKEN, contracts::token_balance_slot(*account).into()).unwrap();
        assert!(tokens > U256::from(5 * 10_u128.pow(29)));
    }
}

#[test]
fn nonces_have_no_gaps_and_end_where_the_state_says() {
    let workload = workload(config());
    let genesis = workload.genesis();
    let accounts: Vec<_> = workload.accounts().collect();
    let blocks: Vec<_> = workload.collect();
    let mut nonces: HashMap<Address, u64> = HashMap::new();
    for (transaction, sender) in blocks.iter().flat_map(|block| block.transactions.iter().zip(&block.senders)) {
        let nonce = nonces.entry(*sender).or_default();
        assert_eq!(transaction.nonce(), *nonce);
        *nonce += 1;
        for signed in authorizations(transaction) {
            let authority = signed.recover_authority();
            let for_this_chain = signed.chain_id.is_zero() || signed.chain_id == U256::from(CHAIN_ID);
            if let Some(nonce) = authority.ok().filter(|_| for_this_chain).map(|who| nonces.entry(who).or_default())
                && signed.nonce == *nonce
            {
                *nonce += 1;
            }
        }
    }
    let mut db = execute(&genesis, blocks.into_iter());
    let mut delegated = 0;
    for account in accounts {
        let info = db.basic(account).unwrap().unwrap();
        assert_eq!(info.nonce, nonces.get(&account).copied().unwrap_or_default());
        if let Some(code) = info.code.filter(|code| !code.is_empty()) {
            assert_eq!(code, Bytecode::new_eip7702(WALLET));
            delegated += 1;
        }
    }
    assert!(delegated > 10);
}

#[test]
fn the_kinds_are_mixed_as_asked() {
    let config = WorkloadConfig { transactions_per_block: 4_000, accounts: 4_000, blocks: 1, ..config() };
    let block = workload(config).next().unwrap();
    let count = |predicate: &dyn Fn(&Transaction) -> bool| block.transactions.iter().filter(|tx| predicate(tx)).count();
    let near = |count: usize, expected: usize| count.abs_diff(expected) < 150;
    assert!(near(count(&|tx| tx.to() == Some(TOKEN)), 1_000));
    assert!(near(count(&|tx| tx.to() == Some(POOL)), 600));
    for (ty, expected) in [(0, 600), (1, 280), (2, 3_000), (4, 120)] {
        assert!(near(count(&|tx| tx.ty() == ty), expected), "type {ty}");
    }

    let mut sent: HashMap<Address, usize> = HashMap::new();
    block.senders.iter().for_each(|sender| *sent.entry(*sender).or_default() += 1);
    assert!(sent.values().filter(|sent| **sent == 1).count() > 3_000);
    assert!(sent.values().any(|sent| *sent > 20));
    let mut received: HashMap<Address, usize> = HashMap::new();
    for transaction in &block.transactions {
        if let (Some(to), true) = (transaction.to(), transaction.input().is_empty()) {
            *received.entry(to).or_default() += 1;
        }
    }
    assert!(received.values().filter(|received| **received > 40).count() == 4);
}

#[test]
fn the_largest_block_fits_its_limits() {
    let longest = workload(config()).flat_map(|block| block.transactions).map(|tx| tx.encode_2718_len()).max().unwrap();
    // EIP-7934: 10 MiB less 2 MiB of margin. A transaction's length takes three bytes; in a long workload each of its
    // nonces takes four more than here; the header takes less than a kilobyte.
    assert!((longest + 3 + 3 * 4) * TRANSACTIONS_PER_BLOCK.end() + 1_024 <= 8 * 1024 * 1024, "{longest}");
}

#[test]
fn the_genesis_is_a_file_for_geth() {
    let genesis = workload(config()).genesis();
    let json = serde_json::to_string(&genesis).unwrap();
    assert_eq!(serde_json::from_str::<Genesis>(&json).unwrap(), genesis);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["config"]["chainId"], 1337);
    for zero in ["homesteadBlock", "londonBlock", "mergeNetsplitBlock", "cancunTime", "osakaTime"] {
        assert_eq!(json["config"][zero], 0);
    }
    assert_eq!(json["config"]["terminalTotalDifficulty"], 0);
    assert_eq!(json["config"]["blobSchedule"]["osaka"]["max"], 9);
    assert!(json["config"]["amsterdamTime"].is_null());
    assert_eq!(json["difficulty"], "0x0");
    assert_eq!(json["baseFeePerGas"], "0x3b9aca00");
    assert_eq!(genesis.alloc.len(), 400 + 4 + 3);
}

#[test]
fn what_is_beyond_the_limits_is_refused() {
    let refused = |config| Workload::new(config).unwrap_err();
    assert_eq!(refused(WorkloadConfig { blocks: 0, ..config() }), WorkloadError::Blocks { given: 0 });
    assert_eq!(
        refused(WorkloadConfig { transactions_per_block: 20_001, ..config() }),
        WorkloadError::TransactionsPerBlock { given: 20_001 }
    );
    let too_few = refused(WorkloadConfig { accounts: 7, ..config() });
    assert_eq!(too_few.to_string(), "a workload has 8 to 131072 accounts, not 7");
    assert_eq!(refused(WorkloadConfig { pools: 0, ..config() }), WorkloadError::Pools { given: 0 });
    // The smallest there is.
    let smallest = WorkloadConfig { blocks: 1, transactions_per_block: 1, accounts: 8, ..config() };
    assert_eq!(workload(smallest).map(|block| block.transactions.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn swaps_in_separate_pools_all_succeed() {
    let config = WorkloadConfig { mix: "0/0/100".parse().unwrap(), pools: 33, ..config() };
    let workload = workload(config);
    let genesis = workload.genesis();
    assert_eq!(genesis.alloc.len(), 400 + 4 + 2 + 33);
    let pool = &genesis.alloc[&contracts::pool_address(32)];
    // Two reserves, and two balances of each of the twelve accounts that trade there.
    assert_eq!(pool.storage.as_ref().unwrap().len(), 2 + 2 * 12);
    let mut db = execute(&genesis, workload);
    let reserve = contracts::pool_reserve_slot(PoolToken::Zero);
    let before = U256::from_be_bytes(pool.storage.as_ref().unwrap()[&reserve].0);
    assert_ne!(db.storage(contracts::pool_address(32), reserve.into()).unwrap(), before);
}

#[test]
fn few_accounts_can_send_many_transactions() {
    let config = WorkloadConfig { accounts: 8, ..config() };
    let workload = workload(config);
    let genesis = workload.genesis();
    execute(&genesis, workload);
}
