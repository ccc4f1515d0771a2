//! Writes what a party learned: one file per output, CSV with points and decisions where a scorecard is configured, or a tensor for
//! NumPy; and by which figures it had standardised its columns.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use ml_ops::{Execution, NodeId, Program};
use ndarray::ArrayD;
use serde::Serialize;

use crate::config::{Config, ScorecardConfig};
use crate::data::{RowNames, Scaling, is_npy, write_npy};
use crate::error::CliError;
use crate::job::inputs::LocalInputs;
use crate::metrics::{Discrimination, discrimination};
use crate::private_file::{Reserved, probe_file};
use crate::scorecard::Bands;

/// A file of results.
#[derive(Clone, Debug, Serialize)]
pub struct OutputWritten {
    /// The program's name for it.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Rows written.
    pub rows: usize,
    /// Whether it is this party's share of a value that nobody learns.
    pub share: bool,
}

/// What the bank makes of the scores.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreReport {
    /// How many applicants each decision concerns.
    pub bands: Bands,
    /// Discrimination against known outcomes, where the configuration names them.
    pub discrimination: Option<Discrimination>,
}

/// Checks that every output this party learns has a file, and every file an output.
///
/// # Errors
/// The first that does not.
pub fn check_outputs(config: &Config, program: &Program) -> Result<(), CliError> {
    let mine: Vec<&str> = program
        .outputs()
        .iter()
        .filter(|o| o.recipients.is_empty() || o.recipients.contains(&config.me))
        .map(|o| o.name.as_str())
        .collect();
    let path = config.node.path.display();
    let name = &config.node.name;
    if let Some(lost) = mine.iter().find(|o| !config.outputs.contains_key(**o)) {
        let message =
            format!("{path}: {name} learns output `{lost}`, but there is no [outputs.{lost}] to write it to");
        return Err(CliError::setup("missing_output", message));
    }
    if let Some(stray) = config.outputs.keys().find(|o| !mine.contains(&o.as_str())) {
        let known = if mine.is_empty() { "no output".into() } else { mine.join(", ") };
        let message = format!("{path}: {name} learns {known} from this program, not `{stray}`");
        return Err(CliError::setup("unknown_output", message));
    }
    let kept: Vec<&str> = program.kept().collect();
    if let Some(share) = config.units.keys().find(|o| kept.contains(&o.as_str())) {
        let message = format!("{path}: `{share}` stays in shares, which have no units");
        return Err(CliError::setup("config_value", message));
    }
    if let Some(file) = config.outputs.values().find(|f| f.extension().is_some_and(|e| e == "safetensors")) {
        let message = format!("{path}: outputs are written as .csv or .npy, not as {}", file.display());
        return Err(CliError::setup("config_value", message));
    }
    let files = config.outputs.values().chain(config.figures.values());
    files.into_iter().try_for_each(|file| probe_file(file).map_err(|e| not_written(file, &e)))
}

/// The places of what a run writes, by the program's names.
#[derive(Debug)]
pub(super) struct ReservedOutputs {
    outputs: BTreeMap<String, Reserved>,
    figures: BTreeMap<String, Reserved>,
}

/// What an output's value, and a row with points and decision besides its key, takes at most.
const VALUE_BYTES: usize = 32;
const ROW_BYTES: usize = 64;

/// Makes the places of all outputs with room for them, before anything connects: nobody computes what then cannot be
/// written down.
///
/// # Errors
/// A place that cannot be made.
pub(super) fn reserve_outputs(
    config: &Config,
    program: &Program,
    inputs: &LocalInputs,
) -> Result<ReservedOutputs, CliError> {
    let keys = inputs.row_names.as_ref().map_or(0, |n| n.id_bytes() as usize + n.rows() * ROW_BYTES);
    let reserve = |(name, file): (&String, &PathBuf), bytes: usize| {
        let folder = file.parent().filter(|f| !f.as_os_str().is_empty());
        folder
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| Reserved::new(file, bytes as u64))
            .map(|place| (name.clone(), place))
            .map_err(|e| not_written(file, &e))
    };
    let output = |(name, file)| {
        let values =
            program.outputs().iter().filter(|o| &o.name == name).map(|o| &program.nodes()[o.node as usize]);
        let values: usize = values.map(|node| node.fact.shape.elements().saturating_mul(VALUE_BYTES)).sum();
        reserve((name, file), values.saturating_add(keys))
    };
    let figures =
        |(name, file)| reserve((name, file), inputs.figures.get(name).map_or(0, |figures| figures.len()));
    Ok(ReservedOutputs {
        outputs: config.outputs.iter().map(output).collect::<Result<_, _>>()?,
        figures: config.figures.iter().map(figures).collect::<Result<_, _>>()?,
    })
}

fn not_written(file: &Path, error: &std::io::Error) -> CliError {
    CliError::file("write", file, error)
        .with_hint("this party's results belong there: see `file` under [outputs]")
}

/// Writes all outputs, a row at a time, shares of what nobody learns, and figures. Rows of outputs with one value per row carry their
/// keys.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write_outputs(
    config: &Config,
    program: &Program,
    inputs: &LocalInputs,
    execution: &Execution,
    ReservedOutputs { outputs: mut reserved, mut figures }: ReservedOutputs,
) -> Result<(Vec<OutputWritten>, Option<ScoreReport>), CliError> {
    let outputs = &execution.outputs;
    let mut written = Vec::new();
    for (name, share) in &execution.kept {
        let (Some(file), Some(place)) = (config.outputs.get(name), reserved.remove(name)) else { continue };
        place.write(&share.encode()).map_err(|e| not_written(file, &e))?;
        let rows = share.shape().dims().first().copied().unwrap_or(1);
        written.push(OutputWritten { name: name.clone(), file: file.clone(), rows, share: true });
    }
    for (name, text) in &inputs.figures {
        let (Some(file), Some(place)) = (config.figures.get(name), figures.remove(name)) else { continue };
        place.write(text).map_err(|e| not_written(file, &e))?;
        let name = format!("figures of {name}");
        let rows = text.iter().filter(|&&b| b == b'\n').count().saturating_sub(1);
        written.push(OutputWritten { name, file: file.clone(), rows, share: false });
    }
    let mut report = None;
    for (name, values) in outputs {
        let in_units = inputs.units.get(name).map(|unit| in_units(values, *unit));
        let values = in_units.as_ref().unwrap_or(values);
        let (Some(file), Some(place)) = (config.outputs.get(name), reserved.remove(name)) else { continue };
        let card = config.scorecard.as_ref().filter(|s| &s.output == name);
        // What a loop leaves or reports is about no row, however many numbers that is.
        let first = program.loops().first().map_or(NodeId::MAX, |l| l.first);
        let of_loop = program.outputs().iter().any(|o| &o.name == name && o.node >= first);
        let has_row = |rows| !of_loop && rows == values.len() && values.shape().first() == Some(&rows);
        let by_row = inputs.row_names.as_ref().filter(|names| has_row(names.rows()));
        let mut rows = 0;
        let content = |out: &mut dyn Write| {
            rows = match by_row {
                _ if is_npy(file) => {
                    write_npy(out, values)?;
                    values.shape().first().copied().unwrap_or(1)
                }
                Some(names) => {
                    let key_column = inputs.key_column.as_deref().unwrap_or("id");
                    per_row(out, (key_column, names), (name, values), card)?
                }
                None => as_matrix(out, name, values)?,
            };
            Ok(())
        };
        place.write_with(content).map_err(|e| not_written(file, &e))?;
        written.push(OutputWritten { name: name.clone(), file: file.clone(), rows, share: false });
        if let Some(card) = card.filter(|_| by_row.is_some()) {
            report = Some(score_report(card, values, inputs.outcomes.as_ref().map(|o| o.as_slice())));
        }
    }
    Ok((written, report))
}

/// What was predicted of standardised labels, as the labels were.
fn in_units(values: &ArrayD<f64>, unit: Scaling) -> ArrayD<f64> {
    values.mapv(|v| v * unit.standard_deviation + unit.mean)
}

/// Gives the number of rows.
fn per_row(
    out: &mut dyn Write,
    (key_column, ids): (&str, &RowNames),
    (name, values): (&str, &ArrayD<f64>),
    card: Option<&ScorecardConfig>,
) -> std::io::Result<usize> {
    let mut writer = csv::Writer::from_writer(out);
    let mut header = vec![key_column, name];
    if card.is_some() {
        header.extend(["points", "decision"]);
    }
    writer.write_record(&header)?;
    let mut names = ids.read();
    let mut values = values.iter();
    while let (Some(row), Some(&value)) = (names.next()?, values.next()) {
        let value_text = format!("{value:.6}");
        match card {
            Some(c) => {
                let points = c.card.points(value);
                let decision = c.card.decide(points).as_str();
                writer.write_record([row.id, &value_text, &points.to_string(), decision])?;
            }
            None => writer.write_record([row.id, &value_text])?,
        }
    }
    writer.flush()?;
    Ok(ids.rows())
}

/// Gives the number of rows.
fn as_matrix(out: &mut dyn Write, name: &str, values: &ArrayD<f64>) -> std::io::Result<usize> {
    let width = values.shape().last().copied().unwrap_or(1).max(1);
    let mut writer = csv::Writer::from_writer(out);
    let header: Vec<String> =
        if width == 1 { vec![name.to_owned()] } else { (0..width).map(|i| format!("{name}.{i}")).collect() };
    writer.write_record(&header)?;
    let mut values = values.iter().peekable();
    let mut rows = 0;
    while values.peek().is_some() {
        writer.write_record(values.by_ref().take(width).map(|v| format!("{v:.6}")))?;
        rows += 1;
    }
    writer.flush()?;
    Ok(rows)
}

/// Where outcomes are known, this takes 16 bytes per row.
fn score_report(card: &ScorecardConfig, scores: &ArrayD<f64>, outcomes: Option<&[bool]>) -> ScoreReport {
    let bands = Bands::of(scores.iter().map(|&p| card.card.decide(card.card.points(p))));
    // Where all outcomes are alike nothing can be told apart; the scores stand without a figure for that.
    let measured = outcomes.and_then(|bad| discrimination(scores.iter().copied(), bad).ok());
    ScoreReport { bands, discrimination: measured }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SpoolPlace;
    use crate::scorecard::Scorecard;

    fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
        ArrayD::from_shape_vec(shape, values.to_vec()).unwrap()
    }

    fn written(rows: usize, write: impl FnOnce(&mut dyn Write) -> std::io::Result<usize>) -> String {
        let mut out = Vec::new();
        assert_eq!(write(&mut out).unwrap(), rows);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_carry_ids_points_and_decisions() {
        let card = Scorecard {
            base_points: 600.0,
            base_odds: 20.0,
            points_to_double_odds: 20.0,
            approve_from: 580.0,
            decline_below: 540.0,
        };
        let config = ScorecardConfig { output: "p".into(), card, outcomes: None };
        let ids = RowNames::of(["a,1", "b"], SpoolPlace::temporary()).unwrap();
        let text = |values: [f64; 2], card: Option<&ScorecardConfig>| {
            written(2, |out| per_row(out, ("id", &ids), ("p", &array(&[2], &values)), card))
        };
        assert_eq!(
            text([1.0 / 21.0, 0.9], Some(&config)),
            "id,p,points,decision\n\"a,1\",0.047619,600,approve\nb,0.900000,450,decline\n"
        );
        assert_eq!(text([0.5, 0.25], None), "id,p\n\"a,1\",0.500000\nb,0.250000\n");
    }

    #[test]
    fn other_shapes_become_matrices() {
        let text = written(1, |out| as_matrix(out, "mean", &array(&[], &[2.5])));
        assert_eq!(text, "mean\n2.500000\n");
        let text = written(2, |out| as_matrix(out, "m", &array(&[2, 2], &[1.0, 2.0, 3.0, -4.0])));
        assert_eq!(text, "m.0,m.1\n1.000000,2.000000\n3.000000,-4.000000\n");
    }

    #[test]
    fn predictions_are_given_in_the_units_of_the_labels() {
        let unit = Scaling { mean: 100.0, standard_deviation: 20.0 };
        assert_eq!(in_units(&array(&[3, 1], &[-1.0, 0.0, 2.5]), unit), array(&[3, 1], &[80.0, 100.0, 150.0]));
    }

    #[test]
    fn scores_are_measured_where_outcomes_are_known() {
        let card = crate::demo::scenario::DEFAULT_CARD;
        let config = ScorecardConfig { output: "p".into(), card, outcomes: None };
        let scores = array(&[3, 1], &[0.9, 0.1, 0.2]);
        let report = score_report(&config, &scores, Some(&[true, false, false]));
        assert_eq!(report.discrimination.map(|d| d.auc), Some(1.0));
        assert_eq!(report.bands, Bands { approve: 1, refer: 1, decline: 1 });
        assert!(score_report(&config, &array(&[1], &[0.9]), Some(&[true])).discrimination.is_none());
    }
}
