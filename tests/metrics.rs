//! `run --metrics`: what is counted can be scraped while it runs, and nothing that asks can hold it up.
#![cfg(feature = "cli")]

#[path = "common/command.rs"]
mod command;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use command::{Folder, command};
use metrics_exporter_prometheus::PrometheusBuilder;
use phalanx::Verifier;
use phalanx::cpu::{HintSource, Hints};
use phalanx::scheme::ecdsa::RecoverBatch;
use phalanx::scheme::schnorr::SchnorrBatch;

/// A `run` that reads a chain from its standard input.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(folder: &Folder) -> Self {
        let genesis = folder.path("genesis.json");
        let mut child = command(["run", "--chain", "-", "--genesis", &genesis, "--backend", "cpu", "--metrics", "0"])
            .env("RUST_LOG", "phalanx::cli=info")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("metrics at http://")).unwrap().unwrap();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        // Nobody reads on; what else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn ask(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A request that is refused early may find the connection closed.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn scrape(&self) -> String {
        let answer = self.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        body.to_owned()
    }
}

/// The value of a sample, by its whole name.
fn value(scraped: &str, name: &str) -> Option<f64> {
    let line = scraped.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_run_is_scraped_while_it_runs() {
    let folder = Folder::new("metrics");
    folder.generate(&["--blocks", "3", "--transactions", "40"]);
    let chain = std::fs::read(folder.path("chain.rlp")).unwrap();
    let mut running = Running::start(&folder);
    let mut input = running.child.stdin.take().unwrap();
    let (most, rest) = chain.split_at(chain.len() - 1);
    input.write_all(most).unwrap();
    input.flush().unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    let scraped = loop {
        let scraped = running.scrape();
        if value(&scraped, "phalanx_batches{work=\"recover\"}") == Some(2.0) {
            break scraped;
        }
        assert!(Instant::now() < until, "{scraped}");
        std::thread::sleep(Duration::from_millis(20));
    };
    // Two blocks' senders, and signers of authorizations, if there are any.
    let items = value(&scraped, "phalanx_share_items{work=\"recover\",backend=\"cpu\"}");
    assert!(items >= Some(80.0), "{scraped}");
    assert_eq!(value(&scraped, "phalanx_batch_items_sum{work=\"recover\"}"), items, "{scraped}");
    assert_eq!(value(&scraped, "phalanx_batch_seconds_count{work=\"recover\"}"), Some(2.0), "{scraped}");
    assert_eq!(value(&scraped, "phalanx_batch_items_bucket{work=\"recover\",le=\"64\"}"), Some(2.0), "{scraped}");
    assert_eq!(value(&scraped, "phalanx_batch_items_bucket{work=\"recover\",le=\"16\"}"), Some(0.0), "{scraped}");
    assert!(scraped.contains("# TYPE phalanx_batch_seconds histogram\n"), "{scraped}");

    // What is no scrape is refused, and holds up nothing for long.
    assert!(running.ask(b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(running.ask(b"POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(running.ask(b"\0\xff\r\n\r\n").starts_with("HTTP/1.1 400 "));
    running.ask(&vec![b'a'; 1 << 20]);
    let silent = TcpStream::connect(&running.address).unwrap();
    let start = Instant::now();
    running.scrape();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    drop(silent);

    input.write_all(rest).unwrap();
    drop(input);
    assert!(running.child.wait().unwrap().success());
    let mut report = String::new();
    running.child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert!(report.contains("3 blocks, 120 transactions, "), "{report}");
}

#[test]
fn batches_that_are_never_divided_are_counted_too() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let verifier = Verifier::cpu();
    let leaves = [[7; 32], [8; 32], [9; 32]];
    let source = HintSource::new();
    let hints = Hints { senders: &[], source: &source };
    metrics::with_local_recorder(&recorder, || {
        verifier.verify_schnorr(&SchnorrBatch::default()).unwrap();
        verifier.recover_hinted(&RecoverBatch::default(), hints).unwrap();
        let _ = verifier.bitcoin_root(&leaves).unwrap();
        verifier.bitcoin_branches(&leaves, &[1]).unwrap();
        verifier.rfc6962_root(&leaves).unwrap();
        verifier.rfc6962_inclusion_proofs(&leaves, &[1, 2]).unwrap();
    });
    let counted = recorder.handle().render();
    for (work, items) in [
        ("bip340", 0.0),
        ("recover-hinted", 0.0),
        ("bitcoin-root", 3.0),
        ("bitcoin-branches", 3.0),
        ("rfc6962-root", 3.0),
        ("rfc6962-proofs", 3.0),
    ] {
        assert_eq!(value(&counted, &format!("phalanx_batches{{work=\"{work}\"}}")), Some(1.0), "{counted}");
        let name = format!("phalanx_share_items{{work=\"{work}\",backend=\"cpu\"}}");
        assert_eq!(value(&counted, &name), Some(items), "{counted}");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = command::run(["run", "--blocks", "1", "--transactions", "1", "--backend", "cpu", "--metrics", &address]);
    assert!(ran.the_line().starts_with(&format!("--metrics {address}: ")), "{}", ran.stderr);
}
