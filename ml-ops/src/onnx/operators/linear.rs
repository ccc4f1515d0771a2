//! Products of matrices, and the linear models of the classical domain.

use std::rc::Rc;

use ndarray::ArrayD;

use super::super::constant::{Known, Numbers, flat, shaped};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Form, Lazy, Linear, Secret, Val};

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Gemm", &["alpha", "beta", "transA", "transB"], gemm),
    Operator::new("MatMul", &[], matmul),
    Operator::ml("LinearRegressor", &["coefficients", "intercepts", "post_transform", "targets"], regressor)
        .checked(no_transform),
];

fn no_transform(node: &Node) -> Result<(), String> {
    match node.text("post_transform", "NONE")?.as_str() {
        "NONE" => Ok(()),
        other => Err(format!("post_transform = {other} is not supported, only NONE")),
    }
}

impl Importer<'_> {
    /// x · w + b, held back so that what follows can join.
    pub(super) fn dense(
        &mut self,
        x: &Secret,
        w: ArrayD<f64>,
        b: Option<ArrayD<f64>>,
        name: String,
    ) -> Result<Secret, Problem> {
        let (&[k, n], Some(&last)) = (w.shape(), x.shape.last()) else {
            return Err(format!("shapes {:?} and {:?} do not fit", x.shape, w.shape()).into());
        };
        if k != last || k == 0 || n == 0 {
            return Err(format!("shapes {:?} and {:?} do not fit", x.shape, w.shape()).into());
        }
        let mut shape = x.shape.clone();
        let at = shape.len() - 1;
        shape[at] = n;
        let x = self.force(x)?;
        let linear = Linear { from: self.node, x, form: Form::Dense, w, b, name, shape: shape.clone() };
        Ok(Secret::new(Lazy::Linear(Rc::new(linear)), shape))
    }
}

fn gemm(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let mut matrices = [im.value(node, 0)?, im.value(node, 1)?];
    for (m, attribute) in matrices.iter_mut().zip(["transA", "transB"]) {
        if m.shape().len() != 2 {
            return Err(format!("shape {:?} is no matrix", m.shape()).into());
        }
        if node.int(attribute, 0)? != 0 {
            *m = im.permuted(&m.clone(), &[1, 0])?;
        }
    }
    let [a, b] = matrices;
    let c = match im.optional(node, 2) {
        Some(Val::Known(Known::Numbers(n))) => {
            Some(Numbers { values: n.values.map(|v| v * beta), ..n }.into())
        }
        other => other,
    };
    let product = match (&a, &b) {
        (Val::Secret(x), Val::Known(Known::Numbers(w))) => {
            let name = w.name.clone().unwrap_or_else(|| im.own_name("weight"));
            im.dense(x, w.values.map(|v| v * alpha), None, name)?
        }
        _ => {
            let product = im.multiplied(&a, &b)?;
            let alpha = Numbers::real(ndarray::arr0(alpha).into_dyn());
            match product {
                Val::Secret(s) if alpha.single() != Some(1.0) => im.mapped_alone(&s, Some(alpha), None)?,
                Val::Secret(s) => s,
                Val::Known(_) => return Err("all its operands are constants".into()),
            }
        }
    };
    Ok(vec![match c {
        None => product.into(),
        Some(Val::Known(Known::Numbers(c))) => im.mapped_alone(&product, None, Some(c))?.into(),
        Some(Val::Secret(c)) => {
            let beta = Numbers::real(ndarray::arr0(beta).into_dyn());
            let c = if beta.single() == Some(1.0) { c } else { im.mapped_alone(&c, Some(beta), None)? };
            let (shape, a, b) = (product.shape.clone(), im.force(&product)?, im.force(&c)?);
            let value = im.p.add(a, b)?;
            Secret::new(Lazy::Ready(value), shape).into()
        }
        Some(Val::Known(Known::Texts(_))) => return Err("texts are not added".into()),
    }])
}

fn matmul(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let (a, b) = (im.value(node, 0)?, im.value(node, 1)?);
    // A vector is a row on the left and a column on the right, and the axis disappears again.
    let (rows, columns) = (a.shape().len() > 1, b.shape().len() > 1);
    let a = if rows { a } else { im.with_axes(&a, &[0])? };
    let b = if columns { b } else { im.with_axes(&b, &[1])? };
    let product = match (&a, &b) {
        (Val::Secret(x), Val::Known(Known::Numbers(w))) if w.values.ndim() == 2 => {
            let name = w.name.clone().unwrap_or_else(|| im.own_name("weight"));
            im.dense(x, w.values.clone(), None, name)?.into()
        }
        _ => im.multiplied(&a, &b)?,
    };
    if rows && columns {
        return Ok(vec![product]);
    }
    let rank = product.shape().len();
    let drop = |i: usize| (i + 2 == rank && !rows) || (i + 1 == rank && !columns);
    let shape: Vec<usize> =
        product.shape().iter().enumerate().filter(|&(i, _)| !drop(i)).map(|(_, &d)| d).collect();
    Ok(vec![im.reshaped(&product, &shape)?])
}

/// Numbers under a node's own name.
fn parameter(node: &Node, what: &str, values: ArrayD<f64>) -> (ArrayD<f64>, String) {
    (values, format!("{}.{what}", node.name))
}

fn regressor(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let targets =
        usize::try_from(node.int("targets", 1)?).ok().filter(|&t| t > 0).ok_or("it has no targets")?;
    let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let x = im.as_rows(&x)?;
    let scores = im.linear_scores(node, &x, targets)?;
    Ok(vec![scores.into()])
}

impl Importer<'_> {
    /// A vector as one row.
    pub(super) fn as_rows(&mut self, x: &Secret) -> Result<Secret, Problem> {
        let shape = match x.shape[..] {
            [_, _] => return Ok(x.clone()),
            [k] => vec![1, k],
            _ => return Err(format!("shape {:?} is no matrix", x.shape).into()),
        };
        match self.reshaped(&Val::Secret(x.clone()), &shape)? {
            Val::Secret(s) => Ok(s),
            Val::Known(_) => Err("a secret value stays secret".into()),
        }
    }

    /// x · coefficientsᵀ + intercepts, one column per target.
    pub(super) fn linear_scores(
        &mut self,
        node: &Node,
        x: &Secret,
        targets: usize,
    ) -> Result<Secret, Problem> {
        let coefficients = node.floats("coefficients")?.ok_or("it has no coefficients")?;
        let columns = x.shape[1];
        if coefficients.len() != targets * columns {
            let text =
                format!("{} coefficients for {targets} targets and {columns} columns", coefficients.len());
            return Err(text.into());
        }
        let w = shaped(&[targets, columns], coefficients).t().as_standard_layout().into_owned();
        let b = match node.floats("intercepts")? {
            None => None,
            Some(list) if list.is_empty() => None,
            Some(list) if list.len() == targets => Some(flat(list)),
            Some(list) => return Err(format!("{} intercepts for {targets} targets", list.len()).into()),
        };
        let (w, name) = parameter(node, "weight", w);
        self.dense(x, w, b, name)
    }
}
