//! What parties say to each other about their stores, and what follows from it.

use mpc_core::tag::SessionId;
use mpc_core::wire::{Decoder, Encoder, WireError};

use crate::store::{MAX_COPIES, MAX_SERIES, Offer};

/// More than the longest message.
pub(crate) const MAX_WORD_BYTES: usize = 64 + MAX_SERIES * 40;
const CLAIM: &str = "subrosa/stored/v1";
const SPENT: &str = "subrosa/spent/v1";

/// What one party has for this program and these parties.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// It was not told to use a store.
    NoStore,
    /// These series, in the order of their names.
    Has(Vec<Offer>),
}

/// What a party did about the copy that all decided on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Spent {
    /// There is none.
    Nothing,
    /// It is spent and can be used.
    Ready,
    /// It is spent, and cannot be used.
    Damaged,
}

/// What all parties do, as each finds out by itself from what all said.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Decision {
    /// The copy to use, and how many there were.
    pub(crate) copy: Option<Offer>,
    /// Series of which not all parties have something left: the party's own ones are destroyed.
    pub(crate) destroy: Vec<SessionId>,
}

impl Claim {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(CLAIM);
        match self {
            Self::NoStore => e.u8(0),
            Self::Has(offers) => {
                e.u8(1);
                e.u8(offers.len() as u8);
                for offer in offers {
                    e.array(&offer.series.0);
                    e.u32(offer.cursor);
                    e.u32(offer.copies);
                }
            }
        }
        e.finish()
    }

    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let mut d = Decoder::new(message);
        expect(&mut d, CLAIM)?;
        let claim = match d.u8()? {
            0 => Self::NoStore,
            1 => {
                let count = usize::from(d.u8()?);
                if count > MAX_SERIES {
                    return Err(WireError::TooLong { max: MAX_SERIES, got: count });
                }
                let offer = |d: &mut Decoder<'_>| -> Result<Offer, WireError> {
                    Ok(Offer { series: SessionId(d.array()?), cursor: d.u32()?, copies: d.u32()? })
                };
                let offers: Vec<Offer> = (0..count).map(|_| offer(&mut d)).collect::<Result<_, _>>()?;
                if !offers.is_sorted_by(|a, b| a.series.0 < b.series.0) {
                    return Err(WireError::Invalid("order of series"));
                }
                if offers.iter().any(|o| o.cursor >= o.copies || o.copies > MAX_COPIES) {
                    return Err(WireError::Invalid("number of copies"));
                }
                Self::Has(offers)
            }
            _ => return Err(WireError::Invalid("claim about a store")),
        };
        d.finish()?;
        Ok(claim)
    }
}

impl Spent {
    /// The word, with the digest of what this party was told by all.
    pub(crate) fn encode(self, told: &[u8; 32]) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(SPENT);
        e.array(told);
        e.u8(match self {
            Self::Nothing => 0,
            Self::Ready => 1,
            Self::Damaged => 2,
        });
        e.finish()
    }

    pub(crate) fn decode(message: &[u8]) -> Result<(Self, [u8; 32]), WireError> {
        let mut d = Decoder::new(message);
        expect(&mut d, SPENT)?;
        let told = d.array()?;
        let spent = match d.u8()? {
            0 => Self::Nothing,
            1 => Self::Ready,
            2 => Self::Damaged,
            _ => return Err(WireError::Invalid("word about a copy")),
        };
        d.finish()?;
        Ok((spent, told))
    }
}

fn expect(d: &mut Decoder<'_>, label: &'static str) -> Result<(), WireError> {
    if d.str(label.len())? == label { Ok(()) } else { Err(WireError::Invalid("kind of message")) }
}

/// Of the claims of all parties in order: equal at two parties only if they were told the same.
pub(crate) fn digest(session: SessionId, claims: &[Claim]) -> [u8; 32] {
    let mut e = Encoder::new();
    e.str("subrosa/stores/v1");
    e.array(&session.0);
    claims.iter().for_each(|claim| e.bytes(&claim.encode()));
    blake3::hash(&e.finish()).into()
}

/// What follows for `me` from the claims of all parties in order.
pub(crate) fn decide(claims: &[Claim], me: usize) -> Decision {
    let mut decision = Decision { copy: None, destroy: vec![] };
    let has = |claim| match claim {
        &Claim::NoStore => None,
        Claim::Has(offers) => Some(offers),
    };
    // A party that uses no store this time may have one, and says nothing about it.
    let Some(all) = claims.iter().map(has).collect::<Option<Vec<_>>>() else { return decision };
    for own in all[me] {
        let of_series = |offers: &&Vec<Offer>| {
            offers.iter().find(|o| o.series == own.series && o.copies == own.copies).copied()
        };
        let cursors = all.iter().map(|offers| of_series(offers).map(|o| o.cursor));
        // Whoever spent most is right: nothing that anybody spent is used again.
        let cursor = cursors.collect::<Option<Vec<_>>>().and_then(|c| c.into_iter().max());
        match cursor {
            Some(cursor) => {
                let next = Offer { cursor, ..*own };
                decision.copy = decision.copy.or(Some(next));
            }
            None => decision.destroy.push(own.series),
        }
    }
    decision
}
