//! A matrix that is opened once and used in many products: parts, transposes, a training loop, and what is refused.

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{PARTIES, run, seed, tensor, words};
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::local::network;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::{Additive, Sharing};
use mpc_core::tag::Tag;
use mpc_core::tensor::Tensor;
use protocols::cost::Cost;
use protocols::error::{PrepError, ProtocolError};
use protocols::input::input;
use protocols::output::output;
use protocols::prep::{Demand, DemandError, Item, MaskPart};
use protocols::reuse::{
    Part, mask_and_multiply, mask_and_multiply_cost, mask_once, mask_once_cost, matmul_masked,
    matmul_masked_cost,
};
use protocols::trial;

/// A part of a mask that is item 0.
fn part(width: usize, rows: [usize; 2], columns: [usize; 2], transposed: bool) -> MaskPart {
    MaskPart { mask: 0, width, rows, columns, transposed }
}

/// X·Y for a whole matrix, then every other part of it times a part of Y.
fn products<R: Ring>(label: u64, n: usize, x: &Tensor<R>, y: &Tensor<R>) {
    let (&[rows, k], &[_, columns]) = (x.shape(), y.shape()) else { panic!("matrices") };
    type S<R> = Additive<R>;
    let (half, odd) = (rows / 2, k / 2 + 1);
    let parts = [
        part(k, [0, rows], [0, k], false),
        part(k, [half, rows], [0, k], false),
        part(k, [half, rows], [0, odd], false),
        part(k, [0, rows - half], [0, k], true),
    ];
    let cost = parts.iter().fold(mask_once_cost::<S<R>>(n, rows, k), |cost, &p| {
        cost.then(matmul_masked_cost::<S<R>>(n, p, columns))
    });
    let z = run(n, label, &[x.clone(), y.clone()], &cost, |cx, s| {
        let once = mask_once(cx, &s[0])?;
        let some = |rows: usize| s[1].map_linear(|t| t.slice(0, 0, rows));
        let all = [
            matmul_masked(cx, &once.whole(), &s[1])?,
            matmul_masked(cx, &once.rows(half..rows), &s[1])?,
            matmul_masked(cx, &once.part(half..rows, 0..odd), &some(odd))?,
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
    let whole = Part::whole([rows, k]);
    // The last rows, and of these the first columns, seen as rows.
    let lower = whole.slice(0, 1, rows);
    let corner = lower.transpose().slice(0, 0, 2);
    assert_eq!((lower.shape(), corner.shape()), ([rows - 1, k], [2, rows - 1]));
    let cost = mask_and_multiply_cost::<S<R>>(n, 0, [rows, k], lower, columns)
        .then(matmul_masked_cost::<S<R>>(n, corner.of(0, k), columns));
    assert_eq!(cost.rounds, 2);
    let z = run(n, 202, &[x.clone(), y.clone()], &cost, |cx, s| {
        let (once, first) = mask_and_multiply(cx, &s[0], lower, &s[1])?;
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

#[test]
fn a_product_costs_its_other_factor() {
    let bits = |c: &Cost| c.sent_bytes.iter().next().map_or(0, |(_, b)| b * 8);
    let dealt = |c: &Cost| c.dealer_bytes::<Z64>().iter().map(|(_, b)| b * 8).sum::<u64>();
    let (m, k, n) = (1000, 32, 3);
    let once = mask_once_cost::<Additive<Z64>>(2, m, k);
    assert_eq!((once.rounds, bits(&once), dealt(&once)), (1, 64 * 1000 * 32, 0));
    let product = matmul_masked_cost::<Additive<Z64>>(2, part(k, [0, m], [0, k], false), n);
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
        let whole = Part::whole([2, 2]);
        assert!(matches!(mask_and_multiply(cx, &x(), whole, &three), Err(ProtocolError::Shape { .. })));
        let row = Additive::from_share(Tensor::zeros(&[4]));
        assert!(matches!(mask_once(cx, &row), Err(ProtocolError::Shape { .. })));
        Ok(())
    })
    .expect("the honest run succeeds");
}

#[test]
fn demands_take_parts_of_earlier_masks_only() {
    let mask = Item::Mask { rows: 4, columns: 3 };
    let product = |part: MaskPart| Item::GivenMatmul { part, n: 2 };
    let whole = part(3, [0, 4], [0, 3], false);
    let good = Demand { items: vec![mask, product(whole), product(MaskPart { transposed: true, ..whole })] };
    good.check().expect("a mask and its products");
    assert_eq!(Demand::decode(&good.encode()), Ok(good));

    let no_mask = |items: Vec<Item>, at: u32, mask: u32| {
        let demand = Demand { items };
        assert_eq!(demand.check(), Err(DemandError::NoSuchMask { at, mask }));
        assert_eq!(Demand::decode(&demand.encode()), Err(DemandError::NoSuchMask { at, mask }));
    };
    no_mask(vec![product(whole), mask], 0, 0);
    no_mask(vec![mask, product(MaskPart { mask: 1, ..whole })], 1, 1);
    no_mask(vec![mask, product(MaskPart { mask: 7, ..whole })], 1, 7);
    no_mask(vec![Item::Square { len: 12 }, product(whole)], 1, 0);
    no_mask(vec![mask, product(MaskPart { width: 4, ..whole })], 1, 0);
    no_mask(vec![mask, product(MaskPart { rows: [0, 5], ..whole })], 1, 0);
    for bad in [
        MaskPart { rows: [3, 2], ..whole },
        MaskPart { columns: [0, 4], ..whole },
        MaskPart { rows: [0, usize::MAX], ..whole },
        MaskPart { width: usize::MAX, ..whole },
    ] {
        let demand = Demand { items: vec![mask, product(bad)] };
        assert_eq!(demand.check(), Err(DemandError::Insane), "{bad:?}");
    }
}

#[test]
fn randomness_for_a_mask_that_was_not_dealt_is_refused() {
    use protocols::prep::{Preprocessing, dealer::DealerPrep};
    let (session, own) = (mpc_core::tag::SessionId([1; 32]), mpc_core::prg::Seed::new([2; 32]));
    let mut prep = DealerPrep::<Z64>::in_process(PartyId::new(1), session, own, None, None);
    let whole = part(3, [0, 4], [0, 3], false);
    assert!(matches!(prep.given_matmul(whole, 1), Err(PrepError::NoSuchMask { index: 0, mask: 0 })));
    assert!(prep.reusable_mask(4, 3).is_ok());
    assert!(prep.given_matmul(whole, 1).is_ok());
    let more = MaskPart { rows: [0, 5], ..whole };
    assert!(matches!(prep.given_matmul(more, 1), Err(PrepError::NoSuchMask { index: 2, mask: 0 })));
}
