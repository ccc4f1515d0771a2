//! What only moves elements, or says where they are.

use super::super::constant::{Kind, Known, MAX_AXES, Numbers, axis, elements};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::unary;
use super::super::graph::Node;
use super::super::proto::tensor_proto::DataType;
use super::super::registry::Operator;
use super::super::value::{Secret, Val};

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Identity", &[], |im, n| Ok(vec![im.value(n, 0)?])),
    Operator::new("Dropout", &["ratio", "seed", "is_test"], dropout),
    Operator::new("Reshape", &["shape", "allowzero"], reshape),
    Operator::new("Flatten", &["axis"], flatten),
    Operator::new("Squeeze", &["axes"], squeeze),
    Operator::new("Unsqueeze", &["axes"], unsqueeze),
    Operator::new("Transpose", &["perm"], transpose),
    Operator::new("Concat", &["axis"], concat),
    Operator::new("Expand", &[], expand),
    Operator::new("Tile", &[], tile),
    Operator::new("Shape", &["start", "end"], shape),
    Operator::new("Size", &[], size),
    Operator::new("Cast", &["to", "saturate", "round_mode"], cast),
    Operator::new("CastLike", &["saturate", "round_mode"], |im, n| Ok(vec![im.value(n, 0)?])),
    Operator::new("DepthToSpace", &["blocksize", "mode"], depth_to_space),
    Operator::new("SpaceToDepth", &["blocksize"], space_to_depth),
    Operator::ml("FeatureVectorizer", &["inputdimensions"], feature_vectorizer),
];

impl Importer<'_> {
    /// A list of integers that is an attribute in some versions and an operand in others.
    pub(super) fn integers(
        &self,
        node: &Node,
        attribute: &str,
        i: usize,
    ) -> Result<Option<Vec<i64>>, Problem> {
        if let Some(list) = node.ints(attribute)? {
            return Ok(Some(list));
        }
        match self.optional(node, i) {
            None => Ok(None),
            Some(Val::Known(Known::Numbers(n))) => Ok(Some(n.to_integers()?)),
            Some(_) => Err(format!("operand {i} depends on the inputs, but shapes must not").into()),
        }
    }
}

/// Axes that may count from the end, each once, sorted.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    if rank > MAX_AXES {
        return Err(format!("a value would have {rank} axes, at most {MAX_AXES} are supported"));
    }
    let mut all = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    all.dedup();
    if all.len() < list.len() {
        return Err(format!("axes {list:?} name one twice"));
    }
    Ok(all)
}

fn dropout(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    if let Some(Val::Known(Known::Numbers(n))) = im.optional(node, 2)
        && n.values.iter().any(|&v| v != 0.0)
        && !matches!(im.optional(node, 1), Some(Val::Known(Known::Numbers(r))) if r.single() == Some(0.0))
    {
        return Err("it is in training mode".into());
    }
    let x = im.value(node, 0)?;
    let mut all = vec![x.clone()];
    if node.has_output(1) {
        super::super::fold::spend(x.shape(), &mut im.left)?;
        all.push(Numbers::new(Kind::Bit, ndarray::ArrayD::ones(x.shape())).into());
    }
    Ok(all)
}

fn reshape(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let target = im.integers(node, "shape", 1)?.ok_or("it has no shape")?;
    let zero_is_zero = node.int("allowzero", 0)? != 0;
    let mut shape = vec![];
    for (i, &d) in target.iter().enumerate() {
        shape.push(match d {
            0 if !zero_is_zero => *x.shape().get(i).ok_or("it keeps an axis that is not there")?,
            -1 => 1,
            d => usize::try_from(d).map_err(|_| format!("a length is {d}"))?,
        });
    }
    if let Some(free) = target.iter().position(|&d| d == -1) {
        if target.iter().filter(|&&d| d == -1).count() > 1 {
            return Err(format!("{target:?} leaves more than one length open").into());
        }
        let rest = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n > 0);
        let all: usize = x.shape().iter().product();
        let rest = rest.filter(|rest| all.is_multiple_of(*rest));
        shape[free] = all / rest.ok_or_else(|| format!("{:?} cannot become {target:?}", x.shape()))?;
    }
    Ok(vec![im.reshaped(&x, &shape)?])
}

fn flatten(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let rank = x.shape().len();
    let at = node.int("axis", 1)?;
    let at = if at == rank as i64 { rank } else { axis(at, rank)? };
    let (front, back) = x.shape().split_at(at);
    let shape = [front.iter().product(), back.iter().product()];
    Ok(vec![im.reshaped(&x, &shape)?])
}

fn squeeze(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let drop = match im.integers(node, "axes", 1)? {
        Some(list) => axes(&list, x.shape().len())?,
        None => (0..x.shape().len()).filter(|&i| x.shape()[i] == 1).collect(),
    };
    if let Some(&long) = drop.iter().find(|&&i| x.shape()[i] != 1) {
        return Err(format!("axis {long} of {:?} is not 1", x.shape()).into());
    }
    let shape: Vec<usize> =
        x.shape().iter().enumerate().filter(|(i, _)| !drop.contains(i)).map(|(_, &d)| d).collect();
    Ok(vec![im.reshaped(&x, &shape)?])
}

fn unsqueeze(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let list = im.integers(node, "axes", 1)?.ok_or("it has no axes")?;
    let new = axes(&list, x.shape().len() + list.len())?;
    Ok(vec![im.with_axes(&x, &new)?])
}

fn transpose(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let rank = x.shape().len();
    let order = match node.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(list) => list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(format!("perm {order:?} is no order of {rank} axes").into());
    }
    Ok(vec![im.permuted(&x, &order)?])
}

fn concat(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let mut left = im.left;
    for name in &node.inputs {
        // Before copies are made.
        if let Some(Val::Known(known)) = im.values.get(name) {
            super::super::fold::spend(known.shape(), &mut left)?;
        }
    }
    let parts = (0..node.inputs.len()).map(|i| im.value(node, i)).collect::<Result<Vec<_>, _>>()?;
    let rank = parts.first().ok_or("nothing to join")?.shape().len();
    let at = axis(node.int("axis", 1)?, rank)?;
    Ok(vec![im.joined(&parts, at)?])
}

fn expand(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let shape = im.integers(node, "", 1)?.ok_or("it has no shape")?;
    let shape = shape.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>();
    Ok(vec![im.expanded(&x, &shape.map_err(|_| "a length is negative")?)?])
}

fn tile(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let mut x = im.value(node, 0)?;
    let repeats = im.integers(node, "", 1)?.ok_or("it has no repeats")?;
    if repeats.len() != x.shape().len() {
        return Err(format!("{} repeats for {} axes", repeats.len(), x.shape().len()).into());
    }
    let lengths = x.shape().iter().zip(&repeats);
    let lengths = lengths.map(|(&d, &r)| usize::try_from(r).ok().and_then(|r| d.checked_mul(r)));
    // Before copies are made.
    if lengths.collect::<Option<Vec<_>>>().and_then(|shape| elements(&shape, im.left)).is_none() {
        return Err(format!("repeats {repeats:?} of shape {:?} are too many", x.shape()).into());
    }
    for (at, &times) in repeats.iter().enumerate() {
        let times = usize::try_from(times).ok().filter(|&t| (1..=4096).contains(&t));
        let times = times.ok_or("an axis is repeated 1 to 4096 times")?;
        if times > 1 {
            let parts = vec![x.clone(); times];
            x = im.joined(&parts, at)?;
        }
    }
    Ok(vec![x])
}

fn shape(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let rank = x.shape().len() as i64;
    let place = |v: i64| (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize;
    let (start, end) = (place(node.int("start", 0)?), place(node.int("end", i64::MAX)?));
    let part = x.shape().get(start..end.max(start)).unwrap_or_default();
    Ok(vec![Numbers::integers(part.iter().map(|&d| d as i64)).into()])
}

fn size(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let n: usize = im.value(node, 0)?.shape().iter().product();
    Ok(vec![Numbers::new(Kind::Integer, ndarray::arr0(n as f64).into_dyn()).into()])
}

fn cast(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    // The first versions name the type.
    let to = match node.int("to", 0) {
        Ok(number) => DataType::try_from(number as i32).map_err(|_| format!("there is no type {number}"))?,
        Err(_) => DataType::from_str_name(&node.text("to", "")?).ok_or("its type is unknown")?,
    };
    let x = im.value(node, 0)?;
    Ok(vec![match (&x, to) {
        // A label becomes its text or its number; indices of texts stay what they are.
        (Val::Secret(s), DataType::String) if s.integral => x,
        (Val::Secret(_), DataType::String) => return Err("secret numbers do not become texts".into()),
        (Val::Secret(_), DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16) => x,
        (Val::Secret(s), DataType::Bool) => {
            let value = im.force(s)?;
            if im.fact(value)?.bit {
                return Ok(vec![x]);
            }
            let zero = im.p.number(0.0)?;
            let value = im.p.not_equal(value, zero)?;
            Secret::new(super::super::value::Lazy::Ready(value), s.shape.clone()).integral().into()
        }
        (Val::Secret(s), _) if s.integral => x,
        (Val::Secret(s), _) => im.without_fractions(s)?.into(),
        (Val::Known(Known::Texts(_)), DataType::String) => x,
        (Val::Known(Known::Texts(_)), _) => return Err("texts do not become numbers".into()),
        (Val::Known(Known::Numbers(n)), to) => {
            let (kind, f): (_, fn(f64) -> f64) = match to {
                DataType::String => return Err("constants do not become texts".into()),
                DataType::Bool => (Kind::Bit, |v| f64::from(u8::from(v != 0.0))),
                DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16 => {
                    (Kind::Real, |v| v)
                }
                _ => (Kind::Integer, f64::trunc),
            };
            Numbers { name: n.name.clone(), ..unary(n, kind, f) }.into()
        }
    }])
}

/// Blocks of channels become pixels.
fn depth_to_space(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let (&[n, c, h, w], b) = (x.shape(), block(node)?) else {
        return Err("it takes batches of images".into());
    };
    if c % (b * b) != 0 {
        return Err(format!("{c} channels are no multiple of {}", b * b).into());
    }
    let (shape, order) = match node.text("mode", "DCR")?.as_str() {
        "CRD" => ([n, c / (b * b), b, b, h, w], [0, 1, 4, 2, 5, 3]),
        _ => ([n, b, b, c / (b * b), h, w], [0, 3, 4, 1, 5, 2]),
    };
    let x = im.reshaped(&x, &shape)?;
    let x = im.permuted(&x, &order)?;
    Ok(vec![im.reshaped(&x, &[n, c / (b * b), h * b, w * b])?])
}

fn space_to_depth(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let (&[n, c, h, w], b) = (x.shape(), block(node)?) else {
        return Err("it takes batches of images".into());
    };
    if h % b != 0 || w % b != 0 {
        return Err(format!("{h} by {w} pixels are no multiple of {b}").into());
    }
    let x = im.reshaped(&x, &[n, c, h / b, b, w / b, b])?;
    let x = im.permuted(&x, &[0, 3, 5, 1, 2, 4])?;
    Ok(vec![im.reshaped(&x, &[n, c * b * b, h / b, w / b])?])
}

fn block(node: &Node) -> Result<usize, String> {
    usize::try_from(node.int("blocksize", 0)?)
        .ok()
        .filter(|b| (1..=64).contains(b))
        .ok_or_else(|| "blocksize is 1 to 64".into())
}

fn feature_vectorizer(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let mut parts = vec![];
    for i in 0..node.inputs.len() {
        let x = im.value(node, i)?;
        parts.push(if x.shape().len() == 1 { im.with_axes(&x, &[1])? } else { x });
    }
    Ok(vec![im.joined(&parts, 1)?])
}
