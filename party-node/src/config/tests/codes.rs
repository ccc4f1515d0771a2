//! Columns of codes, and outcomes that are not 0 and 1.

use super::*;
use crate::data::{OutcomeCoding, Standardise};

#[test]
fn the_first_code_can_go_without_a_column() {
    let files = Files::new();
    let with = |one_hot: &str| {
        let valid = files.bank();
        let line = valid.lines().find(|l| l.starts_with("standardise = {")).unwrap().to_owned();
        files.load(&valid.replacen(&line, one_hot, 1))
    };
    let config = with("one_hot = { debt = [\"no\", \"yes\"] }\ndrop_first = true").unwrap();
    let InputSource::Table(table) = &config.inputs["bank.features"] else { panic!("no table") };
    assert_eq!(table.features(), ["income", "debt=yes"]);
    let all = with("one_hot = { debt = [\"no\", \"yes\"] }\ndrop_first = false").unwrap();
    let InputSource::Table(table) = &all.inputs["bank.features"] else { panic!("no table") };
    assert_eq!(table.features(), ["income", "debt=no", "debt=yes"]);
    for (text, expected) in [
        ("drop_first = true", "`drop_first` goes with `one_hot`"),
        ("one_hot = { debt = [\"no\"] }\ndrop_first = true", "drop_first leaves nothing of `debt`"),
    ] {
        let error = with(text).expect_err("this must be refused");
        assert_eq!(error.code(), "config_value");
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn codes_are_read_and_their_figures_go_by_the_names_of_indicators() {
    let files = Files::new();
    let valid = files.bank();
    let columns = "columns = [\"income\", \"debt\"]";
    let text = valid
        .replacen(
            columns,
            "columns = [\"job\", \"income\", \"debt\"]\none_hot = { job = [\"A2\", \"A1\"] }",
            1,
        )
        .replacen("standardise = { income", "standardise = { \"job=A1\"", 1);
    let config = files.load(&text).unwrap();
    let Some(InputSource::Table(table)) = config.inputs.get("bank.features") else { panic!("no table") };
    assert_eq!(table.features(), ["job=A2", "job=A1", "income", "debt"]);
    let Standardise::Given(given) = &table.standardise else { panic!("not given") };
    assert_eq!(given.keys().collect::<Vec<_>>(), ["job=A1"]);
    let text = text.replacen("\"job=A1\" = {", "job = {", 1);
    let error = files.load(&text).unwrap_err();
    assert!(
        error.message().ends_with(
            "standardise names `job`, which holds codes; figures of one of them go by a name such as `job=A2`"
        ),
        "{error}"
    );
}

#[test]
fn codes_that_cannot_be_used_are_pointed_at() {
    let files = Files::new();
    let many: String = (0..257).map(|i| format!("\"{i}\", ")).collect();
    // `columns` is line 31, `one_hot` is put below it; the column is that of the column or the code.
    let cases = [
        ("{ job = [\"A1\"] }", "32:13: input `bank.features`: one_hot names `job`, which is not among"),
        ("{ debt = [] }", "32:13: input `bank.features`: one_hot of `debt` is empty"),
        (
            "{ debt = [\"A1\", \"A2\", \"A1\"] }",
            "32:33: input `bank.features`: one_hot of `debt` lists the code `A1` twice",
        ),
        (
            "{ debt = [\"A1\",\n\"A1\"] }",
            "33:1: input `bank.features`: one_hot of `debt` lists the code `A1` twice",
        ),
        (
            "{ debt = [\"A1\", \"\"] }",
            "32:27: input `bank.features`: one_hot of `debt`: no cell can hold the code ``",
        ),
        (
            "{ debt = [\"A1 \"] }",
            "32:21: input `bank.features`: one_hot of `debt`: no cell can hold the code `A1 `",
        ),
        (
            &format!("{{ debt = [{many}] }}"),
            "32:13: input `bank.features`: one_hot of `debt`: expected at most 256 codes, got 257",
        ),
        (
            "[\"debt\"]",
            "32:11: input `bank.features`: expected one_hot = { column = [\"code\", …] }: the number of columns",
        ),
        ("true", "32:11: invalid type: boolean `true`, expected one_hot = { column = [\"code\", …] }"),
        ("{ debt = \"A1\" }", "32:20: invalid type: string \"A1\", expected a sequence"),
        ("{ debt = [1, 2] }", "32:21: invalid type: integer `1`, expected a string"),
        ("{ debt = [\"A1\"], debt = [\"A2\"] }", "32:28: duplicate key"),
    ];
    let columns = "columns = [\"income\", \"debt\"]\n";
    for (one_hot, expected) in cases {
        let (_, text) = files.refused(columns, &format!("{columns}one_hot = {one_hot}\n"));
        assert!(text.starts_with(&format!("bank.toml:{expected}")), "{one_hot}: {text}");
    }
    let names = "names = [\"bank.income\", \"bank.debt\"]";
    let (_, text) = files.refused(names, &format!("{names}\none_hot = {{ a = [\"b\"] }}"));
    assert!(text.ends_with("input `weights`: weights have no codes; `one_hot` belongs to a table"), "{text}");
}

#[test]
fn outcomes_say_what_is_good_and_what_is_bad_or_neither() {
    let files = Files::new();
    let text = files.bank().replacen("column = \"bad\"", "column = \"class\", good = \"1\", bad = \"2\"", 1);
    let outcomes = files.load(&text).unwrap().scorecard.unwrap().outcomes.unwrap();
    let expected = OutcomeCoding::Texts { good: "1".into(), bad: "2".into() };
    assert_eq!((outcomes.column.as_str(), outcomes.coding), ("class", expected));
    let cases = [
        ("good = \"1\"", "expected both `good` and `bad`, or neither"),
        ("bad = \"2\"", "expected both `good` and `bad`, or neither"),
        ("good = \"1\", bad = \"1\"", "good and bad are both `1`"),
        ("good = \"NA\", bad = \"1\"", "good is `NA`: cells lose the spaces"),
        ("good = \"1\", bad = \"\"", "bad is ``: cells lose the spaces"),
        ("good = \" 1\", bad = \"2\"", "good is ` 1`: cells lose the spaces"),
        ("good = 1, bad = 2", "invalid type: integer `2`, expected a string"),
        ("good = \"1\", worse = \"2\"", "unknown field `worse`"),
    ];
    for (values, expected) in cases {
        let (_, text) = files.refused("column = \"bad\"", &format!("column = \"class\", {values}"));
        assert!(text.starts_with("bank.toml:50:") && text.contains(expected), "{values}: {text}");
    }
}
