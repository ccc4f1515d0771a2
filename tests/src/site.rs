//! Two parties and a dealer that are configured with the sections that `subrosa train` prints.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::files;
use crate::process::{Ended, Running, finish_all, listing, run};

const DEALER: &str = "dealer";

/// Keys and ports of all nodes, in a folder.
pub struct Site {
    program: &'static str,
    dir: TempDir,
    parties: [&'static str; 2],
    ports: [u16; 3],
}

impl Site {
    /// Makes keys, and the dealer's configuration.
    #[must_use]
    pub fn new(program: &'static str, parties: [&'static str; 2]) -> Self {
        let dir = tempfile::Builder::new().prefix("subrosa-test-").tempdir().unwrap();
        let site = Self { program, dir, parties, ports: [0; 3].map(|_| files::free_port()) };
        for node in site.nodes() {
            std::fs::create_dir(site.path(node)).unwrap();
            let key = site.text_path(&format!("{node}/{node}.key"));
            let _made = run(program, &["keygen", &key]).succeeded();
        }
        let head = site.head(DEALER, 2, false);
        std::fs::write(site.config(DEALER), format!("{head}\n[log]\ndir = \"log\"\n")).unwrap();
        site
    }

    fn nodes(&self) -> [&'static str; 3] {
        [self.parties[0], self.parties[1], DEALER]
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The same as text.
    #[must_use]
    pub fn text_path(&self, relative: &str) -> String {
        self.path(relative).to_str().unwrap().to_owned()
    }

    fn config(&self, node: &str) -> String {
        self.text_path(&format!("{node}/{node}.toml"))
    }

    fn head(&self, node: &str, at: usize, with_addresses: bool) -> String {
        let mut text = format!(
            "name = \"{node}\"\nkey = \"{node}.key\"\nlisten = \"127.0.0.1:{}\"\nconnect_timeout_ms = 60000\n",
            self.ports[at]
        );
        for (party, port) in self.parties.iter().zip(self.ports) {
            let _infallible = write!(
                text,
                "\n[[party]]\nname = \"{party}\"\npublic_key_file = \"../{party}/{party}.pub\"\n"
            );
            if with_addresses {
                let _infallible = writeln!(text, "address = \"127.0.0.1:{port}\"");
            }
        }
        text
    }

    /// Runs `train` with these flags; its programs are written into the folder.
    #[must_use]
    pub fn train(&self, flags: &str) -> Value {
        let root = self.text_path("");
        let args = ["train", "--json", "--out", &root].into_iter().chain(flags.split_whitespace());
        run(self.program, &args.collect::<Vec<_>>()).succeeded().json()
    }

    /// Configures all parties for one of the programs, `train` or `score`. `fill` replaces what is to be filled in at a party.
    pub fn configure(&self, made: &Value, which: &str, fill: impl Fn(&str, &str) -> String) {
        for (at, party) in self.parties.into_iter().enumerate() {
            let sections = made["configurations"][at][which].as_str().unwrap();
            let job = format!(
                "[dealer]\nname = \"{DEALER}\"\naddress = \"127.0.0.1:{}\"\n\
                 public_key_file = \"../{DEALER}/{DEALER}.pub\"\n\n[log]\ndir = \"log\"\n\n\
                 [job]\npreprocessing = \"dealer\"",
                self.ports[2]
            );
            let filled = fill(party, sections);
            assert!(!filled.contains('…') && !filled.contains("FILE"), "{filled}");
            let filled = filled.replacen("[job]", &job, 1);
            std::fs::write(self.config(party), format!("{}\n{filled}", self.head(party, at, true))).unwrap();
        }
    }

    /// Runs all nodes to a good end; results of the parties in order.
    #[must_use]
    pub fn run_well(&self, within: Duration) -> Vec<Ended> {
        let start = |node: &&str| {
            let config = self.config(node);
            let command: &[&str] = if *node == DEALER { &["node", "--once"] } else { &["run"] };
            Running::start(self.program, node, &[command, &["--json", "--config", &config]].concat())
        };
        let ended = finish_all(self.nodes().iter().map(start).collect(), within);
        assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));
        ended
    }

    /// A column of a CSV file in the folder.
    #[must_use]
    pub fn column(&self, file: &str, column: &str) -> Vec<f64> {
        numbers(&self.path(file), column)
    }
}

/// A column of numbers of a CSV file.
#[must_use]
pub fn numbers(file: &Path, column: &str) -> Vec<f64> {
    let (header, rows) = files::read_csv(file);
    let at = header.iter().position(|h| h == column).unwrap_or_else(|| panic!("no {column} in {header:?}"));
    rows.iter().map(|r| r[at].parse().unwrap()).collect()
}
