//! What a program means, computed in the clear: the oracles that tests and users compare secure runs with.
//!
//! [`float()`] computes in floating point with the exact functions. [`fixed()`] computes on the same ring elements as the
//! protocols, with the same scales, the same tables of functions and truncation as floor; a secure run differs from it only
//! by the dither of each truncation, at most one unit of 2^−f per truncation on the way. [`check_ranges`] finds promises
//! of ranges that inputs break.

mod fixed;
mod float;
mod function;
mod layers;
mod ranges;
mod ranks;

use std::collections::BTreeMap;

use ndarray::ArrayD;

pub use fixed::{fixed, fixed_seen};
pub use float::{float, float_seen};
pub use ranges::{RangeError, check_ranges};

use crate::exec::InputError;
use crate::program::Program;
use crate::report::Series;

/// Values by name.
pub type Values = BTreeMap<String, ArrayD<f64>>;

/// The input `name`, with the shape that the program declares.
fn input<'a>(inputs: &'a Values, name: &str, shape: &[usize]) -> Result<&'a ArrayD<f64>, InputError> {
    let value = inputs.get(name).ok_or_else(|| InputError::Missing { name: name.to_owned() })?;
    if value.shape() != shape {
        return Err(InputError::Shape {
            name: name.to_owned(),
            expected: shape.into(),
            got: value.shape().into(),
        });
    }
    Ok(value)
}

/// The shape of one side of a split, and the axis along which the sides are joined.
fn one_side(both: &[usize]) -> (Vec<usize>, usize) {
    let mut shape = both.to_vec();
    let last = shape.len() - 1;
    shape[last] /= 2;
    (shape, last)
}

/// Pairs the outputs of a walk with their names, and adds what was reported.
fn named(program: &Program, values: Vec<ArrayD<f64>>, series: Series) -> Values {
    program.last_outputs().map(|o| o.name.clone()).zip(values).chain(series.finish(program)).collect()
}
