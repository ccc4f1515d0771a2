//! Nodes of a model in the order of computation, with what their attributes say.

use std::collections::{BTreeMap, HashSet};

use super::constant::Known;
use super::error::{ImportError, Problem, Refusal};
use super::load::Model;
use super::proto::attribute_proto::AttributeType;
use super::proto::{AttributeProto, NodeProto};
use super::registry::INTERNAL;
use super::{function, pattern, tensor};

/// Most nodes, with those of functions written out.
pub(super) const MAX_NODES: usize = 1 << 16;

/// One node.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) name: String,
    /// Empty for the default domain.
    pub(super) domain: String,
    pub(super) op: String,
    /// Version of the operators of its domain.
    pub(super) opset: i64,
    /// An operand that is left out is an empty name.
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: BTreeMap<String, AttributeProto>,
}

/// Versions of the operator sets, by domain.
pub(super) type Opsets = BTreeMap<String, i64>;

impl Node {
    pub(super) fn new(proto: NodeProto, opsets: &Opsets) -> Self {
        let domain = match proto.domain.unwrap_or_default() {
            d if d == "ai.onnx" => String::new(),
            d if d == INTERNAL => format!("{d} of the file"),
            d => d,
        };
        let output = proto.output.first().cloned().unwrap_or_default();
        let name = proto.name.filter(|n| !n.is_empty()).unwrap_or(output);
        Self {
            name,
            opset: opsets.get(&domain).copied().unwrap_or(1),
            op: proto.op_type.unwrap_or_default(),
            domain,
            inputs: proto.input,
            outputs: proto.output,
            attributes: proto
                .attribute
                .into_iter()
                .map(|a| (a.name.clone().unwrap_or_default(), a))
                .collect(),
        }
    }

    /// The operator with its domain, as messages name it.
    pub(super) fn operator(&self) -> String {
        if self.domain.is_empty() { self.op.clone() } else { format!("{}.{}", self.domain, self.op) }
    }

    pub(super) fn refused(&self, problem: Problem) -> Refusal {
        let clip = |text: &str| text.chars().filter(|c| !c.is_control()).take(120).collect::<String>();
        Refusal { node: clip(&self.name), operator: clip(&self.operator()), problem }
    }

    /// Name of an operand; `None` if it is left out.
    pub(super) fn input(&self, i: usize) -> Option<&str> {
        self.inputs.get(i).map(String::as_str).filter(|n| !n.is_empty())
    }

    /// Whether an output has a name, so that somebody may use it.
    pub(super) fn has_output(&self, i: usize) -> bool {
        self.outputs.get(i).is_some_and(|n| !n.is_empty())
    }

    pub(super) fn has(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }

    fn typed(&self, name: &str, kind: AttributeType) -> Result<Option<&AttributeProto>, String> {
        let Some(a) = self.attributes.get(name) else { return Ok(None) };
        // Files of the first versions leave the type out.
        let seen = a.r#type.unwrap_or(0);
        if seen != 0 && seen != kind as i32 {
            return Err(format!("attribute `{name}` has another type than {}", kind.as_str_name()));
        }
        Ok(Some(a))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.typed(name, AttributeType::Int)?.map_or(default, |a| a.i.unwrap_or(0)))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f64, String> {
        let value = self.typed(name, AttributeType::Float)?.map_or(default, |a| a.f.unwrap_or(0.0));
        Ok(short(value))
    }

    pub(super) fn text(&self, name: &str, default: &str) -> Result<String, String> {
        let a = self.typed(name, AttributeType::String)?;
        Ok(a.map_or_else(
            || default.to_owned(),
            |a| String::from_utf8_lossy(a.s.as_deref().unwrap_or_default()).into_owned(),
        ))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, String> {
        Ok(self.typed(name, AttributeType::Ints)?.map(|a| a.ints.clone()))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f64>>, String> {
        let a = self.typed(name, AttributeType::Floats)?;
        Ok(a.map(|a| a.floats.iter().map(|&v| f64::from(v)).collect()))
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, String> {
        let a = self.typed(name, AttributeType::Strings)?;
        Ok(a.map(|a| a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()))
    }

    /// A tensor among the attributes.
    pub(super) fn tensor(&self, name: &str, left: &mut usize) -> Result<Option<Known>, String> {
        let a = self.typed(name, AttributeType::Tensor)?;
        a.and_then(|a| a.t.as_ref()).map(|t| tensor::known(t, left)).transpose()
    }

    /// Refuses another value of an attribute than the one that is supported.
    pub(super) fn only(&self, name: &str, supported: i64) -> Result<(), String> {
        match self.int(name, supported)? {
            v if v == supported => Ok(()),
            v => Err(format!("{name} = {v} is not supported, only {supported}")),
        }
    }
}

/// A number that was written in decimal and stored in single precision, such as 0.2: the shortest decimal that is stored so.
fn short(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// The nodes of a model, with calls of its own functions written out, that its `wanted` outputs need.
pub(super) fn nodes(model: &Model, wanted: &[String]) -> Result<Vec<Node>, ImportError> {
    let opsets: Opsets = model
        .proto
        .opset_import
        .iter()
        .map(|o| {
            let domain = o.domain.clone().filter(|d| d != "ai.onnx").unwrap_or_default();
            (domain, o.version.unwrap_or(1))
        })
        .collect();
    let nodes = model.graph.node.iter().cloned().map(|n| Node::new(n, &opsets)).collect();
    let nodes = function::written_out(nodes, &model.proto.functions)?;
    let nodes = pattern::joined(ordered(nodes, model)?, model);
    Ok(needed(nodes, wanted))
}

/// Checks that no name is made twice, and sorts nodes so that operands come first. Files have them so, but not all tools care.
fn ordered(nodes: Vec<Node>, model: &Model) -> Result<Vec<Node>, ImportError> {
    let mut known: HashSet<String> = model.initializers.keys().cloned().collect();
    known.extend(model.inputs().iter().map(|&n| n.to_owned()));
    let mut made: HashSet<&str> = HashSet::new();
    for output in nodes.iter().flat_map(|n| &n.outputs).filter(|o| !o.is_empty()) {
        if known.contains(output) || !made.insert(output) {
            return Err(ImportError::Malformed(format!("the value \"{output}\" is made twice")));
        }
    }
    let made: HashSet<String> = made.into_iter().map(str::to_owned).collect();
    // A value that nothing makes is an error of its node, found when the node is reached.
    let ready = |n: &Node, known: &HashSet<String>| {
        n.inputs.iter().all(|i| i.is_empty() || known.contains(i) || !made.contains(i))
    };
    let mut sorted = Vec::with_capacity(nodes.len());
    let mut rest = nodes;
    while !rest.is_empty() {
        let before = rest.len();
        let mut later = vec![];
        for node in rest {
            if ready(&node, &known) {
                known.extend(node.outputs.iter().cloned());
                sorted.push(node);
            } else {
                later.push(node);
            }
        }
        if later.len() == before {
            let name = &later[0].name;
            return Err(ImportError::Malformed(format!("node \"{name}\" waits for its own result")));
        }
        // Each pass over a file in order places all; a hostile one must not make it quadratic.
        if later.len() > 4096 && before - later.len() < later.len() / 64 {
            return Err(ImportError::Malformed("its nodes are far out of order".into()));
        }
        rest = later;
    }
    Ok(sorted)
}

/// Drops nodes whose results nobody uses.
fn needed(nodes: Vec<Node>, wanted: &[String]) -> Vec<Node> {
    let mut used: HashSet<String> = wanted.iter().cloned().collect();
    let mut kept = vec![];
    for node in nodes.into_iter().rev() {
        if node.outputs.iter().any(|o| used.contains(o)) {
            used.extend(node.inputs.iter().cloned());
            // Branches use values of the graph around them.
            let mut graphs: Vec<_> = node.attributes.values().filter_map(|a| a.g.as_deref()).collect();
            while let Some(graph) = graphs.pop() {
                used.extend(graph.node.iter().flat_map(|n| n.input.iter().cloned()));
                used.extend(graph.output.iter().filter_map(|o| o.name.clone()));
                graphs.extend(graph.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.g.as_deref()));
            }
            kept.push(node);
        }
    }
    kept.reverse();
    kept
}
