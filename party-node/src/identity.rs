//! Who a node is: an Ed25519 key pair in a file, and the public keys of the others.
//!
//! A private key is in a file for its owner alone ([`Identity::load`], [`Identity::save`]), which is never overwritten and
//! never printed. A public key is written `ed25519:` and the base64 of its 32 bytes, the same in config files, on the
//! command line and in error messages (there shortened to its beginning, so that it can be compared with a config file by
//! eye). What is no public key is never repeated in a message: it may be the private one, put into the wrong place.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

mod key_file;

/// What a public key text starts with.
const PUBLIC_PREFIX: &str = "ed25519:";
/// The SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), up to the 32 public bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

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
    /// Other users of this machine could read or change the key.
    #[error("key file {path} is open to others: expected mode 0600, found {mode:04o}")]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is another user's, who can read and change it whatever its mode.
    #[error("key file {path} belongs to another user: expected owner {expected}, found {found}")]
    OtherOwner {
        /// Which file.
        path: PathBuf,
        /// The user that this process runs as.
        expected: u32,
        /// The owner.
        found: u32,
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
    /// The text is not a public key. It is not repeated.
    #[error("bad public key: expected ed25519:<base64 of 32 bytes>, {what}")]
    BadPublicKey {
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
        let bad = |what| IdentityError::BadPublicKey { what };
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
        f.write_str(&public_key_text(&self.0))
    }
}

/// The text form of a public key that somebody claims, be it one or not.
#[must_use]
pub fn public_key_text(bytes: &[u8; 32]) -> String {
    format!("{PUBLIC_PREFIX}{}", STANDARD.encode(bytes))
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let bad = |what| IdentityError::BadPublicKey { what };
        if text.contains("PRIVATE KEY") {
            return Err(bad("found a private key"));
        }
        let base64 = text.strip_prefix(PUBLIC_PREFIX).ok_or_else(|| bad("found another prefix"))?;
        let bytes = STANDARD.decode(base64).map_err(|_| bad("found text that is not base64"))?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| bad("found another length"))?;
        Self::from_bytes(&bytes)
    }
}

/// A node's own key pair. Like every secret, the private half has a place of its own on the heap: moving it leaves no
/// copy, and it is wiped when dropped.
pub struct Identity {
    signing: Box<SigningKey>,
}

mpc_core::secret_types!(serde::Serialize; Identity);

impl Identity {
    /// A fresh key pair from the operating system's randomness.
    ///
    /// # Errors
    /// [`IdentityError::NoRandomness`].
    pub fn generate() -> Result<Self, IdentityError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|e| IdentityError::NoRandomness(e.to_string()))?;
        Ok(Self::from_secret(&secret))
    }

    fn from_secret(secret: &[u8; 32]) -> Self {
        Self { signing: Box::new(SigningKey::from_bytes(secret)) }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key().to_bytes())
    }

    /// The key that signs this node's log.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }
}

/// Whether a text holds a private key, or 32 bytes in base64 or hexadecimal that are not marked as a public one. Such a text
/// is never repeated in a message: somebody may have put a key where its file's name belongs.
pub(crate) fn may_hold_key(text: &str) -> bool {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || "+/=-_:".contains(c);
    let is_key = |word: &str| {
        let bare = word.trim_end_matches('=');
        // Random base64 has all three; a path of this length seldom does.
        let mixed = [u8::is_ascii_digit, u8::is_ascii_lowercase, u8::is_ascii_uppercase]
            .iter()
            .all(|class| bare.bytes().any(|b| class(&b)));
        let decodes = |to: Result<Vec<u8>, _>| to.is_ok_and(|bytes| Zeroizing::new(bytes).len() == 32);
        match bare.len() {
            43 => mixed && (decodes(STANDARD_NO_PAD.decode(bare)) || decodes(URL_SAFE_NO_PAD.decode(bare))),
            64 => bare.bytes().all(|b| b.is_ascii_hexdigit()),
            _ => false,
        }
    };
    is_marked_private(text)
        || text.split(|c| !of_a_word(c)).any(|word| {
            // Also behind `NAME=` or `--flag=`.
            let value = word.trim_end_matches('=').rsplit('=').next();
            is_key(word) || value.is_some_and(is_key)
        })
}

/// Whether a text says by itself that it holds a private key.
pub(crate) fn is_marked_private(text: &str) -> bool {
    text.contains("PRIVATE KEY") || text.contains(key_file::PKCS8_BASE64)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let repeated = text.split_once(':').unwrap().1;
            assert!(!error.contains(repeated), "{error}");
        }
    }

    #[test]
    fn what_may_be_a_private_key_is_recognised() {
        let identity = Identity::generate().unwrap();
        let secret = identity.signing_key().to_bytes();
        let pem = identity.to_pem();
        let line = pem.lines().nth(1).unwrap();
        let error = pem.parse::<PublicKey>().unwrap_err().to_string();
        assert!(error.ends_with("found a private key"), "{error}");
        let hexadecimal = mpc_core::hex::hex(&secret);
        // Random base64 lacks a class of characters once in a thousand keys, so a fixed one.
        let fixed = STANDARD.encode(std::array::from_fn::<u8, 32, _>(|i| (37 * i + 11) as u8));
        for text in [&pem[..], line, &hexadecimal, &fixed, fixed.trim_end_matches('=')] {
            assert!(may_hold_key(text), "{text}");
            for around in [format!("key = \"{text}\""), format!("--key={text}"), format!("bureau={text}")] {
                assert!(may_hold_key(&around), "{around}");
            }
        }
        for text in ["bank.key", "keys/bank.key", "/var/lib/subrosa/parties/bank/identity/bank.key.pem", ""] {
            assert!(!may_hold_key(text), "{text}");
        }
        for before in ["public_key = ", "--key=", "bureau=", ""] {
            assert!(!may_hold_key(&format!("{before}{}", identity.public_key())));
        }
    }
}
