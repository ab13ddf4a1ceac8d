//! The command does what its help says: reports on stdout, errors alone on stderr, exit status 0, 1 or 2.
#![cfg(feature = "cli")]

#[path = "common/command.rs"]
mod command;
mod common;

use std::io::Write;
use std::process::Stdio;

use command::{Folder, Ran, command, run, run_with_input};
use common::test_data;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// The report of a run that found all valid: nothing but JSON on stdout, nothing on stderr.
fn valid_report(ran: &Ran) -> Value {
    assert_eq!(ran.stderr, "");
    assert_eq!(ran.status, Some(0));
    serde_json::from_str(&ran.stdout).unwrap()
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A report without what differs from run to run.
fn without_times(mut report: Value) -> Value {
    let volatile = ["seconds", "per_second", "transactions_per_second", "threads", "execution"];
    match &mut report {
        Value::Object(fields) => {
            fields.retain(|name, _| !volatile.contains(&name.as_str()));
            fields.values_mut().for_each(|field| *field = without_times(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_times(item.take())),
        _ => {}
    }
    report
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn run_makes_its_own_workload_and_prints_a_table() {
    let ran = run(["run", "--blocks", "3", "--transactions", "50"]);
    assert_eq!((ran.status, &*ran.stderr), (Some(0), ""));
    assert!(ran.stdout.starts_with("generated workload: 3 blocks of 50 transactions, 1,000 accounts, 60/25/15 %"));
    for stage in ["decode", "verify", "execute", "commit"] {
        let row = ran.stdout.lines().find(|line| line.starts_with(stage)).unwrap();
        assert_eq!(row.split_whitespace().nth(1), Some("150"), "{row}");
    }
    assert!(ran.stdout.contains("\n3 blocks, 150 transactions, "), "{}", ran.stdout);
    assert!(ran.stdout.contains(", block-stm executor\nexecution: "), "{}", ran.stdout);
}

#[test]
fn the_json_of_run_has_its_fields_and_they_agree() {
    let ran = run(["run", "--json", "--blocks", "3", "--transactions", "50", "--threads", "2"]);
    let report = valid_report(&ran);
    let mut fields = keys(&report);
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "backend",
            "blocks",
            "errors",
            "execution",
            "executor",
            "gas_used",
            "head",
            "input",
            "notes",
            "seconds",
            "stages",
            "threads",
            "transactions",
            "transactions_per_second"
        ]
    );
    assert_eq!([&report["blocks"], &report["head"], &report["transactions"], &report["threads"]], [3, 3, 150, 2]);
    assert_eq!((&report["errors"], &report["notes"]), (&json!([]), &json!([])));
    assert!(report["gas_used"].as_u64().unwrap() >= 150 * 21_000);
    let [seconds, rate] = ["seconds", "transactions_per_second"].map(|field| report[field].as_f64().unwrap());
    assert!((rate * seconds - 150.0).abs() < 1e-6, "{rate} a second for {seconds} s");
    let stages = report["stages"].as_array().unwrap();
    assert_eq!(
        stages.iter().map(|stage| &stage["name"]).collect::<Vec<_>>(),
        ["decode", "verify", "execute", "commit"]
    );
    for stage in stages {
        assert_eq!((&stage["items"], &stage["unit"]), (&json!(150), &json!("transactions")));
        let [seconds, rate] = ["seconds", "per_second"].map(|field| stage[field].as_f64().unwrap());
        assert!(seconds > 0.0 && (rate * seconds - 150.0).abs() < 1e-6, "{stage}");
    }
}

#[test]
fn every_executor_runs_and_is_checked() {
    for (executor, parallel) in [("sequential", 0), ("block-stm", 3), ("access-list", 3), ("sharded", 3)] {
        let size = ["--blocks", "3", "--transactions", "60", "--threads", "2"];
        let arguments = ["run", "--json", "--check", "--executor", executor];
        let report = valid_report(&run(arguments.iter().chain(&size)));
        assert_eq!((&report["executor"], &report["blocks"]), (&json!(executor), &json!(3)));
        let execution = &report["execution"];
        assert_eq!(execution["parallel_blocks"], parallel, "{execution}");
        assert_eq!(execution["transactions"], 60 * parallel, "{execution}");
        assert_eq!(execution["sequential_blocks"], json!({}), "{execution}");
        let in_lanes: u64 =
            execution["shards"].as_array().unwrap().iter().map(|lane| lane["transactions"].as_u64().unwrap()).sum();
        assert_eq!(execution["shards"].as_array().unwrap().len(), if executor == "sharded" { 8 } else { 0 });
        assert_eq!(in_lanes > 0, executor == "sharded");
        let note = report["notes"].as_array().unwrap().last().unwrap().as_str().unwrap();
        assert!(note.starts_with("every block was executed in sequence as well"), "{note}");
    }
}

#[test]
fn access_lists_that_generate_writes_are_run_along_and_must_be_there() {
    let folder = Folder::new("access-lists");
    folder.generate(&["--blocks", "3", "--transactions", "40", "--access-lists"]);
    let [chain, genesis, lists] = ["chain.rlp", "genesis.json", "access-lists.rlp"].map(|name| folder.path(name));
    let chain_arguments = ["run", "--chain", &chain, "--genesis", &genesis, "--executor", "access-list"];
    let report = valid_report(&run(chain_arguments.iter().chain(&["--json", "--access-lists", &lists])));
    assert_eq!(report["execution"]["parallel_blocks"], 3);

    let without = run(chain_arguments);
    assert_eq!(without.status, Some(2));
    assert!(without.stderr.contains("access list: there is none for this block"), "{}", without.stderr);

    // Anywhere in the file: no list, another list, or a list for no block.
    let bytes = std::fs::read(&lists).unwrap();
    for place in [0, 1, 40, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        std::fs::write(&lists, &changed).unwrap();
        let ran = run(chain_arguments.iter().chain(&["--access-lists", &lists]));
        assert_eq!(ran.status, Some(2), "byte {place}: {}{}", ran.stdout, ran.stderr);
    }
    let misplaced = run(["run", "--blocks", "1", "--access-lists", &lists]);
    assert_eq!(misplaced.status, Some(2));
    assert!(misplaced.stderr.contains("--executor access-list"), "{}", misplaced.stderr);
}

#[test]
fn what_generate_writes_run_and_verify_take_back() {
    let folder = Folder::new("generate-and-run");
    let size = ["--blocks", "4", "--transactions", "60", "--accounts", "50", "--seed", "9"];
    folder.generate(&size);
    let [chain, genesis] = ["chain.rlp", "genesis.json"].map(|name| folder.path(name));
    let written = [&chain, &genesis].map(|path| std::fs::read(path).unwrap());

    let arguments = ["run", "--chain", &chain, "--genesis", &genesis, "--json"];
    let report = valid_report(&run(arguments));
    assert_eq!([&report["blocks"], &report["transactions"], &report["head"]], [4, 240, 4]);

    // The workload that `run` makes for itself is the same one.
    let own = valid_report(&run([&["run", "--json"][..], &size].concat()));
    for field in ["blocks", "transactions", "head", "gas_used"] {
        assert_eq!(own[field], report[field], "{field}");
    }

    // Whatever the number of threads, and whichever way the bytes come in.
    let zipped = folder.path("chain.rlp.gz");
    std::fs::write(&zipped, gzip(&written[0])).unwrap();
    let without = |report: Value| {
        let mut report = without_times(report);
        report.as_object_mut().unwrap().remove("input");
        report
    };
    let expected = without(report);
    let mut compared = 0;
    for threads in ["1", "3"] {
        for chain in [&*chain, &*zipped, "-"] {
            let arguments = ["run", "--chain", chain, "--genesis", &genesis, "--json", "--threads", threads];
            let report = valid_report(&run_with_input(&arguments, if chain == "-" { &written[0] } else { &[] }));
            assert_eq!(report["threads"].to_string(), threads);
            assert_eq!(without(report), expected);
            compared += 1;
        }
    }
    assert_eq!(compared, 6);

    // The same seed gives the same bytes, on any number of threads; another one gives others.
    for (seed, threads, same) in [("9", "1", true), ("9", "3", true), ("10", "2", false)] {
        let other = Folder::new(&format!("generate-{seed}-{threads}"));
        other.generate(&[&size[..6], &["--seed", seed, "--threads", threads]].concat());
        let again = ["chain.rlp", "genesis.json"].map(|name| std::fs::read(other.path(name)).unwrap());
        assert_eq!(again == written, same, "seed {seed}, {threads} threads");
    }
}

#[test]
fn generate_writes_over_nothing_unless_told_to() {
    let folder = Folder::new("generate-force");
    let size = ["--blocks", "1", "--transactions", "2", "--accounts", "8"];
    folder.generate(&size);
    let again = |more: &[&str]| {
        let arguments = ["generate", "--out", &folder.path(""), "--seed", "2"];
        run([&arguments[..], &size, more].concat())
    };
    let before = std::fs::read(folder.path("chain.rlp")).unwrap();
    // Either file alone is enough to refuse.
    for there in ["genesis.json", "chain.rlp"] {
        let ran = again(&[]);
        assert_eq!((ran.status, &*ran.stdout), (Some(2), ""));
        let [line] = ran.error_lines()[..] else { panic!("{}", ran.stderr) };
        assert!(line.contains(there) && line.ends_with("is there already; --force writes over it"), "{line}");
        assert_eq!(std::fs::read(folder.path("chain.rlp")).unwrap(), before);
        let _ = std::fs::remove_file(folder.path("genesis.json"));
    }
    let ran = again(&["--force"]);
    assert_eq!((ran.status, &*ran.stderr), (Some(0), ""));
    assert!(ran.stdout.contains("run it with: phalanx run --chain "), "{}", ran.stdout);
    assert_ne!(std::fs::read(folder.path("chain.rlp")).unwrap(), before);
}

#[test]
fn verify_takes_files_folders_and_standard_input() {
    let folder = Folder::new("verify");
    folder.generate(&["--blocks", "3", "--transactions", "40", "--accounts", "50"]);
    let [chain, genesis, zipped] = ["chain.rlp", "genesis.json", "again.rlp.gz"].map(|name| folder.path(name));
    let bytes = std::fs::read(&chain).unwrap();
    std::fs::write(&zipped, gzip(&bytes)).unwrap();
    std::fs::create_dir(folder.path("below")).unwrap();
    std::fs::write(folder.path("below/third.rlp"), &bytes).unwrap();
    std::fs::write(folder.path("below/notes.txt"), "no block").unwrap();

    let verify = |path: &str, input: &[u8]| {
        valid_report(&run_with_input(&["verify", "--json", "--genesis", &genesis, path], input))
    };
    let zipped_bytes = gzip(&bytes);
    let inputs: [(&str, &[u8], usize, u64); 5] = [
        (&chain, &[], 1, 0),
        (&zipped, &[], 1, 0),
        ("-", &bytes, 1, 0),
        ("-", &zipped_bytes, 1, 0),
        // The genesis and the text are left out.
        (&folder.path(""), &[], 3, 2),
    ];
    let mut checked = 0;
    for (path, input, files, left_out) in inputs {
        let report = verify(path, input);
        assert_eq!((&report["left_out"], &report["stopped_before"]), (&json!(left_out), &json!(0)));
        let reports = report["files"].as_array().unwrap();
        assert_eq!(reports.len(), files);
        for report in reports {
            let name = if path == "-" { "standard input" } else { path.trim_end_matches('/') };
            assert!(report["file"].as_str().unwrap().starts_with(name), "{report}");
            assert_eq!((&report["kind"], &report["verdict"]), (&json!("Ethereum chain"), &json!("valid")));
            assert_eq!([&report["blocks"], &report["transactions"], &report["invalid_blocks"]], [3, 120, 0]);
            assert!(report["signatures"].as_u64().unwrap() >= 120);
            assert_eq!((&report["invalid"], &report["error"]), (&json!([]), &Value::Null));
            checked += 1;
        }
    }
    assert_eq!(checked, 7);

    let ran = run(["verify", "--genesis", &genesis, &chain, &zipped]);
    assert_eq!((ran.status, &*ran.stderr), (Some(0), ""));
    assert!(ran.stdout.contains("\n6 blocks, 0 of them invalid; 240 transactions; "), "{}", ran.stdout);
}

#[test]
fn verify_takes_mainnet_blocks_of_both_chains() {
    let (Some(ethereum), Some(bitcoin)) = (test_data("ethereum-mainnet/full"), test_data("bitcoin-mainnet")) else {
        return;
    };
    let file = ethereum.join("46147.block.json.gz");
    let report = valid_report(&run(["verify".as_ref(), "--json".as_ref(), file.as_os_str(), bitcoin.as_os_str()]));
    let files = report["files"].as_array().unwrap();
    assert_eq!(files[0]["kind"], "Ethereum block");
    assert_eq!([&files[0]["blocks"], &files[0]["transactions"], &files[0]["signatures"]], [1, 1, 1]);
    assert_eq!(files.len(), 7);
    assert!(files[1..].iter().all(|file| file["kind"] == "Bitcoin block" && file["blocks"] == 1));
    assert_eq!(report["left_out"], 2);
}

#[test]
fn a_block_runs_on_its_pre_state() {
    let Some(root) = test_data("ethereum-mainnet") else { return };
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let [block, prestate] = ["block", "prestate"].map(|kind| path(&format!("full/930196.{kind}.json.gz")));
    let ran = run(["run", "--json", "--block", &block, "--prestate", &prestate]);
    let report = valid_report(&ran);
    assert_eq!(
        [&report["blocks"], &report["transactions"], &report["gas_used"], &report["head"]],
        [1, 18, 378_000, 930_196]
    );
    assert_eq!(report["notes"].as_array().unwrap().len(), 2, "{report}");

    let [block, prestate] = ["block", "prestate"].map(|kind| path(&format!("full/19923400.{kind}.json.gz")));
    let [code, hashes] = ["bytecodes.json.gz", "block_hashes.json.gz"].map(path);
    let arguments = ["run", "--json", "--block", &block, "--prestate", &prestate, "--code", &code];
    let report = valid_report(&run([&arguments[..], &["--block-hashes", &hashes]].concat()));
    assert_eq!([&report["blocks"], &report["transactions"], &report["gas_used"]], [1, 24, 1_624_049]);
}

#[test]
fn another_fork_finds_the_four_high_s() {
    let Some(folder) = test_data("ethereum-mainnet/full") else { return };
    let file = folder.join("116525.block.json.gz").to_str().unwrap().to_owned();
    assert_eq!(valid_report(&run(["verify", "--json", &file]))["files"][0]["transactions"], 83);
    let ran = run(["verify", "--json", "--fork", "homestead", &file]);
    assert_eq!(ran.status, Some(1));
    let lines = ran.error_lines();
    assert_eq!(lines.len(), 4, "{}", ran.stderr);
    let mut indices = Vec::new();
    for line in &lines {
        let rest = line.strip_prefix(&format!("{file}: block 116525: transaction ")).unwrap();
        let (index, problem) = rest.split_once(": invalid signature: ").unwrap();
        assert!(problem.contains("s is above"), "{problem}");
        indices.push(index.parse::<usize>().unwrap());
    }
    assert!(indices.is_sorted_by(|a, b| a < b) && indices[3] < 83, "{indices:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["files"][0]["verdict"], &report["files"][0]["invalid"]), (&json!("invalid"), &json!(lines)));
}

#[test]
fn devices_lists_the_processor() {
    let report = valid_report(&run(["devices", "--list", "--json"]));
    let devices = report["devices"].as_array().unwrap();
    assert_eq!((&devices[0]["index"], &devices[0]["backend"]), (&json!(0), &json!("cpu")));
    assert!(devices[0]["threads"].as_u64().unwrap() > 0);
    let ran = run(["devices", "--list"]);
    assert_eq!((ran.status, &*ran.stderr), (Some(0), ""));
    assert!(ran.stdout.starts_with("index"), "{}", ran.stdout);
    assert!(ran.stdout.contains(devices[0]["name"].as_str().unwrap()), "{}", ran.stdout);
}

#[cfg(feature = "gpu")]
#[test]
fn devices_tries_every_gpu_and_a_named_one_checks_a_workload() {
    let report = valid_report(&run(["devices", "--json"]));
    let gpus = &report["devices"].as_array().unwrap()[1..];
    for gpu in gpus {
        let test = &gpu["self_test"];
        let programs = test["programs"].as_array().unwrap();
        assert!(gpu["serves"] == json!(true) && test["variant"].is_string() && programs.len() > 1, "{gpu:#}");
        assert!(programs.iter().all(|program| program["admitted"] == json!(true)), "{gpu:#}");
    }
    if let Some(gpu) = gpus.first() {
        let name = gpu["name"].as_str().unwrap();
        let arguments = ["run", "--json", "--blocks", "2", "--transactions", "100", "--backend", name];
        let report = valid_report(&run(arguments));
        assert!(report["backend"].as_str().unwrap().starts_with(name), "{report:#}");
        assert_eq!(report["transactions"], json!(200));
    }
}

#[test]
fn what_is_asked_for_wrongly_is_refused() {
    let wrong: [(&[&str], &str); 20] = [
        (&["run", "--wrong"], "--wrong"),
        (&["wrong"], "wrong"),
        (&["verify"], "<PATH>"),
        (&["run", "--block", "a.json"], "--prestate"),
        (&["run", "--chain", "a.rlp"], "--genesis"),
        (&["run", "--genesis", "a.json"], "--chain"),
        (&["run", "--prestate", "a.json"], "--block"),
        (&["run", "--chain", "a.rlp", "--genesis", "a.json", "--block", "b.json", "--prestate", "c.json"], "--block"),
        // A workload's size would say nothing about a chain that is given.
        (&["run", "--chain", "a.rlp", "--genesis", "a.json", "--blocks", "3"], "--blocks"),
        (&["run", "--block", "a.json", "--prestate", "a.json", "--seed", "3"], "--seed"),
        (&["run", "--threads", "0"], "--threads"),
        (&["run", "--backend", "no such adapter"], "`phalanx devices` lists"),
        (&["run", "--backend", "1000000"], "the last index is"),
        (&["run", "--gpu-memory", "1K"], "at least 16M"),
        (&["run", "--gpu-memory", "lots"], "--gpu-memory"),
        (&["run", "--mix", "60/25/14"], "sum to 100"),
        (&["run", "--blocks", "0"], "1 to 1000000 blocks, not 0"),
        (&["generate", "--accounts", "7", "--out", env!("CARGO_TARGET_TMPDIR")], "8 to 131072 accounts, not 7"),
        (&["verify", "--fork", "homstead", "a.rlp"], "homstead"),
        (&["verify", "--fork", "amsterdam", "a.rlp"], "not supported"),
    ];
    for (arguments, named) in wrong {
        let ran = run(arguments);
        assert_eq!((ran.status, &*ran.stdout), (Some(2), ""), "{arguments:?}");
        assert!(ran.stderr.contains(named), "{arguments:?}: {}", ran.stderr);
    }
    for asked_for in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let ran = run(asked_for);
        assert_eq!((ran.status, &*ran.stderr), (Some(0), ""), "{asked_for:?}");
        assert!(ran.stdout.contains("phalanx"), "{asked_for:?}");
    }
}

/// Interrupts, where the system tells of a process whether it is ready for them.
#[cfg(target_os = "linux")]
mod interrupt {
    use std::process::Child;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits until the command has set its handler, which is before it does anything else.
    fn wait_for_handler(child: &Child) {
        const INTERRUPT: u64 = 1 << 1;
        let path = format!("/proc/{}/status", child.id());
        let started = Instant::now();
        loop {
            let status = std::fs::read_to_string(&path).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            if u64::from_str_radix(caught.trim(), 16).unwrap() & INTERRUPT != 0 {
                return;
            }
            assert!(started.elapsed() < Duration::from_mins(1));
            sleep(Duration::from_millis(5));
        }
    }

    fn interrupt(child: &Child) {
        let kill = std::process::Command::new("sh").args(["-c", "kill -INT \"$0\"", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// Checks what an interrupted run says, and returns after how many blocks it stopped.
    fn stopped_after(ran: &Ran, name: &str) -> u64 {
        assert_eq!(ran.status, Some(2));
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let blocks = report["blocks"].as_u64().unwrap();
        assert_eq!(report["head"], blocks);
        assert_eq!(report["transactions"], blocks * 50);
        let line = format!("{name}: stopped after {blocks} blocks, at block {blocks}");
        assert_eq!(ran.error_lines(), [&*line]);
        assert_eq!(report["errors"], json!([line]));
        blocks
    }

    #[test]
    fn an_interrupt_stops_between_two_blocks() {
        let folder = Folder::new("interrupt");
        folder.generate(&["--blocks", "300", "--transactions", "50", "--accounts", "100"]);
        let [chain, genesis] = ["chain.rlp", "genesis.json"].map(|name| folder.path(name));

        let arguments = ["run", "--json", "--threads", "1", "--chain", &chain, "--genesis", &genesis];
        let child = command(arguments).spawn().unwrap();
        wait_for_handler(&child);
        sleep(Duration::from_millis(200));
        interrupt(&child);
        assert!(stopped_after(&Ran::new(child.wait_with_output().unwrap()), &chain) < 300);

        // A run that waits for more on standard input stops as well, and has executed what came before.
        let mut child =
            command(["run", "--json", "--chain", "-", "--genesis", &genesis]).stdin(Stdio::piped()).spawn().unwrap();
        wait_for_handler(&child);
        let bytes = std::fs::read(&chain).unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // Half a pipe's buffer or so: some blocks, the last of them cut off.
        pipe.write_all(&bytes[..30_000]).unwrap();
        pipe.flush().unwrap();
        sleep(Duration::from_secs(2));
        interrupt(&child);
        let blocks = stopped_after(&Ran::new(child.wait_with_output().unwrap()), "standard input");
        assert!((1..10).contains(&blocks), "{blocks}");
        drop(pipe);

        let mut child = command(["verify", "--genesis", &genesis, "-"]).stdin(Stdio::piped()).spawn().unwrap();
        wait_for_handler(&child);
        let pipe = child.stdin.take().unwrap();
        sleep(Duration::from_millis(200));
        interrupt(&child);
        let ran = Ran::new(child.wait_with_output().unwrap());
        assert_eq!((ran.status, ran.error_lines()), (Some(2), vec!["standard input: stopped while waiting for more"]));
        drop(pipe);
    }
}
