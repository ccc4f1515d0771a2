//! Secrets are gone from memory when they are freed: an allocator reads every block that is given back while keys, shares,
//! masks and inputs are in use. The stack, the operating system's buffers and C libraries are out of its sight.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ml_ops::{Axis, KeptShare, Owner, Program, run_local};
use mpc_core::bits::BitTensor;
use mpc_core::channel::{Channel, ChannelError, Peer};
use mpc_core::fixed::{FracBits, encode};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Z64;
use mpc_core::secret::SecretBytes;
use mpc_core::share::{Additive, Sharing as _, XorBits};
use mpc_core::tag::{SessionId, Tag, node};
use mpc_core::tensor::Tensor;
use mpc_core::transcript::{CorrectionRecorder, LogKey, Recorder};
use ndarray::ArrayD;
use party_node::config::{Config, DealerConfig, InputSource};
use party_node::data::{Features, Missing, OneHot, SpoolPlace, Standardise, TableSource, read_weights};
use party_node::identity::Identity;
use party_node::job::{run_dealer, run_party};
use party_node::log::LogWriter;
use party_node::progress::Silent;
use protocols::trial;
use subrosa_tests::freed::{Freed, numbers, watch, watch_clean, words};
use subrosa_tests::{Cluster, Random, files};

#[global_allocator]
static ALLOCATOR: Freed = Freed;

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const TAG: Tag = Tag { lane: 0, node: 3, iteration: 0, round: 0 };

/// A secret of 32 bytes.
fn key(random: &mut Random) -> [u8; 32] {
    std::array::from_fn(|_| random.bits() as u8)
}

fn tensor(random: &mut Random, shape: &[usize]) -> Tensor<Z64> {
    Tensor::from_vec(shape, (0..shape.iter().product()).map(|_| Z64(random.bits())).collect())
}

fn of(tensor: &Tensor<Z64>) -> Vec<u64> {
    numbers(tensor.as_slice().iter().map(|z| z.0))
}

#[test]
fn what_is_left_behind_is_found() {
    let secret = key(&mut Random::seeded("control"));
    let look = words(&secret);
    let (_, found) = watch(&look, || drop(secret.to_vec()));
    assert_eq!(found.len(), 1, "a vector");
    assert_eq!((found[0].word, found[0].block_bytes), (look[0], 32));
    let (_, found) = watch(&look, || {
        let mut grows = secret.to_vec();
        grows.push(0);
        grows.fill(0);
    });
    assert_eq!(found.len(), 1, "what a vector grew out of");
    let (_, found) = watch(&look, || std::thread::spawn(move || drop(Box::new(secret))).join().unwrap());
    assert!(!found.is_empty(), "in another thread");
    let (_, found) = watch(&look, || drop([&b"abc"[..], &secret[5..14], b"x"].concat()));
    assert_eq!(found.len(), 1, "a part of it at an odd place");
    watch_clean("a wiped vector", &look, || {
        let mut wiped = secret.to_vec();
        wiped.fill(0);
    });
}

#[test]
fn keys_and_streams_are_wiped_and_leave_no_copy_when_moved() {
    let bytes = key(&mut Random::seeded("keys"));
    watch_clean("moving keys about", &words(&bytes), || {
        let mut list = vec![SecretBytes::new(bytes)];
        list.extend((0..20).map(|_| SecretBytes::new(bytes)));
        let moved: Vec<(u8, Seed)> = list.into_iter().map(|k| (1, Seed::from(k))).collect();
        let boxed: Vec<Box<dyn FnOnce() -> Seed>> =
            moved.into_iter().map(|(_, seed)| Box::new(move || seed) as Box<_>).collect();
        boxed.into_iter().for_each(|f| drop(f()));
        let log = LogKey::new(bytes);
        drop((log.clone(), log));
    });

    // The stream's own key: the name of the stream, hashed under the seed. It is also the first of the round keys.
    let session = SessionId([9; 32]);
    let name = [b"subrosa/prg/v1\0", &session.0[..], &TAG.to_bytes(), &7_u32.to_le_bytes(), b"test"].concat();
    let stream_key = *blake3::keyed_hash(&bytes, &name).as_bytes();
    let look = words(&stream_key);
    let stream = || Box::new(Prg::new(&Seed::new(bytes), &session, TAG, "test", 7));
    watch_clean("a stream", &look, || {
        let mut prg = stream();
        prg.fill(&mut [0; 100]);
    });
}

/// Takes whatever is sent and answers with the same.
struct Echo;

impl Channel for Echo {
    fn me(&self) -> PartyId {
        PartyId::new(0)
    }
    fn parties(&self) -> usize {
        2
    }
    fn exchange(
        &mut self,
        _tag: Tag,
        send: PerParty<Option<Bytes>>,
        _expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        Ok(send)
    }
}

#[test]
fn recorders_wipe_keys_and_the_end_of_messages() {
    let mut random = Random::seeded("recorders");
    let (bytes, message) = (key(&mut random), key(&mut random));
    // The message itself belongs to the channel; what the digest keeps of it is wiped.
    let payload = Bytes::from_owner(Forgotten(ManuallyDrop::new(message.to_vec())));
    let session = SessionId([9; 32]);
    watch_clean("a recorder", &words(&[bytes, message].concat()), || {
        let keys = PerParty::from_fn(2, |p| (p.index() == 1).then(|| LogKey::new(bytes)));
        let mut recorder = Recorder::new(Echo, session, 0, keys, Box::new(Vec::new()));
        let send = PerParty::from_fn(2, |p| (p.index() == 1).then(|| payload.clone()));
        recorder.exchange(TAG, send.clone(), PerParty::from_fn(2, |_| None)).unwrap();
        recorder.finish();
        let mut recorder = Box::new(recorder);
        recorder.exchange(TAG, send, PerParty::from_fn(2, |_| None)).unwrap();
        let sink = Box::new(Vec::new());
        let dealer = Peer::Dealer;
        let mut corrections =
            CorrectionRecorder::new(session, 0, LogKey::new(bytes), dealer, recorder_of(1), sink);
        corrections.record(0, &payload);
        drop((recorder, Box::new(corrections)));
    });
}

fn recorder_of(party: usize) -> Peer {
    Peer::Party(PartyId::new(party))
}

/// Bytes that are never given back.
struct Forgotten(ManuallyDrop<Vec<u8>>);

impl AsRef<[u8]> for Forgotten {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn tensors_and_shares_are_wiped_with_all_temporaries() {
    let mut random = Random::seeded("tensors");
    let (a, b) = (tensor(&mut random, &[6, 4]), tensor(&mut random, &[4, 3]));
    let product = a.matmul(&b);
    let sum = a.add(&a);
    let look = [of(&a), of(&b), of(&product), of(&sum)].concat();
    let copy = |t: &Tensor<Z64>| t.clone();
    watch_clean("tensors", &look, || {
        let (a, b) = (copy(&a), copy(&b));
        let _sum = a.add(&a).sub(&a);
        let _product = a.matmul(&b);
        let turned = a.permute(&[1, 0]);
        let part = turned.slice(0, 1, 3).slice(1, 2, 5);
        let joined = Tensor::concat(0, &[&a, &copy(&a)]);
        let _wide = Tensor::concat(1, &[&joined, &joined]).reshape(&[8, 12]);
        let _rows = a.slice(0, 0, 1).broadcast(&[5, 4]);
        let _sums = (part.sum_axis(0), part.sum_axis(1));
        let _again = Tensor::<Z64>::from_bytes(&[6, 4], a.as_bytes());
        let bits = BitTensor::slice_of(a.as_slice(), 64);
        let _ring: Tensor<Z64> = bits.lane_to_ring(3);
        let share = Additive::from_share(a);
        let other = share.clone().add(&share).scale(Z64(3)).neg().reshape(&[24]);
        let shares = vec![share.clone(), other, share];
        shares.into_iter().map(|s| s.map_linear(copy)).for_each(drop);
    });
    let bits = BitTensor::from_words(5, 100, (0..10).map(|_| random.bits()).collect());
    watch_clean("bits", &numbers(bits.words().iter().copied()), || {
        let share = XorBits::from_share(bits.clone());
        drop(vec![share.clone(), share]);
    });
}

#[test]
fn encoding_leaves_nothing_behind_also_when_it_fails() {
    let mut random = Random::seeded("encode");
    // Large enough to be recognised: 46 bits at 16 fraction bits.
    let values: Vec<f64> = (0..5_000).map(|_| (1.0 + random.fraction()) * 2f64.powi(29)).collect();
    let good = ArrayD::from_shape_vec(vec![5_000], values).unwrap();
    let mut bad = good.clone();
    bad[[4_999]] = f64::NAN;
    let encoded = encode(&good, 16, 1e12).unwrap();
    watch_clean("encoding", &of(&encoded), || {
        drop(encode(&good, 16, 1e12).unwrap());
        assert!(encode(&bad, 16, 1e12).is_err());
    });
}

/// Most operations, with inputs that are large enough to be recognised.
fn program() -> Program {
    let mut p = Program::builder("everything", FracBits::DEFAULT, &["bank", "bureau", "telecom"]);
    let large = p.input("large", Owner(0), [6, 3], 2f64.powi(26)).unwrap();
    let small = p.input("small", Owner(1), [6, 3], 4.0).unwrap();
    let weights = p.weights("weights", Owner(2), [3, 2], 4.0).unwrap();
    let bias = p.weights("bias", Owner(2), [2], 4.0).unwrap();
    let product = p.mul(large, small).unwrap();
    let smaller = p.less(large, product).unwrap();
    let chosen = p.select(smaller, small, small).unwrap();
    let both = p.concat(&[small, chosen], Axis(0)).unwrap();
    let dense = p.dense(both, weights, bias).unwrap();
    let probability = p.sigmoid(dense).unwrap();
    let relu = p.relu(dense).unwrap();
    let square = p.square(relu).unwrap();
    let clamped = p.clamp(square, -1.0, 2.0).unwrap();
    let mean = p.mean(clamped, Axis(0)).unwrap();
    p.output("probability", probability, &[0]).unwrap();
    p.output("mean", mean, &[1, 2]).unwrap();
    p.build().unwrap()
}

fn inputs(random: &mut Random) -> BTreeMap<String, ArrayD<f64>> {
    let mut array = |shape: &[usize], scale: f64| {
        let values = (0..shape.iter().product()).map(|_| (0.5 + 0.5 * random.fraction()) * scale).collect();
        ArrayD::from_shape_vec(shape.to_vec(), values).unwrap()
    };
    [
        ("large", array(&[6, 3], 2f64.powi(26))),
        ("small", array(&[6, 3], 4.0)),
        ("weights", array(&[3, 2], 1.0)),
        ("bias", array(&[2], 1.0)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Everything secret that follows from the seed of a trial: keys, masks, corrections, shares of inputs, shares of zero.
fn secrets_of_a_trial(program: &Program, inputs: &BTreeMap<String, ArrayD<f64>>, seed: [u8; 32]) -> Vec<u64> {
    let n = program.parties().len();
    let derive = |label: &'static str, a: usize, b: usize| {
        let mut out = [0; 32];
        let tag = Tag { lane: 0, node: a as u32, iteration: b as u32, round: 0 };
        Prg::new(&Seed::new(seed), &SessionId([0; 32]), tag, label, 0).fill(&mut out);
        out
    };
    let session = SessionId(derive("session", 0, 0));
    let stream = |key: [u8; 32], tag: Tag, label: &'static str, place: u32, count: usize| {
        let t: Tensor<Z64> = Prg::new(&Seed::new(key), &session, tag, label, place).tensor(&[count]);
        t
    };
    let mut all = Vec::new();
    let demand = program.demand();
    for p in 0..n {
        let dealt = derive("dealer", p, 0);
        all.extend(words(&dealt));
        for (node, _) in (0..).zip(&demand.items) {
            let tag = Tag { lane: 0, node, iteration: 0, round: 0 };
            (0..12).for_each(|place| all.extend(of(&stream(dealt, tag, "dealer", place, 24))));
        }
        for q in 0..p {
            let (input, zero) = (derive("input", q, p), derive("zero", q, p));
            all.extend([words(&input), words(&zero)].concat());
            for iteration in 0..200 {
                for round in 0..2 {
                    let tag = Tag { lane: 0, node: node::OUTPUT, iteration, round };
                    all.extend(of(&stream(zero, tag, "zero", 0, 8)));
                }
            }
        }
    }
    for (index, item) in (0..).zip(&demand.items) {
        let keep = |piece: Bytes| {
            all.extend(piece.chunks_exact(8).flat_map(words));
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = trial::dealer(seed, n).corrections::<Z64, _>(index, item, keep);
    }
    for spec in program.inputs() {
        let mut own = encode(&inputs[spec.name], 16, spec.max_abs).unwrap();
        all.extend(of(&own));
        for q in PartyId::all(n).filter(|&q| q != spec.owner) {
            let (low, high) = (spec.owner.min(q).index(), spec.owner.max(q).index());
            let tag = Tag { lane: 0, node: spec.node, iteration: 0, round: 0 };
            let theirs = stream(derive("input", low, high), tag, "input", 0, own.len());
            all.extend(of(&theirs));
            own.sub_assign(&theirs);
        }
        all.extend(of(&own));
    }
    all
}

#[test]
fn a_whole_computation_frees_no_share_mask_or_key() {
    let mut random = Random::seeded("computation");
    let (program, inputs, seed) = (program(), inputs(&mut random), key(&mut random));
    let look = secrets_of_a_trial(&program, &inputs, seed);
    assert!(look.len() > 10_000, "{}", look.len());
    let results = watch_clean("a computation", &look, || run_local(&program, &inputs, seed).unwrap());
    assert_eq!(results[0].outputs["probability"].shape(), [12, 2]);
}

#[test]
fn a_share_that_is_kept_is_written_and_read_without_copies() {
    let mut random = Random::seeded("kept");
    let mut p = Program::builder("keeps", FracBits::DEFAULT, &["bank", "bureau"]);
    let large = p.input("large", Owner(0), [6, 3], 2f64.powi(26)).unwrap();
    p.keep("kept", large).unwrap();
    let (program, seed) = (p.build().unwrap(), key(&mut random));
    let inputs = inputs(&mut random).into_iter().filter(|(name, _)| name == "large").collect();
    let kept = run_local(&program, &inputs, seed).unwrap();
    let bytes = kept[1].kept["kept"].encode();
    let values = bytes.len() - 32 - 8 * 18..bytes.len() - 32;
    watch_clean("a share that is kept", &words(&bytes[values]), || {
        drop(KeptShare::decode(&bytes).unwrap().encode());
    });
}

/// The 32 secret bytes of a key file, in the forms in which they pass through memory.
fn key_words(file: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(file).unwrap();
    let base64 = text.lines().nth(1).unwrap();
    let der = STANDARD.decode(base64).unwrap();
    // The first characters of the base64 are the same in every key.
    [words(&der[16..]), words(&base64.as_bytes()[22..])].concat()
}

#[test]
fn keys_that_are_made_written_and_read_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, bad) =
        (dir.path().join("first.key"), dir.path().join("second.key"), dir.path().join("bad.key"));
    Identity::generate().unwrap().save(&first).unwrap();
    let look = key_words(&first);
    // A key that breaks off: all that can be decoded is wiped too.
    let text = std::fs::read_to_string(&first).unwrap();
    std::fs::copy(&first, &bad).unwrap();
    std::fs::write(&bad, text.replace("\n-----END", "!\n-----END")).unwrap();
    let log = dir.path().join("log");
    watch_clean("a key", &look, || {
        let identity = Identity::load(&first).unwrap();
        identity.save(&second).unwrap();
        assert!(Identity::load(&bad).is_err());
        let boxed = vec![Box::new(Identity::load(&second).unwrap())];
        let writer = LogWriter::open(&log, "bank", identity.signing_key().clone()).unwrap();
        writer.handle().flush().unwrap();
        writer.close().unwrap();
        drop(boxed);
    });
}

/// A party's values: its table, raw and as the configuration says to prepare it, and its weights.
fn values(cluster: &Cluster, node: &str) -> Vec<u64> {
    let config = Config::load(Path::new(&cluster.config(node))).unwrap();
    let table = config.inputs.values().find_map(|input| match input {
        InputSource::Table(table) => Some(Features::load(table, &SpoolPlace::temporary()).unwrap()),
        InputSource::Weights { .. } | InputSource::Share { .. } | InputSource::Tensor { .. } => None,
    });
    let weights = config.inputs.values().filter_map(|input| match input {
        InputSource::Weights { file, names } => Some(read_weights(file, names).unwrap()),
        InputSource::Table(_) | InputSource::Share { .. } | InputSource::Tensor { .. } => None,
    });
    let weights: Vec<f64> = weights.flat_map(|w| w.to_vec()).collect();
    let table = table.unwrap();
    let values = table.values().read(0..table.rows()).unwrap().to_vec();
    // As they are in the file, before they are standardised.
    let (_, cells) = files::read_csv(&cluster.path(&format!("{node}/{node}.csv")));
    let raw = cells.iter().flatten().filter_map(|cell| cell.parse::<f64>().ok());
    numbers(values.into_iter().chain(weights).chain(raw).map(f64::to_bits))
}

#[test]
fn rows_that_are_kept_on_disk_leave_nothing_in_memory() {
    // Not the demo's data, which other tests have in memory meanwhile.
    let mut random = Random::seeded("rows on disk");
    let dir = tempfile::tempdir().unwrap();
    let cells: Vec<f64> = (0..12_000).map(|_| (random.bits() >> 20) as f64 / 1e9).collect();
    let row = |(row, cells): (usize, &[f64])| {
        format!("p{row},{},{},{},{}\n", cells[0], cells[1], cells[2], cells[3])
    };
    let rows: String = cells.chunks(4).enumerate().map(row).collect();
    let file = dir.path().join("rows.csv");
    std::fs::write(&file, format!("id,a,b,c,d\n{rows}")).unwrap();
    let source = TableSource {
        file,
        key_column: "id".into(),
        columns: ["a", "b", "c", "d"].map(str::to_owned).into(),
        one_hot: OneHot::default(),
        missing: Missing::Refuse,
        standardise: Standardise::Batch,
    };
    let place = SpoolPlace::new(dir.path());
    let prepared = Features::load(&source, &place).unwrap().values().read(0..3_000).unwrap();
    let look = numbers(cells.iter().chain(prepared.iter()).map(|v| v.to_bits()));
    assert!(look.len() > 10_000, "{}", look.len());
    for held_bytes in [0, 1 << 20] {
        let place = place.clone().holding(held_bytes);
        watch_clean("a table", &look, || {
            let table = Features::load(&source, &place).unwrap();
            table.check_range(1e6).unwrap();
            for first in (0..3_000).step_by(700) {
                drop(table.values().read(first..3_000.min(first + 700)).unwrap());
            }
        });
    }
}

/// One after the other: both have the demo's data in memory.
#[test]
fn a_nodes_whole_run_leaves_neither_its_key_nor_its_values() {
    // Enough rows that what holds them has to grow.
    run_of_nodes(&Cluster::new(SUBROSA, 2, 3_000), 3_000);
    run_of_nodes(&Cluster::without_dealer(SUBROSA, 2, 3_000), 3_000);
}

fn run_of_nodes(cluster: &Cluster, rows: usize) {
    let mut look = Vec::new();
    for node in cluster.nodes() {
        look.extend(key_words(&cluster.path(&format!("{node}/{node}.key"))));
    }
    for party in cluster.parties() {
        let values = values(cluster, party);
        assert!(values.len() > 5_000, "{party}: {}", values.len());
        look.extend(values);
    }
    let config = |node: &str| cluster.config(node);
    watch_clean("a run", &look, || {
        std::thread::scope(|scope| {
            for dealer in cluster.nodes().into_iter().filter(|node| !cluster.parties().contains(node)) {
                let dealer = DealerConfig::load(Path::new(&config(dealer))).unwrap();
                scope.spawn(move || run_dealer(&dealer, true, &mut |_| Ok(())).unwrap());
            }
            for party in cluster.parties() {
                let config = Config::load(Path::new(&config(party))).unwrap();
                scope.spawn(move || run_party(&config, &mut Silent).unwrap());
            }
        });
    });
    assert_eq!(files::read_csv(&cluster.scores()).1.len(), rows);
}
