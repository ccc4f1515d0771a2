//! Functions that a model defines itself, written out where they are called.

use std::collections::{BTreeMap, HashMap};

use prost::Message as _;

use super::error::ImportError;
use super::graph::{MAX_NODES, Node, Opsets};
use super::load::MAX_MODEL_BYTES;
use super::proto::FunctionProto;

/// How deep functions may call functions.
const MAX_CALLS: usize = 64;

/// Replaces calls by the nodes of the functions, whose own names get that of the call in front.
pub(super) fn written_out(nodes: Vec<Node>, functions: &[FunctionProto]) -> Result<Vec<Node>, ImportError> {
    let by_name: HashMap<(&str, &str), &FunctionProto> = functions
        .iter()
        .map(|f| ((f.domain.as_deref().unwrap_or_default(), f.name.as_deref().unwrap_or_default()), f))
        .collect();
    if nodes.len() > MAX_NODES {
        return Err(too_many(nodes.len()));
    }
    let mut rest: Vec<(Node, usize)> = nodes.into_iter().rev().map(|n| (n, 0)).collect();
    let mut all = vec![];
    let mut calls = 0;
    let mut bytes = 0;
    while let Some((node, depth)) = rest.pop() {
        let Some(function) = by_name.get(&(node.domain.as_str(), node.op.as_str())) else {
            all.push(node);
            continue;
        };
        if depth >= MAX_CALLS {
            return Err(ImportError::Malformed(format!("function \"{}\" calls itself", node.op)));
        }
        calls += 1;
        // Every call has a copy.
        bytes += function.encoded_len() as u64;
        if bytes > MAX_MODEL_BYTES {
            return Err(ImportError::TooLarge {
                what: "bytes in functions",
                got: bytes,
                limit: MAX_MODEL_BYTES,
            });
        }
        let body = body(&node, function, calls);
        if rest.len() + all.len() + body.len() > MAX_NODES {
            return Err(too_many(rest.len() + all.len() + body.len()));
        }
        rest.extend(body.into_iter().rev().map(|n| (n, depth + 1)));
    }
    Ok(all)
}

fn too_many(got: usize) -> ImportError {
    ImportError::TooLarge { what: "nodes", got: got as u64, limit: MAX_NODES as u64 }
}

/// The nodes of one call.
fn body(call: &Node, function: &FunctionProto, number: usize) -> Vec<Node> {
    let opsets: Opsets = function
        .opset_import
        .iter()
        .map(|o| {
            let domain = o.domain.clone().filter(|d| d != "ai.onnx").unwrap_or_default();
            (domain, o.version.unwrap_or(1))
        })
        .collect();
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for (i, formal) in function.input.iter().enumerate() {
        names.insert(formal, call.inputs.get(i).cloned().unwrap_or_default());
    }
    for (formal, actual) in function.output.iter().zip(&call.outputs) {
        names.insert(formal, actual.clone());
    }
    let prefix = format!("{}#{number}/", call.name);
    let renamed = |name: &String| match names.get(name.as_str()) {
        _ if name.is_empty() => String::new(),
        Some(actual) => actual.clone(),
        None => format!("{prefix}{name}"),
    };
    let defaults = function.attribute_proto.iter();
    let defaults: BTreeMap<&str, _> = defaults.map(|a| (a.name.as_deref().unwrap_or_default(), a)).collect();
    let one = |proto: &super::proto::NodeProto| {
        let mut node = Node::new(proto.clone(), &opsets);
        node.name = format!("{prefix}{}", node.name);
        node.inputs = node.inputs.iter().map(renamed).collect();
        node.outputs = node.outputs.iter().map(renamed).collect();
        // Attributes that refer to those of the call; what neither the call nor the function gives is left out.
        node.attributes = std::mem::take(&mut node.attributes)
            .into_iter()
            .filter_map(|(name, a)| {
                let Some(from) = a.ref_attr_name.as_deref().filter(|r| !r.is_empty()) else {
                    return Some((name, a));
                };
                let given = call.attributes.get(from).or_else(|| defaults.get(from).copied());
                given.map(|a| (name, a.clone()))
            })
            .collect();
        node
    };
    function.node.iter().map(one).collect()
}
