//! Marked secrets, and the search for them in everything that nodes leave behind and say.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cluster::Cluster;
use crate::files;
use crate::process::Ended;

/// Fraction bits of the demo's programs.
const SCALE: f64 = 65_536.0;
/// A search looks for as many bytes at once; nothing shorter would be told from chance anyway.
const PREFIX: usize = 4;
/// Names of what a process said, among the traces of its node.
const SAID: [&str; 2] = ["(stdout)", "(stderr)"];

/// Something secret, and where it may be.
pub struct Secret {
    /// For messages.
    pub what: String,
    owners: Vec<String>,
    needles: Vec<Vec<u8>>,
    /// Files of an owner, relative to its folder.
    files: Vec<String>,
    may_be_said: bool,
}

impl Secret {
    fn new(owners: &[&str], what: String, needles: Vec<Vec<u8>>, files: &[&str]) -> Self {
        let own = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
        Self { what, owners: own(owners), needles, files: own(files), may_be_said: false }
    }

    /// A number as its raw text, as the prepared value, and both in binary.
    #[must_use]
    pub fn number(owner: &str, what: &str, raw: &str, prepared: f64, file: &str) -> Self {
        let fixed = (prepared * SCALE).round() as i64;
        assert!(fixed.unsigned_abs() > 1 << 16, "{what}: too small to be recognised");
        let decimals: String = prepared.to_string().chars().take(8).collect();
        let mut needles = vec![raw.as_bytes().to_vec(), decimals.into_bytes()];
        for bits in [fixed as u64, prepared.to_bits(), raw.parse::<f64>().unwrap().to_bits()] {
            for bytes in [bits.to_le_bytes(), bits.to_be_bytes()] {
                needles.extend(binary(&bytes));
            }
        }
        assert!(needles.iter().all(|n| n.len() >= 7), "{what}: would be found by chance");
        Self::new(&[owner], format!("{owner}'s {what}"), needles, &[file])
    }

    /// A text of seven characters or more.
    #[must_use]
    pub fn text(owners: &[&str], what: &str, text: &str, files: &[&str]) -> Self {
        assert!(text.len() >= 7, "{text} would be found by chance");
        Self::new(owners, format!("{}'s {what}", owners.join("' and ")), binary(text.as_bytes()), files)
    }

    /// The secret half of a key file; already eight bytes of it are too much.
    #[must_use]
    pub fn key(owner: &str, path: &Path, file: &str) -> Self {
        let seed = key_seed(path);
        let needles = seed.windows(8).flat_map(binary).collect();
        Self::new(&[owner], format!("{owner}'s private key"), needles, &[file])
    }

    /// The same secret, in a place where none of the files are in which it may be.
    #[must_use]
    pub fn nowhere(&self) -> Self {
        let (what, owners, needles) = (self.what.clone(), self.owners.clone(), self.needles.clone());
        Self { what, owners, needles, files: Vec::new(), may_be_said: false }
    }

    /// The same, where the owner's own process may name it on its own terminal: that is the point of the message.
    #[must_use]
    pub fn that_may_be_said(self) -> Self {
        Self { may_be_said: true, ..self }
    }

    fn may_be_in(&self, node: &str, path: &Path) -> bool {
        let is_said = SAID.iter().any(|s| path == Path::new(s));
        let allowed =
            if is_said { self.may_be_said } else { self.files.iter().any(|f| path == Path::new(f)) };
        allowed && self.owners.iter().any(|o| o == node)
    }
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
        let standard = &text.as_bytes()[first..last];
        forms.push(standard.to_vec());
        forms.push(
            standard
                .iter()
                .map(|b| {
                    if *b == b'+' {
                        b'-'
                    } else if *b == b'/' {
                        b'_'
                    } else {
                        *b
                    }
                })
                .collect(),
        );
    }
    forms
}

/// The 32 secret bytes of a key file.
fn key_seed(path: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|l| !l.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap();
    der[der.len() - 32..].to_vec()
}

/// Looks for all needles of all secrets at once.
pub struct Search<'a> {
    secrets: &'a [Secret],
    index: HashMap<[u8; PREFIX], Vec<(usize, &'a [u8])>>,
}

impl<'a> Search<'a> {
    /// Prepares the search.
    #[must_use]
    pub fn new(secrets: &'a [Secret]) -> Self {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        for (i, secret) in secrets.iter().enumerate() {
            for needle in &secret.needles {
                let prefix = std::array::from_fn(|k| needle[k]);
                index.entry(prefix).or_default().push((i, &needle[..]));
            }
        }
        Self { secrets, index }
    }

    /// Which secrets are in `bytes`, in whatever form.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for (at, prefix) in bytes.windows(PREFIX).enumerate() {
            let candidates = self.index.get(prefix).into_iter().flatten();
            found.extend(candidates.filter(|(_, n)| bytes[at..].starts_with(n)).map(|(i, _)| *i));
        }
        found
    }

    /// Panics if a node has what it must not have. Gives the secrets that are where they may be.
    pub fn check(&self, node: &str, traces: &[Trace], scene: &str) -> BTreeSet<usize> {
        let mut at_owner = BTreeSet::new();
        for trace in traces {
            for i in self.find(&trace.bytes) {
                let secret = &self.secrets[i];
                let path = trace.path.display();
                let shown = String::from_utf8_lossy(&trace.bytes);
                assert!(
                    secret.may_be_in(node, &trace.path),
                    "{scene}: {} is in {path} of {node}: {}",
                    secret.what,
                    shown.chars().take(2_000).collect::<String>()
                );
                at_owner.insert(i);
            }
        }
        at_owner
    }

    /// Panics if a process said any of the secrets, whoever owns them.
    pub fn check_silence(&self, ended: &Ended) {
        let found = self.find(format!("{}\n{}", ended.stdout, ended.stderr).as_bytes());
        assert!(found.is_empty(), "{}: {ended}", self.secrets[*found.iter().next().unwrap_or(&0)].what);
    }
}

/// Something that a node left: a file by relative path, or what its process said.
pub struct Trace {
    /// Relative to the node's folder; in brackets for a stream.
    pub path: PathBuf,
    bytes: Vec<u8>,
}

/// Everything that a node left, and what its process said.
#[must_use]
pub fn traces(folder: &Path, said: &Ended) -> Vec<Trace> {
    let read = |file: PathBuf| Trace {
        path: file.strip_prefix(folder).unwrap().to_owned(),
        bytes: std::fs::read(&file).unwrap(),
    };
    let streams = [&said.stdout, &said.stderr];
    let said = SAID
        .iter()
        .zip(streams)
        .map(|(name, text)| Trace { path: name.into(), bytes: text.clone().into_bytes() });
    files::all_files(folder).into_iter().map(read).chain(said).collect()
}

/// Mean and standard deviation of a column as a configuration gives them.
fn scaling(cluster: &Cluster, node: &str, column: &str) -> (f64, f64) {
    let text = std::fs::read_to_string(cluster.config(node)).unwrap();
    let line = text.lines().find(|l| l.starts_with(&format!("{column} = {{"))).unwrap().to_owned();
    let mut figures = line.split(['=', ',', '}']).filter_map(|part| part.trim().parse::<f64>().ok());
    (figures.next().unwrap(), figures.next().unwrap())
}

/// An id that no customer of the demo has.
pub const MARKED_ID: &str = "QZX-77-MARKED";
/// The row that has it, below the header.
pub const MARKED_ROW: usize = 7;

/// Marks one value of every column of every party, every weight, an outcome file of the first party, and an id of all
/// parties; adds the keys of all nodes.
#[must_use]
pub fn plant(cluster: &Cluster) -> Vec<Secret> {
    let mut secrets = Vec::new();
    let parties = cluster.parties();
    for (p, party) in parties.iter().enumerate() {
        let file = format!("{party}.csv");
        let path = cluster.path(&format!("{party}/{file}"));
        files::set_cell(&path, MARKED_ROW, "customer_id", MARKED_ID);
        let (header, _) = files::read_csv(&path);
        for (c, column) in
            header.iter().enumerate().filter(|(_, c)| !["customer_id", "defaulted"].contains(&c.as_str()))
        {
            // Odd digits, a few deviations from the mean, no two alike.
            let (mean, deviation) = scaling(cluster, party, column);
            let offset = 2.137_193 + 0.731_357 * c as f64 + 0.113_579 * p as f64;
            let raw = format!("{:.6}", mean + deviation * offset);
            let prepared = (raw.parse::<f64>().unwrap() - mean) / deviation;
            files::set_cell(&path, MARKED_ROW + c, column, &raw);
            secrets.push(Secret::number(party, column, &raw, prepared, &file));
        }
    }
    let first = parties[0];
    let path = cluster.path(&format!("{first}/weights.csv"));
    let (header, mut weights) = files::read_csv(&path);
    for (w, row) in weights.iter_mut().enumerate() {
        row[1] = format!("{:.6}", 1.371_913 + 0.417_151 * w as f64);
        secrets.push(Secret::number(
            first,
            &format!("weight of {}", row[0]),
            &row[1],
            row[1].parse().unwrap(),
            "weights.csv",
        ));
    }
    files::write_csv(&path, &header, &weights);
    secrets.push(plant_outcomes(cluster, first));
    let tables: Vec<String> = parties.iter().map(|p| format!("{p}.csv")).collect();
    let lists: Vec<&str> = tables.iter().map(String::as_str).chain(["scores.csv", "outcomes.csv"]).collect();
    secrets.push(Secret::text(&parties, "marked customer", MARKED_ID, &lists));
    for node in cluster.nodes() {
        let file = format!("{node}.key");
        secrets.push(Secret::key(node, &cluster.path(&format!("{node}/{file}")), &file));
    }
    secrets
}

/// Moves the outcomes to a file of their own, beside a column of remarks.
fn plant_outcomes(cluster: &Cluster, first: &str) -> Secret {
    const REMARK: &str = "remark-88213-wxq";
    let table = cluster.path(&format!("{first}/{first}.csv"));
    let (header, rows) = files::read_csv(&table);
    let label = header.iter().position(|c| c == "defaulted").unwrap();
    let outcomes: Vec<Vec<String>> =
        rows.iter().map(|r| vec![r[0].clone(), r[label].clone(), REMARK.to_owned()]).collect();
    let names = ["customer_id", "defaulted", "remark"].map(str::to_owned);
    files::write_csv(&cluster.path(&format!("{first}/outcomes.csv")), &names, &outcomes);
    cluster.edit(&format!("{first}/{first}.toml"), |text| {
        let line = text.lines().find(|l| l.starts_with("outcomes = ")).unwrap();
        text.replace(line, &line.replace(&format!("{first}.csv"), "outcomes.csv"))
    });
    Secret::text(&[first], "remarks on outcomes", REMARK, &["outcomes.csv"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_every_encoding() {
        let prepared = 168.778_227;
        let secrets = [Secret::number("a", "number", "43.772193", prepared, "x")];
        let search = Search::new(&secrets);
        let bytes = ((prepared * SCALE).round() as u64).to_le_bytes();
        for before in 0..3 {
            let text = STANDARD.encode([&b"abc"[..before], &bytes, b"tail"].concat());
            assert!(!search.find(text.as_bytes()).is_empty(), "shifted by {before}: {text}");
        }
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        for text in [
            &format!("00{hex}ff").into_bytes(),
            &bytes.to_vec(),
            &reversed,
            &b"at 43.772193, 168.778227".to_vec(),
        ] {
            assert!(!search.find(text).is_empty(), "{text:?}");
        }
        assert!(search.find(b"an innocent text of some length 43.77, 168.77").is_empty());
    }

    #[test]
    fn a_secret_may_be_at_its_owners_and_nowhere_else() {
        let secret = Secret::text(&["bank"], "word", "marked-word", &["bank.csv"]);
        let allowed = |s: &Secret, node: &str, path: &str| s.may_be_in(node, Path::new(path));
        assert!(allowed(&secret, "bank", "bank.csv"));
        for (node, path) in [("bureau", "bank.csv"), ("bank", "log/checkpoint"), ("bank", "(stderr)")] {
            assert!(!allowed(&secret, node, path), "{node} {path}");
        }
        let secret = secret.that_may_be_said();
        assert!(allowed(&secret, "bank", "(stderr)") && !allowed(&secret, "bureau", "(stderr)"));
    }
}
