//! `subrosa import`: a trained model becomes a program, and its parameters a file of their owner.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ml_ops::onnx::{Features, ImportError, Imported, Model, Options, Parameters, import, supported};
use mpc_core::fixed::FracBits;
use mpc_core::text::is_plain;
use safetensors::{Dtype, tensor::TensorView};
use serde::Serialize;
use zeroize::Zeroizing;

use super::feature_range::FeatureRange;
use super::parties::{OwnRange, Parties, between};
use super::sections::{PATHS, Sections, paragraph, text};
use crate::config::Net;
use crate::error::CliError;
use crate::output::{Format, count};
use crate::private_file::write_private;

/// Flags of `import`.
#[derive(clap::Args)]
pub(super) struct ImportArgs {
    /// The model, an ONNX file
    model: PathBuf,
    /// Rows that are computed in one run: the length of the model's open first axis
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    batch: Option<u32>,
    /// Who brings the features: NAME, or NAME=0..10 for columns of one input that several parties divide; INPUT:NAME says
    /// which input of the model is meant
    #[arg(
        long = "data-owner",
        value_name = "[INPUT:]NAME[=FROM..TO]",
        value_delimiter = ',',
        default_value = "client"
    )]
    data_owners: Vec<DataOwner>,
    /// Who brings the model's parameters, which nobody else learns [default: server]
    #[arg(long, value_name = "NAME")]
    model_owner: Option<String>,
    /// Whether the model's parameters are public constants of the program, or its owner's alone
    #[arg(long, value_enum, default_value = "private")]
    weights: Visibility,
    /// Who learns the outputs [default: the first data owner]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    to: Vec<String>,
    /// All parties, in the order of their configurations [default: those named, data owners first]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    parties: Vec<String>,
    /// Which outputs of the model to compute [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    outputs: Vec<String>,
    /// Largest magnitude of a feature: NUMBER; NAME=NUMBER for those of one party; COLUMN=NUMBER or FROM..TO=NUMBER for columns,
    /// counted from 0; INPUT: in front, as in INPUT:NUMBER or INPUT:COLUMN=NUMBER, says which input of the model is meant
    #[arg(long, value_name = "[INPUT:][NAME=|COLUMNS=]NUMBER", value_delimiter = ',', default_value = "256")]
    range: Vec<FeatureRange>,
    /// A promise that no result of a layer exceeds this, for models whose proven magnitudes are too wide
    #[arg(long, value_name = "NUMBER")]
    assume: Option<f64>,
    /// Length of another axis that the model leaves open, by its name in the model
    #[arg(long = "axis", value_name = "NAME=LENGTH", value_delimiter = ',')]
    axes: Vec<AxisLength>,
    /// Fraction bits of numbers
    #[arg(long, value_name = "BITS", default_value_t = FracBits::DEFAULT.bits())]
    frac: u32,
    /// Compute so many rows at a time, which bounds memory
    #[arg(long, value_name = "ROWS")]
    window: Option<u32>,
    /// The network between the parties, to which comparisons are suited: loopback, lan, wan, or DELAY/RATE
    #[arg(long)]
    net: Option<Net>,
    /// Name of the program [default: that of the file]
    #[arg(long)]
    name: Option<String>,
    /// Folder for the program and the weights
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Who knows the parameters.
#[derive(Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
enum Visibility {
    Private,
    Public,
}

/// A party and what it brings of which input.
#[derive(Clone)]
struct DataOwner {
    input: Option<String>,
    name: String,
    columns: Option<std::ops::Range<usize>>,
}

impl std::str::FromStr for DataOwner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (input, rest) = match text.rsplit_once(':') {
            Some((input, rest)) => (Some(input.to_owned()), rest),
            None => (None, text),
        };
        let (name, columns) = match rest.split_once('=') {
            None => (rest, None),
            Some((name, columns)) => {
                let parsed = columns
                    .split_once("..")
                    .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
                let parsed = parsed.filter(|r: &std::ops::Range<usize>| r.start < r.end);
                (name, Some(parsed.ok_or_else(|| format!("expected columns as FROM..TO, got `{columns}`"))?))
            }
        };
        if name.is_empty() {
            return Err("expected the name of a party".into());
        }
        Ok(Self { input, name: name.to_owned(), columns })
    }
}

/// An axis by its name.
#[derive(Clone)]
struct AxisLength(String, usize);

impl std::str::FromStr for AxisLength {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, length) = text.split_once('=').ok_or("expected NAME=LENGTH")?;
        let length = length.parse().ok().filter(|&n| n > 0);
        Ok(Self(
            name.to_owned(),
            length.ok_or_else(|| format!("expected a length of at least 1 for {name}"))?,
        ))
    }
}

/// What was written, for scripts.
#[derive(Serialize)]
struct Written {
    program: PathBuf,
    digest: String,
    name: String,
    parties: Vec<String>,
    /// `public`, or the name of the party that alone knows them.
    parameters: String,
    weights: Option<PathBuf>,
    weight_tensors: usize,
    weight_numbers: usize,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    /// Where results may differ from the model's.
    notes: Vec<String>,
    rounds: u64,
    online_bytes_per_party: u64,
}

#[derive(Serialize)]
struct Input {
    name: String,
    of: String,
    owner: String,
    columns: Option<[usize; 2]>,
    shape: Vec<usize>,
    max_abs: f64,
}

#[derive(Serialize)]
struct Output {
    name: String,
    to: Vec<String>,
    shape: Vec<usize>,
    labels: Vec<String>,
}

pub(super) fn run(args: &ImportArgs, format: Format) -> Result<(), CliError> {
    let options = options(args)?;
    let model = Model::load(&args.model).map_err(|e| refused(&args.model, &e))?;
    let mut imported = import(&model, &options).map_err(|e| refused(&args.model, &e))?;
    imported.program = between(imported.program, args.net)?;
    let stem = args.model.file_stem().map_or_else(|| "model".into(), |s| s.to_string_lossy().into_owned());
    let at = |extension: &str| args.out.join(format!("{stem}.{extension}"));
    std::fs::create_dir_all(&args.out).map_err(|e| CliError::file("make", &args.out, &e))?;
    let program = at("sbr");
    imported.program.save(&program).map_err(|e| CliError::setup("file_error", e))?;
    let weights = if imported.parameters.is_empty() { None } else { Some(at("safetensors")) };
    if let Some(file) = &weights {
        write_weights(file, &imported)?;
    }
    let written = written(&options, &imported, program, weights);
    format.print(&written, || render(&written))
}

/// Parties and what they do, from the flags.
fn options(args: &ImportArgs) -> Result<Options, CliError> {
    let mut parties = Parties::new(&args.parties);
    let ranges = FeatureRange::own(&args.range);
    let mut features = vec![];
    for owner in &args.data_owners {
        let DataOwner { input, name, columns } = owner.clone();
        let max_abs = OwnRange::of(&ranges, &name);
        features.push(Features { input, owner: parties.index(&name)?, columns, max_abs });
    }
    let parameters = match (args.weights, &args.model_owner) {
        (Visibility::Public, Some(owner)) => {
            let message = format!("public weights have no owner, and --model-owner names {owner}");
            return Err(CliError::setup("usage", message));
        }
        (Visibility::Public, None) => Parameters::Public,
        (Visibility::Private, owner) => {
            Parameters::Private { owner: parties.index(owner.as_deref().unwrap_or("server"))? }
        }
    };
    let mut recipients = args.to.iter().map(|name| parties.index(name)).collect::<Result<Vec<_>, _>>()?;
    if recipients.is_empty() {
        recipients.push(features[0].owner);
    }
    let brings = |name: &str| args.data_owners.iter().any(|d| d.name == name);
    if let Some(stray) = OwnRange::stray(&ranges, brings) {
        return Err(CliError::setup(
            "usage",
            format_args!("--range names `{stray}`, which is no data owner"),
        )
        .with_hint("a range of an input of the model is INPUT:NUMBER, one of columns 0..3=NUMBER"));
    }
    let parties = parties.names("name the others with --parties, or --model-owner")?;
    let stem = args.model.file_stem().map_or_else(|| "model".into(), |s| s.to_string_lossy().into_owned());
    let names: Vec<&str> = parties.iter().map(String::as_str).collect();
    let frac = FracBits::new(args.frac).map_err(|e| CliError::setup("usage", format_args!("--frac: {e}")))?;
    Ok(Options {
        frac,
        features,
        parameters,
        recipients,
        outputs: args.outputs.clone(),
        batch: args.batch.map(|b| b as usize),
        dims: args.axes.iter().map(|a| (a.0.clone(), a.1)).collect(),
        max_abs: OwnRange::common(&ranges, 256.0),
        ranges: FeatureRange::columns(&args.range),
        assume: args.assume,
        window_rows: args.window,
        ..Options::new(args.name.as_deref().unwrap_or(&stem), &names)
    })
}

fn refused(model: &Path, error: &ImportError) -> CliError {
    let what = match error {
        ImportError::File { path, source } => return CliError::file("read", path, source),
        ImportError::Options(_) => {
            return CliError::setup("bad_import", format_args!("{}: {error}", model.display()));
        }
        error => CliError::setup("bad_model", format_args!("{}: {error}", model.display())),
    };
    if error.names_operators() {
        return what.with_hint(format_args!("supported operators: {}", supported().join(", ")));
    }
    what
}

/// The owner's file, which nobody else may read.
fn write_weights(file: &Path, imported: &Imported) -> Result<(), CliError> {
    let bytes: BTreeMap<&str, (Vec<usize>, Zeroizing<Vec<u8>>)> = imported
        .parameters
        .iter()
        .map(|(name, values)| {
            let bytes = Zeroizing::new(values.iter().flat_map(|v| v.to_le_bytes()).collect());
            (name.as_str(), (values.shape().to_vec(), bytes))
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, (shape, bytes))| Ok((*name, TensorView::new(Dtype::F64, shape.clone(), bytes)?)));
    let content = views
        .collect::<Result<Vec<_>, _>>()
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| CliError::outcome("internal", format_args!("the weights cannot be written: {e}")))?;
    write_private(file, &Zeroizing::new(content)).map_err(|e| CliError::file("write", file, &e))
}

fn written(options: &Options, imported: &Imported, program: PathBuf, weights: Option<PathBuf>) -> Written {
    let plan = imported.program.plan();
    let party = |i: usize| options.parties[i].clone();
    let bound = |name: &str| {
        imported.program.inputs().find(|i| i.name == name).map_or(options.max_abs, |i| i.max_abs)
    };
    Written {
        program,
        digest: imported.program.digest_hex(),
        name: imported.program.name().to_owned(),
        parties: options.parties.clone(),
        parameters: match options.parameters {
            Parameters::Public => "public".into(),
            Parameters::Private { owner } => party(owner),
        },
        weights,
        weight_tensors: imported.parameters.len(),
        weight_numbers: imported.parameters.values().map(ndarray::ArrayBase::len).sum(),
        inputs: imported
            .inputs
            .iter()
            .map(|i| Input {
                name: i.name.clone(),
                of: i.of.clone(),
                owner: party(i.owner),
                columns: i.columns.as_ref().map(|c| [c.start, c.end]),
                shape: i.shape.clone(),
                max_abs: bound(&i.name),
            })
            .collect(),
        outputs: imported
            .outputs
            .iter()
            .map(|o| Output {
                name: o.name.clone(),
                to: options.recipients.iter().map(|&r| party(r)).collect(),
                shape: o.shape.clone(),
                labels: o.labels.clone(),
            })
            .collect(),
        notes: imported.notes.clone(),
        rounds: plan.rounds,
        online_bytes_per_party: plan.online_bytes_per_party,
    }
}

/// A text of the model's file as a terminal may show it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect()
}

fn render(w: &Written) -> String {
    let mut out = format!(
        "{}: `{}` for {}, digest {}…\n",
        w.program.display(),
        w.name,
        w.parties.join(", "),
        &w.digest[..16]
    );
    let mut line = |text: String| {
        let _infallible = writeln!(out, "  {text}");
    };
    match &w.weights {
        None => line("the model's parameters are public: everybody who has the program has them".into()),
        Some(file) => line(format!(
            "the model's parameters are {}'s alone: {} numbers in {}",
            w.parameters,
            count(w.weight_numbers as u64),
            file.display()
        )),
    }
    for i in &w.inputs {
        let columns = i.columns.map_or(String::new(), |[from, to]| format!(", columns {from}..{to}"));
        line(format!("input  `{}` {:?} of {}{columns}, within ±{}", i.name, i.shape, i.owner, i.max_abs));
    }
    for o in &w.outputs {
        let labels = if o.labels.is_empty() {
            String::new()
        } else {
            format!(", indices of {}", plain(&o.labels.join(", ")))
        };
        line(format!("output `{}` {:?} to {}{labels}", o.name, o.shape, o.to.join(", ")));
    }
    w.notes.iter().for_each(|note| line(format!("note: {}", plain(note))));
    line(format!(
        "{} rounds, {} bytes online per party; see `subrosa plan`",
        w.rounds,
        count(w.online_bytes_per_party)
    ));
    line(PATHS.into());
    for party in &w.parties {
        let heading = format!("in the configuration of {party}");
        out.push_str(&paragraph(&heading, &sections(w, party)));
    }
    out
}

/// What belongs in a party's configuration.
fn sections(w: &Written, party: &String) -> String {
    let weights = w.weights.as_deref().filter(|_| w.parameters == *party);
    let mut sections = Sections::job(&w.program, weights);
    for i in w.inputs.iter().filter(|i| i.owner == *party) {
        if i.shape.len() > 2 {
            let file = "\"FILE.npy\"   # or .safetensors; or a table with one row per image";
            sections.input(&i.name).field("kind", text("tensor")).field("file", file);
        } else {
            sections.input(&i.name).table(i.shape.get(1).copied().unwrap_or(1));
        }
    }
    for o in w.outputs.iter().filter(|o| o.to.contains(party)) {
        sections.output(&o.name, &format!("{}.csv", o.name.replace('/', "_")));
    }
    sections.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_model_do_nothing_to_a_terminal() {
        assert_eq!(plain("yes\u{1b}[2J\n\u{202e}no, Zürich"), "yes\u{fffd}[2J\u{fffd}\u{fffd}no, Zürich");
    }

    #[test]
    fn owners_and_axes_are_parsed() {
        let owner = |text: &str| text.parse::<DataOwner>().map(|d| (d.input, d.name, d.columns));
        assert_eq!(owner("bank"), Ok((None, "bank".into(), None)));
        assert_eq!(owner("bank=0..10"), Ok((None, "bank".into(), Some(0..10))));
        assert_eq!(owner("x:0:bank=3..4"), Ok((Some("x:0".into()), "bank".into(), Some(3..4))));
        for wrong in ["", "bank=", "bank=3", "bank=4..4", "x:"] {
            assert!(owner(wrong).is_err(), "{wrong}");
        }
        assert!("seq".parse::<AxisLength>().is_err() && "seq=0".parse::<AxisLength>().is_err());
    }
}
