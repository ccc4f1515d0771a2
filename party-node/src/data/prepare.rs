//! Filling missing cells and standardising, at the owner, before anything is shared.
//!
//! A model is trained with certain means and standard deviations; scoring must use the same ones, so they can be given
//! ([`Standardise::Given`]), or read from the file that the training wrote ([`Standardise::Figures`]).
//! [`Standardise::Batch`] takes them from the rows at hand instead: right for a training, and for scoring only
//! when the batch resembles the training data.
//!
//! Columns of 0 and 1 that stand for codes stay 0 and 1: centred by the rows at hand, the same category would mean
//! another number in every batch. A model that was trained on standardised indicators needs its training figures, given
//! by the name of the indicator.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::cells::Cells;
use super::{DataError, TableSource};

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
    /// By the figures that an earlier run wrote into this file, for all columns.
    Figures(PathBuf),
}

/// What reading a column's cells has shown.
#[derive(Clone)]
pub(super) struct Seen {
    present: usize,
    sum: f64,
    /// The row of the first missing cell.
    first_missing: Option<usize>,
}

impl Seen {
    pub(super) fn nothing() -> Self {
        Self { present: 0, sum: empty_sum(), first_missing: None }
    }

    pub(super) fn add(&mut self, row: usize, cell: f64) {
        if cell.is_nan() {
            self.first_missing.get_or_insert(row);
        } else {
            self.present += 1;
            self.sum += cell;
        }
    }
}

/// Where sums begin, which is the negative zero.
fn empty_sum() -> f64 {
    std::iter::empty::<f64>().sum()
}

/// How the cells of a column become values.
#[derive(Copy, Clone)]
pub(super) struct Recipe {
    filler: f64,
    scaling: Option<Scaling>,
}

impl Recipe {
    fn filled(&self, cell: f64) -> f64 {
        if cell.is_nan() { self.filler } else { cell }
    }

    /// What becomes of a filled cell: nothing, where it is used as it is.
    pub(super) fn scaling(&self) -> Scaling {
        self.scaling.unwrap_or(Scaling { mean: 0.0, standard_deviation: 1.0 })
    }

    pub(super) fn value(&self, cell: f64) -> f64 {
        let value = self.filled(cell);
        self.scaling.map_or(value, |s| (value - s.mean) / s.standard_deviation)
    }
}

/// Why there is no recipe: what is wrong, and with which row if it is with one.
pub(super) enum Trouble {
    /// A cell is missing in this row and this column.
    Missing { row: usize, column: usize },
    /// The table is not fit for what is asked.
    Table(DataError),
    /// Cells could not be read again.
    Unread(std::io::Error),
}

/// The recipe of every column of the program, given what reading the cells has shown.
pub(super) fn recipes(source: &TableSource, seen: &[Seen], cells: &Cells) -> Result<Vec<Recipe>, Trouble> {
    let (names, indicators) = (source.features(), source.one_hot.indicators(&source.columns));
    let mut recipes = Vec::with_capacity(seen.len());
    let mut trouble = None;
    for (column, (name, seen)) in names.iter().zip(seen).enumerate() {
        let given = match &source.standardise {
            Standardise::Given(figures) => figures.get(name).copied(),
            // The file's figures are given when the cells are read.
            Standardise::No | Standardise::Batch | Standardise::Figures(_) => None,
        };
        match filler(source, name, column, seen, given) {
            Ok(filler) => recipes.push(Recipe { filler, scaling: given }),
            Err(error) => {
                trouble = Some(error);
                break;
            }
        }
    }
    if source.standardise == Standardise::Batch {
        let columns: Vec<usize> = (0..recipes.len()).filter(|&c| !indicators[c]).collect();
        let scalings = measure(cells, seen, &recipes, &columns).map_err(Trouble::Unread)?;
        for (&column, scaling) in columns.iter().zip(scalings) {
            if scaling.standard_deviation <= 0.0 {
                let (file, column) = (source.file.clone(), names[column].clone());
                return Err(Trouble::Table(DataError::NoSpread { file, column, value: scaling.mean }));
            }
            recipes[column].scaling = Some(scaling);
        }
    }
    trouble.map_or(Ok(recipes), Err)
}

/// What stands for missing cells of a column; any number if it has none.
fn filler(
    source: &TableSource,
    name: &str,
    column: usize,
    seen: &Seen,
    given: Option<Scaling>,
) -> Result<f64, Trouble> {
    let Some(row) = seen.first_missing else { return Ok(f64::NAN) };
    match &source.missing {
        Missing::Value(value) => Ok(*value),
        Missing::Refuse => Err(Trouble::Missing { row, column }),
        Missing::Mean => match given {
            Some(scaling) => Ok(scaling.mean),
            None if seen.present > 0 => Ok(seen.sum / seen.present as f64),
            None => {
                let (file, column) = (source.file.clone(), name.to_owned());
                Err(Trouble::Table(DataError::NoMean { file, column }))
            }
        },
    }
}

/// Mean and population standard deviation of `columns` as filled, in two passes. The first was made while the cells were
/// read, unless some are missing.
fn measure(
    cells: &Cells,
    seen: &[Seen],
    recipes: &[Recipe],
    columns: &[usize],
) -> std::io::Result<Vec<Scaling>> {
    let rows = cells.rows();
    let mut sums: Vec<f64> = columns.iter().map(|&c| seen[c].sum).collect();
    let gaps: Vec<usize> =
        (0..columns.len()).filter(|&at| seen[columns[at]].first_missing.is_some()).collect();
    if !gaps.is_empty() {
        gaps.iter().for_each(|&at| sums[at] = empty_sum());
        cells.for_each(0..rows, |_, row| {
            for &at in &gaps {
                sums[at] += recipes[columns[at]].filled(row[columns[at]]);
            }
        })?;
    }
    let means: Vec<f64> = sums.iter().map(|sum| sum / rows as f64).collect();
    let mut squares = vec![empty_sum(); columns.len()];
    cells.for_each(0..rows, |_, row| {
        for ((&column, mean), sum) in columns.iter().zip(&means).zip(&mut squares) {
            let difference = recipes[column].filled(row[column]) - mean;
            *sum += difference * difference;
        }
    })?;
    let scaling =
        |(&mean, sum): (&f64, f64)| Scaling { mean, standard_deviation: (sum / rows as f64).sqrt() };
    Ok(means.iter().zip(squares).map(scaling).collect())
}
