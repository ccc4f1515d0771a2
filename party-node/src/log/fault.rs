//! Something that is wrong with a log, by file and entry.

use super::layout;

/// Something wrong with a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// The file, relative to the log.
    pub(super) file: Option<String>,
    /// The entry, where there is one.
    pub(super) entry: Option<u64>,
    /// What is wrong.
    pub(super) what: String,
}

impl Fault {
    pub(super) fn in_file(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: Some(file.into()), entry: None, what: what.into() }
    }

    /// In an entry of a log of `size` entries.
    pub(super) fn in_entry(entry: u64, size: u64, what: impl Into<String>) -> Self {
        let bundle = layout::tile_of_entry(entry, size);
        Self { file: Some(bundle.to_string()), entry: Some(entry), what: what.into() }
    }

    /// File, entry and fault in one line.
    pub(super) fn line(&self) -> String {
        let file = self.file.iter().map(|f| format!("{f}: "));
        let entry = self.entry.iter().map(|e| format!("entry {e}: "));
        file.chain(entry).chain([self.what.clone()]).collect()
    }
}
