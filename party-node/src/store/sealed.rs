//! One copy's file: its bytes under a keystream, and after them 32 bytes that authenticate them and their name.
//!
//! Key, stream and authentication are this copy's alone: its key is fresh, and series, number and purpose are in the name of the
//! streams or in what is authenticated. So a file is no copy of another number, series, program or set of parties.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use mpc_core::prg::Prg;
use mpc_core::tag::{SessionId, Tag};
use protocols::prep::stored::CopyReader;
use zeroize::{Zeroize as _, Zeroizing};

use super::files::{Files, failed};
use super::steps::step;
use super::{StoreError, seed};
use crate::net::SecretBytes;

/// Bytes of the authentication.
const TAG_BYTES: usize = 32;
/// Bytes of the stream that are made at a time.
const PIECE_BYTES: usize = 1 << 16;

/// Which copy this is.
pub(super) struct CopyName {
    pub(super) series: SessionId,
    pub(super) copy: u32,
    pub(super) purpose: [u8; 32],
}

impl CopyName {
    fn stream(&self, key: &SecretBytes, label: &'static str) -> Prg {
        let tag = Tag { lane: 0, node: self.copy, iteration: 0, round: 0 };
        Prg::new(&seed(key), &self.series, tag, label, 0)
    }

    fn mac(&self, key: &SecretBytes) -> Mac {
        let mut own = SecretBytes::zeros();
        self.stream(key, "store mac").fill(own.expose_mut());
        let mut mac = Mac(blake3::Hasher::new_keyed(own.expose()));
        mac.0.update(b"subrosa/store-copy/1\0").update(&self.series.0);
        mac.0.update(&self.copy.to_le_bytes()).update(&self.purpose);
        mac
    }
}

/// Authenticates; its key is wiped on drop.
struct Mac(blake3::Hasher);

impl Drop for Mac {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Writes one copy.
pub(super) struct Sealing {
    path: PathBuf,
    file: File,
    stream: Prg,
    mac: Mac,
    pad: Zeroizing<Vec<u8>>,
    bytes: u64,
}

/// A copy that was taken out of the store: authenticated, and decrypted as it is used.
pub struct OpenCopy {
    sealed: Vec<u8>,
    at: usize,
    stream: Prg,
}

mpc_core::secret_types!(serde::Serialize; Mac, Sealing, OpenCopy);

impl Sealing {
    pub(super) fn new(
        files: &Files,
        path: PathBuf,
        key: &SecretBytes,
        name: &CopyName,
    ) -> Result<Self, StoreError> {
        let file = files.create(&path)?;
        let (stream, mac) = (name.stream(key, "store"), name.mac(key));
        Ok(Self { path, file, stream, mac, pad: Zeroizing::new(vec![0; PIECE_BYTES]), bytes: 0 })
    }

    /// Encrypts the next bytes in place and writes them.
    pub(super) fn append(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        for piece in bytes.chunks_mut(PIECE_BYTES) {
            let pad = &mut self.pad[..piece.len()];
            self.stream.fill(pad);
            piece.iter_mut().zip(pad).for_each(|(b, pad)| *b ^= *pad);
        }
        self.mac.0.update(bytes);
        self.bytes += bytes.len() as u64;
        self.write(bytes)
    }

    /// Makes the file durable; gives the bytes of the copy.
    pub(super) fn finish(mut self) -> Result<u64, StoreError> {
        let tag = self.mac.0.finalize();
        self.write(tag.as_bytes())?;
        step(|| ());
        self.file.sync_all().map_err(failed("synchronise", &self.path))?;
        Ok(self.bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut other = &self.file;
        step(|| drop(other.write_all(&bytes[..bytes.len() / 2])));
        self.file.write_all(bytes).map_err(failed("write", &self.path))
    }
}

/// Reads a copy and checks all of it.
pub(super) fn open(
    path: &Path,
    key: &SecretBytes,
    name: &CopyName,
    bytes: u64,
) -> Result<OpenCopy, StoreError> {
    let damaged = |what| StoreError::Damaged { path: path.into(), what };
    let file = File::open(path).map_err(failed("read", path))?;
    let (length, expected) = (file.metadata().map_err(failed("read", path))?.len(), bytes + TAG_BYTES as u64);
    if length != expected {
        return Err(damaged("it is longer or shorter than it was"));
    }
    let mut sealed = Vec::with_capacity(expected as usize);
    file.take(expected).read_to_end(&mut sealed).map_err(failed("read", path))?;
    let Some((content, tag)) = sealed.split_last_chunk::<TAG_BYTES>() else {
        return Err(damaged("it is longer or shorter than it was"));
    };
    let mut mac = name.mac(key);
    mac.0.update(content);
    // In constant time, though there is nobody to learn from it.
    if mac.0.finalize() != blake3::Hash::from_bytes(*tag) {
        return Err(damaged("its content is not what was written"));
    }
    Ok(OpenCopy { sealed, at: 0, stream: name.stream(key, "store") })
}

impl CopyReader for OpenCopy {
    fn read(&mut self, out: &mut [u8]) {
        let sealed = &self.sealed[self.at..self.sealed.len() - TAG_BYTES][..out.len()];
        self.stream.fill(out);
        out.iter_mut().zip(sealed).for_each(|(b, s)| *b ^= s);
        self.at += out.len();
    }
}
