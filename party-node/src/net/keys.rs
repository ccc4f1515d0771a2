//! Names and keys of a session: digests that all parties compute alike, and secrets that two ends of one connection
//! share.
//!
//! Every pairwise key is HKDF-SHA256 with the session id as salt, the TLS exporter of the connection as key material
//! and a label of its own: nobody but the two ends of that connection knows it, and since the session id holds fresh
//! entropy of every party, no two sessions share one. The keys `input` and `zero` seed pseudorandom shares, `align`
//! keys the comparison of row ids, `log` the digests in the transcript; an auditor is shown `log` keys alone, which
//! reveal nothing about the others.

use hkdf::Hkdf;
use mpc_core::hex::hex;
use mpc_core::party::PartyId;
pub use mpc_core::secret::SecretBytes;
use mpc_core::tag::SessionId;
use sha2::{Digest, Sha256};

use super::error::NetError;
use crate::identity::PublicKey;

/// The version of everything that nodes say to each other.
pub const PROTOCOL_VERSION: u16 = 3;

/// What one party shares with one other party.
pub struct PeerKeys {
    /// Seeds the shares of inputs.
    pub input: SecretBytes,
    /// Seeds sharings of zero.
    pub zero: SecretBytes,
    /// Keys the digests in the transcript log.
    pub log: SecretBytes,
}

/// Key material that the two ends of one connection share, before it is bound to a session.
pub(crate) struct Exported(SecretBytes);

impl Exported {
    pub(crate) fn from_connection(connection: &quinn::Connection) -> Result<Self, NetError> {
        let mut secret = SecretBytes::zeros();
        connection
            .export_keying_material(secret.expose_mut(), b"EXPORTER-subrosa-1", b"")
            .map_err(|_| NetError::Setup("the TLS exporter gave no key".into()))?;
        Ok(Self(secret))
    }

    pub(crate) fn derive(&self, session: &SessionId, label: &str) -> SecretBytes {
        let mut out = SecretBytes::zeros();
        let info = ["subrosa/1/", label].concat();
        Hkdf::<Sha256>::new(Some(&session.0), self.0.expose())
            .expand(info.as_bytes(), out.expose_mut())
            .expect("invariant: 32 bytes are within HKDF's limit");
        #[cfg(test)]
        crate::tape::note(session, label, out.expose());
        out
    }

    pub(crate) fn peer_keys(&self, session: &SessionId) -> PeerKeys {
        PeerKeys {
            input: self.derive(session, "input"),
            zero: self.derive(session, "zero"),
            log: self.derive(session, "log"),
        }
    }

    /// The key under which both ends hash their row ids.
    pub(crate) fn rows_key(&self, session: &SessionId) -> SecretBytes {
        self.derive(session, "align")
    }

    /// The key of `sender`'s answer about row ids: one per direction, so that it cannot be sent back to its sender.
    pub(crate) fn align_key(&self, session: &SessionId, sender: PartyId) -> SecretBytes {
        self.derive(session, &format!("align/{}", sender.index()))
    }
}

/// A fresh nonce from the operating system.
pub(crate) fn nonce() -> Result<[u8; 32], NetError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)
        .map_err(|e| NetError::Setup(format!("no randomness from the system: {e}")))?;
    Ok(nonce)
}

/// SHA-256 over the parties' keys in order and the dealer's, if there is one: who takes part.
#[must_use]
pub fn roster_digest(parties: &[PublicKey], dealer: Option<&PublicKey>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"subrosa/roster/1");
    hash.update([parties.len() as u8, u8::from(dealer.is_some())]);
    parties.iter().chain(dealer).for_each(|key| hash.update(key.as_bytes()));
    hash.finalize().into()
}

/// A digest's beginning in hexadecimal, for messages.
pub(crate) fn short(digest: &[u8; 32]) -> String {
    hex(&digest[..8]) + "…"
}
