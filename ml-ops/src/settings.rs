//! What holds for a whole program: how truncations round, which shapes comparisons take, and how many rows are computed at a
//! time. Parts of the program's digest,
//! because all parties and the dealer must do the same.

pub use protocols::truncate::Rounding;

use mpc_core::ring::Z64;
use protocols::cost::Cost;
use protocols::tree::{Link, TreeChoice};

/// Which shape the trees of comparisons take.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Trees {
    /// The same everywhere.
    Fixed(TreeChoice),
    /// For every operation that with which it takes least time between parties on such a link. The parties agree on the
    /// link; what a node knows of its own network does not matter.
    For(Link),
}

impl Trees {
    /// What a program has unless something else is asked for.
    pub const DEFAULT: Self = Self::Fixed(TreeChoice::DEFAULT);

    /// The shape for an operation of this cost.
    pub(crate) fn choose(self, cost: impl Fn(TreeChoice) -> Cost) -> TreeChoice {
        match self {
            Self::Fixed(tree) => tree,
            Self::For(link) => link.choose::<Z64>(cost),
        }
    }
}

impl std::fmt::Display for Trees {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(tree) => tree.fmt(f),
            Self::For(link) => write!(f, "for {link}"),
        }
    }
}

/// All of them.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    pub(crate) rounding: Rounding,
    pub(crate) trees: Trees,
    /// Rows of a window; `None` for a program whose rows are computed all at once.
    pub(crate) window_rows: Option<u32>,
}
