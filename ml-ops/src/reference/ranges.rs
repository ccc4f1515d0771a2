//! Promises of ranges against real values.

use ndarray::ArrayD;

use super::Values;
use super::float::float_seen;
use crate::exec::{InputError, Place};
use crate::op::{NodeId, Op};
use crate::program::Program;

/// Why a program's promises do not hold for these inputs.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// An input is not as the program declares it.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A value is beyond what was promised of it.
    #[error(
        "node {node} ({promise}) promises ±{promised} of node {of} ({op}), but {place} is {value}: what follows is meaningless; promise a wider range, or clamp"
    )]
    Broken {
        /// The promise.
        node: NodeId,
        /// Its operation.
        promise: &'static str,
        /// The node that it is about.
        of: NodeId,
        /// Its operation.
        op: &'static str,
        /// Where the value stands.
        place: Place,
        /// The value.
        value: f64,
        /// The largest magnitude promised.
        promised: f64,
    },
}

/// Checks in floating point that inputs of all parties keep every promise of a range
/// ([`assume_range`](crate::ProgramBuilder::assume_range), and what iterations of a loop leave), which no secure run can check. [`run_local`](crate::run_local) does
/// so before it runs.
///
/// # Errors
/// [`RangeError::Broken`] for the first promise that is broken, with its largest offender; [`RangeError::Input`].
///
/// ```
/// use ml_ops::{Axis, Owner, Program, reference};
/// use mpc_core::fixed::FracBits;
/// use ndarray::{ArrayD, IxDyn};
/// let mut p = Program::builder("sums", FracBits::DEFAULT, &["a", "b"]);
/// let x = p.input("x", Owner(0), [2, 3], 8.0)?;
/// let sum = p.sum(x, Axis(1))?;
/// let sum = p.assume_range(sum, 10.0)?;
/// p.output("sum", sum, &[1])?;
/// let program = p.build()?;
/// let inputs = |v| [("x".to_owned(), ArrayD::from_elem(IxDyn(&[2, 3]), v))].into();
/// assert!(reference::check_ranges(&program, &inputs(3.0)).is_ok());
/// let broken = reference::check_ranges(&program, &inputs(-4.0)).unwrap_err();
/// assert!(broken.to_string().starts_with("node 2 (assume_range) promises ±10 of node 1 (sum), but row 1 is -12"));
/// # Ok::<(), ml_ops::ProgramError>(())
/// ```
pub fn check_ranges(program: &Program, inputs: &Values) -> Result<(), RangeError> {
    float_seen(program, inputs, |node, value| program.check_promise(node, value)).map(drop)
}

impl Program {
    /// Whether anything is promised that nothing checks at run time.
    pub(crate) fn has_promises(&self) -> bool {
        self.nodes().iter().any(|n| matches!(n.op, Op::AssumeRange { .. } | Op::Carry { .. }))
    }

    /// What a node promises, and of which node.
    fn promise(&self, node: NodeId) -> Option<(NodeId, u64)> {
        let next = |carry: NodeId| {
            let of = self.loop_of(carry)?.carried.iter().find(|(c, _)| *c == carry)?.1;
            Some((of, self.fact(carry).bound))
        };
        match self.nodes()[node as usize].op {
            Op::AssumeRange { x, bound } => Some((x, bound)),
            Op::Carry { .. } => next(node),
            // What the last iteration leaves.
            Op::Carried { carry, .. } => next(carry),
            _ => None,
        }
    }

    fn check_promise(&self, node: NodeId, value: &ArrayD<f64>) -> Result<(), RangeError> {
        let Some((of, bound)) = self.promise(node) else { return Ok(()) };
        let promised = bound as f64 * 2f64.powi(-(self.fact(node).scale as i32));
        // The first of the largest.
        let largest = value.iter().enumerate().min_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        let Some((position, &value)) = largest.filter(|(_, v)| v.is_nan() || v.abs() > promised) else {
            return Ok(());
        };
        let place = Place::of(position, self.fact(node).shape.dims());
        let [promise, op] = [node, of].map(|n| self.nodes()[n as usize].op.name());
        Err(RangeError::Broken { node, promise, of, op, place, value, promised })
    }
}
