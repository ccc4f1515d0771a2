//! Data that cannot be used: the line names file, row and column (or weight) with what was expected and what was seen.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use subrosa_tests::refusal::{bank_is_refused, refused, with_cell, with_change};
use subrosa_tests::{Cluster, files};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const ROWS: usize = 24;

fn cluster() -> Cluster {
    Cluster::new(SUBROSA, 2, ROWS)
}

#[test]
fn unknown_columns_are_named_with_the_known_ones() {
    let cluster = cluster();
    let known = ["bank.csv", "no column `term_weeks`", "`customer_id`", "`term_months`"];
    with_change(
        &cluster,
        "bank/bank.csv",
        "term_months",
        "term_weeks",
        "unknown_column",
        &["bank.csv", "no column `term_months`", "`term_weeks`"],
    );
    cluster.edit("bank/bank.toml", |text| {
        text.replace("\"term_months\",", "\"term_weeks\",").replace("term_months = {", "term_weeks = {")
    });
    bank_is_refused(&cluster, "unknown_column", &known);
    cluster.edit("bank/bank.toml", |text| text.replace("term_weeks", "term_months"));
    with_change(
        &cluster,
        "bank/bank.toml",
        "key_column = \"customer_id\"",
        "key_column = \"customer\"",
        "unknown_column",
        &["no column `customer`"],
    );
    with_change(
        &cluster,
        "bank/bank.toml",
        "column = \"defaulted\"",
        "column = \"default\"",
        "unknown_column",
        &["no column `default`", "`defaulted`"],
    );
}

#[test]
fn cells_that_are_no_numbers_are_named_by_row_and_column() {
    let cluster = cluster();
    let (_, rows) = files::read_csv(&cluster.path("bank/bank.csv"));
    // The header is line 1.
    for (row, value) in
        [(0, "two thousand"), (9, "1,5"), (ROWS - 1, "0x10"), (3, "1e999"), (4, "inf"), (5, "12 %")]
    {
        let value = value.replace(',', ";");
        let place = format!("bank.csv, line {} (id `{}`), column `term_months`", row + 2, rows[row][0]);
        with_cell(
            &cluster,
            row,
            "term_months",
            &value,
            "not_a_number",
            &[&place, "expected a number", &format!("`{value}`")],
        );
    }
}

#[test]
fn cells_out_of_fixed_point_range_are_named_by_row_and_column() {
    let cluster = cluster();
    let (_, rows) = files::read_csv(&cluster.path("bank/bank.csv"));
    for (row, value) in [(0, "9e9"), (11, "-1e300"), (ROWS - 1, "1000000")] {
        let place = format!("bank.csv, line {} (id `{}`), column `net_income_eur`", row + 2, rows[row][0]);
        with_cell(
            &cluster,
            row,
            "net_income_eur",
            value,
            "out_of_range",
            &[&place, "out of range", "the program allows ±256"],
        );
    }
}

#[test]
fn ids_that_are_missing_or_repeated_are_named() {
    let cluster = cluster();
    let (_, rows) = files::read_csv(&cluster.path("bank/bank.csv"));
    with_cell(
        &cluster,
        6,
        "customer_id",
        &rows[2][0],
        "duplicate_id",
        &["line 8", &format!("`{}`", rows[2][0]), "line 4"],
    );
    with_cell(&cluster, 6, "customer_id", "", "missing_id", &["line 8", "`customer_id`", "empty"]);
}

#[test]
fn tables_that_are_none_are_refused() {
    let cluster = cluster();
    let file = cluster.path("bank/bank.csv");
    let sound = std::fs::read_to_string(&file).unwrap();
    let header = sound.lines().next().unwrap().to_owned();
    for (text, parts) in [
        (String::new(), &["bank.csv"][..]),
        (format!("{header}\n"), &["bank.csv", "no rows"]),
        (sound.replacen("\nC", "\nC,C", 1), &["line 2", "expected 6 cells", "got 7"]),
        (sound.replacen("term_months", "loan_amount_eur", 1), &["`loan_amount_eur`", "twice"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let code = if parts.len() == 1 {
            refused(&cluster, &["check", "--config", &cluster.config("bank")]).code
        } else {
            "data_malformed".into()
        };
        bank_is_refused(&cluster, &code, parts);
    }
    std::fs::write(&file, b"\xff\xfe\x00\x01").unwrap();
    let refusal = refused(&cluster, &["run", "--config", &cluster.config("bank")]);
    assert_eq!(refusal.exit, 2);
    refusal.says(&["bank.csv"]);
    std::fs::write(&file, &sound).unwrap();
    let last = format!("{}\n", sound.lines().last().unwrap());
    with_change(
        &cluster,
        "bank/bank.csv",
        &last,
        "",
        "wrong_shape",
        &["bank.csv", "[24, 4]", "23 rows and 4 columns"],
    );
    with_cell(
        &cluster,
        4,
        "defaulted",
        "2",
        "bad_outcome",
        &["line 6", "`defaulted`", "0 (good) or 1 (bad)", "got 2"],
    );
}

#[test]
fn weights_that_are_missing_or_wrong_are_named() {
    let cluster = cluster();
    let (_, rows) = files::read_csv(&cluster.path("bank/weights.csv"));
    let line = rows.iter().find(|r| r[0] == "bank.term_months").unwrap().join(",") + "\n";
    let file = "bank/weights.csv";
    with_change(
        &cluster,
        file,
        &line,
        "",
        "unknown_weight",
        &["weights.csv", "no weight named `bank.term_months`"],
    );
    with_change(&cluster, file, "bias,", "bios,", "unknown_weight", &["no weight named `bias`", "`bios`"]);
    with_change(
        &cluster,
        file,
        &line,
        "bank.term_months,heavy\n",
        "not_a_number",
        &["line ", "bank.term_months", "`heavy`"],
    );
    with_change(
        &cluster,
        file,
        &line,
        "bank.term_months,1e6\n",
        "out_of_range",
        &["`bank.term_months`", "1000000", "±64"],
    );
    with_change(&cluster, file, &line, &format!("{line}{line}"), "duplicate_id", &["`bank.term_months`"]);
    with_change(
        &cluster,
        file,
        "name,weight",
        "name,wait",
        "unknown_column",
        &["no column `weight`", "`wait`"],
    );
}
