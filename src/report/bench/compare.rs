//! A report beside an earlier one.

use serde::{Deserialize, Serialize};

use super::BenchReport;

/// A cell that both reports have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) scheme: String,
    pub(crate) backend: String,
    pub(crate) batch: u64,
    /// Items a second in the earlier report.
    pub(crate) before: f64,
    /// Items a second now.
    pub(crate) now: f64,
    /// `now` to `before`: above 1 it became faster.
    pub(crate) ratio: f64,
}

/// Every cell of `now` that `before` has as well.
pub(crate) fn compare(before: &BenchReport, now: &BenchReport) -> Vec<Change> {
    let change = |now: &super::Cell| {
        let before = before
            .cells
            .iter()
            .find(|before| (&before.scheme, &before.backend, before.batch) == (&now.scheme, &now.backend, now.batch))?;
        Some(Change {
            scheme: now.scheme.clone(),
            backend: now.backend.clone(),
            batch: now.batch,
            before: before.per_second,
            now: now.per_second,
            ratio: now.per_second / before.per_second.max(f64::MIN_POSITIVE),
        })
    };
    now.cells.iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cell, report};
    use super::*;

    #[test]
    fn only_what_both_have_is_compared() {
        let before = report(vec![cell("a", "cpu", 16, 2.0), cell("a", "cpu", 64, 1.0), cell("b", "cpu", 16, 1.0)]);
        let now = report(vec![cell("a", "cpu", 16, 1.0), cell("a", "gpu", 64, 1.0), cell("c", "cpu", 16, 1.0)]);
        let changes = compare(&before, &now);
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].before, changes[0].now, changes[0].ratio), (8.0, 16.0, 2.0));
    }
}
