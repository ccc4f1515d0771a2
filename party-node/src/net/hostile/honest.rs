//! What honest nodes do in these tests, and how it ended for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mpc_core::channel::{Channel, ChannelError, CorrectionSource, Peer};
use mpc_core::party::PerParty;
use mpc_core::tag::Tag;

use crate::identity::Identity;
use crate::net::control_stream::ControlStream;
use crate::net::dealer_server::{DealerOptions, DealerServer};
use crate::net::dealer_session::DealerSession;
use crate::net::error::{Names, NetError, blame};
use crate::net::keys::SecretBytes;
use crate::net::options::ConnectOptions;
use crate::net::session::{Connected, connect};
use crate::net::transport::Listener;

/// Bytes that everyone sends to everyone in each round; the second message takes two frames.
pub(super) const ROUND_BYTES: [usize; 3] = [100, (1 << 20) + 5, 64];
/// Bytes of each correction to party 0; the second takes several pieces, more than may be on their way unread.
pub(super) const CORRECTION_BYTES: [usize; 2] = [300, (3 << 20) + 9];
/// What everyone asks of the dealer.
pub(super) const DEMAND: &[u8] = b"two items";
/// What nodes say on the control streams, in place of what they show of their logs.
pub(super) const WORD: &[u8] = b"a word about logs";
const WORD_MAX_BYTES: usize = 64;
/// How often a dealer looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(100);

/// Where a round belongs.
pub(super) fn round_tag(round: u32) -> Tag {
    Tag { lane: 0, node: 3, iteration: 0, round }
}

/// Everyone's row ids, hashed under a pair's key.
pub(super) fn rows(key: &SecretBytes) -> std::io::Result<[u8; 32]> {
    Ok(blake3::keyed_hash(key.expose(), b"the same rows").into())
}

/// How it ended for an honest node, and what it says about it.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) who: String,
    /// `output` for a good end, else the error's code.
    pub(super) code: &'static str,
    /// Who is held responsible, by name.
    pub(super) blamed: Vec<String>,
    pub(super) text: String,
    pub(super) took: Duration,
}

impl Ending {
    pub(super) fn has_output(&self) -> bool {
        self.code == "output"
    }

    fn good(who: &str, took: Duration) -> Self {
        Self { who: who.into(), code: "output", blamed: Vec::new(), text: String::new(), took }
    }

    fn unmet(who: &str, took: Duration, error: &NetError) -> Self {
        let blamed = match error {
            // Of whom it is said that they wait elsewhere, nothing bad is said.
            NetError::Absent { absent, .. } => {
                let gone = absent.iter().filter(|(_, place)| !place.contains("another session"));
                gone.map(|(name, _)| name.clone()).collect()
            }
            // "x, unlike y," is about x.
            NetError::Mismatch { peer, .. } => vec![peer.split(',').next().unwrap().to_owned()],
            NetError::Aborted { culprit, .. } => culprit.iter().cloned().collect(),
            NetError::WrongKey { peer, .. }
            | NetError::KeyRefused { peer, .. }
            | NetError::Version { peer, .. }
            | NetError::RowOrder { peer, .. }
            | NetError::Malformed { peer, .. }
            | NetError::Lost { peer, .. } => vec![peer.clone()],
            _ => Vec::new(),
        };
        Self { who: who.into(), code: error.code(), blamed, text: error.to_string(), took }
    }

    fn failed(who: &str, took: Duration, names: &Names, error: &ChannelError) -> Self {
        let (code, culprit) = match error {
            ChannelError::Aborted { culprit, .. } => ("peer_aborted", *culprit),
            ChannelError::Timeout { peer, .. } => ("peer_timeout", Some(*peer)),
            ChannelError::Lost { peer, .. } => ("peer_lost", Some(*peer)),
            ChannelError::Desync { peer, .. } => ("out_of_step", Some(*peer)),
            ChannelError::WrongItem { .. } => ("out_of_step", Some(Peer::Dealer)),
            ChannelError::WrongLength { peer, .. } => ("wrong_length", Some(*peer)),
            other => ("malformed_frame", Some(other.peer())),
        };
        let blamed = culprit.iter().map(|&p| names.of(p).to_owned()).collect();
        Self { who: who.into(), code, blamed, text: names.render(error), took }
    }
}

/// A party's session from meeting to closing.
pub(super) fn party(identity: &Identity, listener: Listener, options: ConnectOptions) -> Ending {
    let who = options.parties[options.me.index()].name.clone();
    // As long as nodes take to compare their logs.
    let limit = Duration::from_millis(options.receive_timeout_ms / 2);
    let began = Instant::now();
    let mut session = match connect(identity, listener, options, Some(&rows)) {
        Ok(session) => session,
        Err(error) => return Ending::unmet(&who, began.elapsed(), &error),
    };
    let names = session.handle.names().clone();
    let result = trade_words(session.handle.controls(), limit)
        .inspect_err(|e| session.handle.abort(blame(e), &names.render(e)))
        .and_then(|()| compute(&mut session))
        .and_then(|()| session.handle.conclude());
    let took = began.elapsed();
    if result.is_ok() {
        // The session is over: what goes wrong now costs a deadline and nothing else.
        let _ = trade_words(session.handle.controls(), limit);
        session.handle.leave();
    }
    match result {
        Ok(()) => Ending::good(&who, took),
        Err(error) => {
            assert!(session.handle.failure().is_some(), "a failure ends the session: {error}");
            Ending::failed(&who, took, &names, &error)
        }
    }
}

/// Says a word to every peer on the control streams and hears its word, from all at once.
pub(super) fn trade_words(controls: &[ControlStream], limit: Duration) -> Result<(), ChannelError> {
    std::thread::scope(|scope| {
        let trade =
            |control: &ControlStream| control.exchange(WORD.to_vec(), WORD_MAX_BYTES, limit).map(drop);
        let all: Vec<_> = controls.iter().map(|control| scope.spawn(move || trade(control))).collect();
        all.into_iter().try_for_each(|t| t.join().unwrap())
    })
}

fn compute(session: &mut Connected) -> Result<(), ChannelError> {
    let (me, n) = (session.channel.me(), session.channel.parties());
    let mut corrections = session.dealer.as_mut().and_then(|dealer| dealer.take_source());
    for (round, bytes) in (0..).zip(ROUND_BYTES) {
        if let (Some(source), Some(&bytes)) = (&mut corrections, CORRECTION_BYTES.get(round as usize)) {
            source.next(round, bytes)?;
        }
        let message = Bytes::from(vec![me.index() as u8; bytes]);
        let send = PerParty::from_fn(n, |p| (p != me).then(|| message.clone()));
        let expect = PerParty::from_fn(n, |p| (p != me).then_some(bytes));
        session.channel.exchange(round_tag(round), send, expect)?;
    }
    Ok(())
}

/// A dealer's service until `over`; how its first session or attempt ended, if there was one.
pub(super) fn deal(
    identity: &Identity,
    listener: Listener,
    options: DealerOptions,
    receive_timeout_ms: u64,
    over: &AtomicBool,
) -> Option<Ending> {
    let limit = Duration::from_millis(receive_timeout_ms / 2);
    let began = Instant::now();
    let server = DealerServer::bind(identity, listener, options).unwrap();
    let mut first = None;
    loop {
        // What was reported before everyone left is still told after it.
        let last_look = over.load(Ordering::Relaxed);
        match server.accept_session(Some(LOOK)) {
            Ok(None) if last_look => return first,
            Ok(None) => {}
            Ok(Some(session)) => {
                first.get_or_insert_with(|| serve(session, limit, began));
            }
            Err(error) => {
                first.get_or_insert_with(|| Ending::unmet("dora", began.elapsed(), &error));
            }
        }
    }
}

fn serve(session: DealerSession, limit: Duration, began: Instant) -> Ending {
    let names = session.names().clone();
    let result = trade_words(session.controls(), limit)
        .inspect_err(|e| session.abort(blame(e), &names.render(e)))
        .and_then(|()| send_corrections(&session))
        .and_then(|()| session.conclude());
    let took = began.elapsed();
    match result {
        Ok(()) => {
            let _ = trade_words(session.controls(), limit);
            session.leave();
            Ending::good("dora", took)
        }
        Err(error) => Ending::failed("dora", took, &names, &error),
    }
}

fn send_corrections(session: &DealerSession) -> Result<(), ChannelError> {
    let sink = session.sink();
    (0..)
        .zip(CORRECTION_BYTES)
        .try_for_each(|(item, bytes)| sink.send(item, Bytes::from(vec![item as u8; bytes])))
}
