//! What a bench reports: a figure per repetition, and medians.

use std::fmt::Write as _;

use serde::Serialize;

use super::link::LinkFigures;
use super::node::NodeReport;
use crate::job::report::Expected;
use crate::output::{Table, bytes};

/// See the module; scripts rely on these names.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// The workload.
    pub workload: &'static str,
    /// Computing parties.
    pub parties: usize,
    /// Where correlated randomness came from.
    pub preprocessing: &'static str,
    /// How correlated oblivious transfers were made, if they were.
    pub cot_extension: Option<&'static str>,
    /// Security model.
    pub security: &'static str,
    /// Kind of network.
    pub net: String,
    /// Sizes.
    pub shape: String,
    /// What the plan expected; nothing of products without truncation, which are no program.
    pub estimate: Option<Expected>,
    /// Every counted repetition.
    pub repeats: Vec<Figures>,
    /// Medians over the repetitions, each figure by itself.
    pub median: Figures,
}

/// Figures of one repetition.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// The computation, at the slowest party.
    pub online_ms: f64,
    /// All correlated randomness, until the last party has it.
    pub offline_ms: f64,
    /// Their sum.
    pub total_ms: f64,
    /// Exchanges.
    pub rounds: u64,
    /// Exchanges for correlated randomness.
    pub offline_rounds: u64,
    /// Payload bytes sent by the party that sends most.
    pub online_bytes_per_party: u64,
    /// Payload bytes of corrections at the party that receives most, or of messages for correlated randomness at the party that
    /// sends most.
    pub offline_bytes_per_party: u64,
    /// Bytes on the wire at the party with most, both directions, framing and encryption included.
    pub wire_bytes: u64,
    /// Largest memory of any process so far.
    pub peak_rss_mb: f64,
    /// Largest difference from the plaintext result.
    pub max_abs_error: f64,
    /// Of the network alone (`link`), at the slowest party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkFigures>,
}

impl Figures {
    /// Figures of repetition `index` from what all nodes measured.
    pub(super) fn of(nodes: &[NodeReport], index: usize) -> Self {
        let each = || nodes.iter().filter_map(move |n| n.repeats.get(index));
        let most = |f: fn(&super::node::Measured) -> u64| each().map(f).max().unwrap_or(0);
        let slowest = |f: fn(&super::node::Measured) -> f64| each().map(f).fold(0.0, f64::max);
        // The dealer's own time ends with the session, so the parties say when the randomness is there.
        let parties = || each().filter(|m| m.is_party);
        let offline_ms = parties().map(|m| m.offline_ms).fold(0.0, f64::max);
        let online_ms = slowest(|m| m.online_ms);
        Self {
            online_ms,
            offline_ms,
            total_ms: online_ms + offline_ms,
            rounds: most(|m| m.rounds),
            offline_rounds: most(|m| m.offline_rounds),
            online_bytes_per_party: most(|m| m.online_bytes),
            offline_bytes_per_party: most(|m| m.offline_bytes),
            wire_bytes: most(|m| m.wire_bytes),
            peak_rss_mb: nodes.iter().map(|n| n.peak_rss_mb).fold(0.0, f64::max),
            max_abs_error: slowest(|m| m.max_abs_error.unwrap_or(0.0)),
            link: each().filter_map(|m| m.link).reduce(|a, b| LinkFigures {
                round_us: a.round_us.max(b.round_us),
                gb_per_s: a.gb_per_s.min(b.gb_per_s),
            }),
        }
    }

    /// The median of every figure.
    pub(super) fn median(all: &[Self]) -> Self {
        let float = |f: fn(&Self) -> f64| median(all.iter().map(f).collect());
        let link =
            |f: fn(&LinkFigures) -> f64| median(all.iter().filter_map(|x| x.link.as_ref()).map(f).collect());
        let whole = |f: fn(&Self) -> u64| {
            let mut values: Vec<u64> = all.iter().map(f).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or(0)
        };
        Self {
            online_ms: float(|f| f.online_ms),
            offline_ms: float(|f| f.offline_ms),
            total_ms: float(|f| f.total_ms),
            rounds: whole(|f| f.rounds),
            offline_rounds: whole(|f| f.offline_rounds),
            online_bytes_per_party: whole(|f| f.online_bytes_per_party),
            offline_bytes_per_party: whole(|f| f.offline_bytes_per_party),
            wire_bytes: whole(|f| f.wire_bytes),
            peak_rss_mb: float(|f| f.peak_rss_mb),
            max_abs_error: float(|f| f.max_abs_error),
            link: all
                .iter()
                .any(|f| f.link.is_some())
                .then(|| LinkFigures { round_us: link(|l| l.round_us), gb_per_s: link(|l| l.gb_per_s) }),
        }
    }
}

/// The middle one, or the upper of the two; nothing of nothing is 0.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

impl BenchReport {
    /// The report for people.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = format!(
            "{} {}: {} parties, {} preprocessing, {}, {}\n",
            self.workload,
            self.shape,
            self.parties,
            self.cot_extension.unwrap_or(self.preprocessing),
            self.security,
            self.net
        );
        let mut table = Table::new(&[
            "",
            ">offline ms",
            ">online ms",
            ">total ms",
            ">rounds",
            ">online bytes",
            ">offline bytes",
            ">MB",
            ">largest error",
        ]);
        let rows = self.repeats.iter().enumerate().map(|(i, f)| ((i + 1).to_string(), f));
        for (name, f) in rows.chain([("median".to_owned(), &self.median)]) {
            table.row([
                name,
                format!("{:.1}", f.offline_ms),
                format!("{:.1}", f.online_ms),
                format!("{:.1}", f.total_ms),
                f.rounds.to_string(),
                bytes(f.online_bytes_per_party),
                bytes(f.offline_bytes_per_party),
                format!("{:.0}", f.peak_rss_mb),
                format!("{:.1e}", f.max_abs_error),
            ]);
        }
        out.push_str(&table.render(2));
        if let Some(link) = &self.median.link {
            let _infallible = writeln!(
                out,
                "  64-byte round {:.1} us, large rounds {:.3} GB/s each way at once",
                link.round_us, link.gb_per_s
            );
        }
        if let Some(expected) = &self.estimate {
            let Expected { offline_ms, online_ms, .. } = expected;
            let _infallible = writeln!(
                out,
                "  plan, about {offline_ms:.1} ms offline, {online_ms:.1} ms online, {:.1} ms in all",
                offline_ms + online_ms
            );
        }
        out
    }
}
