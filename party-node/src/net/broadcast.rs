//! A round in which the own message is made while it is sent and the others' are used while they come, a frame at a time.
//!
//! After every own frame the lane uses what has come by then, so that frames are used while they are in the caches, and little
//! of either message waits. It never blocks on a queue that its own frames fill (`put_more`): the message as a whole is
//! what waits there at most, as if it had been put at once, and see `queue` why that cannot deadlock.

use bytes::Bytes;
use mpc_core::channel::{Broadcast, ChannelError};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::Tag;

use super::channel::Lane;
use super::frame::{FRAME_MAX_BYTES, Outgoing};
use super::links::Links;
use super::pump::Duplex;
use super::runtime::Watch;

/// Bytes that are put together out of packets before they are handed over: they stay in the second-level cache.
pub(super) const GATHERED_BYTES: usize = 256 << 10;

impl Lane {
    /// `watch` is told when the lane begins to wait.
    pub(super) fn broadcast(
        &self,
        links: &Links,
        watch: &Watch,
        tag: Tag,
        bytes: usize,
        message: &mut dyn Broadcast,
    ) -> Result<(), ChannelError> {
        if let Some(error) = links.failure() {
            return Err(error);
        }
        let n = self.peers.parties();
        let mut left = PerParty::from_fn(n, |_| bytes);
        let mut gathered = Vec::with_capacity(GATHERED_BYTES.min(bytes));
        for start in (0..bytes).step_by(FRAME_MAX_BYTES) {
            let end = bytes.min(start + FRAME_MAX_BYTES);
            let part = message.make(start..end);
            for to in self.me.others(n) {
                let out = Outgoing { tag, message: bytes, part: part.clone() };
                self.send_part(links, to, out, start == 0)?;
            }
            for from in self.me.others(n) {
                let Some(duplex) = &self.peers[from] else { continue };
                // Up to where the own message is made.
                if left[from] > bytes - end && duplex.incoming.has(|_| true) {
                    let take = &mut |piece: &[u8]| message.take(from, piece);
                    left[from] -= self.take_frame(
                        links,
                        (from, duplex),
                        tag,
                        (bytes, left[from]),
                        &mut gathered,
                        take,
                    )?;
                }
            }
        }
        watch.begin();
        for from in self.me.others(n) {
            let Some(duplex) = &self.peers[from] else { continue };
            while left[from] > 0 {
                let take = &mut |piece: &[u8]| message.take(from, piece);
                left[from] -=
                    self.take_frame(links, (from, duplex), tag, (bytes, left[from]), &mut gathered, take)?;
            }
        }
        Ok(())
    }

    fn send_part(&self, links: &Links, to: PartyId, out: Outgoing, first: bool) -> Result<(), ChannelError> {
        match &self.peers[to] {
            Some(duplex) if !first => duplex.outgoing.put_more(out.part.len(), out),
            _ => self.put(links, to, out),
        }
    }

    /// Hands the next frame of a message over, in pieces that the packets of the network were put together to. Gives its
    /// length.
    pub(super) fn take_frame(
        &self,
        links: &Links,
        peer: (PartyId, &Duplex),
        tag: Tag,
        (bytes, left): (usize, usize),
        gathered: &mut Vec<u8>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, ChannelError> {
        let pieces = self.next_payload(links, peer, tag, bytes, left)?;
        if let [only] = &pieces[..] {
            take(only);
        } else {
            gather(&pieces, gathered, take);
        }
        Ok(left.min(FRAME_MAX_BYTES))
    }
}

/// Puts pieces together to longer ones of one length, and the last.
fn gather(pieces: &[Bytes], gathered: &mut Vec<u8>, take: &mut dyn FnMut(&[u8])) {
    gathered.clear();
    for piece in pieces {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let (now, after) = rest.split_at(rest.len().min(GATHERED_BYTES - gathered.len()));
            gathered.extend_from_slice(now);
            rest = after;
            if gathered.len() == GATHERED_BYTES {
                take(gathered);
                gathered.clear();
            }
        }
    }
    if !gathered.is_empty() {
        take(gathered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_in_order() {
        let all: Vec<u8> = (0..3 * GATHERED_BYTES + 77).map(|i| (i % 251) as u8).collect();
        for size in [1000, GATHERED_BYTES - 1, GATHERED_BYTES, 2 * GATHERED_BYTES + 1] {
            let pieces: Vec<Bytes> = all.chunks(size).map(Bytes::copy_from_slice).collect();
            let (mut handed, mut lengths) = (Vec::new(), Vec::new());
            gather(&pieces, &mut vec![1, 2, 3], &mut |piece| {
                handed.extend_from_slice(piece);
                lengths.push(piece.len());
            });
            assert_eq!(handed, all);
            assert_eq!(lengths, [GATHERED_BYTES, GATHERED_BYTES, GATHERED_BYTES, 77]);
        }
    }
}
