//! Tables that are on disk while they are used.

use super::*;

const ROWS: usize = 40_000;

/// A table of several blocks in which cells are missing, and its cells.
fn large(dir: &Scratch) -> (TableSource, Vec<f64>) {
    let mut state = 7_u64;
    let mut content = String::from("id,income,debt\n");
    let mut cells = Vec::new();
    for row in 0..ROWS {
        let mut cell = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = ((state >> 11) as f64 / 1e12).round() / 1e2 - 4_000.0;
            if state >> 60 == 3 { f64::NAN } else { value }
        };
        let (income, debt) = (cell(), cell());
        let text = |v: f64| if v.is_nan() { String::new() } else { v.to_string() };
        content += &format!("customer-{row:07},{},{}\n", text(income), text(debt));
        cells.extend([income, debt]);
    }
    (dir.source(&content), cells)
}

/// The definition, over whole columns.
fn filled_and_standardised(cells: &[f64]) -> Vec<f64> {
    let mut values = cells.to_vec();
    for column in 0..2 {
        let of = |values: &[f64]| values.iter().copied().skip(column).step_by(2).collect::<Vec<f64>>();
        let present: Vec<f64> = of(&values).into_iter().filter(|v| !v.is_nan()).collect();
        let filler = present.iter().sum::<f64>() / present.len() as f64;
        let filled: Vec<f64> = of(&values).into_iter().map(|v| if v.is_nan() { filler } else { v }).collect();
        let mean = filled.iter().sum::<f64>() / ROWS as f64;
        let variance = filled.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / ROWS as f64;
        let scaled = filled.iter().map(|v| (v - mean) / variance.sqrt());
        values.iter_mut().skip(column).step_by(2).zip(scaled).for_each(|(v, new)| *v = new);
    }
    values
}

#[test]
fn values_are_to_the_bit_those_of_whole_columns() {
    let dir = Scratch::new();
    let (mut source, cells) = large(&dir);
    source.missing = Missing::Mean;
    source.standardise = Standardise::Batch;
    let expected = filled_and_standardised(&cells);
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    for held_bytes in [0, 300_000, 4 << 20] {
        let table = Features::load(&source, &SpoolPlace::temporary().holding(held_bytes)).unwrap();
        let mut values = Vec::new();
        for first in (0..ROWS).step_by(7_001) {
            values.extend_from_slice(&table.values().read(first..ROWS.min(first + 7_001)).unwrap());
        }
        assert_eq!(bits(&values), bits(&expected), "with {held_bytes} bytes held");
    }
}

#[test]
fn what_is_wrong_late_in_a_long_file_is_named_as_ever() {
    let dir = Scratch::new();
    let (mut source, _) = large(&dir);
    let text = std::fs::read_to_string(&source.file).unwrap();
    source.missing = Missing::Value(0.0);
    let error = load(&source).unwrap().check_range(1.0).unwrap_err().to_string();
    assert!(error.contains("line 2 (id `customer-0000000`), column `income`: "), "{error}");

    let repeated = format!("{text}customer-0000007,1,2\nlater,no number,2\n");
    std::fs::write(&source.file, repeated).unwrap();
    let (code, message) = message(&source);
    assert_eq!(code, "duplicate_id");
    let expected = "bank.csv, line 40002: id `customer-0000007` was already in line 9; ids must be unique";
    assert_eq!(message, expected);

    std::fs::write(&source.file, format!("{text}last,1000000000,2\n")).unwrap();
    let error = load(&source).unwrap().check_range(1e8).unwrap_err().to_string();
    assert!(error.contains("line 40002 (id `last`), column `income`: 1000000000 is out of range"), "{error}");
}

#[test]
fn rows_that_cannot_be_kept_are_an_error_of_their_file() {
    let dir = Scratch::new();
    let source = dir.source("id,income,debt\na,1,2\n");
    // Nobody can make files there.
    let place = SpoolPlace::new(Path::new("/proc/self")).holding(0);
    let large = large(&dir).0;
    let error = Features::load(&large, &place).err().expect("there is no room for it");
    assert_eq!(error.code(), "rows_not_kept");
    let text = error.to_string();
    assert!(text.contains("bank.csv: its rows cannot be kept in /proc/self: "), "{text}");
    std::fs::write(&source.file, "id,income,debt\na,1,2\n").unwrap();
    assert!(Features::load(&source, &place).is_ok(), "a little is held in any case");
}

/// Looks at the files without names that this process has open in the folder.
#[cfg(target_os = "linux")]
#[test]
fn what_is_on_disk_shows_neither_ids_nor_values() {
    let dir = Scratch::new();
    let (mut source, cells) = large(&dir);
    source.missing = Missing::Value(0.0);
    let folder = tempfile::tempdir().unwrap();
    let place = SpoolPlace::beside(&folder.path().join("log")).holding(0);
    let table = Features::load(&source, &place).unwrap();
    let mut content = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read_link(&path).is_ok_and(|file| file.starts_with(folder.path())) {
            content.extend(std::fs::read(path).unwrap());
            files += 1;
        }
    }
    assert_eq!(files, 2, "one of cells, one of ids");
    assert!(content.len() > ROWS * 16, "{}", content.len());
    let found = |word: &[u8]| content.windows(word.len()).any(|w| w == word);
    assert!(!found(b"customer-"));
    for value in cells.iter().take(20).filter(|v| !v.is_nan()) {
        assert!(!found(&value.to_le_bytes()), "{value}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing has a name there");
    drop(table);
}
