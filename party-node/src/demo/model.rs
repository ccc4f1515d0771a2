//! The demo's model: weights fitted in plaintext on a training sample of the same population, together with the means
//! and standard deviations that its features are standardised with.
//!
//! All figures are rounded to what the files say, so that the plaintext model and the files agree exactly.

use crate::data::Scaling;

use super::data::{OWNERS, Population, Sample, draw};
use super::fit::{Model, fit};

/// People in the training sample.
const TRAINING_ROWS: usize = 8_000;

/// The fitted model.
#[derive(Debug)]
pub struct DemoModel {
    /// Per owner and column: what the column is standardised with.
    pub scalings: Vec<Vec<Scaling>>,
    /// Per owner and column: its weight in the joint model.
    pub weights: Vec<Vec<f64>>,
    /// The joint model's intercept.
    pub bias: f64,
    /// The best model of the bank's own columns, for comparison.
    pub bank_alone: Model,
}

/// Fits the model of the first `owners` owners.
#[must_use]
pub fn train(owners: usize) -> Option<DemoModel> {
    let sample = draw(Sample::Training, TRAINING_ROWS, owners);
    let scalings: Vec<Vec<Scaling>> = (0..sample.owners.len()).map(|o| measure(&sample, o)).collect();
    let rows = standardised(&sample, &scalings, owners);
    let widths: Vec<usize> = OWNERS.iter().take(owners).map(|o| o.columns.len()).collect();
    let joint = fit(&rows, widths.iter().sum(), &sample.bad)?;
    let own = fit(&standardised(&sample, &scalings, 1), widths[0], &sample.bad)?;

    let mut rest = joint.weights.iter().map(|&w| rounded(w));
    let weights = widths.iter().map(|&width| rest.by_ref().take(width).collect()).collect();
    Some(DemoModel { scalings, weights, bias: rounded(joint.bias), bank_alone: own })
}

/// The first `owners` owners' columns side by side, standardised, missing cells at the mean.
#[must_use]
pub fn standardised(population: &Population, scalings: &[Vec<Scaling>], owners: usize) -> Vec<f64> {
    let mut rows = Vec::new();
    for row in 0..population.ids.len() {
        for (cells, scalings) in population.owners.iter().zip(scalings).take(owners) {
            let own = &cells.values[row * scalings.len()..(row + 1) * scalings.len()];
            rows.extend(
                own.iter()
                    .zip(scalings)
                    .map(|(&v, s)| if v.is_nan() { 0.0 } else { (v - s.mean) / s.standard_deviation }),
            );
        }
    }
    rows
}

fn measure(population: &Population, owner: usize) -> Vec<Scaling> {
    let width = OWNERS[owner].columns.len();
    let column = |at: usize| {
        population.owners[owner].values.iter().skip(at).step_by(width).copied().filter(|v| !v.is_nan())
    };
    (0..width)
        .map(|at| {
            let n = column(at).count() as f64;
            let mean = column(at).sum::<f64>() / n;
            let variance = column(at).map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            Scaling { mean: rounded(mean), standard_deviation: rounded(variance.sqrt()) }
        })
        .collect()
}

/// Four decimals.
fn rounded(v: f64) -> f64 {
    (v * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::discrimination;
    use crate::scorecard::plaintext_probability;

    #[test]
    fn joining_columns_helps_and_the_score_is_plausible() {
        let mut last = 0.0;
        for owners in 2..=5 {
            let model = train(owners).unwrap();
            let people = draw(Sample::Applicants, 10_000, owners);
            let rows = standardised(&people, &model.scalings, owners);
            let weights = model.weights.concat();
            let joint: Vec<f64> =
                rows.chunks(weights.len()).map(|r| plaintext_probability(r, &weights, model.bias)).collect();
            let joint = discrimination(joint.iter().copied(), &people.bad).unwrap();
            let own_rows = standardised(&people, &model.scalings, 1);
            let own = &model.bank_alone;
            let alone: Vec<f64> = own_rows
                .chunks(own.weights.len())
                .map(|r| plaintext_probability(r, &own.weights, own.bias))
                .collect();
            let alone = discrimination(alone.iter().copied(), &people.bad).unwrap();
            println!(
                "{owners} owners: bank alone {:.3}, joint {:.3}, KS {:.3}",
                alone.auc, joint.auc, joint.ks
            );
            assert!((0.75..0.87).contains(&joint.auc), "{owners}: {joint:?}");
            assert!(joint.auc > alone.auc + 0.04, "{owners}: {joint:?} {alone:?}");
            assert!(joint.auc > last);
            last = joint.auc;
        }
    }
}
