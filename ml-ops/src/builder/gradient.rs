//! Reverse-mode differentiation: nodes that compute the gradient of a loss, from the last operation back to the parameters.
//!
//! The loss itself need not be computed. It is given by its derivatives with respect to some values, its *seeds*, which for the
//! usual losses are simpler than the loss: probability − label for a cross-entropy ([`crate::training`]). Only what the parameters
//! ask for is built. A sum over batch rows, a mean or a learning rate is a public factor, which is best left to the step that
//! uses the gradient, so that nothing small is truncated on the way.

use std::collections::BTreeMap;

use mpc_core::ring::{Ring, Z64};
use mpc_core::tensor::Tensor;
use ndarray::Axis;

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::function::Function;
use crate::op::{NodeId, Op, Winner};
use crate::shape::Shape;

mod images;

impl ProgramBuilder {
    /// The derivatives of a loss with respect to `parameters`, given its derivatives with respect to some values, as pairs of a
    /// value and its seed. Parameters that the values do not depend on have no derivative: `None`.
    ///
    /// Costs per operation on the way: nothing where it is linear with public factors; a product for each factor of a product, and
    /// of each truncation that it brings; a product for a ReLU, whose comparison is not made again.
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
        let mut derivatives: BTreeMap<NodeId, Value> = BTreeMap::new();
        for &(value, seed) in seeds {
            self.add_derivative(&mut derivatives, &depends, value.node, seed)?;
        }
        let mut found = BTreeMap::new();
        // Operands precede their users, so the last node is complete.
        while let Some((node, derivative)) = derivatives.pop_last() {
            if parameters.iter().any(|p| p.node == node) {
                found.insert(node, derivative);
                continue;
            }
            let op = &self.program.nodes[node as usize].op;
            // Which of two values is chosen does not change with a small move of what decides it.
            let constant = usize::from(matches!(op, Op::Select { .. }));
            let operands: Vec<NodeId> = op.operands();
            let moving = operands.into_iter().enumerate().skip(constant);
            for (i, x) in moving.filter(|(_, x)| depends[*x as usize]) {
                let part = self.derivative(node, i, derivative)?;
                self.add_derivative(&mut derivatives, &depends, x, part)?;
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
            depends.push(is_parameter || n.op.operands().iter().any(|&x| depends[x as usize]));
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
                self.padded(g, axis, [start, shape.dims()[axis] - end])
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
                let limit = |b: &mut Self, limit: i64| {
                    let scale = b.program.frac.bits();
                    let values = Tensor::from_vec(&[], vec![Z64::from_i64(limit)]);
                    b.push("constant", &[], |_| Op::Constant { scale, values })
                };
                let (low, high) = (limit(self, lo)?, limit(self, hi)?);
                let (above, beyond) = (self.greater_equal(value(x), low)?, self.greater(value(x), high)?);
                let inside = self.sub(above, beyond)?;
                self.mul(g, inside)
            }
            Op::Function { function, .. } => self.through_function(node, function, g),
            Op::Extreme { x, axis, which, with: Winner::Value } => {
                let hot = self.extreme("argmax_one_hot", value(x), Axis(axis), which, Winner::OneHot)?;
                let g = self.along_one(g, axis, &shape)?;
                self.mul(g, hot)
            }
            Op::AssumeRange { .. } => Ok(g),
            // Everything else is constant between jumps, has no operands, or is a border of a loop.
            other => Err(ProgramError::NoGradient { node, op: other.name() }),
        }
    }

    /// The derivative of a function's operand.
    fn through_function(
        &mut self,
        node: NodeId,
        function: Function,
        g: Value,
    ) -> Result<Value, ProgramError> {
        let value = Value { builder: self.id, node };
        let slope = match function {
            // s(1 − s) = s − s².
            Function::Sigmoid | Function::SigmoidTraining => {
                let squared = self.square(value)?;
                self.sub(value, squared)?
            }
            // 1 − t².
            Function::Tanh => {
                let (one, squared) = (self.number(1.0)?, self.square(value)?);
                self.sub(one, squared)?
            }
            other => return Err(ProgramError::NoGradient { node, op: other.name() }),
        };
        self.mul(g, slope)
    }

    /// The derivative of an operand that was repeated to the shape of the result: its sum over what was repeated.
    fn narrowed(&mut self, g: Value, own: &Shape, shape: &Shape) -> Result<Value, ProgramError> {
        if own == shape {
            return Ok(g);
        }
        let mut g = self.full(g, own)?;
        for _ in shape.rank()..own.rank() {
            g = self.sum(g, Axis(0))?;
        }
        for axis in 0..shape.rank() {
            if shape.dims()[axis] == 1 && self.fact_of(g).shape.dims()[axis] > 1 {
                let narrow = self.fact_of(g).shape.with_axis(axis, 1);
                g = self.sum(g, Axis(axis))?;
                g = self.reshape(g, narrow)?;
            }
        }
        Ok(g)
    }

    /// The derivative of a sum's operand: that of the sum, the same along the axis.
    fn along(&mut self, g: Value, axis: usize, shape: &Shape) -> Result<Value, ProgramError> {
        let one = self.along_one(g, axis, shape)?;
        self.full(one, shape)
    }

    /// A value that lacks an axis of a shape, with that axis of length 1.
    fn along_one(&mut self, g: Value, axis: usize, shape: &Shape) -> Result<Value, ProgramError> {
        let g = self.full(g, &shape.without(axis))?;
        self.reshape(g, shape.with_axis(axis, 1))
    }

    /// A value repeated to a shape.
    fn full(&mut self, g: Value, shape: &Shape) -> Result<Value, ProgramError> {
        if self.fact_of(g).shape == *shape {
            return Ok(g);
        }
        // Zeros along the axes that repeat are enough.
        let own = self.fact_of(g).shape.clone();
        let missing = shape.rank() - own.rank();
        let len = |(axis, &n): (usize, &usize)| {
            let has = axis.checked_sub(missing).map_or(1, |at| own.dims()[at]);
            if has == n { 1 } else { n }
        };
        let repeated: Vec<usize> = shape.dims().iter().enumerate().map(len).collect();
        let zeros = self.zeros(&repeated.into())?;
        self.add(g, zeros)
    }

    /// A value between zeros along an axis, so many before and after it.
    fn padded(&mut self, g: Value, axis: usize, [before, after]: [usize; 2]) -> Result<Value, ProgramError> {
        let shape = self.fact_of(g).shape.clone();
        let mut parts = vec![g];
        if before > 0 {
            parts.insert(0, self.zeros(&shape.with_axis(axis, before))?);
        }
        if after > 0 {
            parts.push(self.zeros(&shape.with_axis(axis, after))?);
        }
        if parts.len() == 1 { Ok(g) } else { self.concat(&parts, Axis(axis)) }
    }

    fn zeros(&mut self, shape: &Shape) -> Result<Value, ProgramError> {
        self.constant(&ndarray::ArrayD::zeros(shape.dims()))
    }
}
