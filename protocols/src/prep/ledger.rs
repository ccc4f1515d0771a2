//! What was asked for so far, against what was agreed. Every provider keeps one.

use super::{Demand, Item};
use crate::error::PrepError;

/// The items of a session in the order in which they are asked for.
pub(crate) struct Ledger {
    demand: Option<Demand>,
    asked: Vec<Item>,
}

impl Ledger {
    /// Requests must follow `demand`; without one, anything may be asked for.
    pub(crate) const fn new(demand: Option<Demand>) -> Self {
        Self { demand, asked: vec![] }
    }

    /// Number of the next item.
    pub(crate) const fn next(&self) -> u32 {
        self.asked.len() as u32
    }

    /// Everything asked for so far, in order.
    pub(crate) fn asked(&self) -> &[Item] {
        &self.asked
    }

    /// What was agreed for the places from `from` on, if anything was.
    pub(crate) fn agreed_from(&self, from: usize) -> impl Iterator<Item = (u32, Item)> + '_ {
        let items = self.demand.iter().flat_map(|d| &d.items).copied();
        (0..).zip(items).skip(from)
    }

    /// Enters the next item and returns its number.
    pub(crate) fn enter(&mut self, item: Item) -> Result<u32, PrepError> {
        let index = self.next();
        if let Some(demand) = &self.demand {
            let agreed = demand.items.get(index as usize).copied();
            if agreed != Some(item) {
                let (agreed, asked) = (agreed.map(Box::new), Box::new(item));
                return Err(PrepError::Unexpected { index, agreed, asked });
            }
        }
        if let Item::Given { part, .. } = &item
            && !part.is_of(self.asked.get(part.mask as usize))
        {
            return Err(PrepError::NoSuchMask { index, mask: part.mask });
        }
        self.asked.push(item);
        Ok(index)
    }
}
