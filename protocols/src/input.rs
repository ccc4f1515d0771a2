//! Π_Input: a party shares a private tensor, without sending anything.
//!
//! For an owner i, every other party j takes `x_j = PRG(K_ij)` and the owner takes `x_i = x − Σ_{j≠i} x_j`, where K_ij is
//! known to i and j alone. Non-interactive sharing from pairwise seeds (Cramer, Damgård, Ishai, TCC 2005, §1, specialised
//! to additive sharing).
//!
//! **Security**: any n−1 parties without the owner hold PRG streams only; any n−1 with the owner know x anyway. The
//! stream is named by (K_ij, session, node), so no pad repeats. **Cost**: 0 rounds, 0 bytes.

use mpc_core::party::PartyId;
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::session::Session;

/// Shares of `owner`'s tensor; `value` is given by the owner alone.
///
/// # Errors
/// [`ProtocolError::Shape`] if the owner's value is missing or has another shape, or another party passes one.
pub fn input<R: Ring>(
    cx: &mut Session<Additive<R>>,
    owner: PartyId,
    shape: &[usize],
    value: Option<&Tensor<R>>,
) -> Result<Additive<R>, ProtocolError> {
    let (me, n) = (cx.me(), cx.parties());
    let got = value.map(|v| v.shape().to_vec());
    let expected = (me == owner).then(|| shape.to_vec());
    if got != expected {
        let what = if me == owner { "value of the own input" } else { "value of another party's input" };
        return Err(ProtocolError::Shape {
            what,
            expected: expected.unwrap_or_default(),
            got: got.unwrap_or_default(),
        });
    }
    let (session, tag) = (*cx.id(), cx.fresh_tag());
    let pad = |with| {
        let seed = cx.input_seed(with).expect("a session has a seed for every pair");
        Prg::new(seed, &session, tag, "input", 0)
    };
    let Some(value) = value else { return Ok(Additive::from_share(pad(owner).tensor(shape))) };
    let mut others = me.others(n).map(pad);
    let mut share = others.next().map_or_else(|| value.clone(), |mut pad| pad.subtracted_from(value));
    others.for_each(|mut pad| pad.subtract_from(share.as_mut_slice()));
    Ok(Additive::from_share(share))
}

/// Nothing.
#[must_use]
pub fn cost(n: usize) -> Cost {
    Cost::none(n)
}
