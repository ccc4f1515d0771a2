//! What any n−1 parties see is independent of the inputs: shown exactly on the 8-bit ring.
//!
//! One honest party's randomness runs through *all* its values, one per element of a batch; the colluders' randomness is
//! fixed. The real protocol runs once on the batch. The view of the colluders at an element is every message of the
//! honest party and, if party 0 colludes, the dealer's corrections. Over the whole batch, the multiset of views must be
//! the same for every input. Where there is too much randomness to enumerate, it is drawn, and every pair of bits of a
//! view is held against uniformity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mpc_core::bits::BitTensor;
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Z8;
use mpc_core::share::Additive;
use mpc_core::tag::Tag;
use mpc_core::tensor::Tensor;

use crate::error::ProtocolError;
use crate::prep::Item;
use crate::session::Session;
use crate::trial;

mod cases;
mod comparisons;

/// Prescribed randomness, by seed. Seeds are those of one test, so tests do not meet.
pub(crate) mod tape {
    use std::collections::HashMap;
    use std::sync::{Arc, LazyLock, RwLock};

    use mpc_core::prg::Seed;
    use mpc_core::ring::Ring;

    use crate::prep::item::Holding;
    use crate::prep::relation::Value;

    /// The value of component `place` (counted on by 64 per item) at element `element`, lane `lane`, as a number of which the low bits count.
    pub(crate) type Tape = dyn Fn(u32, usize, usize) -> u64 + Send + Sync;

    static TAPES: LazyLock<RwLock<HashMap<[u8; 32], Arc<Tape>>>> = LazyLock::new(Default::default);

    pub(crate) fn record(seed: &Seed, tape: Arc<Tape>) {
        TAPES.write().unwrap().insert(*seed.expose(), tape);
    }

    pub(crate) fn play<R: Ring>(seed: &Seed, place: u32, holding: Holding) -> Option<Value<R>> {
        use mpc_core::{bits::BitTensor, tensor::Tensor};
        let tape = TAPES.read().unwrap().get(seed.expose())?.clone();
        let element = |mask: u64| {
            move |count: usize| (0..count).map(|i| R::from_u64(tape(place, i, 0) & mask)).collect::<Vec<R>>()
        };
        Some(match holding {
            Holding::Ring { count } => Value::Ring(Tensor::from_vec(&[count], element(u64::MAX)(count))),
            Holding::RingLow { count, bits } => {
                Value::Ring(Tensor::from_vec(&[count], element((1 << bits) - 1)(count)))
            }
            Holding::Bits { lanes, len } => {
                let tape = TAPES.read().unwrap().get(seed.expose())?.clone();
                let mut out = BitTensor::zeros(lanes, len);
                for lane in 0..lanes {
                    for i in 0..len {
                        out.lane_mut(lane)[i / 64] |= (tape(place, i, lane) & 1) << (i % 64);
                    }
                }
                Value::Bits(out)
            }
        })
    }
}

/// Records what its party sends, per round.
struct Tapped {
    inner: Box<dyn Channel>,
    sent: Arc<Mutex<Vec<Bytes>>>,
}

impl Channel for Tapped {
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
        if let Some(b) = send.iter().find_map(|(_, b)| b.clone()) {
            self.sent.lock().unwrap().push(b);
        }
        self.inner.exchange(tag, send, expect)
    }
}

/// How a message of one round is laid out: ring elements (`usize` tensors of the batch's length) and bit lanes.
type Layout = &'static [(usize, usize)];

type Protocol = fn(&mut Session<Additive<Z8>>, &[Additive<Z8>]) -> Result<(), ProtocolError>;

struct Case {
    item: fn(usize) -> Item,
    inputs: usize,
    protocol: Protocol,
    layout: Layout,
}

/// The colluders' view of every element, bits in a fixed order.
fn views(
    n: usize,
    honest: PartyId,
    case: &Case,
    len: usize,
    inputs: &[u8],
    honest_tape: Arc<tape::Tape>,
) -> Vec<Vec<u8>> {
    let mut key = [0x77; 32];
    key[..8].copy_from_slice(&fresh().to_le_bytes());
    let sent = Arc::new(Mutex::new(vec![]));
    let channels = mpc_core::local::network(n)
        .into_iter()
        .map(|c| -> Box<dyn Channel> {
            let inner: Box<dyn Channel> = Box::new(c);
            if inner.me() == honest { Box::new(Tapped { inner, sent: Arc::clone(&sent) }) } else { inner }
        })
        .collect();
    for p in PartyId::all(n) {
        let fixed = p.index() as u64 * 89 + 41;
        let own: Arc<tape::Tape> = if p == honest {
            Arc::clone(&honest_tape)
        } else {
            Arc::new(move |place, _, lane| {
                fixed ^ (u64::from(place) * 57 + lane as u64 * 29).wrapping_mul(0x9e37_79b9)
            })
        };
        tape::record(&trial::dealer_seed(&key, p), own);
    }
    let sessions = trial::sessions_over::<Z8>(channels, key, None);
    // Shares of the inputs: the colluders' are fixed, the honest party's is the rest.
    let share = |p: PartyId, i: usize| {
        let fixed = |p: PartyId| Z8(p.index() as u8 * 31 + i as u8 * 7 + 3);
        let mine = if p == honest {
            honest.others(n).fold(Z8(inputs[i]), |rest, q| rest - fixed(q))
        } else {
            fixed(p)
        };
        Additive::from_share(Tensor::filled(&[len], mine))
    };
    trial::run_sessions(sessions, |cx| {
        cx.enter(0, 0)?;
        let shares: Vec<_> = (0..case.inputs).map(|i| share(cx.me(), i)).collect();
        (case.protocol)(cx, &shares)
    })
    .unwrap();

    let mut out = vec![vec![]; len];
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), case.layout.len(), "one message a round");
    for (message, &(tensors, lanes)) in sent.iter().zip(case.layout) {
        split(message, tensors, lanes, len, &mut out);
    }
    if honest.index() != 0 {
        corrections(n, key, &(case.item)(len), &mut out);
    }
    out
}

fn split(message: &[u8], tensors: usize, lanes: usize, len: usize, out: &mut [Vec<u8>]) {
    let (words, bits) = message.split_at(tensors * len);
    for t in 0..tensors {
        for (view, &byte) in out.iter_mut().zip(&words[t * len..]) {
            view.push(byte);
        }
    }
    let bits = BitTensor::unpack(lanes, len, bits).expect("layout of the message");
    for lane in 0..lanes {
        for (i, view) in out.iter_mut().enumerate() {
            view.push(u8::from(bits.bit(lane, i)));
        }
    }
}

fn corrections(n: usize, key: [u8; 32], item: &Item, out: &mut [Vec<u8>]) {
    use crate::prep::item::Holding;
    let dealer = trial::dealer(key, n);
    let mut layout = item.components::<Z8>().into_iter().filter(|c| c.derived);
    let made: Result<(), std::convert::Infallible> = dealer.corrections::<Z8, _>(0, item, |bytes| {
        let len = out.len();
        match layout.next().expect("one piece per derived component").holding {
            Holding::Ring { count } => split(&bytes, count / len, 0, len, out),
            Holding::RingLow { bits, .. } => split(&bytes, 0, bits as usize, len, out),
            Holding::Bits { lanes, len: all } => split(&bytes, 0, lanes * all / len, len, out),
        }
        Ok(())
    });
    let Ok(()) = made;
}

/// A statistically good permutation of 64-bit numbers (the finaliser of SplitMix64).
fn mixed(x: u64) -> u64 {
    let x = (x.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Another number at every call, so that seeds of one process never meet.
fn fresh() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn histogram(views: Vec<Vec<u8>>) -> HashMap<Vec<u8>, u32> {
    let mut out = HashMap::new();
    for v in views {
        *out.entry(v).or_default() += 1;
    }
    out
}

/// Runs through all `2^bits` values of the honest party's randomness: component `place` takes the bits at its offset.
fn enumerated(offsets: &'static [u32]) -> Arc<tape::Tape> {
    Arc::new(move |place, i, lane| i as u64 >> (offsets[place as usize] + lane as u32))
}

/// Exact: the views of all honest randomness are the same multiset for all inputs.
fn assert_same_views(case: &Case, offsets: &'static [u32], bits: u32, honest: impl Fn(PartyId) -> bool) {
    for n in [2, 3, 5] {
        for h in PartyId::all(n).filter(|&h| honest(h)) {
            let view = |inputs: &[u8]| histogram(views(n, h, case, 1 << bits, inputs, enumerated(offsets)));
            let first = view(&[0, 0]);
            for inputs in [[1, 0], [255, 127], [128, 128], [90, 201]] {
                assert!(first == view(&inputs), "n = {n}, honest {h}, inputs {inputs:?} against 0, 0");
            }
        }
    }
}

/// Sampled: every pair of bits of a view is uniform, for several inputs.
fn assert_uniform_pairs(case: &Case) {
    let len = 1 << 14;
    for n in [2, 3, 5] {
        for h in [PartyId::new(0), PartyId::new(n - 1)] {
            for inputs in [[0, 0], [255, 3], [127, 128]] {
                let salt = fresh();
                let random: Arc<tape::Tape> = Arc::new(move |place, i, lane| {
                    let name = salt << 48 ^ u64::from(place) << 32 ^ (lane as u64) << 24 ^ i as u64;
                    mixed(mixed(name))
                });
                let views = views(n, h, case, len, &inputs, random);
                let bits: Vec<Vec<bool>> = lanes_of(case, h, &views);
                for (i, a) in bits.iter().enumerate() {
                    for b in &bits[..i] {
                        let ones = a.iter().zip(b).filter(|(a, b)| *a ^ *b).count() as f64;
                        let deviation = (ones - len as f64 / 2.0) / (len as f64 / 4.0).sqrt();
                        assert!(
                            deviation.abs() < 6.5,
                            "bits {i} and another are {deviation} σ off, salt {salt}, n = {n}, {h}"
                        );
                    }
                }
            }
        }
    }
}

/// The views as bit columns: bytes that are whole ring elements give eight, flags one.
fn lanes_of(case: &Case, honest: PartyId, views: &[Vec<u8>]) -> Vec<Vec<bool>> {
    let mut widths = vec![];
    for &(tensors, lanes) in case.layout {
        widths.extend(std::iter::repeat_n(8, tensors).chain(std::iter::repeat_n(1, lanes)));
    }
    if honest.index() != 0 {
        for c in (case.item)(1).components::<Z8>().iter().filter(|c| c.derived) {
            use crate::prep::item::Holding;
            match c.holding {
                Holding::Ring { count } => widths.extend(std::iter::repeat_n(8, count)),
                Holding::RingLow { bits, .. } => widths.extend(std::iter::repeat_n(1, bits as usize)),
                Holding::Bits { lanes, len } => widths.extend(std::iter::repeat_n(1, lanes * len)),
            }
        }
    }
    let column = |(place, bit): (usize, usize)| views.iter().map(|v| v[place] >> bit & 1 == 1).collect();
    let places = widths.iter().enumerate().flat_map(|(place, &w)| (0..w).map(move |bit| (place, bit)));
    places.map(column).collect()
}
