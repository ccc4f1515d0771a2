//! A party that tells its peers different things: caught before any output share leaves, in every protocol that opens
//! values, at every opening, and whatever it says in the comparison itself.
//!
//! **Why the comparison of all pairs is enough.** Every party sends the digest of what it saw opened to every other and
//! compares it with what they send. If two honest parties saw different openings, then each honest party has an honest
//! peer whose view differs from its own, and what passes between these two is nothing that a third can change. So every
//! honest party ends before its output shares leave, even if the equivocator answers each peer with that peer's own
//! digest, as the one here does. **What it does not catch**: a wrong value that everybody is told alike; anything between
//! two parties, where there is no second peer to be told otherwise; and what is sent after the comparison, the output
//! shares, of which a recipient can check nothing.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod common;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{seed, tensor};
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::fixed::FracBits;
use mpc_core::local::network;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::{Ring, Z64};
use mpc_core::share::{Additive, Sharing};
use mpc_core::tag::{Tag, node};
use mpc_core::tensor::Tensor;
use protocols::compare::{less_than, less_than_zero, sign_bits};
use protocols::convert::{select, to_ring};
use protocols::error::ProtocolError;
use protocols::fourier;
use protocols::input::input;
use protocols::matmul::matmul;
use protocols::mul::{dot, mul, square};
use protocols::order::{Relation, holds, min_max, sign};
use protocols::output::output;
use protocols::piecewise::{evaluate, tables};
use protocols::relu::{clamp, relu, relu_truncated};
use protocols::reuse::{Part, mask_and_multiply, mask_once, matmul_masked, matrices};
use protocols::session::Session;
use protocols::sort::{Direction, sort};
use protocols::tournament::{Extreme, Winner, extreme};
use protocols::tree::TreeChoice;
use protocols::trial;
use protocols::truncate::{Rounding, floor, truncate};

type Share = Additive<Z64>;
type Cx = Session<Share>;
type Protocol = fn(&mut Cx, &Share) -> Result<Share, ProtocolError>;
/// The tensor that a recipient learned; `None` at the others.
type Outcome = Result<Option<Tensor<Z64>>, ProtocolError>;

const LEN: usize = 6;
const P0: PartyId = PartyId::new(0);

const TREE: TreeChoice = TreeChoice::DEFAULT;

/// Every protocol that opens values, on a secret vector of [`LEN`] small numbers.
const PROTOCOLS: [(&str, Protocol); 23] = [
    ("mul", |cx, x| mul(cx, x, x)),
    ("square", square),
    ("dot", |cx, x| {
        let x = x.clone().reshape(&[2, LEN / 2]);
        dot(cx, &x, &x)
    }),
    ("matmul", |cx, x| matmul(cx, &x.clone().reshape(&[2, LEN / 2]), &x.clone().reshape(&[LEN / 2, 2]))),
    ("mask_once, matmul_masked", |cx, x| {
        let once = mask_once(cx, &x.clone().reshape(&[2, LEN / 2]))?;
        matmul_masked(cx, &once.rows(1..2), &x.clone().reshape(&[LEN / 2, 2]))
    }),
    ("mask_and_multiply", |cx, x| {
        let (left, right) = (x.clone().reshape(&[2, LEN / 2]), x.clone().reshape(&[LEN / 2, 2]));
        let whole = Part::whole(&[2, LEN / 2]).expect("a matrix");
        Ok(mask_and_multiply(cx, &left, whole, matrices([2, LEN / 2, 2]), &right)?.1)
    }),
    ("truncate", |cx, x| truncate(cx, x, 16)),
    ("floor", |cx, x| floor(cx, x, 16, TREE)),
    ("less_than_zero", |cx, x| less_than_zero(cx, x, TREE)),
    ("less_than", |cx, x| less_than(cx, x, &zero(), TREE)),
    ("equal", |cx, x| holds(cx, x, Relation::Equal, &zero(), TREE)),
    ("sign", |cx, x| sign(cx, x, TREE)),
    ("minimum", |cx, x| Ok(min_max(cx, x, &zero(), TREE)?.0)),
    ("relu", |cx, x| relu(cx, x, TREE)),
    ("relu of a quotient", |cx, x| relu_truncated(cx, x, 8, TREE)),
    ("clamp", |cx, x| clamp(cx, x, [-5, 5].map(Z64::from_i64), 0, TREE)),
    ("index of the largest", |cx, x| {
        let (value, index) = extreme(cx, x, Extreme::Largest, Winner::Index, TREE)?;
        Ok(index.unwrap_or(value))
    }),
    ("sort", |cx, x| Ok(sort(cx, x, &[x], Direction::Ascending, 2, TREE)?.0)),
    ("sigmoid", |cx, x| sigmoid(cx, x, Rounding::Dithered)),
    ("sigmoid with floors", |cx, x| sigmoid(cx, x, Rounding::Exact)),
    ("sigmoid by sines", |cx, x| fourier::sigmoid(cx, x, FracBits::DEFAULT)),
    ("sign_bits, to_ring", |cx, x| {
        let bits = sign_bits(cx, x, TREE)?;
        to_ring(cx, &bits)
    }),
    ("select", |cx, x| {
        let bit = less_than_zero(cx, x, TREE)?;
        select(cx, &bit, x, x)
    }),
];

fn sigmoid(cx: &mut Cx, x: &Share, rounding: Rounding) -> Result<Share, ProtocolError> {
    let table = tables::sigmoid();
    let layout = table.layout(FracBits::DEFAULT, 1 << 20).expect("small arguments");
    evaluate(cx, x, &table, layout, rounding, TREE)
}

fn zero() -> Share {
    Share::from_share(Tensor::filled(&[LEN], Z64::ZERO))
}

/// What an equivocator does.
#[derive(Clone)]
struct Lie {
    by: PartyId,
    /// Who is told something else than the rest.
    to: Vec<PartyId>,
    /// In which exchange, from 0.
    at: usize,
    /// Which byte of the message has a bit flipped.
    byte: usize,
}

/// Tags of the exchanges in which a party sent anything, by party.
type Sent = Arc<Mutex<Vec<(PartyId, Tag)>>>;

/// A party's channel, noting what is sent. The equivocator's changes one exchange, and in the comparison it waits for
/// every peer's digest and gives it back, so that its own cannot give it away.
struct Noted {
    inner: Box<dyn Channel>,
    lie: Option<Lie>,
    count: usize,
    sent: Sent,
}

impl Channel for Noted {
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
        if send.iter().any(|(_, message)| message.is_some()) {
            self.sent.lock().unwrap().push((self.me(), tag));
        }
        let n = send.parties();
        let Some(lie) = &self.lie else { return self.inner.exchange(tag, send, expect) };
        if tag.node == node::CONFIRM {
            let theirs = self.inner.exchange(tag, PerParty::from_fn(n, |_| None), expect)?;
            self.inner.exchange(tag, theirs, PerParty::from_fn(n, |_| None))?;
            // Its own protocol is told that all is well and goes on.
            return Ok(send);
        }
        let hit = self.count == lie.at;
        self.count += 1;
        let told = |p: PartyId, message: Bytes| {
            let mut message = message.to_vec();
            if hit && lie.to.contains(&p) {
                let byte = lie.byte % message.len();
                message[byte] ^= 1;
            }
            Bytes::from(message)
        };
        let send = PerParty::from_fn(n, |p| send[p].clone().map(|message| told(p, message)));
        self.inner.exchange(tag, send, expect)
    }
}

/// Runs a protocol and outputs its result to everyone.
fn run(n: usize, protocol: Protocol, lie: Option<&Lie>) -> (Vec<Outcome>, Vec<(PartyId, Tag)>) {
    let sent = Sent::default();
    let noted = |inner: Box<dyn Channel>| {
        let lie = lie.filter(|lie| lie.by == inner.me()).cloned();
        Box::new(Noted { inner, lie, count: 0, sent: sent.clone() }) as Box<dyn Channel>
    };
    let channels = network(n).into_iter().map(|c| noted(Box::new(c))).collect();
    let everyone: Vec<PartyId> = PartyId::all(n).collect();
    let x = tensor::<Z64>([3, 70_000, 5_u64.wrapping_neg(), 0, 9, 80_000_u64.wrapping_neg()]);
    let party = |cx: &mut Cx| -> Outcome {
        cx.enter(0, 0)?;
        let x = input(cx, P0, &[LEN], (cx.me() == P0).then_some(&x))?;
        cx.enter(1, 0)?;
        let y = protocol(cx, &x)?;
        let revealed = output(cx, &[(&y, &everyone)])?;
        Ok(revealed[0].as_ref().map(|r| r.tensor().clone()))
    };
    let outcomes =
        trial::run_sessions::<Z64, _, ()>(trial::sessions_over(channels, seed(1), None), |cx| Ok(party(cx)))
            .expect("outcomes are values here");
    let sent = sent.lock().unwrap().clone();
    (outcomes, sent)
}

/// How many exchanges a protocol has before the comparison.
fn openings(n: usize, protocol: Protocol) -> usize {
    let (outcomes, sent) = run(n, protocol, None);
    let first = outcomes[0].clone().expect("an honest run succeeds");
    assert!(first.is_some() && outcomes.iter().all(|o| o.as_ref().unwrap() == &first), "one result for all");
    let before = |tag: Tag| tag.node != node::CONFIRM && tag.node != node::OUTPUT;
    let own: Vec<Tag> = sent.iter().filter(|(p, _)| *p == P0).map(|(_, tag)| *tag).collect();
    assert_eq!(own.iter().filter(|t| !before(**t)).count(), 2, "one comparison and one round of outputs");
    own.into_iter().filter(|&t| before(t)).count()
}

/// Every honest party ends with `OpeningsDiffer` about a party of the other view, and none has sent output shares.
fn assert_caught(name: &str, n: usize, protocol: Protocol, lie: &Lie) {
    let (outcomes, sent) = run(n, protocol, Some(lie));
    for p in lie.by.others(n) {
        let place = format!("{name}, exchange {} of {} to {:?}, seen by {p}", lie.at, lie.by, lie.to);
        let Err(ProtocolError::OpeningsDiffer { peer }) = &outcomes[p.index()] else {
            panic!("{place}: {:?}", outcomes[p.index()])
        };
        assert_ne!(*peer, lie.by, "{place}: its digest fitted");
        assert_ne!(lie.to.contains(peer), lie.to.contains(&p), "{place}: {peer} saw the same");
    }
    let leaked: Vec<_> = sent.iter().filter(|(p, tag)| *p != lie.by && tag.node == node::OUTPUT).collect();
    assert!(leaked.is_empty(), "{name}, exchange {}: output shares left: {leaked:?}", lie.at);
}

#[test]
fn every_opening_of_every_protocol_is_compared_before_outputs_leave() {
    for (name, protocol) in PROTOCOLS {
        let rounds = openings(3, protocol);
        assert!(rounds >= 1, "{name} opens something");
        for by in PartyId::all(3) {
            for to in by.others(3) {
                for at in 0..rounds {
                    assert_caught(name, 3, protocol, &Lie { by, to: vec![to], at, byte: 7 * at });
                }
            }
        }
    }
}

#[test]
fn every_split_of_five_parties_is_seen_by_all_of_them() {
    let by = PartyId::new(4);
    for told in 1_usize..15 {
        let to: Vec<PartyId> = by.others(5).filter(|p| told >> p.index() & 1 == 1).collect();
        let relu: Protocol = |cx, x| relu(cx, x, TREE);
        for at in 0..openings(5, relu) {
            assert_caught("relu", 5, relu, &Lie { by, to: to.clone(), at, byte: 0 });
        }
    }
}

#[test]
fn a_wrong_value_told_to_all_alike_is_not_noticed() {
    // The mode is semi-honest: this documents what it does not claim.
    let honest = run(3, square, None).0[0].clone().expect("an honest run succeeds");
    for n in [2, 3] {
        let by = PartyId::new(n - 1);
        let lie = Lie { by, to: by.others(n).collect(), at: 0, byte: 0 };
        let (outcomes, _) = run(n, square, Some(&lie));
        for p in by.others(n) {
            let seen = outcomes[p.index()].clone().expect("nobody notices");
            assert!(seen.is_some() && seen != honest, "party {p} of {n} learns a wrong result");
        }
    }
}

#[test]
fn a_recipient_cannot_check_an_output_share() {
    // It leaves after the comparison. Recipients of one output can be told different results.
    let at = openings(3, square);
    let lie = Lie { by: PartyId::new(2), to: vec![P0], at, byte: 0 };
    let (outcomes, _) = run(3, square, Some(&lie));
    let [a, b] = [0, 1].map(|p| outcomes[p].clone().expect("nobody notices"));
    assert!(a.is_some() && b.is_some() && a != b);
}
