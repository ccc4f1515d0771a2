//! Layers of networks on shares, and the local moves of elements that the fixed-point reference takes as well.

use mpc_core::conv::{ConvShape, conv_acc};
use mpc_core::ring::{Ring, Z64};
use mpc_core::tensor::{Tensor, elements};
use mpc_core::windows::{self, Outside, Sliding};
use protocols::error::ProtocolError;
use protocols::session::Session;

use super::Shareable;
use super::step::Value;

/// The convolution of images by a kernel: interactive only if both are secret.
pub(super) fn conv<S: Shareable>(
    cx: &mut Session<S>,
    x: &Value<S>,
    w: &Value<S>,
    shape: &ConvShape,
) -> Result<Value<S>, ProtocolError> {
    Ok(match (x, w) {
        (Value::Public(x), Value::Public(w)) => Value::Public(convolved(x, w, shape)),
        (Value::Public(x), Value::Secret(w)) => Value::Secret(w.map_linear(|w| convolved(x, w, shape))),
        (Value::Secret(x), Value::Public(w)) => Value::Secret(x.map_linear(|x| convolved(x, w, shape))),
        (Value::Secret(x), Value::Secret(w)) => Value::Secret(protocols::conv::conv(cx, x, w, shape)?),
    })
}

/// The convolution in the clear, or of a share with what is public.
pub(crate) fn convolved(x: &Tensor<Z64>, w: &Tensor<Z64>, shape: &ConvShape) -> Tensor<Z64> {
    let mut out = Tensor::zeros(&shape.output());
    conv_acc(shape, x.as_slice(), w.as_slice(), out.as_mut_slice());
    out
}

/// The elements of every window, along a new second axis.
pub(crate) fn unfold(
    t: &Tensor<Z64>,
    window: [usize; 2],
    sliding: &Sliding,
    outside: Outside,
) -> Tensor<Z64> {
    let &[images, channels, height, width] = t.shape() else {
        unreachable!("inference accepts images alone")
    };
    let input = [images, channels, height, width];
    let [down, across] =
        sliding.positions([height, width], window).expect("invariant: inference accepted these windows");
    let elements = windows::unfold(t.as_slice(), Z64::ZERO, input, window, sliding, outside);
    Tensor::from_vec(&[images, window[0] * window[1], channels, down, across], elements)
}

/// A padding value of the program's fraction bits, at a scale of so many fewer.
pub(crate) fn padding(value: i64, fewer: u32) -> Z64 {
    Z64::from_i64(value >> fewer)
}

/// More elements around, all of one value.
pub(crate) fn pad(t: &Tensor<Z64>, before: &[usize], after: &[usize], value: Z64) -> Tensor<Z64> {
    let dims = t.shape();
    let shape: Vec<usize> = dims.iter().zip(before).zip(after).map(|((d, b), a)| d + b + a).collect();
    let mut out = Tensor::filled(&shape, value);
    let Some((&row, outer)) = dims.split_last() else { return t.clone() };
    let places = out.as_mut_slice();
    for (line, values) in t.as_slice().chunks(row).enumerate() {
        // The place of the line's first element.
        let (mut rest, mut place, mut step) = (line, before[outer.len()], shape[outer.len()]);
        for axis in (0..outer.len()).rev() {
            place += (rest % outer[axis] + before[axis]) * step;
            rest /= outer[axis];
            step *= shape[axis];
        }
        places[place..place + row].copy_from_slice(values);
    }
    debug_assert_eq!(out.len(), elements(&shape));
    out
}
