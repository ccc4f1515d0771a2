//! Any order, ahead or not, and what is refused.

use mpc_core::bits::BitTensor;
use mpc_core::ring::{Ring, Z64};

use super::items::{comparisons, kinds};
use super::{run, sources};
use crate::error::PrepError;
use crate::prep::components::Components;
use crate::prep::relation::Value;
use crate::prep::{Demand, Item, MaskPart, Part};
use crate::reuse::matrices;
use crate::tree::TreeChoice;

fn words<R: Ring>(value: &Value<R>) -> Vec<u64> {
    let bits = |b: &BitTensor| {
        let mut out = vec![];
        b.pack_into(&mut out);
        out.into_iter().map(u64::from).collect()
    };
    match value {
        Value::Ring(t) => t.as_slice().iter().map(|v| v.to_u64()).collect(),
        Value::Bits(b) => bits(b),
    }
}

#[test]
fn items_that_were_made_ahead_are_the_same() {
    let mut items = [kinds(33), comparisons(33, TreeChoice::DEFAULT, 16)].concat();
    // What takes no mask, in another order once more.
    let again: Vec<_> = items.iter().rev().copied().filter(|i| !matches!(i, Item::Given { .. })).collect();
    items.extend(again);
    let demand = Demand { items: items.clone() };
    let made = |ahead: usize| {
        run(sources::<Z64>(3, 12, Some(&demand)), |mut source| {
            let draw = |item: &Item| {
                source.prepare_items(ahead).unwrap();
                source.draw(*item).unwrap().iter().map(words).collect::<Vec<_>>()
            };
            let made: Vec<_> = items.iter().map(draw).collect();
            assert!(source.prepare_items(usize::MAX).is_ok(), "nothing is left");
            (made, source.lane().rounds(), source.bytes())
        })
    };
    let one_by_one = made(0);
    assert!(one_by_one == made(3) && one_by_one == made(usize::MAX));
}

#[test]
fn what_was_not_agreed_is_refused() {
    let part = MaskPart { mask: 1, part: Part::whole(&[3, 4]).unwrap() };
    let given = Item::Given { part, product: matrices([3, 4, 2]) };
    let demand = Demand { items: vec![Item::Triple { len: 3 }, given] };
    run(sources::<Z64>(2, 13, Some(&demand)), |mut source| {
        let other = source.draw(Item::Triple { len: 4 }).err();
        assert!(matches!(other, Some(PrepError::Unexpected { index: 0, .. })));
        assert_eq!(source.next_item(), 0);
        source.draw(Item::Triple { len: 3 }).unwrap();
        let ahead = source.prepare_items(usize::MAX).err();
        assert!(matches!(ahead, Some(PrepError::NoSuchMask { index: 1, mask: 1 })));
        let drawn = source.draw(given).err();
        assert!(matches!(drawn, Some(PrepError::NoSuchMask { index: 1, mask: 1 })));
    });
    // A mask that is too small for the part.
    run(sources::<Z64>(2, 13, None), |mut source| {
        source.draw(Item::Triple { len: 1 }).unwrap();
        source.draw(Item::Mask { len: 8 }).unwrap();
        let drawn = source.draw(given).err();
        assert!(matches!(drawn, Some(PrepError::NoSuchMask { index: 2, mask: 1 })));
    });
}

#[test]
fn parties_that_ask_for_different_things_find_out() {
    let errors = run(sources::<Z64>(2, 14, None), |mut source| {
        let len = 5 + source.lane().me().index();
        source.draw(Item::Triple { len }).err()
    });
    assert!(errors.iter().all(|e| matches!(e, Some(PrepError::Channel(_)))), "{errors:?}");
}
