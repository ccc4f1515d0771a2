//! Dense layers with ReLU between them.

use super::roles::{Network, Roles};
use crate::error::ProgramError;
use crate::program::Program;

/// Widths of 784-128-128-10, the network of many measurements.
pub const DIGITS: [usize; 4] = [784, 128, 128, 10];

/// A program of dense layers of these widths for a batch of rows. Weights are `dense0.weights`, `dense0.bias` and so on.
///
/// # Errors
/// [`ProgramError`] for sizes or ranges that make no valid program.
pub fn mlp(roles: Roles<'_>, batch: usize, widths: &[usize]) -> Result<Program, ProgramError> {
    let mut net = Network::new(roles);
    let (first, rest) = widths.split_first().unwrap_or((&0, &[]));
    let mut x = net.data([batch, *first])?;
    for (i, &width) in rest.iter().enumerate() {
        x = net.dense(&format!("dense{i}"), x, width)?;
        if i + 1 < rest.len() {
            x = net.p.relu(x)?;
        }
    }
    net.build(x)
}
