//! What a finished run reports. The shared fields of `run --json` and `plan --json` have the same names, and a test
//! holds that they are equal.

use std::fmt::Write as _;
use std::path::PathBuf;

use ml_ops::{PlannedOp, Program};
use mpc_core::checkpoint::Checkpoint;
use protocols::prep::Provider;
use serde::Serialize;

use super::heads::Witnessed;
use super::outputs::{OutputWritten, ScoreReport};
use super::store::FromStore;
use crate::config::{Net, NodeConfig};
use crate::output::{bytes, count};

/// A party's finished run.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// This party.
    pub party: String,
    /// Names of all parties, in order.
    pub parties: Vec<String>,
    /// Name of the program.
    pub program: String,
    /// Its digest, in hexadecimal.
    pub program_digest: String,
    /// Session id, in hexadecimal.
    pub session: String,
    /// The security model in one line.
    pub security: String,
    /// Where correlated randomness came from.
    pub preprocessing: String,
    /// The copy that was used, where it was made ahead.
    pub from_store: Option<FromStore>,
    /// Exchanges made.
    pub rounds: u64,
    /// Payload bytes sent online: the largest over the parties, as planned and as measured here.
    pub online_bytes_per_party: u64,
    /// Payload bytes of corrections from the dealer: the largest over the parties.
    pub offline_bytes_per_party: u64,
    /// Payload bytes that this party itself sent online.
    pub own_online_bytes: u64,
    /// Payload bytes of corrections that this party itself received.
    pub own_offline_bytes: u64,
    /// Bytes on the wire in both directions, framing and QUIC included.
    pub wire_bytes: u64,
    /// The largest resident memory of the process, in MiB, where the system says it.
    pub peak_rss_mb: Option<f64>,
    /// Cost per operation; this party's share of it was measured and is as planned.
    pub ops: Vec<PlannedOp>,
    /// Where the time went.
    pub seconds: Seconds,
    /// What the plan expected of `compute`.
    pub estimate: Expected,
    /// Files written.
    pub outputs: Vec<OutputWritten>,
    /// What the scores mean, at the party that has a scorecard.
    pub scorecard: Option<ScoreReport>,
    /// Who cosigned this node's log.
    pub witnessed: Witnessed,
    /// This node's log after the run.
    pub log: LogHead,
}

/// What a plan says of the time on one network.
#[derive(Clone, Debug, Serialize)]
pub struct Expected {
    /// The network.
    pub net: String,
    /// Correlated randomness, if nothing overlaps.
    pub offline_ms: f64,
    /// The computation itself.
    pub online_ms: f64,
}

impl Expected {
    /// For people.
    pub(crate) fn render(&self) -> String {
        let (offline, online) = (self.offline_ms / 1e3, self.online_ms / 1e3);
        format!("about {:.3} s on {} (online {online:.3}, offline {offline:.3})", offline + online, self.net)
    }

    pub(crate) fn of(program: &Program, provider: Provider, net: Net) -> Self {
        let (round_ms, bytes_per_second) = net.nominal();
        let estimate = program.estimate(provider, round_ms, bytes_per_second);
        Self { net: net.to_string(), offline_ms: estimate.offline_ms, online_ms: estimate.online_ms }
    }
}

/// Seconds per phase.
#[derive(Copy, Clone, Debug, Default, Serialize)]
pub struct Seconds {
    /// Reading, filling, standardising.
    pub prepare: f64,
    /// Waiting for peers and agreeing on the session.
    pub connect: f64,
    /// The computation.
    pub compute: f64,
    /// Writing results, closing the session and the log.
    pub finish: f64,
    /// All of it.
    pub total: f64,
}

/// The head of a node's log.
#[derive(Clone, Debug, Serialize)]
pub struct LogHead {
    /// Whose log.
    pub party: String,
    /// Folder.
    pub path: PathBuf,
    /// Entries.
    pub size: u64,
    /// Root hash, base64 as in the checkpoint.
    pub root: String,
}

impl LogHead {
    pub(super) fn of(node: &NodeConfig, checkpoint: &Checkpoint) -> Self {
        Self {
            party: node.name.clone(),
            path: node.log_dir.clone(),
            size: checkpoint.size(),
            root: checkpoint.root().to_string(),
        }
    }
}

/// What the dealer did in one session.
#[derive(Clone, Debug, Serialize)]
pub struct DealerReport {
    /// The dealer.
    pub dealer: String,
    /// Session id, in hexadecimal.
    pub session: String,
    /// Bytes of corrections sent.
    pub offline_bytes: u64,
    /// Items of correlated randomness.
    pub items: u64,
    /// From the first party's request to the end.
    pub seconds: f64,
    /// The largest resident memory of the process so far, in MiB, where the system says it.
    pub peak_rss_mb: Option<f64>,
    /// Who cosigned its log.
    pub witnessed: Witnessed,
    /// Its log.
    pub log: LogHead,
}

impl RunReport {
    /// The report for people.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out =
            format!("{} finished `{}` with {}\n", self.party, self.program, self.others().join(", "));
        let s = &self.seconds;
        let lines = [
            ("session", self.session.clone()),
            ("security", self.security.clone()),
            ("rounds", self.rounds.to_string()),
            ("online, per party", bytes(self.online_bytes_per_party)),
            ("offline, per party", bytes(self.offline_bytes_per_party)),
            ("on the wire here", bytes(self.wire_bytes)),
            (
                "peak memory here",
                self.peak_rss_mb.map_or_else(|| "unknown".into(), |mb| format!("{mb:.0} MB")),
            ),
            (
                "seconds",
                format!(
                    "{:.3} (prepare {:.3}, connect {:.3}, compute {:.3}, finish {:.3})",
                    s.total, s.prepare, s.connect, s.compute, s.finish
                ),
            ),
            ("compute, by plan", self.estimate.render()),
            ("log", format!("{} ({} entries)", self.log.path.display(), self.log.size)),
            ("log root", self.log.root.clone()),
            ("log cosigned by", self.witnessed.render()),
        ];
        for (name, value) in lines {
            let _infallible = writeln!(out, "  {name:<20}{value}");
        }
        if let Some(FromStore { series, copy, left }) = &self.from_store {
            let what = format!("copy {copy} of series {}…, {left} left", series.get(..16).unwrap_or(series));
            let _infallible = writeln!(out, "  {:<20}{what}", "made ahead");
        }
        if self.outputs.is_empty() {
            out.push_str("  this party learns no output\n");
        }
        for o in &self.outputs {
            let what = if o.share { "this party's share of" } else { "of" };
            let rows = count(o.rows as u64);
            let _infallible = writeln!(out, "  wrote {} ({rows} rows {what} `{}`)", o.file.display(), o.name);
        }
        if let Some(score) = &self.scorecard {
            let b = &score.bands;
            let _infallible =
                writeln!(out, "  decisions: {} approve, {} refer, {} decline", b.approve, b.refer, b.decline);
            if let Some(d) = &score.discrimination {
                let _infallible = writeln!(out, "  AUC {:.4}, Gini {:.4}, KS {:.4}", d.auc, d.gini, d.ks);
            }
        }
        out
    }

    fn others(&self) -> Vec<&str> {
        self.parties.iter().map(String::as_str).filter(|p| *p != self.party).collect()
    }
}

impl DealerReport {
    /// The report for people.
    #[must_use]
    pub fn render(&self) -> String {
        format!(
            "{} served session {}: {} items, {} of corrections, {:.3} s\n  log {} ({} entries), root {}, cosigned by {}\n",
            self.dealer,
            self.session,
            count(self.items),
            bytes(self.offline_bytes),
            self.seconds,
            self.log.path.display(),
            self.log.size,
            self.log.root,
            self.witnessed.render()
        )
    }
}

/// The security model of a run, in one line, as every command prints it.
#[must_use]
pub fn security_line(parties: usize, provider: Provider) -> String {
    let helper = match provider {
        Provider::Dealer => "trusted dealer (sees no data, must collude with nobody)",
        Provider::Ot(_) => "no trusted dealer",
    };
    format!("semi-honest, up to {} of {parties} parties may collude, {helper}", parties - 1)
}
