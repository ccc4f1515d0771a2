//! Products, and the tensors that are opened once for several of them.

use std::collections::BTreeMap;

use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use protocols::correlation::MaskedOnce;
use protocols::error::ProtocolError;
use protocols::matmul;
use protocols::reuse::{mask_and_multiply, multiply_masked};
use protocols::session::Session;

use super::Shareable;
use super::step::Value;
use crate::batch::Batches;
use crate::lower::Reuse;
use crate::op::NodeId;

/// What was opened once and still has products to come, by node. It is dropped, and with it the mask wiped, after the last.
pub(super) struct Masked<S: Shareable>(BTreeMap<NodeId, MaskedOnce<S>>);

mpc_core::secret_types!(serde::Serialize; Masked<mpc_core::share::Additive<Z64>>, Reused<'static, mpc_core::share::Additive<Z64>>);

/// How a product uses a tensor that is opened once.
pub(super) struct Reused<'a, S> {
    pub(super) how: Reuse,
    pub(super) iteration: u32,
    /// All of the tensor, where it may have to be opened.
    pub(super) root: Option<&'a S>,
}

impl<S> Reused<'_, S> {
    /// Which of the two factors is not a part of it.
    pub(super) const fn other(&self) -> usize {
        if self.how.product.right { 0 } else { 1 }
    }
}

impl<S: Shareable> Masked<S> {
    pub(super) const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// The product of a part of what is opened once with its other factor, which may have another shape of as many elements.
    pub(super) fn multiply(
        &mut self,
        cx: &mut Session<S>,
        reused: &Reused<'_, S>,
        other: &S,
    ) -> Result<S, ProtocolError> {
        let &Reused { how, iteration, root } = reused;
        let (part, product) = (how.part_at(iteration), how.product);
        let [_, shape, _] = product.shapes();
        let other = other.clone().reshape(&shape);
        let z = if how.opens_at(iteration) {
            let root = root.expect("invariant: the first product has the tensor that it opens");
            let (once, z) = mask_and_multiply(cx, root, part, product, &other)?;
            self.0.insert(how.root, once);
            z
        } else {
            let once = self.0.get(&how.root).expect("invariant: the first product opens the tensor");
            multiply_masked(cx, &once.select(part), product, &other)?
        };
        if how.is_last_at(iteration) {
            self.0.remove(&how.root);
        }
        Ok(z)
    }

    /// Products of the elements of two values of one shape; only the one that is needed is asked for.
    pub(super) fn elements(
        &mut self,
        cx: &mut Session<S>,
        a: impl FnOnce() -> Value<S>,
        b: impl FnOnce() -> Value<S>,
        reused: Option<Reused<'_, S>>,
    ) -> Result<Value<S>, ProtocolError> {
        let Some(reused) = reused else { return a().mul(b(), cx) };
        let other = if reused.other() == 0 { a() } else { b() };
        let product = self.multiply(cx, &reused, other.secret())?;
        Ok(Value::Secret(product.reshape(other.dims())))
    }

    /// Products over the last two axes.
    pub(super) fn matmul(
        &mut self,
        cx: &mut Session<S>,
        [a, b]: [&Value<S>; 2],
        reused: Option<Reused<'_, S>>,
    ) -> Result<Value<S>, ProtocolError> {
        let (a, b) = match (a, b) {
            (Value::Public(a), Value::Public(b)) => return Ok(Value::Public(local(a, b))),
            (Value::Public(k), Value::Secret(s)) => return Ok(Value::Secret(s.map_linear(|t| local(k, t)))),
            (Value::Secret(s), Value::Public(k)) => return Ok(Value::Secret(s.map_linear(|t| local(t, k)))),
            (Value::Secret(a), Value::Secret(b)) => (a, b),
        };
        let batches = Batches::new(a.shape(), b.shape());
        let left = || a.map_linear(|t| batches.left(t));
        let right = || b.map_linear(|t| batches.right(t));
        let product = match reused {
            Some(reused) => {
                let other = if reused.other() == 0 { left() } else { right() };
                self.multiply(cx, &reused, &other)?
            }
            None if batches.count > 1 => matmul::batch(cx, &left(), &right())?,
            None => matmul::matmul(cx, &left(), &right())?,
        };
        Ok(Value::Secret(product.map_linear(|t| batches.result(t))))
    }
}

/// Products of which at least one factor is public.
fn local(a: &Tensor<Z64>, b: &Tensor<Z64>) -> Tensor<Z64> {
    Batches::new(a.shape(), b.shape()).multiply(a, b)
}
