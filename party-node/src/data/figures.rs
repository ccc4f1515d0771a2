//! By which figures a table was standardised, in a file of its owner: the rows that a model scores are standardised by those of the
//! rows that it was fitted to.
//!
//! A CSV file with the columns `column`, `mean` and `standard_deviation`, and a line for every column of the input, in the
//! program's order. Columns of 0 and 1 by a code have mean 0 and deviation 1, which leaves them as they are. So it also says which
//! columns and codes a model was fitted to: another list, or another order, would be another model's.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::prepare::{Recipe, Scaling};
use super::rows::{open, position};
use super::{DataError, MAX_CODES, parse_cell};

/// More columns no input has.
const MAX_COLUMNS: usize = MAX_CODES << 8;

/// The file's text.
pub(super) fn text(columns: &[String], recipes: &[Recipe]) -> Zeroizing<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(vec![]);
    let lines = columns.iter().zip(recipes).map(|(column, recipe)| {
        let Scaling { mean, standard_deviation } = recipe.scaling();
        [column.clone(), mean.to_string(), standard_deviation.to_string()]
    });
    let written = [["column", "mean", "standard_deviation"].map(str::to_owned)]
        .into_iter()
        .chain(lines)
        .try_for_each(|line| writer.write_record(line));
    let text = written.ok().and_then(|()| writer.into_inner().ok());
    Zeroizing::new(text.expect("invariant: memory takes what is written to it"))
}

/// The figures of a file, by column and in its order.
///
/// # Errors
/// [`DataError`] naming the file and the line.
pub fn read_figures(file: &Path) -> Result<Vec<(String, Scaling)>, DataError> {
    let mut reader = open(file)?;
    let header = reader.headers().map_err(|e| DataError::csv(file, &e))?.clone();
    let [column_at, mean_at, deviation_at] =
        ["column", "mean", "standard_deviation"].map(|name| position(file, &header, name));
    let (column_at, mean_at, deviation_at) = (column_at?, mean_at?, deviation_at?);
    let mut all: Vec<(String, Scaling)> = vec![];
    for record in reader.records() {
        let record = record.map_err(|e| DataError::csv(file, &e))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |what: &str| DataError::Malformed { file: file.into(), line, what: what.into() };
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let figure = |at: usize| parse_cell(cell(at)).filter(|x| x.is_finite());
        let (Some(mean), Some(standard_deviation)) = (figure(mean_at), figure(deviation_at)) else {
            return Err(wrong("expected numbers as mean and standard_deviation"));
        };
        if standard_deviation <= 0.0 {
            return Err(wrong("expected a standard_deviation above 0"));
        }
        if all.len() == MAX_COLUMNS {
            return Err(wrong("the file has more lines than an input has columns"));
        }
        all.push((cell(column_at).to_owned(), Scaling { mean, standard_deviation }));
    }
    Ok(all)
}

/// The figures for these columns: the file has the same, in the same order.
pub(super) fn figures_for(file: &Path, columns: &[String]) -> Result<BTreeMap<String, Scaling>, DataError> {
    let figures = read_figures(file)?;
    if figures.iter().map(|(name, _)| name).eq(columns) {
        return Ok(figures.into_iter().collect());
    }
    let names = figures.into_iter().map(|(name, _)| name).collect();
    Err(DataError::OtherColumns { file: file.into(), figures: names, columns: columns.to_vec() })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::data::{Features, Missing, OneHot, SpoolPlace, Standardise, TableSource};

    struct Tables(tempfile::TempDir);

    impl Tables {
        fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let file = self.0.path().join(name);
            std::fs::write(&file, content).unwrap();
            file
        }

        fn source(&self, content: &str, standardise: Standardise) -> TableSource {
            let columns = ["income", "status"].map(str::to_owned).to_vec();
            let codes = [("status".to_owned(), vec!["A".to_owned(), "B, or b".to_owned()])];
            TableSource {
                file: self.write("table.csv", content),
                key_column: "id".into(),
                one_hot: OneHot::new(codes.into(), &columns).unwrap(),
                columns,
                missing: Missing::Mean,
                standardise,
            }
        }
    }

    fn load(source: &TableSource) -> Result<(Vec<f64>, Zeroizing<Vec<u8>>), DataError> {
        let table = Features::load(source, &SpoolPlace::temporary())?;
        Ok((table.values().read(0..table.rows()).unwrap().to_vec(), table.figures()))
    }

    #[test]
    fn other_rows_are_standardised_by_the_figures_that_were_written() {
        let tables = Tables(tempfile::tempdir().unwrap());
        let training = "id,income,status\na,1,A\nb,4,\"B, or b\"\nc,10,A\nd,,A\n";
        let (_, figures) = load(&tables.source(training, Standardise::Batch)).unwrap();
        let file = tables.write("figures.csv", &figures);
        let text = std::fs::read_to_string(&file).unwrap();
        let (mean, deviation) = (5.0, (42.0_f64 / 4.0).sqrt());
        let expected = format!(
            "column,mean,standard_deviation\nincome,5,{deviation}\nstatus=A,0,1\n\"status=B, or b\",0,1\n"
        );
        assert_eq!(text, expected);
        // One row, which has neither a spread nor the mean of those, and one that is empty.
        let scoring = "id,income,status\nx,8,A\ny,NA,\"B, or b\"\n";
        let source = tables.source(scoring, Standardise::Figures(file));
        let (values, again) = load(&source).unwrap();
        assert_eq!(values, [(8.0 - mean) / deviation, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(again, figures);
    }

    #[test]
    fn figures_of_other_columns_are_refused() {
        let tables = Tables(tempfile::tempdir().unwrap());
        let rows = "id,income,status\na,1,A\n";
        let head = "column,mean,standard_deviation\n";
        for (content, code, expected) in [
            (
                "income,5,2\n",
                "figures_differ",
                "has figures of `income`, the input takes `income`, `status=A`",
            ),
            (
                "status=A,0,1\nincome,5,2\n\"status=B, or b\",0,1\n",
                "figures_differ",
                "has figures of `status=A`, `income`",
            ),
            ("income,5,0\n", "data_malformed", "line 2: expected a standard_deviation above 0"),
            ("income,NA,1\n", "data_malformed", "line 2: expected numbers"),
            ("income,5,inf\n", "data_malformed", "line 2: expected numbers"),
        ] {
            let file = tables.write("figures.csv", format!("{head}{content}"));
            let error = load(&tables.source(rows, Standardise::Figures(file))).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let file = tables.write("figures.csv", "column,mean\nincome,1\n");
        let error = load(&tables.source(rows, Standardise::Figures(file))).unwrap_err();
        assert_eq!(error.code(), "unknown_column");
        let missing = tables.0.path().join("none.csv");
        let error = load(&tables.source(rows, Standardise::Figures(missing))).unwrap_err();
        assert_eq!(error.code(), "file_missing");
    }
}
