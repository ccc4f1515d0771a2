//! The files of a demo: a folder per party with its key, configuration and data, as on separate machines.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use ml_ops::models::scorecard::{self, PROBABILITY, features};

use crate::cli::make_key;
use crate::data::{Missing, Standardise};
use crate::error::CliError;
use crate::identity::PublicKey;

use super::program::build;
use super::scenario::{BIAS, Member, Scenario, write};

/// Name of the dealer in demos.
pub const DEALER: &str = "dealer";

/// How a configuration names what lies around it.
#[derive(Debug)]
pub struct Surroundings {
    /// `host:port` of the parties, then of the dealer.
    pub addresses: Vec<String>,
    /// `public_key = "…"` or `public_key_file = "…"` of the parties, then of the dealer.
    pub pins: Vec<String>,
    /// Where a node's own files lie.
    pub arrangement: Arrangement,
}

/// Where a node's own files lie, as seen from its configuration.
#[derive(Copy, Clone, Debug)]
pub enum Arrangement {
    /// Everything in one folder per node, as on separate machines; data where the user has it.
    FolderPerNode,
    /// All configurations in one folder with `keys/`, `data/`, `logs/` and `scores/` beside them: the repository's
    /// `configs/`.
    Beside,
}

impl Arrangement {
    fn key(self, node: &str) -> String {
        match self {
            Self::FolderPerNode => format!("{node}.key"),
            Self::Beside => format!("keys/{node}.key"),
        }
    }
    fn log(self, node: &str) -> String {
        match self {
            Self::FolderPerNode => "log".into(),
            Self::Beside => format!("logs/{node}"),
        }
    }
    fn program(self) -> &'static str {
        match self {
            Self::FolderPerNode => "scorecard.sbr",
            Self::Beside => "data/scorecard.sbr",
        }
    }
    fn scores(self) -> &'static str {
        match self {
            Self::FolderPerNode => "scores.csv",
            Self::Beside => "scores/scores.csv",
        }
    }
    fn data(self, file: &Path) -> String {
        match self {
            Self::FolderPerNode => file.display().to_string(),
            Self::Beside => format!("data/{}", file.file_name().unwrap_or_default().display()),
        }
    }
}

/// A finished layout: who is started with which configuration.
#[derive(Debug)]
pub struct Layout {
    /// Configurations of the parties, in order.
    pub parties: Vec<(String, PathBuf)>,
    /// Configuration of the dealer.
    pub dealer: PathBuf,
    /// Log folders: the parties' in order, then the dealer's.
    pub logs: Vec<(String, PathBuf)>,
    /// Keys of the parties in order, then the dealer's.
    pub keys: Vec<PublicKey>,
    /// Where the first party writes its scores.
    pub scores: PathBuf,
}

/// Writes keys, configurations and the program for every node into `dir`.
///
/// # Errors
/// A file that cannot be written, no free port, or a program that cannot be built.
pub fn lay_out(scenario: &Scenario, dir: &Path) -> Result<Layout, CliError> {
    let program = build(scenario).map_err(|e| CliError::setup("bad_program", e))?;
    let names: Vec<&str> = scenario.parties.iter().map(|m| m.name.as_str()).chain([DEALER]).collect();
    let arrangement = Arrangement::FolderPerNode;
    let keys: Vec<PublicKey> = names
        .iter()
        .map(|name| make_key(&dir.join(name).join(arrangement.key(name))))
        .collect::<Result<_, _>>()?;
    let pins = keys.iter().map(|key| format!("public_key = {}", quoted(&key.to_string()))).collect();
    let addresses = free_addresses(names.len())?;
    let around = Surroundings { addresses, pins, arrangement };
    let mut parties = Vec::new();
    for (index, member) in scenario.parties.iter().enumerate() {
        let folder = dir.join(&member.name);
        let at = folder.join(around.arrangement.program());
        program.save(&at).map_err(|e| CliError::setup("file_error", e))?;
        let path = folder.join(format!("{}.toml", member.name));
        write(&path, &party_config(scenario, index, &around))?;
        parties.push((member.name.clone(), path));
    }
    let dealer = dir.join(DEALER).join(format!("{DEALER}.toml"));
    write(&dealer, &dealer_config(scenario, &around))?;
    let logs = names.iter().map(|n| ((*n).to_owned(), dir.join(n).join(around.arrangement.log(n)))).collect();
    let scores = dir.join(names[0]).join(around.arrangement.scores());
    Ok(Layout { parties, dealer, logs, keys, scores })
}

/// Ports that are free now. They are held until all are found, so that none is found twice.
fn free_addresses(count: usize) -> Result<Vec<String>, CliError> {
    let no_port =
        |e: std::io::Error| CliError::outcome("no_port", format_args!("no free port on 127.0.0.1: {e}"));
    let sockets: Vec<UdpSocket> =
        (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>().map_err(no_port)?;
    sockets.iter().map(|s| s.local_addr().map(|a| a.to_string()).map_err(no_port)).collect()
}

/// The configuration of the party at `index`.
#[must_use]
pub fn party_config(scenario: &Scenario, index: usize, around: &Surroundings) -> String {
    let member = &scenario.parties[index];
    let mut out = node_head(&member.name, index, around);
    roster(&mut out, scenario, around, true);
    let dealer = scenario.parties.len();
    let _infallible = write!(
        out,
        "[dealer]\nname = \"{DEALER}\"\naddress = {}\n{}\n\n",
        quoted(&around.addresses[dealer]),
        around.pins[dealer]
    );
    let _infallible = write!(
        out,
        "[log]\ndir = {}\n\n[job]\nprogram = {}\npreprocessing = \"dealer\"\n\n",
        quoted(&around.arrangement.log(&member.name)),
        quoted(around.arrangement.program())
    );
    table_input(&mut out, member, around);
    if index == 0 {
        scorer_sections(&mut out, scenario, around);
    }
    out
}

/// The dealer's configuration.
#[must_use]
pub fn dealer_config(scenario: &Scenario, around: &Surroundings) -> String {
    let mut out = node_head(DEALER, scenario.parties.len(), around);
    roster(&mut out, scenario, around, false);
    let _infallible = write!(out, "[log]\ndir = {}\n", quoted(&around.arrangement.log(DEALER)));
    out
}

fn node_head(name: &str, index: usize, around: &Surroundings) -> String {
    format!(
        "name = {}\nkey = {}\nlisten = {}\nlink = \"loopback\"\n\n",
        quoted(name),
        quoted(&around.arrangement.key(name)),
        quoted(&around.addresses[index])
    )
}

fn roster(out: &mut String, scenario: &Scenario, around: &Surroundings, with_address: bool) {
    for (index, member) in scenario.parties.iter().enumerate() {
        let _infallible = writeln!(out, "[[party]]\nname = {}", quoted(&member.name));
        if with_address {
            let _infallible = writeln!(out, "address = {}", quoted(&around.addresses[index]));
        }
        let _infallible = writeln!(out, "{}\n", around.pins[index]);
    }
}

fn table_input(out: &mut String, member: &Member, around: &Surroundings) {
    let table = &member.table;
    let _infallible = write!(
        out,
        "[inputs.{}]\nfile = {}\nkey_column = {}\ncolumns = [{}]\n",
        quoted(&features(&member.name)),
        quoted(&around.arrangement.data(&table.file)),
        quoted(&table.key_column),
        table.columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ")
    );
    let missing = match table.missing {
        Missing::Mean => "\"mean\"".to_owned(),
        Missing::Refuse => "\"refuse\"".to_owned(),
        Missing::Value(v) => toml::Value::Float(v).to_string(),
    };
    let _infallible = writeln!(out, "missing = {missing}");
    match &table.standardise {
        Standardise::No => out.push_str("standardise = false\n"),
        Standardise::Batch => out.push_str("standardise = true\n"),
        Standardise::Given(given) => {
            let _infallible = writeln!(out, "\n[inputs.{}.standardise]", quoted(&features(&member.name)));
            for (column, s) in table.columns.iter().filter_map(|c| given.get(c).map(|s| (c, s))) {
                let _infallible = writeln!(
                    out,
                    "{} = {{ mean = {}, standard_deviation = {} }}",
                    quoted(column),
                    toml::Value::Float(s.mean),
                    toml::Value::Float(s.standard_deviation)
                );
            }
        }
    }
}

/// What only the first party has: weights, the output and the scorecard.
fn scorer_sections(out: &mut String, scenario: &Scenario, around: &Surroundings) {
    let scorer = &scenario.parties[0];
    let weights = quoted(&around.arrangement.data(&scenario.weights_file));
    let names = scenario.weight_names().iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", ");
    let _infallible = write!(
        out,
        "\n[inputs.{}]\nkind = \"weights\"\nfile = {weights}\nnames = [{names}]\n\
         \n[inputs.{}]\nkind = \"weights\"\nfile = {weights}\nnames = [\"{BIAS}\"]\n\
         \n[outputs.{PROBABILITY}]\nfile = {}\n",
        quoted(scorecard::WEIGHTS),
        quoted(scorecard::BIAS),
        quoted(around.arrangement.scores())
    );
    let card = &scenario.card;
    let _infallible = write!(out, "\n[scorecard]\noutput = \"{PROBABILITY}\"\n");
    for (name, value) in [
        ("base_points", card.base_points),
        ("base_odds", card.base_odds),
        ("points_to_double_odds", card.points_to_double_odds),
        ("approve_from", card.approve_from),
        ("decline_below", card.decline_below),
    ] {
        let _infallible = writeln!(out, "{name} = {}", toml::Value::Float(value));
    }
    if let Some(label) = &scenario.label {
        let _infallible = writeln!(
            out,
            "outcomes = {{ file = {}, key_column = {}, column = {} }}",
            quoted(&around.arrangement.data(&scorer.table.file)),
            quoted(&scorer.table.key_column),
            quoted(label)
        );
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
