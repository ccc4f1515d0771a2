//! How a gradient moves parameters.

use ndarray::ArrayD;

use super::{Parameter, Penalty, Training};
use crate::builder::{ProgramBuilder, Value};
use crate::error::ProgramError;

/// Digits of public factors of a gradient: with few of them a gradient is truncated together with the move, also where its bound is
/// wide. Off by 2^−11 of itself at most.
const FACTOR_BITS: i32 = 10;

/// Where a step is.
pub(super) struct Now<'a> {
    pub(super) parameters: &'a [Parameter],
    /// Their values.
    pub(super) weights: &'a [Value],
    /// What the optimiser carries.
    pub(super) state: &'a [Value],
    /// Of [`Training::prepare`].
    pub(super) prepared: Option<Value>,
    /// Rows of the batch.
    pub(super) batch: usize,
}

/// An optimiser.
#[derive(Copy, Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Optimiser {
    /// Stochastic gradient descent: u ← momentum·u + rate·gradient, w ← w − u. One round for the move, with or without momentum.
    Sgd {
        /// Learning rate, for the mean over the batch.
        learning_rate: f64,
        /// Between 0 and 1; 0 for none.
        momentum: f64,
    },
    /// Adam (Kingma, Ba 2015): m and v are running means of the gradient and of its square, and w ← w − rate·m̂/√v̂. Some sixteen rounds
    /// for the move.
    Adam(Adam),
}

/// The numbers of Adam, which does not depend on the unit of the gradient: here it is `unit` times that of the mean over the
/// batch, which fixed point wants to be about 1. Departs from the paper in that v counts as at least epsilon², instead
/// of adding epsilon to its root.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Adam {
    /// Learning rate.
    pub learning_rate: f64,
    /// How much of m stays; below 1.
    pub beta1: f64,
    /// How much of v stays; below 1. With few fraction bits, 0.99 is steadier than 0.999.
    pub beta2: f64,
    /// Least root of v, in the gradient's unit.
    pub epsilon: f64,
    /// What the mean gradient is multiplied by.
    pub unit: f64,
    /// Largest magnitude of a gradient in this unit: a promise, which nothing checks.
    pub max_gradient: f64,
}

impl Adam {
    /// Rates of decay as in the paper, but for v's, and a unit for gradients of about a tenth.
    #[must_use]
    pub const fn with_rate(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.99, epsilon: 1.0 / 32.0, unit: 8.0, max_gradient: 64.0 }
    }

    fn check(&self) -> Result<(), &'static str> {
        let positive = [self.epsilon, self.unit, self.max_gradient].iter().all(|x| *x > 0.0 && x.is_finite());
        if !positive || self.epsilon >= self.max_gradient {
            return Err("epsilon, unit and the largest gradient are positive numbers, epsilon the smallest");
        }
        let decays = [self.beta1, self.beta2].iter().all(|b| (0.0..1.0).contains(b));
        if decays { Ok(()) } else { Err("what stays of a mean is at least 0 and below 1") }
    }

    /// For every step, what makes up for means that begin with zero: √(1 − β₂ᵗ) / (1 − β₁ᵗ).
    fn corrections(&self, steps: u32) -> ArrayD<f64> {
        let of = |t: i32| (1.0 - self.beta2.powi(t)).sqrt() / (1.0 - self.beta1.powi(t));
        ArrayD::from_shape_fn(vec![steps as usize], |at| of(at[0] as i32 + 1))
    }
}

impl Optimiser {
    /// What the optimiser carries beside the parameters, with the largest magnitudes.
    pub(super) fn initial_state(
        self,
        p: &mut ProgramBuilder,
        parameters: &[Parameter],
    ) -> Result<Vec<(Value, f64)>, ProgramError> {
        match self {
            Self::Sgd { momentum: 0.0, .. } => Ok(vec![]),
            Self::Adam(adam) => {
                let mut state = vec![];
                for of in [adam.max_gradient, adam.max_gradient * adam.max_gradient] {
                    for w in parameters {
                        state.push((zeros_like(p, w.initial)?, of));
                    }
                }
                Ok(state)
            }
            Self::Sgd { .. } => {
                // A move beyond twice the range would leave it.
                parameters.iter().map(|w| Ok((zeros_like(p, w.initial)?, 2.0 * w.max_abs))).collect()
            }
        }
    }
}

impl Training<'_> {
    pub(super) fn check(&self) -> Result<(), ProgramError> {
        let refused = |what| Err(ProgramError::Training { what });
        let (learning_rate, momentum) = match self.optimiser {
            Optimiser::Sgd { learning_rate, momentum } => (learning_rate, momentum),
            Optimiser::Adam(adam) => {
                adam.check().or_else(refused)?;
                (adam.learning_rate, 0.0)
            }
        };
        if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            return refused("a learning rate is a positive number");
        }
        if !(0.0..1.0).contains(&momentum) {
            return refused("a momentum is at least 0 and below 1");
        }
        if ![self.l1, self.l2].iter().all(|l| *l >= 0.0 && l.is_finite()) {
            return refused("a penalty is not negative");
        }
        if self.epochs == 0 || self.batch == 0 {
            return refused("there is at least one epoch, and a batch has at least one row");
        }
        Ok(())
    }

    /// What steps need that no party's data decides: before the loop.
    pub(super) fn prepare(&self, p: &mut ProgramBuilder, steps: u32) -> Result<Option<Value>, ProgramError> {
        match self.optimiser {
            Optimiser::Sgd { .. } => Ok(None),
            Optimiser::Adam(adam) => p.constant(&adam.corrections(steps)).map(Some),
        }
    }

    /// The parameters after a step, and what the optimiser carries, given the gradients of the batch's sum.
    pub(super) fn step(
        &self,
        p: &mut ProgramBuilder,
        now: &Now<'_>,
        gradients: &[Value],
    ) -> Result<Vec<Value>, ProgramError> {
        match self.optimiser {
            Optimiser::Sgd { learning_rate, momentum } => {
                self.step_of_sgd(p, now, gradients, (learning_rate, momentum))
            }
            Optimiser::Adam(adam) => self.step_of_adam(p, now, gradients, &adam),
        }
    }

    fn step_of_sgd(
        &self,
        p: &mut ProgramBuilder,
        now: &Now<'_>,
        gradients: &[Value],
        (learning_rate, momentum): (f64, f64),
    ) -> Result<Vec<Value>, ProgramError> {
        let rate = few_digits(learning_rate / now.batch as f64);
        let (mut next, mut moves) = (vec![], vec![]);
        for (i, &gradient) in gradients.iter().enumerate() {
            let w = now.weights[i];
            let penalty = self.penalty(p, now.parameters[i].penalty, w, learning_rate)?;
            if momentum == 0.0 {
                let mut terms = vec![(w, 1.0), (gradient, -rate)];
                terms.extend(penalty.into_iter().map(|(x, k)| (x, -k)));
                next.push(p.weighted_sum(&terms)?);
            } else {
                let mut terms = vec![(now.state[i], momentum), (gradient, rate)];
                terms.extend(penalty);
                let moved = p.weighted_sum(&terms)?;
                next.push(p.sub(w, moved)?);
                moves.push(moved);
            }
        }
        next.extend(moves);
        Ok(next)
    }

    fn step_of_adam(
        &self,
        p: &mut ProgramBuilder,
        now: &Now<'_>,
        gradients: &[Value],
        adam: &Adam,
    ) -> Result<Vec<Value>, ProgramError> {
        let n = gradients.len();
        let correction = match now.prepared {
            Some(all) => p.batch(all, 1)?,
            None => unreachable!("what Adam needs was prepared"),
        };
        let (mut next, mut means, mut squares) = (vec![], vec![], vec![]);
        for (i, &gradient) in gradients.iter().enumerate() {
            let w = now.weights[i];
            let mut terms = vec![(gradient, few_digits(adam.unit / now.batch as f64))];
            terms.extend(self.penalty(p, now.parameters[i].penalty, w, adam.unit)?);
            let g = p.weighted_sum(&terms)?;
            let g = p.assume_range(g, adam.max_gradient)?;
            let m = p.weighted_sum(&[(now.state[i], adam.beta1), (g, 1.0 - adam.beta1)])?;
            let squared = p.square(g)?;
            let v = p.weighted_sum(&[(now.state[n + i], adam.beta2), (squared, 1.0 - adam.beta2)])?;
            let slope = p.rsqrt(v, adam.epsilon * adam.epsilon..)?;
            let direction = p.mul(m, slope)?;
            // |m̂|/√v̂ is about 1, and far below its bound.
            let direction = p.assume_range(direction, adam.max_gradient / adam.epsilon)?;
            let corrected = p.mul(direction, correction)?;
            next.push(p.weighted_sum(&[(w, 1.0), (corrected, -few_digits(adam.learning_rate))])?);
            means.push(m);
            squares.push(v);
        }
        next.extend(means.into_iter().chain(squares));
        Ok(next)
    }

    /// What penalties add to a move, as terms.
    fn penalty(
        &self,
        p: &mut ProgramBuilder,
        of: Penalty,
        w: Value,
        factor: f64,
    ) -> Result<Vec<(Value, f64)>, ProgramError> {
        let mut terms = vec![];
        let masked = |p: &mut ProgramBuilder, x: Value| match of {
            Penalty::Where(mask) => p.mul(x, mask),
            _ => Ok(x),
        };
        if of == Penalty::None {
            return Ok(terms);
        }
        if self.l2 > 0.0 {
            terms.push((masked(p, w)?, factor * self.l2));
        }
        if self.l1 > 0.0 {
            let sign = p.sign(w)?;
            terms.push((masked(p, sign)?, factor * self.l1));
        }
        Ok(terms)
    }
}

fn zeros_like(p: &mut ProgramBuilder, x: Value) -> Result<Value, ProgramError> {
    let shape = p.fact(x)?.shape.clone();
    p.constant(&ArrayD::zeros(shape.dims()))
}

/// The number with [`FACTOR_BITS`] significant binary digits.
fn few_digits(k: f64) -> f64 {
    let unit = 2f64.powi(k.abs().log2().floor() as i32 + 1 - FACTOR_BITS);
    (k / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_keep_ten_digits() {
        for k in [0.1 / 128.0, 1.0, 3.0, 1e-9, 0.5 / 100.0, 123.456] {
            let few = few_digits(k);
            assert!((few / k - 1.0).abs() <= 2f64.powi(-FACTOR_BITS), "{k} {few}");
            let scaled = few * 2f64.powi(FACTOR_BITS - 1 - few.log2().floor() as i32);
            assert!(scaled.fract() == 0.0 && scaled < 2f64.powi(FACTOR_BITS), "{k} {scaled}");
        }
    }
}
