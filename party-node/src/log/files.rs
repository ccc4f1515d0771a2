//! The file operations that a log is written with, few enough to stop at each of them in a test.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Changes to a directory tree. Each call is one step that a crash may come before or after.
pub(super) trait Files: Send {
    /// Creates or replaces a file and makes its content durable; after a crash it may be torn or missing.
    fn write_synced(&mut self, path: &Path, content: &[u8]) -> io::Result<()>;
    /// Puts `from` in the place of `to`, atomically.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals inside a directory durable.
    fn sync_dir(&mut self, path: &Path) -> io::Result<()>;
    /// Creates one directory.
    fn create_dir(&mut self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&mut self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&mut self, path: &Path) -> io::Result<()>;
}

/// The file operations of a running node: the file system's. A test's process can be told to die in one of them.
pub(super) fn disk() -> Box<dyn Files> {
    #[cfg(test)]
    if let Some(mortal) = super::tests::killed::told_by_environment() {
        return Box::new(mortal);
    }
    Box::new(Disk)
}

/// The file system.
pub(super) struct Disk;

impl Files for Disk {
    fn write_synced(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
}
