//! What only moves elements, alike for constants and secret values.

use ndarray::{ArrayD, Axis, IxDyn};

use super::constant::{Known, MAX_AXES, Numbers, Texts, broadcast};
use super::emit::Importer;
use super::error::Problem;
use super::fold::spend;
use super::value::{Lazy, Secret, Val};
use crate::builder::Value;

impl Importer<'_> {
    /// The same elements under another shape.
    pub(super) fn reshaped(&mut self, x: &Val, shape: &[usize]) -> Result<Val, Problem> {
        if x.shape() == shape {
            return Ok(x.clone());
        }
        if shape.len() > MAX_AXES {
            return Err(
                format!("it would have {} axes, at most {MAX_AXES} are supported", shape.len()).into()
            );
        }
        let product = |s: &[usize]| s.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if product(x.shape()) != product(shape) {
            return Err(format!("{:?} cannot become {shape:?}", x.shape()).into());
        }
        Ok(match x {
            Val::Known(Known::Texts(t)) => {
                Known::Texts(Texts { shape: shape.to_vec(), texts: t.texts.clone() }).into()
            }
            Val::Known(Known::Numbers(n)) => {
                let values = n.values.as_standard_layout().into_owned().into_shape_with_order(IxDyn(shape));
                let values = values.map_err(|e| e.to_string())?;
                Numbers { values, ..n.clone() }.into()
            }
            Val::Secret(s) => {
                let value = self.force(s)?;
                let whole = value;
                let value = self.p.reshape(value, shape)?;
                let keeps_last = s.shape.last() == shape.last();
                if keeps_last {
                    self.same_columns(whole, value)?;
                }
                let origin = self.moved_origin(s, |im, x| Ok(im.p.reshape(x, shape)?))?;
                let new = Secret::new(Lazy::Ready(value), shape.to_vec()).like(s);
                Secret { simplex: s.simplex && keeps_last, origin, ..new }.into()
            }
        })
    }

    /// The axes in another order: axis i of the result is axis `order[i]` of x.
    pub(super) fn permuted(&mut self, x: &Val, order: &[usize]) -> Result<Val, Problem> {
        let shape: Vec<usize> = order.iter().map(|&a| x.shape()[a]).collect();
        let s = match x {
            Val::Known(Known::Numbers(n)) => {
                let values = n.values.clone().permuted_axes(IxDyn(order)).as_standard_layout().into_owned();
                return Ok(Numbers { values, ..n.clone() }.into());
            }
            Val::Known(Known::Texts(_)) => return Err("texts are not transposed".into()),
            Val::Secret(s) => s,
        };
        let long =
            |order: &mut dyn Iterator<Item = usize>| order.filter(|&a| s.shape[a] > 1).collect::<Vec<_>>();
        if long(&mut order.iter().copied()) == long(&mut (0..order.len())) {
            return self.reshaped(x, &shape);
        }
        let value = self.force(s)?;
        let value = self.transposed(value, order)?;
        let origin = self.moved_origin(s, |im, x| im.transposed(x, order))?;
        Ok(Secret { origin, ..Secret::new(Lazy::Ready(value), shape).like(s) }.into())
    }

    /// The elements at `indices` of one axis, in their order.
    pub(super) fn taken(&mut self, x: &Val, axis: usize, indices: &[usize]) -> Result<Val, Problem> {
        let len = x.shape()[axis];
        if let Some(i) = indices.iter().find(|&&i| i >= len) {
            return Err(format!("index {i} is outside an axis of {len}").into());
        }
        if indices.iter().copied().eq(0..len) {
            return Ok(x.clone());
        }
        let mut shape = x.shape().to_vec();
        shape[axis] = indices.len();
        match x {
            Val::Known(Known::Numbers(n)) => {
                spend(&shape, &mut self.left)?;
                let (values, name) = (n.values.select(Axis(axis), indices), n.name.clone());
                Ok(Numbers { kind: n.kind, values, name }.into())
            }
            Val::Known(Known::Texts(t)) => {
                if t.shape.len() != 1 {
                    return Err("only vectors of texts are indexed".into());
                }
                spend(&shape, &mut self.left)?;
                let texts = indices.iter().map(|&i| t.texts[i].clone()).collect();
                Ok(Known::Texts(Texts { shape, texts }).into())
            }
            Val::Secret(s) => {
                if indices.is_empty() {
                    return Err("nothing would be left of a secret value".into());
                }
                spend(&[indices.len()], &mut self.left)?;
                let value = self.force(s)?;
                let (first, n) = (indices[0], indices.len());
                let part = |im: &mut Self, x| -> Result<Value, Problem> {
                    Ok(if indices.iter().copied().eq(first..first + n) {
                        im.p.slice(x, Axis(axis), first..first + n)?
                    } else {
                        im.p.gather(x, Axis(axis), indices)?
                    })
                };
                let whole = value;
                let mut value = part(self, value)?;
                if axis + 1 == s.shape.len() {
                    value = self.part_of_columns(whole, value, indices)?;
                } else {
                    self.same_columns(whole, value)?;
                }
                let origin = self.moved_origin(s, part)?;
                let new = Secret::new(Lazy::Ready(value), shape).like(s);
                Ok(Secret { simplex: s.simplex && axis + 1 < s.shape.len(), origin, ..new }.into())
            }
        }
    }

    /// Tensors joined along an axis.
    pub(super) fn joined(&mut self, parts: &[Val], axis: usize) -> Result<Val, Problem> {
        let first = parts.first().ok_or("nothing to join")?.shape().to_vec();
        let mut shape = first.clone();
        shape[axis] = 0;
        for part in parts {
            let fits = part.shape().len() == first.len()
                && part.shape().iter().zip(&first).enumerate().all(|(i, (a, b))| i == axis || a == b);
            if !fits {
                return Err(
                    format!("{first:?} and {:?} cannot be joined along axis {axis}", part.shape()).into()
                );
            }
            shape[axis] = shape[axis].saturating_add(part.shape()[axis]);
        }
        if parts.iter().all(|p| matches!(p, Val::Known(_))) {
            return self.joined_constants(parts, axis, &shape);
        }
        // What is empty adds nothing.
        let parts: Vec<&Val> = parts.iter().filter(|p| p.shape()[axis] > 0).collect();
        let integral = parts.iter().all(|p| match p {
            Val::Secret(s) => s.integral,
            Val::Known(Known::Numbers(n)) => n.kind != super::constant::Kind::Real,
            Val::Known(Known::Texts(_)) => false,
        });
        let values = parts.iter().map(|p| self.operand(p)).collect::<Result<Vec<_>, _>>()?;
        let value = if let [one] = values[..] { one } else { self.p.concat(&values, Axis(axis))? };
        if axis + 1 == shape.len() {
            self.joined_columns(&parts, &values, value)?;
        }
        let origin = self.joined_origin(&parts, axis)?;
        let low = parts.iter().map(|p| match p {
            Val::Secret(s) => s.low,
            Val::Known(Known::Numbers(n)) => n.values.iter().copied().fold(f64::INFINITY, f64::min),
            Val::Known(Known::Texts(_)) => f64::NEG_INFINITY,
        });
        let low = low.fold(f64::INFINITY, f64::min);
        Ok(Secret { integral, low, origin, ..Secret::new(Lazy::Ready(value), shape) }.into())
    }

    fn joined_constants(&mut self, parts: &[Val], axis: usize, shape: &[usize]) -> Result<Val, Problem> {
        spend(shape, &mut self.left)?;
        let numbers: Vec<&Numbers> = parts
            .iter()
            .filter_map(|p| if let Val::Known(Known::Numbers(n)) = p { Some(n) } else { None })
            .collect();
        if numbers.len() < parts.len() {
            let texts: Vec<_> = parts
                .iter()
                .filter_map(
                    |p| if let Val::Known(Known::Texts(t)) = p { Some(t.texts.clone()) } else { None },
                )
                .collect();
            if texts.len() < parts.len() || shape.len() != 1 {
                return Err("texts and numbers are not joined".into());
            }
            return Ok(Known::Texts(Texts { shape: shape.to_vec(), texts: texts.concat() }).into());
        }
        let kind = numbers.iter().map(|n| n.kind).reduce(super::fold::wider).ok_or("nothing to join")?;
        let kind = if numbers.iter().all(|n| n.kind == super::constant::Kind::Bit) {
            super::constant::Kind::Bit
        } else {
            kind
        };
        let views: Vec<_> = numbers.iter().map(|n| n.values.view()).collect();
        let values = ndarray::concatenate(Axis(axis), &views).map_err(|e| e.to_string())?;
        Ok(Numbers::new(kind, values).into())
    }

    /// Repeated along axes of length 1, and along new axes in front, to the common shape with `shape`.
    pub(super) fn expanded(&mut self, x: &Val, shape: &[usize]) -> Result<Val, Problem> {
        let to = broadcast(x.shape(), shape)?;
        if to == x.shape() {
            return Ok(x.clone());
        }
        match x {
            Val::Known(Known::Texts(_)) => Err("texts are not repeated".into()),
            Val::Known(Known::Numbers(n)) => {
                spend(&to, &mut self.left)?;
                let values = n.values.broadcast(IxDyn(&to)).ok_or("shapes do not fit")?.to_owned();
                Ok(Numbers { values, ..n.clone() }.into())
            }
            Val::Secret(s) => {
                spend(&to, &mut self.left)?;
                let value = self.force(s)?;
                let zeros = self.p.constant(&ArrayD::zeros(IxDyn(&to)))?;
                let value = self.p.add(value, zeros)?;
                Ok(Secret::new(Lazy::Ready(value), to).like(s).into())
            }
        }
    }

    /// Axes of length 1 put in at these places of the result.
    pub(super) fn with_axes(&mut self, x: &Val, axes: &[usize]) -> Result<Val, Problem> {
        let rank = x.shape().len() + axes.len();
        let mut old = x.shape().iter().copied();
        let shape: Vec<usize> =
            (0..rank).map(|i| if axes.contains(&i) { 1 } else { old.next().unwrap_or(1) }).collect();
        self.reshaped(x, &shape)
    }
}
