//! The receiver of COTs: plants the trees, makes choices and t, sends corrections.

use mpc_core::fixed_key::Block;
use mpc_core::kernels::transpose_128;
use zeroize::Zeroize;

use super::check::Check;
use super::streams::{ROWS, STRIDE, Streams, Tile};
use super::tree::Forest;
use super::{Batch, FieldBits};
use crate::ot::extension::ReceivedCots;

pub(super) struct Receiver {
    field: FieldBits,
    streams: Streams,
    next: u64,
    /// Digest of the setup if there is a check.
    setup: Option<[u8; 32]>,
}

mpc_core::secret_types!(Receiver);

impl Receiver {
    /// Plants the trees; the message is for their holder.
    pub(super) fn new(forest: &Forest, base: &[[Block; 2]]) -> (Self, Vec<u8>) {
        let (leaves, message) = forest.plant(base);
        let streams = Streams::new(forest.field, &leaves, false);
        (Self { field: forest.field, streams, next: 0, setup: forest.digest(&message) }, message)
    }

    /// The next `count` COTs and what the sender needs for its side of them.
    pub(super) fn extend(&mut self, count: usize, tile: &mut Tile) -> (ReceivedCots, Vec<u8>) {
        let batch = Batch::new(count, self.setup.is_some());
        let mut cots = ReceivedCots {
            choices: Vec::with_capacity(2 * count.div_ceil(ROWS)),
            t: Vec::with_capacity(count),
            first: self.next,
        };
        self.next += count as u64;
        let mut message = Vec::with_capacity(batch.message_bytes(self.field));
        let mut check = self.setup.as_ref().map(|setup| Check::new(setup, cots.first));
        let mut choices = vec![0; STRIDE];
        for (columns, kept, last) in batch.tiles() {
            let words = columns.len() / 64;
            let choices = &mut choices[..words];
            let from = message.len();
            for tree in 0..self.field.trees() {
                let (total, _) = self.streams.next(tree, words, tile);
                if tree == 0 {
                    choices.copy_from_slice(total);
                } else {
                    let at = message.len();
                    message.resize(at + 8 * words, 0);
                    let places = message[at..].as_chunks_mut().0;
                    for ((place, x), u) in places.iter_mut().zip(total).zip(&*choices) {
                        *place = (x ^ u).to_le_bytes();
                    }
                }
            }
            if let Some(check) = &mut check {
                check.draw(&message[from..], columns.len() / ROWS, last);
                check.add_rows(&tile.rows);
                check.add_choices(choices);
            }
            // Grown tile by tile: what is about to be overwritten stays in the cache.
            cots.t.resize(kept.end, 0);
            transpose_128(&tile.rows, STRIDE, &mut cots.t[kept.clone()]);
            cots.choices.extend_from_slice(&choices[..kept.len().div_ceil(64)]);
        }
        choices.zeroize();
        if let Some(last) = cots.choices.last_mut() {
            *last &= u64::MAX >> (count.wrapping_neg() % 64);
        }
        if let Some(check) = check.filter(|_| count > 0) {
            message.extend(check.proof());
        }
        (cots, message)
    }
}
