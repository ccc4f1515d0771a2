//! Logistic regression in plaintext: how the tests fit weights, and what joint scores are compared with.

/// The model's probability for one row of features, with a 1 for the intercept among them.
#[must_use]
pub fn probability(row: &[f64], weights: &[f64]) -> f64 {
    1.0 / (1.0 + (-row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()).exp())
}

/// Logistic regression by Newton's method, with the small ridge that keeps the equations solvable where columns
/// nearly agree.
#[must_use]
pub fn fit(rows: &[&[f64]], bad: &[f64]) -> Vec<f64> {
    let n = rows[0].len();
    let mut weights = vec![0.0; n];
    for _ in 0..25 {
        let mut gradient: Vec<f64> = weights.iter().map(|w| -w).collect();
        let mut hessian = vec![vec![0.0; n]; n];
        for (row, y) in rows.iter().zip(bad) {
            let p = probability(row, &weights);
            for i in 0..n {
                gradient[i] += (y - p) * row[i];
                for j in 0..=i {
                    hessian[i][j] += p * (1.0 - p) * row[i] * row[j];
                }
            }
        }
        hessian.iter_mut().enumerate().for_each(|(i, row)| row[i] += 1.0);
        let step = solve(hessian, gradient);
        weights.iter_mut().zip(&step).for_each(|(w, s)| *w += s);
        if step.iter().all(|s| s.abs() < 1e-9) {
            return weights;
        }
    }
    panic!("the fit did not converge");
}

/// Solves `a·x = b` for a symmetric positive definite `a`, of which the lower half is given, by Cholesky.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            let rest = a[i][j] - known;
            a[i][j] = if i == j { rest.sqrt() } else { rest / a[j][j] };
        }
    }
    for i in 0..n {
        let known: f64 = (0..i).map(|k| a[i][k] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k][i] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

/// The probability that a bad row has a higher score than a good one, from scores and outcomes (1 is bad).
#[must_use]
pub fn auc(scored: &[(f64, f64)]) -> f64 {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut good_below, mut good, mut bad, mut area) = (0.0, 0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let bad_here: f64 = tied.iter().map(|s| s.1).sum();
        let good_here = tied.len() as f64 - bad_here;
        area += bad_here * (good_below + good_here / 2.0);
        good_below += good_here;
        good += good_here;
        bad += bad_here;
    }
    area / (good * bad)
}
