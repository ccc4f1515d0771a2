//! Compares the joint scores with the plaintext model. Only the demo can do this: it started all parties and may read
//! all their files; no party's process does.

use std::path::Path;

use crate::data::{Features, SpoolPlace, read_weights};
use crate::error::CliError;
use crate::scorecard::plaintext_probability;

use super::scenario::{BIAS, Scenario};

/// An applicant as the first party sees it.
#[derive(Clone)]
pub struct Applicant {
    /// Key.
    pub id: String,
    /// Probability of default from the joint computation.
    pub probability: f64,
    /// Points.
    pub points: String,
    /// Decision.
    pub decision: String,
}

/// What comparing the first party's score file with the plaintext model has shown.
pub struct Checked {
    /// The first few applicants.
    pub applicants: Vec<Applicant>,
    /// The largest difference between joint and plaintext probabilities.
    pub max_abs_error: f64,
}

/// Applicants that are kept to be shown.
const SHOWN: usize = 10;
/// Rows that are compared at a time.
const ROWS: usize = 8_192;

/// Reads the first party's score file and all parties' tables side by side, the latter by way of `place`.
///
/// # Errors
/// Files that cannot be read or are not as the party writes them, or rows that are not the same people.
pub fn compare(scenario: &Scenario, scores: &Path, place: &SpoolPlace) -> Result<Checked, CliError> {
    let tables = scenario.parties.iter().map(|m| Features::load(&m.table, place));
    let tables: Vec<Features> = tables.collect::<Result<_, _>>()?;
    let weights = read_weights(&scenario.weights_file, &scenario.weight_names())?;
    let bias = read_weights(&scenario.weights_file, &[BIAS.to_owned()])?;
    let mut names: Vec<_> = tables.iter().map(|t| t.names().read()).collect();
    let mut windows = Vec::new();
    let mut checked = Checked { applicants: Vec::new(), max_abs_error: 0.0 };
    let mut row_values = Vec::with_capacity(weights.len());
    let rows = read_scores(scores, |row, applicant| {
        if row % ROWS == 0 {
            let read = |t: &Features| t.values().read(row..t.rows().min(row + ROWS)).map_err(|e| t.unkept(e));
            windows = tables.iter().map(read).collect::<Result<_, _>>()?;
        }
        row_values.clear();
        for ((table, names), window) in tables.iter().zip(&mut names).zip(&windows) {
            let name = names.next().map_err(|e| table.unkept(e))?;
            if name.map(|n| n.id) != Some(applicant.id.as_str()) {
                return Err(CliError::outcome(
                    "ids_differ",
                    format_args!("{}: row {} is not `{}`", table.file().display(), row + 1, applicant.id),
                ));
            }
            let width = table.columns().len();
            row_values.extend_from_slice(&window[row % ROWS * width..][..width]);
        }
        let plain = plaintext_probability(&row_values, &weights, bias[0]);
        let error = (plain - applicant.probability).abs();
        checked.max_abs_error = if error.is_nan() { f64::INFINITY } else { checked.max_abs_error.max(error) };
        if row < SHOWN {
            checked.applicants.push(applicant);
        }
        Ok(())
    })?;
    if rows != scenario.rows {
        let message = format!("expected {} scores, the file has {rows}", scenario.rows);
        return Err(CliError::outcome("output", message));
    }
    Ok(checked)
}

/// Gives the number of applicants.
fn read_scores(
    file: &Path,
    mut each: impl FnMut(usize, Applicant) -> Result<(), CliError>,
) -> Result<usize, CliError> {
    let failed = |what: String| CliError::outcome("output", format_args!("{}: {what}", file.display()));
    let mut reader = csv::Reader::from_path(file).map_err(|e| failed(e.to_string()))?;
    let mut rows = 0;
    for record in reader.records() {
        let record = record.map_err(|e| failed(e.to_string()))?;
        let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let probability = cell(1).parse().map_err(|_| failed(format!("`{}` is no probability", cell(1))))?;
        each(rows, Applicant { id: cell(0), probability, points: cell(2), decision: cell(3) })?;
        rows += 1;
    }
    Ok(rows)
}
