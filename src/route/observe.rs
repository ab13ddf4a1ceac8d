//! What is told of every batch: a span, counters and histograms.
//!
//! | metric | labels | unit |
//! |---|---|---|
//! | `phalanx.batches` | work | batches |
//! | `phalanx.batch.items` | work | items of a batch |
//! | `phalanx.batch.seconds` | work | seconds from the batch to its answers |
//! | `phalanx.share.items` | work, backend | items handed to a backend |
//! | `phalanx.share.seconds` | work, backend | seconds of work on a share |
//! | `phalanx.route.late.items` | work, backend | items done over because they were late |
//! | `phalanx.route.failed.items` | work, backend | items done over because a device failed |
//! | `phalanx.route.probes` | work, backend | probes |
//!
//! Work is what a [`Work`](super::Work) is named by, or `bip340`, `recover-hinted` (whose batches come again as `recover`, as far as
//! they are recovered), `bitcoin-root`, `bitcoin-branches`, `rfc6962-root`, `rfc6962-proofs`; of trees, items are leaves.

#[cfg(feature = "gpu")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::SharedString;

#[cfg(feature = "gpu")]
use super::decision::{Decision, Share, Work};
use super::line::count;
use super::policy::Outcome;

/// Has one backend answer a batch, in a span, and counts it. `work` is its name: that of a [`Work`](super::Work), or of what is never
/// divided.
pub(crate) fn checked<T>(backend: &'static str, work: &'static str, items: usize, check: impl FnOnce() -> T) -> T {
    let span = span_of(|| backend.to_owned(), work, items).entered();
    let start = Instant::now();
    let answers = check();
    let took = start.elapsed();
    share_of(work, backend.into(), items, Outcome::Done(Some(took.as_secs_f64())));
    batch(&span, work, items, took);
    answers
}

/// The span of a decided batch. Its time is added at the end.
#[cfg(feature = "gpu")]
pub(super) fn span(decision: &Decision, items: usize) -> tracing::Span {
    span_of(|| decision.backends().collect::<Vec<_>>().join("+"), decision.work.name(), items)
}

fn span_of(backend: impl FnOnce() -> String, work: &'static str, items: usize) -> tracing::Span {
    if tracing::enabled!(tracing::Level::INFO) {
        tracing::info_span!("batch", backend = backend(), scheme = work, items, microseconds = tracing::field::Empty)
    } else {
        tracing::Span::none()
    }
}

/// Ends a batch's span, and counts the batch.
pub(super) fn batch(span: &tracing::Span, work: &'static str, items: usize, took: Duration) {
    span.record("microseconds", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    metrics::counter!("phalanx.batches", "work" => work).increment(1);
    metrics::histogram!("phalanx.batch.items", "work" => work).record(count(items));
    metrics::histogram!("phalanx.batch.seconds", "work" => work).record(took.as_secs_f64());
}

/// Counts a share.
#[cfg(feature = "gpu")]
pub(super) fn share(work: Work, share: &Share, items: usize, outcome: Outcome) {
    share_of(work.name(), Arc::clone(&share.name).into(), items, outcome);
}

fn share_of(work: &'static str, backend: SharedString, items: usize, outcome: Outcome) {
    metrics::counter!("phalanx.share.items", "work" => work, "backend" => backend.clone()).increment(items as u64);
    match outcome {
        Outcome::Done(Some(seconds)) => {
            metrics::histogram!("phalanx.share.seconds", "work" => work, "backend" => backend).record(seconds);
        }
        Outcome::Done(None) => {}
        Outcome::Late(_) => {
            metrics::counter!("phalanx.route.late.items", "work" => work, "backend" => backend).increment(items as u64);
        }
        Outcome::Failed => {
            metrics::counter!("phalanx.route.failed.items", "work" => work, "backend" => backend)
                .increment(items as u64);
        }
    }
}

/// Counts a probe.
#[cfg(feature = "gpu")]
pub(super) fn probe(work: Work, backend: &str) {
    metrics::counter!("phalanx.route.probes", "work" => work.name(), "backend" => backend.to_owned()).increment(1);
}
