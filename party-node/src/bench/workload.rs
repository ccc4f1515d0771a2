//! The workloads: a computation, its sizes, and fresh random inputs whose plaintext result is known.

use std::collections::BTreeMap;

use ml_ops::models::lenet::{Pooling, lenet};
use ml_ops::models::regression::{LABELS, Regression, Target};
use ml_ops::models::scorecard::{Member, scorecard};
use ml_ops::models::{self, Roles};
use ml_ops::reference;
use ml_ops::training::Training;
use ml_ops::{Owner, Program, ProgramError};
use mpc_core::fixed::FracBits;
use ndarray::{ArrayD, Axis};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use super::forest;
use crate::config::{Net, Offline};

/// Inputs or outputs by name.
pub type Values = BTreeMap<String, ArrayD<f64>>;

/// What is computed.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Elementwise products of two parties' vectors.
    Mul,
    /// Elementwise comparisons of two parties' vectors.
    Compare,
    /// max(x, 0), elementwise.
    Relu,
    /// The product of two parties' square matrices.
    Matmul,
    /// Logistic functions, elementwise.
    Sigmoid,
    /// GELU, elementwise.
    Gelu,
    /// Softmax of rows of ten numbers.
    Softmax,
    /// Logistic regression with secret weights, over columns of all parties.
    LrInfer,
    /// Fitting a logistic regression to columns of all parties: 10 epochs in batches of 128.
    LrTrain,
    /// A 784-128-128-10 network with ReLU and secret weights.
    Mlp,
    /// A hundred boosted trees of depth 5 that party 0 keeps, on rows of party 1.
    Tree,
    /// LeNet with secret weights: two convolutions with max-pooling and ReLU, 800-500-10.
    Lenet,
    /// No computation: multiplication triples alone.
    Triples,
    /// No computation: correlated oblivious transfers alone, as many in either direction between any two parties.
    Cots,
    /// No computation: rounds of 64 bytes, then of `n` bytes, between all parties.
    Link,
}

/// A workload and its sizes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Which.
    pub workload: Workload,
    /// Elements, side of the matrices, rows or batch.
    pub n: usize,
    /// Columns in all (logistic regressions, trees).
    pub columns: usize,
    /// Products without truncation: the plain ring.
    pub raw: bool,
    /// Computing parties.
    pub parties: usize,
    /// Who makes correlated randomness.
    pub offline: Offline,
}

/// Magnitude of inputs.
const MAX: f64 = 8.0;
/// Numbers in a row of a softmax.
const CLASSES: usize = 10;
/// Of a training.
const EPOCHS: u32 = 10;
const BATCH: usize = 128;

impl Workload {
    /// Whether a program is computed.
    #[must_use]
    pub const fn computes(self) -> bool {
        !matches!(self, Self::Link | Self::Triples | Self::Cots)
    }

    /// The size where none is given.
    #[must_use]
    pub const fn default_n(self) -> usize {
        match self {
            Self::Mul => 1_000_000,
            Self::Compare | Self::Relu | Self::Sigmoid | Self::Gelu => 100_000,
            Self::Matmul => 256,
            Self::LrInfer => 10_000,
            Self::Softmax => 1_000,
            Self::LrTrain => 1_000,
            Self::Mlp => 128,
            Self::Tree => 1_000,
            Self::Lenet => 1,
            Self::Link => 8 << 20,
            Self::Triples => 1_000_000,
            Self::Cots => 20_000_000,
        }
    }

    /// The number of columns where none is given.
    #[must_use]
    pub const fn default_columns(self) -> usize {
        if matches!(self, Self::Tree) { 30 } else { 32 }
    }

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mul => "mul",
            Self::Compare => "compare",
            Self::Relu => "relu",
            Self::Matmul => "matmul",
            Self::Sigmoid => "sigmoid",
            Self::Gelu => "gelu",
            Self::Softmax => "softmax",
            Self::LrInfer => "lr-infer",
            Self::LrTrain => "lr-train",
            Self::Mlp => "mlp",
            Self::Tree => "tree",
            Self::Lenet => "lenet",
            Self::Link => "link",
            Self::Triples => "triples",
            Self::Cots => "cots",
        }
    }
}

impl Task {
    /// Sizes for people.
    #[must_use]
    pub fn shape(&self) -> String {
        let n = self.n;
        match self.workload {
            Workload::Matmul => format!("{n}x{n}x{n}"),
            Workload::LrInfer => format!("{n}x{}", self.columns),
            Workload::Tree => {
                format!("{n}x{}, {} trees of depth {}", self.columns, forest::TREES, forest::DEPTH)
            }
            Workload::Softmax => format!("{n}x{CLASSES}"),
            Workload::LrTrain => format!("{n}x{}, {EPOCHS} epochs, batch {BATCH}", self.columns),
            Workload::Link => format!("{n} bytes"),
            Workload::Mlp => format!("{}, batch {n}", models::mlp::DIGITS.map(|l| l.to_string()).join("-")),
            Workload::Lenet => format!("1-20-50-500-10, batch {n}"),
            _ if self.raw => format!("{n}, raw"),
            _ => n.to_string(),
        }
    }

    /// Names of the parties.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        (0..self.parties).map(|i| format!("party{i}")).collect()
    }

    /// The program, with trees for this network. Results go to party 0.
    ///
    /// # Errors
    /// [`ProgramError`] for sizes that make none.
    pub fn program(&self, net: Net) -> Result<Program, ProgramError> {
        self.as_built()?.with_trees(net.trees())
    }

    fn as_built(&self) -> Result<Program, ProgramError> {
        let names = self.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let n = self.n;
        if matches!(self.workload, Workload::LrInfer | Workload::LrTrain) {
            let share = |i: usize| self.columns / self.parties + usize::from(i < self.columns % self.parties);
            let members: Vec<Member<'_>> = (0..self.parties)
                .map(|i| Member { name: names[i], columns: share(i), max_abs: MAX })
                .collect();
            return match self.workload {
                Workload::LrTrain => regression(&members, n).program(),
                _ => scorecard("lr-infer", FracBits::DEFAULT, &members, n, 1.0),
            };
        }
        if self.workload == Workload::Tree {
            return forest::program(&names, [n, self.columns]).map(|(program, _)| program);
        }
        if let Workload::Lenet | Workload::Mlp = self.workload {
            let roles = Roles {
                name: self.workload.name(),
                parties: &names,
                model: Owner(0),
                data: Owner(1),
                recipients: &[0],
                frac: FracBits::DEFAULT,
                max_weight: 1.0,
                max_data: 1.0,
                promised: 64.0,
            };
            return match self.workload {
                Workload::Mlp => models::mlp::mlp(roles, n, &models::mlp::DIGITS),
                _ => lenet(roles, n, Pooling::Max),
            };
        }
        let mut p = Program::builder(self.workload.name(), FracBits::DEFAULT, &names);
        let result = match self.workload {
            Workload::Mul => {
                let (x, y) = (p.input("x", Owner(0), [n], MAX)?, p.input("y", Owner(1), [n], MAX)?);
                p.mul(x, y)?
            }
            Workload::Compare => {
                let (x, y) = (p.input("x", Owner(0), [n], MAX)?, p.input("y", Owner(1), [n], MAX)?);
                p.less(x, y)?
            }
            Workload::Relu => {
                let x = p.input("x", Owner(0), [n], MAX)?;
                p.relu(x)?
            }
            Workload::Sigmoid => {
                let x = p.input("x", Owner(0), [n], MAX)?;
                p.sigmoid(x)?
            }
            Workload::Gelu => {
                let x = p.input("x", Owner(0), [n], MAX)?;
                p.gelu(x)?
            }
            Workload::Softmax => {
                let x = p.input("x", Owner(0), [n, CLASSES], MAX)?;
                p.softmax(x, Axis(1))?
            }
            Workload::Matmul => {
                let (x, y) = (p.input("x", Owner(0), [n, n], 1.0)?, p.input("y", Owner(1), [n, n], 1.0)?);
                p.matmul(x, y)?
            }
            // The parties agree on some program, though they run none.
            Workload::Link | Workload::Triples | Workload::Cots => p.input("x", Owner(0), [1], MAX)?,
            Workload::Mlp | Workload::Lenet | Workload::LrInfer | Workload::LrTrain | Workload::Tree => {
                unreachable!("returned above")
            }
        };
        p.output("result", result, &[0])?;
        p.build()
    }

    /// Everybody's inputs of one repetition, from a seed.
    #[must_use]
    pub fn inputs(&self, program: &Program, seed: [u8; 32]) -> Values {
        let mut random = ChaCha20Rng::from_seed(seed);
        if self.workload == Workload::Tree {
            return forest::inputs([self.n, self.columns], &mut random);
        }
        let mut values = Values::new();
        for input in program.inputs() {
            // Where many terms are added up, they stay small, so that results have something to say.
            let limit = match (self.workload, input.shape.dims()) {
                (Workload::Mlp | Workload::Lenet, &[terms, _]) if input.name.ends_with("weights") => {
                    (3.0 / terms as f64).sqrt()
                }
                (Workload::Lenet, &[_, channels, height, width]) if input.name.ends_with("kernel") => {
                    (3.0 / (channels * height * width) as f64).sqrt()
                }
                (Workload::LrInfer, _) if !input.name.ends_with("features") => 0.5,
                (Workload::LrInfer | Workload::LrTrain, _) => 1.0,
                _ => input.max_abs,
            };
            let value =
                ArrayD::from_shape_simple_fn(input.shape.dims(), || random.random_range(-limit..limit));
            values.insert(input.name.to_owned(), value);
        }
        if let Some(labels) = values.remove(LABELS) {
            values.insert(LABELS.to_owned(), self.classes(&values, &labels));
        }
        values
    }

    /// Labels that a model explains but for some noise.
    fn classes(&self, features: &Values, noise: &ArrayD<f64>) -> ArrayD<f64> {
        let mut score = noise * 2.0;
        for columns in features.values() {
            for (at, column) in columns.axis_iter(Axis(1)).enumerate() {
                let sign = if at % 2 == 0 { 1.0 } else { -1.0 };
                score = score + column.insert_axis(Axis(1)).into_dyn().to_owned() * sign;
            }
        }
        score.mapv(|s| f64::from(u8::from(s > 0.0)))
    }

    /// The plaintext result of party 0's output, in floating point.
    ///
    /// # Errors
    /// If an input does not fit.
    pub fn expected(&self, program: &Program, inputs: &Values) -> Result<Values, ml_ops::InputError> {
        reference::float(program, inputs)
    }
}

fn regression<'a>(members: &'a [Member<'a>], rows: usize) -> Regression<'a> {
    Regression {
        name: "lr-train",
        frac: FracBits::DEFAULT,
        members,
        rows,
        labels: 0,
        target: Target::Class { weights: [1.0, 1.0] },
        training: Training::sgd(EPOCHS, BATCH, 0.5),
        max_weight: 16.0,
        recipients: &[0],
    }
}

/// Largest difference between two sets of values of the same names and shapes.
#[must_use]
pub fn max_abs_error(got: &Values, expected: &Values) -> f64 {
    let pairs = expected.iter().flat_map(|(name, e)| match got.get(name) {
        Some(g) if g.shape() == e.shape() => g.iter().zip(e).map(|(g, e)| (g - e).abs()).collect(),
        _ => vec![f64::INFINITY],
    });
    pairs.fold(0.0, f64::max)
}
