//! Reads a CSV file row by row: finds the wanted columns by name, and gives every row its key and its line.

use std::path::Path;

use super::fingerprints::Fingerprints;
use super::names::{RowName, RowNames};
use super::spool::SpoolPlace;
use super::{DataError, clip};

/// Where a cell stands, for a complaint about it.
#[derive(Copy, Clone)]
pub(super) struct Place<'a> {
    pub(super) file: &'a Path,
    pub(super) line: u64,
    pub(super) id: &'a str,
    pub(super) column: &'a str,
}

/// Gives the cells of `columns`, without surrounding spaces, to `take`: row after row, and in a row in the order of
/// `columns`, with the position of the column among them.
pub(super) fn read_rows(
    file: &Path,
    key_column: &str,
    columns: &[String],
    place: &SpoolPlace,
    take: impl FnMut(Place<'_>, usize, &str) -> Result<(), DataError>,
) -> Result<RowNames, DataError> {
    let mut reader = open(file)?;
    let header = reader.headers().map_err(|e| DataError::csv(file, &e))?.clone();
    if header.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    let key = position(file, &header, key_column)?;
    let wanted: Vec<(usize, &String)> = columns
        .iter()
        .map(|name| Ok((position(file, &header, name)?, name)))
        .collect::<Result<_, DataError>>()?;

    let mut names = RowNames::new(place.clone());
    let mut prints = Fingerprints::new();
    let read = read_cells(reader, file, (key, key_column), &wanted, take, |name| {
        prints.add(name.id);
        names.push(name).map_err(|e| DataError::spool(file, place, e))
    });
    if let Err(unkept @ DataError::Unkept { .. }) = read {
        return Err(unkept);
    }
    // Whatever else is wrong with the file comes after the rows that were read.
    if let Some(repeat) = prints.first_repeat(&names).map_err(|e| DataError::spool(file, place, e))? {
        let (id, first, second) = (clip(&repeat.id), repeat.first_line, repeat.second_line);
        return Err(DataError::DuplicateId { file: file.into(), id, first, second });
    }
    read?;
    if names.rows() == 0 {
        return Err(DataError::Empty { file: file.into() });
    }
    Ok(names)
}

/// Every row is named to `begin` before its cells are taken.
fn read_cells(
    mut reader: csv::Reader<std::fs::File>,
    file: &Path,
    (key, key_column): (usize, &str),
    wanted: &[(usize, &String)],
    mut take: impl FnMut(Place<'_>, usize, &str) -> Result<(), DataError>,
    mut begin: impl FnMut(RowName<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| DataError::csv(file, &e))? {
        let line = record.position().map_or(0, csv::Position::line);
        let id = record.get(key).unwrap_or_default();
        if id.is_empty() {
            return Err(DataError::NoKey { file: file.into(), line, column: key_column.into() });
        }
        begin(RowName { line, id })?;
        for (at, &(index, column)) in wanted.iter().enumerate() {
            take(Place { file, line, id, column }, at, record.get(index).unwrap_or_default())?;
        }
    }
    Ok(())
}

/// The names in a CSV file's header line.
///
/// # Errors
/// [`DataError`] if the file cannot be read or has no header.
pub fn header(file: &Path) -> Result<Vec<String>, DataError> {
    let mut reader = open(file)?;
    let names = reader.headers().map_err(|e| DataError::csv(file, &e))?;
    if names.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    Ok(names.iter().map(str::to_owned).collect())
}

/// Checks that a file has a column of this name, and only one.
///
/// # Errors
/// [`DataError`] naming the file, and the columns that there are.
pub fn check_column(file: &Path, name: &str) -> Result<(), DataError> {
    let mut reader = open(file)?;
    position(file, reader.headers().map_err(|e| DataError::csv(file, &e))?, name).map(drop)
}

/// How many rows of data a file has; their keys are checked.
///
/// # Errors
/// [`DataError`] naming file and line.
pub fn count_rows(file: &Path, key_column: &str) -> Result<usize, DataError> {
    let place = SpoolPlace::temporary();
    read_rows(file, key_column, &[], &place, |_, _, _| Ok(())).map(|names| names.rows())
}

/// A CSV file whose cells lose the spaces around them.
pub(super) fn open(file: &Path) -> Result<csv::Reader<std::fs::File>, DataError> {
    csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(|e| DataError::csv(file, &e))
}

/// Where a named column stands.
pub(super) fn position(file: &Path, header: &csv::StringRecord, name: &str) -> Result<usize, DataError> {
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

/// Whether a cell says nothing.
pub(crate) fn is_missing(text: &str) -> bool {
    text.is_empty() || text == "NA"
}
