//! Π_Output: chosen parties learn secret tensors.
//!
//! Before anything leaves, the parties compare digests of all values opened so far ([`Session::confirm_openings`]). Then
//! every party adds its share of a fresh zero, `z_i = Σ_{j>i} PRG(K_ij) − Σ_{j<i} PRG(K_ij)`, and sends the sum to the
//! recipients alone. Without that, a share would carry the linear history of the computation: MP-SPDZ 0.3.9 fixed this.
//!
//! The comparison is of all pairs, so if two honest parties saw different openings, every honest party has an honest peer
//! of the other view and ends before its shares leave, whatever the equivocator answers. It proves nothing about a value
//! that all were told alike, nothing between two parties, and nothing about the output shares, which follow it: a recipient
//! cannot check those, and two recipients of one output can be told different results. `tests/equivocation.rs` shows each.
//!
//! **Security**: given the output, the shares that a recipient receives are uniform with the right sum, so they are
//! simulated from the output. Streams are named by (K_ij, session, output node, place), where the place is the number of rounds so
//! far: outputs that leave at several times of a session, before it goes on, have fresh zeros each. **Cost**: 1 round of 32 bytes to
//! each party, then 1 round of 8 bytes per element to each recipient.

use bytes::Bytes;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::share::{Additive, Sharing};
use mpc_core::tag::node;
use mpc_core::tensor::Tensor;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::session::{Session, add_bytes};

/// A value that the protocol meant this party to learn.
#[derive(Clone)]
pub struct Revealed<R: Ring>(Tensor<R>);

impl<R: Ring> Revealed<R> {
    /// The value.
    #[must_use]
    pub const fn tensor(&self) -> &Tensor<R> {
        &self.0
    }
}

/// Opens every tensor to its recipients, all in one round after the confirmation. The result has `Some` where this
/// party is a recipient.
///
/// # Errors
/// [`ProtocolError::OpeningsDiffer`] before any output share leaves; [`ProtocolError::Channel`].
pub fn output<S: Sharing>(
    cx: &mut Session<S>,
    outputs: &[(&S, &[PartyId])],
) -> Result<Vec<Option<Revealed<S::Ring>>>, ProtocolError> {
    cx.confirm_openings()?;
    cx.enter(node::OUTPUT, cx.rounds() as u32)?;
    let (me, n) = (cx.me(), cx.parties());
    let masked: Vec<Tensor<S::Ring>> = outputs.iter().map(|(x, _)| rerandomised(cx, x)).collect();

    let receives = |p: PartyId, to: &[PartyId]| to.contains(&p);
    let length = |p: PartyId| -> usize {
        outputs.iter().filter(|(_, to)| receives(p, to)).map(|(x, _)| x.len() * S::Ring::BYTES).sum()
    };
    let message = |p: PartyId| {
        let mut parts = masked.iter().zip(outputs).filter(|(_, (_, to))| receives(p, to)).map(|(t, _)| t);
        match (parts.next(), parts.next()) {
            (Some(only), None) => only.clone().into_bytes(),
            _ => {
                let mut out = Vec::with_capacity(length(p));
                let parts = masked.iter().zip(outputs).filter(|(_, (_, to))| receives(p, to));
                parts.for_each(|(t, _)| out.extend_from_slice(t.as_bytes()));
                Bytes::from(out)
            }
        }
    };
    let send = PerParty::from_fn(n, |p| (p != me && length(p) > 0).then(|| message(p)));
    let expect = PerParty::from_fn(n, |p| (p != me && length(me) > 0).then(|| length(me)));
    let mut totals: Vec<Option<Tensor<S::Ring>>> =
        masked.into_iter().zip(outputs).map(|(t, (_, to))| receives(me, to).then_some(t)).collect();
    let mut come = PerParty::from_fn(n, |_| 0);
    cx.exchange_pieces(send, expect, &mut |from, piece| {
        add_at(&mut totals, come[from], piece);
        come[from] += piece.len();
    })?;
    Ok(totals.into_iter().map(|total| total.map(Revealed)).collect())
}

/// Adds shares from the byte `at` on of all totals behind one another.
fn add_at<R: Ring>(totals: &mut [Option<Tensor<R>>], at: usize, piece: &[u8]) {
    let mut first = 0;
    for total in totals.iter_mut().flatten() {
        let place = first..first + total.len() * R::BYTES;
        first = place.end;
        let (start, end) = (at.max(place.start), (at + piece.len()).min(place.end));
        if start < end {
            let own = &mut total.as_mut_slice()[(start - place.start) / R::BYTES..];
            add_bytes(own, &piece[start - at..end - at]);
        }
    }
}

/// The same value in shares that are independent of these: each party adds its share of a fresh zero. Local.
///
/// The shares of one session leave it like this, for a later one, and enter that like this: what all parties but one hold of both
/// is independent.
#[must_use]
pub fn refreshed<R: Ring>(cx: &mut Session<Additive<R>>, x: &Additive<R>) -> Additive<R> {
    Additive::from_share(rerandomised(cx, x))
}

/// This party's share plus its share of zero.
fn rerandomised<S: Sharing>(cx: &mut Session<S>, x: &S) -> Tensor<S::Ring> {
    let (me, n, session, tag) = (cx.me(), cx.parties(), *cx.id(), cx.fresh_tag());
    let pad = |other| {
        let seed = cx.zero_seed(other).expect("a session has a seed for every pair");
        Prg::new(seed, &session, tag, "zero", 0)
    };
    let mut others = me.others(n);
    let share = x.value_share();
    let mut share = match others.next() {
        Some(first) if first > me => pad(first).added_to(share),
        Some(first) => pad(first).subtracted_from(share),
        None => share.clone(),
    };
    for other in others {
        if other > me {
            pad(other).add_to(share.as_mut_slice());
        } else {
            pad(other).subtract_from(share.as_mut_slice());
        }
    }
    share
}

/// Cost of the confirmation: one round, 32 bytes to each other party.
#[must_use]
pub fn confirm_cost(n: usize) -> Cost {
    Cost { rounds: 1, sent_bytes: PerParty::from_fn(n, |_| 32 * (n as u64 - 1)), items: vec![] }
}

/// Cost of the output round for (elements, recipients) pairs.
#[must_use]
pub fn cost<S: Sharing>(n: usize, outputs: &[(usize, &[PartyId])]) -> Cost {
    let sent = |p: PartyId| -> u64 {
        outputs
            .iter()
            .map(|(len, to)| (len * S::Ring::BYTES * to.iter().filter(|&&r| r != p).count()) as u64)
            .sum()
    };
    Cost { rounds: 1, sent_bytes: PerParty::from_fn(n, sent), items: vec![] }
}
