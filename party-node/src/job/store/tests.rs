//! What parties tell each other, and what follows from it.

use proptest::prelude::*;

use super::words::Decision;
use super::*;
use crate::store::{MAX_SERIES, Offer};

const fn offer(series: u8, cursor: u32, copies: u32) -> Offer {
    Offer { series: SessionId([series; 32]), cursor, copies }
}

fn used(decision: &Decision) -> Option<(u8, u32)> {
    decision.copy.map(|o| (o.series.0[0], o.cursor))
}

#[test]
fn the_largest_cursor_wins() {
    let claims = [
        Claim::Has(vec![offer(1, 3, 9), offer(2, 0, 5)]),
        Claim::Has(vec![offer(1, 5, 9), offer(2, 1, 5)]),
        Claim::Has(vec![offer(1, 0, 9), offer(2, 2, 5)]),
    ];
    for me in 0..3 {
        let decision = decide(&claims, me);
        assert_eq!((used(&decision), decision.destroy.len()), (Some((1, 5)), 0));
    }
}

#[test]
fn what_not_all_have_is_destroyed() {
    let claims = [
        Claim::Has(vec![offer(1, 0, 9), offer(2, 1, 9), offer(3, 0, 4)]),
        Claim::Has(vec![offer(2, 0, 9), offer(3, 0, 5)]),
    ];
    let [first, second] = [0, 1].map(|me| decide(&claims, me));
    assert_eq!((used(&first), used(&second)), (Some((2, 1)), Some((2, 1))));
    assert_eq!(first.destroy, [SessionId([1; 32]), SessionId([3; 32])]);
    assert_eq!(second.destroy, [SessionId([3; 32])], "a series has one number of copies");
    let nothing = [claims[0].clone(), Claim::Has(vec![])];
    assert_eq!((decide(&nothing, 0).destroy.len(), used(&decide(&nothing, 0))), (3, None));
    assert_eq!(decide(&nothing, 1), Decision { copy: None, destroy: vec![] });
}

#[test]
fn a_party_without_a_store_costs_nothing() {
    let claims = [Claim::Has(vec![offer(1, 0, 9)]), Claim::NoStore, Claim::Has(vec![])];
    for me in 0..3 {
        assert_eq!(decide(&claims, me), Decision { copy: None, destroy: vec![] });
    }
}

#[test]
fn words_come_back_and_others_are_refused() {
    let many: Vec<Offer> = (0..MAX_SERIES as u8).map(|s| offer(s, 1, 10_000)).collect();
    let claims = [Claim::NoStore, Claim::Has(vec![]), Claim::Has(many.clone())];
    for claim in &claims {
        let word = claim.encode();
        assert!(word.len() <= MAX_WORD_BYTES);
        assert_eq!(Claim::decode(&word).as_ref(), Ok(claim));
        assert!((0..word.len()).all(|cut| Claim::decode(&word[..cut]).is_err()));
        assert!(Claim::decode(&[&word[..], b"x"].concat()).is_err());
        assert!(Spent::decode(&word).is_err());
    }
    for wrong in [
        vec![offer(2, 0, 1), offer(1, 0, 1)],
        vec![offer(1, 0, 1), offer(1, 0, 1)],
        vec![offer(1, 1, 1)],
        vec![offer(1, 0, 0)],
        vec![offer(1, 0, u32::MAX)],
        [many, vec![offer(200, 0, 1)]].concat(),
    ] {
        assert!(Claim::decode(&Claim::Has(wrong.clone()).encode()).is_err(), "{wrong:?}");
    }
    for spent in [Spent::Nothing, Spent::Ready, Spent::Damaged] {
        let word = spent.encode(&[7; 32]);
        assert_eq!(Spent::decode(&word), Ok((spent, [7; 32])));
        assert!((0..word.len()).all(|cut| Spent::decode(&word[..cut]).is_err()));
    }
}

#[test]
fn the_digest_is_of_this_session_and_of_all_claims() {
    let (one, two) = (Claim::Has(vec![offer(1, 0, 9)]), Claim::Has(vec![offer(1, 1, 9)]));
    let of = |session, claims: &[&Claim]| {
        digest(SessionId([session; 32]), &claims.iter().map(|c| (*c).clone()).collect::<Vec<_>>())
    };
    let all = [
        of(1, &[&one, &two]),
        of(2, &[&one, &two]),
        of(1, &[&two, &one]),
        of(1, &[&one, &one]),
        of(1, &[&one, &Claim::NoStore]),
    ];
    assert!((1..all.len()).all(|i| !all[..i].contains(&all[i])));
}

fn claims() -> impl Strategy<Value = Claim> {
    let offers = proptest::collection::btree_map(0u8..4, (0u32..6, 6u32..8), 0..4);
    let has = offers.prop_map(|all| {
        Claim::Has(all.into_iter().map(|(series, (cursor, copies))| offer(series, cursor, copies)).collect())
    });
    prop_oneof![1 => Just(Claim::NoStore), 9 => has]
}

proptest! {
    /// All parties decide alike, on a copy that nobody has spent, of a series that all have and nobody destroys.
    #[test]
    fn all_decide_alike_and_on_nothing_spent(claims in proptest::collection::vec(claims(), 2..6)) {
        let decisions: Vec<Decision> = (0..claims.len()).map(|me| decide(&claims, me)).collect();
        for (decision, claim) in decisions.iter().zip(&claims) {
            prop_assert_eq!(decision.copy, decisions[0].copy);
            let Some(next) = decision.copy else { continue };
            let Claim::Has(offers) = claim else { panic!("a party without a store takes part") };
            let own = offers.iter().find(|o| o.series == next.series).unwrap();
            prop_assert!(next.cursor >= own.cursor && next.cursor < own.copies);
            prop_assert!(!decision.destroy.contains(&next.series));
        }
    }

    #[test]
    fn hostile_words_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(claim) = Claim::decode(&bytes) {
            prop_assert_eq!(claim.encode(), bytes.clone());
        }
        if let Ok((spent, told)) = Spent::decode(&bytes) {
            prop_assert_eq!(spent.encode(&told), bytes);
        }
    }
}
