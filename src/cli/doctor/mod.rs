//! `phalanx doctor`: what keeps this machine's GPUs from being used, and what to do about it.
//!
//! What can be seen of the machine is gathered first ([`facts`]); what follows from it is told by functions of that alone ([`traps`]).

mod facts;
mod observe;
mod traps;

use clap::Args;
use serde_json::json;

use self::traps::{Finding, State};
use super::{Status, print};

#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = "Exit status: 0 nothing to mend, 1 something to mend.")]
pub(super) struct DoctorArgs {
    /// Print what was found, and what it follows from, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn doctor(args: DoctorArgs) -> Status {
    let facts = observe::observe();
    let findings = traps::findings(&facts);
    if args.json {
        print(&format!("{:#}", json!({ "findings": findings, "facts": facts })));
    } else {
        for finding in &findings {
            print(&line(finding));
        }
    }
    let is_to_mend = findings.iter().any(|finding| finding.state == State::Mend);
    if is_to_mend { Status::Invalid } else { Status::Valid }
}

fn line(finding: &Finding) -> String {
    let Finding { state, what, advice, .. } = finding;
    let state = match state {
        State::Well => "well",
        State::Note => "note",
        State::Mend => "MEND",
    };
    let advice = advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
    format!("{state}  {what}{advice}")
}
