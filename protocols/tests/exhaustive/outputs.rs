//! What outputs cost, and the costs of all protocols as the tables have them.

use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::share::{Additive, Sharing};
use protocols::compare::{less_than_public_cost, less_than_zero_cost, sign_bits_cost};
use protocols::convert::{to_bits_cost, to_ring_cost};
use protocols::cost::Cost;
use protocols::mul::{mul_cost, square_cost};
use protocols::order::{equal_bits_cost, is_zero_cost, min_max_cost, sign_cost};
use protocols::relu::{abs_cost, clamp_cost, relu_cost};
use protocols::tree::TreeChoice;
use protocols::truncate::floor_cost;
use protocols::{output, truncate};

use crate::common::{PARTIES, tensor};

#[test]
fn outputs_cost_what_their_recipients_take() {
    let recipients = [PartyId::new(1)];
    for n in PARTIES {
        let x = tensor::<Z64>([1, 2, 3]);
        let want = output::confirm_cost(n).then(output::cost::<Additive<Z64>>(n, &[(3, &recipients)]));
        protocols::trial::run::<Z64, _>(n, crate::common::seed(130), |cx| {
            let value = (cx.me().index() == 0).then_some(&x);
            let s = protocols::input::input(cx, PartyId::new(0), &[3], value)?;
            let got = output::output(cx, &[(&s, &recipients)])?;
            assert_eq!(got[0].is_some(), cx.me() == recipients[0]);
            assert_eq!((cx.rounds(), cx.sent_bytes()), (want.rounds, want.sent_bytes[cx.me()]));
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn bits_to_each_party_are_those_of_the_tables() {
    let len = 1 << 12;
    let per_element = |c: Cost| {
        let dealt: u64 = c.dealer_bytes::<Z64>().iter().map(|(_, b)| b).sum();
        (c.rounds, c.sent_bytes.iter().next().unwrap().1 * 8 / len as u64, dealt * 8 / len as u64)
    };
    type S = Additive<Z64>;
    let tree = TreeChoice::DEFAULT;
    assert_eq!(per_element(mul_cost::<S>(2, len)), (1, 128, 64));
    assert_eq!(per_element(square_cost::<S>(2, len)), (1, 64, 64));
    assert_eq!(per_element(truncate::cost::<S>(2, len, 16)), (1, 64, 80));
    assert_eq!(per_element(to_ring_cost::<S>(2, len)), (1, 1, 64));
    assert_eq!(per_element(sign_bits_cost::<S>(2, len, tree)), (3, 97, 329));
    assert_eq!(per_element(less_than_zero_cost::<S>(2, len, tree)), (4, 98, 393));
    assert_eq!(per_element(less_than_public_cost::<S>(2, len, 2, tree)), (4, 98 + 34, 393 + 160));
    assert_eq!(per_element(relu_cost::<S>(2, len, 16, tree)), (4, 98, 553));
    assert_eq!(per_element(abs_cost::<S>(2, len, 0, tree)), (4, 98, 457));
    assert_eq!(per_element(clamp_cost::<S>(2, len, 0, tree)), (4, 132, 681));
    assert_eq!(per_element(clamp_cost::<S>(2, len, 16, tree)), (4, 132, 793));
    assert_eq!(per_element(equal_bits_cost::<S>(2, len, tree)), (3, 84, 295));
    assert_eq!(per_element(is_zero_cost::<S>(2, len, tree)), (4, 85, 359));
    assert_eq!(per_element(sign_cost::<S>(2, len, tree)), (4, 103, 488));
    assert_eq!(per_element(min_max_cost::<S>(2, len, tree)), (4, 98, 457));
    assert_eq!(per_element(to_bits_cost::<S>(2, len, tree)), (3, 176, 773));
    assert_eq!(per_element(floor_cost::<S>(2, len, 16, tree)), (4, 99, 480));
    for (block, fan_in, cost) in
        [(2, 2, (7, 153, 280)), (2, 4, (5, 135, 430)), (4, 4, (4, 98, 457)), (8, 8, (3, 79, 2408))]
    {
        let tree = TreeChoice::new(block, fan_in).unwrap();
        assert_eq!(per_element(relu_cost::<S>(2, len, 0, tree)), cost, "{tree}");
    }
    assert_eq!(<S as Sharing>::VALUE_BITS, 64);
}
