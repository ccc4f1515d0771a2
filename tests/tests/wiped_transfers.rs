//! As `wiped`, without a dealer: what oblivious transfers are made of, and what is made of them, is gone from memory when it is
//! freed. The parties run twice with the same seeds: first to see what is secret, then to be watched.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use curve25519_dalek::Scalar;
use ml_ops::{Axis, Owner, Program};
use mpc_core::channel::Channel as _;
use mpc_core::fixed::{FracBits, encode};
use mpc_core::fixed_key::{Block, FixedKey};
use mpc_core::local;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Z64;
use mpc_core::tag::{SessionId, Tag};
use ndarray::ArrayD;
use protocols::error::PrepError;
use protocols::ot::base::{BaseKeys, COUNT, base_ots};
use protocols::ot::extension::{CotCount, Extension, PairCots};
use protocols::ot::ferret::{Ferret, Parameters};
use protocols::ot::lane::{LANE, OtLane};
use protocols::ot::softspoken::{FieldBits, Security, SoftSpoken};
use protocols::prep::ot::OtPrep;
use protocols::prep::provider::without_dealer;
use protocols::prep::stored::make_copy;
use protocols::prep::{Comparison, CotExtension, Demand, Item, Question};
use protocols::tree::TreeChoice;
use protocols::trial;
use subrosa_tests::Random;
use subrosa_tests::freed::{Freed, numbers, watch, watch_clean, words};
use zeroize::Zeroizing;

#[global_allocator]
static ALLOCATOR: Freed = Freed;

const SESSION: SessionId = SessionId([17; 32]);
/// As the lane names what is made before any item.
const START: Tag = Tag { lane: LANE, node: 0, iteration: 0, round: 0 };
/// Of two parties.
const PEERS: [PartyId; 2] = [PartyId::new(1), PartyId::new(0)];

/// What was seen to be secret.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Seen {
    fn numbers(&self, values: impl IntoIterator<Item = u64>) {
        self.0.lock().unwrap().extend(numbers(values));
    }

    fn blocks(&self, blocks: impl IntoIterator<Item = Block>) {
        self.numbers(blocks.into_iter().flat_map(|b| [b as u64, (b >> 64) as u64]));
    }

    fn bytes(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend(words(bytes));
    }
}

/// Sees Δ, every `every`-th COT, and the pads of what its user gets.
struct Spy<E> {
    inner: E,
    every: usize,
    pads: bool,
    seen: Seen,
}

impl<E: Extension> Extension for Spy<E> {
    fn extend(
        &mut self,
        lane: &mut OtLane,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError> {
        let made = self.inner.extend(lane, counts)?;
        let me = lane.me();
        for (peer, pair) in made.iter() {
            let Some(PairCots { sent, received }) = pair else { continue };
            self.seen.blocks([*sent.delta]);
            for blocks in [&sent.q, &received.t] {
                self.seen.blocks(blocks.iter().step_by(self.every).copied());
            }
            self.seen.numbers(received.choices.iter().step_by(self.every).copied());
            if self.pads {
                let hash = |from, to, first: u64, mut blocks: Vec<Block>| {
                    FixedKey::derived("pads", lane.session(), from, to, first.into())
                        .tweakable(&mut blocks, Block::from(first));
                    self.seen.blocks(blocks);
                };
                hash(me, peer, sent.first, sent.q.clone());
                hash(me, peer, sent.first, sent.q.iter().map(|q| q ^ *sent.delta).collect());
                hash(peer, me, received.first, received.t.clone());
            }
        }
        Ok(made)
    }
}

/// What `work` gives, from a thread of its own: its stack, with the secrets that are left on it, is nobody else's.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap()
}

/// What both parties do in threads, on lanes of their own.
fn both<T: Send>(party: impl Fn(OtLane) -> T + Sync) -> Vec<T> {
    let lanes = local::network(2).into_iter().map(|channel| OtLane::new(Box::new(channel), SESSION));
    std::thread::scope(|scope| {
        let threads: Vec<_> = lanes.map(|lane| scope.spawn(|| party(lane))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Keys of a party, as the test was given them.
struct Seeds {
    transfers: [u8; 32],
    trees: [u8; 32],
    items: [u8; 32],
}

impl Seeds {
    fn drawn(random: &mut Random) -> Self {
        let mut key = || std::array::from_fn(|_| random.bits() as u8);
        Self { transfers: key(), trees: key(), items: key() }
    }
}

/// Items of most kinds, of several chunks each.
fn items() -> Vec<Item> {
    let sign = Comparison::in_ring(Question::Sign, 64, TreeChoice::DEFAULT);
    vec![
        Item::Triple { len: 64 },
        Item::Square { len: 64 },
        Item::Matmul { m: 4, k: 8, n: 5 },
        Item::Truncation { len: 64, bits: 16 },
        Item::DaBits { len: 128 },
        Item::Angles { len: 64, bits: 24, multiples: 8 },
        Item::Comparison(Comparison { product: true, powers: true, ..sign }),
    ]
}

const CHUNK: usize = 1 << 11;

/// Makes the items; what they are is shown to `keep`.
fn make(lane: OtLane, extension: Box<dyn Extension>, seed: [u8; 32], keep: impl Fn(&[u8])) {
    let mut source = OtPrep::<Z64>::new(lane, extension, CHUNK, Seed::new(seed), None);
    make_copy::<Z64, PrepError>(&mut source, &items(), |bytes| {
        keep(bytes);
        Ok(())
    })
    .unwrap();
}

/// Runs both parties with what `extension` gives each, to look and then to be watched.
fn watched(
    what: &str,
    seeds: &[Seeds; 2],
    seen: &Seen,
    spied: impl Fn(&Seeds) -> Box<dyn Extension> + Sync,
    plain: impl Fn(&Seeds) -> Box<dyn Extension> + Sync,
) {
    let look = apart(|| {
        both(|lane| {
            let own = &seeds[lane.me().index()];
            make(lane, spied(own), own.items, |bytes| seen.bytes(bytes));
        });
        for own in seeds {
            [own.transfers, own.trees, own.items].iter().for_each(|seed| seen.bytes(seed));
        }
        std::mem::take(&mut *seen.0.lock().unwrap())
    });
    assert!(look.len() > 50_000, "{what}: {}", look.len());
    watch_clean(what, &look, || {
        both(|lane| {
            let own = &seeds[lane.me().index()];
            make(lane, plain(own), own.items, |_| ());
        });
    });
}

fn soft(field: FieldBits, seeds: &Seeds) -> SoftSpoken {
    SoftSpoken::new(field, Security::SemiHonest, Seed::new(seeds.transfers))
}

/// Base keys of both parties, with the Δ that SoftSpokenOT draws, and what their scalars come from.
fn base(seeds: &[Seeds; 2], seen: &Seen) -> Vec<(Block, BaseKeys)> {
    both(|mut lane| {
        let (me, seed) = (lane.me(), Seed::new(seeds[lane.me().index()].transfers));
        let peer = PEERS[me.index()];
        let mut delta = [0; 16];
        Prg::new(&seed, &SESSION, START, "ot/delta", peer.index() as u32).fill(&mut delta);
        let delta = Block::from_le_bytes(delta) | 1;
        let mut wide = vec![0; 64 * (1 + 2 * COUNT)];
        Prg::new(&seed, &SESSION, START, "ot/base", peer.index() as u32).fill(&mut wide);
        for drawn in wide.as_chunks().0.iter().take(1 + COUNT) {
            seen.bytes(Scalar::from_bytes_mod_order_wide(drawn).as_bytes());
        }
        seen.bytes(&wide);
        let choices = PerParty::from_fn(2, |_| Zeroizing::new(!delta));
        let mut keys = base_ots(&mut lane, &choices, &seed).unwrap();
        let keys = keys[peer].take().unwrap();
        seen.blocks(keys.sent.iter().flatten().chain(&keys.received).copied());
        (delta, keys)
    })
}

/// All nodes and leaves of the trees that a party plants, by the definition.
fn trees(field: FieldBits, planter: PartyId, keys: &BaseKeys, seen: &Seen) {
    let k = field.bits();
    let holder = PEERS[planter.index()];
    let expand = |usage: u8, tree: usize, level: usize, node: Block| {
        let mut input = [0; 64];
        input[..16].copy_from_slice(&node.to_le_bytes());
        input[16..48].copy_from_slice(&SESSION.0);
        input[48..56].copy_from_slice(b"ot/tree1");
        let place = [usage, planter.index() as u8, holder.index() as u8, tree as u8, level as u8];
        input[56..61].copy_from_slice(&place);
        let mut wide = [0; 64];
        blake3::Hasher::new().update(&input).finalize_xof().fill(&mut wide);
        wide
    };
    for tree in 0..128 / k {
        let mut nodes = keys.sent[tree * k + k - 1].to_vec();
        for level in 2..=k {
            seen.blocks(nodes.iter().copied());
            let wide = nodes.iter().map(|&node| expand(1, tree, level, node));
            nodes = wide.flat_map(|wide| [block(&wide[..16]), block(&wide[16..32])]).collect();
        }
        seen.blocks(nodes.iter().copied());
        nodes.iter().for_each(|&node| seen.bytes(&expand(2, tree, k, node)[..32]));
    }
}

fn block(bytes: &[u8]) -> Block {
    Block::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
fn softspoken_frees_no_key_tree_transfer_pad_or_item() {
    for field in [FieldBits::Four, FieldBits::Eight] {
        let mut random = Random::seeded(&format!("{field:?}"));
        let seeds = [(); 2].map(|()| Seeds::drawn(&mut random));
        let seen = Seen::default();
        apart(|| {
            for (me, (delta, keys)) in base(&seeds, &seen).iter().enumerate() {
                seen.blocks([*delta]);
                trees(field, PartyId::new(me), keys, &seen);
            }
        });
        let spied = |own: &Seeds| -> Box<dyn Extension> {
            Box::new(Spy { inner: soft(field, own), every: 1, pads: true, seen: seen.clone() })
        };
        watched(&format!("{field:?}"), &seeds, &seen, spied, |own| Box::new(soft(field, own)));
    }
}

/// The first trees that a party grows for the other: every level of each.
fn correlated_trees(
    set: Parameters,
    [node, iteration, round]: [u32; 3],
    me: PartyId,
    own: &Seeds,
    seen: &Seen,
) {
    let peer = PEERS[me.index()];
    let mut delta = [0; 16];
    Prg::new(&Seed::new(own.transfers), &SESSION, START, "ot/delta", peer.index() as u32).fill(&mut delta);
    let delta = Block::from_le_bytes(delta) | 1;
    let tag = Tag { lane: LANE, node, iteration, round };
    let mut roots = Prg::new(&Seed::new(own.trees), &SESSION, tag, "ferret/roots", peer.index() as u32);
    for number in 0..3 {
        let mut root = [0; 16];
        roots.fill(&mut root);
        let root = Block::from_le_bytes(root);
        let hash = FixedKey::derived("tree", &SESSION, me, peer, ((set.leaves() as u128) << 32) + number);
        let mut leaves = vec![root, root ^ delta];
        let mut sums = vec![root];
        while leaves.len() < set.leaves() {
            seen.blocks(leaves.iter().copied());
            leaves.resize(2 * leaves.len(), 0);
            sums.push(hash.split(&mut leaves));
        }
        seen.blocks(leaves);
        seen.blocks(sums);
    }
}

#[test]
fn ferret_frees_no_key_tree_transfer_pad_or_item() {
    let mut random = Random::seeded("ferret");
    let seeds = [(); 2].map(|()| Seeds::drawn(&mut random));
    let seen = Seen::default();
    apart(|| {
        for (me, (_, keys)) in base(&seeds, &seen).iter().enumerate() {
            let me = PartyId::new(me);
            trees(FieldBits::Four, me, keys, &seen);
            correlated_trees(Parameters::B10, [850, 16, 10], me, &seeds[me.index()], &seen);
            correlated_trees(Parameters::B13, [1900, 19, 13], me, &seeds[me.index()], &seen);
        }
    });
    let spied = |own: &Seeds| -> Box<dyn Extension> {
        // Of the many COTs that only make others, some.
        let (seed, seen) = (Seed::new(own.trees), &seen);
        let inner = Spy { inner: soft(FieldBits::Four, own), every: 32, pads: false, seen: seen.clone() };
        let inner = Ferret::new(Parameters::B10, seed.clone(), inner);
        let inner = Spy { inner, every: 64, pads: false, seen: seen.clone() };
        let inner = Ferret::new(Parameters::B13, seed, inner);
        Box::new(Spy { inner, every: 1, pads: true, seen: seen.clone() })
    };
    let plain = |own: &Seeds| -> Box<dyn Extension> {
        Box::new(Ferret::layered(Seed::new(own.trees), soft(FieldBits::Four, own)))
    };
    watched("Ferret", &seeds, &seen, spied, plain);
}

/// What is looked for is in memory indeed: whoever keeps a copy is found.
#[test]
fn a_transfer_that_is_left_behind_is_found() {
    let mut random = Random::seeded("control");
    let seeds = [(); 2].map(|()| Seeds::drawn(&mut random));
    let seen = Seen::default();
    let spy =
        |own: &Seeds| Spy { inner: soft(FieldBits::Four, own), every: 1, pads: true, seen: seen.clone() };
    let make_all = || {
        both(|lane| {
            let own = &seeds[lane.me().index()];
            make(lane, Box::new(spy(own)), own.items, |_| ());
        });
    };
    make_all();
    let look = std::mem::take(&mut *seen.0.lock().unwrap());
    // The spy's own copies are freed as they are.
    let (_, found) = watch(&look, make_all);
    assert!(!found.is_empty());
}

/// Most operations.
fn program() -> Program {
    let mut p = Program::builder("everything", FracBits::DEFAULT, &["bank", "bureau"]);
    let large = p.input("large", Owner(0), [16, 4], 2f64.powi(26)).unwrap();
    let small = p.input("small", Owner(1), [16, 4], 4.0).unwrap();
    let weights = p.weights("weights", Owner(1), [4, 2], 4.0).unwrap();
    let bias = p.weights("bias", Owner(0), [2], 4.0).unwrap();
    let product = p.mul(large, small).unwrap();
    let smaller = p.less(large, product).unwrap();
    let chosen = p.select(smaller, small, small).unwrap();
    let dense = p.dense(chosen, weights, bias).unwrap();
    let probability = p.sigmoid(dense).unwrap();
    let relu = p.relu(dense).unwrap();
    let square = p.square(relu).unwrap();
    let mean = p.mean(square, Axis(0)).unwrap();
    p.output("probability", probability, &[0]).unwrap();
    p.output("mean", mean, &[1]).unwrap();
    p.build().unwrap()
}

fn inputs(random: &mut Random) -> [BTreeMap<String, ArrayD<f64>>; 2] {
    let mut array = |name: &str, shape: &[usize], scale: f64| {
        let values = (0..shape.iter().product()).map(|_| (0.5 + 0.5 * random.fraction()) * scale).collect();
        (name.to_owned(), ArrayD::from_shape_vec(shape.to_vec(), values).unwrap())
    };
    [
        [array("large", &[16, 4], 2f64.powi(26)), array("bias", &[2], 1.0)].into(),
        [array("small", &[16, 4], 4.0), array("weights", &[4, 2], 1.0)].into(),
    ]
}

/// The session's name and a party's own randomness, as a trial derives them.
fn derived(seed: [u8; 32], label: &'static str, party: usize) -> [u8; 32] {
    let mut out = [0; 32];
    let tag = Tag { lane: 0, node: party as u32, iteration: 0, round: 0 };
    Prg::new(&Seed::new(seed), &SessionId([0; 32]), tag, label, 0).fill(&mut out);
    out
}

/// All parties' shares of all that the program consumes.
fn shares(seed: [u8; 32], demand: &Demand) -> Vec<u64> {
    let (session, seen) = (SessionId(derived(seed, "session", 0)), Seen::default());
    std::thread::scope(|scope| {
        for channel in local::network(2) {
            let (seen, own) = (seen.clone(), derived(seed, "ot", channel.me().index()));
            scope.spawn(move || {
                let (extension, channel) = (CotExtension::SoftSpoken4, Box::new(channel));
                let own = Seed::new(own);
                let mut source =
                    without_dealer::<Z64>(extension, channel, session, own, Some(demand.clone()));
                make_copy::<Z64, PrepError>(&mut source, &demand.items, |bytes| {
                    seen.bytes(bytes);
                    Ok(())
                })
                .unwrap();
            });
        }
    });
    std::mem::take(&mut *seen.0.lock().unwrap())
}

#[test]
fn a_whole_computation_frees_no_share_or_input() {
    let mut random = Random::seeded("computation");
    let (program, inputs) = (program(), inputs(&mut random));
    let seed = std::array::from_fn(|_| random.bits() as u8);
    let demand = program.demand();
    let look = apart(|| {
        let mut look = shares(seed, &demand);
        for (name, values) in inputs.iter().flatten() {
            let spec = program.inputs().find(|spec| spec.name == name).unwrap();
            let encoded = encode(values, 16, spec.max_abs).unwrap();
            look.extend(numbers(encoded.as_slice().iter().map(|z| z.0)));
        }
        look
    });
    assert!(look.len() > 50_000, "{}", look.len());
    let results = watch_clean("a computation", &look, || {
        trial::run_sessions(trial::sessions_with_ot::<Z64>(2, seed, Some(&demand)), |cx| {
            ml_ops::run(cx, &program, &inputs[cx.me().index()], &mut |_| ())
        })
        .unwrap()
    });
    assert_eq!(results[0].outputs["probability"].shape(), [16, 2]);
}
