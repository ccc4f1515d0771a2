//! The extension's cost, call by call.

use mpc_core::party::PerParty;

use super::{FieldBits, SETUP_ROUNDS, Security, batch_bytes, setup_bytes};
use crate::ot::extension::{CotCount, ExtensionCost};

/// [`SoftSpoken`](super::SoftSpoken) of one session, as far as it costs.
#[derive(Clone, Debug)]
pub struct SoftSpokenCost {
    field: FieldBits,
    security: Security,
    is_set_up: bool,
}

impl SoftSpokenCost {
    /// Before the first call.
    #[must_use]
    pub const fn new(field: FieldBits, security: Security) -> Self {
        Self { field, security, is_set_up: false }
    }
}

impl ExtensionCost for SoftSpokenCost {
    fn extend(&mut self, counts: &PerParty<Option<CotCount>>) -> (u64, PerParty<u64>) {
        let first = !std::mem::replace(&mut self.is_set_up, true);
        let setup = if first { setup_bytes(self.field, self.security) } else { 0 };
        let to = |c: CotCount| setup + batch_bytes(self.field, self.security, c.received);
        let sent = PerParty::from_fn(counts.parties(), |p| counts[p].map_or(0, to));
        (1 + if first { SETUP_ROUNDS } else { 0 }, sent)
    }
}
