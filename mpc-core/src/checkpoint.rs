//! Signed tree heads: C2SP `tlog-checkpoint` inside a C2SP `signed-note`, signed with Ed25519.
//!
//! ```text
//! bank                                            origin: the log's name
//! 42                                              tree size
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    root
//!
//! — bank Az3grlgtzPICa5OS8npVmf1Myq/5IZni…        name, base64(key id ‖ signature)
//! ```
//!
//! Reading is stricter than the note format asks: there are no extension lines, and whatever parses prints back to the
//! very same bytes, so a checkpoint has one spelling. Which signers are acceptable is the caller's business
//! ([`SignedCheckpoint::signatures`] shows all of them); [`SignedCheckpoint::verify`] wants the log's own signature
//! and wants it first.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::merkle::TreeHash;
use crate::text::is_plain;

mod cosignature;
mod growth;
mod offer;
mod proof;

pub use cosignature::{Answer, CosignatureReply, MAX_ANSWER_BYTES};
pub use growth::{Growth, MAX_GROWTH_BYTES, OfferError, Seen};
pub use offer::{MAX_OFFER_BYTES, Offer, OfferedLeaf};
pub use proof::{ConsistencyProof, InclusionProof, MAX_PROOF_BYTES, MAX_PROOF_HASHES, ProofTextError};

/// The longest name of a log or signer, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The most signature lines that a checkpoint may carry.
pub const MAX_SIGNATURES: usize = 16;

/// The longest checkpoint file that is read, in bytes.
pub const MAX_CHECKPOINT_BYTES: usize = 16 * 1024;

const SIGNATURE_LINE_START: &str = "\u{2014} ";

/// What a signature line states; the byte is part of the key id, so one key can serve for both without confusion.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SignatureKind {
    /// The log's own signature over the checkpoint.
    Log,
    /// A peer's time-stamped statement that this is the largest consistent tree it has seen (C2SP `tlog-cosignature`).
    Cosignature,
}

impl SignatureKind {
    /// The type byte assigned by C2SP `signed-note`.
    #[must_use]
    pub const fn type_byte(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Cosignature => 0x04,
        }
    }
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The text does not follow the format.
    #[error("malformed checkpoint: {0}")]
    Malformed(&'static str),
    /// A name that cannot stand in a note.
    #[error(
        "a log name is 1 to {MAX_NAME_BYTES} bytes without spaces, invisible or control characters or '+', got {0:?}"
    )]
    BadName(String),
    /// The first signature is not by the log's key.
    #[error("checkpoint is signed by another key: expected {expected}, got {got}")]
    OtherKey {
        /// Name and key id of the log's key.
        expected: String,
        /// Those of the first signature line.
        got: String,
    },
    /// The signature is wrong.
    #[error("signature of {0} does not verify")]
    BadSignature(String),
}

/// Whether `name` can name a log or a signer: not empty, not too long, no spaces, no plus sign, and nothing that a
/// terminal would obey or not show ([`is_plain`]).
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.chars().all(|c| is_plain(c) && !c.is_whitespace() && c != '+')
}

/// The short key identifier of `signed-note`: SHA-256(name ‖ 0x0A ‖ type ‖ public key), first four bytes.
#[must_use]
pub fn key_id(name: &str, kind: SignatureKind, key: &VerifyingKey) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', kind.type_byte()])
        .chain_update(key.as_bytes())
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// A tree head: which log, how many leaves, which root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: TreeHash,
}

impl Checkpoint {
    /// The head of the log `origin` with `size` leaves.
    ///
    /// # Errors
    /// [`CheckpointError::BadName`] for an origin that cannot stand in a note.
    pub fn new(origin: impl Into<String>, size: u64, root: TreeHash) -> Result<Self, CheckpointError> {
        let origin = origin.into();
        if !is_valid_name(&origin) {
            return Err(CheckpointError::BadName(origin));
        }
        Ok(Self { origin, size, root })
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    #[must_use]
    pub const fn root(&self) -> TreeHash {
        self.root
    }

    /// Signs as the log itself.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedCheckpoint {
        let signature = NoteSignature {
            name: self.origin.clone(),
            key_id: key_id(&self.origin, SignatureKind::Log, &key.verifying_key()),
            bytes: key.sign(self.to_string().as_bytes()).to_bytes().to_vec(),
        };
        SignedCheckpoint { checkpoint: self, signatures: vec![signature] }
    }
}

/// The note text: what is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

/// One signature line of a note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature {
    /// The signer's name.
    pub name: String,
    /// The signer's key identifier.
    pub key_id: [u8; 4],
    /// What the signature kind defines: 64 bytes for the log's own, 72 (time stamp first) for a cosignature.
    pub bytes: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&self.key_id[..], &self.bytes].concat();
        write!(f, "{SIGNATURE_LINE_START}{} {}", self.name, STANDARD.encode(blob))
    }
}

/// A checkpoint with its signature lines, not yet verified when it comes from [`SignedCheckpoint::parse`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    signatures: Vec<NoteSignature>,
}

impl SignedCheckpoint {
    /// Reads the text form. Signatures are *not* verified.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] for anything but the one canonical spelling.
    pub fn parse(text: &[u8]) -> Result<Self, CheckpointError> {
        use CheckpointError::Malformed;
        if text.len() > MAX_CHECKPOINT_BYTES {
            return Err(Malformed("longer than 16 KiB"));
        }
        let text = std::str::from_utf8(text).map_err(|_| Malformed("not UTF-8"))?;
        let (body, tail) = text.split_once("\n\n").ok_or(Malformed("no empty line before the signatures"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().ok_or(Malformed("no origin line"))?;
        let size = lines.next().ok_or(Malformed("no size line"))?;
        let root = lines.next().ok_or(Malformed("no root line"))?;
        if lines.next().is_some() {
            return Err(Malformed("extension lines are not used"));
        }
        let size = size.parse().map_err(|_| Malformed("size is not a number"))?;
        let root = STANDARD.decode(root).map_err(|_| Malformed("root is not base64"))?;
        let root = root.try_into().map_err(|_| Malformed("root is not 32 bytes"))?;
        let checkpoint = Checkpoint::new(origin, size, TreeHash(root))?;

        let tail = tail.strip_suffix('\n').ok_or(Malformed("does not end in a newline"))?;
        let signatures = tail.split('\n').map(parse_signature).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Malformed("more than 16 signatures"));
        }
        let parsed = Self { checkpoint, signatures };
        // "+7", "007" and the like parse as numbers; nothing but the canonical spelling prints back the same.
        if parsed.to_string() != text { Err(Malformed("not in canonical form")) } else { Ok(parsed) }
    }

    /// Checks the log's own signature, which is the first line, under `key`.
    ///
    /// # Errors
    /// [`CheckpointError::OtherKey`] if the line is not by that key, [`CheckpointError::BadSignature`] if it does not
    /// verify.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&Checkpoint, CheckpointError> {
        let origin = self.checkpoint.origin();
        let first = self.signatures.first().ok_or(CheckpointError::Malformed("no signature"))?;
        let expected = key_id(origin, SignatureKind::Log, key);
        if first.name != origin || first.key_id != expected {
            return Err(CheckpointError::OtherKey {
                expected: named_key(origin, expected),
                got: named_key(&first.name, first.key_id),
            });
        }
        let bad = || CheckpointError::BadSignature(origin.to_owned());
        let signature = Signature::from_slice(&first.bytes).map_err(|_| bad())?;
        key.verify_strict(self.checkpoint.to_string().as_bytes(), &signature).map_err(|_| bad())?;
        Ok(&self.checkpoint)
    }

    /// The tree head, whether verified or not.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// All signature lines, the log's own first.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

/// The file content.
impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint)?;
        self.signatures.iter().try_for_each(|s| writeln!(f, "{s}"))
    }
}

/// A signer for people.
fn named_key(name: &str, key_id: [u8; 4]) -> String {
    format!("{name} {:08x}", u32::from_be_bytes(key_id))
}

fn parse_signature(line: &str) -> Result<NoteSignature, CheckpointError> {
    use CheckpointError::Malformed;
    let line = line.strip_prefix(SIGNATURE_LINE_START).ok_or(Malformed("signature line without a dash"))?;
    let (name, blob) = line.split_once(' ').ok_or(Malformed("signature line without a name"))?;
    if !is_valid_name(name) {
        return Err(CheckpointError::BadName(name.to_owned()));
    }
    let blob = STANDARD.decode(blob).map_err(|_| Malformed("signature is not base64"))?;
    let (key_id, bytes) = blob.split_first_chunk().ok_or(Malformed("signature without a key id"))?;
    if bytes.is_empty() {
        return Err(Malformed("empty signature"));
    }
    Ok(NoteSignature { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::empty_root;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn signed() -> SignedCheckpoint {
        Checkpoint::new("bank", 42, empty_root()).unwrap().sign(&key(1))
    }

    /// The example of the C2SP tlog-checkpoint page.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn the_published_example_parses_and_prints_back() {
        let note = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(note.to_string(), EXAMPLE);
        assert_eq!(note.checkpoint().size(), 20_852_163);
        assert_eq!(note.signatures()[0].key_id, [0x03, 0x3d, 0xe0, 0xae]);
        assert_eq!(note.signatures()[0].bytes.len(), 64);
    }

    /// The verifier key of Go's checksum database, `sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8`:
    /// a published pair of public key and key id.
    #[test]
    fn key_id_of_a_published_verifier_key() {
        let encoded = STANDARD.decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").unwrap();
        assert_eq!(encoded[0], SignatureKind::Log.type_byte());
        let key = VerifyingKey::from_bytes(encoded[1..].try_into().unwrap()).unwrap();
        assert_eq!(key_id("sum.golang.org", SignatureKind::Log, &key), [0x03, 0x3d, 0xe0, 0xae]);
    }

    #[test]
    fn signs_and_verifies() {
        let text = signed().to_string();
        let read = SignedCheckpoint::parse(text.as_bytes()).unwrap();
        assert_eq!(read.verify(&key(1).verifying_key()).unwrap().size(), 42);
        assert!(matches!(read.verify(&key(2).verifying_key()), Err(CheckpointError::OtherKey { .. })));
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let text = signed().to_string().into_bytes();
        let public = key(1).verifying_key();
        for i in 0..text.len() {
            for bit in 0..8 {
                let mut bad = text.clone();
                bad[i] ^= 1 << bit;
                let accepted = SignedCheckpoint::parse(&bad).is_ok_and(|c| c.verify(&public).is_ok());
                assert!(!accepted, "flip of bit {bit} of byte {i}");
            }
        }
        for end in 0..text.len() {
            assert!(SignedCheckpoint::parse(&text[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = signed().to_string();
        for (from, to) in [
            ("bank\n", "bank \n"),
            ("\n42\n", "\n042\n"),
            ("\n42\n", "\n+42\n"),
            ("\n42\n", "\n42\r\n"),
            ("\n42\n", "\n-42\n"),
            ("\n42\n", "\n18446744073709551616\n"),
            ("=\n\n", "\n\n"),
            ("=\n\n", "=\nextension\n\n"),
            ("=\n\n", "=\n\n\n"),
            ("\u{2014} ", "- "),
            ("\u{2014} bank ", "\u{2014} bank  "),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text, "{from:?}");
            assert!(SignedCheckpoint::parse(bad.as_bytes()).is_err(), "{from:?} to {to:?}");
        }
        for bad in [text.clone() + "\n", text.clone() + "x", text.trim_end().to_owned(), String::new()] {
            assert!(SignedCheckpoint::parse(bad.as_bytes()).is_err());
        }
        let many = signed().signatures()[0].to_string();
        let many = text + &(many + "\n").repeat(MAX_SIGNATURES);
        assert!(SignedCheckpoint::parse(many.as_bytes()).is_err());
    }

    #[test]
    fn names_that_cannot_stand_in_a_note_are_refused() {
        for bad in ["", "a b", "a+b", "a\u{a0}b", "a\nb", "a\u{7f}", &"x".repeat(256)] {
            assert!(Checkpoint::new(bad, 0, empty_root()).is_err(), "{bad:?}");
        }
        assert!(Checkpoint::new("bank.example/loans-2", 0, empty_root()).is_ok());
        assert!(Checkpoint::new("Zürcher-Bank/東京", 0, empty_root()).is_ok());
    }

    proptest! {
        /// Whatever stands around it, a character that reorders text or shows as nothing is in no name.
        #[test]
        fn a_name_reads_as_it_is_written(
            before in "[a-z]{0,8}",
            surprise in r"[\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}]",
            after in "[a-z]{0,8}",
        ) {
            let name = format!("{before}{surprise}{after}");
            prop_assert!(!is_valid_name(&name), "{name:?}");
            let text = signed().to_string().replace("bank", &name);
            prop_assert!(SignedCheckpoint::parse(text.as_bytes()).is_err(), "{name:?}");
        }

        #[test]
        fn a_valid_name_is_all_plain(name in ".{1,20}") {
            prop_assert!(!is_valid_name(&name) || name.chars().all(is_plain), "{name:?}");
        }
    }
}
