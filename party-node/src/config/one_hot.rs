//! `one_hot` as it stands in a file: codes by column, or, where the data may say which codes there are, names of columns.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::data::{OneHot, OneHotError};

/// What `one_hot` says, with the places of its parts.
pub(crate) enum OneHotEntry {
    /// `{ column = ["code", …] }`
    Codes(BTreeMap<Spanned<String>, Vec<Spanned<String>>>),
    /// `["column", …]`
    Columns(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for OneHotEntry {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        // Not an untagged enum: that would lose the places.
        d.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = OneHotEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one_hot = { column = [\"code\", …] }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneHotEntry, A::Error> {
        let mut codes = BTreeMap::new();
        while let Some((column, list)) = map.next_entry()? {
            codes.insert(column, list);
        }
        Ok(OneHotEntry::Codes(codes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneHotEntry, A::Error> {
        let mut columns = Vec::new();
        while let Some(column) = list.next_element()? {
            columns.push(column);
        }
        Ok(OneHotEntry::Columns(columns))
    }
}

/// Checks codes that are written out; a complaint comes with the place of the code or the column that it is about.
pub(crate) fn parse_codes(
    entry: &BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    columns: &[String],
) -> Result<OneHot, (Range<usize>, OneHotError)> {
    let text = |codes: &[Spanned<String>]| codes.iter().map(|c| c.get_ref().clone()).collect();
    let codes = entry.iter().map(|(column, codes)| (column.get_ref().clone(), text(codes))).collect();
    OneHot::new(codes, columns).map_err(|error| {
        let place = entry.get_key_value(error.column()).map(|(column, codes)| {
            error.code_at().and_then(|at| codes.get(at)).map_or_else(|| column.span(), Spanned::span)
        });
        (place.unwrap_or_default(), error)
    })
}
