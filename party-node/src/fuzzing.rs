//! Entry points for fuzzing what this crate reads from peers and files. Not an API: nothing here is stable, and
//! nothing in the node calls it.
//!
//! Each check panics if something is wrong with how the bytes were read, and otherwise says whether they were
//! accepted. Checks that need files use a fresh temporary directory each.

mod logs;
mod seeds;

use std::fs;

use mpc_core::wire::Decoder;

use crate::config::{AnyConfig, Config, DealerConfig, NodeConfig};
use crate::data::{Features, Missing, Standardise, TableSource, header, read_weights};
use crate::error::CliError;
use crate::net::frame::{FRAME_MAX_BYTES, Header};
use crate::net::hello::{
    Abort, Confirm, DEMAND_MAX_BYTES, DealerHello, Hello, REASON_MAX_BYTES, decode_greeting,
};
use crate::net::keys::PROTOCOL_VERSION;

pub use logs::{log_directory, log_dishonest};
pub use seeds::seeds;

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

/// A table of a party's own data. The first byte chooses how it is prepared.
pub fn csv(bytes: &[u8]) -> bool {
    let Some((mode, content)) = bytes.split_first() else { return false };
    let dir = scratch();
    let file = dir.path().join("table.csv");
    fs::write(&file, content).expect("a writable temporary directory");
    let source = TableSource {
        file: file.clone(),
        key_column: "id".into(),
        columns: vec!["income".into(), "debt".into()],
        missing: [Missing::Mean, Missing::Refuse, Missing::Value(-1.5)][usize::from(mode % 3)].clone(),
        standardise: if mode & 0x80 == 0 { Standardise::No } else { Standardise::Batch },
    };
    if let Err(e) = header(&file) {
        printable(&CliError::setup("data", e));
    }
    if let Err(e) = Features::read_outcomes(&file, "id", "debt") {
        printable(&CliError::setup("data", e));
    }
    let table = match Features::load(&source) {
        Ok(table) => table,
        Err(e) => {
            printable(&CliError::setup("data", e));
            return false;
        }
    };
    assert!(table.rows() > 0 && table.values().len() == 2 * table.rows(), "a whole table");
    let mut ids: Vec<_> = table.ids().iter().collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == table.rows() && !ids[0].is_empty(), "every row has a name of its own");
    if source.standardise == Standardise::No && source.missing != Missing::Mean {
        assert!(table.values().iter().all(|v| v.is_finite()), "values are numbers");
    }
    match table.check_range(1e6) {
        Ok(()) => assert!(table.values().iter().all(|v| v.abs() <= 1e6), "what passed is in range"),
        Err(e) => printable(&CliError::setup("data", e)),
    }
    true
}

/// A file of named weights.
pub fn weights(bytes: &[u8]) -> bool {
    let dir = scratch();
    let file = dir.path().join("weights.csv");
    fs::write(&file, bytes).expect("a writable temporary directory");
    match read_weights(&file, &["bias".to_owned(), "bank.income".to_owned()]) {
        Ok(weights) => {
            assert!(weights.len() == 2 && weights.iter().all(|w| w.is_finite()), "two numbers: {weights:?}");
            true
        }
        Err(e) => {
            printable(&CliError::setup("data", e));
            false
        }
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
