//! The store: correlated randomness that was made ahead and is spent later, each copy once.
//!
//! A **copy** is what one run of one program takes, this party's shares of it. Copies that one session made are a **series**, named
//! by that session's id and bound to its **purpose**: the parties' keys in order, this party's place among them, the program
//! and what it asks for. The folder has
//!
//! | file | content |
//! |---|---|
//! | `index.redb` | per series its purpose and **cursor**, the first copy that is not spent; the key of every copy that is not |
//! | `series-ID/NNNNNNNN` | one copy, encrypted and authenticated under its key |
//!
//! **Spending** a copy goes in this order: its key is read into memory and its file checked; then one durable transaction moves
//! the cursor past it and deletes the keys of it and of all before it; then their files are removed, durably. Only then is the
//! copy given out. So after a crash in between, or with either half put back from elsewhere, what was spent stays spent: a file
//! without its key is noise, and a key without its file opens nothing. An index that is older than the files beside it is noticed
//! by the files that are missing, and moves on past them.
//!
//! **Making** a series goes the other way round: all files are durable before the transaction that names them, so a crash leaves
//! files that nothing names, which the next start removes.
//!
//! What the store cannot see is that the whole folder was put back. Peers see it: all say their cursors before a run, and the
//! largest counts (`job/store`).
//!
//! Encryption is there so that deleting 32 bytes spends a copy, wherever else its file may be. Whoever reads the whole folder reads
//! the copies that are left.

use std::path::{Path, PathBuf};

use mpc_core::party::PartyId;
use mpc_core::prg::Seed;
use mpc_core::tag::SessionId;
use sha2::{Digest, Sha256};

use crate::net::SecretBytes;

mod error;
mod files;
pub(crate) mod index;
mod making;
mod sealed;
mod steps;
mod summary;
#[cfg(test)]
pub(crate) mod tests;

pub use error::StoreError;
use files::Files;
use index::Index;
pub use making::Making;
pub use sealed::OpenCopy;
use sealed::{CopyName, open};
pub use summary::{SeriesSummary, summarise};

/// The most series of one purpose, which bounds what nodes tell each other.
pub const MAX_SERIES: usize = 64;
/// The most copies of one series.
pub const MAX_COPIES: u32 = 10_000;
/// Name of the database.
const INDEX: &str = "index.redb";

/// What copies are made for. They are used for nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purpose {
    /// Digest of everything.
    digest: [u8; 32],
    /// Digest of the program, for people.
    program: [u8; 32],
}

impl Purpose {
    /// For the party `me` among these keys in order, and a program whose demand is encoded as given.
    #[must_use]
    pub fn new(parties: &[[u8; 32]], me: PartyId, program: [u8; 32], demand: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"subrosa/store-purpose/1");
        hash.update((parties.len() as u64).to_le_bytes());
        parties.iter().for_each(|key| hash.update(key));
        hash.update([me.index() as u8]);
        hash.update(program);
        hash.update(Sha256::digest(demand));
        Self { digest: hash.finalize().into(), program }
    }
}

/// A series as a party tells the others of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The session that made it.
    pub series: SessionId,
    /// The first copy that this party has not spent.
    pub cursor: u32,
    /// How many there were.
    pub copies: u32,
}

/// One series, as the index has it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Series {
    id: SessionId,
    purpose: Purpose,
    copies: u32,
    cursor: u32,
    /// Bytes of one copy.
    copy_bytes: u64,
}

impl Series {
    const fn name(&self, copy: u32) -> CopyName {
        CopyName { series: self.id, copy, purpose: self.purpose.digest }
    }
}

/// A store that this process alone has open.
pub struct Store {
    files: Files,
    index: Index,
    /// All series, as the index has them.
    series: Vec<Series>,
}

mpc_core::secret_types!(serde::Serialize; Store);

impl Store {
    /// Opens the store, made if it is missing: checks all of the index, and then removes what a crash left behind.
    ///
    /// # Errors
    /// [`StoreError`]: a folder that cannot be used, that another process uses, or that is damaged.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let files = Files::new(folder);
        files.create_folder(folder)?;
        let index = Index::open(&files, &folder.join(INDEX))?;
        let series = index.all()?;
        let mut store = Self { files, index, series };
        store.catch_up()?;
        Ok(store)
    }

    /// Every file that a cursor passed is removed, and every cursor moves past files that are missing: an older index does not
    /// bring back what was spent, and a copy without its file cannot be used anyway.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        for series in self.series.clone() {
            let there = |copy: &u32| self.files.copy(&series.id, *copy).is_file();
            let first = (series.cursor..series.copies).find(there).unwrap_or(series.copies);
            if first > series.cursor {
                self.move_past(&series, first - 1)?;
            }
        }
        let known: Vec<PathBuf> = self.series.iter().map(|s| self.files.series(&s.id)).collect();
        self.files.remove_unknown(&known)?;
        for series in &self.series {
            self.files.remove_before(&series.id, series.cursor)?;
        }
        Ok(())
    }

    /// Every series of this purpose, in the order of their names.
    #[must_use]
    pub fn offers(&self, purpose: &Purpose) -> Vec<Offer> {
        let ours = self.series.iter().filter(|s| s.purpose == *purpose);
        let mut offers: Vec<Offer> =
            ours.map(|s| Offer { series: s.id, cursor: s.cursor, copies: s.copies }).collect();
        offers.sort_by_key(|offer| offer.series.0);
        offers
    }

    /// Begins a new series of `copies` copies of `copy_bytes` bytes.
    ///
    /// # Errors
    /// [`StoreError`]: there are as many as there may be, or the folder cannot be written.
    pub fn begin(
        &self,
        id: SessionId,
        purpose: Purpose,
        copies: u32,
        copy_bytes: u64,
    ) -> Result<Making, StoreError> {
        if self.offers(&purpose).len() >= MAX_SERIES {
            return Err(StoreError::Full { folder: self.files.folder().into() });
        }
        Making::new(self.files.clone(), Series { id, purpose, copies, cursor: 0, copy_bytes })
    }

    /// Keeps a series whose copies are all made.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of it is kept.
    pub fn keep(&mut self, making: Making) -> Result<(), StoreError> {
        let (series, keys) = making.finish()?;
        self.index.add(&series, &keys)?;
        self.series.push(series);
        Ok(())
    }

    /// Spends this copy and all before it. When this returns, that is durable: not until then may a byte that depends on the copy
    /// leave this process. The copy itself is an error of its own where its file was damaged, which is then spent like a good one.
    ///
    /// # Errors
    /// [`StoreError`]: then the copy may be spent or not, and may not be used.
    pub fn spend(&mut self, id: &SessionId, copy: u32) -> Result<Result<OpenCopy, StoreError>, StoreError> {
        let series = self.series.iter().find(|s| s.id == *id && (s.cursor..s.copies).contains(&copy));
        let series = series.cloned().ok_or(StoreError::NoSuchCopy { copy })?;
        let key = self.index.key(id, copy)?;
        let opened = open(&self.files.copy(id, copy), &key, &series.name(copy), series.copy_bytes);
        drop(key);
        self.move_past(&series, copy)?;
        self.files.remove_before(id, copy + 1)?;
        Ok(opened)
    }

    /// Destroys all that is left of a series.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn destroy(&mut self, id: &SessionId) -> Result<(), StoreError> {
        self.index.remove(id)?;
        self.series.retain(|s| s.id != *id);
        self.files.remove_series(id)
    }

    /// Makes durable that `copy` and all before it are spent. A series of which nothing is left is forgotten.
    fn move_past(&mut self, series: &Series, copy: u32) -> Result<(), StoreError> {
        let cursor = copy + 1;
        if cursor >= series.copies {
            return self.destroy(&series.id);
        }
        let moved = Series { cursor, ..series.clone() };
        self.index.advance(&moved)?;
        self.series.iter_mut().filter(|s| s.id == series.id).for_each(|s| s.cursor = cursor);
        Ok(())
    }
}

/// A fresh key.
fn fresh_key() -> Result<SecretBytes, StoreError> {
    let mut key = SecretBytes::zeros();
    getrandom::fill(key.expose_mut()).map_err(StoreError::NoRandomness)?;
    Ok(key)
}

/// The key of a copy as the seed of its streams.
fn seed(key: &SecretBytes) -> Seed {
    Seed::from(key.clone())
}
