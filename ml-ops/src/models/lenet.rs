//! LeNet as MP-SPDZ, SecureML's successors and SPU measure it: two convolutions of 20 and 50 filters of 5×5, each with pooling of 2×2
//! and ReLU, then dense layers of 500 and 10. Images are 28×28 with one channel.

use mpc_core::windows::Sliding;
use ndarray::Axis;

use super::roles::{Network, Roles};
use crate::builder::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;

mod fit;

pub use fit::{First, Fit};

/// Height and width of an image.
const IMAGE: [usize; 2] = [28, 28];
/// The layers with their weights, in order: kernels \[filters, channels, height, width\] and matrices \[inputs, outputs\].
const LAYERS: [(&str, &[usize]); 4] =
    [("conv1", &[20, 1, 5, 5]), ("conv2", &[50, 20, 5, 5]), ("dense1", &[800, 500]), ("dense2", &[500, 10])];

/// How windows of 2×2 become one number.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Pooling {
    /// The largest.
    Max,
    /// The mean: one truncation instead of comparisons.
    Average,
}

impl Pooling {
    /// Pools of 2×2, and a ReLU. That comes last: it is a quarter of the comparisons, and truncates for the convolution.
    fn apply(self, p: &mut ProgramBuilder, x: Value) -> Result<Value, ProgramError> {
        let pooled = match self {
            Self::Max => p.max_pool2d(x, [2, 2], Sliding::by(2))?,
            Self::Average => p.average_pool2d(x, [2, 2], Sliding::by(2), true)?,
        };
        p.relu(pooled)
    }
}

/// The program for a batch of images \[batch, 1, 28, 28\]; the result is \[batch, 10\]. Weights are `conv1.kernel`, `conv1.bias`, `conv2.…`,
/// `dense1.weights`, `dense1.bias` and `dense2.…`.
///
/// # Errors
/// [`ProgramError`] for sizes or ranges that make no valid program.
pub fn lenet(roles: Roles<'_>, batch: usize, pooling: Pooling) -> Result<Program, ProgramError> {
    let mut net = Network::new(roles);
    let [height, width] = IMAGE;
    let mut x = net.data([batch, 1, height, width])?;
    for (name, shape) in LAYERS {
        if let Ok(shape) = <[usize; 4]>::try_from(shape) {
            let (kernel, bias) = net.kernel(name, shape)?;
            x = net.p.conv2d(x, kernel, Some(bias), Sliding::by(1))?;
            x = net.promised(x)?;
            x = pooling.apply(&mut net.p, x)?;
        }
    }
    x = net.p.flatten(x, Axis(1))?;
    x = net.dense("dense1", x, 500)?;
    x = net.p.relu(x)?;
    x = net.dense("dense2", x, 10)?;
    net.build(x)
}
