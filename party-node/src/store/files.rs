//! The files of copies: one folder per series, for their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use mpc_core::hex::hex;
use mpc_core::tag::SessionId;

use super::StoreError;
use super::steps::step;
use crate::private_file::create_private_folder;

/// How the name of a series' folder begins.
const SERIES_PREFIX: &str = "series-";
/// Digits of a copy's number in its name.
const DIGITS: usize = 8;

/// The store's folder.
#[derive(Clone)]
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.into())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// Where a series is.
    pub(super) fn series(&self, id: &SessionId) -> PathBuf {
        self.0.join(SERIES_PREFIX.to_owned() + &hex(&id.0))
    }

    /// Where a copy is.
    pub(super) fn copy(&self, series: &SessionId, copy: u32) -> PathBuf {
        self.series(series).join(format!("{copy:0DIGITS$}"))
    }

    /// Makes a folder, durably.
    pub(super) fn create_folder(&self, folder: &Path) -> Result<(), StoreError> {
        if folder.is_dir() {
            return Ok(());
        }
        step(|| ());
        create_private_folder(folder).map_err(failed("make", folder))?;
        folder.parent().map_or(Ok(()), |above| self.sync(above))
    }

    /// A new file to write a copy to.
    pub(super) fn create(&self, path: &Path) -> Result<File, StoreError> {
        step(|| ());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        options.open(path).map_err(failed("make", path))
    }

    /// Gives a file of this folder its name, durably.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        step(|| ());
        fs::rename(from, to).map_err(failed("rename", from))?;
        self.sync(&self.0)
    }

    /// Removes the files of all copies before `copy`, durably.
    pub(super) fn remove_before(&self, series: &SessionId, copy: u32) -> Result<(), StoreError> {
        let folder = self.series(series);
        let old: Vec<PathBuf> = entries(&folder)?
            .into_iter()
            .filter(|path| number(path).is_none_or(|number| number < copy))
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        for path in old {
            remove(&path)?;
        }
        self.sync(&folder)
    }

    /// Removes a series, durably.
    pub(super) fn remove_series(&self, id: &SessionId) -> Result<(), StoreError> {
        self.remove_folder(&self.series(id))
    }

    fn remove_folder(&self, folder: &Path) -> Result<(), StoreError> {
        if !folder.is_dir() {
            return Ok(());
        }
        for path in entries(folder)? {
            remove(&path)?;
        }
        step(|| ());
        fs::remove_dir(folder).map_err(failed("remove", folder))?;
        self.sync(&self.0)
    }

    /// Removes every series but these.
    pub(super) fn remove_unknown(&self, known: &[PathBuf]) -> Result<(), StoreError> {
        for path in entries(&self.0)? {
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
            // Nothing but what a store makes: a folder can be named by mistake.
            if name.starts_with(SERIES_PREFIX) && path.is_dir() && !known.contains(&path) {
                self.remove_folder(&path)?;
            }
        }
        Ok(())
    }

    /// Makes what was made and removed in a folder durable.
    pub(super) fn sync(&self, folder: &Path) -> Result<(), StoreError> {
        step(|| ());
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder).and_then(|f| f.sync_all()).map_err(failed("synchronise", folder))
    }
}

/// Files that are made are their owner's alone.
pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// An error of the file system about a path.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { doing, path: path.clone(), source }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    step(|| ());
    fs::remove_file(path).map_err(failed("remove", path))
}

fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    (name.len() == DIGITS).then(|| name.parse().ok())?
}

/// What is in a folder, in order; nothing, if it is missing.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let read = || fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Ok(mut paths) => {
            paths.sort();
            Ok(paths)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(vec![]),
        Err(e) => Err(failed("read", folder)(e)),
    }
}
