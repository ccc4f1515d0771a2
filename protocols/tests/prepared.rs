//! Correlated randomness that was made ahead is the same, in the same order, at the same cost.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;

use protocols::error::{PrepError, ProtocolError};
use protocols::input::input;
use protocols::mul::{mul, mul_cost};
use protocols::output::output;
use protocols::prep::{Demand, Item};
use protocols::relu::{relu, relu_cost};
use protocols::tree::TreeChoice;
use protocols::trial::{run_sessions, sessions};

type Sharing = mpc_core::share::Additive<Z64>;

#[test]
fn a_session_may_prepare_everything_before_it_begins() {
    for n in [2, 3, 5] {
        let items =
            mul_cost::<Sharing>(n, 70).then(relu_cost::<Sharing>(n, 70, 0, TreeChoice::DEFAULT)).items;
        let run = |prepare: bool| {
            let demand = Demand { items: items.clone() };
            run_sessions(sessions::<Z64>(n, [9; 32], Some(&demand)), |cx| {
                if prepare {
                    cx.prep().prepare(usize::MAX)?;
                    let all: u64 = items.iter().map(Item::correction_bytes::<Z64>).sum();
                    assert_eq!(cx.prep_bytes(), if cx.me().index() == 0 { all } else { 0 });
                }
                let own =
                    |i: usize| Tensor::from_vec(&[70], (0..70).map(|v| Z64(v * 31 + i as u64)).collect());
                let me = cx.me().index();
                let x = input(cx, PartyId::new(0), &[70], (me == 0).then(|| own(0)).as_ref())?;
                let y = input(cx, PartyId::new(1), &[70], (me == 1).then(|| own(1)).as_ref())?;
                let z = mul(cx, &x, &y)?;
                let r = relu(cx, &z, TreeChoice::DEFAULT)?;
                let nothing_left = cx.prep().triple(1);
                assert!(matches!(nothing_left, Err(PrepError::Unexpected { agreed: None, .. })));
                let revealed = output(cx, &[(&r, &[PartyId::new(0)])])?;
                let values = revealed[0].as_ref().map(|v| v.tensor().as_slice().to_vec());
                Ok::<_, ProtocolError>((values, cx.rounds(), cx.sent_bytes(), cx.prep_bytes()))
            })
            .unwrap()
        };
        assert!(run(false) == run(true), "{n} parties");
    }
}
