//! Which provider makes correlated randomness. All parties agree on it before they begin.

use mpc_core::channel::Channel;
use mpc_core::party::PerParty;
use mpc_core::prg::Seed;
use mpc_core::ring::{Ring, Z64};
use mpc_core::tag::SessionId;

use super::ot::{self, OtPrep};
use super::{Demand, Item};
use crate::ot::extension::Extension;
use crate::ot::ferret::{Ferret, FerretCost};
use crate::ot::lane::OtLane;
use crate::ot::softspoken::{FieldBits, Security, SoftSpoken, SoftSpokenCost};

/// How correlated OTs are made in bulk.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum CotExtension {
    /// SoftSpokenOT over F_{2^4}: 31 bits each, least work.
    SoftSpoken4,
    /// SoftSpokenOT over F_{2^8}: 15 bits each.
    SoftSpoken8,
    /// Ferret: 0.21 bits each in bulk, and a base of hundreds of thousands of others.
    Ferret,
}

impl CotExtension {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SoftSpoken4, Self::SoftSpoken8, Self::Ferret];

    /// As in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SoftSpoken4 => "softspoken-4",
            Self::SoftSpoken8 => "softspoken-8",
            Self::Ferret => "ferret",
        }
    }

    /// COTs of one direction that are made and used at a time, each time with rounds of their own: more with the two that
    /// send less, which are for slow links. With each peer, 2^20 take 34 MB, both directions together, and what is sent and
    /// received of them: 4 MB either way for triples and numbers, 8 MB for every value that bits are multiplied by, up to 32 MB
    /// either way for products of matrices.
    #[must_use]
    pub const fn chunk_cots(self) -> usize {
        match self {
            Self::SoftSpoken4 => 1 << 17,
            Self::SoftSpoken8 | Self::Ferret => 1 << 20,
        }
    }

    /// What each item costs that `n` parties of a new session make in this order.
    fn costs(self, n: usize, items: &[Item]) -> Vec<OfflineCost> {
        let soft = |field| SoftSpokenCost::new(field, Security::SemiHonest);
        ot::cost_of_each::<Z64>(n, items, self.chunk_cots(), |_| match self {
            Self::SoftSpoken4 => Box::new(soft(FieldBits::Four)),
            Self::SoftSpoken8 => Box::new(soft(FieldBits::Eight)),
            Self::Ferret => Box::new(FerretCost::layered(soft(FieldBits::Four))),
        })
    }

    /// The extension of one party in one session, semi-honest. `seed` is this party's alone and fresh for the session.
    #[must_use]
    pub fn build(self, session: &SessionId, seed: &Seed) -> Box<dyn Extension> {
        let own = |label| own(session, seed, label);
        let soft = |field| SoftSpoken::new(field, Security::SemiHonest, own("softspoken"));
        match self {
            Self::SoftSpoken4 => Box::new(soft(FieldBits::Four)),
            Self::SoftSpoken8 => Box::new(soft(FieldBits::Eight)),
            Self::Ferret => Box::new(Ferret::layered(own("ferret"), soft(FieldBits::Four))),
        }
    }
}

/// Who makes correlated randomness.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Provider {
    /// A helper that sees no data and must collude with nobody.
    Dealer,
    /// The parties themselves, by oblivious transfer.
    Ot(CotExtension),
}

/// What making one item costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfflineCost {
    /// Exchanges between the parties.
    pub rounds: u64,
    /// Bytes that each party receives from the dealer, or sends to the others.
    pub bytes: PerParty<u64>,
    /// Correlated OTs of each party, as sender and as receiver, with all others.
    pub cots: PerParty<u64>,
}

impl OfflineCost {
    /// Nothing, for `n` parties.
    #[must_use]
    pub fn none(n: usize) -> Self {
        let nothing = || PerParty::from_fn(n, |_| 0);
        Self { rounds: 0, bytes: nothing(), cots: nothing() }
    }

    /// All of them together, for `n` parties.
    #[must_use]
    pub fn sum<'a>(n: usize, costs: impl IntoIterator<Item = &'a Self>) -> Self {
        costs.into_iter().fold(Self::none(n), |sum, one| Self {
            rounds: sum.rounds + one.rounds,
            bytes: PerParty::from_fn(n, |p| sum.bytes[p] + one.bytes[p]),
            cots: PerParty::from_fn(n, |p| sum.cots[p] + one.cots[p]),
        })
    }
}

impl Provider {
    /// How correlated OTs are made, if they are.
    #[must_use]
    pub const fn extension(self) -> Option<CotExtension> {
        match self {
            Self::Dealer => None,
            Self::Ot(extension) => Some(extension),
        }
    }

    /// What each item costs that `n` parties of a new session ask for in this order.
    #[must_use]
    pub fn costs(self, n: usize, items: &[Item]) -> Vec<OfflineCost> {
        let corrected = |item: &Item| {
            let bytes = item.correction_bytes::<Z64>();
            PerParty::from_fn(n, |p| if p.index() == 0 { bytes } else { 0 })
        };
        let of_dealer = |item| OfflineCost { bytes: corrected(item), ..OfflineCost::none(n) };
        match self {
            Self::Dealer => items.iter().map(of_dealer).collect(),
            Self::Ot(extension) => extension.costs(n, items),
        }
    }

    /// As in a configuration, without the extension.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dealer => "dealer",
            Self::Ot(_) => "ot",
        }
    }
}

/// A party's source of correlated randomness by oblivious transfer, over a channel to all others. `seed` is this party's alone
/// and fresh for the session.
#[must_use]
pub fn without_dealer<R: Ring>(
    extension: CotExtension,
    channel: Box<dyn Channel>,
    session: SessionId,
    seed: Seed,
    demand: Option<Demand>,
) -> OtPrep<R> {
    let (lane, own) = (OtLane::new(channel, session), own(&session, &seed, "ot items"));
    OtPrep::new(lane, extension.build(&session, &seed), extension.chunk_cots(), own, demand)
}

/// A seed for one purpose.
fn own(session: &SessionId, seed: &Seed, label: &'static str) -> Seed {
    let mut h = blake3::Hasher::new_keyed(seed.expose());
    h.update(b"subrosa/ot-seed/1\0").update(&session.0).update(label.as_bytes());
    let derived = Seed::new(*h.finalize().as_bytes());
    zeroize::Zeroize::zeroize(&mut h);
    derived
}

#[cfg(test)]
mod tests {
    use mpc_core::local;

    use super::*;
    use crate::prep::components::Components;
    use crate::prep::{Comparison, Question};

    #[test]
    fn where_links_are_slow_a_million_triples_take_an_eighth_of_the_rounds() {
        let items = [Item::Triple { len: 1_000_000 }];
        let rounds = CotExtension::ALL.map(|e| Provider::Ot(e).costs(2, &items)[0].rounds);
        // Base and trees; then COTs and products of every chunk. Ferret's base has two rounds more.
        assert_eq!(rounds, [2 + 2 * 489, 2 + 2 * 62, 4 + 2 * 62]);
    }

    #[test]
    fn every_extension_costs_what_is_planned_item_by_item() {
        let sign = Comparison::in_ring(Question::Sign, 90, crate::tree::TreeChoice::DEFAULT);
        let items = vec![
            Item::Truncation { len: 50, bits: 16 },
            Item::Triple { len: 5000 },
            Item::Comparison(sign),
            Item::Mask { len: 12 },
            Item::Matmul { m: 9, k: 4, n: 2 },
        ];
        for (extension, n) in
            [(CotExtension::SoftSpoken4, 2), (CotExtension::SoftSpoken8, 3), (CotExtension::Ferret, 2)]
        {
            let planned = Provider::Ot(extension).costs(n, &items);
            let measured: Vec<Vec<(u64, u64)>> = std::thread::scope(|scope| {
                let parties: Vec<_> = (0u8..)
                    .zip(local::network(n))
                    .map(|(i, channel)| {
                        let (seed, demand) = (Seed::new([i; 32]), Demand { items: items.clone() });
                        let items = &items;
                        scope.spawn(move || {
                            let session = SessionId([7; 32]);
                            let mut prep = without_dealer::<Z64>(
                                extension,
                                Box::new(channel),
                                session,
                                seed,
                                Some(demand),
                            );
                            let mut one = |item: &Item| {
                                let before = (prep.lane().rounds(), prep.bytes());
                                drop(prep.draw(*item).unwrap());
                                (prep.lane().rounds() - before.0, prep.bytes() - before.1)
                            };
                            items.iter().map(&mut one).collect()
                        })
                    })
                    .collect();
                parties.into_iter().map(|party| party.join().unwrap()).collect()
            });
            for (p, of_party) in mpc_core::party::PartyId::all(n).zip(&measured) {
                let expected: Vec<_> = planned.iter().map(|cost| (cost.rounds, cost.bytes[p])).collect();
                assert_eq!(of_party, &expected, "{} at {p}", extension.name());
            }
        }
    }
}
