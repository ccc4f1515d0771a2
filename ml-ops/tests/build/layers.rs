//! Layers that do not fit.

use ml_ops::{Axis, Outside, ProgramBuilder, ProgramError, Sliding, Value};

use super::{builder, input};

#[test]
fn layers_that_do_not_fit_are_refused() {
    type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;
    // x is [2, 4, 5, 5] and w is [6, 2, 3, 3].
    let refused: &[(Build, &str)] = &[
        (
            |p, x, w| p.conv2d(x, w, None, Sliding::by(1)),
            "node 2 (conv2d): shapes [2, 4, 5, 5] and [6, 2, 3, 3] do not fit: images are [images,",
        ),
        (|p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1), 3), "groups divide filters"),
        (
            |p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1).dilated(3), 2),
            "not larger than a padded image",
        ),
        (|p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(0), 2), "steps are 1 or more"),
        (
            |p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1 << 40), 2),
            "steps and padding are at most 2^27",
        ),
        (|p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1).padded(1 << 20), 2), "at most 2^42 products"),
        (|p, x, w| p.conv2d_grouped(x, w, Some(w), Sliding::by(1), 2), "one number per filter"),
        (
            |p, x, w| {
                let w = p.sum(w, Axis(0))?;
                p.conv2d(x, w, None, Sliding::by(1))
            },
            "images are [images,",
        ),
        (
            |p, x, _| p.unfold(x, [6, 1], Sliding::by(1), Outside::Zero),
            "a window is not larger than a padded image",
        ),
        (
            |p, x, _| p.unfold(x, [0, 1], Sliding::by(1), Outside::Zero),
            "a window is not larger than a padded image",
        ),
        (
            |p, x, _| p.unfold(x, [2, 2], Sliding::by(1).padded(2), Outside::Nearest),
            "padding is less than a window",
        ),
        (|p, x, _| p.max_pool2d(x, [2, 2], Sliding::by(2).padded(2)), "padding is less than a window"),
        (
            |p, x, _| p.average_pool2d(x, [2, 2], Sliding::by(2).padded(2), false),
            "every window has an element of the image",
        ),
        (
            |p, x, _| {
                let x = p.sum(x, Axis(0))?;
                p.max_pool2d(x, [2, 2], Sliding::by(2))
            },
            "expected images [images, channels, height, width], got shape [4, 5, 5]",
        ),
        (|p, x, _| p.permute(x, &[0, 1, 2]), "the order names every axis once"),
        (|p, x, _| p.permute(x, &[0, 1, 2, 2]), "the order names every axis once"),
        (|p, x, _| p.permute(x, &[0, 1, 2, 4]), "the order names every axis once"),
        (|p, x, _| p.pad(x, &[0; 4], &[0; 3], 0.0), "for every axis"),
        (|p, x, _| p.pad(x, &[usize::MAX, 0, 0, 0], &[1; 4], 0.0), "not allowed"),
        (|p, x, _| p.pad(x, &[0; 4], &[1; 4], 1e-9), "would round to 0"),
        (|p, x, _| p.pad(x, &[0; 4], &[1; 4], f64::NAN), "pad: "),
        (|p, x, _| p.flatten(x, Axis(5)), "axis 5 of shape [2, 4, 5, 5] does not exist"),
        (|p, x, w| p.matmul(x, w), "columns of the first must equal rows of the second"),
        (
            |p, x, w| {
                let w = p.permute(w, &[1, 0, 2, 3])?;
                let w = p.pad(w, &[0; 4], &[0, 0, 2, 0], 0.0)?;
                p.matmul(x, w)
            },
            "leading axes must be equal or 1",
        ),
        (|p, x, w| p.dense(x, w, w), "weights are a matrix"),
        (|p, x, w| p.batch_norm(x, w, w), "axes must be equal or 1"),
        (|p, x, w| p.layer_norm(x, w, w, 0.0), "ε is a positive number"),
    ];
    for (build, why) in refused {
        let mut p = builder();
        let x = input(&mut p, "x", &[2, 4, 5, 5], 1.0);
        let w = input(&mut p, "w", &[6, 2, 3, 3], 1.0);
        let error = build(&mut p, x, w).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    // What one convolution may take of a dealer's time.
    let mut p = builder();
    let x = input(&mut p, "x", &[1, 1, 1 << 13, 1 << 13], 1e-3);
    let w = input(&mut p, "w", &[1, 1, 1 << 12, 1 << 12], 1e-3);
    let error = p.conv2d(x, w, None, Sliding::by(1)).unwrap_err().to_string();
    assert!(error.contains("at most 2^42 products"), "{error}");
}
