//! What a hostile node may do instead of saying what is due.

use std::sync::{Arc, Mutex, mpsc};

use mpc_core::channel::Peer;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};

use crate::net::options::Member;
use crate::net::tls::{self, OwnKey};
use crate::net::transport::LinkProfile;

/// The messages that nodes send each other. A new message of the protocol gets a name here and a place in the
/// conversations of [`super::party`] or [`super::dealer`]; the tables of the tests then cover it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Party to party, on the control stream: who is there, for which program.
    Hello,
    /// The session id, and the own row ids in a group element.
    Confirm,
    /// The answer to the other side's row ids.
    RowAnswer,
    /// Party to party, on the lane: which lane it is; from the lower index.
    LaneWord,
    /// On the control stream, to a party or the dealer, before the first round: what nodes show of their logs.
    Before,
    /// The frames of one round.
    Round(u32),
    /// The closing word.
    Closing,
    /// On the control stream, to a party or the dealer, after the closing word.
    After,
    /// Party to dealer: who is there.
    Greeting,
    /// What is asked of the dealer.
    Demand,
    /// The session is over.
    Goodbye,
    /// Dealer to party: who is there.
    DealerGreeting,
    /// All parties have asked for the same.
    Ready,
    /// Dealer to party 0: a piece of a correction.
    Correction(u32),
}

/// One thing that a hostile node does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Ends its side of the stream.
    Finish,
    /// Drops its side of the stream.
    Reset,
    /// Says that it will not read the stream any more.
    Stop,
    /// Says nothing more in this conversation, but keeps the connection.
    Silence,
    /// Closes the connection.
    Close(u32, Vec<u8>),
    /// Is gone, all of it, without a word, as a killed process is.
    Vanish,
    /// Opens a stream that nobody asked for and writes to it for as long as it can.
    Bi(Vec<u8>),
    /// The same in one direction.
    Uni(Vec<u8>),
}

/// What is about to be said, and to whom. The bytes are as they go onto the stream, with their length if they have one.
pub(super) struct Moment<'a> {
    pub(super) kind: Kind,
    pub(super) to: Peer,
    pub(super) bytes: &'a [u8],
}

/// Decides at every message: `None` says it as it should be.
pub(super) type Script = Arc<dyn Fn(&Moment<'_>) -> Option<Vec<Act>> + Send + Sync>;

/// Says everything as it should be.
pub(super) fn honest() -> Script {
    Arc::new(|_| None)
}

/// Does `acts` instead of message `kind`, towards everyone whom `to` lets through.
pub(super) fn instead_of(
    kind: Kind,
    to: impl Fn(Peer) -> bool + Send + Sync + 'static,
    acts: impl Fn(&[u8]) -> Vec<Act> + Send + Sync + 'static,
) -> Script {
    Arc::new(move |m| (m.kind == kind && to(m.to)).then(|| acts(m.bytes)))
}

/// A message of an earlier session.
pub(super) type Said = (Kind, Peer, Vec<u8>);

/// What all conversations of one hostile node share.
pub(super) struct Stage {
    pub(super) script: Script,
    pub(super) vanish: mpsc::Sender<()>,
    /// Everything that should have been said, in order.
    pub(super) said: Arc<Mutex<Vec<Said>>>,
}

/// The conversation is over; there is nothing left to do but to wait for the other side's end.
#[derive(Debug)]
pub(super) struct Over;

/// One stream of a conversation.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    pub(super) recv: RecvStream,
    pub(super) to: Peer,
    pub(super) stage: Arc<Stage>,
}

impl Line {
    /// Says a control message: its length, then itself.
    pub(super) async fn say(&mut self, kind: Kind, message: &[u8]) -> Result<(), Over> {
        let length = (message.len() as u32).to_le_bytes();
        self.say_raw(kind, [&length[..], message].concat()).await
    }

    /// Says something that has no length in front.
    pub(super) async fn say_raw(&mut self, kind: Kind, bytes: Vec<u8>) -> Result<(), Over> {
        self.stage.said.lock().unwrap().push((kind, self.to, bytes.clone()));
        let acts = (self.stage.script)(&Moment { kind, to: self.to, bytes: &bytes });
        for act in acts.unwrap_or_else(|| vec![Act::Write(bytes)]) {
            self.act(act).await?;
        }
        Ok(())
    }

    async fn act(&mut self, act: Act) -> Result<(), Over> {
        let code = VarInt::from_u32(7);
        match act {
            Act::Write(bytes) => self.send.write_all(&bytes).await.map_err(|_| Over),
            Act::Finish => self.send.finish().map_err(|_| Over),
            Act::Reset => self.send.reset(code).map_err(|_| Over),
            Act::Stop => self.recv.stop(code).map_err(|_| Over),
            Act::Silence => {
                self.connection.closed().await;
                Err(Over)
            }
            Act::Close(code, reason) => {
                self.connection.close(VarInt::from_u32(code), &reason);
                Err(Over)
            }
            Act::Vanish => {
                // Nothing may be dropped before the runtime is: that would end the streams.
                let _ = self.stage.vanish.send(());
                std::future::pending().await
            }
            Act::Bi(bytes) => {
                let (send, _recv) = self.connection.open_bi().await.map_err(|_| Over)?;
                tokio::spawn(fill(self.connection.clone(), send, bytes));
                Ok(())
            }
            Act::Uni(bytes) => {
                let send = self.connection.open_uni().await.map_err(|_| Over)?;
                tokio::spawn(fill(self.connection.clone(), send, bytes));
                Ok(())
            }
        }
    }

    /// Hears a control message.
    pub(super) async fn hear(&mut self) -> Result<Vec<u8>, Over> {
        let length = self.hear_raw(4).await?;
        self.hear_raw(u32::from_le_bytes(length.try_into().unwrap()) as usize).await
    }

    /// Hears exactly so many bytes.
    pub(super) async fn hear_raw(&mut self, bytes: usize) -> Result<Vec<u8>, Over> {
        let mut message = vec![0; bytes];
        self.recv.read_exact(&mut message).await.map_err(|_| Over)?;
        Ok(message)
    }
}

/// Writes for as long as the other side lets it, and keeps the stream.
async fn fill(connection: Connection, mut send: SendStream, bytes: Vec<u8>) {
    let _ = send.write_all(&bytes).await;
    connection.closed().await;
}

/// Dials a node as whoever holds `own`. It can succeed although the other side refuses the key: that shows later.
pub(super) async fn dial(
    endpoint: &Endpoint,
    own: &OwnKey,
    link: LinkProfile,
    target: &Member,
) -> Result<Connection, ConnectionError> {
    let (crypto, _) = tls::client(own, target.key).unwrap();
    let mut config = ClientConfig::new(crypto);
    config.transport_config(link.transport());
    let address = target.address.parse().unwrap();
    endpoint.connect_with(config, address, tls::SERVER_NAME).unwrap().await
}
