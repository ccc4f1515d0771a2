//! What a node writes into its log about a session, besides the digests of messages: the open entry, blinded
//! commitments to its private values, and the close.
//!
//! A commitment ([`Commitment::new`]) is a hash over its place, a blind and the value. Blinds are expanded from a seed of
//! their own, whose commitment is in the open entry and from which nothing else derives. They are kept beside the log (never in it) in a file for the owner
//! alone, because a commitment that nobody can open proves nothing later; the seed is forgotten with the session.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use mpc_core::channel::Peer;
use mpc_core::hex::hex;
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Close, Commitment, CommitmentKind, Entry, Member, Outcome, SessionOpen};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::places::log_error;
use super::wiring::fresh_secret;
use crate::config::NodeConfig;
use crate::error::CliError;
use crate::log::{LogHandle, beside_log};
use crate::net::{PROTOCOL_VERSION, SecretBytes};
use crate::private_file::{create_private_folder, write_private};

/// More than what is written around the name of one opening, or around all of them.
const OPENING_BYTES: usize = 256;

/// What all members of a session agree on.
pub(super) struct Agreement {
    pub(super) session: SessionId,
    pub(super) program: [u8; 32],
    pub(super) parameters: [u8; 32],
    pub(super) parties: Vec<Member>,
    pub(super) dealer: Option<Member>,
    /// Every party's nonce, from which an auditor computes the session's id again. The dealer is not shown them.
    pub(super) nonces: Vec<[u8; 32]>,
}

/// Writes one session into the log.
pub(super) struct Transcript {
    log: LogHandle,
    open: SessionOpen,
    session: SessionId,
    seed: SecretBytes,
    openings: Vec<Opening>,
    folder: PathBuf,
}

/// What opens a commitment.
#[derive(Serialize)]
struct Opening {
    kind: &'static str,
    name: String,
    blind: Blind,
}

/// 32 random bytes, which are written to one file and shown nowhere else.
struct Blind(SecretBytes);

mpc_core::secret_types!(Opening, Blind, OpeningsFile<'static>, Transcript);

impl Serialize for Blind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut digits = Zeroizing::new(String::with_capacity(64));
        for byte in self.0.expose() {
            let _infallible = write!(digits, "{byte:02x}");
        }
        to.serialize_str(&digits)
    }
}

#[derive(Serialize)]
struct OpeningsFile<'a> {
    session: String,
    commitments: &'a [Opening],
}

impl Transcript {
    /// Opens the session in the log of a dealer, which is not shown the parties' nonces.
    pub(super) fn open(
        log: LogHandle,
        node: &NodeConfig,
        me: Peer,
        agreement: Agreement,
    ) -> Result<Self, CliError> {
        let seed = fresh_secret()?;
        let seed_commitment =
            Sha256::new().chain_update(b"subrosa/blind-seed/1").chain_update(seed.expose()).finalize().into();
        let session = agreement.session;
        #[cfg(test)]
        crate::tape::note(&session, "blind seed", seed.expose());
        let open = SessionOpen {
            session,
            protocol_version: u32::from(PROTOCOL_VERSION),
            program: agreement.program,
            parameters: agreement.parameters,
            me,
            parties: agreement.parties,
            dealer: agreement.dealer,
            nonces: agreement.nonces,
            seed_commitment,
        };
        log.append(&Entry::SessionOpen(open.clone())).map_err(log_error)?;
        let folder = openings_folder(&node.log_dir);
        Ok(Self { log, open, session, seed, openings: Vec::new(), folder })
    }

    /// The entry that opened the session.
    pub(super) const fn opened(&self) -> &SessionOpen {
        &self.open
    }

    /// Commits to a private value, which is given in parts.
    pub(super) fn commit(
        &mut self,
        kind: CommitmentKind,
        name: &str,
        value: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut blind = SecretBytes::zeros();
        let info = format!("subrosa/1/blind/{}", self.openings.len());
        Hkdf::<Sha256>::new(Some(&self.session.0), self.seed.expose())
            .expand(info.as_bytes(), blind.expose_mut())
            .expect("invariant: 32 bytes are within HKDF's limit");
        #[cfg(test)]
        crate::tape::note(&self.session, "blind", blind.expose());
        let entry = Commitment::over(self.session, kind, name, blind.expose(), value)?;
        self.openings.push(Opening { kind: kind.as_str(), name: name.to_owned(), blind: Blind(blind) });
        // What opens a commitment is on disk before the commitment is: neither a crash nor a full disk can leave one in
        // the log that its owner cannot open.
        self.keep_openings()?;
        self.log.append(&Entry::Commitment(entry)).map_err(log_error)
    }

    /// Makes everything written so far durable: called before the first byte that depends on it leaves.
    pub(super) fn flush(&self) -> Result<(), CliError> {
        self.log.flush().map(drop).map_err(log_error)
    }

    /// Closes the session in the log.
    pub(super) fn close(&self, outcome: Outcome, rounds: u64, bytes_sent: u64) -> Result<(), CliError> {
        let close = Close { session: self.session, outcome, rounds, bytes_sent };
        self.log.append(&Entry::Close(close)).map_err(log_error)?;
        self.flush()
    }

    fn keep_openings(&self) -> Result<(), CliError> {
        let session = hex(&self.session.0);
        let file = self.folder.join(format!("{session}.json"));
        let failed = |e: std::io::Error| CliError::file("write", &file, &e);
        create_private_folder(&self.folder).map_err(failed)?;
        // As large as it will be: names are the only part without a fixed length, six bytes a character at most.
        let room: usize = self.openings.iter().map(|o| OPENING_BYTES + 6 * o.name.len()).sum();
        let mut content = Zeroizing::new(Vec::with_capacity(OPENING_BYTES + room));
        serde_json::to_writer_pretty(&mut *content, &OpeningsFile { session, commitments: &self.openings })
            .map_err(|e| failed(e.into()))?;
        write_private(&file, &content).map_err(failed)
    }
}

/// Beside the log's folder, which holds nothing but the log.
pub(super) fn openings_folder(log_dir: &Path) -> PathBuf {
    beside_log(log_dir, "-openings")
}
