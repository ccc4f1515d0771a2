//! What the flags of `train` describe: two programs.

use ml_ops::models::lenet::{self, First, Pooling};
use ml_ops::models::network::{self, Network};
use ml_ops::models::regression::{Regression, Target};
use ml_ops::models::scorecard::Member;
use ml_ops::models::scoring::{ModelFrom, Scoring};
use ml_ops::training::{History, Training};
use ml_ops::{Owner, Program, ProgramError, Rounding};
use mpc_core::fixed::FracBits;

use super::{Kind, LossAt};
use crate::error::CliError;

/// A model, and who does what for it.
pub(super) struct Choice {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) parties: Vec<String>,
    /// Columns of every party, and their largest magnitude.
    pub(super) columns: Vec<(usize, f64)>,
    pub(super) rows: usize,
    /// Who has the labels.
    pub(super) labels: usize,
    pub(super) labelled: Labels,
    /// Who learns the model; nobody if it is empty.
    pub(super) model_to: Vec<usize>,
    /// All of it but for what becomes of the loss.
    pub(super) training: Training<'static>,
    pub(super) loss: LossAt,
    /// Who learns it while the training runs.
    pub(super) loss_to: Vec<usize>,
    pub(super) score_rows: usize,
    pub(super) window: Option<u32>,
    pub(super) scores_to: Vec<usize>,
    /// Widths of a network's layers.
    pub(super) layers: Vec<usize>,
    pub(super) seed: u64,
    pub(super) frac: FracBits,
    pub(super) rounding: Rounding,
    pub(super) max_weight: f64,
    pub(super) max_hidden: f64,
    pub(super) max_derivative: f64,
    pub(super) pooling: Pooling,
}

/// What the labels are.
#[derive(Clone, PartialEq)]
pub(super) enum Labels {
    /// Numbers of at most this magnitude.
    Numbers(f64),
    /// One of so many classes, which count as is said, or alike.
    Classes(usize, Vec<f64>),
}

impl Choice {
    /// Beginning of the files' names.
    pub(super) fn file_stem(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        self.name.chars().map(plain).collect()
    }

    /// The training and the scoring.
    pub(super) fn programs(&self) -> Result<(Program, Program), CliError> {
        let members = self.parties.iter().zip(&self.columns);
        let members: Vec<Member<'_>> =
            members.map(|(name, &(columns, max_abs))| Member { name, columns, max_abs }).collect();
        let name = format!("{} scores", self.name);
        let how = Scoring {
            name: &name,
            rows: self.score_rows,
            window_rows: self.window,
            model: self.model_to.first().map_or(ModelFrom::Shares, |&owner| ModelFrom::Owner(owner)),
            rounding: self.rounding,
            recipients: &self.scores_to,
        };
        let (training, scoring) = match self.kind {
            Kind::Network => {
                let fit = self.network(&members);
                (fit.program_with(self.rounding), fit.scoring(&how))
            }
            Kind::Lenet => {
                let names: Vec<&str> = self.parties.iter().map(String::as_str).collect();
                let fit = self.lenet(&names);
                (fit.program_with(self.rounding), fit.scoring(&how))
            }
            Kind::Linear | Kind::Logistic => {
                let fit = self.regression(&members);
                (fit.program_with(self.rounding), fit.scoring(&how))
            }
        };
        Ok((training.map_err(|e| refused("training", &e))?, scoring.map_err(|e| refused("scoring", &e))?))
    }

    /// How it is fitted, and what becomes of the loss.
    fn training(&self) -> Training<'_> {
        let history = match self.loss {
            LossAt::None => History::None,
            LossAt::End => History::AtEnd,
            LossAt::Live => History::Live(&self.loss_to),
        };
        Training { history, ..self.training }
    }

    fn regression<'a>(&'a self, members: &'a [Member<'a>]) -> Regression<'a> {
        let target = match &self.labelled {
            Labels::Numbers(max_abs) => Target::Number { max_abs: *max_abs },
            Labels::Classes(_, weights) => Target::Class {
                weights: if let &[zero, one] = &weights[..] { [zero, one] } else { [1.0; 2] },
            },
        };
        Regression {
            name: &self.name,
            frac: self.frac,
            members,
            rows: self.rows,
            labels: self.labels,
            target,
            training: self.training(),
            max_weight: self.max_weight,
            recipients: &self.model_to,
        }
    }

    fn lenet<'a>(&'a self, parties: &'a [&'a str]) -> lenet::Fit<'a> {
        let images = self.columns.iter().position(|c| c.0 > 0).unwrap_or(0);
        lenet::Fit {
            name: &self.name,
            frac: self.frac,
            parties,
            images: Owner(images),
            labels: Owner(self.labels),
            rows: self.rows,
            max_pixel: self.columns[images].1,
            pooling: self.pooling,
            training: self.training(),
            max_weight: self.max_weight,
            max_hidden: self.max_hidden,
            max_derivative: self.max_derivative,
            first: First::Seed(self.seed),
            recipients: &self.model_to,
        }
    }

    fn network<'a>(&'a self, members: &'a [Member<'a>]) -> Network<'a> {
        let target = match &self.labelled {
            Labels::Numbers(max_abs) => network::Target::Number { max_abs: *max_abs },
            Labels::Classes(_, weights) => network::Target::Class { weights },
        };
        Network {
            name: &self.name,
            frac: self.frac,
            members,
            rows: self.rows,
            labels: self.labels,
            target,
            layers: &self.layers,
            training: self.training(),
            max_weight: self.max_weight,
            max_hidden: self.max_hidden,
            seed: self.seed,
            recipients: &self.model_to,
        }
    }
}

fn refused(which: &str, error: &ProgramError) -> CliError {
    CliError::setup("bad_training", format_args!("the program of the {which}: {error}")).with_hint(
        "where numbers could become too large, a smaller --max-abs, --max-weight, --max-hidden or --frac leaves room",
    )
}
