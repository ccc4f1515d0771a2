//! Key files: unencrypted PKCS#8 PEM as `openssl genpkey -algorithm ed25519` writes it.
//!
//! A file is created with mode 0600 from the start, and refused where anybody but its owner has any right to it, or where it
//! belongs to another user than the one that the process runs as. A symbolic link is judged by the file that it leads to.
//! As with `ssh`, the folder is not judged: whoever may write there can take the file away, or put one of their own in
//! its place, which is then refused for its owner.
//!
//! Everything that holds a part of the key is wiped, and made as large as it will be, because a buffer that grows leaves
//! its old content behind.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Identity, IdentityError};

/// PKCS#8 version 1 of an Ed25519 key (RFC 8410), up to the 32 secret bytes.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// What the base64 of every such key begins with.
pub(super) const PKCS8_BASE64: &str = "MC4CAQAwBQYDK2VwBCIEI";
/// Prefix and secret bytes.
const PKCS8_BYTES: usize = PKCS8_PREFIX.len() + 32;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// A key file is about 120 bytes; anything larger is another file.
const KEY_FILE_MAX_BYTES: usize = 4096;

impl Identity {
    /// Reads a key file.
    ///
    /// # Errors
    /// If the file cannot be read, is open to others, is another user's or is not an Ed25519 key.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let io = |source| IdentityError::Io { action: "read", path: path.to_owned(), source };
        let bad = |what| IdentityError::BadFile { path: path.to_owned(), what };
        // Before it is opened: opening a pipe waits for somebody to write.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(bad("expected a file, found a folder or a device"));
        }
        let file = File::open(path).map_err(io)?;
        refuse_if_others_have_rights(path, &file.metadata().map_err(io)?)?;
        let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_MAX_BYTES + 1));
        file.take(KEY_FILE_MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => bad("expected a PEM file, found bytes that are no text"),
            _ => io(e),
        })?;
        if text.len() > KEY_FILE_MAX_BYTES {
            return Err(bad("expected a PEM file of about 120 bytes, found a large file"));
        }
        Self::from_pem(&text).map_err(bad)
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        let io = |source| IdentityError::Io { action: "write", path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => IdentityError::Exists { path: path.to_owned() },
            _ => io(e),
        })?;
        file.write_all(self.to_pem().as_bytes()).and_then(|()| file.sync_all()).map_err(|e| {
            // Part of a key is none, and would be in the way of the next attempt.
            let _stays_there = std::fs::remove_file(path);
            io(e)
        })
    }

    /// PKCS#8, for the TLS library.
    pub(crate) fn to_pkcs8(&self) -> Zeroizing<[u8; PKCS8_BYTES]> {
        let mut der = Zeroizing::new([0; PKCS8_BYTES]);
        der[..PKCS8_PREFIX.len()].copy_from_slice(&PKCS8_PREFIX);
        der[PKCS8_PREFIX.len()..].copy_from_slice(self.signing.as_bytes());
        der
    }

    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        let base64 = Zeroizing::new(STANDARD.encode(self.to_pkcs8()));
        let parts = [PEM_BEGIN, "\n", &base64, "\n", PEM_END, "\n"];
        // `concat` makes the text as long as it will be at once.
        Zeroizing::new(parts.concat())
    }

    fn from_pem(text: &str) -> Result<Self, &'static str> {
        let lines = text
            .trim()
            .strip_prefix(PEM_BEGIN)
            .ok_or("expected a first line \"-----BEGIN PRIVATE KEY-----\"")?
            .strip_suffix(PEM_END)
            .ok_or("expected a last line \"-----END PRIVATE KEY-----\"")?;
        let mut base64 = Zeroizing::new(String::with_capacity(lines.len()));
        lines.split_ascii_whitespace().for_each(|line| base64.push_str(line));
        let mut der = Zeroizing::new([0; KEY_FILE_MAX_BYTES]);
        let length = STANDARD
            .decode_slice(base64.as_bytes(), der.as_mut_slice())
            .map_err(|_| "expected base64 between the two lines")?;
        let secret = der[..length].strip_prefix(&PKCS8_PREFIX).and_then(|s| <&[u8; 32]>::try_from(s).ok());
        Ok(Self::from_secret(secret.ok_or("expected PKCS#8 of an Ed25519 key")?))
    }
}

#[cfg(unix)]
fn refuse_if_others_have_rights(path: &Path, metadata: &Metadata) -> Result<(), IdentityError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let (expected, found) = (rustix::process::geteuid().as_raw(), metadata.uid());
    if found != expected {
        return Err(IdentityError::OtherOwner { path: path.to_owned(), expected, found });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Elsewhere there is nothing as simple to look at.
#[cfg(not(unix))]
fn refuse_if_others_have_rights(_: &Path, _: &Metadata) -> Result<(), IdentityError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;

    fn error(path: &Path) -> String {
        let Err(error) = Identity::load(path) else { panic!("{} was accepted", path.display()) };
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "the file is not named: {text}");
        text
    }

    #[test]
    fn a_saved_key_is_private_loads_again_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bank.key");
        let identity = Identity::generate().unwrap();
        identity.save(&path).unwrap();
        assert_eq!(Identity::load(&path).unwrap().public_key(), identity.public_key());
        let other = Identity::generate().unwrap();
        assert_ne!(other.public_key(), identity.public_key());
        assert!(matches!(other.save(&path), Err(IdentityError::Exists { .. })));
        assert_eq!(Identity::load(&path).unwrap().public_key(), identity.public_key());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_of_openssl_loads() {
        // The example key of RFC 8410, section 10.3.
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        let identity = Identity::from_pem(pem).unwrap_or_else(|what| panic!("{what}"));
        let public = "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        assert_eq!(identity.public_key().to_string(), public);
        assert_eq!(public.parse::<PublicKey>().unwrap(), identity.public_key());
        assert_eq!(*identity.to_pem(), pem);
        assert_eq!(PublicKey::from_spki(&identity.public_key().to_spki()), Some(identity.public_key()));
    }

    #[test]
    fn bad_key_files_are_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.key");
        let long = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", "A".repeat(5000));
        let cases: [(&[u8], &str); 6] = [
            (b"", "first line"),
            (b"-----BEGIN PRIVATE KEY-----\nMC4C", "last line"),
            (b"-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----", "base64"),
            (b"-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----", "PKCS#8"),
            (&[0xff, 0xfe, 0x00], "no text"),
            (long.as_bytes(), "large file"),
        ];
        for (content, expected) in cases {
            std::fs::write(&path, content).unwrap();
            #[cfg(unix)]
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let text = error(&path);
            assert!(text.contains(expected), "{text}");
        }
        error(&dir.path().join("none.key"));
        assert!(error(dir.path()).contains("a folder"));
    }

    #[cfg(unix)]
    #[test]
    fn any_right_of_anybody_else_is_refused() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("bank.key"), dir.path().join("link.key"));
        Identity::generate().unwrap().save(&path).unwrap();
        symlink(&path, &link).unwrap();
        let set_mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for bit in 0..6 {
            let mode = 0o600 | 1 << bit;
            set_mode(mode);
            let expected = format!("is open to others: expected mode 0600, found {mode:04o}");
            for way in [&path, &link] {
                assert!(error(way).ends_with(&expected), "{}", error(way));
            }
        }
        for mode in [0o600, 0o400] {
            set_mode(mode);
            assert!(Identity::load(&path).is_ok() && Identity::load(&link).is_ok(), "{mode:o}");
        }
    }

    /// Only root can give a file away; elsewhere there is nothing to test with.
    #[cfg(unix)]
    #[test]
    fn another_users_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bank.key");
        Identity::generate().unwrap().save(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
            return println!("not run: this user cannot give files away");
        }
        let text = error(&path);
        assert!(text.ends_with("belongs to another user: expected owner 0, found 12345"), "{text}");
    }
}
