//! A node's configuration: a TOML file, checked before anything connects.
//!
//! [`Config::load`] and [`DealerConfig::load`] refuse unknown fields, contradictions (two parties with one name, key or
//! address) and values out of range, and point at the line. Paths are relative to the configuration file. What the
//! files they name contain is checked by `subrosa check` and again by `subrosa run`.

mod file;
mod network;
mod offline;
pub(crate) mod one_hot;
mod overlaps;
pub(crate) mod place;
pub(crate) mod roster;
pub(crate) mod sources;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mpc_core::party::PartyId;
use toml::Spanned;

pub use file::Link;
pub use network::Net;
pub use offline::{Extension, Offline, OfflineArgs, Preprocessing};
pub use roster::{Peer, Roster};
pub use sources::{InputSource, OutcomesSource, ScorecardConfig};

use crate::error::CliError;
use crate::identity::may_hold_key;
use place::Source;
use roster::Addresses;

/// What every node has, party or dealer.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The file that this was read from.
    pub path: PathBuf,
    /// This node's name.
    pub name: String,
    /// Its private key file.
    pub key: PathBuf,
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// How long to wait for peers to come.
    pub connect_timeout_ms: u64,
    /// How long to wait for one message.
    pub receive_timeout_ms: u64,
    /// Kind of network.
    pub net: Net,
    /// The computing parties, in order.
    pub roster: Roster,
    /// Folder of the node's log.
    pub log_dir: PathBuf,
}

/// A computing party's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it shares with every node.
    pub node: NodeConfig,
    /// This party's place in the roster.
    pub me: PartyId,
    /// The program to run.
    pub program: PathBuf,
    /// Where correlated randomness comes from.
    pub offline: Offline,
    /// Folder of what was made ahead of it.
    pub store: Option<PathBuf>,
    /// The dealer, where it comes from one.
    pub dealer: Option<Peer>,
    /// A file of tensors that holds all weights which no input of the configuration names.
    pub weights: Option<PathBuf>,
    /// This party's inputs, by the program's names.
    pub inputs: BTreeMap<String, InputSource>,
    /// Files for the figures by which inputs are standardised, by the program's names.
    pub figures: BTreeMap<String, PathBuf>,
    /// Files for the outputs that this party learns, by the program's names.
    pub outputs: BTreeMap<String, PathBuf>,
    /// Files of figures in whose units outputs are written, by the program's names.
    pub units: BTreeMap<String, PathBuf>,
    /// How this party turns a probability into points and decisions.
    pub scorecard: Option<ScorecardConfig>,
}

/// The dealer's configuration.
#[derive(Clone, Debug)]
pub struct DealerConfig {
    /// What it shares with every node. Addresses of parties are empty: parties dial the dealer.
    pub node: NodeConfig,
}

/// Either kind of configuration.
#[derive(Clone, Debug)]
pub enum AnyConfig {
    /// A computing party.
    Party(Box<Config>),
    /// The dealer.
    Dealer(Box<DealerConfig>),
}

const DEFAULT_CONNECT_MS: u64 = 10_000;
const DEFAULT_RECEIVE_MS: u64 = 30_000;
const TIMEOUT_RANGE_MS: std::ops::RangeInclusive<u64> = 100..=3_600_000;

impl Config {
    /// Reads and checks a party's configuration.
    ///
    /// # Errors
    /// [`CliError`] with file, line and column.
    pub fn load(path: &Path) -> Result<Self, CliError> {
        Self::from_source(&Source::read(path)?, path)
    }

    fn from_source(source: &Source, path: &Path) -> Result<Self, CliError> {
        if !is_of_party(source)? {
            let message = "this is a dealer's configuration: it has no [job] and no [dealer]";
            return Err(source.error("config_kind", None, message).with_hint(
                "`subrosa node` starts a dealer; `subrosa run` and `subrosa plan` take a party's configuration",
            ));
        }
        let file: file::PartyFile = source.parse()?;
        let dealer_span = file.dealer.as_ref().map(Spanned::span);
        let (roster, dealer) = roster::check(source, file.party, file.dealer, Addresses::Required)?;
        let name = roster::check_name(source, &file.name)?;
        let me = roster.position(&name).ok_or_else(|| {
            let names = roster.names().join(", ");
            let message = format!("`{name}` is not among the [[party]] entries ({names})");
            source.error("not_in_roster", Some(file.name.span()), message)
        })?;
        let (mode, at) = (*file.job.preprocessing.get_ref(), file.job.preprocessing.span());
        let wrong = |span, message| Err(source.error("config_value", Some(span), message));
        match (mode, &dealer, &file.job.ot) {
            (Preprocessing::Dealer, Some(_), Some(ot)) => {
                return wrong(ot.span(), "`ot` belongs to preprocessing = \"ot\"");
            }
            (Preprocessing::Dealer, None, _) => {
                return wrong(
                    at,
                    "preprocessing = \"dealer\" needs a [dealer] with name, address and public key",
                );
            }
            (Preprocessing::Ot, Some(_), _) => {
                return wrong(dealer_span.unwrap_or(at), "with preprocessing = \"ot\" there is no [dealer]");
            }
            (Preprocessing::Dealer, Some(_), None) | (Preprocessing::Ot, None, _) => {}
        }
        if let (Preprocessing::Dealer, Some(store)) = (mode, &file.job.store) {
            return wrong(store.span(), "`store` belongs to preprocessing = \"ot\"");
        }
        let store = file.job.store.map(|folder| source.resolve(folder.get_ref()));
        let weights = file.job.weights.map(|w| tensors_file(source, &w)).transpose()?;
        let offline = Offline { preprocessing: mode, ot: file.job.ot.map(Spanned::into_inner) };
        let figures = file.inputs.iter().filter_map(|(name, input)| {
            let written = sources::written_figures(source, name, input).transpose()?;
            Some(written.map(|file| (name.clone(), file)))
        });
        let figures = figures.collect::<Result<_, _>>()?;
        let inputs = file
            .inputs
            .into_iter()
            .map(|(name, input)| sources::input(source, &name, input).map(|i| (name, i)))
            .collect::<Result<_, _>>()?;
        let units = file.outputs.iter().filter_map(|(name, o)| Some((name.clone(), o.units.as_ref()?)));
        let units = units.map(|(name, file)| (name, source.resolve(file.get_ref()))).collect();
        let outputs: BTreeMap<String, PathBuf> =
            file.outputs.into_iter().map(|(name, o)| (name, source.resolve(&o.file))).collect();
        let scorecard = file.scorecard.map(|s| sources::scorecard(source, s, &outputs)).transpose()?;
        let config = Self {
            me,
            program: source.resolve(&file.job.program),
            offline,
            store,
            dealer,
            weights,
            inputs,
            figures,
            outputs,
            units,
            scorecard,
            node: NodeConfig {
                path: path.into(),
                name,
                key: key_file(source, &file.key)?,
                listen: listen(source, &file.listen)?,
                connect_timeout_ms: timeout(source, file.connect_timeout_ms, DEFAULT_CONNECT_MS)?,
                receive_timeout_ms: timeout(source, file.receive_timeout_ms, DEFAULT_RECEIVE_MS)?,
                net: Net::from(file.link.unwrap_or(Link::Loopback)),
                roster,
                log_dir: source.resolve(&file.log.dir),
            },
        };
        overlaps::check(&config)?;
        Ok(config)
    }
}

impl DealerConfig {
    /// Reads and checks a dealer's configuration.
    ///
    /// # Errors
    /// [`CliError`] with file, line and column.
    pub fn load(path: &Path) -> Result<Self, CliError> {
        Self::from_source(&Source::read(path)?, path)
    }

    fn from_source(source: &Source, path: &Path) -> Result<Self, CliError> {
        if is_of_party(source)? {
            let message = "this is a party's configuration: a dealer's has no [job] and no [dealer]";
            return Err(source
                .error("config_kind", None, message)
                .with_hint("`subrosa run` starts a party; `subrosa node` takes a dealer's configuration"));
        }
        let file: file::DealerFile = source.parse()?;
        let (roster, _) = roster::check(source, file.party, None, Addresses::Unused)?;
        let name = roster::check_name(source, &file.name)?;
        if roster.position(&name).is_some() {
            let message = format!("the dealer `{name}` cannot be a computing party as well");
            return Err(source.error("duplicate_party", Some(file.name.span()), message));
        }
        Ok(Self {
            node: NodeConfig {
                path: path.into(),
                name,
                key: key_file(source, &file.key)?,
                listen: listen(source, &file.listen)?,
                connect_timeout_ms: timeout(source, file.connect_timeout_ms, DEFAULT_CONNECT_MS)?,
                receive_timeout_ms: timeout(source, file.receive_timeout_ms, DEFAULT_RECEIVE_MS)?,
                net: Net::from(file.link.unwrap_or(Link::Loopback)),
                roster,
                log_dir: source.resolve(&file.log.dir),
            },
        })
    }
}

impl AnyConfig {
    /// Reads either kind of file; one with a `[job]` is a party's.
    ///
    /// # Errors
    /// [`CliError`] with file, line and column.
    pub fn load(path: &Path) -> Result<Self, CliError> {
        let source = Source::read(path)?;
        if is_of_party(&source)? {
            Config::from_source(&source, path).map(|c| Self::Party(Box::new(c)))
        } else {
            DealerConfig::from_source(&source, path).map(|c| Self::Dealer(Box::new(c)))
        }
    }

    /// What every node has.
    #[must_use]
    pub fn node(&self) -> &NodeConfig {
        match self {
            Self::Party(c) => &c.node,
            Self::Dealer(c) => &c.node,
        }
    }
}

/// Whether a configuration is a party's: a dealer has no [job], and names no dealer.
fn is_of_party(source: &Source) -> Result<bool, CliError> {
    let shape: toml::Table = source.parse()?;
    Ok(shape.contains_key("job") || shape.contains_key("dealer"))
}

/// The private key's file. Its name goes into messages, so a key in its place is refused first.
fn key_file(source: &Source, file: &Spanned<String>) -> Result<PathBuf, CliError> {
    if may_hold_key(file.get_ref()) {
        let message = "expected the name of the private key's file, found what may be the key itself";
        return Err(source.error("config_value", Some(file.span()), message));
    }
    Ok(source.resolve(file.get_ref()))
}

fn tensors_file(source: &Source, file: &Spanned<String>) -> Result<PathBuf, CliError> {
    let path = source.resolve(file.get_ref());
    if crate::data::holds_tensors(&path) {
        return Ok(path);
    }
    let message = format!("expected weights = a .safetensors file, got {}", file.get_ref());
    Err(source.error("config_value", Some(file.span()), message))
}

fn listen(source: &Source, text: &Spanned<String>) -> Result<SocketAddr, CliError> {
    text.get_ref().parse().map_err(|_| {
        let message =
            format!("expected listen as IP:port, for example 0.0.0.0:7401, got `{}`", text.get_ref());
        source.error("config_value", Some(text.span()), message)
    })
}

fn timeout(source: &Source, value: Option<Spanned<u64>>, default: u64) -> Result<u64, CliError> {
    let Some(value) = value else { return Ok(default) };
    if TIMEOUT_RANGE_MS.contains(value.get_ref()) {
        return Ok(*value.get_ref());
    }
    let (low, high) = (TIMEOUT_RANGE_MS.start(), TIMEOUT_RANGE_MS.end());
    let message = format!("expected {low} to {high} milliseconds, got {}", value.get_ref());
    Err(source.error("config_value", Some(value.span()), message))
}

#[cfg(test)]
mod tests;
