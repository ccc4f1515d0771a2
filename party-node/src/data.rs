//! A party's own data: named columns of a CSV file, joined to nothing and shown to no one.
//!
//! Everything here is local to the owner: reading, filling missing cells and standardising happen before a value is
//! shared. A cell that is empty or `NA` is missing. Row keys, line numbers and column names stay with the values, so
//! that whatever is wrong with one is reported by file, line and column. Memory is linear in the file.

mod error;
mod prepare;
mod weights;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use error::DataError;
pub use prepare::{Missing, Scaling, Standardise};
pub use weights::read_weights;

/// Which columns of which file make up an input, and how they are prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSource {
    /// The CSV file, with a header line.
    pub file: PathBuf,
    /// The column whose value names the row (a customer id).
    pub key_column: String,
    /// The feature columns, in the order in which the program takes them.
    pub columns: Vec<String>,
    /// What becomes of missing cells.
    pub missing: Missing,
    /// Whether columns are standardised, and by which figures.
    pub standardise: Standardise,
}

/// A matrix of features with the names of its rows and columns.
#[derive(Clone)]
pub struct Features {
    file: PathBuf,
    columns: Vec<String>,
    ids: Vec<String>,
    lines: Vec<u64>,
    /// Row-major, `ids.len() × columns.len()`.
    values: Vec<f64>,
}

impl Features {
    /// Reads, fills and standardises a table.
    ///
    /// # Errors
    /// [`DataError`] naming file, line and column.
    pub fn load(source: &TableSource) -> Result<Self, DataError> {
        let mut table = Self::read(&source.file, &source.key_column, &source.columns)?;
        prepare::fill_and_scale(&mut table, &source.missing, &source.standardise)?;
        Ok(table)
    }

    /// Reads the named columns; missing cells are NaN until they are filled.
    pub(crate) fn read(file: &Path, key_column: &str, columns: &[String]) -> Result<Self, DataError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(file)
            .map_err(|e| DataError::csv(file, &e))?;
        let header = reader.headers().map_err(|e| DataError::csv(file, &e))?.clone();
        if header.is_empty() {
            return Err(DataError::Empty { file: file.into() });
        }
        let key = position(file, &header, key_column)?;
        let wanted: Vec<usize> =
            columns.iter().map(|name| position(file, &header, name)).collect::<Result<_, _>>()?;

        let mut table = Self {
            file: file.into(),
            columns: columns.to_vec(),
            ids: Vec::new(),
            lines: Vec::new(),
            values: Vec::new(),
        };
        let mut seen: HashMap<String, u64> = HashMap::new();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|e| DataError::csv(file, &e))? {
            let line = record.position().map_or(0, csv::Position::line);
            let id = record.get(key).unwrap_or_default();
            if id.is_empty() {
                return Err(DataError::NoKey { file: file.into(), line, column: key_column.into() });
            }
            if let Some(&first) = seen.get(id) {
                return Err(DataError::DuplicateId { file: file.into(), id: clip(id), first, second: line });
            }
            seen.insert(id.to_owned(), line);
            for (&index, name) in wanted.iter().zip(columns) {
                let text = record.get(index).unwrap_or_default();
                table.values.push(parse_cell(text).ok_or_else(|| DataError::NotANumber {
                    file: file.into(),
                    line,
                    id: clip(id),
                    column: name.clone(),
                    seen: clip(text),
                })?);
            }
            table.ids.push(id.to_owned());
            table.lines.push(line);
        }
        if table.ids.is_empty() {
            return Err(DataError::Empty { file: file.into() });
        }
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

    /// Names of the columns, in the order of the program.
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

    /// Reads one column of outcomes: 1 is bad, 0 is good, nothing else and nothing missing.
    ///
    /// # Errors
    /// [`DataError`] naming file, line and column.
    pub fn read_outcomes(
        file: &Path,
        key_column: &str,
        column: &str,
    ) -> Result<(Vec<String>, Vec<bool>), DataError> {
        let table = Self::read(file, key_column, &[column.to_owned()])?;
        let outcome = |row: usize| match table.values[row] {
            0.0 => Ok(false),
            1.0 => Ok(true),
            seen => Err(DataError::NotAnOutcome {
                file: file.into(),
                line: table.lines[row],
                column: column.into(),
                seen: if seen.is_nan() { "nothing".into() } else { seen.to_string() },
            }),
        };
        let outcomes = (0..table.rows()).map(outcome).collect::<Result<_, _>>()?;
        Ok((table.ids, outcomes))
    }
}

/// The names in a CSV file's header line.
///
/// # Errors
/// [`DataError`] if the file cannot be read or has no header.
pub fn header(file: &Path) -> Result<Vec<String>, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(file)
        .map_err(|e| DataError::csv(file, &e))?;
    let names = reader.headers().map_err(|e| DataError::csv(file, &e))?;
    if names.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    Ok(names.iter().map(str::to_owned).collect())
}

/// Where a named column stands.
fn position(file: &Path, header: &csv::StringRecord, name: &str) -> Result<usize, DataError> {
    let mut places = header.iter().enumerate().filter(|&(_, seen)| seen == name).map(|(i, _)| i);
    let first = places.next().ok_or_else(|| DataError::UnknownColumn {
        file: file.into(),
        column: name.into(),
        known: header.iter().map(clip).collect(),
    })?;
    if places.next().is_some() {
        return Err(DataError::RepeatedColumn { file: file.into(), column: name.into() });
    }
    Ok(first)
}

/// A finite number, NaN for a missing cell, `None` for anything else (the words "NaN" and "inf" included).
fn parse_cell(text: &str) -> Option<f64> {
    if text.is_empty() || text == "NA" {
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
