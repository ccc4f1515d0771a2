//! `subrosa log prove` makes a proof about a log; `subrosa log check-proof` checks one with the log's key alone.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mpc_core::checkpoint::{
    Checkpoint, ConsistencyProof, InclusionProof, MAX_CHECKPOINT_BYTES, MAX_PROOF_BYTES, ProofTextError,
    SignedCheckpoint,
};
use mpc_core::transcript::Entry;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::identity::{IdentityError, PublicKey};
use crate::log::{LogError, prove_consistency, prove_inclusion};
use crate::output::Format;

/// What is to be proved.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Claim {
    /// Prove that entry N (from 0) is in the log
    #[arg(long, value_name = "N")]
    entry: Option<u64>,
    /// Prove that the log only grew since it had this many entries, or since this checkpoint file
    #[arg(long, value_name = "SIZE|CHECKPOINT")]
    since: Option<String>,
}

/// A proof and what it is about.
#[derive(Serialize)]
struct Proved {
    kind: &'static str,
    party: String,
    size: u64,
    root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_size: Option<u64>,
    witnesses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

impl Proved {
    fn inclusion(proof: &InclusionProof) -> Result<Self, CliError> {
        let entry = Entry::decode(&proof.entry).map_err(|e| {
            CliError::outcome("proof_refused", format_args!("the proved entry is none of a transcript: {e}"))
        })?;
        let (index, entry) = (Some(proof.index), Some(entry.to_string()));
        Ok(Self { index, entry, ..Self::of("inclusion", proof.head.checkpoint()) })
    }

    fn consistency(proof: &ConsistencyProof) -> Self {
        Self { old_size: Some(proof.old_size), ..Self::of("consistency", proof.head.checkpoint()) }
    }

    fn of(kind: &'static str, head: &Checkpoint) -> Self {
        let (party, size, root) = (head.origin().to_owned(), head.size(), head.root().to_string());
        let (index, entry, old_size, witnesses, proof) = (None, None, None, Vec::new(), None);
        Self { kind, party, size, root, index, entry, old_size, witnesses, proof }
    }

    fn render(&self) -> String {
        let Self { party, size, root, .. } = self;
        let claim = match (&self.index, &self.entry, &self.old_size) {
            (Some(index), Some(entry), _) => {
                format!("entry {index} of {party}'s log of {size} entries, root {root}\n  {entry}")
            }
            (_, _, Some(old)) => {
                format!(
                    "{party}'s log of {size} entries, root {root}, only adds to what it was at {old} entries"
                )
            }
            _ => format!("{party}'s log of {size} entries, root {root}"),
        };
        let witnesses = match self.witnesses.as_slice() {
            [] => "nobody whose key was given".to_owned(),
            names => names.join(", "),
        };
        format!("ok: {claim}\n  cosigned by {witnesses}\n")
    }
}

pub(super) fn prove(dir: &Path, claim: &Claim, format: Format) -> Result<(), CliError> {
    let failed = |e: LogError| {
        let error = CliError::outcome("log_unreadable", &e);
        match e {
            LogError::OutOfRange { size, .. } => {
                let error = CliError::setup("out_of_range", e);
                match (claim.entry, size.checked_sub(1)) {
                    (Some(_), Some(last)) => error.with_hint(format_args!("expected --entry 0 to {last}")),
                    (None, Some(_)) => error.with_hint(format_args!("expected --since 1 to {size}")),
                    (_, None) => error.with_hint("the log is empty"),
                }
            }
            _ => error.with_hint("`subrosa log verify` names everything that is wrong with it"),
        }
    };
    let (proved, text) = match (&claim.entry, &claim.since) {
        (Some(index), _) => {
            let proof = prove_inclusion(dir, *index).map_err(failed)?;
            (Proved::inclusion(&proof)?, proof.to_string())
        }
        (None, since) => {
            let old = old_size(since.as_deref().unwrap_or_default())?;
            let proof = prove_consistency(dir, old).map_err(failed)?;
            (Proved::consistency(&proof), proof.to_string())
        }
    };
    format.print(&Proved { proof: Some(text.clone()), ..proved }, || text)
}

/// A number of entries, or a checkpoint file that says it.
fn old_size(since: &str) -> Result<u64, CliError> {
    match since.parse() {
        Ok(size) => Ok(size),
        Err(_) => Ok(read_checkpoint(Path::new(since))?.checkpoint().size()),
    }
}

/// Flags of `log check-proof`.
#[derive(clap::Args)]
pub(super) struct CheckArgs {
    /// A proof as `log prove` printed it
    proof: PathBuf,
    /// The log's public key: `ed25519:…`, or the file that holds it
    #[arg(long)]
    key: String,
    /// For a proof that a log only grew: the older checkpoint
    #[arg(long, value_name = "CHECKPOINT")]
    old: Option<PathBuf>,
    /// A peer's name and public key, to check its cosignature; may be repeated
    #[arg(long, value_name = "NAME=KEY")]
    witness: Vec<String>,
}

pub(super) fn check(args: &CheckArgs, format: Format) -> Result<(), CliError> {
    let key = public_key(&args.key)?;
    let verifying = verifying_key(&key)?;
    let text = read_at_most(&args.proof, MAX_PROOF_BYTES)?;
    let refused =
        |e: ProofTextError| CliError::outcome("proof_refused", format_args!("{}: {e}", args.proof.display()));
    let (mut proved, head) = if text.starts_with(b"old ") {
        let proof = ConsistencyProof::parse(&text).map_err(refused)?;
        let Some(file) = &args.old else {
            return Err(CliError::setup("usage", "this proof needs the older checkpoint: --old CHECKPOINT"));
        };
        let old = read_checkpoint(file)?;
        old.verify(&verifying)
            .map_err(|e| CliError::outcome("proof_refused", format_args!("{}: {e}", file.display())))?;
        proof.verify(old.checkpoint(), &verifying).map_err(refused)?;
        (Proved::consistency(&proof), proof.head)
    } else {
        let proof = InclusionProof::parse(&text).map_err(refused)?;
        proof.verify(&verifying).map_err(refused)?;
        (Proved::inclusion(&proof)?, proof.head)
    };
    for witness in &args.witness {
        let (name, key) = named_key("--witness", witness)?;
        let key = verifying_key(&key)?;
        let mut lines = head.cosignatures().iter();
        if !lines.any(|line| line.verify_cosignature(head.checkpoint(), &name, &key).is_ok()) {
            let what =
                format!("{}: {name} did not cosign this checkpoint with that key", args.proof.display());
            return Err(CliError::outcome("proof_refused", what));
        }
        proved.witnesses.push(name);
    }
    format.print(&proved, || proved.render())
}

/// A name and its public key, as `flag` takes them.
pub(super) fn named_key(flag: &str, text: &str) -> Result<(String, PublicKey), CliError> {
    let Some((name, key)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        // It is not repeated: what stands where a key belongs may be a private one.
        return Err(CliError::setup(
            "usage",
            format_args!("expected {flag} NAME=KEY, got no name before a `=`"),
        ));
    };
    Ok((name.to_owned(), public_key(key)?))
}

/// A public key given as text, or the file that holds it.
fn public_key(text: &str) -> Result<PublicKey, CliError> {
    if text.starts_with("ed25519:") {
        return text.parse().map_err(super::from_identity);
    }
    let file = Path::new(text);
    let content = Zeroizing::new(read_at_most(file, 4096)?);
    let content = Zeroizing::new(String::from_utf8_lossy(&content).into_owned());
    content.trim().parse().map_err(|e: IdentityError| {
        let what = format_args!("{}: {e}", file.display());
        CliError::setup("key_unreadable", what)
            .with_hint("`subrosa keygen FILE.key` wrote the public key to FILE.pub, in this form")
    })
}

fn verifying_key(key: &PublicKey) -> Result<ed25519_dalek::VerifyingKey, CliError> {
    ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes())
        .map_err(|_| CliError::setup("bad_key", format_args!("{key} is not an Ed25519 key")))
}

fn read_checkpoint(file: &Path) -> Result<SignedCheckpoint, CliError> {
    let text = read_at_most(file, MAX_CHECKPOINT_BYTES)?;
    SignedCheckpoint::parse(&text).map_err(|e| {
        CliError::setup("bad_checkpoint", format_args!("{}: {e}", file.display()))
            .with_hint("expected a log's `checkpoint` file, or one from its `cosigned` folder")
    })
}

fn read_at_most(file: &Path, max_bytes: usize) -> Result<Vec<u8>, CliError> {
    let failed = |e: std::io::Error| CliError::file("read", file, &e);
    let mut bytes = Vec::new();
    File::open(file).map_err(failed)?.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max_bytes {
        let what = format!("{}: longer than {max_bytes} bytes", file.display());
        return Err(CliError::setup("file_error", what));
    }
    Ok(bytes)
}
