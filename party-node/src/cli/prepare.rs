//! `subrosa prepare`: making correlated randomness ahead.

use std::path::{Path, PathBuf};

use crate::config::{Config, Net};
use crate::error::CliError;
use crate::job;
use crate::output::Format;
use crate::progress;

pub(super) fn run(
    path: &Path,
    program: Option<PathBuf>,
    times: u32,
    net: Option<Net>,
    format: Format,
) -> Result<(), CliError> {
    let mut config = Config::load(path)?;
    config.node.net = net.unwrap_or(config.node.net);
    config.program = program.unwrap_or(config.program);
    let mut progress = progress::for_stderr(format);
    let report = job::run_ahead(&config, times, progress.as_mut());
    progress.end();
    let report = report?;
    format.print(&report, || report.render())
}
