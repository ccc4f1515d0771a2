//! The parts of a configuration that say where inputs come from and how outputs are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::file::{Input, InputKind, Outcomes, ScalingValue, Scorecard as ScorecardEntry};
use super::one_hot::{OneHotEntry, parse_codes};
use super::place::Source;
use crate::data::{
    Missing, OneHot, OutcomeCoding, Scaling, Standardise, TableSource, holds_tensors, is_missing,
};
use crate::error::CliError;
use crate::scorecard::Scorecard;

/// Where one of the program's inputs comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum InputSource {
    /// Columns of a CSV file.
    Table(TableSource),
    /// Named weights of a CSV file, in the order of `names`.
    Weights {
        /// The file with the columns `name` and `weight`.
        file: PathBuf,
        /// Which weights, in the program's order.
        names: Vec<String>,
    },
    /// A tensor of a `.safetensors` or `.npy` file, weights or data.
    Tensor {
        /// The file.
        file: PathBuf,
        /// Which tensor.
        tensor: String,
    },
    /// This party's share of what an earlier session kept.
    Share {
        /// The file that the earlier run wrote.
        file: PathBuf,
    },
}

/// How the bank reads one output as a score.
#[derive(Clone, Debug, PartialEq)]
pub struct ScorecardConfig {
    /// The output that holds probabilities of default.
    pub output: String,
    /// Scale and bands.
    pub card: Scorecard,
    /// Known outcomes, for AUC and KS.
    pub outcomes: Option<OutcomesSource>,
}

/// A column of known outcomes.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomesSource {
    /// CSV file.
    pub file: PathBuf,
    /// Its key column.
    pub key_column: String,
    /// The outcome column.
    pub column: String,
    /// What in it is good and what is bad.
    pub coding: OutcomeCoding,
}

pub(super) fn input(source: &Source, name: &str, entry: Spanned<Input>) -> Result<InputSource, CliError> {
    let whole = entry.span();
    let entry = entry.into_inner();
    let file = source.resolve(&entry.file);
    let wrong = |span: Range<usize>, what: String| {
        source.error("config_value", Some(span), format_args!("input `{name}`: {what}"))
    };
    let distinct = |names: Spanned<Vec<String>>, what: &str| -> Result<Vec<String>, CliError> {
        let list = names.get_ref();
        if list.is_empty() {
            return Err(wrong(names.span(), format!("{what} is empty, expected at least one name")));
        }
        let repeated = list.iter().enumerate().find(|(i, n)| list[..*i].contains(n)).map(|(_, n)| n.clone());
        match repeated {
            Some(n) => Err(wrong(names.span(), format!("{what} names `{n}` twice"))),
            None => Ok(names.into_inner()),
        }
    };
    let kind = entry.kind.unwrap_or(InputKind::Table);
    if kind == InputKind::Table
        && let Some(tensor) = &entry.tensor
    {
        return Err(wrong(tensor.span(), "`tensor` belongs to kind = \"tensor\" or \"weights\"".into()));
    }
    if let Some(drop) = entry.drop_first.as_ref().filter(|_| entry.one_hot.is_none()) {
        return Err(wrong(drop.span(), "`drop_first` goes with `one_hot`".into()));
    }
    match kind {
        InputKind::Table => {
            if let Some(names) = entry.names {
                return Err(wrong(
                    names.span(),
                    "`names` belongs to kind = \"weights\"; a table has `columns`".into(),
                ));
            }
            let (Some(key_column), Some(columns)) = (entry.key_column, entry.columns) else {
                return Err(wrong(whole, "expected `key_column` and `columns`".into()));
            };
            let missing = entry.missing.map_or(Ok(Missing::Refuse), |m| {
                parse_missing(m.get_ref()).map_err(|what| wrong(m.span(), what))
            })?;
            let columns = distinct(columns, "columns")?;
            let one_hot = match entry.one_hot.as_ref().map(|o| (o.span(), o.get_ref())) {
                None => OneHot::default(),
                Some((_, OneHotEntry::Codes(codes))) => {
                    parse_codes(codes, &columns).map_err(|(span, e)| wrong(span, e.to_string()))?
                }
                Some((span, OneHotEntry::Columns(_))) => {
                    let what = "expected one_hot = { column = [\"code\", …] }: the number of columns is part of the \
                                program and must not depend on the rows at hand";
                    return Err(wrong(span, what.into()));
                }
            };
            let one_hot = match entry.drop_first.filter(|d| *d.get_ref()) {
                None => one_hot,
                Some(d) => one_hot.dropping_first().map_err(|e| wrong(d.span(), e.to_string()))?,
            };
            let standardise = entry.standardise.map_or(Ok(Standardise::No), |s| match s.get_ref() {
                toml::Value::String(file) => Ok(Standardise::Figures(source.resolve(file))),
                value => parse_standardise(value, &columns, &one_hot).map_err(|what| wrong(s.span(), what)),
            })?;
            let table = TableSource { file, key_column, columns, one_hot, missing, standardise };
            Ok(InputSource::Table(table))
        }
        InputKind::Weights | InputKind::Tensor if kind == InputKind::Tensor || holds_tensors(&file) => {
            let others = [entry.key_column.is_some(), entry.columns.is_some(), entry.missing.is_some()];
            let others = others.contains(&true) || entry.standardise.is_some() || entry.one_hot.is_some();
            if others || entry.names.is_some() {
                return Err(wrong(whole, "a file of tensors takes `file` and `tensor` only".into()));
            }
            if !holds_tensors(&file) {
                let what = format!("expected a .safetensors or .npy file, got {}", file.display());
                return Err(wrong(whole, what));
            }
            let tensor = entry.tensor.map_or_else(|| name.to_owned(), Spanned::into_inner);
            Ok(InputSource::Tensor { file, tensor })
        }
        InputKind::Share => {
            let others = entry.key_column.is_some() || entry.columns.is_some() || entry.missing.is_some();
            if others || entry.names.is_some() || entry.standardise.is_some() || entry.one_hot.is_some() {
                return Err(wrong(whole, "kind = \"share\" takes `file` only".into()));
            }
            Ok(InputSource::Share { file })
        }
        InputKind::Weights | InputKind::Tensor => {
            if let Some(tensor) = entry.tensor {
                let what = "`tensor` takes a .safetensors or .npy file; weights of a CSV file have `names`";
                return Err(wrong(tensor.span(), what.into()));
            }
            if entry.key_column.is_some() || entry.columns.is_some() || entry.missing.is_some() {
                return Err(wrong(whole, "kind = \"weights\" takes `file` and `names` only".into()));
            }
            if let Some(s) = entry.standardise {
                return Err(wrong(s.span(), "weights are not standardised".into()));
            }
            if let Some(o) = entry.one_hot {
                return Err(wrong(o.span(), "weights have no codes; `one_hot` belongs to a table".into()));
            }
            let Some(names) = entry.names else {
                return Err(wrong(whole, "kind = \"weights\" needs `names`, in the program's order".into()));
            };
            Ok(InputSource::Weights { file, names: distinct(names, "names")? })
        }
    }
}

/// Where a run writes by which figures it standardised an input.
pub(super) fn written_figures(
    source: &Source,
    name: &str,
    entry: &Spanned<Input>,
) -> Result<Option<PathBuf>, CliError> {
    let Some(file) = &entry.get_ref().write_figures else { return Ok(None) };
    let by_rows =
        entry.get_ref().standardise.as_ref().map(Spanned::get_ref) == Some(&toml::Value::Boolean(true));
    if by_rows && entry.get_ref().kind.is_none_or(|k| k == InputKind::Table) {
        return Ok(Some(source.resolve(file.get_ref())));
    }
    let what = "`write_figures` goes with a table and standardise = true";
    Err(source.error("config_value", Some(file.span()), format_args!("input `{name}`: {what}")))
}

pub(crate) fn parse_missing(value: &toml::Value) -> Result<Missing, String> {
    match value {
        toml::Value::String(s) if s == "mean" => Ok(Missing::Mean),
        toml::Value::String(s) if s == "refuse" => Ok(Missing::Refuse),
        toml::Value::Integer(i) => Ok(Missing::Value(*i as f64)),
        toml::Value::Float(x) if x.is_finite() => Ok(Missing::Value(*x)),
        other => Err(format!("expected missing = \"mean\", \"refuse\" or a number, got {other}")),
    }
}

/// Figures may be given for the columns that the program takes: for a code of `status` under `status=CODE`.
pub(crate) fn parse_standardise(
    value: &toml::Value,
    columns: &[String],
    one_hot: &OneHot,
) -> Result<Standardise, String> {
    let table = match value {
        toml::Value::Boolean(false) => return Ok(Standardise::No),
        toml::Value::Boolean(true) => return Ok(Standardise::Batch),
        toml::Value::Table(table) => table,
        other => {
            return Err(format!(
                "expected standardise = true, false or {{ column = {{ mean, standard_deviation }} }}, got {other}"
            ));
        }
    };
    let features: BTreeSet<String> = one_hot.features(columns).into_iter().collect();
    let mut given = BTreeMap::new();
    for (column, figures) in table {
        if !features.contains(column) {
            return Err(match one_hot.codes(column).and_then(<[String]>::first) {
                Some(code) => format!(
                    "standardise names `{column}`, which holds codes; figures of one of them go by a name such as `{column}={code}`"
                ),
                None => format!("standardise names `{column}`, which is not among the columns"),
            });
        }
        let figures = ScalingValue::deserialize(figures.clone())
            .map_err(|e| format!("standardise of `{column}`: {}", e.message()))?;
        let ScalingValue { mean, standard_deviation } = figures;
        if !mean.is_finite() || !standard_deviation.is_finite() || standard_deviation <= 0.0 {
            return Err(format!(
                "standardise of `{column}`: expected a finite mean and a positive standard_deviation, got {mean} and {standard_deviation}"
            ));
        }
        given.insert(column.clone(), Scaling { mean, standard_deviation });
    }
    Ok(Standardise::Given(given))
}

pub(super) fn scorecard(
    source: &Source,
    entry: Spanned<ScorecardEntry>,
    outputs: &BTreeMap<String, PathBuf>,
) -> Result<ScorecardConfig, CliError> {
    let span = entry.span();
    let entry = entry.into_inner();
    let wrong = |what: String| {
        Err(source.error("config_value", Some(span.clone()), format_args!("[scorecard]: {what}")))
    };
    let card = Scorecard {
        base_points: entry.base_points,
        base_odds: entry.base_odds,
        points_to_double_odds: entry.points_to_double_odds,
        approve_from: entry.approve_from,
        decline_below: entry.decline_below,
    };
    let figures = [card.base_points, card.approve_from, card.decline_below];
    if !figures.iter().all(|x| x.is_finite()) {
        return wrong("points must be finite numbers".into());
    }
    for (name, x) in [("base_odds", card.base_odds), ("points_to_double_odds", card.points_to_double_odds)] {
        if !x.is_finite() || x <= 0.0 {
            return wrong(format!("{name} must be positive, got {x}"));
        }
    }
    if card.decline_below > card.approve_from {
        return wrong(format!(
            "decline_below ({}) is above approve_from ({})",
            card.decline_below, card.approve_from
        ));
    }
    if !outputs.contains_key(&entry.output) {
        return wrong(format!("output `{}` has no [outputs.{}] section", entry.output, entry.output));
    }
    let outcomes = entry.outcomes.map(|o| outcomes(source, o)).transpose()?;
    Ok(ScorecardConfig { output: entry.output, card, outcomes })
}

fn outcomes(source: &Source, entry: Outcomes) -> Result<OutcomesSource, CliError> {
    let coding = parse_coding(entry.good.as_ref(), entry.bad.as_ref())
        .map_err(|(span, what)| source.error("config_value", Some(span), format_args!("outcomes: {what}")))?;
    Ok(OutcomesSource {
        file: source.resolve(&entry.file),
        key_column: entry.key_column,
        column: entry.column,
        coding,
    })
}

/// What `good` and `bad` say of a column of outcomes: both or neither. A complaint comes with its place.
pub(crate) fn parse_coding(
    good: Option<&Spanned<String>>,
    bad: Option<&Spanned<String>>,
) -> Result<OutcomeCoding, (Range<usize>, String)> {
    let (good, bad) = match (good, bad) {
        (None, None) => return Ok(OutcomeCoding::Numbers),
        (Some(good), Some(bad)) => (good, bad),
        (Some(one), None) | (None, Some(one)) => {
            return Err((one.span(), "expected both `good` and `bad`, or neither".into()));
        }
    };
    for (name, value) in [("good", good), ("bad", bad)] {
        let text = value.get_ref();
        if text.trim() != text || is_missing(text) {
            let what = format!(
                "{name} is `{text}`: cells lose the spaces around them, and an empty cell or `NA` is no outcome"
            );
            return Err((value.span(), what));
        }
    }
    if good.get_ref() == bad.get_ref() {
        return Err((bad.span(), format!("good and bad are both `{}`", bad.get_ref())));
    }
    Ok(OutcomeCoding::Texts { good: good.get_ref().clone(), bad: bad.get_ref().clone() })
}
