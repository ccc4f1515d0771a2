//! `--range` of an import: largest magnitudes of all features, of a party's, of an input of the model, or of columns.

use std::ops::Range;
use std::str::FromStr;

use ml_ops::onnx::ColumnRange;

/// A magnitude, and of what.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum FeatureRange {
    All(f64),
    Party(String, f64),
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
        let max_abs = number.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
        let max_abs = max_abs.ok_or_else(|| format!("expected a number above 0, got `{number}`"))?;
        let of = |input: Option<&str>, columns| {
            Self::Columns(ColumnRange { input: input.map(str::to_owned), columns, max_abs })
        };
        Ok(match front.rsplit_once(':') {
            None if front.is_empty() => Self::All(max_abs),
            None => match columns(front) {
                Some(columns) => of(None, Some(columns)),
                None => Self::Party(front.to_owned(), max_abs),
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
    /// What was given for a party.
    pub(super) fn of(all: &[Self], party: &str) -> Option<f64> {
        all.iter().find_map(|r| match r {
            Self::Party(name, max_abs) if name == party => Some(*max_abs),
            _ => None,
        })
    }

    /// What was given for all, or a default.
    pub(super) fn common(all: &[Self], default: f64) -> f64 {
        all.iter()
            .find_map(|r| if let Self::All(max_abs) = r { Some(*max_abs) } else { None })
            .unwrap_or(default)
    }

    /// What was given for columns and inputs.
    pub(super) fn columns(all: &[Self]) -> Vec<ColumnRange> {
        let of = |r: &Self| if let Self::Columns(columns) = r { Some(columns.clone()) } else { None };
        all.iter().filter_map(of).collect()
    }

    /// A name that is nobody's who brings features.
    pub(super) fn stray(all: &[Self], brings: impl Fn(&str) -> bool) -> Option<&str> {
        all.iter().find_map(|r| match r {
            Self::Party(name, _) if !brings(name) => Some(name.as_str()),
            _ => None,
        })
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
        assert_eq!(range("8"), Ok(FeatureRange::All(8.0)));
        assert_eq!(range("bank=8"), Ok(FeatureRange::Party("bank".into(), 8.0)));
        assert_eq!(range("3=1e5"), columns(None, Some(3..4), 1e5));
        assert_eq!(range("0..3=2"), columns(None, Some(0..3), 2.0));
        assert_eq!(range("age:120"), columns(Some("age"), None, 120.0));
        assert_eq!(range("x:0:2..5=7"), columns(Some("x:0"), Some(2..5), 7.0));
        for wrong in ["bank=-1", "NaN", "", "x:bank=1", "x:3..3=1", "age:", "3="] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
        let all = ["bank=8", "32", "age:120"].map(|text| text.parse::<FeatureRange>().unwrap());
        assert_eq!((FeatureRange::of(&all, "bank"), FeatureRange::of(&all, "bureau")), (Some(8.0), None));
        assert_eq!((FeatureRange::common(&all, 1.0), FeatureRange::common(&all[..1], 1.0)), (32.0, 1.0));
        assert_eq!(FeatureRange::columns(&all).len(), 1);
        assert_eq!(FeatureRange::stray(&all, |name| name == "bank"), None);
        assert_eq!(FeatureRange::stray(&all, |_| false), Some("bank"));
    }
}
