//! A peer that finishes the handshake and then lies, stammers, falls silent or leaves while logs are compared, over real
//! QUIC. Whatever it does, the honest side ends in time, blames the right one, remembers nothing false, and has a log that
//! verifies.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use mpc_core::channel::Peer;
use mpc_core::checkpoint::{
    Answer, Checkpoint, CosignatureReply, Growth, MAX_ANSWER_BYTES, MAX_GROWTH_BYTES, MAX_OFFER_BYTES, Offer,
    OfferedLeaf, Seen,
};
use mpc_core::merkle::TreeHash;
use mpc_core::party::PartyId;
use mpc_core::transcript::{Close, Entry, Member as LogMember, Outcome, SessionOpen};

use super::errors::Failure;
use super::heads::{Heads, Witnessed, digest_of_heads};
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::{LogWriter, Snapshot, WitnessStore, render, verify};
use crate::net::{
    ConnectOptions, Connected, Listener, Member, Names, PROTOCOL_VERSION, SessionHandle, connect,
};

/// How long the honest side waits for a message.
const LIMIT: Duration = Duration::from_millis(1_400);
const PATIENCE: Duration = Duration::from_secs(20);
const NAMES: [&str; 2] = ["alice", "mallory"];

/// The messages in order: four before the session, three after it.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Debug)]
enum Step {
    Seen,
    Growth,
    Answer,
    Agreement,
    SeenAgain,
    Offer,
    Cosignature,
}

/// What mallory does at one step in place of the honest message.
enum Lie {
    Say(Vec<u8>),
    Silent,
    Leave,
}

type Script<'a> = &'a (dyn Fn(Step, Vec<u8>, &Snapshot) -> Lie + Sync);

/// Both nodes' lasting things, over several sessions.
struct World {
    root: tempfile::TempDir,
    identities: [Identity; 2],
}

/// What alice has to say in the end.
struct Outcomes {
    compared: Result<(), Failure>,
    cosigned: Option<(Witnessed, Option<CliError>)>,
}

impl World {
    fn new() -> Self {
        let identities = [(); 2].map(|()| Identity::generate().unwrap());
        Self { root: tempfile::tempdir().unwrap(), identities }
    }

    fn dir(&self, party: usize) -> PathBuf {
        self.root.path().join(NAMES[party])
    }

    fn member(&self, party: usize) -> LogMember {
        LogMember { name: NAMES[party].into(), key: *self.identities[party].public_key().as_bytes() }
    }

    fn remembered(&self) -> Seen {
        WitnessStore::open(&WitnessStore::folder(&self.dir(0))).unwrap().seen(&self.member(1)).unwrap()
    }

    fn open(&self, connected: &Connected, me: usize) -> SessionOpen {
        SessionOpen {
            session: connected.session_id,
            protocol_version: PROTOCOL_VERSION.into(),
            program: [0; 32],
            parameters: [0; 32],
            me: Peer::Party(PartyId::new(me)),
            parties: vec![self.member(0), self.member(1)],
            dealer: None,
            nonces: connected.nonces.clone().into_vec(),
            seed_commitment: [me as u8; 32],
        }
    }

    /// One session in which mallory follows `script`, within a time that no silence stretches.
    fn session(&self, script: Script<'_>) -> Outcomes {
        let listeners = [(); 2].map(|()| Listener::bind(([127, 0, 0, 1], 0).into()).unwrap());
        let members: Vec<Member> = (0..2)
            .map(|i| Member {
                name: NAMES[i].into(),
                address: listeners[i].address().to_string(),
                key: self.identities[i].public_key(),
            })
            .collect();
        let [ours, theirs] = listeners;
        let options = |i| ConnectOptions::new(PartyId::new(i), members.clone());
        let (alice, mallory) = (options(0), options(1));
        let (tell, alice_is_done) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let connected =
                    connect(&self.identities[1], theirs, mallory, None).unwrap_or_else(|e| panic!("{e}"));
                self.mallory(&connected, script);
                // Stays connected: what it does not say must be noticed all the same.
                let _ = alice_is_done.recv_timeout(PATIENCE);
            });
            let connected = connect(&self.identities[0], ours, alice, None).unwrap_or_else(|e| panic!("{e}"));
            let began = Instant::now();
            let outcomes = self.alice(&connected);
            assert!(began.elapsed() < 8 * LIMIT, "{:?}", began.elapsed());
            drop(connected);
            let _ = tell.send(());
            outcomes
        })
    }

    fn alice(&self, connected: &Connected) -> Outcomes {
        let key = self.identities[0].signing_key().clone();
        let log = LogWriter::open(&self.dir(0), NAMES[0], key).unwrap();
        let open = self.open(connected, 0);
        log.handle().append(&Entry::SessionOpen(open.clone())).unwrap();
        let names = Names::new(NAMES.map(String::from), None);
        let heads = Heads::for_test(
            NAMES[0],
            &self.dir(0),
            LIMIT,
            &self.identities[0],
            log.handle(),
            open.clone(),
            names,
        );
        let handle = &connected.handle;
        let given_up = Mutex::new(0);
        let compared = heads.compare(handle.controls(), |failure| {
            *given_up.lock().unwrap() += 1;
            handle.abort(failure.culprit, failure.reason());
        });
        assert_eq!(*given_up.lock().unwrap(), usize::from(compared.is_err()));
        let outcome = match &compared {
            Ok(()) => Outcome::Completed,
            Err(failure) => Outcome::aborted(failure.error.code(), failure.culprit, "for a test"),
        };
        let close = Close { session: open.session, outcome, rounds: 0, bytes_sent: 0 };
        log.handle().append(&Entry::Close(close)).unwrap();
        let cosigned = compared.is_ok().then(|| heads.cosign(handle.controls()));
        handle.leave();
        log.close().unwrap();
        let report = verify(&[self.dir(0)], &[]);
        assert!(report.ok, "{}", render(&report));
        Outcomes { compared, cosigned }
    }

    fn mallory(&self, connected: &Connected, script: Script<'_>) {
        let key = self.identities[1].signing_key().clone();
        let log = LogWriter::open(&self.dir(1), NAMES[1], key).unwrap();
        let open = self.open(connected, 1);
        log.handle().append(&Entry::SessionOpen(open.clone())).unwrap();
        let handle = &connected.handle;
        // Mallory's memory is not of interest, so it claims to remember nothing.
        let before = log.handle().snapshot(open.session).unwrap();
        let go_on = |step, honest, max| self.say(handle, script, step, honest, max, &before);
        let Some(seen) = go_on(Step::Seen, Seen(None).encode(), MAX_GROWTH_BYTES) else { return };
        let Ok(seen) = Seen::decode(&seen) else { panic!("alice is honest") };
        let growth = go_on(Step::Growth, before.growth(&seen).encode(), MAX_GROWTH_BYTES);
        let Some(growth) = growth else { return };
        let Ok(growth) = Growth::decode(&growth) else { panic!("alice is honest") };
        let heads = digest_of_heads(open.session, [&growth.head, before.head()]);
        if go_on(Step::Answer, Answer::Accepted.encode(), MAX_ANSWER_BYTES).is_none()
            || go_on(Step::Agreement, Answer::Agreed(heads).encode(), MAX_ANSWER_BYTES).is_none()
        {
            return;
        }
        let close = Close { session: open.session, outcome: Outcome::Completed, rounds: 0, bytes_sent: 0 };
        log.handle().append(&Entry::Close(close)).unwrap();
        let after = log.handle().snapshot(open.session).unwrap();
        let go_on = |step, honest, max| self.say(handle, script, step, honest, max, &after);
        let Some(seen) = go_on(Step::SeenAgain, Seen(None).encode(), MAX_GROWTH_BYTES) else { return };
        let Ok(seen) = Seen::decode(&seen) else { panic!("alice is honest") };
        let Some(offer) = go_on(Step::Offer, after.offer(&seen).encode(), MAX_OFFER_BYTES) else { return };
        let Ok(offer) = Offer::decode(&offer) else { panic!("alice is honest") };
        let line =
            offer.growth.head.checkpoint().cosign(NAMES[1], self.identities[1].signing_key(), 7).unwrap();
        let reply = Answer::Cosigned(CosignatureReply::of(&line).unwrap());
        go_on(Step::Cosignature, reply.encode(), MAX_ANSWER_BYTES);
    }

    /// What alice answers; none if there is no going on.
    fn say(
        &self,
        handle: &SessionHandle,
        script: Script<'_>,
        step: Step,
        honest: Vec<u8>,
        max: usize,
        own: &Snapshot,
    ) -> Option<Vec<u8>> {
        match script(step, honest, own) {
            Lie::Say(bytes) => handle.controls()[0].exchange(bytes, max, PATIENCE).ok(),
            Lie::Silent => None,
            Lie::Leave => {
                handle.leave();
                None
            }
        }
    }
}

fn honest(_: Step, message: Vec<u8>, _: &Snapshot) -> Lie {
    Lie::Say(message)
}

/// Lies at one step and is honest elsewhere.
fn at(
    when: Step,
    lie: impl Fn(Vec<u8>, &Snapshot) -> Lie + Sync,
) -> impl Fn(Step, Vec<u8>, &Snapshot) -> Lie + Sync {
    move |step, message, own| if step == when { lie(message, own) } else { Lie::Say(message) }
}

fn refused(failure: &Failure, code: &str, part: &str) {
    let error = &failure.error;
    assert_eq!((error.code(), failure.culprit), (code, Some(Peer::Party(PartyId::new(1)))), "{error}");
    assert!(error.message().contains("mallory") && error.message().contains(part), "{error}");
}

#[test]
fn two_honest_nodes_compare_and_cosign() {
    let world = World::new();
    for session in 1..=3 {
        let outcomes = world.session(&honest);
        outcomes.compared.unwrap_or_else(|f| panic!("{session}: {}", f.error));
        let (witnessed, refused) = outcomes.cosigned.unwrap();
        assert!(refused.is_none(), "{refused:?}");
        assert_eq!((witnessed.by, witnessed.missing.len()), (vec!["mallory".to_owned()], 0));
    }
}

#[test]
fn every_cut_flip_and_lie_before_the_session_ends_it_with_the_right_name() {
    let world = World::new();
    assert!(world.session(&honest).compared.is_ok());
    for step in [Step::Seen, Step::Growth, Step::Answer, Step::Agreement] {
        type Damage = fn(Vec<u8>) -> Vec<u8>;
        let damages: [(&str, Damage); 6] = [
            ("nothing", |_| Vec::new()),
            ("cut", |m| m[..m.len() - 1].to_vec()),
            ("longer", |m| [m, vec![0]].concat()),
            ("too long", |m| [m, vec![7; MAX_GROWTH_BYTES]].concat()),
            ("domain flipped", |mut m| {
                m[8] ^= 1;
                m
            }),
            ("noise", |m| vec![0xa5; m.len()]),
        ];
        for (what, damage) in damages {
            let before = world.remembered();
            let outcomes = world.session(&at(step, |m, _| Lie::Say(damage(m))));
            let failure = outcomes.compared.err().unwrap_or_else(|| panic!("{what} at {step:?} was taken"));
            let code =
                if what == "too long" || step >= Step::Answer { "peer_malformed" } else { "log_refused" };
            refused(&failure, code, "");
            // Only what was checked and found good is remembered.
            assert_eq!(world.remembered(), before, "{what} at {step:?}");
        }
    }
}

#[test]
fn false_heads_are_refused_and_never_remembered() {
    let world = World::new();
    assert!(world.session(&honest).compared.is_ok());
    let before = world.remembered();
    let first = before.0.clone().unwrap();
    let stranger = SigningKey::from_bytes(&[9; 32]);

    // Another's signature, a cosigned head, a proof from nowhere.
    let forged = |_: Vec<u8>, own: &Snapshot| {
        let mut growth = own.growth(&before);
        growth.head = growth.head.checkpoint().clone().sign(&stranger);
        Lie::Say(growth.encode())
    };
    refused(&world.session(&at(Step::Growth, forged)).compared.err().unwrap(), "log_refused", "mallory");
    let cosigned = |_: Vec<u8>, own: &Snapshot| {
        let mut growth = own.growth(&before);
        let line = growth.head.checkpoint().cosign("x", &stranger, 7).unwrap();
        growth.head = growth.head.with_signature(line).unwrap();
        Lie::Say(growth.encode())
    };
    refused(
        &world.session(&at(Step::Growth, cosigned)).compared.err().unwrap(),
        "log_refused",
        "one signature",
    );
    let from_nowhere = |_: Vec<u8>, own: &Snapshot| Lie::Say(own.growth(&Seen(None)).encode());
    refused(
        &world.session(&at(Step::Growth, from_nowhere)).compared.err().unwrap(),
        "log_refused",
        "starts at 0",
    );
    assert_eq!(world.remembered(), before);

    // The head of an earlier session, replayed; a head of the same size that mallory signed as well.
    assert!(world.session(&honest).compared.is_ok());
    let now = world.remembered();
    assert_ne!(now, before);
    let replayed = |_: Vec<u8>, own: &Snapshot| {
        let mut growth = own.growth(&now);
        growth.head = first.clone();
        Lie::Say(growth.encode())
    };
    let failure = world.session(&at(Step::Growth, replayed)).compared.err().unwrap();
    refused(&failure, "log_refused", "rolled back");
    for head in [&first, now.0.as_ref().unwrap()] {
        assert!(failure.error.message().contains(&head.checkpoint().root().to_string()), "{}", failure.error);
    }
    let own_key = world.identities[1].signing_key().clone();
    let forked = |_: Vec<u8>, own: &Snapshot| {
        let mut growth = own.growth(&now);
        let size = growth.head.checkpoint().size();
        growth.head = Checkpoint::new("mallory", size, TreeHash([7; 32])).unwrap().sign(&own_key);
        Lie::Say(growth.encode())
    };
    let failure = world.session(&at(Step::Growth, forked)).compared.err().unwrap();
    refused(&failure, "log_refused", "forked");
    let hint = failure.error.hint().unwrap().to_owned();
    let evidence = hint.split_whitespace().find(|w| w.contains(".refused-")).unwrap().trim_end_matches(';');
    // The first is the replayed one.
    let evidence = format!("{evidence}2");
    assert!(std::fs::read_to_string(evidence).unwrap().starts_with("mallory\n"), "{hint}");
    assert_eq!(world.remembered(), now);

    // It claims to have seen heads of alice's log that alice never signed, or refuses alice's log without a reason.
    let invented = Checkpoint::new("alice", 2, TreeHash([1; 32])).unwrap().sign(&stranger);
    let claims = |_: Vec<u8>, _: &Snapshot| Lie::Say(Seen(Some(invented.clone())).encode());
    refused(
        &world.session(&at(Step::Seen, claims)).compared.err().unwrap(),
        "log_refused",
        "says that it saw",
    );
    let slander =
        |_: Vec<u8>, _: &Snapshot| Lie::Say(Answer::Refused("no\u{1b}[31m\nreason".into()).encode());
    let failure = world.session(&at(Step::Answer, slander)).compared.err().unwrap();
    assert_eq!(failure.error.code(), "peer_aborted");
    assert!(failure.error.message().contains("mallory gave up: no [31m reason"), "{}", failure.error);
    assert_eq!(world.remembered(), now);
    // Other heads than alice saw are told to another: nobody can know by whom.
    let other = |_: Vec<u8>, _: &Snapshot| Lie::Say(Answer::Agreed([7; 32]).encode());
    let failure = world.session(&at(Step::Agreement, other)).compared.err().unwrap();
    assert_eq!((failure.error.code(), failure.culprit), ("log_refused", None));
    assert!(failure.error.message().contains("different heads"), "{}", failure.error);
    assert_eq!(world.remembered(), now);
    // And an honest mallory is still welcome.
    assert!(world.session(&honest).compared.is_ok());
}

#[test]
fn silence_and_leaving_cost_a_deadline_before_and_a_cosignature_after() {
    use Step::{Agreement, Answer, Cosignature, Growth, Offer, Seen, SeenAgain};
    for (step, what) in [Seen, Growth, Answer, Agreement, SeenAgain, Offer, Cosignature]
        .into_iter()
        .flat_map(|step| [(step, "silent"), (step, "leaves")])
    {
        let world = World::new();
        let outcomes =
            world.session(&at(step, |_, _| if what == "silent" { Lie::Silent } else { Lie::Leave }));
        if step <= Agreement {
            let failure = outcomes.compared.err().unwrap();
            refused(&failure, if what == "silent" { "peer_timeout" } else { "peer_lost" }, "comparing logs");
        } else {
            assert!(outcomes.compared.is_ok());
            let (witnessed, refused) = outcomes.cosigned.unwrap();
            assert!(refused.is_none() && witnessed.by.is_empty(), "{step:?}: {refused:?}");
            assert_eq!(witnessed.missing[0].name, "mallory");
        }
    }
}

#[test]
fn false_offers_are_not_cosigned_and_false_cosignatures_not_kept() {
    type OfferLie = fn(&mut Offer);
    let lies: [(&str, OfferLie); 6] = [
        ("without its close", |o| drop(o.leaves.pop())),
        ("an entry as a hash", |o| {
            let Some(OfferedLeaf::Entry(bytes)) = o.leaves.last().cloned() else { panic!("a close") };
            *o.leaves.last_mut().unwrap() = OfferedLeaf::Hash(mpc_core::merkle::leaf_hash(&bytes));
        }),
        ("another entry", |o| o.leaves[0] = OfferedLeaf::Entry(b"another".to_vec())),
        ("a leaf more", |o| o.leaves.push(OfferedLeaf::Hash(TreeHash([0; 32])))),
        ("another start", |o| o.start += 1),
        ("no proof", |o| o.growth.consistency.clear()),
    ];
    let world = World::new();
    assert!(world.session(&honest).compared.is_ok());
    for (what, lie) in lies {
        let outcomes = world.session(&at(Step::Offer, |m, _| {
            let mut offer = Offer::decode(&m).unwrap();
            lie(&mut offer);
            Lie::Say(offer.encode())
        }));
        let (witnessed, refused) = outcomes.cosigned.unwrap();
        let refused = refused.unwrap_or_else(|| panic!("{what} was cosigned"));
        assert_eq!(refused.code(), "log_refused", "{what}: {refused}");
        assert!(refused.message().contains("mallory"), "{refused}");
        // Mallory refuses nothing here, but alice does not count on one that lies.
        assert!(witnessed.by.is_empty() && witnessed.missing.len() == 1, "{what}: {witnessed:?}");
    }
    for bytes in [vec![], vec![7; 300], vec![0; MAX_OFFER_BYTES + 1]] {
        let outcomes = world.session(&at(Step::Offer, |_, _| Lie::Say(bytes.clone())));
        assert!(outcomes.cosigned.unwrap().0.by.is_empty());
    }
    let answers: [(&str, Vec<u8>); 4] = [
        ("nothing", Vec::new()),
        ("acceptance", Answer::Accepted.encode()),
        ("refusal", Answer::Refused("I will not".into()).encode()),
        ("noise", Answer::Cosigned(CosignatureReply { time_s: 7, signature: [7; 64] }).encode()),
    ];
    for (what, bytes) in answers {
        let outcomes = world.session(&at(Step::Cosignature, |_, _| Lie::Say(bytes.clone())));
        let (witnessed, refused) = outcomes.cosigned.unwrap();
        assert!(refused.is_none() && witnessed.by.is_empty(), "{what}: {witnessed:?}");
        assert_eq!(witnessed.missing[0].name, "mallory", "{what}");
    }
    // A cosignature of an earlier head, replayed.
    let old = Mutex::new(None);
    let keep = |m: Vec<u8>, _: &Snapshot| {
        *old.lock().unwrap() = Some(m.clone());
        Lie::Say(m)
    };
    let outcomes = world.session(&at(Step::Cosignature, keep));
    assert_eq!(outcomes.cosigned.unwrap().0.by, ["mallory"]);
    let replay = |_: Vec<u8>, _: &Snapshot| Lie::Say(old.lock().unwrap().clone().unwrap());
    assert!(world.session(&at(Step::Cosignature, replay)).cosigned.unwrap().0.by.is_empty());
    assert_eq!(world.session(&honest).cosigned.unwrap().0.by, ["mallory"]);
}
