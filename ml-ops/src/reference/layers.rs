//! Layers of networks in floating point.

use mpc_core::conv::ConvShape;
use ndarray::{ArrayD, ArrayView2, IxDyn, Slice};

/// Axes of images.
pub(super) fn images(shape: &[usize]) -> [usize; 4] {
    shape.try_into().expect("invariant: inference accepts images alone")
}

/// Products over the last two axes, leading ones broadcast, of the given shape.
pub(super) fn product(a: &ArrayD<f64>, b: &ArrayD<f64>, shape: &[usize]) -> ArrayD<f64> {
    let leading = &shape[..shape.len() - 2];
    let list = |x: &ArrayD<f64>| {
        let matrix = &x.shape()[x.ndim() - 2..];
        let all = [leading, matrix].concat();
        let x = x.broadcast(IxDyn(&all)).expect("invariant: inference compared the shapes");
        (x.iter().copied().collect::<Vec<f64>>(), [matrix[0], matrix[1]])
    };
    let ((a, [m, k]), (b, [_, n])) = (list(a), list(b));
    let matrix = |values: &[f64], rows, columns| {
        ArrayView2::from_shape((rows, columns), values).expect("invariant: a chunk is a matrix").to_owned()
    };
    let pairs = a.chunks(m * k).zip(b.chunks(k * n));
    let values: Vec<f64> =
        pairs.flat_map(|(a, b)| matrix(a, m, k).dot(&matrix(b, k, n)).into_iter()).collect();
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("invariant: inference found this shape")
}

/// A convolution: every element of the kernel times the lines that it meets.
pub(super) fn conv(x: &[f64], w: &[f64], shape: &ConvShape) -> Vec<f64> {
    let ([images, channels, height, width], [filters, per_group, down, across]) =
        (shape.input(), shape.kernel());
    let ([_, _, rows, columns], sliding) = (shape.output(), shape.sliding());
    let mut out = vec![0.0; images * filters * rows * columns];
    for (plane, out) in out.chunks_mut(rows * columns).enumerate() {
        let (image, filter) = (plane / filters, plane % filters);
        let first = image * channels + filter / (filters / shape.groups()) * per_group;
        let taps = (0..down).flat_map(|u| (0..across).map(move |v| (u, v)));
        for (c, (u, v)) in (0..per_group).flat_map(|c| taps.clone().map(move |tap| (c, tap))) {
            let k = w[((filter * per_group + c) * down + u) * across + v];
            let valid = sliding.valid(1, v, width, 0..columns);
            let Some(from) = sliding.inside(1, valid.start, v, width) else { continue };
            for (i, line) in out.chunks_mut(columns).enumerate() {
                let Some(y) = sliding.inside(0, i, u, height) else { continue };
                let source = &x[((first + c) * height + y) * width..][from..width];
                let products = source.iter().step_by(sliding.stride[1]);
                line[valid.clone()].iter_mut().zip(products).for_each(|(sum, x)| *sum += k * x);
            }
        }
    }
    out
}

/// More elements around, all of one value.
pub(super) fn pad(x: &ArrayD<f64>, before: &[usize], after: &[usize], value: f64) -> ArrayD<f64> {
    let lengths = x.shape().iter().zip(before).zip(after);
    let shape: Vec<usize> = lengths.map(|((d, b), a)| d + b + a).collect();
    let mut out = ArrayD::from_elem(IxDyn(&shape), value);
    let inside = |axis: usize| (before[axis]..before[axis] + x.shape()[axis]).into();
    out.slice_each_axis_mut(|axis| -> Slice { inside(axis.axis.index()) }).assign(x);
    out
}
