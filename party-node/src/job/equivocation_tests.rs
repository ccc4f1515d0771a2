//! A whole joint score over real connections, in which the last party opens other values to one of its two peers than to
//! the other: at every opening in turn, and with digests that fit each of them when openings are compared.
//!
//! The others and the dealer are what `subrosa run` and `subrosa node` are. Both parties must end without an output, say
//! that openings differ, and hold nobody responsible, in their own words, in what they tell others, and in their logs.
#![allow(clippy::unwrap_used, reason = "a failure of a test's own set-up may panic")]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ml_ops::run_encoded;
use mpc_core::channel::{Channel, ChannelError, Peer};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Seed;
use mpc_core::ring::Z64;
use mpc_core::tag::{Tag, node};
use protocols::prep::dealer::DealerPrep;
use protocols::session::{PairwiseSeeds, Session};

use super::agreement::{agreement, options, row_order};
use super::heads::Heads;
use super::transcript::Transcript;
use super::{Prepared, load_identity, places::open_of_party, prepare, run_dealer, run_party};
use crate::config::{Config, DealerConfig, Offline};
use crate::demo::layout::{Layout, lay_out};
use crate::demo::scenario::made_up;
use crate::error::CliError;
use crate::net::{Connected, Listener, PeerKeys, QuicChannel, SecretBytes, connect};
use crate::progress::Silent;

const ROWS: usize = 8;
/// Nothing takes longer, on a busy machine, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// The equivocator's lane: in the exchange `at` it tells `victim` something else, and in the comparison it tells everyone
/// what they want to hear.
struct Lying {
    inner: QuicChannel,
    victim: PartyId,
    at: usize,
    count: usize,
}

impl Channel for Lying {
    fn me(&self) -> PartyId {
        self.inner.me()
    }
    fn parties(&self) -> usize {
        self.inner.parties()
    }
    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        let n = send.parties();
        if tag.node == node::CONFIRM {
            let theirs = self.inner.exchange(tag, PerParty::from_fn(n, |_| None), expect)?;
            self.inner.exchange(tag, theirs, PerParty::from_fn(n, |_| None))?;
            return Ok(send);
        }
        let hit = self.count == self.at;
        self.count += 1;
        let told = |p: PartyId, message: &Bytes| match hit && p == self.victim {
            true => message.iter().enumerate().map(|(i, b)| if i == 0 { b ^ 1 } else { *b }).collect(),
            false => message.clone(),
        };
        let send = PerParty::from_fn(n, |p| send[p].as_ref().map(|message| told(p, message)));
        self.inner.exchange(tag, send, expect)
    }
}

/// What `run_party` does, up to the computation, with a lane that lies. How many openings there were.
fn equivocate(config: &Config, victim: PartyId, at: usize) -> usize {
    let identity = load_identity(&config.node).unwrap();
    let Prepared { program, mut inputs } = prepare(config).unwrap();
    let encoded = inputs.encode(&program, config.me).unwrap();
    let listener = Listener::bind(config.node.listen).unwrap();
    let log = open_of_party(config, &identity).unwrap();
    let options = options(config, &program, &[]);
    let digests = (options.program_digest, options.parameters_digest);
    let rows = |key: &SecretBytes| row_order(key, inputs.row_names.as_ref().unwrap());
    let connected = connect(&identity, listener, options, Some(&rows)).unwrap();
    let Connected { session_id, nonces, keys, channel, dealer, handle } = connected;
    let agreed = agreement(config, session_id, nonces.into_vec(), digests);
    let transcript = Transcript::open(log.handle(), &config.node, Peer::Party(config.me), agreed).unwrap();
    transcript.flush().unwrap();
    let open = transcript.opened().clone();
    let heads = Heads::new(&config.node, &identity, log.handle(), open, handle.names().clone()).unwrap();
    heads.compare(handle.controls(), |_| ()).map_err(|f| f.error).unwrap();

    let prep = DealerPrep::<Z64>::remote(
        config.me,
        session_id,
        Seed::from(dealer.unwrap().seed.clone()),
        None,
        program.demand(),
    );
    let seeds = |f: fn(&PeerKeys) -> &SecretBytes| {
        PerParty::from_fn(3, |p| keys[p].as_ref().map(|k| Seed::from(f(k).clone())))
    };
    let pairwise = PairwiseSeeds { input: seeds(|k| &k.input), zero: seeds(|k| &k.zero) };
    let lane = Lying { inner: channel, victim, at, count: 0 };
    let mut session = Session::new(session_id, Box::new(lane), Box::new(prep), pairwise);
    let ended = run_encoded(&mut session, &program, encoded, &mut |_| ());
    let openings = session.rounds() as usize - 2;
    // Its output shares leave. Then the others give up, or everyone closes if the lie was never told.
    if at < openings {
        assert!(handle.wait_failure(DEADLINE).is_some(), "nobody noticed");
    } else {
        ended.unwrap();
        handle.close().unwrap();
    }
    openings
}

struct World {
    _dir: tempfile::TempDir,
    layout: Layout,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scenario = made_up(3, ROWS, &|party, file| dir.path().join(party).join(file)).unwrap();
        let layout = lay_out(&scenario, dir.path(), Offline::DEALER).unwrap();
        Self { _dir: dir, layout }
    }

    /// A session in which the last party lies. How it ended for the other two and for the dealer, and how many openings
    /// there were.
    fn run(&self, victim: PartyId, at: usize) -> (Vec<Result<(), CliError>>, usize) {
        let party = |path: &Path| {
            let config = Config::load(path).unwrap();
            thread::spawn(move || run_party(&config, &mut Silent).map(drop))
        };
        let dealer = DealerConfig::load(self.layout.dealer.as_ref().unwrap()).unwrap();
        let mut nodes = vec![thread::spawn(move || run_dealer(&dealer, true, &mut |_| Ok(())))];
        nodes.extend(self.layout.parties[..2].iter().map(|(_, path)| party(path)));
        let config = Config::load(&self.layout.parties[2].1).unwrap();
        let openings = equivocate(&config, victim, at);
        nodes.rotate_left(1);
        (nodes.into_iter().map(|node| node.join().unwrap()).collect(), openings)
    }
}

/// How a node's log says that the last session ended.
fn close_in(log: &Path) -> String {
    let entries = crate::log::show(log).unwrap().entries;
    entries.into_iter().rev().find(|e| e.kind == "close").unwrap().text
}

#[test]
fn an_equivocator_is_caught_before_any_output_and_nobody_is_blamed() {
    let world = World::new();
    let none = usize::MAX;
    let (ended, openings) = world.run(PartyId::new(0), none);
    assert!(ended.iter().all(Result::is_ok), "without a lie all is well: {ended:?}");
    assert!(world.layout.scores.exists() && openings >= 8, "{openings} openings");
    std::fs::remove_file(&world.layout.scores).unwrap();
    for at in 0..openings {
        for victim in [0, 1] {
            let began = Instant::now();
            let (ended, _) = world.run(PartyId::new(victim), at);
            let place = format!("opening {at}, another to party {victim}");
            assert!(!world.layout.scores.exists(), "{place}: an output");
            assert!(began.elapsed() < DEADLINE, "{place}: {:?}", began.elapsed());
            let errors: Vec<&CliError> = ended.iter().map(|e| e.as_ref().unwrap_err()).collect();
            let differ = errors[..2].iter().filter(|e| e.code() == "openings_differ").count();
            assert!(differ >= 1, "{place}: {errors:?}");
            for error in &errors {
                assert!(["openings_differ", "peer_aborted"].contains(&error.code()), "{place}: {error:?}");
                assert!(error.message().contains("saw different opened values"), "{place}: {error:?}");
            }
            for (node, log) in world.layout.logs.iter().filter(|(name, _)| *name != world.layout.parties[2].0)
            {
                let close = close_in(log);
                let unblamed = ["aborted (openings_differ)", "aborted (peer_aborted)"];
                assert!(unblamed.iter().any(|words| close.contains(words)), "{place}: {node}: {close}");
            }
        }
    }
}
