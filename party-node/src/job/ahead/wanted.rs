//! What is made ahead, as all parties must want it.

use ml_ops::Program;
use mpc_core::ring::Z64;
use mpc_core::wire::{Decoder, Encoder, WireError};
use protocols::prep::stored::copy_bytes;
use protocols::prep::{CotExtension, Demand, Provider};

use crate::config::Config;
use crate::error::CliError;
use crate::job::errors::Failure;
use crate::job::store::store_purpose;
use crate::store::Purpose;

const AGREED: &str = "subrosa/ahead/v1";

/// What is made, as all parties must want it.
pub(super) struct Wanted {
    pub(super) program: Program,
    pub(super) provider: Provider,
    pub(super) extension: CotExtension,
    /// Of one run.
    pub(super) demand: Demand,
    /// Of all copies.
    pub(super) repeated: Demand,
    pub(super) copies: u32,
    pub(super) copy_bytes: u64,
    pub(super) purpose: Purpose,
}

impl Wanted {
    pub(super) fn new(config: &Config, program: Program, copies: u32) -> Result<Self, CliError> {
        let provider = config.offline.provider(&program, config.node.net);
        let Some(extension) = provider.extension() else {
            return Err(CliError::setup(
                "usage",
                format_args!("{}: nothing can be made ahead of a dealer", config.node.path.display()),
            )
            .with_hint("preprocessing = \"ot\" in [job]: then the parties make their own randomness"));
        };
        let demand = program.demand();
        let too_many = |e| {
            CliError::setup("usage", format_args!("{copies} copies: {e}")).with_hint("make fewer at a time")
        };
        let repeated = demand.repeated(copies as usize).map_err(too_many)?;
        let (copy_bytes, purpose) = (copy_bytes::<Z64>(&demand.items), store_purpose(config, &program));
        Ok(Self { program, provider, extension, demand, repeated, copies, copy_bytes, purpose })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(AGREED);
        e.u32(self.copies);
        e.finish()
    }

    /// The peer wants as many copies.
    pub(super) fn compare(&self, name: &str, theirs: &[u8]) -> Result<(), Result<Failure, WireError>> {
        let read = || -> Result<u32, WireError> {
            let mut d = Decoder::new(theirs);
            if d.str(AGREED.len())? != AGREED {
                return Err(WireError::Invalid("kind of message"));
            }
            let copies = d.u32()?;
            d.finish()?;
            Ok(copies)
        };
        let copies = read().map_err(Err)?;
        if copies == self.copies {
            return Ok(());
        }
        let message = format!("{name} makes {copies} copies, this node {}", self.copies);
        let error = CliError::outcome("prepare_differs", message)
            .with_hint("all parties must be started with the same --times");
        Err(Ok(Failure::of_session(error, None)))
    }
}
