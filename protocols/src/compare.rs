//! Comparison by one masked opening: signs, ReLU, clamp.
//!
//! Damgård et al. (ePrint 2019/599) and Escudero et al. (ePrint 2020/338), mask-and-open comparison, with dealt products
//! of the mask's bits inside blocks of 4 and a fan-in-4 tree above (the latter in `prefix`). For a k-bit x:
//! 1. Open c = x + r. For a public threshold t, v = x − t is c − t minus r, so
//!    `msb(v) = (c − t)_top ⊕ r_top ⊕ [(c − t) mod 2^(k−1) < r mod 2^(k−1)]`.
//! 2. Inside a block, "less" and "equal" are Boolean functions of r's bits with public coefficients. With c̄ = ¬(c − t):
//!    `less = ⊕_S r_S · c̄_{min S} · ∏_{j > min S, j ∉ S} c̄_j`, `equal = ⊕_S r_S · ∏_{j ∉ S} c̄_j`, r_S = ∏_{i∈S} r_i dealt.
//! 3. The tree combines the blocks, one round per level.
//! 4. Open z = msb ⊕ b. Then `[msb] = z + (1 − 2z)[b]`, and from the same mask `[r·msb] = z[r] + (1 − 2z)[r·b]`,
//!    hence `[x·msb] = c[msb] − [r·msb]` without opening x again. ReLU(x) = x − x·msb(x).
//!
//! Departs from the papers: block products instead of a first round, several thresholds on one opening (each with masks
//! of its own), and the product with x from the comparison's own mask.
//!
//! **Security**: c is padded by r, the wires and z by bits of their own; all are opened once. r's bits and their products
//! are independent sharings. **Correct** for all x with x − t not wrapping: |x − t| < 2^(k−1).
//!
//! **Cost** per element, k = 64: sign as a shared bit 3 rounds, 97 bits to each party; as a ring element, and ReLU, 4
//! rounds, 98 bits; dealer 329, 393 and 457 bits. Each further threshold: 34 bits, and 160 from the dealer.

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::share::{BitSharing, Sharing};
use mpc_core::tensor::Tensor;

use crate::correlation::{
    ComparisonBundle, Padded, PaddedBits, SpentDaBits, TreeMasks, select_by_public_bit,
};
use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prefix::{Pairs, TreeEvaluation, xor_coefficient};
use crate::prep::{Comparison, Item};
use crate::session::Session;

/// A comparison under way: the bundle with its pad used up, and c.
pub(crate) struct Opened<S: Sharing> {
    pub(crate) bundle: ComparisonBundle<S>,
    pub(crate) c: Tensor<S::Ring>,
    trees: Vec<TreeEvaluation<S>>,
}

impl<S: Sharing> ComparisonBundle<S> {
    /// Step 1: `[c] = [x] + [r]`.
    pub(crate) fn mask(self, x: &S) -> (MaskedComparison<S>, Padded<S>) {
        let padded = Padded::new(x.add(&self.r));
        (MaskedComparison(self), padded)
    }
}

/// A bundle whose pad r is used up.
pub(crate) struct MaskedComparison<S: Sharing>(ComparisonBundle<S>);

impl<S: Sharing> MaskedComparison<S> {
    /// Step 2, local: the blocks of every threshold.
    pub(crate) fn opened(self, c: Tensor<S::Ring>, thresholds: &[S::Ring], holder: S::Holder) -> Opened<S> {
        let bundle = self.0;
        assert_eq!(thresholds.len(), bundle.spec.trees, "a tree per threshold");
        let shape = bundle.spec.tree::<S::Ring>();
        let trees = (0..).zip(thresholds).map(|(t, &threshold)| {
            let shifted = c.map(|c| c - threshold);
            let masks = TreeMasks {
                masks: bundle.tree_masks.clone(),
                products: bundle.tree_products.clone(),
                first_wire: t * shape.wires(),
                first_product: t * shape.products(),
            };
            TreeEvaluation::new(shape.clone(), masks, bundle.blocks(&shifted, holder))
        });
        let trees = trees.collect();
        Opened { bundle, c, trees }
    }
}

impl<S: Sharing> ComparisonBundle<S> {
    /// "Less" and "equal" of every block of c against r.
    fn blocks(&self, c: &Tensor<S::Ring>, holder: S::Holder) -> Pairs<S::Bits> {
        let bits = S::VALUE_BITS as usize - 1;
        let mut not_c = BitTensor::slice_of(c.as_slice(), bits);
        for lane in 0..bits {
            not_c.lane_mut(lane).iter_mut().for_each(|w| *w = !*w);
        }
        let count = bits.div_ceil(self.spec.block);
        let (mut g, mut p) = (S::Bits::zeros(count, c.len()), S::Bits::zeros(count, c.len()));
        let mut product = 0;
        for (block, start) in (0..bits).step_by(self.spec.block).enumerate() {
            let width = self.spec.block.min(bits - start);
            let all = (1u32 << width) - 1;
            let public = SubsetProducts::new(&not_c, start, width);
            if let Some(k) = public.of(all) {
                p.xor_public(block, k, holder);
            }
            for set in 1..=all {
                let (src, lane) = if set.is_power_of_two() {
                    (&self.r_bits, start + set.trailing_zeros() as usize)
                } else {
                    product += 1;
                    (&self.block_products, product - 1)
                };
                let lowest = set & set.wrapping_neg();
                let above_lowest = all & !(lowest - 1);
                xor_coefficient(&mut g, block, src, lane, public.of((above_lowest & !set) | lowest));
                xor_coefficient(&mut p, block, src, lane, public.of(all & !set));
            }
        }
        Pairs { g, p }
    }
}

/// ANDs of all subsets of a few public lanes.
struct SubsetProducts(Vec<Vec<u64>>);

impl SubsetProducts {
    fn new(lanes: &BitTensor, first: usize, count: usize) -> Self {
        let mut out: Vec<Vec<u64>> = vec![vec![]];
        for set in 1usize..1 << count {
            let lane = lanes.lane(first + set.trailing_zeros() as usize);
            let rest = set & (set - 1);
            out.push(match rest {
                0 => lane.to_vec(),
                _ => out[rest].iter().zip(lane).map(|(a, b)| a & b).collect(),
            });
        }
        Self(out)
    }

    /// `None` stands for the empty product, all ones.
    fn of(&self, set: u32) -> Option<&[u64]> {
        (set != 0).then(|| &self.0[set as usize][..])
    }
}

impl<S: Sharing> Opened<S> {
    /// Levels left.
    pub(crate) fn is_done(&self) -> bool {
        self.trees.iter().all(TreeEvaluation::is_done)
    }

    /// Step 3: the wires of the current level of all trees. Their masks are used up: what comes next is the opening.
    pub(crate) fn masked_wires(self) -> (MaskedLevel<S>, PaddedBits<S::Bits>) {
        let parts: Vec<_> = self.trees.iter().map(TreeEvaluation::masked_wires).collect();
        let lanes = parts.iter().map(|p| p.sharing().lanes()).sum();
        let mut out = S::Bits::zeros(lanes, self.c.len());
        let mut lane = 0;
        for part in &parts {
            for i in 0..part.sharing().lanes() {
                out.xor_lane(lane, part.sharing(), i);
                lane += 1;
            }
        }
        (MaskedLevel(self), PaddedBits::new(out))
    }

    /// ⟨msb(x − t)⟩, a lane per threshold.
    pub(crate) fn signs(&mut self, thresholds: &[S::Ring], holder: S::Holder) -> S::Bits {
        let top = S::VALUE_BITS as usize - 1;
        let mut out = S::Bits::zeros(self.trees.len(), self.c.len());
        for (lane, (tree, &t)) in std::mem::take(&mut self.trees).into_iter().zip(thresholds).enumerate() {
            out.xor_lane(lane, &tree.root(), 0);
            out.xor_lane(lane, &self.bundle.r_bits, top);
            let c_top: Vec<S::Ring> =
                self.c.as_slice().iter().map(|&c| S::Ring::from_u64((c - t).to_u64() >> top)).collect();
            out.xor_public(lane, BitTensor::slice_of(&c_top, 1).lane(0), holder);
        }
        out
    }
}

/// A comparison whose current level is being opened.
pub(crate) struct MaskedLevel<S: Sharing>(Opened<S>);

impl<S: Sharing> MaskedLevel<S> {
    /// Step 3, after the opening.
    pub(crate) fn finish(self, opened: &BitTensor, holder: S::Holder) -> Opened<S> {
        let mut run = self.0;
        let per_tree = opened.lanes() / run.trees.len();
        for (t, tree) in run.trees.iter_mut().enumerate() {
            let words = (t * per_tree..(t + 1) * per_tree).flat_map(|l| opened.lane(l)).copied().collect();
            tree.finish_level(&BitTensor::from_words(per_tree, opened.len(), words), holder);
        }
        run
    }
}

/// Runs steps 1 to 3.
fn signs<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    thresholds: &[S::Ring],
    spec: Comparison,
) -> Result<(Opened<S>, S::Bits), ProtocolError> {
    let (bundle, padded) = cx.prep().comparison(spec)?.mask(x);
    let ([c], []) = cx.open_masked([padded], [])?;
    let mut run = bundle.opened(c, thresholds, cx.holder());
    while !run.is_done() {
        let (level, padded) = run.masked_wires();
        let ([], [wires]) = cx.open_masked([], [padded])?;
        run = level.finish(&wires, cx.holder());
    }
    let signs = run.signs(thresholds, cx.holder());
    Ok((run, signs))
}

/// A comparison after step 4's opening.
struct OpenedSign<S: Sharing> {
    run: Opened<S>,
    z: Tensor<S::Ring>,
    dabits: SpentDaBits<S>,
}

mpc_core::secret_types!(OpenedSign<mpc_core::share::Additive<mpc_core::ring::Z64>>);

/// Step 4 for one threshold, up to the opening of z.
fn open_sign<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    spec: Comparison,
) -> Result<OpenedSign<S>, ProtocolError> {
    let (mut run, sign) = signs(cx, x, &[S::Ring::ZERO], spec)?;
    let dabits = run.bundle.b.take().expect("the bundle was asked for with doubly shared bits");
    let (spent, padded) = dabits.mask(&sign);
    let ([], [z]) = cx.open_masked([], [padded])?;
    Ok(OpenedSign { run, z: z.lane_to_ring(0), dabits: spent })
}

/// ⟨x < 0⟩ as one lane of shared bits, in row-major order. Three rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn sign_bits<S: Sharing>(cx: &mut Session<S>, x: &S) -> Result<S::Bits, ProtocolError> {
    let x = x.clone().reshape(&[x.len()]);
    Ok(signs(cx, &x, &[S::Ring::ZERO], Comparison::new(x.len()))?.1)
}

/// Cost of [`sign_bits`].
#[must_use]
pub fn sign_bits_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    open_cost::<S>(n, Comparison::new(len))
}

/// `[x < 0]` as ring elements 0 and 1. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn less_than_zero<S: Sharing>(cx: &mut Session<S>, x: &S) -> Result<S, ProtocolError> {
    let shape = x.shape().to_vec();
    let x = x.clone().reshape(&[x.len()]);
    let OpenedSign { z, dabits, .. } =
        open_sign(cx, &x, Comparison { arithmetic: true, ..Comparison::new(x.len()) })?;
    Ok(dabits.finish(&z, cx.holder()).reshape(&shape))
}

/// Cost of [`less_than_zero`].
#[must_use]
pub fn less_than_zero_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    let spec = Comparison { arithmetic: true, ..Comparison::new(len) };
    open_cost::<S>(n, spec).then(Cost::opening::<S::Ring>(n, 0, len))
}

/// `[x < y]` as ring elements 0 and 1, for |x − y| < 2^(k−1). Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn less_than<S: Sharing>(cx: &mut Session<S>, x: &S, y: &S) -> Result<S, ProtocolError> {
    less_than_zero(cx, &x.sub(y))
}

/// `[max(x, 0)]`. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn relu<S: Sharing>(cx: &mut Session<S>, x: &S) -> Result<S, ProtocolError> {
    let shape = x.shape().to_vec();
    let x = x.clone().reshape(&[x.len()]);
    let spec = Comparison { arithmetic: true, product: true, ..Comparison::new(x.len()) };
    let OpenedSign { run, z, dabits } = open_sign(cx, &x, spec)?;
    let (r, rb) = (&run.bundle.r, run.bundle.rb.as_ref().expect("the bundle was asked for with [r·b]"));
    // [r·msb] = z[r] + (1 − 2z)[rb]
    let r_msb = r.mul_public(&z).add(&select_by_public_bit(&z, rb));
    // [x·msb] = c[msb] − [r·msb]
    let msb = dabits.finish(&z, cx.holder());
    let x_msb = msb.mul_public(&run.c).sub(&r_msb);
    Ok(x.sub(&x_msb).reshape(&shape))
}

/// Cost of [`relu`].
#[must_use]
pub fn relu_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    let spec = Comparison { arithmetic: true, product: true, ..Comparison::new(len) };
    open_cost::<S>(n, spec).then(Cost::opening::<S::Ring>(n, 0, len))
}

/// `[min(max(x, low), high)]` for public bounds: low + ReLU(x − low) − ReLU(x − high), both at once. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn clamp<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    low: S::Ring,
    high: S::Ring,
) -> Result<S, ProtocolError> {
    let (shape, len, holder) = (x.shape().to_vec(), x.len(), cx.holder());
    let x = x.clone().reshape(&[len]);
    let minus = |k: S::Ring| x.clone().add_public(&Tensor::filled(&[len], -k), holder);
    let both = S::combine(&[&minus(low), &minus(high)], |p| Tensor::concat(0, p));
    let parts = relu(cx, &both)?;
    let difference = parts.map_linear(|t| t.slice(0, 0, len).sub(&t.slice(0, len, 2 * len)));
    Ok(difference.add_public(&Tensor::filled(&[len], low), holder).reshape(&shape))
}

/// Cost of [`clamp`].
#[must_use]
pub fn clamp_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    relu_cost::<S>(n, 2 * len)
}

/// Cost of steps 1 to 3: the opening of c, then one opening per tree level.
pub(crate) fn open_cost<S: Sharing>(n: usize, spec: Comparison) -> Cost {
    let tree = spec.tree::<S::Ring>();
    let first = Cost::item(n, Item::Comparison(spec)).then(Cost::opening::<S::Ring>(n, spec.len, 0));
    (0..tree.rounds()).fold(first, |cost, level| {
        cost.then(Cost::opening::<S::Ring>(n, 0, spec.trees * tree.level_wires(level) * spec.len))
    })
}
