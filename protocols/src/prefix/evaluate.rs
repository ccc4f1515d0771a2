//! A network on shares, level by level.

use std::sync::Arc;

use mpc_core::bits::{BitTensor, lane_words};
use mpc_core::share::{BitSharing, Sharing};

use super::Network;
use super::subsets::{Subsets, chunks};

/// The masks of one network's wires and their dealt products: the lanes of a bundle from the given ones on.
pub(crate) struct NetworkMasks<S: Sharing> {
    pub(crate) masks: Arc<S::Bits>,
    pub(crate) products: Arc<S::Bits>,
    pub(crate) first_wire: usize,
    pub(crate) first_product: usize,
}

/// A network under way.
pub(crate) struct Evaluation<S: Sharing> {
    network: Arc<Network>,
    masks: NetworkMasks<S>,
    layer: usize,
    lanes: S::Bits,
}

impl<S: Sharing> Evaluation<S> {
    pub(crate) const fn new(network: Arc<Network>, masks: NetworkMasks<S>, leaves: S::Bits) -> Self {
        Self { network, masks, layer: 0, lanes: leaves }
    }

    /// Whether the lanes are the answers.
    pub(crate) fn is_done(&self) -> bool {
        self.layer == self.network.layers.len()
    }

    /// Wires of the current level.
    pub(crate) fn wires(&self) -> usize {
        self.network.layers[self.layer].wires.len()
    }

    /// Writes the masked wires of the current level to the lanes of `out` from `first` on.
    pub(crate) fn mask_wires(&self, out: &mut S::Bits, first: usize) {
        for (i, &lane) in self.network.layers[self.layer].wires.iter().enumerate() {
            out.xor_lane(first + i, &self.lanes, lane);
            out.xor_lane(first + i, &self.masks.masks, self.masks.first_wire + i);
        }
    }

    /// Combines the level with its wires, which are the lanes of `opened` from `first` on.
    pub(crate) fn finish_level(&mut self, opened: &BitTensor, first: usize, holder: S::Holder) {
        let (layer, masks) = (&self.network.layers[self.layer], &self.masks);
        let mut out = S::Bits::zeros(layer.sums.len(), self.lanes.len());
        let mut public = Subsets::default();
        for words in chunks(lane_words(self.lanes.len())) {
            for (i, sum) in layer.sums.iter().enumerate() {
                if let Some(lane) = sum.lane {
                    out.xor_words(i, &self.lanes, lane, words.clone());
                }
                for term in &sum.terms {
                    // ∏ (d_w ⊕ m_w) = ⊕_S (∏_{w∉S} d_w)·m_S
                    let d = |&w: &usize| &opened.lane(first + w)[words.clone()];
                    public.fill(words.len(), term.wires.iter().map(d));
                    let all = (1usize << term.wires.len()) - 1;
                    if let Some(k) = public.of(all) {
                        out.xor_public(i, words.start, k, holder);
                    }
                    for (set, &place) in (1..=all).zip(&term.places) {
                        let m = match set.is_power_of_two() {
                            true => (&*masks.masks, masks.first_wire + place),
                            false => (&*masks.products, masks.first_product + place),
                        };
                        public.add_times(all & !set, m, (&mut out, i), words.clone());
                    }
                }
            }
        }
        self.masks.first_wire += layer.wires.len();
        self.masks.first_product += layer.products.len();
        self.layer += 1;
        self.lanes = out;
    }

    /// The answers, ascending.
    pub(crate) fn answers(self) -> S::Bits {
        debug_assert!(self.is_done());
        self.lanes
    }
}
