//! Categories: a column of codes becomes one column of 0 and 1 per code, in the order in which the codes are listed.
//!
//! Which codes exist is said beforehand and never taken from the rows at hand: the number of columns is part of the
//! program that all parties agree on, and the model has one weight per code. A code that is not listed is therefore an
//! error and not a row of zeros, which would mean another category to the model. So is a missing cell, whatever
//! `missing` says of numbers: neither a mean nor a number is a category. Where missing is a category of its own, as
//! scorecards often have it, the code `NA` is listed and stands for all missing cells.
//!
//! The first code of every column can go without a column of its own: a row of zeros is then that code, as labels of two classes want
//! it, and models with a base category.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::rows::{Place, is_missing, read_rows};
use super::spool::SpoolPlace;
use super::{DataError, clip, make_room};

/// The most codes that a column can have; a column with more holds numbers or names.
pub const MAX_CODES: usize = 256;
/// The code of missing cells, where it is listed.
pub const MISSING_CODE: &str = "NA";

/// Which columns of a table hold codes, and which codes exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneHot {
    codes: BTreeMap<String, Vec<String>>,
    drop_first: bool,
}

/// Why codes cannot be used. Every message names the column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OneHotError {
    /// A column that the table does not take.
    #[error("one_hot names `{}`, which is not among the columns", clip(column))]
    NotAColumn {
        /// Which column.
        column: String,
    },
    /// No code at all.
    #[error("one_hot of `{}` is empty, expected at least one code", clip(column))]
    NoCodes {
        /// Which column.
        column: String,
    },
    /// More codes than [`MAX_CODES`].
    #[error("one_hot of `{}`: expected at most {MAX_CODES} codes, got {count}", clip(column))]
    TooManyCodes {
        /// Which column.
        column: String,
        /// How many codes.
        count: usize,
    },
    /// A code that no cell can hold.
    #[error(
        "one_hot of `{}`: no cell can hold the code `{}`: cells lose the spaces around them, and an empty one is `{MISSING_CODE}`",
        clip(column),
        clip(code)
    )]
    NoCell {
        /// Which column.
        column: String,
        /// The code.
        code: String,
        /// Its position in the list.
        at: usize,
    },
    /// A code is listed twice.
    #[error("one_hot of `{}` lists the code `{}` twice", clip(column), clip(code))]
    Repeated {
        /// Which column.
        column: String,
        /// The code.
        code: String,
        /// Position of its second place in the list.
        at: usize,
    },
    /// The only code of a column is to have none.
    #[error("drop_first leaves nothing of `{}`, which has one code", clip(column))]
    OneCode {
        /// Which column.
        column: String,
    },
    /// A column of 0 and 1 would be called like another one.
    #[error("one_hot of `{}`: two columns would be called `{}`", clip(column), clip(name))]
    SameName {
        /// Which column.
        column: String,
        /// The name.
        name: String,
    },
}

impl OneHotError {
    /// The column that it is about.
    #[must_use]
    pub fn column(&self) -> &str {
        match self {
            Self::NotAColumn { column }
            | Self::NoCodes { column }
            | Self::TooManyCodes { column, .. }
            | Self::NoCell { column, .. }
            | Self::Repeated { column, .. }
            | Self::OneCode { column }
            | Self::SameName { column, .. } => column,
        }
    }

    /// Position in the list of the code that it is about, if it is about one.
    #[must_use]
    pub fn code_at(&self) -> Option<usize> {
        match self {
            Self::NoCell { at, .. } | Self::Repeated { at, .. } => Some(*at),
            _ => None,
        }
    }
}

impl OneHot {
    /// Codes by column, for a table that takes `columns`.
    ///
    /// # Errors
    /// [`OneHotError`]: a column that is not among `columns`, a list that is empty or too long, a code that is repeated
    /// or that no cell can hold, or two columns of one name in the end.
    pub fn new(codes: BTreeMap<String, Vec<String>>, columns: &[String]) -> Result<Self, OneHotError> {
        for (name, list) in &codes {
            let column = || name.clone();
            if !columns.contains(name) {
                return Err(OneHotError::NotAColumn { column: column() });
            }
            if list.is_empty() {
                return Err(OneHotError::NoCodes { column: column() });
            }
            if list.len() > MAX_CODES {
                return Err(OneHotError::TooManyCodes { column: column(), count: list.len() });
            }
            for (at, code) in list.iter().enumerate() {
                if code.is_empty() || code.trim() != code {
                    return Err(OneHotError::NoCell { column: column(), code: code.clone(), at });
                }
                if list[..at].contains(code) {
                    return Err(OneHotError::Repeated { column: column(), code: code.clone(), at });
                }
            }
        }
        let one_hot = Self { codes, drop_first: false };
        one_hot.names_differ(columns)?;
        Ok(one_hot)
    }

    /// The same without a column for the first code of every column.
    ///
    /// # Errors
    /// [`OneHotError::OneCode`].
    pub fn dropping_first(self) -> Result<Self, OneHotError> {
        match self.codes.iter().find(|(_, codes)| codes.len() < 2) {
            Some((column, _)) => Err(OneHotError::OneCode { column: column.clone() }),
            None => Ok(Self { drop_first: true, ..self }),
        }
    }

    /// Codes without a column.
    const fn dropped(&self) -> usize {
        if self.drop_first { 1 } else { 0 }
    }

    fn names_differ(&self, columns: &[String]) -> Result<(), OneHotError> {
        let mut owners: HashMap<String, &String> = HashMap::new();
        for column in columns {
            for name in self.features_of(column) {
                let Some(other) = owners.insert(name.clone(), column) else { continue };
                // One of the two holds codes, or the table takes one column twice, which is not for us to say.
                if let Some(column) = [column, other].into_iter().find(|c| self.codes.contains_key(*c)) {
                    return Err(OneHotError::SameName { column: column.clone(), name });
                }
            }
        }
        Ok(())
    }

    /// The codes of a column, if it holds codes.
    #[must_use]
    pub fn codes(&self, column: &str) -> Option<&[String]> {
        self.codes.get(column).map(Vec::as_slice)
    }

    /// Columns with their codes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.codes.iter().map(|(column, codes)| (column.as_str(), codes.as_slice()))
    }

    /// Whether no column holds codes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Names of the columns that `columns` become: `status=A11` for the code `A11` of `status`, others as they are.
    #[must_use]
    pub fn features(&self, columns: &[String]) -> Vec<String> {
        columns.iter().flat_map(|column| self.features_of(column)).collect()
    }

    fn features_of(&self, column: &String) -> Vec<String> {
        match self.codes.get(column) {
            Some(codes) => codes[self.dropped()..].iter().map(|code| format!("{column}={code}")).collect(),
            None => vec![column.clone()],
        }
    }

    /// For every one of [`Self::features`] whether it is 0 or 1 by a code.
    pub(super) fn indicators(&self, columns: &[String]) -> Vec<bool> {
        let of = |column: &String| match self.codes.get(column) {
            Some(codes) => vec![true; codes.len() - self.dropped()],
            None => vec![false],
        };
        columns.iter().flat_map(of).collect()
    }

    /// What reads the cells of `column`, if it holds codes.
    pub(super) fn encoder(&self, column: &str) -> Option<Encoder<'_>> {
        let codes = self.codes(column)?;
        let places = codes.iter().enumerate().map(|(at, c)| (c.as_str(), at)).collect();
        Some(Encoder { codes, dropped: self.dropped(), places })
    }
}

/// Turns the cells of one column into 0 and 1.
pub(super) struct Encoder<'a> {
    codes: &'a [String],
    /// The first of them that have no column.
    dropped: usize,
    places: HashMap<&'a str, usize>,
}

impl Encoder<'_> {
    /// Appends one value per code that has a column: 1 for the cell's, 0 for the others.
    pub(super) fn push(&self, place: Place<'_>, text: &str, values: &mut Vec<f64>) -> Result<(), DataError> {
        let code = if is_missing(text) { MISSING_CODE } else { text };
        let Some(&one) = self.places.get(code) else { return Err(self.unknown(place, text)) };
        let (zeros, width) = (values.len(), self.codes.len() - self.dropped);
        make_room(values, width);
        values.resize(zeros + width, 0.0);
        if let Some(one) = one.checked_sub(self.dropped) {
            values[zeros + one] = 1.0;
        }
        Ok(())
    }

    fn unknown(&self, place: Place<'_>, text: &str) -> DataError {
        let (file, line, id) = (place.file.into(), place.line, clip(place.id));
        let (column, known) = (place.column.into(), self.codes.iter().map(|c| clip(c)).collect());
        if is_missing(text) {
            DataError::MissingCode { file, line, id, column, known }
        } else {
            DataError::UnknownCode { file, line, id, column, seen: clip(text), known }
        }
    }
}

/// The codes that the `columns` of a file hold, sorted; missing cells add none.
///
/// # Errors
/// [`DataError`] for a file that cannot be read, a column without codes, or one with more than [`MAX_CODES`].
pub fn codes_in(
    file: &Path,
    key_column: &str,
    columns: &[String],
) -> Result<BTreeMap<String, Vec<String>>, DataError> {
    let mut seen: Vec<BTreeSet<String>> = vec![BTreeSet::new(); columns.len()];
    read_rows(file, key_column, columns, &SpoolPlace::temporary(), |place, at, text| {
        if !is_missing(text) && !seen[at].contains(text) {
            if seen[at].len() == MAX_CODES {
                return Err(DataError::TooManyCodes {
                    file: file.into(),
                    line: place.line,
                    column: place.column.into(),
                });
            }
            seen[at].insert(text.to_owned());
        }
        Ok(())
    })?;
    let codes = columns.iter().zip(seen).map(|(column, codes)| {
        if codes.is_empty() {
            return Err(DataError::NoCodes { file: file.into(), column: column.clone() });
        }
        Ok((column.clone(), codes.into_iter().collect()))
    });
    codes.collect()
}
