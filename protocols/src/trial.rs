//! All parties in one process, over in-memory channels and with a dealer in the process or none: for trying computations out,
//! in doctests, tests and `run_local`. The protocols and the randomness are the real ones, but whoever runs this sees
//! everything, so it protects nothing.

use std::sync::Arc;

use mpc_core::channel::Channel;
use mpc_core::local;
use mpc_core::party::{MAX_PARTIES, PartyId, PerParty};
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Ring;
use mpc_core::share::Additive;
use mpc_core::tag::{SessionId, Tag};

use crate::error::ProtocolError;
use crate::prep::dealer::{Dealer, DealerPrep, InProcessDealer};
use crate::prep::provider::without_dealer;
use crate::prep::{CotExtension, Demand, Preprocessing};
use crate::session::{PairwiseSeeds, Session};

/// The sessions of all parties of a trial, with keys derived from one seed.
///
/// With a demand, requests must follow it; without, anything may be asked for.
///
/// # Panics
/// If `n` is not in 2..=[`MAX_PARTIES`].
#[must_use]
pub fn sessions<R: Ring>(n: usize, seed: [u8; 32], demand: Option<&Demand>) -> Vec<Session<Additive<R>>> {
    let channels = local::network(n).into_iter().map(|c| Box::new(c) as Box<dyn Channel>).collect();
    sessions_over(channels, seed, demand)
}

/// As [`sessions`], over the given channels in party order, which may watch or disturb what passes.
///
/// # Panics
/// If there are not 2..=[`MAX_PARTIES`] channels.
#[must_use]
pub fn sessions_over<R: Ring>(
    channels: Vec<Box<dyn Channel>>,
    seed: [u8; 32],
    demand: Option<&Demand>,
) -> Vec<Session<Additive<R>>> {
    let (n, id) = (channels.len(), session_id(&seed));
    let prep = |me: PartyId| {
        let source = (me.index() == 0).then(|| InProcessDealer::new(dealer(seed, n), demand.cloned()));
        let prep = DealerPrep::in_process(me, id, dealer_seed(&seed, me), source, demand.cloned());
        Box::new(prep) as Box<dyn Preprocessing<Additive<R>>>
    };
    sessions_with(channels, seed, prep)
}

/// As [`sessions`], without a dealer: the parties make their correlated randomness from oblivious transfer.
///
/// # Panics
/// If `n` is not in 2..=[`MAX_PARTIES`].
#[must_use]
pub fn sessions_with_ot<R: Ring>(
    n: usize,
    seed: [u8; 32],
    demand: Option<&Demand>,
) -> Vec<Session<Additive<R>>> {
    let mut lanes = local::network(n).into_iter();
    let prep = |me: PartyId| {
        let channel = lanes.next().expect("a lane for every party");
        let own = Seed::new(derive(&seed, "ot", me.index() as u32, 0));
        let (extension, id) = (CotExtension::SoftSpoken4, session_id(&seed));
        let prep = without_dealer::<R>(extension, Box::new(channel), id, own, demand.cloned());
        Box::new(prep) as Box<dyn Preprocessing<Additive<R>>>
    };
    let channels = local::network(n).into_iter().map(|c| Box::new(c) as Box<dyn Channel>).collect();
    sessions_with(channels, seed, prep)
}

fn sessions_with<R: Ring>(
    channels: Vec<Box<dyn Channel>>,
    seed: [u8; 32],
    mut prep: impl FnMut(PartyId) -> Box<dyn Preprocessing<Additive<R>>>,
) -> Vec<Session<Additive<R>>> {
    let n = channels.len();
    assert!((2..=MAX_PARTIES).contains(&n), "2 to {MAX_PARTIES} parties");
    let id = session_id(&seed);
    let pairwise = |label, me: PartyId| {
        PerParty::from_fn(n, |p| {
            let (low, high) = (me.min(p).index() as u32, me.max(p).index() as u32);
            (p != me).then(|| Seed::new(derive(&seed, label, low, high)))
        })
    };
    let session = |channel: Box<dyn Channel>| {
        let me = channel.me();
        let seeds = PairwiseSeeds { input: pairwise("input", me), zero: pairwise("zero", me) };
        Session::new(id, channel, prep(me), seeds)
    };
    channels.into_iter().map(session).collect()
}

/// Runs `party` for every party in a thread of its own and returns the results in party order.
///
/// # Errors
/// The first party's error, if any.
pub fn run<R: Ring, T: Send>(
    n: usize,
    seed: [u8; 32],
    party: impl Fn(&mut Session<Additive<R>>) -> Result<T, ProtocolError> + Send + Sync,
) -> Result<Vec<T>, ProtocolError> {
    run_sessions(sessions(n, seed, None), party)
}

/// Runs `party` for every session in a thread of its own and returns the results in party order.
///
/// # Errors
/// The first party's error, if any.
pub fn run_sessions<R: Ring, T: Send, E: Send>(
    sessions: Vec<Session<Additive<R>>>,
    party: impl Fn(&mut Session<Additive<R>>) -> Result<T, E> + Send + Sync,
) -> Result<Vec<T>, E> {
    let party = Arc::new(party);
    std::thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .into_iter()
            .map(|mut session| {
                let party = Arc::clone(&party);
                scope.spawn(move || party(&mut session))
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// The dealer of the sessions made from `seed`.
#[must_use]
pub fn dealer(seed: [u8; 32], n: usize) -> Dealer {
    Dealer::new(session_id(&seed), PartyId::all(n).map(|p| dealer_seed(&seed, p)).collect())
}

fn derive(seed: &[u8; 32], label: &'static str, a: u32, b: u32) -> [u8; 32] {
    let tag = Tag { lane: 0, node: a, iteration: b, round: 0 };
    let mut key = [0; 32];
    Prg::new(&Seed::new(*seed), &SessionId([0; 32]), tag, label, 0).fill(&mut key);
    key
}

fn session_id(seed: &[u8; 32]) -> SessionId {
    SessionId(derive(seed, "session", 0, 0))
}

pub(crate) fn dealer_seed(seed: &[u8; 32], p: PartyId) -> Seed {
    Seed::new(derive(seed, "dealer", p.index() as u32, 0))
}
