//! What making copies reports.

use std::path::PathBuf;

use serde::Serialize;

use crate::job::Witnessed;
use crate::job::report::LogHead;
use crate::output::{bytes, count};

/// A party's finished session that made copies.
#[derive(Clone, Debug, Serialize)]
pub struct AheadReport {
    /// This party.
    pub party: String,
    /// Names of all parties, in order.
    pub parties: Vec<String>,
    /// Name of the program that the copies are for.
    pub program: String,
    /// Its digest, in hexadecimal.
    pub program_digest: String,
    /// Session id, in hexadecimal; also the name of the series.
    pub session: String,
    /// The security model in one line.
    pub security: String,
    /// Who made them.
    pub preprocessing: String,
    /// Which extension made the oblivious transfers.
    pub cot_extension: String,
    /// Copies made: a run takes one.
    pub copies: u32,
    /// Copies for this program and these parties that are in the store now.
    pub available: u32,
    /// Bytes of one copy on disk.
    pub copy_bytes: u64,
    /// The store.
    pub store: PathBuf,
    /// Exchanges.
    pub rounds: u64,
    /// Payload bytes that this party sent.
    pub own_offline_bytes: u64,
    /// Bytes on the wire in both directions, framing and QUIC included.
    pub wire_bytes: u64,
    /// All of it.
    pub seconds: f64,
    /// Who cosigned this node's log.
    pub witnessed: Witnessed,
    /// This node's log after the session.
    pub log: LogHead,
}

impl AheadReport {
    /// The report for people.
    #[must_use]
    pub fn render(&self) -> String {
        let others: Vec<&str> =
            self.parties.iter().map(String::as_str).filter(|p| *p != self.party).collect();
        let lines = [
            ("session", self.session.clone()),
            ("security", self.security.clone()),
            ("transfers by", self.cot_extension.clone()),
            (
                "in the store now",
                format!("{} for this program, in {}", count(self.available.into()), self.store.display()),
            ),
            ("on disk, per copy", bytes(self.copy_bytes)),
            (
                "sent by this party",
                format!("{} in {} rounds", bytes(self.own_offline_bytes), count(self.rounds)),
            ),
            ("on the wire here", bytes(self.wire_bytes)),
            ("seconds", format!("{:.3}", self.seconds)),
            ("log", format!("{} ({} entries)", self.log.path.display(), self.log.size)),
            ("log root", self.log.root.clone()),
            ("log cosigned by", self.witnessed.render()),
        ];
        let copies = if self.copies == 1 { "copy" } else { "copies" };
        let mut out = format!(
            "{} made {} {copies} of what `{}` takes, with {}\n",
            self.party,
            count(self.copies.into()),
            self.program,
            others.join(", ")
        );
        lines.iter().for_each(|(name, value)| out.push_str(&format!("  {name:<20}{value}\n")));
        out
    }
}
