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

use std::time::Duration;

use super::decision::{Decision, Share, Work};
use super::policy::Outcome;

/// The span of a batch. Its time is added at the end.
pub(super) fn span(decision: &Decision, items: usize) -> tracing::Span {
    if tracing::enabled!(tracing::Level::INFO) {
        let backend = decision.backends().collect::<Vec<_>>().join("+");
        let scheme = decision.work.name();
        tracing::info_span!("batch", backend, scheme, items, microseconds = tracing::field::Empty)
    } else {
        tracing::Span::none()
    }
}

/// Ends the span that is entered, and counts the batch.
pub(super) fn batch(decision: &Decision, items: usize, took: Duration) {
    batch_of(decision.work, items, took);
}

/// Counts a batch.
pub(super) fn batch_of(work: Work, items: usize, took: Duration) {
    tracing::Span::current().record("microseconds", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    let work = work.name();
    metrics::counter!("phalanx.batches", "work" => work).increment(1);
    metrics::histogram!("phalanx.batch.items", "work" => work).record(super::line::count(items));
    metrics::histogram!("phalanx.batch.seconds", "work" => work).record(took.as_secs_f64());
}

/// Counts a share.
pub(super) fn share(work: Work, share: &Share, items: usize, outcome: Outcome) {
    let (work, backend) = (work.name(), share.name.to_string());
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
pub(super) fn probe(work: Work, backend: &str) {
    metrics::counter!("phalanx.route.probes", "work" => work.name(), "backend" => backend.to_owned()).increment(1);
}
