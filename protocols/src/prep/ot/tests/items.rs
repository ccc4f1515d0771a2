//! Every kind of item has its relation.

use mpc_core::conv::ConvShape;
use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::tensor::Tensor;
use mpc_core::windows::Sliding;

use super::{CHUNK, SMALL_CHUNKS, open, shares};
use crate::prep::item::{Holding, SINE_BITS};
use crate::prep::relation::{Value, derive};
use crate::prep::{Bilinear, Comparison, CotExtension, Item, MaskPart, Part, Product, Question};
use crate::reuse::matrices;
use crate::tree::TreeChoice;

/// Opens the items and checks what is derived in them.
pub(super) fn check<R: Ring>(n: usize, seed: u8, items: &[Item]) {
    check_shares(n, items, &shares::<R>(n, seed, CHUNK, items));
}

/// The same for the shares of all parties.
pub(in crate::prep) fn check_shares<R: Ring>(n: usize, items: &[Item], shares: &[Vec<Vec<Value<R>>>]) {
    let mut masks = std::collections::HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let components = item.components::<R>();
        let party = |p: usize| &shares[p][index];
        for p in 0..n {
            assert_eq!(party(p).len(), components.len(), "{item:?}");
        }
        let mut free = vec![];
        let mut derived = vec![];
        if let Item::Given { part, .. } = item {
            free.push(Value::Ring(part.part.of(&masks[&part.mask]).into_owned()));
        }
        for (place, component) in components.iter().enumerate() {
            let value = open((0..n).map(|p| &party(p)[place]));
            match (&value, component.holding) {
                (Value::Ring(t), Holding::Ring { count } | Holding::RingLow { count, .. }) => {
                    assert_eq!(t.len(), count, "{item:?} {place}");
                }
                (Value::Bits(b), Holding::Bits { lanes, len }) => {
                    assert_eq!((b.lanes(), b.len()), (lanes, len), "{item:?} {place}");
                }
                _ => panic!("{item:?}: component {place} is held differently"),
            }
            if component.derived { derived.push((value, component.holding)) } else { free.push(value) }
        }
        if let (Item::Mask { .. }, Some(Value::Ring(mask))) = (item, free.first()) {
            masks.insert(index as u32, mask.clone());
        }
        let mut wanted = vec![];
        let made: Result<(), std::convert::Infallible> = derive(item, &free, |value| {
            wanted.push(value);
            Ok(())
        });
        made.unwrap();
        assert_eq!(wanted.len(), derived.len(), "{item:?}");
        for (place, (want, (got, holding))) in wanted.into_iter().zip(derived).enumerate() {
            let same = match item {
                Item::Angles { .. } => are_near(&want, &got, angle_error(n)),
                _ => is_same(&want, &got, holding),
            };
            assert!(same, "{n} parties, {item:?}, derived component {place}");
        }
    }
}

/// What sines of `n` parties' angles may be off: see `angles`.
fn angle_error(n: usize) -> f64 {
    let n = n as f64;
    2f64.powi(-20) * (1.5 * n + 1.5 * (n - 2.0))
}

fn are_near<R: Ring>(want: &Value<R>, got: &Value<R>, error: f64) -> bool {
    let (Value::Ring(a), Value::Ring(b)) = (want, got) else { return false };
    let off = |(&a, &b): (&R, &R)| (a - b).to_i64() as f64 * 2f64.powi(-(SINE_BITS as i32));
    a.len() == b.len() && a.as_slice().iter().zip(b.as_slice()).all(|pair| off(pair).abs() < error)
}

fn is_same<R: Ring>(want: &Value<R>, got: &Value<R>, holding: Holding) -> bool {
    match (want, got, holding) {
        (Value::Ring(a), Value::Ring(b), Holding::RingLow { bits, .. }) => {
            let low = |t: &Tensor<R>| t.map(|v| v * R::power_of_two(R::BITS - bits));
            low(a).as_slice() == low(b).as_slice()
        }
        (Value::Ring(a), Value::Ring(b), _) => a.as_slice() == b.as_slice(),
        (Value::Bits(a), Value::Bits(b), _) => {
            (0..a.lanes()).all(|lane| (0..a.len()).all(|i| a.bit(lane, i) == b.bit(lane, i)))
        }
        _ => false,
    }
}

fn conv(input: [usize; 4], kernel: [usize; 4], sliding: Sliding, groups: usize) -> ConvShape {
    ConvShape::new(input, kernel, sliding, groups).expect("sizes that fit")
}

/// One of every kind, about `len` elements each.
pub(super) fn kinds(len: usize) -> Vec<Item> {
    let given = |part, product| Item::Given { part: MaskPart { mask: 4, part }, product };
    let whole = Part::whole(&[7, 5]).unwrap();
    let corner = whole.slice(0, 1, 4).slice(1, 2, 5).transpose();
    // Three columns of the mask twice, the last row first.
    let twice = whole.slice(1, 0, 3).every(0, 6, -1, 7).broadcast(&[2, 7, 3]).unwrap();
    let of_left = |map| Product::of_left(map);
    let images = conv([2, 1, 3, 7], [2, 1, 2, 2], Sliding::by(1).padded(1), 1);
    let kernel = conv([2, 1, 4, 5], [1, 1, 3, 3], Sliding::by(1), 1);
    vec![
        Item::Triple { len },
        Item::Square { len },
        Item::Dot { len, terms: 3 },
        Item::Matmul { m: 3, k: 4, n: 5 },
        Item::Mask { len: 35 },
        Item::Matmul { m: 6, k: 3, n: 2 },
        given(whole, matrices([7, 5, 2])),
        given(corner, matrices([3, 3, 9])),
        given(corner, Product::of_right(Bilinear::Matmuls { count: 1, dims: [2, 3, 3] })),
        given(corner, Product::of_right(Bilinear::Matmuls { count: 1, dims: [5, 3, 3] })),
        given(twice, of_left(Bilinear::Matmuls { count: 7, dims: [2, 3, 4] })),
        given(twice, Product::of_right(Bilinear::Matmuls { count: 14, dims: [2, 1, 3] })),
        given(twice, of_left(Bilinear::Elements { len: 42 })),
        given(whole, Product::of_right(Bilinear::Elements { len: 35 })),
        given(twice, of_left(Bilinear::Conv(images))),
        given(corner, Product::of_right(Bilinear::Conv(kernel))),
        given(corner.slice(0, 1, 1), matrices([0, 3, 2])),
        Item::Truncation { len, bits: 3 },
        Item::DaBits { len },
        Item::Mask { len: 0 },
        Item::Triple { len: 0 },
        Item::DaBits { len: 1 },
        Item::BatchMatmul { count: 4, m: 2, k: 3, n: 5 },
        Item::BatchMatmul { count: 3, m: 5, k: 2, n: 1 },
        Item::BatchMatmul { count: 0, m: 5, k: 2, n: 1 },
        Item::Conv(conv([2, 4, 5, 4], [6, 2, 3, 2], Sliding::by(2).padded(1), 2)),
        Item::Conv(conv([1, 3, 4, 4], [3, 1, 2, 2], Sliding::by(1).dilated(2), 3)),
    ]
}

/// Angles, which are for 64-bit elements.
pub(super) fn angles(len: usize) -> Vec<Item> {
    vec![
        Item::Angles { len, bits: 24, multiples: 8 },
        Item::Angles { len, bits: 5, multiples: 3 },
        Item::Angles { len: 1, bits: 32, multiples: 16 },
        Item::Angles { len: 0, bits: 24, multiples: 8 },
        Item::Angles { len, bits: 24, multiples: 0 },
    ]
}

/// A comparison of every question, with all that can be asked for with it.
pub(super) fn comparisons(len: usize, tree: TreeChoice, f: u32) -> Vec<Item> {
    let sign = Comparison::in_ring(Question::Sign, len, tree);
    let specs = [
        Comparison::new(Question::Sign, len, tree),
        Comparison::new(Question::Equal, len, tree),
        Comparison::new(Question::SignAndEqual, len, tree),
        Comparison::new(Question::Bits, len, tree),
        sign,
        Comparison::in_ring(Question::Equal, len, tree),
        Comparison::in_ring(Question::SignAndEqual, len, tree),
        Comparison::in_ring(Question::Quotient { bits: f }, len, tree),
        Comparison { product: true, ..sign },
        Comparison { thresholds: 3, product: true, powers: true, ..sign },
        Comparison { thresholds: 2, truncation: f, ..sign },
        Comparison { payloads: 2, ..sign },
        Comparison { truncation: f, payloads: 3, powers: true, ..sign },
        Comparison { len: 0, product: true, payloads: 1, ..sign },
    ];
    let items: Vec<_> = specs.into_iter().map(Item::Comparison).collect();
    assert!(items.iter().all(Item::is_sane));
    items
}

#[test]
fn every_kind_has_its_relation() {
    for n in [2, 3, 5] {
        check::<Z64>(n, 1, &kinds(100));
        check::<Z64>(n, 11, &angles(100));
        check::<Z8>(n, 2, &kinds(100));
        check::<Z64>(n, 3, &comparisons(70, TreeChoice::DEFAULT, 16));
        check::<Z8>(n, 4, &comparisons(70, TreeChoice::DEFAULT, 3));
    }
}

#[test]
fn every_tree_has_its_products() {
    for tree in TreeChoice::ALL {
        check::<Z64>(2, 5, &comparisons(65, tree, 20));
        check::<Z8>(3, 6, &comparisons(65, tree, 5));
    }
}

#[test]
fn a_hundred_thousand_of_every_kind() {
    let bundles = comparisons(100_000, TreeChoice::new(2, 4).unwrap(), 16);
    for item in kinds(100_000).into_iter().chain(bundles) {
        // With its mask, if it takes one.
        let items = if matches!(item, Item::Given { .. }) { &kinds(1)[..] } else { &[item] };
        check::<Z64>(2, 7, items);
    }
    let (m, k, n) = (70, 45, 33);
    check::<Z64>(3, 8, &[Item::Matmul { m, k, n }, Item::Matmul { m: n, k, n: m }]);
    let batch = Item::BatchMatmul { count: 12, m: 9, k: 25, n: 40 };
    let layer = Item::Conv(conv([3, 4, 9, 9], [20, 4, 5, 5], Sliding::by(1), 1));
    check::<Z64>(2, 9, &[batch, layer]);
}

#[test]
fn chunks_of_all_kinds_join() {
    let matmul = |m, n| Item::Matmul { m, k: 3, n };
    let items =
        [kinds(100), comparisons(70, TreeChoice::DEFAULT, 3), vec![matmul(2, 20), matmul(20, 2)]].concat();
    for (n, chunk) in [2, 3].into_iter().flat_map(|n| SMALL_CHUNKS.map(|chunk| (n, chunk))).chain([(5, 64)]) {
        check_shares(n, &items, &shares::<Z64>(n, 9, chunk, &items));
        check_shares(n, &items, &shares::<Z8>(n, 10, chunk, &items));
    }
    // More than the COTs that are made at a time where links are fast, and not a multiple of them.
    let (sign, len) = (Comparison::in_ring(Question::Sign, 140_001, TreeChoice::DEFAULT), 140_001);
    let bundle = Item::Comparison(Comparison { product: true, ..sign });
    check::<Z8>(2, 9, &[Item::DaBits { len }, bundle]);
    // Chunks of choices and pieces of truncations.
    check::<Z64>(3, 12, &[Item::Angles { len: 1500, bits: 24, multiples: 8 }]);
}

/// A batch of more COTs than have one key for their pads.
#[test]
fn large_chunks_have_their_relations() {
    let chunk = CotExtension::Ferret.chunk_cots();
    let len = chunk / 64 + 5;
    let sign = Comparison::in_ring(Question::Sign, len, TreeChoice::DEFAULT);
    let items = [Item::Triple { len }, Item::Truncation { len, bits: 16 }, Item::Comparison(sign)];
    check_shares(2, &items, &shares::<Z64>(2, 13, chunk, &items));
}
