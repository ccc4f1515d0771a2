//! Marked values are put into the inputs; after a run they are searched for, as text and in every encoding that the
//! program knows, in everything that any process wrote or said. What travels is encrypted shares; this is about files
//! and messages.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::{Cluster, Running, files, finish_all};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const MARKED_ID: &str = "QZX-77-MARKED";
/// Fraction bits of the demo's programs.
const SCALE: f64 = 65_536.0;

/// Something secret, and the files that may hold it, relative to the owner's folder.
struct Secret {
    what: String,
    needles: Vec<Vec<u8>>,
    may_hold: Vec<&'static str>,
}

/// A number as its raw text, as the prepared value, and both in binary.
fn number(what: &str, raw: &str, prepared: f64, may_hold: &'static str) -> Secret {
    let fixed = (prepared * SCALE).round() as i64;
    assert!(fixed.unsigned_abs() > 1 << 16, "{what}: too small to be recognised");
    let mut needles = vec![raw.as_bytes().to_vec(), format!("{prepared:.4}").into_bytes()];
    for bits in [fixed as u64, prepared.to_bits(), raw.parse::<f64>().unwrap().to_bits()] {
        for bytes in [bits.to_le_bytes(), bits.to_be_bytes()] {
            needles.extend(binary(&bytes));
        }
    }
    Secret { what: what.into(), needles, may_hold: vec![may_hold] }
}

/// Bytes as they are, in hexadecimal, and in base64 at each of the three ways they can fall.
fn binary(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex = |upper: bool| -> Vec<u8> {
        let digits = |b: &u8| if upper { format!("{b:02X}") } else { format!("{b:02x}") };
        bytes.iter().map(digits).collect::<String>().into_bytes()
    };
    let mut forms = vec![bytes.to_vec(), hex(false), hex(true)];
    for shift in 0..3 {
        let text = STANDARD.encode([&[0; 2][..shift], bytes].concat());
        // Characters that also hold bits of neighbours are left out.
        let first = (shift * 8).div_ceil(6);
        let last = (shift + bytes.len()) * 8 / 6;
        forms.push(text.as_bytes()[first..last].to_vec());
    }
    forms
}

fn holds(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|w| w == needle)
}

/// Mean and standard deviation of a column as a configuration gives them.
fn scaling(cluster: &Cluster, node: &str, column: &str) -> (f64, f64) {
    let text = std::fs::read_to_string(cluster.config(node)).unwrap();
    let line = text.lines().find(|l| l.starts_with(&format!("{column} = {{"))).unwrap().to_owned();
    let mut figures = line.split(['=', ',', '}']).filter_map(|part| part.trim().parse::<f64>().ok());
    (figures.next().unwrap(), figures.next().unwrap())
}

/// The 32 secret bytes of a key file.
fn key_seed(path: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|l| !l.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap();
    der[der.len() - 32..].to_vec()
}

/// Marks ids and one value of every party's data and one weight.
fn plant(cluster: &Cluster) -> BTreeMap<&'static str, Vec<Secret>> {
    let mut secrets: BTreeMap<&'static str, Vec<Secret>> = BTreeMap::new();
    let marked = [
        ("bank", "bank.csv", "debt_to_income", "17.391846"),
        ("bureau", "bureau.csv", "card_utilisation", "43.772193"),
        ("telecom", "telecom.csv", "topup_variance", "71.906354"),
    ];
    for (node, file, column, raw) in marked {
        let path = format!("{node}/{file}");
        files::set_cell(&cluster.path(&path), 7, "customer_id", MARKED_ID);
        files::set_cell(&cluster.path(&path), 7, column, raw);
        let (mean, deviation) = scaling(cluster, node, column);
        let prepared = (raw.parse::<f64>().unwrap() - mean) / deviation;
        secrets.entry(node).or_default().push(number(&format!("{node}'s {column}"), raw, prepared, file));
    }
    let weight = "13.827164";
    let (_, weights) = files::read_csv(&cluster.path("bank/weights.csv"));
    let old = weights.iter().find(|w| w[0] == "bank.term_months").unwrap().join(",");
    cluster.replace("bank/weights.csv", &old, &format!("bank.term_months,{weight}"));
    let secret = number("the bank's weight", weight, weight.parse().unwrap(), "weights.csv");
    secrets.entry("bank").or_default().push(secret);
    for (node, key_file) in
        [("bank", "bank.key"), ("bureau", "bureau.key"), ("telecom", "telecom.key"), ("dealer", "dealer.key")]
    {
        let needles = binary(&key_seed(&cluster.path(&format!("{node}/{key_file}"))));
        let secret = Secret { what: format!("{node}'s private key"), needles, may_hold: vec![key_file] };
        secrets.entry(node).or_default().push(secret);
    }
    secrets
}

/// Moves every node's folder to a place of its own, so that none can need what lies beside it.
fn scatter(cluster: &Cluster) -> Vec<(String, tempfile::TempDir)> {
    let move_away = |node: &str| {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("node");
        files::copy_folder(&cluster.path(node), &folder);
        std::fs::remove_dir_all(cluster.path(node)).unwrap();
        (node.to_owned(), place)
    };
    cluster.nodes().into_iter().map(move_away).collect()
}

/// Everything that a node left: its files by relative path, and what it said.
fn traces(folder: &Path, stdout: &str, stderr: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files::all_files(folder).into_iter();
    let read = |f: PathBuf| (f.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&f).unwrap());
    let said = [("(stdout)", stdout), ("(stderr)", stderr)];
    files.map(read).chain(said.map(|(name, text)| (name.into(), text.as_bytes().to_vec()))).collect()
}

#[test]
fn no_process_writes_or_says_what_belongs_to_another() {
    for json in [true, false] {
        let cluster = Cluster::new(SUBROSA, 3, 40);
        let secrets = plant(&cluster);
        let places = scatter(&cluster);
        let start = |(node, place): &(String, tempfile::TempDir)| {
            let config = place.path().join(format!("node/{node}.toml"));
            let mut args = if node == "dealer" { vec!["node", "--once"] } else { vec!["run"] };
            args.extend(json.then_some("--json"));
            args.extend(["--config", config.to_str().unwrap()]);
            Running::start(SUBROSA, node, &args)
        };
        let ended = finish_all(places.iter().map(start).collect(), DEADLINE);
        assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));

        let mut found_at_owner = 0;
        for ((node, place), said) in places.iter().zip(&ended) {
            let traces = traces(&place.path().join("node"), &said.stdout, &said.stderr);
            check_files(node, &traces);
            for (path, bytes) in &traces {
                for (owner, secret) in secrets.iter().flat_map(|(o, list)| list.iter().map(move |s| (o, s))) {
                    let allowed = node == owner && secret.may_hold.iter().any(|f| path == Path::new(f));
                    let found = secret.needles.iter().position(|needle| holds(bytes, needle));
                    found_at_owner += usize::from(allowed && found.is_some());
                    assert!(allowed || found.is_none(), "{} is in {} of {node}", secret.what, path.display());
                }
                let lists_people = ["bank.csv", "bureau.csv", "telecom.csv", "scores.csv"];
                let allowed = lists_people.iter().any(|f| path == Path::new(f));
                let found = binary(MARKED_ID.as_bytes()).iter().any(|needle| holds(bytes, needle));
                assert_eq!(allowed, found, "the marked id in {} of {node}", path.display());
            }
        }
        // Three values, a weight and four keys: the search does find them where they belong.
        assert_eq!(found_at_owner, 8);
    }
}

/// A node's folder holds what it should and nothing else.
fn check_files(node: &str, traces: &[(PathBuf, Vec<u8>)]) {
    let mut expected = vec![format!("{node}.key"), format!("{node}.pub"), format!("{node}.toml")];
    if node != "dealer" {
        expected.extend([format!("{node}.csv"), "scorecard.sbr".into()]);
    }
    if node == "bank" {
        expected.extend(["weights.csv".into(), "scores.csv".into()]);
    }
    for (path, _) in traces {
        let name = path.to_str().unwrap();
        let own = ["log/", "log-openings/", "log-witness/", "("];
        let known = own.iter().any(|folder| name.starts_with(folder));
        assert!(known || expected.iter().any(|e| e == name), "{node} has a file {name}");
    }
    for file in expected {
        assert!(traces.iter().any(|(path, _)| path == Path::new(&file)), "{node} has no {file}");
    }
}

#[test]
fn the_search_finds_every_encoding() {
    let secret = number("a number", "43.772193", 168.778_227, "x");
    for needle in &secret.needles {
        assert!(needle.len() >= 7, "{needle:?} would be found by chance");
    }
    let bytes = ((168.778_227_f64 * SCALE).round() as u64).to_le_bytes();
    for before in 0..3 {
        let text = STANDARD.encode([&b"abc"[..before], &bytes, b"tail"].concat());
        assert!(secret.needles.iter().any(|n| holds(text.as_bytes(), n)), "shifted by {before}: {text}");
    }
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert!(secret.needles.iter().any(|n| holds(format!("00{hex}ff").as_bytes(), n)));
    assert!(!secret.needles.iter().any(|n| holds(b"an innocent text of some length 43.77", n)));
}
