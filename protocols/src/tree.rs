//! The shape of comparison trees, and the cost model that chooses it.
//!
//! A comparison cuts its bits into blocks, inside of which everything is local at the price of dealt products, and combines
//! `fan_in` blocks per round above. Wide blocks and nodes save rounds and online bits and cost dealer bits: a ReLU on 64
//! bits takes 7 rounds, 153 bits and 280 from the dealer with (2, 2), 4, 98 and 457 with (4, 4), 3, 79 and 2,408 with
//! (8, 8).
//!
//! The parties and the dealer must all take the same shape, or the demands differ and the session ends before it starts. So
//! the choice is a function of public facts alone, in integers: a [`Link`] that the parties agreed on (as a part of the
//! program), their number, and the cost of the operation. A node's own idea of its network never enters.

use mpc_core::ring::Ring;

use crate::cost::Cost;
use crate::prep::Item;

/// How a comparison is cut: bits per block and children per node above, each 2, 4 or 8.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct TreeChoice {
    block: u8,
    fan_in: u8,
}

impl TreeChoice {
    /// Blocks of 4 bits and fan-in 4: the fewest rounds before the dealer's bits explode.
    pub const DEFAULT: Self = Self { block: 4, fan_in: 4 };

    /// Every shape. Of equally good ones the first is chosen.
    pub const ALL: [Self; 9] = [
        Self::DEFAULT,
        Self { block: 2, fan_in: 2 },
        Self { block: 2, fan_in: 4 },
        Self { block: 2, fan_in: 8 },
        Self { block: 4, fan_in: 2 },
        Self { block: 4, fan_in: 8 },
        Self { block: 8, fan_in: 2 },
        Self { block: 8, fan_in: 4 },
        Self { block: 8, fan_in: 8 },
    ];

    /// `None` unless both are 2, 4 or 8.
    #[must_use]
    pub fn new(block: usize, fan_in: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.block() == block && t.fan_in() == fan_in)
    }

    /// Bits per block.
    #[must_use]
    pub const fn block(self) -> usize {
        self.block as usize
    }

    /// Children per node.
    #[must_use]
    pub const fn fan_in(self) -> usize {
        self.fan_in as usize
    }
}

impl std::fmt::Display for TreeChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blocks of {}, fan-in {}", self.block, self.fan_in)
    }
}

/// What the parties agree to plan for: an assumption about the network between them, not a measurement.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Link {
    round_trip_us: u32,
    bytes_per_second: u64,
}

impl Link {
    /// Processes on one machine: 0.06 ms, 500 MB/s.
    pub const LOOPBACK: Self = Self { round_trip_us: 60, bytes_per_second: 500_000_000 };
    /// One site: 0.5 ms, 1 Gbit/s.
    pub const LAN: Self = Self { round_trip_us: 500, bytes_per_second: 125_000_000 };
    /// Between sites: 40 ms, 100 Mbit/s.
    pub const WAN: Self = Self { round_trip_us: 40_000, bytes_per_second: 12_500_000 };

    /// A link of the given round trip and bandwidth; `None` without bandwidth.
    #[must_use]
    pub const fn new(round_trip_us: u32, bytes_per_second: u64) -> Option<Self> {
        if bytes_per_second == 0 { None } else { Some(Self { round_trip_us, bytes_per_second }) }
    }

    /// Time of one round in microseconds.
    #[must_use]
    pub const fn round_trip_us(self) -> u32 {
        self.round_trip_us
    }

    /// Bandwidth of a party, shared by what it sends and by what it gets from the dealer.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.bytes_per_second
    }

    /// Estimated time of a protocol on this link: its rounds, what the busiest party sends, and the dealer's corrections.
    #[must_use]
    pub fn nanoseconds<R: Ring>(self, cost: &Cost) -> u128 {
        let dealt: u64 = cost.dealer_bytes::<R>().iter().map(|(_, &bytes)| bytes).sum();
        let bytes = u128::from(cost.max_sent_bytes()) + u128::from(dealt);
        let rounds = u128::from(cost.rounds) * u128::from(self.round_trip_us) * 1000;
        rounds + bytes * 1_000_000_000 / u128::from(self.bytes_per_second)
    }

    /// The shape with which an operation takes least time, among those that a dealer makes.
    #[must_use]
    pub fn choose<R: Ring>(self, cost: impl Fn(TreeChoice) -> Cost) -> TreeChoice {
        let made = |(_, cost): &(TreeChoice, Cost)| cost.items.iter().all(Item::is_sane);
        let costs = TreeChoice::ALL.into_iter().map(|tree| (tree, cost(tree))).filter(made);
        costs
            .min_by_key(|(_, cost)| self.nanoseconds::<R>(cost))
            .map_or(TreeChoice::DEFAULT, |(tree, _)| tree)
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ms, mb) = (f64::from(self.round_trip_us) / 1e3, self.bytes_per_second as f64 / 1e6);
        write!(f, "{ms} ms round trips, {mb} MB/s")
    }
}

#[cfg(test)]
mod tests {
    use mpc_core::ring::Z64;
    use mpc_core::share::Additive;

    use super::*;
    use crate::relu::relu_cost;

    fn relu(link: Link, parties: usize, len: usize) -> (usize, usize) {
        let tree = link.choose::<Z64>(|tree| relu_cost::<Additive<Z64>>(parties, len, 0, tree));
        (tree.block(), tree.fan_in())
    }

    #[test]
    fn few_elements_save_rounds_and_many_save_bits() {
        for link in [Link::LOOPBACK, Link::LAN, Link::WAN] {
            assert_eq!(relu(link, 2, 1), (8, 8));
            assert_eq!(relu(link, 2, 4_000_000), (2, 2));
        }
        assert_eq!(relu(Link::WAN, 2, 1000), (8, 8));
        assert_eq!(relu(Link::LAN, 2, 1000), (4, 4));
        // Online bits count once per peer, the dealer's once in all.
        assert_eq!((relu(Link::LAN, 2, 100_000), relu(Link::LAN, 5, 100_000)), ((2, 2), (4, 2)));
    }

    #[test]
    fn time_is_rounds_and_bytes() {
        let link = Link::new(1000, 8_000_000).unwrap();
        let cost = relu_cost::<Additive<Z64>>(3, 8000, 0, TreeChoice::DEFAULT);
        // 4 ms of rounds; 98 kB to each of two parties and 457 kB from the dealer at 8 kB per ms.
        assert_eq!(link.nanoseconds::<Z64>(&cost), 4_000_000 + (2 * 98 + 457) * 125_000);
        assert_eq!(Link::new(1, 0), None);
    }

    #[test]
    fn a_shape_that_no_dealer_makes_is_not_chosen() {
        // Ten thresholds for the most elements at once: 3.3 GB with blocks of 8 and fan-in 8.
        use crate::piecewise::{cost, tables};
        use crate::truncate::Rounding;
        use mpc_core::fixed::FracBits;
        let fast = Link::new(u32::MAX, u64::MAX).unwrap();
        let layout = tables::sigmoid().layout(FracBits::DEFAULT, 1 << 20).unwrap();
        let of = |len| move |tree| cost::<Additive<Z64>>(2, len, layout, Rounding::Dithered, tree);
        let cost = of(1 << 22);
        let chosen = fast.choose::<Z64>(cost);
        assert_ne!(chosen, TreeChoice::new(8, 8).unwrap());
        assert!(cost(chosen).items.iter().all(|i| i.is_sane()));
        assert_eq!(fast.choose::<Z64>(of(1000)).block(), 8);
    }

    #[test]
    fn shapes_are_those_of_two_four_and_eight() {
        for (block, fan_in) in [(1, 2), (2, 3), (16, 2), (0, 0), (4, 16)] {
            assert_eq!(TreeChoice::new(block, fan_in), None);
        }
        assert_eq!(TreeChoice::new(2, 8).map(|t| t.to_string()).as_deref(), Some("blocks of 2, fan-in 8"));
        assert_eq!(Link::WAN.to_string(), "40 ms round trips, 12.5 MB/s");
    }
}
