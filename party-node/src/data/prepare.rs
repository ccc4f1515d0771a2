//! Filling missing cells and standardising, at the owner, before anything is shared.
//!
//! A model is trained with certain means and standard deviations; scoring must use the same ones, so they can be given
//! ([`Standardise::Given`]). [`Standardise::Batch`] takes them from the rows at hand instead, which is only right
//! when the batch resembles the training data.
//!
//! Columns of 0 and 1 that stand for codes stay 0 and 1: centred by the rows at hand, the same category would mean
//! another number in every batch. A model that was trained on standardised indicators needs its training figures, given
//! by the name of the indicator.

use std::collections::BTreeMap;

use super::{DataError, Features};

/// What becomes of missing cells.
#[derive(Clone, Debug, PartialEq)]
pub enum Missing {
    /// They become the column's mean: the given one, or that of the cells that are there.
    Mean,
    /// They are an error.
    Refuse,
    /// They become this number, in the column's own units.
    Value(f64),
}

/// Mean and standard deviation of one column, in its own units.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Subtracted from every value.
    pub mean: f64,
    /// Every difference is divided by it; positive.
    pub standard_deviation: f64,
}

/// Whether columns are standardised, and by which figures.
#[derive(Clone, Debug, PartialEq)]
pub enum Standardise {
    /// Values are used as they are.
    No,
    /// By mean and standard deviation of the rows at hand; columns of 0 and 1 by a code stay as they are.
    Batch,
    /// By given figures, one per column (`status=A11` for a code); a column that is not named is used as it is.
    Given(BTreeMap<String, Scaling>),
}

/// Fills and standardises every column of `table` in place; `indicators` tells of each whether it is 0 or 1 by a code.
pub(super) fn fill_and_scale(
    table: &mut Features,
    indicators: &[bool],
    missing: &Missing,
    standardise: &Standardise,
) -> Result<(), DataError> {
    for (column, &indicator) in indicators.iter().enumerate() {
        let name = table.columns[column].clone();
        let given = match standardise {
            Standardise::Given(figures) => figures.get(&name).copied(),
            Standardise::No | Standardise::Batch => None,
        };
        fill(table, column, missing, given)?;
        let scaling = match standardise {
            Standardise::No => None,
            Standardise::Given(_) => given,
            Standardise::Batch if indicator => None,
            Standardise::Batch => {
                let seen = measure(table, column);
                if seen.standard_deviation <= 0.0 {
                    return Err(DataError::NoSpread {
                        file: table.file.clone(),
                        column: name,
                        value: seen.mean,
                    });
                }
                Some(seen)
            }
        };
        if let Some(s) = scaling {
            for_each(table, column, |v| *v = (*v - s.mean) / s.standard_deviation);
        }
    }
    Ok(())
}

fn fill(
    table: &mut Features,
    column: usize,
    missing: &Missing,
    given: Option<Scaling>,
) -> Result<(), DataError> {
    let Some(row) = (0..table.rows()).find(|&row| table.row(row)[column].is_nan()) else { return Ok(()) };
    let filler = match missing {
        Missing::Value(value) => *value,
        Missing::Mean => match given {
            Some(scaling) => scaling.mean,
            None => mean_of_present(table, column).ok_or_else(|| DataError::NoMean {
                file: table.file.clone(),
                column: table.columns[column].clone(),
            })?,
        },
        Missing::Refuse => {
            return Err(DataError::MissingCell {
                file: table.file.clone(),
                line: table.lines[row],
                id: super::clip(&table.ids[row]),
                column: table.columns[column].clone(),
            });
        }
    };
    for_each(table, column, |v| {
        if v.is_nan() {
            *v = filler;
        }
    });
    Ok(())
}

fn mean_of_present(table: &Features, column: usize) -> Option<f64> {
    let present = || (0..table.rows()).map(|row| table.row(row)[column]).filter(|v| !v.is_nan());
    let n = present().count();
    (n > 0).then(|| present().sum::<f64>() / n as f64)
}

/// Mean and population standard deviation of a column without missing cells, in two passes.
fn measure(table: &Features, column: usize) -> Scaling {
    let n = table.rows() as f64;
    let cells = || (0..table.rows()).map(|row| table.row(row)[column]);
    let mean = cells().sum::<f64>() / n;
    let variance = cells().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    Scaling { mean, standard_deviation: variance.sqrt() }
}

fn for_each(table: &mut Features, column: usize, f: impl FnMut(&mut f64)) {
    let width = table.columns.len();
    table.values.iter_mut().skip(column).step_by(width).for_each(f);
}
