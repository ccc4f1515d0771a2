//! Ways to spoil one message.

use mpc_core::channel::Peer;

use super::act::{Act, Kind, Said};

/// Half of a message.
pub(super) fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// One bit turned over.
pub(super) fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// As many bytes that mean nothing; always the same.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new_derive_key("subrosa noise for tests").finalize_xof().fill(&mut out);
    out
}

/// A control message with this length in front, whatever its length is.
pub(super) fn with_length(length: u32, message: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], message].concat()
}

/// A way to spoil a message, by name.
pub(super) type Mischief = (&'static str, fn(&[u8]) -> Vec<Act>);

/// What ends inside a message, so that the rest never comes.
pub(super) const CUT: [Mischief; 4] = [
    ("cut short", |b| vec![Act::Write(half(b)), Act::Finish]),
    ("dropped half-way", |b| vec![Act::Write(half(b)), Act::Reset]),
    ("not said, but ended", |_| vec![Act::Finish]),
    ("announced longer than it is", |b| {
        vec![Act::Write(with_length(b.len() as u32 - 3, &b[4..])), Act::Finish]
    }),
];

/// A control message that is whole but not of the right size.
pub(super) const MISSIZED: [Mischief; 6] = [
    ("announced with 4 GiB", |b| vec![Act::Write(with_length(u32::MAX, &b[4..]))]),
    ("announced with more than any", |b| vec![Act::Write(with_length((2 << 20) + 1, &b[4..]))]),
    ("announced shorter than it is", |b| vec![Act::Write(with_length(b.len() as u32 - 5, &b[4..]))]),
    ("one byte too long", |b| vec![Act::Write(with_length(b.len() as u32 - 3, &[&b[4..], &[0]].concat()))]),
    ("one byte too short", |b| vec![Act::Write(with_length(b.len() as u32 - 5, &b[4..b.len() - 1]))]),
    ("empty", |_| vec![Act::Write(vec![0; 4])]),
];

/// What nothing comes after, on a connection that stays.
pub(super) const SILENT: [Mischief; 2] = [
    ("silent instead", |_| vec![Act::Silence]),
    ("silent half-way", |b| vec![Act::Write(half(b)), Act::Silence]),
];

/// What is recorded of a message of an earlier session.
pub(super) fn recorded(said: &[Said], kind: Kind, to: Peer) -> Option<Vec<u8>> {
    said.iter().find(|(k, p, _)| (*k, *p) == (kind, to)).map(|(_, _, bytes)| bytes.clone())
}
