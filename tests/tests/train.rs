//! Models are fitted and used without a line of Rust: `subrosa train` makes the programs, nodes run them as docs/training.md
//! describes, and what comes out is what plaintext makes of the same rows.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ml_ops::{Program, reference};
use ndarray::{Array2, ArrayD};
use subrosa_tests::logistic::auc;
use subrosa_tests::people::{is_held_out, real_data};
use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::site::{Site, numbers};
use subrosa_tests::{Ended, Random, Running, files, finish_all, page};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");

type Inputs = BTreeMap<String, ArrayD<f64>>;

/// Mean and standard deviation of a column.
fn figures(column: &[f64]) -> (f64, f64) {
    let n = column.len() as f64;
    let mean = column.iter().sum::<f64>() / n;
    (mean, (column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// Columns side by side, each by its figures.
fn matrix(columns: &[Vec<f64>], figures: &[(f64, f64)]) -> ArrayD<f64> {
    let value = |(i, j): (usize, usize)| (columns[j][i] - figures[j].0) / figures[j].1;
    Array2::from_shape_fn((columns[0].len(), columns.len()), value).into_dyn()
}

/// What the model that the one program fits in plaintext makes of rows, by the other.
fn in_plaintext(programs: [&Path; 2], fitted_to: &Inputs, mut rows: Inputs) -> Vec<f64> {
    let [training, scoring] = programs.map(|p| Program::load(p).unwrap());
    rows.extend(reference::float(&training, fitted_to).unwrap());
    let outputs = reference::float(&scoring, &rows).unwrap();
    outputs.into_values().next().unwrap().into_iter().collect()
}

fn far(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// What the page's commands need, in a folder of its own and on free ports.
fn checkout() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = files::workspace();
    let names = ["bank", "bureau", "bank-score", "bureau-score"];
    let configs = names.map(|name| format!("configs/train/{name}.toml"));
    let tables =
        ["bank", "bureau", "bank-new", "bureau-new"].map(|name| format!("configs/train/data/{name}.csv"));
    std::fs::create_dir_all(dir.path().join("configs/train/data")).unwrap();
    for file in configs.iter().chain(&tables) {
        std::fs::copy(from.join(file), dir.path().join(file)).unwrap();
    }
    files::move_to_free_ports(&configs.map(|c| dir.path().join(c)));
    dir
}

fn start(dir: &Path, args: &[String]) -> Running {
    page::start(SUBROSA, dir, args)
}

fn run(dir: &Path, args: &[String]) -> Ended {
    page::run(SUBROSA, dir, args)
}

#[test]
fn the_page_without_rust_works() {
    let dir = checkout();
    let mut random = Random::seeded("train");
    let mut sessions = 0;
    // Both parties run at once; everything else is done in the page's order.
    let commands = page::commands(&files::workspace().join("docs/training.md"));
    for group in commands.chunk_by(|a, b| a[0] == "run" && b[0] == "run").flat_map(|group| group.chunks(2)) {
        if group[0][0] != "run" {
            let _done = run(dir.path(), &group[0]).succeeded();
            continue;
        }
        let mut group = group.to_vec();
        assert_eq!(group.len(), 2, "two parties: {group:?}");
        random.shuffle(&mut group);
        let ended = finish_all(group.iter().map(|c| start(dir.path(), c)).collect(), DEADLINE);
        assert!(ended.iter().all(|p| p.code == Some(0)), "{}", listing(&ended));
        sessions += 1;
    }
    assert_eq!(sessions, 2, "one fits, one scores: {commands:?}");

    let at = |file: &str| dir.path().join("configs/train").join(file);
    let table = |name: &str, ending: &str| -> Vec<Vec<f64>> {
        let file = at(&format!("data/{name}{ending}.csv"));
        let column = |c: &str| numbers(&file, c);
        if name == "bureau" {
            return ["open_loans", "late_payments", "utilisation"].map(column).to_vec();
        }
        let (header, rows) = files::read_csv(&file);
        let housing = header.iter().position(|h| h == "housing").unwrap();
        let is = |code: &str| rows.iter().map(|r| f64::from(u8::from(r[housing] == code))).collect();
        let mut all = ["income", "debt_ratio", "tenure_months"].map(column).to_vec();
        all.extend([is("own"), is("rent")]);
        all
    };
    // Columns of codes stay 0 and 1.
    let measured = |name: &str, columns: &[Vec<f64>]| -> Vec<(f64, f64)> {
        let of = |(j, c): (usize, &Vec<f64>)| if name == "bank" && j > 2 { (0.0, 1.0) } else { figures(c) };
        columns.iter().enumerate().map(of).collect()
    };
    let mut fitted_to = Inputs::new();
    let (mut rows, mut mistaken) = (Inputs::new(), Inputs::new());
    for name in ["bank", "bureau"] {
        let (old, new) = (table(name, ""), table(name, "-new"));
        let figures = measured(name, &old);
        let input = format!("{name}.features");
        fitted_to.insert(input.clone(), matrix(&old, &figures));
        rows.insert(input.clone(), matrix(&new, &figures));
        mistaken.insert(input, matrix(&new, &measured(name, &new)));
    }
    let (header, people) = files::read_csv(&at("data/bank.csv"));
    let defaulted = header.iter().position(|h| h == "defaulted").unwrap();
    let labels = people.iter().map(|r| f64::from(u8::from(r[defaulted] == "yes"))).collect();
    fitted_to.insert("labels".into(), matrix(&[labels], &[(0.0, 1.0)]));
    let programs = [at("model/logistic.train.sbr"), at("model/logistic.score.sbr")];
    let programs = [programs[0].as_path(), &programs[1]];
    let expected = in_plaintext(programs, &fitted_to, rows);
    let scores = numbers(&at("results/probability.csv"), "probability");
    let off = far(&scores, &expected);
    println!("probabilities of {} new customers are within {off:.1e} of those in plaintext", scores.len());
    assert!(off < 5e-3, "off by {off}");
    // Figures of the rows at hand would be another model's: this test would see it.
    let off = far(&in_plaintext(programs, &fitted_to, mistaken), &expected);
    assert!(off > 0.05, "only {off} if rows were standardised by themselves");
    let ids = |file: &str| files::read_csv(&at(file)).1.into_iter().map(|r| r[0].clone()).collect::<Vec<_>>();
    assert_eq!(ids("results/probability.csv"), ids("data/bank-new.csv"));
    for (node, others) in [("bank", "open_loans"), ("bureau", "income")] {
        let figures = std::fs::read_to_string(at(&format!("model/{node}.figures.csv"))).unwrap();
        assert!(!figures.contains(others), "{figures}");
    }
}

/// Writes a party's columns as a table with the keys of all.
fn write_table(file: &Path, names: &[&str], columns: &[&Vec<f64>]) {
    let header: Vec<String> = ["id"].iter().chain(names).map(|&n| n.to_owned()).collect();
    let row =
        |i: usize| [format!("K{i}")].into_iter().chain(columns.iter().map(|c| c[i].to_string())).collect();
    let rows: Vec<Vec<String>> = (0..columns[0].len()).map(row).collect();
    files::write_csv(file, &header, &rows);
}

/// Fills in what `train` leaves open: the file, its key, and columns.
fn filled(sections: &str, file: &str, columns: &[&str], label: &str) -> String {
    let list = format!("{columns:?}");
    sections
        .replace("FILE.csv", file)
        .replace("\"ID\"", "\"id\"")
        .replace(&format!("[\"…\"]   # {} of them", columns.len()), &list)
        .replace("CLASS", label)
        .replace("[\"…\"]", &format!("[\"{label}\"]"))
}

#[test]
fn the_model_of_breast_that_nobody_sees_is_as_good_as_scikit_learns() {
    const NAMES: [&str; 2] = ["guest", "host"];
    let Some(folder) = real_data("breast") else { return };
    let tables = NAMES.map(|n| files::read_csv(&folder.join(format!("breast_hetero_{n}.csv"))));
    let site = Site::new(SUBROSA, NAMES);
    // The host's rows in the order of the guest's; every fifth is held out.
    let of_host: BTreeMap<&String, &Vec<String>> = tables[1].1.iter().map(|r| (&r[0], r)).collect();
    let order: Vec<&String> = tables[0].1.iter().map(|r| &r[0]).collect();
    for held_out in [false, true] {
        let chosen: Vec<usize> = (0..order.len()).filter(|&i| is_held_out(i) == held_out).collect();
        let ending = if held_out { "held-out" } else { "fit" };
        let guest: Vec<Vec<String>> = chosen.iter().map(|&i| tables[0].1[i].clone()).collect();
        let host: Vec<Vec<String>> = chosen.iter().map(|&i| of_host[order[i]].clone()).collect();
        for (name, header, rows) in [("guest", &tables[0].0, guest), ("host", &tables[1].0, host)] {
            files::write_csv(&site.path(&format!("{name}/{ending}.csv")), header, &rows);
        }
    }
    let held_out = order.len().div_ceil(5);
    let rows = order.len() - held_out;
    let made = site.train(&format!(
        "logistic --rows {rows} --columns guest=10,host=20 --labels guest --epochs 150 --batch {rows} --rate 1 \
         --momentum 0.9 --l2 {} --score-rows {held_out} --window 50",
        1.0 / rows as f64
    ));
    let columns: Vec<String> = (0..20).map(|i| format!("x{i}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let of = |party: &str| if party == "guest" { &columns[..10] } else { &columns[..] };
    site.configure(&made, "train", |party, text| filled(text, "fit.csv", of(party), "y"));
    let _fitted = site.run_well(Duration::from_secs(60));
    site.configure(&made, "score", |party, text| filled(text, "held-out.csv", of(party), "y"));
    let _scored = site.run_well(Duration::from_secs(60));
    let scores = site.column("guest/probability.csv", "probability");
    let labels = site.column("guest/held-out.csv", "y");
    let auc = auc(&scores.into_iter().zip(labels).collect::<Vec<_>>());
    println!("AUC {auc:.4} on rows that are held out, scikit-learn 0.9962");
    assert!((auc - 0.9962).abs() <= 0.002, "AUC {auc}");
}

/// Three columns that nothing depends on but a rule, in units of their own.
fn made_up(rows: usize, from: usize) -> [Vec<f64>; 3] {
    let column = |k: usize, unit: f64, base: f64| {
        (from..from + rows).map(|i| base + unit * ((i * k + i / 5) % 19) as f64).collect()
    };
    [column(7, 100.0, 2_000.0), column(3, 0.01, 0.1), column(5, 1.0, 0.0)]
}

#[test]
fn predictions_come_in_the_units_of_the_labels() {
    let site = Site::new(SUBROSA, ["bank", "bureau"]);
    let rule = |[a, b, c]: &[Vec<f64>; 3]| -> Vec<f64> {
        (0..a.len()).map(|i| 40_000.0 + 5.0 * a[i] - 20_000.0 * b[i] + 300.0 * c[i]).collect()
    };
    let (old, new) = (made_up(60, 0), made_up(20, 300));
    for (ending, columns) in [("old", &old), ("new", &new)] {
        let [a, b, c] = columns;
        let name = |party: &str| site.path(&format!("{party}/{ending}.csv"));
        write_table(&name("bank"), &["a", "b", "y"], &[a, b, &rule(columns)]);
        write_table(&name("bureau"), &["c"], &[c]);
    }
    let made = site.train(
        "linear --rows 60 --columns bank=2,bureau=1 --labels bank --to bank --scores-to bank,bureau \
         --epochs 25 --batch 20 --rate 0.2 --score-rows 20 --name limits --loss end --exact",
    );
    let of = |party: &str| if party == "bank" { &["a", "b"][..] } else { &["c"] };
    site.configure(&made, "train", |party, text| filled(text, "old.csv", of(party), "y"));
    let _fitted = site.run_well(Duration::from_secs(60));
    let history = site.column("bank/history.csv", "history");
    assert!(history.len() == 25 && history[24] < 0.01 * history[0], "{history:?}");
    site.configure(&made, "score", |party, text| filled(text, "new.csv", of(party), "y"));
    let _scored = site.run_well(Duration::from_secs(60));
    let predicted = site.column("bank/prediction.csv", "prediction");
    let off = far(&predicted, &rule(&new));
    println!("predictions of 30,000 to 70,000 are within {off:.0}");
    assert!(off < 200.0, "off by {off}");
    // Who has no labels reads deviations from their mean.
    let (mean, deviation) = figures(&rule(&old));
    let standard = site.column("bureau/prediction.csv", "prediction");
    let same: Vec<f64> = standard.iter().map(|v| v * deviation + mean).collect();
    assert!(far(&same, &predicted) < 0.1, "{standard:?}");
    assert!(!site.path("bureau/weights.npy").exists() && site.path("bank/weights.npy").exists());
}

#[test]
fn a_network_tells_three_classes_apart() {
    let site = Site::new(SUBROSA, ["bank", "bureau"]);
    let class = |[a, b, c]: &[Vec<f64>; 3], i: usize| {
        let score = (a[i] - 2_900.0) / 550.0 + (c[i] - 9.0) / 5.5 - (b[i] - 0.19) / 0.055;
        if score < -0.8 {
            "low"
        } else if score < 0.8 {
            "middle"
        } else {
            "high"
        }
    };
    let (old, new) = (made_up(90, 0), made_up(40, 500));
    for (ending, columns) in [("old", &old), ("new", &new)] {
        let [a, b, c] = columns;
        let row =
            |i: usize| [format!("K{i}"), a[i].to_string(), b[i].to_string(), class(columns, i).to_owned()];
        let rows: Vec<Vec<String>> = (0..a.len()).map(|i| row(i).to_vec()).collect();
        let header = ["id", "a", "b", "grade"].map(str::to_owned);
        files::write_csv(&site.path(&format!("bank/{ending}.csv")), &header, &rows);
        write_table(&site.path(&format!("bureau/{ending}.csv")), &["c"], &[c]);
    }
    let made = site.train(
        "network --rows 90 --columns bank=2,bureau=1 --labels bank --classes 3 --hidden 8 --epochs 30 --batch 30 \
         --optimiser adam --rate 0.05 --score-rows 40",
    );
    let of = |party: &str| if party == "bank" { &["a", "b"][..] } else { &["c"] };
    let codes = "{ grade = [\"low\", \"middle\", \"high\"] }";
    let fill = |party: &str, text: &str, file: &str| {
        filled(&text.replace("{ CLASS = [\"…\", \"…\", \"…\"] }", codes), file, of(party), "grade")
    };
    site.configure(&made, "train", |party, text| fill(party, text, "old.csv"));
    let _fitted = site.run_well(Duration::from_secs(60));
    site.configure(&made, "score", |party, text| fill(party, text, "new.csv"));
    let _scored = site.run_well(Duration::from_secs(60));
    let each = [0, 1, 2].map(|k| site.column("bank/probability.csv", &format!("probability.{k}")));
    let best = |i: usize| (0..3).max_by(|&a, &b| each[a][i].total_cmp(&each[b][i])).unwrap();
    let right = (0..40).filter(|&i| ["low", "middle", "high"][best(i)] == class(&new, i)).count();
    println!("{right} of 40 rows are of the class that was found");
    assert!(right >= 34, "{right} of 40");
}

#[test]
fn everything_that_is_wrong_with_flags_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |flags: &str| {
        let args: Vec<String> = format!("train {flags}").split_whitespace().map(str::to_owned).collect();
        run(dir.path(), &args).refusal()
    };
    let refusal = refused(
        "logistic --rows 100 --columns bank=4,bank=2 --labels shop --parties bank,bureau --hidden 8 --rate 0 \
         --optimiser adam --momentum 0.9 --to nobody,bank --class-weights 1 --l2 -1 --loss end",
    );
    assert_eq!((refusal.exit, refusal.code.as_str()), (2, "usage"));
    refusal.says(&[
        "--columns names `bank` twice",
        "`shop` is not among the parties bank, bureau",
        "--hidden means nothing here",
        "--rate 0: expected a number above 0",
        "--momentum means nothing here",
        "--to says nobody and somebody",
        "--class-weights has 1 numbers for 2 classes",
        "--l2 -1: a penalty is not negative",
    ]);
    assert!(refusal.hint.unwrap().contains("leave out --hidden: it belongs to `subrosa train network`"));
    for (flags, code, expected) in [
        ("logistic --rows 9 --columns bank=4 --labels bank", "usage", "bank alone computes nothing jointly"),
        ("logistic --rows 9 --columns bank=0,b=0 --labels b", "usage", "nobody brings a column"),
        ("tree --rows 9 --columns bank=4,b=1 --labels b", "usage", "invalid value 'tree'"),
        ("linear --rows 9 --columns bank=4,b=1 --labels b --loss end", "usage", "--to is nobody"),
        ("linear --rows 9 --columns bank --labels b", "usage", "expected NAME=COUNT"),
        ("linear --rows 9 --columns bank=4,b=1 --labels b --max-abs c=3", "usage", "--max-abs names `c`"),
        (
            "linear --rows 9000 --columns bank=4,b=1 --labels b --max-abs 1e6 --max-weight 1e6",
            "bad_training",
            "the program of the training: ",
        ),
    ] {
        let refusal = refused(flags);
        assert_eq!((refusal.exit, refusal.code.as_str()), (2, code), "{flags}: {}", refusal.message);
        assert!(refusal.message.contains(expected), "{flags}: {}", refusal.message);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written");
    let words = "train lenet --rows 8 --columns bank=784,b=0 --labels b --batch 4 --epochs 1 --score-rows 2 --window 1";
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let made = run(dir.path(), &words).succeeded().json();
    let [images, labels] = [0, 1].map(|i| made["configurations"][i]["train"].as_str().unwrap());
    assert!(images.contains("kind = \"tensor\"") && labels.contains("\"8\", \"9\"] }"), "{made}");
    let scoring = Program::load(dir.path().join("lenet.score.sbr")).unwrap();
    assert_eq!(scoring.shared().count(), 8, "the model stays in shares");
    let refusal = refused("lenet --rows 8 --columns bank=780,b=4 --labels b --hidden 3");
    refusal.says(&["images of one party, with 784 pixels", "--hidden means nothing here"]);
    // What the README shows is right.
    let shown: Vec<_> = page::commands(&files::workspace().join("README.md"));
    let shown: Vec<_> = shown.iter().filter(|c| c[0] == "train").collect();
    assert!(!shown.is_empty(), "the README trains something");
    for command in shown {
        let made = run(dir.path(), command).succeeded().json();
        let files = ["train", "score"].map(|which| dir.path().join(made[which]["program"].as_str().unwrap()));
        assert!(files.iter().all(|file| Program::load(file).is_ok()), "{made}");
    }
}

#[test]
fn the_loss_is_learnt_while_the_training_runs_by_whoever_is_named() {
    let site = Site::new(SUBROSA, ["bank", "bureau"]);
    let [a, b, c] = made_up(40, 0);
    let y: Vec<f64> = a.iter().map(|&v| f64::from(u8::from(v > 3_000.0))).collect();
    write_table(&site.path("bank/rows.csv"), &["a", "b", "y"], &[&a, &b, &y]);
    write_table(&site.path("bureau/rows.csv"), &["c"], &[&c]);
    let flags =
        "logistic --rows 40 --columns bank=2,bureau=1 --labels bank --epochs 6 --batch 20 --loss live";
    let of = |party: &str| if party == "bank" { &["a", "b"][..] } else { &["c"] };
    // Nobody learns the model, so it is who has the labels; or whoever is named.
    for (more, learns, does_not) in
        [(" --name own", "bank", "bureau"), (" --name other --loss-to bureau", "bureau", "bank")]
    {
        let made = site.train(&format!("{flags}{more}"));
        site.configure(&made, "train", |party, text| filled(text, "rows.csv", of(party), "y"));
        let _fitted = site.run_well(Duration::from_secs(60));
        let loss = site.column(&format!("{learns}/loss.csv"), "loss");
        assert!(loss.len() == 6 && loss[5] < 0.8 * loss[0], "{loss:?}");
        std::fs::remove_file(site.path(&format!("{learns}/loss.csv"))).unwrap();
        assert!(!site.path(&format!("{does_not}/loss.csv")).exists());
    }
    for (wrong, says) in [
        ("--loss end", "--loss end is for whoever learns the model, and --to is nobody"),
        ("--loss none --loss-to bank", "--loss-to means nothing here"),
    ] {
        let args = flags.replace("--loss live", wrong);
        let args: Vec<String> =
            ["train".into()].into_iter().chain(args.split(' ').map(str::to_owned)).collect();
        let ended = run(&site.path(""), &args);
        assert!(ended.code == Some(2) && ended.to_string().contains(says), "{ended}");
    }
}
