//! How a session gets its name: nodes compute it when they meet, and whoever holds a party's log computes it again.

use sha2::{Digest as _, Sha256};

use super::entry::SessionOpen;
use crate::channel::Peer;
use crate::tag::SessionId;

/// Everything that a session's name binds. A party adds a fresh nonce, so no party can bring an old name about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionTerms {
    /// Version of the wire protocol.
    pub protocol_version: u32,
    /// Digest of the program.
    pub program: [u8; 32],
    /// Digest of the session's parameters.
    pub parameters: [u8; 32],
    /// The parties' Ed25519 keys, in roster order.
    pub parties: Vec<[u8; 32]>,
    /// The dealer's key, if there is one.
    pub dealer: Option<[u8; 32]>,
    /// Every party's nonce, in roster order. They are public once the session is over.
    pub nonces: Vec<[u8; 32]>,
}

impl SessionTerms {
    /// The session's name: SHA-256 over a domain and all terms. Counts precede lists, so no two terms hash alike.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let mut hash = Sha256::new();
        hash.update(b"subrosa/session/2");
        hash.update(self.protocol_version.to_le_bytes());
        hash.update(self.program);
        hash.update(self.parameters);
        hash.update((self.parties.len() as u64).to_le_bytes());
        self.parties.iter().for_each(|key| hash.update(key));
        hash.update([u8::from(self.dealer.is_some())]);
        self.dealer.iter().for_each(|key| hash.update(key));
        hash.update((self.nonces.len() as u64).to_le_bytes());
        self.nonces.iter().for_each(|nonce| hash.update(nonce));
        SessionId(hash.finalize().into())
    }
}

impl SessionOpen {
    /// The name that the session must have by what this entry says of it; `None` in a dealer's log, because the dealer
    /// is not shown the nonces.
    #[must_use]
    pub fn derived_session(&self) -> Option<SessionId> {
        if self.me == Peer::Dealer {
            return None;
        }
        let terms = SessionTerms {
            protocol_version: self.protocol_version,
            program: self.program,
            parameters: self.parameters,
            parties: self.parties.iter().map(|m| m.key).collect(),
            dealer: self.dealer.as_ref().map(|m| m.key),
            nonces: self.nonces.clone(),
        };
        Some(terms.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> SessionTerms {
        SessionTerms {
            protocol_version: 1,
            program: [1; 32],
            parameters: [2; 32],
            parties: vec![[3; 32], [4; 32]],
            dealer: Some([5; 32]),
            nonces: vec![[6; 32], [7; 32]],
        }
    }

    #[test]
    fn every_term_changes_the_name() {
        let changes: [fn(&mut SessionTerms); 9] = [
            |t| t.protocol_version = 2,
            |t| t.program[31] ^= 1,
            |t| t.parameters[0] ^= 1,
            |t| t.parties[1][0] ^= 1,
            |t| t.parties.swap(0, 1),
            |t| t.dealer = None,
            |t| t.dealer = Some([6; 32]),
            |t| t.nonces[1][31] ^= 1,
            // The dealer's key for a third party's.
            |t| t.parties.extend(t.dealer.take()),
        ];
        let mut names = vec![terms().id()];
        for change in changes {
            let mut other = terms();
            change(&mut other);
            assert!(!names.contains(&other.id()), "{other:?}");
            names.push(other.id());
        }
        assert_eq!(terms().id(), names[0]);
    }

    /// The bytes as the format page spells them out.
    #[test]
    fn the_name_is_the_documented_hash() {
        let mut bytes = b"subrosa/session/2\x01\0\0\0".to_vec();
        bytes.extend([[1; 32], [2; 32]].concat());
        bytes.extend(2u64.to_le_bytes());
        bytes.extend([[3; 32], [4; 32]].concat());
        bytes.push(1);
        bytes.extend([5; 32]);
        bytes.extend(2u64.to_le_bytes());
        bytes.extend([[6; 32], [7; 32]].concat());
        assert_eq!(terms().id(), SessionId(Sha256::digest(&bytes).into()));
    }
}
