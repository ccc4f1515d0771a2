//! The kinds of correlated randomness, their sizes, and the demand: the ordered list of what a program will consume.
//!
//! An item is a fixed list of *components*. A **free** component is uniform: every party expands its share from its
//! seed and nothing is sent. A **derived** component is a function of free ones: all parties but party 0 expand their
//! share from their seed and party 0 receives a *correction*, which is its share.

use mpc_core::bits::packed_bytes;
use mpc_core::ring::{Ring, Z64};
use mpc_core::wire::{Decoder, Encoder, WireError};

use crate::prefix::TreeShape;

/// What a comparison needs, all for one masked opening c = x + r of `len` elements (see `compare`).
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Comparison {
    /// Elements opened.
    pub len: usize,
    /// Thresholds that each element is compared with; each has a tree of its own.
    pub trees: usize,
    /// Bits of r whose products are dealt, so that the first tree level is local.
    pub block: usize,
    /// Children combined per node above.
    pub fan_in: usize,
    /// With doubly shared bits, to turn the results into ring elements.
    pub arithmetic: bool,
    /// With `[r·b]`, to multiply x by the result without another opening; one tree.
    pub product: bool,
    /// With `[r²]` and `[r³]`, for powers of x from the same opening.
    pub powers: bool,
}

impl Comparison {
    /// Blocks of 4 bits and fan-in 4 above: the fewest rounds before the dealer's bits explode.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        Self { len, trees: 1, block: 4, fan_in: 4, arithmetic: false, product: false, powers: false }
    }

    /// The tree over the blocks of the k−1 bits below the sign.
    #[must_use]
    pub fn tree<R: Ring>(&self) -> TreeShape {
        TreeShape::new((R::BITS as usize - 1).div_ceil(self.block), self.fan_in)
    }

    /// Products of two or more bits inside the blocks.
    #[must_use]
    pub fn block_products<R: Ring>(&self) -> usize {
        let bits = R::BITS as usize - 1;
        (0..bits).step_by(self.block).map(|s| self.block.min(bits - s)).map(|k| (1 << k) - 1 - k).sum()
    }
}

/// One piece of correlated randomness.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Item {
    /// a, b, c = a·b.
    Triple {
        /// Elements.
        len: usize,
    },
    /// a, c = a².
    Square {
        /// Elements.
        len: usize,
    },
    /// a_t, b_t, c = Σ_t a_t·b_t.
    Dot {
        /// Elements.
        len: usize,
        /// Terms of the sum.
        terms: usize,
    },
    /// A, B, C = A·B.
    Matmul {
        /// Rows of A.
        m: usize,
        /// Columns of A.
        k: usize,
        /// Columns of B.
        n: usize,
    },
    /// r, W = ⌊signed(r)/2^f⌋, E = top bit of r mod 2^f.
    Truncation {
        /// Elements.
        len: usize,
        /// f.
        bits: u32,
    },
    /// r, its bits, block products, tree masks and their products.
    Comparison(Comparison),
    /// A bit shared by XOR and in the ring.
    DaBits {
        /// Bits.
        len: usize,
    },
}

/// The most elements of any component of an item: 2^28.
const MAX_ELEMENTS: usize = 1 << 28;
/// The most bytes of one item's correction: 2 GiB. A dealer makes an item whole.
const MAX_CORRECTION_BYTES: u64 = 1 << 31;
/// The most items of a demand.
const MAX_ITEMS: usize = 1 << 20;

/// How a component is held.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Holding {
    /// Ring elements.
    Ring { count: usize },
    /// Ring elements of which only the lowest `bits` matter.
    RingLow { count: usize, bits: u32 },
    /// Bit lanes.
    Bits { lanes: usize, len: usize },
}

/// One component of an item.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Component {
    pub(crate) holding: Holding,
    pub(crate) derived: bool,
}

impl Component {
    pub(crate) fn correction_bytes<R: Ring>(&self) -> usize {
        match self.holding {
            _ if !self.derived => 0,
            Holding::Ring { count } => count * R::BYTES,
            Holding::RingLow { count, bits } => packed_bytes(count, bits as usize),
            Holding::Bits { lanes, len } => packed_bytes(lanes, len),
        }
    }
}

const fn free(holding: Holding) -> Component {
    Component { holding, derived: false }
}

const fn derived(holding: Holding) -> Component {
    Component { holding, derived: true }
}

impl Item {
    /// The components in the order in which they are expanded and corrected.
    pub(crate) fn components<R: Ring>(&self) -> Vec<Component> {
        let ring = |count| Holding::Ring { count };
        match *self {
            Self::Triple { len } => vec![free(ring(len)), free(ring(len)), derived(ring(len))],
            Self::Square { len } => vec![free(ring(len)), derived(ring(len))],
            Self::Dot { len, terms } => {
                vec![free(ring(len * terms)), free(ring(len * terms)), derived(ring(len))]
            }
            Self::Matmul { m, k, n } => vec![free(ring(m * k)), free(ring(k * n)), derived(ring(m * n))],
            Self::Truncation { len, bits } => {
                vec![free(ring(len)), derived(ring(len)), derived(Holding::RingLow { count: len, bits })]
            }
            Self::DaBits { len } => vec![free(Holding::Bits { lanes: 1, len }), derived(ring(len))],
            Self::Comparison(s) => {
                let (tree, bits) = (s.tree::<R>(), |lanes| Holding::Bits { lanes, len: s.len });
                let mut out = vec![
                    free(ring(s.len)),
                    derived(bits(R::BITS as usize)),
                    derived(bits(s.block_products::<R>())),
                    free(bits(s.trees * tree.wires())),
                    derived(bits(s.trees * tree.products())),
                ];
                if s.arithmetic {
                    out.extend([free(bits(s.trees)), derived(ring(s.trees * s.len))]);
                }
                if s.product {
                    out.push(derived(ring(s.len)));
                }
                if s.powers {
                    out.extend([derived(ring(s.len)), derived(ring(s.len))]);
                }
                out
            }
        }
    }

    /// Bytes of the correction that the dealer sends to party 0.
    #[must_use]
    pub fn correction_bytes<R: Ring>(&self) -> u64 {
        self.components::<R>().iter().map(|c| c.correction_bytes::<R>() as u64).sum()
    }

    /// A short name, for plans and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Triple { .. } => "triple",
            Self::Square { .. } => "square_pair",
            Self::Dot { .. } => "dot_triple",
            Self::Matmul { .. } => "matmul_triple",
            Self::Truncation { .. } => "truncation_tuple",
            Self::Comparison(_) => "comparison_bundle",
            Self::DaBits { .. } => "dabit",
        }
    }

    /// How many of that name the item holds: elements, or 1 for a matrix triple.
    #[must_use]
    pub const fn count(&self) -> usize {
        match *self {
            Self::Triple { len }
            | Self::Square { len }
            | Self::Dot { len, .. }
            | Self::Truncation { len, .. }
            | Self::DaBits { len } => len,
            Self::Comparison(s) => s.len,
            Self::Matmul { .. } => 1,
        }
    }

    /// Whether all sizes are within limits, so that nothing overflows or exhausts memory on a peer's word.
    fn is_sane(&self) -> bool {
        self.has_sane_parameters() && self.correction_bytes::<Z64>() <= MAX_CORRECTION_BYTES
    }

    /// Whether parameters are in range, so that sizes can be computed without overflow.
    fn has_sane_parameters(&self) -> bool {
        let within = |factors: &[usize]| {
            factors.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).is_some_and(|p| p <= MAX_ELEMENTS)
        };
        match *self {
            Self::Triple { len } | Self::Square { len } | Self::DaBits { len } => within(&[len]),
            Self::Dot { len, terms } => terms > 0 && within(&[len, terms]),
            Self::Matmul { m, k, n } => within(&[m, k]) && within(&[k, n]) && within(&[m, n]),
            Self::Truncation { len, bits } => within(&[len]) && (1..=62).contains(&bits),
            Self::Comparison(s) => {
                within(&[s.len, s.trees])
                    && s.len <= MAX_ELEMENTS / 64
                    && (1..=64).contains(&s.trees)
                    && (1..=8).contains(&s.block)
                    && (2..=8).contains(&s.fan_in)
                    && (!s.product || (s.trees == 1 && s.arithmetic))
            }
        }
    }

    fn encode(&self, e: &mut Encoder) {
        let mut put = |kind: u8, fields: &[usize]| {
            e.u8(kind);
            fields.iter().for_each(|&f| {
                e.u64(f as u64);
            });
        };
        match *self {
            Self::Triple { len } => put(0, &[len]),
            Self::Square { len } => put(1, &[len]),
            Self::Dot { len, terms } => put(2, &[len, terms]),
            Self::Matmul { m, k, n } => put(3, &[m, k, n]),
            Self::Truncation { len, bits } => put(4, &[len, bits as usize]),
            Self::DaBits { len } => put(5, &[len]),
            Self::Comparison(s) => {
                let flags =
                    usize::from(s.arithmetic) | usize::from(s.product) << 1 | usize::from(s.powers) << 2;
                put(6, &[s.len, s.trees, s.block, s.fan_in, flags]);
            }
        }
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, DemandError> {
        let kind = d.u8()?;
        let mut size =
            || -> Result<usize, DemandError> { usize::try_from(d.u64()?).map_err(|_| DemandError::Insane) };
        let item = match kind {
            0 => Self::Triple { len: size()? },
            1 => Self::Square { len: size()? },
            2 => Self::Dot { len: size()?, terms: size()? },
            3 => Self::Matmul { m: size()?, k: size()?, n: size()? },
            4 => Self::Truncation {
                len: size()?,
                bits: u32::try_from(size()?).map_err(|_| DemandError::Insane)?,
            },
            5 => Self::DaBits { len: size()? },
            6 => {
                let (len, trees, block, fan_in, flags) = (size()?, size()?, size()?, size()?, size()?);
                if flags > 7 {
                    return Err(DemandError::Insane);
                }
                let (arithmetic, product, powers) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
                Self::Comparison(Comparison { len, trees, block, fan_in, arithmetic, product, powers })
            }
            _ => return Err(DemandError::UnknownKind { kind }),
        };
        if item.is_sane() { Ok(item) } else { Err(DemandError::Insane) }
    }
}

/// Everything a program will consume, in order. The parties agree on it with the dealer before anything is made.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct Demand {
    /// The items in the order of use.
    pub items: Vec<Item>,
}

/// Why a demand is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DemandError {
    /// Does not parse.
    #[error("malformed demand: {0}")]
    Wire(#[from] WireError),
    /// A kind of item that this version does not know.
    #[error("unknown correlation kind {kind}")]
    UnknownKind {
        /// Its number.
        kind: u8,
    },
    /// Sizes beyond the limits.
    #[error("a correlation is larger than a dealer makes, or its parameters are out of range")]
    Insane,
    /// Too many items.
    #[error("demand has {got} items, more than {MAX_ITEMS}")]
    TooMany {
        /// How many.
        got: usize,
    },
}

impl Demand {
    /// Canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u32(self.items.len() as u32);
        self.items.iter().for_each(|i| i.encode(&mut e));
        e.finish()
    }

    /// Decodes what a party sent.
    ///
    /// # Errors
    /// [`DemandError`] on anything but a canonical demand within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, DemandError> {
        let mut d = Decoder::new(bytes);
        let count = d.u32()? as usize;
        if count > MAX_ITEMS {
            return Err(DemandError::TooMany { got: count });
        }
        let items = (0..count).map(|_| Item::decode(&mut d)).collect::<Result<_, _>>()?;
        d.finish()?;
        Ok(Self { items })
    }

    /// Checks that every item is within a dealer's limits.
    ///
    /// # Errors
    /// [`DemandError`] as the dealer would answer.
    pub fn check(&self) -> Result<(), DemandError> {
        if self.items.len() > MAX_ITEMS {
            return Err(DemandError::TooMany { got: self.items.len() });
        }
        if self.items.iter().all(Item::is_sane) { Ok(()) } else { Err(DemandError::Insane) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dealer_bits_are_those_of_the_formulas() {
        let n = 1 << 10;
        let bits = |item: Item| item.correction_bytes::<Z64>() * 8 / n as u64;
        assert_eq!(bits(Item::Triple { len: n }), 64);
        assert_eq!(bits(Item::Square { len: n }), 64);
        assert_eq!(bits(Item::Dot { len: n, terms: 3 }), 64);
        assert_eq!(bits(Item::DaBits { len: n }), 64);
        assert_eq!(bits(Item::Truncation { len: n, bits: 16 }), 64 + 16);
        assert_eq!(Item::Matmul { m: 3, k: 1000, n: 5 }.correction_bytes::<Z64>(), 8 * 15);
        let c = Comparison::new(n);
        assert_eq!(bits(Item::Comparison(c)), 64 + 169 + 96);
        let relu = Comparison { arithmetic: true, product: true, ..c };
        assert_eq!(bits(Item::Comparison(relu)), 457);
        assert_eq!(bits(Item::Comparison(Comparison { block: 2, fan_in: 2, ..relu })), 280);
        assert_eq!(bits(Item::Comparison(Comparison { block: 8, fan_in: 8, ..relu })), 2408);
    }

    #[test]
    fn demand_round_trips_and_refuses_what_is_too_large() {
        let demand = Demand {
            items: vec![
                Item::Matmul { m: 10, k: 4, n: 1 },
                Item::Truncation { len: 10, bits: 16 },
                Item::Comparison(Comparison {
                    arithmetic: true,
                    powers: true,
                    trees: 10,
                    ..Comparison::new(10)
                }),
                Item::Dot { len: 10, terms: 3 },
                Item::DaBits { len: 1 },
                Item::Square { len: 2 },
                Item::Triple { len: 3 },
            ],
        };
        assert_eq!(Demand::decode(&demand.encode()), Ok(demand.clone()));
        demand.check().unwrap();
        for item in [
            Item::Triple { len: usize::MAX },
            Item::Matmul { m: 1 << 20, k: 1 << 20, n: 1 },
            Item::Truncation { len: 1, bits: 63 },
            Item::Comparison(Comparison { fan_in: 9, ..Comparison::new(1) }),
            Item::Comparison(Comparison { product: true, ..Comparison::new(1) }),
            // Every parameter is in range, but the products of 64 trees of fan-in 8 would take 15 GB.
            Item::Comparison(Comparison {
                trees: 64,
                block: 8,
                fan_in: 8,
                arithmetic: true,
                ..Comparison::new(1 << 22)
            }),
        ] {
            let d = Demand { items: vec![item] };
            assert_eq!(d.check(), Err(DemandError::Insane));
            assert_eq!(Demand::decode(&d.encode()), Err(DemandError::Insane));
        }
    }

    proptest! {
        #[test]
        fn hostile_demands_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(d) = Demand::decode(&bytes) {
                prop_assert_eq!(d.encode(), bytes);
            }
        }
    }
}
