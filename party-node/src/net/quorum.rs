//! All parties of a session at the dealer, and whether they ask for the same.

use quinn::{Connection, RecvStream, SendStream};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use mpc_core::party::PartyId;

use super::error::{Difference, Names, NetError};
use super::hello::DealerHello;
use super::keys::short;

/// A party that asked for a session.
pub(crate) struct Asker {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
    pub(crate) hello: DealerHello,
    /// One of the party's places at the dealer, kept until its session begins.
    pub(crate) _place: OwnedSemaphorePermit,
}

/// All parties of a session, in order, who asked for the same.
pub(crate) struct Quorum {
    pub(crate) names: Names,
    pub(crate) hello: DealerHello,
    pub(crate) parties: Vec<Asker>,
}

/// Who asks for something else. Where most parties ask for the same, that is one of the others; of two, the second.
pub(crate) fn disagreement(names: &Names, hellos: &[&DealerHello]) -> Option<NetError> {
    let terms = |h: &DealerHello| (h.program, h.parameters, h.demand.clone());
    let companions = |h: &DealerHello| hellos.iter().filter(|other| terms(other) == terms(h)).count();
    // The last of equals is taken, so this finds the first.
    let (usual, a) = hellos.iter().enumerate().rev().max_by_key(|(_, h)| companions(h))?;
    let (odd, b) = hellos.iter().enumerate().find(|(_, h)| terms(h) != terms(a))?;
    let name = |i: usize| names.party(PartyId::new(i));
    let peer = format!("{}, unlike {},", name(odd), name(usual));
    let (what, ours, theirs) = if a.program != b.program {
        (Difference::Program, short(&a.program), short(&b.program))
    } else if a.parameters != b.parameters {
        (Difference::Parameters, short(&a.parameters), short(&b.parameters))
    } else {
        (Difference::Demand, summary(&a.demand), summary(&b.demand))
    };
    Some(NetError::Mismatch { peer, what, ours, theirs })
}

fn summary(demand: &[u8]) -> String {
    format!("{} bytes, digest {}", demand.len(), short(&Sha256::digest(demand).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(demand: u8) -> DealerHello {
        let zero = [0; 32];
        DealerHello {
            session: zero,
            parties: 3,
            me: 0,
            roster: zero,
            program: zero,
            parameters: zero,
            demand: vec![demand],
        }
    }

    #[test]
    fn the_one_that_differs_from_most_is_named() {
        let names = Names::new(["bank", "bureau", "telecom"].map(str::to_owned), None);
        let say = |demands: &[u8]| {
            let hellos: Vec<DealerHello> = demands.iter().map(|&d| asking(d)).collect();
            disagreement(&names, &hellos.iter().collect::<Vec<_>>()).map(|e| e.to_string())
        };
        assert_eq!(say(&[7, 7, 7]), None);
        for (demands, words) in [
            (&[1, 7, 7][..], "bank, unlike bureau, has another demand"),
            (&[7, 1, 7], "bureau, unlike bank, has another demand"),
            (&[7, 7, 1], "telecom, unlike bank, has another demand"),
            (&[7, 1], "bureau, unlike bank, has another demand"),
        ] {
            let text = say(demands).unwrap_or_else(|| panic!("{demands:?} agree"));
            assert!(text.contains(words), "{text}");
        }
    }
}
