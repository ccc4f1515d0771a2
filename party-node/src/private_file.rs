//! Files that only their owner may read.

use std::fs::OpenOptions;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

/// Replaces `file` in one step and durably, so that a reader never sees half of it, also after a crash. On Unix, others
/// than its owner cannot read it.
pub(super) fn write_private(file: &Path, content: &[u8]) -> Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".sbr-tmp");
    let partial = PathBuf::from(partial);
    // A file that a crash left behind may have another mode.
    match std::fs::remove_file(&partial) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&partial)?;
    out.write_all(content)?;
    out.sync_all()?;
    std::fs::rename(&partial, file)?;
    match file.parent() {
        #[cfg(unix)]
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::write_private;

    #[test]
    fn replaces_and_hides() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scores.csv");
        std::fs::write(&file, "old").unwrap();
        std::fs::write(folder.path().join("scores.csv.sbr-tmp"), "left behind").unwrap();
        write_private(&file, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
