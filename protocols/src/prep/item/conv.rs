//! Sizes of a convolution as they travel: images, kernel, stride, dilation, padding, groups.

use mpc_core::conv::ConvShape;
use mpc_core::windows::Sliding;
use mpc_core::wire::Decoder;

use super::size;
use crate::prep::demand::DemandError;

pub(super) fn numbers(shape: &ConvShape) -> [usize; 17] {
    let ([n, c, h, w], [f, g, u, v]) = (shape.input(), shape.kernel());
    let Sliding { stride: [s, t], dilation: [d, e], padding: [[above, below], [left, right]] } =
        shape.sliding();
    [n, c, h, w, f, g, u, v, s, t, d, e, above, below, left, right, shape.groups()]
}

pub(super) fn decode(d: &mut Decoder<'_>) -> Result<ConvShape, DemandError> {
    let input = [size(d)?, size(d)?, size(d)?, size(d)?];
    let kernel = [size(d)?, size(d)?, size(d)?, size(d)?];
    let (stride, dilation) = ([size(d)?, size(d)?], [size(d)?, size(d)?]);
    let padding = [[size(d)?, size(d)?], [size(d)?, size(d)?]];
    let sliding = Sliding { stride, dilation, padding };
    ConvShape::new(input, kernel, sliding, size(d)?).ok_or(DemandError::Insane)
}
