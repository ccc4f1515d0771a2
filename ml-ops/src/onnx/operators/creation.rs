//! Constants.

use ndarray::ArrayD;

use super::super::constant::{Kind, Known, Numbers, Texts, axis, flat};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::spend;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::Val;

pub(super) const TABLE: &[Operator] = &[
    Operator::new(
        "Constant",
        &["value", "value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"],
        constant,
    ),
    Operator::new("ConstantOfShape", &["value"], constant_of_shape),
    Operator::new("Range", &[], range),
    Operator::new("EyeLike", &["dtype", "k"], eye_like),
    Operator::new("NonZero", &[], non_zero),
    Operator::new("CumSum", &["exclusive", "reverse"], cumulated),
];

fn constant(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    if let Some(known) = node.tensor("value", &mut im.left)? {
        // Parameters are also written so; the name is that of the result.
        let name = node.outputs.first().cloned();
        return Ok(vec![match known {
            Known::Numbers(n) => Numbers { name, ..n }.into(),
            texts @ Known::Texts(_) => texts.into(),
        }]);
    }
    let of = |kind, values: Vec<f64>| Val::from(Numbers::new(kind, flat(values)));
    let single = |kind, value: f64| Val::from(Numbers::new(kind, ndarray::arr0(value).into_dyn()));
    let value = if node.has("value_float") {
        single(Kind::Real, node.float("value_float", 0.0)?)
    } else if node.has("value_int") {
        single(Kind::Integer, node.int("value_int", 0)? as f64)
    } else if let Some(list) = node.floats("value_floats")? {
        of(Kind::Real, list)
    } else if let Some(list) = node.ints("value_ints")? {
        of(Kind::Integer, list.iter().map(|&v| v as f64).collect())
    } else if let Some(texts) = node.texts("value_strings")? {
        Known::Texts(Texts { shape: vec![texts.len()], texts }).into()
    } else if node.has("value_string") {
        Known::Texts(Texts { shape: vec![], texts: vec![node.text("value_string", "")?] }).into()
    } else {
        return Err("it has no value that is read".into());
    };
    Ok(vec![value])
}

fn lengths(im: &Importer<'_>, node: &Node) -> Result<Vec<usize>, Problem> {
    let shape = im.integers(node, "", 0)?.ok_or("it has no shape")?;
    let shape: Result<Vec<usize>, _> = shape.iter().map(|&d| usize::try_from(d)).collect();
    Ok(shape.map_err(|_| "a length is negative")?)
}

fn constant_of_shape(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let shape = lengths(im, node)?;
    let (kind, value) = match node.tensor("value", &mut im.left)? {
        None => (Kind::Real, 0.0),
        Some(Known::Numbers(n)) => (n.kind, n.single().ok_or("its value is one number")?),
        Some(Known::Texts(_)) => return Err("its value is a text".into()),
    };
    spend(&shape, &mut im.left)?;
    Ok(vec![Numbers::new(kind, ArrayD::from_elem(shape, value)).into()])
}

fn range(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let mut kind = Kind::Integer;
    let mut number = |i: usize| -> Result<f64, Problem> {
        let Val::Known(Known::Numbers(n)) = im.value(node, i)? else {
            return Err("it depends on the inputs, but shapes must not".into());
        };
        if n.kind == Kind::Real {
            kind = Kind::Real;
        }
        Ok(n.single().ok_or("it takes single numbers")?)
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let n = ((limit - start) / step).ceil().max(0.0);
    if !n.is_finite() {
        return Err(format!("{start} to {limit} in steps of {step} has no end").into());
    }
    let n = spend(&[n as usize], &mut im.left)?;
    Ok(vec![Numbers::new(kind, flat((0..n).map(|i| start + i as f64 * step).collect())).into()])
}

fn eye_like(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let &[rows, columns] = x.shape() else { return Err("it takes a matrix".into()) };
    let k = node.int("k", 0)?;
    spend(&[rows, columns], &mut im.left)?;
    let bit = |(i, j): (usize, usize)| f64::from(u8::from(j as i64 - i as i64 == k));
    Ok(vec![Numbers::real(ndarray::Array2::from_shape_fn((rows, columns), bit).into_dyn()).into()])
}

fn non_zero(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let Val::Known(Known::Numbers(x)) = im.value(node, 0)? else {
        return Err("where a secret value is zero is not known when the model is imported".into());
    };
    let rank = x.values.ndim();
    let found: Vec<Vec<usize>> = x
        .values
        .indexed_iter()
        .filter(|&(_, &v)| v != 0.0)
        .map(|(at, _)| ndarray::Dimension::slice(&at).to_vec())
        .collect();
    spend(&[rank, found.len()], &mut im.left)?;
    let values = (0..rank).flat_map(|axis| found.iter().map(move |at| at[axis] as f64)).collect();
    Ok(vec![Numbers::new(Kind::Integer, super::super::constant::shaped(&[rank, found.len()], values)).into()])
}

fn cumulated(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let Val::Known(Known::Numbers(at)) = im.value(node, 1)? else {
        return Err("its axis depends on the inputs".into());
    };
    let x = im.value(node, 0)?;
    let rank = x.shape().len();
    let at = axis(at.single().ok_or("its axis is one number")? as i64, rank)?;
    let (exclusive, reverse) = (node.int("exclusive", 0)? != 0, node.int("reverse", 0)? != 0);
    match x {
        Val::Known(Known::Numbers(x)) if !exclusive && !reverse => {
            let mut values = x.values.clone();
            values.accumulate_axis_inplace(ndarray::Axis(at), |&before, v| *v += before);
            Ok(vec![Numbers { values, ..x }.into()])
        }
        Val::Known(_) => Err("exclusive and reverse are not supported for constants".into()),
        Val::Secret(s) => {
            // A product with a triangle of ones, along the last axis.
            let n = s.shape[at];
            spend(&[n, n], &mut im.left)?;
            let counts = |(i, j): (usize, usize)| {
                let (first, then) = if reverse { (j, i) } else { (i, j) };
                f64::from(u8::from(first < then || (first == then && !exclusive)))
            };
            let triangle = ndarray::Array2::from_shape_fn((n, n), counts).into_dyn();
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(at, rank - 1);
            let turned = im.permuted(&Val::Secret(s.clone()), &order)?;
            let sums = im.multiplied(&turned, &Numbers::new(Kind::Integer, triangle).into())?;
            let sums = im.permuted(&sums, &order)?;
            Ok(vec![match sums {
                Val::Secret(sums) => super::super::value::Secret { integral: s.integral, ..sums }.into(),
                known @ Val::Known(_) => known,
            }])
        }
    }
}
