//! Preprocessing by a dealer: a helper that makes correlated randomness and sees no data.
//!
//! Every party shares one secret seed with the dealer for the session. Party j expands its share of component i of
//! item t from the stream named (seed_j, session, lane, t, i); the dealer expands them all. For derived components it
//! sends party 0 one correction `V − Σ_{j≠0} PRG_j`, which is party 0's share ([`super::item`]). After MP-SPDZ's dealer
//! protocol and SPU's trusted first party; the relations are in `relation`.
//!
//! **Security**: semi-honest, the dealer colludes with no computing party. A party's view of one item is its own
//! streams and, at party 0, corrections that are one-time padded by the other parties' streams: uniform and
//! independent of everything as long as one other party's seed is unknown. Item numbers rise strictly and the session
//! id is fresh, so no stream occurs twice, also after a crash. The dealer learns the demand (shapes and number of
//! operations), and would learn all inputs if it also saw the parties' openings.
//!
//! **Cost**: the correction bytes of [`Item::correction_bytes`], to party 0 only.

use std::ops::Range;

use bytes::Bytes;
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Ring;
use mpc_core::tag::{SessionId, Tag};
use mpc_core::tensor::Tensor;

use super::item::{Holding, Item, Product};
use super::part::MaskPart;
use super::relation::{Value, derive};
use crate::correlation::low_bits;
use crate::session::LANE;

mod party;
mod pieces;

pub use party::{DealerPrep, InProcessDealer};

/// Expands one component of one item from one party's seed.
fn expand<R: Ring>(seed: &Seed, session: &SessionId, index: u32, place: u32, holding: Holding) -> Value<R> {
    #[cfg(test)]
    if let Some(value) = crate::privacy::tape::play(seed, 64 * index + place, holding) {
        return value;
    }
    let mut prg = Prg::new(seed, session, stream(index), "dealer", place);
    match holding {
        Holding::Ring { count } => Value::Ring(prg.tensor(&[count])),
        Holding::RingLow { count, bits } => Value::Ring(low_bits(prg.tensor(&[count]), bits)),
        Holding::Bits { lanes, len } => Value::Bits(prg.bits(lanes, len)),
    }
}

/// What becomes of a share.
#[derive(Copy, Clone)]
enum Sign {
    Plus,
    Minus,
}

/// Adds one party's share of a component to a total, or takes it away, without a tensor of its own. Of elements of which
/// only some bits matter, the others are not those of the sum.
#[cfg_attr(not(test), allow(unused_variables, reason = "tests play shares of this holding"))]
fn accumulate<R: Ring>(
    total: &mut Value<R>,
    seed: &Seed,
    session: &SessionId,
    (index, place): (u32, u32),
    holding: Holding,
    sign: Sign,
) {
    #[cfg(test)]
    if let Some(share) = crate::privacy::tape::play(seed, 64 * index + place, holding) {
        return match (total, &share, sign) {
            (Value::Ring(t), Value::Ring(s), Sign::Plus) => t.add_assign(s),
            (Value::Ring(t), Value::Ring(s), Sign::Minus) => t.sub_assign(s),
            (Value::Bits(t), Value::Bits(s), _) => t.xor_assign(s),
            _ => unreachable!("one component has one holding: {holding:?}"),
        };
    }
    let mut prg = Prg::new(seed, session, stream(index), "dealer", place);
    match (total, sign) {
        (Value::Ring(t), Sign::Plus) => prg.add_to(t.as_mut_slice()),
        (Value::Ring(t), Sign::Minus) => prg.subtract_from(t.as_mut_slice()),
        (Value::Bits(t), _) => prg.xor_onto(t.words_mut()),
    }
}

/// As much of a mask as a part lies in, from one party's seed.
fn expand_span<R: Ring>(seed: &Seed, session: &SessionId, mask: u32, span: Range<usize>) -> Tensor<R> {
    #[cfg(test)]
    if let Some(all) = crate::privacy::tape::play::<R>(seed, 64 * mask, Holding::Ring { count: span.end }) {
        return all.into_ring().slice(0, span.start, span.end);
    }
    let mut prg = Prg::new(seed, session, stream(mask), "dealer", 0);
    prg.skip((span.start * R::BYTES) as u64);
    prg.tensor(&[span.len()])
}

/// The tag of an item's streams.
const fn stream(item: u32) -> Tag {
    Tag { lane: LANE, node: item, iteration: 0, round: 0 }
}

/// The dealer's side: makes the corrections of a session.
pub struct Dealer {
    session: SessionId,
    seeds: Vec<Seed>,
}

impl Dealer {
    /// A dealer for one session; `seeds[i]` is shared with party i.
    #[must_use]
    pub const fn new(session: SessionId, seeds: Vec<Seed>) -> Self {
        Self { session, seeds }
    }

    /// Makes item `index` of the demand and hands the pieces of its correction to `emit` in order, as they are made.
    ///
    /// # Errors
    /// Whatever `emit` fails with.
    pub fn corrections<R: Ring, E>(
        &self,
        index: u32,
        item: &Item,
        mut emit: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        if pieces::is_long::<R>(item) {
            return self.emit_long::<R, E>(index, item, &mut emit);
        }
        let components = item.components::<R>();
        let (mut free, mut derived) = (vec![], vec![]);
        if let Item::Given { part, .. } = item {
            free.push(Value::Ring(self.mask_part(part)));
        }
        for (place, c) in (0..).zip(&components) {
            if c.derived {
                derived.push((place, *c));
            } else {
                free.push(self.sum::<R>(index, place, c.holding));
            }
        }
        if let Some(shape) = pieces::in_blocks::<R>(item) {
            if let Item::Given { product: Product { right: true, .. }, .. } = item {
                free.swap(0, 1);
            }
            return self.emit_product(index, shape, derived[0].0, &free, &mut emit);
        }
        let mut derived = derived.into_iter();
        derive(item, &free, |value| {
            let component = derived.next().expect("invariant: one value per derived component");
            self.emit_corrected(index, component, value, &mut emit)
        })
    }

    /// The stream of one party's share of a component.
    fn stream(&self, seed: &Seed, index: u32, place: u32) -> Prg {
        Prg::new(seed, &self.session, stream(index), "dealer", place)
    }

    /// A part of an earlier mask, expanded again: the dealer keeps nothing between items.
    fn mask_part<R: Ring>(&self, &MaskPart { mask, part }: &MaskPart) -> Tensor<R> {
        let span = part.places();
        let share = |seed| expand_span::<R>(seed, &self.session, mask, span.clone());
        let mut all = share(&self.seeds[0]);
        self.seeds[1..].iter().for_each(|seed| all.add_assign(&share(seed)));
        part.moved(-(span.start as i64)).of(&all).into_owned()
    }

    /// Sum (or XOR) of the expansions of all parties.
    fn sum<R: Ring>(&self, index: u32, place: u32, holding: Holding) -> Value<R> {
        let mut total = expand::<R>(&self.seeds[0], &self.session, index, place, holding);
        for seed in &self.seeds[1..] {
            accumulate(&mut total, seed, &self.session, (index, place), holding, Sign::Plus);
        }
        total
    }
}
