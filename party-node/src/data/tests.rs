use super::*;

mod codes;
mod spooled;

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn source(&self, content: &str) -> TableSource {
        TableSource {
            file: self.file("bank.csv", content),
            key_column: "id".into(),
            columns: vec!["income".into(), "debt".into()],
            one_hot: OneHot::default(),
            missing: Missing::Refuse,
            standardise: Standardise::No,
        }
    }
}

/// Reads a table of which everything is on disk.
fn load(source: &TableSource) -> Result<Features, DataError> {
    Features::load(source, &SpoolPlace::temporary().holding(0))
}

fn values(source: &TableSource) -> Vec<f64> {
    let table = load(source).unwrap();
    table.values().read(0..table.rows()).unwrap().to_vec()
}

fn message(source: &TableSource) -> (&'static str, String) {
    let error = load(source).err().expect("this data must be refused");
    let name = source.file.display().to_string();
    let text = error.to_string();
    assert!(text.contains(&name), "{text} does not name the file");
    assert_eq!(text.lines().count(), 1);
    (error.code(), text.replace(&name, "bank.csv"))
}

#[test]
fn reads_named_columns_in_the_order_asked_for() {
    let dir = Scratch::new();
    let source = dir.source("debt,note,id,income\n2,x,a,10\n3.5,y,b, -4e1 \n");
    let table = load(&source).unwrap();
    let mut names = table.names().read();
    for (line, id) in [(2, "a"), (3, "b")] {
        let name = names.next().unwrap().unwrap();
        assert_eq!((name.line, name.id), (line, id));
    }
    assert!(names.next().unwrap().is_none());
    assert_eq!(values(&source), [10.0, 2.0, -40.0, 3.5]);
    assert_eq!(*table.values().read(1..2).unwrap(), [-40.0, 3.5]);
    assert_eq!((table.rows(), table.columns()), (2, &source.columns[..]));
    assert_eq!(header(&source.file).unwrap(), ["debt", "note", "id", "income"]);
}

#[test]
fn a_cell_that_is_no_number_is_named_by_line_id_and_column() {
    let dir = Scratch::new();
    for seen in ["12,5", "abc", "NaN", "inf", "-Infinity", "1e999", "0x10"] {
        let quoted = format!("id,income,debt\na,1,2\nb,\"{seen}\",2\n");
        let (code, text) = message(&dir.source(&quoted));
        assert_eq!(code, "not_a_number");
        assert_eq!(
            text,
            format!("bank.csv, line 3 (id `b`), column `income`: expected a number, got `{seen}`")
        );
    }
}

#[test]
fn long_cells_are_clipped() {
    let dir = Scratch::new();
    let (_, text) = message(&dir.source(&format!("id,income,debt\na,{},2\n", "x".repeat(100_000))));
    assert!(text.len() < 300, "{} bytes", text.len());
}

#[test]
fn unknown_and_repeated_columns() {
    let dir = Scratch::new();
    let (code, text) = message(&dir.source("id,Income,debt\na,1,2\n"));
    assert_eq!(code, "unknown_column");
    assert_eq!(text, "bank.csv: no column `income`; the file has `id`, `Income`, `debt`");
    let (_, text) = message(&dir.source("customer,income,debt\na,1,2\n"));
    assert!(text.contains("no column `id`"), "{text}");
    let (_, text) = message(&dir.source("id,income,debt,debt\na,1,2,3\n"));
    assert_eq!(text, "bank.csv: column `debt` occurs twice in the header");
}

#[test]
fn ids_are_present_and_unique() {
    let dir = Scratch::new();
    let (code, text) = message(&dir.source("id,income,debt\na,1,2\nb,1,2\na,3,4\n"));
    assert_eq!(code, "duplicate_id");
    assert_eq!(text, "bank.csv, line 4: id `a` was already in line 2; ids must be unique");
    let (code, text) = message(&dir.source("id,income,debt\n ,1,2\n"));
    assert_eq!((code, text.as_str()), ("missing_id", "bank.csv, line 2: the key column `id` is empty"));
}

#[test]
fn files_that_are_no_tables() {
    let dir = Scratch::new();
    for empty in ["", "id,income,debt\n"] {
        let (code, text) = message(&dir.source(empty));
        assert_eq!(code, "data_malformed");
        assert!(text.contains("no rows"), "{text}");
    }
    let (_, text) = message(&dir.source("id,income,debt\na,1,2\nb,1\n"));
    assert_eq!(text, "bank.csv, line 3: expected 3 cells as in the header, got 2");
    let mut source = dir.source("");
    source.file = dir.file("latin1.csv", b"id,income,debt\n\xe9,1,2\n");
    let (_, text) = message(&source);
    assert!(text.ends_with("cell 1 is not UTF-8 text"), "{text}");
    source.file = dir.0.path().join("absent.csv");
    let (code, text) = message(&source);
    assert_eq!(code, "file_missing");
    assert!(text.starts_with("cannot read bank.csv: "), "{text}");
}

#[test]
fn missing_cells_are_refused_filled_or_averaged() {
    let dir = Scratch::new();
    let mut source = dir.source("id,income,debt\na,1,2\nb,,4\nc,3,NA\n");
    let (code, text) = message(&source);
    assert_eq!(code, "missing_value");
    assert!(text.starts_with("bank.csv, line 3 (id `b`), column `income`: the cell is empty"), "{text}");

    source.missing = Missing::Value(9.0);
    assert_eq!(values(&source), [1.0, 2.0, 9.0, 4.0, 3.0, 9.0]);
    source.missing = Missing::Mean;
    assert_eq!(values(&source), [1.0, 2.0, 2.0, 4.0, 3.0, 3.0]);

    let given = [("income".to_owned(), Scaling { mean: 5.0, standard_deviation: 2.0 })];
    source.standardise = Standardise::Given(given.into());
    assert_eq!(values(&source), [-2.0, 2.0, 0.0, 4.0, -1.0, 3.0]);

    let mut source = dir.source("id,income,debt\na,,2\nb,,4\n");
    source.missing = Missing::Mean;
    let (_, text) = message(&source);
    assert_eq!(text, "bank.csv: every cell of column `income` is empty, so it has no mean to fill in");
}

#[test]
fn standardised_columns_have_mean_zero_and_spread_one() {
    let dir = Scratch::new();
    let mut source = dir.source("id,income,debt\na,1,20\nb,2,10\nc,6,60\n");
    source.standardise = Standardise::Batch;
    let values = values(&source);
    for column in 0..2 {
        let cells: Vec<f64> = values.iter().copied().skip(column).step_by(2).collect();
        assert!(cells.iter().sum::<f64>().abs() < 1e-12);
        assert!((cells.iter().map(|v| v * v).sum::<f64>() / 3.0 - 1.0).abs() < 1e-12);
    }
    let mut source = dir.source("id,income,debt\na,1,7\nb,2,7\n");
    source.standardise = Standardise::Batch;
    let (code, text) = message(&source);
    assert_eq!(code, "constant_column");
    assert_eq!(text, "bank.csv: column `debt` is 7 in every row and cannot be standardised");
}

#[test]
fn values_beyond_the_declared_bound_are_named() {
    let dir = Scratch::new();
    let table = load(&dir.source("id,income,debt\na,1,2\nb,3,-64.5\n")).unwrap();
    table.check_range(64.5).unwrap();
    let error = table.check_range(64.0).unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("line 3 (id `b`), column `debt`: -64.5 is out of range, the program allows ±64"),
        "{text}"
    );
    assert_eq!(error.code(), "out_of_range");
}

#[test]
fn fractions_where_integers_are_wanted_are_named() {
    let dir = Scratch::new();
    load(&dir.source("id,income,debt\na,1,2\nb,3,-64.0\n")).unwrap().check_integers().unwrap();
    let error = load(&dir.source("id,income,debt\na,1,2\nb,3.25,4\n")).unwrap().check_integers().unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("line 3 (id `b`), column `income`: 3.25 is not an integer, as the program wants"),
        "{text}"
    );
    assert_eq!(error.code(), "not_an_integer");
}

#[test]
fn outcomes_are_zero_or_one() {
    let dir = Scratch::new();
    let place = SpoolPlace::temporary();
    let read = |file: &Path| read_outcomes(file, "id", "bad", &OutcomeCoding::Numbers, &place);
    let file = dir.file("labels.csv", "id,bad\na,1\nb,0\nc,1.0\n");
    let (names, bad) = read(&file).unwrap();
    assert_eq!((names.rows(), &bad[..]), (3, &[true, false, true][..]));
    for (cell, seen) in [("2", "2"), ("", "nothing"), ("NA", "nothing"), ("bad", "`bad`"), ("NaN", "`NaN`")] {
        let file = dir.file("labels.csv", format!("id,bad\na,1\nb,{cell}\n"));
        let error = read(&file).err().unwrap();
        let expected =
            format!("line 3, column `bad`: expected an outcome of 0 (good) or 1 (bad), got {seen}");
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert_eq!(error.code(), "bad_outcome");
    }
}

#[test]
fn outcomes_may_be_other_texts() {
    let dir = Scratch::new();
    let coding = OutcomeCoding::Texts { good: "1".into(), bad: "2".into() };
    let place = SpoolPlace::temporary();
    let read = |file: &Path| read_outcomes(file, "id", "class", &coding, &place);
    let file = dir.file("labels.csv", "id,class\na,1\nb, 2 \n");
    let (names, bad) = read(&file).unwrap();
    let expected = RowNames::of(["a", "b"], SpoolPlace::temporary()).unwrap();
    assert_eq!((names.first_difference(&expected).unwrap(), &bad[..]), (None, &[false, true][..]));
    // Texts are compared, not numbers; and 0 is not taken for good because 1 is.
    for (cell, seen) in [("0", "`0`"), ("1.0", "`1.0`"), ("", "nothing"), ("NA", "nothing")] {
        let file = dir.file("labels.csv", format!("id,class\na,1\nb,{cell}\n"));
        let text = read(&file).err().unwrap().to_string();
        let expected =
            format!("line 3, column `class`: expected an outcome of `1` (good) or `2` (bad), got {seen}");
        assert!(text.ends_with(&expected), "{text}");
    }
}

#[test]
fn weights_are_found_by_name() {
    let dir = Scratch::new();
    let file = dir.file("weights.csv", "name,weight\nbias,-1.5\nbank.income,0.25\n");
    let names = ["bank.income".to_owned(), "bias".to_owned()];
    assert_eq!(*read_weights(&file, &names).unwrap(), [0.25, -1.5]);
    let text = read_weights(&file, &["telecom.tenure".to_owned()]).unwrap_err().to_string();
    assert!(text.ends_with("no weight named `telecom.tenure`; the file has `bank.income`, `bias`"), "{text}");
    let file = dir.file("weights.csv", "name,weight\nbank.status=A11,0.5\n\"bank.a=b, \"\"c\"\"\",-1\n");
    let codes = ["bank.a=b, \"c\"".to_owned(), "bank.status=A11".to_owned()];
    assert_eq!(*read_weights(&file, &codes).unwrap(), [-1.0, 0.5]);
    let file = dir.file("weights.csv", "name,weight\nbias,-1.5\ntypo.x,3\ntypo.a,4\nbank.income,0.25\n");
    assert!(refuse_surplus_weights(&file, &["bias", "typo.a", "bank.income", "typo.x"]).is_ok());
    let text = refuse_surplus_weights(&file, &["bias", "bank.income"]).unwrap_err().to_string();
    let expected = "line 3: nothing uses the weight `typo.x`; the program takes `bias`, `bank.income`";
    assert!(text.ends_with(expected), "{text}");
    for (content, expected) in [
        ("name,weight\nbias,\n", "expected a number, got ``"),
        ("name,weight\nbias,NaN\n", "expected a number, got `NaN`"),
        ("name,weight\nbias,1\nbias,2\n", "line 3: id `bias` was already in line 2; ids must be unique"),
        ("name,value\nbias,1\n", "no column `weight`; the file has `name`, `value`"),
        ("name,weight\n", "has no rows"),
    ] {
        let file = dir.file("weights.csv", content);
        let text = read_weights(&file, &names).unwrap_err().to_string();
        assert!(text.ends_with(expected), "{text}");
    }
}
