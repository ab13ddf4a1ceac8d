//! The report of `run`.

use std::time::Duration;

use serde_json::{Value, json};

use super::number::{count, rate, seconds};
use super::table::table;
use crate::pipeline::StageReport;

/// What was run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunSummary {
    /// What it was run on.
    pub(crate) input: String,
    /// Blocks that were executed and match their headers.
    pub(crate) blocks: u64,
    /// Their transactions.
    pub(crate) transactions: u64,
    /// Gas they used.
    pub(crate) gas_used: u64,
    /// The number of the last one.
    pub(crate) head: Option<u64>,
    /// From first to last.
    pub(crate) elapsed: Duration,
    /// Threads that checked and executed.
    pub(crate) threads: usize,
    /// The executor's name.
    pub(crate) executor: &'static str,
    /// What checked signatures, and why it was chosen.
    pub(crate) backend: String,
    /// What could not be compared, and why.
    pub(crate) notes: Vec<String>,
}

/// A summary, its stages, and what ended it early, if something did.
#[derive(Clone, Debug)]
pub(crate) struct RunReport {
    pub(crate) summary: RunSummary,
    pub(crate) stages: Vec<StageReport>,
    pub(crate) errors: Vec<String>,
}

impl RunReport {
    /// For people.
    pub(crate) fn to_text(&self) -> String {
        let busy: Duration = self.stages.iter().map(|stage| stage.busy).sum();
        let rows = self.stages.iter().map(|stage| {
            let share = 100.0 * stage.busy.as_secs_f64() / busy.as_secs_f64().max(f64::MIN_POSITIVE);
            [
                stage.name.to_owned(),
                count(stage.items),
                stage.unit.to_owned(),
                seconds(stage.busy),
                rate(stage.rate()),
                format!("{share:.1} %"),
            ]
        });
        let stages = table(["stage", "items", "of", "seconds", "per second", "share"], rows);
        let summary = &self.summary;
        let mut text = format!("{}\n\n{stages}\n\n", summary.input);
        text += &format!(
            "{} blocks, {} transactions, {} gas in {} s: {} transactions a second, {} Mgas a second\n",
            count(summary.blocks),
            count(summary.transactions),
            count(summary.gas_used),
            seconds(summary.elapsed),
            rate(self.transactions_per_second()),
            rate(self.gas_per_second() / 1e6),
        );
        text += &format!(
            "signatures checked by {}\nstages overlap, so that shares are of work and not of time; {} threads, {} executor",
            summary.backend, summary.threads, summary.executor
        );
        for note in &summary.notes {
            text += &format!("\nnote: {note}");
        }
        text
    }

    /// For programs. The field names are stable.
    pub(crate) fn to_json(&self) -> Value {
        let summary = &self.summary;
        let stages: Vec<_> = self
            .stages
            .iter()
            .map(|stage| {
                json!({
                    "name": stage.name,
                    "unit": stage.unit,
                    "items": stage.items,
                    "seconds": stage.busy.as_secs_f64(),
                    "per_second": stage.rate(),
                })
            })
            .collect();
        json!({
            "input": summary.input,
            "blocks": summary.blocks,
            "transactions": summary.transactions,
            "gas_used": summary.gas_used,
            "head": summary.head,
            "seconds": summary.elapsed.as_secs_f64(),
            "transactions_per_second": self.transactions_per_second(),
            "threads": summary.threads,
            "executor": summary.executor,
            "backend": summary.backend,
            "stages": stages,
            "notes": summary.notes,
            "errors": self.errors,
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate is read with three digits")]
    fn transactions_per_second(&self) -> f64 {
        self.summary.transactions as f64 / self.summary.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate is read with three digits")]
    fn gas_per_second(&self) -> f64 {
        self.summary.gas_used as f64 / self.summary.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
