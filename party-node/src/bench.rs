//! `subrosa bench`: one workload as real processes over QUIC on this machine, with everything that a node does in
//! production but files and row ids.
//!
//! Each repetition is a session of its own. The parties first receive all corrections of the dealer (offline), meet at a
//! barrier, and then compute (online), so the two add up and do not overlap; in production the dealer streams ahead and
//! they do. One repetition goes before those that count. Inputs are fresh random values, and party 0 compares its result
//! with the plaintext one.

mod forest;
mod link;
mod node;
mod raw;
mod report;
mod spec;
pub mod workload;

use std::ffi::OsString;
use std::path::Path;

pub use report::{BenchReport, Figures};
use spec::{DEALER, Spec};
use workload::{Task, Workload};

use protocols::prep::{CotExtension, Provider};

use crate::cli::make_key;
use crate::config::Net;
use crate::demo::layout::free_addresses;
use crate::demo::process::{Node, executable, run_all, temporary_folder};
use crate::error::CliError;
use crate::job::report::Expected;

/// Runs a workload `repeat` times.
///
/// # Errors
/// Sizes that make no program, or a node that failed.
pub fn run(task: Task, repeat: usize, net: Net) -> Result<BenchReport, CliError> {
    // Whatever is wrong with the sizes is better said before processes start.
    let program = task.program(net).map_err(|e| CliError::setup("bad_program", e))?;
    let provider = task.offline.provider(&program, net);
    let computes = !task.raw && task.workload.computes();
    let estimate = computes.then(|| Expected::of(&program, provider, net));
    drop(program);
    if task.workload == Workload::Cots && provider == Provider::Dealer {
        return Err(CliError::setup(
            "usage",
            "a dealer makes no transfers; `cots` goes with --preprocessing ot",
        ));
    }
    let dir = temporary_folder("subrosa-bench-")?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| CliError::outcome("no_randomness", e))?;
    let dealer = (provider == Provider::Dealer).then(|| DEALER.to_owned());
    let names: Vec<String> = task.names().into_iter().chain(dealer).collect();
    let nodes = names
        .iter()
        .zip(free_addresses(names.len())?)
        .map(|(name, address)| {
            let key = make_key(&Spec::key_file(dir.path(), name))?;
            Ok((name.clone(), address, key.to_string()))
        })
        .collect::<Result<Vec<_>, CliError>>()?;
    let spec = Spec { task, repeat, seed, net, nodes };
    spec.save(dir.path())?;
    let processes: Vec<Node> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let words =
                ["bench-node".into(), dir.path().as_os_str().to_owned(), OsString::from(index.to_string())];
            Node { name: name.clone(), args: words.to_vec() }
        })
        .collect();
    let reports = run_all(&executable()?, &processes)?
        .into_iter()
        .map(|value| {
            serde_json::from_value(value)
                .map_err(|e| CliError::outcome("process", format_args!("a node's result is not one: {e}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let repeats: Vec<Figures> = (1..=repeat).map(|i| Figures::of(&reports, i)).collect();
    let median = Figures::median(&repeats);
    Ok(BenchReport {
        workload: spec.task.workload.name(),
        parties: spec.task.parties,
        preprocessing: provider.name(),
        cot_extension: provider.extension().map(CotExtension::name),
        security: "semi-honest",
        net: net.to_string(),
        shape: spec.task.shape(),
        estimate,
        repeats,
        median,
    })
}

/// Runs one node of a bench and gives what it prints.
///
/// # Errors
/// Whatever keeps it from its end.
pub fn run_node(dir: &Path, index: usize) -> Result<impl serde::Serialize + use<>, CliError> {
    node::run(dir, index)
}
