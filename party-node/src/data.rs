//! A party's own data: named columns of a CSV file, joined to nothing and shown to no one.
//!
//! Everything here is local to the owner: reading, turning codes into columns of 0 and 1, filling missing cells and
//! standardising happen before a value is shared. A cell that is empty or `NA` is missing. Row keys, line numbers and
//! column names stay with the values, so that whatever is wrong with one is reported by file, line and column. Memory
//! is linear in the number of values that are shared.

mod error;
mod one_hot;
mod outcomes;
mod prepare;
mod rows;
mod weights;

use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

pub use error::DataError;
pub use one_hot::{MAX_CODES, MISSING_CODE, OneHot, OneHotError, codes_in};
pub use outcomes::{OutcomeCoding, read_outcomes};
pub use prepare::{Missing, Scaling, Standardise};
pub(crate) use rows::is_missing;
pub use rows::{check_column, count_rows, header};
pub use weights::{read_weights, refuse_surplus_weights};

use rows::{Place, read_rows};

/// Which columns of which file make up an input, and how they are prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSource {
    /// The CSV file, with a header line.
    pub file: PathBuf,
    /// The column whose value names the row (a customer id).
    pub key_column: String,
    /// The feature columns, in the order in which the program takes them.
    pub columns: Vec<String>,
    /// Which of them hold codes; each becomes one column per code, in its place.
    pub one_hot: OneHot,
    /// What becomes of missing numbers.
    pub missing: Missing,
    /// Whether columns are standardised, and by which figures.
    pub standardise: Standardise,
}

impl TableSource {
    /// Names of the columns that the program takes: `columns`, with `status=A11` for the code `A11` of `status`.
    #[must_use]
    pub fn features(&self) -> Vec<String> {
        self.one_hot.features(&self.columns)
    }
}

/// A matrix of features with the names of its rows and columns. Values and names of rows are wiped on drop.
pub struct Features {
    file: PathBuf,
    columns: Vec<String>,
    ids: Vec<String>,
    lines: Vec<u64>,
    /// Row-major, `ids.len() × columns.len()`.
    values: Vec<f64>,
}

mpc_core::secret_types!(serde::Serialize; Features);

impl Drop for Features {
    fn drop(&mut self) {
        self.values.zeroize();
        self.ids.zeroize();
    }
}

impl Features {
    /// Reads, fills and standardises a table.
    ///
    /// # Errors
    /// [`DataError`] naming file, line and column.
    pub fn load(source: &TableSource) -> Result<Self, DataError> {
        let encoders: Vec<_> = source.columns.iter().map(|c| source.one_hot.encoder(c)).collect();
        let mut values = Zeroizing::new(Vec::new());
        let mut rows = read_rows(&source.file, &source.key_column, &source.columns, |place, at, text| {
            match &encoders[at] {
                Some(codes) => codes.push(place, text, &mut values)?,
                None => {
                    let value = number(place, text)?;
                    make_room(&mut values, 1);
                    values.push(value);
                }
            }
            Ok(())
        })?;
        let mut table = Self {
            file: source.file.clone(),
            columns: source.features(),
            ids: std::mem::take(&mut rows.ids),
            lines: std::mem::take(&mut rows.lines),
            values: std::mem::take(&mut *values),
        };
        let indicators = source.one_hot.indicators(&source.columns);
        prepare::fill_and_scale(&mut table, &indicators, &source.missing, &source.standardise)?;
        Ok(table)
    }

    /// The file that the values come from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Names of the rows, in the order of the file.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Names of the columns in the order of the program, those of 0 and 1 by their codes.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// One row of features.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f64] {
        let width = self.columns.len();
        &self.values[row * width..(row + 1) * width]
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Checks that every value fits what the program promises about this input.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] naming file, line, row key, column, the value and the limit.
    pub fn check_range(&self, max_abs: f64) -> Result<(), DataError> {
        let bad = self.values.iter().position(|v| v.is_nan() || v.abs() > max_abs);
        bad.map_or(Ok(()), |at| {
            let (row, column) = (at / self.columns.len(), at % self.columns.len());
            Err(DataError::OutOfRange {
                file: self.file.clone(),
                line: self.lines[row],
                id: clip(&self.ids[row]),
                column: self.columns[column].clone(),
                seen: self.values[at],
                max_abs,
            })
        })
    }
}

/// Makes room for `more` values. Where the vector has to move for that, its old memory is wiped.
fn make_room<T: Copy + Zeroize>(values: &mut Vec<T>, more: usize) {
    if values.capacity() - values.len() < more {
        let mut larger = Vec::with_capacity((2 * values.capacity()).max(values.len() + more).max(1024));
        larger.extend_from_slice(values);
        values.zeroize();
        *values = larger;
    }
}

/// The number in a cell, NaN if it is missing.
fn number(place: Place<'_>, text: &str) -> Result<f64, DataError> {
    parse_cell(text).ok_or_else(|| DataError::NotANumber {
        file: place.file.into(),
        line: place.line,
        id: clip(place.id),
        column: place.column.into(),
        seen: clip(text),
    })
}

/// A finite number, NaN for a missing cell, `None` for anything else (the words "NaN" and "inf" included).
fn parse_cell(text: &str) -> Option<f64> {
    if is_missing(text) {
        return Some(f64::NAN);
    }
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

/// At most 40 characters of a cell, for an error message.
fn clip(text: &str) -> String {
    if text.chars().count() <= 40 { text.into() } else { text.chars().take(39).chain(['…']).collect() }
}

#[cfg(test)]
mod tests;
