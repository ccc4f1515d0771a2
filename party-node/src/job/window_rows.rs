//! A party's table as the computation reads it: a window of rows at a time, encoded when it is read.

use std::io::{Error, Result};
use std::ops::Range;

use ml_ops::RowSource;
use mpc_core::fixed::{FixedError, encode};
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use ndarray::ArrayD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::data::PreparedValues;

/// The rows of one input.
pub(super) struct WindowRows {
    pub(super) values: PreparedValues,
    /// Of all rows.
    pub(super) shape: Vec<usize>,
    pub(super) scale: u32,
    pub(super) max_abs: f64,
}

mpc_core::secret_types!(serde::Serialize; WindowRows);

impl RowSource for WindowRows {
    fn rows(&mut self, rows: Range<usize>) -> Result<Tensor<Z64>> {
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        encode_rows(self.values.read(rows)?, &shape, self.scale, self.max_abs).map_err(Error::other)
    }
}

/// Encodes numbers that were checked before. They are wiped here.
pub(super) fn encode_rows(
    mut values: Zeroizing<Vec<f64>>,
    shape: &[usize],
    scale: u32,
    max_abs: f64,
) -> std::result::Result<Tensor<Z64>, FixedError> {
    let mut array = ArrayD::from_shape_vec(shape, std::mem::take(&mut *values))
        .expect("invariant: as many numbers as the shape says");
    let encoded = encode(&array, scale, max_abs);
    array.iter_mut().for_each(|v| v.zeroize());
    encoded
}
