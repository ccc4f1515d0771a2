//! What can be wrong with a store.

use std::path::PathBuf;

/// Why a store, or a copy in it, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The index.
        path: PathBuf,
    },
    /// The database said no.
    #[error("{}: {source}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// What is there is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More series than nodes tell each other of.
    #[error("{} holds {} series for this program already", folder.display(), super::MAX_SERIES)]
    Full {
        /// The store.
        folder: PathBuf,
    },
    /// A copy that is spent or was never made.
    #[error("copy {copy} of this series is spent, or there never was one")]
    NoSuchCopy {
        /// Its number.
        copy: u32,
    },
    /// A copy that is not as long as it was said to be.
    #[error("a copy has {got} bytes, expected {expected}")]
    WrongLength {
        /// As agreed.
        expected: u64,
        /// As made.
        got: u64,
    },
    /// A series that is not complete.
    #[error("a series has {got} copies, expected {expected}")]
    Incomplete {
        /// As agreed.
        expected: u32,
        /// As made.
        got: u32,
    },
    /// The system has no randomness for keys.
    #[error("the system gave no randomness: {0}")]
    NoRandomness(getrandom::Error),
    /// Correlated randomness could not be made.
    #[error(transparent)]
    Preprocessing(#[from] protocols::error::PrepError),
}
