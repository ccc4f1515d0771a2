//! How much memory this process took.

/// The largest resident memory of this process so far in MiB, where the system says it.
#[must_use]
pub(crate) fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn memory_that_was_used_once_counts() {
        let before = super::peak_rss_mb().unwrap();
        assert!(before > 1.0);
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        assert!(super::peak_rss_mb().unwrap() >= before.max(64.0));
    }
}
