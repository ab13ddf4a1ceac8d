//! `--metrics`: what the library counts, as Prometheus reads it.
//!
//! One request after the other, each bounded in bytes and in time: this is for a scraper, not for the world.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::Failure;

/// The most that the head of a request may have.
const MOST_HEAD: usize = 8 << 10;

/// How long a request may take to come, and its answer to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Upper bounds of times in seconds: thirds of a decade from ten microseconds to ten seconds.
const SECONDS: [f64; 19] =
    [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Upper bounds of numbers of items: powers of four up to a million.
const ITEMS: [f64; 11] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// An address to listen on: a port of this machine alone, or an address and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "neither a port nor an address and a port, such as 127.0.0.1:9100".to_owned())
}

/// Starts to count, and to tell whoever asks; until the process ends.
pub(super) fn serve(address: SocketAddr) -> Result<(), Failure> {
    let failure = |problem: &dyn std::fmt::Display| Failure::not_checked(format!("--metrics {address}: {problem}"));
    let listener = TcpListener::bind(address).map_err(|error| failure(&error))?;
    let bound = listener.local_addr().map_err(|error| failure(&error))?;
    let counts = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("items".to_owned()), &ITEMS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| failure(&error))?;
    let answer_all = move || {
        for stream in listener.incoming().flatten() {
            // Whoever hangs up early misses the answer.
            let _ = answer(stream, &counts);
        }
    };
    let thread = std::thread::Builder::new().name("phalanx-metrics".to_owned()).spawn(answer_all);
    thread.map_err(|error| failure(&error))?;
    tracing::info!("metrics at http://{bound}/metrics");
    Ok(())
}

fn answer(mut stream: TcpStream, counts: &PrometheusHandle) -> std::io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let (status, body) = match head(&mut stream)? {
        Ok(head) => match request(&head) {
            Some(("GET", "/metrics")) => {
                counts.run_upkeep();
                ("200 OK", counts.render())
            }
            Some(("GET", _)) => ("404 Not Found", "only /metrics is here\n".to_owned()),
            Some(_) => ("405 Method Not Allowed", "only GET is answered\n".to_owned()),
            None => ("400 Bad Request", "not a request of HTTP/1\n".to_owned()),
        },
        Err(status) => (status, String::new()),
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let length = body.len();
    let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)
}

/// The bytes of a request before its empty line, or the status that it is refused with.
fn head(stream: &mut TcpStream) -> std::io::Result<Result<Vec<u8>, &'static str>> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut some = [0; 1_024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err("408 Request Timeout"));
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut some)?;
        head.extend_from_slice(&some[..count]);
        if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            head.truncate(end);
            return Ok(Ok(head));
        }
        if head.len() > MOST_HEAD {
            return Ok(Err("431 Request Header Fields Too Large"));
        }
        if count == 0 {
            return Ok(Err("400 Bad Request"));
        }
    }
}

/// The method and the path, without a query.
fn request(head: &[u8]) -> Option<(&str, &str)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let whole = words.next().is_none() && version.starts_with("HTTP/1.");
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    whole.then_some((method, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_of_this_machine_alone() {
        assert_eq!(address("9100").unwrap().to_string(), "127.0.0.1:9100");
        assert_eq!(address("0.0.0.0:80").unwrap().to_string(), "0.0.0.0:80");
        assert_eq!(address("[::1]:80").unwrap().to_string(), "[::1]:80");
        for bad in ["", "localhost", "127.0.0.1", "65536", "-1", "1.2.3.4:x"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_are_read_as_far_as_they_matter() {
        assert_eq!(request(b"GET /metrics HTTP/1.1\r\nHost: x"), Some(("GET", "/metrics")));
        assert_eq!(request(b"POST /?a HTTP/1.0"), Some(("POST", "/")));
        for bad in [&b""[..], b"GET", b"GET /metrics", b"GET / HTTP/2", b"GET / HTTP/1.1 x", b"\xff / HTTP/1.1"] {
            assert_eq!(request(bad), None);
        }
    }
}
