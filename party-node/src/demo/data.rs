//! The demo's applicants: a documented, plausible population with a fixed seed.
//!
//! Every applicant has two hidden traits: *capacity* to pay (`c`) and *discipline* in paying (`d`), correlated 0.35.
//! Every owner's columns are noisy readings of them, so columns correlate within and across owners, as they do in
//! life: income follows capacity, repayment history and the regularity of phone payments follow discipline.
//! An applicant turns out **bad** (90 days late within a year) when
//!
//! ```text
//! 0.50·c + 0.72·d − 0.30·burden + 1.25·noise  <  CUTOFF
//! ```
//!
//! where *burden* is the standardised size of the loan. The cutoff gives 20–25 % bad outcomes. 2–5 % of the cells are
//! missing, each column with its own rate.
//!
//! All noise is the sum of twelve uniform numbers minus six (mean 0, variance 1), and everything else is addition,
//! multiplication and rounding. No function of the mathematical library is involved, so the same seed gives the same
//! bytes on every machine.

use std::fmt::Write as _;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Below this an applicant turns out bad.
const CUTOFF: f64 = -1.27;

/// An owner of columns in the demo.
#[derive(Debug)]
pub struct Owner {
    /// Party name.
    pub name: &'static str,
    /// What it holds.
    pub columns: &'static [Column],
}

/// A column: its name, how many decimals are written, and how often it is missing (per thousand cells).
#[derive(Debug)]
pub struct Column {
    /// Header.
    pub name: &'static str,
    decimals: usize,
    missing_per_mille: u64,
}

const fn column(name: &'static str, decimals: usize, missing_per_mille: u64) -> Column {
    Column { name, decimals, missing_per_mille }
}

/// All owners, in the order in which they join as `--parties` grows. The bank also holds weights and outcomes.
pub const OWNERS: [Owner; 5] = [
    Owner {
        name: "bank",
        columns: &[
            column("net_income_eur", 0, 20),
            column("loan_amount_eur", 0, 20),
            column("term_months", 0, 20),
            column("debt_to_income", 2, 35),
        ],
    },
    Owner {
        name: "bureau",
        columns: &[
            column("late_payments_24m", 0, 25),
            column("card_utilisation", 2, 40),
            column("inquiries_6m", 0, 20),
            column("credit_age_months", 0, 30),
        ],
    },
    Owner {
        name: "telecom",
        columns: &[
            column("tenure_months", 0, 20),
            column("payment_regularity", 2, 45),
            column("topup_variance", 2, 50),
        ],
    },
    Owner {
        name: "employer",
        columns: &[column("months_employed", 0, 25), column("wage_regularity", 2, 30)],
    },
    Owner { name: "utility", columns: &[column("arrears_eur", 0, 35), column("months_at_address", 0, 25)] },
];

/// The name of the key column in every file.
pub const KEY: &str = "customer_id";
/// The name of the bank's outcome column.
pub const LABEL: &str = "defaulted";

/// One owner's cells, row after row; NaN is a missing cell.
#[derive(Debug)]
pub struct OwnerCells {
    /// Row-major, rows × columns of the owner.
    pub values: Vec<f64>,
}

/// A generated population.
#[derive(Debug)]
pub struct Population {
    /// Keys.
    pub ids: Vec<String>,
    /// Cells per owner, in the order of [`OWNERS`].
    pub owners: Vec<OwnerCells>,
    /// Outcomes.
    pub bad: Vec<bool>,
}

/// Independent populations of the same model.
#[derive(Copy, Clone, Debug)]
pub enum Sample {
    /// What the weights are fitted on.
    Training,
    /// The applicants that the demo scores.
    Applicants,
}

/// Draws `rows` people for the first `owners` owners. The same arguments give the same values everywhere; people and
/// outcomes do not depend on the number of owners.
#[must_use]
pub fn draw(sample: Sample, rows: usize, owners: usize) -> Population {
    let mut seed = [0_u8; 32];
    seed[..27].copy_from_slice(b"subrosa loan-scoring demo 1");
    seed[31] = match sample {
        Sample::Training => 1,
        Sample::Applicants => 2,
    };
    let mut rng = ChaCha20Rng::from_seed(seed);
    let first_id = match sample {
        Sample::Training => 500_000,
        Sample::Applicants => 100_000,
    };
    let mut population = Population {
        ids: Vec::with_capacity(rows),
        owners: OWNERS.iter().take(owners).map(|_| OwnerCells { values: Vec::new() }).collect(),
        bad: Vec::with_capacity(rows),
    };
    for row in 0..rows {
        let (cells, bad) = person(&mut rng);
        // Keys grow by uneven steps, as customer numbers do.
        population.ids.push(format!("C{:07}", first_id + 7 * row + (rng.next_u64() % 7) as usize));
        population.bad.push(bad);
        for ((owner, own), values) in OWNERS.iter().zip(&mut population.owners).zip(&cells) {
            own.values.extend(owner.columns.iter().zip(values).map(|(c, &v)| round(v, c.decimals)));
        }
        // Gaps are drawn for all owners, so that one owner's file does not depend on how many others take part.
        for (index, owner) in OWNERS.iter().enumerate() {
            let width = owner.columns.len();
            for (at, column) in owner.columns.iter().enumerate() {
                let missing = rng.next_u64() % 1000 < column.missing_per_mille;
                if let Some(own) = population.owners.get_mut(index).filter(|_| missing) {
                    own.values[row * width + at] = f64::NAN;
                }
            }
        }
    }
    population
}

/// One person's cells for all owners, and the outcome.
fn person(rng: &mut ChaCha20Rng) -> ([Vec<f64>; 5], bool) {
    let mut z = || -> f64 {
        let sum: f64 = (0..12).map(|_| (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).sum();
        sum - 6.0
    };
    let c = z();
    let d = 0.35 * c + 0.94 * z();

    let earning = 0.85 * c + 0.53 * z();
    let wish = 0.35 * earning + 0.94 * z();
    let income = (2_450.0 * (1.0 + 0.30 * earning + 0.06 * earning * earning)).max(720.0);
    let amount = (9_200.0 * (1.0 + 0.48 * wish + 0.12 * wish * wish)).max(1_000.0);
    let term = 12.0 * (3.2 + 1.0 * wish + 0.7 * z()).round().clamp(1.0, 7.0);
    let burden = wish - 0.5 * earning;
    let debt_to_income = 0.33 - 0.06 * c - 0.04 * d + 0.03 * burden + 0.08 * z();
    let bank = vec![tens(income), tens(amount), term, debt_to_income.clamp(0.01, 0.95)];

    let late = (0.35 - 1.15 * d - 0.25 * c + 0.95 * z()).max(0.0).floor();
    let utilisation = (0.46 - 0.15 * d - 0.08 * c + 0.18 * z()).clamp(0.0, 1.2);
    let inquiries = (1.6 - 0.55 * d + 1.05 * z()).max(0.0).floor();
    let credit_age = (112.0 + 30.0 * d + 18.0 * c + 46.0 * z()).max(3.0);
    let bureau = vec![late, utilisation, inquiries, credit_age];

    let tenure = (50.0 + 13.0 * d + 7.0 * c + 25.0 * z()).max(1.0);
    let regularity = (0.84 + 0.10 * d + 0.06 * z()).clamp(0.0, 1.0);
    let variance = (1.05 - 0.26 * d - 0.12 * c + 0.34 * z()).max(0.0);
    let telecom = vec![tenure, regularity, variance];

    let employed = (64.0 + 24.0 * c + 8.0 * d + 36.0 * z()).max(0.0);
    let wages = (0.90 + 0.06 * c + 0.03 * d + 0.06 * z()).clamp(0.0, 1.0);
    let employer = vec![employed, wages];

    let arrears = tens((20.0 - 70.0 * d - 30.0 * c + 60.0 * z()).max(0.0));
    let address = (58.0 + 10.0 * c + 12.0 * d + 34.0 * z()).max(1.0);
    let utility = vec![arrears, address];

    let bad = 0.50 * c + 0.72 * d - 0.30 * burden + 1.25 * z() < CUTOFF;
    ([bank, bureau, telecom, employer, utility], bad)
}

fn tens(v: f64) -> f64 {
    (v / 10.0).round() * 10.0
}

/// Rounds to what the file will say, so that memory and file hold the same value.
fn round(v: f64, decimals: usize) -> f64 {
    let scale = [1.0, 10.0, 100.0, 1000.0][decimals.min(3)];
    (v * scale).round() / scale
}

/// One owner's CSV file; the bank's (owner 0) also holds the outcome column.
#[must_use]
pub fn csv(population: &Population, owner: usize) -> String {
    let columns = OWNERS[owner].columns;
    let mut out = String::from(KEY);
    columns.iter().for_each(|c| {
        out.push(',');
        out.push_str(c.name);
    });
    if owner == 0 {
        out.push(',');
        out.push_str(LABEL);
    }
    out.push('\n');
    let cells = &population.owners[owner].values;
    for ((id, row), bad) in population.ids.iter().zip(cells.chunks(columns.len())).zip(&population.bad) {
        out.push_str(id);
        for (&value, column) in row.iter().zip(columns) {
            out.push(',');
            if !value.is_nan() {
                let _infallible = write!(out, "{value:.*}", column.decimals);
            }
        }
        if owner == 0 {
            out.push_str(if *bad { ",1" } else { ",0" });
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_population_is_plausible() {
        let p = draw(Sample::Applicants, 20_000, 5);
        let bad_rate = p.bad.iter().filter(|&&b| b).count() as f64 / 20_000.0;
        assert!((0.20..0.25).contains(&bad_rate), "bad rate {bad_rate}");
        for (owner, cells) in OWNERS.iter().zip(&p.owners) {
            for (at, column) in owner.columns.iter().enumerate() {
                let values = || cells.values.iter().skip(at).step_by(owner.columns.len());
                let missing = values().filter(|v| v.is_nan()).count() as f64 / 20_000.0;
                assert!((0.015..0.06).contains(&missing), "{}: {missing} missing", column.name);
                let distinct: std::collections::HashSet<u64> = values().map(|v| v.to_bits()).collect();
                assert!(distinct.len() > 4, "{} is nearly constant", column.name);
            }
        }
    }

    #[test]
    fn columns_correlate_across_owners() {
        let p = draw(Sample::Applicants, 5_000, 3);
        let column = |owner: usize, at: usize| -> Vec<f64> {
            p.owners[owner].values.iter().skip(at).step_by(OWNERS[owner].columns.len()).copied().collect()
        };
        let r = correlation(&column(1, 1), &column(2, 1));
        assert!(r < -0.25, "utilisation and payment regularity: {r}");
        let r = correlation(&column(0, 0), &column(0, 3));
        assert!(r < -0.2, "income and debt to income: {r}");
    }

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let pairs: Vec<(f64, f64)> =
            a.iter().zip(b).filter(|(x, y)| !x.is_nan() && !y.is_nan()).map(|(&x, &y)| (x, y)).collect();
        let n = pairs.len() as f64;
        let (ma, mb) = pairs.iter().fold((0.0, 0.0), |(s, t), (x, y)| (s + x / n, t + y / n));
        let cov: f64 = pairs.iter().map(|(x, y)| (x - ma) * (y - mb)).sum();
        let (va, vb) =
            pairs.iter().fold((0.0, 0.0), |(s, t), (x, y)| (s + (x - ma).powi(2), t + (y - mb).powi(2)));
        cov / (va * vb).sqrt()
    }

    #[test]
    fn a_file_does_not_depend_on_who_else_takes_part() {
        let (two, five) = (draw(Sample::Applicants, 50, 2), draw(Sample::Applicants, 50, 5));
        assert_eq!(csv(&two, 0), csv(&five, 0));
        assert_eq!(csv(&two, 1), csv(&five, 1));
        let ids: std::collections::HashSet<_> = five.ids.iter().collect();
        assert_eq!(ids.len(), 50);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let p = draw(Sample::Applicants, 1_000, 5);
        let mut hash = Sha256::new();
        (0..5).for_each(|owner| hash.update(csv(&p, owner).as_bytes()));
        let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "a4e382b62e39ffaeacec6d5cc22e7d584a4c9de91a3b0a8960231a88f58525cc");
    }
}
