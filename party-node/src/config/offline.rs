//! Who makes correlated randomness, on the command line and in a configuration.

use ml_ops::Program;
use protocols::prep::{CotExtension, Provider};
use serde::{Deserialize, Serialize};

use super::Net;
use crate::error::CliError;

/// Where correlated randomness comes from.
#[derive(Deserialize, Serialize, clap::ValueEnum, Copy, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Preprocessing {
    /// A helper node that sees no data and must collude with nobody.
    Dealer,
    /// The parties themselves, by oblivious transfer.
    Ot,
}

/// How oblivious transfers are made in bulk.
#[derive(Deserialize, Serialize, clap::ValueEnum, Copy, Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// SoftSpokenOT with k = 4: least work
    #[serde(rename = "softspoken-4")]
    #[value(name = "softspoken-4")]
    SoftSpoken4,
    /// SoftSpokenOT with k = 8: half the bytes
    #[serde(rename = "softspoken-8")]
    #[value(name = "softspoken-8")]
    SoftSpoken8,
    /// Ferret: fewest bytes
    #[serde(rename = "ferret")]
    #[value(name = "ferret")]
    Ferret,
}

impl From<Extension> for CotExtension {
    fn from(extension: Extension) -> Self {
        match extension {
            Extension::SoftSpoken4 => Self::SoftSpoken4,
            Extension::SoftSpoken8 => Self::SoftSpoken8,
            Extension::Ferret => Self::Ferret,
        }
    }
}

/// Both, as flags.
#[derive(clap::Args, Copy, Clone, Debug)]
pub struct OfflineArgs {
    /// Who makes correlated randomness: a trusted dealer, or the parties by oblivious transfer
    #[arg(long, value_enum)]
    preprocessing: Option<Preprocessing>,
    /// How transfers are extended [default: what suits program and network best]
    #[arg(long, value_enum, value_name = "EXTENSION")]
    ot: Option<Extension>,
}

impl OfflineArgs {
    /// What the flags say, or `otherwise` where they say nothing.
    ///
    /// # Errors
    /// `--ot` with a dealer.
    pub fn or(self, otherwise: Offline) -> Result<Offline, CliError> {
        let preprocessing = match (self.preprocessing, self.ot) {
            (Some(Preprocessing::Dealer), Some(_)) => {
                return Err(CliError::setup("usage", "--ot goes with --preprocessing ot"));
            }
            (None, Some(_)) => Preprocessing::Ot,
            (given, None) => given.unwrap_or(otherwise.preprocessing),
            (Some(given), Some(_)) => given,
        };
        let ot = if self.preprocessing.is_none() { self.ot.or(otherwise.ot) } else { self.ot };
        Ok(Offline { preprocessing, ot })
    }
}

/// Both, decided.
#[derive(Deserialize, Serialize, Copy, Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    /// Who.
    pub preprocessing: Preprocessing,
    /// How transfers are extended; where nothing is said, as suits program and network best.
    pub ot: Option<Extension>,
}

impl Offline {
    /// With a dealer.
    pub const DEALER: Self = Self { preprocessing: Preprocessing::Dealer, ot: None };
    /// Without one.
    pub const OT: Self = Self { preprocessing: Preprocessing::Ot, ot: None };

    /// Who makes the correlated randomness of a program on this network.
    #[must_use]
    pub fn provider(self, program: &Program, net: Net) -> Provider {
        match (self.preprocessing, self.ot) {
            (Preprocessing::Dealer, _) => Provider::Dealer,
            (Preprocessing::Ot, Some(extension)) => Provider::Ot(extension.into()),
            (Preprocessing::Ot, None) => Provider::Ot(program.cot_extension(net.nominal())),
        }
    }
}
