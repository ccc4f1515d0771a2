//! Who takes part: party indices and per-party tables.

use std::fmt;
use std::ops::{Index, IndexMut};

/// The most computing parties one session supports. Openings are direct (every party to every other), which is
/// the better choice up to this size.
pub const MAX_PARTIES: usize = 5;

/// A computing party's index in the session's roster, from 0.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct PartyId(u8);

impl PartyId {
    /// The party at `index` of the roster.
    ///
    /// # Panics
    /// If `index` is not below [`MAX_PARTIES`]; a roster is checked against that limit when it is read.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        assert!(index < MAX_PARTIES, "party index out of range");
        Self(index as u8)
    }

    /// The index in the roster.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All parties of an `n`-party session, in order.
    pub fn all(n: usize) -> impl Iterator<Item = Self> + Clone {
        (0..n).map(Self::new)
    }

    /// All parties but this one, in order.
    pub fn others(self, n: usize) -> impl Iterator<Item = Self> + Clone {
        Self::all(n).filter(move |&p| p != self)
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {}", self.0)
    }
}

/// One value per party, indexed by [`PartyId`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerParty<T>(Vec<T>);

impl<T> PerParty<T> {
    /// Builds the table by calling `f` for every party in order.
    pub fn from_fn(n: usize, f: impl FnMut(PartyId) -> T) -> Self {
        Self(PartyId::all(n).map(f).collect())
    }

    /// How many parties the table has.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.0.len()
    }

    /// Values in party order.
    pub fn iter(&self) -> impl Iterator<Item = (PartyId, &T)> {
        self.0.iter().enumerate().map(|(i, v)| (PartyId::new(i), v))
    }

    /// The values alone, in party order.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Index<PartyId> for PerParty<T> {
    type Output = T;
    fn index(&self, p: PartyId) -> &T {
        &self.0[p.index()]
    }
}

impl<T> IndexMut<PartyId> for PerParty<T> {
    fn index_mut(&mut self, p: PartyId) -> &mut T {
        &mut self.0[p.index()]
    }
}
