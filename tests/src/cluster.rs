//! A set of nodes that can be started one by one: what `demo loan-scoring --keep` leaves behind, without its results.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::files;
use crate::process::{DEADLINE, Ended, Running, finish_all, listing, run};

/// Name of the helper that makes correlated randomness.
pub const DEALER: &str = "dealer";

/// Keys, configurations and data of parties and a dealer in a temporary folder, one folder per node.
pub struct Cluster {
    program: &'static str,
    dir: TempDir,
    parties: Vec<String>,
    has_dealer: bool,
}

impl Cluster {
    /// Lets the demo make everything, then takes away the logs and scores of its run.
    #[must_use]
    pub fn new(program: &'static str, parties: usize, rows: usize) -> Self {
        let (n, rows) = (parties.to_string(), rows.to_string());
        let args = ["--parties", &n, "--rows", &rows, "--preprocessing", "dealer"];
        let cluster = Self::of_demo(program, &args);
        assert_eq!(cluster.parties.len(), parties);
        cluster
    }

    /// As [`Self::new`], without a dealer: the parties make their correlated randomness.
    #[must_use]
    pub fn without_dealer(program: &'static str, parties: usize, rows: usize) -> Self {
        let (n, rows) = (parties.to_string(), rows.to_string());
        let cluster = Self::of_demo(program, &["--parties", &n, "--rows", &rows, "--preprocessing", "ot"]);
        assert!(cluster.parties.len() == parties && !cluster.has_dealer);
        cluster
    }

    /// The same with the files in `data`, which stay where they are, for the demo's `--data`.
    #[must_use]
    pub fn of_files(program: &'static str, data: &Path) -> Self {
        Self::of_demo(program, &["--data", data.to_str().unwrap(), "--preprocessing", "dealer"])
    }

    fn of_demo(program: &'static str, what: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("subrosa-test-").tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        let args = [&["demo", "loan-scoring", "--json", "--keep", root], what].concat();
        let report = run(program, &args).succeeded().json();
        let logs = report["logs"].as_array().unwrap();
        let names: Vec<String> = logs.iter().map(|l| l["party"].as_str().unwrap().to_owned()).collect();
        let has_dealer = names.iter().any(|n| n == DEALER);
        let parties = names.into_iter().filter(|n| n != DEALER).collect();
        let cluster = Self { program, parties, has_dealer, dir };
        for node in cluster.nodes() {
            for results in ["log", "log-openings", "log-witness"] {
                let folder = cluster.path(&format!("{node}/{results}"));
                if folder.is_dir() {
                    std::fs::remove_dir_all(folder).unwrap();
                }
            }
        }
        std::fs::remove_file(cluster.scores()).unwrap();
        let configs: Vec<PathBuf> = cluster.nodes().iter().map(|n| cluster.config(n).into()).collect();
        files::move_to_free_ports(&configs);
        cluster
    }

    /// Parties in order; the first one learns the scores.
    #[must_use]
    pub fn parties(&self) -> Vec<&str> {
        self.parties.iter().map(String::as_str).collect()
    }

    /// Parties in order, then the dealer if there is one.
    #[must_use]
    pub fn nodes(&self) -> Vec<&str> {
        self.parties().into_iter().chain(self.has_dealer.then_some(DEALER)).collect()
    }

    /// The folder of everything.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the folder, such as `bank/bank.csv`; an absolute path is left as it is.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The same as text, for a command line.
    #[must_use]
    pub fn text_path(&self, relative: &str) -> String {
        self.path(relative).to_str().unwrap().to_owned()
    }

    /// A node's configuration.
    #[must_use]
    pub fn config(&self, node: &str) -> String {
        self.text_path(&format!("{node}/{node}.toml"))
    }

    /// Where the first party writes its scores.
    #[must_use]
    pub fn scores(&self) -> PathBuf {
        self.path(&format!("{}/scores.csv", self.parties[0]))
    }

    /// Changes a file; the change must change something.
    pub fn edit(&self, relative: &str, change: impl FnOnce(&str) -> String) {
        files::edit(&self.path(relative), change);
    }

    /// Replaces the first occurrence of `from` in a file.
    pub fn replace(&self, relative: &str, from: &str, to: &str) {
        self.edit(relative, |text| text.replacen(from, to, 1));
    }

    /// Sets how long all nodes wait for each other.
    pub fn connect_timeout(&self, milliseconds: u64) {
        for node in self.nodes() {
            self.edit(&format!("{node}/{node}.toml"), |text| {
                let set = |line: &str| match line.starts_with("connect_timeout_ms") {
                    true => format!("connect_timeout_ms = {milliseconds}\n"),
                    false => format!("{line}\n"),
                };
                text.lines().map(set).collect()
            });
        }
    }

    /// Starts a node from its configuration, with or without `--json`.
    #[must_use]
    pub fn start_with(&self, node: &str, json: bool) -> Running {
        let config = self.config(node);
        let mut args =
            if node == DEALER { vec!["node", "--once", "--config"] } else { vec!["run", "--config"] };
        args.push(&config);
        args.extend(json.then_some("--json"));
        Running::start(self.program, node, &args)
    }

    /// Starts a node from its configuration with `--json`.
    #[must_use]
    pub fn start(&self, node: &str) -> Running {
        self.start_with(node, true)
    }

    /// Starts the first party, and waits until it has made ready every place that it will write to. It has met nobody then.
    #[must_use]
    pub fn start_until_ready(&self) -> Running {
        let mut first = self.start(&self.parties[0]);
        let reserved = self.scores().with_added_extension("sbr-tmp");
        let by = Instant::now() + DEADLINE;
        while !reserved.exists() {
            assert!(Instant::now() < by, "not ready at its deadline");
            assert!(
                !first.ends_before(Instant::now() + Duration::from_millis(2)),
                "it ended before it was ready"
            );
        }
        first
    }

    /// Runs all parties and a dealer that is ended when the parties have ended; the parties' results in order.
    #[must_use]
    pub fn run_parties(&self, within: Duration) -> Vec<Ended> {
        let _dealer = self.start(DEALER);
        finish_all(self.parties().into_iter().map(|p| self.start(p)).collect(), within)
    }

    /// Runs all nodes to a good end; results of the parties in order, then of the dealer.
    #[must_use]
    pub fn run_well(&self, within: Duration) -> Vec<Ended> {
        let ended = finish_all(self.nodes().into_iter().map(|n| self.start(n)).collect(), within);
        assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));
        ended
    }

    /// Runs the program with these arguments to its end.
    #[must_use]
    pub fn subrosa(&self, args: &[&str]) -> Ended {
        run(self.program, args)
    }

    /// `log verify --json` of these nodes' logs.
    #[must_use]
    pub fn verify(&self, nodes: &[&str]) -> Value {
        let logs: Vec<String> = nodes.iter().map(|n| self.text_path(&format!("{n}/log"))).collect();
        let logs = logs.iter().map(String::as_str);
        let args: Vec<&str> = ["log", "verify", "--json"].into_iter().chain(logs).collect();
        let ended = self.subrosa(&args);
        let report = ended.json();
        assert_eq!(ended.code, Some(i32::from(report["ok"] != true)), "{ended}");
        report
    }
}
