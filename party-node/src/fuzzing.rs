//! Entry points for fuzzing what this crate reads from peers and files, and for timing frames. Not an API: nothing here is stable, and
//! nothing in the node calls it.
//!
//! Each check panics if something is wrong with how the bytes were read, and otherwise says whether they were
//! accepted. Checks that need files use a fresh temporary directory each.

mod logs;
mod seeds;
mod tables;

use std::collections::BTreeSet;
use std::fs;

use mpc_core::tag::Tag;
use mpc_core::wire::Decoder;

use crate::config::{AnyConfig, Config, DealerConfig, InputSource, NodeConfig};
use crate::data::{MAX_CODES, OutcomeCoding, Standardise};
use crate::error::CliError;
use crate::job::store::words::{Claim, Spent, decide};
use crate::net::frame::{FRAME_MAX_BYTES, Header, Outgoing, split};
use crate::net::hello::{
    Abort, Confirm, DEMAND_MAX_BYTES, DealerHello, Hello, REASON_MAX_BYTES, decode_greeting,
};
use crate::net::keys::PROTOCOL_VERSION;
use crate::store::index::check_row;

pub use logs::{log_directory, log_dishonest};
pub use seeds::seeds;
pub use tables::{csv, weights};

/// Frames one after the other, as they would follow each other on a stream; true if the stream is whole.
pub fn frame(mut bytes: &[u8]) -> bool {
    while let Some((head, rest)) = bytes.split_first_chunk::<{ Header::BYTES }>() {
        let Ok(header) = Header::decode(head) else { return false };
        assert_eq!(&header.encode()[..], head, "a header has one encoding");
        assert!((1..=FRAME_MAX_BYTES).contains(&header.payload), "a payload is bounded and never empty");
        assert!(header.payload as u64 <= header.message, "a payload is part of its message");
        let Some((_, rest)) = rest.split_at_checked(header.payload) else { return false };
        bytes = rest;
    }
    bytes.is_empty()
}

/// The chunks in which a message leaves on a stream.
pub fn frames(message: &bytes::Bytes) -> Vec<bytes::Bytes> {
    split(&Outgoing::whole(Tag { lane: 0, node: 1, iteration: 0, round: 0 }, message.clone()))
}

/// A message of the handshake or an abort. The first byte chooses which.
pub fn handshake(bytes: &[u8]) -> bool {
    let Some((kind, message)) = bytes.split_first() else { return false };
    match kind % 3 {
        0 => hello(message),
        1 => confirm(message),
        _ => abort(message),
    }
}

fn hello(message: &[u8]) -> bool {
    let mut d = Decoder::new(message);
    let Ok(version) = decode_greeting(&mut d) else { return false };
    if version != PROTOCOL_VERSION {
        return true;
    }
    let Ok(hello) = Hello::decode_after_greeting(version, &mut d) else { return false };
    if d.finish().is_err() {
        return false;
    }
    assert_eq!(hello.encode(), message, "a hello has one encoding");
    true
}

fn confirm(message: &[u8]) -> bool {
    let Ok(confirm) = Confirm::decode(message) else { return false };
    assert_eq!(confirm.encode(), message, "a confirmation has one encoding");
    true
}

fn abort(message: &[u8]) -> bool {
    let abort = Abort::decode(message);
    assert!(abort.reason.len() <= REASON_MAX_BYTES, "a reason is bounded");
    assert!(!abort.reason.chars().any(char::is_control), "a reason is printable: {:?}", abort.reason);
    let again = Abort::decode(&abort.encode());
    assert_eq!(
        (again.culprit, &again.reason),
        (abort.culprit, &abort.reason),
        "an abort is passed on unchanged"
    );
    true
}

/// What a party asks of the dealer.
pub fn dealer_hello(bytes: &[u8]) -> bool {
    let Ok(hello) = DealerHello::decode(bytes) else { return false };
    assert_eq!(hello.encode(), bytes, "a dealer hello has one encoding");
    assert!(hello.demand.len() <= DEMAND_MAX_BYTES, "a demand is bounded");
    true
}

/// What parties tell each other of their stores, and rows of a store's index. The first byte chooses which.
pub fn store(bytes: &[u8]) -> bool {
    let Some((kind, message)) = bytes.split_first() else { return false };
    match kind % 3 {
        0 => {
            let Ok(claim) = Claim::decode(message) else { return false };
            assert_eq!(claim.encode(), message, "a claim has one encoding");
            let decision = decide(&[claim.clone(), claim.clone()], 0);
            if let (Claim::Has(offers), Some(next)) = (&claim, decision.copy) {
                assert!(offers.contains(&next), "what is used was offered");
            }
            assert!(decision.destroy.is_empty(), "what both have is kept");
            true
        }
        1 => {
            let Ok((spent, told)) = Spent::decode(message) else { return false };
            assert_eq!(spent.encode(&told), message, "a word has one encoding");
            true
        }
        _ => check_row([7; 32], message),
    }
}

/// A configuration file, read as a party's, as a dealer's, and as either.
pub fn config(bytes: &[u8]) -> bool {
    let dir = scratch();
    let path = dir.path().join("node.toml");
    fs::write(&path, bytes).expect("a writable temporary directory");
    let party = Config::load(&path).map_err(|e| printable(&e));
    let dealer = DealerConfig::load(&path).map_err(|e| printable(&e));
    let either = AnyConfig::load(&path).map_err(|e| printable(&e));
    if let Ok(party) = &party {
        check_node(&party.node);
        party.inputs.values().for_each(check_input);
        if let Some(known) = party.scorecard.as_ref().and_then(|card| card.outcomes.as_ref()) {
            check_coding(&known.coding);
        }
        assert_eq!(party.node.roster.parties()[party.me.index()].name, party.node.name, "its own place");
        assert!(matches!(either, Ok(AnyConfig::Party(_))), "a party's file is told from a dealer's");
    }
    if let Ok(dealer) = &dealer {
        check_node(&dealer.node);
        assert!(dealer.node.roster.position(&dealer.node.name).is_none(), "a dealer is no party");
    }
    assert!(party.is_err() || dealer.is_err(), "no file is both a party's and a dealer's");
    either.is_ok()
}

fn check_node(node: &NodeConfig) {
    let parties = node.roster.parties();
    assert!((2..=mpc_core::party::MAX_PARTIES).contains(&parties.len()), "{} parties", parties.len());
    for (i, a) in parties.iter().enumerate() {
        assert!((1..=40).contains(&a.name.len()), "a name is bounded: {:?}", a.name);
        for b in &parties[..i] {
            assert!(a.name != b.name && a.public_key != b.public_key, "{} twice", a.name);
        }
    }
    for ms in [node.connect_timeout_ms, node.receive_timeout_ms] {
        assert!((100..=3_600_000).contains(&ms), "a timeout of {ms} ms");
    }
}

fn check_input(input: &InputSource) {
    let InputSource::Table(table) = input else { return };
    let features = table.features();
    assert!(!features.is_empty(), "an input without columns");
    let distinct: BTreeSet<&String> = features.iter().collect();
    assert_eq!(distinct.len(), features.len(), "two columns of one name");
    for (column, codes) in table.one_hot.iter() {
        assert!(table.columns.iter().any(|c| c == column), "codes of no column: {column:?}");
        check_codes(codes);
    }
    if let Standardise::Given(figures) = &table.standardise {
        assert!(figures.keys().all(|name| distinct.contains(name)), "figures of no column");
        assert!(figures.values().all(|f| f.mean.is_finite() && f.standard_deviation > 0.0), "figures");
    }
}

fn check_codes(codes: &[String]) {
    assert!((1..=MAX_CODES).contains(&codes.len()), "{} codes", codes.len());
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len(), "a code is listed twice");
    assert!(codes.iter().all(|c| !c.is_empty() && c.trim() == c), "a code that no cell can hold: {codes:?}");
}

fn check_coding(coding: &OutcomeCoding) {
    let OutcomeCoding::Texts { good, bad } = coding else { return };
    assert!(good != bad, "good is bad: {good:?}");
    for text in [good, bad] {
        assert!(!text.is_empty() && text != "NA" && text.trim() == text, "an outcome of no cell: {text:?}");
    }
}

/// An error is one printable line, whatever was in the file.
fn printable(error: &CliError) {
    for text in [Some(error.message()), error.hint()].into_iter().flatten() {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "error text {text:?}");
    }
}

/// In memory where the system has such a place: thousands of small trees are written and synchronised.
fn scratch() -> tempfile::TempDir {
    let memory = tempfile::tempdir_in("/dev/shm");
    memory.or_else(|_| tempfile::tempdir()).expect("a writable temporary directory")
}
