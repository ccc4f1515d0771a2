//! What `train` wrote, and what belongs in the parties' configurations.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ml_ops::models::DATA;
use ml_ops::models::regression::{HISTORY, LABELS};
use ml_ops::models::scoring::PREDICTION;
use ml_ops::training::{LOSS, Optimiser};
use ml_ops::{InputKind, InputSpec, Program};
use mpc_core::party::PartyId;
use serde::Serialize;

use super::super::sections::{PATHS, Sections, paragraph, text};
use super::Kind;
use super::choice::{Choice, Labels};
use crate::output::count;

/// What was written, for scripts.
#[derive(Serialize)]
pub(super) struct Written {
    train: Made,
    score: Made,
    parties: Vec<String>,
    /// Who learns the model; nobody if it stays in shares.
    model_to: Vec<String>,
    /// What is fitted and how, in words.
    fit: String,
    /// What is easily got wrong.
    notes: Vec<String>,
    /// One per party, in their order.
    configurations: Vec<Configuration>,
}

/// A program that was written.
#[derive(Serialize)]
struct Made {
    program: PathBuf,
    name: String,
    digest: String,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    rounds: u64,
    online_bytes_per_party: u64,
}

#[derive(Serialize)]
struct Input {
    name: String,
    /// Who brings it; all bring a share of what was kept.
    owner: Option<String>,
    shape: Vec<usize>,
    max_abs: f64,
}

#[derive(Serialize)]
struct Output {
    name: String,
    /// Who learns it; nobody if it stays in shares.
    to: Vec<String>,
    shape: Vec<usize>,
}

/// Sections for the configurations of a party, as TOML.
#[derive(Serialize)]
struct Configuration {
    party: String,
    train: String,
    score: String,
}

pub(super) fn written(
    choice: &Choice,
    (training, train_file): (&Program, PathBuf),
    (scoring, score_file): (&Program, PathBuf),
) -> Written {
    let configurations = PartyId::all(choice.parties.len()).zip(&choice.parties).map(|(me, party)| {
        let train = sections(choice, (training, &train_file), me);
        let score = sections(choice, (scoring, &score_file), me);
        Configuration { party: party.clone(), train, score }
    });
    Written {
        configurations: configurations.collect(),
        fit: fit(choice),
        notes: notes(choice),
        model_to: choice.model_to.iter().map(|&i| choice.parties[i].clone()).collect(),
        train: made(training, train_file),
        score: made(scoring, score_file),
        parties: choice.parties.clone(),
    }
}

fn made(program: &Program, file: PathBuf) -> Made {
    let plan = program.plan();
    let party = |id: &PartyId| program.parties()[id.index()].clone();
    let brought = program.inputs().map(|i| Input {
        name: i.name.to_owned(),
        owner: Some(party(&i.owner)),
        shape: i.shape.dims().to_vec(),
        max_abs: i.max_abs,
    });
    let shared = program.shared().map(|s| Input {
        name: s.name.to_owned(),
        owner: None,
        shape: s.shape.dims().to_vec(),
        max_abs: program.fact(s.node).max_abs(),
    });
    let outputs = program.outputs().iter().map(|o| Output {
        name: o.name.clone(),
        to: o.recipients.iter().map(party).collect(),
        shape: program.fact(o.node).shape.dims().to_vec(),
    });
    Made {
        program: file,
        name: program.name().to_owned(),
        digest: program.digest_hex(),
        inputs: brought.chain(shared).collect(),
        outputs: outputs.collect(),
        rounds: plan.rounds,
        online_bytes_per_party: plan.online_bytes_per_party,
    }
}

/// Where a party keeps by which figures it standardised.
fn figures(of: &str) -> String {
    text(&format!("{of}.figures.csv"))
}

/// Where a party has its share of what a training leaves.
fn share(choice: &Choice, me: PartyId, name: &str) -> String {
    format!("{}.{name}.share", choice.parties[me.index()])
}

/// What belongs in a party's configuration for this program.
fn sections(choice: &Choice, (program, file): (&Program, &Path), me: PartyId) -> String {
    let trains = program.inputs().any(|i| i.name == LABELS);
    let mut sections = Sections::job(file, None);
    for i in program.inputs().filter(|i| i.owner == me) {
        input(&mut sections, choice, &i, trains);
    }
    for s in program.shared() {
        let file = text(&share(choice, me, s.name));
        sections.input(s.name).field("kind", text("share")).field("file", file);
    }
    for o in program.outputs().iter().filter(|o| o.recipients.is_empty() || o.recipients.contains(&me)) {
        // A share is one party's, and several parties' files may be in one folder.
        let file = if o.recipients.is_empty() {
            share(choice, me, &o.name)
        } else if trains && ![HISTORY, LOSS].contains(&o.name.as_str()) {
            format!("{}.npy", o.name)
        } else {
            format!("{}.csv", o.name)
        };
        sections.output(&o.name, &file);
        if o.name == PREDICTION && me.index() == choice.labels {
            sections.field("units", figures(LABELS));
        }
    }
    sections.into_text()
}

/// The section of an input that a party brings.
fn input(sections: &mut Sections, choice: &Choice, input: &InputSpec<'_>, trains: bool) {
    sections.input(input.name);
    if input.kind == InputKind::Weights {
        sections.field("kind", text("weights")).field("file", text(&format!("{}.npy", input.name)));
        return;
    }
    if input.name == DATA {
        let file = "\"FILE.npy\"   # images of 28×28; or a table with one row per image";
        sections.field("kind", text("tensor")).field("file", file);
        return;
    }
    if input.name != LABELS {
        let figures = figures(&choice.parties[input.owner.index()]);
        sections.table(input.shape.dims()[1]);
        if trains {
            sections.field("standardise", true).field("write_figures", figures);
        } else {
            let of_training = format!("{figures}   # by the rows it was trained on, not by these");
            sections.field("standardise", of_training);
        }
        return;
    }
    sections.field("file", text("FILE.csv")).field("key_column", text("ID"));
    match choice.labelled {
        Labels::Classes(classes, _) => {
            let (codes, what) = match classes {
                2 => ("\"0\", \"1\"".to_owned(), "what means 0 and what means 1"),
                _ if choice.kind == Kind::Lenet => {
                    let digits: Vec<String> = (0..classes).map(|digit| format!("\"{digit}\"")).collect();
                    (digits.join(", "), "the classes, in the order of the results")
                }
                _ => (vec!["\"…\""; classes].join(", "), "the classes, in the order of the results"),
            };
            let codes = format!("{{ CLASS = [{codes}] }}   # {what}");
            sections.field("columns", "[\"CLASS\"]").field("one_hot", codes);
            if classes == 2 {
                sections.field("drop_first", true);
            }
        }
        Labels::Numbers(_) => {
            sections.field("columns", "[\"…\"]   # one column of numbers");
            sections.field("standardise", true).field("write_figures", figures(LABELS));
        }
    }
}

/// What is fitted and how.
fn fit(choice: &Choice) -> String {
    let columns: usize = choice.columns.iter().map(|c| c.0).sum();
    let t = &choice.training;
    let batches = choice.rows.div_ceil(t.batch);
    let optimiser = match t.optimiser {
        Optimiser::Sgd { learning_rate, momentum: 0.0 } => format!("sgd at rate {learning_rate}"),
        Optimiser::Sgd { learning_rate, momentum } => {
            format!("sgd at rate {learning_rate} with momentum {momentum}")
        }
        Optimiser::Adam(adam) => format!("adam at rate {}", adam.learning_rate),
        _ => "another optimiser".into(),
    };
    format!(
        "{} model of {columns} columns, fitted to {} rows: {} epochs of {batches} batches of {}, {optimiser}",
        choice.kind.name(),
        count(choice.rows as u64),
        t.epochs,
        t.batch
    )
}

fn notes(choice: &Choice) -> Vec<String> {
    let mut notes = vec![match &choice.model_to[..] {
        [] => "the model stays in shares: scoring needs every party's files, all of the same run".to_owned(),
        &[first, ..] => {
            let names: Vec<&str> = choice.model_to.iter().map(|&i| choice.parties[i].as_str()).collect();
            let (names, brings) = (names.join(", "), &choice.parties[first]);
            format!("{names} learns weights of others' columns too; {brings} brings them to score")
        }
    }];
    if choice.kind == Kind::Lenet {
        notes.push("images have no names: rows of images and labels are in the same order, which nobody checks; pixels are used as they are, the same way in training and scoring".into());
        return notes;
    }
    notes.push(
        "rows are scored with the columns of the training, in its order, standardised by the figures that its run writes"
            .into(),
    );
    if choice.training.batch < choice.rows {
        notes.push(
            "batches are of neighbouring rows: a file that is sorted by label is shuffled before, alike at all parties"
                .into(),
        );
    }
    if let Labels::Numbers(_) = choice.labelled {
        notes.push(format!(
            "labels are standardised as columns are; with `units`, {} reads predictions in its own units",
            choice.parties[choice.labels]
        ));
    }
    notes
}

pub(super) fn render(w: &Written) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _infallible = writeln!(out, "{text}");
    };
    for (program, what) in [(&w.train, "trains"), (&w.score, "scores")] {
        let (file, parties, digest) =
            (program.program.display(), w.parties.join(", "), &program.digest[..16]);
        line(format!("{file}: {what}, for {parties}, digest {digest}…"));
        for i in &program.inputs {
            let of = i.owner.as_ref().map_or_else(|| "kept in shares".into(), |owner| format!("of {owner}"));
            line(format!("  input  `{}` {:?} {of}, within ±{}", i.name, i.shape, i.max_abs));
        }
        for o in &program.outputs {
            let to =
                if o.to.is_empty() { "stays in shares".into() } else { format!("to {}", o.to.join(", ")) };
            line(format!("  output `{}` {:?} {to}", o.name, o.shape));
        }
        let (rounds, bytes) = (count(program.rounds), count(program.online_bytes_per_party));
        line(format!("  {rounds} rounds, {bytes} bytes online per party; see `subrosa plan`"));
    }
    line(format!("  {}", w.fit));
    w.notes.iter().for_each(|note| line(format!("  note: {note}")));
    line(format!("  {PATHS}"));
    for c in &w.configurations {
        out.push_str(&paragraph(&format!("to train, in the configuration of {}", c.party), &c.train));
    }
    for c in &w.configurations {
        out.push_str(&paragraph(&format!("to score, in the configuration of {}", c.party), &c.score));
    }
    out
}
