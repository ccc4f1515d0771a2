//! The cells of a table, row after row: a spooled matrix of numbers in which NaN is a missing one.

use std::io::Result;
use std::ops::Range;

use zeroize::{Zeroize as _, Zeroizing};

use super::spool::{Spool, SpoolPlace};

/// Bytes of a block at most, or those of one row if they are more.
const BLOCK_BYTES: usize = 1 << 20;
const CELL_BYTES: usize = 8;

/// Numbers, `width` in a row. Wiped on drop.
pub(super) struct Cells {
    spool: Spool,
    /// The last rows, which are no block yet.
    last: Zeroizing<Vec<u8>>,
    width: usize,
    rows: usize,
    block_rows: usize,
}

mpc_core::secret_types!(serde::Serialize; Cells);

impl Cells {
    pub(super) fn new(place: SpoolPlace, width: usize) -> Self {
        let block_rows = (place.block_bytes(BLOCK_BYTES) / (CELL_BYTES * width.max(1))).max(1);
        Self { spool: Spool::new(place), last: Zeroizing::new(Vec::new()), width, rows: 0, block_rows }
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &[f64]) -> Result<()> {
        debug_assert_eq!(row.len(), self.width, "a row of this table");
        super::make_room(&mut self.last, CELL_BYTES * row.len());
        row.iter().for_each(|v| self.last.extend_from_slice(&v.to_le_bytes()));
        self.rows += 1;
        if self.rows.is_multiple_of(self.block_rows) {
            self.spool.append(&self.last)?;
            self.last.as_mut_slice().zeroize();
            self.last.clear();
        }
        Ok(())
    }

    /// Calls `each` with rows in order, by number.
    pub(super) fn for_each(&self, rows: Range<usize>, mut each: impl FnMut(usize, &[f64])) -> Result<()> {
        let row_bytes = CELL_BYTES * self.width;
        let mut block = Zeroizing::new(Vec::new());
        let mut row = Zeroizing::new(vec![0.0; self.width]);
        let mut at = rows.start;
        while at < rows.end.min(self.rows) {
            let number = at / self.block_rows;
            let first = number * self.block_rows;
            if number < self.spool.len() {
                self.spool.read(number, &mut block)?;
            } else {
                block = self.last.clone();
            }
            let end = rows.end.min(self.rows).min(first + self.block_rows);
            for number in at..end {
                let bytes = &block[(number - first) * row_bytes..(number - first + 1) * row_bytes];
                let cells = bytes.as_chunks().0;
                row.iter_mut().zip(cells).for_each(|(cell, &bytes)| *cell = f64::from_le_bytes(bytes));
                each(number, &row);
            }
            at = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rows_come_back() {
        for (width, rows) in [(3, 100_000), (1, 10), (200_000, 4), (0, 5)] {
            let mut cells = Cells::new(SpoolPlace::temporary().holding(BLOCK_BYTES), width);
            let value = |row: usize, column: usize| (row * 7 + column) as f64 - 0.5;
            let row = |r: usize| -> Vec<f64> { (0..width).map(|c| value(r, c)).collect() };
            (0..rows).for_each(|r| cells.push(&row(r)).unwrap());
            for range in [0..rows, 0..0, rows / 2..rows, rows / 3..rows / 2, rows - 1..rows] {
                let mut seen = Vec::new();
                cells
                    .for_each(range.clone(), |number, cells| {
                        assert_eq!(cells, row(number));
                        seen.push(number);
                    })
                    .unwrap();
                assert!(seen.into_iter().eq(range));
            }
        }
    }
}
