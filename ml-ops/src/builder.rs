//! Building a program step by step. Every step infers the facts of its result, so an error appears at the line that
//! causes it.

use std::sync::atomic::{AtomicU64, Ordering};

use mpc_core::fixed::{FixedError, FracBits, HEADROOM_BITS, decode, encode};
use ndarray::{ArrayD, Axis};

use crate::error::ProgramError;
use crate::fact::Fact;
use crate::op::{InputKind, NodeId, Op};
use crate::program::Program;
use crate::settings::{Rounding, Trees};
use crate::shape::Shape;

mod attention;
mod composed;
mod elementary;
mod function;
mod gather;
mod gradient;
mod kept;
mod layers;
mod order;
mod repeat;

pub use attention::{Attention, Linear};

/// Most that rounding may change a constant by, relative to it.
const MAX_ROUNDING: f64 = 1.0 / 16.0;
/// Tells the builders of one process apart, so that a handle of one is refused by another.
static NEXT_BUILDER: AtomicU64 = AtomicU64::new(0);

/// Index of the party that brings an input.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Owner(pub usize);

/// A node of the program that is being built.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Value {
    builder: u64,
    node: NodeId,
}

/// Builds a [`Program`].
///
/// ```
/// use ml_ops::{Axis, Owner, Program};
/// use mpc_core::fixed::FracBits;
///
/// let mut p = Program::builder("joint score", FracBits::DEFAULT, &["bank", "bureau"]);
/// let xb = p.input("bank.features", Owner(0), [100, 4], 8.0)?;
/// let xu = p.input("bureau.features", Owner(1), [100, 3], 8.0)?;
/// let w = p.weights("weights", Owner(0), [7, 1], 4.0)?;
/// let b = p.weights("bias", Owner(0), [1], 4.0)?;
/// let x = p.concat(&[xb, xu], Axis(1))?;
/// let z = p.dense(x, w, b)?;
/// let s = p.sigmoid(z)?;
/// p.output("probability", s, &[0])?;
/// let program = p.build()?;
/// assert_eq!(program.outputs().len(), 1);
/// # Ok::<(), ml_ops::ProgramError>(())
/// ```
#[derive(Debug)]
pub struct ProgramBuilder {
    id: u64,
    program: Program,
    notes: gradient::Notes,
}

impl ProgramBuilder {
    pub(crate) fn new(name: &str, frac: FracBits, parties: &[&str]) -> Self {
        let parties = parties.iter().map(|&p| p.to_owned()).collect();
        let id = NEXT_BUILDER.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            program: Program::empty(name.to_owned(), frac, parties),
            notes: gradient::Notes::default(),
        }
    }

    /// How all truncations of the program round. Dithered unless this is called: one round and 64 bits each, up or down by a
    /// public dither. Exact: down, four rounds and 99 bits each (at 16 bits), and results that depend on the inputs alone and
    /// equal [`reference::fixed`](crate::reference::fixed()).
    pub const fn rounding(&mut self, rounding: Rounding) -> &mut Self {
        self.program.settings.rounding = rounding;
        self
    }

    /// Which shape the trees of comparisons take: blocks and fan-in of 4 unless this is called. The shape decides rounds and
    /// bytes, never results. It is a part of the program, so that all parties and the dealer take the same.
    ///
    /// ```
    /// use ml_ops::{Link, Owner, Program, Trees};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("between sites", FracBits::DEFAULT, &["a", "b"]);
    /// p.trees(Trees::For(Link::WAN));
    /// let x = p.input("x", Owner(0), [100], 8.0)?;
    /// let y = p.relu(x)?;
    /// p.output("y", y, &[1])?;
    /// // Three rounds instead of four, for more bytes from the dealer.
    /// assert_eq!(p.build()?.plan().ops[1].trees, [[8, 8]]);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub const fn trees(&mut self, trees: Trees) -> &mut Self {
        self.program.settings.trees = trees;
        self
    }

    /// Computes the rows of the data `rows` at a time, for as many as there are: memory is that of one window. All data must have
    /// the same number of rows along its first axis, no operation may mix them, and every output has them too. Unless this is
    /// called, all rows are computed at once, in fewer rounds. Called before the operations, it lifts the limit of 2^21 elements
    /// that one of them compares.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("many rows", FracBits::DEFAULT, &["a", "b"]);
    /// p.window_rows(1000);
    /// let x = p.input("x", Owner(0), [2500, 3], 8.0)?;
    /// let y = p.relu(x)?;
    /// p.output("y", y, &[1])?;
    /// // Three windows of four rounds each; two for the outputs.
    /// assert_eq!(p.build()?.plan().rounds, 3 * 4 + 2);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub const fn window_rows(&mut self, rows: u32) -> &mut Self {
        self.program.settings.window_rows = Some(rows);
        self
    }

    /// A value that one party brings: rows of data. The owner's encoder refuses magnitudes above `max_abs`.
    ///
    /// # Errors
    /// Unknown owner, unusable shape or bound.
    pub fn input(
        &mut self,
        name: &str,
        owner: Owner,
        shape: impl Into<Shape>,
        max_abs: f64,
    ) -> Result<Value, ProgramError> {
        self.owned(name, owner, InputKind::Data, (shape.into(), max_abs), false)
    }

    /// As [`ProgramBuilder::input`], of integers: codes, counts, zeros and ones. The owner's encoder refuses fractions. They
    /// have scale 0, so products with them need no truncation.
    ///
    /// # Errors
    /// As [`ProgramBuilder::input`].
    pub fn integers(
        &mut self,
        name: &str,
        owner: Owner,
        shape: impl Into<Shape>,
        max_abs: f64,
    ) -> Result<Value, ProgramError> {
        self.owned(name, owner, InputKind::Data, (shape.into(), max_abs), true)
    }

    /// As [`ProgramBuilder::weights`], of integers, as [`ProgramBuilder::integers`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::input`].
    pub fn integer_weights(
        &mut self,
        name: &str,
        owner: Owner,
        shape: impl Into<Shape>,
        max_abs: f64,
    ) -> Result<Value, ProgramError> {
        self.owned(name, owner, InputKind::Weights, (shape.into(), max_abs), true)
    }

    /// A value that one party brings: the parameters of its model, committed in the log as weights.
    ///
    /// # Errors
    /// As [`ProgramBuilder::input`].
    pub fn weights(
        &mut self,
        name: &str,
        owner: Owner,
        shape: impl Into<Shape>,
        max_abs: f64,
    ) -> Result<Value, ProgramError> {
        self.owned(name, owner, InputKind::Weights, (shape.into(), max_abs), false)
    }

    /// A public tensor. If every value is an integer it is kept as such: products with it need no truncation.
    ///
    /// Otherwise every value is rounded to a multiple of 2^−f, which is at most half of that off, as inputs are; the
    /// references compute with the rounded values. A factor that needs more digits belongs into
    /// [`ProgramBuilder::scale`].
    ///
    /// # Errors
    /// A value that is not finite or too large. [`ProgramError::Rounding`] for one that rounding would change by more
    /// than 1/16 of itself, as it can change values below 8 units of 2^−f, so for any that would become zero.
    pub fn constant(&mut self, values: &ArrayD<f64>) -> Result<Value, ProgramError> {
        let integer = values.iter().all(|v| v.fract() == 0.0);
        let scale = if integer { 0 } else { self.program.frac.bits() };
        let encoded = encode(values, scale, f64::INFINITY);
        let encoded = encoded.map_err(|source| ProgramError::Encoding { op: "constant", source })?;
        let rounded = decode(&encoded, scale);
        let pairs = values.iter().zip(&rounded).enumerate();
        for (position, (&value, &rounded)) in pairs {
            if (value - rounded).abs() > MAX_ROUNDING * value.abs() {
                return Err(ProgramError::Rounding { op: "constant", position, value, rounded, frac: scale });
            }
        }
        self.push("constant", &[], |_| Op::Constant { scale, values: encoded })
    }

    /// A public number, which broadcasts to every shape.
    ///
    /// # Errors
    /// As [`ProgramBuilder::constant`].
    pub fn number(&mut self, value: f64) -> Result<Value, ProgramError> {
        self.constant(&ndarray::arr0(value).into_dyn())
    }

    /// a + b, broadcasting.
    ///
    /// # Errors
    /// Shapes that do not fit, or a bound of 2^62 or more.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("add", &[a, b], |v| Op::Add(v[0], v[1]))
    }

    /// a − b, broadcasting.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("sub", &[a, b], |v| Op::Sub(v[0], v[1]))
    }

    /// x + k for a public number.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`] and [`ProgramBuilder::constant`].
    pub fn add_public(&mut self, x: Value, k: f64) -> Result<Value, ProgramError> {
        self.check("add", &[x])?;
        let k = self.number(k)?;
        self.add(x, k)
    }

    /// −x.
    ///
    /// # Errors
    /// A foreign handle or a public operand, as everywhere.
    pub fn neg(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.push("neg", &[x], |v| Op::Neg(v[0]))
    }

    /// a · b element by element, broadcasting. One round if both are secret, and one for the truncation unless one is
    /// made of integers. Error below one unit of 2^−f.
    ///
    /// # Errors
    /// Shapes that do not fit, or a product that could reach 2^62 before truncation.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("mul", &[a, b], |v| Op::Mul(v[0], v[1]))
    }

    /// x², at half the bytes of `mul(x, x)`. Two rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::mul`].
    pub fn square(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.push("square", &[x], |v| Op::Square(v[0]))
    }

    /// The matrix product of \[…, m, k\] and \[…, k, n\], truncated once per result. Rounds and error as
    /// [`ProgramBuilder::mul`]. Leading axes broadcast; what is repeated is opened once. A tensor that is a factor of several products
    /// is opened once for them where that is less.
    ///
    /// # Errors
    /// As [`ProgramBuilder::mul`].
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("matmul", &[a, b], |v| Op::MatMul(v[0], v[1]))
    }

    /// x·w + b for x of \[…, k\], w of \[k, n\], b of \[n\]: the bias joins before the only truncation.
    /// Rounds and error as [`ProgramBuilder::mul`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::mul`].
    pub fn dense(&mut self, x: Value, w: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("dense", &[x, w, b], |v| Op::Dense { x: v[0], w: v[1], b: v[2] })
    }

    /// Sum along an axis, which disappears. Local.
    ///
    /// # Errors
    /// An axis that does not exist, or a bound of 2^62 or more.
    pub fn sum(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.push("sum", &[x], |v| Op::Sum { x: v[0], axis: axis.0 })
    }

    /// Mean along an axis, which disappears.
    ///
    /// Local for one element; else rounds and error as [`ProgramBuilder::scale`] of the sum by 1/n.
    ///
    /// # Errors
    /// As [`ProgramBuilder::sum`] and [`ProgramBuilder::scale`].
    pub fn mean(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.push("mean", &[x], |v| Op::Mean { x: v[0], axis: axis.0 })
    }

    /// k · x for a public number. Exact and local for an integer, else one round, or two if the bound of x is wide.
    ///
    /// The relative error of k as computed with is at most 2^−f, and far smaller unless the bound of x is wide; only
    /// where this moves no result by more than half a unit of 2^−f may it be larger. Each truncation adds less than one
    /// unit. The program keeps k itself, which [`reference::float`](crate::reference::float()) computes with.
    ///
    /// # Errors
    /// A factor that is not finite, makes every result vanish, or makes a product reach 2^62 before truncation.
    /// [`ProgramError::FactorPrecision`] if the bound of x leaves too few bits for the factor.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("narrow first", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [10], 3e13)?;
    /// assert!(p.scale(x, 0.3).is_err());
    /// let x = p.assume_range(x, 1e6)?;
    /// let y = p.scale(x, 0.3)?;
    /// # p.output("y", y, &[0])?;
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn scale(&mut self, x: Value, k: f64) -> Result<Value, ProgramError> {
        self.check("scale", &[x])?;
        if !k.is_finite() {
            let source = FixedError::NotFinite { position: 0, value: k };
            return Err(ProgramError::Encoding { op: "scale", source });
        }
        // Zero has one encoding.
        let k = if k == 0.0 { 0.0 } else { k };
        self.push("scale", &[x], |v| Op::Scale { x: v[0], k })
    }

    /// Σ k · x for public numbers, broadcasting, with one truncation at the end; integers alone are exact and local. Where an operand
    /// is the result of an operation that truncates and is used for nothing else, that truncation is left to the sum too.
    ///
    /// # Errors
    /// No terms; shapes that do not fit; a factor that is not finite or makes its term vanish; operands whose bounds leave too few
    /// bits for a factor.
    pub fn weighted_sum(&mut self, terms: &[(Value, f64)]) -> Result<Value, ProgramError> {
        let xs: Vec<Value> = terms.iter().map(|t| t.0).collect();
        // Zero has one encoding.
        let ks = terms.iter().map(|&(_, k)| if k == 0.0 { 0.0 } else { k }).collect();
        self.push("weighted_sum", &xs, |v| Op::WeightedSum { xs: v.to_vec(), ks })
    }

    /// The same elements, in row-major order, under another shape. Local.
    ///
    /// # Errors
    /// Another number of elements.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value, ProgramError> {
        self.push("reshape", &[x], |v| Op::Reshape { x: v[0], shape: shape.into() })
    }

    /// The indices `start..end` of one axis. Local.
    ///
    /// # Errors
    /// Indices outside the axis.
    pub fn slice(
        &mut self,
        x: Value,
        axis: Axis,
        indices: std::ops::Range<usize>,
    ) -> Result<Value, ProgramError> {
        let (start, end) = (indices.start, indices.end);
        self.push("slice", &[x], |v| Op::Slice { x: v[0], axis: axis.0, start, end })
    }

    /// Tensors joined along an axis. Local.
    ///
    /// # Errors
    /// Other axes that differ.
    pub fn concat(&mut self, xs: &[Value], axis: Axis) -> Result<Value, ProgramError> {
        self.push("concat", xs, |v| Op::Concat { xs: v.to_vec(), axis: axis.0 })
    }

    /// The transpose of a matrix. Local.
    ///
    /// # Errors
    /// Not a matrix.
    pub fn transpose(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.push("transpose", &[x], |v| Op::Transpose(v[0]))
    }

    /// Promises that no element of x exceeds `max_abs` in magnitude, where inference is too wide. Nothing checks the
    /// promise at run time; a value that breaks it makes what follows meaningless. The node is visible in the text
    /// form, so that whoever approves the program sees the promise.
    ///
    /// # Errors
    /// A bound that is not a positive number.
    pub fn assume_range(&mut self, x: Value, max_abs: f64) -> Result<Value, ProgramError> {
        self.check("assume_range", &[x])?;
        let bound = bound_units("assume_range", max_abs, self.fact_of(x).scale)?;
        self.push("assume_range", &[x], |v| Op::AssumeRange { x: v[0], bound })
    }

    /// Declares an output and the parties that receive it.
    ///
    /// # Errors
    /// Unknown, repeated or no recipients; a public value.
    pub fn output(&mut self, name: &str, x: Value, recipients: &[usize]) -> Result<(), ProgramError> {
        self.check("output", &[x])?;
        self.program.push_output(name, x.node, recipients)
    }

    /// Facts of a value built so far.
    ///
    /// # Errors
    /// A foreign handle.
    pub fn fact(&self, x: Value) -> Result<&Fact, ProgramError> {
        self.check("fact", &[x])?;
        Ok(self.fact_of(x))
    }

    /// Ends the building. Nodes that no output depends on are left out, but for inputs.
    ///
    /// # Errors
    /// Wrong number of parties, bad or duplicate names, no output.
    pub fn build(self) -> Result<Program, ProgramError> {
        if self.program.loops.last().is_some_and(|l| l.end == NodeId::MAX) {
            let first = self.program.loops.last().map_or(0, |l| l.first);
            return Err(ProgramError::Loop { first, what: "the body could not be built" });
        }
        self.program.without_unused()?.checked()
    }

    fn owned(
        &mut self,
        name: &str,
        owner: Owner,
        kind: InputKind,
        (shape, max_abs): (Shape, f64),
        integer: bool,
    ) -> Result<Value, ProgramError> {
        let bound = bound_units("input", max_abs, if integer { 0 } else { self.program.frac.bits() })?;
        self.push("input", &[], |_| Op::Input {
            name: name.to_owned(),
            owner: owner.0,
            kind,
            shape,
            bound,
            integer,
        })
    }

    /// Fraction bits of the program.
    pub(crate) const fn frac_bits(&self) -> u32 {
        self.program.frac.bits()
    }

    /// How truncations round, as set so far.
    pub(crate) const fn rounds(&self) -> Rounding {
        self.program.settings.rounding
    }

    fn fact_of(&self, x: Value) -> &Fact {
        &self.program.nodes[x.node as usize].fact
    }

    fn check(&self, op: &'static str, operands: &[Value]) -> Result<(), ProgramError> {
        match operands.iter().position(|v| v.builder != self.id) {
            Some(operand) => Err(ProgramError::ForeignValue { op, operand }),
            None => Ok(()),
        }
    }

    fn push(
        &mut self,
        name: &'static str,
        operands: &[Value],
        op: impl FnOnce(&[NodeId]) -> Op,
    ) -> Result<Value, ProgramError> {
        self.check(name, operands)?;
        let nodes: Vec<_> = operands.iter().map(|v| v.node).collect();
        let op = op(&nodes);
        let node = match self.same(&op) {
            Some(node) => node,
            None => self.program.push(op)?,
        };
        Ok(Value { builder: self.id, node })
    }
}

/// A bound in ring units at `scale`, rounded up so that every value within it is within the result after encoding.
fn bound_units(op: &'static str, max_abs: f64, scale: u32) -> Result<u64, ProgramError> {
    let units = (max_abs * 2f64.powi(scale as i32)).ceil();
    if !(max_abs > 0.0 && units < 2f64.powi(HEADROOM_BITS as i32)) {
        return Err(ProgramError::Bound { op, limit_bits: HEADROOM_BITS - scale, got: max_abs });
    }
    Ok(units as u64)
}
