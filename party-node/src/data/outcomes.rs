//! Known outcomes, from a column of a CSV file: every row is good or bad, and nothing else.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::names::RowNames;
use super::rows::{is_missing, read_rows};
use super::spool::SpoolPlace;
use super::{DataError, clip, make_room, parse_cell};

/// How a column of outcomes says what was good and what was bad.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OutcomeCoding {
    /// The number 1 is bad, 0 is good.
    #[default]
    Numbers,
    /// Cells hold one of these texts, which differ.
    Texts {
        /// The good outcome.
        good: String,
        /// The bad one.
        bad: String,
    },
}

impl OutcomeCoding {
    /// Whether a cell is bad; `None` if it is neither.
    fn is_bad(&self, text: &str) -> Option<bool> {
        match self {
            Self::Numbers => match parse_cell(text) {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                _ => None,
            },
            Self::Texts { good, .. } if good == text => Some(false),
            Self::Texts { bad, .. } if bad == text => Some(true),
            Self::Texts { .. } => None,
        }
    }
}

/// What a cell may hold, for a complaint.
impl fmt::Display for OutcomeCoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers => f.write_str("0 (good) or 1 (bad)"),
            Self::Texts { good, bad } => write!(f, "`{}` (good) or `{}` (bad)", clip(good), clip(bad)),
        }
    }
}

/// Reads one column of outcomes: the keys of the rows, and whether each is bad, a byte per row. None may be missing.
///
/// # Errors
/// [`DataError`] naming file, line and column.
pub fn read_outcomes(
    file: &Path,
    key_column: &str,
    column: &str,
    coding: &OutcomeCoding,
    place: &SpoolPlace,
) -> Result<(RowNames, Zeroizing<Vec<bool>>), DataError> {
    let mut outcomes = Zeroizing::new(Vec::new());
    let names = read_rows(file, key_column, &[column.to_owned()], place, |place, _, text| {
        let bad = coding.is_bad(text).ok_or_else(|| DataError::NotAnOutcome {
            file: file.into(),
            line: place.line,
            column: column.into(),
            expected: coding.clone().into(),
            seen: match coding {
                _ if is_missing(text) => "nothing".into(),
                OutcomeCoding::Numbers if parse_cell(text).is_some() => clip(text),
                _ => format!("`{}`", clip(text)),
            },
        })?;
        make_room(&mut outcomes, 1);
        outcomes.push(bad);
        Ok(())
    })?;
    Ok((names, outcomes))
}
