//! Cosignatures (C2SP [tlog-cosignature](https://c2sp.org/tlog-cosignature), version 1, Ed25519, type 0x04).
//!
//! A cosignature says: at this time, this was the largest tree of this log that the signer knew, and it only adds to
//! every tree the signer cosigned before. It is made over the time and the note text, so it can be verified without
//! the log's own signature; the type byte in the key id keeps it apart from that one. The signer's *name* is not
//! signed, so a verifier takes names from a roster and never from the line alone.
//!
//! ```
//! use ed25519_dalek::SigningKey;
//! use mpc_core::checkpoint::Checkpoint;
//! use mpc_core::merkle::empty_root;
//!
//! let (log, peer) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
//! let head = Checkpoint::new("bank", 0, empty_root())?.sign(&log);
//! let line = head.checkpoint().cosign("bureau", &peer, 1_700_000_000)?;
//! let time_s = line.verify_cosignature(head.checkpoint(), "bureau", &peer.verifying_key())?;
//! assert_eq!(time_s, 1_700_000_000);
//! # Ok::<(), mpc_core::checkpoint::CheckpointError>(())
//! ```

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::{
    Checkpoint, CheckpointError, MAX_SIGNATURES, NoteSignature, SignatureKind, SignedCheckpoint,
    is_valid_name, key_id, named_key, parse_signature,
};
use crate::wire::{Decoder, Encoder, WireError};

/// The latest time that a cosignature may state, in seconds: the format keeps the top bit free.
const MAX_TIME_S: u64 = (1 << 63) - 1;

fn message(checkpoint: &Checkpoint, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{checkpoint}")
}

impl Checkpoint {
    /// Cosigns as `name`, at `time_s` seconds since 1970. The caller has made sure that this tree only adds to every
    /// tree of this log that the key cosigned before, and remembers it.
    ///
    /// # Errors
    /// [`CheckpointError::BadName`]; [`CheckpointError::Malformed`] for a time that the format cannot express.
    pub fn cosign(
        &self,
        name: &str,
        key: &SigningKey,
        time_s: u64,
    ) -> Result<NoteSignature, CheckpointError> {
        if !is_valid_name(name) {
            return Err(CheckpointError::BadName(name.to_owned()));
        }
        if !(1..=MAX_TIME_S).contains(&time_s) {
            return Err(CheckpointError::Malformed("time of a cosignature"));
        }
        let signature = key.sign(message(self, time_s).as_bytes()).to_bytes();
        Ok(NoteSignature {
            name: name.to_owned(),
            key_id: key_id(name, SignatureKind::Cosignature, &key.verifying_key()),
            bytes: [&time_s.to_be_bytes()[..], &signature].concat(),
        })
    }
}

impl NoteSignature {
    /// Checks that this line is `name`'s cosignature of `checkpoint` under `key`; gives the time it states, in seconds
    /// since 1970. Whether to believe that time is the caller's business.
    ///
    /// # Errors
    /// [`CheckpointError::OtherKey`] if the line is by another name, key or of another kind,
    /// [`CheckpointError::BadSignature`] if it does not verify.
    pub fn verify_cosignature(
        &self,
        checkpoint: &Checkpoint,
        name: &str,
        key: &VerifyingKey,
    ) -> Result<u64, CheckpointError> {
        let expected = key_id(name, SignatureKind::Cosignature, key);
        if self.name != name || self.key_id != expected {
            return Err(CheckpointError::OtherKey {
                expected: named_key(name, expected),
                got: named_key(&self.name, self.key_id),
            });
        }
        let bad = || CheckpointError::BadSignature(name.to_owned());
        let (time, signature) = self.bytes.split_first_chunk().ok_or_else(bad)?;
        let time_s = u64::from_be_bytes(*time);
        let signature = Signature::from_slice(signature).map_err(|_| bad())?;
        if !(1..=MAX_TIME_S).contains(&time_s) {
            return Err(bad());
        }
        key.verify_strict(message(checkpoint, time_s).as_bytes(), &signature).map_err(|_| bad())?;
        Ok(time_s)
    }

    /// Reads one signature line, without its newline. What is read prints back to the same text.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] or [`CheckpointError::BadName`].
    pub fn parse(line: &str) -> Result<Self, CheckpointError> {
        let read = parse_signature(line)?;
        if read.to_string() == line {
            Ok(read)
        } else {
            Err(CheckpointError::Malformed("not in canonical form"))
        }
    }
}

/// A cosignature as it travels: without a name, because the log's owner stores it under the name by which its own
/// roster calls the signer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CosignatureReply {
    /// When it was made, in seconds since 1970.
    pub time_s: u64,
    /// The Ed25519 signature.
    pub signature: [u8; 64],
}

const REPLY_DOMAIN: &str = "subrosa/cosignature/v1";

impl CosignatureReply {
    /// Takes a line apart; `None` if it is not a cosignature.
    #[must_use]
    pub fn of(line: &NoteSignature) -> Option<Self> {
        let (time, signature) = line.bytes.split_first_chunk()?;
        Some(Self { time_s: u64::from_be_bytes(*time), signature: signature.try_into().ok()? })
    }

    /// The line for a checkpoint file, under the owner's name for the signer.
    #[must_use]
    pub fn line(&self, name: &str, key: &VerifyingKey) -> NoteSignature {
        NoteSignature {
            name: name.to_owned(),
            key_id: key_id(name, SignatureKind::Cosignature, key),
            bytes: [&self.time_s.to_be_bytes()[..], &self.signature].concat(),
        }
    }

    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(REPLY_DOMAIN);
        e.u64(self.time_s);
        e.array(&self.signature);
        e.finish()
    }

    /// Reads a message; the signature is not verified.
    ///
    /// # Errors
    /// A [`WireError`] for anything but the one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut d = Decoder::new(bytes);
        if d.str(REPLY_DOMAIN.len())? != REPLY_DOMAIN {
            return Err(WireError::Invalid("cosignature: other domain or version"));
        }
        let reply = Self { time_s: d.u64()?, signature: d.array()? };
        d.finish()?;
        Ok(reply)
    }
}

/// How a peer answers what it was shown of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It cosigned the offered head.
    Cosigned(CosignatureReply),
    /// It has nothing against the log as it grew.
    Accepted,
    /// It has nothing against any member's log; the digest is of all the heads that it was shown.
    Agreed([u8; 32]),
    /// It has, and says what. The text is the peer's and not safe to print.
    Refused(String),
}

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER_BYTES: usize = 1024;
const MAX_REASON_BYTES: usize = 600;
const ACCEPTANCE_DOMAIN: &str = "subrosa/accepted/v1";
const AGREEMENT_DOMAIN: &str = "subrosa/agreed/v1";
const REFUSAL_DOMAIN: &str = "subrosa/refused/v1";

impl Answer {
    /// The message. A reason is cut to 600 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        match self {
            Self::Cosigned(reply) => reply.encode(),
            Self::Accepted => {
                e.str(ACCEPTANCE_DOMAIN);
                e.finish()
            }
            Self::Agreed(heads) => {
                e.str(AGREEMENT_DOMAIN);
                e.array(heads);
                e.finish()
            }
            Self::Refused(reason) => {
                e.str(REFUSAL_DOMAIN);
                let end =
                    (0..=reason.len().min(MAX_REASON_BYTES)).rev().find(|&i| reason.is_char_boundary(i));
                e.str(&reason[..end.unwrap_or(0)]);
                e.finish()
            }
        }
    }

    /// Reads a message; no signature is verified.
    ///
    /// # Errors
    /// A [`WireError`] for anything but the one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut d = Decoder::new(bytes);
        let answer = match d.str(MAX_ANSWER_BYTES)? {
            ACCEPTANCE_DOMAIN => Self::Accepted,
            AGREEMENT_DOMAIN => Self::Agreed(d.array()?),
            REFUSAL_DOMAIN => Self::Refused(d.str(MAX_REASON_BYTES)?.to_owned()),
            _ => return CosignatureReply::decode(bytes).map(Self::Cosigned),
        };
        d.finish()?;
        Ok(answer)
    }
}

impl SignedCheckpoint {
    /// Adds a signature line after those there are.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] if there are already as many as a reader takes.
    pub fn with_signature(mut self, line: NoteSignature) -> Result<Self, CheckpointError> {
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(CheckpointError::Malformed("more than 16 signatures"));
        }
        self.signatures.push(line);
        Ok(self)
    }

    /// The signature lines after the log's own.
    #[must_use]
    pub fn cosignatures(&self) -> &[NoteSignature] {
        self.signatures.get(1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{TreeHash, empty_root};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn head() -> Checkpoint {
        Checkpoint::new("bank", 42, TreeHash([9; 32])).unwrap()
    }

    #[test]
    fn a_cosignature_fits_its_checkpoint_name_key_and_time_alone() {
        let line = head().cosign("bureau", &key(2), 7).unwrap();
        let public = key(2).verifying_key();
        assert_eq!(line.verify_cosignature(&head(), "bureau", &public), Ok(7));
        for other in [
            Checkpoint::new("bank", 43, TreeHash([9; 32])).unwrap(),
            Checkpoint::new("bank", 42, empty_root()).unwrap(),
            Checkpoint::new("bang", 42, TreeHash([9; 32])).unwrap(),
        ] {
            assert!(line.verify_cosignature(&other, "bureau", &public).is_err(), "{other}");
        }
        assert!(line.verify_cosignature(&head(), "telecom", &public).is_err());
        assert!(line.verify_cosignature(&head(), "bureau", &key(3).verifying_key()).is_err());
        let mut later = line;
        later.bytes[7] ^= 1;
        assert!(later.verify_cosignature(&head(), "bureau", &public).is_err());
    }

    /// What is signed and stored, spelled out from the specification.
    #[test]
    fn the_signed_message_and_the_line_are_those_of_the_specification() {
        let line = head().cosign("bureau", &key(2), 1_679_315_147).unwrap();
        let root = head().root().to_string();
        let message = format!("cosignature/v1\ntime 1679315147\nbank\n42\n{root}\n");
        assert_eq!(line.bytes[..8], [0, 0, 0, 0, 0x64, 0x18, 0x50, 0xcb]);
        let signature = Signature::from_slice(&line.bytes[8..]).unwrap();
        key(2).verifying_key().verify_strict(message.as_bytes(), &signature).unwrap();
        assert_eq!(line.key_id, key_id("bureau", SignatureKind::Cosignature, &key(2).verifying_key()));
    }

    /// The same key signs a log of its own and cosigns another's; neither passes for the other.
    #[test]
    fn kinds_of_signature_are_told_apart() {
        let own = head().sign(&key(1));
        let public = key(1).verifying_key();
        assert!(own.signatures()[0].verify_cosignature(&head(), "bank", &public).is_err());
        let line = head().cosign("bank", &key(1), 7).unwrap();
        let text = format!("{}\n{line}\n", head());
        assert!(SignedCheckpoint::parse(text.as_bytes()).unwrap().verify(&public).is_err());
    }

    #[test]
    fn any_flipped_bit_is_refused_and_lines_come_back() {
        let line = head().cosign("bureau", &key(2), 7).unwrap();
        let public = key(2).verifying_key();
        let note = head().sign(&key(1)).with_signature(line.clone()).unwrap();
        let read = SignedCheckpoint::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(read, note);
        assert_eq!(read.cosignatures(), std::slice::from_ref(&line));
        assert_eq!(NoteSignature::parse(&line.to_string()).unwrap(), line);
        let text = line.to_string().into_bytes();
        for i in 0..text.len() {
            for bit in 0..8 {
                let mut bad = text.clone();
                bad[i] ^= 1 << bit;
                let accepted = std::str::from_utf8(&bad).is_ok_and(|t| {
                    NoteSignature::parse(t)
                        .is_ok_and(|l| l.verify_cosignature(&head(), "bureau", &public).is_ok())
                });
                assert!(!accepted, "flip of bit {bit} of byte {i}");
            }
        }
    }

    #[test]
    fn a_reply_becomes_a_line_under_the_owners_name_and_hostile_bytes_do_not_hurt() {
        let line = head().cosign("bureau", &key(2), 7).unwrap();
        let bytes = CosignatureReply::of(&line).unwrap().encode();
        let reply = CosignatureReply::decode(&bytes).unwrap();
        let public = key(2).verifying_key();
        assert_eq!(reply.line("bureau", &public), line);
        assert_eq!(reply.line("agency", &public).verify_cosignature(&head(), "agency", &public), Ok(7));
        assert!(CosignatureReply::of(&head().sign(&key(1)).signatures()[0]).is_none());
        for end in 0..bytes.len() {
            assert!(CosignatureReply::decode(&bytes[..end]).is_err());
        }
        assert!(CosignatureReply::decode(&[&bytes[..], &[0]].concat()).is_err());
        for i in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[i / 8] ^= 1 << (i % 8);
            let accepted = CosignatureReply::decode(&bad).is_ok_and(|r| {
                r.line("bureau", &public).verify_cosignature(&head(), "bureau", &public).is_ok()
            });
            assert!(!accepted, "bit {i}");
        }
    }

    #[test]
    fn an_answer_is_a_cosignature_or_a_reason() {
        let line = head().cosign("bureau", &key(2), 7).unwrap();
        let cosigned = Answer::Cosigned(CosignatureReply::of(&line).unwrap());
        let refused = Answer::Refused("log was forked".into());
        for answer in [cosigned, Answer::Accepted, Answer::Agreed([7; 32]), refused] {
            let bytes = answer.encode();
            assert_eq!(Answer::decode(&bytes), Ok(answer));
            assert!((0..bytes.len()).all(|end| Answer::decode(&bytes[..end]).is_err()));
            assert!(Answer::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        let long = Answer::Refused("é".repeat(1000)).encode();
        assert!(long.len() <= MAX_ANSWER_BYTES);
        assert_eq!(Answer::decode(&long), Ok(Answer::Refused("é".repeat(300))));
    }

    #[test]
    fn impossible_names_times_and_counts_are_refused() {
        assert!(head().cosign("two words", &key(2), 7).is_err());
        assert!(head().cosign("bureau", &key(2), 0).is_err());
        assert!(head().cosign("bureau", &key(2), 1 << 63).is_err());
        let line = head().cosign("bureau", &key(2), MAX_TIME_S).unwrap();
        let mut note = head().sign(&key(1));
        for _ in 1..MAX_SIGNATURES {
            note = note.with_signature(line.clone()).unwrap();
        }
        assert!(note.with_signature(line).is_err());
    }
}
