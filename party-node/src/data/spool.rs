//! Blocks of bytes that are written once and read back while the node runs, so that memory does not grow with the rows of
//! a file: the first few megabytes are held, the rest is on disk.
//!
//! **On disk** is a file without a name (on systems that cannot make one, a name that is taken away at once), for its owner
//! alone, in the folder where the node's log has its own. Its content is encrypted (AES-128 in counter mode) under a key
//! that is drawn for this file and never leaves memory, so a crash, or a disk that is looked at later, shows nothing but
//! how much there was. A block's place in the file is its place in the keystream, and no place is written twice.
//!
//! **Read back** is what was written, or nothing: a keyed digest of every block stays in memory. What a party committed to
//! is therefore what it computes with, whatever happens to the disk meanwhile.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mpc_core::kernels::AesCtr;
use mpc_core::secret::SecretBytes;
use zeroize::{Zeroize as _, Zeroizing};

use crate::private_file::unnamed_file;

/// Of each file's cells, and of its row ids, this much is held in memory.
const HELD_BYTES: usize = 4 << 20;

const LEAST_BLOCK_BYTES: usize = 4 << 10;

/// Where rows are kept that are more than memory is meant to hold.
#[derive(Clone, Debug)]
pub struct SpoolPlace {
    folder: PathBuf,
    held_bytes: usize,
}

impl SpoolPlace {
    /// In `folder`, or in the first folder above it that exists.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), held_bytes: HELD_BYTES }
    }

    /// Beside a node's log: the operator chose that disk for what the node writes, and a system's folder for temporary
    /// files may itself be memory.
    #[must_use]
    pub fn beside(log_dir: &Path) -> Self {
        Self::new(log_dir.parent().unwrap_or(log_dir))
    }

    /// The system's folder for temporary files.
    #[must_use]
    pub fn temporary() -> Self {
        Self::new(&std::env::temp_dir())
    }

    /// The same place with another limit of what is held in memory.
    #[must_use]
    pub fn holding(self, held_bytes: usize) -> Self {
        Self { held_bytes, ..self }
    }

    /// How large blocks of rows are here: `most`, or less where little is held.
    pub(super) fn block_bytes(&self, most: usize) -> usize {
        most.min(self.held_bytes / 4).max(LEAST_BLOCK_BYTES)
    }

    /// The folder that exists.
    pub(super) fn folder(&self) -> &Path {
        let there = self.folder.ancestors().find(|f| f.is_dir());
        there.unwrap_or_else(|| Path::new("."))
    }
}

/// Blocks in the order in which they were added. Wiped on drop.
pub(super) struct Spool {
    place: SpoolPlace,
    held_bytes: usize,
    blocks: Vec<Block>,
    disk: Option<Disk>,
}

enum Block {
    Held(Zeroizing<Vec<u8>>),
    Written { at: u64, len: usize, digest: blake3::Hash },
}

struct Disk {
    file: Mutex<File>,
    /// Key and start of the keystream.
    cipher: SecretBytes,
    digests: SecretBytes,
    end: u64,
}

mpc_core::secret_types!(serde::Serialize; Spool, Block, Disk);

impl Spool {
    pub(super) const fn new(place: SpoolPlace) -> Self {
        Self { place, held_bytes: 0, blocks: Vec::new(), disk: None }
    }

    /// How many blocks there are.
    pub(super) const fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Adds a block.
    pub(super) fn append(&mut self, block: &[u8]) -> Result<()> {
        let block = if self.held_bytes + block.len() <= self.place.held_bytes {
            self.held_bytes += block.len();
            Block::Held(Zeroizing::new(block.to_vec()))
        } else {
            if self.disk.is_none() {
                self.disk = Some(Disk::new(self.place.folder())?);
            }
            let disk = self.disk.as_mut().expect("invariant: it was made just now");
            disk.write(block)?
        };
        self.blocks.push(block);
        Ok(())
    }

    /// Replaces `out` by a block.
    pub(super) fn read(&self, number: usize, out: &mut Zeroizing<Vec<u8>>) -> Result<()> {
        match (&self.blocks[number], &self.disk) {
            (Block::Held(block), _) => {
                resize(out, block.len());
                out.copy_from_slice(block);
                Ok(())
            }
            (&Block::Written { at, len, digest }, Some(disk)) => {
                resize(out, len);
                if disk.read(at, digest, out)? {
                    return Ok(());
                }
                out.zeroize();
                let what = format!("block {} is not what was written there", number + 1);
                Err(Error::new(ErrorKind::InvalidData, what))
            }
            (Block::Written { .. }, None) => unreachable!("invariant: what was written has a file"),
        }
    }
}

/// Gives `out` a length without leaving a copy of what it held.
fn resize(out: &mut Zeroizing<Vec<u8>>, len: usize) {
    if out.capacity() < len {
        *out = Zeroizing::new(Vec::with_capacity(len));
    }
    out.resize(len, 0);
}

impl Disk {
    fn new(folder: &Path) -> Result<Self> {
        let file = Mutex::new(unnamed_file(folder)?);
        Ok(Self { file, cipher: random()?, digests: random()?, end: 0 })
    }

    fn write(&mut self, block: &[u8]) -> Result<Block> {
        let at = self.end;
        // Held by nobody but this function, and encrypted before it goes: what is left of it is what is on disk.
        let mut encrypted = vec![0; block.len()];
        self.stream(at).fill(&mut encrypted);
        xor(&mut encrypted, block);
        let digest = self.digest(at, &encrypted);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        // The place counts as used before it is: what comes after a failed write is encrypted with other bytes.
        self.end += block.len() as u64;
        file.write_all(&encrypted)?;
        Ok(Block::Written { at, len: block.len(), digest })
    }

    /// Fills `out` from `at`; false if that is not what was written.
    fn read(&self, at: u64, digest: blake3::Hash, out: &mut [u8]) -> Result<bool> {
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(out)?;
        }
        if self.digest(at, out) != digest {
            return Ok(false);
        }
        let mut pad = Zeroizing::new(vec![0; out.len()]);
        self.stream(at).fill(&mut pad);
        xor(out, &pad);
        Ok(true)
    }

    fn stream(&self, at: u64) -> AesCtr {
        let mut stream = AesCtr::new(self.cipher.expose());
        stream.skip(at);
        stream
    }

    /// Of what is on disk at this place. Comparing digests takes the same time wherever they differ.
    fn digest(&self, at: u64, encrypted: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(self.digests.expose());
        hasher.update(&at.to_le_bytes()).update(encrypted).finalize()
    }
}

fn random() -> Result<SecretBytes> {
    let mut bytes = SecretBytes::zeros();
    getrandom::fill(bytes.expose_mut())
        .map_err(|e| Error::other(format!("the system gave no randomness: {e}")))?;
    Ok(bytes)
}

fn xor(out: &mut [u8], other: &[u8]) {
    out.iter_mut().zip(other).for_each(|(o, x)| *o ^= x);
}

#[cfg(test)]
mod tests;
