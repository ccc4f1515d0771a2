//! Values while a model is walked: known, or secret and perhaps not yet written into the program.
//!
//! A product with parameters, an affine map and a ReLU are held back until somebody needs their result, because what follows may
//! join them at no cost: a batch normalisation or a bias joins the product before it, a ReLU moves behind the max-pooling after it.

use std::cell::RefCell;
use std::rc::Rc;

use mpc_core::windows::Sliding;
use ndarray::ArrayD;

use super::constant::Known;
use crate::builder::Value;

/// A value of the graph.
#[derive(Clone)]
pub(super) enum Val {
    Known(Known),
    Secret(Secret),
}

/// A value that depends on the inputs.
#[derive(Clone)]
pub(super) struct Secret {
    pub(super) lazy: Rc<RefCell<Lazy>>,
    pub(super) shape: Vec<usize>,
    /// Every element is an integer.
    pub(super) integral: bool,
    /// Elements along the last axis are not negative and sum to 1.
    pub(super) simplex: bool,
    /// No element is below this.
    pub(super) low: f64,
    /// Texts that its values are indices of.
    pub(super) labels: Option<Rc<Vec<String>>>,
    /// What it was made of, where that says more than it does itself.
    pub(super) origin: Option<Origin>,
    /// What it is the sum of, and along which axis, which stayed.
    pub(super) sum: Option<Rc<(Rc<RefCell<Lazy>>, usize)>>,
}

/// What a value is a function of. A probability of 2^−20 is 0 in fixed point; the score it was made of is not.
#[derive(Copy, Clone)]
pub(super) enum Origin {
    /// The logistic function of `of`, which onnxruntime computes as if no score were below `least`.
    Sigmoid { of: Value, least: f64 },
    /// e to the power of this.
    Power(Value),
    /// Something that is ordered as this is, along an axis.
    Order { by: Value, axis: usize },
}

/// How far the value is.
#[derive(Clone)]
pub(super) enum Lazy {
    /// A node of the program.
    Ready(Value),
    /// A product with parameters.
    Linear(Rc<Linear>),
    /// x · m + a.
    Affine(Rc<Affine>),
    /// max(x, 0) of another value.
    Relu { of: Box<Secret>, from: usize },
    /// 1 − x of a bit.
    Not { of: Value, from: usize },
    /// x without its fraction, towards zero.
    Whole { of: Value, from: usize },
}

/// x · w + b.
#[derive(Clone)]
pub(super) struct Linear {
    /// The node of the model, for complaints.
    pub(super) from: usize,
    pub(super) x: Value,
    pub(super) form: Form,
    pub(super) w: ArrayD<f64>,
    /// One number per output channel.
    pub(super) b: Option<ArrayD<f64>>,
    /// What the parameters are called in the model.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
}

/// Which product.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) enum Form {
    /// \[…, k\] by \[k, n\].
    Dense,
    /// Images by a kernel.
    Conv { sliding: Sliding, groups: usize },
}

impl Form {
    /// The axis of the result that the parameters' outputs lie along.
    pub(super) const fn channel_axis(&self, rank: usize) -> usize {
        match self {
            Self::Dense => rank - 1,
            Self::Conv { .. } => 1,
        }
    }

    /// The axis of the parameters that the result's channels lie along.
    pub(super) const fn weight_channel_axis(&self, rank: usize) -> usize {
        match self {
            Self::Dense => rank - 1,
            Self::Conv { .. } => 0,
        }
    }
}

/// x · m + a, element by element, with what is missing left out.
#[derive(Clone)]
pub(super) struct Affine {
    pub(super) from: usize,
    pub(super) x: Value,
    pub(super) m: Option<ArrayD<f64>>,
    pub(super) a: Option<ArrayD<f64>>,
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// Whether m and a are parameters of the model rather than of its architecture.
    pub(super) parameters: bool,
}

impl Secret {
    pub(super) fn new(lazy: Lazy, shape: Vec<usize>) -> Self {
        Self {
            lazy: Rc::new(RefCell::new(lazy)),
            shape,
            integral: false,
            simplex: false,
            low: f64::NEG_INFINITY,
            labels: None,
            origin: None,
            sum: None,
        }
    }

    pub(super) fn integral(self) -> Self {
        Self { integral: true, ..self }
    }

    /// What moving elements keeps.
    pub(super) fn like(self, other: &Self) -> Self {
        Self { integral: other.integral, low: other.low, labels: other.labels.clone(), ..self }
    }

    /// What it still is, without emitting it.
    pub(super) fn state(&self) -> Lazy {
        self.lazy.borrow().clone()
    }
}

impl Val {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Known(k) => k.shape(),
            Self::Secret(s) => &s.shape,
        }
    }
}

impl From<Secret> for Val {
    fn from(s: Secret) -> Self {
        Self::Secret(s)
    }
}

impl From<Known> for Val {
    fn from(k: Known) -> Self {
        Self::Known(k)
    }
}

impl From<super::constant::Numbers> for Val {
    fn from(n: super::constant::Numbers) -> Self {
        Self::Known(Known::Numbers(n))
    }
}
