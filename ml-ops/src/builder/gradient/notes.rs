//! What gradients know of values beyond their operations.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Axis;

use super::super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::function::Function;
use crate::op::{NodeId, Op};

/// What the builder remembers for gradients. Programs do not have it.
#[derive(Debug, Default)]
pub(in crate::builder) struct Notes {
    /// Values made of several operations whose derivative is simpler than those of all of them.
    pub(super) wholes: BTreeMap<NodeId, Whole>,
    /// Values that small moves of what they depend on do not change.
    pub(super) constants: BTreeSet<NodeId>,
    /// Largest magnitudes that were promised of derivatives.
    pub(super) promised: BTreeMap<NodeId, f64>,
    /// While a gradient is built, its first node: what it has already is not built again.
    pub(super) same_from: Option<NodeId>,
}

/// A value made of several operations, of one operand.
#[derive(Copy, Clone, Debug)]
pub(in crate::builder) enum Whole {
    /// A softmax of x along an axis.
    Softmax { x: Value, axis: Axis },
    /// The logarithm of one.
    LogSoftmax { x: Value, axis: Axis },
    /// x less its mean along the last axis, times one over its deviation.
    Normal { x: Value, deviation: Value },
}

impl Whole {
    /// The operand.
    pub(super) const fn of(self) -> Value {
        match self {
            Self::Softmax { x, .. } | Self::LogSoftmax { x, .. } | Self::Normal { x, .. } => x,
        }
    }
}

impl ProgramBuilder {
    /// Remembers what a value is as a whole.
    pub(in crate::builder) fn note_whole(&mut self, of: Value, whole: Whole) {
        self.notes.wholes.insert(of.node, whole);
    }

    /// Remembers that small moves do not change a value.
    pub(in crate::builder) fn note_constant(&mut self, x: Value) {
        self.notes.constants.insert(x.node);
    }

    /// While a gradient is built, the node of it that is this operation.
    pub(in crate::builder) fn same(&self, op: &Op) -> Option<NodeId> {
        let first = self.notes.same_from?;
        let nodes = self.program.nodes.iter().enumerate().skip(first as usize);
        nodes.into_iter().find(|(_, n)| n.op == *op).map(|(node, _)| node as NodeId)
    }

    /// What the operand of a whole adds to its derivative, given that of the whole.
    pub(super) fn through_whole(
        &mut self,
        node: NodeId,
        whole: Whole,
        g: Value,
    ) -> Result<Value, ProgramError> {
        let y = Value { builder: self.id, node };
        let shape = self.fact_of(y).shape.clone();
        let g = self.full(g, &shape)?;
        match whole {
            // s·g − s·Σ s·g
            Whole::Softmax { axis, .. } => {
                let parts = self.mul(y, g)?;
                let sum = self.sum(parts, axis)?;
                let sum = self.reshape(sum, shape.with_axis(axis.0, 1))?;
                let rest = self.mul(y, sum)?;
                self.sub(parts, rest)
            }
            // g − s·Σ g, for s = e to the power of the result.
            Whole::LogSoftmax { axis, .. } => {
                let terms = shape.dims()[axis.0].try_into().unwrap_or(u32::MAX);
                let softmax = self.function(Function::Exp { highest: 0.0, terms }, y)?;
                let sum = self.sum(g, axis)?;
                let sum = self.reshape(sum, shape.with_axis(axis.0, 1))?;
                let rest = self.mul(softmax, sum)?;
                self.sub(g, rest)
            }
            // (g − mean g − y·mean g·y), divided by the deviation.
            Whole::Normal { deviation, .. } => {
                let last = Axis(shape.rank() - 1);
                let column = shape.with_axis(last.0, 1);
                let mean = self.mean(g, last)?;
                let mean = self.reshape(mean, column.clone())?;
                let along = self.mul(g, y)?;
                let along = self.mean(along, last)?;
                let along = self.reshape(along, column)?;
                let slanted = self.mul(y, along)?;
                let centred = self.sub(g, mean)?;
                let upright = self.sub(centred, slanted)?;
                self.mul(upright, deviation)
            }
        }
    }
}
