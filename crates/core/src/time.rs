//! Wall-clock time as a value. Nothing here reads a clock: time is always a parameter.

use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant moved forward; the far end of time saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// So long before; the beginning of 1970 at the earliest.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies in the future (a clock that stepped back resurrects nothing).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-24T05:03:31.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(text) = written(self.0) else {
            return write!(f, "{}ms", i64::try_from(self.0).unwrap_or(i64::MAX));
        };
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Written by hand: each call puts two times on the record, and a general formatter costs as much as all else in it. `None` beyond
/// the year 9999.
fn written(ms: u64) -> Option<[u8; 24]> {
    const DAY: u64 = 24 * 3600 * 1000;
    let (days, of_day) = (ms / DAY, ms % DAY);
    // Days in years that begin in March, in eras of 400 years (146,097 days): the leap day comes last.
    let since = days + 719_468;
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    if year > 9999 {
        return None;
    }
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, of_day / 3_600_000),
        (14, 2, of_day / 60_000 % 60),
        (17, 2, of_day / 1_000 % 60),
        (20, 3, of_day % 1_000),
    ];
    for (from, digits, mut value) in parts {
        for place in text.get_mut(from..from + digits)?.iter_mut().rev() {
            *place = b'0' + u8::try_from(value % 10).ok()?;
            value /= 10;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_795_496_611_007).to_string(), "2026-11-24T05:03:31.007Z");
    }

    #[test]
    fn times_are_written_as_a_calendar_library_writes_them() {
        let mut ms = 0_u64;
        while let Ok(known) = jiff::Timestamp::from_millisecond(i64::try_from(ms).expect("in range")) {
            assert_eq!(Timestamp::from_millis(ms).to_string(), format!("{known:.3}"), "{ms}");
            // A good half of a day, and some: every day and hour of the calendar comes, over many years.
            ms += if ms < 4_000_000_000_000 { 50_000_123 } else { 3_600_000_777_001 };
        }
        for year in [1972, 2000, 2024, 2100, 2400, 9998] {
            for day in ["01-01T00:00:00.000Z", "02-28T23:59:59.999Z", "03-01T00:00:00.000Z", "12-31T23:59:59.999Z"] {
                let text = format!("{year}-{day}");
                let known: jiff::Timestamp = text.parse().expect("a time");
                assert_eq!(Timestamp::from_millis(u64::try_from(known.as_millisecond()).expect("after 1970")).to_string(), text);
            }
        }
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), format!("{}ms", i64::MAX));
    }

    #[test]
    fn a_backward_step_is_no_time_at_all() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_millis(4));
    }
}
