//! Writes the nodes' configurations as TOML that a person would have written.

use std::fmt::Write as _;

use ml_ops::models::scorecard::{self, PROBABILITY, features};
use protocols::prep::CotExtension;

use super::layout::{DEALER, Surroundings};
use super::scenario::{BIAS, Member, Scenario};
use crate::config::Preprocessing;
use crate::data::{Missing, OutcomeCoding, Standardise};

/// The configuration of the party at `index`.
#[must_use]
pub(super) fn party_config(scenario: &Scenario, index: usize, around: &Surroundings<'_>) -> String {
    let member = &scenario.parties[index];
    let mut out = format!(
        "# {}: a computing party. Paths are relative to this file.\n# subrosa check --config FILE, then subrosa run --config FILE\n\n",
        member.name
    );
    out.push_str(&node_head(&member.name, index, around));
    roster(&mut out, scenario, around, true);
    let dealer = scenario.parties.len();
    let preprocessing = match around.offline.preprocessing {
        Preprocessing::Dealer => {
            let (address, pin) = (quoted(&around.addresses[dealer]), &around.pins[dealer]);
            let _infallible = write!(out, "[dealer]\nname = \"{DEALER}\"\naddress = {address}\n{pin}\n\n");
            "dealer"
        }
        Preprocessing::Ot => "ot",
    };
    let _infallible = write!(
        out,
        "[log]\ndir = {}\n\n[job]\nprogram = {}\npreprocessing = \"{preprocessing}\"\n",
        quoted(&around.arrangement.log(&member.name)),
        quoted(around.arrangement.program())
    );
    if let Some(extension) = around.offline.ot {
        let _infallible = writeln!(out, "ot = \"{}\"", CotExtension::from(extension).name());
    }
    out.push('\n');
    table_input(&mut out, member, around);
    if index == 0 {
        scorer_sections(&mut out, scenario, around);
    }
    out
}

/// The dealer's configuration.
#[must_use]
pub(super) fn dealer_config(scenario: &Scenario, around: &Surroundings<'_>) -> String {
    let mut out = format!(
        "# {DEALER}: makes correlated randomness for these parties and sees no data. It must collude with none of them.\n\
         # subrosa node --config FILE\n\n"
    );
    out.push_str(&node_head(DEALER, scenario.parties.len(), around));
    roster(&mut out, scenario, around, false);
    let _infallible = write!(out, "[log]\ndir = {}\n", quoted(&around.arrangement.log(DEALER)));
    out
}

fn node_head(name: &str, index: usize, around: &Surroundings<'_>) -> String {
    format!(
        "name = {}\nkey = {}\nlisten = {}\nlink = \"loopback\"\nconnect_timeout_ms = {}\n\n",
        quoted(name),
        quoted(&around.arrangement.key(name)),
        quoted(&around.addresses[index]),
        around.connect_timeout_ms
    )
}

fn roster(out: &mut String, scenario: &Scenario, around: &Surroundings<'_>, with_address: bool) {
    out.push_str(
        "# The parties, in the order that all of them list. Keys are pinned: nobody else can connect.\n",
    );
    for (index, member) in scenario.parties.iter().enumerate() {
        let _infallible = writeln!(out, "[[party]]\nname = {}", quoted(&member.name));
        if with_address {
            let _infallible = writeln!(out, "address = {}", quoted(&around.addresses[index]));
        }
        let _infallible = writeln!(out, "{}\n", around.pins[index]);
    }
}

fn table_input(out: &mut String, member: &Member, around: &Surroundings<'_>) {
    let table = &member.table;
    let _infallible = write!(
        out,
        "# Read, filled and standardised here; only shares leave.\n[inputs.{}]\nfile = {}\nkey_column = {}\ncolumns = [{}]\n",
        quoted(&features(&member.name)),
        quoted(&around.arrangement.data(&member.name, &table.file)),
        quoted(&table.key_column),
        table.columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ")
    );
    let missing = match table.missing {
        Missing::Mean => "\"mean\"".to_owned(),
        Missing::Refuse => "\"refuse\"".to_owned(),
        Missing::Value(v) => toml::Value::Float(v).to_string(),
    };
    let _infallible = writeln!(out, "missing = {missing}");
    match &table.standardise {
        Standardise::No => out.push_str("standardise = false\n"),
        Standardise::Batch => out.push_str("standardise = true\n"),
        Standardise::Figures(file) => {
            let _infallible = writeln!(out, "standardise = {}", quoted(&file.to_string_lossy()));
        }
        // A table of its own, below.
        Standardise::Given(_) => {}
    }
    if !table.one_hot.is_empty() {
        let _infallible = writeln!(out, "\n[inputs.{}.one_hot]", quoted(&features(&member.name)));
        for (column, codes) in table.columns.iter().filter_map(|c| table.one_hot.codes(c).map(|l| (c, l))) {
            let codes = codes.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
            let _infallible = writeln!(out, "{} = [{codes}]", key(column));
        }
    }
    if let Standardise::Given(given) = &table.standardise {
        let _infallible = writeln!(out, "\n[inputs.{}.standardise]", quoted(&features(&member.name)));
        for (column, s) in table.features().iter().filter_map(|c| given.get(c).map(|s| (c, s))) {
            let _infallible = writeln!(
                out,
                "{} = {{ mean = {}, standard_deviation = {} }}",
                key(column),
                toml::Value::Float(s.mean),
                toml::Value::Float(s.standard_deviation)
            );
        }
    }
}

/// What only the first party has: weights, the output and the scorecard.
fn scorer_sections(out: &mut String, scenario: &Scenario, around: &Surroundings<'_>) {
    let scorer = &scenario.parties[0];
    let weights = quoted(&around.arrangement.data(&scorer.name, &scenario.weights_file));
    let names = scenario.weight_names().iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", ");
    let _infallible = write!(
        out,
        "\n[inputs.{}]\nkind = \"weights\"\nfile = {weights}\nnames = [{names}]\n\
         \n[inputs.{}]\nkind = \"weights\"\nfile = {weights}\nnames = [\"{BIAS}\"]\n\
         \n[outputs.{PROBABILITY}]\nfile = {}\n",
        scorecard::WEIGHTS,
        scorecard::BIAS,
        quoted(around.arrangement.scores())
    );
    let card = &scenario.card;
    let _infallible = write!(out, "\n[scorecard]\noutput = \"{PROBABILITY}\"\n");
    for (name, value) in [
        ("base_points", card.base_points),
        ("base_odds", card.base_odds),
        ("points_to_double_odds", card.points_to_double_odds),
        ("approve_from", card.approve_from),
        ("decline_below", card.decline_below),
    ] {
        let _infallible = writeln!(out, "{name} = {}", toml::Value::Float(value));
    }
    if let Some(label) = &scenario.label {
        let values = match &label.coding {
            OutcomeCoding::Numbers => String::new(),
            OutcomeCoding::Texts { good, bad } => {
                format!(", good = {}, bad = {}", quoted(good), quoted(bad))
            }
        };
        let _infallible = writeln!(
            out,
            "outcomes = {{ file = {}, key_column = {}, column = {}{values} }}",
            quoted(&around.arrangement.data(&scorer.name, &scorer.table.file)),
            quoted(&scorer.table.key_column),
            quoted(&label.column)
        );
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A TOML key: bare where it can be.
fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::cli::make_key;
    use crate::config::{AnyConfig, Config, InputSource, Offline};
    use crate::data::OneHot;
    use crate::demo::layout::Arrangement;
    use crate::demo::scenario::Label;
    use crate::demo::{program, scenario};
    use crate::job::prepare;

    const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs");

    /// Writes what `configs/` should hold.
    fn write_examples(dir: &Path) -> Vec<PathBuf> {
        let data = dir.join("data");
        let scenario = scenario::made_up(3, 1_000, &|_, file| data.join(file)).unwrap();
        let names: Vec<&str> = scenario.parties.iter().map(|p| p.name.as_str()).chain([DEALER]).collect();
        let around = Surroundings {
            addresses: [7401, 7402, 7403, 7409].map(|port| format!("127.0.0.1:{port}")).into(),
            pins: names.iter().map(|n| format!("public_key_file = \"keys/{n}.pub\"")).collect(),
            offline: Offline::DEALER,
            arrangement: Arrangement::Beside,
            connect_timeout_ms: 120_000,
        };
        program::build(&scenario).unwrap().save(data.join("scorecard.sbr")).unwrap();
        let mut files: Vec<PathBuf> = names.iter().map(|n| dir.join(format!("{n}.toml"))).collect();
        for (index, file) in files.iter().take(3).enumerate() {
            std::fs::write(file, party_config(&scenario, index, &around)).unwrap();
        }
        std::fs::write(&files[3], dealer_config(&scenario, &around)).unwrap();
        files.extend(
            ["bank.csv", "bureau.csv", "telecom.csv", "weights.csv", "scorecard.sbr"].map(|f| data.join(f)),
        );
        files
    }

    /// The committed examples are what the demo would write, with its data; `SUBROSA_BLESS=1` rewrites them.
    #[test]
    fn the_examples_are_what_the_demo_writes() {
        if std::env::var_os("SUBROSA_BLESS").is_some() {
            write_examples(Path::new(CONFIGS));
        }
        let dir = tempfile::tempdir().unwrap();
        for made in write_examples(dir.path()) {
            let committed = Path::new(CONFIGS).join(made.strip_prefix(dir.path()).unwrap());
            let same = std::fs::read(&made).unwrap() == std::fs::read(&committed).unwrap();
            assert!(same, "{} differs from what the demo writes", committed.display());
        }
    }

    #[test]
    fn every_file_in_configs_loads_and_every_party_could_run() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let mut configs = Vec::new();
        for folder in ["", "data"] {
            for entry in std::fs::read_dir(Path::new(CONFIGS).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let copy = dir.path().join(folder).join(path.file_name().unwrap());
                if path.is_file() {
                    std::fs::copy(&path, &copy).unwrap();
                    configs.extend(path.extension().is_some_and(|e| e == "toml").then_some(copy));
                }
            }
        }
        for name in ["bank", "bureau", "telecom", DEALER] {
            make_key(&dir.path().join(format!("keys/{name}.key"))).unwrap();
        }
        assert_eq!(configs.len(), 4);
        for path in &configs {
            match AnyConfig::load(path).unwrap_or_else(|e| panic!("{e}")) {
                AnyConfig::Party(config) => {
                    let prepared = prepare(&config).unwrap_or_else(|e| panic!("{e}"));
                    assert_eq!(prepared.inputs.rows(), 1_000);
                }
                AnyConfig::Dealer(config) => assert_eq!(config.node.roster.len(), 3),
            }
        }
    }

    #[test]
    fn odd_names_survive_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let place = |party: &str, file: &str| dir.path().join(party).join(file);
        let mut scenario = scenario::made_up(2, 20, &place).unwrap();
        let odd = "net income \"€\" = #1".to_owned();
        let table = &mut scenario.parties[0].table;
        let text = std::fs::read_to_string(&table.file).unwrap();
        let quoted_cell = format!("\"{}\"", odd.replace('"', "\"\""));
        std::fs::write(&table.file, text.replacen(&table.columns[0], &quoted_cell, 1)).unwrap();
        let Standardise::Given(given) = &mut table.standardise else { panic!("not given") };
        let figures = given.remove(&table.columns[0]).unwrap();
        let codes = ["=", "a=b", "\"", "# §", "NA"].map(str::to_owned);
        given.insert(format!("{odd}=a=b"), figures);
        table.columns[0].clone_from(&odd);
        table.one_hot = OneHot::new([(odd, codes.into())].into(), &table.columns).unwrap();
        let coding = OutcomeCoding::Texts { good: "\"".into(), bad: "=".into() };
        scenario.label = Some(Label { column: "class".into(), coding: coding.clone() });
        let layout = crate::demo::layout::lay_out(&scenario, dir.path(), Offline::DEALER).unwrap();
        let config = Config::load(&layout.parties[0].1).unwrap();
        let InputSource::Table(read) = &config.inputs["bank.features"] else { panic!("no table") };
        let written = &scenario.parties[0].table;
        assert_eq!(read.columns, written.columns);
        assert_eq!(read.one_hot, written.one_hot);
        assert_eq!(read.standardise, written.standardise);
        assert_eq!(read.features(), written.features());
        let InputSource::Weights { names, .. } = &config.inputs["weights"] else { panic!("no weights") };
        assert_eq!(*names, scenario.weight_names());
        assert_eq!(names[1], "bank.net income \"€\" = #1=a=b");
        let outcomes = config.scorecard.unwrap().outcomes.unwrap();
        assert_eq!((outcomes.column.as_str(), outcomes.coding), ("class", coding));
    }
}
