//! Trees and their ensembles.

use super::super::constant::{Known, Numbers};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::options::Parameters;
use super::super::registry::Operator;
use super::super::value::{Lazy, Secret, Val};
use super::label::Classes;
use crate::builder::Owner;
use crate::models::trees::onnx::{Attributes, Operator as Kind};
use crate::models::trees::{Hidden, TreeEnsemble, TreeError, Weights};

/// What the nodes of all trees are.
const NODES: &[&str] = &[
    "base_values",
    "base_values_as_tensor",
    "nodes_falsenodeids",
    "nodes_featureids",
    "nodes_hitrates",
    "nodes_hitrates_as_tensor",
    "nodes_missing_value_tracks_true",
    "nodes_modes",
    "nodes_nodeids",
    "nodes_treeids",
    "nodes_truenodeids",
    "nodes_values",
    "nodes_values_as_tensor",
    "post_transform",
];

pub(super) const TABLE: &[Operator] = &[
    Operator::ml("TreeEnsembleClassifier", NODES, classifier).and(&[
        "class_ids",
        "class_nodeids",
        "class_treeids",
        "class_weights",
        "class_weights_as_tensor",
        "classlabels_int64s",
        "classlabels_strings",
    ]),
    Operator::ml("TreeEnsembleRegressor", NODES, regressor).and(&[
        "aggregate_function",
        "n_targets",
        "target_ids",
        "target_nodeids",
        "target_treeids",
        "target_weights",
        "target_weights_as_tensor",
    ]),
];

/// The attributes of a node, as the trees take them.
fn attributes(
    im: &mut Importer<'_>,
    node: &Node,
    operator: Kind,
    weights: &str,
) -> Result<Attributes, Problem> {
    let mut reals = |name: &str| -> Result<Vec<f64>, Problem> {
        match node.tensor(&format!("{name}_as_tensor"), &mut im.left)? {
            Some(Known::Numbers(Numbers { values, .. })) => Ok(values.iter().copied().collect()),
            Some(Known::Texts(_)) => Err(format!("{name}_as_tensor has texts").into()),
            None => Ok(node.floats(name)?.unwrap_or_default()),
        }
    };
    let base_values = reals("base_values")?;
    let of_leaves = reals(&format!("{weights}_weights"))?;
    let nodes_values = reals("nodes_values")?;
    let ints = |name: &str| -> Result<Vec<i64>, String> { Ok(node.ints(name)?.unwrap_or_default()) };
    Ok(Attributes {
        aggregate_function: node.text("aggregate_function", "SUM")?,
        post_transform: node.text("post_transform", "NONE")?,
        base_values,
        nodes_treeids: ints("nodes_treeids")?,
        nodes_nodeids: ints("nodes_nodeids")?,
        nodes_featureids: ints("nodes_featureids")?,
        nodes_values,
        nodes_modes: node.texts("nodes_modes")?.unwrap_or_default(),
        nodes_truenodeids: ints("nodes_truenodeids")?,
        nodes_falsenodeids: ints("nodes_falsenodeids")?,
        weights_treeids: ints(&format!("{weights}_treeids"))?,
        weights_nodeids: ints(&format!("{weights}_nodeids"))?,
        weights_ids: ints(&format!("{weights}_ids"))?,
        weights: of_leaves,
        ..Attributes::of(operator)
    })
}

fn wrong(error: TreeError) -> Problem {
    match error {
        TreeError::Program(error) => Problem::Program(error),
        other => Problem::Node(other.to_string()),
    }
}

/// The ensemble in the program, with its model's targets and scores.
fn placed(
    im: &mut Importer<'_>,
    node: &Node,
    a: &Attributes,
) -> Result<(TreeEnsemble, crate::models::trees::InProgram, usize), Problem> {
    let x = im.secret(node)?;
    let x = im.as_rows(&x)?;
    let model = TreeEnsemble::from_onnx(a, x.shape[1]).map_err(wrong)?;
    let value = im.force(&x)?;
    let prefix = im.free_name(&node.name);
    let weights = match im.options.parameters {
        Parameters::Public => Weights::Public,
        Parameters::Private { owner } => {
            Weights::Hidden { owner: Owner(owner), prefix: &prefix, hidden: Hidden::Values }
        }
    };
    let placed = model.add_to(&mut im.p, value, weights).map_err(wrong)?;
    for (name, values) in &placed.weights {
        im.names.insert(name.clone());
        im.parameters.insert(name.clone(), values.clone());
    }
    Ok((model, placed, x.shape[0]))
}

fn classifier(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let classes = Classes::of(node, "classlabels_int64s")?;
    let mut a = attributes(im, node, Kind::Classifier { n_classes: classes.count() }, "class")?;
    // A softmax is an operation of its own.
    let softmax = a.post_transform == "SOFTMAX";
    if softmax {
        a.post_transform = "NONE".into();
    }
    let (model, placed, rows) = placed(im, node, &a)?;
    let shape = im.fact(placed.scores)?.shape.dims().to_vec();
    let scores = Secret::new(Lazy::Ready(placed.scores), shape);
    let scores = if softmax { im.softmax(&scores, 1)? } else { scores };
    let label = if im.is_used(node, 0) {
        let index = model.class_in(&mut im.p, placed.targets).map_err(wrong)?;
        im.label(Secret::new(Lazy::Ready(index), vec![rows]), &classes)?
    } else {
        scores.clone()
    };
    Ok(vec![label.into(), scores.into()])
}

fn regressor(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let a = attributes(im, node, Kind::Regressor { n_targets: node.int("n_targets", 1)? }, "target")?;
    let (_, placed, _) = placed(im, node, &a)?;
    let shape = im.fact(placed.scores)?.shape.dims().to_vec();
    Ok(vec![Secret::new(Lazy::Ready(placed.scores), shape).into()])
}
