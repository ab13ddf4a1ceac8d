//! What the tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod curve;
#[cfg(feature = "ethereum")]
pub(crate) mod ethereum;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
#[cfg(feature = "executor")]
pub(crate) mod mainnet;
pub(crate) mod oracle;
pub(crate) mod paths;
#[cfg(feature = "executor")]
pub(crate) mod random_blocks;
pub(crate) mod stream;
mod test_data;
pub(crate) mod vectors;

use std::sync::OnceLock;

use phalanx::Verifier;
use phalanx::arithmetic::Platform;
use phalanx::cpu::CpuBackend;

#[allow(unused_imports, reason = "each test binary uses its own part")]
pub(crate) use test_data::{skipped, test_data};

/// Every backend, by name. What a test promises it promises of each of them.
///
/// A software adapter runs both variants of the GPU's kernels, where there is one; they are compiled once for all tests of a binary.
pub(crate) fn backends() -> Vec<(&'static str, &'static Verifier)> {
    static BACKENDS: OnceLock<Vec<(&'static str, Verifier)>> = OnceLock::new();
    let backends = BACKENDS.get_or_init(|| {
        let threads = |threads| batch_checker(CpuBackend::with_threads(threads).expect("a thread pool starts"));
        // The first as users have it: it puts to the batch check what pays.
        let mut backends =
            vec![("cpu", Verifier::cpu()), ("cpu, 1 thread", threads(1)), ("cpu, 3 threads", threads(3))];
        // Every form of the lanes that this machine has; the first is the one that the others run.
        for platform in Platform::available().into_iter().skip(1) {
            backends.push((platform.name(), batch_checker(CpuBackend::default().on_platform(platform))));
        }
        #[cfg(feature = "gpu")]
        backends.extend(gpu::backends());
        backends
    });
    backends.iter().map(|(name, verifier)| (*name, verifier)).collect()
}

/// The CPU in every form of the lanes, without a history: where many signatures proved wrong, fewer are checked in batches.
pub(crate) fn untried() -> impl Iterator<Item = (&'static str, Verifier)> {
    Platform::available()
        .into_iter()
        .map(|platform| (platform.name(), batch_checker(CpuBackend::default().on_platform(platform))))
}

/// A verifier that puts any batch to the batch check, however few its items are and whether or not that pays.
pub(crate) fn batch_checker(cpu: CpuBackend) -> Verifier {
    cpu.with_batch_check_threshold(1).into()
}

/// NIST's short and long messages for SHA-256 (CAVP, byte-oriented), with their digests.
pub(crate) fn sha256_known_answers() -> Option<Vec<(Vec<u8>, [u8; 32])>> {
    let folder = test_data("vectors")?;
    let mut known = Vec::new();
    for (file, cases) in [("pyca_SHA256ShortMsg.rsp", 65), ("pyca_SHA256LongMsg.rsp", 64)] {
        let text = std::fs::read_to_string(folder.join(file)).expect("the vectors are readable");
        let value = |line: &str, name: &str| line.strip_prefix(name)?.strip_prefix(" = ").map(str::to_owned);
        let values = |name| text.lines().filter_map(|line| value(line, name)).collect::<Vec<_>>();
        let (lengths, messages, digests) = (values("Len"), values("Msg"), values("MD"));
        assert_eq!((lengths.len(), messages.len(), digests.len()), (cases, cases, cases), "{file}");
        for ((bits, message), digest) in lengths.iter().zip(&messages).zip(&digests) {
            let length = bits.parse::<usize>().expect("a number") / 8;
            // The empty message is written as one zero byte.
            let message = hex::decode(message).expect("hexadecimal")[..length].to_vec();
            known.push((message, hex::decode(digest).expect("hexadecimal").try_into().expect("32 bytes")));
        }
    }
    Some(known)
}
