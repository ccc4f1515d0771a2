//! Reverse-mode differentiation: nodes that compute the gradient of a loss, from the last operation back to the parameters.
//!
//! The loss itself need not be computed. It is given by its derivatives with respect to some values, its *seeds*, which for the
//! usual losses are simpler than the loss: probability − label for a cross-entropy ([`crate::training`]). Only what the parameters
//! ask for is built, and nothing twice. A sum over batch rows, a mean or a learning rate is a public factor, which is best left to the
//! step that uses the gradient, so that nothing small is truncated on the way.

use std::collections::BTreeMap;

use ndarray::Axis;

use super::{ProgramBuilder, Value, bound_units};
use crate::error::ProgramError;
use crate::op::{NodeId, Op, Winner};

mod functions;
mod images;
mod notes;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use notes::{Notes, Whole};

impl ProgramBuilder {
    /// The derivatives of a loss with respect to `parameters`, given its derivatives with respect to some values, as pairs of a
    /// value and its seed. Parameters that the values do not depend on have no derivative: `None`.
    ///
    /// Costs per operation on the way: nothing where it is linear with public factors; a product for each factor of a product, and
    /// of each truncation that it brings; a product for a ReLU, whose comparison is not made again. `docs/training.md` says what the
    /// derivatives of functions are made of, and what they are where a function has a corner or a limit.
    ///
    /// # Errors
    /// [`ProgramError::NoGradient`] for an operation without one; everything that inference says about the nodes of the
    /// gradient, as that a bound reaches 2^62.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("slope", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [5, 2], 4.0)?;
    /// let w = p.weights("w", Owner(1), [2, 1], 4.0)?;
    /// let y = p.matmul(x, w)?;
    /// // Of half the sum of squares: the derivative with respect to y is y.
    /// let gradient = p.gradients(&[(y, y)], &[w])?[0].expect("y depends on w");
    /// p.output("slope", gradient, &[0])?;
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn gradients(
        &mut self,
        seeds: &[(Value, Value)],
        parameters: &[Value],
    ) -> Result<Vec<Option<Value>>, ProgramError> {
        let (values, given): (Vec<Value>, Vec<Value>) = seeds.iter().copied().unzip();
        self.check("gradients", &[&values[..], &given[..], parameters].concat())?;
        let depends = self.dependent(parameters);
        self.notes.same_from = Some(self.program.nodes.len() as NodeId);
        let found = self.back(seeds, parameters, &depends);
        self.notes.same_from = None;
        found
    }

    /// Promises that no element of the derivative of a loss with respect to x is beyond `max_abs`, as [`ProgramBuilder::gradients`]
    /// computes it afterwards: bounds of derivatives multiply from layer to layer, far beyond what they are. The promise stands in the
    /// program's text as that of [`ProgramBuilder::assume_range`] and is no more checked.
    ///
    /// # Errors
    /// A bound that is not a positive number; a foreign handle.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("slope", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [5, 2], 4.0)?;
    /// let y = p.square(x)?;
    /// p.assume_gradient(y, 1.0)?;
    /// let slope = p.gradients(&[(y, y)], &[x])?[0].expect("y depends on x");
    /// assert!(p.fact(slope)?.max_abs() <= 8.0);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn assume_gradient(&mut self, x: Value, max_abs: f64) -> Result<(), ProgramError> {
        self.check("assume_gradient", &[x])?;
        bound_units("assume_gradient", max_abs, self.program.frac.bits())?;
        self.notes.promised.insert(x.node, max_abs);
        Ok(())
    }

    fn back(
        &mut self,
        seeds: &[(Value, Value)],
        parameters: &[Value],
        depends: &[bool],
    ) -> Result<Vec<Option<Value>>, ProgramError> {
        let mut derivatives: BTreeMap<NodeId, Value> = BTreeMap::new();
        for &(value, seed) in seeds {
            self.add_derivative(&mut derivatives, depends, value.node, seed)?;
        }
        let mut found = BTreeMap::new();
        // Operands precede their users, so the last node is complete.
        while let Some((node, mut derivative)) = derivatives.pop_last() {
            if let Some(&max_abs) = self.notes.promised.get(&node) {
                derivative = self.assume_range(derivative, max_abs)?;
            }
            if parameters.iter().any(|p| p.node == node) {
                found.insert(node, derivative);
                continue;
            }
            if let Some(&whole) = self.notes.wholes.get(&node) {
                let part = self.through_whole(node, whole, derivative)?;
                self.add_derivative(&mut derivatives, depends, whole.of().node, part)?;
                continue;
            }
            let op = &self.program.nodes[node as usize].op;
            // Which of two values is chosen does not change with a small move of what decides it.
            let constant = match op {
                Op::Select { .. } => Some(0),
                Op::Split { .. } => Some(1),
                _ => None,
            };
            let operands: Vec<NodeId> = op.operands();
            let moving = operands.into_iter().enumerate().filter(|&(i, _)| Some(i) != constant);
            for (i, x) in moving.filter(|(_, x)| depends[*x as usize]) {
                let part = self.derivative(node, i, derivative)?;
                self.add_derivative(&mut derivatives, depends, x, part)?;
            }
        }
        let of = |p: &Value| match found.get(&p.node) {
            Some(&g) => self.full(g, &self.fact_of(*p).shape.clone()).map(Some),
            None => Ok(None),
        };
        parameters.iter().map(of).collect()
    }

    /// Which nodes depend on the parameters; these themselves count, and nothing before them.
    fn dependent(&self, parameters: &[Value]) -> Vec<bool> {
        let mut depends: Vec<bool> = vec![];
        for (node, n) in (0..).zip(&self.program.nodes) {
            let is_parameter = parameters.iter().any(|p| p.node == node);
            let constant = self.notes.constants.contains(&node);
            let by_operand = || n.op.operands().iter().any(|&x| depends[x as usize]);
            depends.push(is_parameter || (!constant && by_operand()));
        }
        depends
    }

    fn add_derivative(
        &mut self,
        derivatives: &mut BTreeMap<NodeId, Value>,
        depends: &[bool],
        node: NodeId,
        more: Value,
    ) -> Result<(), ProgramError> {
        // Seeds may be about nodes that the parameters do not reach.
        if !depends.get(node as usize).is_some_and(|&d| d) {
            return Ok(());
        }
        let sum = match derivatives.get(&node) {
            Some(&other) => self.add(other, more)?,
            None => more,
        };
        derivatives.insert(node, sum);
        Ok(())
    }

    /// What operand `i` of a node adds to its derivative, given that of the node. Its shape broadcasts to that of the operand.
    fn derivative(&mut self, node: NodeId, i: usize, g: Value) -> Result<Value, ProgramError> {
        let op = self.program.nodes[node as usize].op.clone();
        let builder = self.id;
        let value = move |node: NodeId| Value { builder, node };
        let shape_of = |b: &Self, x: NodeId| b.program.fact(x).shape.clone();
        let operands = op.operands();
        let shape = shape_of(self, operands[i]);
        let own = shape_of(self, node);
        match op {
            Op::Add(..) => self.narrowed(g, &own, &shape),
            Op::Sub(..) => {
                let g = self.narrowed(g, &own, &shape)?;
                if i == 0 { Ok(g) } else { self.neg(g) }
            }
            Op::Neg(_) => self.neg(g),
            Op::Mul(a, b) => {
                let other = value(if i == 0 { b } else { a });
                let product = self.mul(g, other)?;
                self.narrowed(product, &own, &shape)
            }
            Op::Square(x) => {
                let product = self.mul(g, value(x))?;
                self.scale(product, 2.0)
            }
            Op::MatMul(a, b) => {
                let g = self.full(g, &own)?;
                self.through_product(g, value(if i == 0 { b } else { a }), i == 0, &shape)
            }
            Op::Dense { x, w, .. } if i < 2 => {
                let g = self.full(g, &own)?;
                self.through_dense(g, (value(x), value(w)), i == 0)
            }
            Op::Conv { .. } => {
                let g = self.full(g, &own)?;
                self.through_conv(node, i, g, &shape)
            }
            Op::Unfold { .. } => {
                let g = self.full(g, &own)?;
                self.through_unfold(node, g, &shape)
            }
            Op::Permute { ref axes, .. } => {
                let mut back = vec![0; axes.len()];
                axes.iter().enumerate().for_each(|(to, &from)| back[from] = to);
                let g = self.full(g, &own)?;
                self.permute(g, &back)
            }
            Op::Dense { .. } => {
                let g = self.full(g, &own)?;
                self.narrowed(g, &own, &shape)
            }
            Op::Sum { axis, .. } => self.along(g, axis, &shape),
            Op::Mean { axis, .. } => {
                let g = self.scale(g, 1.0 / shape.dims()[axis] as f64)?;
                self.along(g, axis, &shape)
            }
            Op::Scale { k, .. } => self.scale(g, k),
            Op::WeightedSum { ks, .. } => {
                let g = self.narrowed(g, &own, &shape)?;
                self.scale(g, ks[i])
            }
            Op::Reshape { .. } => {
                let g = self.full(g, &own)?;
                self.reshape(g, shape)
            }
            Op::Slice { axis, start, end, .. } => {
                let g = self.full(g, &own)?;
                self.shifted(g, axis, [start as isize, (shape.dims()[axis] - end) as isize])
            }
            Op::Pad { ref before, .. } => {
                let mut g = self.full(g, &own)?;
                for (axis, (&before, &len)) in before.iter().zip(shape.dims()).enumerate() {
                    g = self.part(g, axis, before, len)?;
                }
                Ok(g)
            }
            Op::Gather { axis, ref indices, .. } => {
                let g = self.full(g, &own)?;
                let to: Vec<Option<usize>> = indices.iter().map(|&i| Some(i as usize)).collect();
                self.scattered(g, axis, &to, shape.dims()[axis])
            }
            Op::Split { bit, .. } => {
                let g = self.full(g, &own)?;
                let last = own.rank() - 1;
                let len = own.dims()[last] / 2;
                let (yes, no) = (self.part(g, last, 0, len)?, self.part(g, last, len, len)?);
                let difference = self.sub(yes, no)?;
                let taken = self.mul(difference, value(bit))?;
                let all = self.add(no, taken)?;
                self.narrowed(all, &own.with_axis(last, len), &shape)
            }
            Op::Concat { axis, ref xs } => {
                let g = self.full(g, &own)?;
                let len = |b: &Self, x: NodeId| b.program.fact(x).shape.dims()[axis];
                let start = xs[..i].iter().map(|&x| len(self, x)).sum();
                let end = start + shape.dims()[axis];
                self.slice(g, Axis(axis), start..end)
            }
            Op::Transpose(_) => {
                let g = self.full(g, &own)?;
                self.transpose(g)
            }
            Op::Select { bit, .. } if i > 0 => {
                let taken = self.mul(g, value(bit))?;
                let part = if i == 1 { taken } else { self.sub(g, taken)? };
                self.narrowed(part, &own, &shape)
            }
            Op::Minimum(a, b) | Op::Maximum(a, b) => {
                // Of equals, both operations take the same one.
                let first = match op {
                    Op::Minimum(..) => self.less(value(a), value(b))?,
                    _ => self.greater_equal(value(a), value(b))?,
                };
                let taken = self.mul(g, first)?;
                let part = if i == 0 { taken } else { self.sub(g, taken)? };
                self.narrowed(part, &own, &shape)
            }
            Op::Abs(x) => {
                let sign = self.sign(value(x))?;
                self.mul(g, sign)
            }
            Op::Relu(_) => {
                let bit = self.push("relu_bit", &[value(node)], |v| Op::ReluBit(v[0]))?;
                self.mul(g, bit)
            }
            Op::Clamp { x, lo, hi } => {
                let inside = self.inside(value(x), [Some(lo), Some(hi)])?;
                self.masked(g, inside)
            }
            Op::Function { x, function } => {
                let slope = self.slope(value(node), value(x), function)?;
                self.mul(g, slope)
            }
            Op::Divide { .. } => {
                let part = self.through_quotient(node, i, g)?;
                self.narrowed(part, &own, &shape)
            }
            Op::Extreme { x, axis, which, with: Winner::Value } => {
                let hot = self.extreme("argmax_one_hot", value(x), Axis(axis), which, Winner::OneHot)?;
                let g = self.along_one(g, axis, &shape)?;
                self.mul(g, hot)
            }
            Op::AssumeRange { .. } => Ok(g),
            // Constant between jumps, without operands, or a border of a loop.
            Op::Less(..)
            | Op::Greater(..)
            | Op::LessEqual(..)
            | Op::GreaterEqual(..)
            | Op::Equal(..)
            | Op::NotEqual(..)
            | Op::Sign(_)
            | Op::ReluBit(_)
            | Op::Extreme { .. }
            | Op::Sort { .. }
            | Op::Select { .. }
            | Op::Input { .. }
            | Op::Shared { .. }
            | Op::Constant { .. }
            | Op::Carry { .. }
            | Op::Carried { .. }
            | Op::Batch { .. }
            | Op::History { .. }
            | Op::Report { .. } => Err(ProgramError::NoGradient { node, op: op.name() }),
        }
    }
}
