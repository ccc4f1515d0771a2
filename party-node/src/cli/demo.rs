//! `subrosa demo loan-scoring`.

use super::DemoArgs;
use crate::config::Offline;
use crate::demo::{self, Subject};
use crate::error::CliError;
use crate::output::Format;
use crate::progress;

/// Applicants in the demo if nothing else is said.
const DEFAULT_ROWS: u32 = 1_000;

pub(super) fn loan_scoring(args: DemoArgs, format: Format) -> Result<(), CliError> {
    let subject = match args.data {
        Some(dir) => Subject::Files(dir),
        None => Subject::MadeUp {
            parties: usize::from(args.parties.unwrap_or(3)),
            rows: args.rows.unwrap_or(DEFAULT_ROWS) as usize,
        },
    };
    let mut progress = progress::for_stderr(format);
    let offline = args.offline.or(Offline::OT)?;
    let done = demo::run(&subject, offline, args.net, args.keep.as_deref(), &mut |step| progress.phase(step));
    progress.end();
    let done = done?;
    format.print(&done.report, || done.report.render(&done.scenario, &done.applicants))
}
