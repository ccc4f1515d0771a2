//! From a probability of default to what a lender works with: points and a decision.
//!
//! `points = offset − factor·ln(odds)`, with `odds = p / (1 − p)` the odds of being bad, `factor =
//! points_to_double_odds / ln 2` and `offset` such that `base_odds` (good to bad) earn `base_points`. This happens in
//! plaintext at the party that receives the probabilities; the plaintext model is here too, as what the joint
//! computation is compared with.

use serde::Serialize;

/// The lender's scale and its decision bands.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Scorecard {
    /// Points at `base_odds`.
    pub base_points: f64,
    /// Good-to-bad odds that earn `base_points`.
    pub base_odds: f64,
    /// How many more points double the odds.
    pub points_to_double_odds: f64,
    /// Approve from this many points on.
    pub approve_from: f64,
    /// Decline below this many points.
    pub decline_below: f64,
}

/// What the lender does with an applicant.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Enough points.
    Approve,
    /// In between: a person decides.
    Refer,
    /// Too few points.
    Decline,
}

impl Decision {
    /// The word in tables and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Refer => "refer",
            Self::Decline => "decline",
        }
    }
}

/// Probabilities closer than this to 0 or 1 earn no further points: fixed point and the approximated sigmoid do not
/// tell them apart.
const EDGE: f64 = 1e-3;

impl Scorecard {
    /// The points of a probability of default, rounded to whole points.
    #[must_use]
    pub fn points(&self, probability: f64) -> i64 {
        let p = probability.clamp(EDGE, 1.0 - EDGE);
        let factor = self.points_to_double_odds / std::f64::consts::LN_2;
        let offset = self.base_points - factor * self.base_odds.ln();
        (offset - factor * (p / (1.0 - p)).ln()).round() as i64
    }

    /// The decision that these points mean.
    #[must_use]
    pub fn decide(&self, points: i64) -> Decision {
        let points = points as f64;
        if points >= self.approve_from {
            Decision::Approve
        } else if points < self.decline_below {
            Decision::Decline
        } else {
            Decision::Refer
        }
    }
}

/// How many applicants each decision concerns, and how many of them turned out bad where outcomes are known.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bands {
    /// Approved applicants.
    pub approve: u64,
    /// Applicants for a person to decide.
    pub refer: u64,
    /// Declined applicants.
    pub decline: u64,
}

impl Bands {
    /// Counts decisions.
    pub fn of(decisions: impl IntoIterator<Item = Decision>) -> Self {
        decisions.into_iter().fold(Self::default(), |mut bands, decision| {
            match decision {
                Decision::Approve => bands.approve += 1,
                Decision::Refer => bands.refer += 1,
                Decision::Decline => bands.decline += 1,
            }
            bands
        })
    }
}

/// The logistic function, evaluated where its exponential does not overflow.
#[must_use]
pub fn logistic(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// Plaintext logistic regression: the probability of one row. `row` and `weights` have the same length.
#[must_use]
pub fn plaintext_probability(row: &[f64], weights: &[f64], bias: f64) -> f64 {
    logistic(row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() + bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: Scorecard = Scorecard {
        base_points: 600.0,
        base_odds: 20.0,
        points_to_double_odds: 20.0,
        approve_from: 580.0,
        decline_below: 540.0,
    };

    #[test]
    fn base_odds_earn_base_points_and_doubling_earns_the_step() {
        assert_eq!(CARD.points(1.0 / 21.0), 600);
        assert_eq!(CARD.points(1.0 / 41.0), 620);
        assert_eq!(CARD.points(1.0 / 11.0), 580);
        assert_eq!(CARD.points(0.0), CARD.points(-0.5));
        assert!(CARD.points(1.0) < CARD.points(0.9));
    }

    #[test]
    fn bands_meet_without_a_gap() {
        let decisions = [580, 579, 540, 539].map(|p| CARD.decide(p));
        assert_eq!(decisions, [Decision::Approve, Decision::Refer, Decision::Refer, Decision::Decline]);
        assert_eq!(Bands::of(decisions), Bands { approve: 1, refer: 2, decline: 1 });
    }

    #[test]
    fn logistic_is_symmetric_and_never_overflows() {
        for z in [0.0, 0.3, 2.0, 30.0, 800.0] {
            assert!((logistic(z) + logistic(-z) - 1.0).abs() < 1e-15);
        }
        assert!((plaintext_probability(&[1.0, 2.0], &[0.5, -0.5], 0.5) - 0.5).abs() < 1e-15);
    }
}
