//! `subrosa keygen`: new identities. The private key is written for its owner alone and never printed; the public key
//! goes beside it, to be pinned in the other parties' configurations.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::CliError;
use crate::identity::{Identity, IdentityError, PublicKey};
use crate::output::Format;
use crate::private_file::create_private_folder;

#[derive(Serialize)]
struct Made {
    keys: Vec<Key>,
}

/// A key pair on disk.
#[derive(Serialize)]
struct Key {
    private_key_file: PathBuf,
    public_key_file: PathBuf,
    public_key: String,
}

/// What to do where a key is already.
const ANOTHER_NAME: &str = "choose another file name, or move the old key pair away";

pub(super) fn run(files: &[PathBuf], format: Format) -> Result<(), CliError> {
    let key = |private: &PathBuf| {
        let public_key = make(private)?.to_string();
        let public_key_file = public_file(private);
        Ok(Key { private_key_file: private.clone(), public_key_file, public_key })
    };
    let keys = files.iter().map(key).collect::<Result<_, CliError>>()?;
    let made = Made { keys };
    format.print(&made, || {
        let lines = made.keys.iter().map(|k| {
            let (private, public) = (k.private_key_file.display(), k.public_key_file.display());
            format!(
                "{private}  private, stays here\n{public}  public, for the other parties: {}\n",
                k.public_key
            )
        });
        lines.collect()
    })
}

/// Where the public key goes: beside the private one.
fn public_file(private: &Path) -> PathBuf {
    private.with_extension("pub")
}

/// Makes one key pair; neither file is ever overwritten.
pub(crate) fn make(private: &Path) -> Result<PublicKey, CliError> {
    let public = public_file(private);
    if public == private {
        return Err(CliError::setup(
            "usage",
            format_args!("{}: expected a name for the private key, such as bank.key", private.display()),
        ));
    }
    if let Some(folder) = private.parent().filter(|f| !f.as_os_str().is_empty()) {
        create_private_folder(folder).map_err(|e| CliError::file("create folder", folder, &e))?;
    }
    if public.exists() {
        return Err(CliError::setup(
            "key_exists",
            format_args!("public key file {} exists already; it is not overwritten", public.display()),
        )
        .with_hint(ANOTHER_NAME));
    }
    let identity = Identity::generate().map_err(from_identity)?;
    identity.save(private).map_err(from_identity)?;
    let public_key = identity.public_key();
    write_public(&public, public_key).map_err(|e| CliError::file("write", &public, &e))?;
    Ok(public_key)
}

/// Everybody may read a public key, and nobody else may change it: others' configurations pin what the file says.
fn write_public(file: &Path, key: PublicKey) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    writeln!(options.open(file)?, "{key}")
}

/// What is wrong with a key, as the command line shows it.
pub(crate) fn from_identity(error: IdentityError) -> CliError {
    match &error {
        IdentityError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            CliError::setup("file_missing", &error)
                .with_hint("make a key pair with `subrosa keygen FILE.key`")
        }
        IdentityError::TooOpen { path, .. } => {
            CliError::setup("key_unreadable", &error).with_hint(format_args!("chmod 600 {}", path.display()))
        }
        IdentityError::OtherOwner { path, .. } => CliError::setup("key_unreadable", &error)
            .with_hint(format_args!("chown {}, or run the node as its owner", path.display())),
        IdentityError::Exists { .. } => CliError::setup("key_exists", &error).with_hint(ANOTHER_NAME),
        IdentityError::BadFile { .. } => CliError::setup("key_unreadable", &error).with_hint(
            "a private key is a file that `subrosa keygen` wrote, or `openssl genpkey -algorithm ed25519`",
        ),
        IdentityError::BadPublicKey { .. } => CliError::setup("key_unreadable", &error)
            .with_hint("`subrosa keygen FILE.key` wrote the public key to FILE.pub, in this form"),
        IdentityError::NoRandomness(_) => CliError::outcome("no_randomness", &error),
        _ => CliError::setup("key_unreadable", &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("keys/bank.key");
        let refused = |path: &Path| make(path).err().map(|e| e.code().to_owned()).unwrap_or_default();
        let key = make(&private).unwrap();
        let text = std::fs::read_to_string(public_file(&private)).unwrap();
        assert_eq!(text.trim().parse::<PublicKey>().unwrap(), key);
        assert_eq!(Identity::load(&private).unwrap().public_key(), key);
        assert_eq!(refused(&private), "key_exists");
        std::fs::remove_file(public_file(&private)).unwrap();
        assert_eq!(refused(&private), "key_exists");
        assert_eq!(Identity::load(&private).unwrap().public_key(), key);
        assert_eq!(refused(&dir.path().join("bank.pub")), "usage");
    }
}
