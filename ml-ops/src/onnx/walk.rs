//! Walks a model's nodes in order and translates each.

use std::collections::{HashMap, HashSet, VecDeque};

use super::constant::{Kind, Known};
use super::emit::Importer;
use super::error::{ImportError, Problem, Refusal};
use super::graph::{MAX_NODES, Node, nodes};
use super::load::{MAX_ELEMENTS, Model};
use super::options::Options;
use super::outputs::{self, Imported};
use super::registry;
use super::value::Val;
use super::{check, types};
use crate::program::Program;

/// Most elements that constants take together while a model is walked, copies among them.
const MAX_HELD: usize = 8 * MAX_ELEMENTS;
/// Most elements of constants that all nodes together read: each copies its operands.
const MAX_READ: usize = 64 * MAX_ELEMENTS;

/// Translates a model.
pub(super) fn import(model: &Model, options: &Options) -> Result<Imported, ImportError> {
    let wanted = outputs::wanted(model, options)?;
    let nodes = nodes(model, &wanted)?;
    let mut refusals = check::all(&nodes);
    let parties: Vec<&str> = options.parties.iter().map(String::as_str).collect();
    let mut p = Program::builder(&options.name, options.frac, &parties);
    if let Some(rows) = options.window_rows {
        p.window_rows(rows);
    }
    let mut importer = Importer {
        p,
        options,
        values: HashMap::new(),
        uses: uses(&nodes, &wanted),
        parameters: std::collections::BTreeMap::new(),
        // What users see of the model keeps its names.
        names: wanted.iter().cloned().collect(),
        left: model.elements_left,
        held: MAX_HELD,
        read: MAX_READ,
        node: 0,
        blamed: None,
        queued: vec![],
        notes: vec![],
        integers: HashSet::new(),
        columns: HashMap::new(),
        even: HashMap::new(),
    };
    for (name, value) in &model.initializers {
        importer.values.insert(name.clone(), Val::Known(value.clone()));
    }
    let inputs = importer.inputs(model)?;
    let done = importer.walk(nodes, &mut refusals);
    if !refusals.is_empty() {
        return Err(ImportError::Refused(refusals));
    }
    let named = |(node, what): &(usize, String)| {
        let node =
            done.get(*node).map_or_else(String::new, |n| format!("{} (node \"{}\"): ", n.operator(), n.name));
        format!("{node}{what}")
    };
    let notes = importer.notes.iter().map(named).collect();
    importer.finish(&wanted, inputs, notes)
}

/// How often each value is used, outputs included.
fn uses(nodes: &[Node], wanted: &[String]) -> HashMap<String, usize> {
    let mut uses = HashMap::new();
    for name in nodes.iter().flat_map(|n| &n.inputs).chain(wanted) {
        *uses.entry(name.clone()).or_insert(0) += 1;
    }
    uses
}

impl Importer<'_> {
    /// Translates all nodes. What is wrong is collected; nodes that need what then is not there are passed over.
    fn walk(&mut self, nodes: Vec<Node>, refusals: &mut Vec<Refusal>) -> Vec<Node> {
        let refused: HashSet<String> = refusals.iter().map(|r| r.node.clone()).collect();
        let mut rest: VecDeque<Node> = nodes.into();
        let mut made: HashSet<String> = rest.iter().flat_map(|n| n.outputs.iter().cloned()).collect();
        let mut done: Vec<Node> = vec![];
        while let Some(node) = rest.pop_front() {
            self.node = done.len();
            let probe = node.refused(Problem::Downstream);
            let result = if refused.contains(&probe.node) {
                Err(Problem::Downstream)
            } else if done.len() + rest.len() > 2 * MAX_NODES {
                Err(format!("the model has more than {MAX_NODES} nodes").into())
            } else {
                self.translated(&node, &made)
            };
            match result.and_then(|values| self.hold(values)) {
                Ok(values) => {
                    for (i, name) in node.outputs.iter().enumerate() {
                        if types::is_integer(&node, i, |i| self.has_integer_type(&node, i)) {
                            self.integers.insert(name.clone());
                        }
                    }
                    self.values
                        .extend(node.outputs.iter().cloned().zip(values).filter(|(n, _)| !n.is_empty()));
                }
                Err(Problem::Downstream) => {}
                Err(problem) => {
                    let about = self.blamed.and_then(|at| done.get(at)).unwrap_or(&node);
                    refusals.push(about.refused(problem));
                }
            }
            self.blamed = None;
            done.push(node);
            // The nodes of a branch come in its place.
            for node in std::mem::take(&mut self.queued).into_iter().rev() {
                for name in &node.inputs {
                    *self.uses.entry(name.clone()).or_insert(0) += 1;
                }
                made.extend(node.outputs.iter().cloned());
                rest.push_front(node);
            }
        }
        done
    }

    /// Counts what constants take; there may be many copies of a large one.
    fn hold(&mut self, values: Vec<Val>) -> Result<Vec<Val>, Problem> {
        for value in &values {
            if let Val::Known(Known::Numbers(n)) = value {
                let left = self.held.checked_sub(n.values.len());
                self.held =
                    left.ok_or("the constants of the model and what follows from them take too much memory")?;
            }
        }
        Ok(values)
    }

    fn translated(&mut self, node: &Node, made: &HashSet<String>) -> Result<Vec<Val>, Problem> {
        // What is missing would have been made by what was refused, or by nothing.
        if let Some(missing) = node.inputs.iter().find(|i| !i.is_empty() && !self.values.contains_key(*i)) {
            return Err(if made.contains(missing) {
                Problem::Downstream
            } else {
                format!("nothing makes its operand \"{missing}\"").into()
            });
        }
        let operator = registry::find(node).ok_or(Problem::Operator)?;
        for name in &node.inputs {
            if let Some(Val::Known(known)) = self.values.get(name) {
                let left = self.read.checked_sub(known.shape().iter().product());
                self.read = left.ok_or("its nodes read large constants too often")?;
            }
        }
        (operator.import)(self, node)
    }

    /// Operand i of a node, which must be there.
    pub(super) fn value(&self, node: &Node, i: usize) -> Result<Val, Problem> {
        self.optional(node, i).ok_or_else(|| format!("operand {i} is missing").into())
    }

    /// Operand i of a node, if it is there.
    pub(super) fn optional(&self, node: &Node, i: usize) -> Option<Val> {
        node.input(i).and_then(|name| self.values.get(name)).cloned()
    }

    /// Whether operand i has an integer type.
    pub(super) fn has_integer_type(&self, node: &Node, i: usize) -> bool {
        match self.optional(node, i) {
            Some(Val::Known(Known::Numbers(n))) => n.kind == Kind::Integer,
            Some(Val::Secret(_)) => node.input(i).is_some_and(|name| self.integers.contains(name)),
            Some(Val::Known(Known::Texts(_))) | None => false,
        }
    }

    /// Whether nothing but this node uses operand i.
    pub(super) fn is_only_use(&self, node: &Node, i: usize) -> bool {
        node.input(i).and_then(|name| self.uses.get(name)) == Some(&1)
    }
}
