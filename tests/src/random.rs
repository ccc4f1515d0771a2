//! Seeded randomness for choices that tests make: orders, moments, positions. Not for secrets.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// The seed is `SUBROSA_TEST_SEED` if set, else from the clock and process id; it is printed, and so shown when the test fails.
    #[must_use]
    pub fn seeded(test: &str) -> Self {
        let chosen = std::env::var("SUBROSA_TEST_SEED").ok().and_then(|s| s.parse().ok());
        let fresh = || {
            let since_epoch = std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos() as u64);
            since_epoch ^ (u64::from(std::process::id()) << 40)
        };
        let seed = chosen.unwrap_or_else(fresh);
        println!("{test}: seed {seed} (repeat with SUBROSA_TEST_SEED={seed})");
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is positive.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
