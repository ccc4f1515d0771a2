//! Files and folders for their owner alone. The mode is set when they are made, so it is never wider for a moment, and no
//! umask widens it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

/// Replaces `file` in one step and durably, so that a reader never sees half of it, also after a crash. On Unix, others
/// than its owner cannot read it. A write that fails, on a full disk for instance, leaves nothing.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".sbr-tmp");
    let partial = PathBuf::from(partial);
    write_whole(&partial, content).and_then(|()| std::fs::rename(&partial, file)).inspect_err(|_| {
        // Fails where there is nothing to remove.
        let _nothing_there = std::fs::remove_file(&partial);
    })?;
    match file.parent() {
        #[cfg(unix)]
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_whole(partial: &Path, content: &[u8]) -> Result<()> {
    // A file that a crash left behind may have another mode.
    match std::fs::remove_file(partial) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(partial)?;
    out.write_all(content)?;
    out.sync_all()
}

/// Makes a folder, with those above it that are missing. One that exists is left as it is.
pub(crate) fn create_private_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::{create_private_folder, write_private};

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

    #[test]
    fn a_failure_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        // A folder in the file's place: everything but the last step succeeds.
        let file = root.path().join("scores.csv");
        std::fs::create_dir(&file).unwrap();
        assert!(write_private(&file, b"new").is_err());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_are_made_and_left() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        create_private_folder(&folder).unwrap();
        create_private_folder(&folder).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!([mode(folder.clone()), mode(root.path().join("a"))], [0o700, 0o700]);
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o750)).unwrap();
            create_private_folder(&folder).unwrap();
            assert_eq!(mode(folder), 0o750);
        }
    }
}
