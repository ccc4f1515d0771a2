//! Ferret's cost, call by call.

use mpc_core::party::PerParty;

use super::{Parameters, Stock};
use crate::ot::extension::{CotCount, ExtensionCost};

/// [`Ferret`](super::Ferret) of one session, as far as it costs.
#[derive(Clone, Debug)]
pub struct FerretCost<E> {
    set: Parameters,
    /// Until the base is made.
    inner: Option<E>,
    /// Of the directions to the peers: they are sent to there.
    stocks: Vec<Stock>,
}

impl<E> FerretCost<E> {
    /// Before the first call.
    #[must_use]
    pub const fn new(set: Parameters, inner: E) -> Self {
        Self { set, inner: Some(inner), stocks: vec![] }
    }
}

impl<E> FerretCost<FerretCost<E>> {
    /// That of [`Ferret::layered`](super::Ferret::layered).
    #[must_use]
    pub const fn layered(inner: E) -> Self {
        Self::new(Parameters::B13, FerretCost::new(Parameters::B10, inner))
    }
}

impl<E: ExtensionCost> ExtensionCost for FerretCost<E> {
    fn extend(&mut self, counts: &PerParty<Option<CotCount>>) -> (u64, PerParty<u64>) {
        let (set, n) = (self.set, counts.parties());
        self.stocks.resize(n, Stock::default());
        let (mut rounds, mut sent) = (1, PerParty::from_fn(n, |_| 0));
        if let Some(mut inner) = self.inner.take() {
            let base = CotCount { sent: set.seed_cots(), received: set.seed_cots() };
            let (base_rounds, base_sent) = inner.extend(&PerParty::from_fn(n, |p| counts[p].map(|_| base)));
            rounds += base_rounds;
            sent = base_sent;
        }
        for (p, count) in counts.iter() {
            let taken = self.stocks[p.index()].take(set, count.map_or(0, |c| c.sent));
            sent[p] += taken as u64 * set.tree_bytes();
        }
        (rounds, sent)
    }
}
