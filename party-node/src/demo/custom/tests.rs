use super::*;
use crate::data::{OutcomeCoding, Scaling};

const A: &str = "id,bad,x,y\n1,0,0.5,2\n2,1,0.25,3\n";
const B: &str = "id,z,job\n1,7,A173\n2,8,A172\n";

fn folder_with(description: &str, a: &str, b: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        (DESCRIPTION, description),
        ("a.csv", a),
        ("b.csv", b),
        ("w.csv", "name,weight\na.x,1\na.y,1\nb.z,1\nb.job=A172,1\nb.job=A173,1\nbias,0\n"),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn folder(description: &str) -> tempfile::TempDir {
    folder_with(description, A, B)
}

/// The message about a description, without the folder.
fn refused(dir: &tempfile::TempDir) -> (String, String) {
    let error = load(dir.path()).expect_err("this description must be refused");
    let root = format!("{}/", dir.path().canonicalize().unwrap().display());
    (error.code().to_owned(), error.message().replace(&root, ""))
}

const VALID: &str = "weights = \"w.csv\"\n[[party]]\nname = \"a\"\nfile = \"a.csv\"\nkey = \"id\"\n\
                     label = \"bad\"\n[[party]]\nname = \"b\"\nfile = \"b.csv\"\nkey = \"id\"\nmissing = 0\n";

#[test]
fn columns_default_to_all_but_key_and_label() {
    let dir = folder(VALID);
    let scenario = load(dir.path()).unwrap();
    let label = Label { column: "bad".into(), coding: OutcomeCoding::Numbers };
    assert_eq!((scenario.rows, &scenario.label), (2, &Some(label)));
    assert_eq!(scenario.weight_names(), ["a.x", "a.y", "b.z", "b.job"]);
    assert_eq!(scenario.parties[1].table.missing, Missing::Value(0.0));
}

#[test]
fn codes_are_written_out_or_taken_from_the_file() {
    let given = VALID.to_owned() + "one_hot = { job = [\"A174\", \"A173\", \"A172\"] }\n";
    let scenario = load(folder(&given).path()).unwrap();
    assert_eq!(scenario.weight_names(), ["a.x", "a.y", "b.z", "b.job=A174", "b.job=A173", "b.job=A172"]);
    let found = VALID.to_owned()
        + "one_hot = [\"job\"]\nstandardise = { \"job=A172\" = { mean = 0.5, standard_deviation = 0.5 } }\n";
    let scenario = load(folder(&found).path()).unwrap();
    assert_eq!(scenario.weight_names(), ["a.x", "a.y", "b.z", "b.job=A172", "b.job=A173"]);
    let figures = Scaling { mean: 0.5, standard_deviation: 0.5 };
    let expected = Standardise::Given([("job=A172".to_owned(), figures)].into());
    assert_eq!(scenario.parties[1].table.standardise, expected);
    let nothing = VALID.to_owned() + "one_hot = []\n";
    assert!(load(folder(&nothing).path()).unwrap().parties[1].table.one_hot.is_empty());
}

#[test]
fn a_label_may_say_which_values_mean_what() {
    let table = VALID.replacen("\"bad\"", "{ column = \"bad\", good = \"1\", bad = \"2\" }", 1);
    let scenario = load(folder(&table).path()).unwrap();
    let coding = OutcomeCoding::Texts { good: "1".into(), bad: "2".into() };
    assert_eq!(scenario.label, Some(Label { column: "bad".into(), coding }));
    assert_eq!(scenario.weight_names()[..2], ["a.x", "a.y"]);
    let same = VALID.replacen("\"bad\"", "{ column = \"bad\" }", 1);
    assert_eq!(load(folder(&same).path()).unwrap().label, load(folder(VALID).path()).unwrap().label);
}

#[test]
fn mistakes_are_named() {
    for (from, to, expected) in [
        ("name = \"b\"", "name = \"a\"", "demo.toml:8:8: party `a` is named twice"),
        ("missing = 0", "label = \"z\"", "only the first party"),
        ("missing = 0", "max_abs = -1", "max_abs must be positive, got -1"),
        ("missing = 0", "colour = 1", "demo.toml:11:1: unknown field `colour`"),
        ("missing = 0", "columns = [\"z\", \"z\"]", "demo.toml:11:11: columns names `z` twice"),
        ("file = \"b.csv\"", "file = \"c.csv\"", "cannot read"),
        ("key = \"id\"\nlabel", "key = \"ident\"\nlabel", "no column `ident`"),
        (
            "label = \"bad\"",
            "label = \"worse\"",
            "demo.toml:6:9: label: a.csv: no column `worse`; the file has `id`, `bad`, `x`, `y`",
        ),
        (
            "label = \"bad\"",
            "label = { column = \"worse\" }",
            "demo.toml:6:9: label: a.csv: no column `worse`; the file has `id`, `bad`, `x`, `y`",
        ),
        (
            "label = \"bad\"",
            "label = { column = \"bad\", good = \"0\" }",
            "demo.toml:6:34: label: expected both `good` and `bad`, or neither",
        ),
        (
            "label = \"bad\"",
            "label = { column = \"bad\", good = \"0\", bad = \"0\" }",
            "demo.toml:6:45: label: good and bad are both `0`",
        ),
        ("label = \"bad\"", "label = { column = \"bad\", ugly = \"0\" }", "unknown field `ugly`"),
        ("label = \"bad\"", "label = { good = \"0\", bad = \"1\" }", "demo.toml:6:9: missing field `column`"),
        ("label = \"bad\"", "label = 1", "demo.toml:6:9: invalid type: integer `1`, expected label = "),
        (
            "missing = 0",
            "one_hot = [\"jop\"]",
            "demo.toml:11:12: one_hot names `jop`, which is not among the columns",
        ),
        ("missing = 0", "one_hot = [\"job\", \"job\"]", "demo.toml:11:19: one_hot names `job` twice"),
        (
            "missing = 0",
            "one_hot = { jop = [\"A\"] }",
            "demo.toml:11:13: one_hot names `jop`, which is not among",
        ),
        ("missing = 0", "one_hot = { job = [] }", "demo.toml:11:13: one_hot of `job` is empty"),
        (
            "missing = 0",
            "one_hot = { job = [\"A172\", \"A172\"] }",
            "demo.toml:11:28: one_hot of `job` lists the code `A172` twice",
        ),
        (
            "missing = 0",
            "one_hot = \"job\"",
            "demo.toml:11:11: invalid type: string \"job\", expected one_hot = ",
        ),
        (
            "missing = 0",
            "one_hot = [\"job\"]\nstandardise = { job = { mean = 0, standard_deviation = 1 } }",
            "demo.toml:12:15: standardise names `job`, which holds codes",
        ),
    ] {
        assert!(VALID.contains(from));
        let (_, text) = refused(&folder(&VALID.replacen(from, to, 1)));
        assert!(text.contains(expected), "{to}: {text}");
    }
    let missing = load(Path::new("/nonexistent")).err().map(|e| e.code().to_owned());
    assert_eq!(missing.as_deref(), Some("file_missing"));
}

#[test]
fn a_label_that_is_not_there_is_not_mistaken_for_anything_else() {
    let (code, _) = refused(&folder(&VALID.replacen("label = \"bad\"", "label = \"worse\"", 1)));
    assert_eq!(code, "unknown_column");
    let (code, text) = refused(&folder_with(VALID, "id,bad,x,bad\n1,0,2,1\n", B));
    assert_eq!(
        (code.as_str(), text.as_str()),
        ("data_malformed", "a.csv: column `bad` occurs twice in the header")
    );
    let (code, text) = refused(&folder(&VALID.replacen("a.csv", "absent.csv", 1)));
    assert!(code == "file_missing" && text.starts_with("cannot read absent.csv: "), "{text}");
}

#[test]
fn codes_that_a_file_does_not_give_are_named() {
    let found = VALID.to_owned() + "one_hot = [\"job\"]\n";
    let mut many = String::from("id,z,job\n");
    (0..300).for_each(|i| many.push_str(&format!("{i},1,code {i}\n")));
    for (b, code, expected) in [
        (many.as_str(), "too_many_codes", "b.csv, line 258: column `job` has more than 256 different codes"),
        ("id,z,job\n1,1,\n2,1,NA\n", "missing_value", "b.csv: every cell of column `job` is empty"),
        ("id,z,job\n1,1,x\n,1,y\n", "missing_id", "b.csv, line 3: the key column `id` is empty"),
        (
            "id,z,job,job=x\n1,1,x,2\n",
            "config_value",
            "demo.toml:12:12: one_hot of `job`: two columns would be called `job=x`",
        ),
    ] {
        let (seen, text) = refused(&folder_with(&found, A, b));
        assert_eq!(seen, code, "{text}");
        assert!(text.starts_with(expected), "{text}");
    }
}
