//! Convolutions and pooling.

use std::rc::Rc;

use mpc_core::windows::Sliding;

use super::super::constant::{Known, flat};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Form, Lazy, Linear, Secret, Val};

const POOL: &[&str] = &[
    "auto_pad",
    "ceil_mode",
    "count_include_pad",
    "dilations",
    "kernel_shape",
    "pads",
    "storage_order",
    "strides",
];

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Conv", &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"], conv)
        .checked(padding),
    Operator::new("MaxPool", POOL, max_pool).checked(padding),
    Operator::new("AveragePool", POOL, average_pool).checked(padding),
    Operator::new("GlobalAveragePool", &[], |im, n| global_pool(im, n, false)),
    Operator::new("GlobalMaxPool", &[], |im, n| global_pool(im, n, true)),
];

fn padding(node: &Node) -> Result<(), String> {
    node.only("storage_order", 0)?;
    match node.text("auto_pad", "NOTSET")?.as_str() {
        "NOTSET" | "VALID" | "SAME_UPPER" | "SAME_LOWER" => Ok(()),
        other => {
            Err(format!("auto_pad = {other} is not supported, only NOTSET, VALID, SAME_UPPER and SAME_LOWER"))
        }
    }
}

/// How windows lie on images of one or two axes, and how far the last ones reach beyond what the file says.
struct Windows {
    size: [usize; 2],
    sliding: Sliding,
    /// Whether the last windows reach beyond the padded image.
    extended: bool,
    /// Whether there is padding besides that.
    padded: bool,
}

/// Windows on an image of these lengths; one axis is an image of height 1.
fn windows(node: &Node, image: &[usize], size: &[usize]) -> Result<Windows, Problem> {
    let axes = image.len();
    if !(1..=2).contains(&axes) || size.len() != axes {
        return Err(
            format!("windows of shape {size:?} on images of shape {image:?} are not supported").into()
        );
    }
    let list = |name: &str, default: i64, n: usize| -> Result<Vec<usize>, Problem> {
        let all = node.ints(name)?.unwrap_or_else(|| vec![default; n]);
        let all: Option<Vec<usize>> =
            all.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v < 1 << 16)).collect();
        all.filter(|a| a.len() == n)
            .ok_or_else(|| format!("{name} must be {n} numbers that are not negative").into())
    };
    let (strides, dilations) = (list("strides", 1, axes)?, list("dilations", 1, axes)?);
    if strides.contains(&0) || dilations.contains(&0) || size.contains(&0) {
        return Err("steps and windows are 1 or more".into());
    }
    let pads = list("pads", 0, 2 * axes)?;
    let mode = node.text("auto_pad", "NOTSET")?;
    let ceil = node.int("ceil_mode", 0)? != 0;
    let (mut extended, mut has_padding) = (false, false);
    let mut padding = vec![];
    for i in 0..axes {
        let reach = dilations[i] * (size[i] - 1) + 1;
        let [mut before, mut after] = match mode.as_str() {
            "SAME_UPPER" | "SAME_LOWER" => {
                let count = image[i].div_ceil(strides[i]);
                let total = ((count - 1) * strides[i] + reach).saturating_sub(image[i]);
                if mode == "SAME_UPPER" {
                    [total / 2, total - total / 2]
                } else {
                    [total - total / 2, total / 2]
                }
            }
            "VALID" => [0, 0],
            _ => [pads[i], pads[i + axes]],
        };
        has_padding |= before + after > 0;
        let padded = image[i] + before + after;
        if ceil && padded > reach && !(padded - reach).is_multiple_of(strides[i]) {
            // One more window, unless it would begin beyond the image.
            let count = (padded - reach) / strides[i] + 1;
            if count * strides[i] < image[i] + before {
                after += count * strides[i] + reach - padded;
                extended = true;
            }
        }
        if reach == 1 {
            (before, after) = (before.min(padded), after.min(padded));
        }
        padding.push([before, after]);
    }
    let two = |list: &[usize], one: usize| if axes == 2 { [list[0], list[1]] } else { [one, list[0]] };
    let sliding = Sliding {
        stride: two(&strides, 1),
        dilation: two(&dilations, 1),
        padding: if axes == 2 { [padding[0], padding[1]] } else { [[0, 0], padding[0]] },
    };
    Ok(Windows { size: two(size, 1), sliding, extended, padded: has_padding })
}

impl Importer<'_> {
    /// The images of a node, as \[images, channels, height, width\], with the lengths of their own axes.
    fn images(&mut self, x: &Secret) -> Result<(Secret, Vec<usize>), Problem> {
        let (&[n, c, ref image @ ..], 3 | 4) = (&x.shape[..], x.shape.len()) else {
            return Err(format!("shape {:?} is no batch of images or signals", x.shape).into());
        };
        let image = image.to_vec();
        if image.len() == 2 {
            return Ok((x.clone(), image));
        }
        match self.reshaped(&Val::Secret(x.clone()), &[n, c, 1, image[0]])? {
            Val::Secret(s) => Ok((s, image)),
            Val::Known(_) => Err("a secret value stays secret".into()),
        }
    }
}

/// The shape of a result with the axes that the operand had.
fn like(axes: usize, [n, c, h, w]: [usize; 4]) -> Vec<usize> {
    if axes == 2 { vec![n, c, h, w] } else { vec![n, c, w] }
}

fn conv(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.secret(node)?;
    let Val::Known(Known::Numbers(w)) = im.value(node, 1)? else {
        return Err("the kernel depends on the inputs".into());
    };
    let (x, image) = im.images(&x)?;
    let &[filters, depth, ref size @ ..] = w.values.shape() else {
        return Err("the kernel has too few axes".into());
    };
    let at = windows(node, &image, size)?;
    let groups =
        usize::try_from(node.int("group", 1)?).ok().filter(|&g| g > 0).ok_or("group is 1 or more")?;
    let [h, wide] = at
        .sliding
        .positions([x.shape[2], x.shape[3]], at.size)
        .ok_or_else(|| format!("a kernel of {size:?} is larger than images of {image:?}"))?;
    if depth.checked_mul(groups) != Some(x.shape[1]) || !filters.is_multiple_of(groups) {
        return Err(format!("{groups} groups of {depth} channels, but images have {}", x.shape[1]).into());
    }
    let kernel = w.values.as_standard_layout().into_owned();
    let kernel = kernel
        .into_shape_with_order(vec![filters, depth, at.size[0], at.size[1]])
        .map_err(|e| e.to_string())?;
    let b = match im.optional(node, 2) {
        None => None,
        Some(Val::Known(Known::Numbers(b))) if b.values.len() == filters => {
            Some(flat(b.values.iter().copied().collect()))
        }
        Some(_) => return Err(format!("the bias must be {filters} constants").into()),
    };
    let shape = like(image.len(), [x.shape[0], filters, h, wide]);
    let name = w.name.clone().unwrap_or_else(|| im.own_name("weight"));
    let x = im.force(&x)?;
    let form = Form::Conv { sliding: at.sliding, groups };
    let linear = Linear { from: im.node, x, form, w: kernel, b, name, shape: shape.clone() };
    Ok(vec![Secret::new(Lazy::Linear(Rc::new(linear)), shape).into()])
}

fn kernel_shape(node: &Node) -> Result<Vec<usize>, Problem> {
    let list = node.ints("kernel_shape")?.ok_or("it has no kernel_shape")?;
    let all: Option<Vec<usize>> =
        list.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v < 1 << 16)).collect();
    Ok(all.ok_or("kernel_shape has a number out of range")?)
}

fn max_pool(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    if node.has_output(1) && im.is_used(node, 1) {
        return Err("its second output, indices, is not supported".into());
    }
    let x = im.secret(node)?;
    // A ReLU is the same behind the pooling, and takes fewer comparisons there.
    let (x, relu) = match x.state() {
        Lazy::Relu { of, from } if im.is_only_use(node, 0) => (*of, Some(from)),
        _ => (x, None),
    };
    let (x, image) = im.images(&x)?;
    let at = windows(node, &image, &kernel_shape(node)?)?;
    let value = im.force(&x)?;
    let value = im.p.max_pool2d(value, at.size, at.sliding)?;
    let pooled = im.images_back(value, image.len())?;
    let shape = pooled.shape.clone();
    let low = x.low.max(if relu.is_some() { 0.0 } else { f64::NEG_INFINITY });
    let all: Secret = match relu {
        None => pooled,
        Some(from) => Secret::new(Lazy::Relu { of: Box::new(pooled), from }, shape),
    };
    Ok(vec![Secret { low, ..all }.into()])
}

impl Importer<'_> {
    /// A result with the axes that the operand had.
    fn images_back(&mut self, value: crate::builder::Value, axes: usize) -> Result<Secret, Problem> {
        let dims = self.fact(value)?.shape;
        let &[n, c, h, w] = dims.dims() else { return Err("the result is no batch of images".into()) };
        let shape = like(axes, [n, c, h, w]);
        let value = if axes == 2 { value } else { self.p.reshape(value, &shape[..])? };
        Ok(Secret::new(Lazy::Ready(value), shape))
    }
}

fn average_pool(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.secret(node)?;
    let low = x.low;
    let (x, image) = im.images(&x)?;
    let at = windows(node, &image, &kernel_shape(node)?)?;
    // Without padding, what a last window has beyond the image does not count.
    let counted = at.padded && node.int("count_include_pad", 0)? != 0;
    if counted && at.extended {
        return Err("ceil_mode together with count_include_pad is not supported".into());
    }
    let value = im.force(&x)?;
    let value = im.p.average_pool2d(value, at.size, at.sliding, counted)?;
    Ok(vec![Secret { low: low.min(0.0), ..im.images_back(value, image.len())? }.into()])
}

fn global_pool(im: &mut Importer<'_>, node: &Node, largest: bool) -> Result<Vec<Val>, Problem> {
    let x = im.secret(node)?;
    let &[n, c, ref rest @ ..] = &x.shape[..] else { return Err("it takes batches of images".into()) };
    let mut shape = vec![n, c];
    shape.extend(rest.iter().map(|_| 1));
    let value = im.force(&x)?;
    let value = if largest { im.p.global_max_pool(value)? } else { im.p.global_average_pool(value)? };
    let value = im.p.reshape(value, &shape[..])?;
    Ok(vec![Secret { low: x.low, ..Secret::new(Lazy::Ready(value), shape) }.into()])
}
