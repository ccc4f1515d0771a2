//! The files of a demo: a folder per party with its key, configuration and data, as on separate machines.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use mpc_core::transcript::Member;

use crate::cli::make_key;
use crate::config::{Offline, Preprocessing};
use crate::error::CliError;
use crate::identity::PublicKey;

use super::config_text::{dealer_config, party_config, quoted};
use super::program::build;
use super::scenario::{Scenario, write};

/// Name of the dealer in demos.
pub const DEALER: &str = "dealer";
/// Parties start together but read files of different sizes before they look for each other. A party that fails
/// meanwhile ends the demo at once.
const CONNECT_TIMEOUT_MS: u64 = 30_000;

/// How a configuration names what lies around it.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// `host:port` of the parties, then of the dealer.
    pub addresses: Vec<String>,
    /// `public_key = "…"` or `public_key_file = "…"` of the parties, then of the dealer.
    pub pins: Vec<String>,
    /// Who makes correlated randomness.
    pub offline: Offline,
    /// Where a node's own files lie.
    pub arrangement: Arrangement<'a>,
    /// How long nodes wait for each other.
    pub connect_timeout_ms: u64,
}

/// Where a node's own files lie, as seen from its configuration.
#[derive(Copy, Clone, Debug)]
pub enum Arrangement<'a> {
    /// A folder per node below this one, as on separate machines; data of `--data` where the user has it.
    FolderPerNode(&'a Path),
    /// All configurations in one folder with `keys/`, `data/`, `logs/` and `scores/` beside them: the repository's
    /// `configs/`.
    Beside,
}

impl Arrangement<'_> {
    pub(super) fn key(self, node: &str) -> String {
        match self {
            Self::FolderPerNode(_) => format!("{node}.key"),
            Self::Beside => format!("keys/{node}.key"),
        }
    }
    pub(super) fn log(self, node: &str) -> String {
        match self {
            Self::FolderPerNode(_) => "log".into(),
            Self::Beside => format!("logs/{node}"),
        }
    }
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::FolderPerNode(_) => "scorecard.sbr",
            Self::Beside => "data/scorecard.sbr",
        }
    }
    pub(super) fn scores(self) -> &'static str {
        match self {
            Self::FolderPerNode(_) => "scores.csv",
            Self::Beside => "scores/scores.csv",
        }
    }
    pub(super) fn data(self, node: &str, file: &Path) -> String {
        let name = file.file_name().unwrap_or_default().display();
        let own = file.parent().and_then(Path::file_name).is_some_and(|folder| folder == node);
        match self {
            Self::FolderPerNode(root) if own && file.starts_with(root) => name.to_string(),
            Self::FolderPerNode(_) => file.display().to_string(),
            Self::Beside => format!("data/{name}"),
        }
    }
}

/// A finished layout: who is started with which configuration.
#[derive(Debug)]
pub struct Layout {
    /// Configurations of the parties, in order.
    pub parties: Vec<(String, PathBuf)>,
    /// Configuration of the dealer, if there is one.
    pub dealer: Option<PathBuf>,
    /// Log folders: the parties' in order, then the dealer's.
    pub logs: Vec<(String, PathBuf)>,
    /// Keys of the parties in order, then the dealer's.
    pub keys: Vec<PublicKey>,
    /// Where the first party writes its scores.
    pub scores: PathBuf,
}

impl Layout {
    /// All nodes as their logs must name them.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let members = self.logs.iter().zip(&self.keys);
        members.map(|((name, _), key)| Member { name: name.clone(), key: *key.as_bytes() }).collect()
    }
}

/// Writes keys, configurations and the program for every node into `dir`.
///
/// # Errors
/// A file that cannot be written, no free port, or a program that cannot be built.
pub fn lay_out(scenario: &Scenario, dir: &Path, offline: Offline) -> Result<Layout, CliError> {
    let program = build(scenario).map_err(|e| CliError::setup("bad_program", e))?;
    let has_dealer = offline.preprocessing == Preprocessing::Dealer;
    let dealer = has_dealer.then_some(DEALER);
    let names: Vec<&str> = scenario.parties.iter().map(|m| m.name.as_str()).chain(dealer).collect();
    let arrangement = Arrangement::FolderPerNode(dir);
    let keys: Vec<PublicKey> = names
        .iter()
        .map(|name| make_key(&dir.join(name).join(arrangement.key(name))))
        .collect::<Result<_, _>>()?;
    let pins = keys.iter().map(|key| format!("public_key = {}", quoted(&key.to_string()))).collect();
    let addresses = free_addresses(names.len())?;
    let around =
        Surroundings { addresses, pins, arrangement, offline, connect_timeout_ms: CONNECT_TIMEOUT_MS };
    let mut parties = Vec::new();
    for (index, member) in scenario.parties.iter().enumerate() {
        let folder = dir.join(&member.name);
        let at = folder.join(around.arrangement.program());
        program.save(&at).map_err(|e| CliError::setup("file_error", e))?;
        let path = folder.join(format!("{}.toml", member.name));
        write(&path, &party_config(scenario, index, &around))?;
        parties.push((member.name.clone(), path));
    }
    let dealer = has_dealer.then(|| dir.join(DEALER).join(format!("{DEALER}.toml")));
    if let Some(dealer) = &dealer {
        write(dealer, &dealer_config(scenario, &around))?;
    }
    let logs = names.iter().map(|n| ((*n).to_owned(), dir.join(n).join(around.arrangement.log(n)))).collect();
    let scores = dir.join(names[0]).join(around.arrangement.scores());
    Ok(Layout { parties, dealer, logs, keys, scores })
}

/// Ports that are free now. They are held until all are found, so that none is found twice.
pub(crate) fn free_addresses(count: usize) -> Result<Vec<String>, CliError> {
    let no_port =
        |e: std::io::Error| CliError::outcome("no_port", format_args!("no free port on 127.0.0.1: {e}"));
    let sockets: Vec<UdpSocket> =
        (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>().map_err(no_port)?;
    sockets.iter().map(|s| s.local_addr().map(|a| a.to_string()).map_err(no_port)).collect()
}
