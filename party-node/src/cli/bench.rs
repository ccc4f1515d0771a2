//! `subrosa bench`.

use std::path::Path;

use super::BenchArgs;
use crate::bench::workload::{Task, Workload};
use crate::bench::{run, run_node};
use crate::config::Offline;
use crate::error::CliError;
use crate::output::Format;

pub(super) fn bench(args: &BenchArgs, format: Format) -> Result<(), CliError> {
    let BenchArgs { workload, n, columns, raw, parties, repeat, net, offline, .. } = *args;
    if raw && workload != Workload::Mul {
        return Err(CliError::setup("usage", "--raw goes with `mul` alone"));
    }
    let n = n.map_or_else(|| workload.default_n(), |n| n as usize);
    let columns = columns.map_or_else(|| workload.default_columns(), |c| c as usize);
    // Cots are what a dealer does not make.
    let otherwise = if workload == Workload::Cots { Offline::OT } else { Offline::DEALER };
    let offline = offline.or(otherwise)?;
    let task = Task { workload, n, columns, raw, parties: usize::from(parties), offline };
    let report = run(task, repeat as usize, net)?;
    format.print(&report, || report.render())
}

pub(super) fn node(dir: &Path, index: usize, format: Format) -> Result<(), CliError> {
    let report = run_node(dir, index)?;
    format.print(&report, || "see --json".to_owned())
}
