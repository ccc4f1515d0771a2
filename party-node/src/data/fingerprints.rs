//! Finds an id that a file has twice, with eight bytes of memory per row: a fingerprint of each id under a key of this run,
//! sorted at the end. Equal fingerprints are a reason to look at the ids themselves, and no more than that.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Result;

use zeroize::Zeroizing;

use super::make_room;
use super::names::RowNames;

/// Fingerprints of ids, in any order. Wiped on drop.
pub(super) struct Fingerprints {
    hash: fn(&RandomState, &str) -> u64,
    key: RandomState,
    seen: Zeroizing<Vec<u64>>,
}

mpc_core::secret_types!(serde::Serialize; Fingerprints);

/// An id that occurs twice.
pub(super) struct Repeat {
    pub(super) id: String,
    pub(super) first_line: u64,
    pub(super) second_line: u64,
}

impl Fingerprints {
    pub(super) fn new() -> Self {
        Self::hashed_by(|key, id| key.hash_one(id))
    }

    fn hashed_by(hash: fn(&RandomState, &str) -> u64) -> Self {
        Self { hash, key: RandomState::new(), seen: Zeroizing::new(Vec::new()) }
    }

    pub(super) fn add(&mut self, id: &str) {
        make_room(&mut self.seen, 1);
        self.seen.push((self.hash)(&self.key, id));
    }

    /// Of the ids in `names`, all of which were added, the one that is the first to occur a second time.
    pub(super) fn first_repeat(mut self, names: &RowNames) -> Result<Option<Repeat>> {
        self.seen.sort_unstable();
        let suspects: Vec<u64> = self.seen.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
        if suspects.is_empty() {
            return Ok(None);
        }
        let mut lines: HashMap<String, u64> = HashMap::new();
        let mut names = names.read();
        while let Some(name) = names.next()? {
            if suspects.binary_search(&(self.hash)(&self.key, name.id)).is_err() {
                continue;
            }
            if let Some(first_line) = lines.insert(name.id.to_owned(), name.line) {
                let (id, second_line) = (name.id.to_owned(), name.line);
                return Ok(Some(Repeat { id, first_line, second_line }));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::RowName;
    use super::super::spool::SpoolPlace;
    use super::*;

    fn repeat(ids: &[&str], mut prints: Fingerprints) -> Option<(String, u64, u64)> {
        let mut names = RowNames::new(SpoolPlace::temporary());
        for (id, line) in ids.iter().zip(2..) {
            names.push(RowName { line, id }).unwrap();
            prints.add(id);
        }
        prints.first_repeat(&names).unwrap().map(|r| (r.id, r.first_line, r.second_line))
    }

    #[test]
    fn the_first_second_occurrence_is_found() {
        assert_eq!(repeat(&["a", "b", "c"], Fingerprints::new()), None);
        let found = repeat(&["a", "b", "c", "b", "a", "b"], Fingerprints::new());
        assert_eq!(found, Some(("b".into(), 3, 5)));
    }

    #[test]
    fn equal_fingerprints_of_different_ids_are_no_repeat() {
        let alike = || Fingerprints::hashed_by(|_, id| id.len() as u64);
        assert_eq!(repeat(&["aa", "bb", "c", "dd"], alike()), None);
        assert_eq!(repeat(&["aa", "bb", "c", "bb", "aa"], alike()), Some(("bb".into(), 3, 5)));
    }
}
