//! The operators that are supported. One table: what is listed to users follows from it.

use super::emit::Importer;
use super::error::Problem;
use super::graph::Node;
use super::operators;
use super::value::Val;

/// What an operator's importer does: the values of the node's outputs.
pub(super) type Import = fn(&mut Importer<'_>, &Node) -> Result<Vec<Val>, Problem>;

/// One operator.
pub(super) struct Operator {
    /// Empty for the default domain.
    pub(super) domain: &'static str,
    pub(super) name: &'static str,
    /// The attributes that it may have.
    attributes: &'static [&'static str],
    /// More of them, where operators share a list.
    own_attributes: &'static [&'static str],
    /// Whether their values are supported.
    pub(super) check: fn(&Node) -> Result<(), String>,
    pub(super) import: Import,
}

impl Operator {
    /// An operator of the default domain.
    pub(super) const fn new(name: &'static str, attributes: &'static [&'static str], import: Import) -> Self {
        Self { domain: "", name, attributes, own_attributes: &[], check: |_| Ok(()), import }
    }

    /// An operator of the domain of classical models.
    pub(super) const fn ml(name: &'static str, attributes: &'static [&'static str], import: Import) -> Self {
        Self { domain: ML, ..Self::new(name, attributes, import) }
    }

    /// An operator that patterns become.
    pub(super) const fn internal(
        name: &'static str,
        attributes: &'static [&'static str],
        import: Import,
    ) -> Self {
        Self { domain: INTERNAL, ..Self::new(name, attributes, import) }
    }

    /// With more attributes than the operators that it shares a list with.
    pub(super) const fn and(self, own_attributes: &'static [&'static str]) -> Self {
        Self { own_attributes, ..self }
    }

    /// Whether it may have an attribute.
    pub(super) fn knows(&self, attribute: &str) -> bool {
        self.attributes.contains(&attribute) || self.own_attributes.contains(&attribute)
    }

    pub(super) const fn checked(self, check: fn(&Node) -> Result<(), String>) -> Self {
        Self { check, ..self }
    }
}

/// The domain of what patterns become that no file names.
pub(super) const INTERNAL: &str = "import";

/// The domain of classical models.
pub(super) const ML: &str = "ai.onnx.ml";

/// The tables of all files of operators.
fn all() -> impl Iterator<Item = &'static Operator> {
    operators::TABLES.iter().copied().flatten()
}

/// The operator of a node.
pub(super) fn find(node: &Node) -> Option<&'static Operator> {
    all().find(|o| o.name == node.op && o.domain == node.domain)
}

/// Names of all operators that are supported, sorted; those of other domains than the default with it in front.
#[must_use]
pub fn supported() -> Vec<String> {
    let named = |o: &Operator| {
        if o.domain.is_empty() { o.name.to_owned() } else { format!("{}.{}", o.domain, o.name) }
    };
    let mut names: Vec<String> = all().filter(|o| o.domain != INTERNAL).map(named).collect();
    names.sort();
    names
}
