//! A program: the static graph that parties agree on before anything is shared.

use std::collections::HashSet;
use std::path::Path;

use mpc_core::fixed::FracBits;
use mpc_core::hex::hex;
use mpc_core::party::{MAX_PARTIES, PartyId};
use mpc_core::text::is_plain;
use protocols::prep::demand::MAX_ITEMS;
use sha2::{Digest, Sha256};

use crate::builder::ProgramBuilder;
use crate::error::ProgramError;
use crate::fact::Fact;
use crate::infer::{Context, infer};
use crate::lower::Lowered;
use crate::op::{InputKind, NodeId, Op};
use crate::repeat::Repeat;
use crate::settings::{Rounding, Settings, Trees};
use crate::shape::Shape;
use crate::window::Windows;

/// Most nodes, and most outputs, of a program.
pub const MAX_NODES: usize = 65_536;
/// Most comparisons per column of all sorts of a program: their networks are laid out to plan and to run it.
const MAX_COMPARATORS: u64 = 1 << 25;
/// Most stages of all sorts and extremes of a program: a demand has at most 2^20 items, of which other nodes take up to 8 each.
const MAX_STAGES: u64 = 1 << 19;
/// Most bytes of a name.
pub const MAX_NAME_BYTES: usize = 128;

/// One operation and what is known about its result.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Facts of the result.
    pub fact: Fact,
}

/// A value that leaves the computation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Unique name.
    pub name: String,
    /// The node whose value it is.
    pub node: NodeId,
    /// Who receives it, in increasing order; nobody if every party keeps its share.
    pub recipients: Vec<PartyId>,
}

/// A value that one party brings, as seen from outside the graph.
#[derive(Copy, Clone, Debug)]
pub struct InputSpec<'a> {
    /// The node.
    pub node: NodeId,
    /// Unique name.
    pub name: &'a str,
    /// Who brings it.
    pub owner: PartyId,
    /// Data or weights.
    pub kind: InputKind,
    /// Lengths of the axes.
    pub shape: &'a Shape,
    /// Largest magnitude that the owner may encode.
    pub max_abs: f64,
    /// Whether every value must be an integer.
    pub integer: bool,
}

/// A static graph with inferred facts. There is no way to hold one that inference has not accepted: the builder and
/// the decoder add nodes through the same door.
#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    pub(crate) name: String,
    pub(crate) frac: FracBits,
    pub(crate) settings: Settings,
    pub(crate) parties: Vec<String>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: Vec<Output>,
    /// Ranges of nodes that are computed several times, in order.
    pub(crate) loops: Vec<Repeat>,
    /// What bounds the work of laying out sorts and extremes.
    ranked: Ranked,
    /// Rows of the data, in a program with a window.
    pub(crate) rows: Option<usize>,
    /// Of every node whether it has a row for each of them.
    pub(crate) row_wise: Vec<bool>,
    /// What is run, if the rows do not fit one window.
    pub(crate) windows: Vec<Windows>,
}

impl Program {
    /// Starts a program for the named parties; an error about a name is reported by
    /// [`ProgramBuilder::build`].
    #[must_use]
    pub fn builder(name: &str, frac: FracBits, parties: &[&str]) -> ProgramBuilder {
        ProgramBuilder::new(name, frac, parties)
    }

    /// Name of the program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fraction bits of its real numbers.
    #[must_use]
    pub const fn frac_bits(&self) -> FracBits {
        self.frac
    }

    /// How truncations round.
    #[must_use]
    pub const fn rounding(&self) -> Rounding {
        self.settings.rounding
    }

    /// Which shape the trees of comparisons take.
    #[must_use]
    pub const fn trees(&self) -> Trees {
        self.settings.trees
    }

    /// Names of the parties, in the order of their indices.
    #[must_use]
    pub fn parties(&self) -> &[String] {
        &self.parties
    }

    /// The same program with other trees of comparisons: another digest, and the same results.
    ///
    /// # Errors
    /// [`ProgramError::Parameter`] for an operation that no dealer makes with these.
    pub fn with_trees(mut self, trees: Trees) -> Result<Self, ProgramError> {
        self.settings.trees = trees;
        // What is checked and laid out when a program is built depends on the trees.
        Self::decode(&self.encode())
    }

    /// The nodes, operands before users.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The outputs, in the order in which they were declared; those that name a [`Program::report`] leave while a loop runs.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The inputs, in node order.
    pub fn inputs(&self) -> impl Iterator<Item = InputSpec<'_>> {
        (0..).zip(&self.nodes).filter_map(|(node, n)| match &n.op {
            Op::Input { name, owner, kind, shape, integer, .. } => Some(InputSpec {
                node,
                name,
                owner: PartyId::new(*owner),
                kind: *kind,
                shape,
                max_abs: n.fact.max_abs(),
                integer: *integer,
            }),
            _ => None,
        })
    }

    /// Facts of one node.
    ///
    /// # Panics
    /// If the program has no such node.
    #[must_use]
    pub fn fact(&self, node: NodeId) -> &Fact {
        &self.nodes[node as usize].fact
    }

    /// SHA-256 of the canonical encoding: what parties compare before they compute.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }

    /// The digest as lower-case hexadecimal digits.
    #[must_use]
    pub fn digest_hex(&self) -> String {
        hex(&self.digest())
    }

    /// Writes the canonical encoding to a file.
    ///
    /// # Errors
    /// [`ProgramError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ProgramError> {
        let path = path.as_ref();
        std::fs::write(path, self.encode()).map_err(|source| ProgramError::File { path: path.into(), source })
    }

    /// Reads a program from a file that [`Program::save`] wrote. The file is not trusted: it is decoded as
    /// [`Program::decode`] does, and no more than its limit is read.
    ///
    /// # Errors
    /// [`ProgramError::File`], and those of [`Program::decode`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ProgramError> {
        use std::io::Read as _;
        let path = path.as_ref();
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|f| f.take(crate::codec::MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|source| ProgramError::File { path: path.into(), source })?;
        Self::decode(&bytes)
    }

    /// An empty program: the start of building and of decoding.
    pub(crate) const fn empty(name: String, frac: FracBits, parties: Vec<String>) -> Self {
        let settings = Settings { rounding: Rounding::Dithered, trees: Trees::DEFAULT, window_rows: None };
        Self {
            name,
            frac,
            settings,
            parties,
            nodes: vec![],
            outputs: vec![],
            loops: vec![],
            ranked: Ranked { comparators: 0, stages: 0 },
            rows: None,
            row_wise: vec![],
            windows: vec![],
        }
    }

    /// Indices below this are parties; a roster that is too long is refused at the end, by [`Program::checked`].
    fn party_limit(&self) -> usize {
        self.parties.len().min(MAX_PARTIES)
    }

    /// Appends a node after inference; the only way into the node list.
    pub(crate) fn push(&mut self, op: Op) -> Result<NodeId, ProgramError> {
        let node = self.nodes.len() as NodeId;
        if self.nodes.len() >= MAX_NODES {
            return Err(ProgramError::TooManyNodes);
        }
        let operands = op
            .operands()
            .into_iter()
            .map(|operand| match self.nodes.get(operand as usize) {
                Some(n) => Ok(&n.fact),
                None => Err(ProgramError::NoSuchNode { node, op: op.name(), operand }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.check_place(&op)?;
        let windowed = self.settings.window_rows.is_some();
        let times = op.operands().first().map_or(1, |&x| self.times(x));
        let cx = Context { frac: self.frac.bits(), parties: self.party_limit(), node, windowed, times };
        let fact = infer(&op, &operands, cx)?;
        self.ranked = self.ranked.with(&op, &operands, node, self.times(node))?;
        self.note_carried(&op);
        self.nodes.push(Node { op, fact });
        Ok(node)
    }

    /// Appends an output.
    pub(crate) fn push_output(&mut self, name: &str, node: NodeId, to: &[usize]) -> Result<(), ProgramError> {
        self.check_output(name, node)?;
        let parties = self.party_limit();
        if let Some(&got) = to.iter().find(|&&p| p >= parties) {
            return Err(ProgramError::NoSuchParty { what: "output", got, parties });
        }
        let mut sorted = to.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.is_empty() || sorted.len() != to.len() {
            return Err(ProgramError::Recipients { name: name.into(), got: to.to_vec() });
        }
        let recipients = sorted.into_iter().map(PartyId::new).collect();
        self.outputs.push(Output { name: name.into(), node, recipients });
        Ok(())
    }

    /// Appends a value that stays in shares.
    pub(crate) fn push_kept(&mut self, name: &str, node: NodeId) -> Result<(), ProgramError> {
        self.check_output(name, node)?;
        if self.report(node).is_some() {
            let (op, what) = (self.nodes[node as usize].op.name(), "a report has recipients");
            return Err(ProgramError::Parameter { node, op, what });
        }
        if self.fact(node).scale != self.frac.bits() {
            let (op, what) = (self.nodes[node as usize].op.name(), "what is kept in shares is no integer");
            return Err(ProgramError::Parameter { node, op, what });
        }
        self.outputs.push(Output { name: name.into(), node, recipients: vec![] });
        Ok(())
    }

    /// Checks that a value can leave the computation.
    fn check_output(&self, name: &str, node: NodeId) -> Result<(), ProgramError> {
        if self.outputs.len() >= MAX_NODES {
            return Err(ProgramError::TooManyNodes);
        }
        let Some(value) = self.nodes.get(node as usize) else {
            return Err(ProgramError::NoSuchNode { node, op: "output", operand: node });
        };
        if !value.fact.is_secret() {
            return Err(ProgramError::PublicOutput { name: name.into() });
        }
        if self.loop_of(node).is_some() && self.report(node).is_none() {
            let what = "an output is a value outside of loops, what the last iteration leaves, or a history; or a report";
            return Err(ProgramError::Parameter { node, op: value.op.name(), what });
        }
        Ok(())
    }

    /// Checks what is about the program as a whole: names, parties, that there is an output.
    pub(crate) fn checked(self) -> Result<Self, ProgramError> {
        if !(2..=MAX_PARTIES).contains(&self.parties.len()) {
            return Err(ProgramError::PartyCount { got: self.parties.len() });
        }
        check_name("program", &self.name)?;
        unique("party", self.parties.iter().map(String::as_str), &mut HashSet::new())?;
        let mut values = HashSet::new();
        unique("input", self.inputs().map(|i| i.name), &mut values)?;
        unique("shared value", self.shared().map(|s| s.name), &mut values)?;
        unique("output", self.outputs.iter().map(|o| o.name.as_str()), &mut values)?;
        if self.outputs.is_empty() {
            return Err(ProgramError::NoOutput { name: self.name });
        }
        let varies = |op: &Op| matches!(op, Op::Function { function, .. } if !function.is_exact());
        if self.rounding() == Rounding::Exact
            && let Some(node) = self.nodes.iter().position(|n| varies(&n.op))
        {
            return Err(ProgramError::Parameter {
                node: node as NodeId,
                op: self.nodes[node].op.name(),
                what: "its results depend on masks, and rounding is exact; use sigmoid",
            });
        }
        self.check_loops()?;
        self.check_reports()?;
        let cut = self.cut()?;
        let too_large = |l: &Lowered| l.cost_at(0).items.iter().any(|item| !item.is_sane());
        let refused = |node: usize, what| {
            let (node, op) = (node as NodeId, cut.nodes[node].op.name());
            Err(ProgramError::Parameter { node, op, what })
        };
        let mut items = 0usize;
        for (window, count) in cut.windows() {
            let lowered = window.lowered();
            if let Some(node) = lowered.iter().position(too_large) {
                return refused(
                    node,
                    "a dealer makes bundles for at most 2^22 elements and of at most 2 GiB at once; compute a window \
                     of rows at a time, or take narrower trees",
                );
            }
            let of_one: usize =
                window.places().map(|at| lowered[at.node as usize].cost_at(at.iteration).items.len()).sum();
            items = items.saturating_add(of_one.saturating_mul(count));
        }
        if items > MAX_ITEMS {
            return refused(
                0,
                "all windows, or iterations, together take at most 2^20 items of correlated randomness; take longer \
                 windows, or fewer iterations",
            );
        }
        Ok(cut)
    }
}

/// What all sorts and extremes of a program take together, at most.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Ranked {
    /// Comparisons per column.
    comparators: u64,
    /// Stages and levels, each of which takes an item of correlated randomness.
    stages: u64,
}

impl Ranked {
    /// With one more operation.
    fn with(mut self, op: &Op, operands: &[&Fact], node: NodeId, times: u32) -> Result<Self, ProgramError> {
        let (Op::Sort { axis, .. } | Op::Extreme { axis, .. }) = op else { return Ok(self) };
        let n = operands.first().map_or(1, |x| x.shape.dims()[*axis] as u64);
        let levels = u64::from(n.next_power_of_two().ilog2());
        if let Op::Sort { .. } = op {
            self.comparators += n * levels * (levels + 1) / 4;
            self.stages += u64::from(times) * levels * (levels + 1) / 2;
        } else {
            self.stages += u64::from(times) * levels;
        }
        let refused = |what| Err(ProgramError::Parameter { node, op: op.name(), what });
        if self.comparators > MAX_COMPARATORS {
            return refused("all sorts of a program together compare at most 2^25 times per column");
        }
        if self.stages > MAX_STAGES {
            return refused("all sorts and extremes of a program together have at most 2^19 stages");
        }
        Ok(self)
    }
}

fn unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
    seen: &mut HashSet<&'a str>,
) -> Result<(), ProgramError> {
    for name in names {
        check_name(what, name)?;
        if !seen.insert(name) {
            return Err(ProgramError::DuplicateName { what, name: name.into() });
        }
    }
    Ok(())
}

/// Names appear in text forms, errors and configs: they must not be able to imitate anything else there.
fn check_name(what: &'static str, name: &str) -> Result<(), ProgramError> {
    let printable = |c: char| {
        c == ' ' || (c.is_alphanumeric() && is_plain(c)) || (c.is_ascii_graphic() && c != '"' && c != '\\')
    };
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(printable) {
        return Err(ProgramError::BadName { what, got: name.chars().take(40).collect() });
    }
    Ok(())
}
