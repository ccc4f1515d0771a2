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

use bytes::Bytes;
use mpc_core::bits::BitTensor;
use mpc_core::channel::{ChannelError, CorrectionSource};
use mpc_core::party::PartyId;
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Ring;
use mpc_core::share::{Additive, XorBits};
use mpc_core::tag::{SessionId, Tag};
use mpc_core::tensor::Tensor;
use zeroize::Zeroize;

use super::Preprocessing;
use super::comparison::{Comparison, Question};
use super::demand::Demand;
use super::item::{Component, Holding, Item};
use super::relation::{Value, derive};
use crate::correlation::{
    ComparisonBundle, DaBits, DotTriple, MatmulTriple, PayloadMask, QuotientParts, RingBits, SquarePair,
    Triple, TruncationTuple,
};
use crate::error::PrepError;
use crate::session::LANE;

const CORRECTED: PartyId = PartyId::new(0);

/// Expands one component of one item from one party's seed.
fn expand<R: Ring>(seed: &Seed, session: &SessionId, index: u32, place: u32, holding: Holding) -> Value<R> {
    #[cfg(test)]
    if let Some(value) = crate::privacy::tape::play(seed, 64 * index + place, holding) {
        return value;
    }
    let tag = Tag { lane: LANE, node: index, iteration: 0, round: 0 };
    let mut prg = Prg::new(seed, session, tag, "dealer", place);
    match holding {
        Holding::Ring { count } => Value::Ring(prg.tensor(&[count])),
        Holding::RingLow { count, bits } => {
            Value::Ring(prg.tensor::<R>(&[count]).map(|v| R::from_u64(v.to_u64() & ((1 << bits) - 1))))
        }
        Holding::Bits { lanes, len } => Value::Bits(prg.bits(lanes, len)),
    }
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

    /// Makes item `index` of the demand and hands the pieces of its correction to `emit` in order.
    ///
    /// # Errors
    /// Whatever `emit` fails with.
    pub fn corrections<R: Ring, E>(
        &self,
        index: u32,
        item: &Item,
        mut emit: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let components = item.components::<R>();
        let (mut free, mut derived) = (vec![], vec![]);
        for (place, c) in (0..).zip(&components) {
            if c.derived {
                derived.push((place, *c));
            } else {
                free.push(self.sum::<R>(index, place, c.holding, 0));
            }
        }
        let mut values = derive(item, &free);
        for ((place, c), value) in derived.into_iter().zip(&mut values) {
            let others = self.sum::<R>(index, place, c.holding, 1);
            emit(encode_difference(value, &others, c.holding).into())?;
        }
        Ok(())
    }

    /// Sum (or XOR) of the expansions of all parties from `first` on.
    fn sum<R: Ring>(&self, index: u32, place: u32, holding: Holding, first: usize) -> Value<R> {
        let share = |j: usize| expand::<R>(&self.seeds[j], &self.session, index, place, holding);
        let mut total = share(first);
        for j in first + 1..self.seeds.len() {
            let next = share(j);
            match (&mut total, &next) {
                (Value::Ring(t), Value::Ring(n)) => t.add_assign(n),
                (Value::Bits(t), Value::Bits(n)) => t.xor_assign(n),
                _ => unreachable!("one component has one holding"),
            }
        }
        total
    }
}

fn encode_difference<R: Ring>(value: &mut Value<R>, others: &Value<R>, holding: Holding) -> Vec<u8> {
    let mut out = vec![];
    match (value, others, holding) {
        (Value::Ring(v), Value::Ring(o), Holding::RingLow { bits, .. }) => {
            v.sub_assign(o);
            BitTensor::slice_of(v.as_slice(), bits as usize).pack_into(&mut out);
        }
        (Value::Ring(v), Value::Ring(o), _) => {
            v.sub_assign(o);
            out.extend_from_slice(bytemuck::cast_slice(v.as_slice()));
        }
        (Value::Bits(v), Value::Bits(o), _) => {
            v.xor_assign(o);
            v.pack_into(&mut out);
        }
        _ => unreachable!("one component has one holding"),
    }
    out
}

fn decode_correction<R: Ring>(c: &Component, bytes: &[u8]) -> Option<Value<R>> {
    Some(match c.holding {
        Holding::Ring { count } => Value::Ring(Tensor::from_bytes(&[count], bytes)?),
        Holding::RingLow { count, bits } => {
            let low = BitTensor::unpack(bits as usize, count, bytes)?;
            let mut values = Tensor::<R>::zeros(&[count]);
            for bit in 0..bits {
                let lane: Tensor<R> = low.lane_to_ring(bit as usize);
                for (v, &b) in values.as_mut_slice().iter_mut().zip(lane.as_slice()) {
                    *v += b * R::power_of_two(bit);
                }
            }
            Value::Ring(values)
        }
        Holding::Bits { lanes, len } => Value::Bits(BitTensor::unpack(lanes, len, bytes)?),
    })
}

/// A dealer in this process, read like a remote one: for trying computations out and for tests. It knows all seeds.
pub struct InProcessDealer<R> {
    dealer: Dealer,
    demand: Option<Demand>,
    queue: std::collections::VecDeque<Bytes>,
    next_item: u32,
    ring: std::marker::PhantomData<fn() -> R>,
}

impl<R: Ring> InProcessDealer<R> {
    /// A dealer that makes what is asked for, or exactly `demand` if one is given.
    #[must_use]
    pub const fn new(dealer: Dealer, demand: Option<Demand>) -> Self {
        Self {
            dealer,
            demand,
            queue: std::collections::VecDeque::new(),
            next_item: 0,
            ring: std::marker::PhantomData,
        }
    }
}

/// Where party 0 reads its corrections.
trait CorrectionReader: Send {
    fn begin(&mut self, index: u32, item: &Item);
    fn read(&mut self, index: u32, bytes: usize) -> Result<Bytes, ChannelError>;
}

/// A correction stream from another process.
struct Remote(Box<dyn CorrectionSource>);

impl CorrectionReader for Remote {
    fn begin(&mut self, _index: u32, _item: &Item) {}
    fn read(&mut self, index: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        self.0.next(index, bytes)
    }
}

impl<R: Ring> CorrectionReader for InProcessDealer<R> {
    fn begin(&mut self, index: u32, item: &Item) {
        let item = self.demand.as_ref().and_then(|d| d.items.get(index as usize)).unwrap_or(item);
        let queue = &mut self.queue;
        let made: Result<(), std::convert::Infallible> = self.dealer.corrections::<R, _>(index, item, |b| {
            queue.push_back(b);
            Ok(())
        });
        let Ok(()) = made;
        self.next_item = index;
    }
    fn read(&mut self, index: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        match self.queue.pop_front() {
            Some(b) if index == self.next_item && b.len() == bytes => Ok(b),
            _ => Err(ChannelError::WrongItem { expected: index, got: self.next_item }),
        }
    }
}

/// A party's side: expands its shares, reads corrections if it is party 0.
pub struct DealerPrep<R: Ring> {
    me: PartyId,
    session: SessionId,
    seed: Seed,
    source: Option<Box<dyn CorrectionReader>>,
    demand: Option<Demand>,
    next: u32,
    received_bytes: u64,
    asked: Vec<Item>,
    ring: std::marker::PhantomData<fn() -> R>,
}

impl<R: Ring> DealerPrep<R> {
    /// For a dealer in another process. `source` is needed at party 0 alone; requests must follow `demand`.
    #[must_use]
    pub fn remote(
        me: PartyId,
        session: SessionId,
        seed: Seed,
        source: Option<Box<dyn CorrectionSource>>,
        demand: Demand,
    ) -> Self {
        let source = source.map(|s| Box::new(Remote(s)) as Box<dyn CorrectionReader>);
        Self::build(me, session, seed, source, Some(demand))
    }

    /// For a dealer in this process, at party 0 given as `source`. Without a demand, anything may be asked for.
    #[must_use]
    pub fn in_process(
        me: PartyId,
        session: SessionId,
        seed: Seed,
        source: Option<InProcessDealer<R>>,
        demand: Option<Demand>,
    ) -> Self {
        let source = source.map(|s| Box::new(s) as Box<dyn CorrectionReader>);
        Self::build(me, session, seed, source, demand)
    }

    fn build(
        me: PartyId,
        session: SessionId,
        seed: Seed,
        source: Option<Box<dyn CorrectionReader>>,
        demand: Option<Demand>,
    ) -> Self {
        let ring = std::marker::PhantomData;
        Self { me, session, seed, source, demand, next: 0, received_bytes: 0, asked: vec![], ring }
    }

    /// The next item's components: expanded, or received.
    fn draw(&mut self, item: Item) -> Result<std::vec::IntoIter<Value<R>>, PrepError> {
        let index = self.next;
        if let Some(demand) = &self.demand {
            let agreed = demand.items.get(index as usize).copied();
            if agreed != Some(item) {
                let (agreed, asked) = (agreed.map(Box::new), Box::new(item));
                return Err(PrepError::Unexpected { index, agreed, asked });
            }
        }
        self.next += 1;
        self.asked.push(item);
        if let Some(source) = &mut self.source {
            source.begin(index, &item);
        }
        let mut values = vec![];
        for (place, c) in (0..).zip(item.components::<R>()) {
            if !(c.derived && self.me == CORRECTED) {
                values.push(expand(&self.seed, &self.session, index, place, c.holding));
                continue;
            }
            let source = self.source.as_mut().ok_or(PrepError::NoCorrections)?;
            let bytes = c.correction_bytes::<R>();
            let correction = source.read(index, bytes)?;
            self.received_bytes += bytes as u64;
            let decoded = decode_correction(&c, &correction);
            wipe(correction);
            values.push(decoded.ok_or(PrepError::Malformed { index })?);
        }
        Ok(values.into_iter())
    }

    /// Everything asked for so far, in order.
    #[must_use]
    pub fn asked(&self) -> &[Item] {
        &self.asked
    }
}

/// A correction is this party's share. Where it came in a buffer of its own, that is wiped; where it is a part of what the
/// network received, the rest of that may still be on its way to somebody.
fn wipe(correction: Bytes) {
    if let Ok(mut own) = correction.try_into_mut() {
        own.as_mut().zeroize();
    }
}

fn ring<R: Ring>(values: &mut std::vec::IntoIter<Value<R>>, shape: &[usize]) -> Additive<R> {
    match values.next() {
        Some(value) => Additive::from_share(value.into_ring().reshape(shape)),
        None => unreachable!("the item's layout has this component"),
    }
}

fn bits<R: Ring>(values: &mut std::vec::IntoIter<Value<R>>) -> XorBits {
    match values.next() {
        Some(value) => XorBits::from_share(value.into_bits()),
        None => unreachable!("the item's layout has this component"),
    }
}

impl<R: Ring> Preprocessing<Additive<R>> for DealerPrep<R> {
    fn triple(&mut self, len: usize) -> Result<Triple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Triple { len })?;
        Ok(Triple { a: ring(v, &[len]), b: ring(v, &[len]), c: ring(v, &[len]) })
    }

    fn square(&mut self, len: usize) -> Result<SquarePair<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Square { len })?;
        Ok(SquarePair { a: ring(v, &[len]), c: ring(v, &[len]) })
    }

    fn dot(&mut self, len: usize, terms: usize) -> Result<DotTriple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Dot { len, terms })?;
        Ok(DotTriple { a: ring(v, &[len * terms]), b: ring(v, &[len * terms]), c: ring(v, &[len]), terms })
    }

    fn matmul(&mut self, m: usize, k: usize, n: usize) -> Result<MatmulTriple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Matmul { m, k, n })?;
        Ok(MatmulTriple { a: ring(v, &[m, k]), b: ring(v, &[k, n]), c: ring(v, &[m, n]) })
    }

    fn truncation(&mut self, len: usize, bits: u32) -> Result<TruncationTuple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Truncation { len, bits })?;
        Ok(TruncationTuple { r: ring(v, &[len]), w: ring(v, &[len]), e: ring(v, &[len]), bits })
    }

    fn comparison(&mut self, spec: Comparison) -> Result<ComparisonBundle<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Comparison(spec))?;
        let (len, rows) = (&[spec.len][..], &[spec.thresholds * spec.len][..]);
        Ok(ComparisonBundle {
            spec,
            r: ring(v, len),
            r_bits: bits(v),
            block_products: bits(v),
            masks: bits(v).into(),
            mask_products: bits(v).into(),
            b: spec.arithmetic.then(|| bits(v)),
            ring: spec.arithmetic.then(|| match spec.question {
                Question::Quotient { .. } => {
                    RingBits::Quotient { shifted: ring(v, len), low: ring(v, len), all: ring(v, len) }
                }
                _ => RingBits::Rows(ring(v, &[spec.answers::<R>() * spec.len])),
            }),
            rb: spec.product.then(|| ring(v, rows)),
            quotient: (spec.truncation > 0).then(|| QuotientParts {
                w: ring(v, len),
                e: ring(v, len),
                wb: ring(v, rows),
                eb: ring(v, rows),
            }),
            payload: (spec.payloads > 0).then(|| {
                let all = [spec.payloads * spec.len];
                PayloadMask { a: ring(v, &all), ab: ring(v, &all) }
            }),
            powers: spec.powers.then(|| (ring(v, len), ring(v, len))),
        })
    }

    fn dabits(&mut self, len: usize) -> Result<DaBits<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::DaBits { len })?;
        Ok(DaBits { xor: bits(v), ring: ring(v, &[len]) })
    }

    fn received_bytes(&self) -> u64 {
        self.received_bytes
    }
}
