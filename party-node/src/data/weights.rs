//! A model's weights by name, from a CSV file with the columns `name` and `weight`. The bias is one of them.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::{Zeroize, Zeroizing};

use super::rows::{open, position};
use super::{DataError, clip, parse_cell};

/// Reads the weights called `names`, in that order.
///
/// # Errors
/// [`DataError`] naming the file and the line, or the weight that is not there.
pub fn read_weights(file: &Path, names: &[String]) -> Result<Zeroizing<Vec<f64>>, DataError> {
    let mut weights = read_all(file)?;
    let find = |name: &String| {
        weights.get(name).copied().ok_or_else(|| DataError::UnknownWeight {
            file: file.into(),
            name: name.clone(),
            known: weights.keys().cloned().collect(),
        })
    };
    let mut found = Zeroizing::new(Vec::with_capacity(names.len()));
    let result = names.iter().try_for_each(|name| find(name).map(|weight| found.push(weight)));
    weights.values_mut().for_each(Zeroize::zeroize);
    result.map(|()| found)
}

fn read_all(file: &Path) -> Result<BTreeMap<String, f64>, DataError> {
    let mut reader = open(file)?;
    let header = reader.headers().map_err(|e| DataError::csv(file, &e))?.clone();
    let name_at = position(file, &header, "name")?;
    let weight_at = position(file, &header, "weight")?;
    let mut weights = BTreeMap::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|e| DataError::csv(file, &e))?;
        let line = record.position().map_or(0, csv::Position::line);
        let name = record.get(name_at).unwrap_or_default();
        let text = record.get(weight_at).unwrap_or_default();
        let weight = parse_cell(text).filter(|w| w.is_finite()).ok_or_else(|| DataError::NotANumber {
            file: file.into(),
            line,
            id: clip(name),
            column: "weight".into(),
            seen: clip(text),
        })?;
        if let Some(first) = lines.insert(name.to_owned(), line) {
            return Err(DataError::DuplicateId { file: file.into(), id: clip(name), first, second: line });
        }
        weights.insert(name.to_owned(), weight);
    }
    if weights.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    Ok(weights)
}
