//! Files and folders for their owner alone. The mode is set when they are made, so it is never wider for a moment, and no
//! umask widens it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read as _, Result, Seek as _, Write};
use std::path::{Path, PathBuf};

/// Files are written in pieces of this size.
const BUFFER_BYTES: usize = 64 << 10;

/// Replaces `file` in one step and durably, so that a reader never sees half of it, also after a crash. On Unix, others
/// than its owner cannot read it. A write that fails, on a full disk for instance, leaves nothing.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> Result<()> {
    Reserved::new(file, 0)?.write(content)
}

/// The place of a file that will be written later: made, and with room on the disk, beside the file that it will replace.
/// Dropped without a write, it leaves nothing. One process at a time reserves a file.
#[derive(Debug)]
pub(crate) struct Reserved {
    file: PathBuf,
    partial: PathBuf,
    out: File,
}

impl Reserved {
    /// Makes the place of `file` for about `bytes` bytes; its folder must be there.
    pub(crate) fn new(file: &Path, bytes: u64) -> Result<Self> {
        refuse_folder(file)?;
        let mut partial = file.as_os_str().to_owned();
        partial.push(".sbr-tmp");
        let partial = PathBuf::from(partial);
        // A file that a crash left behind may have another mode.
        match std::fs::remove_file(&partial) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let out = options.open(&partial)?;
        let mut place = Self { file: file.to_owned(), partial, out };
        if bytes > 0 {
            // Room is only there once it is written to.
            std::io::copy(&mut std::io::repeat(0).take(bytes), &mut place.out)?;
            place.out.sync_all()?;
        }
        Ok(place)
    }

    /// Puts the content in the file's place.
    pub(crate) fn write(mut self, content: &[u8]) -> Result<()> {
        self.out.rewind()?;
        // As it is: what it may say of a secret would stay in a buffer.
        self.out.write_all(content)?;
        self.put()
    }

    /// Puts what `content` writes in the file's place.
    pub(crate) fn write_with(mut self, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        self.out.rewind()?;
        let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, &mut self.out);
        content(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        self.put()
    }

    /// Ends the file where it was written up to, and gives it its name.
    fn put(mut self) -> Result<()> {
        let length = self.out.stream_position()?;
        self.out.set_len(length)?;
        self.out.sync_all()?;
        std::fs::rename(&self.partial, &self.file)?;
        match self.file.parent() {
            #[cfg(unix)]
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // Fails where it is in the file's place already.
        let _nothing_there = std::fs::remove_file(&self.partial);
    }
}

/// A file without a name in `folder`: when it is closed, by whatever ends the process, it is gone.
pub(crate) fn unnamed_file(folder: &Path) -> Result<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = OpenOptions::new();
        let flags = rustix::fs::OFlags::TMPFILE.bits().cast_signed();
        options.read(true).write(true).mode(0o600).custom_flags(flags);
        if let Ok(file) = options.open(folder) {
            return Ok(file);
        }
        // Not every file system has such files; any other trouble comes again.
    }
    let named = tempfile::Builder::new().prefix(".sbr-rows-").tempfile_in(folder)?;
    // Takes the name away.
    Ok(named.into_file())
}

/// Whether `file` could be written: it is no folder, and files can be made where it belongs. Leaves nothing.
pub(crate) fn probe_file(file: &Path) -> Result<()> {
    refuse_folder(file)?;
    probe_folder(file.parent().unwrap_or(file))
}

/// Whether files can be made in `folder`, or the folder itself where it is missing. Leaves nothing.
pub(crate) fn probe_folder(folder: &Path) -> Result<()> {
    let there =
        folder.ancestors().find(|f| std::fs::symlink_metadata(f).is_ok()).unwrap_or_else(|| Path::new("."));
    if !std::fs::metadata(there)?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    tempfile::Builder::new().prefix(".sbr-probe-").tempfile_in(there).map(drop)
}

fn refuse_folder(file: &Path) -> Result<()> {
    if file.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(()) }
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
    use super::{Reserved, create_private_folder, probe_file, probe_folder, unnamed_file, write_private};

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
        // A folder in the file's place.
        let file = root.path().join("scores.csv");
        std::fs::create_dir(&file).unwrap();
        assert!(write_private(&file, b"new").is_err());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_reserved_place_has_room_and_leaves_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("scores.csv");
        let partial = root.path().join("scores.csv.sbr-tmp");
        std::fs::write(&file, "old").unwrap();
        let place = Reserved::new(&file, 10_000).unwrap();
        assert_eq!(std::fs::metadata(&partial).unwrap().len(), 10_000);
        drop(place);
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        assert!(!partial.exists());
        for content in [b"short".to_vec(), vec![b'x'; 20_000]] {
            Reserved::new(&file, 10_000).unwrap().write(&content).unwrap();
            assert_eq!(std::fs::read(&file).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unnamed_file_is_its_owners_and_has_no_name() {
        use std::io::{Read as _, Seek as _, Write as _};
        let root = tempfile::tempdir().unwrap();
        let mut file = unnamed_file(root.path()).unwrap();
        file.write_all(b"rows").unwrap();
        file.rewind().unwrap();
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "rows");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(unnamed_file(&root.path().join("none")).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_probe_finds_what_a_write_would_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let (folder, file) = (root.path().join("folder"), root.path().join("file"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "here").unwrap();
        for fine in [&file, &folder.join("new"), &root.path().join("new/newer/file")] {
            probe_file(fine).unwrap();
        }
        for bad in [&folder, &file.join("below")] {
            assert!(probe_file(bad).is_err(), "{}", bad.display());
        }
        for fine in [&folder, &folder.join("a/b")] {
            probe_folder(fine).unwrap();
        }
        for bad in [&file, &file.join("a/b")] {
            assert!(probe_folder(bad).is_err(), "{}", bad.display());
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
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
