//! A block on a pre-state that lacks something is never called invalid, and what is lacking is named.
#![cfg(feature = "cli")]

#[path = "common/command.rs"]
mod command;
mod common;
#[path = "common/json.rs"]
mod json;

use std::path::Path;

use command::{Folder, run};
use common::test_data;
use json::{Object, unzip, with, without};
use phalanx::Verifier;
use phalanx::chain::ethereum::{ChainSpec, VerifiedBlock, block_from_json, verify_block};
use phalanx::executor::{Executor, PreState, PreStateReads, SequentialExecutor, check_outcome};
use serde_json::{Value, json};

/// A mainnet block with its pre-state as JSON, and the code that it refers to.
struct WithState {
    block: String,
    verified: VerifiedBlock,
    accounts: Object,
    codes: Object,
    block_hashes: Vec<u8>,
}

impl WithState {
    fn new(root: &Path, number: u64, codes: &Object) -> Self {
        let block = root.join(format!("full/{number}.block.json.gz"));
        let text = unzip(&block);
        let verified = verify_block(&Verifier::cpu(), &ChainSpec::mainnet(), block_from_json(&text).unwrap());
        let accounts: Object = json::read(&root.join(format!("full/{number}.prestate.json.gz")));
        let used = accounts.values().filter_map(|account| account.get("code_hash")?.as_str());
        let codes = used.filter_map(|hash| Some((hash.to_owned(), codes.get(hash)?.clone()))).collect();
        let block_hashes = unzip(&root.join("block_hashes.json.gz"));
        let block = block.to_str().unwrap().to_owned();
        Self { block, verified: verified.unwrap().unwrap(), accounts, codes, block_hashes }
    }

    /// Executes on other accounts: whether all is as the header says; `Err` with what is missing if that is known to be
    /// missing, `Ok` of what is suspected to be missing otherwise.
    fn execute(&self, accounts: &Object) -> Result<(bool, Option<String>), String> {
        let mut state = PreState::from_json(&json::bytes(accounts)).unwrap();
        state.add_codes_from_json(&json::bytes(&self.codes)).unwrap();
        state.add_block_hashes_from_json(&self.block_hashes, self.verified.header().number).unwrap();
        let reads = PreStateReads::new(&state);
        let named = |suspect: Option<alloy_primitives::Address>| suspect.map(|address| format!("{address:#x}"));
        match SequentialExecutor.execute(&ChainSpec::mainnet(), &self.verified, &reads) {
            Ok(outcome) => {
                let right = check_outcome(self.verified.header(), &outcome, None).is_empty();
                Ok((right, named(reads.suspect(&self.verified, None))))
            }
            Err(error) if error.is_invalid_block() => Ok((false, named(reads.suspect(&self.verified, Some(&error))))),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn all_codes(root: &Path) -> Object {
    json::read(&root.join("bytecodes.json.gz"))
}

#[test]
fn nothing_left_out_of_a_pre_state_makes_a_block_invalid() {
    let Some(root) = test_data("ethereum-mainnet") else { return };
    let codes = all_codes(&root);
    let (mut accounts, mut harmless, mut named, mut another, mut slots) = (0, 0, 0, 0, 0);
    for number in [46_147, 116_525, 930_196, 2_462_997, 2_674_998, 2_688_148, 19_923_400] {
        let full = WithState::new(&root, number, &codes);
        assert!(full.execute(&full.accounts).unwrap().0, "{number}");
        for (address, account) in &full.accounts {
            // Read as one that does not exist: the block comes out right all the same, or an account is suspected,
            // nearly always the one that was left out.
            match full.execute(&without(&full.accounts, address)) {
                Ok((true, _)) => harmless += 1,
                Ok((false, Some(suspect))) if suspect == address.to_lowercase() => named += 1,
                Ok((false, suspect)) => another += usize::from(suspect.unwrap() != *address),
                Err(missing) => panic!("{missing}"),
            }
            accounts += 1;
            for slot in account["storage"].as_object().into_iter().flat_map(Object::keys) {
                let storage = without(account["storage"].as_object().unwrap(), slot);
                let account = with(account.as_object().unwrap(), "storage", storage.into());
                let missing = full.execute(&with(&full.accounts, address, account.into())).unwrap_err();
                let end = format!("the state lacks slot {} of account ", slot_text(slot));
                assert!(missing.starts_with("transaction ") || missing.starts_with("the state"), "{missing}");
                assert!(
                    missing.contains(&end) && missing.to_lowercase().ends_with(&address.to_lowercase()),
                    "{missing}"
                );
                slots += 1;
            }
        }
    }
    assert_eq!((accounts, harmless, named, another, slots), (237, 57, 177, 3, 193));
}

/// A slot's index as errors write it.
fn slot_text(slot: &str) -> String {
    format!("{:#x}", slot.parse::<alloy_primitives::U256>().unwrap())
}

#[test]
fn a_pre_state_that_lacks_something_is_status_2() {
    let Some(root) = test_data("ethereum-mainnet") else { return };
    let full = WithState::new(&root, 19_923_400, &all_codes(&root));
    let folder = Folder::new("bad-pre-state");
    let write = |name: &str, content: &Object| {
        let path = folder.path(name);
        std::fs::write(&path, json::bytes(content)).unwrap();
        path
    };
    let hashes = root.join("block_hashes.json.gz").to_str().unwrap().to_owned();
    let run_on = |prestate: &str, code: &str| {
        let arguments = ["run", "--json", "--block", &full.block, "--prestate", prestate, "--code", code];
        run([&arguments[..], &["--block-hashes", &hashes]].concat())
    };
    let (good, good_code) = (write("good.json", &full.accounts), write("code.json", &full.codes));
    assert_eq!(run_on(&good, &good_code).error_lines(), [""; 0]);

    let at_block = format!("{}: block 19923400: ", full.block);
    let sender = format!("{:#x}", full.verified.transactions()[0].sender());
    let sender = full.accounts.keys().find(|address| address.to_lowercase() == sender).unwrap();
    let contract = full
        .accounts
        .iter()
        .find(|(_, account)| account["storage"].as_object().is_some_and(|storage| !storage.is_empty()));
    let (contract, account) = contract.unwrap();
    let account = account.as_object().unwrap();
    let slot = account["storage"].as_object().unwrap().keys().next().unwrap();
    let hash = account["code_hash"].as_str().unwrap();
    let changed = |field: &str, value: Value| with(&full.accounts, contract, with(account, field, value).into());

    // Something that the block reads is not there.
    let lacks_account = write("no-account.json", &without(&full.accounts, sender));
    let lacks_slot =
        write("no-slot.json", &changed("storage", without(account["storage"].as_object().unwrap(), slot).into()));
    let lacks_code = write("no-code.json", &without(&full.codes, hash));
    let cases = [
        (&lacks_account, &good_code, "transaction 0: ", sender.to_lowercase()),
        (&lacks_slot, &good_code, "transaction ", format!("the state lacks slot {} of account", slot_text(slot))),
        (&good, &lacks_code, "transaction ", format!("the state lacks the code with hash {hash}")),
    ];
    let mut checked = 0;
    for (prestate, code, start, named) in &cases {
        let ran = run_on(prestate, code);
        let problem = ran.the_line().strip_prefix(&at_block).unwrap_or_else(|| panic!("{}", ran.stderr));
        assert!(problem.starts_with(start) && problem.to_lowercase().contains(named), "{problem}");
        assert_eq!(ran.stdout, "");
        checked += 1;
    }

    // A field is missing or malformed, or the code is another's.
    let write_text = |name: &str, text: &[u8]| {
        let path = folder.path(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let text = json::bytes(&full.accounts);
    let other_code = write("other-code.json", &with(&full.codes, hash, json!("0x00")));
    let in_account = |field: &str| format!("field {contract}.{field}: ");
    let bad_states: Vec<(String, String)> = vec![
        (write("balance.json", &changed("balance", json!("0xzz"))), in_account("balance")),
        (write("nonce.json", &changed("nonce", json!("many"))), in_account("nonce")),
        (write("wide-nonce.json", &changed("nonce", json!("0x10000000000000000"))), in_account("nonce")),
        (write("hash.json", &changed("code_hash", json!("0x12"))), in_account("code_hash")),
        (write("slot.json", &changed("storage", json!({"0x0": "0xzz"}))), in_account("storage.0x0")),
        (write("slots.json", &changed("storage", json!(7))), in_account("storage")),
        (write("address.json", &with(&full.accounts, "0x1234", json!({}))), "field ".to_owned()),
        (
            write("no-balance.json", &with(&full.accounts, contract, without(account, "balance").into())),
            format!("field {contract}"),
        ),
        (write_text("cut.json", &text[..text.len() / 2]), "field 0x".to_owned()),
        (write_text("trailing.json", &[&text[..], b"{}"].concat()), "field (end): ".to_owned()),
        (write_text("list.json", b"[]"), "field ".to_owned()),
        (write_text("empty.json", b""), "empty".to_owned()),
    ];
    for (prestate, problem) in &bad_states {
        let ran = run_on(prestate, &good_code);
        let line = ran.the_line().to_lowercase();
        assert!(line.starts_with(&format!("{prestate}: {problem}").to_lowercase()), "{line}");
        checked += 1;
    }
    let bad_codes = [
        (other_code, format!("field {hash}: the code there has hash ")),
        (write("code-text.json", &with(&full.codes, hash, json!("0xzz"))), format!("field {hash}: ")),
    ];
    for (code, problem) in &bad_codes {
        let ran = run_on(&good, code);
        assert!(ran.the_line().starts_with(&format!("{code}: {problem}")), "{}", ran.stderr);
        checked += 1;
    }
    assert_eq!(checked, 3 + 12 + 2);
}

#[test]
fn a_missing_block_hash_is_status_2() {
    let Some(root) = test_data("ethereum-mainnet") else { return };
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let hashes: Object = json::read(&root.join("block_hashes.json.gz"));
    let (number, ancestors) = hashes.iter().find(|(_, ancestors)| ancestors.as_object().unwrap().len() == 1).unwrap();
    let ancestor = ancestors.as_object().unwrap().keys().next().unwrap();
    let [block, prestate] = ["block", "prestate"].map(|kind| path(&format!("full/{number}.{kind}.json.gz")));
    let code = path("bytecodes.json.gz");
    let arguments = ["run", "--block", &block, "--prestate", &prestate, "--code", &code];
    let ran = run(arguments);
    let line = ran.the_line();
    assert!(line.starts_with(&format!("{block}: block {number}: transaction ")), "{line}");
    assert!(line.ends_with(&format!("the state lacks the hash of block {ancestor}")), "{line}");

    let folder = Folder::new("bad-block-hashes");
    let hashes = folder.path("hashes.json");
    for (text, problem) in [
        (json!({number: {ancestor: "0x12"}}).to_string(), format!("field {number}.{ancestor}: ")),
        (json!({number: {"one": "0x12"}}).to_string(), format!("field {number}")),
        (json!([]).to_string(), "field ".to_owned()),
    ] {
        std::fs::write(&hashes, text).unwrap();
        let ran = run([&arguments[..], &["--block-hashes", &hashes]].concat());
        assert!(ran.the_line().starts_with(&format!("{hashes}: {problem}")), "{}", ran.stderr);
    }
}

#[test]
fn a_complete_pre_state_tells_an_invalid_block_from_an_incomplete_one() {
    let Some(root) = test_data("ethereum-mainnet") else { return };
    let mut block: Object = json::read(&root.join("full/930196.block.json.gz"));
    let mut accounts: Object = json::read(&root.join("full/930196.prestate.json.gz"));
    // With the claim gone, the wrong header is only found by executing.
    block.remove("hash");
    block.insert("gasUsed".to_owned(), json!("0x5c491"));
    let folder = Folder::new("complete-pre-state");
    let [block_path, state_path] = ["block.json", "prestate.json"].map(|name| folder.path(name));
    std::fs::write(&block_path, json::bytes(&block)).unwrap();
    let problem = format!("{block_path}: block 930196: gasUsed: 378001 stated, 378000 computed");
    let mut added = 0;
    loop {
        std::fs::write(&state_path, json::bytes(&accounts)).unwrap();
        let ran = run(["run", "--block", &block_path, "--prestate", &state_path]);
        let [line] = ran.error_lines()[..] else { panic!("{}", ran.stderr) };
        if ran.status == Some(1) {
            assert_eq!(line, problem);
            break;
        }
        // Might the account exist after all? It is said not to, one after the other.
        let account = ran.the_line().strip_prefix(&format!("{problem}; not the block's fault if account ")).unwrap();
        let account = account.split_once(',').unwrap().0.to_owned();
        assert!(accounts.insert(account, Value::Null).is_none());
        added += 1;
        assert!(added < 20);
    }
    assert!(added > 0);
}
