//! One connection between an honest node's reading code and a hostile writer, for cases by the thousand: a case costs a
//! stream, not a session.

use mpc_core::party::PartyId;
use quinn::{Connection, RecvStream, SendStream};
use tokio::task::JoinSet;

use super::act::dial;

use crate::identity::Identity;
use crate::net::join::Meeting;
use crate::net::options::{ConnectOptions, Member};
use crate::net::runtime::NetThread;
use crate::net::session::prepare;
use crate::net::tls::OwnKey;
use crate::net::transport::Listener;

/// Streams in use at once, fewer than a connection may have.
const AT_ONCE: usize = 32;
/// The hostile party, which dials.
pub(super) const THEM: PartyId = PartyId::new(0);
/// The honest party, which accepts.
pub(super) const US: PartyId = PartyId::new(1);

pub(super) struct Rig {
    /// The honest party as it is while it meets the others.
    pub(super) meeting: Meeting,
    /// The honest end of the connection.
    pub(super) ours: Connection,
    pub(super) theirs: Connection,
    pub(super) net: NetThread,
}

impl Rig {
    pub(super) fn new() -> Self {
        let seats = [(); 2]
            .map(|()| (Identity::generate().unwrap(), Listener::bind(([127, 0, 0, 1], 0).into()).unwrap()));
        let members: Vec<Member> = seats
            .iter()
            .zip(["mallory", "alice"])
            .map(|((identity, listener), name)| Member {
                name: name.into(),
                address: listener.address().to_string(),
                key: identity.public_key(),
            })
            .collect();
        let [(them, their_listener), (us, our_listener)] = seats;
        let options = ConnectOptions::new(US, members);
        let net = NetThread::start().unwrap();
        let meeting = net.run(prepare(&us, our_listener, &options).unwrap()).unwrap().unwrap();
        let (key, link, target) = (OwnKey::new(&them).unwrap(), options.link, options.parties[1].clone());
        let (gate, endpoint) = (meeting.gate.clone(), meeting.dialer.endpoint.clone());
        let connections = net.run(async move {
            let accept = async { gate.admit(endpoint.accept().await.unwrap()).await.unwrap().connection };
            let dialled = async {
                let endpoint = their_listener.into_endpoint(link, None).unwrap();
                dial(&endpoint, &key, link, &target).await.unwrap()
            };
            tokio::join!(accept, dialled)
        });
        let (ours, theirs) = connections.unwrap();
        Self { meeting, ours, theirs, net }
    }

    /// Writes every message on a stream of its own, ends the stream, and lets `read` judge the honest end: the verdicts in
    /// order.
    pub(super) fn judge<F, T>(
        &self,
        messages: Vec<Vec<u8>>,
        read: impl Fn(Connection, SendStream, RecvStream) -> F + Send + Sync + 'static,
    ) -> Vec<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let (ours, theirs) = (self.ours.clone(), self.theirs.clone());
        let verdicts = self.net.run(async move {
            let mut all: Vec<(usize, T)> = Vec::new();
            let mut reading = JoinSet::new();
            for (i, message) in messages.into_iter().enumerate() {
                let (mut send, keep) = theirs.open_bi().await.unwrap();
                send.write_all(&message).await.unwrap();
                send.finish().unwrap();
                let (answer, recv) = ours.accept_bi().await.unwrap();
                let verdict = read(ours.clone(), answer, recv);
                reading.spawn(async move {
                    let verdict = verdict.await;
                    drop(keep);
                    (i, verdict)
                });
                if reading.len() == AT_ONCE {
                    all.push(reading.join_next().await.unwrap().unwrap());
                }
            }
            while let Some(verdict) = reading.join_next().await {
                all.push(verdict.unwrap());
            }
            all.sort_by_key(|(i, _)| *i);
            all.into_iter().map(|(_, verdict)| verdict).collect()
        });
        verdicts.unwrap()
    }
}
