//! Functions that exporters write out as many nodes, put together again: normalisations, softmax, sigmoid, GELU, SiLU.
//!
//! One protocol for all is cheaper, and its magnitudes are known: the quotient in a normalisation has no bound by itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::constant::Known;
use super::graph::Node;
use super::load::Model;
use super::proto::AttributeProto;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::registry::INTERNAL;

/// A quotient with a guard against a sum of 0.
pub(super) const GUARDED: &str = "GuardedQuotient";

/// 1 / (1 + e^−x), which underflows later than the operator `Sigmoid`.
pub(super) const WRITTEN_SIGMOID: &str = "WrittenSigmoid";

/// Norms below this count as it anyway.
const SMALL: f64 = 1.0 / 128.0;

/// What is known about a graph while patterns are looked for.
struct Graph<'a> {
    nodes: &'a [Node],
    /// The node that makes a value.
    makers: HashMap<&'a str, usize>,
    uses: HashMap<&'a str, Vec<usize>>,
    outputs: HashSet<&'a str>,
    model: &'a Model,
}

/// The nodes with patterns replaced, each by a node in the place of its last. What nobody uses any more is still there.
pub(super) fn joined(nodes: Vec<Node>, model: &Model) -> Vec<Node> {
    let found: Vec<(usize, Node)> = {
        let mut makers = HashMap::new();
        let mut uses: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, node) in nodes.iter().enumerate() {
            makers.extend(node.outputs.iter().map(|o| (o.as_str(), i)));
            node.inputs.iter().for_each(|x| uses.entry(x).or_default().push(i));
        }
        let graph =
            Graph { nodes: &nodes, makers, uses, outputs: model.outputs().into_iter().collect(), model };
        (0..nodes.len()).filter_map(|i| graph.at(i)).collect()
    };
    let mut nodes = nodes;
    for (at, node) in found {
        nodes[at] = node;
    }
    nodes
}

impl Graph<'_> {
    fn at(&self, i: usize) -> Option<(usize, Node)> {
        let node = &self.nodes[i];
        if !node.domain.is_empty() {
            return None;
        }
        match node.op.as_str() {
            "Div" => self
                .layer_normalization(i)
                .or_else(|| self.unit_norm(i))
                .or_else(|| self.softmax(i))
                .or_else(|| self.guarded(i))
                .or_else(|| self.sigmoid(i, node.input(1)?)),
            "Reciprocal" => self.sigmoid(i, node.input(0)?),
            "Erf" => self.gelu(i),
            "Mul" => self.silu(i),
            _ => None,
        }
    }

    /// The node that makes a value, if it has this operator.
    fn made_by(&self, value: &str, op: &str) -> Option<&Node> {
        let node = &self.nodes[*self.makers.get(value)?];
        (node.op == op && node.domain.is_empty()).then_some(node)
    }

    /// The only node that uses a value, and which it is.
    fn only_user(&self, value: &str) -> Option<usize> {
        match self.uses.get(value).map(Vec::as_slice) {
            Some([user]) if !self.outputs.contains(value) => Some(*user),
            _ => None,
        }
    }

    fn constant(&self, value: &str) -> Option<Known> {
        if let Some(known) = self.model.initializers.get(value) {
            return Some(known.clone());
        }
        let node = self.made_by(value, "Constant")?;
        node.tensor("value", &mut 16).ok().flatten()
    }

    /// A constant of one number, with at most one axis: more could give what it is combined with more axes.
    fn number(&self, value: &str) -> Option<f64> {
        match self.constant(value)? {
            Known::Numbers(n) if n.values.ndim() <= 1 => n.single(),
            Known::Numbers(_) | Known::Texts(_) => None,
        }
    }

    /// The other operand of a node of two, if one is this number.
    fn beside<'n>(&self, node: &'n Node, number: f64) -> Option<&'n str> {
        let (a, b) = (node.input(0)?, node.input(1)?);
        let is = |v: &str| self.number(v).is_some_and(|n| (n - number).abs() < 1e-4 * number.abs());
        if is(b) { Some(a) } else { is(a).then_some(b) }
    }

    /// (x − mean) / √(mean of squares + ε), along the last axis.
    fn layer_normalization(&self, i: usize) -> Option<(usize, Node)> {
        let division = &self.nodes[i];
        let centred = self.made_by(division.input(0)?, "Sub")?;
        let (x, mean) = (centred.input(0)?, centred.input(1)?);
        self.is_mean_of(mean, x)?;
        let root = self.made_by(division.input(1)?, "Sqrt")?;
        let sum = self.made_by(root.input(0)?, "Add")?;
        let (variance, epsilon) = match (self.number(sum.input(1)?), self.number(sum.input(0)?)) {
            (Some(e), _) => (sum.input(0)?, e),
            (None, Some(e)) => (sum.input(1)?, e),
            (None, None) => return None,
        };
        let square = self.made_by(variance, "ReduceMean")?.input(0)?;
        self.is_mean_of(variance, square)?;
        let base = match (self.made_by(square, "Pow"), self.made_by(square, "Mul")) {
            (Some(pow), _) if self.number(pow.input(1)?) == Some(2.0) => pow.input(0)?,
            (None, Some(mul)) if mul.input(0) == mul.input(1) => mul.input(0)?,
            _ => return None,
        };
        let same = base == division.input(0)?
            || self.made_by(base, "Sub").is_some_and(|s| s.inputs == centred.inputs);
        let attributes = BTreeMap::from([
            ("epsilon".to_owned(), float("epsilon", epsilon)),
            ("axis".to_owned(), integer("axis", -1)),
        ]);
        same.then(|| (i, replacing(division, "LayerNormalization", vec![x.to_owned()], attributes)))
    }

    /// x / max(√Σx², ε) along an axis; the divisor may be repeated before.
    fn unit_norm(&self, i: usize) -> Option<(usize, Node)> {
        let division = &self.nodes[i];
        let x = division.input(0)?;
        let mut inputs = vec![x.to_owned()];
        let mut size = division.input(1)?;
        if let Some(repeated) = self.made_by(size, "Expand") {
            // That this is the shape of x is checked when shapes are known.
            inputs.push(repeated.input(1)?.to_owned());
            size = repeated.input(0)?;
        }
        if let Some(limited) = self.made_by(size, "Clip").or_else(|| self.made_by(size, "Max")) {
            size = self.barely_limited(limited)?;
        }
        let norm = self.made_by(size, "ReduceL2").filter(|n| n.input(0) == Some(x))?;
        let &[axis] = &self.axes_of(norm)?[..] else { return None };
        if norm.int("keepdims", 1) != Ok(1) {
            return None;
        }
        let attributes =
            BTreeMap::from([("axis".to_owned(), integer("axis", axis)), ("p".to_owned(), integer("p", 2))]);
        Some((i, replacing(division, "LpNormalization", inputs, attributes)))
    }

    /// What a limit that only keeps a divisor from being 0 is put on.
    fn barely_limited<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let small = |limit: f64| (0.0..=SMALL).contains(&limit);
        if node.op == "Max" {
            let [a, b] = &node.inputs[..] else { return None };
            let is = |v: &String| self.number(v).is_some_and(small);
            return if is(b) { Some(a) } else { is(a).then_some(b) };
        }
        if node.has("max") || node.input(2).is_some() {
            return None;
        }
        let limit = if node.has("min") { node.float("min", 0.0).ok()? } else { self.number(node.input(1)?)? };
        small(limit).then_some(node.input(0)?)
    }

    /// e^(x − max x) / Σ e^(x − max x) along an axis.
    fn softmax(&self, i: usize) -> Option<(usize, Node)> {
        let division = &self.nodes[i];
        let powers = self.made_by(division.input(0)?, "Exp")?;
        let sum =
            self.made_by(division.input(1)?, "ReduceSum").filter(|n| n.input(0) == division.input(0))?;
        let below = self.made_by(powers.input(0)?, "Sub")?;
        let largest = self.made_by(below.input(1)?, "ReduceMax").filter(|n| n.input(0) == below.input(0))?;
        let &[axis] = &self.axes_of(sum)?[..] else { return None };
        let stays = |n: &Node| n.int("keepdims", 1) == Ok(1);
        if self.axes_of(largest)? != [axis] || !stays(sum) || !stays(largest) {
            return None;
        }
        let attributes = BTreeMap::from([("axis".to_owned(), integer("axis", axis))]);
        let softmax = replacing(division, "Softmax", vec![below.input(0)?.to_owned()], attributes);
        Some((i, Node { opset: softmax.opset.max(13), ..softmax }))
    }

    /// (p + g) / (Σp + g · n) with g = \[Σp = 0\], as probabilities of n classes are written.
    fn guarded(&self, i: usize) -> Option<(usize, Node)> {
        let division = &self.nodes[i];
        let (above, below) =
            (self.made_by(division.input(0)?, "Add")?, self.made_by(division.input(1)?, "Add")?);
        let (sum, guards) = either(below, |v| self.made_by(v, "Mul"))?;
        let (guard, classes) = either(guards, |v| self.number(v))?;
        let (p, _) = either(above, |v| (v == guard).then_some(()))?;
        let not = self.made_by(self.made_by(guard, "Cast")?.input(0)?, "Not")?;
        let bit = self.made_by(not.input(0)?, "Cast")?;
        let of = self.made_by(sum, "ReduceSum")?;
        let is_bit = bit.int("to", 0) == Ok(DataType::Bool as i64) && bit.input(0) == Some(sum);
        if !is_bit || of.input(0) != Some(p) || classes.fract() != 0.0 {
            return None;
        }
        let inputs = [division.input(0)?, division.input(1)?, p, sum].map(str::to_owned).to_vec();
        let attributes = BTreeMap::from([("classes".to_owned(), integer("classes", classes as i64))]);
        let node = replacing(division, GUARDED, inputs, attributes);
        Some((i, Node { domain: INTERNAL.to_owned(), ..node }))
    }

    /// 1 / (1 + e^−x)
    fn sigmoid(&self, i: usize, divisor: &str) -> Option<(usize, Node)> {
        let division = &self.nodes[i];
        if division.op == "Div" && self.number(division.input(0)?) != Some(1.0) {
            return None;
        }
        let power = self.made_by(self.beside(self.made_by(divisor, "Add")?, 1.0)?, "Exp")?;
        let exponent = power.input(0)?;
        let x = match (self.made_by(exponent, "Neg"), self.made_by(exponent, "Mul")) {
            (Some(neg), _) => neg.input(0)?,
            (None, Some(mul)) => self.beside(mul, -1.0)?,
            (None, None) => return None,
        };
        let node = replacing(division, WRITTEN_SIGMOID, vec![x.to_owned()], BTreeMap::new());
        Some((i, Node { domain: INTERNAL.to_owned(), ..node }))
    }

    /// The axes that a node names.
    fn axes_of(&self, node: &Node) -> Option<Vec<i64>> {
        match (node.ints("axes").ok()?, node.input(1)) {
            (Some(list), _) => Some(list),
            (None, Some(name)) => match self.constant(name)? {
                Known::Numbers(n) => n.to_integers().ok(),
                Known::Texts(_) => None,
            },
            (None, None) => None,
        }
    }

    /// Whether a value is the mean of another along the last axis, which stays.
    fn is_mean_of(&self, mean: &str, x: &str) -> Option<()> {
        let node = self.made_by(mean, "ReduceMean")?;
        (node.input(0) == Some(x) && self.axes_of(node)? == [-1] && node.int("keepdims", 1) == Ok(1))
            .then_some(())
    }

    /// x · (1 + erf(x/√2)) · ½, in the orders in which it is written.
    fn gelu(&self, i: usize) -> Option<(usize, Node)> {
        let erf = &self.nodes[i];
        let inner = erf.input(0)?;
        let x = match (self.made_by(inner, "Div"), self.made_by(inner, "Mul")) {
            (Some(div), _) if self.number(div.input(1)?).is_some_and(|n| (n - 2f64.sqrt()).abs() < 1e-4) => {
                div.input(0)?
            }
            (None, Some(mul)) => self.beside(mul, 0.5f64.sqrt())?,
            _ => return None,
        };
        let made = erf.outputs.first()?;
        let plus = self.only_user(made)?;
        if self.nodes[plus].op != "Add" || self.beside(&self.nodes[plus], 1.0)? != made {
            return None;
        }
        // What is left is x and ½ in up to two products.
        let mut at = plus;
        let (mut has_x, mut has_half) = (false, false);
        while !(has_x && has_half) {
            let value = self.nodes[at].outputs.first()?;
            let next = self.only_user(value)?;
            let node = &self.nodes[next];
            if node.op != "Mul" {
                return None;
            }
            let other = if node.input(0)? == value { node.input(1)? } else { node.input(0)? };
            if !has_x && other == x {
                has_x = true;
            } else if !has_half && self.number(other) == Some(0.5) {
                has_half = true;
            } else if !has_x
                && !has_half
                && self.made_by(other, "Mul").is_some_and(|m| self.beside(m, 0.5) == Some(x))
            {
                (has_x, has_half) = (true, true);
            } else {
                return None;
            }
            at = next;
        }
        Some((at, replacing(&self.nodes[at], "Gelu", vec![x.to_owned()], BTreeMap::new())))
    }

    /// x · σ(x)
    fn silu(&self, i: usize) -> Option<(usize, Node)> {
        let product = &self.nodes[i];
        let (a, b) = (product.input(0)?, product.input(1)?);
        let gate = |x: &str, s: &str| {
            self.made_by(s, "Sigmoid").is_some_and(|n| n.input(0) == Some(x)) && self.only_user(s) == Some(i)
        };
        let x = if gate(a, b) {
            a
        } else if gate(b, a) {
            b
        } else {
            return None;
        };
        Some((i, replacing(product, "Swish", vec![x.to_owned()], BTreeMap::new())))
    }
}

/// The two operands of a node, where f knows one: the other, and what f says.
fn either<'n, T>(node: &'n Node, f: impl Fn(&'n str) -> Option<T>) -> Option<(&'n str, T)> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    f(b).map(|found| (a, found)).or_else(|| f(a).map(|found| (b, found)))
}

/// Another operator in the place of a node.
fn replacing(
    node: &Node,
    op: &str,
    inputs: Vec<String>,
    attributes: BTreeMap<String, AttributeProto>,
) -> Node {
    Node { op: op.to_owned(), inputs, attributes, ..node.clone() }
}

fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Float as i32),
        f: Some(value as f32),
        ..AttributeProto::default()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..AttributeProto::default()
    }
}
