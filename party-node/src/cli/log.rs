//! `subrosa log verify`: checks logs offline. Exit code 0 only if everything holds.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::CliError;
use crate::log::{render, verify as verify_logs};
use crate::output::Format;

pub(super) fn verify(dirs: &[PathBuf], format: Format) -> Result<ExitCode, CliError> {
    let report = verify_logs(dirs, &[]);
    format.print(&report, || render(&report))?;
    if report.ok { Ok(ExitCode::SUCCESS) } else { Ok(ExitCode::FAILURE) }
}
