//! A party's own data: named columns of a CSV file, joined to nothing and shown to no one.
//!
//! Everything here is local to the owner: reading, turning codes into columns of 0 and 1, filling missing cells and
//! standardising happen before a value is shared. A cell that is empty or `NA` is missing. Row keys, line numbers and
//! column names stay with the values, so that whatever is wrong with one is reported by file, line and column.
//!
//! A file is read once, whatever its length, and memory does not grow with its rows but for 8 bytes each while it is read:
//! cells and ids are spooled, and read again a window at a time.

mod cells;
mod error;
mod figures;
mod fingerprints;
mod names;
mod one_hot;
mod outcomes;
mod prepare;
mod rows;
mod spool;
mod tensors;
mod weights;

use std::ops::Range;
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

pub use error::DataError;
pub use figures::read_figures;
pub use names::{NamesReader, RowName, RowNames};
pub use one_hot::{MAX_CODES, MISSING_CODE, OneHot, OneHotError, codes_in};
pub use outcomes::{OutcomeCoding, read_outcomes};
pub use prepare::{Missing, Scaling, Standardise};
pub(crate) use rows::is_missing;
pub use rows::{check_column, count_rows, header};
pub use spool::SpoolPlace;
pub use tensors::{TensorFile, holds_tensors, is_npy, tensor_names, write_npy};
pub use weights::{read_weights, refuse_surplus_weights};

use cells::Cells;
use prepare::{Recipe, Seen, Trouble};
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

/// A matrix of features with the names of its rows and columns. What it holds in memory is wiped on drop.
pub struct Features {
    file: PathBuf,
    place: SpoolPlace,
    columns: Vec<String>,
    names: RowNames,
    values: PreparedValues,
}

/// The values of a table, filled and standardised, which are read a window at a time.
pub struct PreparedValues {
    cells: Cells,
    /// One per column.
    recipes: Vec<Recipe>,
}

/// Where a value of a table stands, for people.
struct Cell {
    file: PathBuf,
    line: u64,
    id: String,
    column: String,
}

mpc_core::secret_types!(serde::Serialize; Features, PreparedValues);

impl Features {
    /// Reads a table and finds out how to fill and standardise it. What is more than memory is meant to hold goes to `place`.
    ///
    /// # Errors
    /// [`DataError`] naming file, line and column.
    pub fn load(source: &TableSource, place: &SpoolPlace) -> Result<Self, DataError> {
        if let Standardise::Figures(file) = &source.standardise {
            let given = figures::figures_for(file, &source.features())?;
            return Self::load(
                &TableSource { standardise: Standardise::Given(given), ..source.clone() },
                place,
            );
        }
        // In boxes: where there is none, nothing but that is written, and not what the stack held in its place.
        let encoders: Vec<_> =
            source.columns.iter().map(|c| source.one_hot.encoder(c).map(Box::new)).collect();
        let columns = source.features();
        let spool = |error| DataError::spool(&source.file, place, error);
        let mut cells = Cells::new(place.clone(), columns.len());
        let mut seen = vec![Seen::nothing(); columns.len()];
        let mut row = Zeroizing::new(Vec::with_capacity(columns.len()));
        let names =
            read_rows(&source.file, &source.key_column, &source.columns, place, |at, index, text| {
                match &encoders[index] {
                    Some(codes) => codes.push(at, text, &mut row)?,
                    None => row.push(number(at, text)?),
                }
                if index + 1 == encoders.len() {
                    seen.iter_mut().zip(row.iter()).for_each(|(seen, &cell)| seen.add(cells.rows(), cell));
                    cells.push(&row).map_err(spool)?;
                    row.clear();
                }
                Ok(())
            })?;
        let recipes = prepare::recipes(source, &seen, &cells).map_err(|trouble| match trouble {
            Trouble::Table(error) => error,
            Trouble::Unread(error) => spool(error),
            Trouble::Missing { row, column } => match names.of_row(row) {
                Ok((line, id)) => DataError::MissingCell {
                    file: source.file.clone(),
                    line,
                    id: clip(&id),
                    column: columns[column].clone(),
                },
                Err(error) => spool(error),
            },
        })?;
        let values = PreparedValues { cells, recipes };
        Ok(Self { file: source.file.clone(), place: place.clone(), columns, names, values })
    }

    /// The file that the values come from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Names of the rows, in the order of the file.
    #[must_use]
    pub const fn names(&self) -> &RowNames {
        &self.names
    }

    /// Names of the columns in the order of the program, those of 0 and 1 by their codes.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// By which figures the columns are standardised, as text of the file that [`read_figures`] reads.
    #[must_use]
    pub fn figures(&self) -> Zeroizing<Vec<u8>> {
        figures::text(&self.columns, &self.values.recipes)
    }

    /// Number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.names.rows()
    }

    /// The values.
    #[must_use]
    pub const fn values(&self) -> &PreparedValues {
        &self.values
    }

    /// Names of the rows, and the values.
    #[must_use]
    pub fn into_parts(self) -> (RowNames, PreparedValues) {
        (self.names, self.values)
    }

    /// Something that went wrong with what was kept of this table.
    #[must_use]
    pub fn unkept(&self, error: std::io::Error) -> DataError {
        DataError::spool(&self.file, &self.place, error)
    }

    /// Checks that every value fits what the program promises about this input.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] naming file, line, row key, column, the value and the limit.
    pub fn check_range(&self, max_abs: f64) -> Result<(), DataError> {
        let Some((cell, seen)) = self.first(|v| v.is_nan() || v.abs() > max_abs)? else { return Ok(()) };
        let Cell { file, line, id, column } = cell;
        Err(DataError::OutOfRange { file, line, id, column, seen, max_abs })
    }

    /// Checks that every value is an integer.
    ///
    /// # Errors
    /// [`DataError::NotAnInteger`] naming file, line, row key, column and the value.
    pub fn check_integers(&self) -> Result<(), DataError> {
        let Some((cell, seen)) = self.first(|v| v.fract() != 0.0)? else { return Ok(()) };
        let Cell { file, line, id, column } = cell;
        Err(DataError::NotAnInteger { file, line, id, column, seen })
    }

    /// The first value of which something holds, and where it is.
    fn first(&self, is: impl Fn(f64) -> bool) -> Result<Option<(Cell, f64)>, DataError> {
        let mut found = None;
        let all = self.values.for_each(0..self.rows(), |number, row| {
            if found.is_none() {
                found = row.iter().position(|&v| is(v)).map(|column| (number, column, row[column]));
            }
        });
        all.map_err(|e| self.unkept(e))?;
        let Some((row, column, seen)) = found else { return Ok(None) };
        let (line, id) = self.names.of_row(row).map_err(|e| self.unkept(e))?;
        let (file, column) = (self.file.clone(), self.columns[column].clone());
        Ok(Some((Cell { file, line, id: clip(&id), column }, seen)))
    }
}

impl PreparedValues {
    /// The values of these rows, row after row.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&self, rows: Range<usize>) -> std::io::Result<Zeroizing<Vec<f64>>> {
        let mut values = Zeroizing::new(Vec::with_capacity(rows.len() * self.recipes.len()));
        self.for_each(rows, |_, row| values.extend_from_slice(row))?;
        Ok(values)
    }

    /// Calls `each` with rows in order, by number.
    fn for_each(&self, rows: Range<usize>, mut each: impl FnMut(usize, &[f64])) -> std::io::Result<()> {
        let mut values = Zeroizing::new(vec![0.0; self.recipes.len()]);
        self.cells.for_each(rows, |number, cells| {
            let prepared = self.recipes.iter().zip(cells).map(|(recipe, &cell)| recipe.value(cell));
            values.iter_mut().zip(prepared).for_each(|(value, new)| *value = new);
            each(number, &values);
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
