//! What can be wrong with a program. Every message says what was expected and what was seen.

use std::path::PathBuf;

use mpc_core::fixed::FixedError;
use mpc_core::wire::WireError;

use crate::op::NodeId;
use crate::shape::Shape;

/// Why a program cannot be built, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// A session has two to five parties.
    #[error("a program has 2 to 5 parties, got {got}")]
    PartyCount {
        /// How many were named.
        got: usize,
    },
    /// A party index outside the roster.
    #[error("{what} names party {got}, but the program has parties 0 to {}", parties.saturating_sub(1))]
    NoSuchParty {
        /// What refers to the party.
        what: &'static str,
        /// The index.
        got: usize,
        /// Number of parties.
        parties: usize,
    },
    /// A name that is empty, too long or not printable.
    #[error("the name of the {what} must be 1 to {max} bytes of printable text without quotes, got {got:?}", max = crate::program::MAX_NAME_BYTES)]
    BadName {
        /// What is named.
        what: &'static str,
        /// The name, shortened.
        got: String,
    },
    /// A name that is taken.
    #[error(
        "the name {name:?} of the {what} is taken; names of parties, and those of inputs and outputs, are unique"
    )]
    DuplicateName {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A handle that another builder made.
    #[error("{op}: operand {operand} belongs to another program")]
    ForeignValue {
        /// The operation.
        op: &'static str,
        /// Which operand, from 0.
        operand: usize,
    },
    /// An operand that is not an earlier node (in a file).
    #[error("node {node} ({op}): operand %{operand} is not an earlier node")]
    NoSuchNode {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// The operand.
        operand: NodeId,
    },
    /// An operation that a program with a window cannot have.
    #[error("node {node} ({op}): rows are computed in windows, and {what}")]
    NotRowWise {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// What is expected.
        what: &'static str,
    },
    /// A gradient through an operation that has none here.
    #[error("node {node} ({op}): there is no gradient through this operation")]
    NoGradient {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
    },
    /// A training that is none.
    #[error("training: {what}")]
    Training {
        /// What is expected.
        what: &'static str,
    },
    /// A loop that is none.
    #[error("the loop whose body begins at node {first}: {what}")]
    Loop {
        /// First node of the body.
        first: NodeId,
        /// What is expected.
        what: &'static str,
    },
    /// A tensor beyond the limits.
    #[error(
        "node {node} ({op}): shape {shape} is not allowed; a tensor has at most {max_rank} axes, none empty, and at most {max} elements",
        max_rank = Shape::MAX_RANK,
        max = Shape::MAX_ELEMENTS
    )]
    ShapeLimit {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// The shape.
        shape: Shape,
    },
    /// Two operands that do not fit.
    #[error("node {node} ({op}): shapes {left} and {right} do not fit: {why}")]
    Shapes {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// First shape.
        left: Shape,
        /// Second shape.
        right: Shape,
        /// The rule.
        why: &'static str,
    },
    /// One operand of a wrong rank.
    #[error("node {node} ({op}): expected {expected}, got shape {got}")]
    Rank {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// What the operation takes.
        expected: &'static str,
        /// The operand's shape.
        got: Shape,
    },
    /// An axis that the operand does not have.
    #[error("node {node} ({op}): axis {axis} of shape {shape} does not exist")]
    NoSuchAxis {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// The axis.
        axis: usize,
        /// The operand's shape.
        shape: Shape,
    },
    /// A slice outside its axis.
    #[error("node {node} (slice): indices {start}..{end} of an axis of length {len}")]
    SliceRange {
        /// The node.
        node: NodeId,
        /// First index.
        start: usize,
        /// Index after the last.
        end: usize,
        /// Length of the axis.
        len: usize,
    },
    /// An index outside its axis.
    #[error("node {node} (gather): index {index} of an axis of length {len}")]
    NoSuchIndex {
        /// The node.
        node: NodeId,
        /// The index.
        index: u32,
        /// Length of the axis.
        len: usize,
    },
    /// No operand is secret.
    #[error(
        "node {node} ({op}): all operands are public constants; compute the value before and pass it as one constant"
    )]
    PublicOnly {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
    },
    /// A condition that is not made of zeros and ones.
    #[error(
        "node {node} ({op}): the condition must be the result of a comparison (0 or 1), got values up to ±{max_abs}"
    )]
    NotABit {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// Bound of the operand.
        max_abs: f64,
    },
    /// A value could leave the range in which truncation and comparison are right.
    #[error(
        "node {node} ({op}): {what} may reach ±{bound:.4e} at {scale} fraction bits, the limit is ±{limit} (2^{limit_bits}); narrow an operand with assume_range or clamp, or use fewer fraction bits",
        limit = 2f64.powi(*limit_bits as i32)
    )]
    Overflow {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// Which intermediate value.
        what: &'static str,
        /// How large it may become.
        bound: f64,
        /// Fraction bits at that point.
        scale: u32,
        /// log2 of the limit.
        limit_bits: u32,
    },
    /// A public factor that would be encoded too coarsely.
    #[error(
        "node {node} ({op}): the operand may reach ±{bound:.4e}, which leaves {bits} significant bits for the factor {k:e} where {frac} are needed (relative error at most 2^-{frac}); narrow the operand with assume_range or clamp, or use fewer fraction bits"
    )]
    FactorPrecision {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// The factor: 1/n for a mean.
        k: f64,
        /// Bound of what is multiplied: the operand of a scaling, the sum of a mean.
        bound: f64,
        /// Significant bits that there is room for.
        bits: u32,
        /// Fraction bits of the program.
        frac: u32,
    },
    /// Public factors that would be encoded too coarsely together.
    #[error(
        "node {node} (weighted_sum): operands may reach ±{bound:.4e}, which leaves too few bits for factors with a relative error of at most 2^-{frac}; narrow the operands with assume_range or clamp, take factors of fewer digits, or use fewer fraction bits"
    )]
    WeightedSum {
        /// The node.
        node: NodeId,
        /// Largest bound of an operand.
        bound: f64,
        /// Fraction bits of the program.
        frac: u32,
    },
    /// A public number that is not zero and would be rounded to something else.
    #[error(
        "{op}: element {position} is {value:e}, which {frac} fraction bits would round to {rounded:e}, more than 1/16 off; use scale to multiply by a small number, more fraction bits, or write 0 if that is meant"
    )]
    Rounding {
        /// The operation.
        op: &'static str,
        /// Row-major position.
        position: usize,
        /// The number.
        value: f64,
        /// What it would become.
        rounded: f64,
        /// Fraction bits of the program.
        frac: u32,
    },
    /// A public number that has no encoding.
    #[error("{op}: {source}")]
    Encoding {
        /// The operation.
        op: &'static str,
        /// What is wrong with it.
        source: FixedError,
    },
    /// A parameter outside its range.
    #[error("node {node} ({op}): {what}")]
    Parameter {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// What is expected of the parameter.
        what: &'static str,
    },
    /// The declared largest magnitude of an input or of a promise makes no sense.
    #[error("{op}: the largest magnitude must be a positive number below 2^{limit_bits}, got {got}")]
    Bound {
        /// The operation.
        op: &'static str,
        /// log2 of the limit.
        limit_bits: u32,
        /// The number.
        got: f64,
    },
    /// No outputs.
    #[error("the program {name:?} has no output")]
    NoOutput {
        /// Name of the program.
        name: String,
    },
    /// An output that is known anyway.
    #[error("output {name:?} is a public constant, which needs no computation")]
    PublicOutput {
        /// Name of the output.
        name: String,
    },
    /// An output that nobody or somebody twice receives.
    #[error("output {name:?} needs recipients, each named once; got {got:?}")]
    Recipients {
        /// Name of the output.
        name: String,
        /// The list.
        got: Vec<usize>,
    },
    /// More nodes than a program may have.
    #[error("a program has at most {max} nodes and outputs", max = crate::program::MAX_NODES)]
    TooManyNodes,
    /// Bytes that are not a program.
    #[error("not a program: {0}")]
    Malformed(#[from] WireError),
    /// A program of another format version.
    #[error("program format version {got}, expected {expected}")]
    Version {
        /// What the file says.
        got: u16,
        /// What this build reads.
        expected: u16,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
