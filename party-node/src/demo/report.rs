//! What the demo tells: one object for scripts, a story for people.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::check::Applicant;
use super::layout::DEALER;
use super::scenario::Scenario;
use crate::data::TableSource;
use crate::metrics::Discrimination;
use crate::output::{Table, bytes, count};
use crate::scorecard::Bands;

/// The demo's result; scripts rely on the names up to `verified`.
#[derive(Debug, Serialize)]
pub struct DemoReport {
    /// Number of computing parties.
    pub parties: usize,
    /// Applicants scored.
    pub rows: usize,
    /// Where correlated randomness came from.
    pub preprocessing: String,
    /// Security model in one line.
    pub security: String,
    /// Area under the ROC curve against outcomes, where they are known.
    pub auc: Option<f64>,
    /// Kolmogorov–Smirnov distance, likewise.
    pub ks: Option<f64>,
    /// Largest difference from the plaintext model's probability.
    pub max_abs_error: f64,
    /// Exchanges.
    pub rounds: u64,
    /// Online payload bytes of the party that sends most.
    pub online_bytes_per_party: u64,
    /// Payload bytes of corrections of the party that receives most.
    pub offline_bytes_per_party: u64,
    /// The network between the processes.
    pub net: String,
    /// What the plan expected of `compute` on it, in seconds.
    pub estimated_seconds: f64,
    /// From starting the processes to the last one's end.
    pub seconds: f64,
    /// Every node's log.
    pub logs: Vec<LogLine>,
    /// Whether all logs verified, alone and against each other.
    pub verified: bool,
    /// `2·AUC − 1`.
    pub gini: Option<f64>,
    /// Share of bad outcomes.
    pub bad_rate: Option<f64>,
    /// AUC of the first party's own columns alone, where the demo fitted such a model.
    pub auc_bank_alone: Option<f64>,
    /// Decisions.
    pub bands: Bands,
    /// Bytes on the wire at the first party, framing and QUIC included.
    pub wire_bytes: u64,
    /// The largest resident memory of every node's process in MiB, where the system says it.
    #[serde(serialize_with = "as_object")]
    pub peak_rss_mb: Vec<(String, Option<f64>)>,
    /// Seconds per phase at the first party, and of the demo's own steps.
    #[serde(serialize_with = "as_object")]
    pub phases: Vec<(String, f64)>,
    /// Where everything was kept, if it was.
    pub kept: Option<PathBuf>,
}

/// Names to figures, in their order.
fn as_object<S: serde::Serializer, T: Serialize>(figures: &[(String, T)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(figures.iter().map(|(name, figure)| (name, figure)))
}

/// A verified log.
#[derive(Debug, Serialize)]
pub struct LogLine {
    /// Whose.
    pub party: String,
    /// Folder.
    pub path: PathBuf,
    /// Entries.
    pub size: u64,
    /// Root hash as in the checkpoint.
    pub root: String,
}

impl DemoReport {
    /// Fills in what is known against outcomes.
    pub fn set_discrimination(&mut self, d: Option<Discrimination>) {
        self.auc = d.map(|d| d.auc);
        self.gini = d.map(|d| d.gini);
        self.ks = d.map(|d| d.ks);
        self.bad_rate = d.map(|d| d.bad_rate);
    }

    /// The story for people.
    #[must_use]
    pub fn render(&self, scenario: &Scenario, applicants: &[Applicant]) -> String {
        let bank = &scenario.parties[0].name;
        let mut out = String::new();
        let mut say = |line: String| {
            out.push_str(&line);
            out.push('\n');
        };
        say(format!("Joint loan scoring: {} parties, {} applicants", self.parties, count(self.rows as u64)));
        say(format!("Data: {}\n", scenario.origin));
        say("Who contributed what (values stayed with their owner)".into());
        say(self.contributions(scenario));
        say(format!("What {bank} sees ({} of {} applicants)", applicants.len(), count(self.rows as u64)));
        say(applicant_table(applicants));
        let b = &self.bands;
        let all = self.rows.max(1) as f64;
        say(format!(
            "  decisions: {} approve ({:.0}%), {} refer ({:.0}%), {} decline ({:.0}%)\n",
            count(b.approve),
            100.0 * b.approve as f64 / all,
            count(b.refer),
            100.0 * b.refer as f64 / all,
            count(b.decline),
            100.0 * b.decline as f64 / all
        ));
        say("What the others see".into());
        say(self.what_others_see(scenario));
        say("How good and how exact the scores are".into());
        say(self.quality(bank));
        say("What it cost".into());
        say(self.cost());
        say("Security".into());
        say(self.security_notes(bank));
        say("Transcript logs".into());
        say(self.log_table());
        if let Some(kept) = &self.kept {
            say(kept_note(kept, scenario));
        }
        out
    }

    fn contributions(&self, scenario: &Scenario) -> String {
        let mut table = Table::new(&["party", "columns", "also"]);
        for (index, member) in scenario.parties.iter().enumerate() {
            let also = match (index, &scenario.label) {
                (0, Some(label)) => {
                    format!("secret weights; outcomes `{}` (never shared)", label.column)
                }
                (0, None) => "secret weights".into(),
                _ => String::new(),
            };
            table.row([member.name.clone(), summary(&member.table), also]);
        }
        table.row([DEALER, "none", "correlated randomness only"]);
        table.render(2)
    }

    fn what_others_see(&self, scenario: &Scenario) -> String {
        let mut table = Table::new(&["", ""]);
        for member in &scenario.parties[1..] {
            table.row([member.name.as_str(), "no score, no weight, no column of another party"]);
        }
        table.row([
            DEALER,
            "no data and no shares of data: the shapes of the computation, its own randomness, the parties' logs",
        ]);
        table.render(2).trim_start_matches('\n').to_owned()
    }

    fn quality(&self, bank: &str) -> String {
        let mut table = Table::new(&["", ""]);
        if let (Some(auc), Some(gini), Some(ks), Some(bad)) = (self.auc, self.gini, self.ks, self.bad_rate) {
            table.row([
                "AUC / Gini / KS",
                &format!("{auc:.4} / {gini:.4} / {ks:.4} ({:.1}% bad)", 100.0 * bad),
            ]);
        }
        if let Some(alone) = self.auc_bank_alone {
            table.row([format!("AUC of {bank}'s columns alone"), format!("{alone:.4}")]);
        }
        table.row([
            "largest difference from plaintext",
            &format!("{:.1e} in probability", self.max_abs_error),
        ]);
        table.render(2).trim_start_matches('\n').to_owned()
    }

    fn cost(&self) -> String {
        let mut table = Table::new(&["", ""]);
        table.row(["rounds", &count(self.rounds)]);
        table.row(["online, per party", &bytes(self.online_bytes_per_party)]);
        let offline = match self.preprocessing.as_str() {
            "dealer" => "offline (from the dealer)",
            _ => "offline, per party",
        };
        table.row([offline, &bytes(self.offline_bytes_per_party)]);
        table.row(["on the wire, QUIC included", &bytes(self.wire_bytes)]);
        let phases: Vec<String> = self.phases.iter().map(|(n, s)| format!("{n} {s:.2}")).collect();
        let estimate = format!("about {:.3} s on {}", self.estimated_seconds, self.net);
        table.row(["seconds", &format!("{:.2} ({})", self.seconds, phases.join(", "))]);
        table.row(["compute, by plan", &estimate]);
        let peaks = self.peak_rss_mb.iter().filter_map(|(n, mb)| mb.map(|mb| format!("{n} {mb:.0} MB")));
        table.row(["peak memory", &peaks.collect::<Vec<_>>().join(", ")]);
        table.render(2).trim_start_matches('\n').to_owned()
    }

    fn security_notes(&self, bank: &str) -> String {
        let mut out = format!("  {}\n", self.security);
        let _infallible = write!(
            out,
            "  Not hidden: {bank} chooses the secret weights, and so chooses the function. With weights that are zero but\n  \
             for one it would read out a partner's column. The weights' blinded commitment is in every run's log.\n  \
             Row and column counts, names and timing are known to all parties{}.\n",
            if self.preprocessing == "dealer" { " and the dealer" } else { "" }
        );
        out
    }

    fn log_table(&self) -> String {
        let mut table = Table::new(&["log", ">entries", "root"]);
        for log in &self.logs {
            table.row([log.party.clone(), count(log.size), log.root.clone()]);
        }
        let verdict = if self.verified {
            "verified offline: signatures, trees, and what each says it sent is what the other says it received"
        } else {
            "NOT verified: see `subrosa log verify`"
        };
        format!("{}  {verdict}\n", table.render(2))
    }
}

fn applicant_table(applicants: &[Applicant]) -> String {
    let mut table = Table::new(&["applicant", ">probability", ">points", "decision"]);
    for a in applicants {
        table.row([a.id.clone(), format!("{:.4}", a.probability), a.points.clone(), a.decision.clone()]);
    }
    table.render(2).trim_end().to_owned()
}

/// The first columns by name, the rest by number.
fn summary(table: &TableSource) -> String {
    const SHOWN: usize = 5;
    let named = |column: &String| match table.one_hot.codes(column) {
        Some(codes) => format!("{column} ({} codes)", codes.len()),
        None => column.clone(),
    };
    let mut text = table.columns.iter().take(SHOWN).map(named).collect::<Vec<_>>().join(", ");
    if table.columns.len() > SHOWN {
        let _infallible = write!(text, " and {} more", table.columns.len() - SHOWN);
    }
    text
}

fn kept_note(kept: &std::path::Path, scenario: &Scenario) -> String {
    let mut out = format!("Kept in {}. To run it again by hand, one terminal each:\n", kept.display());
    let config = |name: &str| kept.join(name).join(format!("{name}.toml"));
    let _infallible = writeln!(out, "  subrosa node --config {}", config(DEALER).display());
    for member in &scenario.parties {
        let _infallible = writeln!(out, "  subrosa run --config {}", config(&member.name).display());
    }
    let logs: Vec<String> = scenario
        .parties
        .iter()
        .map(|m| m.name.as_str())
        .chain([DEALER])
        .map(|n| kept.join(n).join("log").display().to_string())
        .collect();
    let _infallible = writeln!(out, "  subrosa log verify {}", logs.join(" "));
    out
}
