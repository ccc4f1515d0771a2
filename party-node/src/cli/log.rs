//! `subrosa log verify` checks logs offline, with exit code 0 only if everything holds; `subrosa log show` reads one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mpc_core::transcript::Member;

use super::prove::named_key;
use crate::error::CliError;
use crate::log::{self, render, render_log, verify as verify_logs};
use crate::output::Format;

/// Flags of `log verify`.
#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// Log folders
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    /// A node's name and public key (`ed25519:…`, or the file that holds it) that you have from the node itself: all logs
    /// and all members named in them are held to these; may be repeated
    #[arg(long, value_name = "NAME=KEY")]
    key: Vec<String>,
}

pub(super) fn verify(args: &VerifyArgs, format: Format) -> Result<ExitCode, CliError> {
    let known = args.key.iter().map(|text| {
        let (name, key) = named_key("--key", text)?;
        Ok(Member { name, key: *key.as_bytes() })
    });
    let report = verify_logs(&args.dirs, &known.collect::<Result<Vec<_>, CliError>>()?);
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
