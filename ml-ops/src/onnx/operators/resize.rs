//! Images of another size, by the nearest pixel.

use super::super::constant::{Known, Numbers};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::spend;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::Val;

pub(super) const TABLE: &[Operator] = &[
    Operator::new(
        "Resize",
        &[
            "antialias",
            "axes",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "keep_aspect_ratio_policy",
            "mode",
            "nearest_mode",
        ],
        resize,
    )
    .checked(nearest),
    Operator::new("Upsample", &["mode", "scales"], upsample).checked(nearest),
];

/// Where a pixel of the result lies in the operand.
#[derive(Copy, Clone)]
enum Place {
    Asymmetric,
    HalfPixel,
    AlignCorners,
}

fn nearest(node: &Node) -> Result<(), String> {
    match node.text("mode", "nearest")?.as_str() {
        "nearest" => {}
        other => return Err(format!("mode = {other} is not supported, only nearest")),
    }
    place(node)?;
    rounding(node)?;
    node.only("antialias", 0)
}

fn place(node: &Node) -> Result<Place, String> {
    match node.text("coordinate_transformation_mode", "half_pixel")?.as_str() {
        "asymmetric" => Ok(Place::Asymmetric),
        "half_pixel" | "pytorch_half_pixel" => Ok(Place::HalfPixel),
        "align_corners" => Ok(Place::AlignCorners),
        other => Err(format!("coordinate_transformation_mode = {other} is not supported")),
    }
}

fn rounding(node: &Node) -> Result<fn(f64) -> f64, String> {
    match node.text("nearest_mode", "round_prefer_floor")?.as_str() {
        "floor" => Ok(f64::floor),
        "ceil" => Ok(f64::ceil),
        "round_prefer_floor" => Ok(|v| (v - 0.5).ceil()),
        "round_prefer_ceil" => Ok(|v| (v + 0.5).floor()),
        other => Err(format!("nearest_mode = {other} is not supported")),
    }
}

fn resize(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    if node.has("axes") {
        return Err("axes are not supported; sizes or scales of all axes are".into());
    }
    // The first version has scales in the second place.
    let places = if node.opset < 11 { [1, 3] } else { [2, 3] };
    let [scales, sizes] = places.map(|i| match im.optional(node, i) {
        Some(Val::Known(Known::Numbers(n))) if !n.values.is_empty() => Ok(Some(n)),
        None | Some(Val::Known(Known::Numbers(_))) => Ok(None),
        Some(_) => Err(Problem::from("its size depends on the inputs")),
    });
    let (place, round) = if node.opset < 11 {
        (Place::Asymmetric, f64::floor as fn(f64) -> f64)
    } else {
        (place(node)?, rounding(node)?)
    };
    resized(im, node, (scales?, sizes?), place, round)
}

fn upsample(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let scales = match node.floats("scales")? {
        Some(list) => Some(Numbers::real(super::super::constant::flat(list))),
        None => match im.optional(node, 1) {
            Some(Val::Known(Known::Numbers(n))) => Some(n),
            _ => None,
        },
    };
    resized(im, node, (scales, None), Place::Asymmetric, f64::floor)
}

fn resized(
    im: &mut Importer<'_>,
    node: &Node,
    (scales, sizes): (Option<Numbers>, Option<Numbers>),
    place: Place,
    round: fn(f64) -> f64,
) -> Result<Vec<Val>, Problem> {
    let mut x = im.value(node, 0)?;
    let from = x.shape().to_vec();
    let (lengths, scales): (Vec<f64>, Vec<f64>) = match (scales, sizes) {
        (Some(s), _) => s.values.iter().zip(&from).map(|(s, &d)| ((s * d as f64).floor(), *s)).unzip(),
        (None, Some(s)) => s.values.iter().zip(&from).map(|(&l, &d)| (l, l / d as f64)).unzip(),
        (None, None) => return Err("it has neither scales nor sizes".into()),
    };
    if lengths.len() != from.len() {
        return Err(format!("{} lengths for {} axes", lengths.len(), from.len()).into());
    }
    for (at, (&length, &scale)) in lengths.iter().zip(&scales).enumerate() {
        if !(length >= 1.0 && length.fract() == 0.0 && length < 1e6 && scale > 0.0) {
            return Err(format!("an axis would have the length {length}").into());
        }
        let n = spend(&[length as usize], &mut im.left)?;
        let last = from[at] as f64 - 1.0;
        let index = |i: usize| {
            let i = i as f64;
            let exact = match place {
                Place::Asymmetric => i / scale,
                Place::HalfPixel => (i + 0.5) / scale - 0.5,
                Place::AlignCorners => i * last / (length - 1.0).max(1.0),
            };
            round(exact).clamp(0.0, last) as usize
        };
        x = im.taken(&x, at, &(0..n).map(index).collect::<Vec<_>>())?;
    }
    Ok(vec![x])
}
