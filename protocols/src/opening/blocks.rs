//! Step 2: the blocks, which are local.
//!
//! With c̄ = ¬(c − t), for a range of bits inside a block and r_S = ∏_{i∈S} r_i (dealt):
//! `less = ⊕_S r_S · c̄_{min S} · ∏_{j > min S, j ∉ S} c̄_j`, `equal = ⊕_S r_S · ∏_{j ∉ S} c̄_j`, S over the sets of the range, the
//! empty one included for "equal".

use mpc_core::bits::{BitTensor, lane_words};
use mpc_core::share::{BitSharing, Sharing};
use mpc_core::tensor::Tensor;

use crate::correlation::ComparisonBundle;
use crate::prefix::subsets::{Subsets, chunks};
use crate::prefix::{Network, Says, block_product_place};

impl<S: Sharing> ComparisonBundle<S> {
    /// The network's first lanes for c − t.
    pub(super) fn leaves(
        &self,
        network: &Network,
        c: &Tensor<S::Ring>,
        t: S::Ring,
        holder: S::Holder,
    ) -> S::Bits {
        let mut not_c = BitTensor::slice_of(c.map(|c| c - t).as_slice(), network.bits);
        for lane in 0..network.bits {
            not_c.lane_mut(lane).iter_mut().for_each(|w| *w = !*w);
        }
        let mut out = S::Bits::zeros(network.leaves.len(), c.len());
        let mut public = Subsets::default();
        for words in chunks(lane_words(c.len())) {
            let (mut start, mut first_product, mut leaf) = (0, 0, 0);
            for block in network.blocks() {
                let lanes = (start..start + block).map(|lane| &not_c.lane(lane)[words.clone()]);
                public.fill(words.len(), lanes);
                while let Some(lane) = network.leaves.get(leaf).filter(|l| l.end < start + block) {
                    let all = (2usize << (lane.end - start)) - 1;
                    if let (Says::Equal, Some(k)) = (lane.says, public.of(all)) {
                        out.xor_public(leaf, words.start, k, holder);
                    }
                    for set in 1..=all {
                        let source = match set.is_power_of_two() {
                            true => (&self.r_bits, start + set.trailing_zeros() as usize),
                            false => (&self.block_products, first_product + block_product_place(set)),
                        };
                        let lowest = set & set.wrapping_neg();
                        let outside = match lane.says {
                            Says::Less => (all & !(lowest - 1) & !set) | lowest,
                            Says::Equal => all & !set,
                        };
                        public.add_times(outside, source, (&mut out, leaf), words.clone());
                    }
                    leaf += 1;
                }
                start += block;
                first_product += (1 << block) - 1 - block;
            }
        }
        out
    }
}
