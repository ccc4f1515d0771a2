//! Layers of networks: shapes, and bounds of sums of products with a bias.

use mpc_core::conv::ConvShape;
use mpc_core::windows::{Outside, Sliding};

use super::range::Range;
use super::site::Site;
use crate::error::ProgramError;
use crate::fact::Fact;
use crate::shape::Shape;

/// Most multiplications of one convolution, as a dealer makes at most for one.
const MAX_PRODUCTS: u128 = 1 << 42;

pub(super) fn dense(at: Site, x: &Fact, w: &Fact, b: &Fact, frac: u32) -> Result<Fact, ProgramError> {
    if w.shape.rank() != 2 {
        return Err(at.shapes(x, &w.shape, "weights are a matrix"));
    }
    let (shape, k) = at.matrix_products(x, w)?;
    if b.shape.broadcast(&shape).as_ref() != Some(&shape) {
        return Err(at.shapes(b, &shape, "the bias must have one number per output column"));
    }
    sum_of_products(at, [x, w], k, Some(b), shape, frac)
}

pub(super) fn conv(
    at: Site,
    [x, w]: [&Fact; 2],
    bias: Option<&Fact>,
    (sliding, groups): (Sliding, usize),
    frac: u32,
) -> Result<Fact, ProgramError> {
    let conv = conv_shape(&x.shape, &w.shape, sliding, groups).ok_or_else(|| {
        let why = "images are [images, channels, height, width] and a kernel is [filters, channels / groups, height, \
                   width], not larger than a padded image; groups divide filters, and steps are 1 or more";
        at.shapes(x, &w.shape, why)
    })?;
    moderate(at, sliding)?;
    if conv.products() > MAX_PRODUCTS {
        return Err(at.parameter("a convolution has at most 2^42 products"));
    }
    let shape = Shape::from(conv.output());
    if let Some(b) = bias
        && b.shape.dims() != [conv.kernel()[0]]
    {
        return Err(at.shapes(b, &shape, "the bias must have one number per filter"));
    }
    // Windows at the rims have zeros among their elements.
    let seen = if is_padded(sliding) { with_zero(x) } else { x.clone() };
    sum_of_products(at, [&seen, w], conv.terms(), bias, shape, frac)
}

/// The convolution of images by a kernel of these shapes, if there is one.
pub(crate) fn conv_shape(x: &Shape, w: &Shape, sliding: Sliding, groups: usize) -> Option<ConvShape> {
    ConvShape::new(x.dims().try_into().ok()?, w.dims().try_into().ok()?, sliding, groups)
}

/// Sums of `terms` products and perhaps a bias, truncated once.
fn sum_of_products(
    at: Site,
    [x, w]: [&Fact; 2],
    terms: usize,
    bias: Option<&Fact>,
    shape: Shape,
    frac: u32,
) -> Result<Fact, ProgramError> {
    let product = Range::of(x, x.scale).product(Range::of(w, w.scale)).times(terms);
    // The sum stands at the scale of the product, or of the bias if the product is an integer.
    let scale = (x.scale + w.scale).max(bias.map_or(0, |b| b.scale));
    let product = product.scaled(1 << (scale - x.scale - w.scale));
    let sum = bias.map_or(product, |b| product + Range::of(b, scale));
    at.within("the result before truncation", sum.magnitude(), scale)?;
    at.truncated(shape, sum, scale, frac)
}

pub(super) fn unfold(
    at: Site,
    x: &Fact,
    window: [usize; 2],
    sliding: Sliding,
    outside: Outside,
) -> Result<Fact, ProgramError> {
    let &[images, channels, height, width] = x.shape.dims() else {
        return Err(ProgramError::Rank {
            node: at.node,
            op: at.op,
            expected: "images [images, channels, height, width]",
            got: x.shape.clone(),
        });
    };
    moderate(at, sliding)?;
    let positions = sliding.positions([height, width], window);
    let Some([down, across]) = positions else {
        return Err(at.parameter("a window is not larger than a padded image, and steps are 1 or more"));
    };
    let shape = Shape::from([images, window[0].saturating_mul(window[1]), channels, down, across]);
    // Before the windows are looked at one by one.
    at.allowed(&shape)?;
    if outside == Outside::Nearest && !sliding.all_on_image([height, width], window) {
        return Err(at.parameter("every window has an element of the image: padding is less than a window"));
    }
    let zeros = outside == Outside::Zero && is_padded(sliding);
    Ok(Fact { shape, ..if zeros { with_zero(x) } else { x.clone() } })
}

fn is_padded(sliding: Sliding) -> bool {
    sliding.padding != [[0; 2]; 2]
}

/// A value some elements of which may be zero instead.
fn with_zero(x: &Fact) -> Fact {
    Fact { lo: x.lo.min(0), hi: x.hi.max(0), ..x.clone() }
}

/// Steps and padding have their places in a program.
fn moderate(at: Site, sliding: Sliding) -> Result<(), ProgramError> {
    let Sliding { stride, dilation, padding: [vertical, horizontal] } = sliding;
    let all = [stride, dilation, vertical, horizontal].concat();
    if all.iter().all(|&n| n <= Shape::MAX_ELEMENTS) {
        return Ok(());
    }
    Err(at.parameter("steps and padding are at most 2^27"))
}

pub(super) fn permute(at: Site, x: &Fact, axes: &[usize]) -> Result<Fact, ProgramError> {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.shape.rank()) {
        return Err(at.parameter("the order names every axis once"));
    }
    let dims: Vec<usize> = axes.iter().map(|&axis| x.shape.dims()[axis]).collect();
    Ok(Fact { shape: dims.into(), ..x.clone() })
}

pub(super) fn pad(
    at: Site,
    x: &Fact,
    before: &[usize],
    after: &[usize],
    value: i64,
    frac: u32,
) -> Result<Fact, ProgramError> {
    let rank = x.shape.rank();
    if before.len() != rank || after.len() != rank {
        return Err(at.parameter("there is a number of elements before and after for every axis"));
    }
    let pads = before.iter().zip(after);
    let dims = x.shape.dims().iter().zip(pads).map(|(&d, (&b, &a))| d.saturating_add(b).saturating_add(a));
    let shape: Shape = dims.collect::<Vec<usize>>().into();
    // An integer stays one among integers.
    let scale = if value.trailing_zeros() >= frac - x.scale || value == 0 { x.scale } else { frac };
    let padding = i128::from(value) >> (frac - scale);
    at.ranged("the result", shape, scale, Range::of(x, scale).or(Range { lo: padding, hi: padding }))
}
