//! Files of a party's own data, prepared in all ways that a configuration can ask for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{check_codes, printable, scratch};
use crate::data::{
    DataError, Features, Missing, OneHot, OutcomeCoding, SpoolPlace, Standardise, TableSource, codes_in,
    header, read_outcomes, read_weights,
};
use crate::error::CliError;

/// A table of a party's own data. The first byte chooses how it is prepared.
pub fn csv(bytes: &[u8]) -> bool {
    let Some((mode, content)) = bytes.split_first() else { return false };
    let dir = scratch();
    let file = dir.path().join("table.csv");
    fs::write(&file, content).expect("a writable temporary directory");
    let mut source = TableSource {
        file: file.clone(),
        key_column: "id".into(),
        columns: vec!["income".into(), "debt".into()],
        one_hot: OneHot::default(),
        missing: [Missing::Mean, Missing::Refuse, Missing::Value(-1.5)][usize::from(mode % 3)].clone(),
        standardise: if mode & 0x80 == 0 { Standardise::No } else { Standardise::Batch },
    };
    if let Err(e) = header(&file) {
        printable(&CliError::setup("data", e));
    }
    outcomes(&file);
    codes_of_the_file(&source);
    if mode & 0x40 != 0 {
        source.one_hot = codes_of_debt(["0", "1", "a b", "NA"].map(str::to_owned).into(), &source);
    }
    let table = match Features::load(&source, &place()) {
        Ok(table) => table,
        Err(e) => {
            printable(&CliError::setup("data", e));
            return false;
        }
    };
    assert!(table.rows() > 0, "a table has rows");
    check_shape(&source, &table);
    let (mut ids, mut names) = (BTreeSet::new(), table.names().read());
    while let Some(name) = names.next().expect("names are read back") {
        ids.insert(name.id.to_owned());
    }
    assert!(ids.len() == table.rows() && !ids.contains(""), "every row has its own name");
    let values = all_values(&table);
    if source.standardise == Standardise::No && source.missing != Missing::Mean {
        assert!(values.iter().all(|v| v.is_finite()), "values are numbers");
    }
    match table.check_range(1e6) {
        Ok(()) => assert!(values.iter().all(|v| v.abs() <= 1e6), "what passed is in range"),
        Err(e) => printable(&CliError::setup("data", e)),
    }
    true
}

/// Everything but a little goes to disk and comes back from there.
fn place() -> SpoolPlace {
    SpoolPlace::temporary().holding(100)
}

fn all_values(table: &Features) -> Vec<f64> {
    table.values().read(0..table.rows()).expect("values are read back").to_vec()
}

/// A whole table, and in every row one code of the column `debt` where that is a column of codes.
fn check_shape(source: &TableSource, table: &Features) {
    assert_eq!(table.columns(), source.features(), "columns as the program takes them");
    let values = all_values(table);
    assert_eq!(values.len(), table.rows() * table.columns().len(), "a value per row and column");
    if !source.one_hot.is_empty() {
        for row in values.chunks(table.columns().len()) {
            let indicators = &row[1..];
            assert!(
                indicators.iter().all(|&v| v == 0.0 || v == 1.0),
                "indicators stay 0 and 1: {indicators:?}"
            );
            assert_eq!(indicators.iter().sum::<f64>(), 1.0, "one code per row");
        }
    }
}

fn codes_of_debt(codes: Vec<String>, source: &TableSource) -> OneHot {
    OneHot::new([("debt".to_owned(), codes)].into(), &source.columns).expect("codes of a column")
}

/// With the codes that a file has, no code of the file is unknown.
fn codes_of_the_file(source: &TableSource) {
    let mut columns = match codes_in(&source.file, "id", &["debt".to_owned()]) {
        Ok(columns) => columns,
        Err(e) => return printable(&e.into()),
    };
    let codes = columns.remove("debt").expect("codes of the column that was asked for");
    check_codes(&codes);
    assert!(codes.is_sorted(), "codes in order");
    let source = TableSource { one_hot: codes_of_debt(codes, source), ..source.clone() };
    match Features::load(&source, &place()) {
        Ok(table) => check_shape(&source, &table),
        Err(e @ DataError::UnknownCode { .. }) => panic!("a code of the file: {e}"),
        Err(e) => printable(&e.into()),
    }
}

/// The column `debt` as one of outcomes.
fn outcomes(file: &Path) {
    let texts = OutcomeCoding::Texts { good: "1".into(), bad: "a b".into() };
    for coding in [OutcomeCoding::Numbers, texts] {
        match read_outcomes(file, "id", "debt", &coding, &place()) {
            Ok((names, bad)) => assert!(names.rows() > 0 && names.rows() == bad.len(), "an outcome per row"),
            Err(e) => printable(&e.into()),
        }
    }
}

/// A file of named weights.
pub fn weights(bytes: &[u8]) -> bool {
    let dir = scratch();
    let file = dir.path().join("weights.csv");
    fs::write(&file, bytes).expect("a writable temporary directory");
    match read_weights(&file, &["bias".to_owned(), "bank.income".to_owned()]) {
        Ok(weights) => {
            assert!(weights.len() == 2 && weights.iter().all(|w| w.is_finite()), "two numbers: {weights:?}");
            true
        }
        Err(e) => {
            printable(&CliError::setup("data", e));
            false
        }
    }
}
