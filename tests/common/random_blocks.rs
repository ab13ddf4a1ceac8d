//! Random blocks of transactions that get in one another's way.
//!
//! Few accounts, and contracts that all run the same code: an interpreter of its own call data. What a transaction does is
//! thereby drawn, instruction by instruction, without compiling anything.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_eips::{Encodable2718, eip4895::Withdrawal};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, keccak256};
use k256::ecdsa::SigningKey;
use phalanx::chain::ethereum::{Transaction, decode_transaction};
use phalanx::executor::revm::DatabaseRef;
use phalanx::executor::{BlockAttributes, Ledger};
use phalanx::workload::assembler::assemble;

/// What every contract runs. Call data are instructions of 65 bytes: a byte that says what to do, and two words A and B.
pub(crate) const INTERPRETER: &str = "
  PUSH 0                                     ; [position]
next:
  CALLDATASIZE DUP2 LT ISZERO PUSH @done JUMPI
  DUP1 PUSH 1 ADD CALLDATALOAD               ; [A, position]
  DUP2 PUSH 33 ADD CALLDATALOAD              ; [B, A, position]
  DUP3 CALLDATALOAD PUSH 248 SHR             ; [what, B, A, position]
  DUP1 PUSH 0 EQ PUSH @add JUMPI
  DUP1 PUSH 1 EQ PUSH @copy JUMPI
  DUP1 PUSH 2 EQ PUSH @pay JUMPI
  DUP1 PUSH 3 EQ PUSH @balance JUMPI
  DUP1 PUSH 4 EQ PUSH @destroy JUMPI
  DUP1 PUSH 5 EQ PUSH @revert JUMPI
  DUP1 PUSH 6 EQ PUSH @create JUMPI
  DUP1 PUSH 7 EQ PUSH @burn JUMPI
  DUP1 PUSH 8 EQ PUSH @log JUMPI
  DUP1 PUSH 9 EQ PUSH @codehash JUMPI
  DUP1 PUSH 10 EQ PUSH @nested JUMPI
  POP
skip:
  POP POP PUSH 65 ADD PUSH @next JUMP
add:                                         ; storage[A] += B
  POP DUP2 SLOAD ADD DUP2 SSTORE PUSH 0 PUSH @skip JUMP
copy:                                        ; storage[A] = storage[B]
  POP SLOAD DUP2 SSTORE PUSH 0 PUSH @skip JUMP
pay:                                         ; B wei to A
  POP PUSH 0 PUSH 0 PUSH 0 PUSH 0 DUP5 DUP7 GAS CALL POP PUSH @skip JUMP
balance:                                     ; storage[B] = balance of A
  POP DUP2 BALANCE DUP2 SSTORE PUSH @skip JUMP
codehash:                                    ; storage[B] = code hash of A
  POP DUP2 EXTCODEHASH DUP2 SSTORE PUSH @skip JUMP
log:
  POP DUP2 PUSH 0 PUSH 0 LOG1 PUSH @skip JUMP
destroy:                                     ; all that is left to A
  POP POP SELFDESTRUCT
revert:
  PUSH 0 PUSH 0 REVERT
burn:
  PUSH @burn JUMP
create:                                      ; a contract like this one, with the salt A and B wei
  POP
  CODESIZE PUSH 56 SHL PUSH 0x61000080600a5f395ff3 ADD PUSH 176 SHL PUSH 0 MSTORE
  CODESIZE PUSH 0 PUSH 10 CODECOPY
  DUP2 CODESIZE PUSH 10 ADD PUSH 0 DUP4 CREATE2 POP PUSH @skip JUMP
nested:                                      ; the rest of the instructions to A, with B wei
  POP DUP3 PUSH 65 ADD DUP1 CALLDATASIZE SUB
  DUP1 DUP3 PUSH 0 CALLDATACOPY
  PUSH 0 PUSH 0 DUP3 PUSH 0 DUP7 DUP9 GAS CALL
  POP
done:
  STOP
";

/// The chain id.
const CHAIN_ID: u64 = 1;

/// Accounts that send; the last has hardly anything.
const SENDERS: usize = 6;

const CONTRACTS: [Address; 3] = [
    address!("0xc000000000000000000000000000000000000001"),
    address!("0xc000000000000000000000000000000000000002"),
    address!("0xc000000000000000000000000000000000000003"),
];

/// The fork that a chain is frozen at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Era {
    /// SELFDESTRUCT still destroys whatever calls it.
    Shanghai,
    /// Accounts delegate, and withdrawals and consolidations are requested.
    Osaka,
}

/// A source of random blocks, and the chain that they are built on.
pub(crate) struct RandomBlocks {
    draw: u64,
    keys: Vec<SigningKey>,
    senders: Vec<Address>,
    code: Vec<u8>,
    places: Vec<Address>,
    era: Era,
    genesis: Genesis,
}

impl RandomBlocks {
    pub(crate) fn new(seed: u64, era: Era) -> Self {
        let keys: Vec<_> = (1_u8..)
            .take(SENDERS)
            .map(|index| SigningKey::from_bytes(&keccak256([b'k', index]).0.into()).unwrap())
            .collect();
        let senders: Vec<_> = keys
            .iter()
            .map(|key| {
                let point = key.verifying_key().to_sec1_point(false);
                Address::from_word(keccak256(&point.as_bytes()[1..]))
            })
            .collect();
        let code = assemble(INTERPRETER).unwrap();
        // Where contracts create others, with the salts 0 and 1; and so once more.
        let init = init_code(&code);
        let children = |of: Address| [0_u8, 1].map(|salt| of.create2(B256::with_last_byte(salt), keccak256(&init)));
        let first: Vec<_> = CONTRACTS.into_iter().flat_map(children).collect();
        let second = first.iter().take(2).copied().flat_map(children);
        let others = [Address::with_last_byte(2), Address::with_last_byte(4), Address::repeat_byte(0xfe)];
        let places =
            senders.iter().copied().chain(CONTRACTS).chain(first.clone()).chain(second).chain(others).collect();
        let genesis = genesis(era, &senders, &code);
        Self { draw: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed, keys, senders, code, places, era, genesis }
    }

    /// The chain at its genesis.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::from_genesis(&self.genesis).unwrap()
    }

    fn word(&mut self) -> u64 {
        self.draw = self.draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.draw;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }

    /// A place in a sequence of `length`.
    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    fn place(&mut self) -> Address {
        if self.one_in(24) {
            return Address::from_word(keccak256(self.word().to_be_bytes()));
        }
        let index = self.index(self.places.len());
        self.places[index]
    }

    fn contract(&mut self) -> Address {
        // Contracts that are there, or may be by now; an account may have delegated.
        let index = match self.below(8) {
            0 => self.index(SENDERS),
            1..=4 => SENDERS + self.index(CONTRACTS.len()),
            _ => SENDERS + CONTRACTS.len() + self.index(10),
        };
        self.places[index]
    }

    /// What the block's builder chooses.
    pub(crate) fn attributes(&mut self, ledger: &Ledger) -> BlockAttributes {
        let withdrawals = (0..self.below(3)).map(|index| Withdrawal {
            index,
            validator_index: index,
            address: self.place(),
            amount: self.below(3),
        });
        let withdrawals = withdrawals.collect();
        BlockAttributes {
            timestamp: ledger.head().timestamp + 12,
            beneficiary: self.place(),
            prev_randao: B256::with_last_byte(1),
            parent_beacon_block_root: B256::ZERO,
            withdrawals,
        }
    }

    /// The next block's transactions. Once in a while one of them is invalid.
    pub(crate) fn transactions(&mut self, ledger: &Ledger) -> Vec<Transaction> {
        let count = 1 + self.below(14);
        let mut nonces: Vec<u64> = self
            .senders
            .iter()
            .map(|sender| ledger.state().basic_ref(*sender).unwrap().map_or(0, |account| account.nonce))
            .collect();
        let base_fee = u128::from(ledger.head().base_fee_per_gas.unwrap_or_default()) * 9 / 8 + 1;
        (0..count).map(|_| self.transaction(&mut nonces, base_fee)).collect()
    }

    fn transaction(&mut self, nonces: &mut [u64], base_fee: u128) -> Transaction {
        let sender = if self.one_in(200) { SENDERS - 1 } else { self.index(SENDERS - 1) };
        let mut nonce = nonces[sender];
        if self.one_in(400) {
            nonce += 1;
        } else {
            nonces[sender] += 1;
        }
        let mut gas_limit = match self.below(8) {
            0 => 60_000,
            1 => 200_000,
            _ => 900_000,
        };
        let tip = if self.one_in(3) { 0 } else { u128::from(self.below(1_000)) };
        let (mut to, mut input) = (TxKind::Call(self.place()), Bytes::new());
        let value = U256::from(self.below(4) * self.below(500));
        let kind = self.below(16).min(14);
        if kind < 4 {
            gas_limit = 21_000 + self.below(2) * 30_000;
            if gas_limit > 21_000 && self.one_in(3) {
                // Data that nothing reads, so much that its floor may be what the payment costs (EIP-7623).
                let byte = u8::from(self.one_in(2));
                input = vec![byte; self.index(600)].into();
            }
        } else if kind < 14 {
            to = TxKind::Call(self.contract());
            input = self.instructions();
        } else {
            to = TxKind::Create;
            input = if self.one_in(3) { vec![0xfe].into() } else { init_code(&self.code).into() };
        }
        let key = self.keys[sender].clone();
        match self.below(8) {
            0 if kind != 14 && matches!(self.era, Era::Osaka) => {
                let to = to.to().copied().unwrap_or_default();
                let authorization_list = self.authorizations(nonces);
                envelope(
                    &key,
                    TxEip7702 {
                        chain_id: CHAIN_ID,
                        nonce,
                        gas_limit: gas_limit + 80_000,
                        max_fee_per_gas: base_fee + tip,
                        max_priority_fee_per_gas: tip,
                        to,
                        value,
                        access_list: AccessList::default(),
                        authorization_list,
                        input,
                    },
                )
            }
            1 | 2 => {
                let chain_id = self.one_in(2).then_some(CHAIN_ID);
                envelope(&key, TxLegacy { chain_id, nonce, gas_price: base_fee + tip, gas_limit, to, value, input })
            }
            3 => {
                let item = AccessListItem { address: self.place(), storage_keys: vec![B256::with_last_byte(1)] };
                envelope(
                    &key,
                    TxEip2930 {
                        chain_id: CHAIN_ID,
                        nonce,
                        gas_price: base_fee + tip,
                        gas_limit: gas_limit + 5_000,
                        to,
                        value,
                        access_list: AccessList(vec![item]),
                        input,
                    },
                )
            }
            _ => envelope(
                &key,
                TxEip1559 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: base_fee + tip,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list: AccessList::default(),
                    input,
                },
            ),
        }
    }

    /// Authorizations, most of them valid.
    fn authorizations(&mut self, nonces: &mut [u64]) -> Vec<SignedAuthorization> {
        let mut list = Vec::new();
        for _ in 0..=self.below(2) {
            let authority = self.index(SENDERS);
            let nonce = nonces[authority] + u64::from(self.one_in(6));
            let address = if self.one_in(4) { Address::ZERO } else { self.contract() };
            let chain_id = U256::from(if self.one_in(8) { 7 } else { CHAIN_ID });
            if nonce == nonces[authority] && chain_id == U256::from(CHAIN_ID) {
                nonces[authority] += 1;
            }
            let authorization = Authorization { chain_id, address, nonce };
            let signature = sign(&self.keys[authority], authorization.signature_hash());
            list.push(authorization.into_signed(signature));
        }
        list
    }

    fn instructions(&mut self) -> Bytes {
        let mut bytes = Vec::new();
        for _ in 0..=self.below(7) {
            let what = match self.below(32) {
                0..=8 => 0,
                9..=11 => 1,
                12..=15 => 2,
                16..=18 => 3,
                19 => 4,
                20 => 5,
                21..=23 => 6,
                24 if self.one_in(3) => 7,
                24 | 25 => 8,
                26 => 9,
                _ => 10,
            };
            let slot = |blocks: &mut Self| U256::from(blocks.below(4));
            let address = |address: Address| U256::from_be_bytes(address.into_word().0);
            let (a, b) = match what {
                0 => (slot(self), if self.one_in(4) { U256::ZERO.wrapping_sub(U256::ONE) } else { slot(self) }),
                2 => (address(self.place()), U256::from(self.below(3) * self.below(300))),
                3 | 9 => (address(self.place()), slot(self)),
                4 => (address(self.place()), U256::ZERO),
                6 => (U256::from(self.below(2)), U256::from(self.below(2) * self.below(50))),
                10 => (address(self.contract()), U256::from(self.below(2) * self.below(100))),
                _ => (slot(self), slot(self)),
            };
            bytes.push(what);
            bytes.extend(a.to_be_bytes::<32>());
            bytes.extend(b.to_be_bytes::<32>());
        }
        bytes.into()
    }
}

/// What deploys the code: a copy of all that follows its own ten bytes.
fn init_code(code: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(code.len()).unwrap().to_be_bytes();
    [&[0x61, high, low, 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3], code].concat()
}

fn sign(key: &SigningKey, digest: B256) -> Signature {
    let (signature, id) = key.sign_prehash_recoverable(digest.as_slice());
    let [r, s] = [signature.r().to_bytes(), signature.s().to_bytes()].map(|bytes| U256::from_be_slice(&bytes));
    Signature::new(r, s, id.is_y_odd())
}

fn envelope<T: SignableTransaction<Signature>>(key: &SigningKey, transaction: T) -> Transaction
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = sign(key, transaction.signature_hash());
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    decode_transaction(&envelope.encoded_2718()).unwrap()
}

fn genesis(era: Era, senders: &[Address], code: &[u8]) -> Genesis {
    let mut config = serde_json::json!({
        "chainId": CHAIN_ID, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
        "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
        "londonBlock": 0, "mergeNetsplitBlock": 0, "shanghaiTime": 0, "terminalTotalDifficulty": 0,
        "terminalTotalDifficultyPassed": true,
        "depositContractAddress": "0x00000000219ab540356cbb839cbe05303d7705fa",
    });
    if matches!(era, Era::Osaka) {
        for fork in ["cancunTime", "pragueTime", "osakaTime"] {
            config[fork] = 0.into();
        }
        let blobs = serde_json::json!({"target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716});
        config["blobSchedule"] = serde_json::json!({"cancun": blobs, "prague": blobs, "osaka": blobs});
    }
    let config = serde_json::from_value(config).unwrap();
    let mut alloc: Vec<(Address, GenesisAccount)> = senders
        .iter()
        .enumerate()
        .map(|(index, sender)| {
            let balance =
                if index == SENDERS - 1 { U256::from(1_000_000_u64) } else { U256::from(10).pow(U256::from(24)) };
            (*sender, GenesisAccount::default().with_balance(balance))
        })
        .collect();
    for contract in CONTRACTS {
        let storage = [(B256::ZERO, B256::with_last_byte(9)), (B256::with_last_byte(1), B256::with_last_byte(3))];
        let account = GenesisAccount::default()
            .with_nonce(Some(1))
            .with_balance(U256::from(5_000))
            .with_code(Some(code.to_vec().into()))
            .with_storage(Some(storage.into()));
        alloc.push((contract, account));
    }
    let system = |code: &Bytes| GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code.clone()));
    if matches!(era, Era::Osaka) {
        use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
        alloc.push((eip4788::BEACON_ROOTS_ADDRESS, system(&eip4788::BEACON_ROOTS_CODE)));
        alloc.push((eip2935::HISTORY_STORAGE_ADDRESS, system(&eip2935::HISTORY_STORAGE_CODE)));
        alloc
            .push((eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, system(&eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE)));
        alloc.push((
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            system(&eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
        ));
    }
    Genesis {
        config,
        gas_limit: 12_000_000,
        base_fee_per_gas: Some(1_000),
        alloc: alloc.into_iter().collect(),
        ..Default::default()
    }
}
