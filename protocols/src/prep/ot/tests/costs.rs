//! What items cost, to the byte.

use mpc_core::conv::ConvShape;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Seed;
use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::windows::Sliding;

use super::items::{angles, comparisons, kinds};
use super::{CHUNK, SMALL_CHUNKS, run, sources, sources_in_chunks, sources_over};
use crate::ot::extension::{CotCount, ExtensionCost};
use crate::ot::softspoken::{FieldBits, Security, SoftSpoken, SoftSpokenCost};
use crate::prep::components::Components;
use crate::prep::ot::{OtPrep, cost};
use crate::prep::provider::OfflineCost;
use crate::prep::{Comparison, Item, Question};
use crate::tree::TreeChoice;

/// COTs for nothing.
struct Free;

impl ExtensionCost for Free {
    fn extend(&mut self, counts: &PerParty<Option<CotCount>>) -> (u64, PerParty<u64>) {
        (0, PerParty::from_fn(counts.parties(), |_| 0))
    }
}

/// What all parties counted for the items.
fn counted<R: Ring>(sources: Vec<OtPrep<R>>, items: &[Item]) -> OfflineCost {
    let n = sources.len();
    let all = run(sources, |mut source| {
        items.iter().for_each(|item| drop(source.draw(*item).unwrap()));
        let sent = source.lane().total_sent_bytes();
        (source.lane().rounds(), sent, source.engine.cots())
    });
    assert!(all.iter().all(|party| party.0 == all[0].0), "all count the same rounds");
    OfflineCost {
        rounds: all[0].0,
        bytes: PerParty::from_fn(n, |p| all[p.index()].1),
        cots: PerParty::from_fn(n, |p| all[p.index()].2),
    }
}

#[test]
fn every_item_costs_what_it_should() {
    for n in [2, 3, 5] {
        let tree = TreeChoice::new(4, 2).unwrap();
        // One by one; products with a mask only where there is one.
        let alone = |item: &Item| !matches!(item, Item::Given { .. });
        for item in [kinds(70), comparisons(70, tree, 16), angles(70), angles(1200)]
            .concat()
            .into_iter()
            .filter(alone)
        {
            let free = cost::<Z64>(n, &[item], CHUNK, |_| Box::new(Free));
            assert_eq!(counted(sources::<Z64>(n, 1, None), &[item]), free, "{n} parties, {item:?}");
        }
        for items in [kinds(70), comparisons(70, tree, 5), kinds(3000)] {
            let free = cost::<Z8>(n, &items, CHUNK, |_| Box::new(Free));
            assert_eq!(counted(sources::<Z8>(n, 1, None), &items), free, "{n} parties");
            let free = cost::<Z64>(n, &items, CHUNK, |_| Box::new(Free));
            assert_eq!(counted(sources::<Z64>(n, 1, None), &items), free, "{n} parties");
        }
        let matrices = [(2, 20), (20, 2)].map(|(m, n)| Item::Matmul { m, k: 3, n });
        let items = [&kinds(70)[..], &comparisons(70, tree, 5), &matrices].concat();
        for chunk in SMALL_CHUNKS {
            let free = cost::<Z64>(n, &items, chunk, |_| Box::new(Free));
            let sources = sources_in_chunks::<Z64>(n, 1, chunk, None);
            assert_eq!(counted(sources, &items), free, "{n} parties, {chunk} COTs at a time");
        }
    }
}

#[test]
fn the_extension_is_counted_with_them() {
    let items = [kinds(3000), angles(20), comparisons(20, TreeChoice::DEFAULT, 16)].concat();
    for (n, chunk, field, security) in [
        (2, CHUNK, FieldBits::Four, Security::SemiHonest),
        (2, 4160, FieldBits::Four, Security::SemiHonest),
        (3, 1 << 20, FieldBits::Eight, Security::SemiHonest),
        (3, CHUNK, FieldBits::Two, Security::MaliciousReceiver),
        (5, CHUNK, FieldBits::Four, Security::SemiHonest),
    ] {
        let extension = |me| Box::new(SoftSpoken::new(field, security, Seed::new([me; 32]))) as Box<_>;
        let planned = cost::<Z64>(n, &items, chunk, |_| Box::new(SoftSpokenCost::new(field, security)));
        let sources = sources_over::<Z64>(n, 3, chunk, None, extension);
        assert_eq!(counted(sources, &items), planned, "{n} parties, {chunk} COTs at a time");
    }
}

#[test]
fn two_parties_pay_what_the_heads_say() {
    let of = |item| {
        let cost = cost::<Z64>(2, &[item], CHUNK, |_| Box::new(Free));
        (cost.rounds, [0, 1].map(|p| cost.bytes[PartyId::new(p)]), cost.cots[PartyId::new(0)])
    };
    let len = 64;
    assert_eq!(of(Item::Triple { len }), (1, [260 * 64; 2], 128 * 64));
    assert_eq!(of(Item::Square { len }), (1, [260 * 64, 0], 64 * 64));
    assert_eq!(of(Item::Matmul { m: 4, k: 3, n: 5 }), (1, [260 * 60; 2], 2 * 64 * 12));
    let of_each = Item::BatchMatmul { count: 7, m: 4, k: 3, n: 5 };
    assert_eq!(of(of_each), (1, [7 * 260 * 60; 2], 7 * 2 * 64 * 12));
    // 9 windows in each of 2 images, by 24 elements.
    let shape = ConvShape::new([2, 2, 4, 4], [3, 2, 2, 2], Sliding::by(1), 1).unwrap();
    assert_eq!(of(Item::Conv(shape)), (1, [260 * 18 * 24; 2], 2 * 64 * 24));
    assert_eq!(of(Item::Mask { len: 12 }), (0, [0; 2], 0));
    assert_eq!(of(Item::Truncation { len, bits: 16 }), (1, [348 * 64, 0], 64 * 64));
    assert_eq!(of(Item::DaBits { len }), (1, [63 * 64 / 8, 0], 64));
    // A number with its bits: 252 bytes. Then a bit for each of 62 last factors and 169 and 96 products, to each other.
    let sign = Comparison::new(Question::Sign, len, TreeChoice::DEFAULT);
    let products = 64 * (62 + 169 + 96) / 8;
    assert_eq!(of(Item::Comparison(sign)), (4, [252 * 64 + products, products], (64 + 2 * 62) * 64));
    // A bit for each choice and direction, and 63 of b.
    let in_ring = Item::Comparison(Comparison { arithmetic: true, ..sign });
    let sent = [252 * 64 + products + 63 * 8, products + 8];
    assert_eq!(of(in_ring), (6, sent, (64 + 2 * 62 + 1) * 64));
    // 42 choices, and for each u of two numbers, of 64 bits and one less for each place of the choice.
    let sent = [2 * 2 * (21 * 64 - 210) * 64 / 8, 42 * 64 / 8];
    assert_eq!(of(Item::Angles { len, bits: 24, multiples: 1 }), (2, sent, 42 * 64));
    let two = Comparison::new(Question::Sign, len, TreeChoice::new(2, 2).unwrap());
    assert_eq!(of(Item::Comparison(two)).2, (64 + 2 * 62) * 64);
}
