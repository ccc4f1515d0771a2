//! Magnitudes by column: the program knows one bound for all elements of a value, but the income of a row may be 100,000 where a rate
//! is 1. What scales or weighs columns is bounded by each column's own range.

use std::rc::Rc;

use ndarray::{ArrayD, Axis};

use super::constant::{broadcast, flat};
use super::emit::{Importer, power_of_two};
use super::error::Problem;
use super::fold::{max_abs, zip};
use super::value::{Affine, Linear, Val};
use crate::builder::Value;

/// How far ranges of columns reach after they were made alike.
const EVEN: f64 = 16.0;
/// How many times as far as another a column reaches before they are.
const UNEVEN: f64 = 64.0;

/// The largest magnitude at each index of the last axis.
#[derive(Clone)]
pub(super) struct Columns {
    bounds: Rc<Vec<f64>>,
    /// Whether these are ranges of inputs that somebody declared, rather than what follows from some.
    declared: bool,
}

impl Importer<'_> {
    /// Remembers what is known about a value by column, if that is more than about all of it.
    pub(super) fn know_columns(&mut self, x: Value, bounds: Vec<f64>, declared: bool) -> Result<(), Problem> {
        let fact = self.fact(x)?;
        let most = fact.max_abs();
        if fact.shape.dims().last() == Some(&bounds.len()) && bounds.iter().any(|&b| b < 0.5 * most) {
            let bounds = Rc::new(bounds.into_iter().map(|b| b.min(most)).collect());
            self.columns.insert(x, Columns { bounds, declared });
        }
        Ok(())
    }

    /// The same about another value whose last axis is that of this one.
    pub(super) fn same_columns(&mut self, from: Value, to: Value) -> Result<(), Problem> {
        match self.columns.get(&from).cloned() {
            Some(columns) => self.know_columns(to, columns.bounds.to_vec(), columns.declared),
            None => Ok(()),
        }
    }

    /// The value with its columns divided by powers of two that make their ranges alike, and these powers; `None` where they are alike
    /// already. Parameters that are as precise as one column needs would be too coarse or too large for another.
    fn evened(&mut self, x: Value) -> Result<Option<(Value, ArrayD<f64>)>, Problem> {
        let Some(Columns { bounds: columns, declared: true }) = self.columns.get(&x).cloned() else {
            return Ok(None);
        };
        let most = largest(&columns);
        if most <= EVEN || columns.iter().all(|&c| c * UNEVEN > most) {
            return Ok(None);
        }
        let powers: Vec<f64> = columns.iter().map(|&c| power_of_two(c / EVEN).max(1.0)).collect();
        let by = flat(powers);
        if let Some(&even) = self.even.get(&x) {
            return Ok(Some((even, by)));
        }
        let top = max_abs(&by);
        let factors = self.p.constant(&by.map(|b| top / b))?;
        let y = self.p.mul(x, factors)?;
        let y = self.p.scale(y, 1.0 / top)?;
        let bounds: Vec<f64> = columns.iter().zip(&by).map(|(c, b)| c / b + 2.0 * self.unit()).collect();
        let y = self.bounded(y, largest(&bounds))?;
        self.know_columns(y, bounds, false)?;
        self.even.insert(x, y);
        Ok(Some((y, by)))
    }

    /// A product of an operand whose columns have like ranges.
    pub(super) fn evened_linear(&mut self, l: &Linear) -> Result<Option<Linear>, Problem> {
        if l.form != super::value::Form::Dense {
            return Ok(None);
        }
        let Some((x, by)) = self.evened(l.x)? else { return Ok(None) };
        let mut w = l.w.clone();
        w.axis_iter_mut(Axis(0)).zip(&by).for_each(|(mut row, &b)| row.mapv_inplace(|v| v * b));
        Ok(Some(Linear { x, w, ..l.clone() }))
    }

    /// An affine map of an operand whose columns have like ranges.
    pub(super) fn evened_affine(&mut self, a: &Affine) -> Result<Option<Affine>, Problem> {
        let Some(m) = &a.m else { return Ok(None) };
        if !m.shape().last().is_none_or(|&d| d == 1 || Some(&d) == a.shape.last()) {
            return Ok(None);
        }
        let Some((x, by)) = self.evened(a.x)? else { return Ok(None) };
        let shape = broadcast(m.shape(), by.shape())?;
        Ok(Some(Affine { x, m: Some(zip(m, &by, &shape, |m, b| m * b)), ..a.clone() }))
    }

    /// What is known about columns, or the value's bound for each.
    fn columns_of(&self, x: Value) -> Result<(Vec<f64>, bool), Problem> {
        if let Some(columns) = self.columns.get(&x) {
            return Ok((columns.bounds.to_vec(), true));
        }
        let fact = self.fact(x)?;
        Ok((vec![fact.max_abs(); fact.shape.dims().last().copied().unwrap_or(1)], false))
    }

    /// Some columns of a value, with a promise of their bound.
    pub(super) fn part_of_columns(
        &mut self,
        from: Value,
        to: Value,
        indices: &[usize],
    ) -> Result<Value, Problem> {
        let Some(columns) = self.columns.get(&from).cloned() else { return Ok(to) };
        let bounds: Vec<f64> = indices.iter().filter_map(|&i| columns.bounds.get(i).copied()).collect();
        let to = self.bounded(to, largest(&bounds))?;
        self.know_columns(to, bounds, columns.declared)?;
        Ok(to)
    }

    /// Tensors that were joined along their last axis.
    pub(super) fn joined_columns(
        &mut self,
        parts: &[&Val],
        values: &[Value],
        to: Value,
    ) -> Result<(), Problem> {
        let (mut all, mut declared) = (vec![], false);
        for (part, &value) in parts.iter().zip(values) {
            match part {
                Val::Known(super::constant::Known::Numbers(n)) => {
                    let axis = n.values.ndim().saturating_sub(1);
                    all.extend(n.values.axis_iter(Axis(axis)).map(|c| max_abs(&c.to_owned())));
                }
                _ => {
                    declared |= self.columns.get(&value).is_some_and(|c| c.declared);
                    all.extend(self.columns_of(value)?.0);
                }
            }
        }
        self.know_columns(to, all, declared)
    }

    /// The largest result of a product, by the ranges of its operand's columns; the results' own are remembered for `y`.
    pub(super) fn reach_of_linear(&mut self, l: &Linear, factor: f64) -> Result<Option<Vec<f64>>, Problem> {
        if l.form != super::value::Form::Dense {
            return Ok(None);
        }
        let (columns, _) = self.columns_of(l.x)?;
        let rounded = 0.5 / factor;
        let sum = |j: usize, w: ndarray::ArrayViewD<'_, f64>| {
            let sum: f64 = w.iter().zip(&columns).map(|(w, c)| (w.abs() + rounded) * c).sum();
            sum + l.b.as_ref().map_or(0.0, |b| b[[j]].abs()) + 4.0 * self.unit()
        };
        Ok(Some(l.w.axis_iter(Axis(1)).enumerate().map(|(j, w)| sum(j, w)).collect()))
    }

    /// An affine map's result with a promise of its bound, if the ranges of its columns say more than the program knows.
    pub(super) fn bounded_affine(&mut self, a: &Affine, y: Value, factor: f64) -> Result<Value, Problem> {
        let last = a.shape.last().copied().unwrap_or(1);
        let (columns, known) = self.columns_of(a.x)?;
        let columns = if columns.len() == last { columns } else { vec![largest(&columns); last] };
        let by_column = |n: Option<&ArrayD<f64>>, none: f64| match n {
            None => vec![none; last],
            Some(n) if n.shape().last() == Some(&last) => {
                let axis = Axis(n.ndim() - 1);
                n.axis_iter(axis).map(|c| max_abs(&c.to_owned())).collect()
            }
            Some(n) => vec![max_abs(n); last],
        };
        let (m, add) = (by_column(a.m.as_ref(), 1.0), by_column(a.a.as_ref(), 0.0));
        let rounded = if a.m.is_some() { 0.5 / factor } else { 0.0 };
        let bounds: Vec<f64> = columns
            .iter()
            .zip(m.iter().zip(&add))
            .map(|(c, (m, a))| c * (m + rounded) + a + 4.0 * self.unit())
            .collect();
        let private = a.parameters && self.owner().is_some();
        // What is known of private parameters already is all that follows without columns.
        if private && !known {
            return Ok(y);
        }
        let y = self.bounded(y, if private { power_of_two(largest(&bounds)) } else { largest(&bounds) })?;
        if !private {
            self.know_columns(y, bounds, false)?;
        }
        Ok(y)
    }

    /// A promise where a bound is well below the inferred one.
    fn bounded(&mut self, y: Value, bound: f64) -> Result<Value, Problem> {
        let inferred = self.fact(y)?.max_abs();
        Ok(if bound > 0.0 && bound < 0.5 * inferred { self.p.assume_range(y, bound)? } else { y })
    }
}

/// The largest of magnitudes.
pub(super) fn largest(bounds: &[f64]) -> f64 {
    bounds.iter().copied().fold(0.0, f64::max)
}
