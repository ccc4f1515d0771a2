//! People of a real data set, scored through `--data` with weights that are fitted here in plaintext.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::logistic::{auc, fit, probability};
use crate::{files, run};

/// Features of all parties side by side, as only the developer of a plaintext model would have them.
pub struct People {
    /// Name of the first party's key column.
    pub key: &'static str,
    /// Keys, in the order of the files.
    pub ids: Vec<String>,
    /// Names of the features, `PARTY.COLUMN` as in the file of weights.
    pub names: Vec<String>,
    /// Features of every person, with a 1 for the intercept at the end.
    pub rows: Vec<Vec<f64>>,
    /// Outcomes: 1 is bad, 0 is good.
    pub bad: Vec<f64>,
}

/// The folder of a real data set, or `None` with a word why; the project itself holds none.
#[must_use]
pub fn real_data(name: &str) -> Option<PathBuf> {
    let folder = files::workspace().join("../shared/data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: the data is not at {}; it is no part of the project", folder.display());
    None
}

/// Every fifth row is held out of the fit.
#[must_use]
pub fn is_held_out(row: usize) -> bool {
    row.is_multiple_of(5)
}

impl People {
    /// Weights fitted on the rows that are not held out; the intercept is the last.
    #[must_use]
    pub fn fit(&self) -> Vec<f64> {
        let training: Vec<usize> = (0..self.rows.len()).filter(|&i| !is_held_out(i)).collect();
        let rows: Vec<&[f64]> = training.iter().map(|&i| self.rows[i].as_slice()).collect();
        let bad: Vec<f64> = training.iter().map(|&i| self.bad[i]).collect();
        fit(&rows, &bad)
    }

    /// AUC of the plaintext model on the rows that are held out.
    #[must_use]
    pub fn plaintext_auc(&self, weights: &[f64]) -> f64 {
        let scored = self.rows.iter().zip(&self.bad).map(|(row, bad)| (probability(row, weights), *bad));
        auc(&scored.enumerate().filter(|(i, _)| is_held_out(*i)).map(|(_, s)| s).collect::<Vec<_>>())
    }

    /// Writes the file of weights.
    pub fn write_weights(&self, weights: &[f64], file: &Path) {
        let names = self.names.iter().map(String::as_str).chain(["bias"]);
        let mut text = String::from("name,weight\n");
        for (name, weight) in names.zip(weights) {
            let _infallible = writeln!(text, "{name},{weight}");
        }
        std::fs::write(file, text).unwrap();
    }

    /// Runs the demo on the folder `data` and keeps it in `keep`. Every joint score must be within 1e-3 of the
    /// plaintext score, and the demo must have measured just these scores. The AUC of the rows that are held out.
    #[must_use]
    pub fn score_jointly(
        &self,
        program: &str,
        parties: &[&str],
        weights: &[f64],
        data: &Path,
        keep: &Path,
    ) -> f64 {
        let [data, keep_text] = [data, keep].map(|p| p.to_str().unwrap());
        let args = [
            "demo",
            "loan-scoring",
            "--json",
            "--preprocessing",
            "dealer",
            "--data",
            data,
            "--keep",
            keep_text,
        ];
        let report = run(program, &args).succeeded().json();
        let counts = (report["parties"].as_u64(), report["rows"].as_u64());
        assert_eq!(counts, (Some(parties.len() as u64), Some(self.rows.len() as u64)));
        assert_eq!(report["verified"], true);

        let (header, scores) = files::read_csv(&keep.join(parties[0]).join("scores.csv"));
        assert_eq!(header[..2], [self.key, "probability"]);
        assert_eq!(scores.len(), self.rows.len());
        let mut worst = 0.0_f64;
        let mut joint = Vec::new();
        for (i, (score, row)) in scores.iter().zip(&self.rows).enumerate() {
            assert_eq!(score[0], self.ids[i], "row {i}");
            let scored: f64 = score[1].parse().unwrap();
            worst = worst.max((scored - probability(row, weights)).abs());
            joint.push((scored, self.bad[i]));
        }
        println!("largest difference from plaintext {worst:.2e} over {} rows", scores.len());
        assert!(worst > 0.0 && worst <= 1e-3, "largest difference from plaintext {worst}");
        let measured = report["max_abs_error"].as_f64().unwrap();
        assert!((worst - measured).abs() < 1e-9, "{worst} here, the demo measured {measured}");

        let held_out: Vec<(f64, f64)> =
            joint.iter().copied().enumerate().filter(|(i, _)| is_held_out(*i)).map(|(_, s)| s).collect();
        let (out, all) = (auc(&held_out), auc(&joint));
        println!("AUC {out:.4} held out, {all:.4} over all rows");
        assert!((all - report["auc"].as_f64().unwrap()).abs() < 1e-6, "{all} here, {} there", report["auc"]);
        out
    }
}

/// Each of these nodes' configurations names its own files and no other's.
pub fn each_config_names_its_own_files_only(keep: &Path, nodes: &[(&str, &[&str], &[&str])]) {
    for (node, own, foreign) in nodes {
        let text = std::fs::read_to_string(keep.join(node).join(format!("{node}.toml"))).unwrap();
        let settings: String =
            text.lines().filter(|l| !l.trim_start().starts_with('#')).map(|l| format!("{l}\n")).collect();
        for file in *own {
            assert!(settings.contains(file), "{node}.toml does not name {file}:\n{text}");
        }
        for file in *foreign {
            assert!(!settings.contains(file), "{node}.toml names {file}:\n{text}");
        }
    }
}
