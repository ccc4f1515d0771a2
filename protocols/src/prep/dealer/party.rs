//! A party's side of the dealer, in another process or in this one.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use mpc_core::bits::BitTensor;
use mpc_core::channel::{ChannelError, CorrectionSource};
use mpc_core::party::PartyId;
use mpc_core::prg::Seed;
use mpc_core::ring::Ring;
use mpc_core::tag::SessionId;
use mpc_core::tensor::Tensor;
use zeroize::Zeroize;

use super::{Dealer, expand};
use crate::error::PrepError;
use crate::prep::components::Components;
use crate::prep::demand::Demand;
use crate::prep::item::{Component, Holding, Item};
use crate::prep::ledger::Ledger;
use crate::prep::relation::Value;

/// Who receives the corrections.
const CORRECTED: PartyId = PartyId::new(0);

/// A correction as it is kept until it is used.
enum Received<R: Ring> {
    /// Ring elements, which were put where they stay while they came.
    Elements(Tensor<R>),
    /// Everything else, as it came.
    Packed(Bytes),
}

mpc_core::secret_types!(Received<mpc_core::ring::Z64>);

fn decode_correction<R: Ring>(c: &Component, bytes: &[u8]) -> Option<Value<R>> {
    Some(match c.holding {
        Holding::Ring { count } => Value::Ring(Tensor::from_bytes(&[count], bytes)?),
        Holding::RingLow { count, bits } => {
            Value::Ring(BitTensor::unpack(bits as usize, count, bytes)?.to_ring())
        }
        Holding::Bits { lanes, len } => Value::Bits(BitTensor::unpack(lanes, len, bytes)?),
    })
}

/// A dealer in this process, read like a remote one: for trying computations out and for tests. It knows all seeds.
pub struct InProcessDealer<R> {
    dealer: Dealer,
    demand: Option<Demand>,
    queue: VecDeque<Bytes>,
    next_item: u32,
    ring: std::marker::PhantomData<fn() -> R>,
}

impl<R: Ring> InProcessDealer<R> {
    /// A dealer that makes what is asked for, or exactly `demand` if one is given.
    #[must_use]
    pub const fn new(dealer: Dealer, demand: Option<Demand>) -> Self {
        Self { dealer, demand, queue: VecDeque::new(), next_item: 0, ring: std::marker::PhantomData }
    }
}

/// Where party 0 reads its corrections.
trait CorrectionReader: Send {
    fn begin(&mut self, index: u32, item: &Item);
    fn read(&mut self, index: u32, bytes: usize) -> Result<Bytes, ChannelError>;
    /// As [`CorrectionSource::read`].
    fn read_pieces(
        &mut self,
        index: u32,
        bytes: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ChannelError> {
        let correction = self.read(index, bytes)?;
        take(&correction);
        wipe(correction);
        Ok(())
    }
}

/// A correction stream from another process.
struct Remote(Box<dyn CorrectionSource>);

impl CorrectionReader for Remote {
    fn begin(&mut self, _index: u32, _item: &Item) {}
    fn read(&mut self, index: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        self.0.next(index, bytes)
    }
    fn read_pieces(
        &mut self,
        index: u32,
        bytes: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ChannelError> {
        self.0.read(index, bytes, take)
    }
}

/// Reads ring elements to where they stay.
fn read_elements<R: Ring>(
    source: &mut dyn CorrectionReader,
    index: u32,
    count: usize,
) -> Result<Tensor<R>, ChannelError> {
    let mut elements = Vec::with_capacity(count);
    let read =
        source.read_pieces(index, count * R::BYTES, &mut |piece| match bytemuck::try_cast_slice(piece) {
            Ok(aligned) => elements.extend_from_slice(aligned),
            Err(_) => elements.extend(piece.chunks_exact(R::BYTES).map(bytemuck::pod_read_unaligned::<R>)),
        });
    // What came before a failure is wiped as well.
    let tensor = Tensor::from_vec(&[elements.len()], elements);
    read.map(|()| tensor)
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
        let wrong = ChannelError::WrongItem { expected: index, got: self.next_item };
        if index != self.next_item {
            return Err(wrong);
        }
        let mut whole = self.queue.pop_front().unwrap_or_default();
        if whole.len() < bytes {
            // It came in pieces.
            let mut joined = BytesMut::with_capacity(bytes);
            while joined.len() + whole.len() < bytes {
                joined.extend_from_slice(&whole);
                wipe(std::mem::replace(&mut whole, self.queue.pop_front().ok_or_else(|| wrong.clone())?));
            }
            joined.extend_from_slice(&whole);
            wipe(std::mem::replace(&mut whole, joined.freeze()));
        }
        if whole.len() == bytes { Ok(whole) } else { Err(wrong) }
    }
}

/// A party's side: expands its shares, reads corrections if it is party 0.
pub struct DealerPrep<R: Ring> {
    me: PartyId,
    session: SessionId,
    seed: Seed,
    source: Option<Box<dyn CorrectionReader>>,
    ledger: Ledger,
    /// Corrections that were received ahead, of the next items. Everything else is expanded when it is used, which
    /// takes less time than to keep it.
    ahead: VecDeque<Vec<Received<R>>>,
    received_bytes: u64,
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
        let (ledger, ahead) = (Ledger::new(demand), VecDeque::new());
        Self { me, session, seed, source, ledger, ahead, received_bytes: 0, ring: std::marker::PhantomData }
    }

    /// What the dealer sends for an item.
    fn receive(&mut self, index: u32, item: &Item) -> Result<Vec<Received<R>>, PrepError> {
        if self.me != CORRECTED {
            return Ok(vec![]);
        }
        if let Some(source) = &mut self.source {
            source.begin(index, item);
        }
        let mut corrections = vec![];
        for c in item.components::<R>().iter().filter(|c| c.derived) {
            let source = self.source.as_mut().ok_or(PrepError::NoCorrections)?;
            let bytes = c.correction_bytes::<R>();
            corrections.push(match c.holding {
                Holding::Ring { count } => Received::Elements(read_elements(&mut **source, index, count)?),
                _ => Received::Packed(source.read(index, bytes)?),
            });
            self.received_bytes += bytes as u64;
        }
        Ok(corrections)
    }

    /// Everything asked for so far, in order.
    #[must_use]
    pub fn asked(&self) -> &[Item] {
        self.ledger.asked()
    }
}

/// A correction is this party's share. Where it came in a buffer of its own, that is wiped; where it is a part of what the
/// network received, the rest of that may still be on its way to somebody.
fn wipe(correction: Bytes) {
    if let Ok(mut own) = correction.try_into_mut() {
        own.as_mut().zeroize();
    }
}

impl<R: Ring> Components<R> for DealerPrep<R> {
    fn next_item(&self) -> u32 {
        self.ledger.next()
    }

    fn draw(&mut self, item: Item) -> Result<Vec<Value<R>>, PrepError> {
        let index = self.ledger.enter(item)?;
        let corrections = match self.ahead.pop_front() {
            Some(received) => received,
            None => self.receive(index, &item)?,
        };
        let mut corrections = corrections.into_iter();
        let mut values = vec![];
        for (place, c) in (0..).zip(item.components::<R>()) {
            if !(c.derived && self.me == CORRECTED) {
                values.push(expand(&self.seed, &self.session, index, place, c.holding));
                continue;
            }
            values.push(match corrections.next().ok_or(PrepError::NoCorrections)? {
                Received::Elements(elements) => Value::Ring(elements),
                Received::Packed(correction) => {
                    let decoded = decode_correction(&c, &correction);
                    wipe(correction);
                    decoded.ok_or(PrepError::Malformed { index })?
                }
            });
        }
        Ok(values)
    }

    fn prepare_items(&mut self, items: usize) -> Result<(), PrepError> {
        let ready = self.ahead.len();
        let missing: Vec<_> = self
            .ledger
            .agreed_from(self.ledger.next() as usize + ready)
            .take(items.saturating_sub(ready))
            .collect();
        for (index, item) in missing {
            let received = self.receive(index, &item)?;
            self.ahead.push_back(received);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.received_bytes
    }
}
