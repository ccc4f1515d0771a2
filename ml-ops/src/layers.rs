//! Parameters of layers, in the clear: what their owner does with them before they are shared.

use ndarray::{Array1, ArrayD, Axis};

/// A batch normalisation as it was trained: γ·(x − mean)/√(variance + ε) + β, for every channel.
#[derive(Clone, PartialEq, Debug)]
pub struct BatchNorm {
    /// γ
    pub gamma: Array1<f64>,
    /// β
    pub beta: Array1<f64>,
    /// Mean of the training data.
    pub mean: Array1<f64>,
    /// Variance of the training data.
    pub variance: Array1<f64>,
    /// ε
    pub epsilon: f64,
}

impl BatchNorm {
    /// The factors and shifts of [`batch_norm`](crate::ProgramBuilder::batch_norm).
    #[must_use]
    pub fn folded(&self) -> (Array1<f64>, Array1<f64>) {
        let scale = &self.gamma / &self.variance.mapv(|v| (v + self.epsilon).sqrt());
        let shift = &self.beta - &(&self.mean * &scale);
        (scale, shift)
    }

    /// A kernel \[filters, …\] (or weights \[outputs, inputs\]) and its bias that compute the layer and then this. Who owns
    /// secret weights does this before they are shared, and the normalisation is gone.
    #[must_use]
    pub fn fold(&self, kernel: &ArrayD<f64>, bias: Option<&Array1<f64>>) -> (ArrayD<f64>, Array1<f64>) {
        let (scale, shift) = self.folded();
        let mut kernel = kernel.clone();
        kernel.axis_iter_mut(Axis(0)).zip(&scale).for_each(|(mut filter, &k)| filter *= k);
        let bias = bias.map_or_else(|| shift.clone(), |b| &(b * &scale) + &shift);
        (kernel, bias)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, arr1};

    use super::*;

    #[test]
    fn folded_layers_compute_the_normalised_result() {
        let norm = BatchNorm {
            gamma: arr1(&[2.0, -0.5]),
            beta: arr1(&[0.25, 1.0]),
            mean: arr1(&[0.5, -3.0]),
            variance: arr1(&[4.0, 0.09]),
            epsilon: 1e-5,
        };
        let kernel = Array::from_shape_fn((2, 3), |(f, i)| f as f64 - 0.7 * i as f64);
        let (bias, x) = (arr1(&[0.1, 0.2]), arr1(&[1.0, -2.0, 0.5]));
        let plain = kernel.dot(&x) + &bias;
        let wanted: Array1<f64> = (0..2)
            .map(|c| {
                norm.gamma[c] * (plain[c] - norm.mean[c]) / (norm.variance[c] + 1e-5f64).sqrt() + norm.beta[c]
            })
            .collect();
        let (folded, shift) = norm.fold(&kernel.into_dyn(), Some(&bias));
        let folded = folded.into_dimensionality::<ndarray::Ix2>().unwrap();
        let got = folded.dot(&x) + shift;
        assert!(got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{got} {wanted}");
        let (scale, shift) = norm.folded();
        assert!((plain * scale + shift - wanted).iter().all(|d| d.abs() < 1e-12));
    }
}
