//! The configuration as it stands in the file: names and nesting, nothing checked beyond types.
//!
//! Unknown fields are refused everywhere. Values that can be wrong in themselves keep their place in the file
//! ([`Spanned`]), so that a complaint points at them.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::offline::{Extension, Preprocessing};
use super::one_hot::OneHotEntry;

/// A computing party's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyFile {
    pub(super) name: Spanned<String>,
    pub(super) key: Spanned<String>,
    pub(super) listen: Spanned<String>,
    pub(super) connect_timeout_ms: Option<Spanned<u64>>,
    pub(super) receive_timeout_ms: Option<Spanned<u64>>,
    pub(super) link: Option<Link>,
    #[serde(default)]
    pub(super) party: Vec<Spanned<PeerEntry>>,
    pub(super) dealer: Option<Spanned<PeerEntry>>,
    pub(super) log: Log,
    pub(super) job: Job,
    #[serde(default)]
    pub(super) inputs: BTreeMap<String, Spanned<Input>>,
    #[serde(default)]
    pub(super) outputs: BTreeMap<String, Output>,
    pub(super) scorecard: Option<Spanned<Scorecard>>,
}

/// The dealer's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DealerFile {
    pub(super) name: Spanned<String>,
    pub(super) key: Spanned<String>,
    pub(super) listen: Spanned<String>,
    pub(super) connect_timeout_ms: Option<Spanned<u64>>,
    pub(super) receive_timeout_ms: Option<Spanned<u64>>,
    pub(super) link: Option<Link>,
    #[serde(default)]
    pub(super) party: Vec<Spanned<PeerEntry>>,
    pub(super) log: Log,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerEntry {
    pub(super) name: Spanned<String>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) public_key: Option<Spanned<String>>,
    pub(super) public_key_file: Option<Spanned<String>>,
}

/// The kind of network between the parties; it selects QUIC settings.
#[derive(Deserialize, serde::Serialize, clap::ValueEnum, Copy, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// All nodes on one machine.
    Loopback,
    /// One data centre.
    Lan,
    /// The internet.
    Wan,
}

impl Link {
    /// As in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) dir: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    pub(super) program: String,
    pub(super) preprocessing: Spanned<Preprocessing>,
    pub(super) ot: Option<Spanned<Extension>>,
    pub(super) store: Option<Spanned<String>>,
    pub(super) weights: Option<Spanned<String>>,
}

/// One of the program's inputs that this party owns. Which fields belong together depends on `kind`, and is checked
/// where it can be said well.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) kind: Option<InputKind>,
    pub(super) file: String,
    pub(super) key_column: Option<String>,
    pub(super) columns: Option<Spanned<Vec<String>>>,
    pub(super) one_hot: Option<Spanned<OneHotEntry>>,
    pub(super) drop_first: Option<Spanned<bool>>,
    pub(super) missing: Option<Spanned<toml::Value>>,
    pub(super) standardise: Option<Spanned<toml::Value>>,
    pub(super) write_figures: Option<Spanned<String>>,
    pub(super) names: Option<Spanned<Vec<String>>>,
    pub(super) tensor: Option<Spanned<String>>,
}

#[derive(Deserialize, Copy, Clone, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum InputKind {
    /// Columns of a CSV file, one row per person.
    Table,
    /// Named weights.
    Weights,
    /// Data that is no table: a tensor of a file.
    Tensor,
    /// This party's share of what an earlier session kept.
    Share,
}

/// Figures of one column under `standardise`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScalingValue {
    pub(super) mean: f64,
    pub(super) standard_deviation: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub(super) file: String,
    pub(super) units: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scorecard {
    pub(super) output: String,
    pub(super) base_points: f64,
    pub(super) base_odds: f64,
    pub(super) points_to_double_odds: f64,
    pub(super) approve_from: f64,
    pub(super) decline_below: f64,
    pub(super) outcomes: Option<Outcomes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcomes {
    pub(super) file: String,
    pub(super) key_column: String,
    pub(super) column: String,
    pub(super) good: Option<Spanned<String>>,
    pub(super) bad: Option<Spanned<String>>,
}
