//! A dealer that knows the protocol by heart and has a script for leaving it.

use std::sync::Arc;

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use quinn::Connection;

use super::act::{Kind, Line, Over, Stage};
use super::honest::{CORRECTION_BYTES, WORD};
use crate::identity::Identity;
use crate::net::accept::Gate;
use crate::net::frame::FRAME_MAX_BYTES;
use crate::net::hello::encode_greeting;
use crate::net::keys::PROTOCOL_VERSION;
use crate::net::options::Member;
use crate::net::tls::OwnKey;
use crate::net::transport::{LinkProfile, Listener};

/// What a hostile dealer is made of.
pub(super) struct MalloryDealer {
    pub(super) identity: &'static Identity,
    pub(super) parties: Vec<Member>,
}

/// Serves until the end of the runtime.
pub(super) async fn serve(mallory: MalloryDealer, listener: Listener, stage: Stage) {
    let own = OwnKey::new(mallory.identity).unwrap();
    let keys: Vec<_> = mallory.parties.iter().map(|m| m.key).collect();
    let link = LinkProfile::Loopback;
    let gate = Gate::new(own, mallory.identity.public_key(), keys.clone(), link.transport());
    let endpoint = listener.into_endpoint(link, Some(gate.server_config().unwrap())).unwrap();
    let stage = Arc::new(stage);
    let all_asked = Arc::new(tokio::sync::Barrier::new(keys.len()));
    while let Some(incoming) = endpoint.accept().await {
        let (gate, keys) = (gate.clone(), keys.clone());
        let (stage, all_asked) = (stage.clone(), all_asked.clone());
        tokio::spawn(async move {
            let Ok(admitted) = gate.admit(incoming).await else { return };
            let from = PartyId::new(keys.iter().position(|k| *k == admitted.key).unwrap());
            let _ = with_party(from, admitted.connection.clone(), stage, &all_asked).await;
            admitted.connection.closed().await;
        });
    }
}

async fn with_party(
    p: PartyId,
    connection: Connection,
    stage: Arc<Stage>,
    all_asked: &tokio::sync::Barrier,
) -> Result<(), Over> {
    let to = Peer::Party(p);
    let (send, recv) = connection.accept_bi().await.map_err(|_| Over)?;
    let mut control = Line { connection: connection.clone(), send, recv, to, stage: stage.clone() };
    control.hear().await?;
    control.say(Kind::DealerGreeting, &encode_greeting(PROTOCOL_VERSION).finish()).await?;
    control.hear().await?;
    all_asked.wait().await;
    control.say(Kind::Ready, b"ready").await?;
    control.say(Kind::Before, WORD).await?;
    control.hear().await?;
    if p.index() == 0 {
        let send = connection.open_uni().await.map_err(|_| Over)?;
        let (_, recv) = connection.open_bi().await.map_err(|_| Over)?;
        let mut corrections = Line { connection: connection.clone(), send, recv, to, stage };
        for (item, bytes) in (0..).zip(CORRECTION_BYTES) {
            corrections.say_raw(Kind::Correction(item), pieces(item, &vec![7; bytes])).await?;
        }
        corrections.send.finish().map_err(|_| Over)?;
    }
    control.hear().await?;
    control.say(Kind::After, WORD).await?;
    control.hear().await.map(drop)
}

/// A correction cut into pieces, as it goes onto the stream to party 0.
pub(super) fn pieces(item: u32, correction: &[u8]) -> Vec<u8> {
    let piece = |part: &[u8]| [&item.to_le_bytes(), &(part.len() as u32).to_le_bytes(), part].concat();
    correction.chunks(FRAME_MAX_BYTES).flat_map(piece).collect()
}
