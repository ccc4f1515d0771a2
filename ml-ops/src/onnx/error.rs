//! Why a model is not imported.

use std::path::PathBuf;

use crate::error::ProgramError;

/// Why a model cannot be read or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file that cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file, or something in it, beyond the limits.
    #[error("the model has {what}: {got}, at most {limit} are read")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// Bytes that are no model.
    #[error("not an ONNX model: {0}")]
    Malformed(String),
    /// Nodes that cannot be imported, all of them.
    #[error("{} cannot be imported: {}", count(.0.len()), listed(.0))]
    Refused(Vec<Refusal>),
    /// Inputs, outputs or options that do not fit the model.
    #[error("{0}")]
    Options(String),
    /// The program as a whole.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl ImportError {
    /// Whether some operator is not supported, so that the list of those that are helps.
    #[must_use]
    pub fn names_operators(&self) -> bool {
        matches!(self, Self::Refused(all) if all.iter().any(|r| matches!(r.problem, Problem::Operator)))
    }
}

/// One node that cannot be imported.
#[derive(Debug)]
pub struct Refusal {
    /// Name of the node; where it has none, that of its first output.
    pub node: String,
    /// Its operator, with the domain where that is not the default.
    pub operator: String,
    /// Why.
    pub problem: Problem,
}

/// Why a node cannot be imported.
#[derive(Debug)]
pub enum Problem {
    /// There is no such operator here.
    Operator,
    /// An attribute or operand outside what is supported.
    Node(String),
    /// The program's builder refuses what the node needs: magnitudes, shapes.
    Program(ProgramError),
    /// It needs the result of another node that cannot be imported; not listed.
    Downstream,
}

impl From<ProgramError> for Problem {
    fn from(error: ProgramError) -> Self {
        Self::Program(error)
    }
}

impl From<String> for Problem {
    fn from(what: String) -> Self {
        Self::Node(what)
    }
}

impl From<&str> for Problem {
    fn from(what: &str) -> Self {
        Self::Node(what.to_owned())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (node \"{}\"): ", self.operator, self.node)?;
        match &self.problem {
            Problem::Operator => f.write_str("no such operator here"),
            Problem::Node(what) => f.write_str(what),
            Problem::Program(error @ ProgramError::Overflow { .. }) => {
                write!(f, "{error}; a smaller range of the inputs, or a promised range, helps")
            }
            Problem::Program(error) => write!(f, "{error}"),
            Problem::Downstream => f.write_str("needs what another node cannot make"),
        }
    }
}

/// Most refusals that a message lists.
const LISTED: usize = 40;

fn count(n: usize) -> String {
    if n == 1 { "1 node".to_owned() } else { format!("{n} nodes") }
}

/// Unsupported operators are grouped by name, everything else stands by itself.
fn listed(all: &[Refusal]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = vec![];
    for refusal in all.iter().filter(|r| matches!(r.problem, Problem::Operator)) {
        match groups.iter_mut().find(|(operator, _)| *operator == refusal.operator) {
            Some((_, nodes)) => nodes.push(&refusal.node),
            None => groups.push((refusal.operator.clone(), vec![&refusal.node])),
        }
    }
    let unknown = groups.into_iter().map(|(operator, nodes)| {
        let word = if nodes.len() == 1 { "node" } else { "nodes" };
        let names: Vec<_> = nodes.iter().map(|n| format!("\"{n}\"")).collect();
        format!("{operator} ({word} {}): no such operator here", names.join(", "))
    });
    let others = all.iter().filter(|r| !matches!(r.problem, Problem::Operator)).map(ToString::to_string);
    let lines: Vec<String> = unknown.chain(others).collect();
    let mut text = lines.iter().take(LISTED).cloned().collect::<Vec<_>>().join("; ");
    if lines.len() > LISTED {
        text += &format!("; and {} more", lines.len() - LISTED);
    }
    text
}
