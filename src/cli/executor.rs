//! Which executor `run` executes on.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::{Failure, access_lists};
use crate::executor::{
    AccessListExecutor, BlockStmExecutor, CheckedExecutor, Executor, SequentialExecutor, ShardedExecutor,
};

/// Shards for each thread, so that lanes of different lengths even out.
const SHARDS_PER_THREAD: usize = 4;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Execution")]
pub(super) struct ExecutorArgs {
    /// How blocks are executed; all ways have the same results
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Choice::BlockStm)]
    executor: Choice,
    /// Execute in sequence as well, and compare receipts and changes of the state
    #[arg(long)]
    check: bool,
    /// Access lists as `generate --access-lists` writes them, for --executor access-list; a generated workload needs none
    #[arg(long, value_name = "FILE")]
    access_lists: Option<PathBuf>,
}

/// An executor by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// One transaction after the other
    Sequential,
    /// Speculatively in parallel, without any list
    BlockStm,
    /// In parallel along the blocks' access lists (EIP-7928), which are checked
    AccessList,
    /// In parallel by shards of the accounts
    Sharded,
}

impl Default for ExecutorArgs {
    fn default() -> Self {
        Self { executor: Choice::BlockStm, check: false, access_lists: None }
    }
}

impl ExecutorArgs {
    /// Whether lists have to be built for a workload that `run` generates.
    pub(super) fn needs_lists(&self) -> bool {
        self.executor == Choice::AccessList && self.access_lists.is_none()
    }

    /// The executor on `threads` threads.
    pub(super) fn executor(&self, threads: usize) -> Result<Chosen, Failure> {
        if self.access_lists.is_some() && self.executor != Choice::AccessList {
            return Err(Failure::not_checked("--access-lists is for --executor access-list"));
        }
        Ok(match self.executor {
            Choice::Sequential => self.checked(SequentialExecutor),
            Choice::BlockStm => self.checked(BlockStmExecutor::new(threads).map_err(Failure::not_checked)?),
            Choice::Sharded => {
                let sharded = ShardedExecutor::new(threads, threads.saturating_mul(SHARDS_PER_THREAD));
                self.checked(sharded.map_err(Failure::not_checked)?)
            }
            Choice::AccessList => {
                let executor = Arc::new(AccessListExecutor::new(threads).map_err(Failure::not_checked)?);
                if let Some(path) = &self.access_lists {
                    access_lists::read(path, |block, list| executor.add(block, list))?;
                }
                Chosen { lists: Some(executor.clone()), ..self.checked(executor) }
            }
        })
    }

    fn checked(&self, executor: impl Executor + 'static) -> Chosen {
        let executor: Box<dyn Executor> =
            if self.check { Box::new(CheckedExecutor::new(executor)) } else { Box::new(executor) };
        Chosen { executor, lists: None, note: self.check.then_some(CHECKED) }
    }
}

/// What `--check` adds to a report.
const CHECKED: &str = "every block was executed in sequence as well, with the same outcome or error";

/// The executor that was asked for.
pub(super) struct Chosen {
    pub(super) executor: Box<dyn Executor>,
    /// Where access lists are handed in.
    pub(super) lists: Option<Arc<AccessListExecutor>>,
    /// What its report says of it.
    pub(super) note: Option<&'static str>,
}
