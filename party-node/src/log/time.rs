//! Times of cosignatures, as people read them.

const DAY_S: u64 = 86_400;
/// The first second of the year 10000, which RFC 3339 cannot write.
const END_S: u64 = 253_402_300_800;

/// A time in seconds since 1970 as RFC 3339 in UTC; beyond the year 9999, which no honest clock shows, the bare number.
pub(super) fn rfc3339(time_s: u64) -> String {
    if time_s >= END_S {
        return format!("{time_s} s after 1970");
    }
    let (days, second) = (time_s / DAY_S, time_s % DAY_S);
    // Days since 1 March of the year 0: leap days are then the last of their year. 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, over and over.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = 400 * era + year_of_era + next_year;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (time_s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (END_S - 1, "9999-12-31T23:59:59Z"),
            (END_S, "253402300800 s after 1970"),
            (u64::MAX, "18446744073709551615 s after 1970"),
        ] {
            assert_eq!(rfc3339(time_s), text);
        }
    }

    /// Day by day: each date follows on the one before.
    #[test]
    fn every_day_of_800_years_follows_on_the_last() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for n in 0..800 * 365 {
            assert_eq!(rfc3339(n * DAY_S), format!("{year}-{month:02}-{day:02}T00:00:00Z"));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
