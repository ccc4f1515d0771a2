//! Before the session: everybody's log only grew, and everybody was shown the same heads.

use std::time::Instant;

use mpc_core::channel::{ChannelError, Peer};
use mpc_core::checkpoint::{Answer, Growth, MAX_ANSWER_BYTES, MAX_GROWTH_BYTES, SignedCheckpoint};
use mpc_core::tag::SessionId;
use mpc_core::transcript::Member;
use mpc_core::wire::Encoder;

use super::faults::{memory_fault, refusing};
use super::{Heads, REASON_BYTES, Trouble, failure, from_channel};
use crate::error::CliError;
use crate::job::each::each_or_none;
use crate::job::errors::Failure;
use crate::log::{Snapshot, WitnessError, accept_growth};
use crate::net::{ControlStream, printable};

impl Heads<'_> {
    /// Compares heads with all peers at once. `give_up` is told of the first fault, so that nobody waits for a silent
    /// peer; of several, the one nearest to the cause is returned.
    pub(in crate::job) fn compare(
        &self,
        peers: &[ControlStream],
        give_up: impl Fn(&Failure) + Sync,
    ) -> Result<(), Failure> {
        let own = self.snapshot()?;
        let began = Instant::now();
        // While this node waits here, others wait for it: it must be the first to say for whom. In the agreement it may
        // wait for one that still compares.
        let (compared, agreed) = (began + self.limit / 2, began + self.limit / 4 * 3);
        let heads = each_or_none(peers, &give_up, |control| {
            self.compare_with(control, self.member(control), &own, compared)
        })?;
        let all = self.digest_of(own.head(), peers, &heads);
        each_or_none(peers, &give_up, |control| self.agree_with(control, all, agreed))?;
        let remembered = peers.iter().zip(&heads).try_for_each(|(control, head)| {
            self.memory().remember(self.member(control), head).map_err(memory_fault)
        });
        remembered.inspect_err(give_up)
    }

    fn digest_of(
        &self,
        own: &SignedCheckpoint,
        peers: &[ControlStream],
        heads: &[SignedCheckpoint],
    ) -> [u8; 32] {
        let mut all: Vec<(Peer, &SignedCheckpoint)> =
            peers.iter().map(ControlStream::peer).zip(heads).chain([(self.open.me, own)]).collect();
        all.sort_by_key(|(peer, _)| *peer);
        digest_of_heads(self.open.session, all.into_iter().map(|(_, head)| head))
    }

    /// The peer accepts everybody's log, and was shown the same heads as this node.
    fn agree_with(&self, control: &ControlStream, heads: [u8; 32], until: Instant) -> Result<(), Failure> {
        let left = until.saturating_duration_since(Instant::now());
        let theirs = control.exchange(Answer::Agreed(heads).encode(), MAX_ANSWER_BYTES, left);
        let lost = |e: ChannelError| from_channel(&self.names, Some("comparing logs"), &e);
        let peer = control.peer();
        match Answer::decode(&theirs.map_err(lost)?) {
            Ok(Answer::Agreed(theirs)) if theirs == heads => Ok(()),
            Ok(Answer::Agreed(_)) => {
                let name = self.names.of(peer);
                let message = format!("{name} and this node were shown different heads of some member's log");
                let hint =
                    "no node can know whose: compare what each has of the others, see docs/auditing.md";
                Err(Failure::of_session(CliError::outcome("log_refused", message).with_hint(hint), None))
            }
            _ => {
                Err(lost(ChannelError::Malformed { peer, what: "an unknown answer about the members' logs" }))
            }
        }
    }

    fn compare_with(
        &self,
        control: &ControlStream,
        member: &Member,
        own: &Snapshot,
        until: Instant,
    ) -> Result<SignedCheckpoint, Failure> {
        let lost = |e: ChannelError| from_channel(&self.names, Some("comparing logs"), &e);
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
            .and_then(|growth| accept_growth(&mut self.memory(), member, &growth).map(|()| growth.head));
        let answer = accepted.as_ref().map_or_else(refusing, |_| Answer::Accepted);
        let answer = control.exchange(answer.encode(), MAX_ANSWER_BYTES, left());
        own.check(&theirs).map_err(|e| self.own_fault(control.peer(), member, &e))?;
        let head = accepted.map_err(|e| self.refusal(control.peer(), member, &e))?;
        // Whether it is right is not known here: it is the one that ends the session.
        let (peer, culprit) = (control.peer(), None);
        match Answer::decode(&answer.map_err(lost)?) {
            Ok(Answer::Accepted) => Ok(head),
            Ok(Answer::Refused(reason)) => {
                let reason = printable(&reason, REASON_BYTES);
                Err(lost(ChannelError::Aborted { peer, culprit, reason }))
            }
            _ => Err(lost(ChannelError::Malformed { peer, what: "an unknown answer about this node's log" })),
        }
    }
}

/// Of the heads of all members, parties in order, then the dealer.
pub(in crate::job) fn digest_of_heads<'h>(
    session: SessionId,
    heads: impl IntoIterator<Item = &'h SignedCheckpoint>,
) -> [u8; 32] {
    let mut e = Encoder::new();
    e.str("subrosa/heads/v1");
    e.array(&session.0);
    heads.into_iter().for_each(|head| e.str(&head.checkpoint().to_string()));
    blake3::hash(&e.finish()).into()
}
