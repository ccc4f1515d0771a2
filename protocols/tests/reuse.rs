//! A tensor that is opened once and used in many products: parts, transposes, convolutions, a training loop, and what is refused.

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{PARTIES, run, seed, tensor, words};
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::conv::{ConvShape, conv_acc};
use mpc_core::local::network;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::{Additive, Sharing};
use mpc_core::tag::Tag;
use mpc_core::tensor::Tensor;
use mpc_core::windows::Sliding;
use protocols::cost::Cost;
use protocols::error::{PrepError, ProtocolError};
use protocols::input::input;
use protocols::output::output;
use protocols::prep::{Demand, DemandError, Item, MaskPart};
use protocols::reuse::{
    Bilinear, Part, Product, mask_and_multiply, mask_and_multiply_cost, mask_once, mask_once_cost,
    matmul_masked, matrices, multiply_masked, multiply_masked_cost,
};
use protocols::trial;

/// All of a tensor.
fn whole(shape: &[usize]) -> Part {
    Part::whole(shape).expect("few axes")
}

/// A part of a mask that is item 0.
fn of_first(part: Part) -> MaskPart {
    MaskPart { mask: 0, part }
}

/// Cost of a product of matrices.
fn matmul_cost<R: Ring>(n: usize, part: Part, columns: usize) -> Cost {
    let [m, k] = part.shape()[..] else { panic!("a matrix") };
    multiply_masked_cost::<Additive<R>>(n, of_first(part), matrices([m, k, columns]))
}

/// X·Y for a whole matrix, then every other part of it times a part of Y.
fn products<R: Ring>(label: u64, n: usize, x: &Tensor<R>, y: &Tensor<R>) {
    let (&[rows, k], &[_, columns]) = (x.shape(), y.shape()) else { panic!("matrices") };
    type S<R> = Additive<R>;
    let (half, odd) = (rows / 2, k / 2 + 1);
    let all = whole(&[rows, k]);
    let lower = all.slice(0, half, rows);
    let corner = lower.slice(1, 0, odd);
    let parts = [all, lower, corner, all.slice(0, 0, rows - half).transpose()];
    let cost = parts
        .iter()
        .fold(mask_once_cost::<S<R>>(n, rows * k), |cost, &p| cost.then(matmul_cost::<R>(n, p, columns)));
    let z = run(n, label, &[x.clone(), y.clone()], &cost, |cx, s| {
        let once = mask_once(cx, &s[0])?;
        let some = |rows: usize| s[1].map_linear(|t| t.slice(0, 0, rows));
        let all = [
            matmul_masked(cx, &once.whole(), &s[1])?,
            matmul_masked(cx, &once.rows(half..rows), &s[1])?,
            matmul_masked(cx, &once.select(corner), &some(odd))?,
            matmul_masked(cx, &once.rows(0..rows - half).transpose(), &some(rows - half))?,
        ];
        Ok(S::combine(&all.iter().collect::<Vec<_>>(), |p| Tensor::concat(0, p)))
    });
    let lower = x.slice(0, half, rows);
    let want = [
        x.matmul(y),
        lower.matmul(y),
        lower.slice(1, 0, odd).matmul(&y.slice(0, 0, odd)),
        x.slice(0, 0, rows - half).permute(&[1, 0]).matmul(&y.slice(0, 0, rows - half)),
    ];
    assert_eq!(z, Tensor::concat(0, &want.iter().collect::<Vec<_>>()), "n = {n}");
}

/// Masks X while a part of it is multiplied by a part of Y, then takes another part.
fn masked_with_the_first_product<R: Ring>(n: usize, x: &Tensor<R>, y: &Tensor<R>) {
    type S<R> = Additive<R>;
    let (&[rows, k], &[_, columns]) = (x.shape(), y.shape()) else { panic!("matrices") };
    // The last rows, and of these the first columns, seen as rows.
    let lower = whole(&[rows, k]).slice(0, 1, rows);
    let corner = lower.transpose().slice(0, 0, 2);
    assert_eq!((lower.shape(), corner.shape()), (vec![rows - 1, k], vec![2, rows - 1]));
    let product = matrices([rows - 1, k, columns]);
    let cost = mask_and_multiply_cost::<S<R>>(n, 0, rows * k, lower, product)
        .then(matmul_cost::<R>(n, corner, columns));
    assert_eq!(cost.rounds, 2);
    let z = run(n, 202, &[x.clone(), y.clone()], &cost, |cx, s| {
        let (once, first) = mask_and_multiply(cx, &s[0], lower, product, &s[1])?;
        let some = s[1].map_linear(|t| t.slice(0, 0, rows - 1));
        let second = matmul_masked(cx, &once.select(corner), &some)?;
        Ok(S::combine(&[&first, &second], |p| Tensor::concat(0, p)))
    });
    let part = x.slice(0, 1, rows);
    let want = [part.matmul(y), part.slice(1, 0, 2).permute(&[1, 0]).matmul(&y.slice(0, 0, rows - 1))];
    assert_eq!(z, Tensor::concat(0, &[&want[0], &want[1]]), "n = {n}");
}

#[test]
fn a_mask_is_opened_in_the_round_of_its_first_product() {
    for n in PARTIES {
        for (rows, k, columns) in [(2, 2, 1), (5, 4, 3), (17, 33, 2)] {
            let noise = |label, a, b| words(label, a * b).into_iter();
            let (x, y) = (noise(8, rows, k), noise(9, k, columns));
            masked_with_the_first_product::<Z64>(
                n,
                &tensor(x.clone()).reshape(&[rows, k]),
                &tensor(y.clone()).reshape(&[k, columns]),
            );
            masked_with_the_first_product::<Z8>(
                n,
                &tensor(x).reshape(&[rows, k]),
                &tensor(y).reshape(&[k, columns]),
            );
        }
    }
}

#[test]
fn products_of_every_pair() {
    // An outer product of all values with all values, in the middle of a sum of several.
    let all = tensor::<Z8>(0..256);
    let noise = |label, shape: &[usize]| tensor::<Z8>(words(label, shape.iter().product())).reshape(shape);
    for n in PARTIES {
        let x = Tensor::concat(1, &[&all.clone().reshape(&[256, 1]), &noise(1, &[256, 255])]);
        let y = Tensor::concat(0, &[&all.clone().reshape(&[1, 256]), &noise(2, &[255, 256])]);
        products(200, n, &x, &y);
    }
}

#[test]
fn products_of_wide_values() {
    for n in PARTIES {
        for (m, k, c) in [(2, 2, 1), (5, 3, 2), (16, 16, 7), (33, 20, 1)] {
            let x = tensor::<Z64>(words(3, m * k)).reshape(&[m, k]);
            // As many rows as the largest part needs.
            let y = tensor::<Z64>(words(4, k * c)).reshape(&[k, c]);
            if m - m / 2 <= k {
                products(201, n, &x, &y);
            }
        }
    }
}

/// A product of a part of X by Y, in the clear.
fn in_the_clear<R: Ring>(x: &Tensor<R>, product: Product, y: &Tensor<R>) -> Tensor<R> {
    let [_, _, shape] = product.shapes();
    let mut z = Tensor::zeros(&shape);
    let (a, b) = if product.right { (y, x) } else { (x, y) };
    match product.map {
        Bilinear::Elements { .. } => z = a.clone().reshape(&shape).hadamard(&b.clone().reshape(&shape)),
        Bilinear::Conv(conv) => conv_acc(&conv, a.as_slice(), b.as_slice(), z.as_mut_slice()),
        Bilinear::Matmuls { count, dims: [m, k, n] } => {
            let (a, b) = (a.clone().reshape(&[count, m, k]), b.clone().reshape(&[count, k, n]));
            let one = |i: usize| {
                let of = |t: &Tensor<R>| t.slice(0, i, i + 1).reshape(&t.shape()[1..]);
                of(&a).matmul(&of(&b)).reshape(&[1, m, n])
            };
            let all: Vec<Tensor<R>> = (0..count).map(one).collect();
            z = Tensor::concat(0, &all.iter().collect::<Vec<_>>()).reshape(&shape);
        }
    }
    z
}

/// Every kind of product, with either factor given: of images [4, 2, 5, 6] that are masked once. The parts in the clear are those that
/// tensors make.
fn kinds<R: Ring>(x: &Tensor<R>) -> Vec<(Part, Tensor<R>, Product)> {
    let all = whole(x.shape());
    let conv = |input, kernel, sliding, groups| {
        Bilinear::Conv(ConvShape::new(input, kernel, sliding, groups).expect("sizes that fit"))
    };
    let (left, right) = (Product::of_left, Product::of_right);
    let batch = (all.slice(0, 1, 3), x.slice(0, 1, 3));
    let swapped = (batch.0.permute(&[1, 0, 2, 3]), batch.1.permute(&[1, 0, 2, 3]));
    let turned = (
        all.permute(&[1, 0, 2, 3]).every(2, 4, -1, 5).every(3, 5, -1, 6),
        x.permute(&[1, 0, 2, 3]).gather(2, &[4, 3, 2, 1, 0]).gather(3, &[5, 4, 3, 2, 1, 0]),
    );
    let padded = Sliding::by(2).padded(1);
    let list = (all.reshape(&[8, 5, 6]).expect("even"), x.clone().reshape(&[8, 5, 6]));
    let wide = (list.0.transpose(), list.1.permute(&[0, 2, 1]));
    let column = (
        all.slice(1, 1, 2).broadcast(&[4, 3, 5, 6]).expect("fits"),
        x.slice(1, 1, 2).broadcast(&[4, 3, 5, 6]).expect("fits"),
    );
    let of = |(part, value): &(Part, Tensor<R>), product| (*part, value.clone(), product);
    vec![
        of(&batch, left(conv([2, 2, 5, 6], [3, 2, 2, 2], padded, 1))),
        of(&batch, left(conv([2, 2, 5, 6], [4, 1, 3, 2], Sliding::by(1), 2))),
        of(&swapped, left(conv([2, 2, 5, 6], [3, 2, 4, 5], Sliding::by(1), 1))),
        of(&(all, x.clone()), right(conv([2, 2, 7, 6], [4, 2, 5, 6], Sliding::by(1), 1))),
        of(&turned, right(conv([1, 4, 5, 6], [2, 4, 5, 6], padded, 1))),
        of(&list, left(Bilinear::Matmuls { count: 8, dims: [5, 6, 2] })),
        of(&list, right(Bilinear::Matmuls { count: 8, dims: [3, 5, 6] })),
        of(&wide, left(Bilinear::Matmuls { count: 8, dims: [6, 5, 1] })),
        of(&wide, right(Bilinear::Matmuls { count: 8, dims: [7, 6, 5] })),
        of(&batch, right(Bilinear::Matmuls { count: 1, dims: [1, 20, 6] })),
        of(&column, left(Bilinear::Elements { len: 360 })),
        of(&swapped, right(Bilinear::Elements { len: 120 })),
    ]
}

fn all_kinds<R: Ring>(n: usize, label: u64) {
    let x = tensor::<R>(words(label, 240)).reshape(&[4, 2, 5, 6]);
    let kinds = kinds(&x);
    let others: Vec<Tensor<R>> = (label + 1..)
        .zip(&kinds)
        .map(|(label, (_, _, product))| {
            let [_, other, _] = product.shapes();
            tensor::<R>(words(label, other.iter().product())).reshape(&other)
        })
        .collect();
    // The first one opens the images.
    let (part, _, product) = kinds[0];
    let first = mask_and_multiply_cost::<Additive<R>>(n, 0, 240, part, product);
    let cost = kinds[1..].iter().fold(first, |cost, &(part, _, product)| {
        cost.then(multiply_masked_cost::<Additive<R>>(n, of_first(part), product))
    });
    let sizes = |product: &Product| product.shapes().map(|s| s.iter().product::<usize>() as u64);
    let opened: u64 = kinds.iter().map(|(_, _, p)| sizes(p)[1]).sum::<u64>() + 240;
    let dealt: u64 = kinds.iter().map(|(_, _, p)| sizes(p)[2]).sum();
    let width = u64::from(R::BITS) / 8;
    assert_eq!(cost.rounds, kinds.len() as u64);
    assert_eq!(cost.max_sent_bytes(), opened * width * (n as u64 - 1));
    assert_eq!(cost.dealer_bytes::<R>().iter().map(|(_, b)| b).sum::<u64>(), dealt * width);
    let inputs: Vec<Tensor<R>> = [x].into_iter().chain(others.iter().cloned()).collect();
    let z = run(n, label, &inputs, &cost, |cx, s| {
        let flat = |z: Additive<R>| {
            let len = z.len();
            z.reshape(&[len])
        };
        let (part, _, product) = kinds[0];
        let (once, z) = mask_and_multiply(cx, &s[0], part, product, &s[1])?;
        let mut all = vec![flat(z)];
        for ((part, _, product), y) in kinds.iter().zip(&s[1..]).skip(1) {
            all.push(flat(multiply_masked(cx, &once.select(*part), *product, y)?));
        }
        Ok(Additive::combine(&all.iter().collect::<Vec<_>>(), |p| Tensor::concat(0, p)))
    });
    let want: Vec<Tensor<R>> = kinds
        .iter()
        .zip(&others)
        .map(|((_, value, product), y)| {
            let z = in_the_clear(value, *product, y);
            let len = z.len();
            z.reshape(&[len])
        })
        .collect();
    assert!(z == Tensor::concat(0, &want.iter().collect::<Vec<_>>()), "n = {n}");
}

#[test]
fn one_opening_is_a_factor_of_every_kind_of_product() {
    for n in PARTIES {
        all_kinds::<Z64>(n, 230);
        all_kinds::<Z8>(n, 250);
    }
}

#[test]
fn a_product_costs_its_other_factor() {
    let bits = |c: &Cost| c.sent_bytes.iter().next().map_or(0, |(_, b)| b * 8);
    let dealt = |c: &Cost| c.dealer_bytes::<Z64>().iter().map(|(_, b)| b * 8).sum::<u64>();
    let (m, k, n) = (1000, 32, 3);
    let once = mask_once_cost::<Additive<Z64>>(2, m * k);
    assert_eq!((once.rounds, bits(&once), dealt(&once)), (1, 64 * 1000 * 32, 0));
    let product = matmul_cost::<Z64>(2, whole(&[m, k]), n);
    assert_eq!((product.rounds, bits(&product), dealt(&product)), (1, 64 * 32 * 3, 64 * 1000 * 3));
}

/// Keeps the tag of every exchange.
struct Watched {
    inner: Box<dyn Channel>,
    tags: Arc<Mutex<Vec<Tag>>>,
}

impl Channel for Watched {
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
        self.tags.lock().expect("no test panics with the lock").push(tag);
        self.inner.exchange(tag, send, expect)
    }
}

#[test]
fn all_tags_of_three_epochs_differ_and_the_training_is_right() {
    // Integer gradient steps on a matrix that is opened once: w ← w + X_bᵀ·(y_b − X_b·w), two batches an epoch.
    const EPOCHS: u32 = 3;
    let (rows, columns, batch) = (12, 4, 6);
    let small =
        |label, count| tensor::<Z64>(words(label, count).into_iter().map(|w| w % 7)).map(|v| v - Z64(3));
    let (x, y) = (small(5, rows * columns).reshape(&[rows, columns]), small(6, rows).reshape(&[rows, 1]));

    let mut want = Tensor::<Z64>::zeros(&[columns, 1]);
    for b in (0..EPOCHS).flat_map(|_| [0, 1]) {
        let (xb, yb) = (x.slice(0, b * batch, (b + 1) * batch), y.slice(0, b * batch, (b + 1) * batch));
        want = want.add(&xb.permute(&[1, 0]).matmul(&yb.sub(&xb.matmul(&want))));
    }

    let tags = Arc::new(Mutex::new(vec![]));
    let channels = network(3).into_iter().map(|c| -> Box<dyn Channel> {
        let inner: Box<dyn Channel> = Box::new(c);
        let watched = inner.me().index() == 1;
        if watched { Box::new(Watched { inner, tags: Arc::clone(&tags) }) } else { inner }
    });
    let sessions = trial::sessions_over::<Z64>(channels.collect(), seed(210), None);
    let results = trial::run_sessions(sessions, |cx| {
        let me = cx.me().index();
        let own = |v: &Tensor<Z64>, owner: usize| (me == owner).then(|| v.clone());
        cx.enter(0, 0)?;
        let xs = input(cx, PartyId::new(0), &[rows, columns], own(&x, 0).as_ref())?;
        cx.enter(1, 0)?;
        let ys = input(cx, PartyId::new(1), &[rows, 1], own(&y, 1).as_ref())?;
        cx.enter(2, 0)?;
        let once = mask_once(cx, &xs)?;
        let mut w = Additive::from_share(Tensor::zeros(&[columns, 1]));
        for step in 0..2 * EPOCHS {
            // The nodes of the loop's body, in every iteration anew.
            let from = (step % 2) as usize * batch;
            cx.enter(3, step)?;
            let z = matmul_masked(cx, &once.rows(from..from + batch), &w)?;
            cx.enter(4, step)?;
            let error = ys.map_linear(|t| t.slice(0, from, from + batch)).sub(&z);
            w = w.add(&matmul_masked(cx, &once.rows(from..from + batch).transpose(), &error)?);
            // A node that was visited in this iteration, or in an earlier one, is not entered again.
            for used in [step, 0] {
                assert!(matches!(cx.enter(3, used), Err(ProtocolError::EnteredTwice { .. })));
            }
        }
        output(cx, &[(&w, &[PartyId::new(2)])])
    })
    .expect("the honest run succeeds");
    assert_eq!(results[2][0].as_ref().expect("party 2 is the recipient").tensor(), &want);
    let tags = tags.lock().expect("all threads are done");
    assert_eq!(tags.len(), 1 + 2 * 2 * EPOCHS as usize + 2, "a round each, confirmation and output");
    let distinct: BTreeSet<Tag> = tags.iter().copied().collect();
    assert_eq!(distinct.len(), tags.len(), "every message and every pad is named once: {tags:?}");
}

#[test]
fn a_masked_matrix_belongs_to_its_session() {
    let x = || Additive::from_share(tensor::<Z64>(words(7, 4)).reshape(&[2, 2]));
    let masked = trial::run::<Z64, _>(2, seed(211), |cx| {
        cx.enter(0, 0)?;
        mask_once(cx, &x())
    })
    .expect("the honest run succeeds");
    let slots = masked.into_iter().map(|m| Mutex::new(Some(m))).collect::<Vec<_>>();
    trial::run::<Z64, _>(2, seed(212), |cx| {
        let other = slots[cx.me().index()].lock().expect("no panic").take().expect("once per party");
        cx.enter(0, 0)?;
        assert!(matches!(matmul_masked(cx, &other.whole(), &x()), Err(ProtocolError::MaskedElsewhere)));
        // An own one, with a factor that does not fit.
        let own = mask_once(cx, &x())?;
        let three = Additive::from_share(Tensor::zeros(&[3, 1]));
        assert!(matches!(matmul_masked(cx, &own.whole(), &three), Err(ProtocolError::Shape { .. })));
        let (all, product) = (whole(&[2, 2]), matrices([2, 2, 1]));
        let refused = |result: Result<(), ProtocolError>| {
            assert!(matches!(result, Err(ProtocolError::Shape { .. })));
        };
        refused(mask_and_multiply(cx, &x(), all, product, &three).map(drop));
        let two = three.map_linear(|t| t.slice(0, 0, 2));
        refused(mask_and_multiply(cx, &x(), all.slice(0, 0, 1), product, &two).map(drop));
        let elements = Product::of_left(Bilinear::Elements { len: 4 });
        refused(multiply_masked(cx, &own.whole(), elements, &two).map(drop));
        refused(matmul_masked(cx, &own.rows(0..1), &three).map(drop));
        let axes = Additive::from_share(Tensor::zeros(&[1; 7]));
        refused(mask_once(cx, &axes).map(drop));
        Ok(())
    })
    .expect("the honest run succeeds");
}

#[test]
fn demands_take_parts_of_earlier_masks_only() {
    let mask = Item::Mask { len: 12 };
    let all = whole(&[4, 3]);
    let product = |part: Part, mask: u32| {
        let [m, k] = part.shape()[..] else { panic!("a matrix") };
        Item::Given { part: MaskPart { mask, part }, product: matrices([m, k, 2]) }
    };
    let repeated = all.every(0, 3, -1, 4).reshape(&[1, 4, 3]).and_then(|p| p.broadcast(&[2, 4, 3]));
    let repeated = repeated.expect("a part").reshape(&[8, 3]);
    assert_eq!(repeated, None, "no even places");
    let column = all.slice(1, 2, 3).broadcast(&[4, 5]).expect("a column that repeats");
    let good = Demand { items: vec![mask, product(all, 0), product(all.transpose(), 0), product(column, 0)] };
    good.check().expect("a mask and its products");
    assert_eq!(Demand::decode(&good.encode()), Ok(good));

    let no_mask = |items: Vec<Item>, at: u32, mask: u32| {
        let demand = Demand { items };
        assert_eq!(demand.check(), Err(DemandError::NoSuchMask { at, mask }));
        assert_eq!(Demand::decode(&demand.encode()), Err(DemandError::NoSuchMask { at, mask }));
    };
    no_mask(vec![product(all, 0), mask], 0, 0);
    no_mask(vec![mask, product(all, 1)], 1, 1);
    no_mask(vec![mask, product(all, 7)], 1, 7);
    no_mask(vec![Item::Square { len: 12 }, product(all, 0)], 1, 0);
    no_mask(vec![mask, product(all.moved(1), 0)], 1, 0);
    no_mask(vec![mask, product(whole(&[5, 3]), 0)], 1, 0);
    no_mask(vec![mask, product(all.every(0, 1, 2, 3), 0)], 1, 0);
    let other = |dims| Item::Given { part: of_first(all), product: matrices(dims) };
    for bad in [
        // Before the mask, beyond every mask, and factors that are not the part.
        product(all.every(0, 1, -1, 3), 0),
        product(all.moved(1 << 28), 0),
        other([4, 4, 2]),
        other([4, 3, 1 << 28]),
        other([usize::MAX, 3, 2]),
    ] {
        let demand = Demand { items: vec![mask, bad] };
        assert_eq!(demand.check(), Err(DemandError::Insane), "{bad:?}");
        assert_eq!(Demand::decode(&demand.encode()), Err(DemandError::Insane), "{bad:?}");
    }
    // Any number in a place of its own: never more than an error.
    let bytes = Demand { items: vec![mask, product(all, 0)] }.encode();
    for at in (0..bytes.len() - 8).filter(|at| *at >= 14) {
        for value in [0, 1, 6, 7, u64::from(u32::MAX), 1 << 31, u64::MAX, 1 << 63] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            if let Ok(demand) = Demand::decode(&bytes) {
                demand.check().expect("what was decoded is within the limits");
                assert_eq!(demand.encode(), bytes);
            }
        }
    }
}

#[test]
fn randomness_for_a_mask_that_was_not_dealt_is_refused() {
    use protocols::prep::{Preprocessing, dealer::DealerPrep};
    let (session, own) = (mpc_core::tag::SessionId([1; 32]), mpc_core::prg::Seed::new([2; 32]));
    let mut prep = DealerPrep::<Z64>::in_process(PartyId::new(1), session, own, None, None);
    let (all, product) = (of_first(whole(&[4, 3])), matrices([4, 3, 1]));
    assert!(matches!(prep.given(all, product), Err(PrepError::NoSuchMask { index: 0, mask: 0 })));
    assert!(prep.reusable_mask(&[4, 3]).is_ok());
    assert!(prep.given(all, product).is_ok());
    let more = (of_first(whole(&[5, 3])), matrices([5, 3, 1]));
    assert!(matches!(prep.given(more.0, more.1), Err(PrepError::NoSuchMask { index: 2, mask: 0 })));
}
