//! How a gradient moves parameters.

use super::{Parameter, Penalty, Training};
use crate::builder::{ProgramBuilder, Value};
use crate::error::ProgramError;

/// Digits of public factors of a gradient: with few of them a gradient is truncated together with the move, also where its bound is
/// wide. Off by 2^−11 of itself at most.
const FACTOR_BITS: i32 = 10;

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
            Self::Sgd { .. } => {
                // A move beyond twice the range would leave it.
                parameters.iter().map(|w| Ok((zeros_like(p, w.initial)?, 2.0 * w.max_abs))).collect()
            }
        }
    }
}

impl Training {
    pub(super) fn check(&self) -> Result<(), ProgramError> {
        let refused = |what| Err(ProgramError::Training { what });
        let Optimiser::Sgd { learning_rate, momentum } = self.optimiser;
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

    /// The parameters after a step, and what the optimiser carries, given the gradients of the batch's sum.
    pub(super) fn step(
        &self,
        p: &mut ProgramBuilder,
        (parameters, weights): (&[Parameter], &[Value]),
        gradients: &[Value],
        state: &[Value],
        (batch, _times): (usize, u32),
    ) -> Result<Vec<Value>, ProgramError> {
        let Optimiser::Sgd { learning_rate, momentum } = self.optimiser;
        let rate = few_digits(learning_rate / batch as f64);
        let (mut next, mut moves) = (vec![], vec![]);
        for (i, (parameter, (&w, &gradient))) in
            parameters.iter().zip(weights.iter().zip(gradients)).enumerate()
        {
            let penalty = self.penalty(p, parameter.penalty, w, learning_rate)?;
            if momentum == 0.0 {
                let mut terms = vec![(w, 1.0), (gradient, -rate)];
                terms.extend(penalty.into_iter().map(|(x, k)| (x, -k)));
                next.push(p.weighted_sum(&terms)?);
            } else {
                let mut terms = vec![(state[i], momentum), (gradient, rate)];
                terms.extend(penalty);
                let moved = p.weighted_sum(&terms)?;
                next.push(p.sub(w, moved)?);
                moves.push(moved);
            }
        }
        next.extend(moves);
        Ok(next)
    }

    /// What penalties add to a move, as terms.
    fn penalty(
        &self,
        p: &mut ProgramBuilder,
        of: Penalty,
        w: Value,
        learning_rate: f64,
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
            terms.push((masked(p, w)?, learning_rate * self.l2));
        }
        if self.l1 > 0.0 {
            let sign = p.sign(w)?;
            terms.push((masked(p, sign)?, learning_rate * self.l1));
        }
        Ok(terms)
    }
}

fn zeros_like(p: &mut ProgramBuilder, x: Value) -> Result<Value, ProgramError> {
    let shape = p.fact(x)?.shape.clone();
    p.constant(&ndarray::ArrayD::zeros(shape.dims()))
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
