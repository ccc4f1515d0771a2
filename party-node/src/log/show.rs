//! Prints a log for people, or as JSON. It reads what is there; whether that is right is for the verifier to say.

use std::path::Path;

use mpc_core::hex::hex;
use mpc_core::transcript::Entry;
use serde::Serialize;

use super::error::LogError;
use super::read::{Listing, read};

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
}

/// Reads the log in `dir`.
///
/// # Errors
/// [`LogError::Damaged`] for the first thing that makes it unreadable; strays do not.
pub fn show(dir: &Path) -> Result<ShownLog, LogError> {
    let damaged = |what: String| LogError::Damaged { dir: dir.to_owned(), what };
    let listing = Listing::of(dir).map_err(LogError::io("list", dir))?;
    let raw = read(dir, &listing);
    if let Some(fault) = raw.faults.first() {
        return Err(damaged(fault.line()));
    }
    let Some(signed) = raw.checkpoint else { return Err(damaged("no checkpoint".to_owned())) };
    let head = signed.checkpoint();
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
        Ok(ShownEntry { index: i as u64, session, kind, text: entry.to_string() })
    });
    Ok(ShownLog {
        party: head.origin().to_owned(),
        size: head.size(),
        root: head.root().to_string(),
        entries: entries.collect::<Result<_, LogError>>()?,
    })
}

/// One line for the log and one for each entry.
#[must_use]
pub fn render_log(log: &ShownLog) -> String {
    let mut out = format!("{}: {} entries, root {}\n", log.party, log.size, log.root);
    for entry in &log.entries {
        out += &format!("{:>6}  {}\n", entry.index, entry.text);
    }
    out
}
