//! Correlated randomness: what protocols ask for, and who provides it.
//!
//! Code above [`Preprocessing`] never asks which provider it talks to. There are two: a dealer ([`dealer::Dealer`] makes,
//! [`dealer::DealerPrep`] receives), a helper that sees no data and must not collude with any computing party; and the
//! parties themselves, by oblivious transfer ([`ot::OtPrep`]).

pub mod comparison;
pub(crate) mod components;
pub mod dealer;
pub mod demand;
pub mod item;
pub(crate) mod ledger;
pub mod ot;
pub(crate) mod part;
pub mod provider;
pub(crate) mod relation;
pub mod stored;

pub use comparison::{Comparison, Question};
pub use demand::{Demand, DemandError, MAX_ITEMS};
pub use item::{Bilinear, Item, Product};
use mpc_core::conv::ConvShape;
use mpc_core::share::Sharing;
pub use part::{MaskPart, Part};
pub use provider::{CotExtension, Provider};
pub use stored::StoredPrep;

use crate::correlation::{
    AngleTuple, BulkTriple, ComparisonBundle, DaBits, DotTriple, GivenTriple, MatmulTriple, ReusableMask,
    SquarePair, Triple, TruncationTuple,
};
use crate::error::PrepError;

/// A source of one-time correlated randomness for one session. Every item is handed out once, in the order of the
/// demand, and belongs to this session alone.
pub trait Preprocessing<S: Sharing>: Send {
    /// `len` triples c = a·b.
    ///
    /// # Errors
    /// [`PrepError`] when the provider fails or the demand has something else at this place; so for all methods.
    fn triple(&mut self, len: usize) -> Result<Triple<S>, PrepError>;
    /// `len` pairs c = a².
    fn square(&mut self, len: usize) -> Result<SquarePair<S>, PrepError>;
    /// `len` inner-product triples c = Σ_t a_t·b_t.
    fn dot(&mut self, len: usize, terms: usize) -> Result<DotTriple<S>, PrepError>;
    /// A matrix triple C = A·B with A: m×k, B: k×n.
    fn matmul(&mut self, m: usize, k: usize, n: usize) -> Result<MatmulTriple<S>, PrepError>;
    /// A convolution triple C = A∗B.
    fn conv(&mut self, shape: ConvShape) -> Result<BulkTriple<S>, PrepError>;
    /// `count` matrix triples C_i = A_i·B_i with A_i: m×k, B_i: k×n.
    fn matmuls(&mut self, count: usize, dims: [usize; 3]) -> Result<BulkTriple<S>, PrepError>;
    /// A mask for one tensor of this shape.
    fn reusable_mask(&mut self, shape: &[usize]) -> Result<ReusableMask<S>, PrepError>;
    /// B and its product with a part of an earlier mask.
    fn given(&mut self, part: MaskPart, product: Product) -> Result<GivenTriple<S>, PrepError>;
    /// `len` tuples to truncate by `bits` bits.
    fn truncation(&mut self, len: usize, bits: u32) -> Result<TruncationTuple<S>, PrepError>;
    /// A bundle to compare `len` elements.
    fn comparison(&mut self, spec: Comparison) -> Result<ComparisonBundle<S>, PrepError>;
    /// `len` random bits, shared both ways.
    fn dabits(&mut self, len: usize) -> Result<DaBits<S>, PrepError>;
    /// `len` angles of so many bits, with the cosines and sines of so many multiples of each.
    fn angles(&mut self, len: usize, bits: u32, multiples: usize) -> Result<AngleTuple<S>, PrepError>;
    /// Receives or makes now what must come from elsewhere for the next `items` items of the agreed demand, or as many as
    /// there are, instead of item by item as it is used. Takes memory for all of them.
    ///
    /// # Errors
    /// [`PrepError`].
    fn prepare(&mut self, items: usize) -> Result<(), PrepError>;
    /// Payload bytes so far that count as this party's offline bytes: received from a dealer, or sent to the other parties.
    fn offline_bytes(&self) -> u64;
}
