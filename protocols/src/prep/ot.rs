//! Preprocessing without a dealer: the parties make their correlated randomness from oblivious transfer.
//!
//! Every item is made by all parties at the same time, in the order of the demand, over a lane of their own.
//!
//! | part | makes | from | rounds after the COTs, n = 2 |
//! |---|---|---|---|
//! | `products` | triples, squares, inner and matrix products, convolutions | `cross` | 1 |
//! | `numbers` | uniform numbers with bits and quotients | `scale` | 1 |
//! | `scale` | bits in the ring, and times shared values | COTs | 1 or 3 |
//! | `gates` | products of bits | random OTs | one per level |
//! | `bundle` | comparisons | all of these | |
//! | `angles` | angles with cosines and sines | `numbers`, COTs | 2 |
//!
//! Where a factor is uniform, it is taken from the choices of the COTs, which costs nothing.
//!
//! Items are cut into **chunks** of so many COTs, which are made, used and forgotten before the next are made: memory is that of a
//! chunk, and rounds are those of all chunks ([`CotExtension::chunk_cots`](super::CotExtension::chunk_cots)).
//!
//! **Security**: semi-honest, against n − 1 colluding parties, without anybody else: that of the extension, plus, for every
//! message here, that it is padded by hashes of COTs or by their choices. Each module says which. Every COT is used for one
//! factor, every pad once, so all messages of a party are uniform and independent to the others and simulated as such.
//! A party's own uniform values are streams of its seed, named by session and item. Deviating peers are not caught: the extensions
//! that sessions run are the semi-honest ones.
//!
//! **Cost**: [`cost()`] counts the messages of all modules, to the byte. Two parties, 64-bit ring, without the COTs:
//!
//! | of each | COTs, party 0 as sender + receiver | bytes from party 0 + 1 |
//! |---|---|---|
//! | triple | 64 + 64 | 260 + 260 |
//! | square | 64 + 0 | 260 + 0 |
//! | truncation by 16 bits | 64 + 0 | 348 + 0 |
//! | bit in both sharings | 1 + 0 | 7.9 + 0 |
//! | sign, blocks and nodes of 4 | 126 + 62 | 293 + 41 |
//! | its ring element | 1 + 1 | 8.0 + 0.1 |
//!
//! One thread of an EPYC with AVX-512 makes 500,000 to 600,000 triples a second on SoftSpoken k = 4, and 350,000 comparisons.

use std::collections::{HashMap, VecDeque};

use mpc_core::bits::BitTensor;
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Ring;
use mpc_core::tag::Tag;
use mpc_core::tensor::Tensor;

use super::components::Components;
use super::item::Item;
use super::ledger::Ledger;
use super::relation::Value;
use super::{Bilinear, Demand, MaskPart};
use crate::error::PrepError;
use crate::ot::extension::Extension;
use crate::ot::lane::{LANE, OtLane};

mod angles;
mod bundle;
mod circuit;
mod cost;
mod cross;
mod engine;
mod gates;
mod numbers;
mod packing;
mod pads;
mod products;
mod scale;
#[cfg(test)]
pub(super) mod tests;

pub use cost::{cost, cost_of_each};
use engine::Engine;
use numbers::Numbers;
use products::Given;
use scale::{Factor, Scaling};

/// One party's source of correlated randomness that all parties make together.
pub struct OtPrep<R: Ring> {
    engine: Engine,
    seed: Seed,
    ledger: Ledger,
    /// Items that were made ahead.
    ahead: VecDeque<Vec<Value<R>>>,
    /// This party's shares of the masks so far, for the products with parts of them.
    masks: HashMap<u32, Tensor<R>>,
}

impl<R: Ring> OtPrep<R> {
    /// A source that makes COTs with `extension` on `lane`, `chunk_cots` at a time. `seed` is this party's alone and of this
    /// session. Requests must follow `demand`; without one anything may be asked for, by all parties alike.
    ///
    /// # Panics
    /// If `chunk_cots` is not a positive multiple of 64.
    #[must_use]
    pub fn new(
        lane: OtLane,
        extension: Box<dyn Extension>,
        chunk_cots: usize,
        seed: Seed,
        demand: Option<Demand>,
    ) -> Self {
        let (ledger, ahead) = (Ledger::new(demand), VecDeque::new());
        Self { engine: Engine::new(lane, extension, chunk_cots), seed, ledger, ahead, masks: HashMap::new() }
    }

    /// Everything asked for so far, in order.
    #[must_use]
    pub fn asked(&self) -> &[Item] {
        self.ledger.asked()
    }

    /// The lane, for what passed over it.
    #[must_use]
    pub const fn lane(&self) -> &OtLane {
        &self.engine.lane
    }

    /// Nothing that is asked for from here on takes a part of an earlier mask.
    pub(super) fn forget_masks(&mut self) {
        self.masks.clear();
    }

    /// This party's shares of a part of an earlier mask.
    fn mask_part(&self, index: u32, part: &MaskPart) -> Result<Tensor<R>, PrepError> {
        let mask = self.masks.get(&part.mask);
        match mask {
            Some(mask) if part.part.places().end <= mask.len() => Ok(part.part.of(mask).into_owned()),
            _ => Err(PrepError::NoSuchMask { index, mask: part.mask }),
        }
    }

    /// Makes an item together with all others.
    fn make(&mut self, index: u32, item: &Item) -> Result<Vec<Value<R>>, PrepError> {
        self.engine.lane.enter(index);
        let tag = Tag { lane: LANE, node: index, iteration: 0, round: 0 };
        let mut prg = Prg::new(&self.seed, self.engine.lane.session(), tag, "ot own", 0);
        let given = match item {
            Item::Given { part, product } => {
                Some(Given { right: product.right, value: self.mask_part(index, part)? })
            }
            _ => None,
        };
        let (engine, prg, given) = (&mut self.engine, &mut prg, given.as_ref());
        Ok(match *item {
            Item::Triple { len } => products::inner(engine, prg, len, 1, None)?.map(Value::Ring).into(),
            Item::Square { len } => products::square(engine, prg, len)?.map(Value::Ring).into(),
            Item::Dot { len, terms } => {
                products::inner(engine, prg, len, terms, None)?.map(Value::Ring).into()
            }
            Item::Matmul { m, k, n } => {
                products::matmuls(engine, prg, 1, [m, k, n], None)?.map(Value::Ring).into()
            }
            Item::Conv(shape) => products::conv(engine, prg, &shape, None)?.map(Value::Ring).into(),
            Item::BatchMatmul { count, m, k, n } => {
                products::matmuls(engine, prg, count, [m, k, n], None)?.map(Value::Ring).into()
            }
            Item::Mask { len } => {
                let mask = prg.tensor::<R>(&[len]);
                self.masks.insert(index, mask.clone());
                vec![Value::Ring(mask)]
            }
            Item::Given { product, .. } => {
                let [left, right, c] = match product.map {
                    Bilinear::Elements { len } => products::inner(engine, prg, len, 1, given)?,
                    Bilinear::Matmuls { count, dims } => products::matmuls(engine, prg, count, dims, given)?,
                    Bilinear::Conv(shape) => products::conv(engine, prg, &shape, given)?,
                };
                let [_, b] = product.ordered([left, right]);
                vec![Value::Ring(b), Value::Ring(c)]
            }
            Item::Truncation { len, bits } => {
                let numbers = Numbers::new(engine, prg, len, Some(bits))?;
                [numbers.r(), numbers.quotient(bits), numbers.top(bits)].map(Value::Ring).into()
            }
            Item::Comparison(spec) => bundle::comparison(engine, prg, &spec)?,
            Item::Angles { len, bits, multiples } => {
                angles::angles(engine, prg, len, bits, multiples)?.map(Value::Ring).into()
            }
            Item::DaBits { len } => {
                let scaling = Scaling { factor: Factor::One, bits: &[R::BITS] };
                let mut made = scale::scale(engine, prg, None, len, &[scaling])?;
                let bits = BitTensor::from_words(1, len, made.bits.to_vec());
                vec![Value::Bits(bits), Value::Ring(made.products.remove(0))]
            }
        })
    }
}

impl<R: Ring> Components<R> for OtPrep<R> {
    fn next_item(&self) -> u32 {
        self.ledger.next()
    }

    fn draw(&mut self, item: Item) -> Result<Vec<Value<R>>, PrepError> {
        let index = self.ledger.enter(item)?;
        match self.ahead.pop_front() {
            Some(made) => Ok(made),
            None => self.make(index, &item),
        }
    }

    fn prepare_items(&mut self, items: usize) -> Result<(), PrepError> {
        let ready = self.ahead.len();
        let next = self.ledger.next() as usize + ready;
        let missing: Vec<_> = self.ledger.agreed_from(next).take(items.saturating_sub(ready)).collect();
        for (index, item) in missing {
            let made = self.make(index, &item)?;
            self.ahead.push_back(made);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.engine.lane.total_sent_bytes()
    }
}
