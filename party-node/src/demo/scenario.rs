//! Who takes part in a demo and with which files: made-up applicants, or a folder of the user's own files.

use std::path::{Path, PathBuf};

use crate::data::{Missing, OneHot, OutcomeCoding, Standardise, TableSource};
use crate::error::CliError;
use crate::private_file::create_private_folder;
use crate::scorecard::Scorecard;

use super::data::{KEY, LABEL, OWNERS, Population, Sample, csv, draw};
use super::model::{DemoModel, standardised, train};

/// Name of the weight that is the model's intercept.
pub const BIAS: &str = "bias";

/// The lender's scale where nothing else is said.
pub const DEFAULT_CARD: Scorecard = Scorecard {
    base_points: 600.0,
    base_odds: 10.0,
    points_to_double_odds: 20.0,
    approve_from: 585.0,
    decline_below: 560.0,
};

/// A joint scoring with all its files in place. The first party holds the weights and learns the scores.
#[derive(Debug)]
pub struct Scenario {
    /// The parties in order.
    pub parties: Vec<Member>,
    /// Number of applicants.
    pub rows: usize,
    /// The first party's weights.
    pub weights_file: PathBuf,
    /// The first party's scale.
    pub card: Scorecard,
    /// The first party's outcomes, if they are known.
    pub label: Option<Label>,
    /// AUC of the best model of the first party's own columns, where the demo fitted one.
    pub auc_alone: Option<f64>,
    /// Where the people come from, for the report.
    pub origin: String,
}

/// A party with its table.
#[derive(Debug)]
pub struct Member {
    /// Name.
    pub name: String,
    /// Its table.
    pub table: TableSource,
    /// The largest magnitude of a prepared value.
    pub max_abs: f64,
}

/// A column of known outcomes in a party's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The column.
    pub column: String,
    /// What in it is good and what is bad.
    pub coding: OutcomeCoding,
}

impl Scenario {
    /// Names of the weights in the program's order: every party's columns as `party.column`, and `party.column=code`
    /// for a code.
    #[must_use]
    pub fn weight_names(&self) -> Vec<String> {
        let of = |m: &Member| -> Vec<String> {
            m.table.features().iter().map(|c| format!("{}.{c}", m.name)).collect()
        };
        self.parties.iter().flat_map(of).collect()
    }
}

/// Largest magnitude of a standardised value that the demo's programs allow.
pub const MAX_FEATURE: f64 = 256.0;
/// Largest magnitude of a weight that the demo's programs allow.
pub const MAX_WEIGHT: f64 = 64.0;

/// Makes up applicants and writes each party's CSV and the bank's weights where `place(party, file)` says.
///
/// # Errors
/// A file that cannot be written.
pub fn made_up(
    parties: usize,
    rows: usize,
    place: &dyn Fn(&str, &str) -> PathBuf,
) -> Result<Scenario, CliError> {
    let model = train(parties)
        .ok_or_else(|| CliError::outcome("internal", "the demo's model could not be fitted"))?;
    let people = draw(Sample::Applicants, rows, parties);
    let mut members = Vec::new();
    for (index, owner) in OWNERS.iter().enumerate().take(parties) {
        let file = place(owner.name, &format!("{}.csv", owner.name));
        write(&file, &csv(&people, index))?;
        let columns: Vec<String> = owner.columns.iter().map(|c| c.name.to_owned()).collect();
        let given = columns.iter().cloned().zip(model.scalings[index].iter().copied()).collect();
        let table = TableSource {
            file,
            key_column: KEY.to_owned(),
            columns,
            one_hot: OneHot::default(),
            missing: Missing::Mean,
            standardise: Standardise::Given(given),
        };
        members.push(Member { name: owner.name.to_owned(), table, max_abs: MAX_FEATURE });
    }
    let bank = OWNERS[0].name;
    let mut scenario = Scenario {
        parties: members,
        rows,
        weights_file: place(bank, "weights.csv"),
        card: DEFAULT_CARD,
        label: Some(Label { column: LABEL.to_owned(), coding: OutcomeCoding::Numbers }),
        auc_alone: auc_of_bank_alone(&model, &people),
        origin: "made-up applicants (fixed seed), weights fitted on another sample of the same population"
            .into(),
    };
    let weights: Vec<f64> = model.weights.concat();
    let mut text = String::from("name,weight\n");
    for (name, weight) in scenario.weight_names().iter().zip(&weights) {
        text.push_str(&format!("{name},{weight}\n"));
    }
    text.push_str(&format!("{BIAS},{}\n", model.bias));
    write(&scenario.weights_file, &text)?;
    scenario.rows = people.ids.len();
    Ok(scenario)
}

fn auc_of_bank_alone(model: &DemoModel, people: &Population) -> Option<f64> {
    let own = &model.bank_alone;
    let rows = standardised(people, &model.scalings, 1);
    let scores = rows
        .chunks_exact(own.weights.len())
        .map(|row| crate::scorecard::plaintext_probability(row, &own.weights, own.bias));
    crate::metrics::discrimination(scores, &people.bad).ok().map(|d| d.auc)
}

/// Writes a file of the demo, with its folder.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |e: std::io::Error| CliError::file("write", path, &e);
    if let Some(folder) = path.parent() {
        create_private_folder(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}
