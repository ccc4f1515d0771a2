//! `subrosa log verify` checks logs offline, with exit code 0 only if everything holds; `subrosa log show` reads one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::CliError;
use crate::log::{self, render, render_log, verify as verify_logs};
use crate::output::Format;

pub(super) fn verify(dirs: &[PathBuf], format: Format) -> Result<ExitCode, CliError> {
    let report = verify_logs(dirs, &[]);
    format.print(&report, || render(&report))?;
    if report.ok { Ok(ExitCode::SUCCESS) } else { Ok(ExitCode::FAILURE) }
}

pub(super) fn show(dir: &Path, format: Format) -> Result<(), CliError> {
    let log = log::show(dir).map_err(|e| {
        CliError::outcome("log_unreadable", e)
            .with_hint("`subrosa log verify` names everything that is wrong with it")
    })?;
    format.print(&log, || render_log(&log))
}
