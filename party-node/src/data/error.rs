//! What can be wrong with a party's own files. Every message names the file and, where there is one, line and column.

use std::path::{Path, PathBuf};

use super::{MAX_CODES, OutcomeCoding, SpoolPlace, clip};
use crate::error::CliError;

/// Why local data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// What was read of the file cannot be kept on disk, or read back from there.
    #[error("{}: its rows cannot be kept in {}: {error}", file.display(), folder.display())]
    Unkept {
        /// Which file.
        file: PathBuf,
        /// Where its rows are kept.
        folder: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
    /// The file is not the table it should be.
    #[error("{}, line {line}: {what}", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    /// A file of tensors that cannot be used.
    #[error("{}: {what}", file.display())]
    Tensor {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An element of a tensor is larger than the program allows at this input.
    #[error("{}: element {index:?} of `{name}` is {seen}, out of range: the program allows ±{max_abs}", file.display())]
    TensorRange {
        /// Which file.
        file: PathBuf,
        /// Which tensor.
        name: String,
        /// Index along every axis, from 0.
        index: Box<[usize]>,
        /// The element.
        seen: f64,
        /// The declared bound.
        max_abs: f64,
    },
    /// Figures of other columns than the input takes, or in another order.
    #[error("{}: has figures of {}, the input takes {}", file.display(), list(figures), list(columns))]
    OtherColumns {
        /// The file of figures.
        file: PathBuf,
        /// What it is about.
        figures: Vec<String>,
        /// Columns of the input.
        columns: Vec<String>,
    },
    /// There is no row of data.
    #[error("{}: expected a header line and at least one row, the file has no rows", file.display())]
    Empty {
        /// Which file.
        file: PathBuf,
    },
    /// A column that the configuration names is not there.
    #[error("{}: no column `{column}`; the file has {}", file.display(), list(known))]
    UnknownColumn {
        /// Which file.
        file: PathBuf,
        /// The name looked for.
        column: String,
        /// The names in the header.
        known: Vec<String>,
    },
    /// Two columns have the same name.
    #[error("{}: column `{column}` occurs twice in the header", file.display())]
    RepeatedColumn {
        /// Which file.
        file: PathBuf,
        /// The name.
        column: String,
    },
    /// A row has no key.
    #[error("{}, line {line}: the key column `{column}` is empty", file.display())]
    NoKey {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The key column.
        column: String,
    },
    /// Two rows have the same key.
    #[error("{}, line {second}: id `{id}` was already in line {first}; ids must be unique", file.display())]
    DuplicateId {
        /// Which file.
        file: PathBuf,
        /// The repeated key.
        id: String,
        /// Its first line.
        first: u64,
        /// Its second line.
        second: u64,
    },
    /// A cell does not hold a finite number.
    #[error("{}, line {line} (id `{id}`), column `{column}`: expected a number, got `{seen}`", file.display())]
    NotANumber {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Key of the row.
        id: String,
        /// Which column.
        column: String,
        /// What the cell holds.
        seen: String,
    },
    /// A cell is missing where missing cells are refused.
    #[error("{}, line {line} (id `{id}`), column `{column}`: the cell is empty and `missing` is \"refuse\"", file.display())]
    MissingCell {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Key of the row.
        id: String,
        /// Which column.
        column: String,
    },
    /// A cell holds a code that is not listed.
    #[error("{}, line {line} (id `{id}`), column `{column}`: expected one of the codes {}, got `{seen}`", file.display(), list(known))]
    UnknownCode {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Key of the row.
        id: String,
        /// Which column.
        column: String,
        /// What the cell holds.
        seen: String,
        /// The codes that are listed.
        known: Box<[String]>,
    },
    /// A cell is missing in a column of codes that has none for that.
    #[error("{}, line {line} (id `{id}`), column `{column}`: expected one of the codes {}, the cell is empty", file.display(), list(known))]
    MissingCode {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Key of the row.
        id: String,
        /// Which column.
        column: String,
        /// The codes that are listed.
        known: Box<[String]>,
    },
    /// A column has too many different codes to be one of categories.
    #[error("{}, line {line}: column `{column}` has more than {MAX_CODES} different codes", file.display())]
    TooManyCodes {
        /// Which file.
        file: PathBuf,
        /// Line of the first code that is too many, from 1.
        line: u64,
        /// Which column.
        column: String,
    },
    /// A whole column is missing, so it has no codes.
    #[error("{}: every cell of column `{column}` is empty, so it has no codes", file.display())]
    NoCodes {
        /// Which file.
        file: PathBuf,
        /// Which column.
        column: String,
    },
    /// A whole column is missing, so it has no mean.
    #[error("{}: every cell of column `{column}` is empty, so it has no mean to fill in", file.display())]
    NoMean {
        /// Which file.
        file: PathBuf,
        /// Which column.
        column: String,
    },
    /// A constant column cannot be standardised by its own spread.
    #[error("{}: column `{column}` is {value} in every row and cannot be standardised", file.display())]
    NoSpread {
        /// Which file.
        file: PathBuf,
        /// Which column.
        column: String,
        /// Its only value.
        value: f64,
    },
    /// A value is larger than the program allows at this input.
    #[error("{}, line {line} (id `{id}`), column `{column}`: {seen} is out of range, the program allows ±{max_abs}", file.display())]
    OutOfRange {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Key of the row.
        id: String,
        /// Which column.
        column: String,
        /// The value, as it would be encoded.
        seen: f64,
        /// The declared bound.
        max_abs: f64,
    },
    /// A fraction at an input of integers.
    #[error("{}, line {line} (id `{id}`), column `{column}`: {seen} is not an integer, as the program wants", file.display())]
    NotAnInteger {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Key of the row.
        id: String,
        /// Which column.
        column: String,
        /// The value, as it would be encoded.
        seen: f64,
    },
    /// An outcome is neither good nor bad.
    #[error("{}, line {line}, column `{column}`: expected an outcome of {expected}, got {seen}", file.display())]
    NotAnOutcome {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Which column.
        column: String,
        /// What cells may hold.
        expected: Box<OutcomeCoding>,
        /// What the cell holds.
        seen: String,
    },
    /// A weight that the program needs is not in the weights file.
    #[error("{}: no weight named `{name}`; the file has {}", file.display(), list(known))]
    UnknownWeight {
        /// Which file.
        file: PathBuf,
        /// The name looked for.
        name: String,
        /// The names in the file.
        known: Vec<String>,
    },
    /// The weights file has one that nothing uses.
    #[error("{}, line {line}: nothing uses the weight `{name}`; the program takes {}", file.display(), list(wanted))]
    SurplusWeight {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Its name.
        name: String,
        /// The names that are used.
        wanted: Vec<String>,
    },
}

impl DataError {
    /// Trouble with what was kept of `file`.
    pub(super) fn spool(file: &Path, place: &SpoolPlace, error: std::io::Error) -> Self {
        Self::Unkept { file: file.into(), folder: place.folder().into(), error }
    }

    /// What the CSV reader said, with the line it said it about.
    pub(super) fn csv(file: &Path, error: &csv::Error) -> Self {
        let line = error.position().map_or(1, csv::Position::line);
        match error.kind() {
            csv::ErrorKind::Io(io) => {
                let error =
                    io.raw_os_error().map_or_else(|| io.kind().into(), std::io::Error::from_raw_os_error);
                Self::Unreadable { file: file.into(), error }
            }
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => Self::Malformed {
                file: file.into(),
                line,
                what: format!("expected {expected_len} cells as in the header, got {len}"),
            },
            csv::ErrorKind::Utf8 { err, .. } => Self::Malformed {
                file: file.into(),
                line,
                what: format!("cell {} is not UTF-8 text", err.field() + 1),
            },
            _ => Self::Malformed { file: file.into(), line, what: error.to_string() },
        }
    }

    /// Stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { error, .. } if error.kind() == std::io::ErrorKind::NotFound => "file_missing",
            Self::Unreadable { .. } => "file_error",
            Self::Unkept { .. } => "rows_not_kept",
            Self::Tensor { .. } => "bad_tensor",
            Self::Malformed { .. } | Self::Empty { .. } | Self::RepeatedColumn { .. } => "data_malformed",
            Self::UnknownColumn { .. } => "unknown_column",
            Self::OtherColumns { .. } => "figures_differ",
            Self::NoKey { .. } => "missing_id",
            Self::DuplicateId { .. } => "duplicate_id",
            Self::NotANumber { .. } => "not_a_number",
            Self::UnknownCode { .. } => "unknown_code",
            Self::TooManyCodes { .. } => "too_many_codes",
            Self::MissingCell { .. }
            | Self::MissingCode { .. }
            | Self::NoMean { .. }
            | Self::NoCodes { .. } => "missing_value",
            Self::NoSpread { .. } => "constant_column",
            Self::OutOfRange { .. } | Self::TensorRange { .. } => "out_of_range",
            Self::NotAnInteger { .. } => "not_an_integer",
            Self::NotAnOutcome { .. } => "bad_outcome",
            Self::UnknownWeight { .. } => "unknown_weight",
            Self::SurplusWeight { .. } => "surplus_weight",
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unreadable { .. } => "paths in a configuration are relative to the configuration file",
            Self::Unkept { .. } => {
                "more rows than memory is meant to hold are kept there, encrypted, while the node runs: make room"
            }
            Self::UnknownColumn { .. } => "column names are compared exactly, upper and lower case included",
            Self::OtherColumns { .. } => {
                "columns, codes and their order must be those of the training whose run wrote the figures"
            }
            Self::NotANumber { .. } => {
                "only an empty cell or NA counts as missing; decimals are written with a point"
            }
            Self::MissingCell { .. } => "set missing = \"mean\" or a number to fill empty cells",
            Self::UnknownCode { .. } => {
                "codes are compared exactly; one_hot lists those that the model was trained with"
            }
            Self::MissingCode { .. } => {
                "list \"NA\" among the codes to make missing cells a category of their own, with its own weight"
            }
            Self::TooManyCodes { .. } => "a column of numbers or names is no column of codes",
            Self::NoCodes { .. } => {
                "write the codes out, with \"NA\" for missing cells, or leave the column out"
            }
            Self::NotAnOutcome { expected, .. } if **expected == OutcomeCoding::Numbers => {
                "good = \"…\" and bad = \"…\" say which values mean what, if not 0 and 1"
            }
            Self::NoMean { .. } | Self::NoSpread { .. } => {
                "give mean and standard_deviation of the column in the configuration, or leave the column out"
            }
            Self::UnknownWeight { name, known, .. } if known.iter().any(|k| is_code_of(k, name)) => {
                "the file has weights of this column's codes: list the codes under one_hot"
            }
            Self::SurplusWeight { .. } => {
                "a weight is named PARTY.COLUMN or PARTY.COLUMN=CODE, exactly; take out what the model does not have"
            }
            Self::OutOfRange { .. } | Self::TensorRange { .. } => {
                "standardise the column, or build the program with a larger bound for this input"
            }
            _ => return None,
        })
    }
}

/// Whether a weight is that of one of a column's codes.
fn is_code_of(weight: &str, column: &str) -> bool {
    weight.strip_prefix(column).is_some_and(|rest| rest.starts_with('='))
}

impl From<DataError> for CliError {
    fn from(error: DataError) -> Self {
        let cli = Self::setup(error.code(), &error);
        match error.hint() {
            Some(hint) => cli.with_hint(hint),
            None => cli,
        }
    }
}

/// The first dozen names of a list, fewer if they are long.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    const SHOWN_CHARS: usize = 240;
    let mut text = String::new();
    for (at, name) in names.iter().map(|name| clip(name)).enumerate() {
        if at == SHOWN || text.chars().count() + name.chars().count() > SHOWN_CHARS {
            text.push_str(&format!(" and {} more", names.len() - at));
            break;
        }
        text.push_str(if at == 0 { "" } else { ", " });
        text.push_str(&format!("`{name}`"));
    }
    if text.is_empty() { "none".into() } else { text }
}
