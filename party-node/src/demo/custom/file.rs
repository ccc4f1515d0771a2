//! `demo.toml` as it stands in the file: names and nesting, nothing checked beyond types.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use crate::config::one_hot::OneHotEntry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoFile {
    pub(super) weights: String,
    #[serde(default)]
    pub(super) party: Vec<Spanned<PartyEntry>>,
    pub(super) scorecard: Option<CardEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyEntry {
    pub(super) name: Spanned<String>,
    pub(super) file: String,
    pub(super) key: String,
    pub(super) label: Option<Spanned<LabelEntry>>,
    pub(super) columns: Option<Spanned<Vec<String>>>,
    pub(super) one_hot: Option<OneHotEntry>,
    pub(super) missing: Option<Spanned<toml::Value>>,
    pub(super) standardise: Option<Spanned<toml::Value>>,
    pub(super) max_abs: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CardEntry {
    pub(super) base_points: f64,
    pub(super) base_odds: f64,
    pub(super) points_to_double_odds: f64,
    pub(super) approve_from: f64,
    pub(super) decline_below: f64,
}

/// A column of outcomes: its name alone, or a table that also says which values mean what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelTable {
    pub(super) column: String,
    pub(super) good: Option<Spanned<String>>,
    pub(super) bad: Option<Spanned<String>>,
}

/// Read from either form.
pub(super) struct LabelEntry(pub(super) LabelTable);

impl<'de> Deserialize<'de> for LabelEntry {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        // Not an untagged enum: that would lose the places.
        d.deserialize_any(LabelVisitor)
    }
}

struct LabelVisitor;

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = LabelEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("label = \"column\" or { column, good, bad }")
    }

    fn visit_str<E: serde::de::Error>(self, column: &str) -> Result<LabelEntry, E> {
        Ok(LabelEntry(LabelTable { column: column.into(), good: None, bad: None }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LabelEntry, A::Error> {
        LabelTable::deserialize(MapAccessDeserializer::new(map)).map(LabelEntry)
    }
}
