//! Parts of tensors.

use ndarray::ArrayD;

use super::super::constant::{Kind, Known, Numbers, axis};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::Val;

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Gather", &["axis"], gather),
    Operator::new("Slice", &["axes", "starts", "ends"], slice),
    Operator::new("Split", &["axis", "split", "num_outputs"], split),
    Operator::new("Pad", &["mode", "pads", "value", "paddings"], pad).checked(known_padding),
    Operator::new("Trilu", &["upper"], trilu),
];

/// Indices that may count from the end.
fn places(list: &[i64], len: usize) -> Result<Vec<usize>, String> {
    let place = |&i: &i64| {
        let at = if i < 0 { i + len as i64 } else { i };
        usize::try_from(at).ok().filter(|&a| a < len).ok_or_else(|| format!("index {i} of an axis of {len}"))
    };
    list.iter().map(place).collect()
}

fn gather(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let (x, at) = (im.value(node, 0)?, im.value(node, 1)?);
    let axis = axis(node.int("axis", 0)?, x.shape().len())?;
    let at = match at {
        Val::Known(Known::Numbers(n)) => n,
        Val::Known(Known::Texts(_)) => return Err("texts are no indices".into()),
        Val::Secret(at) => return im.looked_up(&x, axis, &at),
    };
    let indices = places(&at.to_integers()?, x.shape()[axis])?;
    let taken = im.taken(&x, axis, &indices)?;
    let mut shape = x.shape().to_vec();
    shape.splice(axis..=axis, at.values.shape().iter().copied());
    Ok(vec![im.reshaped(&taken, &shape)?])
}

fn slice(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let mut x = im.value(node, 0)?;
    let starts = im.integers(node, "starts", 1)?.ok_or("it has no starts")?;
    let ends = im.integers(node, "ends", 2)?.ok_or("it has no ends")?;
    let along = im.integers(node, "axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = im.integers(node, "", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), along.len(), steps.len()] != [starts.len(); 3] {
        return Err("its starts, ends, axes and steps differ in number".into());
    }
    for (((&start, &end), &at), &step) in starts.iter().zip(&ends).zip(&along).zip(&steps) {
        let at = axis(at, x.shape().len())?;
        super::super::fold::spend(&[x.shape()[at]], &mut im.left)?;
        let indices = range(start, end, step, x.shape()[at])?;
        x = im.taken(&x, at, &indices)?;
    }
    Ok(vec![x])
}

/// The indices of a slice, as Python has them.
fn range(start: i64, end: i64, step: i64, len: usize) -> Result<Vec<usize>, String> {
    let n = len as i64;
    let from_end = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
    Ok(match step {
        0 => return Err("a step is 0".into()),
        1.. => {
            let (start, end) = (from_end(start).clamp(0, n), from_end(end).clamp(0, n));
            (start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX)).map(|i| i as usize).collect()
        }
        _ => {
            let (start, end) = (from_end(start).clamp(-1, n - 1), from_end(end).clamp(-1, n - 1));
            let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
            (end + 1..=start).rev().step_by(step).map(|i| i as usize).collect()
        }
    })
}

fn split(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let at = axis(node.int("axis", 0)?, x.shape().len())?;
    let len = x.shape()[at];
    let parts = node.outputs.len().max(1);
    let lengths = match im.integers(node, "split", 1)? {
        Some(list) => list
            .iter()
            .map(|&d| usize::try_from(d))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| "a length is negative")?,
        None => {
            let each = len.div_ceil(parts);
            (0..parts).map(|i| each.min(len.saturating_sub(i * each))).collect()
        }
    };
    if lengths.iter().try_fold(0usize, |n, &d| n.checked_add(d)) != Some(len)
        || lengths.len() < node.outputs.len()
    {
        return Err(format!("an axis of {len} does not fall into {lengths:?}").into());
    }
    super::super::fold::spend(&[len], &mut im.left)?;
    let mut next = 0;
    let mut all = vec![];
    // What has no name is not made: there may be any number of empty ones.
    for length in lengths.into_iter().take(parts) {
        let indices: Vec<usize> = (next..next + length).collect();
        next += length;
        all.push(im.taken(&x, at, &indices)?);
    }
    Ok(all)
}

fn known_padding(node: &Node) -> Result<(), String> {
    match node.text("mode", "constant")?.as_str() {
        "constant" | "edge" | "reflect" | "wrap" => Ok(()),
        other => Err(format!("mode = {other} is not supported, only constant, edge, reflect and wrap")),
    }
}

fn pad(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let mode = node.text("mode", "constant")?;
    let mut x = im.value(node, 0)?;
    let pads = match node.ints("paddings")? {
        Some(list) => list,
        None => im.integers(node, "pads", 1)?.ok_or("it has no pads")?,
    };
    let value = match im.optional(node, 2) {
        None => node.float("value", 0.0)?,
        Some(Val::Known(Known::Numbers(n))) => n.single().ok_or("it pads with one value")?,
        Some(_) => return Err("what it pads with depends on the inputs".into()),
    };
    let rank = x.shape().len();
    let along = match im.integers(node, "", 3)? {
        None => (0..rank).collect(),
        Some(list) => list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
    };
    if pads.len() != 2 * along.len() {
        return Err(format!("{} pads for {} axes", pads.len(), along.len()).into());
    }
    for (i, &at) in along.iter().enumerate() {
        let (front, back) = (pads[i], pads[i + along.len()]);
        super::super::fold::spend(&[x.shape()[at]], &mut im.left)?;
        let len = x.shape()[at] as i64;
        if mode != "constant" {
            let total = [front, back].iter().try_fold(len, |n, &p| n.checked_add(p)).filter(|&n| n > 0);
            let total = total.and_then(|n| usize::try_from(n).ok()).ok_or("its pads are out of range")?;
            super::super::fold::spend(&[total], &mut im.left)?;
            let places =
                (0..total as i64).map(|i| i.checked_sub(front).and_then(|i| padded_place(&mode, i, len)));
            x = im.taken(
                &x,
                at,
                &places.collect::<Option<Vec<_>>>().ok_or("it pads further than is mirrored")?,
            )?;
            continue;
        }
        // Negative pads cut off.
        let (first, last) = (front.saturating_neg().clamp(0, len), len - back.saturating_neg().clamp(0, len));
        let kept: Vec<usize> = (first..last.max(first)).map(|i| i as usize).collect();
        x = im.taken(&x, at, &kept)?;
        let filled = |im: &mut Importer<'_>, n: i64| -> Result<Option<Val>, Problem> {
            let n = usize::try_from(n).unwrap_or(0);
            if n == 0 {
                return Ok(None);
            }
            let mut shape = x.shape().to_vec();
            shape[at] = n;
            super::super::fold::spend(&shape, &mut im.left)?;
            let kind = if value.fract() == 0.0 { Kind::Integer } else { Kind::Real };
            Ok(Some(Numbers::new(kind, ArrayD::from_elem(shape, value)).into()))
        };
        let parts: Vec<Val> =
            [filled(im, front)?, Some(x.clone()), filled(im, back)?].into_iter().flatten().collect();
        if parts.len() > 1 {
            x = im.joined(&parts, at)?;
        }
    }
    Ok(vec![x])
}

/// The index of an axis that is found at a place before, in or after it; in an empty one there is none.
fn padded_place(mode: &str, at: i64, len: i64) -> Option<usize> {
    if len == 0 {
        return None;
    }
    let place = match mode {
        "edge" => at.clamp(0, len - 1),
        "wrap" => at.rem_euclid(len),
        // The ends are not repeated.
        _ if at < 0 => at.checked_neg()?,
        _ if at >= len => 2 * (len - 1) - at,
        _ => at,
    };
    usize::try_from(place).ok().filter(|&p| (p as i64) < len)
}

/// One half of every matrix, with zeros in the other.
fn trilu(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let upper = node.int("upper", 1)? != 0;
    let k = match im.optional(node, 1) {
        None => 0,
        Some(Val::Known(Known::Numbers(n))) => n.single().ok_or("k is one number")? as i64,
        Some(_) => return Err("k depends on the inputs".into()),
    };
    let &[.., rows, columns] = x.shape() else { return Err("it takes matrices".into()) };
    super::super::fold::spend(&[rows, columns], &mut im.left)?;
    let mask = ndarray::Array2::from_shape_fn((rows, columns), |(i, j)| {
        let above = j as i64 - i as i64;
        f64::from(u8::from(if upper { above >= k } else { above <= k }))
    });
    let mask = Numbers::new(Kind::Integer, mask.into_dyn());
    Ok(vec![match &x {
        Val::Known(Known::Numbers(n)) => {
            let kept =
                super::super::fold::binary(
                    n,
                    &mask,
                    n.kind,
                    &mut im.left,
                    |v, m| if m == 0.0 { 0.0 } else { v },
                )?;
            Numbers { name: n.name.clone(), ..kept }.into()
        }
        Val::Known(Known::Texts(_)) => return Err("texts are no matrices".into()),
        Val::Secret(s) => im.mapped(node, 0, s, Some(mask), None)?.into(),
    }])
}
