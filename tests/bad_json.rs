//! Every field of a JSON block, missing and malformed: one line that names it, and exit status 2.
#![cfg(feature = "cli")]

#[path = "common/command.rs"]
mod command;
mod common;
#[path = "common/json.rs"]
mod json;

use std::collections::BTreeMap;

use command::{Folder, run};
use common::test_data;
use json::{Object, with, without};
use serde_json::{Value, json};

/// What is expected of a block with a field missing or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The field is not needed, or says nothing that is not said elsewhere.
    Valid,
    /// The block can be read, and is invalid; the first line names the field.
    Invalid(&'static str),
    /// The block cannot be read; the one line names the field.
    Unreadable(&'static str),
}

/// Writes changed blocks into a folder, verifies them all at once, and compares.
fn check_changed(name: &str, cases: &[(String, Vec<u8>, Expected)]) {
    let folder = Folder::new(name);
    for (name, text, _) in cases {
        std::fs::write(folder.path(&format!("{name}.block.json")), text).unwrap();
    }
    let ran = run(["verify", "--json", &folder.path("")]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), cases.len());
    let of_file: BTreeMap<_, _> = files.iter().map(|file| (file["file"].as_str().unwrap(), file)).collect();
    let lines = ran.error_lines();
    let mut failed = 0;
    for (name, _, expected) in cases {
        let path = folder.path(&format!("{name}.block.json"));
        let lines: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(&format!("{path}: "))).collect();
        let verdict = of_file[&*path]["verdict"].as_str().unwrap();
        failed += usize::from(verdict != "valid");
        match expected {
            Expected::Valid => assert_eq!((verdict, lines.len()), ("valid", 0), "{name}: {lines:?}"),
            Expected::Invalid(field) => {
                assert_eq!(verdict, "invalid", "{name}: {lines:?}");
                let (block, problem) = lines[0].split_once(": ").unwrap();
                assert!(block.starts_with("block ") && problem.starts_with(field), "{name}: {lines:?}");
            }
            Expected::Unreadable(field) => {
                assert_eq!((verdict, lines.len()), ("not checked", 1), "{name}: {lines:?}");
                assert!(lines[0].starts_with(&format!("field {field}: ")), "{name}: {lines:?}");
            }
        }
    }
    assert!(lines.last().unwrap().starts_with(&format!("{failed} of {} files failed: ", cases.len())));
}

#[test]
fn every_field_of_a_json_header_missing_and_malformed() {
    use Expected::{Invalid, Unreadable, Valid};
    let Some(folder) = test_data("ethereum-mainnet/full") else { return };
    let block: Object = json::read(&folder.join("19923400.block.json.gz"));
    // Of each field what comes of it missing, and of it malformed.
    let required = [
        "parentHash",
        "sha3Uncles",
        "miner",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "logsBloom",
        "difficulty",
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "extraData",
        "mixHash",
        "nonce",
        "transactions",
    ];
    // Fields that came with a fork may be missing in a block of an earlier one.
    let since = ["baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot"];
    let mut fields: BTreeMap<&'static str, (Expected, Expected)> = BTreeMap::new();
    fields.extend(required.map(|field| (field, (Unreadable(field), Unreadable(field)))));
    // But for the last, one that is missing leaves a gap.
    fields.extend(since[..4].iter().map(|field| (*field, (Unreadable(field), Unreadable(field)))));
    fields.extend([(since[4], (Invalid(since[4]), Unreadable(since[4])))]);
    fields.extend([("withdrawals", (Unreadable("withdrawals"), Unreadable("withdrawals")))]);
    fields.extend(["hash", "uncles"].map(|field| (field, (Valid, Unreadable(field)))));
    fields.extend(["size", "totalDifficulty"].map(|field| (field, (Valid, Valid))));
    assert!(block.keys().eq(fields.keys()), "{:?}", block.keys());

    let mut cases = Vec::new();
    for (field, (missing, malformed)) in fields {
        let texts = [without(&block, field), with(&block, field, json!("0xzz"))].map(|block| json::bytes(&block));
        for (kind, text, expected) in texts
            .into_iter()
            .zip([("missing", missing), ("malformed", malformed)])
            .map(|(text, (kind, expected))| (kind, text, expected))
        {
            cases.push((format!("{field}-{kind}"), text, expected));
        }
    }
    let text = json::bytes(&block);
    cases.push(("as-it-is".to_owned(), text.clone(), Valid));
    cases.push(("in-an-answer".to_owned(), serde_json::to_vec(&json!({"id": 1, "result": block})).unwrap(), Valid));
    assert_eq!(cases.len(), 2 * 26 + 2);
    check_changed("header-fields", &cases);

    let folder = Folder::new("no-blocks");
    let texts: [(&[u8], &str); 6] = [
        (&text[..text.len() / 2], "not JSON: "),
        (b"{\"result\": null}", "field (top level): expected a block object"),
        (b"[1]", "field (top level): expected a block object"),
        (b"{\"transactions\": [\"0x00\"]}", "field parentHash: missing"),
        (b"   ", "not JSON: "),
        (&[&text[..], b"}"].concat(), "not JSON: "),
    ];
    for (text, problem) in texts {
        let path = folder.path("bad.block.json");
        std::fs::write(&path, text).unwrap();
        assert!(run(["verify", &path]).the_line().starts_with(&format!("{path}: {problem}")), "{problem}");
    }
}

#[test]
fn every_field_of_a_json_transaction_missing_and_malformed() {
    use Expected::{Unreadable, Valid};
    let Some(folder) = test_data("ethereum-mainnet/full") else { return };
    let claims = ["hash", "from"];
    let unread = ["blockHash", "blockNumber", "transactionIndex"];
    let of_all = ["nonce", "to", "value", "gas", "input", "r", "s"];
    let typed = ["chainId", "accessList", "maxFeePerGas", "maxPriorityFeePerGas"];
    let mut seen = 0;
    for (number, ty, own) in [
        ("15752489", "0x0", &["gasPrice", "v"][..]),
        ("15752489", "0x2", &typed[..]),
        ("19932703", "0x3", &[&typed[..], &["maxFeePerBlobGas", "blobVersionedHashes"]].concat()),
    ] {
        let name = format!("{number}.block.json.gz");
        let block: Object = json::read(&folder.join(name));
        let transactions = block["transactions"].as_array().unwrap();
        let index = transactions.iter().position(|transaction| transaction["type"] == ty).unwrap();
        let transaction = transactions[index].as_object().unwrap();
        let in_block = |transaction: Object| {
            let mut transactions = transactions.clone();
            transactions[index] = transaction.into();
            serde_json::to_vec(&with(&block, "transactions", transactions.into())).unwrap()
        };
        let named = |field: &str| Unreadable(format!("transactions[{index}].{field}").leak());
        let mut cases = Vec::new();
        for field in transaction.keys() {
            let field = field.as_str();
            let missing = match field {
                field if of_all.contains(&field) || own.contains(&field) => named(field),
                // Then it is a legacy transaction, of which this is no v.
                "type" if ty != "0x0" => named("v"),
                _ => Valid,
            };
            let malformed = if unread.contains(&field) { Valid } else { named(field) };
            cases.push((format!("{field}-missing"), in_block(without(transaction, field)), missing));
            cases.push((format!("{field}-malformed"), in_block(with(transaction, field, json!("0xzz"))), malformed));
        }
        cases.push(("type-unknown".to_owned(), in_block(with(transaction, "type", json!("0x7"))), named("type")));
        if ty == "0x0" {
            cases.push(("v-26".to_owned(), in_block(with(transaction, "v", json!("0x1a"))), named("v")));
        } else {
            let other = if transaction["yParity"] == "0x0" { "0x1" } else { "0x0" };
            cases.push(("v-other".to_owned(), in_block(with(transaction, "v", json!(other))), named("v")));
            let changed = with(&without(transaction, "v"), "yParity", json!("0x2"));
            cases.push(("parity-2".to_owned(), in_block(changed), named("yParity")));
        }
        let to_nowhere = if ty == "0x3" { named("to") } else { Expected::Invalid("transactionsRoot") };
        cases.push(("to-null".to_owned(), in_block(with(transaction, "to", Value::Null)), to_nowhere));
        cases.push((
            "no-object".to_owned(),
            {
                let mut transactions = transactions.clone();
                transactions[index] = json!("0x00");
                serde_json::to_vec(&with(&block, "transactions", transactions.into())).unwrap()
            },
            Unreadable(format!("transactions[{index}]").leak()),
        ));
        assert_eq!(claims.iter().filter(|claim| transaction.contains_key(**claim)).count(), 2);
        seen += cases.len();
        check_changed(&format!("transaction-fields-{ty}"), &cases);
    }
    assert_eq!(seen, 2 * (16 + 20 + 22) + 4 + 5 + 5);
}
