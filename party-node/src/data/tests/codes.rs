//! Columns of codes.

use super::*;

fn codes(dir: &Scratch, content: &str, listed: &[&str]) -> TableSource {
    let mut source = dir.source(content);
    source.columns = vec!["income".into(), "status".into(), "debt".into()];
    source.one_hot = one_hot(&[("status", listed)], &["income", "status", "debt"]).unwrap();
    source
}

fn one_hot(codes: &[(&str, &[&str])], columns: &[&str]) -> Result<OneHot, OneHotError> {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let codes = codes.iter().map(|(column, codes)| ((*column).to_owned(), owned(codes)));
    OneHot::new(codes.collect(), &owned(columns))
}

#[test]
fn a_row_of_the_first_code_has_zeros_where_it_has_no_column() {
    let dir = Scratch::new();
    let mut source =
        codes(&dir, "id,income,status,debt\na,1,A12,4\nb,2,A11,5\nc,3,A13,9\n", &["A11", "A12", "A13"]);
    source.one_hot = source.one_hot.dropping_first().unwrap();
    source.standardise = Standardise::Batch;
    let prepared = values(&source);
    assert_eq!(source.features(), ["income", "status=A12", "status=A13", "debt"]);
    let indicators: Vec<&[f64]> = prepared.chunks(4).map(|row| &row[1..3]).collect();
    assert_eq!(indicators, [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]);
    source.file = dir.file("bank.csv", "id,income,status,debt\na,1,A10,4\nb,2,A11,5\n");
    assert_eq!(message(&source).0, "unknown_code");
}

#[test]
fn every_code_becomes_a_column_of_zeros_and_ones_in_its_place() {
    let dir = Scratch::new();
    // In the order of the list, which is not that of the file, and with a code that no row has.
    let source = codes(
        &dir,
        "id,income,debt,status\na,10,1, A11 \nb,20,2,\"A,12\"\nc,30,3,A11\n",
        &["A,12", "A14", "A11"],
    );
    let table = load(&source).unwrap();
    assert_eq!(table.columns(), ["income", "status=A,12", "status=A14", "status=A11", "debt"]);
    assert_eq!(table.columns(), source.features());
    let rows = [[10.0, 0.0, 0.0, 1.0, 1.0], [20.0, 1.0, 0.0, 0.0, 2.0], [30.0, 0.0, 0.0, 1.0, 3.0]];
    assert_eq!(values(&source), rows.concat());
    table.check_range(30.0).unwrap();
}

#[test]
fn a_code_that_is_not_listed_is_named_with_those_that_are() {
    let dir = Scratch::new();
    for seen in ["A13", "a11", "A11;A12", "0"] {
        let content = format!("id,income,status,debt\na,1,A11,1\nb,2,{seen},1\n");
        let (code, text) = message(&codes(&dir, &content, &["A11", "A12"]));
        assert_eq!(code, "unknown_code");
        let expected = format!(
            "bank.csv, line 3 (id `b`), column `status`: expected one of the codes `A11`, `A12`, got `{seen}`"
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn long_codes_and_long_lists_of_codes_are_clipped() {
    let dir = Scratch::new();
    let content = format!("id,income,status,debt\na,1,{},1\n", "x".repeat(100_000));
    let listed: Vec<String> = (0..MAX_CODES).map(|i| format!("{i}{}", "y".repeat(1000))).collect();
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    let (_, text) = message(&codes(&dir, &content, &listed));
    assert!(text.chars().count() < 500 && text.contains(" and 25"), "{text}");
    let (_, text) = message(&codes(&dir, &content, &["A", "B", "C", "D", "E"]));
    assert!(text.contains("the codes `A`, `B`, `C`, `D`, `E`, got `xxx"), "{text}");
}

#[test]
fn missing_codes_are_an_error_unless_they_are_a_code() {
    let dir = Scratch::new();
    for cell in ["", "NA"] {
        let content = format!("id,income,status,debt\na,1,A11,1\nb,2,{cell},\n");
        for missing in [Missing::Refuse, Missing::Mean, Missing::Value(0.0)] {
            let mut source = codes(&dir, &content, &["A11", "A12"]);
            source.missing = missing;
            let (code, text) = message(&source);
            assert_eq!(code, "missing_value");
            let expected = "bank.csv, line 3 (id `b`), column `status`: expected one of the codes `A11`, `A12`, \
                            the cell is empty";
            assert_eq!(text, expected);
        }
        let mut source = codes(&dir, &content, &["NA", "A11"]);
        source.missing = Missing::Value(7.0);
        let table = load(&source).unwrap();
        assert_eq!(table.columns(), ["income", "status=NA", "status=A11", "debt"]);
        assert_eq!(
            values(&source)[4..],
            [2.0, 1.0, 0.0, 7.0],
            "the number is filled in, the code is a category"
        );
    }
}

#[test]
fn indicators_are_standardised_by_given_figures_only() {
    let dir = Scratch::new();
    let content = "id,income,status,debt\na,1,A11,1\nb,3,A11,5\n";
    let mut source = codes(&dir, content, &["A11", "A12"]);
    source.standardise = Standardise::Batch;
    // Both indicators are the same in every row, which is no error as it is for a number.
    assert_eq!(values(&source), [-1.0, 1.0, 0.0, -1.0, 1.0, 1.0, 0.0, 1.0]);
    let figures = Scaling { mean: 0.25, standard_deviation: 0.5 };
    source.standardise = Standardise::Given([("status=A11".to_owned(), figures)].into());
    assert_eq!(values(&source), [1.0, 1.5, 0.0, 1.0, 3.0, 1.5, 0.0, 5.0]);
}

#[test]
fn codes_are_checked_before_any_row_is_read() {
    let many: Vec<String> = (0..=MAX_CODES).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(one_hot(&[("a", &many[1..])], &["a"]).is_ok());
    for (codes, columns, expected) in [
        (&[("b", &["1"][..])][..], &["a"][..], "one_hot names `b`, which is not among the columns"),
        (&[("a", &[])], &["a"], "one_hot of `a` is empty, expected at least one code"),
        (&[("a", &many[..])], &["a"], "one_hot of `a`: expected at most 256 codes, got 257"),
        (&[("a", &["1", "2", "1"])], &["a"], "one_hot of `a` lists the code `1` twice"),
        (&[("a", &["1", ""])], &["a"], "one_hot of `a`: no cell can hold the code ``: "),
        (&[("a", &[" 1"])], &["a"], "one_hot of `a`: no cell can hold the code ` 1`: "),
        (&[("a", &["1"])], &["a", "a=1"], "one_hot of `a`: two columns would be called `a=1`"),
        (&[("a", &["1"])], &["a=1", "a"], "one_hot of `a`: two columns would be called `a=1`"),
        (
            &[("a", &["b=c"]), ("a=b", &["c"])],
            &["a", "a=b"],
            "one_hot of `a=b`: two columns would be called `a=b=c`",
        ),
    ] {
        let error = one_hot(codes, columns).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let repeated = one_hot(&[("a", &["1", "2", "1"])], &["a"]).unwrap_err();
    assert_eq!((repeated.column(), repeated.code_at()), ("a", Some(2)));
}

#[test]
fn the_codes_of_a_file_are_sorted_and_bounded() {
    let dir = Scratch::new();
    let columns = ["status".to_owned(), "debt".to_owned()];
    let file = dir.file("bank.csv", "id,debt,status\na,10,b\nb,9,\nc,10, a \nd,NA,b\n");
    let codes = codes_in(&file, "id", &columns).unwrap();
    assert_eq!(codes["status"], ["a", "b"]);
    assert_eq!(codes["debt"], ["10", "9"], "texts, not numbers");

    let mut content = String::from("id,debt,status\n");
    (0..MAX_CODES).for_each(|i| content.push_str(&format!("{i},{i},x\n")));
    let file = dir.file("bank.csv", &content);
    assert_eq!(codes_in(&file, "id", &columns).unwrap()["debt"].len(), MAX_CODES);
    let file = dir.file("bank.csv", content + "c,3,x\nd,one more,x\ne,2,x\n");
    let error = codes_in(&file, "id", &columns).unwrap_err();
    assert_eq!(error.code(), "too_many_codes");
    assert!(
        error.to_string().ends_with("bank.csv, line 259: column `debt` has more than 256 different codes"),
        "{error}"
    );

    let file = dir.file("bank.csv", "id,debt,status\na,1,\nb,2,NA\n");
    let error = codes_in(&file, "id", &columns).unwrap_err();
    assert_eq!(error.code(), "missing_value");
    assert!(
        error.to_string().ends_with("every cell of column `status` is empty, so it has no codes"),
        "{error}"
    );
}
