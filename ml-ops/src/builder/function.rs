//! Functions of every element.

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::function::Function;
use crate::op::Op;

impl ProgramBuilder {
    /// 1 / (1 + e^−x), off by at most 7.0e-5 at 16 fraction bits. Six rounds; seven above 16 fraction bits.
    ///
    /// # Errors
    /// A foreign handle or a public operand, as everywhere; an operand that could reach 2^(61−f).
    pub fn sigmoid(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Sigmoid, x)
    }

    /// The hyperbolic tangent, off by at most 1.2e-4 at 16 fraction bits. Rounds as [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::sigmoid`].
    pub fn tanh(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Tanh, x)
    }

    /// x·Φ(x) for the normal distribution function Φ, the exact form of GELU; off by at most 7.6e-5 at 16 fraction bits. The common
    /// approximation by a tanh differs from it by up to 4.8e-4. Rounds as [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::sigmoid`], for an operand that could reach 2^25, where x itself leaves too few bits for coefficients.
    pub fn gelu(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Gelu, x)
    }

    /// x / (1 + e^−x), off by at most 1.5e-4 at 16 fraction bits. Rounds as [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::gelu`].
    pub fn silu(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Silu, x)
    }

    /// x from 0 on, α·(e^x − 1) below; off by at most 5.2e-5 at 16 fraction bits for α = 1, 3.6e-5 more for every 1 more. Rounds as
    /// [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::gelu`], and an α that is not in (0, 64].
    pub fn elu(&mut self, x: Value, alpha: f64) -> Result<Value, ProgramError> {
        self.function(Function::Elu { alpha }, x)
    }

    /// ln(1 + e^x), off by at most 6.3e-5 at 16 fraction bits. Rounds as [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::gelu`].
    pub fn softplus(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Softplus, x)
    }

    /// The error function, off by at most 7.8e-5 at 16 fraction bits. Rounds as [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::sigmoid`].
    pub fn erf(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Erf, x)
    }

    /// e^x for x ≤ 0, as a softmax needs it, and 1 above; off by at most 5.2e-5 at 16 fraction bits. Rounds as
    /// [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::sigmoid`].
    pub fn exp_negative(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::ExpNegative, x)
    }

    /// 1 / (1 + e^−x) for |x| ≤ 8 by a Fourier series, off by at most 2.2e-4 at 16 fraction bits, in two rounds and a twelfth of the bits
    /// of [`ProgramBuilder::sigmoid`]: for training. Unless x is proven to be in the range, a `clamp` to it goes before (four more
    /// rounds), and beyond it the result is that at its end, off by at most 5.5e-4.
    ///
    /// # Errors
    /// As [`ProgramBuilder::clamp`]. With [`ProgramBuilder::rounding`] exact the program does not build, as its results depend on masks.
    pub fn sigmoid_training(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.check("sigmoid_training", &[x])?;
        let range = f64::from(protocols::fourier::RANGE);
        let x = if self.fact_of(x).max_abs() > range { self.clamp(x, -range, range)? } else { x };
        self.function(Function::SigmoidTraining, x)
    }

    /// x where that is positive, and `slope`·x elsewhere: exact, and off by less than one unit of 2^−f. A `relu` and a `scale`: five
    /// rounds, or four for an integer slope.
    ///
    /// # Errors
    /// As [`ProgramBuilder::relu`] and [`ProgramBuilder::scale`].
    pub fn leaky_relu(&mut self, x: Value, slope: f64) -> Result<Value, ProgramError> {
        let positive = self.relu(x)?;
        let negative = self.sub(x, positive)?;
        let bent = self.scale(negative, slope)?;
        self.add(positive, bent)
    }

    /// min(max(x/6 + ½, 0), 1). A `scale` and a `clamp`: four rounds, or five where the bound of x is wide.
    ///
    /// # Errors
    /// As [`ProgramBuilder::clamp`] and [`ProgramBuilder::scale`].
    pub fn hard_sigmoid(&mut self, x: Value) -> Result<Value, ProgramError> {
        let sixth = self.scale(x, 1.0 / 6.0)?;
        let clamped = self.clamp(sixth, -0.5, 0.5)?;
        self.add_public(clamped, 0.5)
    }

    /// x·min(max(x/6 + ½, 0), 1): [`ProgramBuilder::hard_sigmoid`] and a product.
    ///
    /// # Errors
    /// As [`ProgramBuilder::hard_sigmoid`] and [`ProgramBuilder::mul`].
    pub fn hard_swish(&mut self, x: Value) -> Result<Value, ProgramError> {
        let gate = self.hard_sigmoid(x)?;
        self.mul(x, gate)
    }

    /// min(max(x, −1), 1). A `clamp`: four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::clamp`].
    pub fn hard_tanh(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.clamp(x, -1.0, 1.0)
    }

    /// A function of every element. `docs/functions.md` says of each how far results may be off and over which range.
    ///
    /// # Errors
    /// A foreign handle or a public operand; a parameter out of range; an operand whose bound leaves too little room.
    pub fn function(&mut self, function: Function, x: Value) -> Result<Value, ProgramError> {
        self.push(function.name(), &[x], |v| Op::Function { x: v[0], function })
    }
}
