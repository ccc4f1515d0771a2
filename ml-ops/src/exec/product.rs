//! Matrix products, and the matrices that are opened once for several of them.

use std::collections::BTreeMap;

use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use protocols::correlation::MaskedOnce;
use protocols::error::ProtocolError;
use protocols::matmul;
use protocols::reuse::{mask_and_multiply, matmul_masked};
use protocols::session::Session;

use super::Shareable;
use super::step::Value;
use crate::batch::Batches;
use crate::lower::Reuse;
use crate::op::NodeId;
use crate::shape::Shape;

/// What was opened once and still has products to come, by node. It is dropped, and with it the mask wiped, after the last.
pub(super) struct Masked<S: Shareable>(BTreeMap<NodeId, MaskedOnce<S>>);

mpc_core::secret_types!(serde::Serialize; Masked<mpc_core::share::Additive<Z64>>);

impl<S: Shareable> Masked<S> {
    pub(super) const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// The product of the first two of `x`; where it opens a matrix, that follows. With what is reused comes the iteration.
    pub(super) fn product(
        &mut self,
        cx: &mut Session<S>,
        x: &[&Value<S>],
        reuse: Option<(Reuse, u32)>,
    ) -> Result<Value<S>, ProtocolError> {
        let (a, b) = match (x[0], x[1]) {
            (Value::Public(a), Value::Public(b)) => return Ok(Value::Public(local(a, b))),
            (Value::Public(k), Value::Secret(s)) => return Ok(Value::Secret(s.map_linear(|t| local(k, t)))),
            (Value::Secret(s), Value::Public(k)) => return Ok(Value::Secret(s.map_linear(|t| local(t, k)))),
            (Value::Secret(a), Value::Secret(b)) => (a, b),
        };
        let batches = Batches::new(a.shape(), b.shape());
        let Some((reuse, iteration)) = reuse else {
            let (a, b) = (a.map_linear(|t| batches.left(t)), b.map_linear(|t| batches.right(t)));
            let product =
                if batches.count > 1 { matmul::batch(cx, &a, &b)? } else { matmul::matmul(cx, &a, &b)? };
            return Ok(Value::Secret(product.map_linear(|t| batches.result(t))));
        };
        // Rows along any number of axes.
        let matrix = |x: &S| match x.shape() {
            [_, _] => x.clone(),
            axes => x.clone().reshape(&Shape::from(axes).as_matrix()),
        };
        let (a, b) = (&matrix(a), &matrix(b));
        let transposed = |s: &S| s.map_linear(|t: &Tensor<Z64>| t.permute(&[1, 0]));
        // X·Y′ = (Y′ᵀ·Xᵀ)ᵀ for a part Y′ of what is opened once.
        let (part, other) = (reuse.part_at(iteration), if reuse.right { &transposed(a) } else { b });
        let product = if reuse.opens_at(iteration) {
            let (once, product) = mask_and_multiply(cx, &matrix(x[2].secret()), part, other)?;
            self.0.insert(reuse.root, once);
            product
        } else {
            let once = self.0.get(&reuse.root).expect("invariant: the first product opens the matrix");
            matmul_masked(cx, &once.select(part), other)?
        };
        if reuse.is_last_at(iteration) {
            self.0.remove(&reuse.root);
        }
        let product = if reuse.right { transposed(&product) } else { product };
        Ok(Value::Secret(product.map_linear(|t| batches.result(t))))
    }
}

/// Products of which at least one factor is public.
fn local(a: &Tensor<Z64>, b: &Tensor<Z64>) -> Tensor<Z64> {
    Batches::new(a.shape(), b.shape()).multiply(a, b)
}
