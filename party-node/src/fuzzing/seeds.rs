//! Inputs to begin fuzzing from, made by the real encoders. Those called `valid-…` are accepted by their check.

use bytes::Bytes;
use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::tag::{SessionId, Tag, node};

use super::logs::entries_of;
use crate::job::store::words::{Claim, Spent};
use crate::net::frame::{Outgoing, split};
use crate::net::hello::{Abort, Confirm, DealerHello, Hello, encode_greeting};
use crate::net::keys::PROTOCOL_VERSION;
use crate::store::Offer;
use crate::store::index::sample_rows;

/// Target, name and content of every seed; `demand` is an encoded demand.
#[must_use]
pub fn seeds(demand: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut all = frames();
    all.extend(handshakes(demand));
    all.extend(logs());
    all.extend(stores());
    all
}

fn stores() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let offer = |series: u8, cursor| Offer { series: SessionId([series; 32]), cursor, copies: 20 };
    let with = |kind: u8, message: Vec<u8>| [vec![kind], message].concat();
    let [series, key] = sample_rows([7; 32]);
    vec![
        ("store", "valid-no-store", with(0, Claim::NoStore.encode())),
        ("store", "valid-nothing", with(0, Claim::Has(vec![]).encode())),
        ("store", "valid-two", with(0, Claim::Has(vec![offer(1, 0), offer(2, 19)]).encode())),
        ("store", "spent", with(0, Claim::Has(vec![offer(1, 20)]).encode())),
        ("store", "valid-ready", with(1, Spent::Ready.encode(&[9; 32]))),
        ("store", "valid-series", with(2, series)),
        ("store", "valid-key", with(2, key)),
    ]
}

fn frames() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let stream = |tag, sizes: &[usize]| -> Vec<u8> {
        let messages = sizes.iter().map(|&n| Bytes::from(vec![0x5a; n]));
        messages.flat_map(|m| split(&Outgoing::whole(tag, m))).flatten().collect()
    };
    let tag = Tag { lane: 0, node: 3, iteration: 0, round: 1 };
    let close = Tag { node: node::CLOSE, round: 0, ..tag };
    let header_of_large = stream(tag, &[(1 << 20) + 5])[..26].to_vec();
    vec![
        ("frame", "valid-one", stream(tag, &[40])),
        ("frame", "valid-three", stream(close, &[32, 1, 200])),
        ("frame", "cut-large", header_of_large),
    ]
}

fn handshakes(demand: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        parties: 3,
        me: 0,
        you: 2,
        roster: [1; 32],
        program: [2; 32],
        parameters: [3; 32],
        nonce: [4; 32],
    };
    let confirm = |row_order| Confirm { session: [5; 32], row_order }.encode();
    let abort = |culprit, reason: &str| Abort { culprit, reason: reason.into() }.encode();
    let with = |kind: u8, message: Vec<u8>| [vec![kind], message].concat();
    let ask = DealerHello {
        session: [6; 32],
        parties: 3,
        me: 0,
        roster: [1; 32],
        program: [2; 32],
        parameters: [3; 32],
        demand: demand.to_vec(),
    };
    let party = Some(Peer::Party(PartyId::new(1)));
    vec![
        ("handshake", "valid-hello", with(0, hello.encode())),
        ("handshake", "valid-other-version", with(0, encode_greeting(PROTOCOL_VERSION + 1).finish())),
        ("handshake", "valid-confirm", with(1, confirm(None))),
        ("handshake", "valid-confirm-rows", with(1, confirm(Some([7; 32])))),
        ("handshake", "valid-abort", with(2, abort(party, "größer als erwartet"))),
        ("handshake", "valid-abort-dealer", with(2, abort(Some(Peer::Dealer), ""))),
        ("handshake", "valid-abort-nobody", with(2, abort(None, &"x".repeat(200)))),
        ("dealer_hello", "valid-ask", ask.encode()),
        ("dealer_hello", "valid-nothing", DealerHello { demand: Vec::new(), ..ask }.encode()),
    ]
}

fn logs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let framed = |entries: Vec<Vec<u8>>| -> Vec<u8> {
        entries.into_iter().flat_map(|e| [(e.len() as u16).to_le_bytes().to_vec(), e].concat()).collect()
    };
    let mut reordered = entries_of(0, 3);
    reordered.swap(2, 3);
    let edits: [(&str, &[u8]); 9] = [
        ("valid-pair", &[0]),
        ("valid-long", &[1]),
        ("flip-checkpoint", &[0, 0, 0, 9, 0, 1]),
        ("flip-bundle", &[1, 0, 2, 0x40, 1, 0x80]),
        ("cut-bundle", &[0, 1, 4, 100, 0]),
        ("remove-tile", &[0, 3, 1]),
        ("swap-checkpoints", &[0, 4, 0, 3]),
        ("replace-checkpoint", &[0, 5, 0, 12, 0, b'b', b'a', b'n', b'k', b'\n', b'0', b'\n']),
        ("stray", b"\x00\x06\x00\x0etile/0/000.p/1\x02ab"),
    ];
    let mut all: Vec<_> =
        edits.iter().map(|&(name, script)| ("log_directory", name, script.to_vec())).collect();
    all.push(("log_dishonest", "valid-honest", framed(entries_of(0, 3))));
    all.push(("log_dishonest", "valid-unclosed", framed(entries_of(0, 2)[..3].to_vec())));
    all.push(("log_dishonest", "of-the-other", framed(entries_of(1, 1))));
    all.push(("log_dishonest", "reordered", framed(reordered)));
    let names = ["valid-open", "valid-commitment", "valid-batch", "valid-close"];
    all.extend(names.into_iter().zip(entries_of(0, 1)).map(|(name, e)| ("log_entry", name, e)));
    all
}
