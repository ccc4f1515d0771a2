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

fn read_all(file: &Path) -> Result<Weights, DataError> {
    let mut reader = open(file)?;
    let header = reader.headers().map_err(|e| DataError::csv(file, &e))?.clone();
    let name_at = position(file, &header, "name")?;
    let weight_at = position(file, &header, "weight")?;
    let mut all = Weights { numbers: Zeroizing::new(Vec::new()), places: BTreeMap::new() };
    let mut lines: Vec<u64> = Vec::new();
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
        if let Some(first) = all.places.insert(name.to_owned(), lines.len()) {
            let first = lines[first];
            return Err(DataError::DuplicateId { file: file.into(), id: clip(name), first, second: line });
        }
        lines.push(line);
        make_room(&mut all.numbers, 1);
        all.numbers.push(weight);
    }
    if all.numbers.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    Ok(all)
}
