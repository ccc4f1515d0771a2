//! Layers of transformers.

use mpc_core::fixed::encode;
use ndarray::Axis;

use super::gradient::Whole;
use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::op::Op;

/// Weights \[inputs, outputs\] and a bias of a dense layer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Linear {
    /// \[inputs, outputs\]
    pub weights: Value,
    /// \[outputs\]
    pub bias: Value,
}

/// Weights of self-attention with several heads.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Attention {
    /// How many heads share the width.
    pub heads: usize,
    /// \[width, width\], as all of them; the columns of the first head come first.
    pub query: Linear,
    /// For keys.
    pub key: Linear,
    /// For values.
    pub value: Linear,
    /// For what the heads say together.
    pub output: Linear,
    /// Added to the scores before softmax, broadcast to \[batch, heads, length, length\]: large negative numbers where a place does
    /// not look. Below −9.7 less than the largest, that is exact.
    pub mask: Option<Value>,
    /// A promise ([`ProgramBuilder::assume_range`]) about queries, keys and values, where inference is too wide for products of them.
    pub promised: Option<f64>,
}

impl ProgramBuilder {
    /// Self-attention of \[batch, length, width\]: softmax(q·kᵀ/√(width/heads))·v for every head, and a dense layer over the heads
    /// together. x is opened once for queries, keys and values.
    ///
    /// Rounds: two for each of the four layers and the two products, one for the division by √(width/heads), and those of
    /// [`ProgramBuilder::softmax`] over `length`.
    ///
    /// # Errors
    /// Shapes that do not fit, heads that do not divide the width, or products that could reach 2^62: then promise a range.
    pub fn multi_head_attention(&mut self, x: Value, layer: &Attention) -> Result<Value, ProgramError> {
        self.check("multi_head_attention", &[x])?;
        let heads = layer.heads;
        let (node, op) = (self.program.nodes.len() as u32, "multi_head_attention");
        let &[batch, length, width] = self.fact_of(x).shape.dims() else {
            let got = self.fact_of(x).shape.clone();
            return Err(ProgramError::Rank { node, op, expected: "[batch, length, width]", got });
        };
        if heads == 0 || width % heads != 0 {
            return Err(ProgramError::Parameter { node, op, what: "the number of heads divides the width" });
        }
        let each = width / heads;
        let mut projected = |linear: Linear, k: f64, order: &[usize; 4]| {
            let mut y = self.dense(x, linear.weights, linear.bias)?;
            if let Some(max_abs) = layer.promised {
                y = self.assume_range(y, max_abs)?;
            }
            let y = if k == 1.0 { y } else { self.scale(y, k)? };
            let y = self.reshape(y, [batch, length, heads, each])?;
            self.permute(y, order)
        };
        // Scaled before the product: there are fewer queries than scores.
        let q = projected(layer.query, (each as f64).sqrt().recip(), &[0, 2, 1, 3])?;
        let keys = projected(layer.key, 1.0, &[0, 2, 3, 1])?;
        let v = projected(layer.value, 1.0, &[0, 2, 1, 3])?;
        let mut scores = self.matmul(q, keys)?;
        if let Some(mask) = layer.mask {
            scores = self.add(scores, mask)?;
        }
        let attention = self.softmax(scores, Axis(3))?;
        let seen = self.matmul(attention, v)?;
        let seen = self.permute(seen, &[0, 2, 1, 3])?;
        let seen = self.reshape(seen, [batch, length, width])?;
        self.dense(seen, layer.output.weights, layer.output.bias)
    }

    /// scale · (x − mean) / √(variance + ε) + shift, mean and variance over the last axis. ε is rounded to a multiple of 2^−f, at least
    /// one: variances are no more precise. Off by about 2^−13 of the largest result, and by more only where the variance is as small
    /// as a few units of 2^−f.
    ///
    /// Rounds: one for the mean, two for squares, one for their mean, those of [`ProgramBuilder::rsqrt`], and two for each of two products.
    ///
    /// # Errors
    /// As [`ProgramBuilder::mean`], [`ProgramBuilder::rsqrt`] and [`ProgramBuilder::mul`]; an ε that is not positive.
    pub fn layer_norm(
        &mut self,
        x: Value,
        scale: Value,
        shift: Value,
        epsilon: f64,
    ) -> Result<Value, ProgramError> {
        self.check("layer_norm", &[x])?;
        let (node, op) = (self.program.nodes.len() as u32, "layer_norm");
        if epsilon.is_nan() || epsilon <= 0.0 {
            return Err(ProgramError::Parameter { node, op, what: "ε is a positive number" });
        }
        let shape = self.fact_of(x).shape.clone();
        let Some((&width, _)) = shape.dims().split_last() else {
            return Err(ProgramError::Rank { node, op, expected: "at least one axis", got: shape });
        };
        let (last, frac) = (shape.rank() - 1, self.program.frac.bits());
        let (each, column) = (Axis(last), shape.with_axis(last, 1));
        let mean = self.mean(x, each)?;
        let mean = self.reshape(mean, column.clone())?;
        let centred = self.sub(x, mean)?;
        let squares = self.square(centred)?;
        let variance = self.mean(squares, each)?;
        let variance = self.reshape(variance, column)?;
        let unit = 2f64.powi(-(frac as i32));
        let epsilon = (epsilon / unit).round().max(1.0) * unit;
        let values = encode(&ndarray::arr0(epsilon).into_dyn(), frac, f64::INFINITY)
            .map_err(|source| ProgramError::Encoding { op, source })?;
        let rounded = self.push("constant", &[], |_| Op::Constant { scale: frac, values })?;
        let variance = self.add(variance, rounded)?;
        let deviation = self.rsqrt(variance, epsilon..)?;
        let normal = self.mul(centred, deviation)?;
        // |x − mean| ≤ √(width·variance). What truncations take off a variance of a few units is less than three quarters of it.
        let normal = self.assume_range(normal, 3.0 * (width as f64).sqrt())?;
        self.note_whole(normal, Whole::Normal { x, deviation });
        let scaled = self.mul(normal, scale)?;
        self.add(scaled, shift)
    }
}
