//! Which extension makes the correlated OTs of a program: a cost model, in integers and of public facts alone, as for the
//! [shape of trees](crate::tree): all parties must come to the same choice.
//!
//! A party makes `count` COTs as the sender and as many as the receiver with each peer. It sends for those that it receives
//! (SoftSpoken) or sends (Ferret), so in both cases for one direction per peer, and computes for both. What base OTs cost is
//! left aside: each kind needs the same 128 per direction.
//!
//! | kind | bits sent per COT | computation | to begin with |
//! |---|---|---|---|
//! | SoftSpoken k = 4 | 31 | 10 ns | – |
//! | SoftSpoken k = 8 | 15 | 40 ns | – |
//! | Ferret | 0.21 | 30 ns | 74,036 COTs of SoftSpoken k = 4, 548,988 of the small set, 2 rounds: 370 kB |
//!
//! Computation is per COT and side on one core with VAES and a busy neighbour. Like a [`Link`], it is an assumption that the
//! parties agree on, not a measurement of their machines.

use super::ferret::{Parameters, Stock};
use crate::tree::Link;

/// A way to make correlated OTs.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum OtKind {
    /// SoftSpokenOT with k = 4: little to compute, 31 bits per COT.
    SoftSpoken4,
    /// SoftSpokenOT with k = 8: half the bits, four times the computation.
    SoftSpoken8,
    /// Ferret, with a base made by SoftSpokenOT k = 4.
    Ferret,
}

impl OtKind {
    /// Every kind. Of equally good ones the first is chosen.
    pub const ALL: [Self; 3] = [Self::SoftSpoken4, Self::SoftSpoken8, Self::Ferret];

    /// Bytes that a party sends to one peer for `count` COTs in each direction.
    #[must_use]
    pub fn bytes_per_peer(self, count: u64) -> u64 {
        match self {
            Self::SoftSpoken4 => (128 / 4 - 1) * count / 8,
            Self::SoftSpoken8 => (128 / 8 - 1) * count / 8,
            Self::Ferret => {
                let (large, small) = (Parameters::B13, Parameters::B10);
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let sent = |set, count| Stock::default().bytes(set, count, false)[0];
                Self::SoftSpoken4.bytes_per_peer(small.seed_cots() as u64)
                    + sent(small, large.seed_cots())
                    + sent(large, count)
            }
        }
    }

    /// Rounds of one call.
    #[must_use]
    pub const fn rounds(self) -> u64 {
        match self {
            Self::SoftSpoken4 | Self::SoftSpoken8 => 1,
            Self::Ferret => 3,
        }
    }

    /// Computation of a party with one peer for `count` COTs in each direction, in nanoseconds.
    fn computation(self, count: u64) -> u128 {
        let both_ways = 2 * u128::from(count);
        match self {
            Self::SoftSpoken4 => 10 * both_ways,
            Self::SoftSpoken8 => 40 * both_ways,
            Self::Ferret => {
                let seed = Parameters::B10.seed_cots() as u64;
                let base = 2 * 30 * Parameters::B13.seed_cots() as u128;
                Self::SoftSpoken4.computation(seed) + base + 30 * both_ways
            }
        }
    }

    /// Estimated time until a party has `count` COTs in each direction with each peer, when it has none.
    #[must_use]
    pub fn nanoseconds(self, link: Link, parties: usize, count: u64) -> u128 {
        let peers = parties.saturating_sub(1) as u128;
        let rounds = u128::from(self.rounds()) * u128::from(link.round_trip_us()) * 1000;
        let bytes = peers * u128::from(self.bytes_per_peer(count));
        rounds + peers * self.computation(count) + bytes * 1_000_000_000 / u128::from(link.bytes_per_second())
    }

    /// The kind that is estimated to take least time.
    #[must_use]
    pub fn choose(link: Link, parties: usize, count: u64) -> Self {
        let [first, rest @ ..] = Self::ALL;
        let time = |kind: Self| kind.nanoseconds(link, parties, count);
        rest.into_iter().fold(first, |best, kind| if time(kind) < time(best) { kind } else { best })
    }
}

impl std::fmt::Display for OtKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SoftSpoken4 => "SoftSpoken, k = 4",
            Self::SoftSpoken8 => "SoftSpoken, k = 8",
            Self::Ferret => "Ferret",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_links_save_computation_and_slow_ones_bytes() {
        for parties in 2..=5 {
            for count in [0, 1, 128, 10_000, 1_000_000, 1_000_000_000] {
                for link in [Link::LOOPBACK, Link::LAN] {
                    assert_eq!(
                        OtKind::choose(link, parties, count),
                        OtKind::SoftSpoken4,
                        "{count} on {link}"
                    );
                }
            }
            for count in [1, 1000, 100_000] {
                assert_eq!(OtKind::choose(Link::WAN, parties, count), OtKind::SoftSpoken8);
            }
            for count in [2_000_000, 1_000_000_000] {
                assert_eq!(OtKind::choose(Link::WAN, parties, count), OtKind::Ferret);
            }
        }
    }

    #[test]
    fn what_a_base_costs_pays_off_at_some_count() {
        // More COTs never bring SoftSpoken back.
        let kinds: Vec<OtKind> = (0..30).map(|log| OtKind::choose(Link::WAN, 2, 1 << log)).collect();
        let from = kinds.iter().position(|&kind| kind == OtKind::Ferret).unwrap();
        assert!((18..22).contains(&from), "from 2^{from}");
        assert!(kinds[from..].iter().all(|&kind| kind == OtKind::Ferret));
    }

    #[test]
    fn bytes_are_those_of_the_head() {
        assert_eq!(OtKind::SoftSpoken4.bytes_per_peer(8000), 31_000);
        assert_eq!(OtKind::SoftSpoken8.bytes_per_peer(8000), 15_000);
        // 74,036 COTs at 31 bits, 537 trees of ten levels; one tree of thirteen for up to 8192 COTs.
        let base = 74_036 * 31 / 8 + 537 * 160;
        assert_eq!(OtKind::Ferret.bytes_per_peer(0), base);
        assert_eq!(OtKind::Ferret.bytes_per_peer(8192), base + 208);
        let many = 150_077_440; // ten batches, renewed nine times
        assert_eq!(OtKind::Ferret.bytes_per_peer(many), base + (10 * 1900 - 68) * 208);
    }

    #[test]
    fn time_is_rounds_bytes_and_computation() {
        let link = Link::new(1000, 8_000_000).unwrap();
        // A round of 1 ms; 31 kB to each of two peers at 8 kB per ms; 8000 COTs each way at 10 ns.
        let expected = 1_000_000 + 2 * 31_000 * 125 + 2 * 2 * 8000 * 10;
        assert_eq!(OtKind::SoftSpoken4.nanoseconds(link, 3, 8000), expected);
        assert_eq!(OtKind::Ferret.to_string(), "Ferret");
    }
}
