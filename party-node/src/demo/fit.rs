//! Fits a logistic regression in plaintext, for the demo's weights. In life the weights come from the bank's own
//! model development; here they are fitted on a training sample of the demo's population.

use crate::scorecard::logistic;

/// Weights and bias of a fitted model.
#[derive(Clone, Debug)]
pub struct Model {
    /// One weight per column.
    pub weights: Vec<f64>,
    /// Intercept.
    pub bias: f64,
}

/// Ridge penalty per row: keeps the system solvable when columns are collinear, too small to matter otherwise.
const RIDGE: f64 = 1e-6;
const STEPS: usize = 25;

/// Iteratively re-weighted least squares (Newton's method) on standardised features, row-major with `width` columns.
/// `None` if the rows do not fit the outcomes or the system cannot be solved.
#[must_use]
pub fn fit(rows: &[f64], width: usize, bad: &[bool]) -> Option<Model> {
    if width == 0 || bad.is_empty() || rows.len() != width * bad.len() {
        return None;
    }
    let k = width + 1; // the bias is the last coefficient
    let mut beta = vec![0.0; k];
    for _ in 0..STEPS {
        let mut hessian = vec![0.0; k * k];
        let mut gradient = vec![0.0; k];
        for (row, &bad) in rows.chunks(width).zip(bad) {
            let z: f64 = row.iter().zip(&beta).map(|(x, b)| x * b).sum::<f64>() + beta[width];
            let p = logistic(z);
            let curvature = p * (1.0 - p);
            let residual = f64::from(u8::from(bad)) - p;
            let cell = |i: usize| if i < width { row[i] } else { 1.0 };
            for i in 0..k {
                gradient[i] += residual * cell(i);
                for j in 0..=i {
                    hessian[i * k + j] += curvature * cell(i) * cell(j);
                }
            }
        }
        let penalty = RIDGE * bad.len() as f64;
        for i in 0..width {
            hessian[i * k + i] += penalty;
            gradient[i] -= penalty * beta[i];
        }
        let step = solve(&mut hessian, &gradient, k)?;
        beta.iter_mut().zip(&step).for_each(|(b, s)| *b += s);
        if step.iter().all(|s| s.abs() < 1e-10) {
            break;
        }
    }
    let bias = beta.pop()?;
    let finite = bias.is_finite() && beta.iter().all(|b| b.is_finite());
    finite.then_some(Model { weights: beta, bias })
}

/// Solves `a·x = b` for a symmetric positive definite `a` of which the lower triangle is given (Cholesky).
fn solve(a: &mut [f64], b: &[f64], k: usize) -> Option<Vec<f64>> {
    for i in 0..k {
        for j in 0..=i {
            let s: f64 = a[i * k + j] - (0..j).map(|m| a[i * k + m] * a[j * k + m]).sum::<f64>();
            if i == j {
                if s <= 0.0 || s.is_nan() {
                    return None;
                }
                a[i * k + i] = s.sqrt();
            } else {
                a[i * k + j] = s / a[j * k + j];
            }
        }
    }
    let mut x = b.to_vec();
    for i in 0..k {
        x[i] = (x[i] - (0..i).map(|m| a[i * k + m] * x[m]).sum::<f64>()) / a[i * k + i];
    }
    for i in (0..k).rev() {
        x[i] = (x[i] - (i + 1..k).map(|m| a[m * k + i] * x[m]).sum::<f64>()) / a[i * k + i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    #[test]
    fn finds_the_weights_that_made_the_outcomes() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut uniform = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let truth = [0.8, -1.2, 0.0];
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        for _ in 0..40_000 {
            let x: Vec<f64> = (0..3).map(|_| (uniform() - 0.5) * 3.4).collect();
            let p = logistic(x.iter().zip(&truth).map(|(a, b)| a * b).sum::<f64>() - 1.0);
            bad.push(uniform() < p);
            rows.extend(x);
        }
        let model = fit(&rows, 3, &bad).unwrap();
        for (got, want) in model.weights.iter().chain([&model.bias]).zip(truth.iter().chain([&-1.0])) {
            assert!((got - want).abs() < 0.06, "{model:?}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_fitted() {
        assert!(fit(&[1.0, 2.0, 3.0], 2, &[true]).is_none());
        assert!(fit(&[], 0, &[]).is_none());
        assert!(fit(&[f64::NAN, 1.0], 1, &[true, false]).is_none());
    }

    #[test]
    fn a_repeated_column_does_not_break_the_solver() {
        let rows: Vec<f64> = (0..200).flat_map(|i| [f64::from(i % 7), f64::from(i % 7)]).collect();
        let bad: Vec<bool> = (0..200).map(|i| i % 7 > 3 || i % 11 == 0).collect();
        let model = fit(&rows, 2, &bad).unwrap();
        assert!((model.weights[0] - model.weights[1]).abs() < 1e-3, "{model:?}");
    }
}
