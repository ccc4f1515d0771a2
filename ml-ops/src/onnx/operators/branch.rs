//! Branches, which are taken when the model is imported.

use std::collections::BTreeMap;

use super::super::check;
use super::super::constant::Known;
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::tensor;
use super::super::value::Val;

pub(super) const TABLE: &[Operator] = &[Operator::new("If", &["then_branch", "else_branch"], branch)];

/// Queues the nodes of the branch that a known condition takes, and what hands its results on.
fn branch(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let condition = match im.value(node, 0)? {
        Val::Known(Known::Numbers(n)) => n.single().ok_or("the condition is one truth value")?,
        _ => {
            return Err(
                "the condition depends on the inputs; branches are taken when the model is imported".into()
            );
        }
    };
    let which = if condition != 0.0 { "then_branch" } else { "else_branch" };
    let graph = node.attributes.get(which).and_then(|a| a.g.as_deref()).ok_or("it has no branches")?;
    for t in &graph.initializer {
        let value = tensor::known(t, &mut im.left)?;
        im.values.insert(t.name.clone().unwrap_or_default(), value.into());
    }
    let opsets = BTreeMap::from([(String::new(), node.opset)]);
    let mut nodes: Vec<Node> = graph.node.iter().cloned().map(|n| Node::new(n, &opsets)).collect();
    if let Some(refusal) = check::all(&nodes).into_iter().next() {
        return Err(format!("its {which} has {refusal}").into());
    }
    for (inner, outer) in graph.output.iter().zip(&node.outputs) {
        nodes.push(Node {
            name: node.name.clone(),
            domain: String::new(),
            op: "Identity".into(),
            opset: node.opset,
            inputs: vec![inner.name.clone().unwrap_or_default()],
            outputs: vec![outer.clone()],
            attributes: BTreeMap::new(),
        });
    }
    im.queued = nodes;
    Ok(vec![])
}
