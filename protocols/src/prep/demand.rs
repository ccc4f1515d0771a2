//! The demand: the ordered list of what a program will consume. The parties agree on it with the dealer before anything is
//! made.

use mpc_core::wire::{Decoder, Encoder, WireError};

use super::item::Item;
use super::part::MaskPart;

/// The most items of a demand.
pub const MAX_ITEMS: usize = 1 << 20;

/// Everything a program will consume, in order.
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
    /// A product with a part of a mask that is none.
    #[error("correlation {at} takes a part of correlation {mask}, which is no earlier mask that has it")]
    NoSuchMask {
        /// Place of the product.
        at: u32,
        /// Place of what should be a mask.
        mask: u32,
    },
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
        let demand = Self { items };
        demand.check_masks()?;
        Ok(demand)
    }

    /// Checks that every item is within a dealer's limits.
    ///
    /// # Errors
    /// [`DemandError`] as the dealer would answer.
    pub fn check(&self) -> Result<(), DemandError> {
        if self.items.len() > MAX_ITEMS {
            return Err(DemandError::TooMany { got: self.items.len() });
        }
        if !self.items.iter().all(Item::is_sane) {
            return Err(DemandError::Insane);
        }
        self.check_masks()
    }

    /// Every part of a mask is one of an earlier item that has it.
    fn check_masks(&self) -> Result<(), DemandError> {
        let mut products = (0u32..).zip(&self.items).filter_map(|(at, item)| match item {
            Item::Given { part, .. } => Some((at, part)),
            _ => None,
        });
        let is_wrong = |&(at, part): &(u32, &MaskPart)| {
            part.mask >= at || !part.is_of(self.items.get(part.mask as usize))
        };
        match products.find(is_wrong) {
            Some((at, part)) => Err(DemandError::NoSuchMask { at, mask: part.mask }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use mpc_core::conv::ConvShape;
    use mpc_core::ring::Z64;
    use mpc_core::windows::Sliding;
    use proptest::prelude::*;

    use super::*;
    use crate::prep::{Comparison, Question};
    use crate::tree::TreeChoice;

    fn conv(input: [usize; 4], kernel: [usize; 4]) -> ConvShape {
        ConvShape::new(input, kernel, Sliding::by(1), 1).expect("sizes that fit")
    }

    #[test]
    fn dealer_bits_are_those_of_the_formulas() {
        let n = 1 << 10;
        let bits = |item: Item| item.correction_bytes::<Z64>() * 8 / n as u64;
        assert_eq!(bits(Item::Triple { len: n }), 64);
        assert_eq!(bits(Item::Square { len: n }), 64);
        assert_eq!(bits(Item::Dot { len: n, terms: 3 }), 64);
        assert_eq!(bits(Item::DaBits { len: n }), 64);
        assert_eq!(bits(Item::Truncation { len: n, bits: 16 }), 64 + 16);
        assert_eq!(bits(Item::Angles { len: n, bits: 24, multiples: 8 }), 16 * 64);
        assert_eq!(Item::Matmul { m: 3, k: 1000, n: 5 }.correction_bytes::<Z64>(), 8 * 15);
        assert_eq!(Item::BatchMatmul { count: 7, m: 3, k: 9, n: 5 }.correction_bytes::<Z64>(), 7 * 8 * 15);
        // 24×24 results of each of 20 filters for every image.
        assert_eq!(Item::Conv(conv([9, 1, 28, 28], [20, 1, 5, 5])).correction_bytes::<Z64>(), 9 * 8 * 11_520);
        let of = |spec: Comparison| bits(Item::Comparison(spec));
        let tree = |block, fan_in| TreeChoice::new(block, fan_in).unwrap();
        let sign = Comparison::in_ring(Question::Sign, n, TreeChoice::DEFAULT);
        assert_eq!(of(Comparison { arithmetic: false, ..sign }), 64 + 169 + 96);
        let relu = Comparison { product: true, ..sign };
        assert_eq!(of(relu), 457);
        assert_eq!(of(Comparison { tree: tree(2, 2), ..relu }), 280);
        assert_eq!(of(Comparison { tree: tree(8, 8), ..relu }), 2408);
        // W and W·b of 64 bits, E and E·b of 16, instead of r·b.
        assert_eq!(of(Comparison { truncation: 16, ..sign }), 553);
        assert_eq!(of(Comparison { payloads: 3, ..relu }), 457 + 3 * 64);
    }

    #[test]
    fn demand_round_trips_and_refuses_what_is_too_large() {
        let sign = Comparison::in_ring(Question::Sign, 10, TreeChoice::DEFAULT);
        let demand = Demand {
            items: vec![
                Item::Matmul { m: 10, k: 4, n: 1 },
                Item::Truncation { len: 10, bits: 16 },
                Item::Comparison(Comparison { powers: true, thresholds: 10, ..sign }),
                Item::Comparison(Comparison { truncation: 16, ..sign }),
                Item::Comparison(Comparison { payloads: 2, product: true, ..sign }),
                Item::Comparison(Comparison::new(Question::Bits, 3, TreeChoice::ALL[8])),
                Item::Comparison(Comparison::in_ring(Question::Equal, 3, TreeChoice::ALL[1])),
                Item::Comparison(Comparison::new(Question::SignAndEqual, 3, TreeChoice::ALL[2])),
                Item::Comparison(Comparison::in_ring(Question::Quotient { bits: 63 }, 3, TreeChoice::ALL[3])),
                Item::Dot { len: 10, terms: 3 },
                Item::DaBits { len: 1 },
                Item::Angles { len: 9, bits: 24, multiples: 8 },
                Item::Square { len: 2 },
                Item::Triple { len: 3 },
                Item::BatchMatmul { count: 12, m: 3, k: 4, n: 5 },
                Item::Conv(
                    ConvShape::new([1, 4, 9, 8], [6, 2, 3, 2], Sliding::by(2).padded(1), 2)
                        .expect("sizes that fit"),
                ),
            ],
        };
        assert_eq!(Demand::decode(&demand.encode()), Ok(demand.clone()));
        demand.check().unwrap();
        for item in [
            Item::Triple { len: usize::MAX },
            Item::Matmul { m: 1 << 20, k: 1 << 20, n: 1 },
            Item::BatchMatmul { count: usize::MAX, m: 0, k: 0, n: 0 },
            Item::BatchMatmul { count: 1 << 10, m: 1 << 10, k: 1 << 10, n: 1 << 10 },
            Item::BatchMatmul { count: 2, m: 1 << 14, k: 1 << 13, n: usize::MAX },
            // Every tensor is allowed, but a dealer would multiply for days; or one is too large.
            Item::Conv(conv([1, 1, 1 << 14, 1 << 14], [1, 1, 1 << 12, 1 << 12])),
            Item::Conv(conv([1 << 14, 1, 1, 1], [1 << 15, 1, 1, 1])),
            Item::Truncation { len: 1, bits: 63 },
            Item::Angles { len: 1, bits: 0, multiples: 8 },
            Item::Angles { len: 1, bits: 33, multiples: 8 },
            Item::Angles { len: 1, bits: 24, multiples: 17 },
            Item::Angles { len: 1 << 26, bits: 24, multiples: 8 },
            // Nothing is corrected, but a factor by itself is too large.
            Item::Angles { len: 1 << 40, bits: 24, multiples: 0 },
            Item::Dot { len: 0, terms: usize::MAX },
            Item::Mask { len: usize::MAX },
            Item::Matmul { m: usize::MAX, k: 0, n: 0 },
            Item::BatchMatmul { count: 1, m: 0, k: 0, n: usize::MAX },
            Item::Comparison(Comparison { product: true, arithmetic: false, ..sign }),
            Item::Comparison(Comparison { product: true, truncation: 8, ..sign }),
            Item::Comparison(Comparison { truncation: 63, ..sign }),
            Item::Comparison(Comparison { thresholds: 65, ..sign }),
            Item::Comparison(Comparison { thresholds: 2, payloads: 1, ..sign }),
            Item::Comparison(Comparison { payloads: usize::MAX, ..sign }),
            Item::Comparison(Comparison { question: Question::Bits, ..sign }),
            Item::Comparison(Comparison { question: Question::Equal, thresholds: 2, ..sign }),
            Item::Comparison(Comparison { question: Question::Quotient { bits: 64 }, ..sign }),
            Item::Comparison(Comparison { question: Question::Quotient { bits: 0 }, ..sign }),
            Item::Comparison(Comparison {
                question: Question::Quotient { bits: 8 },
                arithmetic: false,
                ..sign
            }),
            // Every parameter is in range, but the products of 64 networks of fan-in 8 would take 15 GB.
            Item::Comparison(Comparison { len: 1 << 22, thresholds: 64, tree: TreeChoice::ALL[8], ..sign }),
        ] {
            let d = Demand { items: vec![item] };
            assert_eq!(d.check(), Err(DemandError::Insane));
            assert_eq!(Demand::decode(&d.encode()), Err(DemandError::Insane));
        }
    }

    #[test]
    fn sizes_of_convolutions_that_do_not_fit_are_refused() {
        let shape =
            ConvShape::new([2, 4, 9, 8], [6, 2, 3, 2], Sliding::by(2).padded(1), 2).expect("sizes that fit");
        let bytes = Demand { items: vec![Item::Conv(shape)] }.encode();
        let numbers = bytes.len() - 17 * 8;
        for number in 0..17 {
            for value in [0, usize::MAX as u64] {
                let mut other = bytes.clone();
                other[numbers + 8 * number..][..8].copy_from_slice(&value.to_le_bytes());
                // Without padding it is another convolution.
                let fits = value == 0 && (12..16).contains(&number);
                assert_eq!(Demand::decode(&other).is_ok(), fits, "number {number}: {value}");
            }
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
