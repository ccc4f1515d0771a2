//! Every single bit of every message of the handshake turned over, read by the node's own code from a real stream.

use std::sync::Arc;

use mpc_core::party::PartyId;
use mpc_core::tag::SessionId;
use mpc_core::wire::Decoder;

use super::mischief::{flip, noise, with_length};
use super::rig::{Rig, THEM, US};
use crate::identity::Identity;
use crate::net::accept::Gate;
use crate::net::confirm::{DEALER_READY, ask_dealer, confirm_party};
use crate::net::control::{ControlError, read_message};
use crate::net::dealer_link::GOODBYE;
use crate::net::dealer_server::DealerOptions;
use crate::net::error::{Difference, Names, NetError};
use crate::net::hello::{
    Confirm, DEALER_HELLO_MAX_BYTES, DealerHello, HELLO_MAX_BYTES, Hello, decode_greeting, encode_greeting,
};
use crate::net::join::read_hello;
use crate::net::keys::{Exported, PROTOCOL_VERSION, roster_digest};
use crate::net::lobby::Lobby;
use crate::net::present::Greeted;
use crate::net::quorum::disagreement;
use crate::net::rows::RowTest;
use crate::net::tls::OwnKey;

/// What the node makes of a message with one bit turned over, as a word.
fn word<T>(result: Result<T, NetError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(NetError::Mismatch { what, .. }) => match what {
            Difference::Roster => "roster",
            Difference::Program => "program",
            Difference::Parameters => "parameters",
            Difference::Index => "index",
            Difference::Demand => "demand",
        },
        Err(error) => error.code(),
    }
}

/// All messages with one bit turned over, in order of bits.
fn flips(message: &[u8]) -> Vec<Vec<u8>> {
    (0..8 * message.len()).map(|bit| flip(message, bit)).collect()
}

fn framed(message: &[u8]) -> Vec<u8> {
    with_length(message.len() as u32, message)
}

/// Holds the verdicts, one per bit, against fields of (bytes, allowed words).
fn assert_fields(name: &str, verdicts: &[&str], fields: &[(usize, &[&str])]) {
    assert_eq!(verdicts.len(), 8 * fields.iter().map(|(bytes, _)| bytes).sum::<usize>(), "{name}: every bit");
    let mut bit = 0;
    for (i, (bytes, allowed)) in fields.iter().enumerate() {
        for _ in 0..8 * bytes {
            let verdict = verdicts[bit];
            assert!(allowed.contains(&verdict), "{name}, field {i}, bit {bit}: {verdict}, not {allowed:?}");
            bit += 1;
        }
    }
}

#[test]
fn every_bit_of_a_hello() {
    let rig = Rig::new();
    let ours = rig.meeting.hello(THEM);
    let theirs = Hello { me: 0, you: 1, nonce: [0x4d; 32], ..ours };
    let meeting = Arc::new(rig.meeting.clone());
    let verdicts = rig.judge(flips(&framed(&theirs.encode())), move |connection, _send, mut recv| {
        let meeting = meeting.clone();
        async move {
            let named =
                |e: ControlError| e.into_net_error(&meeting.names, mpc_core::channel::Peer::Party(THEM));
            match read_hello(&connection, &mut recv, PROTOCOL_VERSION).await {
                Err(error) => word::<()>(Err(named(error))),
                Ok(hello) => match word(meeting.compare(THEM, &hello)) {
                    // Any nonce is as good as another: it goes into the session's id.
                    "accepted" if hello.nonce != [0x4d; 32] => "another nonce",
                    other => other,
                },
            }
        }
    });
    assert_fields(
        "hello",
        &verdicts,
        &[
            (4, &["malformed"]),
            (4, &["malformed"]),
            (2, &["protocol_version"]),
            (3, &["index"]),
            (32, &["roster"]),
            (32, &["program"]),
            (32, &["parameters"]),
            (32, &["another nonce"]),
        ],
    );
}

const SESSION: SessionId = SessionId([0x5e; 32]);

/// Both sides' tests of equal row lists.
fn row_test(exported: &Exported, me: PartyId, other: PartyId) -> RowTest {
    let [ours, theirs] = [me, other].map(|p| exported.align_key(&SESSION, p));
    RowTest::new(&[7; 32], ours, theirs).unwrap()
}

#[test]
fn every_bit_of_a_confirmation() {
    let rig = Rig::new();
    let exported = Arc::new(Exported::from_connection(&rig.ours).unwrap());
    let point = row_test(&exported, THEM, US).blinded();
    let confirm = Confirm { session: SESSION.0, row_order: Some(point) }.encode();
    // Some bits make another point of the group: then an answer is due, and no answer fits.
    let answer = framed(&noise(32));
    let messages = flips(&framed(&confirm)).into_iter().map(|m| [m, answer.clone()].concat()).collect();
    let meeting = Arc::new(rig.meeting.clone());
    let verdicts = rig.judge(messages, move |connection, send, recv| {
        let (meeting, test) = (meeting.clone(), row_test(&exported, US, THEM));
        async move {
            let greeted = Greeted { connection, send, recv, nonce: [0; 32] };
            word(confirm_party(&meeting, THEM, greeted, SESSION, Some(test)).await)
        }
    });
    assert_fields(
        "confirmation",
        &verdicts,
        &[(4, &["malformed"]), (32, &["session_id"]), (1, &["malformed"]), (32, &["malformed", "row_order"])],
    );
    assert!(verdicts[8 * 37..].contains(&"row_order"), "some are points");
}

#[test]
fn every_bit_of_an_answer_about_rows() {
    let rig = Rig::new();
    let exported = Arc::new(Exported::from_connection(&rig.ours).unwrap());
    // The honest side's test is drawn anew for every stream, so the right answer is not known in advance: what is written
    // is the confirmation, and the answer comes from the honest side's own point.
    let meeting = Arc::new(rig.meeting.clone());
    let answer_bytes = 4 + 32;
    for bit in 0..=8 * answer_bytes {
        let (ours, theirs) = (rig.ours.clone(), rig.theirs.clone());
        let (meeting, exported) = (meeting.clone(), exported.clone());
        let verdict = rig.net.run(async move {
            let them = async {
                let test = row_test(&exported, THEM, US);
                let (mut send, mut recv) = theirs.open_bi().await.unwrap();
                let confirm = Confirm { session: SESSION.0, row_order: Some(test.blinded()) }.encode();
                send.write_all(&framed(&confirm)).await.unwrap();
                let heard = read_message(&theirs, &mut recv, HELLO_MAX_BYTES).await.unwrap();
                let point = Confirm::decode(&heard).unwrap().row_order.unwrap();
                let answer = framed(&test.answer(point).unwrap().ours);
                // One run past the last bit turns nothing over.
                let said = if bit == 8 * answer_bytes { answer } else { flip(&answer, bit) };
                send.write_all(&said).await.unwrap();
                send.finish().unwrap();
                let (mut lane, _recv) = theirs.open_bi().await.unwrap();
                let _ = lane.write_all(&[0, 0]).await;
                let _ = send.stopped().await;
            };
            let us = async {
                let test = row_test(&exported, US, THEM);
                let (send, recv) = ours.accept_bi().await.unwrap();
                let greeted = Greeted { connection: ours.clone(), send, recv, nonce: [0; 32] };
                let verdict = word(confirm_party(&meeting, THEM, greeted, SESSION, Some(test)).await);
                if verdict != "accepted" {
                    // The lane's stream, which nobody took.
                    let _ = ours.accept_bi().await;
                }
                verdict
            };
            tokio::join!(them, us).1
        });
        let verdict = verdict.unwrap();
        let expected: &[&str] = match bit / 8 {
            _ if bit == 8 * answer_bytes => &["accepted"],
            0..4 => &["malformed"],
            _ => &["row_order"],
        };
        assert!(expected.contains(&verdict), "bit {bit}: {verdict}");
    }
}

#[test]
fn every_bit_of_a_greeting_a_ready_and_a_goodbye() {
    let rig = Rig::new();
    let greeting = encode_greeting(PROTOCOL_VERSION).finish();
    let verdicts = rig.judge(flips(&framed(&greeting)), |connection, _send, mut recv| async move {
        let Ok(bytes) = read_message(&connection, &mut recv, HELLO_MAX_BYTES).await else {
            return "malformed";
        };
        match decode_greeting(&mut Decoder::new(&bytes)) {
            Ok(PROTOCOL_VERSION) => "accepted",
            Ok(_) => "protocol_version",
            Err(_) => "malformed",
        }
    });
    assert_fields(
        "greeting",
        &verdicts,
        &[(4, &["malformed"]), (4, &["malformed"]), (2, &["protocol_version"])],
    );

    let names = Arc::new(Names::new(["mallory".to_owned(), "alice".to_owned()], None));
    let hello = Arc::new(demand(0, [0; 32]));
    let verdicts = rig.judge(flips(&framed(DEALER_READY)), move |connection, send, recv| {
        let (names, hello) = (names.clone(), hello.clone());
        async move {
            let greeted = Greeted { connection, send, recv, nonce: [0; 32] };
            let answer = ask_dealer(greeted, &hello).await;
            word(answer.map_err(|e| e.into_net_error(&names, mpc_core::channel::Peer::Dealer)))
        }
    });
    assert_fields("ready", &verdicts, &[(4 + DEALER_READY.len(), &["malformed"])]);

    let verdicts = rig.judge(flips(&framed(GOODBYE)), |connection, _send, mut recv| async move {
        match read_message(&connection, &mut recv, GOODBYE.len()).await {
            Ok(word) if word == GOODBYE => "accepted",
            _ => "malformed",
        }
    });
    assert_fields("goodbye", &verdicts, &[(4 + GOODBYE.len(), &["malformed"])]);
}

fn demand(me: u8, roster: [u8; 32]) -> DealerHello {
    DealerHello {
        session: SESSION.0,
        parties: 2,
        me,
        roster,
        program: [3; 32],
        parameters: [4; 32],
        demand: b"two items".to_vec(),
    }
}

#[test]
fn every_bit_of_a_demand() {
    let rig = Rig::new();
    let members = rig.meeting.parties.as_ref().clone();
    let dealer = Identity::generate().unwrap();
    let keys: Vec<_> = members.iter().map(|m| m.key).collect();
    let roster = roster_digest(&keys, Some(&dealer.public_key()));
    let options = DealerOptions::new(members);
    let gate = Gate::new(OwnKey::new(&dealer).unwrap(), dealer.public_key(), keys, options.link.transport());
    let (tell, _reports) = std::sync::mpsc::sync_channel(1);
    let names = Arc::new(Names::new(["mallory".to_owned(), "alice".to_owned()], None));
    let lobby = Arc::new(Lobby::new(gate, options, roster, tell));
    let verdicts =
        rig.judge(flips(&framed(&demand(0, roster).encode())), move |connection, _send, mut recv| {
            let (names, lobby) = (names.clone(), lobby.clone());
            async move {
                let bytes = read_message(&connection, &mut recv, DEALER_HELLO_MAX_BYTES).await;
                let Ok(hello) = bytes.and_then(|b| DealerHello::decode(&b).map_err(ControlError::malformed))
                else {
                    return "malformed";
                };
                if let Err(error) = lobby.check(THEM, &hello) {
                    return word::<()>(Err(error));
                }
                // It waits under its own id, or is held against what the other one asks for.
                let other = demand(1, roster);
                match disagreement(&names, &[&hello, &other]) {
                    _ if hello.session != other.session => "another session",
                    Some(error) => word::<()>(Err(error)),
                    None => "accepted",
                }
            }
        });
    assert_fields(
        "demand",
        &verdicts,
        &[
            (4, &["malformed"]),
            (32, &["another session"]),
            (2, &["index"]),
            (32, &["roster"]),
            (32, &["program"]),
            (32, &["parameters"]),
            (4, &["malformed"]),
            (9, &["demand"]),
        ],
    );
}
