//! The sender of COTs: holds Δ and the punctured trees, reads corrections.

use mpc_core::fixed_key::Block;
use mpc_core::kernels::transpose_128;

use super::check::Check;
use super::streams::{ROWS, STRIDE, Streams, Tile};
use super::tree::Forest;
use super::{Batch, FieldBits};
use crate::ot::extension::{Delta, SentCots};

pub(super) struct Sender {
    field: FieldBits,
    delta: Delta,
    streams: Streams,
    next: u64,
    /// Digest of the setup if there is a check.
    setup: Option<[u8; 32]>,
}

mpc_core::secret_types!(Sender);

impl Sender {
    /// From the planter's message; `None` if the planter is caught.
    pub(super) fn new(forest: &Forest, delta: Block, base: &[Block], message: &[u8]) -> Option<Self> {
        let leaves = forest.puncture(delta, base, message)?;
        let streams = Streams::new(forest.field, &leaves, true);
        Some(Self {
            field: forest.field,
            delta: Delta::from(delta),
            streams,
            next: 0,
            setup: forest.digest(message),
        })
    }

    /// The next `count` COTs; `None` if the receiver is caught.
    pub(super) fn extend(&mut self, count: usize, tile: &mut Tile, message: &[u8]) -> Option<SentCots> {
        let batch = Batch::new(count, self.setup.is_some());
        debug_assert_eq!(message.len(), batch.message_bytes(self.field));
        let mut cots =
            SentCots { delta: Delta::from(*self.delta), q: Vec::with_capacity(count), first: self.next };
        self.next += count as u64;
        let mut check = self.setup.as_ref().map(|setup| Check::new(setup, cots.first));
        let mut rest = message;
        for (columns, kept, last) in batch.tiles() {
            let words = columns.len() / 64;
            let (corrections, later) = rest.split_at(8 * words * (self.field.trees() - 1));
            rest = later;
            self.streams.next(0, words, tile);
            for (tree, correction) in (1..).zip(corrections.chunks_exact(8 * words)) {
                let (_, rows) = self.streams.next(tree, words, tile);
                let delta = *self.delta >> (tree * self.field.bits());
                for (b, row) in rows.chunks_exact_mut(STRIDE).enumerate() {
                    let bit = ((delta >> b) as u64 & 1).wrapping_neg();
                    for (w, c) in row.iter_mut().zip(correction.as_chunks().0) {
                        *w ^= u64::from_le_bytes(*c) & bit;
                    }
                }
            }
            if let Some(check) = &mut check {
                check.draw(corrections, columns.len() / ROWS, last);
                check.add_rows(&tile.rows);
            }
            // Grown tile by tile: what is about to be overwritten stays in the cache.
            cots.q.resize(kept.end, 0);
            transpose_128(&tile.rows, STRIDE, &mut cots.q[kept]);
        }
        let honest = match (check, rest.try_into()) {
            (Some(check), Ok(proof)) => check.verify(*self.delta, proof),
            // A batch of nothing has nothing to prove.
            (Some(_), Err(_)) => count == 0,
            (None, _) => true,
        };
        honest.then_some(cots)
    }
}
