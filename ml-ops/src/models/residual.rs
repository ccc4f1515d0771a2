//! A block of a residual network (He et al., CVPR 2016): two convolutions of 3×3 beside a shortcut, with batch normalisations folded
//! into them.

use mpc_core::windows::Sliding;

use super::roles::{Network, Roles};
use crate::error::ProgramError;
use crate::program::Program;

/// Sizes of a block.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// \[images, channels, height, width\]
    pub images: [usize; 4],
    /// Channels of the result.
    pub filters: usize,
    /// Stride of the first convolution and of the shortcut.
    pub stride: usize,
}

/// relu(conv2(relu(conv1(x))) + shortcut(x)). The shortcut is x itself, or where the shape changes a convolution of 1×1. Kernels are
/// `conv1.kernel`, `conv2.kernel` and `shortcut.kernel`, each with a bias, with the batch normalisations of the trained network folded in
/// ([`BatchNorm::fold`](crate::layers::BatchNorm::fold)).
///
/// # Errors
/// [`ProgramError`] for sizes or ranges that make no valid program.
pub fn residual_block(roles: Roles<'_>, block: Block) -> Result<Program, ProgramError> {
    let Block { images, filters, stride } = block;
    let channels = images[1];
    let mut net = Network::new(roles);
    let x = net.data(images)?;
    let (kernel, bias) = net.kernel("conv1", [filters, channels, 3, 3])?;
    let y = net.p.conv2d(x, kernel, Some(bias), Sliding::by(stride).padded(1))?;
    let y = net.promised(y)?;
    let y = net.p.relu(y)?;
    let (kernel, bias) = net.kernel("conv2", [filters, filters, 3, 3])?;
    let y = net.p.conv2d(y, kernel, Some(bias), Sliding::by(1).padded(1))?;
    let y = net.promised(y)?;
    let shortcut = if stride == 1 && filters == channels {
        x
    } else {
        let (kernel, bias) = net.kernel("shortcut", [filters, channels, 1, 1])?;
        let shortcut = net.p.conv2d(x, kernel, Some(bias), Sliding::by(stride))?;
        net.promised(shortcut)?
    };
    let sum = net.p.add(y, shortcut)?;
    let result = net.p.relu(sum)?;
    net.build(result)
}
