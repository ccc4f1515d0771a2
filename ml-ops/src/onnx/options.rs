//! What the file does not say: who brings what, who learns what, and how large things are.

use std::collections::BTreeMap;
use std::ops::Range;

use mpc_core::fixed::FracBits;

/// Who knows the model's parameters.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Parameters {
    /// Everybody: they are constants of the program.
    Public,
    /// One party, which brings them as inputs of the program. The others learn the graph, the shapes and the magnitude
    /// of each parameter tensor rounded up to a power of two.
    Private {
        /// Index of the party.
        owner: usize,
    },
}

/// Who brings a part of the features, or all of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Features {
    /// The input of the model that is meant; `None` for every input that no other entry names.
    pub input: Option<String>,
    /// Index of the party.
    pub owner: usize,
    /// Which columns (indices along axis 1); `None` for all.
    pub columns: Option<Range<usize>>,
    /// Largest magnitude; `None` for the common one.
    pub max_abs: Option<f64>,
}

/// The largest magnitude of some columns of an input. They become inputs of the program of their own, so that each party's data is
/// checked against it.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnRange {
    /// The input of the model; `None` for every input.
    pub input: Option<String>,
    /// Which columns (indices along axis 1); `None` for all of the input.
    pub columns: Option<Range<usize>>,
    /// Largest magnitude.
    pub max_abs: f64,
}

/// How a model is imported.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the program.
    pub name: String,
    /// Fraction bits of the program.
    pub frac: FracBits,
    /// Names of the parties, in the order of their indices.
    pub parties: Vec<String>,
    /// Who brings the features.
    pub features: Vec<Features>,
    /// Who knows the parameters.
    pub parameters: Parameters,
    /// Who learns the outputs.
    pub recipients: Vec<usize>,
    /// Which of the model's outputs are computed; empty for all.
    pub outputs: Vec<String>,
    /// Length of an axis without a fixed length that comes first in an input; 1 unless given.
    pub batch: Option<usize>,
    /// Lengths of other axes without a fixed length, by name.
    pub dims: BTreeMap<String, usize>,
    /// Largest magnitude of a feature.
    pub max_abs: f64,
    /// Largest magnitudes of columns, which go before those of owners; of several for a column the last counts.
    pub ranges: Vec<ColumnRange>,
    /// A promise that no intermediate result exceeds this, for graphs whose proven bounds are too wide.
    pub assume: Option<f64>,
    /// Rows that are computed at a time.
    pub window_rows: Option<u32>,
}

impl Options {
    /// The features are party 0's, the parameters party 1's, the outputs go to party 0; batch 1, magnitudes up to 256.
    #[must_use]
    pub fn new(name: &str, parties: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            frac: FracBits::DEFAULT,
            parties: parties.iter().map(|&p| p.to_owned()).collect(),
            features: vec![Features { input: None, owner: 0, columns: None, max_abs: None }],
            parameters: Parameters::Private { owner: 1 },
            recipients: vec![0],
            outputs: vec![],
            batch: None,
            dims: BTreeMap::new(),
            max_abs: 256.0,
            ranges: vec![],
            assume: None,
            window_rows: None,
        }
    }
}
