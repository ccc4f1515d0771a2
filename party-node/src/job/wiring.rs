//! What a protocol session is made of at a node: the recorded channel, the recorded corrections, and the keys.

use mpc_core::channel::{Channel, Peer};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Seed;
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tag::SessionId;
use mpc_core::transcript::{CorrectionRecorder, LogKey, RecordedCorrections, Recorder};
use protocols::prep::dealer::DealerPrep;
use protocols::prep::{CotExtension, Demand, Preprocessing, Provider, provider};
use protocols::session::{PairwiseSeeds, Session};

use super::shared::Shared;
use crate::error::CliError;
use crate::log::LogHandle;
use crate::net::{DealerLink, PeerKeys, QuicChannel, QuicCorrections, SecretBytes};

/// A source of correlated randomness.
pub(crate) type Prep = Box<dyn Preprocessing<Additive<Z64>>>;

/// What the recorders of a session write down, whoever uses the channel at the moment.
pub(crate) struct Recorders {
    channel: Shared<Recorder<QuicChannel>>,
    corrections: Option<Shared<RecordedCorrections<QuicCorrections>>>,
}

/// What the protocol session is made of, besides the recorded channel.
pub(crate) struct Secrets {
    pub(crate) id: SessionId,
    pub(crate) keys: PerParty<Option<PeerKeys>>,
    pub(crate) randomness: Randomness,
}

/// What correlated randomness is made of.
pub(crate) enum Randomness {
    /// A seed shared with the dealer, and its corrections.
    Dealer(DealerLink),
    /// This party's own randomness.
    Ot(CotExtension, Seed),
}

impl Randomness {
    /// The dealer's, or fresh randomness of this party.
    ///
    /// # Errors
    /// If the session has no dealer though one provides, or the system has no randomness.
    pub(crate) fn of(provider: Provider, dealer: Option<DealerLink>) -> Result<Self, CliError> {
        match (provider, dealer) {
            (Provider::Ot(extension), _) => Ok(Self::Ot(extension, Seed::from(fresh_secret()?))),
            (Provider::Dealer, Some(dealer)) => Ok(Self::Dealer(dealer)),
            (Provider::Dealer, None) => {
                Err(CliError::outcome("internal", "the session has no dealer, though it asked for one"))
            }
        }
    }
}

/// 32 bytes that nobody else knows.
///
/// # Errors
/// If the system has none.
pub(super) fn fresh_secret() -> Result<SecretBytes, CliError> {
    let mut bytes = SecretBytes::zeros();
    getrandom::fill(bytes.expose_mut()).map_err(|e| {
        CliError::outcome("no_randomness", format_args!("the system gave no randomness: {e}"))
    })?;
    Ok(bytes)
}

mpc_core::secret_types!(serde::Serialize; Recorders, Secrets, Randomness);

impl Recorders {
    pub(crate) fn new(me: PartyId, channel: QuicChannel, secrets: &mut Secrets, log: &LogHandle) -> Self {
        let keys = PerParty::from_fn(secrets.keys.parties(), |p| {
            secrets.keys[p].as_ref().map(|k| LogKey::from(k.log.clone()))
        });
        let channel = Recorder::new(channel, secrets.id, 0, keys, Box::new(log.clone()));
        let corrections = match &mut secrets.randomness {
            Randomness::Ot(..) => None,
            Randomness::Dealer(dealer) => dealer.take_source().map(|source| {
                let key = LogKey::from(dealer.log.clone());
                let (me, log) = (Peer::Party(me), Box::new(log.clone()));
                let recorder = CorrectionRecorder::new(secrets.id, 0, key, me, Peer::Dealer, log);
                Shared::new(RecordedCorrections::new(source, recorder))
            }),
        };
        Self { channel: Shared::new(channel), corrections }
    }

    /// The protocols' session over the recorded channel, with correlated randomness that is made in it. It takes the secrets: a
    /// second session would repeat every pad.
    pub(crate) fn session(&self, me: PartyId, secrets: Secrets, demand: Demand) -> Session<Additive<Z64>> {
        let Secrets { id, keys, randomness } = secrets;
        let prep: Prep = match randomness {
            Randomness::Dealer(dealer) => {
                let source = self.corrections.clone().map(|s| Box::new(s) as Box<_>);
                let seed = Seed::from(dealer.seed.clone());
                Box::new(DealerPrep::<Z64>::remote(me, id, seed, source, demand))
            }
            // The lane of transfers takes turns with the program's in one thread, and shares its streams and its record.
            Randomness::Ot(extension, seed) => {
                let channel = self.channel();
                Box::new(provider::without_dealer::<Z64>(extension, channel, id, seed, Some(demand)))
            }
        };
        self.session_with(id, &keys, prep)
    }

    /// The same, with correlated randomness from this source.
    pub(crate) fn session_with(
        &self,
        id: SessionId,
        keys: &PerParty<Option<PeerKeys>>,
        prep: Prep,
    ) -> Session<Additive<Z64>> {
        let seeds = |f: fn(&PeerKeys) -> &SecretBytes| {
            PerParty::from_fn(keys.parties(), |p| keys[p].as_ref().map(|k| Seed::from(f(k).clone())))
        };
        let pairwise = PairwiseSeeds { input: seeds(|k| &k.input), zero: seeds(|k| &k.zero) };
        Session::new(id, self.channel(), prep, pairwise)
    }

    /// The recorded channel.
    pub(crate) fn channel(&self) -> Box<dyn Channel> {
        Box::new(self.channel.clone())
    }

    /// Exchanges so far.
    pub(crate) fn rounds(&self) -> u64 {
        self.channel.lock().rounds()
    }

    /// Writes the batches under way; gives rounds and payload bytes sent. A lane that is still busy keeps its channel:
    /// then the log ends with what was written before.
    pub(crate) fn finish(&self) -> (u64, u64) {
        if let Some(mut corrections) = self.corrections.as_ref().and_then(Shared::try_lock) {
            corrections.finish();
        }
        let Some(mut channel) = self.channel.try_lock() else { return (0, 0) };
        channel.finish();
        (channel.rounds(), channel.total_traffic().sent)
    }
}
