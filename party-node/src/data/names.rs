//! The names of a table's rows in order, each with its line in the file; spooled, so that memory does not grow with them.

use std::io::{Error, ErrorKind, Result};

use zeroize::{Zeroize as _, Zeroizing};

use super::make_room;
use super::spool::{Spool, SpoolPlace};

/// A block is full when it has this many bytes, or earlier.
const BLOCK_BYTES: usize = 256 << 10;

/// Row ids with their lines. Wiped on drop.
pub struct RowNames {
    spool: Spool,
    /// The last rows, which are no block yet.
    last: Zeroizing<Vec<u8>>,
    rows: usize,
    id_bytes: u64,
    block_bytes: usize,
}

mpc_core::secret_types!(serde::Serialize; RowNames, NamesReader<'static>);

/// One row.
#[derive(Copy, Clone)]
pub struct RowName<'a> {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its id.
    pub id: &'a str,
}

impl RowNames {
    pub(super) fn new(place: SpoolPlace) -> Self {
        let block_bytes = place.block_bytes(BLOCK_BYTES);
        let (spool, last) = (Spool::new(place), Zeroizing::new(Vec::new()));
        Self { spool, last, rows: 0, id_bytes: 0, block_bytes }
    }

    /// Names of rows from line 2 on.
    ///
    /// # Errors
    /// What keeping them fails with.
    #[cfg(test)]
    pub(crate) fn of<'a>(ids: impl IntoIterator<Item = &'a str>, place: SpoolPlace) -> Result<Self> {
        let mut names = Self::new(place);
        ids.into_iter().zip(2..).try_for_each(|(id, line)| names.push(RowName { line, id }))?;
        Ok(names)
    }

    pub(super) fn push(&mut self, row: RowName<'_>) -> Result<()> {
        make_room(&mut self.last, 16 + row.id.len());
        self.last.extend_from_slice(&row.line.to_le_bytes());
        self.last.extend_from_slice(&(row.id.len() as u64).to_le_bytes());
        self.last.extend_from_slice(row.id.as_bytes());
        self.rows += 1;
        self.id_bytes += row.id.len() as u64;
        if self.last.len() >= self.block_bytes {
            self.spool.append(&self.last)?;
            self.last.as_mut_slice().zeroize();
            self.last.clear();
        }
        Ok(())
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of all ids together.
    #[must_use]
    pub const fn id_bytes(&self) -> u64 {
        self.id_bytes
    }

    /// Reads them from the first on.
    #[must_use]
    pub fn read(&self) -> NamesReader<'_> {
        NamesReader { names: self, next: 0, block: Zeroizing::new(Vec::new()), at: 0 }
    }

    /// Line and id of one row. Those before it are read for that.
    pub(super) fn of_row(&self, row: usize) -> Result<(u64, String)> {
        let mut names = self.read();
        for _ in 0..row {
            names.next()?;
        }
        let found = names.next()?.map(|name| (name.line, name.id.to_owned()));
        found.ok_or_else(|| Error::new(ErrorKind::UnexpectedEof, format!("there is no row {}", row + 1)))
    }

    /// The first row at which two lists of ids differ; the end of the shorter one if it is a part of the other.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn first_difference(&self, other: &Self) -> Result<Option<usize>> {
        let (mut ours, mut theirs) = (self.read(), other.read());
        for row in 0.. {
            match (ours.next()?, theirs.next()?) {
                (None, None) => break,
                (Some(a), Some(b)) if a.id == b.id => {}
                _ => return Ok(Some(row)),
            }
        }
        Ok(None)
    }
}

/// Reads names in order.
pub struct NamesReader<'a> {
    names: &'a RowNames,
    /// The block to be read next.
    next: usize,
    block: Zeroizing<Vec<u8>>,
    at: usize,
}

impl NamesReader<'_> {
    /// The next row, if there is one.
    ///
    /// # Errors
    /// A block that cannot be read, or is not what was written.
    #[allow(clippy::should_implement_trait, reason = "what it gives is its own until the next call")]
    pub fn next(&mut self) -> Result<Option<RowName<'_>>> {
        while self.at == self.block.len() {
            let blocks = self.names.spool.len();
            match self.next {
                n if n < blocks => self.names.spool.read(n, &mut self.block)?,
                n if n == blocks => self.block = self.names.last.clone(),
                _ => return Ok(None),
            }
            self.next += 1;
            self.at = 0;
        }
        let line = u64::from_le_bytes(self.take(8)?.try_into().unwrap_or_default());
        let length = u64::from_le_bytes(self.take(8)?.try_into().unwrap_or_default());
        let id = std::str::from_utf8(self.take(length as usize)?).map_err(|_| cut())?;
        Ok(Some(RowName { line, id }))
    }

    fn take(&mut self, bytes: usize) -> Result<&[u8]> {
        let from = self.at;
        self.at = from.checked_add(bytes).filter(|&end| end <= self.block.len()).ok_or_else(cut)?;
        Ok(&self.block[from..self.at])
    }
}

/// Blocks are authenticated and hold whole rows.
fn cut() -> Error {
    Error::new(ErrorKind::InvalidData, "a row's name is cut")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ids: &[String]) -> RowNames {
        let place = SpoolPlace::temporary().holding(BLOCK_BYTES);
        RowNames::of(ids.iter().map(String::as_str), place).unwrap()
    }

    fn ids(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("C{:0width$}", i, width = 1 + i % 40)).collect()
    }

    #[test]
    fn names_come_back_in_order_with_their_lines() {
        for n in [0, 1, 50_000] {
            let (ids, mut row) = (ids(n), 0);
            let names = names(&ids);
            assert_eq!(names.spool.len() > 4, n == 50_000, "several blocks");
            let mut reader = names.read();
            while let Some(name) = reader.next().unwrap() {
                assert_eq!((name.line, name.id), (row as u64 + 2, ids[row].as_str()));
                row += 1;
            }
            assert_eq!((row, names.rows()), (n, n));
            assert_eq!(names.id_bytes(), ids.iter().map(|id| id.len() as u64).sum::<u64>());
        }
        let long = vec!["x".repeat(BLOCK_BYTES * 2), "y".into()];
        assert_eq!(names(&long).of_row(1).unwrap(), (3, "y".to_owned()));
        assert!(names(&long).of_row(2).is_err());
    }

    #[test]
    fn a_prefix_differs_where_it_ends() {
        let differ = |a: &[String], b: &[String]| names(a).first_difference(&names(b)).unwrap();
        assert_eq!(differ(&ids(3), &ids(3)), None);
        assert_eq!(differ(&ids(3), &ids(2)), Some(2));
        assert_eq!(differ(&ids(2), &ids(3)), Some(2));
        assert_eq!(differ(&["0".into(), "1".into()], &["0".into(), "x".into()]), Some(1));
        let mut late = ids(30_000);
        late[29_999].push('!');
        assert_eq!(differ(&ids(30_000), &late), Some(29_999));
    }
}
