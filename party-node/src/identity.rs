//! Who a node is: an Ed25519 key pair in a file, and the public keys of the others.
//!
//! A key file is an unencrypted PKCS#8 PEM file as `openssl genpkey -algorithm ed25519` writes it. It is created for
//! the owner alone, refused when others can read it, never overwritten and never printed. A public key is written
//! `ed25519:` and the base64 of its 32 bytes, the same in config files, on the command line and in error messages
//! (there shortened to its beginning, so that it can be compared with a config file by eye).

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// What a public key text starts with.
const PUBLIC_PREFIX: &str = "ed25519:";
/// PKCS#8 version 1 of an Ed25519 key (RFC 8410), up to the 32 secret bytes.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// The SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), up to the 32 public bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// A key file is about 120 bytes; anything larger is another file.
const KEY_FILE_MAX_BYTES: u64 = 4096;

/// Why a key or key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file cannot be opened, read or written.
    #[error("cannot {action} key file {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Other users of this machine could read the key.
    #[error(
        "key file {path} can be read by others: expected mode 0600, found {mode:04o} (fix: chmod 600 {path})"
    )]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Saving never replaces a file: a lost key cannot be had back.
    #[error("key file {path} exists already; it is not overwritten")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The file is not an Ed25519 key.
    #[error("key file {path} is not an Ed25519 private key: {what}")]
    BadFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The text is not a public key.
    #[error("bad public key \"{text}\": expected ed25519:<base64 of 32 bytes>, {what}")]
    BadPublicKey {
        /// The text, shortened.
        text: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: {0}")]
    NoRandomness(String),
}

/// A party's public key: the only name that counts between nodes.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// [`IdentityError::BadPublicKey`] if they are not a point of the curve, or one of the few weak points for which
    /// a signature fits every message.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, IdentityError> {
        let bad = |what| IdentityError::BadPublicKey { text: Self(*bytes).to_string(), what };
        let key =
            VerifyingKey::from_bytes(bytes).map_err(|_| bad("found 32 bytes that are no Ed25519 key"))?;
        if key.is_weak() {
            return Err(bad("found a weak key"));
        }
        Ok(Self(*bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The beginning of the text form, for error messages.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.to_string().chars().take(PUBLIC_PREFIX.len() + 12).chain(['…']).collect()
    }

    /// The 44-byte SubjectPublicKeyInfo that TLS carries for a raw public key.
    #[must_use]
    pub fn to_spki(self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.0].concat()
    }

    /// The inverse of [`PublicKey::to_spki`].
    #[must_use]
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?;
        Self::from_bytes(bytes).ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let bad = |what| IdentityError::BadPublicKey { text: text.chars().take(80).collect(), what };
        let base64 = text.strip_prefix(PUBLIC_PREFIX).ok_or_else(|| bad("found another prefix"))?;
        let bytes = STANDARD.decode(base64).map_err(|_| bad("found text that is not base64"))?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| bad("found another length"))?;
        Self::from_bytes(&bytes)
    }
}

/// A node's own key pair.
pub struct Identity {
    signing: SigningKey,
}

impl Identity {
    /// A fresh key pair from the operating system's randomness.
    ///
    /// # Errors
    /// [`IdentityError::NoRandomness`].
    pub fn generate() -> Result<Self, IdentityError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|e| IdentityError::NoRandomness(e.to_string()))?;
        Ok(Self { signing: SigningKey::from_bytes(&secret) })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// If the file cannot be read, is readable by others or is not an Ed25519 key.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let io = |source| IdentityError::Io { action: "read", path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(io)?;
        refuse_if_others_can_read(path, &file.metadata().map_err(io)?)?;
        let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_MAX_BYTES as usize + 1));
        let bad = |what| IdentityError::BadFile { path: path.to_owned(), what };
        file.take(KEY_FILE_MAX_BYTES + 1).read_to_string(&mut text).map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => bad("expected a PEM file, found bytes that are no text"),
            _ => io(e),
        })?;
        if text.len() as u64 > KEY_FILE_MAX_BYTES {
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
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => IdentityError::Exists { path: path.to_owned() },
            _ => io(e),
        })?;
        file.write_all(self.to_pem().as_bytes()).and_then(|()| file.sync_all()).map_err(io)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key().to_bytes())
    }

    /// The key that signs this node's log.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// PKCS#8, for the TLS library.
    pub(crate) fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + 32));
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(self.signing.as_bytes());
        der
    }

    fn to_pem(&self) -> Zeroizing<String> {
        let base64 = Zeroizing::new(STANDARD.encode(self.to_pkcs8()));
        Zeroizing::new(format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", base64.as_str()))
    }

    fn from_pem(text: &str) -> Result<Self, &'static str> {
        let base64 = text
            .trim()
            .strip_prefix(PEM_BEGIN)
            .ok_or("expected a first line \"-----BEGIN PRIVATE KEY-----\"")?
            .strip_suffix(PEM_END)
            .ok_or("expected a last line \"-----END PRIVATE KEY-----\"")?;
        let base64: Zeroizing<String> = Zeroizing::new(base64.split_ascii_whitespace().collect());
        let der = STANDARD.decode(base64.as_bytes()).map_err(|_| "expected base64 between the two lines");
        let der = Zeroizing::new(der?);
        let secret = der.strip_prefix(&PKCS8_PREFIX).and_then(|s| <&[u8; 32]>::try_from(s).ok());
        Ok(Self { signing: SigningKey::from_bytes(secret.ok_or("expected PKCS#8 of an Ed25519 key")?) })
    }
}

#[cfg(unix)]
fn refuse_if_others_can_read(path: &Path, metadata: &std::fs::Metadata) -> Result<(), IdentityError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_if_others_can_read(_: &Path, _: &std::fs::Metadata) -> Result<(), IdentityError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let Err(error) = Identity::load(&path) else { panic!("a readable key was accepted") };
            assert!(error.to_string().contains("0640"), "{error}");
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
            let Err(error) = Identity::load(&path) else { panic!("accepted: {expected}") };
            assert!(error.to_string().contains(expected), "{error}");
        }
        let Err(error) = Identity::load(&dir.path().join("none.key")) else {
            panic!("accepted a missing file")
        };
        assert!(error.to_string().contains("none.key"), "{error}");
    }

    #[test]
    fn bad_public_keys_are_refused_with_a_reason() {
        let short = format!("ed25519:{}", STANDARD.encode([1; 31]));
        let zero = format!("ed25519:{}", STANDARD.encode([0; 32]));
        let off_curve = format!("ed25519:{}", STANDARD.encode([2; 32]));
        for (text, expected) in [
            ("rsa:AAAA", "prefix"),
            ("ed25519:?", "base64"),
            (short.as_str(), "length"),
            (zero.as_str(), "weak"),
            (off_curve.as_str(), "no Ed25519 key"),
        ] {
            let error = text.parse::<PublicKey>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
