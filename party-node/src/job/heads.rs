//! Comparing logs with the peers: before the first byte that depends on data leaves, and after the session's close.
//!
//! **Before.** Each side says which head of the other's log it saw last and shows that its own log only grew since. A
//! peer whose log was rolled back or forked is refused, with both heads in the message, before it gets anything. What was
//! shown holds the session's open entry and the commitments to inputs already, so from here on neither can be taken back
//! without a peer that knows better.
//!
//! **After.** Each side shows its head with the session's entries; the other compares them with its own and cosigns. A
//! peer that does not answer costs a deadline and a cosignature, and nothing else: the session is over.
//!
//! Every peer has a thread of its own here, so that a slow one delays nobody else. What a peer is shown: heads, hashes
//! and this session's entries, in which messages are keyed digests and values blinded commitments.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mpc_core::channel::{ChannelError, Peer};
use mpc_core::checkpoint::{
    Answer, Growth, MAX_ANSWER_BYTES, MAX_GROWTH_BYTES, MAX_OFFER_BYTES, NoteSignature, Offer, OfferError,
    Seen,
};
use mpc_core::transcript::{Member, SessionOpen};
use serde::Serialize;

use super::distance_from_cause;
use super::errors::{Failure, failure, from_channel};
use super::transcript::log_error;
use crate::config::NodeConfig;
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::{
    LogError, LogHandle, Snapshot, WitnessError, WitnessStore, accept_growth, answer_offer, check_reply,
};
use crate::net::{ControlStream, Names, printable};

/// The longest reason of a peer that is shown.
const REASON_BYTES: usize = 600;
/// How long a peer may take over each of the last messages.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// After the first fault, comparisons with other peers have this long to come to their own end.
const LAST_COMPARISONS: Duration = Duration::from_secs(3);

/// The exchange of heads of one session.
pub(super) struct Heads<'a> {
    name: String,
    identity: &'a Identity,
    /// How long a peer may take over a message.
    limit: Duration,
    log: LogHandle,
    memory: Mutex<WitnessStore>,
    open: SessionOpen,
    names: Names,
}

mpc_core::secret_types!(Heads<'static>);

/// Who cosigned this node's log after a session.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Witnessed {
    /// Names of the members that did, parties in order, then the dealer.
    pub by: Vec<String>,
    /// Those that did not, and why.
    pub missing: Vec<Missing>,
}

/// A member that did not cosign.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Why, in one line.
    pub reason: String,
}

/// What went wrong with one peer.
enum Trouble {
    /// Something that the node's operator must see to.
    Fault(Failure),
    /// The peer did not take part to the end.
    Lost(ChannelError),
    /// The peer did not give what it was asked for.
    Withheld(String),
}

impl<'a> Heads<'a> {
    /// For the session that `open` began in `log`.
    pub(super) fn new(
        node: &NodeConfig,
        identity: &'a Identity,
        log: LogHandle,
        open: SessionOpen,
        names: Names,
    ) -> Result<Self, CliError> {
        let memory = WitnessStore::open(&WitnessStore::folder(&node.log_dir)).map_err(log_error)?;
        let (name, limit) = (node.name.clone(), Duration::from_millis(node.receive_timeout_ms));
        Ok(Self { name, identity, limit, log, memory: Mutex::new(memory), open, names })
    }

    /// As [`Heads::new`], without a configuration.
    #[cfg(test)]
    pub(super) fn for_test(
        name: &str,
        log_dir: &std::path::Path,
        limit: Duration,
        identity: &'a Identity,
        log: LogHandle,
        open: SessionOpen,
        names: Names,
    ) -> Self {
        let memory = Mutex::new(WitnessStore::open(&WitnessStore::folder(log_dir)).unwrap());
        Self { name: name.into(), identity, limit, log, memory, open, names }
    }

    /// Compares heads with all peers at once. `give_up` is told of the first fault, so that nobody waits for a silent
    /// peer; of several, the one nearest to the cause is returned.
    pub(super) fn compare(
        &self,
        peers: &[ControlStream],
        give_up: impl Fn(&Failure) + Sync,
    ) -> Result<(), Failure> {
        let own = self.snapshot()?;
        let busy = Busy::new(peers.len());
        let results = self.with_each(peers, |control, member| {
            let result = self.compare_with(control, member, &own);
            busy.one_less();
            result.inspect_err(|failure| {
                // What one peer did wrong, the others should see for themselves rather than be told.
                busy.wait(LAST_COMPARISONS);
                give_up(failure);
            })
        });
        let faults = results.into_iter().filter_map(Result::err);
        faults.min_by_key(|f| distance_from_cause(f.error.code())).map_or(Ok(()), Err)
    }

    fn compare_with(&self, control: &ControlStream, member: &Member, own: &Snapshot) -> Result<(), Failure> {
        let lost = |e: ChannelError| from_channel(&self.names, Some("comparing logs"), &e);
        // While this node waits here, others wait for it in the first round, or for its corrections: it must be the first
        // to say for whom.
        let until = Instant::now() + self.limit / 2;
        let left = || until.saturating_duration_since(Instant::now());
        let theirs = match self.trade_seen(control, member, left()) {
            Ok(theirs) => theirs,
            Err(Trouble::Fault(failure)) => return Err(failure),
            Err(Trouble::Lost(e)) => return Err(lost(e)),
            Err(Trouble::Withheld(what)) => return Err(failure("internal", what)),
        };
        let growth = control.exchange(own.growth(&theirs).encode(), MAX_GROWTH_BYTES, left());
        let accepted = Growth::decode(&growth.map_err(lost)?)
            .map_err(|reason| WitnessError::Refused { peer: member.name.clone(), reason })
            .and_then(|growth| accept_growth(&mut self.memory(), member, &growth));
        let answer = accepted.as_ref().map_or_else(refusing, |()| Answer::Accepted);
        let answer = control.exchange(answer.encode(), MAX_ANSWER_BYTES, left());
        own.check(&theirs).map_err(|e| self.own_fault(control.peer(), member, &e))?;
        accepted.map_err(|e| self.refusal(control.peer(), member, &e))?;
        // Whether it is right is not known here: it is the one that ends the session.
        let (peer, culprit) = (control.peer(), None);
        match Answer::decode(&answer.map_err(lost)?) {
            Ok(Answer::Accepted) => Ok(()),
            Ok(Answer::Refused(reason)) => {
                let reason = printable(&reason, REASON_BYTES);
                Err(lost(ChannelError::Aborted { peer, culprit, reason }))
            }
            _ => Err(lost(ChannelError::Malformed { peer, what: "an unknown answer about this node's log" })),
        }
    }

    /// Lets all peers cosign this node's log, cosigns theirs, and keeps what they signed. Also gives what this node
    /// must refuse to cosign, if anything.
    pub(super) fn cosign(&self, peers: &[ControlStream]) -> (Witnessed, Option<CliError>) {
        let own = match self.snapshot() {
            Ok(own) => own,
            Err(failure) => return (Witnessed::default(), Some(failure.error)),
        };
        let results = self.with_each(peers, |control, member| self.cosign_with(control, member, &own));
        let (mut witnessed, mut refused) = (Witnessed::default(), None);
        let mut note = own.head().clone();
        for (control, result) in peers.iter().zip(results) {
            let name = self.names.of(control.peer()).to_owned();
            let added = result.and_then(|line| {
                let added = note.clone().with_signature(line);
                added.map_err(|e| Trouble::Withheld(e.to_string()))
            });
            let reason = match added {
                Ok(added) => {
                    note = added;
                    witnessed.by.push(name);
                    continue;
                }
                Err(Trouble::Lost(e)) => self.names.render(&e),
                Err(Trouble::Withheld(reason)) => reason,
                Err(Trouble::Fault(failure)) => {
                    let reason = failure.error.message().to_owned();
                    refused = refused.or(Some(failure.error));
                    reason
                }
            };
            witnessed.missing.push(Missing { name, reason });
        }
        if !witnessed.by.is_empty()
            && let Err(error) = self.log.keep_cosigned(&self.open, note)
        {
            refused = refused.or_else(|| Some(log_error(error)));
        }
        (witnessed, refused)
    }

    /// The peer's line for our log. It gets an answer about its own whether or not it gives one.
    fn cosign_with(
        &self,
        control: &ControlStream,
        member: &Member,
        own: &Snapshot,
    ) -> Result<NoteSignature, Trouble> {
        let theirs = self.trade_seen(control, member, self.last_limit())?;
        let own_fault = own.check(&theirs).map_err(|e| self.own_fault(control.peer(), member, &e)).err();
        let offer = control.exchange(own.offer(&theirs).encode(), MAX_OFFER_BYTES, self.last_limit());
        let offer = offer.map_err(Trouble::Lost)?;
        let key = self.identity.signing_key();
        let answered = Offer::decode(&offer)
            .map_err(|reason| WitnessError::Refused { peer: member.name.clone(), reason })
            .and_then(|offer| {
                let by = (self.name.as_str(), key, now_s());
                answer_offer(&mut self.memory(), member, &offer, own, by)
            });
        let (answer, refusal) = match answered {
            Ok(reply) => (Answer::Cosigned(reply), None),
            Err(error) => (refusing(&error), Some(error)),
        };
        let reply =
            control.exchange(answer.encode(), MAX_ANSWER_BYTES, self.last_limit()).map_err(Trouble::Lost);
        if let Some(fault) = own_fault {
            return Err(Trouble::Fault(fault));
        }
        if let Some(error) = refusal {
            return Err(Trouble::Fault(self.refusal(control.peer(), member, &error)));
        }
        match Answer::decode(&reply?).map_err(|e| Trouble::Withheld(format!("malformed answer: {e}")))? {
            Answer::Refused(reason) => {
                Err(Trouble::Withheld(format!("it refused: {}", printable(&reason, REASON_BYTES))))
            }
            Answer::Accepted => Err(Trouble::Withheld("it answered without a cosignature".into())),
            Answer::Cosigned(reply) => {
                check_reply(member, own.head(), &reply).map_err(|e| Trouble::Withheld(e.to_string()))
            }
        }
    }

    /// What the peer has seen of our log, for what we have seen of its.
    fn trade_seen(&self, control: &ControlStream, member: &Member, limit: Duration) -> Result<Seen, Trouble> {
        let ours = self.memory().seen(member).map_err(|e| Trouble::Fault(memory_fault(e)))?;
        let theirs = control.exchange(ours.encode(), MAX_GROWTH_BYTES, limit);
        let theirs = theirs.map_err(Trouble::Lost)?;
        Seen::decode(&theirs).map_err(|reason| {
            let error = WitnessError::Refused { peer: member.name.clone(), reason };
            Trouble::Fault(self.refusal(control.peer(), member, &error))
        })
    }

    /// Our own log does not fit what a peer says that it saw.
    fn own_fault(&self, peer: Peer, member: &Member, error: &LogError) -> Failure {
        match error {
            LogError::Refused {
                reason: OfferError::RolledBack { .. } | OfferError::Forked { .. }, ..
            } => {
                let message = format!("{error}, as {} remembers it", member.name);
                let error = CliError::outcome("log_rolled_back", message).with_hint(
                    "restore the newest copy of this node's log; if there is none, every peer must agree to begin anew: \
                     see docs/auditing.md",
                );
                Failure::own(error)
            }
            // The head that it claims to have seen was never signed here.
            LogError::Refused { reason, .. } => {
                let what = format!("what {} says that it saw of this node's log: {reason}", member.name);
                Failure::of_session(CliError::outcome("log_refused", what), Some(peer))
            }
            other => Failure::own(log_error(other.clone())),
        }
    }

    /// A peer's log is not one that this node can vouch for.
    fn refusal(&self, peer: Peer, member: &Member, error: &WitnessError) -> Failure {
        let about_peer = |e: CliError| Failure::of_session(e, Some(peer));
        match error {
            WitnessError::Refused {
                reason: OfferError::RolledBack { .. } | OfferError::Forked { .. },
                ..
            } => {
                let memory = self.memory();
                let hint = format!(
                    "both signed heads are kept: {} and {}; if {} lost its log and all agree that it begins anew, \
                     move the first away",
                    memory.seen_head(member).display(),
                    memory.refused_head(member).display(),
                    member.name
                );
                about_peer(CliError::outcome("log_refused", error).with_hint(hint))
            }
            WitnessError::Memory(e) => memory_fault(e.clone()),
            other => about_peer(CliError::outcome("log_refused", other)),
        }
    }

    fn with_each<T: Send>(
        &self,
        peers: &[ControlStream],
        work: impl Fn(&ControlStream, &Member) -> T + Sync,
    ) -> Vec<T> {
        let work = &work;
        thread::scope(|scope| {
            let threads: Vec<_> = peers
                .iter()
                .map(|control| {
                    let member = self.open.member(control.peer());
                    let member = member.expect("invariant: streams lead to members of the session");
                    scope.spawn(move || work(control, member))
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
        })
    }

    fn snapshot(&self) -> Result<Snapshot, Failure> {
        self.log.snapshot(self.open.session).map_err(|e| Failure::own(log_error(e)))
    }

    fn memory(&self) -> MutexGuard<'_, WitnessStore> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the session: a party that stays silent must not keep a dealer from the next session for long.
    fn last_limit(&self) -> Duration {
        self.limit.min(LAST_WORDS)
    }
}

impl Witnessed {
    /// The names, for people.
    pub(super) fn render(&self) -> String {
        if self.by.is_empty() { "nobody".into() } else { self.by.join(", ") }
    }

    /// Tells the operator who did not cosign.
    pub(super) fn warn(&self) {
        for m in &self.missing {
            eprintln!("warning: {} did not cosign this node's log: {}", m.name, m.reason);
        }
    }
}

/// The answer that refuses a log.
fn refusing(error: &WitnessError) -> Answer {
    Answer::Refused(match error {
        // Of this node's own faults the peer learns the kind alone.
        WitnessError::Memory(_) => "the memory of heads cannot be read or written".into(),
        other => other.to_string(),
    })
}

/// How many comparisons are under way.
struct Busy {
    left: Mutex<usize>,
    changed: Condvar,
}

impl Busy {
    const fn new(left: usize) -> Self {
        Self { left: Mutex::new(left), changed: Condvar::new() }
    }

    fn one_less(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }

    /// Waits until none is, or until `limit` has passed.
    fn wait(&self, limit: Duration) {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // Either outcome is fine: then the others are told after all.
        let _ = self.changed.wait_timeout_while(left, limit, |left| *left > 0);
    }
}

fn memory_fault(error: LogError) -> Failure {
    Failure::own(log_error(error))
}

/// Seconds since 1970; a clock before that is at 1, because the format knows no 0.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_secs().max(1))
}
