//! Prints a log for people, or as JSON. It reads a log that is whole and signed; whether what it says is right is for the
//! verifier to say.

use std::collections::HashMap;
use std::path::Path;

use mpc_core::checkpoint::SignedCheckpoint;
use mpc_core::hex::hex;
use mpc_core::transcript::{Entry, Member, PeerDigests, SessionOpen, Witnessed};
use serde::Serialize;

use super::error::LogError;
use super::members::{ShownCosignature, ShownMember, members};
use super::read::RawLog;
use super::signer::read_whole;
use super::verify::plain;
use super::{cosigned, layout};
use crate::identity::public_key_text;

/// A log's content.
#[derive(Debug, Clone, Serialize)]
pub struct ShownLog {
    /// The name of the node that wrote it.
    pub party: String,
    /// Number of entries.
    pub size: u64,
    /// Root in base64.
    pub root: String,
    /// The entries.
    pub entries: Vec<ShownEntry>,
}

/// One entry.
#[derive(Debug, Clone, Serialize)]
pub struct ShownEntry {
    /// Its number, from 0.
    pub index: u64,
    /// Its session, in hexadecimal.
    pub session: String,
    /// `open`, `commitment`, `batch`, `close` or `witnessed`.
    pub kind: &'static str,
    /// What it says, in one line.
    pub text: String,
    /// What the line leaves out.
    #[serde(flatten)]
    pub details: Details,
}

/// What the line about an entry leaves out: digests in full, keys, times.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Details {
    /// Of an open entry.
    Open {
        /// Version of the wire protocol.
        protocol_version: u32,
        /// Digest of the program, in hexadecimal.
        program: String,
        /// Digest of the parameters, in hexadecimal.
        parameters: String,
        /// Parties in roster order, then the dealer.
        members: Vec<ShownMember>,
    },
    /// Of a commitment.
    Commitment {
        /// `input`, `weights` or `output`.
        value: &'static str,
        /// The value's name in the program.
        name: String,
        /// The commitment, in hexadecimal.
        commitment: String,
    },
    /// Of a batch.
    Batch {
        /// What passed, per peer.
        peers: Vec<ShownTraffic>,
    },
    /// Of a close entry.
    Close {},
    /// Of a witnessed entry.
    Witnessed {
        /// SHA-256 of the cosigned checkpoint, in hexadecimal.
        cosigned: String,
        /// The cosignatures in it, as far as they verify.
        cosignatures: Vec<ShownCosignature>,
    },
}

/// What passed between the log's node and one peer during a batch.
#[derive(Debug, Clone, Serialize)]
pub struct ShownTraffic {
    /// `party N` or `dealer`.
    pub peer: String,
    /// Keyed digest of what was sent, in hexadecimal.
    pub sent: String,
    /// Keyed digest of what was received, in hexadecimal.
    pub received: String,
}

/// Reads the log in `dir`.
///
/// # Errors
/// [`LogError::Damaged`] for the first thing that makes it unreadable or not its owner's; strays do not.
pub fn show(dir: &Path) -> Result<ShownLog, LogError> {
    let damaged = |what: String| LogError::Damaged { dir: dir.to_owned(), what };
    let (raw, signed) = read_whole(dir)?;
    let head = signed.checkpoint();
    let mut opened = HashMap::new();
    let entries = raw.entries.iter().enumerate().map(|(i, bytes)| {
        let entry = Entry::decode(bytes).map_err(|e| damaged(format!("entry {i}: {e}")))?;
        let kind = match &entry {
            Entry::SessionOpen(_) => "open",
            Entry::Commitment(_) => "commitment",
            Entry::Batch(_) => "batch",
            Entry::Close(_) => "close",
            Entry::Witnessed(_) => "witnessed",
        };
        let session = hex(&entry.session().0);
        let text = entry.to_string();
        let details = details(entry, &mut opened, &raw);
        Ok(ShownEntry { index: i as u64, session, kind, text, details })
    });
    Ok(ShownLog {
        party: head.origin().to_owned(),
        size: head.size(),
        root: head.root().to_string(),
        entries: entries.collect::<Result<_, LogError>>()?,
    })
}

fn details(entry: Entry, opened: &mut HashMap<[u8; 32], SessionOpen>, raw: &RawLog) -> Details {
    match entry {
        Entry::SessionOpen(open) => {
            let member = |m: &Member| ShownMember {
                name: m.name.clone(),
                key: public_key_text(&m.key),
                expected: None,
            };
            let details = Details::Open {
                protocol_version: open.protocol_version,
                program: hex(&open.program),
                parameters: hex(&open.parameters),
                members: members(&open).map(member).collect(),
            };
            opened.insert(open.session.0, open);
            details
        }
        Entry::Commitment(c) => {
            Details::Commitment { value: c.kind.as_str(), name: c.name, commitment: hex(&c.blinded) }
        }
        Entry::Batch(b) => {
            let traffic = |p: &PeerDigests| ShownTraffic {
                peer: p.peer.to_string(),
                sent: hex(&p.sent),
                received: hex(&p.received),
            };
            Details::Batch { peers: b.peers.iter().map(traffic).collect() }
        }
        Entry::Close(_) => Details::Close {},
        Entry::Witnessed(w) => {
            let cosignatures =
                opened.get(&w.session.0).map(|open| cosignatures(open, &w, raw)).unwrap_or_default();
            Details::Witnessed { cosigned: hex(&w.cosigned), cosignatures }
        }
    }
}

fn cosignatures(open: &SessionOpen, witnessed: &Witnessed, raw: &RawLog) -> Vec<ShownCosignature> {
    let text = raw.cosigned.get(&layout::cosigned(&witnessed.session)).and_then(|c| c.text.as_ref());
    let note = text.and_then(|text| SignedCheckpoint::parse(text).ok());
    let signed = note.and_then(|note| cosigned::check_signers(open, &note).ok()).unwrap_or_default();
    signed.iter().map(|by| ShownCosignature::new(open, by)).collect()
}

/// One line for the log and one for each entry; below that of an open entry one for each member with its key, below that
/// of a witnessed entry one for each cosignature with its time.
#[must_use]
pub fn render_log(log: &ShownLog) -> String {
    let mut lines = vec![format!("{}: {} entries, root {}", log.party, log.size, log.root)];
    for entry in &log.entries {
        lines.push(format!("{:>6}  {}", entry.index, entry.text));
        match &entry.details {
            Details::Open { members, .. } => {
                let width = members.iter().map(|m| m.name.chars().count()).max().unwrap_or(0);
                lines.extend(members.iter().map(|m| format!("{:>8}{:width$}  {}", "", m.name, m.key)));
            }
            Details::Witnessed { cosignatures, .. } => {
                let width = cosignatures.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
                let line = |c: &ShownCosignature| format!("{:>8}{:width$}  at {}", "", c.name, c.time);
                lines.extend(cosignatures.iter().map(line));
            }
            _ => {}
        }
    }
    lines.iter().map(|line| plain(line) + "\n").collect()
}
