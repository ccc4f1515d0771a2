//! The closed set of operations. Everything that walks a program matches on [`Op`] exhaustively, so an operation that
//! some walk has forgotten does not compile.

use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use mpc_core::windows::{Outside, Sliding};

use crate::function::Function;
use crate::shape::Shape;

pub use protocols::sort::Direction;
pub use protocols::tournament::{Extreme, Winner};

/// Index of a node in its program, from 0; operands come before their users.
pub type NodeId = u32;

/// What an owner's value is, which decides how its commitment is labelled in the log.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum InputKind {
    /// Rows about people.
    Data,
    /// Parameters of a model.
    Weights,
}

/// One operation. Operands of elementwise operations broadcast ([`Shape::broadcast`]) and an integer operand is lifted
/// to the fraction bits of the other.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// A value that one party brings.
    Input {
        /// Unique name.
        name: String,
        /// Index of the party that has the value.
        owner: usize,
        /// Data or weights.
        kind: InputKind,
        /// Lengths of the axes.
        shape: Shape,
        /// Largest magnitude in units of 2^−f, or of 1 for integers; the owner's encoder refuses more.
        bound: u64,
        /// Whether the values are integers, which are kept as such: products with them need no truncation.
        integer: bool,
    },
    /// A value that an earlier session of the same parties kept in shares.
    Shared {
        /// Unique name.
        name: String,
        /// Lengths of the axes.
        shape: Shape,
        /// Largest magnitude in units of 2^−f.
        bound: u64,
    },
    /// A public tensor, encoded.
    Constant {
        /// Fraction bits of the encoding: 0 if every value is an integer.
        scale: u32,
        /// The encoded values.
        values: Tensor<Z64>,
    },
    /// a + b
    Add(NodeId, NodeId),
    /// a − b
    Sub(NodeId, NodeId),
    /// −x
    Neg(NodeId),
    /// a · b, element by element.
    Mul(NodeId, NodeId),
    /// x²
    Square(NodeId),
    /// Matrix product over the last two axes; leading axes broadcast.
    MatMul(NodeId, NodeId),
    /// x·w + b with one truncation.
    Dense {
        /// Rows, along any number of leading axes.
        x: NodeId,
        /// Weights, one column per output.
        w: NodeId,
        /// One number per output.
        b: NodeId,
    },
    /// Convolution of images by a kernel, and a bias, with one truncation.
    Conv {
        /// \[images, channels, height, width\].
        x: NodeId,
        /// \[filters, channels / groups, height, width\].
        w: NodeId,
        /// One number per filter.
        bias: Option<NodeId>,
        /// How windows lie on the images; beyond those are zeros.
        sliding: Sliding,
        /// Groups of channels and filters that do not meet.
        groups: usize,
    },
    /// The elements of every window on images \[images, channels, height, width\], along a new second axis.
    Unfold {
        /// Operand.
        x: NodeId,
        /// Height and width of a window.
        window: [usize; 2],
        /// How windows lie on the images.
        sliding: Sliding,
        /// What they have beyond the images.
        outside: Outside,
    },
    /// Axes in another order.
    Permute {
        /// Operand.
        x: NodeId,
        /// For every axis of the result, which one of the operand it is.
        axes: Vec<usize>,
    },
    /// More elements around, all of one public value.
    Pad {
        /// Operand.
        x: NodeId,
        /// How many before the first, along every axis.
        before: Vec<usize>,
        /// How many after the last.
        after: Vec<usize>,
        /// The value in units of 2^−f.
        value: i64,
    },
    /// Sum along an axis, which disappears.
    Sum {
        /// Operand.
        x: NodeId,
        /// Axis.
        axis: usize,
    },
    /// Mean along an axis, which disappears.
    Mean {
        /// Operand.
        x: NodeId,
        /// Axis.
        axis: usize,
    },
    /// k · x for a public number.
    Scale {
        /// Operand.
        x: NodeId,
        /// The number as its author wrote it: finite, zero without a sign. How it is encoded follows from it.
        k: f64,
    },
    /// The same elements under another shape.
    Reshape {
        /// Operand.
        x: NodeId,
        /// New shape.
        shape: Shape,
    },
    /// The indices `start..end` of one axis.
    Slice {
        /// Operand.
        x: NodeId,
        /// Axis.
        axis: usize,
        /// First index.
        start: usize,
        /// Index after the last.
        end: usize,
    },
    /// Tensors joined along an axis.
    Concat {
        /// Operands in order.
        xs: Vec<NodeId>,
        /// Axis.
        axis: usize,
    },
    /// The elements at public indices of one axis, in this order.
    Gather {
        /// Operand.
        x: NodeId,
        /// Axis.
        axis: usize,
        /// The indices; one may come several times.
        indices: Vec<u32>,
    },
    /// x where the bit is 1, then x where it is 0, joined along the last axis; zeros elsewhere.
    Split {
        /// What goes to one side or the other.
        x: NodeId,
        /// Tensor of zeros and ones.
        bit: NodeId,
    },
    /// Rows become columns.
    Transpose(NodeId),
    /// \[a < b\]
    Less(NodeId, NodeId),
    /// \[a > b\]
    Greater(NodeId, NodeId),
    /// \[a ≤ b\]
    LessEqual(NodeId, NodeId),
    /// \[a ≥ b\]
    GreaterEqual(NodeId, NodeId),
    /// \[a = b\]
    Equal(NodeId, NodeId),
    /// \[a ≠ b\]
    NotEqual(NodeId, NodeId),
    /// The smaller of both, element by element.
    Minimum(NodeId, NodeId),
    /// The larger of both, element by element.
    Maximum(NodeId, NodeId),
    /// |x|
    Abs(NodeId),
    /// −1, 0 or 1.
    Sign(NodeId),
    /// The largest or smallest element along an axis, or where it is.
    Extreme {
        /// Operand.
        x: NodeId,
        /// Axis: it disappears, or with a one-hot result stays.
        axis: usize,
        /// Which end.
        which: Extreme,
        /// The value, its index or its one-hot column.
        with: Winner,
    },
    /// The first elements along an axis, sorted.
    Sort {
        /// Operand: what is sorted by.
        keys: NodeId,
        /// Values that move along; then the result has both, along a new first axis.
        payload: Option<NodeId>,
        /// Axis.
        axis: usize,
        /// Which end comes first.
        direction: Direction,
        /// How many stay.
        keep: usize,
    },
    /// a where the bit is 1, b where it is 0.
    Select {
        /// Tensor of zeros and ones.
        bit: NodeId,
        /// Taken for 1.
        a: NodeId,
        /// Taken for 0.
        b: NodeId,
    },
    /// max(x, 0)
    Relu(NodeId),
    /// \[x ≥ 0\] for the operand x of a ReLU, which has found it out.
    ReluBit(NodeId),
    /// min(max(x, lo), hi) for public limits.
    Clamp {
        /// Operand.
        x: NodeId,
        /// Lower limit in units of 2^−f.
        lo: i64,
        /// Upper limit in units of 2^−f.
        hi: i64,
    },
    /// A function of every element, approximated.
    Function {
        /// Operand.
        x: NodeId,
        /// Which.
        function: Function,
    },
    /// a/b for b between limits above zero, approximated; outside, with b at the nearer.
    Divide {
        /// The numerator.
        a: NodeId,
        /// The divisor.
        b: NodeId,
        /// The least divisor.
        lowest: f64,
        /// The largest divisor.
        highest: f64,
    },
    /// x, with the author's promise of a smaller bound. Nothing checks it at run time: a value beyond the promise
    /// makes what follows meaningless.
    AssumeRange {
        /// Operand.
        x: NodeId,
        /// Promised bound in ring units at the operand's scale.
        bound: u64,
    },
    /// Σ k·x for public numbers, with one truncation.
    WeightedSum {
        /// Operands in order; they broadcast.
        xs: Vec<NodeId>,
        /// The number beside each, as for [`Op::Scale`].
        ks: Vec<f64>,
    },
    /// What an iteration of a loop begins with: the first with the initial value, every other with what the one before
    /// leaves ([`Op::Carried`]).
    Carry {
        /// Initial value, from before the loop.
        initial: NodeId,
        /// Largest magnitude in units of 2^−f that the value has in any iteration.
        bound: u64,
    },
    /// After a loop: what its last iteration leaves for a carry.
    Carried {
        /// The carry.
        carry: NodeId,
        /// The node of the loop whose value is what an iteration leaves.
        next: NodeId,
    },
    /// So many rows of a value from before the loop, others in every iteration ([`crate::Batches`]).
    Batch {
        /// Operand.
        x: NodeId,
        /// How many rows.
        rows: usize,
    },
    /// After a loop: the values of one of its nodes, added up over so many iterations at a time, along a new first axis.
    History {
        /// The node of the loop.
        x: NodeId,
        /// Iterations that are added up.
        every: usize,
    },
    /// In a loop: a value of its body, added up over so many iterations at a time and then opened to the recipients of the
    /// output that names this node, while the loop runs.
    Report {
        /// Operand.
        x: NodeId,
        /// Iterations that are added up.
        every: usize,
        /// By what the recipients multiply what is opened.
        factor: f64,
    },
}

/// References to the operands of an operation that is seen through a reference, both shared or both unique.
macro_rules! operands_of {
    ($op:expr) => {
        match $op {
            Op::Input { .. } | Op::Shared { .. } | Op::Constant { .. } => vec![],
            Op::Neg(x)
            | Op::Square(x)
            | Op::Transpose(x)
            | Op::Relu(x)
            | Op::ReluBit(x)
            | Op::Abs(x)
            | Op::Sign(x)
            | Op::Extreme { x, .. }
            | Op::Unfold { x, .. }
            | Op::Permute { x, .. }
            | Op::Pad { x, .. }
            | Op::Sum { x, .. }
            | Op::Mean { x, .. }
            | Op::Scale { x, .. }
            | Op::Reshape { x, .. }
            | Op::Slice { x, .. }
            | Op::Gather { x, .. }
            | Op::Clamp { x, .. }
            | Op::Function { x, .. }
            | Op::AssumeRange { x, .. }
            | Op::Carry { initial: x, .. }
            | Op::Batch { x, .. }
            | Op::History { x, .. }
            | Op::Report { x, .. } => vec![x],
            Op::Carried { carry, next } => vec![carry, next],
            Op::Add(a, b)
            | Op::Sub(a, b)
            | Op::Mul(a, b)
            | Op::MatMul(a, b)
            | Op::Less(a, b)
            | Op::Greater(a, b)
            | Op::LessEqual(a, b)
            | Op::GreaterEqual(a, b)
            | Op::Equal(a, b)
            | Op::NotEqual(a, b)
            | Op::Minimum(a, b)
            | Op::Maximum(a, b)
            | Op::Divide { a, b, .. } => vec![a, b],
            Op::Split { x, bit } => vec![x, bit],
            Op::Dense { x, w, b } => vec![x, w, b],
            Op::Select { bit, a, b } => vec![bit, a, b],
            Op::Conv { x, w, bias, .. } => [x, w].into_iter().chain(bias).collect(),
            Op::Sort { keys, payload, .. } => [keys].into_iter().chain(payload).collect(),
            Op::Concat { xs, .. } | Op::WeightedSum { xs, .. } => Vec::from_iter(xs),
        }
    };
}

impl Op {
    /// The name in text, plans and errors.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input { kind: InputKind::Data, .. } => "input",
            Self::Input { kind: InputKind::Weights, .. } => "weights",
            Self::Shared { .. } => "shared",
            Self::Constant { .. } => "constant",
            Self::Add(..) => "add",
            Self::Sub(..) => "sub",
            Self::Neg(_) => "neg",
            Self::Mul(..) => "mul",
            Self::Square(_) => "square",
            Self::MatMul(..) => "matmul",
            Self::Dense { .. } => "dense",
            Self::Conv { .. } => "conv2d",
            Self::Unfold { .. } => "unfold",
            Self::Permute { .. } => "permute",
            Self::Pad { .. } => "pad",
            Self::Sum { .. } => "sum",
            Self::Mean { .. } => "mean",
            Self::Scale { .. } => "scale",
            Self::Reshape { .. } => "reshape",
            Self::Slice { .. } => "slice",
            Self::Concat { .. } => "concat",
            Self::Gather { .. } => "gather",
            Self::Split { .. } => "split",
            Self::Transpose(_) => "transpose",
            Self::Less(..) => "less",
            Self::Greater(..) => "greater",
            Self::LessEqual(..) => "less_equal",
            Self::GreaterEqual(..) => "greater_equal",
            Self::Equal(..) => "equal",
            Self::NotEqual(..) => "not_equal",
            Self::Minimum(..) => "minimum",
            Self::Maximum(..) => "maximum",
            Self::Abs(_) => "abs",
            Self::Sign(_) => "sign",
            Self::Extreme { which, with, .. } => match (which, with) {
                (Extreme::Largest, Winner::Value) => "max",
                (Extreme::Smallest, Winner::Value) => "min",
                (Extreme::Largest, Winner::Index) => "argmax",
                (Extreme::Smallest, Winner::Index) => "argmin",
                (Extreme::Largest, Winner::OneHot) => "argmax_one_hot",
                (Extreme::Smallest, Winner::OneHot) => "argmin_one_hot",
            },
            Self::Sort { payload: None, .. } => "sort",
            Self::Sort { payload: Some(_), .. } => "sort_with",
            Self::Select { .. } => "select",
            Self::Relu(_) => "relu",
            Self::ReluBit(_) => "relu_bit",
            Self::Clamp { .. } => "clamp",
            Self::Function { function, .. } => function.name(),
            Self::Divide { .. } => "divide",
            Self::AssumeRange { .. } => "assume_range",
            Self::WeightedSum { .. } => "weighted_sum",
            Self::Carry { .. } => "carry",
            Self::Carried { .. } => "carried",
            Self::Batch { .. } => "batch",
            Self::History { .. } => "history",
            Self::Report { .. } => "report",
        }
    }

    /// The nodes whose values the operation uses, in order.
    #[must_use]
    pub fn operands(&self) -> Vec<NodeId> {
        operands_of!(self).into_iter().copied().collect()
    }

    /// As [`Op::operands`], to be renumbered.
    pub(crate) fn operands_mut(&mut self) -> Vec<&mut NodeId> {
        operands_of!(self)
    }
}
