//! Files of tests: folders, ports, CSV cells.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All files below `dir`, sorted.
#[must_use]
pub fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in all_files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(&file, copy).unwrap();
    }
}

/// Changes a text file; a change that changes nothing is a mistake of the test.
pub fn edit(path: &Path, change: impl FnOnce(&str) -> String) {
    let before = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let after = change(&before);
    assert_ne!(before, after, "the edit of {} changed nothing", path.display());
    std::fs::write(path, after).unwrap();
}

/// Header and cells of a CSV file without quotes.
#[must_use]
pub fn read_csv(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    (lines.next().unwrap(), lines.collect())
}

/// Writes a CSV file without quotes.
pub fn write_csv(path: &Path, header: &[String], rows: &[Vec<String>]) {
    let line = |cells: &[String]| cells.join(",") + "\n";
    let rows: String = rows.iter().map(|cells| line(cells)).collect();
    std::fs::write(path, line(header) + &rows).unwrap();
}

/// Sets one cell of a CSV file, in the row at `row` below the header.
pub fn set_cell(path: &Path, row: usize, column: &str, value: &str) {
    let (header, mut rows) = read_csv(path);
    let at = header.iter().position(|c| c == column).unwrap_or_else(|| panic!("no column {column}"));
    value.clone_into(&mut rows[row][at]);
    write_csv(path, &header, &rows);
}

/// A UDP port of 127.0.0.1 that is free and that no other test of this process was given. It lies below the range
/// that systems hand out by themselves, so that no socket that is opened in between gets it by chance.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    for _ in 0..COUNT {
        let offset = std::process::id().wrapping_mul(131) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + offset % COUNT) as u16;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free UDP port between {FIRST} and {}", FIRST + COUNT);
}

/// Replaces every port of `127.0.0.1:PORT` in the TOML files `configs` by a free one, the same in all of them.
pub fn move_to_free_ports(configs: &[PathBuf]) {
    const HOST: &str = "127.0.0.1:";
    let texts: Vec<String> = configs.iter().map(|c| std::fs::read_to_string(c).unwrap()).collect();
    let mut ports: Vec<(String, u16)> = Vec::new();
    for text in &texts {
        for (at, _) in text.match_indices(HOST) {
            let port: String = text[at + HOST.len()..].chars().take_while(char::is_ascii_digit).collect();
            if !ports.iter().any(|(old, _)| *old == port) {
                ports.push((port, free_port()));
            }
        }
    }
    for (config, text) in configs.iter().zip(texts) {
        let moved = ports.iter().fold(text, |text, (old, new)| {
            text.replace(&format!("\"{HOST}{old}\""), &format!("\"{HOST}{new}\""))
        });
        std::fs::write(config, moved).unwrap();
    }
}
