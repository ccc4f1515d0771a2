//! What the flags of `train` say. Everything that is wrong with them is said at once.

use ml_ops::Rounding;
use ml_ops::models::lenet::Pooling;
use ml_ops::training::{Adam, Optimiser, Training};
use mpc_core::fixed::FracBits;

use super::super::parties::{OwnRange, Parties};
use super::choice::{Choice, Labels};
use super::{Kind, LossAt, NOBODY, OptimiserKind, PoolingKind, TrainArgs};
use crate::data::MAX_CODES;
use crate::error::CliError;

/// Largest magnitude of a prepared value and of a label, where nothing else is said: standardised ones rarely exceed it.
const MAX_ABS: f64 = 32.0;

/// Of an image of lenet.
const PIXELS: usize = 28 * 28;

/// What is wrong with flags, each with what to do about it.
#[derive(Default)]
struct Complaints(Vec<(String, String)>);

impl Complaints {
    fn add(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push((what.into(), hint.into()));
    }

    fn unless(&mut self, holds: bool, what: impl Into<String>, hint: impl Into<String>) {
        if !holds {
            self.add(what, hint);
        }
    }

    /// The value, or what is wrong with it on the list.
    fn take<T>(&mut self, result: Result<T, CliError>) -> Option<T> {
        let told =
            result.map_err(|e| self.add(e.message(), e.hint().unwrap_or("see `subrosa train --help`")));
        told.ok()
    }

    fn positive(&mut self, flag: &str, value: f64) {
        let what = format!("{flag} {value}: expected a number above 0");
        self.unless(value > 0.0 && value.is_finite(), what, format!("without {flag} the usual is taken"));
    }

    fn error(self) -> CliError {
        let (mut whats, mut hints): (Vec<String>, Vec<String>) = (vec![], vec![]);
        for (what, hint) in self.0 {
            for (list, line) in [(&mut whats, what), (&mut hints, hint)] {
                if !list.contains(&line) {
                    list.push(line);
                }
            }
        }
        CliError::setup("usage", whats.join("\n")).with_hint(hints.join("\n"))
    }
}

/// Reads the flags.
pub(super) fn choice(args: &TrainArgs) -> Result<Choice, CliError> {
    let mut wrong = Complaints::default();
    flags_of_others(args, &mut wrong);
    let mut parties = Parties::new(&args.parties);
    let brings = columns(args, &mut parties, &mut wrong);
    let labels = wrong.take(parties.index(&args.labels)).unwrap_or(0);
    let model_to = model_to(args, &mut parties, &mut wrong);
    let mut scores_to = named("--scores-to", &args.scores_to, &mut parties, &mut wrong);
    if args.scores_to.is_empty() {
        scores_to.push(labels);
    }
    let loss_to = loss_to(args, (&model_to, labels), &mut parties, &mut wrong);
    let parties = parties.names("name the others in --columns NAME=COUNT, or with --parties");
    let parties = wrong.take(parties).unwrap_or_default();
    let labelled = labelled(args, &mut wrong);
    let training = training(args, &mut wrong);
    let frac = FracBits::new(args.frac).map_err(|e| {
        CliError::setup("usage", format_args!("--frac: {e}")).with_hint("16 fraction bits suit most models")
    });
    let frac = wrong.take(frac);
    let of_images = args.kind == Kind::Lenet;
    let usual = |images: f64, others: f64| if of_images { images } else { others };
    let max_weight = args.max_weight.unwrap_or_else(|| usual(2.0, 16.0));
    let max_hidden = args.max_hidden.unwrap_or_else(|| usual(64.0, 256.0));
    let max_derivative = args.max_derivative.unwrap_or(16.0);
    wrong.positive("--max-weight", max_weight);
    wrong.positive("--max-hidden", max_hidden);
    wrong.positive("--max-derivative", max_derivative);
    if of_images {
        let pixels: Vec<usize> = brings.iter().map(|b| b.1).filter(|&count| count > 0).collect();
        wrong.unless(
            pixels[..] == [PIXELS],
            format!("lenet reads images of one party, with {PIXELS} pixels each"),
            format!("--columns NAME={PIXELS} says whose they are"),
        );
    }
    let hidden = if args.hidden.is_empty() { vec![16] } else { args.hidden.clone() };
    wrong.unless(!hidden.contains(&0), "--hidden: a layer has a width", "--hidden 32,16 is two layers");
    let Some(frac) = frac.filter(|_| wrong.0.is_empty()) else { return Err(wrong.error()) };
    let outputs = match labelled {
        Labels::Classes(classes, _) if classes > 2 => classes,
        _ => 1,
    };
    let all = OwnRange::common(&args.max_abs, usual(1.0, MAX_ABS));
    let of = |name: &String| {
        let count = brings.iter().find(|(n, _)| n == name).map_or(0, |b| b.1);
        (count, OwnRange::of(&args.max_abs, name).unwrap_or(all))
    };
    Ok(Choice {
        kind: args.kind,
        name: args.name.clone().unwrap_or_else(|| args.kind.name().into()),
        columns: parties.iter().map(of).collect(),
        parties,
        rows: args.rows as usize,
        labels,
        labelled,
        model_to,
        training,
        loss: args.loss,
        loss_to,
        score_rows: args.score_rows.unwrap_or(args.rows) as usize,
        window: args.window,
        scores_to,
        layers: [&hidden[..], &[outputs]].concat(),
        seed: args.seed.unwrap_or(1),
        frac,
        rounding: if args.exact { Rounding::Exact } else { Rounding::Dithered },
        max_weight,
        max_hidden,
        max_derivative,
        pooling: match args.pooling {
            Some(PoolingKind::Average) => Pooling::Average,
            Some(PoolingKind::Max) | None => Pooling::Max,
        },
    })
}

/// Flags that mean nothing for what is fitted.
fn flags_of_others(args: &TrainArgs, wrong: &mut Complaints) {
    let numbers = args.kind == Kind::Linear || args.regression;
    let network = args.kind == Kind::Network;
    let images = args.kind == Kind::Lenet;
    let of_networks = "it belongs to `subrosa train network`";
    for (flag, given, fits, hint) in [
        ("--hidden", !args.hidden.is_empty(), network, of_networks),
        ("--classes", args.classes.is_some(), network, of_networks),
        ("--regression", args.regression, network, "`subrosa train linear` predicts numbers too"),
        ("--seed", args.seed.is_some(), network || images, of_networks),
        ("--max-hidden", args.max_hidden.is_some(), network || images, of_networks),
        ("--max-derivative", args.max_derivative.is_some(), images, "it belongs to `subrosa train lenet`"),
        ("--pooling", args.pooling.is_some(), images, "it belongs to `subrosa train lenet`"),
        ("--max-label", args.max_label.is_some(), numbers, "labels of classes are 0 and 1"),
        (
            "--class-weights",
            !args.class_weights.is_empty(),
            !numbers && !images,
            "numbers have no classes, and those of lenet count alike",
        ),
        (
            "--momentum",
            args.momentum.is_some(),
            args.optimiser == OptimiserKind::Sgd,
            "adam has moments of its own",
        ),
    ] {
        wrong.unless(
            !given || fits,
            format!("{flag} means nothing here"),
            format!("leave out {flag}: {hint}"),
        );
    }
    let both = args.regression && args.classes.is_some();
    wrong.unless(!both, "--regression and --classes exclude each other", "a number has no classes");
}

/// Who brings how many columns.
fn columns(args: &TrainArgs, parties: &mut Parties, wrong: &mut Complaints) -> Vec<(String, usize)> {
    let mut brings: Vec<(String, usize)> = vec![];
    for c in &args.columns {
        let _place = wrong.take(parties.index(&c.name));
        let twice = brings.iter().any(|(name, _)| *name == c.name);
        let hint = "--columns bank=4,bureau=3 names each once";
        wrong.unless(!twice, format!("--columns names `{}` twice", c.name), hint);
        brings.push((c.name.clone(), c.count));
    }
    let has = |name: &str| brings.iter().any(|(n, count)| n == name && *count > 0);
    let hint = "--columns bank=4,bureau=3 says who brings how many";
    wrong.unless(brings.iter().any(|b| b.1 > 0), "--columns: nobody brings a column", hint);
    if let Some(stray) = OwnRange::stray(&args.max_abs, has) {
        wrong.add(format!("--max-abs names `{stray}`, which brings no columns"), hint);
    }
    brings
}

/// The places of the parties that a flag names.
fn named(flag: &str, names: &[String], parties: &mut Parties, wrong: &mut Complaints) -> Vec<usize> {
    let mut all = vec![];
    for name in names {
        let Some(at) = wrong.take(parties.index(name)) else { continue };
        let twice = all.contains(&at);
        wrong.unless(!twice, format!("{flag} names `{name}` twice"), format!("{flag} bank,bureau names two"));
        all.push(at);
    }
    all
}

/// Who learns the model.
fn model_to(args: &TrainArgs, parties: &mut Parties, wrong: &mut Complaints) -> Vec<usize> {
    let names: Vec<String> = args.to.iter().filter(|name| *name != NOBODY).cloned().collect();
    let alone = names.is_empty() || names.len() == args.to.len();
    wrong.unless(alone, "--to says nobody and somebody", "--to nobody, or --to NAME, or several names");
    named("--to", &names, parties, wrong)
}

/// Who learns the loss while the training runs: if nobody is named, who learns the model, or else who has the labels.
fn loss_to(
    args: &TrainArgs,
    (model_to, labels): (&[usize], usize),
    parties: &mut Parties,
    wrong: &mut Complaints,
) -> Vec<usize> {
    wrong.unless(
        args.loss != LossAt::End || !model_to.is_empty(),
        "--loss end is for whoever learns the model, and --to is nobody",
        "say who learns the model with --to NAME, or take --loss live, or leave out --loss",
    );
    wrong.unless(
        args.loss == LossAt::Live || args.loss_to.is_empty(),
        "--loss-to means nothing here",
        "it goes with --loss live; with --loss end, who learns the model learns the loss",
    );
    match named("--loss-to", &args.loss_to, parties, wrong) {
        nobody if nobody.is_empty() && model_to.is_empty() => vec![labels],
        nobody if nobody.is_empty() => model_to.to_vec(),
        some => some,
    }
}

/// What the labels are.
fn labelled(args: &TrainArgs, wrong: &mut Complaints) -> Labels {
    if args.kind == Kind::Linear || args.regression {
        let max_label = args.max_label.unwrap_or(MAX_ABS);
        wrong.positive("--max-label", max_label);
        return Labels::Numbers(max_label);
    }
    let classes = if args.kind == Kind::Lenet { 10 } else { args.classes.unwrap_or(2) };
    wrong.unless(
        (2..=MAX_CODES).contains(&classes),
        format!("--classes {classes}: expected 2 to {MAX_CODES}"),
        "a network computes one probability for two classes, and one for each of more",
    );
    let weights = &args.class_weights;
    if weights.is_empty() {
        return Labels::Classes(classes, vec![]);
    }
    weights.iter().for_each(|&weight| wrong.positive("--class-weights", weight));
    wrong.unless(
        weights.len() == classes,
        format!("--class-weights has {} numbers for {classes} classes", weights.len()),
        "--class-weights 1,3 counts a row of label 1 three times",
    );
    wrong.unless(
        weights.iter().any(|w| *w != weights[0]),
        "--class-weights counts all classes alike",
        "leave out --class-weights; to learn faster, --rate is larger",
    );
    Labels::Classes(classes, weights.clone())
}

/// How it is fitted.
fn training(args: &TrainArgs, wrong: &mut Complaints) -> Training<'static> {
    let usual = match (args.optimiser, args.kind) {
        (OptimiserKind::Adam, _) => 0.01,
        (OptimiserKind::Sgd, Kind::Logistic) => 0.5,
        (OptimiserKind::Sgd, Kind::Linear | Kind::Lenet) => 0.05,
        (OptimiserKind::Sgd, Kind::Network) => 0.1,
    };
    let rate = args.rate.unwrap_or(usual);
    wrong.positive("--rate", rate);
    let momentum = args.momentum.unwrap_or(0.0);
    let what = format!("--momentum {momentum}: expected at least 0 and less than 1");
    wrong.unless((0.0..1.0).contains(&momentum), what, "a momentum of 0.9 is usual");
    for (flag, value) in [("--l1", args.l1), ("--l2", args.l2)] {
        let what = format!("{flag} {value}: a penalty is not negative");
        wrong.unless(value >= 0.0 && value.is_finite(), what, format!("{flag} 0 is none"));
    }
    let optimiser = match args.optimiser {
        OptimiserKind::Sgd => Optimiser::Sgd { learning_rate: rate, momentum },
        OptimiserKind::Adam => Optimiser::Adam(Adam::with_rate(rate)),
    };
    let batch = args.batch.min(args.rows) as usize;
    Training { optimiser, l1: args.l1, l2: args.l2, ..Training::sgd(args.epochs, batch, rate) }
}
