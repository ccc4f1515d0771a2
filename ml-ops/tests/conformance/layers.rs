//! Layers of networks: convolutions, windows, moves of elements, lists of products.

use ml_ops::{Axis, Outside, ProgramBuilder, ProgramError, Sliding, Value};
use ndarray::{ArrayD, IxDyn, arr1};

use crate::{Build, Tolerance};

/// x with its 15 elements, and 15 of y, as images: \[images, channels, height, width\].
fn images(p: &mut ProgramBuilder, x: Value, y: Value, shape: [usize; 4]) -> Result<Value, ProgramError> {
    let both = p.concat(&[x, y], Axis(0))?;
    let flat = p.reshape(both, [30])?;
    let some = p.slice(flat, Axis(0), 0..shape.iter().product())?;
    p.reshape(some, shape)
}

/// The first elements of y under a shape.
fn kernel(p: &mut ProgramBuilder, y: Value, shape: &[usize]) -> Result<Value, ProgramError> {
    let flat = p.reshape(y, [15])?;
    let some = p.slice(flat, Axis(0), 0..shape.iter().product())?;
    p.reshape(some, shape)
}

fn public(shape: &[usize]) -> ArrayD<f64> {
    let len = shape.iter().product::<usize>();
    let values = (0..len).map(|i| (i * 7 % 11) as f64 / 4.0 - 1.25).collect();
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many as there are places")
}

pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::{Exact, Factor, Unit, Units};
    vec![
        ("conv2d", Unit, |p, x, y| {
            let (x, w) = (images(p, x, y, [2, 1, 3, 5])?, kernel(p, y, &[2, 1, 2, 3])?);
            p.conv2d(x, w, None, Sliding::by(1))
        }),
        ("conv2d with bias, stride and padding", Unit, |p, x, y| {
            let (i, w) = (images(p, x, y, [2, 1, 3, 5])?, kernel(p, y, &[3, 1, 2, 2])?);
            let b = kernel(p, x, &[3])?;
            p.conv2d(i, w, Some(b), Sliding { padding: [[1, 0], [2, 1]], ..Sliding::by(2) })
        }),
        ("conv2d in groups, dilated", Unit, |p, x, y| {
            let (i, w) = (images(p, x, y, [1, 2, 3, 5])?, kernel(p, y, &[4, 1, 1, 2])?);
            p.conv2d_grouped(i, w, None, Sliding::by(1).dilated(2), 2)
        }),
        ("conv2d by a public kernel", Unit, |p, x, y| {
            let i = images(p, x, y, [1, 2, 3, 5])?;
            let (w, b) = (p.constant(&public(&[2, 2, 2, 2]))?, p.constant(&public(&[2]))?);
            p.conv2d(i, w, Some(b), Sliding::by(1))
        }),
        ("conv2d of a public image", Unit, |p, _, y| {
            let (i, w) = (p.constant(&public(&[1, 1, 4, 4]))?, kernel(p, y, &[2, 1, 2, 2])?);
            p.conv2d(i, w, None, Sliding::by(1))
        }),
        ("conv2d of bits by integers, with a bias of fractions", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            let (i, b) = (p.reshape(bits, [1, 1, 3, 5])?, kernel(p, y, &[1])?);
            let w = p.constant(&public(&[1, 1, 2, 2]).mapv(f64::round))?;
            p.conv2d(i, w, Some(b), Sliding::by(1))
        }),
        ("relu of conv2d", Unit, |p, x, y| {
            let (i, w) = (images(p, x, y, [2, 1, 3, 5])?, kernel(p, y, &[2, 1, 2, 2])?);
            let z = p.conv2d(i, w, None, Sliding::by(1))?;
            p.relu(z)
        }),
        ("relu of max_pool2d of conv2d", Unit, |p, x, y| {
            let (i, w) = (images(p, x, y, [2, 1, 3, 5])?, kernel(p, y, &[2, 1, 2, 2])?);
            let z = p.conv2d(i, w, None, Sliding::by(1).padded(1))?;
            let z = p.max_pool2d(z, [2, 2], Sliding::by(2))?;
            p.relu(z)
        }),
        ("max_pool2d", Exact, |p, x, y| {
            let i = images(p, x, y, [2, 1, 3, 5])?;
            p.max_pool2d(i, [2, 2], Sliding::by(2))
        }),
        ("max_pool2d, overlapping, beyond the image", Exact, |p, x, y| {
            let i = images(p, x, y, [1, 2, 3, 5])?;
            p.max_pool2d(i, [3, 3], Sliding::by(1).padded(1))
        }),
        ("max_pool2d of negative numbers beyond the image", Exact, |p, x, y| {
            let i = images(p, x, y, [1, 1, 5, 6])?;
            let i = p.add_public(i, -20.0)?;
            p.max_pool2d(i, [2, 3], Sliding { padding: [[1, 1], [2, 0]], dilation: [1, 2], ..Sliding::by(3) })
        }),
        ("average_pool2d", Unit, |p, x, y| {
            let i = images(p, x, y, [1, 2, 3, 5])?;
            p.average_pool2d(i, [2, 2], Sliding::by(1), true)
        }),
        ("average_pool2d, padding counted", Factor(1e-6), |p, x, y| {
            let i = images(p, x, y, [1, 2, 3, 5])?;
            p.average_pool2d(i, [3, 2], Sliding::by(2).padded(1), true)
        }),
        // A mean of six, and up to six times as much.
        ("average_pool2d, padding left out", Units(7.0), |p, x, y| {
            let i = images(p, x, y, [1, 2, 3, 5])?;
            p.average_pool2d(i, [3, 2], Sliding::by(2).padded(1), false)
        }),
        ("global_average_pool", Factor(1e-6), |p, x, y| {
            let i = images(p, x, y, [2, 1, 3, 5])?;
            p.global_average_pool(i)
        }),
        ("global_max_pool", Exact, |p, x, y| {
            let i = images(p, x, y, [1, 2, 3, 5])?;
            p.global_max_pool(i)
        }),
        ("batch_norm", Unit, |p, x, y| {
            let (i, k, b) = (images(p, x, y, [2, 3, 1, 5])?, kernel(p, y, &[3])?, kernel(p, x, &[3])?);
            p.batch_norm(i, k, b)
        }),
        ("batch_norm with public parameters", Unit, |p, x, y| {
            let i = images(p, x, y, [2, 3, 1, 5])?;
            let (k, b) = (p.constant(&public(&[3]))?, p.constant(&arr1(&[1.0, 2.0, 3.0]).into_dyn())?);
            p.batch_norm(i, k, b)
        }),
        ("flatten", Exact, |p, x, y| {
            let i = images(p, x, y, [2, 1, 3, 5])?;
            p.flatten(i, Axis(1))
        }),
        ("permute", Exact, |p, x, y| {
            let i = images(p, x, y, [2, 1, 3, 5])?;
            p.permute(i, &[3, 0, 2, 1])
        }),
        ("unfold with zeros", Exact, |p, x, y| {
            let i = images(p, x, y, [2, 1, 3, 5])?;
            p.unfold(i, [2, 3], Sliding::by(2).padded(1), Outside::Zero)
        }),
        ("pad with zeros", Exact, |p, x, _| p.pad(x, &[1, 0], &[0, 2], 0.0)),
        ("pad with fractions", Exact, |p, x, _| p.pad(x, &[1, 2], &[2, 1], -3.5)),
        ("pad bits", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            p.pad(bits, &[0, 1], &[1, 0], 1.0)
        }),
        ("pad bits with fractions", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            p.pad(bits, &[0, 1], &[1, 0], 0.5)
        }),
        ("matmul of lists", Unit, |p, x, y| {
            let (a, b) = (images(p, x, y, [2, 3, 1, 5])?, images(p, y, x, [2, 3, 5, 1])?);
            p.matmul(a, b)
        }),
        ("matmul of lists that broadcast", Unit, |p, x, y| {
            let (a, b) = (images(p, x, y, [3, 1, 2, 5])?, images(p, y, x, [1, 2, 5, 3])?);
            p.matmul(a, b)
        }),
        ("matmul of a matrix by a list", Unit, |p, x, y| {
            let b = images(p, y, x, [1, 5, 3, 2])?;
            p.matmul(x, b)
        }),
        ("matmul of a list by constants", Unit, |p, x, y| {
            let (a, b) = (images(p, x, y, [2, 3, 1, 5])?, p.constant(&public(&[3, 5, 2]))?);
            p.matmul(a, b)
        }),
        ("dense on rows along two axes", Unit, |p, x, y| {
            let (x, w, b) = (p.reshape(x, [3, 1, 5])?, kernel(p, y, &[5, 3])?, kernel(p, x, &[3])?);
            p.dense(x, w, b)
        }),
        ("dense layers on the same rows along two axes", Unit, |p, x, y| {
            let rows = images(p, x, y, [1, 2, 5, 3])?;
            let rows = p.reshape(rows, [2, 5, 3])?;
            let (u, v) = (kernel(p, y, &[3, 2])?, kernel(p, x, &[3, 3])?);
            let half = p.slice(rows, Axis(0), 1..2)?;
            let zero = p.number(0.0)?;
            let (a, b) = (p.dense(rows, u, zero)?, p.dense(half, v, zero)?);
            let flat = p.reshape(rows, [10, 3])?;
            let c = p.matmul(flat, u)?;
            let parts = [p.reshape(a, [20])?, p.reshape(b, [15])?, p.reshape(c, [20])?];
            p.concat(&parts, Axis(0))
        }),
        ("relu of a matmul of lists in another order", Unit, |p, x, y| {
            let (a, b) = (images(p, x, y, [2, 3, 1, 5])?, images(p, y, x, [2, 3, 5, 1])?);
            let z = p.matmul(a, b)?;
            let z = p.permute(z, &[1, 0, 3, 2])?;
            let z = p.pad(z, &[0; 4], &[0, 1, 0, 0], 0.0)?;
            p.relu(z)
        }),
    ]
}
