//! `subrosa train`: flags become the program of a training, and the program that scores rows with what it leaves.

mod choice;
mod flags;
mod report;

use std::path::PathBuf;

use mpc_core::fixed::FracBits;

use super::parties::{OwnRange, between};
use crate::config::Net;
use crate::error::CliError;
use crate::output::Format;

/// Stands at the end of the help.
pub(super) const EXAMPLE: &str = "Example:\n  subrosa train logistic --rows 10000 --columns bank=4,bureau=4 \
                                  --labels bank --out model\n\nFrom CSV files to scores: docs/training.md";

/// Flags of `train`.
#[derive(clap::Args)]
pub(super) struct TrainArgs {
    /// What is fitted
    #[arg(value_enum)]
    kind: Kind,
    /// Rows that it is fitted to, the same people in the same order at all parties
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    rows: u32,
    /// Who brings how many columns, in the order of the configurations; a column of codes counts once per code
    #[arg(long, value_name = "NAME=COUNT", value_delimiter = ',', required = true)]
    columns: Vec<Columns>,
    /// Who has the labels
    #[arg(long, value_name = "NAME")]
    labels: String,
    /// Who learns the model: names, or nobody; then every party keeps a share of it
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = NOBODY)]
    to: Vec<String>,
    /// Who learns what rows score [default: who has the labels]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    scores_to: Vec<String>,
    /// Rows that are scored in one run [default: as many as it is fitted to]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    score_rows: Option<u32>,
    /// Score so many rows at a time, which bounds memory
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    window: Option<u32>,
    /// All parties, in the order of their configurations [default: those named, in the order of --columns]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    parties: Vec<String>,
    /// How often all rows are gone through
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: u32,
    /// Rows of a step; as many as there are rows, or more, is all of them
    #[arg(long, value_name = "ROWS", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// How a gradient moves the model
    #[arg(long, value_enum, default_value = "sgd")]
    optimiser: OptimiserKind,
    /// Learning rate [default: 0.5 logistic, 0.05 linear and lenet, 0.1 network; with adam 0.01]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// How much of a move stays in the next one, of sgd [default: 0]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// Penalty λ·Σ|w| per row; biases have none
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, allow_negative_numbers = true)]
    l1: f64,
    /// Penalty λ/2·Σw² per row; biases have none
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, allow_negative_numbers = true)]
    l2: f64,
    /// How much a row of each class counts: of label 0 and of label 1, or of every class of a network
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_negative_numbers = true)]
    class_weights: Vec<f64>,
    /// Widths of a network's hidden layers [default: 16]
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',')]
    hidden: Vec<usize>,
    /// Classes that a network tells apart [default: 2]
    #[arg(long, value_name = "COUNT")]
    classes: Option<usize>,
    /// A network that predicts a number
    #[arg(long)]
    regression: bool,
    /// How windows of lenet become one number [default: max]
    #[arg(long, value_enum)]
    pooling: Option<PoolingKind>,
    /// Of a network's first weights, which are public [default: 1]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Largest magnitude of a prepared value: NUMBER, or NAME=NUMBER for those of one party [default: 32; lenet 1]
    #[arg(long, value_name = "[NAME=]NUMBER", value_delimiter = ',', alias = "range")]
    max_abs: Vec<OwnRange>,
    /// Largest magnitude of a label that is a number [default: 32]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    max_label: Option<f64>,
    /// Largest magnitude that a weight has in any step: a promise, which nothing checks [default: 16; lenet 2]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    max_weight: Option<f64>,
    /// Largest magnitude of what a layer of a network computes: a promise, which nothing checks [default: 256; lenet 64]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    max_hidden: Option<f64>,
    /// The same of the derivative of the loss with respect to it, of lenet [default: 16]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    max_derivative: Option<f64>,
    /// Fraction bits of numbers
    #[arg(long, value_name = "BITS", default_value_t = FracBits::DEFAULT.bits())]
    frac: u32,
    /// Round exactly instead of up or down by chance: slower, and the same result in every run
    #[arg(long)]
    exact: bool,
    /// When the loss of every epoch, the mean of the squares of the residuals, is learnt: not at all, in the end by whoever
    /// learns the model, or while the training runs by those of --loss-to
    #[arg(long, value_enum, default_value = "none")]
    loss: LossAt,
    /// Who learns the loss with --loss live [default: who learns the model, else who has the labels]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    loss_to: Vec<String>,
    /// The network between the parties, to which comparisons are suited: loopback, lan, wan, or DELAY/RATE
    #[arg(long)]
    net: Option<Net>,
    /// Name of the program and of the files [default: what is fitted]
    #[arg(long)]
    name: Option<String>,
    /// Folder for the programs
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Stands for no party.
const NOBODY: &str = "nobody";

/// What is fitted.
#[derive(Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Linear regression: numbers
    Linear,
    /// Logistic regression: the probability of label 1
    Logistic,
    /// Dense layers with ReLU: a probability, classes, or a number
    Network,
    /// LeNet: ten classes of images of 28×28, which one party has
    Lenet,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Logistic => "logistic",
            Self::Network => "network",
            Self::Lenet => "lenet",
        }
    }
}

/// OptimiserKind of optimisers.
#[derive(Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
enum OptimiserKind {
    Sgd,
    Adam,
}

/// How windows become one number.
#[derive(Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
enum PoolingKind {
    Max,
    Average,
}

/// When the loss is learnt.
#[derive(Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
enum LossAt {
    None,
    End,
    Live,
}

/// A party and how many columns it brings.
#[derive(Clone)]
struct Columns {
    name: String,
    count: usize,
}

impl std::str::FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = text.split_once('=').ok_or("expected NAME=COUNT")?;
        let counted = count.parse().map_err(|_| format!("expected a number of columns, got `{count}`"))?;
        if name.is_empty() {
            return Err("expected the name of a party".into());
        }
        Ok(Self { name: name.to_owned(), count: counted })
    }
}

pub(super) fn run(args: &TrainArgs, format: Format) -> Result<(), CliError> {
    let choice = flags::choice(args)?;
    let (training, scoring) = choice.programs()?;
    let (training, scoring) = (between(training, args.net)?, between(scoring, args.net)?);
    std::fs::create_dir_all(&args.out).map_err(|e| CliError::file("make", &args.out, &e))?;
    let at = |ending: &str| args.out.join(format!("{}.{ending}.sbr", choice.file_stem()));
    let (train_file, score_file) = (at("train"), at("score"));
    for (program, file) in [(&training, &train_file), (&scoring, &score_file)] {
        program.save(file).map_err(|e| CliError::setup("file_error", e))?;
    }
    let written = report::written(&choice, (&training, train_file), (&scoring, score_file));
    format.print(&written, || report::render(&written))
}
