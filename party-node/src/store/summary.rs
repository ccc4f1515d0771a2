//! What a store holds, for people, without changing it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use mpc_core::hex::hex;
use redb::StorageBackend as _;
use redb::backends::InMemoryBackend;
use serde::Serialize;

use super::files::{Files, failed};
use super::index::Index;
use super::sealed::open;
use super::{INDEX, Purpose, StoreError};

/// The largest index that is read; one row takes less than 200 bytes, and there are never that many.
const MAX_INDEX_BYTES: u64 = 1 << 30;

/// One series, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesSummary {
    /// The session that made it, in hexadecimal.
    pub series: String,
    /// Digest of the program that it is for, in hexadecimal.
    pub program_digest: String,
    /// Whether it is for this program, these parties and this place among them.
    pub fits: bool,
    /// Copies that it had.
    pub copies: u32,
    /// Copies that are left and can be used.
    pub left: u32,
    /// Bytes of one copy.
    pub copy_bytes: u64,
    /// What is wrong with copies that are left otherwise.
    pub damage: Vec<String>,
}

/// What is in a store, every copy read and checked. None where nothing was ever stored.
///
/// # Errors
/// [`StoreError`]: it cannot be read, is in use, or its index is damaged.
pub fn summarise(folder: &Path, purpose: &Purpose) -> Result<Option<Vec<SeriesSummary>>, StoreError> {
    let path = folder.join(INDEX);
    let file = match File::open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("read", &path))?,
    };
    // As the database locks it; given back with the file.
    match file.try_lock_shared() {
        Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::Locked { path }),
        Err(std::fs::TryLockError::Error(e)) => return Err(failed("lock", &path)(e)),
        Ok(()) => {}
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    (&file).take(MAX_INDEX_BYTES).read_to_end(&mut bytes).map_err(failed("read", &path))?;
    // What a crash left to be repaired is repaired in memory.
    let memory = InMemoryBackend::new();
    memory
        .set_len(bytes.len() as u64)
        .and_then(|()| memory.write(0, &bytes))
        .map_err(failed("read", &path))?;
    let index = Index::with(&path, memory)?;
    let files = Files::new(folder);
    let mut all = vec![];
    for series in index.all()? {
        let mut damage = vec![];
        for copy in series.cursor..series.copies {
            let key = index.key(&series.id, copy)?;
            let file = files.copy(&series.id, copy);
            if let Err(error) = open(&file, &key, &series.name(copy), series.copy_bytes) {
                damage.push(error.to_string());
            }
        }
        all.push(SeriesSummary {
            series: hex(&series.id.0),
            program_digest: hex(&series.purpose.program),
            fits: series.purpose == *purpose,
            copies: series.copies,
            left: series.copies - series.cursor - damage.len() as u32,
            copy_bytes: series.copy_bytes,
            damage,
        });
    }
    Ok(Some(all))
}
