//! LeNet, fitted to images that one party has and labels that another may have. Nobody sees the other's, nor a parameter before the
//! last step; the first weights are public and follow from a seed, or are those that an earlier fit left in shares.

use mpc_core::fixed::FracBits;
use mpc_core::windows::Sliding;
use ndarray::Axis;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::super::network::layer;
use super::super::regression::{HISTORY, LABELS, to};
use super::super::roles::DATA;
use super::super::scorecard::PROBABILITY;
use super::super::scoring::Scoring;
use super::{IMAGE, LAYERS, Pooling};
use crate::builder::{Owner, ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;
use crate::settings::Rounding;
use crate::training::{Loss, Parameter, Penalty, Training, train};

/// Classes of images.
const CLASSES: usize = 10;

/// What a fit begins with.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum First {
    /// Random weights that follow from this number.
    Seed(u64),
    /// What a fit without recipients left, taken up with `first.` before each name: it goes on from there. Momentum and the means of
    /// Adam begin anew.
    Kept,
}

/// A LeNet to be fitted.
///
/// ```
/// use ml_ops::Owner;
/// use ml_ops::models::lenet::{First, Fit, Pooling};
/// use ml_ops::training::Training;
/// use mpc_core::fixed::FracBits;
/// let program = Fit {
///     name: "digits",
///     frac: FracBits::DEFAULT,
///     parties: &["clinic", "laboratory"],
///     images: Owner(0),
///     labels: Owner(1),
///     rows: 640,
///     max_pixel: 1.0,
///     pooling: Pooling::Max,
///     training: Training::sgd(1, 32, 0.05),
///     max_weight: 2.0,
///     max_hidden: 64.0,
///     max_derivative: 16.0,
///     first: First::Seed(7),
///     recipients: &[1],
/// }
/// .program()?;
/// assert_eq!(program.outputs().len(), 8);
/// # Ok::<(), ml_ops::ProgramError>(())
/// ```
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Fit<'a> {
    /// Name of the program.
    pub name: &'a str,
    /// Fraction bits.
    pub frac: FracBits,
    /// Names of the parties.
    pub parties: &'a [&'a str],
    /// Who has the images, as input [`DATA`] of \[rows, 1, 28, 28\].
    pub images: Owner,
    /// Who has the labels, as input [`LABELS`] of \[rows, 10\]: one 1 in every row of 0.
    pub labels: Owner,
    /// How many images there are.
    pub rows: usize,
    /// Largest magnitude of an element of an image.
    pub max_pixel: f64,
    /// How windows of 2×2 become one number.
    pub pooling: Pooling,
    /// How it is fitted. Penalties are about weights and not about biases.
    pub training: Training<'a>,
    /// Largest magnitude of a weight or bias in any step: a promise, which nothing checks.
    pub max_weight: f64,
    /// Largest magnitude of what a layer computes before pooling and ReLU: a promise as well.
    pub max_hidden: f64,
    /// And that of the loss's derivative with respect to it, for one row.
    pub max_derivative: f64,
    /// The first weights.
    pub first: First,
    /// Who receives the fitted weights, under the names that [`lenet`](super::lenet) has for them, and [`HISTORY`] if the training
    /// keeps one. Without recipients, the parties keep shares of all of them.
    pub recipients: &'a [usize],
}

impl Fit<'_> {
    /// The program that fits it.
    ///
    /// # Errors
    /// [`ProgramError`] for names, sizes or ranges that make no valid program.
    pub fn program(&self) -> Result<Program, ProgramError> {
        self.program_with(Rounding::Dithered)
    }

    /// The same, with truncations that round as is said.
    ///
    /// # Errors
    /// As [`Fit::program`].
    pub fn program_with(&self, rounding: Rounding) -> Result<Program, ProgramError> {
        let mut p = Program::builder(self.name, self.frac, self.parties);
        p.rounding(rounding);
        let [height, width] = IMAGE;
        let images = p.input(DATA, self.images, [self.rows, 1, height, width], self.max_pixel)?;
        let labels = p.input(LABELS, self.labels, [self.rows, CLASSES], 1.0)?;
        let parameters = self.parameters(&mut p)?;
        let trained = train(&mut p, self.rows, &parameters, &self.training, |p, w, batch| {
            let (x, y) = (p.batch(images, batch)?, p.batch(labels, batch)?);
            self.loss(p, x, y, w)
        })?;
        for ((name, _), pair) in LAYERS.iter().zip(trained.parameters.chunks(2)) {
            for (name, &value) in names(name).iter().zip(pair) {
                to(&mut p, name, value, self.recipients)?;
            }
        }
        if let Some(history) = trained.history {
            to(&mut p, HISTORY, history, self.recipients)?;
        }
        p.build()
    }

    /// The program that applies the fitted LeNet to other images: [`PROBABILITY`] of every class, as \[rows, 10\].
    ///
    /// # Errors
    /// As [`Fit::program`].
    pub fn scoring(&self, how: &Scoring<'_>) -> Result<Program, ProgramError> {
        let mut p = how.program(self.frac, self.parties);
        let [height, width] = IMAGE;
        let images = p.input(DATA, self.images, [how.rows, 1, height, width], self.max_pixel)?;
        let mut w = vec![];
        for (name, shape) in LAYERS {
            let [weights, bias] = names(name);
            w.push(how.parameter(&mut p, &weights, shape, self.max_weight)?);
            let outputs = if shape.len() == 4 { shape[0] } else { shape[1] };
            w.push(how.parameter(&mut p, &bias, [outputs], self.max_weight)?);
        }
        let last = self.last(&mut p, images, &w)?;
        let probability = p.softmax(last, Axis(1))?;
        how.end(p, PROBABILITY, probability)
    }

    fn parameters(&self, p: &mut ProgramBuilder) -> Result<Vec<Parameter>, ProgramError> {
        let mut random = match self.first {
            First::Seed(seed) => Some(ChaCha20Rng::seed_from_u64(seed)),
            First::Kept => None,
        };
        let mut all = vec![];
        for (name, shape) in LAYERS {
            let (inputs, outputs) = match *shape {
                [filters, channels, down, across] => (channels * down * across, filters),
                _ => (shape[0], shape[1]),
            };
            if let Some(random) = &mut random {
                all.extend(layer(p, random, (shape, inputs, outputs), self.max_weight)?);
                continue;
            }
            let shapes = [(shape, Penalty::All), (&[outputs][..], Penalty::None)];
            for (name, (shape, penalty)) in names(name).iter().zip(shapes) {
                let initial = p.shared(&format!("first.{name}"), shape, self.max_weight)?;
                all.push(Parameter { initial, max_abs: self.max_weight, penalty });
            }
        }
        Ok(all)
    }

    fn loss(
        &self,
        p: &mut ProgramBuilder,
        images: Value,
        labels: Value,
        w: &[Value],
    ) -> Result<Loss, ProgramError> {
        let last = self.last(p, images, w)?;
        p.cross_entropy(last, labels)
    }

    /// What the last layer computes, before probabilities are made of it.
    fn last(&self, p: &mut ProgramBuilder, images: Value, w: &[Value]) -> Result<Value, ProgramError> {
        let mut x = images;
        for pair in w[..4].chunks(2) {
            x = p.conv2d(x, pair[0], Some(pair[1]), Sliding::by(1))?;
            x = self.promised(p, x)?;
            x = self.pooling.apply(p, x)?;
        }
        x = p.flatten(x, Axis(1))?;
        x = p.dense(x, w[4], w[5])?;
        x = self.promised(p, x)?;
        x = p.relu(x)?;
        x = p.dense(x, w[6], w[7])?;
        self.promised(p, x)
    }

    fn promised(&self, p: &mut ProgramBuilder, x: Value) -> Result<Value, ProgramError> {
        let x = p.assume_range(x, self.max_hidden)?;
        p.assume_gradient(x, self.max_derivative)?;
        Ok(x)
    }
}

/// Names of a layer's weights and biases.
fn names(layer: &str) -> [String; 2] {
    let weights = if layer.starts_with("conv") { "kernel" } else { "weights" };
    [format!("{layer}.{weights}"), format!("{layer}.bias")]
}
