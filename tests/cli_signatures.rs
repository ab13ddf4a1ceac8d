//! `phalanx verify --scheme` gives every line of a list its verdict, in order, and says in which line what cannot be read.
#![cfg(feature = "cli")]

#[path = "common/command.rs"]
mod command;
mod common;

use command::{Folder, Ran, run, run_with_input};
use common::curve;
use serde_json::{Value, json};

/// BIP-340's vectors, as they are published.
fn vectors() -> Option<String> {
    let path = common::test_data("vectors")?.join("bip340_test-vectors.csv");
    Some(path.to_str().unwrap().to_owned())
}

/// Line and verdict of each line of stdout, up to the summary.
fn verdicts(ran: &Ran, file: &str) -> Vec<(u64, String)> {
    let of_line = |line: &str| {
        let (number, verdict) = line.strip_prefix(file)?.strip_prefix(':')?.split_once(": ")?;
        Some((number.parse().unwrap(), verdict.to_owned()))
    };
    ran.stdout.lines().map_while(of_line).collect()
}

#[test]
fn the_vectors_of_bip_340_are_taken_as_they_are() {
    let Some(path) = vectors() else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let ran = run(["verify", "--scheme", "bip340", &path]);
    assert_eq!(ran.status, Some(1));
    let told = verdicts(&ran, &path);
    let due: Vec<_> = (2..).zip(text.lines().skip(1).map(|line| line.split(',').nth(6) == Some("TRUE"))).collect();
    assert_eq!(told.iter().map(|(line, verdict)| (*line, verdict == "valid")).collect::<Vec<_>>(), due);
    assert_eq!((told[5].0, &*told[5].1), (7, "invalid, key-not-on-curve"));
    assert!(ran.stdout.contains("\n19 signatures, 10 of them invalid; "), "{}", ran.stdout);
    let errors: Vec<_> = told
        .iter()
        .filter(|(_, verdict)| verdict != "valid")
        .map(|(line, _)| format!("{path}: line {line}: "))
        .collect();
    assert_eq!(ran.error_lines().len(), errors.len());
    for (line, start) in ran.error_lines().iter().zip(&errors) {
        assert!(line.starts_with(start), "{line}");
    }

    // The same for programs: an object a line, the summary last.
    let ran = run(["verify", "--json", "--scheme", "bip340", &path]);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (report, objects) = lines.split_last().unwrap();
    for (object, (line, verdict)) in objects.iter().zip(&told) {
        let (word, reason) = verdict.split_once(", ").map_or((&**verdict, None), |(word, code)| (word, Some(code)));
        assert_eq!(*object, json!({ "file": path, "line": line, "verdict": word, "reason": reason }));
    }
    let [file] = &report["files"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!([&file["signatures"], &file["invalid"]], [19, 10]);
    assert_eq!(
        (&file["scheme"], &file["verdict"], &file["error"]),
        (&json!("bip340"), &json!("invalid"), &Value::Null)
    );
    assert_eq!((ran.status, objects.len()), (Some(1), 19));
}

#[test]
fn every_form_of_a_list_has_the_same_verdicts() {
    let Some(path) = vectors() else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let fields: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let list = |row: &dyn Fn(&[&str]) -> String| fields.iter().map(|fields| row(fields) + "\n").collect::<String>();
    let bare = list(&|f| format!("{},{},{}", f[2], f[4], f[5]));
    let objects = list(&|f| json!({ "public_key": f[2], "message": f[4], "signature": f[5], "x": [1] }).to_string());
    let mixed =
        list(&|f| format!(r#"{{"key": "0x{}", "signature": "{}", "message": "{}"}}"#, f[2].to_lowercase(), f[5], f[4]));
    let named = "Comment,signature,\"Public Key\",message\n".to_owned()
        + &list(&|f| format!("\"a, b\",{} , {},\"{}\"", f[5], f[2], f[4]));
    let crlf = bare.replace('\n', "\r\n\r\n");
    let due: Vec<String> =
        verdicts(&run(["verify", "--scheme", "bip340", &path]), &path).into_iter().map(|v| v.1).collect();
    let folder = Folder::new("signature-forms");
    for (name, text) in [("bare", &bare), ("objects", &objects), ("mixed", &mixed), ("named", &named), ("crlf", &crlf)]
    {
        let path = folder.path(name);
        std::fs::write(&path, text.trim_end()).unwrap();
        let told = verdicts(&run(["verify", "--scheme", "bip340", "--threads", "3", &path]), &path);
        assert_eq!(told.into_iter().map(|(_, verdict)| verdict).collect::<Vec<_>>(), due, "{name}");
    }
    let ran = run_with_input(&["verify", "--scheme", "bip340", "-"], bare.as_bytes());
    assert_eq!(verdicts(&ran, "standard input").len(), due.len());
}

/// More lines than are checked together keep their order and numbers, in several files.
#[test]
fn a_long_list_keeps_its_order() {
    let Some(path) = vectors() else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let (header, lines) = text.split_once('\n').unwrap();
    let lines: Vec<_> = lines.lines().take(8).collect();
    let is_valid: Vec<_> = lines.iter().map(|line| line.contains(",TRUE,")).collect();
    assert!(is_valid.contains(&true) && is_valid.contains(&false));
    // The invalid ones at the length's prime, so that they come to lie at all places of a chunk.
    let count = 40_000;
    let row = |index: usize| if index.is_multiple_of(4_001) { 5 } else { index % 4 };
    let long: String = (0..count).flat_map(|index| [lines[row(index)], "\n"]).collect();
    let folder = Folder::new("long-list");
    let file = folder.path("long.csv");
    std::fs::write(&file, format!("{header}\n{long}")).unwrap();
    let ran = run(["verify", "--scheme", "bip340", &file, &path]);
    let told = verdicts(&ran, &file);
    assert_eq!(told.len(), count);
    for (index, (line, verdict)) in told.iter().enumerate() {
        assert_eq!((*line, verdict == "valid"), (index as u64 + 2, is_valid[row(index)]), "{verdict}");
    }
    assert!(ran.stdout.contains("\n40,019 signatures, 20 of them invalid; "));
}

#[test]
fn ecdsa_is_judged_by_the_rules_that_are_named() {
    let digest = curve::small(9);
    let secret = curve::reduced(curve::small(5));
    let signed = curve::sign(secret, curve::reduced(digest), curve::reduced(curve::small(6))).unwrap();
    let other = curve::negated(signed);
    let is_low = signed.signature.s <= phalanx::scheme::ecdsa::HALF_ORDER;
    let (low, high) = if is_low { (signed, other) } else { (other, signed) };
    let point = curve::times_generator(secret).unwrap();
    let full = [&[4], &curve::coordinates(&point)[..]].concat();
    let hybrid = [&[6 | full[64] & 1], &full[1..]].concat();
    let parsed = |bytes: &[u8]| secp256k1::ecdsa::Signature::from_compact(bytes).unwrap().serialize_der().to_vec();
    let compact = |signed: curve::Signed| [signed.signature.r, signed.signature.s].concat();
    let lax = [&parsed(&compact(low))[..], &[0]].concat();
    let lines: String = [
        (&full, compact(low)),
        (&full, compact(high)),
        (&full, parsed(&compact(low))),
        (&full, parsed(&compact(high))),
        (&full, lax),
        (&hybrid, compact(low)),
    ]
    .map(|(key, signature)| format!("{},{},{}\n", hex::encode(key), hex::encode(digest), hex::encode(signature)))
    .concat();
    let (ok, form, high, key) = ("valid", "invalid, signature-encoding", "invalid, high-s", "invalid, key-encoding");
    let ask = |rules: &str, encoding: &str| {
        let arguments = ["verify", "--scheme", "ecdsa", "--rules", rules, "--encoding", encoding, "-"];
        let told = verdicts(&run_with_input(&arguments, lines.as_bytes()), "standard input");
        told.into_iter().map(|(_, verdict)| verdict).collect::<Vec<_>>()
    };
    assert_eq!(ask("sec1", "compact"), [ok, ok, form, form, form, key]);
    assert_eq!(ask("eth-frontier", "compact"), [ok, ok, form, form, form, key]);
    assert_eq!(ask("eth-homestead", "compact"), [ok, high, form, form, form, key]);
    assert_eq!(ask("eth-typed", "compact"), [ok, high, form, form, form, key]);
    assert_eq!(ask("bitcoin-policy", "der"), [form, form, ok, high, form, key]);
    assert_eq!(ask("bitcoin-consensus", "der"), [form, form, ok, ok, form, form]);
    assert_eq!(ask("bitcoin-consensus", "der-lax"), [form, form, ok, ok, ok, form]);
    assert_eq!(ask("bitcoin-consensus", "compact"), [ok, ok, form, form, form, ok]);
}

#[test]
fn what_cannot_be_read_is_named_by_its_line() {
    let good = format!("{},,{}", "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "00".repeat(64));
    let long = "0".repeat(9 << 20);
    let object = r#"{"public_key": "00", "signature": "00"}"#;
    let cases: [(&[u8], &str); 14] = [
        (b"0g,,00", "key: "),
        (b"00,0,00", "message: "),
        (b"00,00,0", "signature: "),
        (b"00,00", "2 values, where key, message and signature are expected"),
        (b"00,00,00,00", "4 values, where "),
        (b"\xff\xfe", "not text"),
        (b"00,00\0,00", "message: "),
        (b"\"00,00,00", "1 values, where "),
        (b"{", "column 1: "),
        (b"{}", "column 2: missing field `public_key`"),
        (object.as_bytes(), "no `message`"),
        (br#"{"public_key": 5, "message": "", "signature": ""}"#, "column "),
        (b"[[[[[", "1 values, where "),
        (long.as_bytes(), "longer than "),
    ];
    for (bytes, problem) in cases {
        let input = [good.as_bytes(), b"\n\n", good.as_bytes(), b"\n", bytes, b"\n", good.as_bytes()].concat();
        let ran = run_with_input(&["verify", "--scheme", "bip340", "-"], &input);
        assert_eq!(ran.status, Some(2), "{problem}: {}", ran.stderr);
        // Those before it have been checked.
        assert_eq!(verdicts(&ran, "standard input").iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
        let lines = ran.error_lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[2].starts_with(&format!("standard input: line 4: {problem}")), "{}", lines[2]);
        assert!(lines[2].len() < 200, "{}", lines[2]);
    }
    let ecdsa = ["verify", "--scheme", "ecdsa", "--rules", "sec1", "--encoding", "der", "-"];
    let bip340 = ["verify", "--scheme", "bip340", "-"];
    let whole: [(&[&str], &str, &str); 7] = [
        (&ecdsa, "00,0011,00\n", "standard input: line 1: a digest of 2 bytes, not 32"),
        (&ecdsa, "key,message,signature\n", "standard input: line 1: no column `digest`"),
        (&bip340, "\n\nmessage,signature\n", "standard input: line 3: no column `public key`"),
        (&bip340, "key,message,signature\n00\n", "standard input: line 2: no column 2"),
        (&bip340, "key,message,signature\n", "standard input: no signatures"),
        (&bip340, "\n \n", "standard input: no signatures"),
        (&bip340, "", "standard input: empty"),
    ];
    for (arguments, input, line) in whole {
        assert_eq!(run_with_input(arguments, input.as_bytes()).the_line(), line);
    }
    assert!(run(["verify", "--scheme", "bip340", "/nowhere"]).the_line().starts_with("/nowhere: "));
}

#[test]
fn what_a_scheme_leaves_open_must_be_said_and_nothing_else() {
    for arguments in [
        &["--scheme", "ecdsa", "-"][..],
        &["--scheme", "ecdsa", "--rules", "sec1", "-"],
        &["--scheme", "ecdsa", "--encoding", "der", "-"],
        &["--scheme", "ecdsa", "--encoding", "der", "--rules", "none", "-"],
        &["--scheme", "bip340", "--rules", "sec1", "-"],
        &["--scheme", "bip340", "--encoding", "der", "-"],
        &["--scheme", "bip340", "--fork", "homestead", "-"],
        &["--scheme", "ed448", "-"],
        &["--rules", "sec1", "-"],
        &["--encoding", "der", "-"],
    ] {
        let ran = run([&["verify"], arguments].concat());
        assert_eq!((ran.status, &*ran.stdout), (Some(2), ""), "{arguments:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
}
