//! `--range` of an import: largest magnitudes of all features, of a party's, of an input of the model, or of columns.

use std::ops::Range;
use std::str::FromStr;

use ml_ops::onnx::ColumnRange;

use super::parties::{OwnRange, magnitude};

/// A magnitude, and of what.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum FeatureRange {
    Own(OwnRange),
    Columns(ColumnRange),
}

/// `3` or `0..3`
fn columns(text: &str) -> Option<Range<usize>> {
    let (from, to) = match text.split_once("..") {
        Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
        None => text.parse::<usize>().ok().and_then(|at| Some((at, at.checked_add(1)?)))?,
    };
    (from < to).then_some(from..to)
}

impl FromStr for FeatureRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (front, number) = match text.rsplit_once('=') {
            Some((front, number)) => (front, number),
            None => {
                text.rsplit_once(':').map_or(("", text), |(input, number)| (&text[..=input.len()], number))
            }
        };
        let max_abs = magnitude(number)?;
        let of = |input: Option<&str>, columns| {
            Self::Columns(ColumnRange { input: input.map(str::to_owned), columns, max_abs })
        };
        Ok(match front.rsplit_once(':') {
            None => match columns(front) {
                Some(columns) => of(None, Some(columns)),
                None => {
                    let party = Some(front).filter(|name| !name.is_empty());
                    Self::Own(OwnRange { of: party.map(str::to_owned), max_abs })
                }
            },
            Some((input, "")) => of(Some(input), None),
            Some((input, text)) => {
                let wrong = || format!("expected a column or FROM..TO of input `{input}`, got `{text}`");
                of(Some(input), Some(columns(text).ok_or_else(wrong)?))
            }
        })
    }
}

impl FeatureRange {
    /// What was given for all, or for parties.
    pub(super) fn own(all: &[Self]) -> Vec<OwnRange> {
        all.iter().filter_map(|r| if let Self::Own(own) = r { Some(own.clone()) } else { None }).collect()
    }

    /// What was given for columns and inputs.
    pub(super) fn columns(all: &[Self]) -> Vec<ColumnRange> {
        let of = |r: &Self| if let Self::Columns(columns) = r { Some(columns.clone()) } else { None };
        all.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_inputs_and_columns_are_told_apart() {
        let range = |text: &str| text.parse::<FeatureRange>();
        let columns = |input: Option<&str>, columns, max_abs| {
            Ok(FeatureRange::Columns(ColumnRange { input: input.map(str::to_owned), columns, max_abs }))
        };
        let own = |of: Option<&str>, max_abs| {
            Ok(FeatureRange::Own(OwnRange { of: of.map(str::to_owned), max_abs }))
        };
        assert_eq!(range("8"), own(None, 8.0));
        assert_eq!(range("bank=8"), own(Some("bank"), 8.0));
        assert_eq!(range("3=1e5"), columns(None, Some(3..4), 1e5));
        assert_eq!(range("0..3=2"), columns(None, Some(0..3), 2.0));
        assert_eq!(range("age:120"), columns(Some("age"), None, 120.0));
        assert_eq!(range("x:0:2..5=7"), columns(Some("x:0"), Some(2..5), 7.0));
        for wrong in ["bank=-1", "NaN", "", "x:bank=1", "x:3..3=1", "age:", "3="] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
        let all = ["bank=8", "32", "age:120"].map(|text| text.parse::<FeatureRange>().unwrap());
        let own = FeatureRange::own(&all);
        assert_eq!((OwnRange::of(&own, "bank"), OwnRange::of(&own, "bureau")), (Some(8.0), None));
        assert_eq!((OwnRange::common(&own, 1.0), OwnRange::common(&own[..1], 1.0)), (32.0, 1.0));
        assert_eq!(FeatureRange::columns(&all).len(), 1);
        assert_eq!(OwnRange::stray(&own, |name| name == "bank"), None);
        assert_eq!(OwnRange::stray(&own, |_| false), Some("bank"));
    }
}
