//! Correlated randomness that was made ahead: the items of one run as bytes, and a provider that reads them.
//!
//! A **copy** is this party's shares of every component of every item of one demand, in order: ring elements in full and
//! little endian, bits packed without gaps. It has no header and no lengths, because the demand says them all, so a copy is
//! read in exactly one way.
//!
//! **Security**: that of the provider that made it, as long as every party hands each copy out once, and all parties the same
//! one to the same session. Neither can be seen here; whoever keeps copies answers for it. Parties that use different copies
//! in one session compute nonsense, but each value that they open stays masked by what is used nowhere else.

use mpc_core::bits::{BitTensor, packed_bytes};
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;
use zeroize::{Zeroize as _, Zeroizing};

use super::components::Components;
use super::item::{Component, Holding, Item};
use super::ledger::Ledger;
use super::ot::OtPrep;
use super::relation::Value;
use super::{Demand, DemandError, MAX_ITEMS};
use crate::error::PrepError;

#[cfg(test)]
mod tests;

/// Where a stored copy is read from, once and in order.
pub trait CopyReader: Send {
    /// Overwrites `out` with the next bytes of the copy. No more are asked for than [`copy_bytes`] says.
    fn read(&mut self, out: &mut [u8]);
}

/// Bytes of a copy of these items.
#[must_use]
pub fn copy_bytes<R: Ring>(items: &[Item]) -> u64 {
    items.iter().map(|item| item_bytes::<R>(item) as u64).sum()
}

fn item_bytes<R: Ring>(item: &Item) -> usize {
    item.components::<R>().iter().map(encoded_bytes::<R>).sum()
}

const fn encoded_bytes<R: Ring>(component: &Component) -> usize {
    match component.holding {
        Holding::Ring { count } | Holding::RingLow { count, .. } => count * R::BYTES,
        Holding::Bits { lanes, len } => packed_bytes(lanes, len),
    }
}

impl Demand {
    /// The demand of so many runs after each other, from one source.
    ///
    /// # Errors
    /// [`DemandError::TooMany`].
    pub fn repeated(&self, times: usize) -> Result<Self, DemandError> {
        let got = self.items.len().saturating_mul(times);
        if got > MAX_ITEMS {
            return Err(DemandError::TooMany { got });
        }
        let run = |run: usize| {
            let earlier = (run * self.items.len()) as u32;
            self.items.iter().map(move |item| item.after(earlier))
        };
        Ok(Self { items: (0..times).flat_map(run).collect() })
    }
}

/// Makes the next copy of `items` with all other parties and gives it to `keep`, an item at a time: bytes that `keep` may
/// overwrite, and that are wiped after it. The source's demand must have these items at this place.
///
/// # Errors
/// [`PrepError`] as the source fails, or what `keep` says.
pub fn make_copy<R: Ring, E: From<PrepError>>(
    source: &mut OtPrep<R>,
    items: &[Item],
    mut keep: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let earlier = source.next_item();
    for item in items {
        let mut made = source.draw(item.after(earlier))?;
        // Room for all of it, so that nothing is moved and left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(item_bytes::<R>(item)));
        made.iter().for_each(|value| value.append_to(&mut bytes));
        assert_eq!(
            bytes.len(),
            item_bytes::<R>(item),
            "invariant: a source makes items as they are laid out"
        );
        keep(&mut bytes)?;
        // Moves left copies of what stood beside the values, between their parts.
        made.clear();
        made.spare_capacity_mut().zeroize();
    }
    // The next copy has masks of its own.
    source.forget_masks();
    Ok(())
}

impl<R: Ring> Value<R> {
    fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ring(values) => out.extend_from_slice(values.as_bytes()),
            Self::Bits(bits) => bits.pack_into(out),
        }
    }

    fn from_bytes(component: &Component, bytes: &[u8]) -> Option<Self> {
        Some(match component.holding {
            Holding::Ring { count } | Holding::RingLow { count, .. } => {
                Self::Ring(Tensor::from_bytes(&[count], bytes)?)
            }
            Holding::Bits { lanes, len } => Self::Bits(BitTensor::unpack(lanes, len, bytes)?),
        })
    }
}

/// A party's source of correlated randomness that was made ahead.
pub struct StoredPrep<R: Ring> {
    ledger: Ledger,
    copy: Box<dyn CopyReader>,
    ring: std::marker::PhantomData<fn() -> R>,
}

impl<R: Ring> StoredPrep<R> {
    /// Reads a copy of `demand`, which requests must follow.
    #[must_use]
    pub fn new(demand: Demand, copy: Box<dyn CopyReader>) -> Self {
        Self { ledger: Ledger::new(Some(demand)), copy, ring: std::marker::PhantomData }
    }
}

impl<R: Ring> Components<R> for StoredPrep<R> {
    fn next_item(&self) -> u32 {
        self.ledger.next()
    }

    fn draw(&mut self, item: Item) -> Result<Vec<Value<R>>, PrepError> {
        let index = self.ledger.enter(item)?;
        let read = |component: &Component| {
            let mut bytes = Zeroizing::new(vec![0; encoded_bytes::<R>(component)]);
            self.copy.read(&mut bytes);
            Value::from_bytes(component, &bytes).ok_or(PrepError::MalformedCopy { index })
        };
        item.components::<R>().iter().map(read).collect()
    }

    /// All of it was made.
    fn prepare_items(&mut self, _items: usize) -> Result<(), PrepError> {
        Ok(())
    }

    /// Nothing passes between the parties for it any more.
    fn bytes(&self) -> u64 {
        0
    }
}
