//! Types that hold shares, masks or seeds: a `Debug` or a comparison derived for one of them does not compile. Those that
//! are private to a module are listed there.

use mpc_core::ring::Z64;
use mpc_core::share::{Additive, XorBits};

use crate::correlation::{
    AngleTuple, BulkTriple, ComparisonBundle, DaBits, DotTriple, GivenTriple, MaskedOnce, MaskedPart,
    MatmulTriple, Padded, PaddedBits, PaddedLow, PayloadMask, QuotientParts, ReusableMask, RingBits,
    SpentAngles, SpentBulk, SpentDaBits, SpentDot, SpentGiven, SpentMatmul, SpentSquare, SpentTriple,
    SpentTruncation, SquarePair, Triple, TruncationTuple, UnopenedOnce,
};
use crate::opening::{Decided, Masked, MaskedAnswers, MaskedLevel, Opened};
use crate::output::Revealed;
use crate::prefix::evaluate::{Evaluation, NetworkMasks};
use crate::prep::StoredPrep;
use crate::prep::dealer::{Dealer, DealerPrep, InProcessDealer};
use crate::prep::ot::OtPrep;
use crate::prep::relation::Value;
use crate::session::{PairwiseSeeds, Session};

mpc_core::secret_types!(
    Padded<Additive<Z64>>,
    PaddedBits<XorBits>,
    Triple<Additive<Z64>>,
    SpentTriple<Additive<Z64>>,
    SquarePair<Additive<Z64>>,
    SpentSquare<Additive<Z64>>,
    DotTriple<Additive<Z64>>,
    SpentDot<Additive<Z64>>,
    MatmulTriple<Additive<Z64>>,
    SpentMatmul<Additive<Z64>>,
    BulkTriple<Additive<Z64>>,
    SpentBulk<Additive<Z64>>,
    TruncationTuple<Additive<Z64>>,
    SpentTruncation<Additive<Z64>>,
    ReusableMask<Additive<Z64>>,
    UnopenedOnce<Additive<Z64>>,
    MaskedOnce<Additive<Z64>>,
    MaskedPart<'static, Additive<Z64>>,
    GivenTriple<Additive<Z64>>,
    SpentGiven<Additive<Z64>>,
    AngleTuple<Additive<Z64>>,
    SpentAngles<Additive<Z64>>,
    PaddedLow<Additive<Z64>>,
    DaBits<Additive<Z64>>,
    SpentDaBits<Additive<Z64>>,
    ComparisonBundle<Additive<Z64>>,
    RingBits<Additive<Z64>>,
    QuotientParts<Additive<Z64>>,
    PayloadMask<Additive<Z64>>,
    Masked<Additive<Z64>>,
    Opened<Additive<Z64>>,
    MaskedLevel<Additive<Z64>>,
    MaskedAnswers<Additive<Z64>>,
    Decided<Additive<Z64>>,
    NetworkMasks<Additive<Z64>>,
    Evaluation<Additive<Z64>>,
    Value<Z64>,
    Revealed<Z64>,
    PairwiseSeeds,
    Session<Additive<Z64>>,
    Dealer,
    InProcessDealer<Z64>,
    DealerPrep<Z64>,
    OtPrep<Z64>,
    StoredPrep<Z64>,
);
