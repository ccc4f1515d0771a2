//! The index: which series there are, how far each is spent, and the keys of the copies that are not.
//!
//! redb makes each change durable whole or not at all. What it holds is checked beyond that: every row ends with a digest of
//! itself and its place, and every series must have exactly the keys that its cursor says.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use mpc_core::tag::SessionId;
use mpc_core::wire::{Decoder, Encoder, WireError};
use redb::backends::FileBackend;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition, WriteTransaction,
};

use super::files::{Files, failed, private};
use super::steps::step;
use super::{MAX_COPIES, Purpose, Series, StoreError};
use crate::net::SecretBytes;

const SERIES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("series");
const KEYS: TableDefinition<'_, (&[u8; 32], u32), &[u8; 64]> = TableDefinition::new("keys");
/// The index is small.
const CACHE_BYTES: usize = 1 << 20;

/// The database.
pub(super) struct Index {
    path: PathBuf,
    database: Database,
}

mpc_core::secret_types!(serde::Serialize; Index);

/// What is wrong with a row.
type Wrong = &'static str;

impl Index {
    /// Opens the index, made if it is missing, and checks what redb can check of it.
    pub(super) fn open(files: &Files, path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            // A database is not made in one step, so it gets its name when it is whole.
            let made = path.with_extension("new");
            let index = Self::with(path, backend(&made, true)?)?;
            index.write(|transaction| {
                transaction.open_table(SERIES)?;
                transaction.open_table(KEYS)?;
                Ok(())
            })?;
            index.database.close().map_err(|e| of_database(path, e.into()))?;
            files.rename(&made, path)?;
        }
        Self::with(path, backend(path, false)?)
    }

    /// Opens what a backend holds.
    pub(super) fn with(path: &Path, backend: impl StorageBackend) -> Result<Self, StoreError> {
        let database = Database::builder()
            .set_check_integrity_on_open(true)
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(|e| of_database(path, e.into()))?;
        Ok(Self { path: path.into(), database })
    }

    /// All series, checked.
    pub(super) fn all(&self) -> Result<Vec<Series>, StoreError> {
        let read = || -> Result<Result<Vec<Series>, Wrong>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut all = vec![];
            let mut expected = BTreeSet::new();
            for row in transaction.open_table(SERIES)?.iter()? {
                let (id, value) = row?;
                let Some(series) = decode(*id.value(), value.value()) else {
                    return Ok(Err("the row of a series is not what was written"));
                };
                expected.extend((series.cursor..series.copies).map(|copy| (series.id.0, copy)));
                all.push(series);
            }
            for row in transaction.open_table(KEYS)?.iter()? {
                let (at, value) = row?;
                let (id, copy) = at.value();
                if key_of(id, copy, value.value()).is_none() {
                    return Ok(Err("a key is not what was written"));
                }
                if !expected.remove(&(*id, copy)) {
                    return Ok(Err("there is a key of a copy that was spent"));
                }
            }
            Ok(if expected.is_empty() { Ok(all) } else { Err("there are copies without a key") })
        };
        read().map_err(|e| of_database(&self.path, e))?.map_err(|what| self.damaged(what))
    }

    /// The key of a copy that is not spent.
    pub(super) fn key(&self, id: &SessionId, copy: u32) -> Result<SecretBytes, StoreError> {
        let read = || -> Result<Option<SecretBytes>, redb::Error> {
            let table = self.database.begin_read()?.open_table(KEYS)?;
            Ok(table.get((&id.0, copy))?.and_then(|value| key_of(&id.0, copy, value.value())))
        };
        read()
            .map_err(|e| of_database(&self.path, e))?
            .ok_or_else(|| self.damaged("a key is not what was written"))
    }

    /// Adds a series and the keys of its copies, durably.
    pub(super) fn add(&self, series: &Series, keys: &[SecretBytes]) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(SERIES)?.insert(&series.id.0, encode(series).as_slice())?;
            let mut table = transaction.open_table(KEYS)?;
            for (copy, key) in (0..).zip(keys) {
                let mut row = zeroize::Zeroizing::new([0; 64]);
                row[..32].copy_from_slice(key.expose());
                row[32..].copy_from_slice(&digest(&series.id.0, copy, key.expose()));
                table.insert((&series.id.0, copy), &*row)?;
            }
            Ok(())
        })
    }

    /// Moves a series' cursor and deletes the keys before it, durably.
    pub(super) fn advance(&self, series: &Series) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(SERIES)?.insert(&series.id.0, encode(series).as_slice())?;
            transaction
                .open_table(KEYS)?
                .retain_in((&series.id.0, 0)..(&series.id.0, series.cursor), |_, _| false)?;
            Ok(())
        })
    }

    /// Removes a series with all keys, durably.
    pub(super) fn remove(&self, id: &SessionId) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(SERIES)?.remove(&id.0)?;
            transaction.open_table(KEYS)?.retain_in((&id.0, 0)..=(&id.0, u32::MAX), |_, _| false)?;
            Ok(())
        })
    }

    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            // What was committed before is recognised without reading checksums.
            transaction.set_two_phase_commit(true);
            change(&transaction)?;
            Ok(transaction.commit()?)
        };
        write().map_err(|e| of_database(&self.path, e))
    }

    fn damaged(&self, what: Wrong) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }
}

/// Opens a database's file, or begins a new one.
fn backend(path: &Path, is_new: bool) -> Result<Steps, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(is_new).truncate(is_new);
    private(&mut options);
    step(|| ());
    let file = options.open(path).map_err(failed("open", path))?;
    FileBackend::new(file).map(Steps).map_err(|e| of_database(path, e.into()))
}

fn of_database(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::Locked { path },
        redb::Error::Corrupted(_) => StoreError::Damaged { path, what: "it is not what the database wrote" },
        // A file of another kind.
        redb::Error::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            StoreError::Damaged { path, what: "it is no index of a store" }
        }
        other => StoreError::Index { path, source: Box::new(other) },
    }
}

fn encode(series: &Series) -> Vec<u8> {
    let mut e = Encoder::new();
    e.array(&series.purpose.digest);
    e.array(&series.purpose.program);
    e.u32(series.copies);
    e.u32(series.cursor);
    e.u64(series.copy_bytes);
    let mut row = e.finish();
    let digest = digest(&series.id.0, u32::MAX, &row);
    row.extend_from_slice(&digest);
    row
}

fn decode(id: [u8; 32], row: &[u8]) -> Option<Series> {
    let (content, theirs) = row.split_last_chunk::<32>()?;
    if digest(&id, u32::MAX, content) != *theirs {
        return None;
    }
    let read = || -> Result<Series, WireError> {
        let mut d = Decoder::new(content);
        let purpose = Purpose { digest: d.array()?, program: d.array()? };
        let (copies, cursor, copy_bytes) = (d.u32()?, d.u32()?, d.u64()?);
        d.finish()?;
        Ok(Series { id: SessionId(id), purpose, copies, cursor, copy_bytes })
    };
    read().ok().filter(|s| s.cursor < s.copies && s.copies <= MAX_COPIES)
}

/// Reads a row of either table for the fuzzer; true if it is one.
pub(crate) fn check_row(id: [u8; 32], row: &[u8]) -> bool {
    if let Some(series) = decode(id, row) {
        assert_eq!(encode(&series), row, "a row has one encoding");
        return true;
    }
    row.try_into().is_ok_and(|row| key_of(&id, 0, row).is_some())
}

/// Rows that are read, for the fuzzer.
pub(crate) fn sample_rows(id: [u8; 32]) -> [Vec<u8>; 2] {
    let purpose = Purpose { digest: [1; 32], program: [2; 32] };
    let series = Series { id: SessionId(id), purpose, copies: 20, cursor: 3, copy_bytes: 1 << 20 };
    let key = [5; 32];
    [encode(&series), [key, digest(&id, 0, &key)].concat()]
}

fn key_of(id: &[u8; 32], copy: u32, row: &[u8; 64]) -> Option<SecretBytes> {
    let (key, theirs) = row.split_at(32);
    let mut place = SecretBytes::zeros();
    place.expose_mut().copy_from_slice(key);
    (digest(id, copy, key) == *theirs).then_some(place)
}

/// Of a row and its place; the row of a series has the number that no copy has.
fn digest(id: &[u8; 32], copy: u32, content: &[u8]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(b"subrosa/store-index/1\0").update(id).update(&copy.to_le_bytes()).update(content);
    hash.finalize().into()
}

/// The database's file, each change of which is a step.
#[derive(Debug)]
struct Steps(FileBackend);

type Ended<T> = std::io::Result<T>;

impl StorageBackend for Steps {
    fn len(&self) -> Ended<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Ended<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Ended<()> {
        step(|| ());
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Ended<()> {
        step(|| ());
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Ended<()> {
        step(|| drop(self.0.write(offset, &data[..data.len() / 2])));
        self.0.write(offset, data)
    }

    fn close(&self) -> Ended<()> {
        self.0.close()
    }

    fn try_lock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<bool, redb::BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn unlock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<(), redb::BackendError> {
        self.0.unlock_range(start, end)
    }
}
