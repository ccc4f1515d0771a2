//! An encoder block of a transformer (Vaswani et al., NeurIPS 2017), with normalisation before attention and layers (Xiong et al., ICML
//! 2020) as most networks have it today, and ReLU between the layers as in the first paper.

use super::roles::{Network, Roles};
use crate::builder::Attention;
use crate::error::ProgramError;
use crate::program::Program;

/// Sizes of a block.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Encoder {
    /// Sequences.
    pub batch: usize,
    /// Places in a sequence.
    pub length: usize,
    /// Numbers at a place.
    pub width: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Width between the two dense layers.
    pub hidden: usize,
}

/// ε of the normalisations.
const EPSILON: f64 = 1e-5;

/// y = x + attention(norm1(x)), then y + dense2(relu(dense1(norm2(y)))), for x of \[batch, length, width\]. Weights are `query.weights`,
/// `query.bias`, `key.…`, `value.…`, `output.…`, `dense1.…`, `dense2.…`, and `norm1.scale`, `norm1.shift` and `norm2.…`.
///
/// # Errors
/// [`ProgramError`] for sizes or ranges that make no valid program.
pub fn encoder_block(roles: Roles<'_>, sizes: Encoder) -> Result<Program, ProgramError> {
    let Encoder { batch, length, width, heads, hidden } = sizes;
    let mut net = Network::new(roles);
    let x = net.data([batch, length, width])?;
    let normal = |net: &mut Network<'_>, name: &str, x| {
        let scale = net.weights(&format!("{name}.scale"), [width])?;
        let shift = net.weights(&format!("{name}.shift"), [width])?;
        net.p.layer_norm(x, scale, shift, EPSILON)
    };
    let attention = Attention {
        heads,
        query: net.linear("query", width, width)?,
        key: net.linear("key", width, width)?,
        value: net.linear("value", width, width)?,
        output: net.linear("output", width, width)?,
        mask: None,
        promised: Some(roles.promised),
    };
    let before = normal(&mut net, "norm1", x)?;
    let seen = net.p.multi_head_attention(before, &attention)?;
    let seen = net.promised(seen)?;
    let y = net.p.add(x, seen)?;
    let before = normal(&mut net, "norm2", y)?;
    let inner = net.dense("dense1", before, hidden)?;
    let inner = net.p.relu(inner)?;
    let outer = net.dense("dense2", inner, width)?;
    let result = net.p.add(y, outer)?;
    net.build(result)
}
