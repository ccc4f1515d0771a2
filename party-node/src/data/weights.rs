//! A model's weights by name, from a CSV file with the columns `name` and `weight`. The bias is one of them.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::rows::{open, position};
use super::{DataError, clip, make_room, parse_cell};

/// All weights of a file: the numbers, wiped on drop, and where each name's is.
struct Weights {
    numbers: Zeroizing<Vec<f64>>,
    places: BTreeMap<String, usize>,
    /// The line of each number, from 1.
    lines: Vec<u64>,
}

mpc_core::secret_types!(Weights);

/// Reads the weights called `names`, in that order.
///
/// # Errors
/// [`DataError`] naming the file and the line, or the weight that is not there.
pub fn read_weights(file: &Path, names: &[String]) -> Result<Zeroizing<Vec<f64>>, DataError> {
    let all = read_all(file)?;
    let mut found = Zeroizing::new(Vec::with_capacity(names.len()));
    for name in names {
        let place = all.places.get(name).ok_or_else(|| DataError::UnknownWeight {
            file: file.into(),
            name: name.clone(),
            known: all.places.keys().cloned().collect(),
        })?;
        found.push(all.numbers[*place]);
    }
    Ok(found)
}

/// Refuses a file that has weights besides `names`: one that nobody uses is a name misspelt, or a model of other columns.
///
/// # Errors
/// [`DataError`] naming the file and the first such weight with its line.
pub fn refuse_surplus_weights(file: &Path, names: &[&str]) -> Result<(), DataError> {
    let all = read_all(file)?;
    let surplus = all.places.iter().filter(|(name, _)| !names.contains(&name.as_str()));
    let Some((name, place)) = surplus.min_by_key(|(_, place)| **place) else { return Ok(()) };
    Err(DataError::SurplusWeight {
        file: file.into(),
        line: all.lines[*place],
        name: clip(name),
        wanted: names.iter().map(|n| (*n).to_owned()).collect(),
    })
}

fn read_all(file: &Path) -> Result<Weights, DataError> {
    let mut reader = open(file)?;
    let header = reader.headers().map_err(|e| DataError::csv(file, &e))?.clone();
    let name_at = position(file, &header, "name")?;
    let weight_at = position(file, &header, "weight")?;
    let mut all = Weights { numbers: Zeroizing::new(Vec::new()), places: BTreeMap::new(), lines: Vec::new() };
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
        if let Some(first) = all.places.insert(name.to_owned(), all.lines.len()) {
            let first = all.lines[first];
            return Err(DataError::DuplicateId { file: file.into(), id: clip(name), first, second: line });
        }
        all.lines.push(line);
        make_room(&mut all.numbers, 1);
        all.numbers.push(weight);
    }
    if all.numbers.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    Ok(all)
}
