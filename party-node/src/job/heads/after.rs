//! After the session: cosignatures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mpc_core::checkpoint::{Answer, MAX_ANSWER_BYTES, MAX_OFFER_BYTES, NoteSignature, Offer};
use mpc_core::transcript::Member;

use super::faults::refusing;
use super::{Heads, Missing, REASON_BYTES, Trouble, Witnessed, log_error};
use crate::error::CliError;
use crate::job::each::each;
use crate::log::{Snapshot, WitnessError, answer_offer, check_reply};
use crate::net::{ControlStream, printable};

/// How long a peer may take over each of the last messages.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Heads<'_> {
    /// Lets all peers cosign this node's log, cosigns theirs, and keeps what they signed. Also gives what this node
    /// must refuse to cosign, if anything.
    pub(in crate::job) fn cosign(&self, peers: &[ControlStream]) -> (Witnessed, Option<CliError>) {
        let own = match self.snapshot() {
            Ok(own) => own,
            Err(failure) => return (Witnessed::default(), Some(failure.error)),
        };
        let results = each(peers, |control| self.cosign_with(control, self.member(control), &own));
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
            Answer::Accepted | Answer::Agreed(_) => {
                Err(Trouble::Withheld("it answered without a cosignature".into()))
            }
            Answer::Cosigned(reply) => {
                check_reply(member, own.head(), &reply).map_err(|e| Trouble::Withheld(e.to_string()))
            }
        }
    }

    /// After the session: a party that stays silent must not keep a dealer from the next session for long.
    fn last_limit(&self) -> Duration {
        self.limit.min(LAST_WORDS)
    }
}

/// Seconds since 1970; a clock before that is at 1, because the format knows no 0.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_secs().max(1))
}
