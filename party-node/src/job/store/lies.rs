//! A party that lies about its store: what the honest one does, and what it has afterwards.

#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::fs;
use std::sync::PoisonError;
use std::thread;

use super::*;
use crate::config::Offline;
use crate::demo::layout::{Layout, lay_out};
use crate::demo::scenario::made_up;
use crate::job::agreement::{agreement, options, row_order};
use crate::job::heads::Heads;
use crate::job::places::open_of_party;
use crate::job::transcript::Transcript;
use crate::job::{Prepared, load_identity, parameters_digest, prepare, run_ahead, run_party};
use crate::net::hostile::ALONE;
use crate::net::{Connected, Listener, SecretBytes, connect};
use crate::progress::Silent;
use crate::store::{Offer, summarise};

/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(20);
const RECEIVE_TIMEOUT_MS: u64 = 3_000;

/// What a liar says in each exchange about stores, for the true claim and for what the honest party said last; None if it falls
/// silent.
type Lie<'a> = &'a (dyn Fn(usize, &Claim, &[u8], SessionId) -> Option<Vec<u8>> + Sync);

struct World {
    _dir: tempfile::TempDir,
    layout: Layout,
}

impl World {
    /// Two parties with four copies in their stores.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scenario = made_up(2, 24, &|party, file| dir.path().join(party).join(file)).unwrap();
        let layout = lay_out(&scenario, dir.path(), Offline::OT).unwrap();
        for (_, config) in &layout.parties {
            let text = fs::read_to_string(config).unwrap();
            let stored = "preprocessing = \"ot\"\nstore = \"store\"\n";
            let text = text.replace("preprocessing = \"ot\"\n", stored);
            fs::write(config, format!("receive_timeout_ms = {RECEIVE_TIMEOUT_MS}\n{text}")).unwrap();
        }
        let world = Self { _dir: dir, layout };
        world.both(
            |config| run_ahead(&config, 4, &mut Silent).unwrap(),
            |config| run_ahead(&config, 4, &mut Silent).unwrap(),
        );
        world
    }

    fn config(&self, party: usize) -> Config {
        Config::load(&self.layout.parties[party].1).unwrap()
    }

    fn both<A: Send, B: Send>(
        &self,
        first: impl FnOnce(Config) -> A + Send,
        second: impl FnOnce(Config) -> B + Send,
    ) -> (A, B) {
        let (one, two) = (self.config(0), self.config(1));
        thread::scope(|scope| {
            let first = scope.spawn(|| first(one));
            let second = second(two);
            (first.join().unwrap(), second)
        })
    }

    /// A run of an honest party with a liar. Gives the honest one's end.
    fn run(&self, lie: Lie<'_>) -> Result<(), CliError> {
        let (ended, ()) = self.both(|c| run_party(&c, &mut Silent).map(drop), |c| liar(&c, lie));
        ended
    }

    /// The honest party's cursor; None if it has nothing.
    fn cursor(&self) -> Option<u32> {
        let config = self.config(0);
        let purpose = store_purpose(&config, &crate::job::inputs::load_program(&config).unwrap());
        let found = summarise(&config.store.unwrap(), &purpose).unwrap().unwrap();
        found.first().map(|s| s.copies - s.left)
    }
}

/// Does everything like an honest party until stores are talked about.
fn liar(config: &Config, lie: Lie<'_>) {
    let identity = load_identity(&config.node).unwrap();
    let Prepared { program, inputs } = prepare(config).unwrap();
    let log = open_of_party(config, &identity).unwrap();
    let listener = Listener::bind(config.node.listen).unwrap();
    let digest = |key: &SecretBytes| row_order(key, inputs.row_names.as_ref().unwrap());
    let connected = connect(&identity, listener, options(config, &program, &[]), Some(&digest)).unwrap();
    let Connected { session_id: id, nonces, channel: _channel, handle, .. } = connected;
    let digests =
        (program.digest(), parameters_digest(config.offline.provider(&program, config.node.net), &[]));
    let agreed = agreement(config, id, nonces.into_vec(), digests);
    let transcript = Transcript::open(log.handle(), &config.node, Peer::Party(config.me), agreed).unwrap();
    transcript.flush().unwrap();
    let open = transcript.opened().clone();
    let heads = Heads::new(&config.node, &identity, log.handle(), open, handle.names().clone()).unwrap();
    heads.compare(handle.controls(), |_| ()).map_err(|f| f.error).unwrap();
    let store = Store::open(config.store.as_deref().unwrap()).unwrap();
    let truth = Claim::Has(store.offers(&store_purpose(config, &program)));
    let control = &handle.controls()[0];
    let mut heard = vec![];
    for exchange in 0..2 {
        let Some(word) = lie(exchange, &truth, &heard, id) else {
            // Stays, and says nothing.
            let _failed = handle.wait_failure(PATIENCE);
            return;
        };
        match control.exchange(word, MAX_WORD_BYTES, PATIENCE) {
            Ok(theirs) => heard = theirs,
            Err(_) => return,
        }
    }
    // The honest party has had its answer; what it makes of it ends the session.
    let _failed = handle.wait_failure(PATIENCE);
}

/// The claim with every cursor set.
fn at(claim: &Claim, cursor: u32) -> Claim {
    let Claim::Has(offers) = claim else { panic!("the liar has a store") };
    Claim::Has(offers.iter().map(|o| Offer { cursor, ..*o }).collect())
}

#[test]
fn lies_cost_copies_and_never_bring_one_back() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    assert_eq!(world.cursor(), Some(0));
    let refused = |lie: Lie<'_>| world.run(lie).expect_err("a lie must end the session");
    // Before anything is spent.
    for word in [b"".to_vec(), b"noise".to_vec(), vec![1; MAX_WORD_BYTES + 1], Spent::Ready.encode(&[0; 32])]
    {
        let error = refused(&|_, _, _, _| Some(word.clone()));
        assert_eq!((error.code(), world.cursor()), ("peer_malformed", Some(0)), "{error}");
        assert!(error.message().contains("bureau"), "{error}");
    }
    let error = refused(&|_, _, _, _| None);
    assert_eq!((error.code(), world.cursor()), ("peer_timeout", Some(0)), "{error}");
    // After it: what all decided on is spent, whatever the liar says then.
    let error = refused(&|exchange, truth, _, _| (exchange == 0).then(|| truth.encode()));
    assert_eq!((error.code(), world.cursor()), ("peer_timeout", Some(1)), "{error}");
    let error = refused(&|exchange, truth, _, _| {
        Some(if exchange == 0 { at(truth, 2).encode() } else { Spent::Ready.encode(&[7; 32]) })
    });
    assert_eq!((error.code(), world.cursor()), ("store_differs", Some(3)), "{error}");
    // A smaller cursor than the honest party's: its own counts, so this is the last copy.
    let error = refused(&|exchange, truth, heard, session| {
        let truth = at(truth, 0);
        if exchange == 0 {
            return Some(truth.encode());
        }
        let told = digest(session, &[Claim::decode(heard).unwrap(), truth]);
        Some(Spent::Nothing.encode(&told))
    });
    assert_eq!((error.code(), world.cursor()), ("store_differs", None), "{error}");
}

#[test]
fn a_series_that_a_peer_denies_is_destroyed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    let ended = world.run(&|exchange, _, _, _| (exchange == 0).then(|| Claim::Has(vec![]).encode()));
    assert_eq!(ended.expect_err("nobody answered").code(), "peer_timeout");
    assert_eq!(world.cursor(), None);
}
