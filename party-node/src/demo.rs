//! The demo: the whole story as separate processes on this machine.
//!
//! Writes keys, configurations and data, starts the parties and the dealer as processes of this same executable from
//! those files, waits for all of them, compares the joint scores with the plaintext model, and verifies the logs that
//! the processes left behind.

pub mod check;
mod config_text;
pub mod custom;
pub mod data;
pub mod fit;
pub mod layout;
pub mod model;
pub mod process;
pub mod program;
pub mod report;
pub mod scenario;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::{Net, Offline};
use crate::data::SpoolPlace;
use crate::error::CliError;
use crate::log::verify;
use crate::private_file::create_private_folder;
use check::{Applicant, Checked};
use layout::{DEALER, Layout, lay_out};
use process::{Node, executable, run_all, temporary_folder};
use report::{DemoReport, LogLine};
use scenario::Scenario;

/// What to demonstrate.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Made-up applicants.
    MadeUp {
        /// Computing parties, 2 to 5.
        parties: usize,
        /// Applicants.
        rows: usize,
    },
    /// The files in a folder, described by its `demo.toml`.
    Files(PathBuf),
}

/// A finished demo: figures, and what there is to show.
pub struct Demonstration {
    /// Figures.
    pub report: DemoReport,
    /// Who took part.
    pub scenario: Scenario,
    /// The first few of the first party's scores.
    pub applicants: Vec<Applicant>,
}

/// Joint and plaintext probabilities may differ by the stated error of the approximated sigmoid and fixed point.
const TOLERANCE: f64 = 1e-3;

/// Runs the demo in `keep`, or in a temporary folder that is removed afterwards.
///
/// # Errors
/// A folder that is not empty, files that are not as they should be, a node that failed (its error, with its name),
/// scores that differ from the plaintext model, or logs that do not verify.
pub fn run(
    subject: &Subject,
    offline: Offline,
    net: Net,
    keep: Option<&Path>,
    say: &mut dyn FnMut(&str),
) -> Result<Demonstration, CliError> {
    let temporary = match keep {
        Some(dir) => {
            refuse_used(dir)?;
            None
        }
        None => Some(temporary_folder("subrosa-demo-")?),
    };
    let dir = match (&temporary, keep) {
        (Some(temporary), _) => temporary.path().to_path_buf(),
        (None, Some(dir)) => dir.canonicalize().map_err(|e| CliError::file("open", dir, &e))?,
        (None, None) => return Err(CliError::outcome("internal", "the demo has no folder")),
    };
    say("preparing keys, configurations and data");
    let scenario = match subject {
        Subject::MadeUp { parties, rows } => {
            scenario::made_up(*parties, *rows, &|party, file| dir.join(party).join(file))?
        }
        Subject::Files(data) => custom::load(data)?,
    };
    let layout = lay_out(&scenario, &dir, offline)?;

    say(match layout.dealer {
        Some(_) => "parties and dealer are running as separate processes",
        None => "parties are running as separate processes",
    });
    let began = Instant::now();
    let nodes = nodes(&layout, net);
    let results = run_all(&executable()?, &nodes)?;
    let seconds = began.elapsed().as_secs_f64();

    say("comparing with the plaintext model and verifying the logs");
    let began = Instant::now();
    let Checked { applicants, max_abs_error } =
        check::compare(&scenario, &layout.scores, &SpoolPlace::new(&dir))?;
    let compare = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let dirs: Vec<PathBuf> = layout.logs.iter().map(|(_, dir)| dir.clone()).collect();
    let verified = verify(&dirs, &layout.members());
    let verify_seconds = began.elapsed().as_secs_f64();

    let logs = layout.logs.iter().zip(&verified.logs).map(|((name, path), log)| LogLine {
        party: name.clone(),
        path: path.clone(),
        size: log.size,
        root: log.root.clone(),
    });
    let first = results.get(usize::from(layout.dealer.is_some()));
    let first = first.ok_or_else(|| CliError::outcome("internal", "the first party gave no result"))?;
    let mut report = from_first_party(first, &scenario, net)?;
    report.logs = logs.collect();
    report.verified = verified.ok;
    report.max_abs_error = max_abs_error;
    report.seconds = seconds;
    report.phases.extend([("compare".to_owned(), compare), ("verify logs".to_owned(), verify_seconds)]);
    let peaks = nodes.iter().zip(&results).map(|(node, r)| (node.name.clone(), r["peak_rss_mb"].as_f64()));
    report.peak_rss_mb = peaks.collect();
    report.kept = keep.map(|_| dir.clone());
    if max_abs_error > TOLERANCE {
        let message = format!(
            "scores differ from the plaintext model by {max_abs_error:.2e}, expected at most {TOLERANCE:.0e}"
        );
        return Err(CliError::outcome("scores_differ", message));
    }
    if !verified.ok {
        let first = verified.problems.first().map(|p| format!("{}: {}", p.log, p.what)).unwrap_or_default();
        return Err(CliError::outcome("log_not_verified", format_args!("the logs do not verify: {first}")));
    }
    Ok(Demonstration { report, scenario, applicants })
}

fn refuse_used(dir: &Path) -> Result<(), CliError> {
    create_private_folder(dir).map_err(|e| CliError::file("create folder", dir, &e))?;
    let mut entries = std::fs::read_dir(dir).map_err(|e| CliError::file("open", dir, &e))?;
    if entries.next().is_none() {
        return Ok(());
    }
    Err(CliError::setup(
        "not_empty",
        format_args!("{}: expected a new or empty folder, it has files", dir.display()),
    )
    .with_hint("private keys and logs are never overwritten; name another folder"))
}

/// The dealer first, then the parties in order.
fn nodes(layout: &Layout, net: Net) -> Vec<Node> {
    let arguments = |words: &[&str], config: &Path| -> Vec<OsString> {
        let net = ["--net".into(), net.to_string().into()];
        words.iter().map(OsString::from).chain([config.as_os_str().to_owned()]).chain(net).collect()
    };
    let dealer = layout
        .dealer
        .as_ref()
        .map(|config| Node { name: DEALER.into(), args: arguments(&["node", "--once", "--config"], config) });
    let parties = layout
        .parties
        .iter()
        .map(|(name, config)| Node { name: name.clone(), args: arguments(&["run", "--config"], config) });
    dealer.into_iter().chain(parties).collect()
}

/// What the first party's process reported, as the demo's figures.
fn from_first_party(
    result: &serde_json::Value,
    scenario: &Scenario,
    net: Net,
) -> Result<DemoReport, CliError> {
    let broken =
        |what: &str| CliError::outcome("process", format_args!("the first party's result has no {what}"));
    let text = |name: &str| result[name].as_str().map(str::to_owned).ok_or_else(|| broken(name));
    let number = |name: &str| result[name].as_u64().ok_or_else(|| broken(name));
    let estimate = |name: &str| result["estimate"][name].as_f64().ok_or_else(|| broken("estimate"));
    let card = &result["scorecard"];
    let band = |name: &str| card["bands"][name].as_u64().ok_or_else(|| broken(name));
    let discrimination: Option<crate::metrics::Discrimination> =
        serde_json::from_value(card["discrimination"].clone()).map_err(|_| broken("discrimination"))?;
    let phases = ["prepare", "connect", "compute", "finish"]
        .iter()
        .map(|name| {
            Ok(((*name).to_owned(), result["seconds"][name].as_f64().ok_or_else(|| broken("seconds"))?))
        })
        .collect::<Result<_, CliError>>()?;
    let mut report = DemoReport {
        parties: scenario.parties.len(),
        rows: scenario.rows,
        preprocessing: text("preprocessing")?,
        security: text("security")?,
        auc: None,
        ks: None,
        max_abs_error: f64::INFINITY,
        rounds: number("rounds")?,
        online_bytes_per_party: number("online_bytes_per_party")?,
        offline_bytes_per_party: number("offline_bytes_per_party")?,
        net: net.to_string(),
        estimated_seconds: (estimate("offline_ms")? + estimate("online_ms")?) / 1e3,
        seconds: 0.0,
        logs: Vec::new(),
        verified: false,
        gini: None,
        bad_rate: None,
        auc_bank_alone: scenario.auc_alone,
        bands: crate::scorecard::Bands {
            approve: band("approve")?,
            refer: band("refer")?,
            decline: band("decline")?,
        },
        wire_bytes: number("wire_bytes")?,
        peak_rss_mb: Vec::new(),
        phases,
        kept: None,
    };
    report.set_discrimination(discrimination);
    Ok(report)
}
