//! Reading files that somebody else may have put there: only regular ones, and never more of them than expected. Opening a
//! named pipe waits for a writer that may never come, and a device can have no end.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// Opens a regular file for reading, without waiting whatever it is. What kind it is, is asked of the opened file: a name
/// can change what it means.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    at_once(&mut options);
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Has an opening wait for nobody. Reading and writing a regular file is not changed by that.
pub(crate) fn at_once(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// Reads a regular file, and no more than one byte above `max_bytes`: a longer result means a longer file. It is read to where it
/// stays, as it may be a secret: a vector that grows leaves copies behind.
pub(crate) fn read_regular(path: &Path, max_bytes: usize) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // A byte more, to find the end without growing.
    let mut content = Vec::with_capacity(length.min(max_bytes) + 1);
    file.take(max_bytes as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::read_regular;

    #[test]
    fn reads_regular_files_up_to_a_limit() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_regular(&file, 5).unwrap(), b"12345");
        assert_eq!(read_regular(&file, 3).unwrap(), b"1234");
        assert!(read_regular(&root.path().join("none"), 3).is_err());
        std::fs::write(&file, [7; 100_000]).unwrap();
        let content = read_regular(&file, 1 << 20).unwrap();
        assert_eq!((content.len(), content.capacity()), (100_000, 100_001), "it did not grow");
    }

    /// Were it opened as a file is, this test would not end.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        for path in [pipe, root.path().join("socket"), root.path().to_owned(), "/dev/zero".into()] {
            assert!(read_regular(&path, 10).is_err(), "{}", path.display());
        }
    }
}
