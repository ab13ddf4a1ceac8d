//! The project's own vectors hold on every path, and are what their generator writes.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{paths, vectors};
use phalanx::scheme::ecdsa::{KeyBytes, RecoverItem, SignatureBytes, Signer, VerifyItem};
use phalanx::{Reason, Rules, Verdict};
use serde_json::Value;

/// Set by `cargo xtask vectors`: the generator's output is written and not only compared.
const WRITE: &str = "PHALANX_WRITE_FIXTURES";

#[test]
fn the_generator_writes_the_committed_file() {
    let (fixture, sources) = (fixture("ecdsa.json"), fixture("SOURCES.md"));
    let generated = vectors::json();
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(fixture.parent().expect("a folder")).expect("the folder is made");
        let before = std::fs::read(&fixture).unwrap_or_default();
        let stated = std::fs::read_to_string(&sources).expect("the sources are readable");
        let stated = stated.replace(&sha256(&before), &sha256(generated.as_bytes()));
        std::fs::write(&fixture, &generated).expect("the vectors are written");
        std::fs::write(&sources, stated).expect("their hash is written");
    }
    let committed = std::fs::read_to_string(&fixture).expect("the vectors are readable");
    // Not assert_eq, which would print both.
    assert!(committed == generated, "not what the generator writes; `cargo xtask vectors` brings it up to date");
    assert!(committed.len() < 200_000, "{} bytes", committed.len());
    let stated = std::fs::read_to_string(&sources).expect("the sources are readable");
    assert!(stated.contains(&sha256(committed.as_bytes())), "SOURCES.md states another hash");
}

#[test]
fn every_recovery_is_answered_as_written() {
    let mut due = Vec::new();
    for case in cases("recover") {
        let item = RecoverItem {
            digest: bytes(&case["digest"]),
            signature: signature(&case),
            recovery_id: case["recovery_id"].as_u64().and_then(|id| id.try_into().ok()).expect("a byte"),
            rules: rules(&case),
        };
        let verdict = reason(&case).map_or_else(
            || Verdict::Valid(Signer { public_key: bytes(&case["public_key"]), address: bytes(&case["address"]) }),
            Verdict::Invalid,
        );
        due.push((Ok(item), verdict));
    }
    paths::recover("fixtures", &due);
    assert_eq!(count(&due), (236, 109));
}

#[test]
fn every_verification_is_answered_as_written() {
    let mut due = Vec::new();
    for case in cases("verify") {
        let key = hex::decode(case["key"].as_str().expect("a string")).expect("hexadecimal");
        let rules = rules(&case);
        let item = KeyBytes::parse(&key, rules).map(|key| VerifyItem {
            digest: bytes(&case["digest"]),
            signature: signature(&case),
            key,
            rules,
        });
        due.push((item, reason(&case).map_or(Verdict::Valid(()), Verdict::Invalid)));
    }
    paths::verify("fixtures", &due);
    assert_eq!(count(&due), (238, 111));
}

/// The cases of one kind, whose names must differ.
fn cases(kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixture("ecdsa.json")).expect("the vectors are readable");
    let file: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let cases = file[kind].as_array().expect("a list").clone();
    let names: BTreeSet<_> = cases.iter().map(|case| case["name"].as_str().expect("a string")).collect();
    assert_eq!(names.len(), cases.len());
    cases
}

/// How many there are, and how many are valid.
fn count<I, T>(cases: &[paths::Case<I, T>]) -> (usize, usize) {
    (cases.len(), cases.iter().filter(|(_, verdict)| verdict.is_valid()).count())
}

fn rules(case: &Value) -> Rules {
    let name = case["rules"].as_str().expect("a string");
    Rules::ALL.into_iter().find(|rules| format!("{rules:?}") == name).expect("the name of rules")
}

fn reason(case: &Value) -> Option<Reason> {
    let code = case.get("reason")?.as_str().expect("a string");
    Some(Reason::ALL.into_iter().find(|reason| reason.code() == code).expect("the code of a reason"))
}

fn signature(case: &Value) -> SignatureBytes {
    SignatureBytes { r: bytes(&case["r"]), s: bytes(&case["s"]) }
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    let bytes = hex::decode(value.as_str().expect("a string")).expect("hexadecimal");
    bytes.try_into().expect("as many bytes as the field has")
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(phalanx::cpu::sha256(bytes))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
