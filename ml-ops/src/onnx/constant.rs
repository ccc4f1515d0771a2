//! Values that are known when a model is imported.

use ndarray::{ArrayD, IxDyn};

/// What an element of a tensor is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A real number.
    Real,
    /// An integer, exact below 2^53, which is far more than shapes and indices need.
    Integer,
    /// 0 or 1.
    Bit,
}

/// A tensor of numbers.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Numbers {
    pub(super) kind: Kind,
    pub(super) values: ArrayD<f64>,
    /// The name under which the model holds it, for parameters.
    pub(super) name: Option<String>,
}

/// A tensor of texts, such as class labels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Texts {
    pub(super) shape: Vec<usize>,
    pub(super) texts: Vec<String>,
}

/// A constant of the model.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Known {
    Numbers(Numbers),
    Texts(Texts),
}

impl Known {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Numbers(n) => n.values.shape(),
            Self::Texts(t) => &t.shape,
        }
    }
}

impl Numbers {
    pub(super) const fn new(kind: Kind, values: ArrayD<f64>) -> Self {
        Self { kind, values, name: None }
    }

    pub(super) const fn real(values: ArrayD<f64>) -> Self {
        Self::new(Kind::Real, values)
    }

    /// A vector of integers, as shapes and indices are.
    pub(super) fn integers(values: impl IntoIterator<Item = i64>) -> Self {
        let values: Vec<f64> = values.into_iter().map(|v| v as f64).collect();
        Self::new(Kind::Integer, flat(values))
    }

    /// The values as integers; fractions and what is not a number are refused.
    pub(super) fn to_integers(&self) -> Result<Vec<i64>, String> {
        self.values
            .iter()
            .map(|&v| {
                // The largest integers stand for "to the end"; the conversion saturates.
                if v.fract() == 0.0 { Ok(v as i64) } else { Err(format!("expected integers, got {v}")) }
            })
            .collect()
    }

    /// The only value, if there is one only.
    pub(super) fn single(&self) -> Option<f64> {
        if self.values.len() == 1 { self.values.first().copied() } else { None }
    }
}

/// A vector.
pub(super) fn flat(values: Vec<f64>) -> ArrayD<f64> {
    ndarray::Array1::from_vec(values).into_dyn()
}

/// An array of a shape whose number of elements was checked.
pub(super) fn shaped(shape: &[usize], values: Vec<f64>) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("invariant: as many values as the shape says")
}

/// Most axes of a constant.
pub(super) const MAX_AXES: usize = 16;

/// Elements of a shape, if so many are allowed. An axis of length 0 does not make the others any longer.
pub(super) fn elements(shape: &[usize], limit: usize) -> Option<usize> {
    if shape.len() > MAX_AXES {
        return None;
    }
    let n = shape.iter().filter(|&&d| d > 0).try_fold(1usize, |n, &d| n.checked_mul(d))?;
    let allowed = (n <= limit).then_some(n)?;
    Some(if shape.contains(&0) { 0 } else { allowed })
}

/// The common shape of elementwise operands.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    if a.len().max(b.len()) > MAX_AXES {
        return Err(format!(
            "a value would have {} axes, at most {MAX_AXES} are supported",
            a.len().max(b.len())
        ));
    }
    let (x, y) = (crate::shape::Shape::from(a), crate::shape::Shape::from(b));
    let shape = x.broadcast(&y).ok_or_else(|| format!("shapes {a:?} and {b:?} do not fit"))?;
    Ok(shape.dims().to_vec())
}

/// An axis that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let at = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    at.and_then(|a| usize::try_from(a).ok())
        .filter(|&a| a < rank)
        .ok_or_else(|| format!("axis {axis} of a tensor with {rank} axes does not exist"))
}
