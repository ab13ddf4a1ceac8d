//! The portable kernels under Tint, the WGSL compiler of Chromium: what naga accepts alone is no WGSL.
//!
//! A headless Chromium compiles every kernel through WebGPU over `SwiftShader`, from a page that this test serves, and posts what
//! Tint says of each. Where there is no Chromium the test says that it is skipped.

#![cfg(feature = "gpu")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::skipped;
use phalanx::gpu::shader::{Arithmetic, KERNELS};
use serde_json::{Value, json};

/// Long enough for every kernel on a busy machine.
const PATIENCE: Duration = Duration::from_mins(8);

/// The most that a page may post.
const LARGEST_POST: usize = 1 << 20;

/// Compiles each kernel, and posts the name and what was wrong with it, or nothing.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>kernels</title><script>
async function compile(device, kernel) {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: kernel.text });
    const { messages } = await module.getCompilationInfo();
    const errors = messages.filter((message) => message.type === "error");
    let problem = errors.map((error) => `${error.lineNum}: ${error.message}`).join("\n");
    try {
        await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: kernel.name } });
    } catch (error) {
        problem ||= String(error);
    }
    const scoped = await device.popErrorScope();
    return problem || (scoped ? scoped.message : "");
}
async function run() {
    if (!navigator.gpu) throw "no WebGPU";
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) throw "no adapter";
    const device = await adapter.requestDevice();
    for (const kernel of await (await fetch("/kernels")).json()) {
        const problem = await compile(device, kernel);
        await fetch("/result", { method: "POST", body: JSON.stringify({ name: kernel.name, problem }) });
    }
}
run()
    .then(() => "", (error) => String(error))
    .then((problem) => fetch("/end", { method: "POST", body: JSON.stringify({ problem }) }));
</script>"#;

/// What to add for WebGPU over `SwiftShader`, without a display, a sandbox or a word to anybody.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

#[test]
fn every_portable_kernel_compiles_under_tint() {
    let Some(program) = chromium() else {
        return skipped("there is no Chromium here; `cargo xtask test` installs one");
    };
    let kernels: Vec<(&str, String)> = KERNELS
        .iter()
        .map(|kernel| {
            let shader = kernel.shader(Arithmetic::U32).unwrap_or_else(|error| panic!("{error}"));
            (kernel.name, shader.linked.text().to_owned())
        })
        .collect();
    // A page that finds nothing wrong with anything would prove nothing.
    let broken = ("broken", "@compute @workgroup_size(1) fn broken() { let a: i32 = 1u; }".to_owned());
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let browser = Browser::start(&program, &format!("http://{address}/"));
    let sent = kernels.iter().chain([&broken]).map(|(name, text)| json!({ "name": name, "text": text }));
    let results = serve(&listener, &Value::Array(sent.collect()).to_string());
    drop(browser);
    let mut results = results.unwrap_or_else(|problem| panic!("{}: {problem}", program.display()));
    let (name, problem) = results.pop().expect("a result");
    assert!(name == "broken" && !problem.is_empty(), "Tint accepts what is no WGSL");
    let names: Vec<_> = results.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, kernels.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, problem) in &results {
        assert_eq!(problem, "", "{name}");
    }
}

/// Where Chromium is, under the names that distributions give it.
fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let mut paths = std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    paths.find(|path| path.is_file())
}

/// A browser with a profile of its own, both gone when this is dropped.
struct Browser {
    process: Child,
    profile: PathBuf,
}

impl Browser {
    fn start(program: &Path, page: &str) -> Self {
        let profile = std::env::temp_dir().join(format!("phalanx-tint-{}", std::process::id()));
        std::fs::create_dir_all(&profile).expect("a folder for the profile");
        let process = Command::new(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(page)
            // Chromium puts caches and crash reports beside the user's own unless it is told another home.
            .env("HOME", &profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium starts");
        Self { process, profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Serves the page and the kernels until the page has posted the end: the name and the problem of each.
fn serve(listener: &TcpListener, kernels: &str) -> Result<Vec<(String, String)>, String> {
    let until = Instant::now() + PATIENCE;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let mut results = Vec::new();
    while Instant::now() < until {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        // A connection that says nothing is given up.
        let Some((path, body)) = request(&stream) else { continue };
        let posted = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        let text = |name: &str| posted[name].as_str().unwrap_or_default().to_owned();
        match path.as_str() {
            "/" => respond(&stream, "text/html", PAGE),
            "/kernels" => respond(&stream, "application/json", kernels),
            "/result" => {
                results.push((text("name"), text("problem")));
                respond(&stream, "text/plain", "");
            }
            "/end" => {
                let problem = text("problem");
                return if problem.is_empty() { Ok(results) } else { Err(problem) };
            }
            _ => respond(&stream, "text/plain", ""),
        }
    }
    Err(format!("{} kernels were compiled within {PATIENCE:?}", results.len()))
}

/// A request's path and body.
fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length.min(LARGEST_POST)];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn respond(mut stream: &TcpStream, kind: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // A browser that went away is noticed by the patience running out.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}
