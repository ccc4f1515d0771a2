//! Joins a configuration to a program: which file feeds which input, whether everything fits, before any peer is up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ml_ops::{EncodedInputs, InputKind, InputSpec, KeptShare, NodeId, Origin, Program, ProgramError};
use mpc_core::party::PartyId;
use zeroize::Zeroizing;

use super::window_rows::{WindowRows, encode_rows};
use crate::config::{Config, InputSource, ScorecardConfig};
use crate::data::{
    Features, PreparedValues, RowNames, Scaling, SpoolPlace, TableSource, TensorFile, read_figures,
    read_outcomes, read_weights, refuse_surplus_weights, tensor_names,
};
use crate::error::CliError;
use crate::regular_file::read_regular;

/// The most bytes of a share's file beside its elements.
const SHARE_HEADER_BYTES: usize = 1024;

/// This party's inputs, ready to be encoded. What they hold about people is wiped on drop.
pub struct LocalInputs {
    values: BTreeMap<NodeId, LocalValue>,
    /// Shares of what earlier sessions kept, by the program's names.
    shares: BTreeMap<String, KeptShare>,
    /// Keys of the rows in order, the same for all of this party's tables, if it has any.
    pub row_names: Option<RowNames>,
    /// The column that held the keys.
    pub key_column: Option<String>,
    /// Known outcomes of the same rows (1 is bad), where the configuration names them.
    pub outcomes: Option<Zeroizing<Vec<bool>>>,
    /// By which figures inputs were standardised, as text, by the program's names: those that the configuration wants to have.
    pub figures: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// In which units outputs are written, by the program's names, where they are not the program's.
    pub units: BTreeMap<String, Scaling>,
    /// What was read, for people.
    pub summary: Vec<InputSummary>,
}

enum LocalValue {
    /// Read a window of rows at a time.
    Rows(PreparedValues),
    /// Weights, and tensors.
    Whole(Zeroizing<Vec<f64>>),
}

mpc_core::secret_types!(serde::Serialize; LocalInputs, LocalValue);

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
    /// Number of rows of this party's tables; 0 if it has none.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.row_names.as_ref().map_or(0, RowNames::rows)
    }

    /// All values of all inputs.
    #[cfg(test)]
    pub(super) fn all_values(&self) -> Vec<f64> {
        let of = |value: &LocalValue| match value {
            LocalValue::Rows(values) => values.read(0..self.rows()).unwrap().to_vec(),
            LocalValue::Whole(weights) => weights.to_vec(),
        };
        self.values.values().flat_map(of).collect()
    }

    /// Takes the values out, as the program computes with them: weights whole, tables a window of rows at a time.
    ///
    /// # Errors
    /// A weight that has no encoding.
    pub fn encode(&mut self, program: &Program, me: PartyId) -> Result<EncodedInputs, CliError> {
        let mut encoded = EncodedInputs::default();
        for (name, share) in &self.shares {
            let fits = encoded.insert_share(program, me, name, share);
            fits.map_err(|e| CliError::setup("wrong_share", e))?;
        }
        let mut values = std::mem::take(&mut self.values);
        for spec in program.inputs() {
            let scale = program.fact(spec.node).scale;
            match values.remove(&spec.node) {
                None => {}
                Some(LocalValue::Rows(values)) => {
                    let rows = WindowRows {
                        values,
                        shape: spec.shape.dims().to_vec(),
                        scale,
                        max_abs: spec.max_abs,
                    };
                    encoded.insert_rows(spec.node, Box::new(rows));
                }
                Some(LocalValue::Whole(weights)) => {
                    let tensor =
                        encode_rows(weights, spec.shape.dims(), scale, spec.max_abs).map_err(|e| {
                            CliError::setup("out_of_range", format_args!("input `{}`: {e}", spec.name))
                        })?;
                    encoded.insert(spec.node, tensor);
                }
            }
        }
        Ok(encoded)
    }

    /// Reads and checks every input that the program wants from this party.
    ///
    /// # Errors
    /// An input without a source, a source without an input, wrong shape, or whatever is wrong with the data.
    pub fn load(config: &Config, program: &Program) -> Result<Self, CliError> {
        let wanted: Vec<InputSpec<'_>> = program.inputs().filter(|i| i.owner == config.me).collect();
        refuse_strays(config, program, &wanted)?;
        let place = SpoolPlace::beside(&config.node.log_dir);
        let mut all = Self {
            values: BTreeMap::new(),
            shares: BTreeMap::new(),
            row_names: None,
            key_column: None,
            outcomes: None,
            figures: BTreeMap::new(),
            units: BTreeMap::new(),
            summary: Vec::new(),
        };
        let mut tensors: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for spec in &wanted {
            let common = config.weights.as_ref().filter(|_| spec.kind == InputKind::Weights);
            let common =
                common.map(|file| InputSource::Tensor { file: file.clone(), tensor: spec.name.to_owned() });
            let source = match (config.inputs.get(spec.name), &common) {
                (None, Some(common)) => common,
                _ => source_of(config, spec.name)?,
            };
            match source {
                InputSource::Table(source) => {
                    let keeps_figures = config.figures.contains_key(spec.name);
                    all.add_table(spec, source, &place, keeps_figures)?;
                }
                InputSource::Weights { file, names } => all.add_weights(spec, file, names)?,
                InputSource::Tensor { file, tensor } => {
                    if spec.kind == InputKind::Weights {
                        tensors.entry(file.clone()).or_default().push(tensor.clone());
                    }
                    all.add_tensor(spec, file, tensor)?;
                }
                InputSource::Share { .. } => {
                    let what = "is a table or weights in this program, not a share of an earlier session";
                    return Err(wrong_kind(config, spec.name, what));
                }
            }
        }
        for spec in program.shared() {
            let InputSource::Share { file } = source_of(config, spec.name)? else {
                let what = "is taken up from an earlier session: expected kind = \"share\"";
                return Err(wrong_kind(config, spec.name, what));
            };
            let share = read_share(file, spec.shape.elements())?;
            let fits = EncodedInputs::default().insert_share(program, config.me, spec.name, &share);
            fits.map_err(|e| CliError::setup("wrong_share", format_args!("{}: {e}", file.display())))?;
            all.summary.push(InputSummary {
                name: spec.name.to_owned(),
                file: file.clone(),
                columns: vec![],
                shape: spec.shape.dims().to_vec(),
                max_abs_allowed: program.fact(spec.node).max_abs(),
            });
            all.shares.insert(spec.name.to_owned(), share);
        }
        refuse_surplus_weights_of(config)?;
        refuse_surplus_tensors(&tensors)?;
        for (name, file) in &config.units {
            all.units.insert(name.clone(), unit_of(file)?);
        }
        all.outcomes = config.scorecard.as_ref().map_or(Ok(None), |card| all.read_outcomes(card, &place))?;
        Ok(all)
    }

    /// Where the shares come from: the same at all parties, or they are of different values.
    pub(super) fn origins(&self) -> Vec<(&str, &Origin)> {
        self.shares.iter().map(|(name, share)| (name.as_str(), share.origin())).collect()
    }

    fn read_outcomes(
        &self,
        card: &ScorecardConfig,
        place: &SpoolPlace,
    ) -> Result<Option<Zeroizing<Vec<bool>>>, CliError> {
        let Some(known) = &card.outcomes else { return Ok(None) };
        let (names, bad) =
            read_outcomes(&known.file, &known.key_column, &known.column, &known.coding, place)?;
        let differ = self.row_names.as_ref().map_or(Ok(Some(0)), |own| own.first_difference(&names));
        if differ.map_err(|e| rows_unread(&known.file, &e))?.is_none() {
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
        source: &TableSource,
        place: &SpoolPlace,
        keeps_figures: bool,
    ) -> Result<(), CliError> {
        let table = Features::load(source, place)?;
        let seen = [table.rows(), table.columns().len()];
        // Images may lie in rows: a row holds what is beyond the first axis.
        let fits = spec.shape.dims().first() == Some(&seen[0]) && spec.shape.elements() == seen[0] * seen[1];
        if !fits {
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
        if spec.integer {
            table.check_integers()?;
        }
        if keeps_figures {
            self.figures.insert(spec.name.to_owned(), table.figures());
        }
        let columns = table.columns().to_vec();
        let (names, values) = table.into_parts();
        match &self.row_names {
            None => {
                self.row_names = Some(names);
                self.key_column = Some(source.key_column.clone());
            }
            Some(own) => {
                let differ = own.first_difference(&names).map_err(|e| rows_unread(&source.file, &e))?;
                if let Some(row) = differ {
                    let what = "is not the same id as in this party's other table";
                    let file = source.file.display();
                    let message = format!("{file}: row {} of input `{}` {what}", row + 1, spec.name);
                    return Err(CliError::setup("ids_differ", message));
                }
            }
        }
        self.insert(spec, source.file.clone(), columns, LocalValue::Rows(values));
        Ok(())
    }

    fn add_tensor(&mut self, spec: &InputSpec<'_>, file: &Path, name: &str) -> Result<(), CliError> {
        let tensor = TensorFile::load(file, name)?;
        let shape = spec.shape.dims();
        let fits = match spec.kind {
            InputKind::Weights => tensor.shape == shape,
            // Images may lie in rows, and rows may be images.
            InputKind::Data => {
                tensor.shape.first() == shape.first() && tensor.values.len() == spec.shape.elements()
            }
        };
        if !fits {
            let (file, seen) = (file.display(), &tensor.shape);
            let message = format!(
                "{file}: input `{}` must have shape {}, tensor `{name}` has {seen:?}",
                spec.name, spec.shape
            );
            return Err(CliError::setup("wrong_shape", message));
        }
        tensor.check_range(name, spec.max_abs)?;
        if let Some(fraction) = tensor.values.iter().find(|v| spec.integer && v.fract() != 0.0) {
            let file = file.display();
            let message =
                format!("{file}: tensor `{name}` has {fraction}, not an integer, as the program wants");
            return Err(CliError::setup("not_an_integer", message));
        }
        self.insert(spec, file.to_path_buf(), vec![name.to_owned()], LocalValue::Whole(tensor.values));
        Ok(())
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
        let fraction = names.iter().zip(weights.iter()).find(|(_, w)| spec.integer && w.fract() != 0.0);
        if let Some((name, weight)) = fraction {
            return Err(CliError::setup(
                "not_an_integer",
                format_args!(
                    "{}: weight `{name}` is {weight}, not an integer, as the program wants",
                    file.display()
                ),
            ));
        }
        self.insert(spec, file.to_path_buf(), names.to_vec(), LocalValue::Whole(weights));
        Ok(())
    }

    fn insert(&mut self, spec: &InputSpec<'_>, file: PathBuf, columns: Vec<String>, value: LocalValue) {
        self.values.insert(spec.node, value);
        self.summary.push(InputSummary {
            name: spec.name.to_owned(),
            file,
            columns,
            shape: spec.shape.dims().to_vec(),
            max_abs_allowed: spec.max_abs,
        });
    }
}

/// What feeds an input.
fn source_of<'a>(config: &'a Config, name: &str) -> Result<&'a InputSource, CliError> {
    config.inputs.get(name).ok_or_else(|| {
        CliError::setup(
            "missing_input",
            format_args!(
                "{}: the program wants input `{name}` from {}, but there is no [inputs.\"{name}\"]",
                config.node.path.display(),
                config.node.name,
            ),
        )
    })
}

fn wrong_kind(config: &Config, name: &str, what: &str) -> CliError {
    CliError::setup("config_value", format_args!("{}: input `{name}` {what}", config.node.path.display()))
}

/// Reads a share that an earlier run wrote: no more than one of so many elements takes.
fn read_share(file: &Path, elements: usize) -> Result<KeptShare, CliError> {
    let most = elements.saturating_mul(8).saturating_add(SHARE_HEADER_BYTES);
    let bytes = read_regular(file, most).map_err(|e| CliError::file("read share", file, &e))?;
    let bytes = Zeroizing::new(bytes);
    KeptShare::decode(&bytes).map_err(|e| {
        CliError::setup("bad_share", format_args!("{}: {e}", file.display()))
            .with_hint("this party's file of the run that kept the value belongs here, as that run wrote it")
    })
}

/// The unit that the figures of a single column are.
fn unit_of(file: &Path) -> Result<Scaling, CliError> {
    match read_figures(file)?[..] {
        [(_, unit)] => Ok(unit),
        ref all => {
            let message =
                format!("{}: expected the figures of one column, got {}", file.display(), all.len());
            Err(CliError::setup("figures_differ", message)
                .with_hint("`units` of an output names what a run wrote of the labels that it was fitted to"))
        }
    }
}

/// What was kept of a file's rows cannot be read again.
fn rows_unread(file: &Path, error: &std::io::Error) -> CliError {
    CliError::setup(
        "rows_not_kept",
        format_args!("{}: its rows cannot be read again: {error}", file.display()),
    )
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

/// The same for weights in files of tensors.
fn refuse_surplus_tensors(taken: &BTreeMap<PathBuf, Vec<String>>) -> Result<(), CliError> {
    for (file, taken) in taken {
        if let Some(surplus) = tensor_names(file)?.into_iter().find(|name| !taken.contains(name)) {
            let message = format!("{}: no input of the program takes the tensor `{surplus}`", file.display());
            return Err(CliError::setup("surplus_weight", message)
                .with_hint("the file and the program must come from the same import"));
        }
    }
    Ok(())
}

/// A configured input that the program does not want is a misunderstanding, and so is another party's.
fn refuse_strays(config: &Config, program: &Program, wanted: &[InputSpec<'_>]) -> Result<(), CliError> {
    let known: Vec<&str> = wanted.iter().map(|i| i.name).chain(program.shared().map(|s| s.name)).collect();
    let Some(stray) = config.inputs.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
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
