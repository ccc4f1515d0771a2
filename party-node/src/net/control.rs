//! Control messages on a connection's first stream: a `u32` length and that many bytes.

use std::time::Duration;

use mpc_core::channel::Peer;
use quinn::{Connection, ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, WriteError};

use tokio::time::timeout;

use super::error::{Names, NetError};
use super::links::ended;

/// Why a control message did not pass.
#[derive(Debug)]
pub(crate) enum ControlError {
    /// The connection ended.
    Lost(ConnectionError),
    /// The peer said something that does not parse.
    Malformed(String),
}

impl ControlError {
    pub(crate) fn malformed(error: impl std::fmt::Display) -> Self {
        Self::Malformed(error.to_string())
    }

    pub(crate) fn into_net_error(self, names: &Names, peer: Peer) -> NetError {
        match self {
            Self::Lost(reason) => lost(names, peer, &reason),
            Self::Malformed(what) => NetError::Malformed { peer: names.of(peer).into(), what },
        }
    }
}

/// The end of a connection during the handshake, with names.
pub(crate) fn lost(names: &Names, peer: Peer, reason: &ConnectionError) -> NetError {
    use mpc_core::channel::ChannelError;
    let name = names.of(peer).to_owned();
    match ended(peer, reason) {
        Some(ChannelError::Aborted { culprit, reason, .. }) => {
            NetError::Aborted { peer: name, culprit: culprit.map(|c| names.of(c).to_owned()), reason }
        }
        Some(ChannelError::Lost { reason, .. }) => NetError::Lost { peer: name, reason },
        _ => NetError::Lost { peer: name, reason: reason.to_string() },
    }
}

/// What is allocated at once while a message comes.
const PIECE_BYTES: usize = 1 << 16;
/// How long to wait for the reason when a peer drops a stream: it closes the connection next.
const REASON_WAIT_MS: u64 = 500;

pub(crate) async fn write_message(
    connection: &Connection,
    stream: &mut SendStream,
    message: &[u8],
) -> Result<(), ControlError> {
    let length = u32::try_from(message.len()).map_err(ControlError::malformed)?.to_le_bytes();
    write_all(connection, stream, &[length.as_slice(), message].concat()).await
}

/// Reads one message of at most `max` bytes. Nothing is allocated for a longer one, and memory follows what has come, not
/// what was announced.
pub(crate) async fn read_message(
    connection: &Connection,
    stream: &mut RecvStream,
    max: usize,
) -> Result<Vec<u8>, ControlError> {
    let mut length = [0; 4];
    read_exact(connection, stream, &mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > max {
        return Err(ControlError::Malformed(format!("message of {length} bytes, at most {max} are due")));
    }
    let mut message = Vec::new();
    while message.len() < length {
        let have = message.len();
        message.resize(length.min(have + PIECE_BYTES), 0);
        read_exact(connection, stream, &mut message[have..]).await?;
    }
    Ok(message)
}

pub(crate) async fn write_all(
    connection: &Connection,
    stream: &mut SendStream,
    bytes: &[u8],
) -> Result<(), ControlError> {
    match stream.write_all(bytes).await {
        Ok(()) => Ok(()),
        Err(WriteError::ConnectionLost(reason)) => Err(ControlError::Lost(reason)),
        Err(other) => Err(dropped(connection, other).await),
    }
}

pub(crate) async fn read_exact(
    connection: &Connection,
    stream: &mut RecvStream,
    buffer: &mut [u8],
) -> Result<(), ControlError> {
    match stream.read_exact(buffer).await {
        Ok(()) => Ok(()),
        Err(ReadExactError::ReadError(ReadError::ConnectionLost(reason))) => Err(ControlError::Lost(reason)),
        Err(other) => Err(dropped(connection, other).await),
    }
}

/// The peer dropped a stream in the middle of a message. If it leaves, the connection's end says why.
async fn dropped(connection: &Connection, error: impl std::fmt::Display) -> ControlError {
    match timeout(Duration::from_millis(REASON_WAIT_MS), connection.closed()).await {
        Ok(reason) => ControlError::Lost(reason),
        Err(_) => ControlError::malformed(error),
    }
}
