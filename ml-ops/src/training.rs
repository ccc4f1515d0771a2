//! Fitting parameters to data that nobody sees: losses, optimisers, and the loop over epochs and batches.
//!
//! [`train`] makes one loop of all steps. A step takes a batch, computes a [`Loss`] from the parameters, differentiates it
//! ([`ProgramBuilder::gradients`]) and moves the parameters. The gradient is that of the batch's *sum*; dividing by its rows and
//! multiplying by the learning rate is one public factor of the move, so a small gradient is not truncated before it counts, and the
//! move is one weighted sum with one truncation. Truncations are dithered unless the program says otherwise: what is below a unit
//! of 2^−f moves a parameter by one unit with that probability, so that small moves add up instead of vanishing.
//!
//! Parameters have a declared largest magnitude, which is a promise unless inference proves it ([`ProgramBuilder::repeat`]).

use ndarray::Axis;

use crate::builder::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::settings::Rounding;

mod optimiser;

use optimiser::Now;
pub use optimiser::{Adam, Optimiser};

/// What a step lowers, as the derivative of the sum over the batch with respect to one value.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Loss {
    /// The value: logits, or predictions.
    pub of: Value,
    /// The derivative: what the prediction is above the truth.
    pub residual: Value,
}

impl ProgramBuilder {
    /// The loss −Σ (y·log p + (1 − y)·log(1 − p)) of p = σ(logits) for labels y of 0 and 1: its derivative is p − y. Rounds as
    /// [`ProgramBuilder::sigmoid_training`], whose p stays at that of ±8 beyond ±8; where rounding is exact,
    /// [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// Labels of another shape; those of a sigmoid.
    pub fn binary_cross_entropy(&mut self, logits: Value, labels: Value) -> Result<Loss, ProgramError> {
        let probability = match self.rounds() {
            Rounding::Dithered => self.sigmoid_training(logits)?,
            Rounding::Exact => self.sigmoid(logits)?,
        };
        Ok(Loss { of: logits, residual: self.sub(probability, labels)? })
    }

    /// The loss −Σ y·log p of p = softmax(logits) along the last axis, for labels of one 1 in a row of 0: its derivative is p − y.
    /// Rounds as [`ProgramBuilder::softmax`].
    ///
    /// # Errors
    /// Labels of another shape; logits without axes; those of a softmax.
    pub fn cross_entropy(&mut self, logits: Value, labels: Value) -> Result<Loss, ProgramError> {
        let last = self.fact(logits)?.shape.rank().saturating_sub(1);
        let probability = self.softmax(logits, Axis(last))?;
        Ok(Loss { of: logits, residual: self.sub(probability, labels)? })
    }

    /// The loss ½ Σ (prediction − truth)²: its derivative is prediction − truth.
    ///
    /// # Errors
    /// A truth of another shape.
    pub fn squared_error(&mut self, prediction: Value, truth: Value) -> Result<Loss, ProgramError> {
        Ok(Loss { of: prediction, residual: self.sub(prediction, truth)? })
    }

    /// The sum of the squares of a loss's residuals, as \[1\]: the squared error of predictions, the Brier score of probabilities. Two
    /// rounds.
    ///
    /// # Errors
    /// A sum of 2^62 or more.
    pub fn squared_residuals(&mut self, loss: &Loss) -> Result<Value, ProgramError> {
        let flat = self.fact(loss.residual)?.shape.elements();
        let flat = self.reshape(loss.residual, [flat])?;
        let squares = self.square(flat)?;
        let sum = self.sum(squares, Axis(0))?;
        self.reshape(sum, [1])
    }
}

/// What is fitted.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Value before the first step.
    pub initial: Value,
    /// Largest magnitude that an element has in any step.
    pub max_abs: f64,
    /// What is penalised.
    pub penalty: Penalty,
}

/// Which elements of a parameter the penalties are about.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Penalty {
    /// All: the weights of a layer.
    All,
    /// None: its biases.
    None,
    /// Those where a public tensor of the parameter's shape is 1 and not 0.
    Where(Value),
}

/// The output that a [`History::Live`] is.
pub const LOSS: &str = "loss";

/// What becomes of the loss of every epoch: the mean over its batches' rows of the squares of the residuals, which is the squared
/// error of predictions, and the Brier score of probabilities, also where the cross-entropy is what is lowered.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum History<'a> {
    /// It is not computed.
    None,
    /// It is a value like others after the training: [`Trained::history`].
    AtEnd,
    /// These parties learn it after every epoch, while the training runs, as output [`LOSS`] ([`ProgramBuilder::report`]).
    Live(&'a [usize]),
}

/// How parameters are fitted.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Training<'a> {
    /// How often all rows are gone through.
    pub epochs: u32,
    /// Rows of a batch; more than there are is all of them.
    pub batch: usize,
    /// How a gradient moves parameters.
    pub optimiser: Optimiser,
    /// λ of the penalty λ·Σ|w| per row: its subgradient λ·sign(w) needs a comparison in every step.
    pub l1: f64,
    /// λ of the penalty λ/2·Σw² per row.
    pub l2: f64,
    /// Who learns how the loss falls, and when.
    pub history: History<'a>,
}

impl Training<'_> {
    /// Plain stochastic gradient descent.
    #[must_use]
    pub const fn sgd(epochs: u32, batch: usize, learning_rate: f64) -> Self {
        let optimiser = Optimiser::Sgd { learning_rate, momentum: 0.0 };
        Self { epochs, batch, optimiser, l1: 0.0, l2: 0.0, history: History::None }
    }
}

/// What [`train`] leaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Trained {
    /// The parameters after the last step.
    pub parameters: Vec<Value>,
    /// Per epoch, the mean over its batches' rows of the squares of the residuals, as \[epochs, 1\], where it was asked for at the end.
    pub history: Option<Value>,
}

/// Fits parameters on `rows` rows. `loss` builds the loss of one batch, of so many rows ([`ProgramBuilder::batch`]), from the
/// parameters as they are in a step.
///
/// # Errors
/// Those of `loss`; a gradient that does not exist; bounds that reach 2^62; parameters that the loss does not depend on; numbers
/// that are no learning rate, momentum or penalty.
///
/// ```
/// use ml_ops::training::{Parameter, Penalty, Training, train};
/// use ml_ops::{Owner, Program};
/// use mpc_core::fixed::FracBits;
///
/// let mut p = Program::builder("line", FracBits::DEFAULT, &["a", "b"]);
/// let x = p.input("x", Owner(0), [100, 3], 8.0)?;
/// let y = p.input("y", Owner(1), [100, 1], 8.0)?;
/// let zeros = p.constant(&ndarray::ArrayD::zeros(vec![3, 1]))?;
/// let w = Parameter { initial: zeros, max_abs: 16.0, penalty: Penalty::All };
/// let trained = train(&mut p, 100, &[w], &Training::sgd(5, 20, 0.1), |p, w, batch| {
///     let (x, y) = (p.batch(x, batch)?, p.batch(y, batch)?);
///     let prediction = p.matmul(x, w[0])?;
///     p.squared_error(prediction, y)
/// })?;
/// p.output("weights", trained.parameters[0], &[0])?;
/// // 25 steps: the product and its truncation, the gradient, the move.
/// assert_eq!(p.build()?.plan().rounds, 25 * 4 + 2);
/// # Ok::<(), ml_ops::ProgramError>(())
/// ```
pub fn train(
    p: &mut ProgramBuilder,
    rows: usize,
    parameters: &[Parameter],
    how: &Training<'_>,
    loss: impl FnOnce(&mut ProgramBuilder, &[Value], usize) -> Result<Loss, ProgramError>,
) -> Result<Trained, ProgramError> {
    how.check()?;
    let batch = how.batch.clamp(1, rows.max(1));
    let per_epoch = rows.div_ceil(batch).max(1) as u32;
    let times = how.epochs.saturating_mul(per_epoch);
    let mut carried: Vec<(Value, f64)> = parameters.iter().map(|w| (w.initial, w.max_abs)).collect();
    carried.extend(how.optimiser.initial_state(p, parameters)?);
    let prepared = how.prepare(p, times)?;
    let seen = f64::from(per_epoch) * batch as f64;
    let mut measured = None;
    let left = p.repeat(times, &carried, |p, now| {
        let (weights, state) = now.split_at(parameters.len());
        let loss = loss(p, weights, batch)?;
        match how.history {
            History::None => (),
            History::AtEnd => measured = Some(p.squared_residuals(&loss)?),
            History::Live(recipients) => {
                let each = p.squared_residuals(&loss)?;
                p.report(LOSS, each, per_epoch, 1.0 / seen, recipients)?;
            }
        }
        let gradients = p.gradients(&[(loss.of, loss.residual)], weights)?;
        let gradients: Option<Vec<Value>> = gradients.into_iter().collect();
        let gradients =
            gradients.ok_or(ProgramError::Training { what: "the loss depends on every parameter" })?;
        how.step(p, &Now { parameters, weights, state, prepared, batch }, &gradients)
    })?;
    let history = match measured {
        Some(each) => {
            let sums = p.history(each, per_epoch)?;
            Some(p.scale(sums, 1.0 / seen)?)
        }
        None => None,
    };
    Ok(Trained { parameters: left[..parameters.len()].to_vec(), history })
}
