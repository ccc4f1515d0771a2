//! `subrosa run` and `subrosa node`: one party's run, and the dealer's service.

use std::path::Path;

use crate::config::{Config, DealerConfig, Net};
use crate::error::CliError;
use crate::job;
use crate::output::Format;
use crate::progress;

pub(super) fn party(path: &Path, net: Option<Net>, format: Format) -> Result<(), CliError> {
    let mut config = Config::load(path)?;
    config.node.net = net.unwrap_or(config.node.net);
    let mut progress = progress::for_stderr(format);
    let report = job::run_party(&config, progress.as_mut());
    progress.end();
    let report = report?;
    format.print(&report, || report.render())
}

pub(super) fn dealer(path: &Path, once: bool, net: Option<Net>, format: Format) -> Result<(), CliError> {
    let mut config = DealerConfig::load(path)?;
    config.node.net = net.unwrap_or(config.node.net);
    job::run_dealer(&config, once, &mut |report| format.print(report, || report.render()))
}
