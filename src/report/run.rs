//! The report of `run`.

use std::time::Duration;

use serde_json::{Value, json};

use super::number::{count, rate, seconds};
use super::table::table;
use crate::executor::{ExecutionStatistics, ShardStatistics};
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
    /// What the executor did.
    pub(crate) execution: ExecutionStatistics,
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
        text += &execution_text(&self.execution);
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
            "execution": execution_json(&self.execution),
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

/// What was executed in parallel and how it went, and what was not and why.
fn execution_text(execution: &ExecutionStatistics) -> String {
    let mut text = String::new();
    if execution.parallel_blocks > 0 {
        text += &format!(
            "\nexecution: {} blocks in parallel: {} transactions, {} executions ({} again), {} conflicts in {} validations, \
             {} waits; {:.2} threads at work",
            count(execution.parallel_blocks),
            count(execution.transactions),
            count(execution.executions),
            count(execution.re_executions()),
            count(execution.conflicts),
            count(execution.validations),
            count(execution.waits),
            execution.parallelism(),
        );
        let steps = [("prepare", execution.prepare), ("execute", execution.execute), ("commit", execution.commit)];
        let all: Duration = steps.iter().map(|(_, time)| *time).sum();
        let share = |time: Duration| 100.0 * time.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE);
        let steps = steps.map(|(name, time)| format!("{name} {:.1} %", share(time)));
        text += &format!("\nexecution: {}", steps.join(", "));
        if execution.serialised_blocks > 0 {
            text += &format!(
                "\nexecution: in {} of these blocks threads left the rest to others, for conflicts",
                count(execution.serialised_blocks)
            );
        }
    }
    for (reason, blocks) in &execution.sequential_blocks {
        text += &format!("\nexecution: {} blocks in sequence: {reason}", count(*blocks));
    }
    if !execution.shards.is_empty() {
        let rows = execution.shards.iter().enumerate().map(|(shard, lane)| {
            let (transactions, gas) = rates(lane);
            let gas = rate(gas / 1e6);
            [shard.to_string(), count(lane.transactions), seconds(lane.busy), rate(transactions), gas]
        });
        let heading = ["shard", "transactions", "seconds", "per second", "Mgas per second"];
        text += &format!("\n\n{}", table(heading, rows));
    }
    text
}

fn execution_json(execution: &ExecutionStatistics) -> Value {
    let shards: Vec<_> = execution
        .shards
        .iter()
        .map(|lane| {
            let (transactions, gas) = rates(lane);
            json!({
                "transactions": lane.transactions,
                "gas_used": lane.gas_used,
                "seconds": lane.busy.as_secs_f64(),
                "transactions_per_second": transactions,
                "gas_per_second": gas,
            })
        })
        .collect();
    json!({
        "parallel_blocks": execution.parallel_blocks,
        "sequential_blocks": execution.sequential_blocks,
        "serialised_blocks": execution.serialised_blocks,
        "transactions": execution.transactions,
        "executions": execution.executions,
        "re_executions": execution.re_executions(),
        "waits": execution.waits,
        "validations": execution.validations,
        "conflicts": execution.conflicts,
        "parallelism": execution.parallelism(),
        "prepare_seconds": execution.prepare.as_secs_f64(),
        "execute_seconds": execution.execute.as_secs_f64(),
        "commit_seconds": execution.commit.as_secs_f64(),
        "shards": shards,
    })
}

/// Transactions and gas a second of work in a lane.
#[allow(clippy::cast_precision_loss, reason = "a rate is read with three digits")]
fn rates(lane: &ShardStatistics) -> (f64, f64) {
    let seconds = lane.busy.as_secs_f64();
    if seconds > 0.0 { (lane.transactions as f64 / seconds, lane.gas_used as f64 / seconds) } else { (0.0, 0.0) }
}
