//! Proofs as texts that carry all a verifier needs but the key: what is claimed, the hashes, and the signed checkpoint.
//!
//! An inclusion proof is a C2SP [tlog-proof](https://c2sp.org/tlog-proof) with the entry as its extra data, so that the
//! text stands for itself; a consistency proof has the form in which C2SP [tlog-witness](https://c2sp.org/tlog-witness) hands one to a witness. Both are read in their
//! canonical spelling only. The signature lines after the log's own are kept as they are: who may cosign is for the
//! reader of the proof to know.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;

use super::{Checkpoint, CheckpointError, MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use crate::merkle::{ProofError, TreeHash, leaf_hash, verify_consistency, verify_inclusion};
use crate::transcript::MAX_ENTRY_BYTES;
use ProofTextError::Malformed;

/// No proof between trees of 2^64 leaves has more hashes (RFC 9162 §2.1.4: one more than the height).
pub const MAX_PROOF_HASHES: usize = 65;

/// The longest proof text that is read, in bytes.
pub const MAX_PROOF_BYTES: usize =
    128 + MAX_PROOF_HASHES * 45 + MAX_ENTRY_BYTES.div_ceil(3) * 4 + MAX_CHECKPOINT_BYTES;

const INCLUSION_HEADER: &str = "c2sp.org/tlog-proof@v1\nextra ";

/// Why a proof text does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofTextError {
    /// The text does not follow the format.
    #[error("malformed proof: {0}")]
    Malformed(&'static str),
    /// The checkpoint in it is not accepted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead where they should.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The older checkpoint is of another log or size than the proof is about.
    #[error("the proof is about {expected}, the older checkpoint is of {got}")]
    OtherTree {
        /// Log and size in the proof.
        expected: String,
        /// Those of the checkpoint.
        got: String,
    },
}

/// Shows that an entry is in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InclusionProof {
    /// The entry.
    pub entry: Vec<u8>,
    /// The entry's number, from 0.
    pub index: u64,
    /// Siblings on the way to the root, lowest first.
    pub hashes: Vec<TreeHash>,
    /// The log's head.
    pub head: SignedCheckpoint,
}

impl InclusionProof {
    /// Checks that [`Self::entry`] is entry [`Self::index`] of the log that `key` signs; gives the log's head.
    ///
    /// # Errors
    /// A [`ProofTextError`]: another signer, or hashes that lead elsewhere.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&Checkpoint, ProofTextError> {
        let head = self.head.verify(key)?;
        verify_inclusion(leaf_hash(&self.entry), self.index, head.size(), &self.hashes, head.root())?;
        Ok(head)
    }

    /// Reads the text form; nothing is verified.
    ///
    /// # Errors
    /// [`ProofTextError::Malformed`] or the checkpoint's [`CheckpointError`].
    pub fn parse(text: &[u8]) -> Result<Self, ProofTextError> {
        let rest = checked(text)?.strip_prefix(INCLUSION_HEADER).ok_or(Malformed("another first line"))?;
        let (entry, rest) = rest.split_once('\n').ok_or(Malformed("no line with the position"))?;
        let entry = STANDARD.decode(entry).map_err(|_| Malformed("entry is not base64"))?;
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(Malformed("entry is longer than any"));
        }
        let (index, hashes, head) = parse(rest, "index ")?;
        canonical(Self { entry, index, hashes, head }, text)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INCLUSION_HEADER}{}\nindex {}", STANDARD.encode(&self.entry), self.index)?;
        self.hashes.iter().try_for_each(|h| writeln!(f, "{h}"))?;
        write!(f, "\n{}", self.head)
    }
}

/// Shows that a log only added to an older state of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsistencyProof {
    /// Number of entries in the older state.
    pub old_size: u64,
    /// The hashes of RFC 6962 §2.1.2.
    pub hashes: Vec<TreeHash>,
    /// The log's newer head.
    pub head: SignedCheckpoint,
}

impl ConsistencyProof {
    /// Checks that the tree of `old` is the beginning of the tree that `key` signed; gives the newer head. The signature
    /// of `old` is the caller's business.
    ///
    /// # Errors
    /// A [`ProofTextError`]: another signer, another log or size, or hashes that lead elsewhere.
    pub fn verify(&self, old: &Checkpoint, key: &VerifyingKey) -> Result<&Checkpoint, ProofTextError> {
        let head = self.head.verify(key)?;
        if (old.origin(), old.size()) != (head.origin(), self.old_size) {
            return Err(ProofTextError::OtherTree {
                expected: format!("{} at {} entries", head.origin(), self.old_size),
                got: format!("{} at {} entries", old.origin(), old.size()),
            });
        }
        verify_consistency(old.size(), old.root(), head.size(), head.root(), &self.hashes)?;
        Ok(head)
    }

    /// Reads the text form; nothing is verified.
    ///
    /// # Errors
    /// [`ProofTextError::Malformed`] or the checkpoint's [`CheckpointError`].
    pub fn parse(text: &[u8]) -> Result<Self, ProofTextError> {
        let (old_size, hashes, head) = parse(checked(text)?, "old ")?;
        canonical(Self { old_size, hashes, head }, text)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.hashes.iter().try_for_each(|h| writeln!(f, "{h}"))?;
        write!(f, "\n{}", self.head)
    }
}

type Parts = (u64, Vec<TreeHash>, SignedCheckpoint);

fn checked(text: &[u8]) -> Result<&str, ProofTextError> {
    if text.len() > MAX_PROOF_BYTES {
        return Err(Malformed("too long"));
    }
    std::str::from_utf8(text).map_err(|_| Malformed("not UTF-8"))
}

fn parse(text: &str, label: &str) -> Result<Parts, ProofTextError> {
    let (body, checkpoint) =
        text.split_once("\n\n").ok_or(Malformed("no empty line before the checkpoint"))?;
    let mut lines = body.split('\n');
    let number = lines.next().and_then(|line| line.strip_prefix(label)?.parse().ok());
    let number = number.ok_or(Malformed("no line with the position"))?;
    let hashes = lines.map(|line| {
        let hash = STANDARD.decode(line).map_err(|_| Malformed("hash is not base64"))?;
        hash.try_into().map(TreeHash).map_err(|_| Malformed("hash is not 32 bytes"))
    });
    let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
    if hashes.len() > MAX_PROOF_HASHES {
        return Err(Malformed("more hashes than any tree has levels"));
    }
    Ok((number, hashes, SignedCheckpoint::parse(checkpoint.as_bytes())?))
}

fn canonical<T: fmt::Display>(proof: T, text: &[u8]) -> Result<T, ProofTextError> {
    if proof.to_string().as_bytes() == text { Ok(proof) } else { Err(Malformed("not canonical")) }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::merkle::{consistency_proof, inclusion_proof, root};

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn entry(i: usize) -> Vec<u8> {
        format!("entry {i}").into_bytes()
    }

    fn head(size: usize) -> SignedCheckpoint {
        Checkpoint::new("bank", size as u64, root(&leaves(size))).unwrap().sign(&key())
    }

    fn leaves(size: usize) -> Vec<TreeHash> {
        (0..size).map(|i| leaf_hash(&entry(i))).collect()
    }

    #[test]
    fn inclusion_texts_come_back_and_prove_one_entry() {
        let public = key().verifying_key();
        for (size, index) in [(1, 0), (2, 1), (11, 10), (11, 3)] {
            let hashes = inclusion_proof(&leaves(size), index).unwrap();
            let proof = InclusionProof { entry: entry(index), index: index as u64, hashes, head: head(size) };
            let text = proof.to_string();
            assert!(
                text.starts_with("c2sp.org/tlog-proof@v1\nextra ") && text.contains("\n\nbank\n"),
                "{text}"
            );
            let read = InclusionProof::parse(text.as_bytes()).unwrap();
            assert_eq!(read, proof);
            assert_eq!(read.verify(&public).unwrap().size(), size as u64);
            let another = InclusionProof { entry: b"another".to_vec(), ..read.clone() };
            assert!(another.verify(&public).is_err());
            assert!(read.verify(&SigningKey::from_bytes(&[2; 32]).verifying_key()).is_err());
        }
    }

    #[test]
    fn consistency_texts_come_back_and_prove_one_older_state() {
        let public = key().verifying_key();
        for (old, new) in [(0, 5), (1, 2), (5, 5), (6, 11), (8, 11)] {
            let hashes = consistency_proof(&leaves(new), old).unwrap();
            let proof = ConsistencyProof { old_size: old as u64, hashes, head: head(new) };
            let read = ConsistencyProof::parse(proof.to_string().as_bytes()).unwrap();
            assert_eq!(read, proof);
            read.verify(head(old).checkpoint(), &public).unwrap();
            assert!(read.verify(head(old + 1).checkpoint(), &public).is_err());
            let forked = Checkpoint::new("bank", old as u64, TreeHash([7; 32])).unwrap();
            assert!(read.verify(&forked, &public).is_err());
            let other = Checkpoint::new("bang", old as u64, head(old).checkpoint().root()).unwrap();
            assert!(matches!(read.verify(&other, &public), Err(ProofTextError::OtherTree { .. })));
        }
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let public = key().verifying_key();
        let hashes = inclusion_proof(&leaves(11), 3).unwrap();
        let inclusion = InclusionProof { entry: entry(3), index: 3, hashes, head: head(11) }.to_string();
        let hashes = consistency_proof(&leaves(11), 6).unwrap();
        let consistency = ConsistencyProof { old_size: 6, hashes, head: head(11) }.to_string();
        let accepts_inclusion = |t: &[u8]| InclusionProof::parse(t).is_ok_and(|p| p.verify(&public).is_ok());
        let accepts_consistency = |t: &[u8]| {
            ConsistencyProof::parse(t).is_ok_and(|p| p.verify(head(6).checkpoint(), &public).is_ok())
        };
        assert!(accepts_inclusion(inclusion.as_bytes()) && accepts_consistency(consistency.as_bytes()));
        for i in 0..inclusion.len().max(consistency.len()) * 8 {
            let flipped = |text: &str| {
                let mut bad = text.as_bytes().to_vec();
                let at = (i / 8) % bad.len();
                bad[at] ^= 1 << (i % 8);
                bad
            };
            assert!(!accepts_inclusion(&flipped(&inclusion)), "bit {i}");
            assert!(!accepts_consistency(&flipped(&consistency)), "bit {i}");
        }
    }

    #[test]
    fn other_spellings_and_floods_are_refused() {
        let hashes = inclusion_proof(&leaves(11), 3).unwrap();
        let text = InclusionProof { entry: entry(3), index: 3, hashes, head: head(11) }.to_string();
        for (from, to) in [
            ("index 3", "index 03"),
            ("index 3", "index +3"),
            ("index 3\n", "extra AA==\nindex 3\n"),
            ("extra ", ""),
            ("extra ZW", "extra Z W"),
            ("@v1\n", "@v2\n"),
            ("\n\nbank", "\n\n\nbank"),
            ("\nindex", "\r\nindex"),
        ] {
            let bad = text.replacen(from, to, 1);
            assert!(bad != text && InclusionProof::parse(bad.as_bytes()).is_err(), "{from:?} to {to:?}");
        }
        let flood = text.replacen(
            "index 3\n",
            &("index 3\n".to_owned() + &format!("{}\n", TreeHash([0; 32])).repeat(66)),
            1,
        );
        assert!(InclusionProof::parse(flood.as_bytes()).is_err());
        assert!(InclusionProof::parse(&[0xff; 30]).is_err() && ConsistencyProof::parse(b"").is_err());
    }
}
