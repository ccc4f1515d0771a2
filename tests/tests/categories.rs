//! Columns of codes in a user's own files: what is computed from them, and everything about them that is refused.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::Path;

use subrosa_tests::logistic::probability;
use subrosa_tests::refusal::{bank_is_refused, with_change};
use subrosa_tests::{Cluster, files, run};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const ROWS: usize = 30;
/// Codes with everything that CSV, TOML or a name of a weight could stumble over.
const STATUS: [&str; 3] = ["A11", "a=b, \"c\" # [x]", "größer als 5 %"];
const PLAN: [&str; 3] = ["post", "pre", ""];

const DESCRIPTION: &str = r#"weights = "w.csv"
[[party]]
name = "bank"
file = "a.csv"
key = "id"
label = { column = "class", good = "paid", bad = "default" }
one_hot = ["status"]
standardise = true
[[party]]
name = "telco"
file = "b.csv"
key = "id"
one_hot = { plan = ["pre", "NA", "post", "never seen"] }
"#;

fn cell(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn age(row: usize) -> f64 {
    (20 + row % 7) as f64
}

/// Two parties' files. Row i has status i mod 3, plan i / 2 mod 3, and defaults if i is divisible by 4.
fn own_files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (String::from("id,class,status,age\n"), String::from("id,plan\n"));
    for i in 0..ROWS {
        let class = if i % 4 == 0 { "default" } else { "paid" };
        a.push_str(&format!("P{i},{class},{},{}\n", cell(STATUS[i % 3]), age(i)));
        b.push_str(&format!("P{i},{}\n", PLAN[i / 2 % 3]));
    }
    let weights = "name,weight\nbank.age,0.5\nbank.status=A11,0.25\n\"bank.status=a=b, \"\"c\"\" # [x]\",-0.75\n\
                   bank.status=größer als 5 %,1.5\ntelco.plan=pre,1\ntelco.plan=post,-1\ntelco.plan=NA,0.5\n\
                   telco.plan=never seen,9\nbias,-1\n";
    for (name, text) in
        [("a.csv", a), ("b.csv", b), ("w.csv", weights.to_owned()), ("demo.toml", DESCRIPTION.to_owned())]
    {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn demo(data: &Path, more: &[&str]) -> subrosa_tests::Ended {
    run(SUBROSA, &[&["demo", "loan-scoring", "--data", data.to_str().unwrap()], more].concat())
}

#[test]
fn codes_of_any_text_are_scored_by_their_own_weights() {
    let dir = own_files();
    let keep = dir.path().join("kept");
    let report = demo(dir.path(), &["--json", "--keep", keep.to_str().unwrap()]).succeeded().json();
    assert_eq!((report["rows"].as_u64(), &report["verified"]), (Some(ROWS as u64), &true.into()));
    assert_eq!(report["bad_rate"].as_f64(), Some(8.0 / 30.0), "{report}");
    let mean = (0..ROWS).map(age).sum::<f64>() / ROWS as f64;
    let variance = (0..ROWS).map(|i| (age(i) - mean).powi(2)).sum::<f64>() / ROWS as f64;
    let (_, scores) = files::read_csv(&keep.join("bank/scores.csv"));
    for (i, score) in scores.iter().enumerate() {
        let status = [0.25, -0.75, 1.5][i % 3];
        let plan = [-1.0, 1.0, 0.5][i / 2 % 3];
        let expected =
            probability(&[(age(i) - mean) / variance.sqrt(), 1.0, 1.0, 1.0], &[0.5, status, plan, -1.0]);
        let seen: f64 = score[1].parse().unwrap();
        assert!((seen - expected).abs() < 1e-3, "row {i}: {seen}, expected {expected}");
    }
    let text = demo(dir.path(), &[]).succeeded();
    for part in ["status (3 codes), age", "plan (4 codes)", "outcomes `class` (never shared)"] {
        assert!(text.stdout.contains(part), "`{part}` is missing: {text}");
    }
}

#[test]
fn what_the_demo_cannot_use_is_named() {
    let too_many: String = (0..300).map(|i| format!("P{i},x{i}\n")).collect();
    let (one_hot, listed) = ("one_hot = [\"status\"]", "plan = [\"pre\", \"NA\", \"post\", \"never seen\"]");
    let label = "{ column = \"class\", good = \"paid\", bad = \"default\" }";
    for (file, from, to, code, parts) in [
        // Codes that the description does not name rightly.
        (
            "demo.toml",
            one_hot,
            "one_hot = [\"state\"]",
            "config_value",
            &["demo.toml:7:12: one_hot names `state`"][..],
        ),
        ("demo.toml", listed, "plan = []", "config_value", &["demo.toml:13:13: one_hot of `plan` is empty"]),
        (
            "demo.toml",
            "\"post\",",
            "\"pre\",",
            "config_value",
            &["demo.toml:13:34: one_hot of `plan` lists the code `pre` twice"],
        ),
        (
            "demo.toml",
            one_hot,
            "one_hot = 3",
            "config_syntax",
            &["demo.toml:7:11: ", "expected one_hot = { column"],
        ),
        ("b.csv", "id,plan\n", "id,plain\n", "config_value", &["demo.toml:13:13: one_hot names `plan`"]),
        (
            "b.csv",
            "P0,post\n",
            &too_many,
            "unknown_code",
            &["telco: ", "b.csv, line 2 (id `P0`), column `plan`", "got `x0`"],
        ),
        // Codes that do not fit the file.
        (
            "b.csv",
            "P1,post",
            "P1,Post",
            "unknown_code",
            &[
                "telco: ",
                "b.csv, line 3 (id `P1`), column `plan`: expected one of the codes `pre`, `NA`, `post`, `never seen`, got `Post`",
            ],
        ),
        (
            "demo.toml",
            "\"NA\", ",
            "",
            "missing_value",
            &[
                "telco: ",
                "b.csv, line 6 (id `P4`), column `plan`: expected one of the codes `pre`, `post`, `never seen`, the cell is empty",
            ],
        ),
        (
            "demo.toml",
            "[\"status\"]",
            "[\"status\"]\ncolumns = [\"age\"]",
            "config_value",
            &["demo.toml:7:12: one_hot names `status`"],
        ),
        (
            "demo.toml",
            "standardise = true",
            "standardise = { status = { mean = 0, standard_deviation = 1 } }",
            "config_value",
            &["demo.toml:8:15: standardise names `status`", "`status=A11`"],
        ),
        (
            "demo.toml",
            one_hot,
            "",
            "not_a_number",
            &["a.csv, line 2 (id `P0`), column `status`: expected a number, got `A11`"],
        ),
        ("w.csv", "telco.plan=NA,0.5\n", "", "unknown_weight", &["w.csv: no weight named `telco.plan=NA`"]),
        // Outcomes.
        (
            "demo.toml",
            label,
            "\"class\"",
            "bad_outcome",
            &["a.csv, line 2, column `class`: expected an outcome of 0 (good) or 1 (bad), got `default`"],
        ),
        (
            "a.csv",
            "P8,default",
            "P8,late",
            "bad_outcome",
            &[
                "a.csv, line 10, column `class`: expected an outcome of `paid` (good) or `default` (bad), got `late`",
            ],
        ),
        ("a.csv", "P8,default", "P8,", "bad_outcome", &["line 10, column `class`", "got nothing"]),
        (
            "demo.toml",
            ", bad = \"default\"",
            "",
            "config_value",
            &["demo.toml:6:36: label: expected both `good` and `bad`"],
        ),
        (
            "demo.toml",
            "bad = \"default\"",
            "bad = \"paid\"",
            "config_value",
            &["label: good and bad are both `paid`"],
        ),
        (
            "demo.toml",
            "column = \"class\"",
            "column = \"grade\"",
            "unknown_column",
            &[
                "demo.toml:6:9: label: ",
                "a.csv: no column `grade`; the file has `id`, `class`, `status`, `age`",
            ],
        ),
    ] {
        let dir = own_files();
        files::edit(&dir.path().join(file), |text| text.replacen(from, to, 1));
        if code == "missing_value" {
            // The weight of a code that is not listed would be one that nothing uses.
            files::edit(&dir.path().join("w.csv"), |text| text.replacen("telco.plan=NA,0.5\n", "", 1));
        }
        let refusal = demo(dir.path(), &["--json"]).refusal();
        assert_eq!((refusal.exit, refusal.code.as_str()), (2, code), "{from} -> {to}: {refusal:?}");
        refusal.says(parts);
    }
}

#[test]
fn weights_of_codes_for_a_column_of_numbers_are_a_hint() {
    let dir = own_files();
    files::edit(&dir.path().join("w.csv"), |text| text.replace("bank.age,", "bank.age=20,"));
    let refusal = demo(dir.path(), &["--json"]).refusal();
    assert_eq!((refusal.exit, refusal.code.as_str()), (2, "unknown_weight"), "{refusal:?}");
    refusal.says(&["w.csv: no weight named `bank.age`; the file has `bank.age=20`"]);
    assert!(refusal.hint.is_some_and(|h| h.contains("one_hot")));
}

#[test]
fn codes_of_a_file_are_few_and_there() {
    let dir = own_files();
    files::edit(&dir.path().join("demo.toml"), |text| text.replace("[\"status\"]", "[\"status\", \"age\"]"));
    files::edit(&dir.path().join("w.csv"), |text| {
        let ages: String = (20..27).map(|age| format!("bank.age={age},0.1\n")).collect();
        text.replacen("bank.age,0.5\n", "", 1) + &ages
    });
    let report = demo(dir.path(), &["--json"]).succeeded().json();
    assert_eq!(report["verified"], true, "numbers may be codes as well");

    let file = dir.path().join("a.csv");
    let sound = std::fs::read_to_string(&file).unwrap();
    let more: String = (ROWS..300).map(|i| format!("P{i},paid,A11,{i}\n")).collect();
    std::fs::write(&file, sound.clone() + &more).unwrap();
    let refusal = demo(dir.path(), &["--json"]).refusal();
    assert_eq!((refusal.exit, refusal.code.as_str()), (2, "too_many_codes"), "{refusal:?}");
    refusal.says(&["a.csv, line 281: column `age` has more than 256 different codes"]);

    let (header, _) = files::read_csv(&file);
    let nothing: String = (0..ROWS).map(|i| format!("P{i},paid,A11,\n")).collect();
    std::fs::write(&file, header.join(",") + "\n" + &nothing).unwrap();
    let refusal = demo(dir.path(), &["--json"]).refusal();
    assert_eq!((refusal.exit, refusal.code.as_str()), (2, "missing_value"), "{refusal:?}");
    refusal.says(&["a.csv: every cell of column `age` is empty, so it has no codes"]);
}

#[test]
fn a_party_refuses_the_same_from_its_own_configuration() {
    let data = own_files();
    let cluster = Cluster::of_files(SUBROSA, data.path());
    let table = data.path().join("a.csv");
    let table = table.to_str().unwrap();
    let config = "bank/bank.toml";
    let codes = "status = [\"A11\", ";
    let in_config =
        |from: &str, to: &str, parts: &[&str]| with_change(&cluster, config, from, to, "config_value", parts);
    in_config(codes, "state = [\"A11\", ", &["bank.toml:", "input `bank.features`: one_hot names `state`"]);
    in_config(codes, "status = [\"A11\", \"A11\", ", &["bank.toml:", "lists the code `A11` twice"]);
    in_config(codes, "status = [\"A11\", \"\", ", &["bank.toml:", "no cell can hold the code ``"]);
    in_config(codes, "age = []\nstatus = [\"A11\", ", &["bank.toml:", "one_hot of `age` is empty"]);
    in_config(
        "bad = \"default\"",
        "bad = \"paid\"",
        &["bank.toml:", "outcomes: good and bad are both `paid`"],
    );
    in_config(", bad = \"default\"", "", &["bank.toml:", "outcomes: expected both `good` and `bad`"]);
    with_change(
        &cluster,
        config,
        codes,
        "status = [",
        "unknown_code",
        &["a.csv, line 2 (id `P0`), column `status`", "got `A11`"],
    );
    // One more code is one more column, which the program and the other parties know nothing of.
    with_change(
        &cluster,
        config,
        codes,
        "status = [\"A10\", \"A11\", ",
        "wrong_shape",
        &["a.csv", "[30, 4]", "30 rows and 5 columns"],
    );
    with_change(
        &cluster,
        table,
        "P2,paid,",
        "P2,,",
        "bad_outcome",
        &["a.csv, line 4, column `class`", "got nothing"],
    );
    with_change(
        &cluster,
        table,
        "P3,paid,\"A11\"",
        "P3,paid,A13",
        "unknown_code",
        &["line 5 (id `P3`), column `status`", "`A11`", "got `A13`"],
    );
    with_change(
        &cluster,
        table,
        "P3,paid,\"A11\"",
        "P3,paid,NA",
        "missing_value",
        &["line 5 (id `P3`), column `status`", "the cell is empty"],
    );

    // Nothing of it depends on which codes the rows at hand have.
    files::edit(table.as_ref(), |text| text.replace(&cell(STATUS[2]), "A11"));
    let checked =
        cluster.subrosa(&["check", "--json", "--config", &cluster.config("bank")]).succeeded().json();
    let columns = checked["inputs"][0]["columns"].as_array().unwrap().len();
    assert_eq!((columns, checked["rows"].as_u64()), (4, Some(ROWS as u64)), "{checked}");
    cluster.edit(config, |text| text.replace("column = \"class\"", "column = \"grade\""));
    bank_is_refused(&cluster, "unknown_column", &["a.csv: no column `grade`", "`class`"]);
}
