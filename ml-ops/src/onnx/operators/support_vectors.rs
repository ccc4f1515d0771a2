//! Support vector machines. Those with a linear kernel are linear models written otherwise; with another kernel, that of a row and every
//! support vector is computed first, and a linear model of those follows.

use ndarray::{Array2, ArrayD, Axis};

use super::super::constant::{flat, shaped};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Secret, Val};
use super::label::Classes;
use crate::builder::Value;

pub(super) const TABLE: &[Operator] = &[
    Operator::ml(
        "SVMClassifier",
        &[
            "classlabels_ints",
            "classlabels_strings",
            "coefficients",
            "kernel_params",
            "kernel_type",
            "post_transform",
            "prob_a",
            "prob_b",
            "rho",
            "support_vectors",
            "vectors_per_class",
        ],
        classifier,
    )
    .checked(no_probabilities),
    Operator::ml(
        "SVMRegressor",
        &[
            "coefficients",
            "kernel_params",
            "kernel_type",
            "n_supports",
            "one_class",
            "post_transform",
            "rho",
            "support_vectors",
        ],
        regressor,
    )
    .checked(known_kernel),
];

fn known_kernel(node: &Node) -> Result<(), String> {
    node.only("one_class", 0)?;
    match node.text("kernel_type", "LINEAR")?.as_str() {
        "LINEAR" | "RBF" | "POLY" | "SIGMOID" => {}
        other => {
            return Err(format!(
                "kernel_type = {other} is not supported, only LINEAR, RBF, POLY and SIGMOID"
            ));
        }
    }
    match node.text("post_transform", "NONE")?.as_str() {
        "NONE" => Ok(()),
        other => Err(format!("post_transform = {other} is not supported, only NONE")),
    }
}

fn no_probabilities(node: &Node) -> Result<(), String> {
    known_kernel(node)?;
    if node.has("prob_a") {
        return Err(
            "probabilities (prob_a) are not supported; export a model that was trained without, or calibrate it".into()
        );
    }
    Ok(())
}

/// What the weights of support vectors are applied to.
enum Base {
    /// Rows, of so many columns: the vectors are summed up.
    Rows(usize),
    /// The kernel of a row and each vector.
    Kernels,
}

/// A row as it is, or its kernels with all support vectors.
fn operand(im: &mut Importer<'_>, node: &Node) -> Result<(Secret, Base), Problem> {
    let x = im.secret(node)?;
    let x = im.as_rows(&x)?;
    let columns = x.shape[1];
    let kind = node.text("kernel_type", "LINEAR")?;
    if kind == "LINEAR" {
        return Ok((x, Base::Rows(columns)));
    }
    let vectors = node.floats("support_vectors")?.unwrap_or_default();
    if vectors.is_empty() || !vectors.len().is_multiple_of(columns) {
        return Err(format!("{} numbers of support vectors for {columns} columns", vectors.len()).into());
    }
    let Some(&[gamma, offset, degree, ..]) = node.floats("kernel_params")?.as_deref() else {
        return Err("kernel_params are three numbers".into());
    };
    let n = vectors.len() / columns;
    let vectors = shaped(&[n, columns], vectors);
    let name = format!("{}.vectors", node.name);
    let product = |im: &mut Importer<'_>, by: f64, b: ArrayD<f64>| -> Result<Value, Problem> {
        let w = vectors.t().as_standard_layout().map(|v| v * by);
        let z = im.dense(&x, w, Some(b), name.clone())?;
        im.force(&z)
    };
    let value = match kind.as_str() {
        "RBF" => {
            // −γ|x − v|² is 2γ·x·v − γ|v|² − γ|x|².
            let sizes = vectors.map_axis(Axis(1), |v| -gamma * v.iter().map(|v| v * v).sum::<f64>());
            let z = product(im, 2.0 * gamma, sizes)?;
            let rows = im.force(&x)?;
            let square = im.p.square(rows)?;
            let size = im.p.sum(square, Axis(1))?;
            let size = im.p.scale(size, gamma)?;
            let size = im.p.reshape(size, [x.shape[0], 1])?;
            let exponent = im.p.sub(z, size)?;
            im.p.exp_negative(exponent)?
        }
        "POLY" => {
            if degree.fract() != 0.0 || !(1.0..=8.0).contains(&degree) {
                return Err(format!("a degree of {degree} is not supported, only 1 to 8").into());
            }
            let z = product(im, gamma, flat(vec![offset; n]))?;
            let mut power = z;
            for done in 1..degree as usize {
                power = if done == 1 { im.p.square(z)? } else { im.p.mul(power, z)? };
            }
            im.assumed(power)?
        }
        _ => {
            let z = product(im, gamma, flat(vec![offset; n]))?;
            im.p.tanh(z)?
        }
    };
    Ok((Secret::new(Lazy::Ready(value), vec![x.shape[0], n]), Base::Kernels))
}

/// Weights for each pair of classes, as the columns of a matrix.
fn of_pairs(node: &Node, classes: usize, base: &Base, left: &mut usize) -> Result<ArrayD<f64>, String> {
    let vectors = node.floats("support_vectors")?.unwrap_or_default();
    let coefficients = node.floats("coefficients")?.unwrap_or_default();
    let per_class = node.ints("vectors_per_class")?.unwrap_or_default();
    let per_class: Option<Vec<usize>> = per_class.iter().map(|&n| usize::try_from(n).ok()).collect();
    let per_class =
        per_class.filter(|p| p.len() == classes).ok_or("vectors_per_class has a number per class")?;
    let n = per_class
        .iter()
        .try_fold(0usize, |sum, &k| sum.checked_add(k))
        .ok_or("it has too many support vectors")?;
    let of_vectors = match base {
        Base::Rows(columns) => n.checked_mul(*columns) == Some(vectors.len()),
        Base::Kernels => true,
    };
    if !of_vectors || n == 0 || n.checked_mul(classes - 1) != Some(coefficients.len()) {
        return Err(format!(
            "{n} support vectors with {} numbers and {} weights for {classes} classes do not fit",
            vectors.len(),
            coefficients.len()
        ));
    }
    let rows = if let Base::Rows(columns) = base { *columns } else { n };
    let starts: Vec<usize> =
        per_class.iter().scan(0, |at, &k| Some(std::mem::replace(at, *at + k))).collect();
    // A row of a few numbers becomes one of as many as there are pairs.
    let pairs = classes * (classes - 1) / 2;
    super::super::fold::spend(&[rows, pairs], left)?;
    let mut w = Array2::zeros((rows, pairs));
    let mut pair = 0;
    for i in 0..classes {
        for j in i + 1..classes {
            for (class, row) in [(i, j - 1), (j, i)] {
                for v in starts[class]..starts[class] + per_class[class] {
                    let alpha = coefficients[row * n + v];
                    match base {
                        Base::Rows(columns) => {
                            (0..*columns).for_each(|c| w[[c, pair]] += alpha * vectors[v * columns + c]);
                        }
                        Base::Kernels => w[[v, pair]] += alpha,
                    }
                }
            }
            pair += 1;
        }
    }
    Ok(w.into_dyn())
}

/// Every pair of classes votes for one of them; the scores are those of the pairs.
fn many_classes(im: &mut Importer<'_>, node: &Node, classes: &Classes) -> Result<Vec<Val>, Problem> {
    let n = classes.count();
    if n > 64 {
        return Err(format!("{n} classes are not supported, at most 64").into());
    }
    let (x, base) = operand(im, node)?;
    let w = of_pairs(node, n, &base, &mut im.left)?;
    let pairs = w.shape()[1];
    let rho = node.floats("rho")?.unwrap_or_default();
    if rho.len() != pairs {
        return Err(format!("{} intercepts for {pairs} pairs of classes", rho.len()).into());
    }
    let scores = im.dense(&x, w, Some(flat(rho)), format!("{}.weight", node.name))?;
    if !im.is_used(node, 0) {
        return Ok(vec![scores.clone().into(), scores.into()]);
    }
    let value = im.force(&scores)?;
    let zero = im.p.number(0.0)?;
    let first = im.p.greater(value, zero)?;
    // A bit is a vote for the first of the pair; without it, for the second.
    let mut for_first = Array2::zeros((pairs, n));
    let mut for_second = vec![0.0; n];
    let both = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    for (pair, (i, j)) in both.enumerate() {
        for_first[[pair, i]] = 1.0;
        for_first[[pair, j]] = -1.0;
        for_second[j] += 1.0;
    }
    let votes = im.p.constant(&for_first.into_dyn())?;
    let votes = im.p.matmul(first, votes)?;
    let others = im.p.constant(&flat(for_second))?;
    let votes = im.p.add(votes, others)?;
    let votes = Secret::new(Lazy::Ready(votes), vec![x.shape[0], n]);
    let index = im.winner(&votes)?;
    Ok(vec![im.label(index, classes)?.into(), scores.into()])
}

/// Σ αᵢ·K(vᵢ, x) + ρ; of a linear kernel as one product with the sum of the support vectors, weighted.
fn score(im: &mut Importer<'_>, node: &Node, sign: f64) -> Result<Secret, Problem> {
    let (x, base) = operand(im, node)?;
    let columns = x.shape[1];
    let vectors = node.floats("support_vectors")?.unwrap_or_default();
    let coefficients = node.floats("coefficients")?.unwrap_or_default();
    let rho = node.floats("rho")?.unwrap_or_default();
    let weights = if vectors.is_empty() || matches!(base, Base::Kernels) {
        coefficients
    } else {
        if vectors.len() != coefficients.len() * columns {
            return Err(format!(
                "{} support vectors for {columns} columns have {} numbers",
                coefficients.len(),
                vectors.len()
            )
            .into());
        }
        (0..columns)
            .map(|c| coefficients.iter().enumerate().map(|(i, a)| a * vectors[i * columns + c]).sum())
            .collect()
    };
    if weights.len() != columns || rho.len() != 1 {
        return Err(
            format!("{} weights and {} intercepts for {columns} columns", weights.len(), rho.len()).into()
        );
    }
    let w = shaped(&[columns, 1], weights.into_iter().map(|v: f64| v * sign).collect());
    im.dense(&x, w, Some(flat(vec![rho[0] * sign])), format!("{}.weight", node.name))
}

fn classifier(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let classes = Classes::of(node, "classlabels_ints")?;
    if classes.count() != 2 {
        return many_classes(im, node, &classes);
    }
    // The sum votes for the first class.
    let z = score(im, node, -1.0)?;
    let label = if im.is_used(node, 0) { Some(im.positive(&z)?) } else { None };
    // onnxruntime lists the score of the second class first.
    let first = im.force(&z)?;
    let second = im.p.neg(first)?;
    let value = im.p.concat(&[first, second], Axis(1))?;
    let scores = Secret::new(Lazy::Ready(value), vec![z.shape[0], 2]);
    let label = label.map_or_else(|| Ok(scores.clone()), |index| im.label(index, &classes))?;
    Ok(vec![label.into(), scores.into()])
}

fn regressor(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    Ok(vec![score(im, node, 1.0)?.into()])
}
