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
//! columns = ["income", "job"]    # optional: by default all but key and label
//! one_hot = ["job"]              # optional: columns of codes, the codes being those in the file
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
//!
//! `label = { column = "class", good = "1", bad = "2" }` says which values mean what, and
//! `one_hot = { job = ["A171", "A172"] }` which codes exist, as in a party's configuration.

mod file;

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::layout::DEALER;
use super::scenario::{BIAS, DEFAULT_CARD, Label, MAX_FEATURE, Member, Scenario};
use crate::config::one_hot::{OneHotEntry, parse_codes};
use crate::config::place::Source;
use crate::config::roster::check_name;
use crate::config::sources::{parse_coding, parse_missing, parse_standardise};
use crate::data::{
    DataError, Missing, OneHot, OneHotError, Standardise, TableSource, check_column, codes_in, count_rows,
    header, read_weights, refuse_surplus_weights,
};
use crate::error::CliError;
use crate::scorecard::Scorecard;
use file::{DemoFile, LabelEntry, PartyEntry};

/// Name of the file that describes the others.
pub const DESCRIPTION: &str = "demo.toml";

/// Reads `DIR/demo.toml`. Of the data only the first party's file is read here, to count the applicants, the headers
/// where columns are not named, and columns of codes where the codes are not named; each party's process reads its own
/// file.
///
/// # Errors
/// [`CliError`] pointing into the description, or about a file that it names.
pub fn load(dir: &Path) -> Result<Scenario, CliError> {
    let hint = "--data names a folder with demo.toml and the files that it names: see configs/README.md";
    let dir = dir.canonicalize().map_err(|e| CliError::file("open", dir, &e).with_hint(hint))?;
    let description = dir.join(DESCRIPTION);
    if !description.is_file() {
        let missing = std::io::ErrorKind::NotFound.into();
        return Err(CliError::file("read", &description, &missing).with_hint(hint));
    }
    let source = Source::read(&description)?;
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
        if let Some(named) = &entry.label
            && index > 0
        {
            let message = "only the first party, which learns the scores, has a label";
            return Err(source.error("config_value", Some(named.span()), message));
        }
        if check_name(&source, &entry.name)? == DEALER {
            let message = format!("`{DEALER}` is the name of the demo's dealer, not of a party");
            return Err(source.error("duplicate_party", Some(entry.name.span()), message));
        }
        if parties.iter().any(|p| &p.name == entry.name.get_ref()) {
            let message = format!("party `{}` is named twice", entry.name.get_ref());
            return Err(source.error("duplicate_party", Some(entry.name.span()), message));
        }
        let file = source.resolve(&entry.file);
        if let Some(named) = &entry.label {
            label = Some(check_label(&source, named, &file)?);
        }
        parties.push(member(&source, entry, file)?);
    }
    let first = &parties[0].table;
    let rows = count_rows(&first.file, &first.key_column)?;
    let card = file.scorecard.map_or(DEFAULT_CARD, |c| Scorecard {
        base_points: c.base_points,
        base_odds: c.base_odds,
        points_to_double_odds: c.points_to_double_odds,
        approve_from: c.approve_from,
        decline_below: c.decline_below,
    });
    let weights_file = source.resolve(&file.weights);
    let origin = format!("the files in {}", dir.display());
    let scenario = Scenario { parties, rows, weights_file, card, label, auc_alone: None, origin };
    let mut names = scenario.weight_names();
    names.push(BIAS.to_owned());
    // What is missing is for the first party's process to say, as in any run.
    if read_weights(&scenario.weights_file, &names).is_ok() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        refuse_surplus_weights(&scenario.weights_file, &names)?;
    }
    Ok(scenario)
}

fn check_label(source: &Source, entry: &Spanned<LabelEntry>, file: &Path) -> Result<Label, CliError> {
    let LabelEntry(label) = entry.get_ref();
    check_column(file, &label.column).map_err(|e| match e {
        DataError::UnknownColumn { .. } => {
            source.error(e.code(), Some(entry.span()), format_args!("label: {e}"))
        }
        other => other.into(),
    })?;
    let coding = parse_coding(label.good.as_ref(), label.bad.as_ref())
        .map_err(|(span, what)| source.error("config_value", Some(span), format_args!("label: {what}")))?;
    Ok(Label { column: label.column.clone(), coding })
}

fn member(source: &Source, entry: PartyEntry, file: PathBuf) -> Result<Member, CliError> {
    let label = entry.label.as_ref().map(|l| &l.get_ref().0.column);
    let wrong = |span, what: String| source.error("config_value", Some(span), what);
    let columns: Vec<String> = match entry.columns {
        Some(columns) => {
            if let Some(name) = repeated(columns.get_ref()) {
                return Err(wrong(columns.span(), format!("columns names `{name}` twice")));
            }
            columns.into_inner()
        }
        None => header(&file)?.into_iter().filter(|c| *c != entry.key && Some(c) != label).collect(),
    };
    if columns.is_empty() {
        let what = format!("party `{}` has no feature column", entry.name.get_ref());
        return Err(wrong(entry.name.span(), what));
    }
    let one_hot = match &entry.one_hot {
        None => OneHot::default(),
        Some(OneHotEntry::Codes(codes)) => {
            parse_codes(codes, &columns).map_err(|(span, e)| wrong(span, e.to_string()))?
        }
        Some(OneHotEntry::Columns(names)) => codes_of_file(source, names, &file, &entry.key, &columns)?,
    };
    let missing = entry
        .missing
        .map_or(Ok(Missing::Refuse), |m| parse_missing(m.get_ref()).map_err(|what| wrong(m.span(), what)))?;
    let standardise = entry.standardise.map_or(Ok(Standardise::No), |s| {
        parse_standardise(s.get_ref(), &columns, &one_hot).map_err(|what| wrong(s.span(), what))
    })?;
    let max_abs = match entry.max_abs {
        None => MAX_FEATURE,
        Some(m) if m.get_ref().is_finite() && *m.get_ref() > 0.0 => *m.get_ref(),
        Some(m) => return Err(wrong(m.span(), format!("max_abs must be positive, got {}", m.get_ref()))),
    };
    let table = TableSource { file, key_column: entry.key, columns, one_hot, missing, standardise };
    Ok(Member { name: entry.name.into_inner(), table, max_abs })
}

/// The codes that these columns of the file hold. All of the file is at hand here; a party that scores new rows from
/// its own configuration has the codes written out.
fn codes_of_file(
    source: &Source,
    names: &[Spanned<String>],
    file: &Path,
    key_column: &str,
    columns: &[String],
) -> Result<OneHot, CliError> {
    let wrong = |name: &Spanned<String>, what: &dyn std::fmt::Display| {
        source.error("config_value", Some(name.span()), what)
    };
    let mut texts: Vec<String> = Vec::new();
    for name in names {
        let text = name.get_ref();
        if texts.contains(text) {
            return Err(wrong(name, &format_args!("one_hot names `{text}` twice")));
        }
        if !columns.contains(text) {
            return Err(wrong(name, &OneHotError::NotAColumn { column: text.clone() }));
        }
        texts.push(text.clone());
    }
    OneHot::new(codes_in(file, key_column, &texts)?, columns).map_err(|e| {
        match names.iter().find(|n| n.get_ref() == e.column()) {
            Some(name) => wrong(name, &e),
            None => source.error("config_value", None, &e),
        }
    })
}

/// The first name that a list has a second time.
fn repeated(names: &[String]) -> Option<&String> {
    names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests;
