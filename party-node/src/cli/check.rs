//! `subrosa check`: everything that can be known before peers are up.
//!
//! The configuration's own contradictions, the private key and whether it is the one that the roster pins, the program
//! and whether it is for these parties, every input cell (numbers, ranges, missing values, unique ids), outcomes, every
//! place that the node writes to (log, memory of peers' heads, openings, outputs), the clock, and whether the port is free.
//! The same code reads the inputs of a run and judges its places, so a check that passes leaves a run only the network to
//! fail on, and a disk that fills up. Nothing is changed.

use std::net::UdpSocket;
use std::path::Path;

use mpc_core::transcript::Member;
use serde::Serialize;

use crate::config::{AnyConfig, Config, NodeConfig};
use crate::error::CliError;
use crate::identity::{Identity, PublicKey};
use crate::job;
use crate::job::inputs::InputSummary;
use crate::log::{LogState, verify};
use crate::output::{Format, Table, bytes, count};
use crate::store::{SeriesSummary, summarise};

#[derive(Serialize)]
struct Checked {
    ok: bool,
    node: String,
    role: &'static str,
    public_key: String,
    parties: Vec<String>,
    program: Option<ProgramSummary>,
    inputs: Vec<InputSummary>,
    rows: usize,
    log: String,
    /// What was made ahead, in a party's store.
    store: Option<Vec<SeriesSummary>>,
    /// What the next start will repair.
    notes: Vec<String>,
}

#[derive(Serialize)]
struct ProgramSummary {
    name: String,
    digest: String,
    nodes: usize,
}

pub(super) fn run(path: &Path, format: Format) -> Result<(), CliError> {
    let config = AnyConfig::load(path)?;
    job::check_clock()?;
    let node = config.node();
    let identity = job::load_identity(node)?;
    let mut checked = Checked {
        ok: true,
        node: node.name.clone(),
        role: "dealer",
        public_key: identity.public_key().to_string(),
        parties: node.roster.names(),
        program: None,
        inputs: Vec::new(),
        rows: 0,
        log: String::new(),
        store: None,
        notes: Vec::new(),
    };
    match &config {
        AnyConfig::Party(config) => check_party(config, &identity, &mut checked)?,
        AnyConfig::Dealer(_) => refuse_party_key(node, identity.public_key())?,
    }
    let LogState { entries, repairs } = job::places::check(&config, &identity)?;
    checked.log = log_state(node, identity.public_key(), entries, repairs.is_empty());
    checked.notes = repairs.into_iter().map(|what| format!("the next start {what}")).collect();
    check_port(node)?;
    format.print(&checked, || render(path, node, &checked))
}

fn check_party(config: &Config, identity: &Identity, checked: &mut Checked) -> Result<(), CliError> {
    job::check_own_key(config, identity)?;
    let mut prepared = job::prepare(config)?;
    if let Some(folder) = &config.store {
        let purpose = job::store_purpose(config, &prepared.program);
        let found = summarise(folder, &purpose).map_err(|e| job::store_error(&e))?;
        checked.store = Some(found.unwrap_or_default());
    }
    checked.role = "party";
    checked.rows = prepared.inputs.rows();
    checked.inputs = std::mem::take(&mut prepared.inputs.summary);
    checked.program = Some(ProgramSummary {
        name: prepared.program.name().to_owned(),
        digest: prepared.program.digest_hex(),
        nodes: prepared.program.nodes().len(),
    });
    Ok(())
}

fn refuse_party_key(node: &NodeConfig, key: PublicKey) -> Result<(), CliError> {
    match node.roster.parties().iter().find(|p| p.public_key == key) {
        None => Ok(()),
        Some(party) => Err(CliError::setup(
            "duplicate_party",
            format_args!(
                "{}: this is the key of the party `{}`; a dealer needs its own",
                node.key.display(),
                party.name
            ),
        )),
    }
}

/// The log in a few words. Whether it verifies is more than a run asks for: that is for people to read.
fn log_state(node: &NodeConfig, key: PublicKey, entries: Option<u64>, whole: bool) -> String {
    let Some(entries) = entries else { return "new".into() };
    if !whole {
        return format!("{entries} entries");
    }
    let own = Member { name: node.name.clone(), key: *key.as_bytes() };
    let report = verify(std::slice::from_ref(&node.log_dir), &[own]);
    match report.problems.first() {
        Some(problem) => format!("{entries} entries, does not verify: {}", problem.what),
        None => format!("{entries} entries, verified"),
    }
}

fn check_port(node: &NodeConfig) -> Result<(), CliError> {
    UdpSocket::bind(node.listen).map(drop).map_err(|e| {
        CliError::setup(
            "port_in_use",
            format_args!("{}: cannot listen on {}: {e}", node.path.display(), node.listen),
        )
        .with_hint("another process may use the port; `listen` must be an address of this machine")
    })
}

fn render(path: &Path, node: &NodeConfig, checked: &Checked) -> String {
    let mut out = format!("{}: ok, `{}` is a {}\n", path.display(), node.name, checked.role);
    let mut table = Table::new(&["", ""]);
    table.row(["  key", &format!("{} is {}", node.key.display(), checked.public_key)]);
    table.row(["  listen", &format!("{} is free", node.listen)]);
    for party in node.roster.parties() {
        let address = if party.address.is_empty() { "dials the dealer" } else { &party.address };
        table.row(["  party", &format!("{} ({}) {}", party.name, address, party.public_key.fingerprint())]);
    }
    if let Some(program) = &checked.program {
        table.row(["  program", &format!("{}, digest {}…", program.name, &program.digest[..16])]);
    }
    for input in &checked.inputs {
        let what = format!(
            "{} {:?} from {}, all within ±{}",
            input.name,
            input.shape,
            input.file.display(),
            input.max_abs_allowed
        );
        table.row(["  input", &what]);
    }
    if checked.rows > 0 {
        table.row(["  rows", &count(checked.rows as u64)]);
    }
    table.row(["  log", &format!("{}: {}", node.log_dir.display(), checked.log)]);
    for series in checked.store.iter().flatten() {
        let of = if series.fits { "this program" } else { "another program, or other parties" };
        let (left, copies) = (count(series.left.into()), count(series.copies.into()));
        let what = format!(
            "{left} of {copies} copies left for {of}, {} each, series {}…",
            bytes(series.copy_bytes),
            &series.series[..16]
        );
        table.row(["  store", &what]);
        series.damage.iter().for_each(|what| table.row(["  damage", what]));
    }
    if checked.store.as_ref().is_some_and(Vec::is_empty) {
        table.row(["  store", "nothing is made ahead"]);
    }
    for note in &checked.notes {
        table.row(["  note", note]);
    }
    out.push_str(table.render(0).trim_start_matches('\n'));
    out
}
