//! The `phalanx` command, run as anyone runs it.

#![allow(dead_code, reason = "no test needs all of it")]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder for one test's files; removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// An empty folder, `name` being the test's own.
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Generates a workload into it; the arguments are `generate`'s.
    pub(crate) fn generate(&self, arguments: &[&str]) {
        let ran = run([&["generate", "--out", self.0.to_str().unwrap(), "--json"][..], arguments].concat());
        assert_eq!(ran.error_lines(), [""; 0]);
        assert_eq!(ran.status, Some(0));
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["bytes"], std::fs::metadata(self.path("chain.rlp")).unwrap().len());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit status; `None` where a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { status: output.status.code(), stdout, stderr }
    }

    /// The lines of stderr, each without the `error: ` that each must start with.
    pub(crate) fn error_lines(&self) -> Vec<&str> {
        let error = |line| str::strip_prefix(line, "error: ").unwrap_or_else(|| panic!("`{line}` is no error line"));
        self.stderr.lines().map(error).collect()
    }

    /// The one line of a command that could not check its input.
    pub(crate) fn the_line(&self) -> &str {
        assert_eq!(self.status, Some(2), "{}", self.stderr);
        let [line] = self.error_lines()[..] else { panic!("not one line:\n{}", self.stderr) };
        line
    }
}

/// The command, reading nothing, its output captured.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    // Mesa complains on stderr, which is the command's, where this is not set.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    // What it keeps is not to be found among what its user keeps.
    command.env("PHALANX_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    Ran::new(command(arguments).output().unwrap())
}

/// Runs the command with `input` on its standard input, of which it may leave some unread.
pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran::new(child.wait_with_output().unwrap())
}
