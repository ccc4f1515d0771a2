//! Nodes in this process, all of whose secrets are known: their keys are on tape, and from them follow all shares, masks and
//! corrections. After sessions that end well and badly, all of them are looked for in every file and every text, as bytes
//! in both orders, in hexadecimal, in base64 and as decimal numbers.

mod known;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use known::Known;
use ml_ops::run_encoded;
use mpc_core::channel::{Channel, ChannelError, Peer};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tag::{SessionId, Tag, node};
use mpc_core::tensor::Tensor;
use protocols::prep::Provider;
use protocols::prep::dealer::{Dealer, DealerPrep};
use protocols::session::{PairwiseSeeds, Session};

use super::agreement::{agreement, options, row_order};
use super::heads::Heads;
use super::transcript::Transcript;
use super::{
    Prepared, load_identity, parameters_digest, places::open_of_party, prepare, run_dealer, run_party,
};
use crate::config::{Config, DealerConfig, Offline};
use crate::demo::layout::{Layout, lay_out};
use crate::demo::scenario::made_up;
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::show;
use crate::net::{Connected, Listener, SecretBytes, connect};
use crate::progress::Silent;
use crate::tape;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: usize = 24;

/// Three parties and a dealer with made-up data.
struct World {
    dir: tempfile::TempDir,
    layout: Layout,
}

/// What a node said at its end: a report or an error, in every form.
type Said = Vec<String>;

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scenario = made_up(3, ROWS, &|party, file| dir.path().join(party).join(file)).unwrap();
        let layout = lay_out(&scenario, dir.path(), Offline::DEALER).unwrap();
        let configs: Vec<&PathBuf> = layout.parties.iter().map(|(_, c)| c).chain(&layout.dealer).collect();
        move_to_own_ports(&configs);
        Self { dir, layout }
    }

    fn config(&self, party: usize) -> Config {
        Config::load(&self.layout.parties[party].1).unwrap()
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Runs all nodes, the third party as `third` says. Gives whether the others succeeded and what they said.
    fn play(
        &self,
        third: impl FnOnce(Config) -> Result<Said, CliError> + Send + 'static,
    ) -> (Vec<bool>, Said) {
        let party = |config: Config| run_party(&config, &mut Silent).map(|r| said(&r, r.render()));
        let dealer = DealerConfig::load(self.layout.dealer.as_ref().unwrap()).unwrap();
        let serve = move |_: Config| {
            let mut reports = Vec::new();
            run_dealer(&dealer, true, &mut |r| {
                reports.extend(said(r, r.render()));
                Ok(())
            })
            .map(|()| reports)
        };
        type Node = Box<dyn FnOnce(Config) -> Result<Said, CliError> + Send>;
        let nodes: [Node; 4] = [Box::new(party), Box::new(party), Box::new(third), Box::new(serve)];
        let (tell, results) = channel();
        for (i, node) in nodes.into_iter().enumerate() {
            let (tell, config) = (tell.clone(), self.config(i % 3));
            std::thread::spawn(move || tell.send((i, node(config))));
        }
        let mut results: Vec<_> =
            (0..4).map(|_| results.recv_timeout(PATIENCE).expect("a node hangs")).collect();
        results.sort_by_key(|(i, _)| *i);
        let succeeded = results.iter().map(|(_, r)| r.is_ok()).collect();
        let texts = results.into_iter().flat_map(|(_, result)| match result {
            Ok(said) => said,
            Err(e) => vec![e.to_json(), format!("{e} {:?}", e.hint()), format!("{e:?}")],
        });
        (succeeded, texts.collect())
    }

    /// The session of this world's logs.
    fn session(&self) -> SessionId {
        let log = show(&self.layout.logs[1].1).unwrap();
        let of_the_log = |s: &SessionId| mpc_core::hex::hex(&s.0) == log.entries[0].session;
        tape::sessions().into_iter().find(of_the_log).expect("the session is on the tape")
    }

    /// Everything that follows from what is on the tape.
    fn known(&self) -> Known {
        let session = self.session();
        let Prepared { program, .. } = prepare(&self.config(0)).unwrap();
        let keys = |label: &str, count: usize| {
            let found = tape::secrets(&session, label);
            assert_eq!(found.len(), count, "{label}");
            found
        };
        let stream = |key: &[u8; 32], tag: Tag, label: &'static str, place: u32, count: usize| {
            let t: Tensor<Z64> = Prg::new(&Seed::new(*key), &session, tag, label, place).tensor(&[count]);
            t
        };
        let mut known = Known::default();
        let (inputs, zeros, dealt) = (keys("input", 3), keys("zero", 3), keys("dealer", 3));
        // A log key for each pair, the dealer's included.
        let blind_seeds = tape::secrets(&session, "blind seed");
        let others = [keys("log", 6), keys("align", 3), blind_seeds].concat();
        inputs.iter().chain(&zeros).chain(&dealt).chain(&others).for_each(|key| known.add_bytes(key));
        for key in &zeros {
            for iteration in 0..40 {
                let tag = Tag { lane: 0, node: node::OUTPUT, iteration, round: 0 };
                known.add_random(&stream(key, tag, "zero", 0, ROWS));
            }
        }
        let demand = program.demand();
        for (node, item) in (0..).zip(&demand.items) {
            let tag = Tag { lane: 0, node, iteration: 0, round: 0 };
            for key in &dealt {
                (0..12).for_each(|place| known.add_random(&stream(key, tag, "dealer", place, 64)));
            }
            // Which key is the corrected party's is not on the tape.
            for first in 0..3 {
                let seeds = (0..3).map(|i| Seed::new(dealt[(first + i) % 3])).collect();
                let keep = |piece: Bytes| {
                    piece.chunks_exact(8).for_each(|word| known.add_bytes(word));
                    Ok::<(), std::convert::Infallible>(())
                };
                let Ok(()) = Dealer::new(session, seeds).corrections::<Z64, _>(node, item, keep);
            }
        }
        for party in 0..3 {
            let mut local = prepare(&self.config(party)).unwrap().inputs;
            for v in local.all_values().into_iter().filter(|v| v.fract() != 0.0) {
                known.add_word(v.to_bits());
            }
            let mut encoded = local.encode(&program, PartyId::new(party)).unwrap();
            for node in program.inputs().filter(|i| i.owner.index() == party).map(|i| i.node) {
                let mut values = vec![];
                let all = |part: &Tensor<Z64>| {
                    values.extend_from_slice(part.as_slice());
                    Ok::<_, std::io::Error>(())
                };
                encoded.read(&program, node, all).unwrap();
                let value = &Tensor::from_vec(&[values.len()], values);
                known.add_numbers(value);
                let tag = Tag { lane: 0, node, iteration: 0, round: 0 };
                let pads: Vec<_> =
                    inputs.iter().map(|key| stream(key, tag, "input", 0, value.len())).collect();
                pads.iter().for_each(|pad| known.add_random(pad));
                // The owner's share lacks the pads of its two pairs, whichever of the three keys those are.
                for i in 0..3 {
                    let mut share = value.clone();
                    share.sub_assign(&pads[i]);
                    share.sub_assign(&pads[(i + 1) % 3]);
                    known.add_random(&share);
                }
            }
        }
        known
    }

    /// Panics if anything that is known is in a file or a text. Only openings may hold blinds.
    fn search(&self, what: &str, texts: &Said) {
        let (known, session) = (self.known(), self.session());
        assert!(known.words.len() > 20_000, "{what}: {} words are known", known.words.len());
        let mut blinds = Known::default();
        tape::secrets(&session, "blind").iter().for_each(|blind| blinds.add_bytes(blind));
        let mut keys = Known::default();
        for (name, _) in &self.layout.logs {
            let identity = Identity::load(&self.path(&format!("{name}/{name}.key"))).unwrap();
            keys.add_bytes(identity.signing_key().as_bytes());
        }
        for text in texts {
            let found =
                known.is_in(text.as_bytes()) || blinds.is_in(text.as_bytes()) || keys.is_in(text.as_bytes());
            assert!(!found, "{what}: said {text}");
        }
        let mut found_where_they_belong = 0;
        for file in files(self.dir.path()) {
            let bytes = std::fs::read(&file).unwrap();
            let place = file.strip_prefix(self.dir.path()).unwrap().display().to_string();
            assert!(!known.is_in(&bytes), "{what}: in {place}");
            let may_blind = place.contains("/log-openings/");
            assert!(may_blind || !blinds.is_in(&bytes), "{what}: a blind in {place}");
            let is_key = place.ends_with(".key");
            assert_eq!(is_key, keys.is_in(&bytes), "{what}: a private key in {place}");
            found_where_they_belong += usize::from(may_blind && blinds.is_in(&bytes)) + usize::from(is_key);
        }
        assert!(found_where_they_belong > 4, "{what}: the search finds nothing where it should");
    }

    /// Why the session ended, by each log that has it.
    fn closing_words(&self) -> BTreeMap<String, String> {
        let mut words = BTreeMap::new();
        for (name, dir) in self.layout.logs.iter().filter(|(_, dir)| dir.join("checkpoint").exists()) {
            let close = show(dir).unwrap().entries.into_iter().find(|e| e.kind == "close");
            words.insert(name.clone(), close.map(|e| e.text).unwrap_or_default());
        }
        words
    }
}

/// Replaces the ports by free ones below the range that the system hands out to the other tests of this process.
fn move_to_own_ports(configs: &[&PathBuf]) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let free = || loop {
        let port =
            12_000 + (std::process::id() as u16 % 500 * 16 + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    };
    let mut texts: Vec<String> = configs.iter().map(|c| std::fs::read_to_string(c).unwrap()).collect();
    for config in 0..configs.len() {
        let listen = texts[config].lines().find_map(|l| l.strip_prefix("listen = ")).unwrap().to_owned();
        let moved = format!("\"127.0.0.1:{}\"", free());
        texts.iter_mut().for_each(|text| *text = text.replace(&listen, &moved));
    }
    configs.iter().zip(texts).for_each(|(config, text)| std::fs::write(config, text).unwrap());
}

fn said<T: serde::Serialize + std::fmt::Debug>(report: &T, text: String) -> Said {
    vec![text, serde_json::to_string(report).unwrap(), format!("{report:?}")]
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The third party up to the point where it has agreed on a session.
fn agreed(config: &Config, identity: &Identity) -> (Connected, Prepared) {
    let prepared = prepare(config).unwrap();
    let options = options(config, &prepared.program, &[]);
    let digest = |key: &SecretBytes| row_order(key, prepared.inputs.row_names.as_ref().unwrap());
    let listener = Listener::bind(config.node.listen).unwrap();
    let connected = connect(identity, listener, options, Some(&digest)).unwrap_or_else(|e| panic!("{e}"));
    (connected, prepared)
}

/// Adds one to the first byte that it sends to party 0.
struct Lying<C> {
    inner: C,
    lied: bool,
}

impl<C: Channel> Channel for Lying<C> {
    fn me(&self) -> PartyId {
        self.inner.me()
    }
    fn parties(&self) -> usize {
        self.inner.parties()
    }
    fn exchange(
        &mut self,
        tag: Tag,
        mut send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        if let Some(message) = send[PartyId::new(0)].take_if(|_| !self.lied) {
            let mut changed = message.to_vec();
            changed[0] = changed[0].wrapping_add(1);
            send[PartyId::new(0)] = Some(changed.into());
            self.lied = true;
        }
        self.inner.exchange(tag, send, expect)
    }
}

/// The third party runs the program and tells party 0 something else than party 1.
fn lie(config: Config) -> Result<Said, CliError> {
    let identity = load_identity(&config.node).unwrap();
    let (connected, Prepared { program, mut inputs }) = agreed(&config, &identity);
    let Connected { session_id, nonces, keys, channel, dealer, handle } = connected;
    let log = open_of_party(&config, &identity).unwrap();
    let digests = (program.digest(), parameters_digest(Provider::Dealer, &[]));
    let agreement = agreement(&config, session_id, nonces.into_vec(), digests);
    let me = Peer::Party(config.me);
    let transcript = Transcript::open(log.handle(), &config.node, me, agreement).unwrap();
    transcript.flush().unwrap();
    let (open, names) = (transcript.opened().clone(), handle.names().clone());
    let heads = Heads::new(&config.node, &identity, log.handle(), open, names).unwrap();
    assert!(heads.compare(handle.controls(), |_| ()).is_ok(), "heads are compared");
    let encoded = inputs.encode(&program, config.me).unwrap();
    let dealer = dealer.expect("the session has a dealer");
    let prep = DealerPrep::<Z64>::remote(
        config.me,
        session_id,
        Seed::from(dealer.seed.clone()),
        None,
        program.demand(),
    );
    let seeds = |f: fn(&crate::net::PeerKeys) -> &SecretBytes| {
        PerParty::from_fn(3, |p| keys[p].as_ref().map(|k| Seed::from(f(k).clone())))
    };
    let seeds = PairwiseSeeds { input: seeds(|k| &k.input), zero: seeds(|k| &k.zero) };
    let lying = Box::new(Lying { inner: channel, lied: false });
    let mut session: Session<Additive<Z64>> = Session::new(session_id, lying, Box::new(prep), seeds);
    let error = run_encoded(&mut session, &program, encoded, &mut |_| ()).expect_err("the lie is noticed");
    handle.flush();
    Ok(vec![error.to_string(), format!("{error:?}")])
}

#[test]
fn a_session_that_ends_well_leaves_no_secret() {
    let world = World::new();
    let honest = |config: Config| run_party(&config, &mut Silent).map(|r| said(&r, r.render()));
    let (succeeded, texts) = world.play(honest);
    assert_eq!(succeeded, [true; 4], "{texts:?}");
    world.search("a good end", &texts);
    assert!(world.closing_words().values().all(|w| w.contains("completed")), "{:?}", world.closing_words());
}

#[test]
fn a_party_that_leaves_takes_no_secret_out_of_the_others() {
    let world = World::new();
    let (succeeded, texts) = world.play(|config| {
        drop(agreed(&config, &load_identity(&config.node).unwrap()));
        Ok(Vec::new())
    });
    assert_eq!(succeeded, [false, false, true, false], "{texts:?}");
    world.search("a party that left", &texts);
    for (name, words) in world.closing_words() {
        assert!(words.contains("aborted") && words.contains("telecom"), "{name}: {words}");
    }
}

#[test]
fn openings_that_differ_are_told_without_them() {
    let world = World::new();
    let (succeeded, texts) = world.play(lie);
    assert_eq!(succeeded[..2], [false, false], "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("openings_differ")), "{texts:?}");
    world.search("openings that differ", &texts);
}

#[test]
fn trouble_at_home_is_nobody_elses_business() {
    let world = World::new();
    std::fs::write(world.path("bank/log-openings"), "").unwrap();
    let honest = |config: Config| run_party(&config, &mut Silent).map(|r| said(&r, r.render()));
    let (succeeded, texts) = world.play(honest);
    assert_eq!(succeeded[..3], [false; 3], "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("bank/log-openings")), "the bank says what is wrong: {texts:?}");
    let root = world.dir.path().display().to_string();
    for (name, words) in world.closing_words().iter().filter(|(_, w)| !w.is_empty()) {
        assert!(words.contains("bank gave up: file_error"), "{name}: {words}");
        assert!(!words.contains(&root) && !words.contains("openings"), "{name}: {words}");
    }
}
