//! Compares the joint scores with the plaintext model. Only the demo can do this: it started all parties and may read
//! all their files; no party's process does.

use std::path::Path;

use crate::data::{Features, read_weights};
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

/// Reads the first party's score file.
///
/// # Errors
/// A file that is not as the party writes it.
pub fn read_scores(file: &Path) -> Result<Vec<Applicant>, CliError> {
    let failed = |what: String| CliError::outcome("output", format_args!("{}: {what}", file.display()));
    let mut reader = csv::Reader::from_path(file).map_err(|e| failed(e.to_string()))?;
    let mut applicants = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| failed(e.to_string()))?;
        let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let probability = cell(1).parse().map_err(|_| failed(format!("`{}` is no probability", cell(1))))?;
        applicants.push(Applicant { id: cell(0), probability, points: cell(2), decision: cell(3) });
    }
    Ok(applicants)
}

/// The largest difference between joint and plaintext probabilities.
///
/// # Errors
/// Files that cannot be read, or rows that are not the same people.
pub fn max_abs_error(scenario: &Scenario, applicants: &[Applicant]) -> Result<f64, CliError> {
    let tables: Vec<Features> =
        scenario.parties.iter().map(|m| Features::load(&m.table)).collect::<Result<_, _>>()?;
    let weights = read_weights(&scenario.weights_file, &scenario.weight_names())?;
    let bias = read_weights(&scenario.weights_file, &[BIAS.to_owned()])?;
    let mut worst = 0.0_f64;
    let mut row_values = Vec::with_capacity(weights.len());
    for (row, applicant) in applicants.iter().enumerate() {
        row_values.clear();
        for table in &tables {
            if table.ids().get(row) != Some(&applicant.id) {
                return Err(CliError::outcome(
                    "ids_differ",
                    format_args!("{}: row {} is not `{}`", table.file().display(), row + 1, applicant.id),
                ));
            }
            row_values.extend_from_slice(table.row(row));
        }
        let plain = plaintext_probability(&row_values, &weights, bias[0]);
        let error = (plain - applicant.probability).abs();
        worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
    }
    if applicants.len() != scenario.rows {
        return Err(CliError::outcome(
            "output",
            format_args!("expected {} scores, the file has {}", scenario.rows, applicants.len()),
        ));
    }
    Ok(worst)
}
