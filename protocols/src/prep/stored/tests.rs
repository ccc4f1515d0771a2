//! Copies come back as they were made, in the sessions of all parties, and nothing else is read as one.

use mpc_core::channel::Channel as _;
use mpc_core::conv::ConvShape;
use mpc_core::local;
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::{Z8, Z64};
use mpc_core::tag::{SessionId, Tag};
use mpc_core::windows::Sliding;
use proptest::prelude::*;

use super::*;
use crate::ot::lane::OtLane;
use crate::ot::softspoken::{FieldBits, Security, SoftSpoken};
use crate::prep::{Bilinear, Comparison, MaskPart, Part, Product, Question};
use crate::reuse::matrices;
use crate::tree::TreeChoice;

/// A copy in memory; complains about whoever asks for more.
struct Kept(std::collections::VecDeque<u8>);

impl CopyReader for Kept {
    fn read(&mut self, out: &mut [u8]) {
        let next = self.0.drain(..out.len()).collect::<Vec<_>>();
        out.copy_from_slice(&next);
    }
}

fn kinds() -> Demand {
    let part = Part::whole(&[7, 5]).unwrap().slice(0, 1, 4).slice(1, 2, 5).transpose();
    let given = |product| Item::Given { part: MaskPart { mask: 4, part }, product };
    let shape = ConvShape::new([1, 1, 3, 4], [1, 1, 3, 3], Sliding::by(1), 1).unwrap();
    let sign = Comparison::in_ring(Question::Sign, 70, TreeChoice::DEFAULT);
    Demand {
        items: vec![
            Item::Triple { len: 3 },
            Item::Square { len: 9 },
            Item::Dot { len: 5, terms: 3 },
            Item::Matmul { m: 3, k: 4, n: 5 },
            Item::Mask { len: 35 },
            given(matrices([3, 3, 2])),
            given(Product::of_right(Bilinear::Conv(shape))),
            given(Product::of_left(Bilinear::Elements { len: 9 })),
            Item::Truncation { len: 65, bits: 3 },
            Item::Comparison(Comparison { product: true, powers: true, ..sign }),
            Item::Comparison(Comparison { truncation: 3, payloads: 2, ..sign }),
            Item::DaBits { len: 130 },
            Item::Triple { len: 0 },
        ],
    }
}

/// All parties' copies of all runs.
fn made<R: Ring>(n: usize, demand: &Demand, times: usize) -> Vec<Vec<Vec<u8>>> {
    let session = SessionId([3; 32]);
    let repeated = demand.repeated(times).unwrap();
    repeated.check().unwrap();
    let party = |channel: local::LocalChannel| {
        let me = channel.me().index() as u8;
        let lane = OtLane::new(Box::new(channel), session);
        let extension = SoftSpoken::new(FieldBits::Four, Security::SemiHonest, Seed::new([me; 32]));
        let own = Seed::new([99 - me; 32]);
        let mut source = OtPrep::<R>::new(lane, Box::new(extension), 1 << 12, own, Some(repeated.clone()));
        let copies: Vec<Vec<u8>> = (0..times)
            .map(|_| {
                let mut copy = vec![];
                make_copy::<R, PrepError>(&mut source, &demand.items, |bytes| {
                    copy.extend_from_slice(bytes);
                    bytes.fill(0);
                    Ok(())
                })
                .unwrap();
                copy
            })
            .collect();
        assert_eq!(source.asked(), repeated.items);
        copies
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = local::network(n).into_iter().map(|c| scope.spawn(|| party(c))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn read<R: Ring>(demand: &Demand, copy: &[u8]) -> Result<Vec<Vec<Value<R>>>, PrepError> {
    let mut stored = StoredPrep::<R>::new(demand.clone(), Box::new(Kept(copy.iter().copied().collect())));
    demand.items.iter().map(|item| stored.draw(*item)).collect()
}

/// Sums of shares have the relations of their items.
fn check<R: Ring>(n: usize, times: usize) {
    let demand = kinds();
    let copies = made::<R>(n, &demand, times);
    for run in 0..times {
        let shares: Vec<_> = copies.iter().map(|c| read::<R>(&demand, &c[run]).unwrap()).collect();
        crate::prep::ot::tests::items::check_shares(n, &demand.items, &shares);
        for (party, copy) in copies.iter().enumerate() {
            assert_eq!(copy[run].len() as u64, copy_bytes::<R>(&demand.items));
            for other in (0..times).filter(|other| *other != run) {
                assert_ne!(copy[run], copy[other], "party {party}: two runs have the same masks");
            }
            let again: Vec<u8> = shares[party].iter().flatten().fold(vec![], |mut bytes, value| {
                value.append_to(&mut bytes);
                bytes
            });
            assert_eq!(again, copy[run], "party {party}");
        }
    }
}

#[test]
fn every_copy_has_the_relations_of_its_items() {
    for n in [2, 3] {
        check::<Z64>(n, 3);
    }
    check::<Z8>(2, 2);
}

#[test]
fn a_program_runs_on_its_copy_and_on_nothing_else() {
    let demand = Demand { items: vec![Item::Triple { len: 2 }, Item::DaBits { len: 3 }] };
    let copy = vec![7; copy_bytes::<Z64>(&demand.items) as usize];
    let mut stored = StoredPrep::<Z64>::new(demand, Box::new(Kept(copy.into())));
    stored.prepare_items(usize::MAX).unwrap();
    let asked = stored.draw(Item::Triple { len: 3 });
    assert!(matches!(asked.err(), Some(PrepError::Unexpected { index: 0, .. })));
    assert!(stored.draw(Item::Triple { len: 2 }).is_ok());
    assert_eq!(stored.bytes(), 0);
    // 3 bits of 7 are fine, and one of the five of padding is not.
    assert!(stored.draw(Item::DaBits { len: 3 }).is_ok());
    let demand = Demand { items: vec![Item::DaBits { len: 3 }] };
    let padded = vec![0b1000; copy_bytes::<Z64>(&demand.items) as usize];
    let refused = read::<Z64>(&demand, &padded).err();
    assert!(matches!(refused, Some(PrepError::MalformedCopy { index: 0 })));
}

#[test]
fn the_demand_of_many_runs_is_bounded() {
    let demand = kinds();
    assert_eq!(demand.repeated(1).unwrap(), demand);
    assert_eq!(demand.repeated(0).unwrap(), Demand::default());
    let too_many = MAX_ITEMS / demand.items.len() + 1;
    assert!(matches!(demand.repeated(too_many), Err(DemandError::TooMany { .. })));
    assert!(matches!(demand.repeated(usize::MAX), Err(DemandError::TooMany { .. })));
}

proptest! {
    /// What is read is what was written, whatever it is: uniform bytes without padding are a copy.
    #[test]
    fn bytes_and_shares_are_the_same_thing(len in 0usize..200, bits in 1u32..62, seed in any::<u8>()) {
        let items = vec![
            Item::Triple { len },
            Item::Truncation { len, bits },
            Item::Comparison(Comparison::in_ring(Question::Equal, len, TreeChoice::DEFAULT)),
            Item::DaBits { len },
        ];
        let demand = Demand { items };
        let tag = Tag { lane: 0, node: 0, iteration: 0, round: 0 };
        let mut stream = Prg::new(&Seed::new([seed; 32]), &SessionId([1; 32]), tag, "test", 0);
        let mut copy = vec![];
        for component in demand.items.iter().flat_map(Item::components::<Z64>) {
            let value: Value<Z64> = match component.holding {
                Holding::Ring { count } | Holding::RingLow { count, .. } => Value::Ring(stream.tensor(&[count])),
                Holding::Bits { lanes, len } => Value::Bits(stream.bits(lanes, len)),
            };
            value.append_to(&mut copy);
        }
        prop_assert_eq!(copy.len() as u64, copy_bytes::<Z64>(&demand.items));
        let mut back = vec![];
        read::<Z64>(&demand, &copy).unwrap().iter().flatten().for_each(|value| value.append_to(&mut back));
        prop_assert!(back == copy);
    }

    /// A damaged copy is read or refused, and never more.
    #[test]
    fn hostile_copies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 400..401), len in 0usize..9) {
        let demand = Demand { items: vec![Item::DaBits { len }, Item::Triple { len }, Item::DaBits { len: len + 1 }] };
        prop_assume!(copy_bytes::<Z64>(&demand.items) <= 400);
        let _either = read::<Z64>(&demand, &bytes);
    }
}
