//! A series that is being made: files first, and nothing that names them until all are there.

use super::files::Files;
use super::sealed::Sealing;
use super::{Series, StoreError, fresh_key};
use crate::net::SecretBytes;

/// A series under way. Dropped before it is kept, it leaves nothing.
pub struct Making {
    files: Files,
    series: Series,
    keys: Vec<SecretBytes>,
    kept: bool,
}

mpc_core::secret_types!(serde::Serialize; Making);

impl Making {
    pub(super) fn new(files: Files, series: Series) -> Result<Self, StoreError> {
        files.create_folder(&files.series(&series.id))?;
        Ok(Self { files, series, keys: Vec::new(), kept: false })
    }

    /// Writes the next copy: `make` gives its bytes in order to the function that it is given, which overwrites them. The copy is
    /// durable afterwards, though nothing can read it yet.
    ///
    /// # Errors
    /// [`StoreError`], or what `make` says.
    pub fn copy(
        &mut self,
        make: impl FnOnce(&mut dyn FnMut(&mut [u8]) -> Result<(), StoreError>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let number = self.keys.len() as u32;
        let (key, name) = (fresh_key()?, self.series.name(number));
        let path = self.files.copy(&self.series.id, number);
        let mut sealing = Sealing::new(&self.files, path, &key, &name)?;
        make(&mut |bytes| sealing.append(bytes))?;
        let (got, expected) = (sealing.finish()?, self.series.copy_bytes);
        if got != expected {
            return Err(StoreError::WrongLength { expected, got });
        }
        self.keys.push(key);
        Ok(())
    }

    /// Everything that the index needs, when all files are durable.
    pub(super) fn finish(mut self) -> Result<(Series, Vec<SecretBytes>), StoreError> {
        let (got, expected) = (self.keys.len() as u32, self.series.copies);
        if got != expected {
            return Err(StoreError::Incomplete { expected, got });
        }
        self.files.sync(&self.files.series(&self.series.id))?;
        self.kept = true;
        Ok((self.series.clone(), std::mem::take(&mut self.keys)))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is at the next start.
            let _later = self.files.remove_series(&self.series.id);
        }
    }
}
