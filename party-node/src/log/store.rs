//! The directory of one node's log: append-only and crash-safe.
//!
//! A commit writes the new tiles, then replaces the checkpoint, then removes the partial tiles that the new ones
//! supersede. Replacing the checkpoint is the commit point: every tile it needs is durable before, and no tile of the
//! old checkpoint is touched until it is durable itself. So whenever the process dies, the directory holds one whole
//! log, the old or the new, and perhaps files that belong to neither; opening it checks the whole log and then removes
//! those, and says which.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ed25519_dalek::{SigningKey, VerifyingKey};
use mpc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mpc_core::merkle::{self, Frontier, TreeHash, leaf_hash};
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Entry, MAX_ENTRY_BYTES, Witnessed};

use super::error::LogError;
use super::files::{Disk, Files};
use super::found::Found;
use super::layout::{self, CHECKPOINT, LOCK, TEMPORARY, TILE_WIDTH, Tile, TileKind};
use super::listing::Listing;
use super::read::RawLog;
use crate::regular_file::at_once;

/// How long an open log is waited for, and how often it is looked at.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// One node's log, open for writing.
pub struct LogStore {
    dir: PathBuf,
    files: Box<dyn Files>,
    /// Holds the lock as long as it is open.
    _lock: File,
    name: String,
    /// In a place of its own: moving the store leaves no copy.
    key: Box<SigningKey>,
    committed: SignedCheckpoint,
    frontier: Frontier,
    /// The bundle under way: encoded entries.
    bundle: Vec<u8>,
    /// The hash tile under way of each level.
    levels: Vec<Vec<TreeHash>>,
    /// Tiles that became full since the last commit.
    full: Vec<(Tile, Vec<u8>)>,
    /// Directories known to exist and to be durable.
    known_dirs: BTreeSet<PathBuf>,
    recovered: Vec<String>,
    stopped: bool,
}

impl LogStore {
    /// Opens the log in `dir`, or begins one there. `name` is the node's name in every roster and the log's origin;
    /// `key` signs its checkpoints.
    ///
    /// # Errors
    /// A [`LogError`]: the directory is in use, belongs to another name or key, is damaged, or contains files that are
    /// not of a log. Nothing is changed then.
    pub fn open_or_create(dir: &Path, name: &str, key: SigningKey) -> Result<Self, LogError> {
        Self::open_with(dir, name, key, Box::new(Disk)).map(|(store, _)| store)
    }

    /// As [`LogStore::open_or_create`], with the file operations to use; also returns the entries there are.
    pub(super) fn open_with(
        dir: &Path,
        name: &str,
        key: SigningKey,
        mut files: Box<dyn Files>,
    ) -> Result<(Self, Vec<Vec<u8>>), LogError> {
        fs::create_dir_all(dir).map_err(LogError::io("create", dir))?;
        let lock = lock(dir)?;
        let listing = Listing::of(dir).map_err(LogError::io("list", dir))?;
        let empty = Checkpoint::new(name, 0, merkle::empty_root())
            .map_err(|e| LogError::Damaged { dir: dir.to_owned(), what: e.to_string() })?
            .sign(&key);
        let mut store = Self {
            dir: dir.to_owned(),
            committed: empty,
            _lock: lock,
            name: name.to_owned(),
            key: Box::new(key),
            frontier: Frontier::new(),
            bundle: Vec::new(),
            levels: Vec::new(),
            full: Vec::new(),
            known_dirs: BTreeSet::from([dir.to_owned()]),
            recovered: Vec::new(),
            stopped: false,
            files: Box::new(Disk),
        };
        let found = Found::of(dir, name, &store.key.verifying_key(), &listing)?;
        let mut entries = Vec::new();
        let is_new = found.raw.is_none();
        if let Some(raw) = found.raw {
            store.take(&raw);
            store.remove_leftovers(&listing, found.leftovers, files.as_mut())?;
            entries = raw.entries;
        }
        std::mem::swap(&mut store.files, &mut files);
        if is_new {
            store.replace_checkpoint(store.committed.clone())?;
            if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
                store.files.sync_dir(parent).map_err(LogError::io("sync", parent))?;
            }
        }
        Ok((store, entries))
    }

    /// Takes a log that was found as the committed state.
    fn take(&mut self, raw: &RawLog) {
        raw.entries.iter().zip(&raw.leaves).for_each(|(entry, leaf)| self.stage(entry, *leaf));
        self.full.clear();
        if let Some(head) = &raw.checkpoint {
            self.committed = head.clone();
        }
    }

    /// Removes what an interrupted commit left behind.
    fn remove_leftovers(
        &mut self,
        listing: &Listing,
        leftovers: Vec<String>,
        files: &mut dyn Files,
    ) -> Result<(), LogError> {
        for file in leftovers {
            let path = self.dir.join(&file);
            files.remove_file(&path).map_err(LogError::io("remove", &path))?;
            self.remove_empty_parents(&path, files);
            self.recovered.push(file);
        }
        for dir in &listing.empty_dirs {
            let path = self.dir.join(dir);
            files.remove_dir(&path).map_err(LogError::io("remove", &path))?;
            self.remove_empty_parents(&path, files);
        }
        Ok(())
    }

    /// Removing a directory that is not empty fails, and that is where to end.
    fn remove_empty_parents(&self, path: &Path, files: &mut dyn Files) {
        for parent in path.ancestors().skip(1).take_while(|p| *p != self.dir) {
            if files.remove_dir(parent).is_err() {
                break;
            }
        }
    }

    /// The log's directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The key that checkpoints verify under.
    pub(super) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// Entries, staged ones included.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Root over all entries, staged ones included.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        self.frontier.root()
    }

    /// The checkpoint on disk.
    #[must_use]
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.committed
    }

    /// Files of an interrupted commit that were removed when the log was opened. Nothing in them was ever confirmed.
    #[must_use]
    pub fn recovered(&self) -> &[String] {
        &self.recovered
    }

    /// Stages entries; [`LogStore::commit`] makes them durable.
    ///
    /// # Errors
    /// [`LogError::EntryTooLong`], and then none of them is staged; [`LogError::Stopped`] after a failed commit.
    pub fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), LogError> {
        self.check_running()?;
        if let Some(entry) = entries.iter().find(|e| e.len() > MAX_ENTRY_BYTES) {
            return Err(LogError::EntryTooLong { got: entry.len() });
        }
        entries.iter().for_each(|entry| self.stage(entry, leaf_hash(entry)));
        Ok(())
    }

    fn check_running(&self) -> Result<(), LogError> {
        if self.stopped { Err(LogError::Stopped { dir: self.dir.clone() }) } else { Ok(()) }
    }

    /// The length was checked by the caller.
    fn stage(&mut self, entry: &[u8], leaf: TreeHash) {
        let index = self.frontier.size() / TILE_WIDTH;
        self.bundle.extend_from_slice(&(entry.len() as u16).to_be_bytes());
        self.bundle.extend_from_slice(entry);
        self.frontier.push(leaf);
        if self.frontier.size().is_multiple_of(TILE_WIDTH) {
            let tile = Tile { kind: TileKind::Entries, index, width: TILE_WIDTH };
            self.full.push((tile, std::mem::take(&mut self.bundle)));
        }
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH as usize {
                break;
            }
            let hashes = std::mem::take(hashes);
            hash = merkle::root(&hashes);
            let kind = TileKind::Hashes { level: level as u8 };
            let index = (self.frontier.size() >> (8 * (level + 1))) - 1;
            self.full.push((Tile { kind, index, width: TILE_WIDTH }, concat(&hashes)));
        }
    }

    /// Makes all staged entries durable under a new checkpoint. When this returns, they survive a crash.
    ///
    /// # Errors
    /// [`LogError::Io`]. It is then unknown which of the two checkpoints is on the disk, so the store refuses everything
    /// after that; opening the log again finds out.
    pub fn commit(&mut self) -> Result<SignedCheckpoint, LogError> {
        self.check_running()?;
        if self.size() == self.committed.checkpoint().size() {
            return Ok(self.committed.clone());
        }
        let done = self.try_commit();
        self.stopped = done.is_err();
        done
    }

    fn try_commit(&mut self) -> Result<SignedCheckpoint, LogError> {
        let before = layout::partial_tiles(self.committed.checkpoint().size());
        let after = layout::partial_tiles(self.size());
        // A partial tile of unchanged width has unchanged content.
        let mut new = std::mem::take(&mut self.full);
        new.extend(after.iter().filter(|t| !before.contains(t)).map(|&t| (t, self.partial_content(t))));

        let mut changed_dirs = BTreeSet::new();
        for (tile, content) in &new {
            let path = self.dir.join(tile.to_string());
            if let Some(parent) = path.parent() {
                self.ensure_dir(parent)?;
                changed_dirs.insert(parent.to_owned());
            }
            self.put(&path, content)?;
        }
        for dir in &changed_dirs {
            self.files.sync_dir(dir).map_err(LogError::io("sync", dir))?;
        }
        let head = Checkpoint::new(self.name.as_str(), self.size(), self.root())
            .map_err(|e| LogError::Damaged { dir: self.dir.clone(), what: e.to_string() })?;
        self.replace_checkpoint(head.sign(&self.key))?;

        // From here on the commit has happened; what is left undone, the next opening does.
        for tile in before.iter().filter(|t| !after.contains(t)) {
            let path = self.dir.join(tile.to_string());
            self.files.remove_file(&path).map_err(LogError::io("remove", &path))?;
            // `000.p` stays as long as there is another partial tile of the same index.
            if let Some(parent) = path.parent()
                && !after.iter().any(|t| (t.kind, t.index) == (tile.kind, tile.index))
            {
                self.files.remove_dir(parent).map_err(LogError::io("remove", parent))?;
                self.known_dirs.remove(parent);
            }
        }
        Ok(self.committed.clone())
    }

    /// Puts a session's cosigned checkpoint beside the tiles and makes the entry that fixes it durable. A crash in
    /// between leaves a file that no entry fixes, which the next opening removes: the session then has no witnesses.
    ///
    /// # Errors
    /// As [`LogStore::commit`].
    pub fn keep_cosigned(
        &mut self,
        session: SessionId,
        cosigned: &SignedCheckpoint,
    ) -> Result<SignedCheckpoint, LogError> {
        self.check_running()?;
        let done = self.try_keep_cosigned(session, cosigned);
        self.stopped = done.is_err();
        done
    }

    fn try_keep_cosigned(
        &mut self,
        session: SessionId,
        cosigned: &SignedCheckpoint,
    ) -> Result<SignedCheckpoint, LogError> {
        let path = self.dir.join(layout::cosigned(&session));
        let parent = path.parent().unwrap_or(&self.dir).to_owned();
        self.ensure_dir(&parent)?;
        self.put(&path, cosigned.to_string().as_bytes())?;
        self.files.sync_dir(&parent).map_err(LogError::io("sync", &parent))?;
        self.append(&[Entry::Witnessed(Witnessed::new(session, cosigned)).encode()])?;
        self.commit()
    }

    fn partial_content(&self, tile: Tile) -> Vec<u8> {
        match tile.kind {
            TileKind::Entries => self.bundle.clone(),
            TileKind::Hashes { level } => concat(&self.levels[usize::from(level)]),
        }
    }

    fn ensure_dir(&mut self, dir: &Path) -> Result<(), LogError> {
        if self.known_dirs.contains(dir) {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.ensure_dir(parent)?;
            if !dir.is_dir() {
                self.files.create_dir(dir).map_err(LogError::io("create", dir))?;
            }
            self.files.sync_dir(parent).map_err(LogError::io("sync", parent))?;
        }
        self.known_dirs.insert(dir.to_owned());
        Ok(())
    }

    /// Writes a whole file or none; durable once its directory is synchronised.
    fn put(&mut self, path: &Path, content: &[u8]) -> Result<(), LogError> {
        let temporary = self.dir.join(TEMPORARY);
        self.files.write_synced(&temporary, content).map_err(LogError::io("write", path))?;
        self.files.rename(&temporary, path).map_err(LogError::io("put in place", path))
    }

    fn replace_checkpoint(&mut self, head: SignedCheckpoint) -> Result<(), LogError> {
        self.put(&self.dir.join(CHECKPOINT), head.to_string().as_bytes())?;
        self.files.sync_dir(&self.dir).map_err(LogError::io("sync", &self.dir))?;
        self.committed = head;
        Ok(())
    }
}

fn concat(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|h| h.0).collect()
}

fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK);
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    at_once(&mut options);
    let file = options.open(&path);
    try_lock(dir, file.map_err(LogError::io("open", &path))?)
}

/// Locks the file that stands for the log in `dir`.
pub(super) fn try_lock(dir: &Path, file: File) -> Result<File, LogError> {
    // A process that is ending, or a child between its fork and its start, may hold the lock for a moment longer.
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_LOOK),
            Err(TryLockError::WouldBlock) => return Err(LogError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(e)) => return Err(LogError::io("lock", dir)(e)),
        }
    }
}
