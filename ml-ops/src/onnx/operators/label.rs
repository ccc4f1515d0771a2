//! Classifiers, and what becomes of the labels they name.
//!
//! A label that is a text becomes its index among the labels ([`ImportedOutput::labels`](super::super::ImportedOutput::labels)
//! says which text that is); a label that is a number stays that number.

use std::rc::Rc;

use ndarray::Axis;

use super::super::constant::{Kind, Known, Numbers, flat, shaped};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Affine, Lazy, Origin, Secret, Val};

pub(super) const TABLE: &[Operator] = &[
    Operator::ml(
        "LinearClassifier",
        &[
            "classlabels_ints",
            "classlabels_strings",
            "coefficients",
            "intercepts",
            "multi_class",
            "post_transform",
        ],
        classifier,
    )
    .checked(known_transform),
    Operator::ml("ZipMap", &["classlabels_int64s", "classlabels_strings"], |im, n| Ok(vec![im.value(n, 0)?])),
    Operator::ml("ArrayFeatureExtractor", &[], extract),
    Operator::ml(
        "LabelEncoder",
        &[
            "keys_strings",
            "keys_int64s",
            "keys_floats",
            "keys_tensor",
            "values_strings",
            "values_int64s",
            "values_floats",
            "values_tensor",
            "default_string",
            "default_int64",
            "default_float",
            "default_tensor",
            "classes_strings",
        ],
        encode_labels,
    ),
    Operator::ml("OneHotEncoder", &["cats_int64s", "cats_strings", "zeros"], one_hot),
];

/// Names of classes.
pub(super) enum Classes {
    Numbers(Vec<i64>),
    Texts(Rc<Vec<String>>),
}

impl Classes {
    /// From the attributes of a classifier.
    pub(super) fn of(node: &Node, integers: &str) -> Result<Self, String> {
        match (node.ints(integers)?, node.texts("classlabels_strings")?) {
            (Some(list), None) if !list.is_empty() => Ok(Self::Numbers(list)),
            (None, Some(list)) if !list.is_empty() => Ok(Self::Texts(Rc::new(list))),
            _ => Err("it names no classes".into()),
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Numbers(n) => n.len(),
            Self::Texts(t) => t.len(),
        }
    }
}

fn known_transform(node: &Node) -> Result<(), String> {
    match node.text("post_transform", "NONE")?.as_str() {
        "NONE" | "LOGISTIC" | "SOFTMAX" => Ok(()),
        other => Err(format!("post_transform = {other} is not supported, only NONE, LOGISTIC and SOFTMAX")),
    }
}

impl Importer<'_> {
    /// The label of an index.
    pub(super) fn label(&mut self, index: Secret, classes: &Classes) -> Result<Secret, Problem> {
        let index = index.integral();
        match classes {
            Classes::Texts(texts) => Ok(Secret { labels: Some(texts.clone()), ..index }),
            Classes::Numbers(numbers) => {
                self.entry_of(index, &numbers.iter().map(|&n| n as f64).collect::<Vec<_>>())
            }
        }
    }

    /// The number at a secret index of a table that everybody knows.
    pub(super) fn entry_of(&mut self, index: Secret, table: &[f64]) -> Result<Secret, Problem> {
        let x = self.force(&index)?;
        let integral = table.iter().all(|v| v.fract() == 0.0);
        // An arithmetic series is a + b · index.
        let step = if let [first, second, ..] = table { second - first } else { 0.0 };
        let first = table.first().copied().unwrap_or(0.0);
        if table.iter().enumerate().all(|(i, &v)| v == first + i as f64 * step) {
            if first == 0.0 && step == 1.0 {
                return Ok(index);
            }
            let affine = Affine {
                from: self.node,
                x,
                m: Some(ndarray::arr0(step).into_dyn()),
                a: Some(ndarray::arr0(first).into_dyn()),
                name: String::new(),
                shape: index.shape.clone(),
                parameters: false,
            };
            return Ok(Secret { integral, ..Secret::new(Lazy::Affine(Rc::new(affine)), index.shape) });
        }
        let n = table.len();
        let rows: usize = index.shape.iter().product();
        let column = self.p.reshape(x, [rows, 1])?;
        let places = self.p.constant(&flat((0..n).map(|i| i as f64).collect()))?;
        let one_hot = self.p.equal(column, places)?;
        let table = self.constant(&shaped(&[n, 1], table.to_vec()))?;
        let value = self.p.matmul(one_hot, table)?;
        let value = self.p.reshape(value, &index.shape[..])?;
        Ok(Secret { integral, ..Secret::new(Lazy::Ready(value), index.shape) })
    }

    /// \[1 − p, p\] for a column p.
    pub(super) fn two_columns(&mut self, p: &Secret) -> Result<Secret, Problem> {
        let column = self.force(p)?;
        let one = self.p.number(1.0)?;
        let other = self.p.sub(one, column)?;
        let value = self.p.concat(&[other, column], Axis(1))?;
        // 1 − σ(z) is σ(−z).
        let origin = match p.origin {
            Some(Origin::Sigmoid { of, least }) => {
                let opposite = self.p.neg(of)?;
                Some(Origin::Sigmoid { of: self.p.concat(&[opposite, of], Axis(1))?, least })
            }
            _ => None,
        };
        Ok(Secret { low: p.low.min(0.0), origin, ..Secret::new(Lazy::Ready(value), vec![p.shape[0], 2]) })
    }

    /// The index of the largest of each row.
    pub(super) fn winner(&mut self, scores: &Secret) -> Result<Secret, Problem> {
        let x = self.force(scores)?;
        let value = self.p.argmax(x, Axis(1))?;
        Ok(Secret::new(Lazy::Ready(value), vec![scores.shape[0]]).integral())
    }

    /// \[x > 0\] of one column, as a vector.
    pub(super) fn positive(&mut self, column: &Secret) -> Result<Secret, Problem> {
        let x = self.force(column)?;
        let zero = self.p.number(0.0)?;
        let bit = self.p.greater(x, zero)?;
        let bit = self.p.reshape(bit, [column.shape[0]])?;
        Ok(Secret::new(Lazy::Ready(bit), vec![column.shape[0]]).integral())
    }
}

fn classifier(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let classes = Classes::of(node, "classlabels_ints")?;
    let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let x = im.as_rows(&x)?;
    let coefficients = node.floats("coefficients")?.unwrap_or_default();
    let targets = coefficients.len() / x.shape[1].max(1);
    let transform = node.text("post_transform", "NONE")?;
    if targets == 1 && classes.count() == 2 {
        // One score decides between two classes.
        let score = im.linear_scores(node, &x, 1)?;
        let label = if node.has_output(0) && im.is_used(node, 0) { Some(im.positive(&score)?) } else { None };
        let p = if transform == "LOGISTIC" { im.probability(&score)? } else { score };
        let scores = im.two_columns(&p)?;
        let scores = Secret { simplex: transform == "LOGISTIC", ..scores };
        let label = label.map_or_else(|| Ok(scores.clone()), |index| im.label(index, &classes))?;
        return Ok(vec![label.into(), scores.into()]);
    }
    if targets != classes.count() {
        return Err(format!("it has {targets} scores for {} classes", classes.count()).into());
    }
    if let Some(one) = opposite(node, targets, &coefficients, x.shape[1])? {
        return one.of(im, node, &x, &classes, &transform);
    }
    let scores = im.linear_scores(node, &x, targets)?;
    let label = if im.is_used(node, 0) {
        let index = im.winner(&scores)?;
        im.label(index, &classes)?
    } else {
        scores.clone()
    };
    let scores = match transform.as_str() {
        "LOGISTIC" => im.probability(&scores)?,
        "SOFTMAX" => im.softmax(&scores, 1)?,
        _ => scores,
    };
    Ok(vec![label.into(), scores.into()])
}

/// Two scores of which one is minus the other: one product does for both.
struct Opposite {
    coefficients: Vec<f64>,
    intercept: f64,
}

fn opposite(
    node: &Node,
    targets: usize,
    coefficients: &[f64],
    columns: usize,
) -> Result<Option<Opposite>, String> {
    let intercepts = node.floats("intercepts")?.unwrap_or_default();
    let intercepts = if intercepts.is_empty() { vec![0.0; targets] } else { intercepts };
    if targets != 2 || intercepts.len() != 2 {
        return Ok(None);
    }
    let (first, second) = coefficients.split_at(columns);
    let close = |a: f64, b: f64| (a + b).abs() <= 1e-6 * b.abs();
    let all = first.iter().zip(second).all(|(&a, &b)| close(a, b)) && close(intercepts[0], intercepts[1]);
    Ok(all.then(|| Opposite { coefficients: second.to_vec(), intercept: intercepts[1] }))
}

impl Opposite {
    fn of(
        self,
        im: &mut Importer<'_>,
        node: &Node,
        x: &Secret,
        classes: &Classes,
        transform: &str,
    ) -> Result<Vec<Val>, Problem> {
        let w = shaped(&[self.coefficients.len(), 1], self.coefficients);
        let z = im.dense(x, w, Some(flat(vec![self.intercept])), format!("{}.weight", node.name))?;
        let index = if im.is_used(node, 0) { Some(im.positive(&z)?) } else { None };
        let scores = match transform {
            "NONE" => {
                let second = im.force(&z)?;
                let first = im.p.neg(second)?;
                let value = im.p.concat(&[first, second], Axis(1))?;
                Secret::new(Lazy::Ready(value), vec![z.shape[0], 2])
            }
            _ => {
                let z = if transform == "SOFTMAX" {
                    // Of z and −z it is that of 0 and 2z.
                    let two = Numbers::new(Kind::Integer, ndarray::arr0(2.0).into_dyn());
                    let ready = Secret::new(Lazy::Ready(im.force(&z)?), z.shape.clone());
                    im.mapped_alone(&ready, Some(two), None)?
                } else {
                    z
                };
                let p = im.probability(&z)?;
                Secret { simplex: true, ..im.two_columns(&p)? }
            }
        };
        let label = index.map_or_else(|| Ok(scores.clone()), |index| im.label(index, classes))?;
        Ok(vec![label.into(), scores.into()])
    }
}

/// Columns by index, or labels by secret indices.
fn extract(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let (x, at) = (im.value(node, 0)?, im.value(node, 1)?);
    match (&x, &at) {
        (_, Val::Known(Known::Numbers(n))) => {
            let last = x.shape().len().checked_sub(1).ok_or("it takes columns of a number")?;
            let indices: Option<Vec<usize>> =
                n.to_integers()?.iter().map(|&i| usize::try_from(i).ok()).collect();
            let taken = im.taken(&x, last, &indices.ok_or("an index is negative")?)?;
            // A vector becomes a row.
            let taken = if taken.shape().len() == 1 { im.with_axes(&taken, &[0])? } else { taken };
            Ok(vec![taken])
        }
        (Val::Known(table), Val::Secret(index)) => {
            let classes = match table {
                Known::Texts(t) => Classes::Texts(Rc::new(t.texts.clone())),
                Known::Numbers(n) if n.values.len() == n.values.shape().last().copied().unwrap_or(1) => {
                    let table: Vec<f64> = n.values.iter().copied().collect();
                    let count: usize = index.shape.iter().product();
                    let found = im.entry_of(index.clone(), &table)?;
                    return Ok(vec![im.reshaped(&found.into(), &[1, count])?]);
                }
                Known::Numbers(_) => return Err("only vectors are indexed by secret indices".into()),
            };
            let count: usize = index.shape.iter().product();
            let label = im.label(index.clone(), &classes)?;
            Ok(vec![im.reshaped(&label.into(), &[1, count])?])
        }
        _ => Err("secret columns are not taken by secret indices".into()),
    }
}

/// Labels by their indices, or their indices by labels.
fn encode_labels(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let keys = |im: &mut Importer<'_>, what: &str| -> Result<Option<Known>, Problem> {
        if let Some(list) = node.ints(&format!("{what}_int64s"))? {
            return Ok(Some(Known::Numbers(Numbers::integers(list))));
        }
        if let Some(list) = node.floats(&format!("{what}_floats"))? {
            return Ok(Some(Known::Numbers(Numbers::real(flat(list)))));
        }
        if let Some(texts) = node.texts(&format!("{what}_strings"))? {
            return Ok(Some(Known::Texts(super::super::constant::Texts { shape: vec![texts.len()], texts })));
        }
        Ok(node.tensor(&format!("{what}_tensor"), &mut im.left)?)
    };
    let (keys, values) = (keys(im, "keys")?, keys(im, "values")?);
    let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let (Some(keys), Some(values)) = (keys, values) else { return Err("it has no keys and values".into()) };
    if keys.shape() != values.shape() {
        return Err(format!("it has keys {:?} and values {:?}", keys.shape(), values.shape()).into());
    }
    // From the key's place among the keys; a value that is no key becomes the default where that is a number.
    let places = match (&keys, &x.labels) {
        (Known::Texts(keys), Some(labels)) => {
            let place = |l: &String| keys.texts.iter().position(|k| k == l).map(|i| i as f64);
            let places: Option<Vec<f64>> = labels.iter().map(place).collect();
            im.entry_of(x.clone(), &places.ok_or("it has no key for a label")?)?
        }
        (Known::Texts(_), None) => {
            return Err("it encodes texts, which are no inputs; encode them before the model".into());
        }
        (Known::Numbers(keys), _) => {
            let in_order = keys.values.iter().enumerate().all(|(i, &k)| k == i as f64);
            if in_order && x.labels.is_none() && im.is_index(&x, keys.values.len())? {
                x.clone()
            } else {
                return im.matched(&x, keys, &values, node);
            }
        }
    };
    let classes = match values {
        Known::Texts(t) => Classes::Texts(Rc::new(t.texts)),
        Known::Numbers(n) => {
            let table: Vec<f64> = n.values.iter().copied().collect();
            return Ok(vec![im.entry_of(places, &table)?.into()]);
        }
    };
    Ok(vec![im.label(places, &classes)?.into()])
}

impl Importer<'_> {
    /// Whether a value is proven to be an integer from 0 on, below a length.
    fn is_index(&mut self, x: &Secret, length: usize) -> Result<bool, Problem> {
        if !x.integral || matches!(x.state(), Lazy::Whole { .. }) {
            return Ok(false);
        }
        let value = self.force(x)?;
        let fact = self.fact(value)?;
        Ok(fact.lo >= 0 && fact.max_abs() < length as f64)
    }

    /// Values by keys that are compared: value − default for the key that is met, plus the default.
    fn matched(
        &mut self,
        x: &Secret,
        keys: &Numbers,
        values: &Known,
        node: &Node,
    ) -> Result<Vec<Val>, Problem> {
        let default = match values {
            Known::Numbers(n) if n.kind == Kind::Integer => node.int("default_int64", -1)? as f64,
            Known::Numbers(_) => node.float("default_float", -0.0)?,
            // The default text comes after the others.
            Known::Texts(t) => t.texts.len() as f64,
        };
        if node.has("default_tensor") {
            return Err("default_tensor is not supported".into());
        }
        let (table, labels): (Vec<f64>, _) = match values {
            Known::Numbers(n) => (n.values.iter().copied().collect(), None),
            Known::Texts(t) => {
                let mut labels = t.texts.clone();
                labels.push(node.text("default_string", "_Unused")?);
                ((0..t.texts.len()).map(|i| i as f64).collect(), Some(Rc::new(labels)))
            }
        };
        let n = keys.values.len();
        if n != table.len() || n == 0 {
            return Err("it has no value for every key".into());
        }
        let rows: usize = x.shape.iter().product();
        let keys: Vec<f64> = keys.values.iter().copied().collect();
        let met = if let Lazy::Whole { of, .. } = x.state() {
            let of = self.p.reshape(of, [rows])?;
            self.whole_is(of, &keys)?
        } else {
            let value = self.force(x)?;
            let column = self.p.reshape(value, [rows, 1])?;
            let keys = self.constant(&flat(keys))?;
            self.p.equal(column, keys)?
        };
        let table = self.constant(&shaped(&[n, 1], table.iter().map(|v| v - default).collect()))?;
        let value = self.p.matmul(met, table)?;
        let default = self.constant(&ndarray::arr0(default).into_dyn())?;
        let value = self.p.add(value, default)?;
        let value = self.p.reshape(value, &x.shape[..])?;
        Ok(vec![Secret { labels, ..Secret::new(Lazy::Ready(value), x.shape.clone()).integral() }.into()])
    }

    /// Whether anybody uses an output of the node.
    pub(super) fn is_used(&self, node: &Node, i: usize) -> bool {
        node.outputs.get(i).is_some_and(|o| self.uses.contains_key(o))
    }
}

/// Zeros and ones for categories that are integers.
fn one_hot(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let categories =
        node.ints("cats_int64s")?.ok_or("its categories are texts; encode them before the model")?;
    let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let categories: Vec<f64> = categories.iter().map(|&c| c as f64).collect();
    let bits = match x.state() {
        Lazy::Whole { of, .. } => im.whole_is(of, &categories)?,
        _ => {
            let value = im.force(&x)?;
            let mut shape = x.shape.clone();
            shape.push(1);
            let value = im.p.reshape(value, &shape[..])?;
            let categories = im.p.constant(&flat(categories))?;
            im.p.equal(value, categories)?
        }
    };
    let shape = im.fact(bits)?.shape.dims().to_vec();
    Ok(vec![Secret::new(Lazy::Ready(bits), shape).integral().into()])
}
