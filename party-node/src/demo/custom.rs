//! `--data DIR`: the demo on the user's own files. `DIR/demo.toml` names them:
//!
//! ```toml
//! weights = "weights.csv"        # columns name,weight: one row per PARTY.COLUMN, and one named bias
//!
//! [[party]]                      # the first party holds the weights and learns the scores
//! name = "bank"
//! file = "bank.csv"
//! key = "customer_id"            # names the row; all parties list the same rows in the same order
//! label = "defaulted"            # optional, first party only: 1 is bad, 0 is good
//! columns = ["income", "debt"]   # optional: by default all but key and label
//! missing = "mean"               # optional, as in a party's configuration: "refuse", "mean" or a number
//! standardise = true             # optional, likewise: false, true or figures per column
//! max_abs = 256                  # optional: largest magnitude of a prepared value
//!
//! [[party]]
//! name = "bureau"
//! file = "bureau.csv"
//! key = "customer_id"
//!
//! [scorecard]                    # optional
//! base_points = 600
//! base_odds = 10
//! points_to_double_odds = 20
//! approve_from = 585
//! decline_below = 560
//! ```

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::layout::DEALER;
use super::scenario::{DEFAULT_CARD, MAX_FEATURE, Member, Scenario};
use crate::config::place::Source;
use crate::config::roster::check_name;
use crate::config::sources::{parse_missing, parse_standardise};
use crate::data::{Features, Missing, Standardise, TableSource, header};
use crate::error::CliError;
use crate::scorecard::Scorecard;

/// Name of the file that describes the others.
pub const DESCRIPTION: &str = "demo.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoFile {
    weights: String,
    #[serde(default)]
    party: Vec<Spanned<PartyEntry>>,
    scorecard: Option<CardEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyEntry {
    name: Spanned<String>,
    file: String,
    key: String,
    label: Option<Spanned<String>>,
    columns: Option<Vec<String>>,
    missing: Option<Spanned<toml::Value>>,
    standardise: Option<Spanned<toml::Value>>,
    max_abs: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardEntry {
    base_points: f64,
    base_odds: f64,
    points_to_double_odds: f64,
    approve_from: f64,
    decline_below: f64,
}

/// Reads `DIR/demo.toml`. Of the data only the first party's file is opened here, to count the applicants, and the
/// headers where columns are not named; each party's process reads its own file.
///
/// # Errors
/// [`CliError`] pointing into the description, or about a file that it names.
pub fn load(dir: &Path) -> Result<Scenario, CliError> {
    let dir = dir.canonicalize().map_err(|e| CliError::file("open", dir, &e))?;
    let source = Source::read(&dir.join(DESCRIPTION))?;
    let file: DemoFile = source.parse()?;
    let count = file.party.len();
    if !(2..=5).contains(&count) {
        let message = format!("expected 2 to 5 [[party]] entries, got {count}");
        return Err(source.error("party_count", None, message));
    }
    let mut parties: Vec<Member> = Vec::new();
    let mut label = None;
    for (index, entry) in file.party.into_iter().enumerate() {
        let entry = entry.into_inner();
        if let Some(named) = &entry.label {
            if index > 0 {
                let message = "only the first party, which learns the scores, has a label";
                return Err(source.error("config_value", Some(named.span()), message));
            }
            label = Some(named.get_ref().clone());
        }
        if check_name(&source, &entry.name)? == DEALER {
            let message = format!("`{DEALER}` is the name of the demo's dealer, not of a party");
            return Err(source.error("duplicate_party", Some(entry.name.span()), message));
        }
        if parties.iter().any(|p| &p.name == entry.name.get_ref()) {
            let message = format!("party `{}` is named twice", entry.name.get_ref());
            return Err(source.error("duplicate_party", Some(entry.name.span()), message));
        }
        parties.push(member(&source, entry)?);
    }
    let first = &parties[0].table;
    let rows = Features::read(&first.file, &first.key_column, &[])?.rows();
    let card = file.scorecard.map_or(DEFAULT_CARD, |c| Scorecard {
        base_points: c.base_points,
        base_odds: c.base_odds,
        points_to_double_odds: c.points_to_double_odds,
        approve_from: c.approve_from,
        decline_below: c.decline_below,
    });
    let weights_file = source.resolve(&file.weights);
    let origin = format!("the files in {}", dir.display());
    Ok(Scenario { parties, rows, weights_file, card, label, auc_alone: None, origin })
}

fn member(source: &Source, entry: PartyEntry) -> Result<Member, CliError> {
    let file = source.resolve(&entry.file);
    let label = entry.label.as_ref().map(Spanned::get_ref);
    let columns = match entry.columns {
        Some(columns) => columns,
        None => header(&file)?.into_iter().filter(|c| *c != entry.key && Some(c) != label).collect(),
    };
    let wrong = |span, what: String| source.error("config_value", Some(span), what);
    if columns.is_empty() {
        let what = format!("party `{}` has no feature column", entry.name.get_ref());
        return Err(wrong(entry.name.span(), what));
    }
    let missing = entry
        .missing
        .map_or(Ok(Missing::Refuse), |m| parse_missing(m.get_ref()).map_err(|what| wrong(m.span(), what)))?;
    let standardise = entry.standardise.map_or(Ok(Standardise::No), |s| {
        parse_standardise(s.get_ref(), &columns).map_err(|what| wrong(s.span(), what))
    })?;
    let max_abs = match entry.max_abs {
        None => MAX_FEATURE,
        Some(m) if m.get_ref().is_finite() && *m.get_ref() > 0.0 => *m.get_ref(),
        Some(m) => return Err(wrong(m.span(), format!("max_abs must be positive, got {}", m.get_ref()))),
    };
    let table = TableSource { file, key_column: entry.key, columns, missing, standardise };
    Ok(Member { name: entry.name.into_inner(), table, max_abs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(description: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            (DESCRIPTION, description),
            ("a.csv", "id,bad,x,y\n1,0,0.5,2\n2,1,0.25,3\n"),
            ("b.csv", "id,z\n1,7\n2,8\n"),
            ("w.csv", "name,weight\na.x,1\na.y,1\nb.z,1\nbias,0\n"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    const VALID: &str = "weights = \"w.csv\"\n[[party]]\nname = \"a\"\nfile = \"a.csv\"\nkey = \"id\"\n\
                         label = \"bad\"\n[[party]]\nname = \"b\"\nfile = \"b.csv\"\nkey = \"id\"\nmissing = 0\n";

    #[test]
    fn columns_default_to_all_but_key_and_label() {
        let dir = folder(VALID);
        let scenario = load(dir.path()).unwrap();
        assert_eq!((scenario.rows, scenario.label.as_deref()), (2, Some("bad")));
        assert_eq!(scenario.weight_names(), ["a.x", "a.y", "b.z"]);
        assert_eq!(scenario.parties[1].table.missing, Missing::Value(0.0));
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, expected) in [
            ("name = \"b\"", "name = \"a\"", "demo.toml:8:8: party `a` is named twice"),
            ("missing = 0", "label = \"z\"", "only the first party"),
            ("missing = 0", "max_abs = -1", "max_abs must be positive, got -1"),
            ("missing = 0", "colour = 1", "demo.toml:11:1: unknown field `colour`"),
            ("file = \"b.csv\"", "file = \"c.csv\"", "cannot read"),
            ("key = \"id\"\nlabel", "key = \"ident\"\nlabel", "no column `ident`"),
        ] {
            assert!(VALID.contains(from));
            let dir = folder(&VALID.replacen(from, to, 1));
            let error = load(dir.path()).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{to}: {error}");
        }
        let missing = load(Path::new("/nonexistent")).err().map(|e| e.code().to_owned());
        assert_eq!(missing.as_deref(), Some("file_missing"));
    }
}
