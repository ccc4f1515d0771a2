//! What the nodes of a bench are told: a file that all of them read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::workload::Task;
use crate::config::Net;
use crate::error::CliError;
use crate::identity::PublicKey;
use crate::net::Member;

/// Name of the file in the bench's folder.
const FILE: &str = "bench.json";
/// Name of the dealer.
pub(super) const DEALER: &str = "dealer";

/// See the module. Keys are those of this bench alone; the seed makes inputs that everybody may know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) task: Task,
    /// Counted repetitions; one more goes before them.
    pub(super) repeat: usize,
    /// Of the inputs of every repetition.
    pub(super) seed: [u8; 32],
    pub(super) net: Net,
    /// Name, address and public key of the parties, then of the dealer if there is one.
    pub(super) nodes: Vec<(String, String, String)>,
}

impl Spec {
    pub(super) fn save(&self, dir: &Path) -> Result<(), CliError> {
        let file = dir.join(FILE);
        let text = serde_json::to_vec(self).map_err(|e| CliError::outcome("internal", e))?;
        std::fs::write(&file, text).map_err(|e| CliError::file("write", &file, &e))
    }

    pub(super) fn load(dir: &Path) -> Result<Self, CliError> {
        let file = dir.join(FILE);
        let text = std::fs::read(&file).map_err(|e| CliError::file("read", &file, &e))?;
        serde_json::from_slice(&text)
            .map_err(|e| CliError::setup("bad_bench", format_args!("{}: {e}", file.display())))
    }

    pub(super) fn key_file(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}.key"))
    }

    pub(super) fn log_dir(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}-log"))
    }

    /// All nodes as the network knows them, a dealer last.
    pub(super) fn members(&self) -> Result<Vec<Member>, CliError> {
        let member = |(name, address, key): &(String, String, String)| {
            let key: PublicKey = key.parse().map_err(crate::cli::from_identity)?;
            Ok(Member { name: name.clone(), address: address.clone(), key })
        };
        self.nodes.iter().map(member).collect()
    }

    /// The seed of one repetition's inputs.
    pub(super) fn inputs_seed(&self, repetition: usize) -> [u8; 32] {
        let mut seed = self.seed;
        seed.iter_mut().zip((repetition as u64).to_le_bytes()).for_each(|(s, r)| *s ^= r);
        seed
    }
}
