//! `subrosa import`: a trained model becomes a program, and its parameters a file of their owner.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ml_ops::onnx::{
    ColumnRange, Features, ImportError, Imported, Model, Options, Parameters, import, supported,
};
use mpc_core::fixed::FracBits;
use safetensors::{Dtype, tensor::TensorView};
use serde::Serialize;
use zeroize::Zeroizing;

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
    range: Vec<OwnRange>,
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

/// A magnitude, and of what.
#[derive(Clone)]
struct OwnRange {
    of: Ranged,
    max_abs: f64,
}

/// What has a range of its own.
#[derive(Clone, PartialEq, Debug)]
enum Ranged {
    All,
    Party(String),
    /// Columns, all of them if none are named, of one input or all.
    Columns {
        input: Option<String>,
        columns: Option<std::ops::Range<usize>>,
    },
}

/// `3` or `0..3`
fn columns(text: &str) -> Option<std::ops::Range<usize>> {
    let (from, to) = match text.split_once("..") {
        Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
        None => text.parse::<usize>().ok().and_then(|at| Some((at, at.checked_add(1)?)))?,
    };
    (from < to).then_some(from..to)
}

impl std::str::FromStr for OwnRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (front, number) = match text.rsplit_once('=') {
            Some((front, number)) => (front, number),
            None => {
                text.rsplit_once(':').map_or(("", text), |(input, number)| (&text[..=input.len()], number))
            }
        };
        let max_abs = number.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
        let max_abs = max_abs.ok_or_else(|| format!("expected a number above 0, got `{number}`"))?;
        let of = match front.rsplit_once(':') {
            None if front.is_empty() => Ranged::All,
            None => match columns(front) {
                Some(columns) => Ranged::Columns { input: None, columns: Some(columns) },
                None => Ranged::Party(front.to_owned()),
            },
            Some((input, "")) => Ranged::Columns { input: Some(input.to_owned()), columns: None },
            Some((input, of)) => {
                let columns = columns(of);
                let wrong = || format!("expected a column or FROM..TO of input `{input}`, got `{of}`");
                Ranged::Columns { input: Some(input.to_owned()), columns: Some(columns.ok_or_else(wrong)?) }
            }
        };
        Ok(Self { of, max_abs })
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
    let imported = import(&model, &options).map_err(|e| refused(&args.model, &e))?;
    let stem = args.model.file_stem().map_or_else(|| "model".into(), |s| s.to_string_lossy().into_owned());
    let at = |extension: &str| args.out.join(format!("{stem}.{extension}"));
    std::fs::create_dir_all(&args.out).map_err(|e| CliError::file("make", &args.out, &e))?;
    let program = at("sbr");
    imported.program.save(&program).map_err(|e| CliError::setup("file_error", e))?;
    let weights = if imported.parameters.is_empty() { None } else { Some(at("safetensors")) };
    if let Some(file) = &weights {
        write_weights(file, &imported)?;
    }
    let written = written(args, &options, &imported, program, weights);
    format.print(&written, || render(&written))
}

/// Parties and what they do, from the flags.
fn options(args: &ImportArgs) -> Result<Options, CliError> {
    let mut parties: Vec<String> = args.parties.clone();
    let fixed = !parties.is_empty();
    let mut index = |name: &str| -> Result<usize, CliError> {
        if let Some(at) = parties.iter().position(|p| p == name) {
            return Ok(at);
        }
        if fixed {
            let message = format!("`{name}` is not among the parties {}", parties.join(", "));
            return Err(CliError::setup("usage", message));
        }
        parties.push(name.to_owned());
        Ok(parties.len() - 1)
    };
    let range = |name: &str| {
        args.range.iter().find(|r| matches!(&r.of, Ranged::Party(of) if of == name)).map(|r| r.max_abs)
    };
    let mut features = vec![];
    for owner in &args.data_owners {
        let DataOwner { input, name, columns } = owner.clone();
        features.push(Features { input, owner: index(&name)?, columns, max_abs: range(&name) });
    }
    let parameters = match (args.weights, &args.model_owner) {
        (Visibility::Public, Some(owner)) => {
            let message = format!("public weights have no owner, and --model-owner names {owner}");
            return Err(CliError::setup("usage", message));
        }
        (Visibility::Public, None) => Parameters::Public,
        (Visibility::Private, owner) => {
            Parameters::Private { owner: index(owner.as_deref().unwrap_or("server"))? }
        }
    };
    let mut recipients = args.to.iter().map(|name| index(name)).collect::<Result<Vec<_>, _>>()?;
    if recipients.is_empty() {
        recipients.push(features[0].owner);
    }
    let stranger = args.range.iter().find_map(|r| match &r.of {
        Ranged::Party(of) if !args.data_owners.iter().any(|d| d.name == *of) => Some(of),
        _ => None,
    });
    if let Some(of) = stranger {
        let message = format!("--range names `{of}`, which is no data owner");
        return Err(CliError::setup("usage", message)
            .with_hint("a range of an input of the model is INPUT:NUMBER, one of columns 0..3=NUMBER"));
    }
    if parties.len() < 2 {
        let message =
            format!("{} alone computes nothing jointly: a program has 2 to 5 parties", parties.join(", "));
        return Err(
            CliError::setup("usage", message).with_hint("name the others with --parties, or --model-owner")
        );
    }
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
        max_abs: args.range.iter().find(|r| r.of == Ranged::All).map_or(256.0, |r| r.max_abs),
        ranges: args
            .range
            .iter()
            .filter_map(|r| match &r.of {
                Ranged::Columns { input, columns } => {
                    Some(ColumnRange { input: input.clone(), columns: columns.clone(), max_abs: r.max_abs })
                }
                Ranged::All | Ranged::Party(_) => None,
            })
            .collect(),
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

fn written(
    args: &ImportArgs,
    options: &Options,
    imported: &Imported,
    program: PathBuf,
    weights: Option<PathBuf>,
) -> Written {
    let plan = imported.program.plan();
    let party = |i: usize| options.parties[i].clone();
    let bound = |name: &str| {
        imported.program.inputs().find(|i| i.name == name).map_or(args.range[0].max_abs, |i| i.max_abs)
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
        let labels =
            if o.labels.is_empty() { String::new() } else { format!(", indices of {}", o.labels.join(", ")) };
        line(format!("output `{}` {:?} to {}{labels}", o.name, o.shape, o.to.join(", ")));
    }
    w.notes.iter().for_each(|note| line(format!("note: {note}")));
    line(format!(
        "{} rounds, {} bytes online per party; see `subrosa plan`",
        w.rounds,
        count(w.online_bytes_per_party)
    ));
    for party in &w.parties {
        line(String::new());
        line(format!("in the configuration of {party}:"));
        line("  [job]".into());
        line(format!("  program = \"{}\"", w.program.display()));
        if let Some(file) = w.weights.as_ref().filter(|_| w.parameters == *party) {
            line(format!("  weights = \"{}\"", file.display()));
        }
        for i in w.inputs.iter().filter(|i| i.owner == *party) {
            line(format!("  [inputs.\"{}\"]", i.name));
            line(if i.shape.len() > 2 {
                "  kind = \"tensor\"\n    file = \"FILE.npy\"   # or .safetensors; or a table with one row per image".into()
            } else {
                format!(
                    "  file = \"FILE.csv\"\n    key_column = \"ID\"\n    columns = [\"…\"]   # {} of them",
                    i.shape.get(1).copied().unwrap_or(1)
                )
            });
        }
        for o in w.outputs.iter().filter(|o| o.to.contains(party)) {
            line(format!("  [outputs.\"{}\"]\n    file = \"{}.csv\"", o.name, o.name.replace('/', "_")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_ranges_are_parsed() {
        let owner = |text: &str| text.parse::<DataOwner>().map(|d| (d.input, d.name, d.columns));
        assert_eq!(owner("bank"), Ok((None, "bank".into(), None)));
        assert_eq!(owner("bank=0..10"), Ok((None, "bank".into(), Some(0..10))));
        assert_eq!(owner("x:0:bank=3..4"), Ok((Some("x:0".into()), "bank".into(), Some(3..4))));
        for wrong in ["", "bank=", "bank=3", "bank=4..4", "x:"] {
            assert!(owner(wrong).is_err(), "{wrong}");
        }
        let range = |text: &str| text.parse::<OwnRange>().map(|r| (r.of, r.max_abs));
        let columns =
            |input: Option<&str>, columns| Ranged::Columns { input: input.map(str::to_owned), columns };
        assert_eq!(range("8"), Ok((Ranged::All, 8.0)));
        assert_eq!(range("bank=8"), Ok((Ranged::Party("bank".into()), 8.0)));
        assert_eq!(range("3=1e5"), Ok((columns(None, Some(3..4)), 1e5)));
        assert_eq!(range("0..3=2"), Ok((columns(None, Some(0..3)), 2.0)));
        assert_eq!(range("age:120"), Ok((columns(Some("age"), None), 120.0)));
        assert_eq!(range("x:0:2..5=7"), Ok((columns(Some("x:0"), Some(2..5)), 7.0)));
        for wrong in ["bank=-1", "NaN", "", "3..3=1", "x:bank=1", "age:", "3="] {
            assert!(
                range(wrong).is_err() || range(wrong).is_ok_and(|r| r.0 == Ranged::Party("3..3".into())),
                "{wrong}"
            );
        }
        assert!("seq".parse::<AxisLength>().is_err() && "seq=0".parse::<AxisLength>().is_err());
    }
}
