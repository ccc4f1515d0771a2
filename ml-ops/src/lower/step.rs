//! What can be interactive in a node, and what it costs.

use mpc_core::conv::ConvShape;
use mpc_core::fixed::FracBits;
use mpc_core::share::Sharing;
use protocols::cost::Cost;
use protocols::elementary::Elementary;
use protocols::order::Relation;
use protocols::piecewise::Layout;
use protocols::prep::{MaskPart, Part, Product};
use protocols::tournament::Winner;
use protocols::tree::TreeChoice;
use protocols::truncate::Rounding;
use protocols::{
    conv, fourier, matmul, mul, order, piecewise, quartic, relu, reuse, sort, tournament, truncate,
};

/// One invocation of an interactive protocol.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Mul {
        len: usize,
    },
    Square {
        len: usize,
    },
    Matmul {
        m: usize,
        k: usize,
        n: usize,
    },
    /// So many products.
    Matmuls {
        count: usize,
        dims: [usize; 3],
    },
    Conv(ConvShape),
    /// Opens a tensor of so many elements and multiplies a part of it.
    Masking {
        len: usize,
        part: Part,
        product: Product,
    },
    /// Multiplies a part of a tensor that was opened before.
    Masked {
        part: Part,
        product: Product,
    },
    Truncate {
        len: usize,
        bits: u32,
    },
    Holds {
        len: usize,
        relation: Relation,
    },
    Sign {
        len: usize,
    },
    MinMax {
        len: usize,
    },
    Relu {
        len: usize,
        bits: u32,
    },
    Abs {
        len: usize,
        bits: u32,
    },
    Clamp {
        len: usize,
        bits: u32,
    },
    Extreme {
        n: usize,
        len: usize,
        with: Winner,
    },
    Sort {
        n: usize,
        len: usize,
        payloads: usize,
        keep: usize,
    },
    Piecewise {
        len: usize,
        layout: Layout,
    },
    Fourier {
        len: usize,
        frac: FracBits,
    },
    Quartic {
        len: usize,
        function: Elementary,
    },
}

impl Step {
    /// Cost for `n` parties, with trees of the given shape.
    pub(super) fn cost<S: Sharing>(self, parties: usize, rounding: Rounding, tree: TreeChoice) -> Cost {
        match self {
            Self::Mul { len } => mul::mul_cost::<S>(parties, len),
            Self::Square { len } => mul::square_cost::<S>(parties, len),
            Self::Matmul { m, k, n } => matmul::cost::<S>(parties, m, k, n),
            Self::Matmuls { count, dims } => matmul::batch_cost::<S>(parties, count, dims),
            Self::Conv(shape) => conv::cost::<S>(parties, shape),
            // Which item the mask is, the demand says.
            Self::Masking { len, part, product } => {
                reuse::mask_and_multiply_cost::<S>(parties, 0, len, part, product)
            }
            Self::Masked { part, product } => {
                reuse::multiply_masked_cost::<S>(parties, MaskPart { mask: 0, part }, product)
            }
            Self::Truncate { len, bits } => truncate::divide_cost::<S>(parties, len, bits, rounding, tree),
            Self::Holds { len, relation } => order::holds_cost::<S>(parties, len, relation, tree),
            Self::Sign { len } => order::sign_cost::<S>(parties, len, tree),
            Self::MinMax { len } => order::min_max_cost::<S>(parties, len, tree),
            Self::Relu { len, bits } => relu::relu_cost::<S>(parties, len, bits, tree),
            Self::Abs { len, bits } => relu::abs_cost::<S>(parties, len, bits, tree),
            Self::Clamp { len, bits } => relu::clamp_cost::<S>(parties, len, bits, tree),
            Self::Extreme { n, len, with } => tournament::extreme_cost::<S>(parties, n, len, with, tree),
            Self::Sort { n, len, payloads, keep } => {
                sort::sort_cost::<S>(parties, n, len, payloads, keep, tree)
            }
            Self::Fourier { len, frac } => fourier::cost::<S>(parties, len, frac),
            Self::Quartic { len, function } => {
                let table = function.table().expect("invariant: inference found a table");
                quartic::cost::<S>(parties, len, &table, rounding, tree)
            }
            Self::Piecewise { len, layout } => piecewise::cost::<S>(parties, len, layout, rounding, tree),
        }
    }

    /// Whether the step compares, so that its cost depends on the shape of trees.
    pub(super) const fn has_trees(self, rounding: Rounding) -> bool {
        match self {
            Self::Mul { .. } | Self::Square { .. } | Self::Matmul { .. } | Self::Fourier { .. } => false,
            Self::Masking { .. } | Self::Masked { .. } => false,
            Self::Matmuls { .. } | Self::Conv(_) => false,
            Self::Truncate { .. } => matches!(rounding, Rounding::Exact),
            _ => true,
        }
    }
}
