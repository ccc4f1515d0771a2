//! What happens when a peer, the dealer or the caller does the wrong thing: the right error at the right party, and no
//! output.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use common::{seed, tensor, words};
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::local::network;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Z64;
use mpc_core::share::{Additive, BitSharing, Sharing};
use mpc_core::tag::Tag;
use protocols::convert::{to_bits, to_ring};
use protocols::error::{PrepError, ProtocolError};
use protocols::input::input;
use protocols::mul::{mul, square};
use protocols::order::sign;
use protocols::output::output;
use protocols::prep::{Comparison, Demand, Item, Question};
use protocols::relu::relu;
use protocols::reuse::{mask_once, matmul_masked};
use protocols::session::Session;
use protocols::sort::{Direction, sort};
use protocols::tree::TreeChoice;
use protocols::trial;
use protocols::truncate::floor;

const P0: PartyId = PartyId::new(0);
const P1: PartyId = PartyId::new(1);

/// Changes what one party sends in its `at`-th exchange.
struct Tampering<F> {
    inner: Box<dyn Channel>,
    at: usize,
    count: usize,
    tamper: F,
}

impl<F: FnMut(PartyId, Bytes) -> Bytes + Send> Channel for Tampering<F> {
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
        let hit = self.count == self.at;
        self.count += 1;
        let tamper = &mut self.tamper;
        let send = PerParty::from_fn(send.parties(), |p| {
            send[p].clone().map(|b| if hit { tamper(p, b) } else { b })
        });
        self.inner.exchange(tag, send, expect)
    }
}

fn flip(b: Bytes) -> Bytes {
    let mut v = b.to_vec();
    v[0] ^= 1;
    v.into()
}

type Outcome = Result<bool, ProtocolError>;

type Party = fn(&mut Session<Additive<Z64>>) -> Outcome;

/// Three parties multiply, take the ReLU and output to party 1; party 0's messages are tampered with.
fn product(tamper_at: usize, tamper: impl FnMut(PartyId, Bytes) -> Bytes + Send + 'static) -> Vec<Outcome> {
    tampered(tamper_at, tamper, |cx| {
        let x = tensor::<Z64>(words(1, 10));
        cx.enter(0, 0)?;
        let x = input(cx, P1, &[10], (cx.me() == P1).then_some(&x))?;
        cx.enter(1, 0)?;
        let y = mul(cx, &x, &x)?;
        cx.enter(2, 0)?;
        let y = relu(cx, &y, TreeChoice::DEFAULT)?;
        Ok(output(cx, &[(&y, &[P1])])?[0].is_some())
    })
}

/// Everything that opens more than one thing at a time, or one thing for later: a matrix for several products, keys with
/// payloads, a value for a quotient, for both questions about a sign, for all its bits.
fn all_openings(cx: &mut Session<Additive<Z64>>) -> Outcome {
    let tree = TreeChoice::DEFAULT;
    let x = tensor::<Z64>(words(1, 8).into_iter().map(|w| w >> 40)).reshape(&[4, 2]);
    cx.enter(0, 0)?;
    let x = input(cx, P1, &[4, 2], (cx.me() == P1).then_some(&x))?;
    cx.enter(1, 0)?;
    let once = mask_once(cx, &x)?;
    let y = matmul_masked(cx, &once.rows(0..2).transpose(), &x.map_linear(|t| t.slice(0, 2, 4)))?;
    cx.enter(2, 0)?;
    let (keys, moved) = sort(cx, &y, &[&y], Direction::Ascending, 2, tree)?;
    cx.enter(3, 0)?;
    let quotient = floor(cx, &keys.add(&moved[0]), 8, tree)?;
    cx.enter(4, 0)?;
    let sign = sign(cx, &quotient, tree)?;
    to_bits(cx, &sign, tree)?;
    // Two rounds for outputs, and as many as were said for all the rest.
    assert_eq!(cx.rounds(), ALL_ROUNDS as u64);
    Ok(output(cx, &[(&sign, &[P1])])?[0].is_some())
}

const ALL_ROUNDS: usize = 1 + 1 + 4 + 4 + 4 + 3;

/// Runs three parties of which the first one's messages of one exchange are tampered with.
fn tampered(
    tamper_at: usize,
    tamper: impl FnMut(PartyId, Bytes) -> Bytes + Send + 'static,
    party: Party,
) -> Vec<Outcome> {
    let mut tamper = Some(tamper);
    let channels = network(3)
        .into_iter()
        .map(|c| -> Box<dyn Channel> {
            let inner: Box<dyn Channel> = Box::new(c);
            match tamper.take() {
                Some(tamper) => Box::new(Tampering { inner, at: tamper_at, count: 0, tamper }),
                None => inner,
            }
        })
        .collect();
    outcomes(trial::sessions_over(channels, seed(1), None), party)
}

fn outcomes(
    sessions: Vec<Session<Additive<Z64>>>,
    party: impl Fn(&mut Session<Additive<Z64>>) -> Outcome + Send + Sync,
) -> Vec<Outcome> {
    trial::run_sessions::<Z64, _, ()>(sessions, |cx| Ok(party(cx))).expect("outcomes are values here")
}

#[test]
fn an_equivocating_party_is_noticed_before_any_output() {
    // Rounds 0 (product) to 4 (z of the ReLU): party 0 tells party 2 something else than party 1.
    for at in 0..=4 {
        let all = product(at, |to, b| if to.index() == 2 { flip(b) } else { b });
        for (p, outcome) in all.iter().enumerate() {
            assert!(
                matches!(outcome, Err(ProtocolError::OpeningsDiffer { .. } | ProtocolError::Channel(_))),
                "round {at}, party {p}: {outcome:?}"
            );
        }
        assert!(all.iter().any(|o| matches!(o, Err(ProtocolError::OpeningsDiffer { .. }))), "round {at}");
    }
    assert!(product(99, |_, b| b).into_iter().map(Result::unwrap).eq([false, true, false]));
}

#[test]
fn a_message_of_another_length_is_refused() {
    for (name, tamper) in [
        ("short", (|_, b: Bytes| b.slice(1..)) as fn(PartyId, Bytes) -> Bytes),
        ("long", |_, b| [&b[..], &[0]].concat().into()),
    ] {
        for at in 0..=6 {
            let all = product(at, tamper);
            if at == 6 && name == "short" || at < 6 {
                assert!(
                    all.iter()
                        .any(|o| matches!(o, Err(ProtocolError::Channel(ChannelError::WrongLength { .. })))),
                    "{name}, round {at}: {all:?}"
                );
            }
            assert!(all.iter().all(|o| !matches!(o, Ok(true))), "{name}, round {at}: no output");
        }
    }
}

#[test]
fn no_opening_can_be_equivocated_cut_or_stretched() {
    assert!(tampered(99, |_, b| b, all_openings).into_iter().map(Result::unwrap).eq([false, true, false]));
    for at in 0..ALL_ROUNDS {
        let all = tampered(at, |to, b| if to.index() == 2 { flip(b) } else { b }, all_openings);
        assert!(all.iter().all(Result::is_err), "round {at}: {all:?}");
        assert!(all.iter().any(|o| matches!(o, Err(ProtocolError::OpeningsDiffer { .. }))), "round {at}");
        for tamper in [(|_, b: Bytes| b.slice(1..)) as fn(PartyId, Bytes) -> Bytes, |_, b| {
            [&b[..], &[0]].concat().into()
        }] {
            let all = tampered(at, tamper, all_openings);
            // A message of one byte that is cut is not sent at all, and the next one comes in its place.
            let is_wrong = |o: &Outcome| {
                use ChannelError::{Desync, WrongLength};
                matches!(o, Err(ProtocolError::Channel(WrongLength { .. } | Desync { .. })))
            };
            assert!(all.iter().any(is_wrong) && all.iter().all(Result::is_err), "round {at}: {all:?}");
        }
    }
}

#[test]
fn set_padding_bits_are_malformed() {
    // Round 2 opens 27 · 10 bits: the last byte has two bits of padding.
    let all = product(2, |_, b| {
        let mut v = b.to_vec();
        *v.last_mut().unwrap() |= 0x80;
        v.into()
    });
    let is_malformed = |o: &Outcome| matches!(o, Err(ProtocolError::Channel(ChannelError::Malformed { .. })));
    assert!(all[1..].iter().all(is_malformed), "{all:?}");
}

#[test]
fn after_a_malformed_opening_a_session_gives_no_output() {
    // Party 0 sets padding in its only opening of bits; then both try to output, whatever went wrong.
    let mut tamper = Some(|_, b: Bytes| Bytes::from(b.iter().map(|v| v | 0x80).collect::<Vec<u8>>()));
    let channels = network(2)
        .into_iter()
        .map(|c| -> Box<dyn Channel> {
            let inner: Box<dyn Channel> = Box::new(c);
            match tamper.take() {
                Some(tamper) => Box::new(Tampering { inner, at: 0, count: 0, tamper }),
                None => inner,
            }
        })
        .collect();
    let all = outcomes(trial::sessions_over(channels, seed(7), None), |cx| {
        cx.enter(0, 0)?;
        let bits = <Additive<Z64> as Sharing>::Bits::zeros(1, 3);
        let opened = to_ring(cx, &bits).err();
        let x = Additive::from_share(tensor::<Z64>([1]));
        let then = output(cx, &[(&x, &[P0, P1])]).map(|_| true);
        let Some(first) = opened else { return then };
        assert!(matches!(then, Err(ProtocolError::Poisoned)), "{first}, then {then:?}");
        Err(first)
    });
    let is_malformed = |o: &Outcome| matches!(o, Err(ProtocolError::Channel(ChannelError::Malformed { .. })));
    assert!(is_malformed(&all[1]) && all[0].is_err(), "{all:?}");
}

#[test]
fn parties_at_different_places_see_it_at_the_first_message() {
    let all = outcomes(trial::sessions(2, seed(2), None), |cx| {
        let x = Additive::from_share(tensor::<Z64>([1]));
        cx.enter(if cx.me() == P0 { 5 } else { 6 }, 0)?;
        square(cx, &x).map(|_| true)
    });
    let is_desync = |o: &Outcome| matches!(o, Err(ProtocolError::Channel(ChannelError::Desync { expected, got, .. })) if expected.node + got.node == 11);
    assert!(all.iter().any(is_desync), "{all:?}");
    assert!(all.iter().all(Result::is_err), "{all:?}");
}

#[test]
fn a_place_is_entered_once() {
    for outcome in outcomes(trial::sessions(2, seed(3), None), |cx| {
        cx.enter(4, 0)?;
        cx.enter(4, 1)?;
        cx.enter(4, 0)?;
        Ok(true)
    }) {
        assert!(
            matches!(outcome, Err(ProtocolError::EnteredTwice { tag }) if tag.node == 4 && tag.iteration == 0)
        );
    }
}

#[test]
fn randomness_outside_the_demand_is_refused() {
    let demand = Demand { items: vec![Item::Square { len: 4 }] };
    for (len, twice) in [(5, false), (4, true)] {
        for outcome in outcomes(trial::sessions(2, seed(4), Some(&demand)), |cx| {
            let x = Additive::from_share(tensor::<Z64>((0..len).map(|i| i as u64)));
            cx.enter(0, 0)?;
            square(cx, &x)?;
            cx.enter(1, 0)?;
            if twice {
                square(cx, &x)?;
            }
            Ok(true)
        }) {
            let Err(ProtocolError::Preprocessing(PrepError::Unexpected { index, agreed, .. })) = outcome
            else {
                panic!("{outcome:?}")
            };
            assert_eq!((index, agreed.is_none()), (u32::from(twice), twice));
        }
    }
}

#[test]
fn a_failed_session_stays_failed() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let all = outcomes(trial::sessions(2, seed(5), None), move |cx| {
        let x = Additive::from_share(tensor::<Z64>([1]));
        cx.enter(if cx.me() == P0 { 5 } else { 6 }, 0)?;
        let first = square(cx, &x);
        if first.is_err() {
            let again = output(cx, &[(&x, &[P0, P1])]);
            assert!(matches!(again, Err(ProtocolError::Poisoned)), "no output after a failure");
            counted.fetch_add(1, Ordering::Relaxed);
        }
        first.map(|_| true)
    });
    assert!(all.iter().all(Result::is_err));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[test]
fn the_caller_is_told_which_shape_is_wrong() {
    trial::run::<Z64, _>(2, seed(6), |cx| {
        let a = Additive::from_share(tensor::<Z64>([1, 2]));
        let b = Additive::from_share(tensor::<Z64>([1, 2, 3]));
        assert!(matches!(mul(cx, &a, &b), Err(ProtocolError::Shape { .. })));
        assert!(matches!(
            input(cx, P0, &[2], (cx.me() == P1).then(|| tensor([1, 2])).as_ref()),
            Err(ProtocolError::Shape { .. })
        ));
        Ok(())
    })
    .unwrap();
}

/// Sends corrections as told.
struct Source(Box<dyn Fn(usize) -> Bytes + Send>);

impl mpc_core::channel::CorrectionSource for Source {
    fn next(&mut self, _item: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        Ok((self.0)(bytes))
    }
}

/// What party 0 makes of a dealer's bytes for three comparisons.
fn with_corrections(source: Option<Source>) -> Result<(), PrepError> {
    use protocols::prep::{Preprocessing, dealer::DealerPrep};
    let item = Comparison::new(Question::Sign, 3, TreeChoice::DEFAULT);
    let demand = Demand { items: vec![Item::Comparison(item)] };
    let source = source.map(|s| Box::new(s) as Box<dyn mpc_core::channel::CorrectionSource>);
    let (session, own) = (mpc_core::tag::SessionId([1; 32]), mpc_core::prg::Seed::new([2; 32]));
    let mut prep = DealerPrep::<Z64>::remote(P0, session, own, source, demand);
    prep.comparison(item).map(drop)
}

#[test]
fn corrections_that_are_missing_or_malformed_are_refused() {
    assert!(matches!(with_corrections(None), Err(PrepError::NoCorrections)));
    let bytes = |f: fn(usize) -> Vec<u8>| Some(Source(Box::new(move |n| f(n).into())));
    // 169 · 3 bits of block products end inside a byte: the padding must be zero.
    assert!(matches!(with_corrections(bytes(|n| vec![0xff; n])), Err(PrepError::Malformed { index: 0 })));
    assert!(matches!(with_corrections(bytes(|n| vec![0; n + 1])), Err(PrepError::Malformed { index: 0 })));
    assert!(matches!(with_corrections(bytes(|_| vec![])), Err(PrepError::Malformed { index: 0 })));
    assert!(with_corrections(bytes(|n| vec![0; n])).is_ok());
}
