//! Joins a configuration to a program: which file feeds which input, whether everything fits, before any peer is up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ml_ops::{InputSpec, Program, ProgramError};
use ndarray::ArrayD;
use zeroize::{Zeroize, Zeroizing};

use crate::config::{Config, InputSource, ScorecardConfig};
use crate::data::{Features, read_outcomes, read_weights, refuse_surplus_weights};
use crate::error::CliError;

/// This party's inputs, ready to be shared. What they say about people is wiped on drop.
pub struct LocalInputs {
    /// Values by the program's input names.
    pub values: BTreeMap<String, ArrayD<f64>>,
    /// Keys of the rows in order, the same for all of this party's tables. Empty if it has none.
    pub row_ids: Vec<String>,
    /// The column that held the keys.
    pub key_column: Option<String>,
    /// Known outcomes of the same rows (1 is bad), where the configuration names them.
    pub outcomes: Option<Vec<bool>>,
    /// What was read, for people.
    pub summary: Vec<InputSummary>,
}

mpc_core::secret_types!(serde::Serialize; LocalInputs);

impl Drop for LocalInputs {
    fn drop(&mut self) {
        self.wipe_values();
        self.row_ids.zeroize();
        self.outcomes.zeroize();
    }
}

/// What one input was made of.
#[derive(Clone, Debug, serde::Serialize)]
pub struct InputSummary {
    /// The program's name for it.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Columns, or names of weights.
    pub columns: Vec<String>,
    /// Shape.
    pub shape: Vec<usize>,
    /// The bound that the program declares.
    pub max_abs_allowed: f64,
}

/// Reads the program file that the configuration names and checks that it is for these parties.
///
/// # Errors
/// A file that is no program, or a program for other parties.
pub fn load_program(config: &Config) -> Result<Program, CliError> {
    let path = &config.program;
    let program = read_program(path)?;
    let roster = config.node.roster.names();
    if program.parties() != roster {
        return Err(CliError::setup(
            "wrong_program",
            format_args!(
                "{}: the program is for the parties {}, the configuration names {}",
                path.display(),
                program.parties().join(", "),
                roster.join(", ")
            ),
        )
        .with_hint("names and order of the [[party]] entries must be those of the program"));
    }
    Ok(program)
}

/// Where program files come from.
const WHAT_A_PROGRAM_IS: &str = "a program is a file that `Program::save` wrote, such as score.sbr; a configuration names it in [job] program";

/// Reads a program file.
///
/// # Errors
/// Missing file, or not a program.
pub fn read_program(path: &Path) -> Result<Program, CliError> {
    Program::load(path).map_err(|e| match e {
        ProgramError::File { path, source } => {
            CliError::file("read program", &path, &source).with_hint(WHAT_A_PROGRAM_IS)
        }
        other => CliError::setup("bad_program", format_args!("{}: {other}", path.display()))
            .with_hint(WHAT_A_PROGRAM_IS),
    })
}

impl LocalInputs {
    /// Forgets the values and keeps what they are about, once they are encoded.
    pub fn wipe_values(&mut self) {
        self.values.values_mut().for_each(wipe);
        self.values.clear();
    }

    /// Reads and checks every input that the program wants from this party.
    ///
    /// # Errors
    /// An input without a source, a source without an input, wrong shape, or whatever is wrong with the data.
    pub fn load(config: &Config, program: &Program) -> Result<Self, CliError> {
        let wanted: Vec<InputSpec<'_>> = program.inputs().filter(|i| i.owner == config.me).collect();
        refuse_strays(config, &wanted)?;
        let mut all = Self {
            values: BTreeMap::new(),
            row_ids: Vec::new(),
            key_column: None,
            outcomes: None,
            summary: Vec::new(),
        };
        for spec in &wanted {
            let source = config.inputs.get(spec.name).ok_or_else(|| {
                CliError::setup(
                    "missing_input",
                    format_args!(
                        "{}: the program wants input `{}` from {}, but there is no [inputs.\"{}\"]",
                        config.node.path.display(),
                        spec.name,
                        config.node.name,
                        spec.name
                    ),
                )
            })?;
            match source {
                InputSource::Table(source) => {
                    all.add_table(spec, &Features::load(source)?, &source.key_column)?
                }
                InputSource::Weights { file, names } => all.add_weights(spec, file, names)?,
            }
        }
        refuse_surplus_weights_of(config)?;
        all.outcomes = config.scorecard.as_ref().map_or(Ok(None), |card| all.read_outcomes(card))?;
        Ok(all)
    }

    fn read_outcomes(&self, card: &ScorecardConfig) -> Result<Option<Vec<bool>>, CliError> {
        let Some(known) = &card.outcomes else { return Ok(None) };
        let (ids, bad) = read_outcomes(&known.file, &known.key_column, &known.column, &known.coding)?;
        if ids == self.row_ids {
            return Ok(Some(bad));
        }
        Err(CliError::setup(
            "ids_differ",
            format_args!(
                "{}: the outcomes are not about the rows of this party's inputs, in the same order",
                known.file.display()
            ),
        ))
    }

    fn add_table(
        &mut self,
        spec: &InputSpec<'_>,
        table: &Features,
        key_column: &str,
    ) -> Result<(), CliError> {
        let seen = [table.rows(), table.columns().len()];
        if spec.shape.dims() != seen {
            let message = format!(
                "{}: input `{}` must have shape {}, the file gives {} rows and {} columns",
                table.file().display(),
                spec.name,
                spec.shape,
                seen[0],
                seen[1]
            );
            return Err(CliError::setup("wrong_shape", message).with_hint(
                "the program fixes the number of rows and columns; all parties must agree on them",
            ));
        }
        table.check_range(spec.max_abs)?;
        if self.key_column.is_none() {
            self.row_ids = table.ids().to_vec();
            self.key_column = Some(key_column.to_owned());
        } else if let Some(row) = first_difference(&self.row_ids, table.ids()) {
            return Err(CliError::setup(
                "ids_differ",
                format_args!(
                    "{}: row {} of input `{}` is not the same id as in this party's other table",
                    table.file().display(),
                    row + 1,
                    spec.name
                ),
            ));
        }
        let values = Zeroizing::new(table.values().to_vec());
        self.insert(spec, table.file().into(), table.columns().to_vec(), values)
    }

    fn add_weights(&mut self, spec: &InputSpec<'_>, file: &Path, names: &[String]) -> Result<(), CliError> {
        let weights = read_weights(file, names)?;
        if weights.len() != spec.shape.elements() {
            return Err(CliError::setup(
                "wrong_shape",
                format_args!(
                    "input `{}` must have shape {}, the configuration names {} weights",
                    spec.name,
                    spec.shape,
                    weights.len()
                ),
            ));
        }
        if let Some((name, weight)) = names.iter().zip(weights.iter()).find(|(_, w)| w.abs() > spec.max_abs) {
            return Err(CliError::setup(
                "out_of_range",
                format_args!(
                    "{}: weight `{name}` is {weight}, out of range: the program allows ±{}",
                    file.display(),
                    spec.max_abs
                ),
            ));
        }
        self.insert(spec, file.to_path_buf(), names.to_vec(), weights)
    }

    fn insert(
        &mut self,
        spec: &InputSpec<'_>,
        file: PathBuf,
        columns: Vec<String>,
        mut values: Zeroizing<Vec<f64>>,
    ) -> Result<(), CliError> {
        let array = ArrayD::from_shape_vec(spec.shape.dims(), std::mem::take(&mut *values))
            .map_err(|e| CliError::setup("wrong_shape", format_args!("input `{}`: {e}", spec.name)))?;
        self.values.insert(spec.name.to_owned(), array);
        self.summary.push(InputSummary {
            name: spec.name.to_owned(),
            file,
            columns,
            shape: spec.shape.dims().to_vec(),
            max_abs_allowed: spec.max_abs,
        });
        Ok(())
    }
}

fn wipe(array: &mut ArrayD<f64>) {
    array.iter_mut().for_each(|v| v.zeroize());
}

/// The first row at which two lists of ids differ; the end of the shorter one if it is a part of the other.
fn first_difference(a: &[String], b: &[String]) -> Option<usize> {
    let both = a.iter().zip(b).position(|(a, b)| a != b);
    both.or_else(|| (a.len() != b.len()).then(|| a.len().min(b.len())))
}

/// Several inputs may take their weights from one file, and together they must take all of them.
fn refuse_surplus_weights_of(config: &Config) -> Result<(), CliError> {
    let mut files: BTreeMap<PathBuf, (&Path, Vec<&str>)> = BTreeMap::new();
    for source in config.inputs.values() {
        let InputSource::Weights { file, names } = source else { continue };
        let same = file.canonicalize().unwrap_or_else(|_| file.clone());
        files.entry(same).or_insert((file, Vec::new())).1.extend(names.iter().map(String::as_str));
    }
    files.values().try_for_each(|(file, names)| Ok(refuse_surplus_weights(file, names)?))
}

/// A configured input that the program does not want is a misunderstanding, and so is another party's.
fn refuse_strays(config: &Config, wanted: &[InputSpec<'_>]) -> Result<(), CliError> {
    let Some(stray) = config.inputs.keys().find(|name| wanted.iter().all(|i| i.name != name.as_str())) else {
        return Ok(());
    };
    let names: Vec<String> = wanted.iter().map(|i| format!("`{}`", i.name)).collect();
    let names = if names.is_empty() { "no input".into() } else { names.join(", ") };
    Err(CliError::setup(
        "unknown_input",
        format_args!(
            "{}: the program wants {names} from {}, not `{stray}`",
            config.node.path.display(),
            config.node.name
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn a_prefix_differs_where_it_ends() {
        let ids = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(first_difference(&ids(3), &ids(3)), None);
        assert_eq!(first_difference(&ids(3), &ids(2)), Some(2));
        assert_eq!(first_difference(&ids(2), &ids(3)), Some(2));
        assert_eq!(first_difference(&ids(2), &["0".into(), "x".into()]), Some(1));
    }
}
