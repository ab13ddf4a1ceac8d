//! Every secp256k1 ECDSA case of C2SP's Wycheproof is answered as its `result` says, on every path.

mod common;

use common::{oracle, paths};
use phalanx::scheme::ecdsa::{KeyBytes, SignatureBytes, VerifyItem};
use phalanx::{Reason, Rules, Verdict};
use secp256k1::PublicKey;
use sha2::Digest;
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

/// How the signatures of a set are encoded, and what it takes them for.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Der,
    P1363,
    /// Strict DER and low s, "a ECDSA variant used for Bitcoin, that add signature non-malleability".
    Bitcoin,
}

impl Form {
    fn rules(self) -> Rules {
        match self {
            Self::Der | Self::P1363 => Rules::Sec1,
            Self::Bitcoin => Rules::BitcoinPolicy,
        }
    }

    fn parse(self, bytes: &[u8]) -> Result<SignatureBytes, Reason> {
        match self {
            Self::Der | Self::Bitcoin => SignatureBytes::from_der(bytes),
            Self::P1363 => SignatureBytes::from_p1363(bytes),
        }
    }
}

/// One case, whichever file it comes from.
struct Case {
    name: String,
    /// SEC 1, uncompressed.
    key: Vec<u8>,
    digest: [u8; 32],
    signature: Vec<u8>,
    valid: bool,
    flags: Vec<String>,
}

impl Case {
    fn item(&self, form: Form, key: &[u8]) -> Result<VerifyItem, Reason> {
        let rules = form.rules();
        let key = KeyBytes::parse(key, rules)?;
        let signature = form.parse(&self.signature)?;
        Ok(VerifyItem { digest: self.digest, signature, key, rules })
    }
}

#[test]
fn files_of_the_shared_data() {
    let Some(folder) = common::test_data("vectors") else { return };
    // Cases, and how many of them are valid, as counted in the files by hand.
    let files = [
        ("sha256_bitcoin", Form::Bitcoin, 463, 162),
        ("sha256_p1363", Form::P1363, 252, 167),
        ("sha256", Form::Der, 476, 168),
        ("sha3_256", Form::Der, 474, 172),
    ];
    let mut seen = 0;
    for (name, form, cases, valid) in files {
        let path = folder.join(format!("wycheproof_ecdsa_secp256k1_{name}_test.json"));
        let file = std::fs::read_to_string(&path).expect("the vectors are readable");
        let file: serde_json::Value = serde_json::from_str(&file).expect("the vectors are JSON");
        let read = cases_of_file(&file);
        assert_eq!(file["numberOfTests"], cases);
        assert_eq!(check(name, form, &read), (cases, valid));
        seen += read.len();
    }
    assert_eq!(seen, 1_665);
}

#[test]
fn sets_of_the_wycheproof_crate() {
    // All its secp256k1 sets but those that hash with SHAKE, which no dependency here offers.
    let sets = [
        (TestName::EcdsaSecp256k1Sha256Bitcoin, Form::Bitcoin, 463, 162),
        (TestName::EcdsaSecp256k1Sha256P1363, Form::P1363, 252, 167),
        (TestName::EcdsaSecp256k1Sha256, Form::Der, 476, 168),
        (TestName::EcdsaSecp256k1Sha3_256, Form::Der, 474, 172),
        (TestName::EcdsaSecp256k1Sha3_512, Form::Der, 540, 237),
        (TestName::EcdsaSecp256k1Sha512P1363, Form::P1363, 322, 236),
        (TestName::EcdsaSecp256k1Sha512, Form::Der, 546, 237),
    ];
    let mut seen = 0;
    for (name, form, cases, valid) in sets {
        let set = TestSet::load(name).expect("the crate's set is well-formed");
        let read = cases_of_set(&set);
        assert_eq!(check(&format!("{name:?}"), form, &read), (cases, valid));
        seen += read.len();
    }
    assert_eq!(seen, 3_073);
}

/// Checks every case under both forms of its key, on every path; returns how many there are and how many are valid.
fn check(set: &str, form: Form, cases: &[Case]) -> (usize, usize) {
    let with_both_keys = cases.iter().flat_map(|case| {
        let due = due(&format!("{set}, {}", case.name), form, case);
        [case.key.clone(), compressed(&case.key).to_vec()].map(|key| (case.item(form, &key), due))
    });
    paths::verify(set, &with_both_keys.collect::<Vec<_>>());
    (cases.len(), cases.iter().filter(|case| case.valid).count())
}

/// The verdict that is due: a case that its `result` calls invalid is so for libsecp256k1's reason, and its flags must mean that one.
fn due(place: &str, form: Form, case: &Case) -> Verdict<()> {
    if case.valid {
        return Verdict::Valid(());
    }
    let named: &[Reason] = match case.flags.last().map(String::as_str) {
        Some(
            "InvalidEncoding" | "BerEncodedSignature" | "MissingZero" | "SignatureSize" | "InvalidTypesInSignature",
        ) => &[Reason::SignatureEncoding],
        Some("SignatureMalleabilityBitcoin") => &[Reason::HighS],
        Some("PointDuplication") => &[Reason::Mismatch],
        // The others name the attack and not the defect that it leaves.
        _ => &Reason::ALL,
    };
    let reason = match case.item(form, &case.key) {
        Ok(item) => oracle::verify(&item).expect_err(place),
        Err(parsing) => {
            let refused = match (form, secp256k1::ecdsa::Signature::from_der(&case.signature)) {
                (Form::P1363, _) => case.signature.len() != 64,
                // It reads a negative integer, and makes zero of it.
                (_, Ok(read)) => read.serialize_compact().chunks(32).any(|scalar| scalar == [0; 32]),
                (_, Err(_)) => true,
            };
            assert!(refused, "{place}: libsecp256k1 reads it");
            parsing
        }
    };
    assert!(named.contains(&reason), "{place}: {reason:?} is not what {:?} mean", case.flags);
    Verdict::Invalid(reason)
}

fn cases_of_file(file: &serde_json::Value) -> Vec<Case> {
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let bytes = |value: &serde_json::Value| hex::decode(text(value)).expect("hexadecimal");
    let list = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    let mut cases = Vec::new();
    for group in list(&file["testGroups"]) {
        for test in list(&group["tests"]) {
            cases.push(Case {
                name: format!("case {}: {}", test["tcId"], text(&test["comment"])),
                key: bytes(&group["publicKey"]["uncompressed"]),
                digest: digest(&text(&group["sha"]), &bytes(&test["msg"])),
                signature: bytes(&test["sig"]),
                valid: match test["result"].as_str() {
                    Some("valid") => true,
                    Some("invalid") => false,
                    // "acceptable" cases ask for a decision; these files hold none.
                    result => panic!("a result of {result:?}"),
                },
                flags: list(&test["flags"]).iter().map(text).collect(),
            });
        }
    }
    cases
}

fn cases_of_set(set: &TestSet) -> Vec<Case> {
    let groups = set.test_groups.iter();
    let tests = groups.flat_map(|group| group.tests.iter().map(move |test| (group, test)));
    tests
        .map(|(group, test)| Case {
            name: format!("case {}: {}", test.tc_id, test.comment),
            key: group.key.key.to_vec(),
            digest: digest(&format!("{:?}", group.hash), &test.msg),
            signature: test.sig.to_vec(),
            valid: match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("an acceptable case asks for a decision; these sets hold none"),
            },
            flags: test.flags.iter().map(|flag| format!("{flag:?}")).collect(),
        })
        .collect()
}

/// The leftmost 256 bits of the message's hash (SEC 1, 4.1.4, step 3).
fn digest(function: &str, message: &[u8]) -> [u8; 32] {
    let hash = match function {
        "SHA-256" | "Sha2_256" => phalanx::cpu::sha256(message).to_vec(),
        "Sha2_512" => sha2::Sha512::digest(message).to_vec(),
        "SHA3-256" | "Sha3_256" => sha3::Sha3_256::digest(message).to_vec(),
        "Sha3_512" => sha3::Sha3_512::digest(message).to_vec(),
        unknown => panic!("no hash function {unknown}"),
    };
    hash[..32].try_into().expect("at least 256 bits")
}

fn compressed(key: &[u8]) -> [u8; 33] {
    PublicKey::from_slice(key).expect("the sets' keys are points").serialize()
}
