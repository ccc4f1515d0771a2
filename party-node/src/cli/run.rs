//! `subrosa run` and `subrosa node`: one party's run, and the dealer's service.

use std::path::Path;

use crate::config::{Config, DealerConfig};
use crate::error::CliError;
use crate::job;
use crate::output::Format;
use crate::progress;

pub(super) fn party(path: &Path, format: Format) -> Result<(), CliError> {
    let config = Config::load(path)?;
    let mut progress = progress::for_stderr();
    let report = job::run_party(&config, progress.as_mut());
    progress.end();
    let report = report?;
    format.print(&report, || report.render())
}

pub(super) fn dealer(path: &Path, once: bool, format: Format) -> Result<(), CliError> {
    let config = DealerConfig::load(path)?;
    job::run_dealer(&config, once, &mut |report| format.print(report, || report.render()))
}
