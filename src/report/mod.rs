//! Reports: tables for people, JSON for programs.

pub(crate) mod bench;
mod number;
mod run;
mod table;

pub(crate) use number::{count, rate, seconds};
pub(crate) use run::{RunReport, RunSummary};
pub(crate) use table::table;
