//! Corrections on their way out: piece by piece, each made and handed over while it is in the processor's caches, so that the
//! network is busy from the first piece on.
//!
//! Pieces of a component continue its streams where the last one ended; what is sent is the same however it is cut.

use bytes::Bytes;
use mpc_core::bits::{BitTensor, lane_words};
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;

use super::{Dealer, Sign, accumulate};
use crate::prep::item::{Bilinear, Component, Holding, Item, Product};
use crate::prep::relation::{Value, derive};

/// A few tensors of this size fit the second-level cache.
const PIECE_BYTES: usize = 256 << 10;

/// Elements of a piece, a multiple of 64.
const fn piece<R: Ring>() -> usize {
    PIECE_BYTES / R::BYTES
}

/// The item as one of `len` elements, if its components follow from each other element by element.
fn of_length(item: &Item, len: usize) -> Option<Item> {
    match *item {
        Item::Triple { .. } => Some(Item::Triple { len }),
        Item::Square { .. } => Some(Item::Square { len }),
        Item::Truncation { bits, .. } => Some(Item::Truncation { len, bits }),
        _ => None,
    }
}

/// Whether the item is made piece by piece as well, not only sent so.
pub(super) fn is_long<R: Ring>(item: &Item) -> bool {
    item.count() > piece::<R>() && of_length(item, piece::<R>()).is_some()
}

/// Rows of a product that are made together, at least: so many share what a kernel prepares of the right factor.
const BLOCK_ROWS: usize = 128;

/// The dimensions of a product that is made and sent in blocks of rows: the network takes the first while the next is made.
pub(super) fn in_blocks<R: Ring>(item: &Item) -> Option<[usize; 3]> {
    let [m, k, n] = match *item {
        Item::Matmul { m, k, n } => [m, k, n],
        Item::Given { product: Product { map: Bilinear::Matmuls { count: 1, dims }, .. }, .. } => dims,
        _ => return None,
    };
    (m > BLOCK_ROWS && m * n > piece::<R>()).then_some([m, k, n])
}

impl Dealer {
    /// Makes and emits a product of two matrices in blocks of rows.
    pub(super) fn emit_product<R: Ring, E>(
        &self,
        index: u32,
        [m, k, n]: [usize; 3],
        place: u32,
        factors: &[Value<R>],
        emit: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let (a, b) = (factors[0].ring(), factors[1].ring());
        let mut streams: Vec<Prg> =
            self.seeds[1..].iter().map(|seed| self.stream(seed, index, place)).collect();
        let together = m.div_ceil(2).next_multiple_of(BLOCK_ROWS);
        for start in (0..m).step_by(together) {
            let rows = together.min(m - start);
            let mut c = Tensor::zeros(&[rows * n]);
            R::matmul_acc(&a[start * k..][..rows * k], b, c.as_mut_slice(), rows, k, n);
            streams.iter_mut().for_each(|prg| prg.subtract_from(c.as_mut_slice()));
            let c = c.into_bytes();
            let pieces = (0..c.len()).step_by(PIECE_BYTES);
            pieces.map(|at| c.slice(at..c.len().min(at + PIECE_BYTES))).try_for_each(&mut *emit)?;
        }
        Ok(())
    }

    /// Makes and emits a long item. Nothing of its length is kept but what is packed across it.
    pub(super) fn emit_long<R: Ring, E>(
        &self,
        index: u32,
        item: &Item,
        emit: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let len = item.count();
        let streams = |place, first: usize| -> Vec<Prg> {
            self.seeds[first..].iter().map(|seed| self.stream(seed, index, place)).collect()
        };
        let components = item.components::<R>();
        let places = || (0..).zip(&components);
        let mut free: Vec<_> = places().filter(|(_, c)| !c.derived).map(|(p, _)| streams(p, 0)).collect();
        let derived = places().filter(|(_, c)| c.derived);
        let mut others: Vec<(Vec<Prg>, Holding, Option<BitTensor>)> = derived
            .map(|(p, c)| {
                let packed = match c.holding {
                    Holding::RingLow { bits, .. } => Some(BitTensor::zeros(bits as usize, len)),
                    _ => None,
                };
                (streams(p, 1), c.holding, packed)
            })
            .collect();
        for start in (0..len).step_by(piece::<R>()) {
            let count = piece::<R>().min(len - start);
            let sum = |streams: &mut Vec<Prg>| {
                let mut streams = streams.iter_mut();
                let first = streams.next().map(|prg| prg.tensor::<R>(&[count]));
                let mut total = first.unwrap_or_else(|| Tensor::zeros(&[count]));
                streams.for_each(|prg| prg.add_to(total.as_mut_slice()));
                Value::Ring(total)
            };
            let values: Vec<Value<R>> = free.iter_mut().map(sum).collect();
            let part = of_length(item, count).expect("invariant: long items have lengths");
            let mut others = others.iter_mut();
            derive(&part, &values, |value| {
                let (streams, _, packed) = others.next().expect("invariant: one value per derived component");
                let mut value = value.into_ring();
                streams.iter_mut().for_each(|prg| prg.subtract_from(value.as_mut_slice()));
                match packed {
                    None => emit(value.into_bytes()),
                    Some(packed) => {
                        let piece = BitTensor::slice_of(value.as_slice(), packed.lanes());
                        for lane in 0..piece.lanes() {
                            packed.lane_mut(lane)[start / 64..][..lane_words(count)]
                                .copy_from_slice(piece.lane(lane));
                        }
                        Ok(())
                    }
                }
            })?;
        }
        others.into_iter().filter_map(|(_, _, packed)| packed).try_for_each(|bits| emit_lanes(&bits, emit))
    }

    /// Corrects one component by the other parties' shares and emits it.
    pub(super) fn emit_corrected<R: Ring, E>(
        &self,
        index: u32,
        (place, component): (u32, Component),
        mut value: Value<R>,
        emit: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let (others, holding) = (&self.seeds[1..], component.holding);
        if let (Value::Ring(v), Holding::Ring { count }) = (&mut value, holding)
            && count > piece::<R>()
        {
            let mut streams: Vec<Prg> = others.iter().map(|seed| self.stream(seed, index, place)).collect();
            for piece in v.as_mut_slice().chunks_mut(piece::<R>()) {
                streams.iter_mut().for_each(|prg| prg.subtract_from(piece));
                emit(Bytes::copy_from_slice(bytemuck::cast_slice(piece)))?;
            }
            return Ok(());
        }
        for seed in others {
            accumulate(&mut value, seed, &self.session, (index, place), holding, Sign::Minus);
        }
        match (value, holding) {
            (Value::Ring(v), Holding::RingLow { bits, .. }) => {
                emit_lanes(&BitTensor::slice_of(v.as_slice(), bits as usize), emit)
            }
            (Value::Ring(v), _) => emit(v.into_bytes()),
            (Value::Bits(v), _) => emit_lanes(&v, emit),
        }
    }
}

/// Emits packed lanes, some at a time where they begin and end at bytes.
fn emit_lanes<E>(bits: &BitTensor, emit: &mut impl FnMut(Bytes) -> Result<(), E>) -> Result<(), E> {
    if bits.lanes() == 0 {
        return emit(Bytes::new());
    }
    let lane_bytes = bits.len() / 8;
    let together = match bits.len().is_multiple_of(8) && lane_bytes > 0 {
        true => PIECE_BYTES.div_ceil(lane_bytes),
        false => bits.lanes(),
    };
    for start in (0..bits.lanes()).step_by(together) {
        let mut piece = Vec::new();
        bits.pack_lanes_into(start..bits.lanes().min(start + together), &mut piece);
        emit(piece.into())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mpc_core::prg::Seed;
    use mpc_core::ring::Z64;
    use mpc_core::tag::SessionId;

    use super::*;

    /// The correction as it was before there were pieces: values less the sums of whole tensors.
    fn at_once(dealer: &Dealer, item: &Item) -> Vec<u8> {
        let components = item.components::<Z64>();
        let places = || (0..).zip(&components);
        let free: Vec<Value<Z64>> = places()
            .filter(|(_, c)| !c.derived)
            .map(|(place, c)| dealer.sum::<Z64>(4, place, c.holding))
            .collect();
        let mut derived = places().filter(|(_, c)| c.derived);
        let mut out = Vec::new();
        let made: Result<(), std::convert::Infallible> = derive(item, &free, |value| {
            let (place, c) = derived.next().unwrap();
            let mut value = value.into_ring();
            for seed in &dealer.seeds[1..] {
                let whole: Tensor<Z64> = dealer.stream(seed, 4, place).tensor(&[value.len()]);
                value.sub_assign(&whole);
            }
            match c.holding {
                Holding::RingLow { bits, .. } => {
                    BitTensor::slice_of(value.as_slice(), bits as usize).pack_into(&mut out);
                }
                _ => out.extend_from_slice(value.as_bytes()),
            }
            Ok(())
        });
        let Ok(()) = made;
        out
    }

    #[test]
    fn pieces_are_the_correction() {
        let seeds = (1..4).map(|i| Seed::new([i; 32])).collect();
        let dealer = Dealer::new(SessionId([7; 32]), seeds);
        let len = 2 * piece::<Z64>();
        for len in [len, len + 24, len + 5] {
            let items = [
                Item::Triple { len },
                Item::Square { len },
                Item::Truncation { len, bits: 16 },
                Item::Dot { len, terms: 2 },
                Item::Matmul { m: len, k: 1, n: 1 },
                Item::Matmul { m: 300, k: 3, n: len / 300 },
            ];
            for item in items {
                let (mut pieces, mut count) = (Vec::new(), 0);
                let made: Result<(), std::convert::Infallible> =
                    dealer.corrections::<Z64, _>(4, &item, |piece| {
                        pieces.extend_from_slice(&piece);
                        count += 1;
                        Ok(())
                    });
                let Ok(()) = made;
                assert!(count >= 2, "{item:?}");
                assert!(pieces == at_once(&dealer, &item), "{item:?}");
                assert_eq!(pieces.len() as u64, item.correction_bytes::<Z64>());
            }
        }
    }
}
