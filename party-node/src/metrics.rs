//! How well scores separate good from bad outcomes: AUC, Gini and Kolmogorov–Smirnov, in plaintext, at the party that
//! holds the outcomes.

/// Discrimination of a score. All three are 0 (for AUC one half) for a useless score and 1 for a perfect one.
#[derive(Copy, Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Discrimination {
    /// Probability that a bad case has a higher probability of default than a good one, ties counted half.
    pub auc: f64,
    /// `2·AUC − 1`.
    pub gini: f64,
    /// Largest distance between the score distributions of good and bad cases.
    pub ks: f64,
    /// Share of bad cases.
    pub bad_rate: f64,
}

/// Why discrimination cannot be measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// As many scores as outcomes are needed.
    #[error("{scores} scores but {outcomes} outcomes")]
    Lengths {
        /// Scores given.
        scores: usize,
        /// Outcomes given.
        outcomes: usize,
    },
    /// Both outcomes must occur.
    #[error("outcomes hold {bad} bad and {good} good cases: both must occur")]
    OneClass {
        /// Bad cases.
        bad: usize,
        /// Good cases.
        good: usize,
    },
    /// A score is not a number.
    #[error("score of row {row} is not a number")]
    NotANumber {
        /// Index of the score, from 0.
        row: usize,
    },
}

/// Measures how well `probability` (of being bad) tells `bad` cases from good ones. O(n log n) time, 16 bytes of memory per
/// case.
///
/// # Errors
/// [`MetricError`] if lengths differ, one class is missing, or a score is not a number.
pub fn discrimination(
    probability: impl ExactSizeIterator<Item = f64>,
    bad: &[bool],
) -> Result<Discrimination, MetricError> {
    if probability.len() != bad.len() {
        return Err(MetricError::Lengths { scores: probability.len(), outcomes: bad.len() });
    }
    let mut cases: Vec<(f64, bool)> = probability.zip(bad.iter().copied()).collect();
    if let Some(row) = cases.iter().position(|(p, _)| p.is_nan()) {
        return Err(MetricError::NotANumber { row });
    }
    let bads = bad.iter().filter(|&&b| b).count();
    let goods = bad.len() - bads;
    if bads == 0 || goods == 0 {
        return Err(MetricError::OneClass { bad: bads, good: goods });
    }
    cases.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));

    // Walk groups of equal scores upwards: a bad case beats every good one below and half of those beside it.
    let (mut wins, mut ks) = (0.0_f64, 0.0_f64);
    let (mut good_below, mut bad_below) = (0_usize, 0_usize);
    for group in cases.chunk_by(|(a, _), (b, _)| a == b) {
        let bad_here = group.iter().filter(|&&(_, bad)| bad).count();
        let good_here = group.len() - bad_here;
        wins += bad_here as f64 * (good_below as f64 + 0.5 * good_here as f64);
        good_below += good_here;
        bad_below += bad_here;
        ks = ks.max((good_below as f64 / goods as f64 - bad_below as f64 / bads as f64).abs());
    }
    let auc = wins / (bads as f64 * goods as f64);
    Ok(Discrimination { auc, gini: 2.0 * auc - 1.0, ks, bad_rate: bads as f64 / bad.len() as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: compare every bad case with every good one; scan every threshold.
    fn by_definition(p: &[f64], bad: &[bool]) -> (f64, f64) {
        let pick = |want: bool| -> Vec<f64> {
            p.iter().zip(bad).filter(|&(_, &b)| b == want).map(|(&x, _)| x).collect()
        };
        let (bads, goods) = (pick(true), pick(false));
        let mut wins = 0.0;
        for b in &bads {
            for g in &goods {
                wins += if b > g {
                    1.0
                } else if b == g {
                    0.5
                } else {
                    0.0
                };
            }
        }
        let share = |xs: &[f64], t: f64| xs.iter().filter(|&&x| x <= t).count() as f64 / xs.len() as f64;
        let ks = p.iter().map(|&t| (share(&goods, t) - share(&bads, t)).abs()).fold(0.0, f64::max);
        (wins / (bads.len() * goods.len()) as f64, ks)
    }

    #[test]
    fn agrees_with_the_definition_with_ties() {
        let mut state = 12_345_u64;
        for round in 0..50 {
            let n = 5 + round;
            let mut p = Vec::new();
            let mut bad = vec![true, false];
            for i in 0..n {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                p.push((state >> 60) as f64 / 16.0);
                if i >= 2 {
                    bad.push(state >> 40 & 3 == 0);
                }
            }
            let (auc, ks) = by_definition(&p, &bad);
            let got = discrimination(p.iter().copied(), &bad).unwrap();
            assert!((got.auc - auc).abs() < 1e-12 && (got.ks - ks).abs() < 1e-12, "round {round}: {got:?}");
            assert!((got.gini - (2.0 * auc - 1.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn extremes() {
        let perfect = discrimination([0.1, 0.2, 0.8, 0.9].into_iter(), &[false, false, true, true]).unwrap();
        assert_eq!((perfect.auc, perfect.ks, perfect.bad_rate), (1.0, 1.0, 0.5));
        let constant = discrimination([0.3; 4].into_iter(), &[false, true, true, false]).unwrap();
        assert_eq!((constant.auc, constant.gini, constant.ks), (0.5, 0.0, 0.0));
    }

    #[test]
    fn refuses_what_cannot_be_measured() {
        assert_eq!(
            discrimination([0.1].into_iter(), &[]),
            Err(MetricError::Lengths { scores: 1, outcomes: 0 })
        );
        assert_eq!(
            discrimination([0.1, 0.2].into_iter(), &[true, true]),
            Err(MetricError::OneClass { bad: 2, good: 0 })
        );
        assert_eq!(
            discrimination([f64::NAN, 0.2].into_iter(), &[true, false]),
            Err(MetricError::NotANumber { row: 0 })
        );
    }
}
